//! `search.from`: what a new sweep takes over from others, and that nothing that happens to them later changes it.
#![allow(clippy::unwrap_used)]

use bonfire_domain::cluster::SOURCE_TRIALS_MAX;
use bonfire_domain::command::{Command, SweepAction, SweepEnding, Told};
use bonfire_domain::effect::Effect;
use bonfire_domain::search::{Assignment, Value};
use bonfire_domain::spec::check;
use bonfire_domain::{Attempt, Cluster, LogIndex, Suggester, SweepId, TrialId, WallMs};

const AT: WallMs = WallMs(1);
const LOSS: &str = "  objective: { metric: loss, goal: minimize }\n";
const PLAIN: &str = "  parameters: { x: { min: 0.0, max: 1.0 } }\n";

#[derive(Default)]
struct Log {
    cluster: Cluster,
    index: u64,
}

impl Log {
    fn apply(&mut self, command: Command) -> Vec<Effect> {
        self.index += 1;
        self.cluster.apply(LogIndex(self.index), command)
    }

    /// `Err`: the refusal.
    fn submit(&mut self, name: &str, search: &str) -> Result<SweepId, String> {
        let text = format!(
            "kind: sweep\nversion: 1\nname: t\ntrials: external\nsearch:\n  limit: {{ trials: 999 }}\n{search}"
        );
        let spec = check(text.as_bytes(), &[]).unwrap();
        let effects = self.apply(Command::CreateSweep {
            request: self.index + 1,
            name: name.to_owned(),
            spec: spec.canonical(),
            dataset: None,
            at: AT,
        });
        match effects.as_slice() {
            [Effect::SweepCreated { sweep }] => Ok(*sweep),
            [Effect::Refused(refusal)] => Err(refusal.to_string()),
            other => panic!("{other:?}"),
        }
    }

    /// A trial at `x` that comes to `value`, or fails.
    fn trial(&mut self, sweep: SweepId, x: f64, value: Option<f64>) {
        let first = self.cluster.sweep(sweep).unwrap().next;
        self.apply(Command::CreateTrials {
            sweep,
            first,
            seen: LogIndex(0),
            parameters: vec![Assignment::from([("x".to_owned(), Value::Real(x))])],
            exhausted: None,
            at: AT,
        });
        let trial = TrialId {
            sweep,
            number: first,
        };
        self.apply(Command::Give {
            request: self.index + 1_000,
            trial,
            attempt: Attempt(1),
            at: AT,
        });
        let told = match value {
            Some(value) => Told::Value { value },
            None => Told::Failed {
                reason: String::new(),
            },
        };
        self.apply(Command::Tell {
            trial,
            attempt: Attempt(1),
            told,
            at: AT,
        });
    }

    fn first_suggestions(&self, sweep: SweepId) -> Vec<Assignment> {
        let mut suggester = Suggester::new();
        suggester.rebuild_sweep(&self.cluster, sweep);
        suggester.suggest(sweep, 0, 8).0
    }
}

/// `old-1`, with 40 trials whose best is at x = 0.7.
fn with_an_old_one() -> (Log, SweepId) {
    let mut log = Log::default();
    let old = log.submit("old-1", &format!("{LOSS}{PLAIN}")).unwrap();
    for i in 0..40 {
        let x = f64::from(i) / 40.0;
        log.trial(old, x, (i % 9 != 8).then_some(1e6 + (x - 0.7) * (x - 0.7)));
    }
    (log, old)
}

#[track_caller]
fn check_refused(search: &str, expected: &str) {
    let (mut log, _) = with_an_old_one();
    let refused = log.submit("new-1", search).unwrap_err();
    assert_eq!(refused, format!("search.from: {expected}"));
    assert_eq!(log.cluster.sweep_named("new-1"), None);
    assert_eq!(log.cluster.sweeps().count(), 1);
}

#[test]
fn what_cannot_be_learned_from_is_refused_before_anything_is_created() {
    let from = "  from: [ old-1 ]\n";
    check_refused(
        &format!("{LOSS}{PLAIN}  from: [ old-1, old-2 ]\n"),
        "there is no sweep old-2 to learn from; see bonfire sweep list for whole names",
    );
    let other = "  objective: { metric: accuracy, goal: maximize }\n";
    check_refused(
        &format!("{other}{PLAIN}{from}"),
        "nothing can be learned from old-1: its objective is loss (minimize), here it is accuracy (maximize): only the same \
         can be learned from",
    );
    let nothing = "nothing can be learned from old-1: none of its trials has ended with a value for parameters that this \
                   search has, in their ranges";
    let y = "  parameters: { y: { min: 0.0, max: 1.0 } }\n";
    check_refused(&format!("{LOSS}{y}{from}"), nothing);
    let far = "  parameters: { x: { min: 2.0, max: 3.0 } }\n";
    check_refused(&format!("{LOSS}{far}{from}"), nothing);
}

#[test]
fn the_first_suggestions_are_near_what_was_good_and_stay_what_they_are() {
    let (mut log, old) = with_an_old_one();
    let two = "  parameters: { x: { min: 0.5, max: 1.0 }, y: { min: 1, max: 9 } }\n";
    let new = log
        .submit("new-1", &format!("{LOSS}{two}  from: [ old-1 ]\n"))
        .unwrap();
    let source = &log.cluster.sweep(new).unwrap().sources()[0];
    assert_eq!(
        (source.sweep.as_str(), source.upto),
        ("old-1", LogIndex(log.index))
    );
    // Those with x below 0.5 are out of its range.
    assert_eq!(source.trials.len(), 20);
    assert_eq!(source.trials[0].parameters["x"], Value::Real(0.7));
    assert_eq!(source.trials[0].place, 0.0);

    let first = log.first_suggestions(new);
    let x = |point: &Assignment| point["x"].as_f64().unwrap();
    let near = first
        .iter()
        .filter(|point| (x(point) - 0.7).abs() < 0.12)
        .count();
    assert!(near >= 5, "{first:?}");
    assert!(first.iter().all(|point| point.contains_key("y")));

    log.trial(old, 0.95, Some(0.0));
    assert_eq!(log.first_suggestions(new), first, "what came later");
    log.cluster = Cluster::decode(&log.cluster.encode()).unwrap();
    assert_eq!(log.first_suggestions(new), first, "read back");
    for action in [SweepAction::Cancel { save: false }, SweepAction::Delete] {
        log.apply(Command::ControlSweep {
            sweep: old,
            action,
            at: AT,
        });
        log.apply(Command::Finish {
            sweep: old,
            ending: SweepEnding::Cancelled,
            reason: String::new(),
            at: AT,
        });
    }
    assert_eq!(log.cluster.sweep_named("old-1"), None);
    assert_eq!(log.first_suggestions(new), first, "deleted");
}

#[test]
fn what_is_taken_over_is_bounded() {
    let mut log = Log::default();
    let old = log.submit("old-1", &format!("{LOSS}{PLAIN}")).unwrap();
    let count = 300;
    for i in 0..count {
        let x = f64::from(i) / f64::from(count);
        log.trial(old, x, Some(x));
    }
    let new = log
        .submit("new-1", &format!("{LOSS}{PLAIN}  from: [ old-1 ]\n"))
        .unwrap();
    let trials = &log.cluster.sweep(new).unwrap().sources()[0].trials;
    assert_eq!(trials.len(), SOURCE_TRIALS_MAX);
    let x: Vec<f64> = trials
        .iter()
        .map(|trial| trial.parameters["x"].as_f64().unwrap())
        .collect();
    assert!(x.is_sorted());
    // The 64 best, and the 64 newest, which are the worst here.
    assert_eq!((x[63], x[64]), (63.0 / 300.0, 236.0 / 300.0));
    assert_eq!(trials[127].place, 1.0);
}
