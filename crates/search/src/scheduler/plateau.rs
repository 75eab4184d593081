//! Plateau stop: a trial that no longer gets better is done.
//!
//! Its end is that of a trial that trained its budget: it has converged, so its value says as much, to the sampler and in the
//! list. A trial without any number is pruned instead.
//!
//! Source: Prechelt 1998, Early stopping, but when?, <https://doi.org/10.1007/3-540-49430-8_3>; patience and a least
//! improvement as in Keras' `EarlyStopping`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{StopReason, Verdict};
use crate::{Event, Goal};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plateau {
    goal: Goal,
    min: u64,
    patience: u64,
    delta: f64,
    trials: BTreeMap<u32, Track>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Track {
    last: Option<u64>,
    /// The value that is to be improved on, and the units it came after (0: there is none yet).
    best: Option<f64>,
    since: u64,
    stopped: Option<(u64, StopReason)>,
    ended: bool,
}

impl Plateau {
    /// `patience >= 1`, `delta` is finite and not negative.
    pub(super) fn new(goal: Goal, min: u64, patience: u64, delta: f64) -> Plateau {
        Plateau {
            goal,
            min,
            patience,
            delta,
            trials: BTreeMap::new(),
        }
    }

    pub(super) fn is_live(&self, number: u32) -> bool {
        self.trials.get(&number).is_some_and(|track| !track.ended)
    }

    pub(super) fn observe(&mut self, event: &Event, budget: u64) -> Verdict {
        match event {
            Event::Created { number, .. } => {
                self.trials.entry(*number).or_default();
            }
            Event::Observed { number, at, value } => {
                return self.take_value(*number, *at, *value, budget);
            }
            Event::Ended { number, .. } => {
                let ended = Track {
                    ended: true,
                    ..Track::default()
                };
                self.trials.insert(*number, ended);
            }
            Event::Violated { .. } | Event::Several { .. } => {} // come as `Observed`
        }
        Verdict::Continue
    }

    fn take_value(&mut self, number: u32, at: u64, value: f64, budget: u64) -> Verdict {
        let (goal, delta) = (self.goal, self.delta);
        let track = self.trials.entry(number).or_default();
        if track.ended {
            return Verdict::Continue;
        }
        if let Some((stopped_at, reason)) = &track.stopped
            && at >= *stopped_at
        {
            return track.verdict(reason.clone());
        }
        if track.stopped.is_some() || track.last.is_some_and(|last| at <= last) {
            return Verdict::Continue;
        }
        track.last = Some(at);
        let gain = |best: f64| match goal {
            Goal::Minimize => best - value,
            Goal::Maximize => value - best,
        };
        if !value.is_nan() && track.best.is_none_or(|best| gain(best) > delta) {
            track.best = Some(value);
            track.since = at;
        }
        if at < self.min || at >= budget || at - track.since < self.patience {
            return Verdict::Continue;
        }
        let reason = StopReason::Plateau {
            at,
            best: track.best,
            since: track.since,
        };
        track.stopped = Some((at, reason.clone()));
        track.verdict(reason)
    }
}

impl Track {
    fn verdict(&self, reason: StopReason) -> Verdict {
        match self.best {
            Some(_) => Verdict::Finish { reason },
            None => Verdict::Stop { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;

    /// Values at 1, 2, ...; when the trial is stopped and which value stands then. Told for both goals.
    #[track_caller]
    fn check(min: u64, patience: u64, delta: f64, losses: &[f64], expected: Option<(u64, f64)>) {
        for goal in [Goal::Minimize, Goal::Maximize] {
            let sign = if goal == Goal::Minimize { 1.0 } else { -1.0 };
            let mut plateau = Plateau::new(goal, min, patience, delta);
            let stop = losses.iter().zip(1..).find_map(|(loss, at)| {
                let value = sign * loss;
                let event = Event::Observed {
                    number: 0,
                    at,
                    value,
                };
                match plateau.observe(&event, 10) {
                    Verdict::Finish {
                        reason:
                            StopReason::Plateau {
                                at,
                                best: Some(best),
                                ..
                            },
                    } => Some((at, sign * best)),
                    Verdict::Stop {
                        reason: StopReason::Plateau { at, best: None, .. },
                    } => Some((at, INF)),
                    _ => None,
                }
            });
            assert_eq!(stop, expected, "{goal:?} {losses:?}");
        }
    }

    #[test]
    fn no_improvement_within_patience_ends_a_trial() {
        check(1, 2, 0.0, &[3.0, 2.0, 2.0, 2.0], Some((4, 2.0)));
        check(1, 2, 0.0, &[3.0, 2.0, 2.0, 1.0, 1.0, 0.5], None);
        check(1, 1, 0.0, &[3.0, 3.0], Some((2, 3.0)));
        check(1, 3, 0.0, &[1.0, 5.0, 6.0], None);
    }

    #[test]
    fn an_improvement_is_more_than_delta() {
        check(1, 2, 0.5, &[3.0, 2.6, 2.5, 2.5], Some((3, 3.0)));
        check(1, 2, 0.5, &[3.0, 2.6, 2.4, 1.8], None); // small steps add up
        check(1, 2, 0.0, &[3.0, 2.9, 2.8, 2.7], None);
    }

    #[test]
    fn nobody_is_stopped_before_min_or_at_the_end() {
        check(5, 1, 0.0, &[1.0; 6], Some((5, 1.0)));
        check(1, 9, 0.0, &[1.0; 10], None);
    }

    #[test]
    fn no_number_is_no_improvement() {
        check(1, 2, 0.0, &[1.0, NAN, NAN], Some((3, 1.0)));
        check(1, 2, 0.0, &[NAN, NAN, 1.0], Some((2, INF)));
        check(1, 2, 0.0, &[INF, INF, INF], Some((3, INF)));
        check(1, 2, 0.0, &[INF, 4.0, 3.0], None);
    }

    #[test]
    fn told_again_it_says_the_same() {
        let mut plateau = Plateau::new(Goal::Minimize, 1, 1, 0.0);
        let mut tell = |at| {
            plateau.observe(
                &Event::Observed {
                    number: 3,
                    at,
                    value: 1.0,
                },
                9,
            )
        };
        assert_eq!(tell(1), Verdict::Continue);
        let verdict = tell(2);
        assert_eq!(tell(1), Verdict::Continue);
        assert_eq!((tell(2), tell(4)), (verdict.clone(), verdict.clone()));
        let Verdict::Finish { reason } = verdict else {
            panic!("{verdict:?}");
        };
        let text = "it has converged: its best value, 1, is of 1, and none by 2 was better";
        assert_eq!(reason.to_string(), text);
    }
}
