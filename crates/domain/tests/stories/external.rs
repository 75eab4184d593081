//! Stories of trials that are asked for and told.

use bonfire_domain::command::{Command, SweepAction, Told, TrialAction};
use bonfire_domain::leader::Input;
use bonfire_domain::{SweepId, WallMs};

use crate::story::Story;

const HEAD: &str = "kind: sweep\nversion: 1\nname: story\ntrials: external\n";

fn spec(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

fn value(value: f64) -> Told {
    Told::Value { value }
}

fn at(at: u64, value: f64) -> Told {
    Told::Intermediate { at, value }
}

fn failed() -> Told {
    Told::Failed {
        reason: "out of luck".to_owned(),
    }
}

const PLAIN: &str = "search:
  objective: { metric: loss, goal: minimize }
  sampler: { kind: sobol, seed: 1 }
  limit: { trials: 3 }
  parameters: { x: { min: 0.0, max: 1.0 } }
";

#[test]
fn trials_are_asked_for_and_told() {
    let mut story = Story::new();
    story.submit(&spec(PLAIN));
    story.join(1, 1); // a worker gets none of them
    for request in [71, 72, 71] {
        story.ask(request);
    }
    story.tell(0, 1, value(0.5));
    story.tell(0, 1, value(0.5));
    story.tell(0, 1, value(0.4));
    story.tell(0, 2, value(0.4));
    story.tell(1, 1, value(f64::NAN));
    story.tell(1, 1, failed());
    story.tell(1, 1, failed());
    story.tell(1, 1, at(3, 0.1));
    for request in [73, 74] {
        story.ask(request);
    }
    story.tell(2, 1, at(1, 0.3));
    story.tell(2, 1, at(1, 0.2));
    story.tell(2, 1, at(5, 0.2));
    story.tell(2, 1, value(0.2));
    story.ask(75);
    story.is("ask_and_tell.txt");
}

#[test]
fn what_is_not_told_in_time_is_given_out_again_and_not_for_ever() {
    let mut story = Story::new();
    let limits = "limits: { time: 10s }\nretry: { lost: 1 }\n";
    story.submit(&spec(&format!(
        "{limits}{}",
        PLAIN.replace("trials: 3", "trials: 1")
    )));
    story.ask(71);
    story.pass(9_999);
    story.ask(72);
    story.pass(1);
    story.ask(73);
    story.tell(0, 1, value(0.5));
    story.pass(20_000);
    story.ask(71); // its answer was long ago, and its trial is another's
    story.ask(74);
    story.is("untold.txt");
}

#[test]
fn a_late_value_counts_while_nobody_else_has_the_trial() {
    let mut story = Story::new();
    story.submit(&spec(&format!("limits: {{ time: 10s }}\n{PLAIN}")));
    story.ask(71);
    story.pass(60_000);
    story.tell(0, 1, value(0.5));
    story.is("late_value.txt");
}

#[test]
fn asha_lets_the_best_go_on_and_gives_the_others_out_again_when_they_are() {
    let mut story = Story::new();
    let scheduler = "scheduler: { kind: asha, min: 1, max: 9, eta: 2 }\n  limit: { trials: 4 }";
    story.submit(&spec(&PLAIN.replace("limit: { trials: 3 }", scheduler)));
    story.ask(71);
    story.tell(0, 1, at(1, 0.9));
    story.ask(72);
    story.tell(1, 1, at(1, 0.5));
    story.tell(1, 1, at(2, 0.4));
    story.ask(73);
    story.tell(2, 1, at(1, 0.95));
    story.ask(74);
    story.tell(3, 1, at(1, 0.97));
    story.ask(75);
    story.tell(0, 2, at(1, 0.9));
    story.tell(0, 2, at(2, 0.3));
    story.tell(0, 2, at(9, 0.2));
    story.tell(0, 2, value(0.2));
    story.is("ask_asha.txt");
}

#[test]
fn a_trial_that_a_user_resumes_from_a_rung_goes_on_to_the_end() {
    let mut story = Story::new();
    let scheduler = "scheduler: { kind: asha, min: 1, max: 4, eta: 2 }\n  limit: { trials: 4 }";
    story.submit(&spec(&PLAIN.replace("limit: { trials: 3 }", scheduler)));
    story.ask(71);
    story.tell(0, 1, at(1, 0.9));
    story.say("a user resumes it");
    let trial = story.current(0).0;
    let action = TrialAction::Resume;
    story.apply(
        None,
        vec![Command::ControlTrial {
            trial,
            action,
            at: WallMs(0),
        }],
    );
    story.ask(72);
    for (unit, height) in [(1, 0.9), (2, 0.8), (4, 0.7)] {
        story.tell(0, 2, at(unit, height));
    }
    story.tell(0, 2, value(0.7));
    story.is("ask_resumed.txt");
}

#[test]
fn a_paused_sweep_gives_none_and_still_hears() {
    let mut story = Story::new();
    story.submit(&spec(PLAIN));
    story.ask(71);
    story.ask(72);
    let control = |action| {
        vec![Command::ControlSweep {
            sweep: SweepId(0),
            action,
            at: WallMs(0),
        }]
    };
    story.say("a user pauses");
    story.apply(None, control(SweepAction::Pause));
    story.ask(73);
    story.tell(0, 1, value(0.5));
    story.say("a user resumes");
    story.apply(None, control(SweepAction::Resume));
    story.ask(74);
    story.say("a user stops trial 1");
    let trial = story.current(1).0;
    let action = TrialAction::Stop;
    story.apply(
        None,
        vec![Command::ControlTrial {
            trial,
            action,
            at: WallMs(0),
        }],
    );
    story.tell(1, 1, at(1, 0.1));
    story.tell(1, 1, value(0.1));
    story.say("a user cancels");
    story.apply(None, control(SweepAction::Cancel { save: false }));
    story.tell(2, 1, at(1, 0.1));
    story.ask(75);
    story.is("ask_control.txt");
}

#[test]
fn a_good_value_and_many_failures_end_the_sweep() {
    for (name, limit, told) in [
        ("ask_stop_at.txt", "stop_at: 0.1", at(1, 0.05)),
        ("ask_failed.txt", "stop_at: 0.0", failed()),
    ] {
        let mut story = Story::new();
        let text = PLAIN
            .replace("goal: minimize", &format!("goal: minimize, {limit}"))
            .replace("trials: 3", "trials: 9, failed_trials: 1");
        story.submit(&spec(&text));
        story.ask(71);
        story.ask(72);
        story.tell(0, 1, told);
        story.tell(1, 1, value(1.0));
        story.ask(73);
        story.is(name);
    }
}

/// It has a value, so it is pruned where the sweep ends; what its asker tells then is answered.
#[test]
fn who_has_told_something_when_the_sweep_ends_hears_of_it() {
    let mut story = Story::new();
    let text = PLAIN.replace("goal: minimize", "goal: minimize, stop_at: 0.1");
    story.submit(&spec(&text));
    story.ask(71);
    story.ask(72);
    story.tell(1, 1, at(1, 0.9));
    story.tell(0, 1, value(0.05));
    story.tell(1, 1, value(0.8));
    story.tell(1, 1, failed());
    story.is("ask_stop_told.txt");
}

#[test]
fn a_grid_ends_by_itself() {
    let mut story = Story::new();
    let text = PLAIN
        .replace("sobol", "grid")
        .replace("{ trials: 3 }", "{ failed_trials: 3 }")
        .replace("{ min: 0.0, max: 1.0 }", "{ values: [1, 2] }");
    story.submit(&spec(&text));
    story.ask(71);
    story.tell(0, 1, value(0.5));
    story.ask(72);
    story.tell(1, 1, value(0.4));
    story.is("ask_grid.txt");
}

#[test]
fn many_ask_at_once_and_one_leaves() {
    let mut story = Story::new();
    story.submit(&spec(PLAIN));
    story.say("six ask before the sampler has answered");
    let sweep = SweepId(0);
    let mut asked = Vec::new();
    for request in 71..77 {
        let input = Input::Asked { sweep, request };
        asked.extend(story.leader.step(story.time(), &story.cluster, input));
    }
    assert_eq!(asked.len(), 1, "one question to the sampler: {asked:?}");
    story.event("asker 72 leaves", Input::Unasked { sweep, request: 72 });
    story.act(asked);
    story.stand();
    story.is("ask_many.txt");
}
