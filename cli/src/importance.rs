//! `sweep importance`: which parameters the values of completed trials depend on.

use std::time::Duration;

use bonfire_domain::importance::{Found, importance};
use bonfire_domain::search::{Importance, ImportanceError, PairImportance};

use crate::args::{Global, ImportanceArgs};
use crate::connect::{Link, Need};
use crate::documents;
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::progress::Transfer;
use crate::output::{Output, json, table, text};

/// Between two signs of life while trees grow.
const TELL_EVERY: Duration = Duration::from_millis(200);

pub async fn act(global: &Global, args: &ImportanceArgs) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let found = find(&link, &args.sweep, output).await;
    link.close().await;
    let Found {
        importances: found,
        at,
        trials,
    } = found?;
    if let Some(at) = at {
        let trials = text::count(trials.into(), "trial");
        output.note(&format!("by the values of {trials} up to rung {at}"));
    }
    match (args.pairs, output.is_json()) {
        (false, true) => json::print(output, &found.parameters),
        (false, false) => output.print(&of_parameters(&found.parameters)),
        (true, true) => json::print(output, &found.pairs),
        (true, false) if found.pairs.is_empty() => {
            output.print("no two parameters depend on each other");
        }
        (true, false) => output.print(&of_pairs(&found.pairs)),
    }
    Ok(Exit::Done)
}

async fn find(link: &Link, selector: &str, output: Output) -> Result<Found, Failure> {
    let document = documents::sweep(&link.fleet, selector).await?;
    let spec = documents::spec(&link.fleet, &document.sweep).await?;
    let count = document.trials.len() as u64;
    let trials = document.trials;
    let mut work = tokio::task::spawn_blocking(move || importance(&spec, &trials));
    let mut transfer = Transfer::new(output, "comparing", "trials");
    let found = loop {
        match tokio::time::timeout(TELL_EVERY, &mut work).await {
            Ok(found) => break found,
            Err(_) => transfer.update(count, None),
        }
    };
    let found = found.map_err(|error| Failure::failed(error.to_string()))?;
    found.map_err(|error| {
        let next = match &error {
            ImportanceError::TooFew { .. } => {
                format!("see bonfire sweep show {}", document.sweep)
            }
            ImportanceError::NoParameters => "it needs a spec with search.parameters".to_owned(),
            ImportanceError::Constant { .. } | ImportanceError::Unexplained { .. } => {
                format!("see bonfire sweep top {}", document.sweep)
            }
        };
        let failure = Failure::failed(error.to_string()).about(&document.sweep);
        failure.next(next)
    })
}

/// `0.6249`
fn share(importance: f64) -> String {
    format!("{importance:.4}")
}

fn of_parameters(rows: &[Importance]) -> String {
    let row = |row: &Importance| vec![row.parameter.clone(), share(row.importance)];
    table::table(&["parameter", "importance"], &[1], rows.iter().map(row))
}

fn of_pairs(rows: &[PairImportance]) -> String {
    let row = |row: &PairImportance| {
        let [first, second] = &row.parameters;
        vec![first.clone(), second.clone(), share(row.importance)]
    };
    let header = ["parameter", "with", "importance"];
    table::table(&header, &[2], rows.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shares() {
        let rows = [("optimizer.lr", 0.75), ("model.dropout", 0.25)];
        let rows = rows.map(|(parameter, importance)| Importance {
            parameter: parameter.to_owned(),
            importance,
        });
        let text = of_parameters(&rows);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["parameter", "importance"]);
        assert_eq!(lines[1], ["optimizer.lr", "0.7500"]);
        assert_eq!(lines[2], ["model.dropout", "0.2500"]);
    }
}
