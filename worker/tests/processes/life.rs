//! The life of executor processes, with trials that train nothing.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use std::os::unix::process::{CommandExt, ExitStatusExt};

use bonfire_domain::Attempt;
use bonfire_worker::executor::frame::{Decoder, ExecutorEvent};
use bonfire_worker::executor::{Limits, SlotOrder};

use crate::rig::{Rig, lives, published, start, trial};

const QUICK: &str = "name: t\nmodel: { kind: noop, x: 0.5 }\ntrain: { epochs: 4 }\n";
/// Runs until it is ended.
const ENDLESS: &str = "name: t\nmodel: { kind: noop, x: 0.5, sleep: 1h }\ntrain: { epochs: 4 }\n";

pub fn a_noop_reports_its_curve() {
    let mut rig = Rig::new();
    rig.begin(start(1, QUICK, 4, None));
    rig.ready();
    let story = rig.story(1);
    let expected = [1, 2, 3, 4].map(|e| (e, 0.2 * 0.2 + 1.0 / e as f64));
    for (found, expected) in story.observed.iter().zip(expected) {
        assert_eq!(found.0, expected.0);
        assert!(
            (found.1 - expected.1).abs() < 1e-12,
            "{found:?} {expected:?}"
        );
    }
    assert_eq!(story.observed.len(), 4);
    let points: Vec<(&str, u64)> = story
        .points
        .iter()
        .map(|p| (p.key.as_str(), p.step))
        .collect();
    assert_eq!(points, [1, 2, 3, 4].map(|step| ("valid.loss", step)));
    assert_eq!(story.ending(), "reached its target");
}

pub fn a_warm_process_is_used_again() {
    let mut rig = Rig::new();
    rig.ready();
    for number in 0..50 {
        rig.begin(start(number, QUICK, 2, None));
        // A second `ready` in between would fail the story.
        let story = rig.story(number);
        assert_eq!(
            (story.ending().as_str(), story.observed.len()),
            ("reached its target", 2)
        );
    }
}

pub fn a_noop_goes_on_from_its_checkpoint() {
    let mut rig = Rig::new();
    rig.ready();
    rig.begin(start(1, QUICK, 2, None));
    let story = rig.story(1);
    assert_eq!(story.written.len(), 1, "a rung is a checkpoint");
    let written = &story.written[0];
    assert_eq!(
        (written.step, written.epoch, written.manifest),
        (2, 2, None)
    );
    assert_eq!(written.value, Some(story.observed[1].1));
    rig.begin(start(1, QUICK, 4, Some(published(written))));
    let story = rig.story(1);
    let epochs: Vec<u64> = story.observed.iter().map(|o| o.0).collect();
    assert_eq!(epochs, [3, 4]);
    assert!(story.written.is_empty(), "the end of the budget is no rung");
}

pub fn checkpoints_fall_where_they_are_asked_for() {
    let mut rig = Rig::new();
    rig.ready();
    let spec = format!("{QUICK}checkpoint: {{ every: 1 epochs }}\n");
    rig.begin(start(1, &spec, 3, None));
    let steps: Vec<u64> = rig.story(1).written.iter().map(|w| w.step).collect();
    assert_eq!(steps, [1, 2, 3]);
}

pub fn an_end_is_obeyed_at_once() {
    let mut rig = Rig::new();
    rig.ready();
    for (number, save, ending) in [
        (1, false, "stopped on order"),
        (2, true, "saved and yielded its slot"),
    ] {
        rig.begin(start(number, ENDLESS, 4, None));
        rig.started();
        rig.end(number, save);
        assert_eq!(rig.story(number).ending(), ending);
    }
    // What is told of one attempt does not touch the next.
    rig.end(2, false);
    rig.begin(start(3, QUICK, 4, None));
    assert_eq!(rig.story(3).ending(), "reached its target");
}

pub fn an_end_that_comes_before_its_trial_is_obeyed() {
    let mut rig = Rig::new();
    rig.begin(start(1, ENDLESS, 4, None));
    rig.end(1, false);
    rig.ready();
    assert_eq!(rig.story(1).ending(), "stopped on order");
}

pub fn a_failure_costs_the_process() {
    let mut rig = Rig::new();
    let first = rig.ready();
    let mut order = start(1, QUICK, 4, None);
    order.spec = "{}".into();
    rig.begin(order);
    let story = rig.story(1);
    assert!(
        story.ending().starts_with("cannot be trained: spec: "),
        "{}",
        story.ending()
    );
    assert!(!story.died);
    assert_ne!(rig.ready(), first);
    rig.begin(start(2, QUICK, 4, None));
    assert_eq!(rig.story(2).ending(), "reached its target");
}

pub fn a_worn_process_is_replaced() {
    let mut rig = Rig::with("executor", 2);
    let first = rig.ready();
    for number in 0..2 {
        rig.begin(start(number, QUICK, 4, None));
        rig.story(number);
    }
    assert_ne!(rig.ready(), first);
}

pub fn a_process_that_has_grown_is_replaced() {
    // Long enough for its memory to be looked at.
    const WHILE: &str =
        "name: t\nmodel: { kind: noop, x: 0.5, sleep: 500ms }\ntrain: { epochs: 4 }\n";
    let mut rig = Rig::configured("executor", |config| config.resident_max = 1);
    let first = rig.ready();
    rig.begin(start(1, WHILE, 4, None));
    assert_eq!(rig.story(1).ending(), "reached its target");
    assert_ne!(rig.ready(), first);
}

pub fn a_process_is_nicer_than_its_worker() {
    let niceness = |pid: u32| -> i32 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        // proc(5): field 19, and the state after the name is field 3.
        rest.split(' ').nth(16).unwrap().parse().unwrap()
    };
    let mut rig = Rig::configured("executor", |config| config.nice = 7);
    let pid = rig.ready();
    rig.begin(start(1, QUICK, 4, None));
    rig.story(1);
    assert_eq!(niceness(pid), niceness(std::process::id()) + 7);
}

pub fn a_kill_from_outside_is_lost() {
    let mut rig = Rig::new();
    let pid = rig.ready();
    rig.begin(start(1, ENDLESS, 4, None));
    rig.started();
    kill(pid, nix::sys::signal::SIGKILL);
    let story = rig.story(1);
    assert_eq!(
        (story.ending().as_str(), story.died),
        ("lost: executor killed from outside", true)
    );
    let pid = rig.ready();
    rig.begin(start(2, ENDLESS, 4, None));
    rig.started();
    kill(pid, nix::sys::signal::SIGABRT);
    assert_eq!(rig.story(2).ending(), "executor died by signal 6");
}

fn kill(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

pub fn limits_end_an_attempt() {
    let mut rig = Rig::new();
    let soon = Some(Duration::from_millis(1));
    for (number, limits, ending) in [
        (
            1,
            Limits {
                time: soon,
                ..Limits::default()
            },
            "ran past limits.time",
        ),
        (
            2,
            Limits {
                no_progress: soon,
                ..Limits::default()
            },
            "no progress within limits.no_progress",
        ),
        (
            3,
            Limits {
                memory: Some(1),
                ..Limits::default()
            },
            "out of memory: ",
        ),
    ] {
        rig.ready();
        let order = rig.begin_of(start(number, ENDLESS, 4, None), limits);
        rig.order(order);
        let story = rig.story(number);
        assert!(
            story.ending().starts_with(ending) && story.died,
            "{}",
            story.ending()
        );
    }
    // Killed because it did not obey: that is how it was to end.
    rig.ready();
    rig.begin(start(4, ENDLESS, 4, None));
    rig.started();
    rig.order(SlotOrder::Kill {
        trial: trial(4),
        attempt: Attempt(1),
    });
    assert_eq!(rig.story(4).ending(), "stopped on order");
}

pub fn a_closed_pipe_ends_the_group() {
    // A member of the executor's group that would live on: it holds a pipe open until it is gone.
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("executor")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = i32::try_from(child.id()).unwrap();
    let mut member = Command::new("sleep")
        .arg("3600")
        .process_group(group)
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut decoder = Decoder::default();
    let mut bytes = [0; 256];
    loop {
        let count = output.read(&mut bytes).unwrap();
        assert!(count > 0, "the executor ended early");
        decoder.push(&bytes[..count]);
        if let Some(ExecutorEvent::Ready { pid }) = decoder.frame().unwrap() {
            assert_eq!(pid, child.id());
            break;
        }
    }
    assert!(lives(child.id()));
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(member.wait().unwrap().signal(), Some(9));
}

pub fn junk_from_an_executor_is_contained() {
    let mut rig = Rig::with("junk", 1_000);
    rig.begin(start(1, QUICK, 4, None));
    let story = rig.story(1);
    assert_eq!(
        story.ending(),
        "executor panicked: it wrote what no executor writes"
    );
}
