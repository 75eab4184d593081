//! Populations from their first trial to their end: the paper's toy, restarts, and any order of results.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bonfire_search::{
    Assignment, Ending, Event, Exploit, Goal, Parameter, Range, RealSetting, Scheduler,
    SchedulerKind, Space, Turn, Value, explore,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn pbt(population: u32, interval: u64) -> SchedulerKind {
    SchedulerKind::Pbt {
        population,
        interval,
        quantile: RealSetting::new(0.2),
        resample: RealSetting::new(0.25),
        perturb: RealSetting::new(0.2),
    }
}

fn space() -> Space {
    let parameter = |name: &str| Parameter {
        name: name.to_owned(),
        range: Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        },
        when: vec![],
    };
    Space::new(vec![parameter("h0"), parameter("h1")]).unwrap()
}

fn point(h: [f64; 2]) -> Assignment {
    let value = |at: usize| (format!("h{at}"), Value::Real(h[at]));
    Assignment::from([value(0), value(1)])
}

/// What trials are trained for, and from which weights: `[0.9, 0.9]` at first.
trait Task {
    /// The weights after one unit more.
    fn step(&self, weights: [f64; 2], parameters: &Assignment) -> [f64; 2];
    fn value(&self, weights: [f64; 2]) -> f64;
}

/// A population, a number of slots, and what a fleet does with them.
struct Run<T> {
    task: T,
    scheduler: Scheduler,
    space: Space,
    seed: u64,
    next: u32,
    parameters: BTreeMap<u32, Assignment>,
    /// The weights of each trial after so many units: its checkpoints.
    saved: BTreeMap<(u32, u64), [f64; 2]>,
    /// What runs, and from where: the one that began first comes to its end first.
    running: Vec<(u32, u64)>,
    story: Vec<String>,
    best: f64,
    /// Written down and read back after each event.
    restarts: bool,
}

impl<T: Task> Run<T> {
    fn new(task: T, kind: SchedulerKind, budget: u64, first: &[[f64; 2]], seed: u64) -> Run<T> {
        let mut run = Run {
            task,
            scheduler: Scheduler::new(kind, Goal::Maximize, budget).unwrap(),
            space: space(),
            seed,
            next: 0,
            parameters: BTreeMap::new(),
            saved: BTreeMap::new(),
            running: Vec::new(),
            story: Vec::new(),
            best: f64::NEG_INFINITY,
            restarts: false,
        };
        for h in first {
            let (number, parameters) = (run.next, point(*h));
            run.saved.insert((number, 0), [0.9, 0.9]);
            run.parameters.insert(number, parameters.clone());
            run.tell(&Event::Created { number, parameters });
            run.next += 1;
        }
        run
    }

    fn tell(&mut self, event: &Event) {
        self.scheduler.observe(event);
        if self.restarts {
            let bytes = postcard::to_stdvec(&self.scheduler).unwrap();
            self.scheduler = postcard::from_bytes(&bytes).unwrap();
        }
    }

    /// To the end, with so many slots.
    fn train(mut self, slots: usize) -> Run<T> {
        let mut unbegun: Vec<u32> = (0..self.next).rev().collect();
        loop {
            while self.running.len() < slots {
                if let Some(number) = unbegun.pop() {
                    self.running.push((number, 0));
                } else if let Some(turn) = self.scheduler.turn(self.seed, self.next, true) {
                    self.take(turn);
                } else {
                    break;
                }
            }
            if self.running.is_empty() {
                return self;
            }
            let (number, from) = self.running.remove(0);
            self.reach(number, from);
        }
    }

    fn take(&mut self, turn: Turn) {
        self.story.push(format!("{turn:?}"));
        match turn {
            Turn::Promote(next) => {
                let saved = self
                    .saved
                    .keys()
                    .filter(|(number, _)| *number == next.number);
                let from = saved.map(|(_, at)| *at).max().unwrap();
                assert_eq!(self.scheduler.promoted(next.number), Some(next.until));
                self.running.push((next.number, from));
            }
            Turn::Exploit(Exploit { number, parent, at }) => {
                let (kind, fork) = (self.scheduler.kind(), self.next);
                let old = &self.parameters[&parent];
                let made = explore(kind, &self.space, |_| false, old, self.seed, fork).unwrap();
                assert!(self.space.contains(&made), "{made:?}");
                self.story.push(format!("{made:?}"));
                assert!(self.scheduler.exploited(number, fork, at).is_some());
                self.tell(&Event::Ended {
                    number,
                    ending: Ending::Pruned,
                });
                self.saved.insert((fork, at), self.saved[&(parent, at)]);
                self.parameters.insert(fork, made);
                self.running.push((fork, at));
                self.next += 1;
            }
        }
    }

    fn reach(&mut self, number: u32, from: u64) {
        let until = self.scheduler.until(number).unwrap();
        let mut weights = self.saved[&(number, from)];
        for _ in from..until {
            weights = self.task.step(weights, &self.parameters[&number]);
        }
        self.saved.insert((number, until), weights);
        let value = self.task.value(weights);
        self.best = self.best.max(value);
        let at = until;
        self.tell(&Event::Observed { number, at, value });
        if until < BUDGET {
            self.scheduler.rested(number);
        } else {
            let ending = Ending::Completed;
            self.tell(&Event::Ended { number, ending });
        }
    }
}

/// The toy of section 4.3 and figure 2: maximise `1.2 - (w0^2 + w1^2)` by gradient steps on `1.2 - (h0 w0^2 + h1 w1^2)`, from
/// `w = (0.9, 0.9)`.
struct Toy;

/// Units of a training, and what the weights move by.
const BUDGET: u64 = 200;
const RATE: f64 = 0.02;

impl Task for Toy {
    fn step(&self, [a, b]: [f64; 2], parameters: &Assignment) -> [f64; 2] {
        let h = |name: &str| parameters[name].as_f64().unwrap();
        [a - RATE * 2.0 * h("h0") * a, b - RATE * 2.0 * h("h1") * b]
    }

    fn value(&self, [a, b]: [f64; 2]) -> f64 {
        1.2 - (a * a + b * b)
    }
}

/// Two workers that start near `h = (1, 0)` and `(0, 1)` (no factor moves a zero, and two that are alike tie for ever): each
/// alone hardly learns one of the weights; a population comes to 1.2, as in the paper.
#[test]
fn two_workers_solve_what_a_grid_does_not() {
    let corners = [[1.0, 0.01], [0.01, 0.9]];
    for h in corners {
        let mut weights = [0.9, 0.9];
        for _ in 0..BUDGET {
            weights = Toy.step(weights, &point(h));
        }
        assert!(Toy.value(weights) < 0.55, "{h:?}");
    }
    let run = |seed| Run::new(Toy, pbt(2, 4), BUDGET, &corners, seed).train(2);
    let best: Vec<f64> = (0..20).map(|seed| run(seed).best).collect();
    assert!(
        best.iter().all(|best| *best > 0.99 && *best <= 1.2),
        "{best:?}"
    );
    let solved = best.iter().filter(|best| **best > 1.19).count();
    assert!(solved >= 19, "{solved}: {best:?}");
}

/// One slot or more than there are members: everybody trains to the end, and members stay side by side where they take turns.
#[test]
fn members_take_turns_on_fewer_slots() {
    let first: Vec<[f64; 2]> = (0..10).map(|i| [0.1 * f64::from(i), 0.5]).collect();
    for slots in [1, 3, 10, 64] {
        let run = Run::new(Toy, pbt(10, 50), BUDGET, &first, 3).train(slots);
        let ended = run.saved.keys().filter(|(_, at)| *at == BUDGET).count();
        assert_eq!(ended, 10, "{slots} slots");
        let forks = run.next - 10;
        assert!((1..=15).contains(&forks), "{slots} slots: {forks} forks");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_restart_at_any_time_changes_nothing(
        first in vec([0.0f64..1.0, 0.0f64..1.0], 2..12), slots in 1usize..14, interval in 10u64..90, seed: u64,
    ) {
        let members = first.len() as u32;
        let run = |restarts| {
            let mut run = Run::new(Toy, pbt(members, interval), BUDGET, &first, seed);
            run.restarts = restarts;
            run.train(slots)
        };
        let (whole, torn) = (run(false), run(true));
        prop_assert_eq!(whole.story, torn.story);
        prop_assert_eq!(whole.scheduler, torn.scheduler);
    }

    /// Results that come together may come in any order.
    #[test]
    fn results_commute(
        values in vec(prop_oneof![4 => -3.0f64..3.0, 1 => Just(1.0), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)], 2..20),
        order: u64, seed: u64, may_fork: bool,
    ) {
        let members = values.len() as u32;
        let told = |numbers: &[u32]| {
            let mut scheduler = Scheduler::new(pbt(members, 2), Goal::Minimize, 9).unwrap();
            for number in 0..members {
                scheduler.observe(&Event::Created { number, parameters: Assignment::new() });
            }
            for &number in numbers {
                let value = values[number as usize];
                scheduler.observe(&Event::Observed { number, at: 1, value: -value });
                scheduler.observe(&Event::Observed { number, at: 2, value });
                scheduler.rested(number);
            }
            scheduler
        };
        let mut mixed: Vec<u32> = (0..members).collect();
        mixed.sort_by_key(|number| u64::from(*number).wrapping_add(1).wrapping_mul(order | 1));
        let (plain, mixed) = (told(&(0..members).collect::<Vec<_>>()), told(&mixed));
        prop_assert_eq!(&plain, &mixed);
        let turn = plain.turn(seed, members, may_fork);
        prop_assert!(turn.is_some());
        prop_assert_eq!(turn, mixed.turn(seed, members, may_fork));
        if let Some(Turn::Exploit(copy)) = turn {
            prop_assert!(Goal::Minimize.better(values[copy.parent as usize], values[copy.number as usize]));
        }
    }
}
