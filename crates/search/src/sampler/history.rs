//! What a model may learn from: the trials of a sweep, best first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Ending, Goal};

/// One trial as models see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trial {
    /// One coordinate a parameter, see `axes`.
    point: Box<[f64]>,
    /// Training behind the last finite value, and the best finite value.
    seen: Option<(u64, f64)>,
    ending: Option<Ending>,
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
    Failed,
}

/// A trial that says something: its point, and its value unless it failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told<'a> {
    pub(super) number: u32,
    pub(super) point: &'a [f64],
    /// The best finite value, smaller is better whatever the goal.
    pub(super) loss: Option<f64>,
}

/// The trials by number, and those that say something in order.
///
/// A trial's value is the best finite one it reported; a value that is not finite is as if it had not come. Trials compare as in
/// Optuna: complete ones by value, then the others with a value by how far they trained and then by value, then failed
/// ones. Paused trials of a scheduler count with what they have. One takes about 100 bytes and 8 a parameter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    trials: BTreeMap<u32, Trial>,
    ranked: BTreeSet<(Standing, u32)>,
    /// How many of those failed.
    failed: usize,
    /// Trials without a value that have not ended.
    pending: BTreeSet<u32>,
}

impl History {
    /// A trial exists. A number that is known already stays what it was.
    pub(super) fn create(&mut self, number: u32, point: Box<[f64]>) {
        if self.trials.contains_key(&number) {
            return;
        }
        let trial = Trial {
            point,
            seen: None,
            ending: None,
        };
        self.trials.insert(number, trial);
        self.pending.insert(number);
    }

    pub(super) fn observe(&mut self, goal: Goal, number: u32, at: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.change(goal, number, |trial| {
            let (at, value) = match trial.seen {
                Some((_, best)) if goal.better(best, value) => (at, best),
                _ => (at, value),
            };
            let before = trial.seen.map_or(0, |(at, _)| at);
            trial.seen = Some((at.max(before), value));
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
            self.failed -= usize::from(standing.class == Class::Failed);
        }
        change(trial);
        if let Some(standing) = trial.standing(goal) {
            self.ranked.insert((standing, number));
            self.failed += usize::from(standing.class == Class::Failed);
        }
        if trial.seen.is_none() && trial.ending.is_none() {
            self.pending.insert(number);
        } else {
            self.pending.remove(&number);
        }
    }

    /// How many trials say something.
    pub(super) fn told(&self) -> usize {
        self.ranked.len()
    }

    /// How many trials have a value.
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

    /// Best first.
    pub(super) fn best(&self, goal: Goal) -> impl Iterator<Item = Told<'_>> {
        let numbers = self.ranked.iter().map(|(_, number)| *number);
        numbers.filter_map(move |number| self.tell(goal, number))
    }

    /// Newest first.
    pub(super) fn newest(&self, goal: Goal) -> impl Iterator<Item = Told<'_>> {
        let numbers = self.trials.keys().rev();
        numbers.filter_map(move |number| self.tell(goal, *number))
    }

    /// How a trial compares; `None` if it says nothing.
    pub(super) fn standing(&self, goal: Goal, number: u32) -> Option<Standing> {
        self.trials.get(&number)?.standing(goal)
    }

    /// What [`Told::loss`] says of a trial.
    pub(super) fn loss(&self, goal: Goal, number: u32) -> Option<f64> {
        self.tell(goal, number)?.loss
    }

    /// Whether a trial of that number exists.
    pub(super) fn has(&self, number: u32) -> bool {
        self.trials.contains_key(&number)
    }

    fn tell(&self, goal: Goal, number: u32) -> Option<Told<'_>> {
        let trial = self.trials.get(&number)?;
        let class = trial.standing(goal)?.class;
        let value = trial.seen.filter(|_| class != Class::Failed);
        Some(Told {
            number,
            point: &trial.point,
            loss: value.map(|(_, value)| match goal {
                Goal::Minimize => value,
                Goal::Maximize => -value,
            }),
        })
    }
}

impl Trial {
    fn standing(&self, goal: Goal) -> Option<Standing> {
        let (class, at, value) = match (self.ending, self.seen) {
            (Some(Ending::Failed), _) | (Some(Ending::Completed), None) => (Class::Failed, 0, 0),
            (Some(Ending::Completed), Some((_, value))) => (Class::Complete, 0, goal.rank(value)),
            (_, Some((at, value))) => (Class::Partial, at, goal.rank(value)),
            (_, None) => return None,
        };
        Some(Standing {
            class,
            at: Reverse(at),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Goal::{Maximize, Minimize};

    #[derive(Clone, Copy)]
    enum Fact {
        Seen(u64, f64),
        End(Ending),
    }
    use Fact::{End, Seen};

    /// Trial i is told the facts of row i. Expected: numbers and losses best first, then the pending ones, newest first.
    #[track_caller]
    fn check(
        goal: Goal,
        facts: &[&[Fact]],
        expected: &[(u32, Option<f64>)],
        expected_pending: &[f64],
    ) {
        let mut history = History::default();
        for (number, _) in (0..).zip(facts) {
            history.create(number, Box::new([f64::from(number)]));
        }
        for (number, facts) in (0..).zip(facts) {
            for fact in *facts {
                match fact {
                    Seen(at, value) => history.observe(goal, number, *at, *value),
                    End(ending) => history.end(goal, number, *ending),
                }
            }
        }
        let best: Vec<_> = history.best(goal).map(|t| (t.number, t.loss)).collect();
        assert_eq!(best, expected);
        let mut newest: Vec<u32> = expected.iter().map(|(number, _)| *number).collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        let found: Vec<u32> = history.newest(goal).map(|t| t.number).collect();
        assert_eq!(found, newest);
        let pending: Vec<f64> = history.pending().map(|point| point[0]).collect();
        assert_eq!(pending, expected_pending);
        assert_eq!(history.told(), expected.len());
        let valued = expected.iter().filter(|(_, loss)| loss.is_some()).count();
        assert_eq!(history.valued(), valued);
    }

    const DONE: Fact = End(Ending::Completed);
    const PRUNED: Fact = End(Ending::Pruned);
    const FAILED: Fact = End(Ending::Failed);
    const CANCELLED: Fact = End(Ending::Cancelled);

    #[test]
    fn complete_trials_come_first_then_the_longer_trained_then_the_failed() {
        check(
            Minimize,
            &[
                &[Seen(1, 5.0), PRUNED],
                &[Seen(9, 7.0), DONE],
                &[Seen(3, 9.0), PRUNED],
                &[Seen(9, 6.0), DONE],
                &[Seen(2, 0.0), FAILED],
                &[Seen(3, 8.0)],
                &[],
                &[FAILED],
                &[CANCELLED],
                &[Seen(1, 1.0), CANCELLED],
                &[],
            ],
            &[
                (3, Some(6.0)),
                (1, Some(7.0)),
                (5, Some(8.0)),
                (2, Some(9.0)),
                (9, Some(1.0)),
                (0, Some(5.0)),
                (4, None),
                (7, None),
            ],
            &[10.0, 6.0],
        );
    }

    #[test]
    fn the_best_value_counts_and_losses_are_smaller_the_better() {
        check(
            Maximize,
            &[
                &[Seen(1, 0.5), Seen(2, 0.9), Seen(3, 0.7), DONE],
                &[Seen(1, 0.8), DONE],
                &[Seen(1, 0.9), DONE],
            ],
            &[(0, Some(-0.9)), (2, Some(-0.9)), (1, Some(-0.8))],
            &[],
        );
    }

    #[test]
    fn values_that_are_not_finite_did_not_come() {
        check(
            Minimize,
            &[
                &[Seen(1, f64::NEG_INFINITY), DONE],
                &[Seen(1, f64::NAN)],
                &[Seen(1, 2.0), Seen(2, f64::NAN), Seen(3, f64::INFINITY)],
                &[Seen(2, 3.0)],
            ],
            &[(3, Some(3.0)), (2, Some(2.0)), (0, None)],
            &[1.0],
        );
    }

    #[test]
    fn a_trial_that_is_opened_again_is_what_it_ends_as() {
        check(
            Minimize,
            &[
                &[Seen(1, 4.0), FAILED, Seen(2, 3.0), DONE],
                &[CANCELLED, Seen(1, 2.0), DONE],
            ],
            &[(1, Some(2.0)), (0, Some(3.0))],
            &[],
        );
    }

    #[test]
    fn strangers_and_second_creations_change_nothing() {
        let mut history = History::default();
        history.create(7, Box::new([0.5]));
        let before = history.clone();
        history.create(7, Box::new([0.9]));
        history.observe(Minimize, 8, 1, 1.0);
        history.end(Minimize, u32::MAX, Ending::Failed);
        assert_eq!(history, before);
    }
}
