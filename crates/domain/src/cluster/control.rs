//! What users ask of sweeps and trials, and how a sweep ends.

use bonfire_search::{Assignment, Ending, Event};

use super::early::NOT_ITS_TURN;
use super::sweep::{Sweep, SweepState};
use super::trial::{TrialState, Wish};
use super::{Cluster, Outcome};
use crate::command::{SweepAction, SweepEnding, TrialAction};
use crate::effect::{Effect, Refusal};
use crate::id::{LogIndex, Place, SweepId, TrialId, WallMs};

impl Cluster {
    pub(super) fn control_sweep(
        &mut self,
        index: LogIndex,
        id: SweepId,
        action: SweepAction,
        at: WallMs,
    ) -> Outcome {
        let sweep = self.sweep_mut(id)?;
        let not_from = |action: &str, state: &SweepState| Refusal::NotFrom {
            state: state.name().to_owned(),
            action: action.to_owned(),
        };
        let aside = action == SweepAction::SetAside;
        match (action, &sweep.state) {
            (SweepAction::Pause | SweepAction::SetAside, SweepState::Running) => {
                let reason = match aside {
                    true => "set aside for another sweep",
                    false => "paused by a user",
                };
                sweep.state = SweepState::Paused;
                sweep.ran_ms = sweep.running_ms(at);
                sweep.running_since = None;
                sweep.reason = Some(reason.to_owned());
                Ok(self.wish_all(id, &Wish::Yield))
            }
            (SweepAction::Pause | SweepAction::SetAside, SweepState::Paused) => Ok(vec![]),
            (SweepAction::Resume, SweepState::Paused) => {
                sweep.state = SweepState::Running;
                sweep.running_since = Some(at);
                sweep.reason = None;
                Ok(self.release_held(id, at))
            }
            (SweepAction::Resume, SweepState::Running) => Ok(vec![]),
            (SweepAction::Cancel { save }, state) if !state.is_terminal() => {
                let reason = "cancelled by a user".to_owned();
                Ok(self.stop_sweep(id, true, false, reason, save, at))
            }
            (SweepAction::Stop { reason }, SweepState::Running | SweepState::Paused) => {
                Ok(self.stop_sweep(id, false, false, reason, false, at))
            }
            (SweepAction::Delete, state) if state.is_terminal() => Ok(self.delete_sweep(index, id)),
            (SweepAction::Pause | SweepAction::SetAside, state) => Err(not_from("pause", state)),
            (SweepAction::Resume, state) => Err(not_from("resume", state)),
            (SweepAction::Cancel { .. }, state) => Err(not_from("cancel", state)),
            (SweepAction::Stop { .. }, state) => Err(not_from("stop", state)),
            (SweepAction::Delete, state) => Err(not_from("delete", state)),
        }
    }

    /// Nothing new starts, what runs is ended; the sweep finishes when nothing runs.
    pub(super) fn stop_sweep(
        &mut self,
        id: SweepId,
        cancelled: bool,
        failed: bool,
        reason: String,
        save: bool,
        at: WallMs,
    ) -> Vec<Effect> {
        let index = self.applied;
        let Ok(sweep) = self.sweep_mut(id) else {
            return vec![];
        };
        sweep.state = SweepState::Stopping {
            cancelled,
            failed,
            reason: reason.clone(),
        };
        sweep.reason = Some(reason);
        // Nobody has to be told that an external trial ends: its asker hears it with the next value.
        let external = sweep.spec.is_external();
        let ends_now = |state| match state {
            TrialState::Pending | TrialState::Paused => true,
            TrialState::Running => external,
            _ => false,
        };
        let waiting: Vec<u32> = sweep
            .live()
            .filter(|t| ends_now(t.state))
            .map(|t| t.number)
            .collect();
        let mut effects = Vec::new();
        for number in waiting {
            let trial = TrialId { sweep: id, number };
            let next = if cancelled {
                TrialState::Cancelled
            } else {
                self.given_up(trial)
            };
            effects.extend(self.settle(index, trial, next, at));
        }
        let wish = match (cancelled, save) {
            (true, true) => Wish::CancelSaved,
            (true, false) => Wish::Cancel,
            (false, _) => Wish::Limit,
        };
        effects.extend(self.wish_all(id, &wish));
        effects.push(Effect::SweepChanged { sweep: id });
        effects
    }

    /// Asks every running attempt of a sweep to end.
    fn wish_all(&mut self, id: SweepId, wish: &Wish) -> Vec<Effect> {
        let Ok(sweep) = self.sweep_mut(id) else {
            return vec![];
        };
        let mut effects = Vec::new();
        for trial in sweep.live.values_mut() {
            let Some(place) = trial.place.filter(|_| trial.state == TrialState::Running) else {
                continue;
            };
            let trial = std::sync::Arc::make_mut(trial);
            let save = trial.ask_to_end(wish.clone());
            effects.push(Effect::Stop {
                place,
                trial: TrialId {
                    sweep: id,
                    number: trial.number,
                },
                attempt: trial.attempt,
                save,
            });
        }
        effects.push(Effect::SweepChanged { sweep: id });
        effects
    }

    /// Asks one attempt to save and give its slot back.
    pub(super) fn wish_yield(&mut self, id: TrialId, place: Place) -> Vec<Effect> {
        let Ok(trial) = self.sweep_mut(id.sweep).and_then(|s| s.live_mut(id.number)) else {
            return vec![];
        };
        if trial.wish.is_some() {
            return vec![];
        }
        trial.wish = Some(Wish::Yield);
        vec![Effect::Stop {
            place,
            trial: id,
            attempt: trial.attempt,
            save: true,
        }]
    }

    /// Trials held with their sweep may start again; those at a rung wait for a promotion as before.
    fn release_held(&mut self, id: SweepId, at: WallMs) -> Vec<Effect> {
        let index = self.applied;
        let Ok(sweep) = self.sweep_mut(id) else {
            return vec![];
        };
        let held: Vec<u32> = sweep
            .live()
            .filter(|t| {
                let rests = t.epochs() >= t.until && t.has_reached();
                t.state == TrialState::Paused && !rests && !sweep.early.contains(&t.number)
            })
            .map(|t| t.number)
            .collect();
        let mut effects = Vec::new();
        for number in held {
            let trial = TrialId { sweep: id, number };
            effects.extend(self.settle(index, trial, TrialState::Pending, at));
        }
        effects.push(Effect::SweepChanged { sweep: id });
        effects
    }

    fn delete_sweep(&mut self, _index: LogIndex, id: SweepId) -> Vec<Effect> {
        let Some(sweep) = self.sweeps.remove(&id) else {
            return vec![];
        };
        self.names.remove(&sweep.name);
        self.origins.remove(&id);
        let gone = sweep
            .trials()
            .iter()
            .flat_map(|t| t.checkpoints.clone())
            .collect();
        let mut effects = self.release_checkpoints(gone);
        effects.extend(self.drop_artifacts(id));
        effects.push(Effect::SweepChanged { sweep: id });
        effects
    }

    pub(super) fn control_trial(
        &mut self,
        index: LogIndex,
        id: TrialId,
        action: TrialAction,
        at: WallMs,
    ) -> Outcome {
        let sweep = self.sweep_mut(id.sweep)?;
        let budget = sweep.spec.budget();
        let external = sweep.spec.is_external();
        let averages = sweep.spec.averages();
        let population = sweep.scheduler.kind().population().is_some();
        let waits = sweep.live_mut(id.number)?.state == TrialState::Paused;
        if action == TrialAction::Resume && waits {
            sweep.early.remove(&id.number); // nobody's turn decides any more
        }
        let trial = sweep.live_mut(id.number)?;
        match (action, trial.state) {
            (TrialAction::Stop, TrialState::Running) if !external => {
                let save = trial.ask_to_end(Wish::CancelSaved);
                trial.reason = Some("stopped by a user".to_owned());
                let place = trial.place;
                let attempt = trial.attempt;
                Ok(place
                    .map(|place| Effect::Stop {
                        place,
                        trial: id,
                        attempt,
                        save,
                    })
                    .into_iter()
                    .collect())
            }
            (TrialAction::Stop, TrialState::Pending | TrialState::Paused | TrialState::Running) => {
                trial.reason = Some("stopped by a user".to_owned());
                Ok(self.settle(index, id, TrialState::Cancelled, at))
            }
            // Its sampler has learnt its mean, and would learn another.
            (TrialAction::Resume, TrialState::Pruned) if averages => Err(Refusal::NotFrom {
                state: TrialState::Pruned.name().to_owned(),
                action: "resume, because its mean is what the search went on with,".to_owned(),
            }),
            (
                TrialAction::Resume,
                TrialState::Failed
                | TrialState::Cancelled
                | TrialState::Pruned
                | TrialState::Paused,
            ) => {
                trial.faults = 0;
                trial.lost = 0;
                trial.reason = None;
                trial.ended = None;
                let rested = trial.epochs() >= trial.until;
                // It had reached its rung: going on means to the end. So it does for one that had left a population.
                let left = population && !waits;
                if rested || left {
                    trial.until = budget;
                }
                if left || (rested && waits) {
                    // No turn of the scheduler's comes to it any more.
                    let (number, ending) = (id.number, Ending::Cancelled);
                    sweep.scheduler.observe(&Event::Ended { number, ending });
                }
                if sweep.state.is_terminal() {
                    sweep.reopen("reopened for a resumed trial", at);
                }
                Ok(self.settle(index, id, TrialState::Pending, at))
            }
            (TrialAction::Stop, state) => Err(Refusal::NotFrom {
                state: state.name().to_owned(),
                action: "stop".to_owned(),
            }),
            (TrialAction::Resume, state) => Err(Refusal::NotFrom {
                state: state.name().to_owned(),
                action: "resume".to_owned(),
            }),
        }
    }

    pub(super) fn fork(
        &mut self,
        index: LogIndex,
        request: u64,
        parent: TrialId,
        step: u64,
        parameters: Assignment,
        at: WallMs,
    ) -> Outcome {
        let sweep = self.sweep_mut(parent.sweep)?;
        if let Some(number) = sweep.requests.get(&request) {
            let trial = sweep.id_of(*number);
            return Ok(vec![Effect::TrialCreated { trial }]);
        }
        let number = sweep.next;
        let event = Event::Created {
            number,
            parameters: parameters.clone(),
        };
        let digests = sweep.plant(index, (parent.number, step), parameters, |_, _, whole| {
            Some(whole)
        })?;
        sweep.requests.insert(request, number);
        // It trains to its end, and no turn of the scheduler's comes to it: it takes no place on a rung.
        let ending = Ending::Cancelled;
        sweep.scheduler.observe(&Event::Ended { number, ending });
        if sweep.state.is_terminal() {
            sweep.reopen("reopened for a forked trial", at);
        }
        let trial = sweep.id_of(number);
        self.blobs.take(&digests);
        Ok(vec![
            // As its sampler learns it when it is made again from the state.
            Effect::Learned {
                sweep: parent.sweep,
                event,
            },
            Effect::TrialCreated { trial },
            Effect::SweepChanged {
                sweep: parent.sweep,
            },
        ])
    }

    /// Ends a sweep in which nothing runs; what still waits at a rung is pruned.
    pub(super) fn finish(
        &mut self,
        index: LogIndex,
        id: SweepId,
        ending: SweepEnding,
        reason: String,
        at: WallMs,
    ) -> Outcome {
        let sweep = self.sweep_mut(id)?;
        let active = sweep.count(TrialState::Running) + sweep.count(TrialState::Pending);
        if sweep.state.is_terminal() || sweep.state == SweepState::Paused || active > 0 {
            return Err(Refusal::NotFrom {
                state: sweep.state.name().to_owned(),
                action: "finish".to_owned(),
            });
        }
        let waiting: Vec<u32> = sweep
            .live()
            .filter(|t| t.state == TrialState::Paused)
            .map(|t| t.number)
            .collect();
        let mut effects = Vec::new();
        for number in waiting {
            let trial = TrialId { sweep: id, number };
            let sweep = self.sweep_mut(id)?;
            if sweep.early.contains(&number) {
                sweep.live_mut(number)?.reason = Some(NOT_ITS_TURN.to_owned());
            }
            effects.extend(self.settle(index, trial, TrialState::Pruned, at));
        }
        let sweep = self.sweep_mut(id)?;
        sweep.ran_ms = sweep.running_ms(at);
        sweep.running_since = None;
        sweep.ended = Some(at);
        sweep.reason = Some(reason);
        sweep.state = match ending {
            SweepEnding::Completed => SweepState::Completed,
            SweepEnding::Cancelled => SweepState::Cancelled,
            SweepEnding::Failed => SweepState::Failed,
        };
        effects.push(Effect::SweepEnded { sweep: id });
        Ok(effects)
    }
}

impl Sweep {
    /// Runs again for a trial that was ended or is new; nothing more is suggested.
    fn reopen(&mut self, why: &str, at: WallMs) {
        self.state = SweepState::Running;
        self.reason = Some(why.to_owned());
        self.exhausted = Some("the trials that it was reopened for ended".to_owned());
        self.running_since = Some(at);
        self.ended = None;
    }
}
