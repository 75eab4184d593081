//! How soon ASHA comes near the best value, beside Hyperband that waits at its rungs.

use anyhow::anyhow;
use bonfire_data::read_table;
use bonfire_domain::search::Value;
use bonfire_domain::spec::check;
use bonfire_sim::{Barrier, BestAt, Cell, Column, Columns, Rungs};

use super::known::Known;
use super::parallel::{ASHA, MOST, run_seeds};
use super::simulate::Ran;
use crate::figure::Settings;
use crate::pairs::compare_less;
use crate::row::{Row, load};

/// Those of [`ASHA`].
const RUNGS: Rungs = Rungs {
    min: 1,
    max: 81,
    eta: 3,
};
const HYPERBAND: &str = "scheduler: { kind: hyperband, min: 1, max: 81, eta: 3 }";
/// What is compared: its name, sampler and scheduler.
const OURS: [(&str, &str, &str); 3] = [
    ("ASHA with auto", "auto", ASHA),
    ("ASHA with random", "random", ASHA),
    ("asynchronous Hyperband with random", "random", HYPERBAND),
];
/// Within 1 % of the way from the optimum to the median configuration.
const NEAR: f64 = 0.01;

/// H4t: virtual seconds until a value within 1 % of the best is seen, a table and seed a pair: ASHA with `auto` and with the
/// random suggestions that Hyperband has, and our Hyperband, of as many configurations. Who never comes there counts as
/// infinitely late, and a pair of which neither does is left out.
///
/// Hyperband begins four of its five brackets above ASHA's first rung, so the first two rows compare more than waiting; the last
/// one has the same brackets, and waits for nobody. Curves are made up and cross, so good trials are stopped early by all.
///
/// # Errors
/// If a run fails.
pub fn soon(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let (tables, (workers, _)) = (Known::all()?, MOST);
    if tables.is_empty() {
        return Ok(vec![]);
    }
    let seeds = u64::from(settings.pairs).div_ceil(5);
    let mut theirs = Vec::new();
    for known in &tables {
        let columns = columns(known)?;
        for seed in 1..=seeds {
            theirs.push(waiting(known, &columns, seed)?);
        }
    }
    let mut rows = Vec::new();
    for (name, sampler, scheduler) in OURS {
        let ran = run_seeds(&tables, seeds, workers, sampler, |_| search(scheduler))?;
        let known = tables
            .iter()
            .flat_map(|known| (0..seeds).map(move |_| known));
        let ours = known.zip(&ran).map(|(known, Ran { best_over_time, .. })| {
            first_near(known, best_over_time.iter().copied())
        });
        let all: Vec<(f64, f64)> = ours.zip(theirs.iter().copied()).collect();
        let there = |of: fn(&(f64, f64)) -> f64| all.iter().filter(|p| of(p).is_finite()).count();
        let (we, they) = (there(|pair| pair.0), there(|pair| pair.1));
        let is_one_there = |(a, b): &(f64, f64)| a.is_finite() || b.is_finite();
        let pairs: Vec<(f64, f64)> = all.iter().copied().filter(is_one_there).collect();
        rows.push(Row::beside(
            format!(
                "H4t virtual time to within 1 % of the best, {workers} workers, {name} ({we} and {they} of {} come there)",
                all.len()
            ),
            "s",
            "synchronous Hyperband",
            &compare_less(&pairs),
            before.max(load()),
        ));
        eprintln!("  {name} beside Hyperband: {pairs:.2?}");
    }
    Ok(rows)
}

/// Lines of the sweep.
fn search(scheduler: &str) -> String {
    let (_, trials) = MOST;
    format!("{scheduler}\n  limit: {{ trials: {trials} }}")
}

fn waiting(known: &Known, columns: &[Column], seed: u64) -> anyhow::Result<f64> {
    let text = known.spec("random", seed, &search(ASHA));
    let spec = check(text.as_bytes(), &[]).map_err(|problems| anyhow!("{problems:?}"))?;
    let names = Columns {
        metric: "metric".to_owned(),
        cost: "train_time".to_owned(),
        curve: None,
    };
    let run = Barrier::new(&spec, columns, &names, RUNGS, MOST.0);
    let run = run.map_err(|problems| anyhow!("{}: {problems:?}", known.name))?;
    Ok(first_near(known, run))
}

/// Infinite if that never comes.
fn first_near(known: &Known, mut bests: impl Iterator<Item = BestAt>) -> f64 {
    let near = bests.find(|best| known.regret(best.value) <= NEAR);
    near.map_or(f64::INFINITY, |best| best.seconds)
}

fn columns(known: &Known) -> anyhow::Result<Vec<Column>> {
    let cell = |cell| match cell {
        bonfire_data::Cell::Null => Cell::Null,
        bonfire_data::Cell::Int(int) => Cell::Value(Value::Int(int)),
        bonfire_data::Cell::Real(real) => Cell::Value(Value::Real(real)),
        bonfire_data::Cell::Text(text) => Cell::Value(Value::Text(text)),
        bonfire_data::Cell::Bool(is) => Cell::Value(Value::Bool(is)),
        bonfire_data::Cell::List(list) => Cell::List(list),
    };
    let columns = read_table(&known.path)?.into_iter();
    Ok(columns
        .map(|(name, cells)| (name, cells.into_iter().map(cell).collect()))
        .collect())
}
