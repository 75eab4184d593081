//! Hyperband as it was published, which waits: nobody goes on before every trial of the bracket has come to the rung.
//!
//! A baseline for figures: what asynchronous schedulers are compared with, over the same table and the same curves. A trial that
//! diverges is charged until its rung.
//!
//! Sources: Li et al. 2018, Hyperband, JMLR 18(185), Algorithm 1, <https://jmlr.org/papers/v18/16-558.html>; on many workers
//! as in Falkner et al. 2018, BOHB, section 4.2, <https://arxiv.org/abs/1807.01774>: a worker for which no bracket under way
//! has a trial begins the next one.

use std::collections::BTreeMap;
use std::mem;

use bonfire_domain::spec::Spec;
use bonfire_search::{Bracket, Event, Goal, Sampler, Suggestion, brackets};

use crate::fleet::{BestAt, START_MS};
use crate::queue::Queue;
use crate::table::curve::exponent;
use crate::table::{Column, Columns, Required, Row, Table, TableProblem};

/// The rungs that trials are compared at: `max / eta^s` units, not below `min`; `max` is a configuration's whole budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rungs {
    /// From 1 to `max`.
    pub min: u64,
    pub max: u64,
    /// 2 or more.
    pub eta: u32,
}

/// A run, as an iterator over the values that were the best so far. It goes round and round, and ends with the sweep's limit of
/// trials or with the space.
pub struct Barrier {
    table: Table,
    sampler: Sampler,
    drawn: u32,
    drawn_max: u32,
    goal: Goal,
    rungs: Rungs,
    /// Of a round.
    round: Vec<Bracket>,
    /// How many have begun.
    begun: usize,
    /// Those under way, in the order in which they began.
    under_way: BTreeMap<usize, Group>,
    queue: Queue<(usize, Trial)>,
    free: u32,
    best: Option<f64>,
}

/// The trials of a bracket that are still in it.
#[derive(Default)]
struct Group {
    rungs: Vec<u64>,
    /// The rung they train to.
    at: usize,
    waiting: Vec<Trial>,
    training: usize,
    /// At the rung.
    there: Vec<(f64, Trial)>,
}

struct Trial {
    row: Row,
    exponent: f64,
}

impl Barrier {
    /// Configurations are those that the spec's sampler gives, which should look at no results; `workers` train at once.
    ///
    /// # Errors
    /// Everything in the table that does not fit the space.
    pub fn new(
        spec: &Spec,
        columns: &[Column],
        names: &Columns,
        rungs: Rungs,
        workers: u32,
    ) -> Result<Barrier, Vec<TableProblem>> {
        let sampler = spec.sampler().ok_or_else(|| vec![TableProblem::NoSearch])?;
        let table = Table::new(columns, names, &Required::new(), &sampler)?;
        let search = spec.search.as_ref();
        Ok(Barrier {
            table,
            sampler,
            drawn: 0,
            drawn_max: search.and_then(|s| s.limit.trials).unwrap_or(u32::MAX),
            goal: spec.objective.goal,
            rungs,
            round: brackets(rungs.min, rungs.max, rungs.eta),
            begun: 0,
            under_way: BTreeMap::new(),
            queue: Queue::new(),
            free: workers,
            best: None,
        })
    }

    /// Gives free workers what there is.
    fn start(&mut self) {
        while self.free > 0 {
            let mut groups = self.under_way.iter_mut();
            let next = groups.find_map(|(id, group)| Some((*id, group.waiting.pop()?, group)));
            let Some((id, trial, group)) = next else {
                if self.begin() {
                    continue;
                }
                return;
            };
            group.training += 1;
            let from = group
                .at
                .checked_sub(1)
                .map_or(0, |below| group.rungs[below]);
            let units = group.rungs[group.at] - from;
            let cost_ms = u128::from(trial.row.cost_ms) * u128::from(units);
            let cost_ms = (cost_ms / u128::from(self.rungs.max)) as u64;
            self.queue.after(START_MS + cost_ms, (id, trial));
            self.free -= 1;
        }
    }

    /// Begins the next bracket; false when no configuration may be drawn any more.
    fn begin(&mut self) -> bool {
        let Bracket { rungs, trials } = &self.round[self.begun % self.round.len()];
        let mut waiting = Vec::new();
        for _ in 0..*trials {
            let number = self.drawn;
            if number >= self.drawn_max {
                break;
            }
            let Suggestion::Trial(parameters) = self.sampler.suggest(number) else {
                break;
            };
            self.drawn += 1;
            if let Some(row) = self.table.row(&parameters) {
                waiting.push(Trial {
                    row: row.clone(),
                    exponent: exponent(&parameters),
                });
            }
            self.sampler.observe(&Event::Created { number, parameters });
        }
        // The last one is taken first.
        waiting.reverse();
        let is_any = !waiting.is_empty();
        let group = Group {
            rungs: rungs.clone(),
            waiting,
            ..Group::default()
        };
        self.under_way.extend(is_any.then_some((self.begun, group)));
        self.begun += 1;
        is_any
    }

    /// A trial has come to its rung; its value there.
    fn reach(&mut self, id: usize, trial: Trial) -> Option<f64> {
        self.free += 1;
        let group = self.under_way.get_mut(&id)?;
        let unit = group.rungs[group.at];
        let value = self
            .table
            .value(&trial.row, trial.exponent, unit, self.rungs.max);
        group.training -= 1;
        group.there.push((value, trial));
        if group.training == 0 && group.waiting.is_empty() && !group.rise(self.goal, self.rungs.eta)
        {
            self.under_way.remove(&id);
        }
        Some(value).filter(|value| value.is_finite())
    }
}

impl Group {
    /// All have come to the rung: the best `1 / eta` go on. False if that is nobody.
    fn rise(&mut self, goal: Goal, eta: u32) -> bool {
        let mut there = mem::take(&mut self.there);
        self.at += 1;
        if self.at == self.rungs.len() {
            return false;
        }
        there.sort_by(|(a, _), (b, _)| goal.order(*a, *b));
        there.truncate(there.len() / eta as usize);
        // What diverged stays behind.
        there.retain(|(value, _)| value.is_finite());
        self.waiting = there.into_iter().rev().map(|(_, trial)| trial).collect();
        !self.waiting.is_empty()
    }
}

impl Iterator for Barrier {
    type Item = BestAt;

    fn next(&mut self) -> Option<BestAt> {
        loop {
            self.start();
            let (id, trial) = self.queue.pop()?;
            let Some(value) = self.reach(id, trial) else {
                continue;
            };
            if self.best.is_none_or(|best| self.goal.better(value, best)) {
                self.best = Some(value);
                let seconds = self.queue.now() as f64 / 1e3;
                return Some(BestAt { seconds, value });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bonfire_domain::spec::check;
    use bonfire_search::Value;

    use super::*;
    use crate::table::Cell;

    /// `configurations` whose errors are 11, 12, ... less a third of the units trained; the first one may diverge, and the
    /// last one cost ten times 9 s. The best value at the times at which it changed.
    fn found(setting: Setting) -> Vec<(f64, f64)> {
        let Setting {
            configurations,
            limit,
            workers,
            slow,
            diverges,
        } = setting;
        let text = format!(
            "kind: sweep\nversion: 1\nname: known\ntrials: external\nsearch:\n  objective: {{ metric: error, goal: minimize }}\n  limit: {{ trials: {limit} }}\n  sampler: {{ kind: random, seed: 3 }}\n  parameters:\n    depth: {{ min: 1, max: {configurations} }}\n"
        );
        let spec = check(text.as_bytes(), &[]).unwrap();
        let of = |cell: &dyn Fn(i64) -> Cell| (1..=configurations).map(cell).collect::<Vec<Cell>>();
        let real = |real| Cell::Value(Value::Real(real));
        let error = |n: i64, unit: i32| match diverges && n == 1 {
            true => f64::INFINITY,
            false => (n + 10) as f64 - f64::from(unit) / 3.0,
        };
        let cost = |n| {
            if slow && n == configurations {
                90.0
            } else {
                9.0
            }
        };
        let curve = |n| Cell::List((1..=9).map(|unit| error(n, unit)).collect());
        let columns = [
            ("depth".to_owned(), of(&|n| Cell::Value(Value::Int(n)))),
            ("metric".to_owned(), of(&|n| real(error(n, 9)))),
            ("train_time".to_owned(), of(&|n| real(cost(n)))),
            ("curve".to_owned(), of(&curve)),
        ];
        let names = Columns {
            metric: "metric".to_owned(),
            cost: "train_time".to_owned(),
            curve: Some("curve".to_owned()),
        };
        let rungs = Rungs {
            min: 1,
            max: 9,
            eta: 3,
        };
        let run = Barrier::new(&spec, &columns, &names, rungs, workers).unwrap();
        // Of values that come at the same time the last one.
        let mut found: Vec<(f64, f64)> = Vec::new();
        for best in run {
            found.retain(|(seconds, _)| *seconds != best.seconds);
            found.push((best.seconds, best.value));
        }
        found
    }

    #[derive(Clone, Copy)]
    struct Setting {
        configurations: i64,
        limit: u32,
        workers: u32,
        slow: bool,
        diverges: bool,
    }

    /// The first bracket alone.
    const NINE: Setting = Setting {
        configurations: 9,
        limit: 9,
        workers: 9,
        slow: false,
        diverges: false,
    };

    #[track_caller]
    fn check_run(setting: Setting, expected: &[(f64, f64)]) {
        let found = found(setting);
        let is_near = |(a, b): (&(f64, f64), &(f64, f64))| {
            (a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9
        };
        let same = found.len() == expected.len() && found.iter().zip(expected).all(is_near);
        assert!(same, "{found:?}, not {expected:?}");
    }

    #[test]
    fn a_rung_waits_for_its_last_trial() {
        let first = 11.0 - 1.0 / 3.0;
        check_run(NINE, &[(1.005, first), (3.01, 10.0), (9.015, 8.0)]);
        // The best one is among the first four drawn; the others come in two further turns.
        let four = Setting { workers: 4, ..NINE };
        check_run(four, &[(1.005, first), (5.02, 10.0), (11.025, 8.0)]);
        let slow = Setting { slow: true, ..NINE };
        check_run(slow, &[(1.005, first), (12.01, 10.0), (18.015, 8.0)]);
    }

    #[test]
    fn what_diverges_does_not_go_on() {
        let setting = Setting {
            diverges: true,
            ..NINE
        };
        let first = 12.0 - 1.0 / 3.0;
        check_run(setting, &[(1.005, first), (3.01, 11.0), (9.015, 9.0)]);
    }

    /// Of fourteen the first bracket has nine, which are looked at after 1, 3 and 9 units, the second five, after 3 and 9.
    #[test]
    fn free_workers_begin_the_next_bracket() {
        let both = Setting {
            configurations: 14,
            limit: 14,
            workers: 14,
            ..NINE
        };
        let times = |setting| -> Vec<f64> { found(setting).iter().map(|best| best.0).collect() };
        for time in times(both) {
            let known = [1.005, 3.005, 3.01, 9.01, 9.015];
            assert!(
                known.iter().any(|known| (time - known).abs() < 1e-9),
                "{time}"
            );
        }
        assert_eq!(
            found(both).last().unwrap().1,
            8.0,
            "the best of all ends its training"
        );
        let limited = Setting { limit: 9, ..both };
        for time in times(limited) {
            let known = [1.005, 3.01, 9.015];
            assert!(
                known.iter().any(|known| (time - known).abs() < 1e-9),
                "{time}"
            );
        }
    }
}
