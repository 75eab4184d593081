//! Which attempt of each trial may speak, shared with the report streams so that they need not ask the loop for every batch.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use bonfire_domain::{Attempt, SweepId, TrialId};

/// The latest attempt of every trial that started since the coordinator did or was asked about. An entry only ever rises.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(Arc<RwLock<HashMap<TrialId, Attempt>>>);

impl Attempts {
    pub(crate) fn latest(&self, trial: TrialId) -> Option<Attempt> {
        self.0
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .get(&trial)
            .copied()
    }

    pub(crate) fn started(&self, trial: TrialId, attempt: Attempt) {
        let mut latest = self.0.write().unwrap_or_else(|e| e.into_inner());
        let known = latest.entry(trial).or_insert(attempt);
        *known = attempt.max(*known);
    }

    pub(crate) fn forget(&self, sweep: SweepId) {
        self.0
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .retain(|trial, _| trial.sweep != sweep);
    }
}
