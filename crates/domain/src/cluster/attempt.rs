//! The life of an attempt: started on a place, ended by its own report or by the loss of its worker.

use bonfire_search::Event;

use super::sweep::SweepState;
use super::trial::{AttemptRecord, Trial, TrialState, Wish};
use super::{Cluster, Outcome};
use crate::command::Admission;
use crate::effect::{Effect, Refusal};
use crate::fault::{AttemptEnd, Failure, Retry};
use crate::id::{Attempt, LogIndex, Place, TrialId, WallMs};

use super::fleet::{Occupant, QUEUE_PER_SLOT};

impl Cluster {
    pub(super) fn start_attempt(
        &mut self,
        id: TrialId,
        attempt: Attempt,
        place: Place,
        at: WallMs,
    ) -> Outcome {
        let worker = self
            .workers
            .get(&place.worker)
            .ok_or(Refusal::NoSuchWorker)?;
        let held = worker.slots.get(&place.slot).ok_or(Refusal::NoSuchWorker)?;
        if held.len() >= QUEUE_PER_SLOT || worker.admission != Admission::Open {
            return Err(Refusal::SlotTaken);
        }
        let (name, numerics) = (worker.facts.name.clone(), worker.facts.numerics.clone());
        let sweep = self.sweep_mut(id.sweep)?;
        let running = sweep.state == SweepState::Running;
        let external = sweep.spec.is_external();
        let trial = sweep.live_mut(id.number)?;
        if !running || external || trial.state != TrialState::Pending {
            return Err(Refusal::NotFrom {
                state: trial.state.name().to_owned(),
                action: "start".to_owned(),
            });
        }
        if attempt != trial.attempt.next() {
            return Err(Refusal::Fenced {
                current: trial.attempt,
            });
        }
        let from_step = trial.last_checkpoint().map_or(0, |c| c.step);
        // An attempt that goes on from a checkpoint of another numerics class is no longer bit-exact.
        let wrote = trial.last_checkpoint().map(|c| c.attempt);
        if let Some(record) = wrote.and_then(|w| trial.history.iter().find(|r| r.attempt == w)) {
            trial.exact &= record.numerics == numerics;
        }
        trial.place = Some(place);
        trial.wish = None;
        trial.reason = None;
        trial.begin(AttemptRecord {
            attempt,
            worker: name,
            numerics,
            from_step,
            started: at,
            ended: None,
        });
        sweep.set_state(id.number, TrialState::Running);
        if let Some(held) = self
            .workers
            .get_mut(&place.worker)
            .and_then(|w| w.slots.get_mut(&place.slot))
        {
            held.push(Occupant { trial: id, attempt });
        }
        Ok(vec![Effect::Start {
            place,
            trial: id,
            attempt,
        }])
    }

    /// Ends an attempt if it is current; a fenced one changes nothing.
    pub(super) fn end_attempt(
        &mut self,
        id: TrialId,
        attempt: Attempt,
        end: AttemptEnd,
        at: WallMs,
    ) -> Vec<Effect> {
        let index = self.applied;
        let Ok(sweep) = self.sweep_mut(id.sweep) else {
            return vec![];
        };
        let retry = sweep.spec.retry;
        let sweep_state = sweep.state.clone();
        let top = sweep.scheduler.rungs().last().copied();
        let top = top.unwrap_or_else(|| sweep.spec.budget());
        let Ok(trial) = sweep.live_mut(id.number) else {
            return vec![];
        };
        if !trial.is_current(attempt) {
            return vec![];
        }
        let place = trial.place.take();
        if let Some(record) = trial.history.last_mut() {
            record.ended = Some((at, end.clone()));
        }
        let mut died = false;
        let mut rests = false;
        let mut next = match &end {
            AttemptEnd::Reached => {
                let next = sweep_reached(trial, top);
                rests = next == TrialState::Paused;
                next
            }
            // Nobody asked, but its worker leaves.
            AttemptEnd::Yielded if trial.wish.is_none() => TrialState::Pending,
            AttemptEnd::Yielded | AttemptEnd::Stopped => stopped_state(trial),
            AttemptEnd::Failed { failure, detail } => {
                died = matches!(failure, Failure::Crashed { .. });
                if let Failure::DamagedCheckpoint { step } = failure {
                    let step = *step;
                    let gone = take_checkpoint(trial, step);
                    // A fork that began from nothing would be another trial than the one that was asked for.
                    let is_lost = trial.parent.is_some() && trial.checkpoints.is_empty();
                    let last = if is_lost {
                        ", and a fork has none before it"
                    } else {
                        ""
                    };
                    trial.reason = Some(format!(
                        "checkpoint at step {step} is damaged{last}: {detail}"
                    ));
                    trial.lost += 1;
                    self.release_checkpoints(gone);
                    match is_lost {
                        true => TrialState::Failed,
                        false => self.after_failure(id, retry, true),
                    }
                } else if failure.fault().retry == Retry::Never {
                    trial.reason = Some(end.to_string());
                    TrialState::Failed
                } else {
                    let infra = failure.fault().blame == crate::fault::Blame::Infra;
                    if infra {
                        trial.lost += 1;
                    } else {
                        trial.faults += 1;
                    }
                    trial.reason = Some(end.to_string());
                    self.after_failure(id, retry, infra)
                }
            }
            AttemptEnd::Lost(_) => {
                trial.lost += 1;
                trial.reason = Some(end.to_string());
                self.after_failure(id, retry, true)
            }
        };
        let mut effects = Vec::new();
        if let Some(place) = place {
            self.vacate(place, id, attempt);
            effects.push(Effect::SlotFreed { place });
            if died {
                effects.extend(self.record_death(place.worker, id, at));
            }
        }
        if rests && let Ok(sweep) = self.sweep_mut(id.sweep) {
            sweep.scheduler.rested(id.number);
        }
        if !next.is_terminal() && next != TrialState::Paused {
            next = match &sweep_state {
                SweepState::Running => next,
                SweepState::Stopping { cancelled, .. } if *cancelled => TrialState::Cancelled,
                SweepState::Stopping { .. } => self.given_up(id),
                _ => TrialState::Paused,
            };
        }
        let goes_on = matches!(sweep_state, SweepState::Running | SweepState::Paused);
        if goes_on
            && !rests
            && let Ok(sweep) = self.sweep_mut(id.sweep)
            && sweep.waits_after(id.number, next)
        {
            sweep.wait_again(id.number);
            next = TrialState::Paused;
        }
        effects.extend(self.settle(index, id, next, at));
        if rests {
            // In a population its last checkpoint is now the one that others may go on from, and not the one before.
            effects.extend(self.retain_checkpoints(id));
        }
        effects
    }

    /// Moves a trial to `next` and tells who must know.
    pub(super) fn settle(
        &mut self,
        index: LogIndex,
        id: TrialId,
        next: TrialState,
        at: WallMs,
    ) -> Vec<Effect> {
        let Ok(sweep) = self.sweep_mut(id.sweep) else {
            return vec![];
        };
        let external = sweep.spec.is_external();
        let Ok(trial) = sweep.live_mut(id.number) else {
            return vec![];
        };
        trial.wish = None;
        trial.place = None;
        let tries = trial.tries();
        if external {
            trial.end_record(at, AttemptEnd::Stopped); // where nobody said how
        }
        if next.is_terminal() {
            trial.ended = Some(index);
        }
        if external {
            sweep.forget_asker(id.number);
        }
        sweep.set_state(id.number, next);
        let mut effects = Vec::new();
        match next.ending() {
            Some(ending) => {
                let event = Event::Ended {
                    number: id.number,
                    ending,
                };
                let whole = sweep.learn_mean(id.number, next);
                let reached = whole.as_ref().map(|(_, value)| *value);
                effects.extend(whole.map(|(effect, _)| effect));
                sweep.scheduler.observe(&event);
                effects.push(Effect::Learned {
                    sweep: id.sweep,
                    event,
                });
                effects.push(Effect::TrialEnded { trial: id });
                if let Some(value) = reached
                    && next == TrialState::Completed
                {
                    effects.extend(self.stop_if_reached(id, value, at));
                }
                effects.extend(self.after_end(id, at));
            }
            None if next == TrialState::Pending => {
                effects.push(Effect::TrialReady { trial: id, tries });
            }
            None => {}
        }
        effects.push(Effect::SweepChanged { sweep: id.sweep });
        effects
    }

    /// What an attempt that failed or was lost leaves its trial as.
    fn after_failure(
        &mut self,
        id: TrialId,
        retry: crate::spec::RetrySpec,
        lost: bool,
    ) -> TrialState {
        let Some(trial) = self
            .sweeps
            .get_mut(&id.sweep)
            .and_then(|s| s.live.get_mut(&id.number))
            .map(std::sync::Arc::make_mut)
        else {
            return TrialState::Failed;
        };
        match &trial.wish {
            Some(
                Wish::Prune { .. }
                | Wish::Converge { .. }
                | Wish::Cancel
                | Wish::CancelSaved
                | Wish::Limit,
            ) => {
                return stopped_state(trial);
            }
            Some(Wish::Yield) | None => {}
        }
        let spent = if lost {
            trial.lost > retry.lost
        } else {
            trial.faults >= retry.attempts
        };
        if spent {
            TrialState::Failed
        } else {
            TrialState::Pending
        }
    }

    /// How a trial ends that a limit of the sweep stops: pruned with a value, cancelled without.
    pub(super) fn given_up(&self, id: TrialId) -> TrialState {
        let value = self.trial(id).and_then(|t| t.value);
        if value.is_some() {
            TrialState::Pruned
        } else {
            TrialState::Cancelled
        }
    }

    /// A terminal trial lets go of what only a running one needs, and may end its sweep.
    fn after_end(&mut self, id: TrialId, at: WallMs) -> Vec<Effect> {
        let mut effects = self.retain_checkpoints(id);
        let Some(sweep) = self.sweeps.get_mut(&id.sweep) else {
            return effects;
        };
        let limit = sweep
            .spec
            .search
            .as_ref()
            .map_or(u32::MAX, |s| s.limit.failed_trials);
        if sweep.count(TrialState::Failed) >= limit && sweep.state == SweepState::Running {
            let reason = format!("{limit} trials failed (limit.failed_trials)");
            effects.extend(self.stop_sweep(id.sweep, false, true, reason, false, at));
        }
        effects
    }
}

/// The state of a trial that trained to its target: done, or waiting at a rung.
fn sweep_reached(trial: &Trial, top: u64) -> TrialState {
    if trial.until >= top {
        TrialState::Completed
    } else if matches!(
        trial.wish,
        Some(Wish::Cancel | Wish::CancelSaved | Wish::Limit)
    ) {
        stopped_state(trial)
    } else {
        TrialState::Paused
    }
}

/// The state of a trial that was stopped on order.
fn stopped_state(trial: &Trial) -> TrialState {
    match &trial.wish {
        Some(Wish::Prune { .. }) => TrialState::Pruned,
        Some(Wish::Converge { .. }) => TrialState::Completed,
        Some(Wish::Limit) if trial.value.is_some() => TrialState::Pruned,
        Some(Wish::Yield) => TrialState::Pending,
        Some(Wish::Limit | Wish::Cancel | Wish::CancelSaved) | None => TrialState::Cancelled,
    }
}

/// Takes the checkpoint at `step` out of a trial.
pub(super) fn take_checkpoint(trial: &mut Trial, step: u64) -> Vec<crate::checkpoint::Checkpoint> {
    let at = trial.checkpoints.iter().position(|c| c.step == step);
    at.map(|at| trial.checkpoints.remove(at))
        .into_iter()
        .collect()
}
