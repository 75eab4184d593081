//! `sim`: a sweep against known results. The table is read here, the fleet is `bonfire_sim`'s.

use bonfire_data::read_table;
use bonfire_domain::search::Value;
use bonfire_sim::{Cell, Column, Columns, FleetSetting, SimDocument, TableFleet, TableProblem};

use crate::args::{Global, Sim};
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::progress::Transfer;
use crate::output::{Output, json, table, text};
use crate::run;
use crate::spec_file::SpecFile;

/// Events between two looks at the progress.
const EVENTS: u32 = 256;
/// The best trials that are shown as a table.
const SHOWN: usize = 10;

/// Runs a sweep against a table.
///
/// # Errors
/// A spec or a table that is wrong, exit 2, with everything that is.
pub fn sim(global: &Global, args: &Sim) -> Outcome {
    let output = Output::of(global);
    let document = simulate(output, args)?;
    match output.is_json() {
        true => json::print(output, &document),
        false => output.print(&describe(&document)),
    }
    match document.sweep.state.as_str() {
        "completed" => Ok(Exit::Done),
        _ => Ok(Exit::Failed),
    }
}

fn simulate(output: Output, args: &Sim) -> Result<SimDocument, Failure> {
    let spec = SpecFile::read(&args.spec)?.spec;
    let from = spec.search.as_ref().map(|search| &search.from);
    if from.is_some_and(|from| !from.is_empty()) {
        let text = "search.from: a simulation has no other sweeps to learn from";
        return Err(Failure::wrong(text).next("leave search.from out"));
    }
    let columns = read_columns(args)?;
    let names = Columns {
        metric: args.metric.clone(),
        cost: args.cost.clone(),
        curve: args.curve.clone(),
    };
    let setting = FleetSetting {
        workers: args.workers,
        seed: args.seed,
        mtbf_ms: args.mtbf.map(|mtbf| mtbf.0),
    };
    let fleet = TableFleet::new(&spec, &columns, &names, setting);
    let mut fleet = fleet.map_err(|problems| refuse(args, &problems))?;
    let failed =
        |error: &dyn std::fmt::Display| Failure::failed(format!("the simulation: {error}"));
    let mut transfer = Transfer::new(output, format!("simulating {}", spec.name), "trials");
    loop {
        let progress = fleet.advance(EVENTS).map_err(|error| failed(&error))?;
        if progress.is_over {
            break;
        }
        transfer.update(progress.rested.into(), progress.limit.map(u64::from));
    }
    drop(transfer);
    fleet.document().ok_or_else(|| failed(&"it has no sweep"))
}

fn read_columns(args: &Sim) -> Result<Vec<Column>, Failure> {
    let cell = |cell| match cell {
        bonfire_data::Cell::Null => Cell::Null,
        bonfire_data::Cell::Int(int) => Cell::Value(Value::Int(int)),
        bonfire_data::Cell::Real(real) => Cell::Value(Value::Real(real)),
        bonfire_data::Cell::Text(text) => Cell::Value(Value::Text(text)),
        bonfire_data::Cell::Bool(is) => Cell::Value(Value::Bool(is)),
        bonfire_data::Cell::List(list) => Cell::List(list),
    };
    let columns = read_table(&args.table)?.into_iter();
    Ok(columns
        .map(|(name, cells)| (name, cells.into_iter().map(cell).collect()))
        .collect())
}

/// All problems, a line each.
fn refuse(args: &Sim, problems: &[TableProblem]) -> Failure {
    let file = args.table.display();
    let lines: String = problems
        .iter()
        .map(|problem| format!("{file}: {problem}\n"))
        .collect();
    let count = text::count(problems.len() as u64, "problem");
    Failure::wrong(format!(
        "{count} in {file} for {}",
        args.spec.spec.display()
    ))
    .before(lines)
}

fn describe(document: &SimDocument) -> String {
    let sweep = &document.sweep;
    let mut facts = vec![
        ("objective", table::objectives(sweep)),
        ("virtual time", text::seconds(document.virtual_seconds)),
        ("workers", document.workers.to_string()),
        (
            "utilisation",
            format!("{:.1} %", document.utilisation * 100.0),
        ),
    ];
    if document.workers_lost > 0 {
        facts.push(("workers lost", document.workers_lost.to_string()));
    }
    if let Some(curve) = &document.curve {
        facts.push(("curves", curve.clone()));
    }
    format!(
        "{}\n\n{}",
        run::leaderboard(sweep, SHOWN).trim_end(),
        table::facts(&facts)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use bonfire_data::{Cell, Table, TableFormat, write_table};
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Verb};

    const SPEC: &str = "kind: sweep\nversion: 1\nname: known\ntrials: external\nsearch:\n  objective: { metric: error, goal: minimize }\n  sampler: { kind: grid }\n  parameters:\n    depth: { min: 1, max: 3 }\n    alpha: { values: [1e-08, 1] }\n    kind: { values: [relu, tanh] }\n";

    fn of<T>(cell: impl Fn(i64, usize, usize) -> T) -> Vec<T> {
        let mut cells = Vec::new();
        for depth in 1..=3 {
            for alpha in 0..2 {
                cells.extend((0..2).map(|kind| cell(depth, alpha, kind)));
            }
        }
        cells
    }

    /// Twelve configurations; the best one is (2, 1, tanh) with 0.
    fn table() -> Table {
        let error = |d: i64, a: usize, k: usize| {
            (d - 2).unsigned_abs() as f64 + (1 - a) as f64 + 0.25 * (1 - k) as f64
        };
        let column = |name: &str, cells| (name.to_owned(), cells);
        vec![
            column("depth", of(|d, _, _| Cell::Real(d as f64))),
            column("alpha", of(|_, a, _| Cell::Real([1e-8, 1.0][a]))),
            column("kind", of(|_, _, k| Cell::Text(["relu", "tanh"][k].into()))),
            column("metric", of(|d, a, k| Cell::Real(error(d, a, k)))),
            column("train_time", of(|d, _, _| Cell::Int(10 * d))),
            column(
                "history",
                of(|d, a, k| Cell::List(vec![9.0, error(d, a, k)])),
            ),
        ]
    }

    fn simulated(table: &Table, spec: &str, flags: &[&str]) -> Result<SimDocument, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known.parquet");
        write_table(&path, table, TableFormat::Parquet).unwrap();
        in_folder(dir.path(), &path, spec, flags)
    }

    fn in_folder(
        dir: &Path,
        table: &Path,
        spec: &str,
        flags: &[&str],
    ) -> Result<SimDocument, Failure> {
        let spec_path = dir.join("known.yaml");
        std::fs::write(&spec_path, spec).unwrap();
        let (spec, table) = (spec_path.to_str().unwrap(), table.to_str().unwrap());
        let words = ["bonfire", "sim", spec, "--table", table, "--quiet"];
        let cli = Cli::try_parse_from(words.iter().chain(flags)).unwrap();
        let Verb::Sim(args) = &cli.verb else {
            panic!("{cli:?}");
        };
        simulate(Output::of(&cli.global), args)
    }

    #[test]
    fn a_parquet_table_answers_every_trial() {
        let document = simulated(&table(), SPEC, &[]).unwrap();
        assert_eq!(document.best_over_trials.len(), 12);
        let best = document.sweep.best.as_ref().unwrap();
        assert_eq!(best.value, 0.0);
        let expected = serde_json::json!({ "alpha": 1, "depth": 2, "kind": "tanh" });
        let same = |name: &str| {
            let (found, expected) = (&best.parameters[name], &expected[name]);
            found == expected || found.as_f64() == expected.as_f64()
        };
        assert!(["alpha", "depth", "kind"].into_iter().all(same), "{best:?}");
        // 4 of each depth, 10, 20 and 30 s, and 5 ms to start each.
        assert!((document.virtual_seconds - 240.06).abs() < 1e-9);
        let four = simulated(&table(), SPEC, &["--workers", "4"]).unwrap();
        assert!(
            (four.virtual_seconds - 60.015).abs() < 1e-9,
            "{}",
            four.virtual_seconds
        );
        let json = serde_json::to_value(&four).unwrap();
        for key in [
            "sweep",
            "state",
            "trials",
            "best_over_trials",
            "virtual_seconds",
            "utilisation",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert!(json.get("curve").is_none());
    }

    #[test]
    fn curves_are_recorded_or_made_up() {
        let spec = SPEC.replace(
            "sampler",
            "scheduler: { kind: asha, min: 1, max: 2, eta: 2 }\n  sampler",
        );
        let made_up = simulated(&table(), &spec, &[]).unwrap();
        assert_eq!(made_up.curve.as_deref(), Some("synthetic"));
        let recorded = simulated(&table(), &spec, &["--curve", "history"]).unwrap();
        assert_eq!(recorded.curve, None);
        let first = recorded
            .sweep
            .trials
            .iter()
            .find(|t| t.epochs == 1)
            .unwrap();
        assert_eq!(first.value, Some(9.0));
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Table), flags: &[&str], says: &str) {
        let mut table = table();
        change(&mut table);
        let failure = simulated(&table, SPEC, flags).unwrap_err();
        assert_eq!(failure.exit, Exit::Wrong, "{failure}");
        let text = failure.to_string();
        assert!(text.contains(says), "{text}");
        assert!(text.contains("known.parquet: "), "{text}");
    }

    #[test]
    fn tables_that_do_not_fit_are_refused() {
        refused(
            |table| table.retain(|(name, _)| name != "kind" && name != "train_time"),
            &[],
            "2 problems in ",
        );
        refused(
            |_| (),
            &["--metric", "loss"],
            "no column loss for the metric",
        );
        refused(|_| (), &["--cost", "s"], "no column s for the cost");
        refused(|_| (), &["--curve", "c"], "no column c for the curve");
        refused(
            |table| table.iter_mut().for_each(|(_, cells)| drop(cells.pop())),
            &[],
            "1 of the space's 12 configurations have no row, the first is alpha=1.0 depth=3 kind=tanh",
        );
        refused(
            |table| {
                for (_, cells) in table {
                    cells.push(cells[4].clone());
                }
            },
            &[],
            "rows 5 and 13 are the same configuration",
        );
        for bad in [Cell::Real(f64::NAN), Cell::Null] {
            refused(
                |table| table[3].1[2] = bad,
                &[],
                "row 3, column metric: is no number",
            );
        }
    }

    #[test]
    fn files_that_are_no_tables_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("known.txt");
        std::fs::write(&text, "depth\n1\n").unwrap();
        let damaged = dir.path().join("damaged.parquet");
        std::fs::write(&damaged, "depth\n1\n").unwrap();
        for (path, says) in [
            (dir.path().join("nothing.parquet"), "cannot read"),
            (text, "unknown extension"),
            (damaged, "not a readable Parquet file"),
        ] {
            let failure = in_folder(dir.path(), &path, SPEC, &[]).unwrap_err();
            assert_eq!(failure.exit, Exit::Wrong, "{failure}");
            assert!(failure.to_string().contains(says), "{failure}");
        }
    }

    #[test]
    fn specs_without_a_finite_space_are_refused() {
        let single = "kind: sweep\nversion: 1\nname: one\nmodel: { kind: noop }\n";
        let failure = simulated(&table(), single, &[]).unwrap_err();
        assert!(failure.to_string().contains("no search"), "{failure}");
        let open = SPEC
            .replace("min: 1, max: 3", "min: 1.0, max: 3.0")
            .replace("kind: grid }", "kind: random }\n  limit: { trials: 3 }");
        let failure = simulated(&table(), &open, &[]).unwrap_err();
        assert_eq!(failure.exit, Exit::Wrong);
        let says = "parameter depth is continuous";
        assert!(failure.to_string().contains(says), "{failure}");
    }
}
