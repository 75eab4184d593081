//! What a model may learn from: the trials of a sweep, best first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::auto::Compared;
use super::levels::Levels;
use crate::goal::rank_of_violation;
use crate::{Ending, Goal};

/// The share of trials on a rung that are bad, whatever becomes of the others.
const BAD_SHARE: f64 = 0.2;

/// One trial as models see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trial {
    /// One coordinate a parameter, see `axes`.
    point: Box<[f64]>,
    /// Training behind the last finite value, and the best finite value.
    seen: Option<(u64, f64)>,
    /// The least violation of a requirement at an evaluation.
    broken: Option<f64>,
    ending: Option<Ending>,
    /// The best value up to each level that it has passed.
    at_levels: Vec<f64>,
}

/// How a trial compares; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Standing {
    class: Class,
    /// More training first, among trials that are not complete.
    at: Reverse<u64>,
    /// The rank of the value under the goal.
    value: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Class {
    /// Trained to its end.
    Complete,
    /// Has a value: pruned, paused, running or cancelled.
    Partial,
    /// Has values, and breaks a requirement with each.
    Broken,
    Failed,
}

/// A trial that says something: its point, and its value unless it failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told<'a> {
    pub(super) number: u32,
    pub(super) point: &'a [f64],
    /// The best finite value, up to where trials are compared; smaller is better whatever the goal.
    pub(super) loss: Option<f64>,
    /// By how much it breaks requirements, where it has no value for that.
    pub(super) violation: Option<f64>,
}

/// Where trials begin that break a requirement; the failed ones come behind them.
const BROKEN: Standing = Standing {
    class: Class::Broken,
    at: Reverse(u64::MAX),
    value: 0,
};

/// The trials by number, and those that say something in order.
///
/// A trial's value is the best finite one it reported; a value that is not finite is as if it had not come. Trials compare as in
/// Optuna: complete ones by value, then the others with a value by how far they trained and then by value, then those that
/// break a requirement by their violation (Deb 2000), then failed ones. A value that breaks one counts for that alone. Under a
/// scheduler with rungs they compare on one of them alone, see `levels`; those that have not got there say nothing but that they
/// have not. One takes about 100 bytes, 8 a parameter and 25 a rung.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    trials: BTreeMap<u32, Trial>,
    ranked: BTreeSet<(Standing, u32)>,
    /// How many of those failed, and how many break a requirement.
    failed: usize,
    broken: usize,
    /// Trials without a value that have not ended.
    pending: BTreeSet<u32>,
    levels: Levels,
}

impl History {
    /// Of trials that a scheduler compares after so many units of training, ascending.
    pub(super) fn with_rungs(targets: &[u64]) -> History {
        History {
            levels: Levels::new(targets),
            ..History::default()
        }
    }

    /// A trial exists. A number that is known already stays what it was.
    pub(super) fn create(&mut self, number: u32, point: Box<[f64]>) {
        if self.trials.contains_key(&number) {
            return;
        }
        let trial = Trial {
            point,
            seen: None,
            broken: None,
            ending: None,
            at_levels: Vec::new(),
        };
        self.trials.insert(number, trial);
        self.pending.insert(number);
    }

    pub(super) fn observe(&mut self, goal: Goal, number: u32, at: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        let passed = self.levels.passed(at);
        self.change(goal, number, |trial| {
            let (at, value) = match trial.seen {
                Some((_, best)) if goal.better(best, value) => (at, best),
                _ => (at, value),
            };
            let before = trial.seen.map_or(0, |(at, _)| at);
            trial.seen = Some((at.max(before), value));
            if trial.at_levels.len() < passed {
                trial.at_levels.resize(passed, value);
            }
        });
    }

    /// A value came in that breaks a requirement. `before`: those before it do, too.
    pub(super) fn violate(&mut self, goal: Goal, number: u32, violation: f64, before: bool) {
        if violation.is_nan() {
            return;
        }
        self.change(goal, number, |trial| {
            let least = trial.broken.map_or(violation, |least| least.min(violation));
            trial.broken = Some(least);
            if before {
                trial.seen = None;
                trial.at_levels.clear();
            }
        });
    }

    pub(super) fn end(&mut self, goal: Goal, number: u32, ending: Ending) {
        self.change(goal, number, |trial| trial.ending = Some(ending));
    }

    fn change(&mut self, goal: Goal, number: u32, change: impl FnOnce(&mut Trial)) {
        let Some(trial) = self.trials.get_mut(&number) else {
            return;
        };
        if let Some(standing) = trial.standing(goal) {
            self.ranked.remove(&(standing, number));
            match standing.class {
                Class::Failed => self.failed -= 1,
                Class::Broken => self.broken -= 1,
                _ => self.levels.remove(goal, number, &trial.at_levels),
            }
        }
        change(trial);
        if let Some(standing) = trial.standing(goal) {
            self.ranked.insert((standing, number));
            match standing.class {
                Class::Failed => self.failed += 1,
                Class::Broken => self.broken += 1,
                _ => self.levels.insert(goal, number, &trial.at_levels),
            }
        }
        if trial.seen.is_none() && trial.broken.is_none() && trial.ending.is_none() {
            self.pending.insert(number);
        } else {
            self.pending.remove(&number);
        }
    }

    /// How many trials say something.
    pub(super) fn told(&self) -> usize {
        self.ranked.len()
    }

    /// How many trials have a value, if only one that breaks a requirement.
    pub(super) fn valued(&self) -> usize {
        self.ranked.len() - self.failed
    }

    /// How many trials have no value and have not ended.
    pub(super) fn running(&self) -> usize {
        self.pending.len()
    }

    /// The points of trials without a value that have not ended, newest first.
    pub(super) fn pending(&self) -> impl Iterator<Item = &[f64]> {
        let points = self.pending.iter().rev();
        points.filter_map(|number| Some(&*self.trials.get(number)?.point))
    }

    /// The level that trials compare on, where there are levels.
    fn level(&self) -> Option<usize> {
        let (_, trial) = self.trials.first_key_value()?;
        self.levels.compared(trial.point.len())
    }

    /// Whether trials compare on rungs.
    pub(super) fn has_rungs(&self) -> bool {
        !self.levels.is_empty()
    }

    /// After how much training trials compare.
    pub(super) fn how_compared(&self) -> Compared {
        if !self.has_rungs() {
            return Compared::Anyhow;
        }
        let dimensions = self.trials.values().next().map_or(0, |t| t.point.len());
        let trained = self.levels.trained(dimensions);
        trained.map_or(Compared::Early, Compared::Trained)
    }

    /// How many trials [`History::best`] gives.
    pub(super) fn compared(&self) -> usize {
        match self.level() {
            Some(level) => self.levels.count(level) + self.broken + self.failed,
            None => self.told(),
        }
    }

    /// Those that compare, best first, then those that break a requirement, then the failed ones.
    pub(super) fn best(&self, goal: Goal) -> impl Iterator<Item = Told<'_>> {
        let level = self.level();
        let from = match level {
            Some(_) => (BROKEN, 0),
            None => (Standing::BEST, 0),
        };
        let there = level
            .into_iter()
            .flat_map(|level| self.levels.numbers(level));
        let others = self.ranked.range(from..).map(|(_, number)| *number);
        let numbers = there.chain(others);
        numbers.filter_map(move |number| self.tell_at(goal, number, level))
    }

    /// Those that say something, newest first, whether they compare or not.
    pub(super) fn newest(&self, goal: Goal) -> impl Iterator<Item = Told<'_>> {
        let numbers = self.trials.keys().rev();
        numbers.filter_map(move |number| self.tell(goal, *number))
    }

    /// Of the newest `count` trials those that are bad below the rung on which others compare, newest first, told as failed ones are: each
    /// among the worst [`BAD_SHARE`] of those of them that got to the highest rung it got to.
    pub(super) fn bad_below(&self, goal: Goal, count: usize) -> impl Iterator<Item = Told<'_>> {
        let newest = self.trials.iter().rev().take(count);
        let newest = newest.filter(|(_, trial)| trial.ending != Some(Ending::Failed));
        let newest: Vec<(&u32, &Trial)> = newest.collect();
        let bar = |level| {
            let values = newest.iter().filter_map(|(_, t)| t.at_levels.get(level));
            let mut losses: Vec<f64> = values.map(|value| goal.loss(*value)).collect();
            losses.sort_by(f64::total_cmp);
            let good = (1.0 - BAD_SHARE) * losses.len() as f64;
            // What is as good as the best is not bad.
            let bar = losses.get(good as usize).copied();
            bar.filter(|bar| *bar > losses[0])
        };
        let bars: Vec<Option<f64>> = (0..self.level().unwrap_or(0)).map(bar).collect();
        newest.into_iter().filter_map(move |(number, trial)| {
            let top = trial.at_levels.len().checked_sub(1)?;
            let bar = (*bars.get(top)?)?;
            (goal.loss(trial.at_levels[top]) >= bar).then_some(Told {
                number: *number,
                point: &trial.point,
                loss: None,
                violation: None,
            })
        })
    }

    /// Those that break a requirement with every evaluation, the least violation first, then the failed ones.
    pub(super) fn broken(&self, goal: Goal) -> impl Iterator<Item = Told<'_>> {
        let ranked = self.ranked.range((BROKEN, 0)..);
        ranked.filter_map(move |(_, number)| self.tell(goal, *number))
    }

    /// Those that [`History::best`] gives, newest first.
    pub(super) fn newest_compared(&self, goal: Goal) -> impl Iterator<Item = Told<'_>> {
        let level = self.level();
        let numbers = self.trials.keys().rev();
        numbers.filter_map(move |number| self.tell_at(goal, *number, level))
    }

    /// How a trial compares; `None` if it says nothing.
    pub(super) fn standing(&self, goal: Goal, number: u32) -> Option<Standing> {
        self.trials.get(&number)?.standing(goal)
    }

    /// What [`Told::loss`] says of a trial.
    pub(super) fn loss(&self, goal: Goal, number: u32) -> Option<f64> {
        self.tell(goal, number)?.loss
    }

    /// The points of all trials.
    pub(super) fn points(&self) -> impl Iterator<Item = &[f64]> {
        self.trials.values().map(|trial| &*trial.point)
    }

    /// Whether a trial of that number exists.
    pub(super) fn has(&self, number: u32) -> bool {
        self.trials.contains_key(&number)
    }

    /// As [`History::tell`], with the value up to a level; `None` for a trial that has a value and has not got there.
    fn tell_at(&self, goal: Goal, number: u32, level: Option<usize>) -> Option<Told<'_>> {
        let told = self.tell(goal, number)?;
        let (Some(level), Some(_)) = (level, told.loss) else {
            return Some(told);
        };
        let value = *self.trials.get(&number)?.at_levels.get(level)?;
        let loss = Some(goal.loss(value));
        Some(Told { loss, ..told })
    }

    /// What a trial says.
    pub(super) fn tell(&self, goal: Goal, number: u32) -> Option<Told<'_>> {
        let trial = self.trials.get(&number)?;
        let class = trial.standing(goal)?.class;
        let value = trial.seen.filter(|_| class != Class::Failed);
        Some(Told {
            number,
            point: &trial.point,
            loss: value.map(|(_, value)| goal.loss(value)),
            violation: trial.broken.filter(|_| class == Class::Broken),
        })
    }
}

impl Told<'_> {
    pub(super) fn has_failed(&self) -> bool {
        self.loss.is_none() && self.violation.is_none()
    }
}

impl Standing {
    /// No trial stands before it.
    const BEST: Standing = Standing {
        class: Class::Complete,
        at: Reverse(u64::MAX),
        value: 0,
    };

    pub(super) fn has_failed(&self) -> bool {
        self.class == Class::Failed
    }

    pub(super) fn is_complete(&self) -> bool {
        self.class == Class::Complete
    }

    /// The same for all trials that only their values set apart.
    pub(super) fn without_value(self) -> Standing {
        Standing { value: 0, ..self }
    }
}

impl Trial {
    fn standing(&self, goal: Goal) -> Option<Standing> {
        let (class, at, value) = match (self.ending, self.seen) {
            (Some(Ending::Failed), _) => (Class::Failed, 0, 0),
            (Some(Ending::Completed), Some((_, value))) => (Class::Complete, 0, goal.rank(value)),
            (_, Some((at, value))) => (Class::Partial, at, goal.rank(value)),
            (ending, None) => match self.broken {
                Some(violation) => (Class::Broken, 0, rank_of_violation(violation)),
                None if ending == Some(Ending::Completed) => (Class::Failed, 0, 0),
                None => return None,
            },
        };
        Some(Standing {
            class,
            at: Reverse(at),
            value,
        })
    }
}

#[cfg(test)]
mod tests;
