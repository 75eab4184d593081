//! When a run has ended, and how the next one starts: larger generations and small ones in turns, by what they have cost.
//!
//! Source: Hansen 2009, Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed, section 2,
//! <https://doi.org/10.1145/1570256.1570333>; the ends of a run after its section 2 and Hansen 2016, appendix B.3.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How a run came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Regime {
    First,
    /// A generation twice as large as the last large one.
    Large,
    /// A generation and a step size drawn at random.
    Small,
}

/// How the next run starts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) regime: Regime,
    /// Trials of a generation.
    pub(super) size: usize,
    /// Of the first step size.
    pub(super) width: f64,
    /// Trials after which it ends.
    pub(super) trials_max: Option<u64>,
}

/// What the runs so far have cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Restarts {
    pub(super) count: u32,
    large: u32,
    spent_large: u64,
    spent_small: u64,
    last_large: u64,
}

impl Restarts {
    /// The run after one of that plan, which took `spent` trials. `default`: the size of the first run's generations; `draw`
    /// gives numbers in [0, 1).
    pub(super) fn next(
        &mut self,
        ended: Plan,
        spent: u64,
        default: usize,
        mut draw: impl FnMut() -> f64,
    ) -> Plan {
        self.count = self.count.saturating_add(1);
        match ended.regime {
            Regime::First => {}
            Regime::Large => {
                self.spent_large += spent;
                self.last_large = spent;
            }
            Regime::Small => self.spent_small += spent,
        }
        if self.large == 0 || self.spent_large <= self.spent_small {
            self.large = (self.large + 1).min(LARGE_MAX);
            return Plan {
                regime: Regime::Large,
                size: default << self.large,
                width: 1.0,
                trials_max: None,
            };
        }
        let ratio = 0.5 * libm::pow(2.0, f64::from(self.large));
        let (a, b) = (draw(), draw());
        let size = libm::floor(default as f64 * libm::pow(ratio, a * a)) as usize;
        Plan {
            regime: Regime::Small,
            size: size.max(default),
            width: libm::pow(10.0, -2.0 * b),
            trials_max: Some((self.last_large / 2).max(1)),
        }
    }
}

/// Generations are doubled so often at most.
const LARGE_MAX: u32 = 9;

/// The best losses of a run's generations, as far as its end looks back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Of the newest generations, oldest first.
    recent: VecDeque<f64>,
    best: Option<f64>,
    /// Generations since the best loss was found.
    idle: u32,
}

impl Progress {
    /// Takes in the best and worst loss of a generation.
    pub(super) fn learn(&mut self, best: f64, worst: f64, n: usize, size: usize) -> Motion {
        if self.best.is_none_or(|known| best < known) {
            self.best = Some(best);
            self.idle = 0;
        } else {
            self.idle = self.idle.saturating_add(1);
        }
        let generations = 10 + (30 * n).div_ceil(size.max(1));
        self.recent.push_back(best);
        while self.recent.len() > generations {
            self.recent.pop_front();
        }
        let low = self.recent.iter().copied().fold(best, f64::min);
        let high = self.recent.iter().copied().fold(worst, f64::max);
        let flat = high - low <= 1e-13 * low.abs().max(high.abs());
        if flat && self.recent.len() == generations {
            Motion::Flat
        } else if self.idle as usize >= 40 + 2 * generations {
            self.idle = 0;
            Motion::Idle
        } else {
            Motion::Moving
        }
    }
}

/// Whether a run still gets anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    Moving,
    /// Losses agree in all digits.
    Flat,
    /// Losses differ, and for long none was better than the best; said once for each such time.
    Idle,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Plan = Plan {
        regime: Regime::First,
        size: 10,
        width: 1.0,
        trials_max: None,
    };

    #[test]
    fn large_and_small_runs_take_turns_by_their_cost() {
        let mut restarts = Restarts::default();
        let mut next = |plan, spent| restarts.next(plan, spent, 10, || 0.5);
        let large = next(FIRST, 1_000);
        assert_eq!(
            (large.regime, large.size, large.trials_max),
            (Regime::Large, 20, None)
        );
        let small = next(large, 2_000);
        assert_eq!(
            (small.regime, small.size, small.trials_max),
            (Regime::Small, 10, Some(1_000))
        );
        assert!((small.width - 0.1).abs() < 1e-15);
        let again = next(small, 900);
        assert_eq!(again.regime, Regime::Small);
        let large = next(again, 1_100);
        assert_eq!((large.regime, large.size), (Regime::Large, 40));
        let small = next(large, 100);
        assert_eq!(
            (small.regime, small.size, small.trials_max),
            (Regime::Small, 11, Some(50))
        );
    }

    /// When a run of 2 dimensions with those best losses first stops to move, and how.
    #[track_caller]
    fn check(best: impl Fn(u32) -> f64, expected: Option<(u32, Motion)>) {
        let mut progress = Progress::default();
        let moved = (0..1_000).map(|i| (i, progress.learn(best(i), best(i), 2, 6)));
        let stopped = moved
            .into_iter()
            .find(|(_, motion)| *motion != Motion::Moving);
        assert_eq!(stopped, expected);
    }

    #[test]
    fn a_run_ends_when_nothing_moves() {
        check(|_| 3.0, Some((19, Motion::Flat))); // 10 + 30 * 2 / 6 generations
        check(|i| f64::from(i % 2), Some((80, Motion::Idle))); // none better for 40 + 2 * 20
        check(|i| -f64::from(i), None);
        check(|i| libm::pow(0.8, f64::from(i)), None);
    }
}
