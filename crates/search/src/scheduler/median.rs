//! The median stopping rule: a trial whose best value so far is worse than what the middle one of the completed trials
//! had on average by then is stopped.
//!
//! Source: Golovin et al. 2017, Google Vizier, section 3.2.2, <https://doi.org/10.1145/3097983.3098043>. Only completed
//! trials are compared with, as there, and their running averages up to the same amount of training. Any of these may be the
//! median later on, so all are kept.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use super::halves::Halves;
use super::{StopReason, Verdict};
use crate::{Ending, Event, Goal};

/// Units whose averages are kept in halves. At others a value costs O(completed trials).
const HALVED_MAX: usize = 128;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Median {
    goal: Goal,
    min: u64,
    startup: u32,
    live: BTreeMap<u32, Track>,
    /// Trials that have ended; a completed one with its series.
    ended: BTreeMap<u32, Series>,
    completed: u32,
    #[serde(skip)]
    medians: Medians,
}

/// By units, the ranks of the averages of the completed trials up to there. It follows from these trials: it is not saved but made
/// again, and says nothing about equality.
#[derive(Debug, Default)]
struct Medians(BTreeMap<u64, Halves>);

/// A copy of the state is for those who look at it, and seldom takes values.
impl Clone for Medians {
    fn clone(&self) -> Medians {
        Medians::default()
    }
}

impl PartialEq for Medians {
    fn eq(&self, _: &Medians) -> bool {
        true
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Track {
    series: Series,
    /// The best number so far.
    best: Option<f64>,
    stopped: Option<StopReason>,
}

/// (units, sum of the values up to there) in ascending units. From the first value that is not a number the sum is
/// `None`, which ranks as the worst average.
type Series = Vec<(u64, Option<f64>)>;

impl Median {
    pub(super) fn new(goal: Goal, min: u64, startup: u32) -> Median {
        Median {
            goal,
            min,
            startup,
            live: BTreeMap::new(),
            ended: BTreeMap::new(),
            completed: 0,
            medians: Medians::default(),
        }
    }

    pub(super) fn is_live(&self, number: u32) -> bool {
        self.live.contains_key(&number)
    }

    pub(super) fn observe(&mut self, event: &Event, budget: u64) -> Verdict {
        match event {
            Event::Created { number, .. } => {
                self.enter(*number);
                Verdict::Continue
            }
            Event::Observed { number, at, value } => self.take_value(*number, *at, *value, budget),
            Event::Ended { number, ending } => {
                self.end(*number, *ending);
                Verdict::Continue
            }
            Event::Violated { .. } | Event::Several { .. } => Verdict::Continue, // come as `Observed`
        }
    }

    fn enter(&mut self, number: u32) -> Option<&mut Track> {
        if self.ended.contains_key(&number) {
            return None;
        }
        Some(self.live.entry(number).or_default())
    }

    fn end(&mut self, number: u32, ending: Ending) {
        if self.ended.contains_key(&number) {
            return;
        }
        let series = self.live.remove(&number).unwrap_or_default().series;
        if ending == Ending::Completed {
            self.completed = self.completed.saturating_add(1);
            for (at, halves) in &mut self.medians.0 {
                let average = average_at(&series, *at);
                average
                    .into_iter()
                    .for_each(|a| halves.insert(self.goal.rank(a)));
            }
            self.ended.insert(number, series);
        } else {
            self.ended.insert(number, Series::new());
        }
    }

    fn take_value(&mut self, number: u32, at: u64, value: f64, budget: u64) -> Verdict {
        let goal = self.goal;
        let Some(track) = self.enter(number) else {
            return Verdict::Continue;
        };
        if let Some(reason) = &track.stopped
            && let StopReason::WorseThanMedian { at: stopped_at, .. } = reason
            && at >= *stopped_at
        {
            return Verdict::Stop {
                reason: reason.clone(),
            };
        }
        let last = track.series.last().copied();
        if last.is_some_and(|(last, _)| at <= last) {
            return Verdict::Continue;
        }
        let value = (!value.is_nan()).then_some(value);
        let before = last.map_or(Some(0.0), |(_, sum)| sum);
        let sum = before.zip(value).map(|(sum, value)| sum + value);
        track.series.push((at, sum.filter(|sum| !sum.is_nan()))); // inf - inf
        if let Some(value) = value
            && track.best.is_none_or(|best| goal.better(value, best))
        {
            track.best = Some(value);
        }
        let best = track.best;
        if at < self.min || at >= budget || self.completed < self.startup {
            return Verdict::Continue;
        }
        let Some((median, trials)) = self.median_at(at) else {
            return Verdict::Continue;
        };
        if !goal.better(median, best.unwrap_or(f64::NAN)) {
            return Verdict::Continue;
        }
        let reason = StopReason::WorseThanMedian {
            at,
            best,
            median,
            trials,
        };
        if let Some(track) = self.live.get_mut(&number) {
            track.stopped = Some(reason.clone());
        }
        Verdict::Stop { reason }
    }

    /// The median running average at that amount of training and how many it is of; NaN if the middle one has none.
    /// Of an even number it is the mean of the two in the middle, or the worse one where a mean makes no sense.
    fn median_at(&mut self, at: u64) -> Option<(f64, u32)> {
        let goal = self.goal;
        let all = || {
            let averages = self
                .ended
                .values()
                .filter_map(|series| average_at(series, at));
            Halves::of(averages.map(|average| goal.rank(average)))
        };
        let has_room = self.medians.0.len() < HALVED_MAX;
        let halves = match self.medians.0.entry(at) {
            Entry::Occupied(halves) => &*halves.into_mut(),
            Entry::Vacant(place) if has_room => &*place.insert(all()),
            Entry::Vacant(_) => &all(),
        };
        let (lower, upper) = halves.middle();
        let (lower, upper) = (lower.map(|rank| goal.value(rank)), goal.value(upper?));
        let count = halves.len();
        let median = match lower {
            Some(lower) if count.is_multiple_of(2) && lower.is_finite() && upper.is_finite() => {
                lower / 2.0 + upper / 2.0
            }
            _ => upper,
        };
        Some((median, u32::try_from(count).unwrap_or(u32::MAX)))
    }
}

/// The mean of a trial's values up to there, NaN if one was not a number; `None` if it had none yet.
fn average_at(series: &Series, at: u64) -> Option<f64> {
    let count = series.partition_point(|(units, _)| *units <= at);
    let (_, sum) = series.get(count.checked_sub(1)?)?;
    Some(sum.map_or(f64::NAN, |sum| sum / count as f64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::{Scheduler, SchedulerKind};

    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;

    fn observe_all(scheduler: &mut Scheduler, number: u32, values: &[f64]) -> Vec<Verdict> {
        let values = values.iter().zip(1..);
        values
            .map(|(&value, at)| scheduler.observe(&Event::Observed { number, at, value }))
            .collect()
    }

    fn history(goal: Goal, min: u64, startup: u32, completed: &[&[f64]]) -> Scheduler {
        let kind = SchedulerKind::Median { min, startup };
        let mut scheduler = Scheduler::new(kind, goal, 4).unwrap();
        // They run side by side, so that none is measured by another.
        for (values, number) in completed.iter().zip(0..) {
            observe_all(&mut scheduler, number, values);
        }
        for (_, number) in completed.iter().zip(0..) {
            let ending = Ending::Completed;
            scheduler.observe(&Event::Ended { number, ending });
        }
        scheduler
    }

    /// A new trial's values against completed ones (goal minimize, budget 4, values at 1, 2, ...): when and against
    /// which median it is stopped.
    #[track_caller]
    fn check(completed: &[&[f64]], values: &[f64], expected: Option<(u64, f64)>) {
        let mut scheduler = history(Goal::Minimize, 1, 1, completed);
        let verdicts = observe_all(&mut scheduler, 100, values);
        let stop = verdicts.into_iter().find_map(|verdict| match verdict {
            Verdict::Stop {
                reason: StopReason::WorseThanMedian { at, median, .. },
            } => Some((at, median)),
            _ => None,
        });
        assert_eq!(stop, expected);
    }

    /// The definition: all averages in order.
    fn median_of(median: &Median, at: u64) -> Option<(f64, u32)> {
        let completed = median.ended.values();
        let mut averages: Vec<f64> = completed.filter_map(|s| average_at(s, at)).collect();
        averages.sort_by(|a, b| median.goal.order(*a, *b));
        let half = averages.len() / 2;
        let upper = *averages.get(half)?;
        let lower = if averages.len().is_multiple_of(2) {
            averages[half - 1]
        } else {
            upper
        };
        let is_mean = lower.is_finite() && upper.is_finite();
        let middle = if is_mean {
            lower / 2.0 + upper / 2.0
        } else {
            upper
        };
        Some((middle, averages.len() as u32))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// Also at more different units than are kept in halves, and after a restart now and then.
        #[test]
        fn the_median_is_what_sorting_says(
            trials in vec((vec((1u64..40, -9i32..9), 0..6), 0u64..300, 0u8..9), 0..40), step in 1u64..5,
        ) {
            let mut median = Median::new(Goal::Maximize, 1, 1);
            for (number, (values, asked, chance)) in (0..).zip(trials) {
                let mut at = 0;
                for (step, value) in values {
                    at += step;
                    let value = match value {
                        -9 => NAN,
                        8 => INF,
                        _ => f64::from(value),
                    };
                    median.take_value(number, at, value, u64::MAX);
                }
                median.end(number, if chance == 0 { Ending::Pruned } else { Ending::Completed });
                for at in (1..9).map(|i| i * step).chain(asked..asked + 9) {
                    let (found, expected) = (median.median_at(at), median_of(&median, at));
                    prop_assert_eq!(found.map(|f| f.1), expected.map(|e| e.1));
                    let (found, expected) = (found.map_or(0.0, |f| f.0), expected.map_or(0.0, |e| e.0));
                    prop_assert!(found == expected || found.is_nan() && expected.is_nan());
                }
                if chance == 1 {
                    let bytes = postcard::to_stdvec(&median).unwrap();
                    median = postcard::from_bytes(&bytes).unwrap();
                }
            }
        }
    }

    #[test]
    fn strictly_worse_than_the_median_average_stops() {
        let three: [&[f64]; 3] = [&[1.0, 1.0], &[4.0, 2.0], &[9.0, 9.0]];
        check(&three, &[4.1], Some((1, 4.0)));
        check(&three, &[4.0], None);
        check(&three, &[4.0, 3.5], Some((2, 3.0))); // (4 + 2) / 2
        check(&three, &[2.0, 3.5], None); // its best, 2, still stands
    }

    #[test]
    fn of_an_even_number_the_middle_two_are_averaged() {
        check(&[&[1.0], &[2.0]], &[1.6], Some((1, 1.5)));
        check(&[&[1.0], &[2.0]], &[1.5], None);
        check(&[&[1.0], &[NAN]], &[1e300], None); // the worse one where a mean makes no sense
    }

    #[test]
    fn only_what_was_reported_by_then_counts() {
        check(&[&[1.0], &[]], &[2.0], Some((1, 1.0)));
        check(&[&[]], &[2.0], None);
        check(&[&[3.0]], &[2.0, 2.0], None);
    }

    #[test]
    fn nan_and_infinity_rank_and_do_not_spread() {
        check(&[&[1.0], &[NAN], &[2.0]], &[2.5], Some((1, 2.0)));
        check(&[&[NAN], &[NAN], &[2.0]], &[2.5], None);
        check(&[&[INF, -INF], &[3.0, 3.0], &[1.0, 1.0]], &[3.0, 3.0], None);
        check(&[&[1.0, 1.0]], &[NAN], Some((1, 1.0)));
        check(&[&[1.0, 1.0]], &[0.5, NAN], None);
        check(&[&[NAN]], &[NAN], None);
    }

    #[test]
    fn at_its_end_a_trial_is_let_finish() {
        check(&[&[1.0; 4]], &[1.0, 1.0, 1.0, 9.0], None);
    }

    #[test]
    fn grace_and_startup() {
        let observe = |min, startup| {
            let mut scheduler = history(Goal::Maximize, min, startup, &[&[1.0; 3], &[1.0; 3]]);
            let verdicts = observe_all(&mut scheduler, 9, &[0.0; 3]);
            verdicts
                .iter()
                .map(|verdict| *verdict == Verdict::Continue)
                .collect::<Vec<_>>()
        };
        assert_eq!(observe(1, 2), [false, false, false]);
        assert_eq!(observe(3, 2), [true, true, false]);
        assert_eq!(observe(1, 3), [true, true, true]);
    }

    #[test]
    fn a_stopped_trial_stays_stopped_for_the_same_reason() {
        let mut scheduler = history(Goal::Minimize, 1, 1, &[&[1.0; 4]]);
        let verdicts = observe_all(&mut scheduler, 1, &[2.0, 0.0]);
        assert_eq!(verdicts[0], verdicts[1]);
        let Verdict::Stop { reason } = &verdicts[0] else {
            panic!("{verdicts:?}");
        };
        let text = "its best value at 1, 2, is worse than 1, the median of 1 completed trials";
        assert_eq!(reason.to_string(), text);
        let before = scheduler.clone();
        let again = scheduler.observe(&Event::Observed {
            number: 1,
            at: 1,
            value: 0.0,
        });
        assert_eq!(again, verdicts[0]);
        assert_eq!(scheduler, before);
    }

    #[test]
    fn failed_and_pruned_trials_are_no_measure() {
        let mut scheduler = history(Goal::Minimize, 1, 1, &[&[5.0]]);
        for ending in [Ending::Pruned, Ending::Failed, Ending::Cancelled] {
            observe_all(&mut scheduler, 10, &[1.0]);
            scheduler.observe(&Event::Ended { number: 10, ending });
        }
        assert_eq!(observe_all(&mut scheduler, 11, &[4.0]), [Verdict::Continue]);
    }
}
