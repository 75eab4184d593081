//! The `sweep` verbs.

use std::time::Duration;

use bonfire_domain::command::SweepAction;
use bonfire_domain::origin::GitRevision;
use bonfire_domain::select;
use bonfire_domain::view::{SweepDocument, SweepRow, TrialRow};
use bonfire_proto::wire::ControlSweep;
use serde_json::json;

use crate::args::{Cancel, Global, LocalArgs, SweepVerb, Top};
use crate::connect::{Link, Need};
use crate::documents;
use crate::export;
use crate::foreground::{Foreground, Interrupt, ask_hint};
use crate::importance;
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::{Output, json, table, text};
use crate::preview;
use crate::run;
use crate::suggest;

/// Trials that `sweep top` prints where no number is given.
const TOP: usize = 10;
/// Trials that `sweep show` prints as a table.
const TRIALS_MAX: usize = 200;
/// How long the end of a cancelled sweep is awaited where nothing runs.
const CANCELLED_MAX: Duration = Duration::from_secs(2);

pub async fn act(global: &Global, verb: &SweepVerb) -> Outcome {
    match verb {
        SweepVerb::Submit(args) => run::submit(global, args).await,
        SweepVerb::Preview(args) => preview::act(global, args).await,
        SweepVerb::List => list(global).await,
        SweepVerb::Show(args) => show(global, &args.sweep).await,
        SweepVerb::Watch(args) => watch(global, &args.sweep).await,
        SweepVerb::Top(args) => top(global, args).await,
        SweepVerb::Suggest(args) => suggest::act(global, args).await,
        SweepVerb::Importance(args) => importance::act(global, args).await,
        SweepVerb::Pause(args) => control(global, &args.sweep, SweepAction::Pause).await,
        SweepVerb::Resume(args) => resume(global, &args.sweep, args.local).await,
        SweepVerb::Cancel(Cancel { sweep, save }) => {
            control(global, sweep, SweepAction::Cancel { save: *save }).await
        }
        SweepVerb::Delete(args) => control(global, &args.sweep, SweepAction::Delete).await,
        SweepVerb::Export(args) => export::sweep(global, args).await,
    }
}

/// The row of the sweep that a selector names.
///
/// # Errors
/// Exit 3 if there is none, 2 if there are several.
pub async fn find(link: &Link, selector: &str) -> Result<SweepRow, Failure> {
    let rows = documents::sweeps(&link.fleet).await?;
    let newest = rows
        .last()
        .filter(|_| selector == "last")
        .map(|row| row.sweep.clone());
    let name = match newest {
        Some(name) => Ok(name),
        None => select::choose("sweep", selector, rows.iter().map(|row| row.sweep.as_str()))
            .map(str::to_owned),
    };
    let name = name.map_err(|error| {
        let exit = if error.is_wrong_request() {
            Exit::Wrong
        } else {
            Exit::NotFound
        };
        Failure::new(exit, error.to_string()).next("see bonfire sweep list")
    })?;
    let row = rows.into_iter().find(|row| row.sweep == name);
    row.ok_or_else(|| Failure::missing(format!("no sweep is named {name}")))
}

async fn list(global: &Global) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let rows = documents::sweeps(&link.fleet).await;
    link.close().await;
    let rows = rows?;
    match output.is_json() {
        true => json::print(output, &rows),
        false if rows.is_empty() => output.print("no sweeps yet"),
        false => output.print(&table::sweeps(&rows)),
    }
    Ok(Exit::Done)
}

async fn show(global: &Global, selector: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let document = documents::sweep(&link.fleet, selector).await;
    link.close().await;
    let document = document?;
    if output.is_json() {
        json::print(output, &document);
        return Ok(Exit::Done);
    }
    let metrics = table::metrics(&document);
    let shown = &document.trials[..document.trials.len().min(TRIALS_MAX)];
    let mut facts = vec![
        ("objective", table::objectives(&document)),
        ("best", best(&document)),
        ("started", table::short_time(&document.started)),
    ];
    if let Some(git) = document.origin.as_ref().and_then(|o| o.git.as_ref()) {
        facts.push(("commit", revision(git)));
    }
    if !document.tags.is_empty() {
        let tags = document
            .tags
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        facts.push(("tags", tags.collect::<Vec<_>>().join(" ")));
    }
    output.print(&format!(
        "{}{}\n{}",
        run::summary(&document),
        table::facts(&facts),
        table::trials(shown, &metrics)
    ));
    if document.trials.len() > shown.len() {
        output.note(&format!(
            "and {} more; all of them: bonfire sweep export {} FILE",
            document.trials.len() - shown.len(),
            document.sweep
        ));
    }
    Ok(Exit::Done)
}

/// The best trial; of several objectives, how many trials no other dominates.
fn best(document: &SweepDocument) -> String {
    let Some(best) = &document.best else {
        return "none yet".to_owned();
    };
    if !document.objectives.is_empty() {
        let front = document.trials.iter().filter(|t| t.pareto == Some(true));
        let trials = text::count(front.count() as u64, "trial");
        return format!("{trials} that no other dominates");
    }
    let parameters = text::parameters(&best.parameters);
    let value = text::number(best.value);
    format!("{value} by {} ({parameters})", best.trial)
}

/// `1f3c09b on main, with changes`
fn revision(git: &GitRevision) -> String {
    let short = git.commit.get(..7).unwrap_or(&git.commit);
    let branch = git.branch.iter().map(|branch| format!(" on {branch}"));
    let changes = git.dirty.then(|| ", with changes".to_owned());
    [short.to_owned()]
        .into_iter()
        .chain(branch)
        .chain(changes)
        .collect()
}

async fn top(global: &Global, args: &Top) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let document = documents::sweep(&link.fleet, &args.sweep).await;
    link.close().await;
    let document = document?;
    if args.pareto && document.objectives.is_empty() {
        let message = format!("{} has one objective, so no front", document.sweep);
        return Err(Failure::wrong(message).next("leave --pareto out"));
    }
    let number = args.number.unwrap_or(match args.pareto {
        true => usize::MAX,
        false => TOP,
    });
    let shown = |trial: &&TrialRow| !args.pareto || trial.pareto == Some(true);
    let ranked = run::rank(&document).into_iter().filter(shown);
    let ranked: Vec<&TrialRow> = ranked.take(number).collect();
    if output.is_json() {
        json::print(output, &&ranked[..]);
    } else if args.pareto {
        let front = table::leaderboard(&ranked, &table::metrics(&document));
        output.print(&format!("{}\n{front}", run::summary(&document)));
    } else {
        output.print(&run::leaderboard(&document, number));
    }
    Ok(Exit::Done)
}

async fn watch(global: &Global, selector: &str) -> Outcome {
    let local = LocalArgs {
        workers: None,
        slots: None,
    };
    let mut front = Foreground::open(global, Need::Read, local).await?;
    let followed = watch_in(&mut front, selector).await;
    front.close().await;
    followed
}

async fn watch_in(front: &mut Foreground, selector: &str) -> Outcome {
    let row = find(&front.link, selector).await?;
    let resume = format!("bonfire sweep resume {}{}", row.sweep, front.link.flags());
    if front.is_local() && row.state == "running" {
        // Nobody works on it: there is nothing to wait for.
        let document = documents::sweep(&front.link.fleet, &row.sweep).await?;
        match front.output.is_json() {
            true => json::print(front.output, &document),
            false => front.output.print(&run::leaderboard(&document, usize::MAX)),
        }
        let hint = match row.external {
            true => ask_hint(&row.sweep, &front.link.flags()),
            false => format!("nothing works on it now; go on with: {resume}"),
        };
        front.output.note(&hint);
        return Ok(Exit::Done);
    }
    let ending = front
        .follow(&row.sweep, row.limit, Interrupt::Detach)
        .await?;
    Ok(run::report(front, &ending, &resume).await)
}

async fn control(global: &Global, selector: &str, action: SweepAction) -> Outcome {
    let output = Output::of(global);
    let (done, delete) = match &action {
        SweepAction::Pause => ("paused: what runs is saved", false),
        SweepAction::Delete => ("deleted", true),
        _ => ("cancelled", false),
    };
    let link = Link::open(global, Need::Read).await?;
    let alone = link.local().is_some();
    let cancels = matches!(action, SweepAction::Cancel { .. });
    let answer = control_in(&link, selector, action).await;
    if let Ok(name) = &answer
        && alone
        && cancels
    {
        // The coordinator goes with this command: what follows from it is awaited, so that the sweep can be deleted next. Whether it
        // comes in time or not, the document says how it is.
        let _ = tokio::time::timeout(CANCELLED_MAX, ended(&link, name)).await;
    }
    let document = match &answer {
        Ok(name) if !delete && (alone || output.is_json()) => {
            Some(documents::sweep(&link.fleet, name).await)
        }
        _ => None,
    };
    link.close().await;
    let name = answer?;
    // It is done, whatever comes of looking at it.
    let document = match document {
        Some(Err(failure)) if output.is_json() => return Err(failure),
        document => document.and_then(Result::ok),
    };
    match &document {
        Some(document) if output.is_json() => json::print(output, document),
        None if output.is_json() => json::print(output, &json!({ "sweep": name, "deleted": true })),
        _ => output.print(&format!("{name} is {done}")),
    }
    if let Some(document) = document.filter(|_| alone) {
        let running = document
            .trials
            .iter()
            .filter(|t| t.state == "running")
            .count();
        if running > 0 {
            let trials = text::count(running as u64, "trial");
            output.note(&format!(
                "{trials} of it may still run at workers that cannot be reached now: they hear of it when their coordinator is back"
            ));
        }
    }
    Ok(Exit::Done)
}

/// Returns when a sweep has ended, or trials of it run at workers that are not here.
async fn ended(link: &Link, name: &str) -> Result<(), Failure> {
    let mut watch = link.fleet.watch(&documents::summary_path(name)).await?;
    while let Some(document) = watch.next().await? {
        let row: SweepRow = documents::read(&document.json)?;
        let elsewhere = row.counts.get("running").is_some_and(|count| *count > 0);
        if row.state != "running" || elsewhere {
            break;
        }
    }
    Ok(())
}

async fn control_in(link: &Link, selector: &str, action: SweepAction) -> Result<String, Failure> {
    let sweep = find(link, selector).await?.sweep;
    let control = ControlSweep {
        sweep: sweep.clone(),
        action,
    };
    let answer = link.fleet.control_sweep(control).await;
    answer.map_err(|error| Failure::from(error).about(sweep))
}

/// Goes on with a sweep: on a fleet that lives, at once; else in the foreground.
async fn resume(global: &Global, selector: &str, local: LocalArgs) -> Outcome {
    let mut front = Foreground::open(global, Need::Read, local).await?;
    let result = resume_in(&mut front, selector).await;
    front.close().await;
    result
}

async fn resume_in(front: &mut Foreground, selector: &str) -> Outcome {
    let row = find(&front.link, selector).await?;
    // Where the trials are asked for, nothing has to run here.
    if !front.is_local() || row.external {
        let control = ControlSweep {
            sweep: row.sweep.clone(),
            action: SweepAction::Resume,
        };
        let name = front.link.fleet.control_sweep(control).await?;
        match front.output.is_json() {
            true => json::print(
                front.output,
                &documents::sweep(&front.link.fleet, &name).await?,
            ),
            false => front.output.print(&format!("{name} goes on")),
        }
        return Ok(Exit::Done);
    }
    let ending = run::go_on(front, &row).await?;
    let resume = format!("bonfire sweep resume {}{}", row.sweep, front.link.flags());
    Ok(run::report(front, &ending, &resume).await)
}
