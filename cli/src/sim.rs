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
    let spec = SpecFile::read(&args.spec)?.spec;
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
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("the simulation: {error}"));
    let mut transfer = Transfer::new(output, format!("simulating {}", spec.name), "trials");
    loop {
        let progress = fleet.advance(EVENTS).map_err(|error| failed(&error))?;
        if progress.is_over {
            break;
        }
        transfer.update(progress.rested.into(), progress.limit.map(u64::from));
    }
    drop(transfer);
    let document = fleet.document();
    let document = document.ok_or_else(|| failed(&"it has no sweep"))?;
    match output.is_json() {
        true => json::print(output, &document),
        false => output.print(&describe(&document)),
    }
    match document.sweep.state.as_str() {
        "completed" => Ok(Exit::Done),
        _ => Ok(Exit::Failed),
    }
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
    Failure::wrong(format!("{count} in {file} for {}", args.spec.spec.display())).before(lines)
}

fn describe(document: &SimDocument) -> String {
    let sweep = &document.sweep;
    let mut facts = vec![
        (
            "objective",
            format!("{} {}", sweep.objective.goal, sweep.objective.metric),
        ),
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
    format!("{}\n\n{}", run::leaderboard(sweep, SHOWN).trim_end(), table::facts(&facts))
}
