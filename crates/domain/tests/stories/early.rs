//! Trials that idle slots train ahead of their turn.

use bonfire_domain::cluster::Trial;
use bonfire_domain::command::{Command, SweepAction, TrialAction};
use bonfire_domain::fault::{AttemptEnd, Failure, LostCause};
use bonfire_domain::{SweepId, TrialId, WallMs};

use super::story::Story;
use super::{noop, on_rungs};

fn trial(story: &Story, number: u32) -> Trial {
    let sweep = SweepId(0);
    let trial = story.cluster.trial(TrialId { sweep, number });
    trial.unwrap().into_owned()
}

/// Two of three trials are on the first rung, and the better one, trial 1, goes on while trial 2 trains.
fn with_an_early_trial() -> Story {
    let mut story = on_rungs(2);
    for (number, value) in [(0, 1.3), (1, 1.1)] {
        story.observe(1, number, 1, value);
        story.save(1, number, 1, value);
        story.end(1, number, AttemptEnd::Reached);
    }
    let early = story.cluster.sweep(SweepId(0)).unwrap().early().clone();
    assert_eq!(early.into_iter().collect::<Vec<_>>(), [1]);
    let restored = bonfire_domain::Cluster::decode(&story.cluster.encode()).unwrap();
    assert_eq!(restored, story.cluster);
    story
}

/// The last trial comes to its rung, and trial 1 trains to the end: as if no slot had been idle.
fn comes_to_the_end(mut story: Story, from: u64) {
    story.observe(1, 2, 1, 1.2);
    story.save(1, 2, 1, 1.2);
    story.end(1, 2, AttemptEnd::Reached);
    story.pass(50);
    for epoch in from + 1..=3 {
        story.observe(1, 1, epoch, 0.5);
    }
    if from < 3 {
        story.save(1, 1, 3, 0.5);
        story.end(1, 1, AttemptEnd::Reached);
    }
    story.pass(50);
    let sweep = story.cluster.sweep(SweepId(0)).unwrap();
    let states: Vec<&str> = sweep.trials().iter().map(|t| t.state.name()).collect();
    assert_eq!(
        states, ["pruned"; 3],
        "one on the second rung: {}",
        story.text
    );
    assert_eq!(sweep.scheduler().until(1), None);
    assert_eq!(trial(&story, 1).epochs(), 3);
    assert!(sweep.scheduler().owed().is_empty());
}

#[test]
fn a_trial_ahead_of_its_turn_gives_its_slot_to_another_sweep_and_goes_on_in_its_turn() {
    let mut story = with_an_early_trial();
    story.submit(&noop("").replace("name: story", "name: other"));
    let told = story.text.contains("to w1: Stop 1#2 save");
    assert!(told, "{}", story.text);
    story.observe(1, 1, 2, 0.8);
    story.save(1, 1, 2, 0.8);
    story.end(1, 1, AttemptEnd::Yielded);
    let trial = trial(&story, 1);
    assert_eq!((trial.state.name(), trial.until), ("paused", 1));
    assert_eq!(story.cluster.sweep(SweepId(1)).unwrap().running().len(), 1);
    comes_to_the_end(story, 2);
}

#[test]
fn a_trial_ahead_of_its_turn_is_no_worse_off_when_another_one_is_killed() {
    let mut story = with_an_early_trial();
    story.end(1, 2, AttemptEnd::Lost(LostCause::Killed));
    let told = story.text.contains("to w1: Stop 1#2 save");
    assert!(told, "{}", story.text);
    story.save(1, 1, 1, 1.1);
    story.end(1, 1, AttemptEnd::Yielded);
    story.pass(50);
    assert_eq!(trial(&story, 2).state.name(), "running");
    assert_eq!(
        trial(&story, 1).state.name(),
        "running",
        "the slot is idle again"
    );
    comes_to_the_end(story, 1);
}

#[test]
fn a_trial_that_dies_ahead_of_its_turn_waits_for_it() {
    let mut story = with_an_early_trial();
    story.end(1, 1, AttemptEnd::Lost(LostCause::Killed));
    story.pass(50);
    let trial = trial(&story, 1);
    assert_eq!((trial.state.name(), trial.until), ("paused", 1));
    comes_to_the_end(story, 1);
}

/// What cannot be tried again in its turn either fails then, and counts then.
#[test]
fn a_trial_that_fails_ahead_of_its_turn_has_not_failed() {
    let mut story = with_an_early_trial();
    let (failure, detail) = (Failure::NonFinite { step: 2 }, String::new());
    story.end(1, 1, AttemptEnd::Failed { failure, detail });
    story.pass(50);
    assert_eq!(trial(&story, 1).state.name(), "paused");
    comes_to_the_end(story, 1);
}

/// Trial 2 is the better one and goes on in its turn; when it has come to its rung, trial 1 is all that is left.
#[test]
fn a_trial_whose_turn_does_not_come_ends_with_its_sweep_and_says_why() {
    let mut story = with_an_early_trial();
    for (epoch, value) in [(1, 0.9), (3, 0.7)] {
        story.observe(1, 2, epoch, value);
        story.save(1, 2, epoch, value);
        story.end(1, 2, AttemptEnd::Reached);
        story.pass(50);
    }
    let told = story.text.contains("to w1: Stop 1#2 save false");
    assert!(told, "{}", story.text);
    story.end(1, 1, AttemptEnd::Stopped);
    let trial = trial(&story, 1);
    let reason = trial.reason.unwrap_or_default();
    assert_eq!(trial.state.name(), "pruned");
    assert!(reason.contains("its turn did not come"), "{reason}");
    assert!(story.cluster.sweep(SweepId(0)).unwrap().state.is_terminal());
}

#[test]
fn a_user_may_stop_or_resume_a_trial_that_waits_ahead_of_its_turn() {
    let waits = || {
        let mut story = with_an_early_trial();
        story.submit(&noop("").replace("name: story", "name: other"));
        story.save(1, 1, 2, 0.8);
        story.end(1, 1, AttemptEnd::Yielded);
        story
    };
    let control = |story: &mut Story, action| {
        let (trial, at) = (story.current(1).0, WallMs(0));
        story.apply(None, vec![Command::ControlTrial { trial, action, at }]);
    };
    let mut story = waits();
    control(&mut story, TrialAction::Stop);
    assert_eq!(trial(&story, 1).state.name(), "cancelled");
    let mut story = waits();
    control(&mut story, TrialAction::Resume);
    assert_eq!(
        (trial(&story, 1).state.name(), trial(&story, 1).until),
        ("pending", 9)
    );
    assert!(story.cluster.sweep(SweepId(0)).unwrap().early().is_empty());
}

/// It is at its next rung before its turn comes, and counts there from then on.
#[test]
fn a_trial_may_train_the_whole_way_ahead_of_its_turn() {
    let mut story = with_an_early_trial();
    story.observe(1, 1, 2, 0.8);
    story.observe(1, 1, 3, 0.5);
    story.save(1, 1, 3, 0.5);
    story.end(1, 1, AttemptEnd::Reached);
    let trial = trial(&story, 1);
    assert_eq!((trial.state.name(), trial.value), ("paused", Some(0.5)));
    let scheduler = |story: &Story| story.cluster.sweep(SweepId(0)).unwrap().scheduler().clone();
    assert_eq!(scheduler(&story).until(1), Some(1), "nobody was promoted");
    story.observe(1, 2, 1, 1.2);
    assert_eq!(scheduler(&story).until(1), Some(3));
    let mut other = with_an_early_trial();
    other.observe(1, 2, 1, 1.2);
    other.observe(1, 1, 2, 0.8);
    other.observe(1, 1, 3, 0.5);
    assert_eq!(
        scheduler(&other),
        scheduler(&story),
        "as if it had come in its turn"
    );
    comes_to_the_end(story, 3);
}

/// What is paused with its sweep goes on with it; who was ahead of its turn waits.
#[test]
fn a_paused_sweep_keeps_whose_turn_it_is() {
    let mut story = with_an_early_trial();
    let (sweep, at) = (SweepId(0), WallMs(0));
    let control = |action| vec![Command::ControlSweep { sweep, action, at }];
    story.apply(None, control(SweepAction::Pause));
    for number in [1, 2] {
        story.end(1, number, AttemptEnd::Yielded);
    }
    story.apply(None, control(SweepAction::Resume));
    story.pass(50);
    assert_eq!(trial(&story, 2).state.name(), "running");
    comes_to_the_end(story, 1);
}
