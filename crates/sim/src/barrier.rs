//! Hyperband as it was published, which waits: nobody goes on before every trial of the bracket has come to the rung.
//!
//! A baseline for figures: what asynchronous schedulers are compared with, over the same table and the same curves.
//!
//! Sources: Li et al. 2018, Hyperband, JMLR 18(185), Algorithm 1, <https://jmlr.org/papers/v18/16-558.html>; on many workers
//! as in Falkner et al. 2018, BOHB, section 4.2, <https://arxiv.org/abs/1807.01774>: a worker for which no bracket under way
//! has a trial begins the next one.

use std::collections::BTreeMap;
use std::mem;

use bonfire_domain::spec::Spec;
use bonfire_search::{Bracket, Event, Goal, Sampler, SamplerKind, Suggestion, brackets};

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

/// A run, as an iterator over the values that were the best so far. It goes round and round, and ends with the space.
pub struct Barrier {
    table: Table,
    /// Draws at random, no configuration twice.
    sampler: Sampler,
    drawn: u32,
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
    /// Configurations are drawn from the spec's space under its seed; `workers` train at once.
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
        let (goal, seed) = (
            spec.objective.goal,
            spec.search.as_ref().map_or(0, |s| s.seed),
        );
        let random = Sampler::new(SamplerKind::Random, sampler.space().clone(), goal, seed);
        Ok(Barrier {
            table,
            sampler: random.unwrap_or(sampler),
            drawn: 0,
            goal,
            rungs,
            round: brackets(rungs.min, rungs.max, rungs.eta),
            begun: 0,
            under_way: BTreeMap::new(),
            queue: Queue::new(),
            free: workers,
            best: None,
        })
    }

    /// Virtual seconds so far.
    pub fn seconds(&self) -> f64 {
        self.queue.now() as f64 / 1e3
    }

    /// Gives free workers what there is.
    fn start(&mut self) {
        while self.free > 0 {
            let mut groups = self.under_way.iter_mut();
            let Some((id, group)) = groups.find(|(_, group)| !group.waiting.is_empty()) else {
                if self.begin() {
                    continue;
                }
                return;
            };
            let Some(trial) = group.waiting.pop() else {
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
            self.queue.after(START_MS + cost_ms, (*id, trial));
            self.free -= 1;
        }
    }

    /// Begins the next bracket; false when no configuration is left.
    fn begin(&mut self) -> bool {
        let Bracket { rungs, trials } = &self.round[self.begun % self.round.len()];
        let mut waiting = Vec::new();
        for _ in 0..*trials {
            let number = self.drawn;
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
        // What diverged stays behind.
        if value.is_finite() {
            group.there.push((value, trial));
        }
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
                let seconds = self.seconds();
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

    const SPEC: &str = "kind: sweep\nversion: 1\nname: known\ntrials: external\nsearch:\n  objective: { metric: error, goal: minimize }\n  limit: { trials: 9 }\n  sampler: { kind: random, seed: 3 }\n  parameters:\n    depth: { min: 1, max: 9 }\n";

    /// Nine configurations whose errors are 11 to 19, less a third of the units trained; `slow` costs ten times 9 s.
    #[track_caller]
    fn check_run(workers: u32, slow: Option<i64>, expected: &[(f64, f64)]) {
        let spec = check(SPEC.as_bytes(), &[]).unwrap();
        let of = |cell: &dyn Fn(i64) -> Cell| (1..=9).map(cell).collect::<Vec<Cell>>();
        let real = |real| Cell::Value(Value::Real(real));
        let columns = [
            ("depth".to_owned(), of(&|n| Cell::Value(Value::Int(n)))),
            ("metric".to_owned(), of(&|n| real(n as f64 + 7.0))),
            (
                "train_time".to_owned(),
                of(&|n| real(if slow == Some(n) { 90.0 } else { 9.0 })),
            ),
            (
                "curve".to_owned(),
                of(&|n| {
                    Cell::List(
                        (1..=9)
                            .map(|unit| (n + 10) as f64 - f64::from(unit) / 3.0)
                            .collect(),
                    )
                }),
            ),
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
        let is_near = |(a, b): (&(f64, f64), &(f64, f64))| {
            (a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9
        };
        let same = found.len() == expected.len() && found.iter().zip(expected).all(is_near);
        assert!(same, "{found:?}, not {expected:?}");
    }

    #[test]
    fn a_rung_waits_for_its_last_trial() {
        let first = 11.0 - 1.0 / 3.0;
        check_run(9, None, &[(1.005, first), (3.01, 10.0), (9.015, 8.0)]);
        check_run(4, None, &[(1.005, first), (5.02, 10.0), (11.025, 8.0)]);
        check_run(9, Some(9), &[(1.005, first), (12.01, 10.0), (18.015, 8.0)]);
    }
}
