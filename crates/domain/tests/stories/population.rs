//! Population based training on the replicated state.

use bonfire_domain::cluster::{Sweep, TrialState};
use bonfire_domain::command::{Command, SweepAction, TrialAction};
use bonfire_domain::effect::{Effect, Refusal};
use bonfire_domain::fault::{AttemptEnd, Failure, LostCause};
use bonfire_domain::search::Value;
use bonfire_domain::{Cluster, LogIndex, SweepId, TrialId, WallMs, invariant, view};

use super::noop;
use super::story::Story;

/// Three members, an interval of three of nine epochs.
fn pbt(limit: &str) -> String {
    noop(&format!(
        "checkpoint: {{ every: 1 epoch, keep: {{ last: 1, best: 0 }} }}\nsearch:\n  {limit}\n  \
         scheduler: {{ kind: pbt, population: 3, interval: 3, quantile: 0.34 }}\n  \
         parameters: {{ model.x: {{ min: 0.0, max: 1.0 }} }}\n"
    ))
}

const PLAIN: &str = "sampler: { seed: 4 }";

fn started(slots: usize, limit: &str) -> Story {
    let mut story = Story::new();
    story.join(1, slots);
    story.submit(&pbt(limit));
    story
}

/// A trial trains to the end of its interval.
fn train(story: &mut Story, number: u32, value: f64) {
    let until = sweep(story).live_trial(number).unwrap().until;
    story.observe(1, number, until, value);
    if until < 9 {
        story.save(1, number, until, value);
    }
    story.end(1, number, AttemptEnd::Reached);
}

fn sweep(story: &Story) -> &Sweep {
    story.cluster.sweep(SweepId(0)).unwrap()
}

fn id(number: u32) -> TrialId {
    TrialId {
        sweep: SweepId(0),
        number,
    }
}

fn state(story: &Story, number: u32) -> TrialState {
    sweep(story).trial(number).unwrap().state
}

fn control(number: u32, action: TrialAction) -> Vec<Command> {
    vec![Command::ControlTrial {
        trial: id(number),
        action,
        at: WallMs(0),
    }]
}

#[test]
fn the_worst_gives_its_place_to_a_fork_of_the_best() {
    let mut story = started(2, PLAIN);
    train(&mut story, 0, 1.3);
    train(&mut story, 1, 1.1);
    train(&mut story, 2, 1.2);
    let open = |story: &Story| sweep(story).running().first().copied();
    while let Some(number) = open(&story) {
        let left = 9 - sweep(&story).live_trial(number).unwrap().until;
        train(&mut story, number, 0.1 * (left + u64::from(number)) as f64);
    }
    story.is("pbt.txt");
}

#[test]
fn a_fork_does_not_begin_from_nothing() {
    let mut story = started(2, PLAIN);
    train(&mut story, 0, 1.3);
    train(&mut story, 1, 1.1);
    train(&mut story, 2, 1.2);
    let fork = (3..6).find(|number| {
        sweep(&story)
            .trial(*number)
            .is_some_and(|t| t.parent.is_some())
    });
    let fork = fork.unwrap();
    let step = story.cluster.trial(id(fork)).unwrap().parent.unwrap().1;
    let end = AttemptEnd::Failed {
        failure: Failure::DamagedCheckpoint { step },
        detail: "chunk 0 is gone".to_owned(),
    };
    story.end(1, fork, end);
    let ended = sweep(&story).trial(fork).unwrap();
    assert_eq!(ended.state, TrialState::Failed);
    assert_eq!(
        ended.reason.as_deref(),
        Some("checkpoint at step 3 is damaged, and a fork has none before it: chunk 0 is gone")
    );
}

#[test]
fn a_fork_that_would_break_a_requirement_is_not_made() {
    // Whatever is perturbed leaves the band, and hardly any point that is drawn anew is in it.
    let mut story = started(
        3,
        "sampler: { seed: 4 }\n  require: [ model.x >= 0.4999, model.x <= 0.5002 ]\n  \
         start: [ { model.x: 0.5 }, { model.x: 0.5001 }, { model.x: 0.49995 } ]",
    );
    train(&mut story, 1, 1.1);
    train(&mut story, 2, 1.2);
    train(&mut story, 0, 1.3);
    assert_eq!(sweep(&story).next, 3);
    for number in 0..3 {
        assert_eq!(state(&story, number), TrialState::Running, "{number}");
        assert_eq!(sweep(&story).live_trial(number).unwrap().until, 6);
    }
}

#[test]
fn a_checkpoint_that_forks_may_need_is_neither_let_go_nor_deleted() {
    let mut story = started(3, PLAIN);
    train(&mut story, 0, 0.5);
    assert_eq!(state(&story, 0), TrialState::Running, "its next interval");
    for epoch in 4..6 {
        story.observe(1, 0, epoch, 0.4);
        story.save(1, 0, epoch, 0.4);
    }
    let steps = |story: &Story| -> Vec<u64> {
        let trial = sweep(story).live_trial(0).unwrap();
        trial.checkpoints.iter().map(|c| c.step).collect()
    };
    assert_eq!(steps(&story), [3, 5]);
    let delete = Command::DeleteCheckpoint {
        trial: id(0),
        step: 3,
        at: WallMs(0),
    };
    let refused = story.cluster.clone().apply(LogIndex(999), delete);
    assert_eq!(refused, [Effect::Refused(Refusal::StillReferenced)]);
    train(&mut story, 1, 0.9);
    let fork = sweep(&story).live_trial(3).unwrap();
    assert_eq!((fork.parent, fork.until), (Some((0, 3)), 6));
    // The next interval's end takes the place of this one's; the fork has its own reference.
    train(&mut story, 0, 0.3);
    assert_eq!(steps(&story), [6]);
    let shared = sweep(&story).live_trial(3).unwrap().checkpoints[0].clone();
    assert_eq!(shared.step, 3);
    assert!(
        story
            .cluster
            .blobs()
            .is_referenced(&shared.chunks[0].digest)
    );
}

#[test]
fn a_state_read_back_decides_the_same() {
    let mut story = started(1, PLAIN);
    let mut moves = 0;
    for (number, value) in [(0, 0.5), (1, 0.7), (2, 0.6)] {
        train(&mut story, number, value);
    }
    for _ in 0..4 {
        let number = *sweep(&story).running().first().unwrap();
        let again = Cluster::decode(&story.cluster.encode()).unwrap();
        assert_eq!(again, story.cluster);
        let next = sweep(&story).next_move();
        assert_eq!(again.sweep(SweepId(0)).unwrap().next_move(), next);
        moves += u32::from(next.is_some());
        train(&mut story, number, 0.1 * f64::from(number));
    }
    assert!(moves > 0);
}

#[test]
fn at_the_limit_members_train_on_as_they_are() {
    let mut story = started(1, "limit: { trials: 4 }");
    let mut seen = 0;
    while let Some(number) = sweep(&story).running().first().copied() {
        train(&mut story, number, f64::from(number));
        seen += 1;
    }
    // The first fork is the only one. It begins at epoch 6, in the place of one that stood at 3.
    assert_eq!(seen, 8);
    let ended = sweep(&story);
    assert_eq!((ended.next, ended.sampled), (4, 4));
    assert_eq!(ended.count(TrialState::Completed), 3);
    assert_eq!(ended.reason.as_deref(), Some("all 4 trials ended"));
}

#[test]
fn a_failed_member_is_replaced_and_a_stopped_one_is_not() {
    let mut story = started(3, PLAIN);
    train(&mut story, 0, 0.5);
    let failure = Failure::NonFinite { step: 2 };
    let detail = String::new();
    story.end(1, 1, AttemptEnd::Failed { failure, detail });
    assert_eq!(state(&story, 1), TrialState::Failed);
    assert_eq!(sweep(&story).live_trial(3).unwrap().parent, Some((0, 3)));
    story.apply(None, control(2, TrialAction::Stop));
    story.end(1, 2, AttemptEnd::Yielded);
    assert_eq!(
        (state(&story, 2), sweep(&story).next),
        (TrialState::Cancelled, 4)
    );
    while let Some(number) = sweep(&story).running().first().copied() {
        train(&mut story, number, 0.4);
    }
    assert_eq!(sweep(&story).count(TrialState::Completed), 2);
    assert!(sweep(&story).state.is_terminal());
}

#[test]
fn who_is_resumed_trains_to_the_end_by_itself() {
    let mut story = started(1, PLAIN);
    train(&mut story, 0, 0.5);
    assert_eq!(state(&story, 0), TrialState::Paused);
    story.apply(None, control(0, TrialAction::Resume));
    train(&mut story, 1, 0.7);
    let resumed = sweep(&story).live_trial(0).unwrap();
    assert_eq!((resumed.state, resumed.until), (TrialState::Running, 9));
    assert_eq!(sweep(&story).scheduler().until(0), None);
    // One that gave its place up comes back beside the fork that has it.
    let mut story = started(1, PLAIN);
    for (number, value) in [(0, 0.5), (1, 0.7), (2, 0.6), (0, 0.4)] {
        train(&mut story, number, value);
    }
    assert_eq!(state(&story, 1), TrialState::Pruned);
    story.apply(None, control(1, TrialAction::Resume));
    assert_eq!(sweep(&story).live_trial(1).unwrap().until, 9);
    while let Some(number) = sweep(&story).running().first().copied() {
        train(&mut story, number, 0.3);
    }
    assert_eq!(sweep(&story).count(TrialState::Completed), 4);
}

#[test]
fn what_a_fork_was_and_why_is_shown() {
    let mut story = started(1, PLAIN);
    for (number, value) in [(0, 0.5), (1, 0.7), (2, 0.6)] {
        train(&mut story, number, value);
    }
    let why = |story: &Story, number| {
        let time = story.time();
        story
            .leader
            .why_trial(time, &story.cluster, id(number))
            .join("; ")
    };
    let waits = "ended its interval at epoch 3 and waits for its turn, or for a fork in its place";
    assert_eq!(why(&story, 1), waits);
    train(&mut story, 0, 0.4);
    let took = "trial 3 took its place, a fork of trial 0 at step 6";
    assert_eq!(why(&story, 1), format!("pruned {took}"));
    let document = view::sweep(&story.cluster, SweepId(0), WallMs(0)).unwrap();
    let row = |number: usize| &document.trials[number];
    assert_eq!(row(1).reason.as_deref(), Some(took));
    assert_eq!(
        (&row(0).parent, row(3).parent.as_deref()),
        (&None, Some("story/0@6"))
    );
    assert_eq!(
        (document.rungs[0].at, document.rungs[0].planned),
        (9, Some(3))
    );
    let shown = view::trial(&story.cluster, id(3)).unwrap();
    let shown = serde_json::to_value(&shown).unwrap();
    assert_eq!(shown["parent"], "story/0@6");
}

#[test]
fn a_decision_that_came_too_late_changes_nothing() {
    let mut story = started(1, PLAIN);
    for (number, value) in [(0, 0.5), (1, 0.7), (2, 0.6)] {
        train(&mut story, number, value);
    }
    // Trial 0 trains its second interval, 1 and 2 wait.
    let exploit = |trial: u32, number: u32, parent: u32, step: u64| {
        let x = ("model.x".to_owned(), Value::Real(0.5));
        Command::Exploit {
            trial: id(trial),
            number,
            parent,
            step,
            parameters: [x].into(),
            at: WallMs(0),
        }
    };
    #[track_caller]
    fn check(cluster: &Cluster, command: Command, expected: &str) {
        let mut cluster = cluster.clone();
        let before = cluster.sweep(SweepId(0)).cloned();
        match cluster.apply(LogIndex(999), command).as_slice() {
            [Effect::Refused(refusal)] => {
                assert_eq!(refusal.to_string(), expected);
                assert_eq!(cluster.sweep(SweepId(0)).cloned(), before);
            }
            effects => assert_eq!("", expected, "{effects:?}"),
        }
        invariant::check_all(&cluster).unwrap();
    }
    let cluster = &story.cluster;
    check(cluster, exploit(1, 3, 0, 3), "");
    check(cluster, exploit(1, 4, 0, 3), "the next trial has number 3");
    check(
        cluster,
        exploit(0, 3, 2, 3),
        "cannot give its place to a fork: it is running",
    );
    check(cluster, exploit(1, 3, 0, 2), "no checkpoint at step 2");
    check(cluster, exploit(7, 3, 0, 3), "no such trial");
    let mut paused = cluster.clone();
    let (sweep, action, at) = (SweepId(0), SweepAction::Pause, WallMs(0));
    paused.apply(LogIndex(998), Command::ControlSweep { sweep, action, at });
    check(&paused, exploit(1, 3, 0, 3), "cannot fork: it is paused");
    let mut full = started(1, "limit: { trials: 3 }");
    for (number, value) in [(0, 0.5), (1, 0.7), (2, 0.6)] {
        train(&mut full, number, value);
    }
    check(
        &full.cluster,
        exploit(1, 3, 0, 3),
        "the limit of 3 is reached",
    );
    // Under another scheduler nobody gives a place up.
    let mut asha = Story::new();
    asha.join(1, 1);
    let scheduler = "asha, min: 3, max: 9, eta: 3";
    let spec = pbt("limit: { trials: 3 }");
    asha.submit(&spec.replace("pbt, population: 3, interval: 3, quantile: 0.34", scheduler));
    train(&mut asha, 0, 0.5);
    let refusal = "cannot give its place to a fork: it is paused";
    check(&asha.cluster, exploit(0, 2, 0, 3), refusal);
}

/// Seed 327 of the simulation: it had told the value of its interval and was lost before it could save, while its sweep was paused.
#[test]
fn who_is_lost_at_the_end_of_an_interval_in_a_paused_sweep_goes_on_with_it() {
    let mut story = started(1, PLAIN);
    let (sweep_id, at) = (SweepId(0), WallMs(0));
    let control = |action| {
        vec![Command::ControlSweep {
            sweep: sweep_id,
            action,
            at,
        }]
    };
    story.observe(1, 0, 3, 0.5);
    story.apply(None, control(SweepAction::Pause));
    story.end(1, 0, AttemptEnd::Lost(LostCause::Killed));
    assert_eq!(state(&story, 0), TrialState::Paused);
    story.apply(None, control(SweepAction::Resume));
    story.pass(100);
    assert_eq!(state(&story, 0), TrialState::Running);
}

/// No promotion comes to a trial that a user resumed from its rung, so others have their turn.
#[test]
fn a_resumed_trial_of_asha_is_not_promoted() {
    let mut story = Story::new();
    story.join(1, 1);
    let spec = pbt("limit: { trials: 6 }");
    let scheduler = "asha, min: 3, max: 9, eta: 3";
    let pbt = "pbt, population: 3, interval: 3, quantile: 0.34";
    story.submit(&spec.replace(pbt, scheduler));
    for number in 0..2 {
        train(&mut story, number, 0.1 * f64::from(number));
    }
    story.apply(None, control(0, TrialAction::Resume));
    train(&mut story, 2, 0.9);
    assert_eq!(sweep(&story).live_trial(0).unwrap().until, 9);
    assert_eq!(state(&story, 0), TrialState::Running);
    assert_eq!(sweep(&story).scheduler().promotable(), None);
}
