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
/// Within 1 % of the way from the optimum to the median configuration.
const NEAR: f64 = 0.01;

/// H4t: virtual seconds until a value within 1 % of the best is seen, a table and seed a pair: ASHA with `auto`, and with the
/// random suggestions that Hyperband has.
///
/// # Errors
/// If a run fails.
pub fn soon(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let (tables, (workers, _)) = (Known::all()?, MOST);
    if tables.is_empty() {
        return Ok(vec![]);
    }
    let seeds = u64::from(settings.pairs).div_ceil(2);
    let mut theirs = Vec::new();
    for known in &tables {
        let columns = columns(known)?;
        for seed in 1..=seeds {
            theirs.push(waiting(known, &columns, seed)?);
        }
    }
    let mut rows = Vec::new();
    for (sampler, goal) in [("auto", "H4t"), ("random", "H4u")] {
        let ran = run_seeds(&tables, seeds, workers, sampler, |_| search())?;
        let known = tables
            .iter()
            .flat_map(|known| (0..seeds).map(move |_| known));
        let ours = known.zip(&ran).map(|(known, Ran { best_over_time, .. })| {
            let first = first_near(known, best_over_time.iter().copied());
            // A run that never comes there counts as the worst.
            first.unwrap_or(f64::INFINITY)
        });
        let pairs: Vec<(f64, f64)> = ours.zip(theirs.iter().copied()).collect();
        let found = compare_less(&pairs);
        eprintln!("  {sampler}, ASHA: {:.2} times sooner", found.ratio);
        rows.push(Row::beside(
            format!("{goal} virtual time to within 1 % of the best, {workers} workers, ASHA with {sampler}"),
            "s",
            "synchronous Hyperband",
            &found,
            before.max(load()),
        ));
    }
    Ok(rows)
}

/// The sweep that both make.
fn search() -> String {
    let (_, trials) = MOST;
    format!("{ASHA}\n  limit: {{ trials: {trials} }}")
}

fn waiting(known: &Known, columns: &[Column], seed: u64) -> anyhow::Result<f64> {
    let text = known.spec("random", seed, &search());
    let spec = check(text.as_bytes(), &[]).map_err(|problems| anyhow!("{problems:?}"))?;
    let names = Columns {
        metric: "metric".to_owned(),
        cost: "train_time".to_owned(),
        curve: None,
    };
    let run = Barrier::new(&spec, columns, &names, RUNGS, MOST.0);
    let mut run = run.map_err(|problems| anyhow!("{}: {problems:?}", known.name))?;
    // Where the whole space was tried and the best ones were stopped early, it counts until then.
    let first = first_near(known, &mut run);
    Ok(first.unwrap_or_else(|| run.seconds()))
}

fn first_near(known: &Known, mut bests: impl Iterator<Item = BestAt>) -> Option<f64> {
    let near = bests.find(|best| known.regret(best.value) <= NEAR);
    near.map(|best| best.seconds)
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
