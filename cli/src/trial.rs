//! The `trial` verbs.

use std::collections::BTreeSet;

use bonfire_domain::command::TrialAction;
use bonfire_domain::search::{Assignment, Value};
use bonfire_domain::view::{SweepRow, TrialDocument};
use bonfire_proto::wire::{ControlTrial, Fork};

use crate::args::{ForkTrial, Global, LocalArgs, Metrics, TrialVerb};
use crate::artifact;
use crate::ask;
use crate::connect::{Link, Need};
use crate::documents;
use crate::foreground::{Foreground, Interrupt};
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::{Output, json, table, text};
use crate::submit;
use crate::sweep;

pub async fn act(global: &Global, verb: &TrialVerb) -> Outcome {
    match verb {
        TrialVerb::List(args) => list(global, &args.sweep).await,
        TrialVerb::Show(args) => show(global, &args.trial).await,
        TrialVerb::Logs(args) => logs(global, &args.trial).await,
        TrialVerb::Metrics(args) => metrics(global, args).await,
        TrialVerb::Stop(args) => stop(global, &args.trial).await,
        TrialVerb::Resume(args) => resume(global, &args.trial, args.local).await,
        TrialVerb::Fork(args) => fork(global, args).await,
        TrialVerb::Ask(args) => ask::ask(global, args).await,
        TrialVerb::Tell(args) => ask::tell(global, args).await,
        TrialVerb::Artifact(verb) => artifact::act(global, verb).await,
        TrialVerb::Why(args) => why(global, &args.trial).await,
    }
}

async fn list(global: &Global, selector: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let document = documents::sweep(&link.fleet, selector).await;
    link.close().await;
    let document = document?;
    match output.is_json() {
        true => json::print(output, &document.trials),
        false if document.trials.is_empty() => output.print("no trials yet"),
        false => output.print(&table::trials(&document.trials, &table::metrics(&document))),
    }
    Ok(Exit::Done)
}

async fn show(global: &Global, selector: &str) -> Outcome {
    let link = Link::open(global, Need::Read).await?;
    let document = documents::trial(&link.fleet, selector).await;
    link.close().await;
    print(Output::of(global), &document?);
    Ok(Exit::Done)
}

/// Prints a trial's document.
fn print(output: Output, document: &TrialDocument) {
    if output.is_json() {
        return json::print(output, document);
    }
    let row = &document.row;
    let mut facts = vec![
        ("trial", row.trial.clone()),
        ("state", row.state.clone()),
        ("value", text::optional(row.value)),
        ("epochs", row.epochs.to_string()),
        ("parameters", text::parameters(&row.parameters)),
        (
            "dataset",
            document
                .dataset
                .as_ref()
                .map_or_else(|| "-".to_owned(), |d| d.chars().take(12).collect()),
        ),
    ];
    if let Some(feasible) = row.feasible {
        let violation = text::optional(row.violation);
        facts.push((
            "holds to require",
            match feasible {
                true => "yes".to_owned(),
                false => format!("no, by {violation}"),
            },
        ));
    }
    for (name, value) in &row.metrics {
        facts.push((name.as_str(), text::number(*value)));
    }
    if let Some(reason) = &row.reason {
        facts.insert(2, ("reason", reason.clone()));
    }
    if let Some(parent) = &row.parent {
        facts.push(("forked from", parent.clone()));
    }
    if !document.exact {
        facts.push((
            "exact",
            "no: it went on in another numerics class".to_owned(),
        ));
    }
    let mut out = table::facts(&facts);
    if !document.attempt_history.is_empty() {
        let rows = document.attempt_history.iter().map(|a| {
            let end = a.end.as_deref().unwrap_or("runs").replace('\n', " ");
            vec![
                a.attempt.to_string(),
                a.worker.clone(),
                a.from_step.to_string(),
                table::short_time(&a.started),
                text::cut(&end, 40),
            ]
        });
        out.push('\n');
        out.push_str(&table::table(
            &["attempt", "worker", "from step", "started", "end"],
            &[0, 2],
            rows,
        ));
    }
    if !document.checkpoints.is_empty() {
        out.push('\n');
        out.push_str(&table::checkpoints(&document.checkpoints, "value"));
    }
    if !document.artifacts.is_empty() {
        out.push('\n');
        out.push_str(&artifact::rows(&document.artifacts));
    }
    output.print(&out);
}

async fn logs(global: &Global, selector: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let lines = documents::logs(&link.fleet, selector).await;
    link.close().await;
    let lines = lines?;
    if output.is_json() {
        json::print(output, &lines);
    } else {
        let lines: String = lines
            .iter()
            .map(|l| {
                format!(
                    "{} [{}] {}\n",
                    table::short_time(&l.time),
                    l.attempt,
                    l.text
                )
            })
            .collect();
        match lines.is_empty() {
            true => output.note("it wrote nothing"),
            false => output.print(&lines),
        }
    }
    Ok(Exit::Done)
}

async fn metrics(global: &Global, args: &Metrics) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let points = documents::metrics(&link.fleet, &args.trial).await;
    link.close().await;
    let mut points = points?;
    let known: BTreeSet<String> = points.iter().map(|p| p.key.clone()).collect();
    let unknown = args.keys.iter().find(|key| !known.contains(*key));
    if let Some(key) = unknown.filter(|_| !known.is_empty()) {
        let known: Vec<String> = known.into_iter().collect();
        return Err(
            Failure::wrong(format!("{} has no metric {key}", args.trial))
                .next(format!("it has {}", known.join(", "))),
        );
    }
    points.retain(|p| args.keys.is_empty() || args.keys.contains(&p.key));
    if output.is_json() {
        json::print(output, &points);
    } else {
        let rows = points.iter().map(|p| {
            vec![
                p.key.clone(),
                p.step.to_string(),
                text::number(p.epoch),
                text::optional(p.value),
                p.time
                    .as_deref()
                    .map_or_else(|| "-".to_owned(), table::short_time),
            ]
        });
        output.print(&table::table(
            &["metric", "step", "epoch", "value", "time"],
            &[1, 2, 3],
            rows,
        ));
    }
    Ok(Exit::Done)
}

async fn why(global: &Global, selector: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let why = documents::why(&link.fleet, selector).await;
    link.close().await;
    let why = why?;
    if output.is_json() {
        json::print(output, &why);
        return Ok(Exit::Done);
    }
    let mut out = format!("{} is {}\n", why.trial, why.state);
    for reason in &why.reasons {
        out.push_str(&format!("  {reason}\n"));
    }
    for a in &why.attempts {
        let end = a.end.as_deref().unwrap_or("runs");
        let place = match a.worker.as_str() {
            "" => String::new(), // with an asker
            worker => format!(" on {worker} from step {}", a.from_step),
        };
        out.push_str(&format!("  attempt {}{place}: {end}\n", a.attempt));
    }
    output.print(&out);
    Ok(Exit::Done)
}

async fn stop(global: &Global, selector: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let stopped = control(&link, selector, TrialAction::Stop).await;
    link.close().await;
    let document = stopped?;
    match output.is_json() {
        true => json::print(output, &document),
        false => output.print(&format!("{} is told to end", document.row.trial)),
    }
    Ok(Exit::Done)
}

async fn control(
    link: &Link,
    selector: &str,
    action: TrialAction,
) -> Result<TrialDocument, Failure> {
    let trial = documents::trial(&link.fleet, selector).await?.row.trial;
    link.fleet
        .control_trial(ControlTrial {
            trial: trial.clone(),
            action,
        })
        .await?;
    documents::trial(&link.fleet, &trial).await
}

async fn resume(global: &Global, selector: &str, local: LocalArgs) -> Outcome {
    let mut front = Foreground::open(global, Need::Read, local).await?;
    let result = resume_in(&mut front, selector).await;
    front.close().await;
    result
}

async fn resume_in(front: &mut Foreground, selector: &str) -> Outcome {
    let before = documents::trial(&front.link.fleet, selector).await?;
    let sweep = place(front, &before).await?;
    let flags = front.link.flags();
    match before.row.state.as_str() {
        "pending" | "running" | "paused" => {
            let failure = Failure::failed(format!(
                "{} is {}: it goes on with its sweep",
                before.row.trial, before.row.state
            ));
            return Err(failure.next(format!("bonfire sweep resume {}{flags}", sweep.sweep)));
        }
        "completed" => {
            let failure = Failure::failed(format!(
                "{} is completed: there is nothing left to train",
                before.row.trial
            ));
            return Err(failure.next(format!("bonfire trial fork {0}@STEP --set PARAMETER=VALUE{flags} (steps: bonfire checkpoint list {0}{flags})", before.row.trial)));
        }
        _ => {}
    }
    let document = control(&front.link, &before.row.trial, TrialAction::Resume).await?;
    train(front, &sweep).await?;
    finish(front, document, "goes on").await
}

async fn fork(global: &Global, args: &ForkTrial) -> Outcome {
    let mut front = Foreground::open(global, Need::Read, args.local).await?;
    let result = fork_in(&mut front, args).await;
    front.close().await;
    result
}

async fn fork_in(front: &mut Foreground, args: &ForkTrial) -> Outcome {
    let (selector, step) = match args.trial.rsplit_once('@') {
        Some((trial, step)) => {
            let step = step
                .parse()
                .map_err(|_| Failure::wrong(format!("{step:?} is not a step")))?;
            (trial, Some(step))
        }
        None => (args.trial.as_str(), None),
    };
    let parent = documents::trial(&front.link.fleet, selector).await?;
    let spec = documents::spec(&front.link.fleet, sweep_of(&parent)).await?;
    let parameters = override_parameters(&parent, &args.overrides);
    spec.with(&parameters).map_err(|problems| {
        Failure::wrong(
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
        )
    })?;
    if parent.checkpoints.is_empty() {
        let text = format!("{} has no checkpoint to fork from", parent.row.trial);
        let next = match spec.is_external() {
            true => {
                "an external trial keeps what it has itself: give its parameters to another sweep as search.start"
            }
            false => "set checkpoint.every in the spec, or start a sweep of its own",
        };
        return Err(Failure::missing(text).next(next));
    }
    let sweep = place(front, &parent).await?;
    let fork = Fork {
        request: submit::random()?,
        trial: parent.row.trial.clone(),
        step,
        parameters,
    };
    let name = front.link.fleet.fork(fork).await?;
    let document = documents::trial(&front.link.fleet, &name).await?;
    train(front, &sweep).await?;
    finish(front, document, "is forked").await
}

fn sweep_of(document: &TrialDocument) -> &str {
    document
        .row
        .trial
        .rsplit_once('/')
        .map_or(document.row.trial.as_str(), |(sweep, _)| sweep)
}

/// The sweep of a trial that is to train. In a paused one it would wait forever.
async fn place(front: &Foreground, document: &TrialDocument) -> Result<SweepRow, Failure> {
    let row = sweep::find(&front.link, sweep_of(document)).await?;
    if row.state == "paused" {
        let flags = front.link.flags();
        let failure = Failure::failed(format!(
            "{} is paused, so that none of its trials starts",
            row.sweep
        ));
        return Err(failure.next(format!("bonfire sweep resume {}{flags}", row.sweep)));
    }
    Ok(row)
}

/// Where this process is the fleet, its workers start: only after the fleet has taken the request, since a refused one must
/// change nothing.
async fn train(front: &mut Foreground, sweep: &SweepRow) -> Result<(), Failure> {
    match sweep.external {
        true => Ok(()),
        false => front.start_workers(Some(&sweep.sweep)).await,
    }
}

/// On a fleet that lives the trial goes its own way; else its sweep is followed to the end.
async fn finish(front: &mut Foreground, document: TrialDocument, done: &str) -> Outcome {
    let row = sweep::find(&front.link, sweep_of(&document)).await?;
    if !front.is_local() || row.external {
        match front.output.is_json() {
            true => json::print(front.output, &document),
            false => front
                .output
                .print(&format!("{} {done}", document.row.trial)),
        }
        return Ok(Exit::Done);
    }
    front.output.note(&format!("{} {done}", document.row.trial));
    front
        .follow(&row.sweep, row.limit, Interrupt::Pause)
        .await?;
    let document = documents::trial(&front.link.fleet, &document.row.trial).await?;
    print(front.output, &document);
    Ok(
        if matches!(document.row.state.as_str(), "completed" | "pruned") {
            Exit::Done
        } else {
            Exit::Failed
        },
    )
}

/// The parent's values with others put in their place; a number keeps the kind it had.
fn override_parameters(parent: &TrialDocument, overrides: &[(String, String)]) -> Assignment {
    let known = parent
        .row
        .parameters
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value_of(value)?)));
    let mut parameters: Assignment = known.collect();
    for (name, text) in overrides {
        let was_real = matches!(parameters.get(name), Some(Value::Real(_)));
        parameters.insert(name.clone(), parse_value(text.trim(), was_real));
    }
    parameters
}

fn value_of(json: &serde_json::Value) -> Option<Value> {
    match json {
        serde_json::Value::Bool(b) => Some(Value::Bool(*b)),
        serde_json::Value::String(s) => Some(Value::Text(s.clone())),
        serde_json::Value::Number(n) => n
            .as_i64()
            .map(Value::Int)
            .or_else(|| n.as_f64().map(Value::Real)),
        _ => None,
    }
}

fn parse_value(text: &str, real: bool) -> Value {
    let whole = text.parse().ok().filter(|_| !real).map(Value::Int);
    let number = || {
        text.parse::<f64>()
            .ok()
            .filter(|x| x.is_finite())
            .map(Value::Real)
    };
    let flag = || text.parse().ok().map(Value::Bool);
    whole
        .or_else(number)
        .or_else(flag)
        .unwrap_or_else(|| Value::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, real: bool, expected: Value) {
        assert_eq!(parse_value(text, real), expected, "{text}");
    }

    #[test]
    fn values_have_the_kind_they_look_like() {
        check("1e-4", false, Value::Real(1e-4));
        check("3", false, Value::Int(3));
        check("3", true, Value::Real(3.0));
        check("true", false, Value::Bool(true));
        check("sgd", true, Value::Text("sgd".into()));
        check("inf", true, Value::Text("inf".into()));
    }
}
