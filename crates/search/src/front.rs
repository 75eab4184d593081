//! Which of several objectives' values no others dominate.
//!
//! A point dominates another if it is at least as good in every objective and better in one.

use std::collections::BTreeMap;

use crate::Goal;

/// The most objectives a search may have.
pub const OBJECTIVES_MAX: usize = 3;

/// A point in ranks, smaller is better; 0 for objectives that there are not.
pub(crate) type Ranks = [u64; OBJECTIVES_MAX];

/// The indexes of the points that no other dominates, ascending; of equal points all are among them. A point with a value that is not
/// a number, or of another length than `goals`, is not. `values[i]`: point i, a value a goal; at most [`OBJECTIVES_MAX`]
/// goals. O(n log n).
///
/// Source: Kung, Luccio and Preparata 1975, On finding the maxima of a set of vectors, section 3,
/// <https://doi.org/10.1145/321906.321910>.
pub fn front(goals: &[Goal], values: &[&[f64]]) -> Vec<usize> {
    let points = values.iter().enumerate();
    let points = points.filter_map(|(i, values)| Some((ranks(goals, values)?, i)));
    let mut points: Vec<(Ranks, usize)> = points.collect();
    points.sort_unstable();
    let mut sweep = Sweep::default();
    points.retain(|(ranks, _)| sweep.admits(*ranks));
    let mut indexes: Vec<usize> = points.into_iter().map(|(_, i)| i).collect();
    indexes.sort_unstable();
    indexes
}

fn ranks(goals: &[Goal], values: &[f64]) -> Option<Ranks> {
    if values.len() != goals.len() || goals.len() > OBJECTIVES_MAX {
        return None;
    }
    let mut ranks = [0; OBJECTIVES_MAX];
    for ((rank, goal), value) in ranks.iter_mut().zip(goals).zip(values) {
        if value.is_nan() {
            return None;
        }
        *rank = goal.rank(*value);
    }
    Some(ranks)
}

/// Takes points in ascending order and says of each whether none before it dominates it. None after it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sweep {
    /// Of the points so far, the second rank -> the least third one up to there; the further, the less.
    stairs: BTreeMap<u64, u64>,
    last: Option<(Ranks, bool)>,
}

impl Sweep {
    pub(crate) fn admits(&mut self, ranks: Ranks) -> bool {
        let [_, second, third] = ranks;
        if let Some((last, admitted)) = self.last
            && last == ranks
        {
            return admitted;
        }
        let before = self.stairs.range(..=second).next_back();
        let admitted = before.is_none_or(|(_, least)| third < *least);
        if admitted {
            self.stairs.insert(second, third);
            while let Some((&next, &least)) = self.stairs.range(second + 1..).next()
                && least >= third
            {
                self.stairs.remove(&next);
            }
        }
        self.last = Some((ranks, admitted));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Goal::{Maximize, Minimize};

    #[track_caller]
    fn check(goals: &[Goal], points: &[&[f64]], expected: &[usize]) {
        assert_eq!(front(goals, points), expected, "{points:?}");
        let negated: Vec<Vec<f64>> = points
            .iter()
            .map(|point| point.iter().map(|value| -value).collect())
            .collect();
        let negated: Vec<&[f64]> = negated.iter().map(|point| &point[..]).collect();
        let turned = goals.iter().map(|goal| match goal {
            Minimize => Maximize,
            Maximize => Minimize,
        });
        let turned: Vec<Goal> = turned.collect();
        assert_eq!(front(&turned, &negated), expected, "{points:?} negated");
    }

    #[test]
    fn two_objectives() {
        let both = [Minimize, Minimize];
        check(&both, &[], &[]);
        check(&both, &[&[1.0, 1.0]], &[0]);
        check(
            &both,
            &[&[3.0, 1.0], &[1.0, 3.0], &[2.0, 2.0], &[3.0, 3.0]],
            &[0, 1, 2],
        );
        check(&both, &[&[1.0, 2.0], &[1.0, 1.0], &[2.0, 1.0]], &[1]);
        check(
            &[Minimize, Maximize],
            &[&[3.0, 1.0], &[1.0, 3.0], &[2.0, 2.0], &[0.5, 0.0]],
            &[1, 3],
        );
    }

    #[test]
    fn equal_points_are_all_on_it_or_none() {
        let both = [Minimize, Minimize];
        check(&both, &[&[1.0, 2.0], &[0.0, 3.0], &[1.0, 2.0]], &[0, 1, 2]);
        check(&both, &[&[1.0, 2.0], &[0.0, 2.0], &[1.0, 2.0]], &[1]);
        check(&both, &[&[0.0, 1.0], &[-0.0, 1.0]], &[0, 1]);
    }

    #[test]
    fn what_is_no_number_or_of_another_length_is_not_on_it() {
        let both = [Minimize, Minimize];
        let infinite = f64::NEG_INFINITY;
        check(
            &both,
            &[
                &[f64::NAN, 0.0],
                &[0.0],
                &[5.0, 5.0],
                &[0.0, 0.0, 0.0],
                &[infinite, 9.0],
            ],
            &[2, 4],
        );
        check(&[Minimize; 4], &[&[0.0; 4]], &[]);
    }

    #[test]
    fn one_objective_and_three() {
        check(&[Minimize], &[&[2.0], &[1.0], &[1.0]], &[1, 2]);
        check(
            &[Minimize; 3],
            &[
                &[1.0, 2.0, 3.0],
                &[1.0, 2.0, 2.0],
                &[3.0, 1.0, 9.0],
                &[2.0, 2.0, 2.0],
                &[0.0, 9.0, 9.0],
            ],
            &[1, 2, 4],
        );
    }

    #[test]
    fn a_hundred_thousand_points() {
        // Quarters of a circle, the smaller inside: the outer ones are dominated.
        let count = 100_000;
        let point = |i: u32| {
            let radius = 1.0 + f64::from(i % 100);
            let share = f64::from(i / 100) / f64::from(count / 100 - 1);
            let (x, y) = (1.0 - share * share, share * share);
            [radius * (x - 1.0), radius * (y - 1.0), -radius]
        };
        let points: Vec<[f64; 3]> = (0..count).map(point).collect();
        let points: Vec<&[f64]> = points.iter().map(|point| &point[..]).collect();
        let found = front(&[Minimize; 3], &points);
        assert_eq!(found.len(), 1_000);
        assert!(found.iter().all(|i| i % 100 == 99));
    }
}
