//! The rungs of a scheduler, as models see them: on each, the trials that got there by what they were worth there.
//!
//! A model compares trials on one rung alone, so that a value after one epoch never stands beside one after 27: the
//! highest that enough trials have got to.
//!
//! Source: Falkner, Klein and Hutter 2018, BOHB, <https://arxiv.org/abs/1807.01774>, section 4 (the largest budget with at
//! least `N_min + 2` observations, `N_min` one more than the dimensions).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Goal;

/// Lowest first; none where trials are not compared on their way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Levels {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Level {
    /// Units of training.
    target: u64,
    /// Rank of the best value up to there, and the trial.
    ranked: BTreeSet<(u64, u32)>,
}

impl Level {
    /// Whether trials in that many dimensions compare on it.
    fn is_full(&self, dimensions: usize) -> bool {
        self.ranked.len() >= dimensions + 3
    }
}

impl Levels {
    /// `targets` ascend.
    pub(super) fn new(targets: &[u64]) -> Levels {
        let level = |target: &u64| Level {
            target: *target,
            ranked: BTreeSet::new(),
        };
        Levels {
            levels: targets.iter().map(level).collect(),
        }
    }

    /// How many levels are passed after so many units.
    pub(super) fn passed(&self, at: u64) -> usize {
        self.levels.partition_point(|level| level.target <= at)
    }

    /// `values`: a trial's best value up to each level that it has passed.
    pub(super) fn insert(&mut self, goal: Goal, number: u32, values: &[f64]) {
        for (level, value) in self.levels.iter_mut().zip(values) {
            level.ranked.insert((goal.rank(*value), number));
        }
    }

    pub(super) fn remove(&mut self, goal: Goal, number: u32, values: &[f64]) {
        for (level, value) in self.levels.iter_mut().zip(values) {
            level.ranked.remove(&(goal.rank(*value), number));
        }
    }

    /// Where trials are compared: the highest level with enough of them for that many dimensions, or the lowest.
    pub(super) fn compared(&self, dimensions: usize) -> Option<usize> {
        let full = |level: &Level| level.is_full(dimensions);
        let highest = self.levels.iter().rposition(full);
        (!self.levels.is_empty()).then_some(highest.unwrap_or(0))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// How many trials the last level has, where those are enough to compare.
    pub(super) fn trained(&self, dimensions: usize) -> Option<usize> {
        let last = self.levels.last()?;
        last.is_full(dimensions).then_some(last.ranked.len())
    }

    pub(super) fn count(&self, level: usize) -> usize {
        self.levels[level].ranked.len()
    }

    /// Best first.
    pub(super) fn numbers(&self, level: usize) -> impl Iterator<Item = u32> {
        self.levels[level].ranked.iter().map(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many trials each level has, in two dimensions: five are enough.
    #[track_caller]
    fn check(counts: &[u32], expected: Option<usize>) {
        let targets: Vec<u64> = (0..counts.len() as u32).map(|i| 3u64.pow(i)).collect();
        let mut levels = Levels::new(&targets);
        for number in 0..counts.iter().copied().max().unwrap_or(0) {
            let passed = counts.iter().filter(|count| number < **count).count();
            levels.insert(Goal::Maximize, number, &vec![f64::from(number); passed]);
        }
        assert_eq!(levels.compared(2), expected, "{counts:?}");
        if let Some(level) = expected {
            let best_first: Vec<u32> = levels.numbers(level).collect();
            let all: Vec<u32> = (0..counts[level]).rev().collect();
            assert_eq!(best_first, all);
            assert_eq!(levels.count(level), all.len());
        }
    }

    #[test]
    fn trials_are_compared_on_the_highest_level_with_enough_of_them() {
        check(&[], None);
        check(&[0, 0], Some(0));
        check(&[4, 2], Some(0));
        check(&[9, 4], Some(0));
        check(&[9, 5], Some(1));
        check(&[20, 9, 5], Some(2));
        check(&[20, 9, 4, 1], Some(1));
    }

    #[test]
    fn a_level_is_passed_at_its_target() {
        let levels = Levels::new(&[1, 3, 9]);
        let passed = [0, 1, 2, 3, 8, 9, 100].map(|at| levels.passed(at));
        assert_eq!(passed, [0, 1, 1, 2, 2, 3, 3]);
    }
}
