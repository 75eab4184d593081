//! Wilcoxon pruning: a value is a trial's result on one instance (a fold, a seed), and a trial that is worse than the best one
//! on the instances both have, by more than chance explains, is stopped.
//!
//! The best trial is the completed one with the best mean. A trial whose mean on those instances is no worse is never
//! stopped (Optuna compares the means over all instances that each has, which says less where one has more).
//! Instances need not come in the same order. Values that are not finite are left out.
//!
//! Source: the rule of Optuna's `WilcoxonPruner` (version 4), with the test of Wilcoxon 1945.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::signed_rank::p_greater;
use super::{StopReason, Verdict};
use crate::{Ending, Event, Goal};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Wilcoxon {
    goal: Goal,
    threshold: f64,
    startup: u32,
    live: BTreeMap<u32, Track>,
    ended: BTreeSet<u32>,
    best: Option<Best>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Track {
    /// By instance; `None` where it was not finite.
    values: BTreeMap<u64, Option<f64>>,
    stopped: Option<StopReason>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Best {
    number: u32,
    mean: f64,
    values: BTreeMap<u64, Option<f64>>,
}

impl Wilcoxon {
    /// `0 < threshold < 1`; `startup`: instances in common before anybody is stopped.
    pub(super) fn new(goal: Goal, threshold: f64, startup: u32) -> Wilcoxon {
        Wilcoxon {
            goal,
            threshold,
            startup,
            live: BTreeMap::new(),
            ended: BTreeSet::new(),
            best: None,
        }
    }

    pub(super) fn is_live(&self, number: u32) -> bool {
        self.live.contains_key(&number)
    }

    pub(super) fn observe(&mut self, event: &Event) -> Verdict {
        match event {
            Event::Created { number, .. } => {
                self.enter(*number);
            }
            Event::Observed { number, at, value } => return self.take_value(*number, *at, *value),
            Event::Ended { number, ending } => self.end(*number, *ending),
            Event::Violated { .. } | Event::Several { .. } => {} // come as `Observed`
        }
        Verdict::Continue
    }

    fn enter(&mut self, number: u32) -> Option<&mut Track> {
        if self.ended.contains(&number) {
            return None;
        }
        Some(self.live.entry(number).or_default())
    }

    fn end(&mut self, number: u32, ending: Ending) {
        if !self.ended.insert(number) {
            return;
        }
        let track = self.live.remove(&number).unwrap_or_default();
        let goal = self.goal;
        let Some(mean) = mean(&track.values).filter(|_| ending == Ending::Completed) else {
            return;
        };
        // Ties go to the earlier trial, whatever the order in which they ended.
        let leads = |best: &Best| {
            goal.better(mean, best.mean) || (mean == best.mean && number < best.number)
        };
        if self.best.as_ref().is_none_or(leads) {
            self.best = Some(Best {
                number,
                mean,
                values: track.values,
            });
        }
    }

    fn take_value(&mut self, number: u32, at: u64, value: f64) -> Verdict {
        let Some(track) = self.enter(number) else {
            return Verdict::Continue;
        };
        if let Some(reason) = &track.stopped {
            return Verdict::Stop {
                reason: reason.clone(),
            };
        }
        if track.values.contains_key(&at) {
            return Verdict::Continue;
        }
        track.values.insert(at, value.is_finite().then_some(value));
        let values = track.values.clone();
        let Some(reason) = self.judge(&values) else {
            return Verdict::Continue;
        };
        if let Some(track) = self.live.get_mut(&number) {
            track.stopped = Some(reason.clone());
        }
        Verdict::Stop { reason }
    }

    fn judge(&self, values: &BTreeMap<u64, Option<f64>>) -> Option<StopReason> {
        let best = self.best.as_ref()?;
        let worse = |(at, value): (&u64, &Option<f64>)| {
            let (value, other) = ((*value)?, (*best.values.get(at)?)?);
            Some(match self.goal {
                Goal::Minimize => value - other,
                Goal::Maximize => other - value,
            })
        };
        let differences: Vec<f64> = values.iter().filter_map(worse).collect();
        if differences.len() < (self.startup as usize).max(2) {
            return None;
        }
        let sum: f64 = differences.iter().sum();
        if sum <= 0.0 {
            return None; // worse on many, and much better on some
        }
        let p = p_greater(&differences);
        (p < self.threshold).then_some(StopReason::WorseThanBest {
            best: best.number,
            instances: differences.len() as u32,
            p,
        })
    }
}

/// The mean of the finite values, by ascending instance.
fn mean(values: &BTreeMap<u64, Option<f64>>) -> Option<f64> {
    let count = values.values().flatten().count();
    let sum: f64 = values.values().flatten().sum();
    let mean = sum / count as f64;
    mean.is_finite().then_some(mean)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NAN: f64 = f64::NAN;

    fn tell(wilcoxon: &mut Wilcoxon, number: u32, values: &[(u64, f64)]) -> Option<u32> {
        values.iter().find_map(|&(at, value)| {
            match wilcoxon.observe(&Event::Observed { number, at, value }) {
                Verdict::Stop {
                    reason: StopReason::WorseThanBest { instances, .. },
                } => Some(instances),
                _ => None,
            }
        })
    }

    /// Losses of the best trial and of another on instances 0, 1, ...: after how many in common it is stopped at p 0.1.
    #[track_caller]
    fn check(startup: u32, best: &[f64], other: &[f64], expected: Option<u32>) {
        for goal in [Goal::Minimize, Goal::Maximize] {
            let sign = if goal == Goal::Minimize { 1.0 } else { -1.0 };
            let series = |losses: &[f64]| -> Vec<(u64, f64)> {
                (0..).zip(losses.iter().map(|loss| sign * loss)).collect()
            };
            let mut wilcoxon = Wilcoxon::new(goal, 0.1, startup);
            tell(&mut wilcoxon, 0, &series(best));
            let ending = Ending::Completed;
            wilcoxon.observe(&Event::Ended { number: 0, ending });
            let mut backwards = wilcoxon.clone();
            assert_eq!(tell(&mut wilcoxon, 1, &series(other)), expected, "{goal:?}");
            // The order of instances changes when, never whether, where all are worse alike.
            if other.iter().zip(best).all(|(a, b)| a > b) {
                let mut turned = series(other);
                turned.reverse();
                assert_eq!(tell(&mut backwards, 1, &turned), expected);
            }
        }
    }

    #[test]
    fn worse_on_each_instance_is_stopped_after_four() {
        let best = [1.0, 2.0, 3.0, 4.0, 5.0];
        check(2, &best, &[1.1, 2.2, 3.3, 4.4, 5.5], Some(4)); // 1/16, after 1/8
        check(5, &best, &[1.1, 2.2, 3.3, 4.4, 5.5], Some(5));
        check(6, &best, &[1.1, 2.2, 3.3, 4.4, 5.5], None);
    }

    #[test]
    fn as_good_or_better_is_not_stopped() {
        let best = [1.0, 2.0, 3.0, 4.0, 5.0];
        check(2, &best, &best, None);
        check(2, &best, &[0.0, 1.0, 2.0, 3.0, 4.0], None);
        // Worse on most, better on average.
        check(
            2,
            &[5.0, 5.0, 5.0, 5.0, 5.0],
            &[-90.0, 5.1, 5.1, 5.1, 5.1],
            None,
        );
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let best = [1.0, NAN, 1.0, 1.0, 1.0, 1.0];
        check(2, &best, &[2.0, 2.0, f64::INFINITY, 2.0, 2.0, 2.0], Some(4));
        check(2, &[NAN; 6], &[2.0; 6], None);
        check(2, &best, &[NAN; 6], None);
    }

    #[test]
    fn the_best_mean_among_completed_trials_is_the_measure() {
        let mut wilcoxon = Wilcoxon::new(Goal::Minimize, 0.1, 2);
        for (number, value, ending) in [
            (0, 5.0, Ending::Completed),
            (1, 1.0, Ending::Pruned),
            (2, 3.0, Ending::Completed),
            (3, 4.0, Ending::Completed),
        ] {
            let mut fresh = wilcoxon.clone();
            fresh.best = None; // nobody stops it
            tell(&mut fresh, number, &[(0, value), (1, value)]);
            fresh.best = wilcoxon.best.take();
            wilcoxon = fresh;
            wilcoxon.observe(&Event::Ended { number, ending });
        }
        assert_eq!(
            wilcoxon.best.as_ref().map(|b| (b.number, b.mean)),
            Some((2, 3.0))
        );
        let values: Vec<(u64, f64)> = (0..9).map(|at| (at, 9.0)).collect();
        assert_eq!(
            tell(&mut wilcoxon, 9, &values),
            None,
            "two in common prove nothing"
        );
    }

    #[test]
    fn the_reason_names_the_best_and_the_chance() {
        let reason = StopReason::WorseThanBest {
            best: 3,
            instances: 4,
            p: 0.0625,
        };
        let text = "it is worse than trial 3 on 4 instances, by chance with p = 0.0625";
        assert_eq!(reason.to_string(), text);
    }
}
