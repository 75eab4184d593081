//! Which worker gets a trial, why none does, and who gets none any more.

use bonfire_domain::command::{Admission, Command};
use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::order::WorkerFacts;
use bonfire_domain::{SweepId, TrialId, WorkerId};

use super::noop;
use super::story::{Story, facts};

fn of(number: u32) -> TrialId {
    let sweep = SweepId(0);
    TrialId { sweep, number }
}

/// Why nothing of the sweep trains.
fn waits_for(story: &Story) -> String {
    let sweep = story.cluster.sweep(SweepId(0)).unwrap();
    let why = story.leader.why_sweep(&story.cluster, sweep);
    why.unwrap_or_default()
}

/// The workers, the rest of the spec or `device` and its device, and what its one trial waits for; `running` if it has a slot.
#[track_caller]
fn check(workers: &[WorkerFacts], rest: &str, expected: &str) {
    let mut story = Story::new();
    for facts in workers {
        story.join_as(facts.clone(), None);
    }
    let text = match rest.strip_prefix("device ") {
        Some(device) => noop("resources: { gpu: 1 }\n")
            .replace("epochs: 9", &format!("epochs: 9, device: \"{device}\"")),
        None => noop(rest),
    };
    story.submit(&text);
    let runs = !story
        .cluster
        .sweep(SweepId(0))
        .unwrap()
        .running()
        .is_empty();
    let why = waits_for(&story);
    let why = if runs { "running" } else { &why };
    assert!(why.contains(expected), "{rest}: {why}");
}

fn gpu(number: u64) -> WorkerFacts {
    let mut facts = facts(number, 1);
    facts.slots[0].device = "cuda:1".to_owned();
    facts
}

fn labelled(number: u64, zone: &str) -> WorkerFacts {
    let mut facts = facts(number, 1);
    facts.labels = [("zone".to_owned(), zone.to_owned())].into();
    facts
}

#[test]
fn a_trial_goes_where_it_fits_or_says_what_is_missing() {
    let cpu = || facts(1, 1);
    check(&[], "", "no worker is connected");
    check(&[cpu()], "", "running");
    let memory = |size: &str| format!("resources: {{ memory: {size} }}\n");
    check(&[cpu()], &memory("1GiB"), "running");
    let lacks = "no worker has 2147483648 bytes of memory";
    check(&[cpu()], &memory("2GiB"), lacks);
    let zone = "resources: { labels: { zone: a } }\n";
    check(&[labelled(1, "a")], zone, "running");
    check(
        &[cpu(), labelled(2, "b"), labelled(3, "a")],
        zone,
        "running",
    );
    check(
        &[cpu(), labelled(2, "b")],
        zone,
        "no worker has label zone: a",
    );
    let both = [cpu(), gpu(2)];
    let on = |device: &str| format!("device {device}");
    check(&both, &on("cuda:1"), "running");
    check(&both, &on("cuda:0"), "no slot has device cuda:0");
    let share = "resources: { gpu: 1 }\n";
    check(&both, share, "running");
    check(&both, "", "running");
    check(&[cpu()], share, "no slot has device cuda");
}

#[test]
fn the_more_urgent_sweep_gets_the_slot() {
    let mut story = Story::new();
    for (name, priority) in [("first", 0), ("second", 5), ("third", -5)] {
        let rest = format!("resources: {{ priority: {priority} }}\n");
        story.submit(&noop(&rest).replace("name: story", &format!("name: {name}")));
    }
    story.join(1, 1);
    let runs = |story: &Story, id| {
        !story
            .cluster
            .sweep(SweepId(id))
            .unwrap()
            .running()
            .is_empty()
    };
    assert_eq!([0, 1, 2].map(|id| runs(&story, id)), [false, true, false]);
}

#[test]
fn a_drained_worker_gets_nothing_new() {
    let mut story = Story::new();
    story.join(1, 1);
    let (worker, at) = (WorkerId(1), story.time().wall);
    let admit = |admission| {
        vec![Command::Admit {
            worker,
            admission,
            at,
        }]
    };
    story.apply(None, admit(Admission::Draining));
    story.submit(&noop(""));
    assert_eq!(
        waits_for(&story),
        "waits: every worker that would do is draining"
    );
    story.apply(None, admit(Admission::Open));
    story.pass(50);
    assert_eq!(story.cluster.sweep(SweepId(0)).unwrap().running().len(), 1);
}

/// One that goes on in the class that wrote its checkpoint has its bits; elsewhere it goes on as well, and says so.
#[test]
fn a_checkpoint_goes_on_in_its_numerics_class_where_it_can() {
    let started = || {
        let mut story = Story::new();
        story.join(1, 1);
        story.submit(&noop(""));
        story.observe(1, 0, 1, 1.0);
        story.save(1, 0, 1, 1.0);
        let mut other = facts(2, 1);
        other.numerics = "other".to_owned();
        (story, other)
    };
    let trial = |story: &Story| story.cluster.trial(of(0)).unwrap().into_owned();
    let failed = || AttemptEnd::Failed {
        failure: Failure::Crashed { signal: 11 },
        detail: "segfault".to_owned(),
    };
    // Of two that are free, the class that wrote it comes first.
    let (mut story, other) = started();
    story.join_as(other.clone(), None);
    story.join(3, 1);
    story.end(1, 0, failed());
    let (worker, at) = (WorkerId(1), story.time().wall);
    story.apply(None, vec![Command::Lose { worker, at }]);
    story.pass(1_000);
    let place = trial(&story).place.unwrap();
    assert_eq!((place.worker, trial(&story).exact), (WorkerId(3), true));
    // Where there is no such one, another class takes it.
    let (mut story, other) = started();
    story.join_as(other, None);
    let at = story.time().wall;
    story.apply(None, vec![Command::Lose { worker, at }]);
    story.pass(1_000);
    let place = trial(&story).place.unwrap();
    assert_eq!((place.worker, trial(&story).exact), (WorkerId(2), false));
    let classes: Vec<String> = trial(&story)
        .history
        .iter()
        .map(|a| a.numerics.clone())
        .collect();
    assert_eq!(classes, ["same", "other"]);
}

/// Three different trials die on one worker: it gets nothing new. One trial that dies three times is its own fault.
#[test]
fn a_worker_on_which_three_trials_die_is_quarantined() {
    const MANY: &str = "retry: { attempts: 9 }\nsearch:\n  sampler: { kind: sobol, seed: 1 }\n  limit: { trials: 3 }\n  \
        parameters:\n    model.x: { min: 0.0, max: 1.0 }\n";
    let died = || AttemptEnd::Failed {
        failure: Failure::Crashed { signal: 6 },
        detail: "abort".to_owned(),
    };
    let admission = |story: &Story| {
        let worker = story.cluster.worker(WorkerId(1)).unwrap();
        worker.admission.clone()
    };
    let mut story = Story::new();
    story.join(1, 3);
    story.submit(&noop(MANY));
    for _ in 0..3 {
        story.end(1, 0, died());
        story.pass(1_000);
        assert_eq!(story.cluster.trial(of(0)).unwrap().state.name(), "running");
    }
    assert_eq!(
        admission(&story),
        Admission::Open,
        "one trial is no evidence"
    );
    story.end(1, 1, died());
    assert_eq!(admission(&story), Admission::Open);
    story.end(1, 2, died());
    assert!(
        matches!(admission(&story), Admission::Quarantined { .. }),
        "{}",
        story.text
    );
    let why = story.leader.why_trial(story.time(), &story.cluster, of(2));
    let said = "every worker that would do is quarantined: 3 different trials died on it within 10 minutes";
    assert!(why.join("; ").contains(said), "{why:?}");
}
