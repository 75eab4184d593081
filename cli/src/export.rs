//! `sweep export`: trials with parameters, state, value, epochs and final metrics as one table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bonfire_data::{Cell, TableFormat, write_table};
use bonfire_domain::view::{SweepDocument, TrialRow};

use crate::args::{ExportFormat, ExportSweep, Global};
use crate::connect::{Link, Need};
use crate::documents::{self, MetricPoint};
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::progress::Transfer;
use crate::output::{Output, json, text};

/// Each trial's last value of each metric.
type Finals = Vec<BTreeMap<String, f64>>;

pub async fn sweep(global: &Global, args: &ExportSweep) -> Outcome {
    let output = Output::of(global);
    let format = choose_format(&args.file, args.format)?;
    let link = Link::open(global, Need::Read).await?;
    let collected = collect(&link, &args.sweep, output).await;
    link.close().await;
    let (document, finals) = collected?;
    write_table(&args.file, &columns(&document, &finals), format)?;
    let (trials, file) = (document.trials.len() as u64, args.file.display());
    match output.is_json() {
        true => json::print(
            output,
            &serde_json::json!({ "sweep": document.sweep, "file": file.to_string(), "trials": trials }),
        ),
        false => output.print(&format!(
            "{} of {} written to {file}",
            text::count(trials, "trial"),
            document.sweep
        )),
    }
    Ok(Exit::Done)
}

fn choose_format(file: &Path, said: Option<ExportFormat>) -> Result<TableFormat, Failure> {
    if file == Path::new("-") {
        let text = "- is no file: an export goes to a file, whole or not at all";
        return Err(Failure::wrong(text).next("name one, such as trials.csv"));
    }
    let extension = file
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match (said, extension.as_str()) {
        (Some(ExportFormat::Csv), _) | (None, "csv") => Ok(TableFormat::Csv),
        (Some(ExportFormat::Parquet), _) | (None, "parquet") => Ok(TableFormat::Parquet),
        (Some(ExportFormat::Json), _) | (None, "json") => Ok(TableFormat::Json),
        (None, _) => {
            let text = format!(
                "{}: what to write is not clear from the extension",
                file.display()
            );
            Err(Failure::wrong(text).next("name it .csv, .parquet or .json, or say --format"))
        }
    }
}

async fn collect(
    link: &Link,
    selector: &str,
    output: Output,
) -> Result<(SweepDocument, Finals), Failure> {
    let document = documents::sweep(&link.fleet, selector).await?;
    let mut transfer = Transfer::new(output, "reading metrics of", "trials");
    let mut finals = Vec::with_capacity(document.trials.len());
    let total = document.trials.len() as u64;
    for trial in &document.trials {
        finals.push(last_values(
            &documents::metrics(&link.fleet, &trial.trial).await?,
        ));
        transfer.update(finals.len() as u64, Some(total));
    }
    Ok((document, finals))
}

/// The value of each metric at its last step.
fn last_values(points: &[MetricPoint]) -> BTreeMap<String, f64> {
    let mut last: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    for point in points {
        let new = (point.step, point.value.unwrap_or(f64::NAN));
        let known = last.entry(&point.key).or_insert(new);
        if new.0 >= known.0 {
            *known = new;
        }
    }
    last.into_iter()
        .map(|(key, (_, value))| (key.to_owned(), value))
        .collect()
}

/// Columns: what a trial is, its parameters by name, its final metrics by key; as `parameters.NAME` and `metrics.KEY` where another
/// column has that name.
fn columns(document: &SweepDocument, finals: &Finals) -> Vec<(String, Vec<Cell>)> {
    let trials = &document.trials;
    let column = |name: &str, cell: &dyn Fn(&TrialRow) -> Cell| {
        (name.to_owned(), trials.iter().map(cell).collect())
    };
    let text = |text: &Option<String>| text.as_ref().map_or(Cell::Null, |t| Cell::Text(t.clone()));
    let mut columns = vec![
        column("trial", &|t| Cell::Text(t.trial.clone())),
        column("number", &|t| Cell::Int(t.number.into())),
        column("state", &|t| Cell::Text(t.state.clone())),
        column("attempts", &|t| Cell::Int(t.attempts.into())),
        column("value", &|t| t.value.map_or(Cell::Null, Cell::Real)),
        column("epochs", &|t| {
            i64::try_from(t.epochs).map_or(Cell::Null, Cell::Int)
        }),
        column("worker", &|t| text(&t.worker)),
        column("reason", &|t| text(&t.reason)),
    ];
    if trials.iter().any(|t| t.parent.is_some()) {
        columns.push(column("parent", &|t| text(&t.parent)));
    }
    if trials.iter().any(|t| t.feasible.is_some()) {
        columns.push(column("feasible", &|t| {
            t.feasible.map_or(Cell::Null, Cell::Bool)
        }));
        columns.push(column("violation", &|t| {
            t.violation.map_or(Cell::Null, Cell::Real)
        }));
    }
    for (i, objective) in document.objectives.iter().enumerate() {
        let name = format!("objective.{}", objective.metric);
        columns.push(column(&name, &|t| {
            t.values
                .get(i)
                .map_or(Cell::Null, |value| Cell::Real(*value))
        }));
    }
    if !document.objectives.is_empty() {
        columns.push(column("pareto", &|t| {
            t.pareto.map_or(Cell::Null, Cell::Bool)
        }));
    }
    let metrics: BTreeSet<&String> = finals.iter().flat_map(BTreeMap::keys).collect();
    let parameters: BTreeSet<&String> = trials.iter().flat_map(|t| t.parameters.keys()).collect();
    for name in parameters {
        let is_taken =
            |title: &str| metrics.contains(&title.to_owned()) || is_column(&columns, title);
        let title = qualified("parameters", name, is_taken);
        columns.push(column(&title, &|t| {
            t.parameters.get(name).map_or(Cell::Null, cell)
        }));
    }
    // What askers told beside values; of trials of the fleet it is among their metrics.
    let told: BTreeSet<&String> = trials.iter().flat_map(|t| t.metrics.keys()).collect();
    for name in told.difference(&metrics) {
        let cell = |t: &TrialRow| t.metrics.get(*name).map_or(Cell::Null, |v| Cell::Real(*v));
        let title = qualified("metrics", &format!("metrics.{name}"), |title| {
            is_column(&columns, title)
        });
        columns.push(column(&title, &cell));
    }
    for key in metrics {
        let cells = finals
            .iter()
            .map(|f| f.get(key).map_or(Cell::Null, |v| Cell::Real(*v)));
        let title = qualified("metrics", key, |title| is_column(&columns, title));
        columns.push((title, cells.collect()));
    }
    columns
}

fn is_column(columns: &[(String, Vec<Cell>)], name: &str) -> bool {
    columns.iter().any(|(known, _)| known == name)
}

/// A name of what external trials have, which is free, may be another column's.
fn qualified(kind: &str, name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut title = name.to_owned();
    while is_taken(&title) {
        title = format!("{kind}.{title}");
    }
    title
}

fn cell(value: &serde_json::Value) -> Cell {
    match value {
        serde_json::Value::Bool(b) => Cell::Bool(*b),
        serde_json::Value::String(s) => Cell::Text(s.clone()),
        serde_json::Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => Cell::Int(i),
            (None, Some(x)) => Cell::Real(x),
            (None, None) => Cell::Null,
        },
        _ => Cell::Null,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn point(key: &str, step: u64, value: f64) -> MetricPoint {
        MetricPoint {
            key: key.into(),
            step,
            epoch: 0.0,
            value: Some(value),
            time: Some(String::new()),
        }
    }

    #[test]
    fn the_last_step_counts() {
        let points = [point("a", 2, 0.2), point("a", 1, 0.1), point("b", 1, 0.5)];
        assert_eq!(
            last_values(&points),
            BTreeMap::from([("a".into(), 0.2), ("b".into(), 0.5)])
        );
    }

    #[test]
    fn every_parameter_and_metric_is_a_column() {
        let trial = |number: u32, parameters: serde_json::Value| {
            json!({
                "trial": format!("s/{number}"), "number": number, "state": "completed", "attempts": 1, "value": 0.5,
                "epochs": 3, "parameters": parameters, "worker": null, "reason": null
            })
        };
        let document: SweepDocument = serde_json::from_value(json!({
            "sweep": "s", "state": "completed", "reason": null, "objective": {"metric": "m", "goal": "minimize"},
            "best": null, "started": "", "seconds": 1.0, "spec_digest": "",
            "trials": [trial(0, json!({"x": 1, "k": "a"})), trial(1, json!({"x": 2}))]
        }))
        .unwrap();
        let found = columns(
            &document,
            &vec![BTreeMap::from([("m".into(), 0.5)]), BTreeMap::new()],
        );
        let of = |name: &str| {
            found
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, cells)| cells.clone())
                .unwrap()
        };
        assert_eq!(of("k"), [Cell::Text("a".into()), Cell::Null]);
        assert_eq!(of("x"), [Cell::Int(1), Cell::Int(2)]);
        assert_eq!(of("m"), [Cell::Real(0.5), Cell::Null]);
        assert_eq!(of("epochs"), [Cell::Int(3), Cell::Int(3)]);
    }

    /// External trials have parameters and metrics of any name.
    #[test]
    fn no_two_columns_have_one_name() {
        let trial = json!({
            "trial": "s/0", "number": 0, "state": "completed", "attempts": 1, "value": 0.5, "epochs": 3,
            "parameters": {"value": 7, "loss": 8, "parameters.loss": 9, "x": 1, "metrics.ms": 2}, "metrics": {"ms": 0.25}, "worker": null, "reason": null
        });
        let document: SweepDocument = serde_json::from_value(json!({
            "sweep": "s", "state": "completed", "reason": null, "objective": {"metric": "loss", "goal": "minimize"},
            "best": null, "started": "", "seconds": 1.0, "spec_digest": "", "trials": [trial]
        }))
        .unwrap();
        let finals = vec![BTreeMap::from([
            ("loss".into(), 0.5),
            ("epochs".into(), 2.0),
        ])];
        let found: BTreeMap<String, Cell> = columns(&document, &finals)
            .into_iter()
            .map(|(name, cells)| (name, cells[0].clone()))
            .collect();
        for (name, expected) in [
            ("value", Cell::Real(0.5)),
            ("parameters.value", Cell::Int(7)),
            ("loss", Cell::Real(0.5)),
            ("parameters.loss", Cell::Int(8)),
            ("parameters.parameters.loss", Cell::Int(9)),
            ("x", Cell::Int(1)),
            ("metrics.ms", Cell::Int(2)),
            ("metrics.metrics.ms", Cell::Real(0.25)),
            ("epochs", Cell::Int(3)),
            ("metrics.epochs", Cell::Real(2.0)),
        ] {
            assert_eq!(found.get(name), Some(&expected), "{name}: {found:?}");
        }
        assert_eq!(found.len(), columns(&document, &finals).len());
    }

    #[test]
    fn formats_come_from_the_extension() {
        assert_eq!(
            choose_format(Path::new("a.CSV"), None).unwrap(),
            TableFormat::Csv
        );
        assert_eq!(
            choose_format(Path::new("a"), Some(ExportFormat::Json)).unwrap(),
            TableFormat::Json
        );
        assert_eq!(
            choose_format(Path::new("a.txt"), None).unwrap_err().exit,
            Exit::Wrong
        );
    }
}
