//! Which of two objective values is better.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// The direction of an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Goal {
    Minimize,
    Maximize,
}

impl Goal {
    /// Whether `a` is strictly better than `b`. A value that is not a number is never better, and everything else
    /// is better than it.
    pub fn better(self, a: f64, b: f64) -> bool {
        self.order(a, b) == Ordering::Less
    }

    /// A total order, best first, values that are not numbers last. The two zeros are equal.
    pub fn order(self, a: f64, b: f64) -> Ordering {
        self.rank(a).cmp(&self.rank(b))
    }

    /// A value with its sign turned where larger is better.
    pub(crate) fn loss(self, value: f64) -> f64 {
        match self {
            Goal::Minimize => value,
            Goal::Maximize => -value,
        }
    }

    /// A number that is smaller the better the value is: the value's bits, made monotone. NaN is `u64::MAX`,
    /// whatever its payload, so ranks are safe to keep in replicated state.
    pub(crate) fn rank(self, value: f64) -> u64 {
        if value.is_nan() {
            return u64::MAX;
        }
        let bits = (self.loss(value) + 0.0).to_bits(); // -0.0 + 0.0 is 0.0
        if bits >> 63 == 1 {
            !bits
        } else {
            bits | (1 << 63)
        }
    }

    /// A value of that rank: NaN for `u64::MAX`, and of the two zeros the positive one.
    pub(crate) fn value(self, rank: u64) -> f64 {
        let loss = match rank >> 63 {
            _ if rank == u64::MAX => f64::NAN,
            0 => f64::from_bits(!rank),
            _ => f64::from_bits(rank ^ (1 << 63)),
        };
        self.loss(loss) + 0.0
    }
}

/// As [`Goal::rank`], for a value that breaks a requirement: behind every value that does not, before NaN, and smaller the
/// smaller the violation, which is above 0, is. To 40 bits; what is the same to these is the same.
///
/// Source: Deb 2000, An efficient constraint handling method for genetic algorithms, section 3,
/// <https://doi.org/10.1016/S0045-7825(99)00389-8>.
pub(crate) fn rank_of_violation(violation: f64) -> u64 {
    const AFTER_INFINITY: u64 = (0xfff0 << 48) + 1;
    AFTER_INFINITY + ((violation.max(0.0) + 0.0).to_bits() >> 12) // NaN.max(0) is 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(goal: Goal, best_first: &[f64]) {
        for (i, &a) in best_first.iter().enumerate() {
            for (j, &b) in best_first.iter().enumerate() {
                assert_eq!(goal.order(a, b), i.cmp(&j), "{goal:?} {a} {b}");
                assert_eq!(goal.better(a, b), i < j, "{goal:?} {a} {b}");
            }
            let value = goal.value(goal.rank(a));
            assert!(value == a || value.is_nan() && a.is_nan(), "{goal:?} {a}");
            assert!(value != 0.0 || value.is_sign_positive());
        }
    }

    const ASCENDING: [f64; 8] = [
        f64::NEG_INFINITY,
        f64::MIN,
        -1.0,
        -5e-324,
        0.0,
        f64::MIN_POSITIVE,
        1.0,
        f64::INFINITY,
    ];

    #[test]
    fn minimize_takes_the_smallest_and_nan_last() {
        check(Goal::Minimize, &[&ASCENDING[..], &[f64::NAN]].concat());
    }

    #[test]
    fn maximize_takes_the_largest_and_nan_last() {
        let descending: Vec<f64> = ASCENDING.iter().rev().copied().collect();
        check(Goal::Maximize, &[&descending[..], &[f64::NAN]].concat());
    }

    #[test]
    fn zeros_and_nans_are_equal_among_themselves() {
        for goal in [Goal::Minimize, Goal::Maximize] {
            assert_eq!(goal.order(0.0, -0.0), Ordering::Equal);
            assert_eq!(goal.order(f64::NAN, -f64::NAN), Ordering::Equal);
            assert!(!goal.better(f64::NAN, f64::NAN));
        }
    }

    #[test]
    fn violations_rank_behind_values_and_before_nan() {
        let violations = [f64::MIN_POSITIVE, 1e-9, 1.0, 1.5, 1e300, f64::INFINITY];
        let ranks = violations.map(rank_of_violation);
        assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{ranks:?}");
        for goal in [Goal::Minimize, Goal::Maximize] {
            for value in [f64::NEG_INFINITY, 0.0, f64::INFINITY] {
                assert!(goal.rank(value) < ranks[0]);
            }
            assert!(ranks[5] < goal.rank(f64::NAN));
        }
    }
}
