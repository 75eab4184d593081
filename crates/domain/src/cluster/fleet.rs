//! The workers of the fleet and what their slots hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Cluster, Outcome};
use crate::command::Admission;
use crate::effect::{Effect, Refusal};
use crate::fault::{AttemptEnd, LostCause};
use crate::id::{Attempt, Place, Slot, TrialId, WallMs, WorkerId};
use crate::order::WorkerFacts;

/// Attempts a slot may hold: the one that runs and one next.
pub const QUEUE_PER_SLOT: usize = 2;

/// Deaths of executors that make a worker suspect, and the time in which they count.
pub const SUSPECT_TRIALS: usize = 3;
pub const SUSPECT_WINDOW_MS: u64 = 600_000;

/// What holds a place in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    pub trial: TrialId,
    pub attempt: Attempt,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerState {
    pub facts: WorkerFacts,
    pub admission: Admission,
    pub joined: WallMs,
    /// In order: the first runs, the second is next.
    pub slots: BTreeMap<Slot, Vec<Occupant>>,
    /// The sequence number of the fact that is taken next.
    pub next_fact: u64,
    /// Trials that died here, newest last.
    pub deaths: Vec<(TrialId, WallMs)>,
}

impl WorkerState {
    pub fn id(&self) -> WorkerId {
        self.facts.worker
    }

    /// Attempts on all slots, running or next.
    pub fn occupants(&self) -> impl Iterator<Item = (Slot, Occupant)> + '_ {
        self.slots
            .iter()
            .flat_map(|(slot, held)| held.iter().map(move |o| (*slot, *o)))
    }
}

impl Cluster {
    pub(super) fn join(&mut self, facts: WorkerFacts, facts_from: u64, at: WallMs) -> Outcome {
        let worker = facts.worker;
        match self.workers.get_mut(&worker) {
            // It came back within its time: what it runs goes on.
            Some(state) => state.facts = facts,
            None => {
                let slots = (0..facts.slots.len() as u16)
                    .map(|s| (Slot(s), Vec::new()))
                    .collect();
                self.workers.insert(
                    worker,
                    WorkerState {
                        facts,
                        admission: Admission::Open,
                        joined: at,
                        slots,
                        deaths: Vec::new(),
                        next_fact: facts_from,
                    },
                );
            }
        }
        Ok(vec![Effect::WorkerChanged { worker }])
    }

    pub(super) fn lose(&mut self, worker: WorkerId, at: WallMs) -> Outcome {
        let state = self.workers.get(&worker).ok_or(Refusal::NoSuchWorker)?;
        let held: Vec<(Slot, Occupant)> = state.occupants().collect();
        let mut effects = Vec::new();
        for (_, occupant) in held {
            let end = AttemptEnd::Lost(LostCause::WorkerGone);
            effects.extend(self.end_attempt(occupant.trial, occupant.attempt, end, at));
        }
        self.workers.remove(&worker);
        effects.push(Effect::WorkerLost { worker });
        Ok(effects)
    }

    pub(super) fn admit(&mut self, worker: WorkerId, admission: Admission, _at: WallMs) -> Outcome {
        let state = self.workers.get_mut(&worker).ok_or(Refusal::NoSuchWorker)?;
        state.admission = admission;
        if state.admission == Admission::Open {
            state.deaths.clear();
        }
        let mut effects = vec![Effect::WorkerChanged { worker }];
        if state.admission == Admission::Draining {
            let held: Vec<(Slot, Occupant)> = state.occupants().collect();
            for (slot, occupant) in held {
                effects.extend(self.wish_yield(occupant.trial, Place { worker, slot }));
            }
        }
        Ok(effects)
    }

    /// Takes an attempt off its slot.
    pub(super) fn vacate(&mut self, place: Place, trial: TrialId, attempt: Attempt) -> bool {
        let Some(held) = self
            .workers
            .get_mut(&place.worker)
            .and_then(|w| w.slots.get_mut(&place.slot))
        else {
            return false;
        };
        let before = held.len();
        held.retain(|o| !(o.trial == trial && o.attempt == attempt));
        held.len() < before
    }

    /// Records the death of an executor and says whether the worker has become suspect.
    pub(super) fn record_death(
        &mut self,
        worker: WorkerId,
        trial: TrialId,
        at: WallMs,
    ) -> Option<Effect> {
        let state = self.workers.get_mut(&worker)?;
        state
            .deaths
            .retain(|(t, when)| *t != trial && at.0.saturating_sub(when.0) < SUSPECT_WINDOW_MS);
        state.deaths.push((trial, at));
        (state.deaths.len() >= SUSPECT_TRIALS && state.admission == Admission::Open).then(|| {
            Effect::Suspect {
                worker,
                reason: format!(
                    "{} different trials died on it within {} minutes",
                    state.deaths.len(),
                    SUSPECT_WINDOW_MS / 60_000
                ),
            }
        })
    }
}
