//! The values of external trials.

use serde_json::json;

use super::time_text;
use crate::cluster::{Cluster, TrialState};
use crate::id::TrialId;

/// What was told of an external trial: key, unit, value and time. The last value of a trial that is complete was told when its last
/// attempt ended, if not before.
pub fn told(cluster: &Cluster, id: TrialId) -> Vec<serde_json::Value> {
    let Some(sweep) = cluster.sweep(id.sweep) else {
        return vec![];
    };
    let Some(trial) = sweep.trial(id.number) else {
        return vec![];
    };
    let ended = trial.history.last().and_then(|r| r.ended.as_ref());
    let ended = ended.filter(|_| trial.state == TrialState::Completed);
    let last = trial.observations.len().saturating_sub(1);
    let told_at = sweep.told_at.get(&id.number);
    // In the order of the observations; a value at the end has none.
    let mut told_at = told_at
        .into_iter()
        .flat_map(|told_at| told_at.iter())
        .peekable();
    let points = trial.observations.iter().enumerate().map(|(at, seen)| {
        let told_at = told_at.next_if(|(unit, _)| *unit == seen.step);
        let ended = ended.filter(|_| at == last);
        let time = told_at.map(|(_, at)| *at).or(ended.map(|(at, _)| *at));
        json!({
            "key": sweep.spec.objective.metric, "step": seen.step, "epoch": seen.epoch, "value": seen.value, "time": time.map(time_text),
        })
    });
    points.collect()
}
