//! H4: what many workers at once cost the search in quality, and how busy they are.

use super::known::Known;
use super::regret::{ByTable, mean, mean_over_tables, times_smaller};
use super::simulate::{Job, Ran, run_all};
use crate::figure::Settings;
use crate::row::{Row, load};

/// Workers, and the trials they share.
const GOALS: [(u32, usize); 2] = [(8, 200), (64, 1_000)];
pub(super) const MOST: (u32, usize) = (512, 4_096);
pub(super) const ASHA: &str = "scheduler: { kind: asha, min: 1, max: 81, eta: 3 }";

/// H4: mean normalised regret of 8 and 64 workers beside one worker that makes as many trials, a seed a pair; then 512 workers,
/// and how busy ASHA keeps them.
///
/// # Errors
/// If a run fails.
pub fn parallel(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let tables = Known::all()?;
    if tables.is_empty() {
        return Ok(vec![]);
    }
    let seeds = u64::from(settings.pairs);
    let mut rows = Vec::new();
    for (workers, trials) in GOALS {
        let many = regrets(&tables, seeds, workers, trials)?;
        let one = regrets(&tables, seeds, 1, trials)?;
        let compared = times_smaller(&many, &one);
        rows.push(Row {
            name: format!("H4 mean regret of {workers} workers at {trials} trials"),
            value: mean_over_tables(&many),
            unit: "normalised regret",
            peer: Some("one worker".to_owned()),
            peer_value: Some(mean_over_tables(&one)),
            ratio: compared.map(|(ratio, _)| ratio),
            ratio_low: compared.map(|(_, low)| low),
            runs: many.iter().map(Vec::len).sum(),
            load: before.max(load()),
        });
    }
    let (workers, trials) = MOST;
    let few = seeds.div_ceil(5);
    let most = regrets(&tables, few, workers, trials)?;
    let name = format!("H4b mean regret of {workers} workers at {trials} trials");
    let value = mean_over_tables(&most);
    let mut row = Row::alone(name, "normalised regret", &[value], before.max(load()));
    row.runs = most.iter().map(Vec::len).sum();
    rows.push(row);
    // While configurations are left, and to the end, where the last trials on the top rung are waited for.
    let quarter = |known: &Known| {
        let quarter_s = (known.about.cost_s / 4.0).ceil();
        format!("limit: {{ time: {quarter_s}s }}")
    };
    let whole = |_: &Known| format!("limit: {{ trials: {trials} }}");
    let name =
        format!("H4 share of {workers} workers that ASHA keeps busy while configurations are left");
    // A quarter of a configuration's mean cost is time for thousands of trials on the first rung.
    rows.push(busy(&tables, few, workers, name, quarter, before)?);
    let name = format!(
        "H4c share of {workers} workers that ASHA keeps busy, {trials} trials to their end"
    );
    rows.push(busy(&tables, few, workers, name, whole, before)?);
    Ok(rows)
}

fn regrets(tables: &[Known], seeds: u64, workers: u32, trials: usize) -> anyhow::Result<ByTable> {
    let ran = run_seeds(tables, seeds, workers, "auto", |_| {
        format!("limit: {{ trials: {trials} }}")
    })?;
    let regret = |(known, runs): (&Known, &[Ran])| {
        let runs = runs.iter();
        runs.map(|run| Ok(known.regret(run.best_after(trials)?)))
            .collect()
    };
    let found: ByTable = tables
        .iter()
        .zip(ran.chunks(seeds as usize))
        .map(regret)
        .collect::<anyhow::Result<_>>()?;
    let value = mean_over_tables(&found);
    eprintln!("  {workers} workers, {trials} trials: regret {value:.4}");
    Ok(found)
}

/// The mean over tables and seeds.
fn busy(
    tables: &[Known],
    seeds: u64,
    workers: u32,
    name: String,
    limit: impl Fn(&Known) -> String,
    before: f64,
) -> anyhow::Result<Row> {
    let search = |known: &Known| format!("{ASHA}\n  {}", limit(known));
    let ran = run_seeds(tables, seeds, workers, "auto", search)?;
    let shares: Vec<f64> = ran.iter().map(|run| run.utilisation).collect();
    eprintln!("  {workers} workers, ASHA: {:.4} busy", mean(&shares));
    let mut row = Row::alone(name, "share", &[mean(&shares)], before.max(load()));
    row.runs = shares.len();
    Ok(row)
}

/// Every table with every seed, in that order.
pub(super) fn run_seeds(
    tables: &[Known],
    seeds: u64,
    workers: u32,
    sampler: &'static str,
    search: impl Fn(&Known) -> String,
) -> anyhow::Result<Vec<Ran>> {
    let search = &search;
    let jobs = tables.iter().flat_map(|known| {
        (1..=seeds).map(move |seed| Job {
            known,
            seed,
            workers,
            sampler,
            search: search(known),
        })
    });
    run_all(&jobs.collect::<Vec<_>>())
}
