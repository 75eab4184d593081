//! Hyperband, asynchronous: brackets that begin at different rungs, each an ASHA of its own.
//!
//! Source: Li et al. 2018, Hyperband: a novel bandit-based approach to hyperparameter optimization, JMLR 18(185),
//! Algorithm 1 (s_max, n and r of a bracket), <https://jmlr.org/papers/v18/16-558.html>; asynchronous brackets as in Li et
//! al. 2020, <https://arxiv.org/abs/1810.05934>, section 3. There brackets come one after the other; here trials are dealt
//! to them in proportion to their sizes, so that all run side by side.

use serde::{Deserialize, Serialize};

use super::asha::Asha;
use super::{Promotion, RungPlan, Verdict};
use crate::{Event, Goal};

/// 2^64 over the golden ratio: its multiples fill a circle evenly.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Trials that are counted one by one for a plan; more are divided.
const COUNTED_MAX: u32 = 1 << 20;

/// One bracket of a round of Hyperband.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// Where its trials are compared, ascending, in units.
    pub rungs: Vec<u64>,
    /// How many begin.
    pub trials: u64,
}

/// The brackets of a round (s_max, n and r of Algorithm 1), the one with the most rungs first.
///
/// `0 < min <= max`, `eta >= 2`.
pub fn brackets(min: u64, max: u64, eta: u32) -> Vec<Bracket> {
    let rungs = targets(min, max, eta);
    let sizes = sizes(rungs.len(), eta).into_iter().enumerate();
    let bracket = |(first, trials)| Bracket {
        rungs: rungs[first..].to_vec(),
        trials,
    };
    sizes.map(bracket).collect()
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hyperband {
    eta: u32,
    /// The one with the most rungs first: bracket i lacks the first i rungs.
    brackets: Vec<Asha>,
    /// Configurations of each bracket in one round of Algorithm 1.
    sizes: Vec<u64>,
}

impl Hyperband {
    /// `0 < min <= max`, `eta >= 2`.
    pub(super) fn new(goal: Goal, min: u64, max: u64, eta: u32) -> Hyperband {
        let round = brackets(min, max, eta);
        Hyperband {
            eta,
            sizes: round.iter().map(|bracket| bracket.trials).collect(),
            brackets: round
                .into_iter()
                .map(|bracket| Asha::with_targets(goal, eta, bracket.rungs))
                .collect(),
        }
    }

    /// The bracket of a trial: a function of its number alone. Of the first n trials each bracket gets its share of n, give
    /// or take a few.
    pub(super) fn bracket(&self, number: u32) -> usize {
        let all: u64 = self.sizes.iter().fold(0, |sum, n| sum.saturating_add(*n));
        let turn = u64::from(number).wrapping_mul(GOLDEN);
        let mut place = ((u128::from(turn) * u128::from(all)) >> 64) as u64;
        for (bracket, size) in self.sizes.iter().enumerate() {
            if place < *size {
                return bracket;
            }
            place -= size;
        }
        0
    }

    fn of(&self, number: u32) -> &Asha {
        &self.brackets[self.bracket(number)]
    }

    fn of_mut(&mut self, number: u32) -> &mut Asha {
        let bracket = self.bracket(number);
        &mut self.brackets[bracket]
    }

    pub(super) fn first_until(&self, number: u32) -> u64 {
        self.of(number).target(0)
    }

    /// The rungs of all brackets.
    pub(super) fn targets(&self) -> &[u64] {
        self.brackets[0].targets()
    }

    pub(super) fn observe(&mut self, event: &Event) -> Verdict {
        self.of_mut(event.number()).observe(event)
    }

    /// The one that goes furthest, in the bracket with more rungs where two go as far.
    pub(super) fn promotable(&self) -> Option<Promotion> {
        let mut found: Option<Promotion> = None;
        for promotion in self.brackets.iter().filter_map(Asha::promotable) {
            if found.is_none_or(|found| promotion.until > found.until) {
                found = Some(promotion);
            }
        }
        found
    }

    /// Those that would go furthest first.
    pub(super) fn ahead(&self, coming: &[u32]) -> Vec<Promotion> {
        let brackets = self.brackets.iter();
        let mut found: Vec<Promotion> = brackets.flat_map(|asha| asha.ahead(coming)).collect();
        found.sort_by_key(|promotion| std::cmp::Reverse(promotion.until)); // stable
        found
    }

    pub(super) fn is_due(&self, number: u32) -> bool {
        self.of(number).is_due(number)
    }

    pub(super) fn waits(&self, number: u32) -> bool {
        self.of(number).waits(number)
    }

    pub(super) fn owed(&self) -> Vec<u32> {
        self.brackets.iter().flat_map(Asha::owed).collect()
    }

    pub(super) fn promote(&mut self, number: u32) -> Option<u64> {
        self.of_mut(number).promote(number)
    }

    pub(super) fn until(&self, number: u32) -> Option<u64> {
        self.of(number).until(number)
    }

    /// Summed over the brackets: how many trials get at least that far.
    pub(super) fn plan(&self, trials: u32) -> Vec<RungPlan> {
        let counts = self.counts(trials);
        let rungs = self.targets().iter().enumerate();
        rungs
            .map(|(rung, &until)| {
                let reach = |(bracket, count): (usize, &u32)| {
                    let steps = rung.saturating_sub(bracket) as u32;
                    let divisor = u64::from(self.eta).saturating_pow(steps);
                    (u64::from(*count) / divisor) as u32
                };
                let trials = counts.iter().enumerate().map(reach).sum();
                RungPlan { until, trials }
            })
            .collect()
    }

    /// How many of the first trials each bracket gets.
    fn counts(&self, trials: u32) -> Vec<u32> {
        let mut counts = vec![0u32; self.brackets.len()];
        if trials <= COUNTED_MAX {
            for number in 0..trials {
                counts[self.bracket(number)] += 1;
            }
            return counts;
        }
        let all: u128 = self.sizes.iter().map(|n| u128::from(*n)).sum();
        for (count, size) in counts.iter_mut().zip(&self.sizes) {
            *count = (u128::from(trials) * u128::from(*size) / all) as u32;
        }
        counts
    }
}

/// `max / eta^s` for s from the largest that leaves at least `min` to 0, rounded down.
fn targets(min: u64, max: u64, eta: u32) -> Vec<u64> {
    let eta = u64::from(eta);
    let mut targets: Vec<u64> = std::iter::successors(Some(max), |target| {
        (target / eta >= min).then_some(target / eta)
    })
    .collect();
    targets.reverse();
    targets
}

/// `ceil((s_max + 1) / (s + 1) * eta^s)` for s from s_max to 0.
fn sizes(brackets: usize, eta: u32) -> Vec<u64> {
    let all = brackets as u64;
    (1..=all)
        .rev()
        .map(|rungs| {
            let power = u64::from(eta).saturating_pow((rungs - 1) as u32);
            all.saturating_mul(power).div_ceil(rungs).min(1 << 40)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Assignment;

    fn hyperband(min: u64, max: u64, eta: u32) -> Hyperband {
        Hyperband::new(Goal::Minimize, min, max, eta)
    }

    /// (trials, units) of each rung of each bracket in one round.
    fn round(hyperband: &Hyperband) -> Vec<Vec<(u64, u64)>> {
        let brackets = hyperband.brackets.iter().zip(&hyperband.sizes);
        brackets
            .map(|(bracket, size)| {
                let rungs = bracket.targets().iter().zip(0..);
                rungs
                    .map(|(r, i)| (size / u64::from(hyperband.eta).pow(i), *r))
                    .collect()
            })
            .collect()
    }

    /// Table 1 of the paper: R = 81, eta = 3.
    #[test]
    fn brackets_are_those_of_table_1() {
        let expected: [&[(u64, u64)]; 5] = [
            &[(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
            &[(34, 3), (11, 9), (3, 27), (1, 81)],
            &[(15, 9), (5, 27), (1, 81)],
            &[(8, 27), (2, 81)],
            &[(5, 81)],
        ];
        assert_eq!(round(&hyperband(1, 81, 3)), expected);
    }

    #[test]
    fn rungs_are_counted_from_max_down() {
        for (min, max, eta, expected) in [
            (1, 30, 3, vec![1, 3, 10, 30]),
            (2, 30, 3, vec![3, 10, 30]),
            (5, 5, 2, vec![5]),
            (1, 1, 2, vec![1]),
            (3, 5, 2, vec![5]),
        ] {
            assert_eq!(targets(min, max, eta), expected, "{min} {max} {eta}");
        }
        let wide = hyperband(1, u64::MAX, 2);
        assert_eq!(wide.brackets.len(), 64);
        assert!(wide.bracket(u32::MAX) < 64);
    }

    #[test]
    fn trials_are_dealt_in_proportion_from_the_first_on() {
        let hyperband = hyperband(1, 81, 3);
        assert_eq!(hyperband.bracket(0), 0);
        for rounds in 1..=7 {
            let counts = hyperband.counts(143 * rounds);
            for (count, size) in counts.iter().zip(&hyperband.sizes) {
                let wanted = *size as u32 * rounds;
                assert!(
                    count.abs_diff(wanted) <= 3,
                    "{counts:?} after {rounds} rounds"
                );
            }
        }
        let (many, share) = (
            hyperband.counts(COUNTED_MAX + 1),
            hyperband.counts(COUNTED_MAX),
        );
        assert!(many.iter().zip(&share).all(|(a, b)| a.abs_diff(*b) <= 8));
    }

    #[test]
    fn the_plan_sums_over_brackets() {
        let plan = hyperband(1, 9, 3).plan(17);
        let plan: Vec<(u64, u32)> = plan.iter().map(|rung| (rung.until, rung.trials)).collect();
        // Of 9, 5 and 3 trials: 9 + 5 + 3 get to 1, 3 + 5 + 3 to 3, 1 + 1 + 3 to 9.
        assert_eq!(plan, [(1, 17), (3, 11), (9, 5)]);
    }

    /// Trials of one bracket do not decide about those of another.
    #[test]
    fn brackets_do_not_mix() {
        let mut hyperband = hyperband(1, 9, 3);
        let in_bracket = |bracket: usize, hyperband: &Hyperband| -> Vec<u32> {
            (0..40)
                .filter(|n| hyperband.bracket(*n) == bracket)
                .collect()
        };
        let (wide, narrow) = (in_bracket(0, &hyperband), in_bracket(1, &hyperband));
        for number in wide.iter().take(2).chain(narrow.iter().take(2)) {
            hyperband.observe(&Event::Created {
                number: *number,
                parameters: Assignment::new(),
            });
            let at = hyperband.first_until(*number);
            let value = f64::from(*number);
            let event = Event::Observed {
                number: *number,
                at,
                value,
            };
            assert_eq!(hyperband.observe(&event), Verdict::Pause);
        }
        assert_eq!(hyperband.promotable(), None);
        for (number, until) in [(wide[2], 3), (narrow[2], 9)] {
            let at = hyperband.first_until(number);
            hyperband.observe(&Event::Observed {
                number,
                at,
                value: -1.0,
            });
            assert_eq!(hyperband.promotable(), Some(Promotion { number, until }));
        }
        assert_eq!(hyperband.promote(narrow[2]), Some(9));
        assert_eq!(hyperband.promote(wide[2]), Some(3));
        assert_eq!(hyperband.promotable(), None);
        assert_eq!(hyperband.until(narrow[2]), Some(9));
    }
}
