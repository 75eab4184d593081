//! Properties of every scheduler, and what a long sweep under it keeps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{any_event, any_value};
use crate::{
    Assignment, Ending, Event, Goal, Promotion, RealSetting, Scheduler, SchedulerKind, Turn,
    Verdict,
};

fn any_scheduler() -> impl Strategy<Value = Scheduler> {
    let goal = prop_oneof![Just(Goal::Minimize), Just(Goal::Maximize)];
    let kind = prop_oneof![
        Just(SchedulerKind::None),
        (0u64..4, 0u32..4).prop_map(|(min, startup)| SchedulerKind::Median { min, startup }),
        (1u64..3, 2u32..4).prop_map(|(min, eta)| SchedulerKind::Asha { min, max: 9, eta }),
        (1u64..3, 2u32..4).prop_map(|(min, eta)| SchedulerKind::Hyperband { min, max: 9, eta }),
        (1u64..3, 2u32..4).prop_map(|(min, eta)| SchedulerKind::Pasha { min, max: 9, eta }),
        (1u64..3, 2u32..4).prop_map(|(min, eta)| SchedulerKind::Bohb { min, max: 9, eta }),
        (1u32..100, 1u32..4).prop_map(|(percent, startup)| SchedulerKind::Wilcoxon {
            threshold: RealSetting::new(f64::from(percent) / 100.0),
            startup,
        }),
        (0u64..4, 1u64..4, 0.0f64..2.0).prop_map(|(min, patience, delta)| SchedulerKind::Plateau {
            min,
            patience,
            delta: RealSetting::new(delta),
        }),
        (2u32..6, 1u64..9, 1u32..=50).prop_map(|(population, interval, percent)| {
            SchedulerKind::Pbt {
                population,
                interval,
                quantile: RealSetting::new(f64::from(percent) / 100.0),
                resample: RealSetting::new(0.25),
                perturb: RealSetting::new(0.2),
            }
        }),
    ];
    (kind, goal).prop_map(|(kind, goal)| Scheduler::new(kind, goal, 9).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn schedulers_take_any_history(
        mut scheduler in any_scheduler(), events in vec((any_event(), any::<bool>(), vec(0u32..14, 0..8)), 0..120),
    ) {
        let mut promoted = BTreeSet::new();
        let mut next = 1_000;
        for (event, promote, coming) in &events {
            let twin = scheduler.clone();
            let verdict = scheduler.observe(event);
            let once = scheduler.clone();
            if let Event::Observed { number, at, .. } = event {
                prop_assert_eq!(&scheduler.observe(event), &verdict);
                prop_assert_eq!(&scheduler, &once, "told twice");
                if verdict == Verdict::Pause {
                    prop_assert!(scheduler.until(*number).is_some_and(|until| until <= *at));
                }
            }
            let mut twin = twin;
            prop_assert_eq!(twin.observe(event), verdict);
            prop_assert_eq!(&twin, &once, "same events, same state");
            if let Event::Observed { number, .. } = event && *promote {
                scheduler.rested(*number);
            }
            if let Some(Turn::Exploit(copy)) = scheduler.turn(1, next, *promote) {
                prop_assert!(*promote && scheduler.yields(copy.number) && copy.at < 9);
                prop_assert_eq!(scheduler.source(copy.parent), Some(copy.at));
                prop_assert_eq!(scheduler.clone().exploited(copy.parent, next, copy.at).is_some(), scheduler.yields(copy.parent));
                let until = scheduler.exploited(copy.number, next, copy.at);
                prop_assert!(until.is_some_and(|until| until > copy.at));
                prop_assert_eq!(scheduler.until(next), until);
                prop_assert_eq!(scheduler.exploited(copy.number, next + 1, copy.at), None, "taken twice");
                next += 1;
            }
            // A population forgets who left it, and no number is given twice.
            if let Event::Created { number, .. } = event && scheduler.kind().population().is_some() {
                promoted.retain(|(other, _)| other != number);
            }
            if *promote && let Some(Turn::Promote(promotion)) = scheduler.turn(1, next, false) {
                prop_assert_eq!(scheduler.promoted(promotion.number), Some(promotion.until));
                prop_assert_eq!(scheduler.until(promotion.number), Some(promotion.until));
                prop_assert!(promoted.insert((promotion.number, promotion.until)), "promoted twice");
            }
            let owed = scheduler.owed();
            let of_one_line = !matches!(scheduler.kind(), SchedulerKind::Pasha { .. });
            for number in 0..12 {
                let goes_on = !scheduler.rungs().is_empty() && scheduler.clone().promoted(number).is_some();
                prop_assert_eq!(scheduler.is_due(number), goes_on);
                prop_assert!(!goes_on || !of_one_line || owed.contains(&number));
            }
            let ahead = scheduler.ahead(coming);
            prop_assert!(ahead.windows(2).all(|pair| pair[0].until >= pair[1].until));
            for promotion in &ahead {
                prop_assert!(!scheduler.is_due(promotion.number), "its turn has come");
                prop_assert!(scheduler.until(promotion.number).is_some_and(|until| until < promotion.until));
                prop_assert!(!promoted.contains(&(promotion.number, promotion.until)), "went on before");
            }
            let numbers: BTreeSet<u32> = ahead.iter().map(|promotion| promotion.number).collect();
            prop_assert_eq!(numbers.len(), ahead.len());
            let bytes = postcard::to_stdvec(&scheduler).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<Scheduler>(&bytes).unwrap(), &scheduler);
        }
    }

    /// ASHA against a restatement of Algorithm 2 that sorts: same candidates, whatever the order of reports.
    #[test]
    fn asha_promotes_what_sorting_says(values in vec(any_value(), 1..40), eta in 2u32..5) {
        let kind = SchedulerKind::Asha { min: 1, max: u64::from(eta), eta };
        let mut asha = Scheduler::new(kind, Goal::Maximize, 100).unwrap();
        let mut promoted = BTreeSet::new();
        for (i, &value) in values.iter().enumerate() {
            asha.observe(&Event::Observed { number: i as u32, at: 1, value });
            let mut seen: Vec<u32> = (0..=i as u32).collect();
            seen.sort_by(|&a, &b| Goal::Maximize.order(values[a as usize], values[b as usize]));
            seen.truncate((i + 1) / eta as usize);
            let expected = seen
                .into_iter()
                .find(|n| !values[*n as usize].is_nan() && !promoted.contains(n));
            prop_assert_eq!(asha.promotable().map(|p| p.number), expected);
            if i % 2 == 0 && let Some(number) = expected {
                asha.promoted(number);
                promoted.insert(number);
            }
        }
    }
}

/// A value in [0, 1) of a trial's own, and one of its own after each amount of training.
fn draw(number: u32, at: u64) -> f64 {
    let mut hash = (u64::from(number) << 32 | at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^= hash >> 32;
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// Trials with learning curves: later ones are better by `drift` in all, and values jitter by `noise`.
struct Sweep {
    trials: u32,
    running: usize,
    drift: f64,
    noise: f64,
}

impl Sweep {
    fn value(&self, number: u32, at: u64) -> f64 {
        let better = self.drift * f64::from(number) / f64::from(self.trials);
        draw(number, 0) - better + self.noise * draw(number, at) + 1.0 / at as f64
    }

    /// Until all trials are created and so many still run.
    fn run(&self, scheduler: &mut Scheduler) {
        let population = scheduler.kind().population();
        let drawn = population.map_or(self.trials, |population| population.min(self.trials));
        let mut queue: VecDeque<(u32, u64, u64)> = VecDeque::new();
        let mut trained: BTreeMap<u32, u64> = BTreeMap::new();
        let mut next = 0;
        while next < self.trials {
            match scheduler.turn(5, next, true) {
                Some(Turn::Promote(Promotion { number, until })) => {
                    assert_eq!(scheduler.promoted(number), Some(until));
                    queue.push_back((number, trained.remove(&number).unwrap(), until));
                }
                Some(Turn::Exploit(copy)) => {
                    let until = scheduler.exploited(copy.number, next, copy.at).unwrap();
                    trained.remove(&copy.number);
                    queue.push_back((next, copy.at, until));
                    next += 1;
                }
                None if next < drawn => {
                    let (number, parameters) = (next, Assignment::new());
                    scheduler.observe(&Event::Created { number, parameters });
                    queue.push_back((number, 0, scheduler.first_until(number)));
                    next += 1;
                }
                None => {}
            }
            if queue.len() == self.running {
                let (number, from, until) = queue.pop_front().unwrap();
                if self.train(scheduler, number, from, until) {
                    trained.insert(number, until);
                }
            }
        }
    }

    /// Whether the trial waits then.
    fn train(&self, scheduler: &mut Scheduler, number: u32, from: u64, until: u64) -> bool {
        let mut ending = Ending::Completed;
        for at in from + 1..=until {
            let value = self.value(number, at);
            match scheduler.observe(&Event::Observed { number, at, value }) {
                Verdict::Continue | Verdict::Finish { .. } => {}
                Verdict::Stop { .. } => ending = Ending::Pruned,
                Verdict::Pause => {
                    scheduler.rested(number);
                    return true;
                }
            }
        }
        scheduler.observe(&Event::Ended { number, ending });
        false
    }
}

#[track_caller]
fn check_long(kind: SchedulerKind, budget: u64, sweep: &Sweep, bytes_max: f64) {
    let mut scheduler = Scheduler::new(kind, Goal::Minimize, budget).unwrap();
    sweep.run(&mut scheduler);
    let bytes = postcard::to_stdvec(&scheduler).unwrap();
    let per_trial = bytes.len() as f64 / f64::from(sweep.trials);
    assert!(per_trial < bytes_max, "{kind:?}: {per_trial} bytes a trial");
    assert_eq!(
        postcard::from_bytes::<Scheduler>(&bytes).unwrap(),
        scheduler
    );
}

/// A hundred thousand trials, a thousand of them running: what is kept grows by a fixed size a trial. This comes to its end only
/// because what an event costs does not grow: not with the trials on a rung whose ranking stands, nor with those that completed,
/// where each trial is better than those before it.
#[test]
fn a_long_sweep_has_bounded_memory() {
    const BUDGET: u64 = 9;
    let (min, max, eta) = (1, BUDGET, 3);
    let (threshold, delta) = (RealSetting::new(0.1), RealSetting::new(0.0));
    for (kind, bytes_max) in [
        (SchedulerKind::None, 1.0),
        (SchedulerKind::Asha { min, max, eta }, 70.0),
        (SchedulerKind::Hyperband { min, max, eta }, 60.0),
        (SchedulerKind::Bohb { min, max, eta }, 60.0),
        (SchedulerKind::Pasha { min, max, eta }, 140.0),
        (SchedulerKind::Median { min, startup: 5 }, 130.0), // nine values and sums
        (
            SchedulerKind::Wilcoxon {
                threshold,
                startup: 2,
            },
            6.0,
        ),
        (
            SchedulerKind::Plateau {
                min,
                patience: 2,
                delta,
            },
            12.0,
        ),
    ] {
        for (drift, noise) in [(0.0, 0.3), (100.0, 0.0)] {
            let (trials, running) = (100_000, 1_000);
            let sweep = Sweep {
                trials,
                running,
                drift,
                noise,
            };
            check_long(kind, BUDGET, &sweep, bytes_max);
        }
    }
}

/// A population is all that is kept, however many forks it has had. Each turn ranks it, so it is of 50 here, which all run.
#[test]
fn a_long_population_has_bounded_memory() {
    let kind = SchedulerKind::Pbt {
        population: 50,
        interval: 1,
        quantile: RealSetting::new(0.2),
        resample: RealSetting::new(0.25),
        perturb: RealSetting::new(0.2),
    };
    let (trials, running, drift, noise) = (100_000, 50, 0.0, 0.3);
    let sweep = Sweep {
        trials,
        running,
        drift,
        noise,
    };
    check_long(kind, 10_000_000, &sweep, 0.1);
}
