//! External trials: given to whoever asks, ended by what the asker tells. They have attempts and no place.
//!
//! A trial that is not told in time stays with its asker until the next one asks: what is told late still counts while nobody
//! else has the trial.

use std::sync::Arc;

use bonfire_search::{Event, Verdict};

use super::outcome::{Measured, Metrics};
use super::sweep::{Sweep, SweepState};
use super::trial::{AttemptRecord, Observation, Trial, TrialState};
use super::{Cluster, Outcome};
use crate::command::Told;
use crate::effect::{Effect, Refusal};
use crate::fault::{AttemptEnd, Failure, LostCause};
use crate::id::{Attempt, LogIndex, TrialId, WallMs};

/// Intermediate values of one trial.
pub const TOLD_MAX: usize = 10_000;

impl Cluster {
    /// Gives a trial to an asker: one that waits, or a running one whose asker ran out of time. The leader says which.
    /// A repeated request changes nothing and is answered with the trial it got.
    pub(super) fn give(
        &mut self,
        index: LogIndex,
        request: u64,
        id: TrialId,
        attempt: Attempt,
        at: WallMs,
    ) -> Outcome {
        let sweep = self.external_mut(id)?;
        if let Some(number) = sweep.requests.get(&request).copied() {
            let attempt = sweep.live_mut(number)?.attempt;
            let trial = sweep.id_of(number);
            return Ok(vec![Effect::Given {
                request,
                trial,
                attempt,
            }]);
        }
        let lost_max = sweep.spec.retry.lost;
        let open = sweep.waiting.contains(&id.number) || sweep.running.contains(&id.number);
        if !open || sweep.state != SweepState::Running {
            let state = if open {
                sweep.state.name()
            } else {
                sweep
                    .trial(id.number)
                    .ok_or(Refusal::NoSuchTrial)?
                    .state
                    .name()
            };
            return Err(not_from(state, "give it to an asker"));
        }
        let trial = sweep.live_mut(id.number)?;
        if attempt != trial.attempt.next() {
            return Err(Refusal::Fenced {
                current: trial.attempt,
            });
        }
        if trial.state == TrialState::Running {
            let end = AttemptEnd::Lost(LostCause::Untold);
            trial.lost += 1;
            trial.reason = Some(end.to_string());
            trial.end_record(at, end);
            let spent = trial.lost > lost_max;
            sweep.forget_asker(id.number);
            if spent {
                return Ok(self.settle(index, id, TrialState::Failed, at));
            }
        }
        let sweep = self.external_mut(id)?;
        let trial = sweep.live_mut(id.number)?;
        trial.reason = None;
        trial.begin(AttemptRecord {
            attempt,
            worker: String::new(),
            numerics: String::new(),
            from_step: 0,
            started: at,
            ended: None,
        });
        sweep.set_state(id.number, TrialState::Running);
        sweep.requests.insert(request, id.number);
        Ok(vec![Effect::Given {
            request,
            trial: id,
            attempt,
        }])
    }

    /// Takes what an asker tells of its trial. What was told before changes nothing.
    pub(super) fn tell(
        &mut self,
        index: LogIndex,
        (id, attempt): (TrialId, Attempt),
        told: Told,
        metrics: Metrics,
        at: WallMs,
    ) -> Outcome {
        let sweep = self.external_mut(id)?;
        let trial = sweep
            .trial(id.number)
            .ok_or(Refusal::NoSuchTrial)?
            .into_owned();
        if attempt != trial.attempt {
            return Err(Refusal::Fenced {
                current: trial.attempt,
            });
        }
        if let Told::Value { value } | Told::Intermediate { value, .. } = &told
            && !value.is_finite()
        {
            return Err(Refusal::NotFinite);
        }
        let answer = |repeated, proceed, kept| Effect::Told {
            trial: id,
            repeated,
            proceed,
            kept,
        };
        let top = sweep.scheduler.rungs().last().copied();
        let same_metrics = sweep.has_metrics(id.number, &metrics);
        if let Some((proceed, kept)) = repeats(&trial, &told, same_metrics, top) {
            return Ok(vec![answer(true, proceed, kept)]);
        }
        if trial.state == TrialState::Running && !matches!(told, Told::Failed { .. }) {
            let ends = match told {
                Told::Intermediate { at, .. } => top.is_some_and(|top| at >= top),
                _ => true,
            };
            sweep.check_metrics(id.number, &metrics, ends)?;
        }
        let stopped = matches!(
            trial.state,
            TrialState::Paused | TrialState::Pruned | TrialState::Cancelled
        ) || (trial.state == TrialState::Completed && trial.reason.is_some()); // by its scheduler
        match (told, trial.state) {
            (Told::Value { value }, TrialState::Running) => {
                let last = trial.observations.last();
                // What was judged by other metrics stays what it was: with new ones it is another evaluation.
                let judged = sweep.measured(id.number).is_some_and(Measured::is_known);
                let again = metrics.is_empty() || !judged;
                let unit = match last {
                    // The last intermediate value, told as the end.
                    Some(last) if again && last.value.to_bits() == value.to_bits() => None,
                    _ => Some(
                        trial
                            .observations
                            .iter()
                            .map(|o| o.epoch + 1)
                            .max()
                            .unwrap_or(1),
                    ),
                };
                let mut effects = Vec::new();
                let mut counts = None;
                if sweep.spec.averages() {
                    // No instance: what the asker makes of all of them.
                    let trial = sweep.live_mut(id.number)?;
                    if let Some(unit) = unit {
                        trial.observations.push(Observation {
                            index,
                            step: unit,
                            epoch: unit,
                            value,
                        });
                    }
                    trial.value = Some(value);
                    counts = Some(value);
                } else if let Some(unit) = unit {
                    let taken = sweep.take_told(index, id, (unit, value), &metrics);
                    effects.extend(taken.effects);
                    counts = taken.counts;
                } else if let Some((event, value)) = sweep.record_metrics(id.number, &metrics) {
                    effects.extend(sweep.learn(event, id.number, value));
                    counts = value;
                }
                sweep
                    .live_mut(id.number)?
                    .end_record(at, AttemptEnd::Reached);
                effects.extend(self.settle(index, id, TrialState::Completed, at));
                if let Some(value) = counts {
                    effects.extend(self.stop_if_reached(id, value, at));
                }
                effects.push(answer(false, false, true));
                Ok(effects)
            }
            (Told::Failed { reason }, TrialState::Running) => {
                let trial = sweep.live_mut(id.number)?;
                let end = AttemptEnd::Failed {
                    failure: Failure::Told,
                    detail: reason,
                };
                trial.faults += 1;
                trial.reason = Some(end.to_string());
                trial.end_record(at, end);
                let mut effects = self.settle(index, id, TrialState::Failed, at);
                effects.push(answer(false, false, true));
                Ok(effects)
            }
            (Told::Intermediate { at: unit, value }, TrialState::Running) => {
                if trial.observations.len() >= TOLD_MAX {
                    let limit = TOLD_MAX as u32;
                    return Err(Refusal::LimitReached { limit });
                }
                self.tell_intermediate(index, id, (unit, value), &metrics, at)
            }
            // Its asker could not know. A value that comes after the decision is not part of what was decided.
            (Told::Intermediate { .. }, _) if stopped => Ok(vec![answer(false, false, false)]),
            // The sweep ended, or somebody ended the trial, before its asker was done.
            (_, TrialState::Cancelled | TrialState::Pruned) => {
                Ok(vec![answer(false, false, false)])
            }
            (_, state) => Err(not_from(state.name(), "take what was told")),
        }
    }

    fn tell_intermediate(
        &mut self,
        index: LogIndex,
        id: TrialId,
        (unit, value): (u64, f64),
        metrics: &Metrics,
        at: WallMs,
    ) -> Outcome {
        let sweep = self.external_mut(id)?;
        let Taken {
            mut effects,
            verdict,
            counts,
        } = sweep.take_told(index, id, (unit, value), metrics);
        let told_at = sweep.told_at.entry(id.number).or_default();
        Arc::make_mut(told_at).push((unit, at));
        // One that a user resumed from a rung goes on to the end.
        let (until, budget) = (sweep.live_mut(id.number)?.until, sweep.spec.budget());
        let rests = until < budget && unit >= until;
        let top = sweep.scheduler.rungs().last().copied();
        let next = match verdict {
            // There is no further rung: it is done, as a trial of the fleet would be.
            Verdict::Continue if top.is_some_and(|top| unit >= top) => {
                let trial = sweep.live_mut(id.number)?;
                trial.end_record(at, AttemptEnd::Reached);
                Some(TrialState::Completed)
            }
            Verdict::Continue => None,
            // At a rung: on at once if it is among the best there now, else given out again when it is.
            Verdict::Pause if !rests => None,
            Verdict::Pause => match sweep.scheduler.promoted(id.number) {
                Some(until) => {
                    sweep.live_mut(id.number)?.until = until;
                    None
                }
                None => {
                    let trial = sweep.live_mut(id.number)?;
                    trial.end_record(at, AttemptEnd::Reached);
                    Some(TrialState::Paused)
                }
            },
            Verdict::Stop { reason } => {
                let trial = sweep.live_mut(id.number)?;
                trial.reason = Some(reason.to_string());
                Some(TrialState::Pruned)
            }
            Verdict::Finish { reason } => {
                let trial = sweep.live_mut(id.number)?;
                trial.end_record(at, AttemptEnd::Reached);
                trial.reason = Some(reason.to_string());
                Some(TrialState::Completed)
            }
        };
        if let Some(next) = next {
            effects.extend(self.settle(index, id, next, at));
        }
        let stopped = match counts {
            Some(value) => self.stop_if_reached(id, value, at),
            None => Vec::new(),
        };
        let proceed = next.is_none() && stopped.is_empty();
        effects.extend(stopped);
        effects.push(Effect::Told {
            trial: id,
            repeated: false,
            proceed,
            kept: true,
        });
        Ok(effects)
    }

    /// Stops the sweep if this value of a trial is as good as `stop_at`.
    pub(super) fn stop_if_reached(&mut self, id: TrialId, value: f64, at: WallMs) -> Vec<Effect> {
        let Ok(sweep) = self.sweep_mut(id.sweep) else {
            return vec![];
        };
        let objective = &sweep.spec.objective;
        let goal = objective.goal;
        let reached = objective
            .stop_at
            .filter(|stop| !value.is_nan() && !goal.better(*stop, value));
        match reached {
            Some(stop_at) if sweep.state == SweepState::Running => {
                let reason = format!("trial {} reached stop_at {stop_at}", id.number);
                self.stop_sweep(id.sweep, false, false, reason, false, at)
            }
            _ => vec![],
        }
    }

    pub(super) fn is_external(&self, id: TrialId) -> bool {
        let sweep = self.sweeps.get(&id.sweep);
        sweep.is_some_and(|sweep| sweep.spec.is_external())
    }

    fn external_mut(&mut self, id: TrialId) -> Result<&mut Sweep, Refusal> {
        let sweep = self.sweep_mut(id.sweep)?;
        if sweep.spec.is_external() {
            Ok(sweep)
        } else {
            Err(Refusal::NotExternal)
        }
    }
}

impl Sweep {
    /// Records a value of a live trial and asks the scheduler about it.
    fn take_told(
        &mut self,
        index: LogIndex,
        id: TrialId,
        (unit, value): (u64, f64),
        metrics: &Metrics,
    ) -> Taken {
        let seen = Observation {
            index,
            step: unit,
            epoch: unit,
            value,
        };
        let (event, counts) = self.record(id.number, seen, metrics);
        let verdict = self.scheduler.observe(&event);
        let (effects, counts) = match self.spec.averages() {
            true => (vec![], None), // the mean is learnt at the trial's end
            false => (self.learn(event, id.number, counts), counts),
        };
        Taken {
            effects,
            verdict,
            counts,
        }
    }

    /// `counts`: a value that may be the sweep's best.
    fn learn(&mut self, event: Event, number: u32, counts: Option<f64>) -> Vec<Effect> {
        if let Some(value) = counts {
            self.consider(number, value);
        }
        let sweep = self.id;
        vec![Effect::Learned { sweep, event }]
    }

    /// The asker's attempt is over: its request is not answered with this trial again.
    pub(super) fn forget_asker(&mut self, number: u32) {
        self.requests.retain(|_, given| *given != number);
    }
}

/// What came of a value.
struct Taken {
    effects: Vec<Effect>,
    verdict: Verdict,
    /// One that may be the sweep's best.
    counts: Option<f64>,
}

/// Whether it was told before, and then whether the asker should go on and whether the same was told. While a trial is open,
/// the first value told at a unit counts, whatever a later attempt finds there; of one that its asker has ended only the same
/// is told again. The value at `top`, the scheduler's last rung, ended it: another one told as its end changes nothing.
fn repeats(
    trial: &Trial,
    told: &Told,
    same_metrics: bool,
    top: Option<u64>,
) -> Option<(bool, bool)> {
    let same = |value: f64, other: f64| value.to_bits() == other.to_bits();
    match told {
        Told::Intermediate { at, value } => {
            let known = trial.observations.iter().find(|o| o.step == *at)?;
            let kept = same(known.value, *value) && same_metrics;
            let ended = trial.state == TrialState::Completed && trial.reason.is_none();
            (kept || !ended).then_some((trial.state == TrialState::Running, kept))
        }
        Told::Value { value } => {
            let last = trial.observations.last()?;
            let kept = same(last.value, *value) && same_metrics;
            let at_top = top.is_some_and(|top| last.step >= top);
            (trial.state == TrialState::Completed && (kept || at_top)).then_some((false, kept))
        }
        Told::Failed { .. } => {
            let (_, end) = trial.history.last()?.ended.as_ref()?;
            let told = |failure: &Failure| *failure == Failure::Told;
            let by_asker = matches!(end, AttemptEnd::Failed { failure, .. } if told(failure));
            (trial.state == TrialState::Failed && by_asker).then_some((false, true))
        }
    }
}

fn not_from(state: &str, action: &str) -> Refusal {
    Refusal::NotFrom {
        state: state.to_owned(),
        action: action.to_owned(),
    }
}
