//! One trial in a listing, and which of two is better.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bonfire_search::Goal;
use serde::{Deserialize, Serialize};

use super::parameters_json;
use crate::cluster::{Measured, Sweep, Trial};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRow {
    pub trial: String,
    pub number: u32,
    pub state: String,
    pub attempts: u32,
    pub value: Option<f64>,
    pub epochs: u64,
    pub parameters: BTreeMap<String, serde_json::Value>,
    pub worker: Option<String>,
    pub reason: Option<String>,
    /// The checkpoint it was forked from.
    #[serde(default)]
    pub parent: Option<String>,
    /// Whether its metrics hold to `search.require`; absent where nothing is required of them, or nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feasible: Option<bool>,
    /// By how much they break it in all, of a trial that is not feasible; absent where that is infinite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<f64>,
    /// Those that something is required of, as they were last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// The value of each of several objectives, at the evaluation whose first objective is best.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
    /// Of several objectives, where all trials are looked at: whether no other trial dominates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pareto: Option<bool>,
}

impl TrialRow {
    /// Which of two trials is better: feasible ones, and those of which that is not known, by value; the others behind them, by
    /// their violation (Deb et al. 2002). Of several objectives those come first that no other trial dominates. Trials without a
    /// value come last; ties go to the lower number.
    pub fn compare(&self, other: &TrialRow, goal: Goal) -> Ordering {
        let breaks = |row: &TrialRow| row.feasible == Some(false);
        let violation = |row: &TrialRow| match breaks(row) {
            true => row.violation.unwrap_or(f64::INFINITY),
            false => 0.0,
        };
        let value = |row: &TrialRow| row.value.unwrap_or(f64::NAN);
        let by_value = self.value.is_none().cmp(&other.value.is_none());
        by_value
            .then(breaks(self).cmp(&breaks(other)))
            .then(violation(self).total_cmp(&violation(other)))
            .then(other.pareto.cmp(&self.pareto))
            .then_with(|| goal.order(value(self), value(other)))
            .then(self.number.cmp(&other.number))
    }
}

/// One trial in a listing.
pub fn trial_row(sweep: &Sweep, trial: &Trial) -> TrialRow {
    // An external trial has none.
    let worker = trial.history.last().map(|r| r.worker.clone());
    let measured = sweep.measured(trial.number);
    TrialRow {
        trial: sweep.label_of(trial.number),
        number: trial.number,
        state: trial.state.name().to_owned(),
        attempts: trial.attempt.0,
        value: trial.value,
        epochs: trial.epochs(),
        parameters: parameters_json(&trial.parameters),
        worker: worker.filter(|name| !name.is_empty()),
        reason: trial.reason.clone(),
        parent: trial
            .parent
            .map(|(number, step)| format!("{}@{step}", sweep.label_of(number))),
        feasible: measured.and_then(Measured::is_feasible),
        violation: measured
            .and_then(Measured::violation)
            .filter(|v| v.is_finite()),
        metrics: measured.map(|m| m.metrics().clone()).unwrap_or_default(),
        values: sweep.values(trial).unwrap_or_default(),
        pareto: None,
    }
}

/// All trials of a sweep, and which of them are on the front of several objectives.
pub fn trial_rows(sweep: &Sweep) -> Vec<TrialRow> {
    let front = sweep.front();
    let row = |trial: &Trial| TrialRow {
        pareto: front.as_ref().map(|front| front.contains(&trial.number)),
        ..trial_row(sweep, trial)
    };
    sweep.trials().iter().map(|trial| row(trial)).collect()
}
