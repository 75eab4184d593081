//! Long stories of cluster, leader and session as text that anyone can read: `tests/golden/stories/*.txt`.
//!
//! `UPDATE_GOLDEN=1` writes them anew; read the difference before it is committed.
// Golden files are read and written here; the crate itself may not.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod early;
mod external;
mod population;
mod story;
mod workers;

use bonfire_domain::command::{Command, SweepAction, TrialAction};
use bonfire_domain::fault::{AttemptEnd, Failure, LostCause};
use bonfire_domain::leader::{Action, Input};
use bonfire_domain::order::{Preparing, Running};
use bonfire_domain::{LogIndex, Suggester, SweepId, TrialId, WallMs, WorkerId, spec};

use story::Story;

fn noop(search: &str) -> String {
    format!(
        "kind: sweep\nversion: 1\nname: story\nmodel: {{ kind: noop, x: 0.5 }}\ntrain: {{ epochs: 9 }}\n{search}"
    )
}

const SOBOL: &str = "search:\n  sampler: { kind: sobol, seed: 1 }\n  scheduler: { kind: SCHEDULER }\n  limit: { trials: 3 }\n  \
    parameters:\n    model.x: { min: 0.0, max: 1.0 }\n";

#[test]
fn a_lost_worker_gives_its_trial_back() {
    let mut story = Story::new();
    story.join(1, 1);
    story.submit(&noop(""));
    story.observe(1, 0, 1, 1.04);
    story.event(
        "w1 disconnects",
        Input::Disconnected {
            worker: WorkerId(1),
        },
    );
    story.pass(5_000);
    story.join(2, 1);
    story.pass(100);
    story.observe(2, 0, 9, 0.15);
    story.end(2, 0, AttemptEnd::Reached);
    story.is("lost_worker.txt");
}

#[test]
fn a_worker_started_again_does_not_wait_for_the_dead_one() {
    let mut story = Story::new();
    story.join(1, 1);
    story.submit(&noop(""));
    story.observe(1, 0, 1, 1.04);
    // Whoever is connected lives, whatever another says.
    story.join_after(2, 1, Some(1));
    let worker = WorkerId(1);
    story.event("w1 disconnects", Input::Disconnected { worker });
    story.join_after(3, 1, Some(1));
    story.is("started_again.txt");
}

/// Three trials on rungs 1, 3 and 9, and one worker with so many slots.
fn on_rungs(slots: usize) -> Story {
    let mut story = Story::new();
    story.join(1, slots);
    let search = SOBOL.replace("SCHEDULER", "asha, min: 1, max: 9, eta: 3");
    story.submit(&noop(&search));
    story
}

#[test]
fn asha_pauses_promotes_and_prunes() {
    let mut story = on_rungs(1);
    for (number, value) in [(0, 1.3), (1, 1.1), (2, 1.2)] {
        story.observe(1, number, 1, value);
        story.end(1, number, AttemptEnd::Reached);
    }
    story.observe(1, 1, 3, 0.4);
    story.end(1, 1, AttemptEnd::Reached);
    story.is("asha.txt");
}

/// Trial 1 goes on before the third value is in, and its turn comes. Then nobody else's can.
#[test]
fn an_idle_slot_trains_a_trial_ahead_of_its_turn() {
    let mut story = on_rungs(2);
    for (number, value) in [(0, 1.3), (1, 1.1), (2, 1.2)] {
        story.observe(1, number, 1, value);
        story.end(1, number, AttemptEnd::Reached);
    }
    story.observe(1, 1, 3, 0.4);
    story.end(1, 1, AttemptEnd::Reached);
    story.is("idle.txt");
}

#[test]
fn a_fork_takes_no_place_on_a_rung() {
    let mut story = on_rungs(1);
    let id = |number| TrialId {
        sweep: SweepId(0),
        number,
    };
    let reach = |story: &mut Story, number, value| {
        story.observe(1, number, 1, value);
        story.save(1, number, 1, value);
        story.end(1, number, AttemptEnd::Reached);
    };
    reach(&mut story, 0, 1.3);
    let parent = story.cluster.trial(id(0)).unwrap().into_owned();
    story.apply(
        None,
        vec![Command::Fork {
            request: 99,
            parent: id(0),
            step: 1,
            parameters: parent.parameters,
            at: WallMs(0),
        }],
    );
    reach(&mut story, 1, 1.2);
    // It is better than all of them, and has trained longer.
    story.observe(1, 2, 2, 0.1);
    let scheduler = |story: &Story| story.cluster.sweep(SweepId(0)).unwrap().scheduler().clone();
    assert_eq!(scheduler(&story).promotable(), None);
    story.observe(1, 2, 9, 0.05);
    story.end(1, 2, AttemptEnd::Reached);
    reach(&mut story, 3, 1.1);
    // The best of the three that the sampler made goes on.
    let open = story.cluster.sweep(SweepId(0)).unwrap().running();
    assert_eq!(open.first(), Some(&3));
    assert_eq!(story.cluster.trial(id(3)).unwrap().until, 3);
}

#[test]
fn faults_are_retried_with_backoff_and_counted() {
    let mut story = Story::new();
    story.join(1, 1);
    story.submit(&noop("retry: { attempts: 2 }\n"));
    story.end(1, 0, AttemptEnd::Lost(LostCause::Killed));
    story.pass(50);
    let panicked = || AttemptEnd::Failed {
        failure: Failure::Panicked,
        detail: "boom".to_owned(),
    };
    story.end(1, 0, panicked());
    story.pass(50);
    story.pass(50);
    story.end(1, 0, panicked());
    story.is("retries.txt");
}

#[test]
fn nan_is_never_retried() {
    let mut story = Story::new();
    story.join(1, 1);
    story.submit(&noop(""));
    let failure = Failure::NonFinite { step: 3 };
    let detail = String::new();
    story.end(1, 0, AttemptEnd::Failed { failure, detail });
    story.is("not_finite.txt");
}

#[test]
fn a_paused_sweep_holds_and_goes_on() {
    let mut story = Story::new();
    story.join(1, 2);
    story.submit(&noop(&SOBOL.replace("SCHEDULER", "none")));
    let control = |action| {
        vec![Command::ControlSweep {
            sweep: SweepId(0),
            action,
            at: WallMs(0),
        }]
    };
    story.say("a user pauses");
    story.apply(None, control(SweepAction::Pause));
    story.stand();
    for number in 0..3 {
        story.end(1, number, AttemptEnd::Yielded);
    }
    story.say("a user resumes");
    story.apply(None, control(SweepAction::Resume));
    story.stand();
    story.say("a user cancels");
    story.apply(None, control(SweepAction::Cancel { save: false }));
    story.stand();
    for number in 0..3 {
        story.end(1, number, AttemptEnd::Stopped);
    }
    story.is("pause_resume_cancel.txt");
}

#[test]
fn a_stopped_trial_stays_stopped() {
    let mut story = Story::new();
    story.join(1, 2);
    story.submit(&noop(&SOBOL.replace("SCHEDULER", "none")));
    let stop = |number| Command::ControlTrial {
        trial: TrialId {
            sweep: SweepId(0),
            number,
        },
        action: TrialAction::Stop,
        at: WallMs(0),
    };
    let control = |action| Command::ControlSweep {
        sweep: SweepId(0),
        action,
        at: WallMs(0),
    };
    story.say("a user stops trial 0");
    story.apply(None, vec![stop(0)]);
    story.stand();
    let running = Running {
        attempts: vec![story.current(0), story.current(1), story.current(2)],
        facts_from: 1,
        ..Running::default()
    };
    let worker = WorkerId(1);
    // What a heartbeat finds wanting is ordered again as it was: still with a last checkpoint.
    story.event("w1 says what it runs", Input::Heartbeat { worker, running });
    story.end(1, 0, AttemptEnd::Yielded);
    story.say("a user stops trial 1, and pauses the sweep before it has ended");
    story.apply(None, vec![stop(1)]);
    story.apply(None, vec![control(SweepAction::Pause)]);
    story.stand();
    story.end(1, 1, AttemptEnd::Yielded);
    story.say("a user resumes, then cancels the sweep with a last checkpoint");
    story.apply(None, vec![control(SweepAction::Resume)]);
    story.apply(None, vec![control(SweepAction::Cancel { save: true })]);
    story.end(1, 2, AttemptEnd::Yielded);
    story.is("stopped_trial.txt");
}

#[test]
fn what_is_prepared_is_said_until_it_is_done() {
    let mut story = Story::new();
    story.join(1, 1);
    story.submit(&noop(""));
    let (trial, attempt) = story.current(0);
    let worker = WorkerId(1);
    let heartbeat = |preparing: Vec<Preparing>| {
        let running = Running {
            attempts: vec![(trial, attempt)],
            facts_from: 1,
            preparing,
            ..Running::default()
        };
        Input::Heartbeat { worker, running }
    };
    let check = |story: &Story, expected: Option<&str>| {
        let sweep = story.cluster.sweep(trial.sweep).unwrap();
        let why = story.leader.why_sweep(&story.cluster, sweep);
        assert_eq!(why.as_deref(), expected);
        let mut of_trial = vec!["attempt 1 runs on w1"];
        of_trial.extend(expected);
        let why = story.leader.why_trial(story.time(), &story.cluster, trial);
        assert_eq!(why, of_trial);
    };
    check(&story, None);
    story.lead(heartbeat(vec![Preparing {
        trial,
        attempt,
        rows: 300,
        total: 2_000,
    }]));
    check(&story, Some("prepares its data: 300 of 2000 rows (15 %)"));
    story.lead(heartbeat(vec![]));
    check(&story, None);
}

#[test]
fn a_trial_behind_a_long_one_goes_to_a_slot_that_has_nothing_to_do() {
    let mut story = Story::new();
    story.join(1, 1);
    story.submit(&noop(&SOBOL.replace("SCHEDULER", "none")));
    story.end(1, 0, AttemptEnd::Reached);
    story.join(2, 1);
    story.pass(100);
    story.pass(500);
    story.pass(100);
    story.end(1, 2, AttemptEnd::Yielded);
    story.is("taken_back.txt");
}

#[test]
fn a_sampler_that_does_not_know_the_sweep_yet_ends_nothing() {
    let mut story = Story::new();
    story.join(1, 1);
    let spec = spec::check(noop(&SOBOL.replace("SCHEDULER", "none")).as_bytes(), &[]).unwrap();
    let command = Command::CreateSweep {
        request: 1,
        name: spec.name.clone(),
        spec: spec.canonical(),
        dataset: None,
        at: WallMs(0),
    };
    let effects = story.cluster.apply(LogIndex(1), command);
    let applied = Input::Applied { tag: None, effects };
    let asked = story
        .leader
        .step(story.time(), &story.cluster, applied)
        .into_iter()
        .find_map(|action| match action {
            Action::Suggest {
                sweep, first, seen, ..
            } => Some((sweep, first, seen)),
            _ => None,
        });
    let (sweep, first, seen) = asked.unwrap();
    let (parameters, exhausted) = Suggester::new().suggest(sweep, first, 1);
    let unknown = Input::Suggested {
        sweep,
        first,
        seen,
        parameters,
        exhausted,
    };
    let actions = story.leader.step(story.time(), &story.cluster, unknown);
    assert_eq!(actions, [], "neither an end nor a question at once");
    let again = story.leader.step(story.time(), &story.cluster, Input::Tick);
    assert!(
        matches!(again[..], [Action::Suggest { first: 0, .. }]),
        "asked again with the next input: {again:?}"
    );
}
