//! `trial ask` and `trial tell`: trials that somebody else trains.

use std::collections::BTreeMap;

use bonfire_domain::command::Told;
use bonfire_domain::view::{AskDocument, TellDocument};
use bonfire_proto::wire;

use crate::args::{Ask, Global, Tell};
use crate::connect::{self, Link, Need};
use crate::documents;
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::{Output, json, table, text};
use crate::submit;

/// Prints a trial to try, or why there is none now; both are an answer.
///
/// # Errors
/// No such sweep, one that the fleet trains, a fleet that cannot be reached.
pub async fn ask(global: &Global, args: &Ask) -> Outcome {
    let output = Output::of(global);
    let request = match args.request {
        Some(request) => request,
        None => submit::random()?,
    };
    let link = Link::open(global, Need::Read).await?;
    let ask = wire::Ask {
        request: Some(request),
        sweep: args.sweep.clone(),
    };
    let answer = link.fleet.ask(ask).await;
    link.close().await;
    let document: AskDocument = documents::read(&answer?.json)?;
    if output.is_json() {
        json::print(output, &document);
        return Ok(Exit::Done);
    }
    match document {
        AskDocument::Given {
            trial,
            attempt,
            parameters,
            deadline,
            ..
        } => {
            let deadline = deadline.as_deref().map(table::short_time);
            output.print(&table::facts(&[
                ("trial", trial.clone()),
                ("attempt", attempt.to_string()),
                ("parameters", text::parameters(&parameters)),
                ("deadline", deadline.unwrap_or_else(|| "-".to_owned())),
            ]));
            let flags = connect::flags(global);
            output.note(&format!(
                "say what it came to: bonfire{flags} trial tell {trial} --attempt {attempt} --value V"
            ));
        }
        AskDocument::Nothing { state, reason, .. } => {
            output.print(&format!("no trial now, the sweep is {state}: {reason}"));
        }
    }
    Ok(Exit::Done)
}

/// Says what became of a trial.
///
/// # Errors
/// Exit 1 for an older attempt or a trial that has ended; no such trial; a value that is not finite.
pub async fn tell(global: &Global, args: &Tell) -> Outcome {
    let output = Output::of(global);
    let told = match (args.value, args.at) {
        (Some(value), Some(at)) => Told::Intermediate { at, value },
        (Some(value), None) => Told::Value { value },
        (None, _) => Told::Failed {
            reason: args.reason.clone().unwrap_or_default(),
        },
    };
    let tell = wire::Tell::new(args.trial.clone(), args.attempt, told);
    let mut metrics = BTreeMap::new();
    for (name, value) in &args.metrics {
        if metrics.insert(name.clone(), *value).is_some() {
            let text = format!("--metric {name} is said twice");
            return Err(Failure::wrong(text).next("say it once"));
        }
    }
    let tell = tell.and_then(|tell| tell.with_metrics(metrics));
    let tell = tell.map_err(|e| Failure::wrong(e.to_string()))?;
    let link = Link::open(global, Need::Read).await?;
    let answer = link.fleet.tell(tell).await;
    link.close().await;
    let answer = answer.map_err(|e| Failure::from(e).about(&args.trial))?;
    let document: TellDocument = documents::read(&answer.json)?;
    if output.is_json() {
        json::print(output, &document);
        return Ok(Exit::Done);
    }
    let before = match (document.repeated, document.kept) {
        (true, true) => "was told so before and ",
        (true, false) => "was told otherwise before, which stands, and ",
        (false, true) => "",
        (false, false) => "was stopped before, so this is not kept: it ",
    };
    let next = match (args.at, document.proceed) {
        (Some(_), true) => ": go on",
        (Some(_), false) => ": stop",
        (None, _) => "",
    };
    let (trial, state) = (&document.trial, &document.state);
    output.print(&format!("{trial} {before}is {state}{next}"));
    Ok(Exit::Done)
}
