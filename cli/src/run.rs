//! `run`: a sweep from its spec to its leaderboard.

use bonfire_domain::command::SweepAction;
use bonfire_domain::search::Goal;
use bonfire_domain::view::{SweepDocument, SweepRow};
use bonfire_proto::wire::ControlSweep;

use crate::args::{Global, Run, Submit};
use crate::connect::Need;
use crate::documents;
use crate::foreground::{Ending, Foreground, Interrupt, ask_hint};
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::{json, table, text};
use crate::spec_file::SpecFile;
use crate::submit;

/// Trials of a leaderboard.
const BEST_MAX: usize = 10;
/// Failed trials whose reasons are shown.
const REASONS_MAX: usize = 3;

/// Runs a spec to its end.
///
/// # Errors
/// A wrong spec, a fleet that cannot be reached, nothing to resume.
pub async fn run(global: &Global, args: &Run) -> Outcome {
    let file = SpecFile::read(&args.spec)?;
    file.look()?;
    let need = if args.resume { Need::Read } else { Need::Write };
    let mut front = Foreground::open(global, need, args.local).await?;
    let ended = if args.resume {
        resume(&mut front, &file).await
    } else {
        fresh(&mut front, &file).await
    };
    let result = match ended {
        Ok(ending) => {
            let resume = resume_command(args, &front, ending.document());
            let exit = report(&front, &ending, &resume).await;
            // Who runs a sweep waits for its end, whoever trains it.
            Ok(match ending {
                Ending::Detached(_) => Exit::Failed,
                _ => exit,
            })
        }
        Err(failure) => Err(failure),
    };
    front.close().await;
    result
}

/// `sweep submit`: with `--follow` and no fleet, the same as `run`.
///
/// # Errors
/// As [`run`].
pub async fn submit(global: &Global, args: &Submit) -> Outcome {
    if args.follow {
        let run = Run {
            spec: args.spec.clone(),
            local: args.local,
            resume: false,
        };
        return self::run(global, &run).await;
    }
    let file = SpecFile::read(&args.spec)?;
    file.look()?;
    let mut front = Foreground::open(global, Need::Write, args.local).await?;
    let submitted = create(&mut front, &file).await;
    let result = match submitted {
        Ok(name) if front.output.is_json() => documents::sweep(&front.link.fleet, &name)
            .await
            .map(|document| json::print(front.output, &document)),
        Ok(name) => {
            front.output.print(&name);
            if front.is_local() {
                let flags = front.link.flags();
                if file.spec.is_external() {
                    front.output.note(&ask_hint(&name, &flags));
                } else {
                    front.output.note(&format!("nothing trains here yet: bonfire sweep resume {name}{flags}, or bonfire up{flags}"));
                }
            }
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    front.close().await;
    result.map(|()| Exit::Done)
}

async fn fresh(front: &mut Foreground, file: &SpecFile) -> Result<Ending, Failure> {
    let external = file.spec.is_external();
    if !external {
        front.start_workers(None).await?;
        front.check_fit(&file.spec).await?;
    }
    let name = create(front, file).await?;
    let limit = file
        .spec
        .search
        .as_ref()
        .map_or(Some(1), |search| search.limit.trials);
    front
        .output
        .note(&format!("{name} is submitted to {}", front.link.place()));
    if external {
        front.serve_askers(&name);
    }
    front.follow(&name, limit, on_interrupt(external)).await
}

/// What an asker has is not ours to pause.
fn on_interrupt(external: bool) -> Interrupt {
    match external {
        true => Interrupt::Detach,
        false => Interrupt::Pause,
    }
}

async fn create(front: &mut Foreground, file: &SpecFile) -> Result<String, Failure> {
    let submission = submit::prepare(&front.link, file, front.output, &mut front.signals).await?;
    submit::submit(&front.link.fleet, &submission).await
}

async fn resume(front: &mut Foreground, file: &SpecFile) -> Result<Ending, Failure> {
    let rows = documents::sweeps(&front.link.fleet).await?;
    let none = || {
        let text = format!(
            "no sweep in {} was made from {} as it is now",
            front.link.place(),
            file.path.display()
        );
        Failure::missing(text).next("run it without --resume, or see bonfire sweep list")
    };
    // The rows are not read again for a spec that never ran here.
    if rows.is_empty() {
        return Err(none());
    }
    let submission = submit::prepare(&front.link, file, front.output, &mut front.signals).await?;
    let digest = submission.digest();
    let Some(row) = rows.iter().rev().find(|row| row.spec_digest == digest) else {
        return Err(none());
    };
    go_on(front, row).await
}

/// Goes on with a sweep that is paused or was left running; one that has ended is only shown.
///
/// # Errors
/// The fleet's refusal.
pub async fn go_on(front: &mut Foreground, row: &SweepRow) -> Result<Ending, Failure> {
    if !matches!(row.state.as_str(), "running" | "paused") {
        let document = documents::sweep(&front.link.fleet, &row.sweep).await?;
        return Ok(Ending::Ended(document));
    }
    match row.external {
        true => front.serve_askers(&row.sweep),
        false => front.start_workers(Some(&row.sweep)).await?,
    }
    let control = ControlSweep {
        sweep: row.sweep.clone(),
        action: SweepAction::Resume,
    };
    front.link.fleet.control_sweep(control).await?;
    front.output.note(&format!("{} goes on", row.sweep));
    let interrupt = on_interrupt(row.external);
    front.follow(&row.sweep, row.limit, interrupt).await
}

fn resume_command(args: &Run, front: &Foreground, document: &SweepDocument) -> String {
    let flags = front.link.flags();
    if flags.contains("--coordinator") {
        return format!("bonfire sweep resume {}{flags}", document.sweep);
    }
    let sets = args
        .spec
        .overrides
        .iter()
        .map(|(path, value)| format!(" --set {}", text::quoted(&format!("{path}={value}"))));
    format!(
        "bonfire run {}{} --resume{flags}",
        text::quoted(&args.spec.spec.to_string_lossy()),
        sets.collect::<String>()
    )
}

/// Prints what became of a sweep and gives its exit code. In JSON it is the document alone; else a leaderboard and what to
/// type next.
pub async fn report(front: &Foreground, ending: &Ending, resume: &str) -> Exit {
    let (output, document, name) = (front.output, ending.document(), &ending.document().sweep);
    let is_paused = document.state == "paused" || matches!(ending, Ending::Paused(_));
    let is_left = matches!(ending, Ending::Detached(_));
    if output.is_json() {
        json::print(output, document);
        if is_paused {
            output.note(&format!("{name} is paused; go on with: {resume}"));
        }
        if is_left {
            output.note(&format!(
                "{name} goes on without us; follow it again with: {resume}"
            ));
        }
        return ending.exit();
    }
    output.print(&leaderboard(document, BEST_MAX));
    let flags = front.link.flags();
    let mut next = Vec::new();
    if is_paused {
        next.push(("go on with it", resume.to_owned()));
    }
    if is_left {
        next.push(("follow it again", resume.to_owned()));
    }
    if let Some(best) = &document.best
        && has_weights(front, &best.trial).await
    {
        next.push((
            "export the best model",
            format!(
                "bonfire checkpoint export {} {name}.safetensors --best{flags}",
                best.trial
            ),
        ));
    }
    next.push((
        "export all trials",
        format!("bonfire sweep export {name} {name}.csv{flags}"),
    ));
    next.push(("look again", format!("bonfire sweep show {name}{flags}")));
    output.print(&format!(
        "\nThe results are in {}\n{}",
        front.link.place(),
        table::facts(&next)
    ));
    ending.exit()
}

/// Whether a trial left a checkpoint that can be exported; a fleet that is gone has none to give.
async fn has_weights(front: &Foreground, trial: &str) -> bool {
    let document = documents::trial(&front.link.fleet, trial).await;
    document.is_ok_and(|trial| trial.checkpoints.iter().any(|c| c.manifest.is_some()))
}

/// A sweep's state and its best trials, best first.
pub fn leaderboard(document: &SweepDocument, best_max: usize) -> String {
    let mut out = summary(document);
    let ranked = rank(document);
    if !ranked.is_empty() {
        out.push('\n');
        out.push_str(&table::leaderboard(
            &ranked[..ranked.len().min(best_max)],
            &table::metrics(document),
        ));
    }
    let failed = document.trials.iter().filter(|t| t.state == "failed");
    let failed: Vec<_> = failed
        .filter_map(|t| Some((&t.trial, t.reason.as_ref()?)))
        .collect();
    for (trial, reason) in failed.iter().take(REASONS_MAX) {
        out.push_str(&text::cut(
            &format!("\n{trial} failed: {}", reason.replace('\n', " ")),
            100,
        ));
    }
    if failed.len() > REASONS_MAX {
        out.push_str(&format!("\nand {} more failed", failed.len() - REASONS_MAX));
    }
    out
}

/// One line: the sweep's state, why, and how much was done.
pub fn summary(document: &SweepDocument) -> String {
    let trials = text::count(document.trials.len() as u64, "trial");
    let reason = document
        .reason
        .as_ref()
        .map_or_else(String::new, |r| format!(" ({r})"));
    format!(
        "{} {}{reason}: {trials}, {}\n",
        document.sweep,
        document.state,
        text::seconds(document.seconds)
    )
}

/// Trials with a value, best first, ties by number; those that break `search.require` come last.
pub fn rank(document: &SweepDocument) -> Vec<&bonfire_domain::view::TrialRow> {
    let goal = match document.objective.goal.as_str() {
        "maximize" => Goal::Maximize,
        _ => Goal::Minimize,
    };
    let mut ranked: Vec<_> = document
        .trials
        .iter()
        .filter(|t| t.value.is_some())
        .collect();
    ranked.sort_by(|a, b| a.compare(b, goal));
    ranked
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn document(goal: &str, values: &[Option<f64>]) -> SweepDocument {
        let trial = |(number, value): (usize, &Option<f64>)| {
            json!({
                "trial": format!("a-1/{number}"), "number": number, "state": "completed", "attempts": 1, "value": value,
                "epochs": 1, "parameters": {"optimizer.lr": 0.01}, "worker": null, "reason": null
            })
        };
        let document = json!({
            "sweep": "a-1", "state": "completed", "reason": "done", "objective": {"metric": "m", "goal": goal},
            "best": null, "trials": values.iter().enumerate().map(trial).collect::<Vec<_>>(), "started": "",
            "seconds": 3.0, "spec_digest": ""
        });
        serde_json::from_value(document).unwrap()
    }

    #[track_caller]
    fn check(goal: &str, values: &[Option<f64>], expected: &[u32]) {
        let document = document(goal, values);
        let found: Vec<u32> = rank(&document).iter().map(|t| t.number).collect();
        assert_eq!(found, expected, "{goal} {values:?}");
    }

    #[test]
    fn trials_are_ranked_by_the_goal() {
        check(
            "maximize",
            &[Some(0.1), Some(0.9), None, Some(0.9)],
            &[1, 3, 0],
        );
        check(
            "minimize",
            &[Some(0.1), Some(-0.9), None, Some(0.0)],
            &[1, 3, 0],
        );
        check("minimize", &[], &[]);
    }

    #[test]
    fn a_leaderboard_begins_with_the_state() {
        let found = leaderboard(&document("minimize", &[Some(0.5)]), 10);
        assert!(
            found.starts_with("a-1 completed (done): 1 trial, 3 s\n"),
            "{found}"
        );
        assert!(found.contains("a-1/0"), "{found}");
    }
}
