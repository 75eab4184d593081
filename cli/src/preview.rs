//! `sweep preview`: how many trials, how far each trains, and what that will cost; nothing runs.

use bonfire_domain::fit::{Cost, Preview, Size, cost, preview};
use serde_json::json;

use crate::args::{Global, SpecArgs};
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::{Output, json, table, text};
use crate::spec_file::{Source, SpecFile};
use crate::validate;

/// # Errors
/// Every problem of the spec, by itself and with its data.
pub async fn act(global: &Global, args: &SpecArgs) -> Outcome {
    let output = Output::of(global);
    let file = SpecFile::read(args)?;
    let plan = preview(&file.spec);
    let cost = expected(global, &file, &plan, output).await?;
    let slots = std::thread::available_parallelism().map_or(1, usize::from);
    let slots = u16::try_from(slots).unwrap_or(u16::MAX);
    match output.is_json() {
        true => json::print(output, &document(&plan, cost, slots)),
        false => output.print(&page(&plan, cost, slots)),
    }
    Ok(Exit::Done)
}

async fn expected(
    global: &Global,
    file: &SpecFile,
    plan: &Preview,
    output: Output,
) -> Result<Option<Cost>, Failure> {
    if let Some(seen) = file.look()? {
        let size = Size {
            rows: seen.rows_expected,
            bytes: seen.bytes,
        };
        return Ok(cost(&file.spec, plan, &seen.columns, Some(size)));
    }
    let manifest = match &file.source {
        Source::Registered { name, version } => {
            validate::look_at_registered(global, file, name, version.as_deref(), output).await?
        }
        _ => None,
    };
    Ok(match manifest {
        Some(manifest) => {
            let size = Size {
                rows: manifest.rows,
                bytes: manifest.files.iter().map(|file| file.blob.bytes).sum(),
            };
            cost(&file.spec, plan, &manifest.columns, Some(size))
        }
        None => cost(&file.spec, plan, &[], None),
    })
}

fn document(plan: &Preview, cost: Option<Cost>, slots: u16) -> serde_json::Value {
    let rungs: Vec<_> = plan
        .rungs
        .iter()
        .map(|r| json!({ "epochs": r.until, "trials": r.trials }))
        .collect();
    // Spaces beyond 2^64 are as good as continuous for a script.
    let points = plan.points.and_then(|p| u64::try_from(p).ok());
    json!({
        "trials": plan.trials, "forks": plan.forks, "points": points, "parameters": plan.parameters, "rungs": rungs, "epochs": plan.epochs,
        "epochs_full": plan.epochs_full, "time": plan.time.map(|t| t.0 as f64 / 1e3),
        "cost": cost.map(|cost| json!({
            "weights": { "min": cost.weights.0, "max": cost.weights.1 }, "samples": cost.samples, "operations": cost.operations,
            "slot_seconds": cost.slot_seconds, "slots": slots, "seconds": cost.seconds(slots),
        })),
    })
}

fn page(plan: &Preview, cost: Option<Cost>, slots: u16) -> String {
    let known =
        |n: Option<u64>| n.map_or_else(|| "bounded by time only".to_owned(), |n| n.to_string());
    let mut facts = vec![
        ("trials", known(plan.trials)),
        ("parameters", plan.parameters.to_string()),
        (
            "points of the space",
            plan.points
                .map_or_else(|| "continuous".to_owned(), |p| p.to_string()),
        ),
    ];
    if let Some(forks) = plan.forks {
        facts.insert(1, ("forks in their places", format!("about {forks}")));
    }
    if !plan.rungs.is_empty() {
        facts.push(("epochs in all", known(plan.epochs)));
    }
    if plan.epochs != plan.epochs_full {
        facts.push(("without stopping early", known(plan.epochs_full)));
    }
    if let Some(time) = plan.time {
        facts.push(("time at most", text::seconds(time.0 as f64 / 1e3)));
    }
    if let Some(cost) = cost {
        let (least, most) = cost.weights;
        if most > 0 {
            let weights = match least == most {
                true => least.to_string(),
                false => format!("{least} to {most}"),
            };
            facts.push(("weights of a model", weights));
            facts.push(("samples trained", format!("{:.0}", cost.samples)));
        }
        let seconds = cost.seconds(slots);
        let cut = plan.time.is_some_and(|time| seconds > time.0 as f64 / 1e3);
        let time = format!(
            "about {} on {} like this machine's cores{}",
            text::seconds(seconds),
            text::count(slots.into(), "slot"),
            if cut { ", more than there is" } else { "" }
        );
        facts.push(("expected time", time));
    }
    let mut out = table::facts(&facts);
    if plan.rungs.len() > 1 {
        let rows = plan
            .rungs
            .iter()
            .map(|r| vec![r.until.to_string(), r.trials.to_string()]);
        out.push('\n');
        out.push_str(&table::table(
            &["rung at epoch", "trials that reach it"],
            &[0, 1],
            rows,
        ));
    }
    out
}
