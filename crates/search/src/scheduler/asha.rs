//! ASHA in its promotion form: a trial stops at each rung and goes on only if it is among the best there.
//!
//! Source: Li et al. 2020, A system for massively parallel hyperparameter tuning, Algorithm 2,
//! <https://arxiv.org/abs/1810.05934>. `get_job` is split in two: a look (`promotable`) and a decision (`promote`);
//! the random configuration of its last line is the sampler's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rung::{Entry, Rung};
use super::{Promotion, RungPlan, Verdict};
use crate::{Event, Goal};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asha {
    goal: Goal,
    eta: u32,
    /// Units at each rung, ascending; at least one.
    targets: Vec<u64>,
    /// One fewer than `targets`: from the top there is no promotion.
    rungs: Vec<Rung>,
    trials: BTreeMap<u32, Track>,
}

/// How far one trial is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Track {
    /// Index of the target it trains to or waits at.
    rung: usize,
    /// The units of its last value.
    last: Option<u64>,
    /// Rank of its best value so far.
    best: u64,
    /// Its place on the rung it waits at.
    waits: Option<Entry>,
    ended: bool,
}

impl Default for Track {
    fn default() -> Track {
        Track {
            rung: 0,
            last: None,
            best: u64::MAX,
            waits: None,
            ended: false,
        }
    }
}

impl Asha {
    /// `0 < min <= max`, `eta >= 2`.
    pub(super) fn new(goal: Goal, min: u64, max: u64, eta: u32) -> Asha {
        let mut targets: Vec<u64> =
            std::iter::successors(Some(min), |target| target.checked_mul(u64::from(eta)))
                .take_while(|target| *target < max)
                .collect();
        targets.push(max);
        Asha::with_targets(goal, eta, targets)
    }

    /// Rungs at the targets, which ascend; at least one.
    pub(super) fn with_targets(goal: Goal, eta: u32, targets: Vec<u64>) -> Asha {
        Asha {
            goal,
            eta,
            rungs: vec![Rung::default(); targets.len().saturating_sub(1)],
            targets,
            trials: BTreeMap::new(),
        }
    }

    pub(super) fn targets(&self) -> &[u64] {
        &self.targets
    }

    /// Units at a rung; the top's beyond it.
    pub(super) fn target(&self, rung: usize) -> u64 {
        self.targets[rung.min(self.targets.len() - 1)]
    }

    pub(super) fn observe(&mut self, event: &Event) -> Verdict {
        if let Some((at, rank)) = event.rank(self.goal) {
            return self.take_value(event.number(), at, rank);
        }
        match event {
            Event::Created { number, .. } => {
                self.trials.entry(*number).or_default();
                Verdict::Continue
            }
            Event::Ended { number, .. } => {
                let track = self.trials.entry(*number).or_default();
                track.ended = true;
                if let Some(entry) = track.waits.take() {
                    self.rungs[track.rung].close(entry);
                }
                Verdict::Continue
            }
            _ => Verdict::Continue,
        }
    }

    pub(super) fn promotable(&self) -> Option<Promotion> {
        self.promotable_below(self.rungs.len())
    }

    /// Of the lowest rungs alone, that many.
    pub(super) fn promotable_below(&self, count: usize) -> Option<Promotion> {
        let (rung, best) = self
            .rungs
            .iter()
            .enumerate()
            .take(count)
            .rev()
            .find_map(|(rung, entries)| entries.best_candidate().map(|best| (rung, best)))?;
        Some(Promotion {
            number: best.number,
            until: self.target(rung + 1),
        })
    }

    /// See [`crate::Scheduler::ahead`]; from the lowest rungs alone, that many.
    pub(super) fn ahead_below(&self, count: usize, coming: &[u32]) -> Vec<Promotion> {
        let mut arrivals = vec![0; self.rungs.len()];
        for track in coming.iter().filter_map(|number| self.trials.get(number)) {
            if let Some(arrivals) = arrivals.get_mut(track.rung)
                && track.waits.is_none()
                && !track.ended
            {
                *arrivals += 1;
            }
        }
        let mut found = Vec::new();
        let mut from_below = 0;
        let rungs = self.rungs.iter().zip(arrivals).enumerate().take(count);
        for (rung, (entries, arrivals)) in rungs {
            let rises = entries.rises(arrivals + from_below, self.eta);
            let until = self.target(rung + 1);
            let below = entries.below(rises).map(|entry| entry.number);
            found.push(below.map(move |number| Promotion { number, until }));
            from_below = rises + entries.candidates();
        }
        found.into_iter().rev().flatten().collect()
    }

    pub(super) fn ahead(&self, coming: &[u32]) -> Vec<Promotion> {
        self.ahead_below(self.rungs.len(), coming)
    }

    /// Whether it is a trial's turn to be promoted; from the lowest rungs alone, that many.
    pub(super) fn is_due_below(&self, count: usize, number: u32) -> bool {
        let Some(track) = self.trials.get(&number) else {
            return false;
        };
        let waits = track.waits.filter(|_| track.rung < count);
        waits.is_some_and(|entry| self.rungs[track.rung].is_candidate(entry))
    }

    pub(super) fn waits(&self, number: u32) -> bool {
        self.rung_of(number).is_some_and(|(_, waits)| waits)
    }

    pub(super) fn is_due(&self, number: u32) -> bool {
        self.is_due_below(self.rungs.len(), number)
    }

    /// Trials above the line of the rung that they came to last: those that were never promoted from it.
    pub(super) fn owed(&self) -> Vec<u32> {
        let rungs = self.rungs.iter().enumerate();
        let stayed = |rung: usize, number: &u32| {
            let track = self.trials.get(number);
            track.is_some_and(|track| track.rung == rung)
        };
        let owed = rungs.flat_map(|(rung, entries)| {
            let above = entries.above().map(|entry| entry.number);
            above.filter(move |number| stayed(rung, number))
        });
        owed.collect()
    }

    pub(super) fn promote(&mut self, number: u32) -> Option<u64> {
        let track = self.trials.get_mut(&number)?;
        let entry = track.waits?;
        if !self.rungs[track.rung].promote(entry) {
            return None;
        }
        track.waits = None;
        track.rung += 1;
        self.until(number)
    }

    pub(super) fn until(&self, number: u32) -> Option<u64> {
        let track = self.trials.get(&number)?;
        (!track.ended).then(|| self.target(track.rung))
    }

    /// The rung a trial trains to or waits at, and whether it waits there.
    pub(super) fn rung_of(&self, number: u32) -> Option<(usize, bool)> {
        let track = self.trials.get(&number)?;
        Some((track.rung, track.waits.is_some()))
    }

    pub(super) fn plan(&self, trials: u32) -> Vec<RungPlan> {
        let share = |trials: &u32| Some(trials / self.eta);
        let expected = std::iter::successors(Some(trials), share);
        let rungs = self.targets.iter().zip(expected);
        rungs
            .map(|(&until, trials)| RungPlan { until, trials })
            .collect()
    }

    /// The first value at or past the trial's target closes the rung for it, with its best value up to and including
    /// that one.
    fn take_value(&mut self, number: u32, at: u64, rank: u64) -> Verdict {
        let top = self.targets.len() - 1;
        let track = self.trials.entry(number).or_default();
        let target = self.targets[track.rung];
        if track.ended || track.rung == top {
            return Verdict::Continue;
        }
        if track.waits.is_some() {
            return if at >= target {
                Verdict::Pause
            } else {
                Verdict::Continue
            };
        }
        if track.last.is_some_and(|last| at <= last) {
            return Verdict::Continue;
        }
        track.last = Some(at);
        track.best = track.best.min(rank);
        if at < target {
            return Verdict::Continue;
        }
        let entry = Entry {
            rank: track.best,
            number,
        };
        track.waits = Some(entry);
        self.rungs[track.rung].record(entry, self.eta);
        Verdict::Pause
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Assignment, Ending, Scheduler, SchedulerKind};

    fn scheduler(goal: Goal, min: u64, max: u64, eta: u32) -> Scheduler {
        Scheduler::new(SchedulerKind::Asha { min, max, eta }, goal, max).unwrap()
    }

    fn observed(number: u32, at: u64, value: f64) -> Event {
        Event::Observed { number, at, value }
    }

    fn created(number: u32) -> Event {
        Event::Created {
            number,
            parameters: Assignment::new(),
        }
    }

    /// One worker asks for a job until `values.len()` configurations are out and nothing can be promoted; trial i always
    /// reports `values[i]`. The jobs in order, as `trial@units`.
    #[track_caller]
    fn check(goal: Goal, max: u64, eta: u32, values: &[f64], expected: &str) {
        let mut asha = scheduler(goal, 1, max, eta);
        let mut next = 0;
        let mut jobs = Vec::new();
        loop {
            let (number, until) = if let Some(Promotion { number, until }) = asha.promotable() {
                assert_eq!(asha.promoted(number), Some(until));
                (number, until)
            } else if let Ok(number) = u32::try_from(next)
                && next < values.len()
            {
                next += 1;
                asha.observe(&created(number));
                (number, asha.first_until(number))
            } else {
                break;
            };
            assert_eq!(asha.until(number), Some(until));
            let verdict = asha.observe(&observed(number, until, values[number as usize]));
            let wanted = if until == max {
                Verdict::Continue
            } else {
                Verdict::Pause
            };
            assert_eq!(verdict, wanted, "{number}@{until}");
            jobs.push(format!("{number}@{until}"));
        }
        assert_eq!(jobs.join(" "), expected);
    }

    /// Worked by hand from Algorithm 2 with r = 1, R = 9, eta = 3. Trial 1 is promoted as the best of three, although it
    /// ends up third of nine; trial 3 goes to the top as soon as rung 1 holds three.
    #[test]
    fn one_worker_follows_algorithm_2() {
        let losses = [5.0, 3.0, 8.0, 1.0, 9.0, 7.0, 2.0, 6.0, 4.0];
        let jobs = "0@1 1@1 2@1 1@3 3@1 3@3 4@1 5@1 6@1 6@3 3@9 7@1 8@1";
        check(Goal::Minimize, 9, 3, &losses, jobs);
        let scores = losses.map(|loss| -loss);
        check(Goal::Maximize, 9, 3, &scores, jobs);
    }

    #[test]
    fn ties_promote_the_lower_number_and_everything_ends() {
        check(
            Goal::Minimize,
            4,
            2,
            &[1.0; 4],
            "0@1 1@1 0@2 2@1 3@1 1@2 0@4",
        );
    }

    #[test]
    fn nan_is_never_promoted_and_keeps_nobody_back() {
        let values = [f64::NAN, 2.0, f64::NAN, 1.0];
        check(Goal::Maximize, 2, 2, &values, "0@1 1@1 1@2 2@1 3@1 3@2");
        check(Goal::Maximize, 2, 2, &[f64::NAN; 4], "0@1 1@1 2@1 3@1");
        let values = [f64::INFINITY, f64::NEG_INFINITY];
        check(Goal::Minimize, 2, 2, &values, "0@1 1@1 1@2");
    }

    #[test]
    fn a_single_rung_is_plain_training() {
        check(Goal::Minimize, 1, 3, &[3.0, 2.0, 1.0], "0@1 1@1 2@1");
    }

    #[test]
    fn rungs_grow_by_eta_and_end_at_max() {
        for (min, max, eta, expected) in [
            (1, 27, 3, vec![1, 3, 9, 27]),
            (1, 30, 3, vec![1, 3, 9, 27, 30]),
            (2, 3, 4, vec![2, 3]),
            (5, 5, 2, vec![5]),
            (u64::MAX - 1, u64::MAX, 2, vec![u64::MAX - 1, u64::MAX]),
        ] {
            assert_eq!(scheduler(Goal::Minimize, min, max, eta).rungs(), expected);
        }
    }

    #[test]
    fn the_plan_divides_by_eta() {
        let plan = scheduler(Goal::Minimize, 1, 27, 3).plan(64);
        let plan: Vec<(u64, u32)> = plan.iter().map(|rung| (rung.until, rung.trials)).collect();
        assert_eq!(plan, [(1, 64), (3, 21), (9, 7), (27, 2)]);
    }

    #[test]
    fn a_rung_compares_the_best_value_up_to_it() {
        let mut asha = scheduler(Goal::Maximize, 2, 4, 2);
        for (number, at, value) in [(0, 1, 9.0), (0, 2, 1.0), (1, 1, 0.0), (1, 2, 5.0)] {
            asha.observe(&observed(number, at, value));
        }
        assert_eq!(
            asha.promotable(),
            Some(Promotion {
                number: 0,
                until: 4
            })
        );
    }

    #[test]
    fn a_repeated_value_changes_nothing() {
        let mut asha = scheduler(Goal::Minimize, 2, 8, 2);
        asha.observe(&observed(0, 1, 5.0));
        asha.observe(&observed(0, 2, 4.0));
        let before = asha.clone();
        assert_eq!(asha.observe(&observed(0, 1, -1.0)), Verdict::Continue);
        assert_eq!(asha.observe(&observed(0, 2, -1.0)), Verdict::Pause);
        assert_eq!(asha, before);
        asha.observe(&observed(1, 2, 6.0));
        assert_eq!(asha.promoted(0), Some(4));
        let before = asha.clone();
        assert_eq!(asha.observe(&observed(0, 2, 4.0)), Verdict::Continue);
        assert_eq!(asha, before);
        assert_eq!(asha.observe(&observed(0, 4, 4.0)), Verdict::Pause);
    }

    #[test]
    fn an_ended_trial_is_not_promoted_but_its_value_counts() {
        let mut asha = scheduler(Goal::Minimize, 1, 2, 2);
        asha.observe(&observed(0, 1, 1.0));
        asha.observe(&Event::Ended {
            number: 0,
            ending: Ending::Cancelled,
        });
        asha.observe(&observed(1, 1, 2.0));
        assert_eq!(asha.promotable(), None);
        assert_eq!(asha.promoted(0), None);
        assert_eq!(asha.until(0), None);
        for number in [2, 3] {
            asha.observe(&observed(number, 1, 3.0));
        }
        assert_eq!(
            asha.promotable(),
            Some(Promotion {
                number: 1,
                until: 2
            })
        );
    }

    #[test]
    fn a_promotion_is_given_once_and_only_to_candidates() {
        let mut asha = scheduler(Goal::Minimize, 1, 2, 2);
        asha.observe(&observed(0, 1, 1.0));
        asha.observe(&observed(1, 1, 2.0));
        assert_eq!(asha.promoted(1), None);
        assert_eq!(asha.promoted(7), None);
        assert_eq!(asha.promoted(0), Some(2));
        assert_eq!(asha.promoted(0), None);
    }
}
