//! H1: what the default sampler finds in how many trials, one after the other, on tables whose best value is known.

use super::known::Known;
use super::peers::{self, MARKS, RANKED, SHOWN, Stored};
use super::regret::{ByTable, mean, mean_over_tables, ranks, times_smaller};
use super::simulate::{Job, Ran, run_all};
use crate::figure::Settings;
use crate::row::{Row, load};

const TRIALS: usize = 200;
const UNIT: &str = "normalised regret";
/// After so many of our trials, a seed is compared with Optuna's TPE after [`MARKS`].
const EARLY: [usize; 3] = [33, 66, 133];

/// The runs of ours, and those stored of Optuna.
struct Found {
    tables: Vec<Known>,
    /// By table, a run a seed.
    ours: Vec<Vec<Ran>>,
    stored: Option<Stored>,
    load: f64,
}

/// H1: mean normalised regret at 50, 100 and 200 trials, three seeds a pair, beside the best of the ranked samplers of Optuna;
/// then mean ranks, shares of seeds in the best 0.1 % after two thirds of the trials, each sampler and table, and seconds.
///
/// # Errors
/// If a run fails, or the stored ones cannot be read.
pub fn regret(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let tables = Known::all()?;
    let stored = peers::stored()?;
    if tables.is_empty() {
        return Ok(vec![]);
    }
    let seeds = settings.pairs * 3;
    let ran = run_all(&jobs(&tables, seeds))?;
    let ours = ran.chunks(seeds as usize).map(<[Ran]>::to_vec).collect();
    let found = Found {
        tables,
        ours,
        stored,
        load: before.max(load()),
    };
    let mut rows = Vec::new();
    for mark in 0..MARKS.len() {
        rows.push(found.beside_best(mark)?);
    }
    for mark in 0..MARKS.len() {
        rows.extend(found.rank(mark)?);
    }
    for mark in 0..MARKS.len() {
        rows.push(found.top(mark)?);
    }
    for (sampler, name) in RANKED.iter().chain([&SHOWN]) {
        rows.extend(found.beside_each(sampler, name)?);
    }
    rows.extend(found.by_table()?);
    rows.extend(found.seconds());
    Ok(rows)
}

fn jobs(tables: &[Known], seeds: u32) -> Vec<Job<'_>> {
    let seeds = |known| {
        (1..=u64::from(seeds)).map(move |seed| Job {
            known,
            seed,
            workers: 1,
            sampler: "auto",
            search: format!("limit: {{ trials: {TRIALS} }}"),
        })
    };
    tables.iter().flat_map(seeds).collect()
}

impl Found {
    /// Our regrets after so many trials, by table.
    fn ours_after(&self, trials: usize) -> anyhow::Result<ByTable> {
        let regret = |(known, runs): (&Known, &Vec<Ran>)| {
            let runs = runs.iter();
            runs.map(|run| Ok(known.regret(run.best_after(trials)?)))
                .collect()
        };
        self.tables.iter().zip(&self.ours).map(regret).collect()
    }

    /// A stored sampler's regrets at a mark on the tables it has, with their places.
    fn theirs(&self, sampler: &str, mark: usize) -> Vec<(usize, Vec<f64>)> {
        let Some(stored) = self.stored.as_ref().and_then(|all| all.get(sampler)) else {
            return vec![];
        };
        let regrets = |(at, known): (usize, &Known)| {
            let runs = stored.get(&known.name)?.iter();
            Some((at, runs.map(|run| known.regret(run[mark])).collect()))
        };
        self.tables.iter().enumerate().filter_map(regrets).collect()
    }

    /// The same for a sampler that has every table.
    fn theirs_whole(&self, sampler: &str, mark: usize) -> Option<ByTable> {
        let found = self.theirs(sampler, mark);
        (found.len() == self.tables.len())
            .then(|| found.into_iter().map(|(_, runs)| runs).collect())
    }

    fn row(&self, name: String, ours: &ByTable, peer: Option<(&str, &ByTable)>) -> Row {
        let compared = peer.and_then(|(_, theirs)| times_smaller(ours, theirs));
        Row {
            name,
            value: mean_over_tables(ours),
            unit: UNIT,
            peer: peer.map(|(name, _)| name.to_owned()),
            peer_value: peer.map(|(_, theirs)| mean_over_tables(theirs)),
            ratio: compared.map(|(ratio, _)| ratio),
            ratio_low: compared.map(|(_, low)| low),
            runs: ours.iter().map(Vec::len).sum(),
            load: self.load,
        }
    }

    fn beside_best(&self, mark: usize) -> anyhow::Result<Row> {
        let ours = self.ours_after(MARKS[mark])?;
        let theirs: Vec<(&str, ByTable)> = RANKED
            .iter()
            .filter_map(|(sampler, name)| Some((*name, self.theirs_whole(sampler, mark)?)))
            .collect();
        let best = theirs
            .iter()
            .min_by(|a, b| mean_over_tables(&a.1).total_cmp(&mean_over_tables(&b.1)));
        let name = format!("H1 mean regret at {} trials", MARKS[mark]);
        Ok(self.row(name, &ours, best.map(|(name, theirs)| (*name, theirs))))
    }

    /// The mean over tables of our rank by mean regret among the ranked samplers; none where they are not all there.
    fn rank(&self, mark: usize) -> anyhow::Result<Option<Row>> {
        let mut all = vec![self.ours_after(MARKS[mark])?];
        for (sampler, _) in RANKED {
            all.extend(self.theirs_whole(sampler, mark));
        }
        if all.len() <= RANKED.len() {
            return Ok(None);
        }
        let mut places: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
        for table in 0..self.tables.len() {
            let means: Vec<f64> = all.iter().map(|side| mean(&side[table])).collect();
            for (place, rank) in places.iter_mut().zip(ranks(&means)) {
                place.push(rank);
            }
        }
        let ours = mean(&places[0]);
        let others = RANKED.iter().zip(&places[1..]);
        let best = others.min_by(|a, b| mean(a.1).total_cmp(&mean(b.1)));
        let name = format!("H1b mean rank of five at {} trials", MARKS[mark]);
        let mut row = Row::alone(name, "rank", &[ours], self.load);
        row.runs = self.ours.iter().map(Vec::len).sum();
        if let Some(((_, peer), ranks)) = best {
            row.peer = Some((*peer).to_owned());
            row.peer_value = Some(mean(ranks));
            row.ratio = Some(mean(ranks) / ours);
        }
        Ok(Some(row))
    }

    /// The share of our seeds in the best 0.1 %, beside that of Optuna's TPE after half as many trials more.
    fn top(&self, mark: usize) -> anyhow::Result<Row> {
        let share = |hits: Vec<bool>| {
            let hit = hits.iter().filter(|hit| **hit).count();
            hit as f64 / hits.len().max(1) as f64
        };
        let mut ours = Vec::new();
        for (known, runs) in self.tables.iter().zip(&self.ours) {
            let hits = runs
                .iter()
                .map(|run| Ok(known.is_top(run.best_after(EARLY[mark])?)));
            ours.push(share(hits.collect::<anyhow::Result<_>>()?));
        }
        let tpe = self.stored.as_ref().and_then(|stored| stored.get("tpe"));
        let theirs: Option<Vec<f64>> = tpe.and_then(|tpe| {
            let tables = self.tables.iter();
            tables
                .map(|known| {
                    let runs = tpe.get(&known.name)?.iter();
                    Some(share(runs.map(|run| known.is_top(run[mark])).collect()))
                })
                .collect()
        });
        let name = format!(
            "H1c share of seeds in the top 0.1 % at {} trials, TPE's at {}",
            EARLY[mark], MARKS[mark]
        );
        let mut row = Row::alone(name, "share", &[mean(&ours)], self.load);
        row.runs = self.ours.iter().map(Vec::len).sum();
        if let Some(theirs) = theirs.map(|shares| mean(&shares)) {
            row.peer = Some("Optuna TPE".to_owned());
            row.peer_value = Some(theirs);
            row.ratio = (theirs > 0.0).then(|| mean(&ours) / theirs);
        }
        Ok(row)
    }

    /// Beside one sampler, on the tables it has.
    fn beside_each(&self, sampler: &str, peer: &str) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (at, mark) in MARKS.iter().enumerate() {
            let ours = self.ours_after(*mark)?;
            let (places, theirs): (Vec<usize>, ByTable) =
                self.theirs(sampler, at).into_iter().unzip();
            if places.is_empty() {
                continue;
            }
            let ours: ByTable = places.iter().map(|place| ours[*place].clone()).collect();
            let tables = ours.len();
            let name = format!("H1d regret beside {peer} at {mark} trials on {tables} tables");
            rows.push(self.row(name, &ours, Some((peer, &theirs))));
        }
        Ok(rows)
    }

    /// Each table, beside the ranked sampler that is best on it.
    fn by_table(&self) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (at, mark) in MARKS.iter().enumerate() {
            let ours = self.ours_after(*mark)?;
            for (place, known) in self.tables.iter().enumerate() {
                let theirs = RANKED.iter().filter_map(|(sampler, name)| {
                    let mut found = self.theirs(sampler, at).into_iter();
                    let (_, runs) = found.find(|(p, _)| *p == place)?;
                    Some((*name, vec![runs]))
                });
                let best =
                    theirs.min_by(|a, b| mean_over_tables(&a.1).total_cmp(&mean_over_tables(&b.1)));
                let name = format!("H1e regret at {mark} trials on {}", known.name);
                let ours = vec![ours[place].clone()];
                rows.push(self.row(name, &ours, best.as_ref().map(|(n, t)| (*n, t))));
            }
        }
        Ok(rows)
    }

    fn seconds(&self) -> Vec<Row> {
        let all: Vec<f64> = self.ours.iter().flatten().map(|run| run.seconds).collect();
        let slowest = all.iter().copied().fold(0.0, f64::max);
        let mut worst = Row::alone(
            format!("H1f seconds of a run of {TRIALS} trials, the slowest"),
            "s",
            &[slowest],
            self.load,
        );
        worst.runs = all.len();
        let name = format!("H1f seconds of a run of {TRIALS} trials, median");
        vec![Row::alone(name, "s", &all, self.load), worst]
    }
}
