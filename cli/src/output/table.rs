//! Tables for people, at most 100 columns wide.

use bonfire_domain::view::{
    CheckpointDocument, DatasetDocument, SweepDocument, SweepRow, TrialRow, WorkerDocument,
};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::text;

/// Columns a table may take.
pub const WIDTH: u16 = 100;
/// No column is cut to fewer characters.
const COLUMN_MIN: usize = 8;

/// A table with a header, a line a row; `right` has the places of the columns of numbers. Where it would be too wide, the
/// widest columns are cut: what is left out is in the JSON.
pub fn table(
    header: &[&str],
    right: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let visible = |row: Vec<String>| row.iter().map(|cell| text::visible(cell)).collect();
    let mut rows: Vec<Vec<String>> = rows.into_iter().map(visible).collect();
    rows.insert(0, header.iter().map(|h| (*h).to_owned()).collect());
    let widths = fit_widths(&rows);
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate();
        table.add_row(cells.map(|(column, (text, width))| {
            // The first column is what a row is called.
            let cell = Cell::new(match column {
                0 => text::cut_middle(text, *width),
                _ => text::cut(text, *width),
            });
            if right.contains(&column) {
                cell.set_alignment(CellAlignment::Right)
            } else {
                cell
            }
        }));
    }
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// The width of each column, the widest ones narrowed until the table fits.
fn fit_widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns).map(width).collect();
    // A blank on both sides of each column.
    let room = usize::from(WIDTH).saturating_sub(2 * columns);
    while let Some(over) = widths
        .iter()
        .sum::<usize>()
        .checked_sub(room)
        .filter(|over| *over > 0)
    {
        let Some(widest) = widths.iter_mut().max().filter(|w| **w > COLUMN_MIN) else {
            break;
        };
        *widest = widest.saturating_sub(over).max(COLUMN_MIN);
    }
    widths
}

/// Facts, a line each: a name and its value.
pub fn facts(rows: &[(&str, String)]) -> String {
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    rows.iter()
        .map(|(name, value)| format!("{name:width$}  {}\n", text::visible(value)))
        .collect()
}

/// All sweeps.
pub fn sweeps(rows: &[SweepRow]) -> String {
    let row = |s: &SweepRow| {
        let trials = match s.limit {
            Some(limit) if limit > s.trials => format!("{}/{limit}", s.trials),
            _ => s.trials.to_string(),
        };
        let best = s
            .best
            .as_ref()
            .map_or_else(|| "-".to_owned(), |b| text::number(b.value));
        let metric = s.objective.metric.clone();
        vec![
            s.sweep.clone(),
            s.state.clone(),
            trials,
            best,
            metric,
            short_time(&s.started),
            text::seconds(s.seconds),
        ]
    };
    table(
        &[
            "sweep",
            "state",
            "trials",
            "best",
            "objective",
            "started",
            "time",
        ],
        &[2, 3, 6],
        rows.iter().map(row),
    )
}

/// The columns of what a sweep's trials are compared by: the objective, or all of several.
pub fn metrics(sweep: &SweepDocument) -> Vec<&str> {
    match sweep.objectives.as_slice() {
        [] => vec![&sweep.objective.metric],
        all => all.iter().map(|one| one.metric.as_str()).collect(),
    }
}

/// `maximize valid.accuracy`, or all of several.
pub fn objectives(sweep: &SweepDocument) -> String {
    let all = match sweep.objectives.as_slice() {
        [] => std::slice::from_ref(&sweep.objective),
        all => all,
    };
    let shown: Vec<String> = all
        .iter()
        .map(|one| format!("{} {}", one.goal, one.metric))
        .collect();
    shown.join(", ")
}

/// A trial's cells in these columns.
fn values(row: &TrialRow, metrics: &[&str]) -> Vec<String> {
    match metrics {
        [_] => vec![text::optional(row.value)],
        all => {
            let value = |i| text::optional(row.values.get(i).copied());
            (0..all.len()).map(value).collect()
        }
    }
}

/// Trials as they are given.
pub fn trials(rows: &[TrialRow], metrics: &[&str]) -> String {
    let forks = rows.iter().any(|t| t.parent.is_some());
    let row = |t: &TrialRow| {
        let mut cells = vec![t.trial.clone(), state(t), t.attempts.to_string()];
        cells.extend(values(t, metrics));
        cells.push(t.epochs.to_string());
        if forks {
            // Of the same sweep.
            let parent = t.parent.as_deref().unwrap_or("-");
            let parent = parent.rsplit('/').next().unwrap_or(parent);
            cells.push(parent.to_owned());
        }
        cells.push(text::parameters(&t.parameters));
        cells
    };
    let mut header = vec!["trial", "state", "attempts"];
    header.extend(metrics);
    header.push("epochs");
    header.extend(forks.then_some("forked from"));
    header.push("parameters");
    let numbers: Vec<usize> = (2..4 + metrics.len()).collect();
    table(&header, &numbers, rows.iter().map(row))
}

/// What a trial is, that it breaks `search.require` where it does, and that it is on the front of several objectives.
fn state(row: &TrialRow) -> String {
    match (row.feasible, row.pareto) {
        (Some(false), _) => format!("{}, infeasible", row.state),
        (_, Some(true)) => format!("{}, front", row.state),
        _ => row.state.clone(),
    }
}

/// The best trials of a sweep, best first.
pub fn leaderboard(rows: &[&TrialRow], metrics: &[&str]) -> String {
    let row = |(rank, t): (usize, &&TrialRow)| {
        let mut cells = vec![(rank + 1).to_string(), t.trial.clone()];
        cells.extend(values(t, metrics));
        let parameters = text::parameters(&t.parameters);
        cells.extend([t.epochs.to_string(), state(t), parameters]);
        cells
    };
    let mut header = vec!["rank", "trial"];
    header.extend(metrics);
    header.extend(["epochs", "state", "parameters"]);
    let numbers: Vec<usize> = (2..3 + metrics.len()).chain([0]).collect();
    table(&header, &numbers, rows.iter().enumerate().map(row))
}

pub fn checkpoints(rows: &[CheckpointDocument], metric: &str) -> String {
    let row = |c: &CheckpointDocument| {
        let value = text::optional(c.value);
        let written = short_time(&c.written);
        vec![
            c.checkpoint.clone(),
            c.step.to_string(),
            c.epoch.to_string(),
            value,
            text::bytes(c.bytes),
            written,
        ]
    };
    table(
        &["checkpoint", "step", "epoch", metric, "size", "written"],
        &[1, 2, 3, 4],
        rows.iter().map(row),
    )
}

pub fn datasets(rows: &[DatasetDocument]) -> String {
    let row = |d: &DatasetDocument| {
        let version = d.version.chars().take(12).collect();
        let (versions, rows) = (d.versions.len().to_string(), d.rows.to_string());
        vec![
            d.name.clone(),
            version,
            versions,
            rows,
            d.columns.len().to_string(),
            text::bytes(d.bytes),
        ]
    };
    table(
        &["dataset", "version", "versions", "rows", "columns", "size"],
        &[2, 3, 4, 5],
        rows.iter().map(row),
    )
}

pub fn workers(rows: &[WorkerDocument]) -> String {
    let row = |w: &WorkerDocument| {
        let labels: Vec<String> = w.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let running = text::cut_middle(&w.running.join(" "), 30);
        // A slot may have a next trial besides the one that runs.
        let busy = w.running.len().min(w.slots as usize);
        let slots = format!("{busy}/{}", w.slots);
        let named = rows.iter().filter(|other| other.worker == w.worker);
        let name = match named.count() {
            1 => w.worker.clone(),
            _ => format!("{} {}", w.worker, w.id),
        };
        vec![
            name,
            w.state.clone(),
            slots,
            running,
            text::bytes(w.memory),
            labels.join(" "),
        ]
    };
    table(
        &["worker", "state", "slots", "running", "memory", "labels"],
        &[2, 4],
        rows.iter().map(row),
    )
}

/// A time without its fraction and zone: `2026-01-31 10:20:30`.
pub fn short_time(time: &str) -> String {
    let seconds: String = time.chars().take(19).collect();
    seconds.replace('T', " ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn trial(number: u32, parameters: serde_json::Value) -> TrialRow {
        let document = json!({
            "trial": format!("a-rather-long-name-k2f/{number}"), "number": number, "state": "completed", "attempts": 1,
            "value": 0.98, "epochs": 27, "parameters": parameters, "worker": null, "reason": null
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_listing_fits() {
        let many: serde_json::Map<_, _> = (0..40)
            .map(|i| (format!("model.hidden[{i}]"), json!(0.123_456_789)))
            .collect();
        let found = trials(
            &[
                trial(1, json!(many)),
                trial(2, json!({"optimizer.lr": 0.01})),
            ],
            &["valid.accuracy"],
        );
        assert!(
            found
                .lines()
                .all(|line| line.chars().count() <= usize::from(WIDTH)),
            "{found}"
        );
        assert_eq!(found.lines().count(), 3, "{found}");
        assert!(
            found.contains("lr=0.01") && found.contains("hidden[0]=0.123457"),
            "{found}"
        );
    }

    #[test]
    fn a_leaderboard_is_ranked() {
        let (a, b) = (trial(1, json!({})), trial(2, json!({})));
        let found = leaderboard(&[&b, &a], &["valid.accuracy"]);
        let places: Vec<&str> = found
            .lines()
            .skip(1)
            .map(|l| l.trim_start().split(' ').next().unwrap())
            .collect();
        assert_eq!(places, ["1", "2"], "{found}");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(
            short_time("2026-01-31T10:20:30.123Z"),
            "2026-01-31 10:20:30"
        );
        assert_eq!(short_time(""), "");
    }
}
