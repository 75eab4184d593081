//! Requirements of metrics: which trials hold to them, which is the best, and what samplers hear of it.
#![allow(clippy::unwrap_used)]

mod answers;

use std::collections::BTreeMap;

use bonfire_domain::command::{Command, Told};
use bonfire_domain::effect::Effect;
use bonfire_domain::search::{Assignment, Event, Goal, Sampler};
use bonfire_domain::spec::check;
use bonfire_domain::suggest::events;
use bonfire_domain::view::{self, TrialRow};
use bonfire_domain::{Attempt, Cluster, LogIndex, SweepId, TrialId, WallMs};
use proptest::prelude::*;

const SWEEP: SweepId = SweepId(0);
const AT: WallMs = WallMs(1);

/// One trial's next word: its number, the unit of an intermediate value, the value, its metrics.
type Word<'a> = (u32, Option<u64>, f64, &'a [(&'a str, f64)]);

struct Sweep {
    cluster: Cluster,
    index: u64,
    /// Fed with what the cluster said, as it said it.
    sampler: Sampler,
}

impl Sweep {
    fn new(search: &str, trials: u32) -> Sweep {
        let text = format!("kind: sweep\nversion: 1\nname: t\ntrials: external\nsearch:\n{search}");
        let spec = check(text.as_bytes(), &[]).unwrap();
        let mut told = Sweep {
            cluster: Cluster::new(),
            index: 0,
            sampler: spec.sampler().unwrap(),
        };
        told.apply(Command::CreateSweep {
            request: 1,
            name: "t-1".to_owned(),
            spec: spec.canonical(),
            dataset: None,
            at: AT,
        });
        for number in 0..trials {
            let x = f64::from(number) / 16.0;
            let parameters =
                Assignment::from([("x".to_owned(), bonfire_domain::search::Value::Real(x))]);
            told.apply(Command::CreateTrials {
                sweep: SWEEP,
                first: number,
                seen: LogIndex(0),
                parameters: vec![parameters],
                exhausted: None,
                at: AT,
            });
            let trial = id(number);
            told.apply(Command::Give {
                request: u64::from(number) + 1,
                trial,
                attempt: Attempt(1),
                at: AT,
            });
        }
        told
    }

    fn apply(&mut self, command: Command) -> Vec<Effect> {
        self.index += 1;
        let effects = self.cluster.apply(LogIndex(self.index), command);
        for effect in &effects {
            if let Effect::Learned { event, .. } = effect {
                self.sampler.observe(event);
            }
        }
        effects
    }

    /// `Err`: the refusal.
    fn tell(&mut self, word: Word<'_>) -> Result<(), String> {
        match self.say(word).as_slice() {
            [Effect::Refused(refusal)] => Err(refusal.to_string()),
            _ => Ok(()),
        }
    }

    fn say(&mut self, (number, unit, value, metrics): Word<'_>) -> Vec<Effect> {
        let told = match unit {
            Some(at) => Told::Intermediate { at, value },
            None => Told::Value { value },
        };
        let metrics = metrics
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value));
        self.apply(Command::TellMeasured {
            trial: id(number),
            attempt: Attempt(1),
            told,
            metrics: metrics.collect(),
            at: AT,
        })
    }

    fn rows(&self) -> Vec<TrialRow> {
        view::sweep(&self.cluster, SWEEP, AT).unwrap().trials
    }

    /// Whether the state that is read back, and the sampler that is built again, are the ones there are.
    fn check_restart(&self) {
        let restored = Cluster::decode(&self.cluster.encode()).unwrap();
        assert_eq!(restored, self.cluster);
        let sweep = restored.sweep(SWEEP).unwrap();
        let mut rebuilt = sweep.spec.sampler().unwrap();
        for (_, event) in events(sweep) {
            rebuilt.observe(&event);
        }
        let next = sweep.next;
        assert_eq!(
            rebuilt.suggest_many(next, 2),
            self.sampler.suggest_many(next, 2)
        );
    }
}

/// The numbers of trials, best first.
fn order(rows: &mut [TrialRow]) -> String {
    rows.sort_by(|a, b| a.compare(b, Goal::Minimize));
    let numbers: Vec<String> = rows.iter().map(|row| row.number.to_string()).collect();
    numbers.join(" ")
}

fn id(number: u32) -> TrialId {
    TrialId {
        sweep: SWEEP,
        number,
    }
}

const SEARCH: &str = "  objective: { metric: loss, goal: minimize }\n  limit: { trials: 99 }\n  \
                      sampler: { kind: tpe }\n  require: [ metrics.ms <= 20, metrics.mb < 8 or x > 0.5 ]\n  \
                      parameters: { x: { min: 0.0, max: 1.0 } }\n";

/// Tells a sweep of as many trials as the words are of; gives what refused ones are refused with, too.
#[track_caller]
fn tell_all(search: &str, words: &[Word<'_>]) -> (Sweep, Vec<String>) {
    let trials = words.iter().map(|word| word.0).max().unwrap_or(0) + 1;
    let mut told = Sweep::new(search, trials);
    let mut refusals = Vec::new();
    for word in words {
        refusals.extend(told.tell(*word).err());
        told.check_restart();
    }
    (told, refusals)
}

/// Words in order; what a refused one is refused with is part of `expected`, then each trial as `value feasible violation`, then
/// the best trial's number and the order of all.
#[track_caller]
fn check_words(words: &[Word<'_>], expected: &[&str]) {
    let (told, mut found) = tell_all(SEARCH, words);
    let mut rows = told.rows();
    for row in &rows {
        let feasible = row
            .feasible
            .map_or("-".to_owned(), |feasible| feasible.to_string());
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| value.to_string());
        found.push(format!(
            "{} {feasible} {}",
            number(row.value),
            number(row.violation)
        ));
    }
    let order = order(&mut rows);
    let best = told.cluster.sweep(SWEEP).unwrap().best;
    let best = best.map_or("-".to_owned(), |(value, number)| {
        format!("{value} of {number}")
    });
    found.push(format!("best {best}, order {order}"));
    assert_eq!(found, expected);
}

#[test]
fn feasible_trials_come_first_and_one_of_them_is_the_best() {
    check_words(
        &[
            (0, None, 0.1, &[("ms", 30.0), ("mb", 1.0)]),
            (1, None, 0.9, &[("ms", 20.0), ("mb", 1.0)]),
            (2, None, 0.2, &[("ms", 25.0), ("mb", 9.0)]),
            (3, None, 0.5, &[("ms", 1.0), ("mb", 7.5)]),
            (4, None, 0.0, &[("ms", 21.0), ("mb", 1.0)]),
        ],
        &[
            "0.1 false 10",
            "0.9 true -",
            "0.2 false 5.375",
            "0.5 true -",
            "0 false 1",
            "best 0.5 of 3, order 3 1 4 2 0",
        ],
    );
}

#[test]
fn metrics_are_told_by_the_end() {
    check_words(
        &[
            (0, Some(1), 0.1, &[]),
            (0, None, 0.3, &[("ms", 9.0)]),
            (0, None, 0.3, &[("ms", 9.0), ("gb", 9.0)]),
            (0, None, 0.3, &[("ms", f64::NAN)]),
            (0, None, 0.3, &[("ms", 9.0), ("mb", 1.0)]),
        ],
        &[
            "the search compares trials by mb too, and nobody has told it: tell it with the value (--metric mb=NUMBER)",
            "neither search.require nor search.objectives names gb, only mb, ms: leave it out",
            "the value is not a finite number: tell the trial as failed instead",
            // What was told before goes by what is told first.
            "0.1 true -",
            "best 0.1 of 0, order 0",
        ],
    );
    check_words(
        &[
            (0, Some(1), 0.1, &[]),
            (0, None, 0.3, &[("ms", 22.0), ("mb", 1.0)]),
            (1, Some(1), 0.2, &[("ms", 22.0), ("mb", 1.0)]),
            (1, None, 0.2, &[("ms", 11.0)]),
            (2, Some(3), 0.7, &[("ms", 5.0)]),
        ],
        &[
            "0.1 false 2",
            "0.2 true -",
            "0.7 - -",
            "best 0.2 of 1, order 1 2 0",
        ],
    );
}

#[test]
fn the_value_of_a_trial_is_of_evaluations_that_hold() {
    check_words(
        &[
            (0, Some(1), 0.5, &[("ms", 9.0), ("mb", 1.0)]),
            (0, Some(2), 0.1, &[("ms", 29.0)]),
            (0, Some(3), 0.4, &[("ms", 9.0)]),
            (1, Some(1), 0.2, &[("ms", 29.0), ("mb", 1.0)]),
            (1, Some(2), 0.6, &[("ms", 9.0)]),
            (1, Some(3), 0.3, &[("ms", 23.0)]),
        ],
        &["0.4 true -", "0.6 true -", "best 0.4 of 0, order 0 1"],
    );
}

#[test]
fn a_parameter_may_make_a_metric_good() {
    // Trial 9 has x = 0.5625: what mb is does not matter there.
    let all: Vec<Word<'_>> = (0..10)
        .map(|n| (n, None, 1.0, &[("ms", 1.0), ("mb", 9.0)][..]))
        .collect();
    let mut told = Sweep::new(SEARCH, 10);
    for word in all {
        told.tell(word).unwrap();
    }
    let feasible: Vec<bool> = told
        .rows()
        .iter()
        .map(|row| row.feasible.unwrap())
        .collect();
    assert_eq!(
        feasible,
        [
            false, false, false, false, false, false, false, false, false, true
        ]
    );
}

#[test]
fn under_rungs_what_breaks_waits_behind_what_does_not() {
    let search = SEARCH.replace(
        "sampler: { kind: tpe }",
        "scheduler: { kind: asha, max: 4, eta: 2 }",
    );
    let mut told = Sweep::new(&search, 4);
    let good: &[(&str, f64)] = &[("ms", 1.0), ("mb", 1.0)];
    let bad: &[(&str, f64)] = &[("ms", 40.0), ("mb", 1.0)];
    told.tell((0, Some(1), 0.1, bad)).unwrap();
    told.tell((1, Some(1), 0.9, good)).unwrap();
    told.tell((2, Some(1), 0.8, bad)).unwrap();
    let scheduler = told.cluster.sweep(SWEEP).unwrap().scheduler();
    assert_eq!(
        scheduler.until(1),
        Some(2),
        "the only one that holds is promoted at once"
    );
    assert_eq!(scheduler.until(0), Some(1));
    told.check_restart();
}

#[test]
fn old_snapshots_have_no_metrics() {
    let told = Sweep::new(SEARCH, 1);
    let mut bytes = told.cluster.encode();
    assert_eq!(bytes.pop(), Some(0), "no dataset");
    assert_eq!(bytes.pop(), Some(0), "no sweep with more");
    bytes[..2].copy_from_slice(&2u16.to_le_bytes());
    assert_eq!(Cluster::decode(&bytes).unwrap(), told.cluster);
}

#[test]
fn old_snapshots_have_metrics_and_no_other_objectives() {
    let mut told = Sweep::new(SEARCH, 1);
    told.tell((0, None, 0.5, &[("ms", 1.0), ("mb", 1.0)]))
        .unwrap();
    let mut bytes = told.cluster.encode();
    // The values of the other objectives, the sweeps it learned from, the trials ahead of their turn, the times; the newest dataset.
    assert_eq!(bytes.split_off(bytes.len() - 5), [0; 5]);
    bytes[..2].copy_from_slice(&3u16.to_le_bytes());
    assert_eq!(Cluster::decode(&bytes).unwrap(), told.cluster);
}

const SEVERAL: &str = "  objectives: [ { metric: loss }, { metric: ms, goal: minimize } ]\n  limit: { trials: 99 }\n  \
                       sampler: { kind: tpe }\n  parameters: { x: { min: 0.0, max: 1.0 } }\n";

/// Words in order; what a refused one is refused with is part of `expected`, then each trial as `value [values]`, with a star
/// where no other dominates it, and the order of all.
#[track_caller]
fn check_several(search: &str, words: &[Word<'_>], expected: &[&str]) {
    let (told, mut found) = tell_all(search, words);
    let mut rows = told.rows();
    for row in &rows {
        let value = row.value.map_or("-".to_owned(), |value| value.to_string());
        let star = if row.pareto.unwrap() { " *" } else { "" };
        found.push(format!("{value} {:?}{star}", row.values));
    }
    let order = order(&mut rows);
    found.push(format!("order {order}"));
    assert_eq!(found, expected);
}

#[test]
fn of_several_objectives_a_front_is_best() {
    check_several(
        SEVERAL,
        &[
            (0, None, 0.5, &[("ms", 3.0)]),
            (1, None, 0.6, &[("ms", 9.0)]),
            (2, None, 0.1, &[("ms", 8.0)]),
            (3, None, 0.9, &[("ms", 1.0)]),
            (4, None, 0.5, &[("ms", 3.0)]),
        ],
        &[
            "0.5 [0.5, 3.0] *",
            "0.6 [0.6, 9.0]",
            "0.1 [0.1, 8.0] *",
            "0.9 [0.9, 1.0] *",
            "0.5 [0.5, 3.0] *",
            "order 2 0 4 3 1",
        ],
    );
}

#[test]
fn a_trial_stands_for_the_evaluation_whose_first_objective_is_best() {
    let missing = "the search compares trials by ms too, and nobody has told it: tell it with the value (--metric ms=NUMBER)";
    check_several(
        SEVERAL,
        &[
            (0, Some(1), 0.5, &[]),
            (0, Some(1), 0.5, &[("ms", 3.0)]),
            (0, Some(2), 0.2, &[]),
            (0, Some(3), 0.3, &[("ms", 1.0)]),
            (0, None, 0.3, &[]),
            (1, None, 0.1, &[("mb", 3.0)]),
            (1, None, 0.1, &[]),
            (1, None, 0.2, &[("ms", 2.5)]),
        ],
        &[
            missing,
            "neither search.require nor search.objectives names mb, only ms: leave it out",
            missing,
            "0.2 [0.2, 3.0]",
            "0.2 [0.2, 2.5] *",
            "order 1 0",
        ],
    );
}

#[test]
fn what_breaks_a_requirement_is_not_on_the_front() {
    let search = SEVERAL.replace("sampler:", "require: [ metrics.mb <= 10 ]\n  sampler:");
    check_several(
        &search,
        &[
            (0, None, 0.1, &[("ms", 1.0), ("mb", 11.0)]),
            (1, None, 0.6, &[("ms", 9.0), ("mb", 10.0)]),
            (2, Some(1), 0.1, &[("ms", 1.0)]),
            (2, None, 0.3, &[("mb", 12.0)]),
            (3, Some(1), 0.5, &[("ms", 9.5), ("mb", 1.0)]),
            (3, None, 0.2, &[("ms", 9.5), ("mb", 20.0)]),
        ],
        &[
            "0.1 []",
            "0.6 [0.6, 9.0] *",
            "0.1 []",
            "0.5 [0.5, 9.5] *",
            "order 3 1 0 2",
        ],
    );
}

fn metrics() -> impl Strategy<Value = BTreeMap<String, f64>> {
    let name = prop_oneof![Just("ms".to_owned()), Just("mb".to_owned())];
    proptest::collection::btree_map(name, 0.0..40.0f64, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_restart_changes_nothing_with_several_objectives_either(
        words in proptest::collection::vec((0u32..14, proptest::option::of(1u64..6), -3i32..3, metrics()), 0..60),
    ) {
        let search = SEVERAL.replace("sampler:", "require: [ metrics.mb <= 10 ]\n  sampler:");
        let mut told = Sweep::new(&search, 14);
        for (number, unit, value, metrics) in &words {
            let metrics: Vec<(&str, f64)> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let _ = told.tell((*number, *unit, f64::from(*value), &metrics));
        }
        told.check_restart();
        for row in told.rows() {
            let stands = row.pareto == Some(true);
            prop_assert!(!stands || (row.feasible == Some(true) && row.values.len() == 2), "{:?}", row);
        }
    }

    #[test]
    fn a_restart_at_any_time_changes_nothing(
        words in proptest::collection::vec((0u32..14, proptest::option::of(1u64..6), -3i32..3, metrics()), 0..60),
    ) {
        let mut told = Sweep::new(SEARCH, 14);
        for (number, unit, value, metrics) in &words {
            let metrics: Vec<(&str, f64)> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let _ = told.tell((*number, *unit, f64::from(*value), &metrics));
        }
        told.check_restart();
        let sweep = told.cluster.sweep(SWEEP).unwrap();
        let rows = told.rows();
        if let Some((value, number)) = sweep.best {
            prop_assert_eq!(rows[number as usize].feasible, Some(true));
            prop_assert_eq!(rows[number as usize].value, Some(value));
        }
        let heard = events(sweep).into_iter().filter(|(_, event)| matches!(event, Event::Violated { .. })).count();
        prop_assert!(heard > 0 || rows.iter().all(|row| row.feasible != Some(false)));
    }
}
