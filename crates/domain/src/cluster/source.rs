//! `search.from`: what a new sweep takes over from others when it is created.
//!
//! It is a copy of their trials up to that place in the log, so that nothing that happens to them later, their deletion
//! neither, changes a suggestion. It is bounded: the best and the newest trials of each, with their places among all.

use std::cmp::Reverse;

use bonfire_search::{Goal, PriorTrial, is_usable};
use serde::{Deserialize, Serialize};

use super::Cluster;
use super::sweep::Sweep;
use super::trial::{Trial, TrialState};
use crate::effect::Refusal;
use crate::id::LogIndex;
use crate::spec::{Objective, Spec};

/// Trials taken over from one sweep: half of them the best, half the newest others.
pub const SOURCE_TRIALS_MAX: usize = 128;

/// What one sweep gave to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name then.
    pub sweep: String,
    /// The place in the log up to which its trials were looked at.
    pub upto: LogIndex,
    /// Best first.
    pub trials: Vec<PriorTrial>,
}

impl Cluster {
    /// What a new sweep takes over from those that its spec names.
    pub(super) fn sources(&self, spec: &Spec) -> Result<Vec<Source>, Refusal> {
        let names = spec.search.iter().flat_map(|search| &search.from);
        names.map(|name| self.source_of(spec, name)).collect()
    }

    fn source_of(&self, spec: &Spec, name: &str) -> Result<Source, Refusal> {
        let known = self.sweep_named(name).and_then(|id| self.sweep(id));
        let Some(sweep) = known else {
            return Err(Refusal::NoSuchSource {
                name: name.to_owned(),
            });
        };
        let refuse = |problem: String| Refusal::NoSource {
            name: name.to_owned(),
            problem,
        };
        let (own, other) = (&spec.objective, &sweep.spec.objective);
        if (&own.metric, own.goal) != (&other.metric, other.goal) {
            let shown = |of: &Objective| match of.goal {
                Goal::Minimize => format!("{} (minimize)", of.metric),
                Goal::Maximize => format!("{} (maximize)", of.metric),
            };
            let (own, other) = (shown(own), shown(other));
            return Err(refuse(format!(
                "its objective is {other}, here it is {own}: only the same can be learned from"
            )));
        }
        let trials = usable(spec, sweep);
        if trials.is_empty() {
            return Err(refuse(
                "none of its trials has ended with a value for parameters that this search has, in their ranges"
                    .to_owned(),
            ));
        }
        Ok(Source {
            sweep: name.to_owned(),
            upto: self.applied(),
            trials,
        })
    }
}

/// The trials that say something here, best first, bounded.
fn usable(spec: &Spec, sweep: &Sweep) -> Vec<PriorTrial> {
    let Some(search) = &spec.search else {
        return Vec::new();
    };
    let goal = sweep.spec.objective.goal;
    // Completed ones, those that break a requirement, those that were stopped on their way, failed ones.
    let standing = |trial: &Trial| -> Option<(u8, f64, Reverse<u64>)> {
        let measured = sweep.measured(trial.number);
        let violation = measured.and_then(super::Measured::violation);
        Some(match (trial.state, trial.value, violation) {
            (TrialState::Failed, _, _) => (3, 0.0, Reverse(0)),
            (state, Some(_), Some(violation)) if state.is_terminal() => (2, violation, Reverse(0)),
            (TrialState::Completed, Some(_), _) => (0, 0.0, Reverse(0)),
            (state, Some(_), _) if state.is_terminal() => (1, 0.0, Reverse(trial.epochs())),
            _ => return None,
        })
    };
    let mut told = Vec::new();
    for trial in sweep.trials() {
        if let Some(standing) = standing(&trial) {
            told.push((
                standing,
                trial.value.unwrap_or(f64::NAN),
                trial.number,
                trial.parameters.clone(),
            ));
        }
    }
    told.sort_by(|a, b| {
        let standing =
            a.0.0
                .cmp(&b.0.0)
                .then(a.0.1.total_cmp(&b.0.1))
                .then(a.0.2.cmp(&b.0.2));
        standing
            .then_with(|| goal.order(a.1, b.1))
            .then(a.2.cmp(&b.2))
    });
    if told.iter().all(|(standing, ..)| standing.0 == 3) {
        return Vec::new(); // nothing is known to be good
    }
    let last = told.len().saturating_sub(1).max(1) as f64;
    let placed = told
        .into_iter()
        .enumerate()
        .map(|(place, (_, _, number, parameters))| {
            let place = place as f64 / last;
            (number, PriorTrial { parameters, place })
        });
    let is_ours = |(_, trial): &(u32, PriorTrial)| is_usable(&search.space, &trial.parameters);
    let mut best: Vec<(u32, PriorTrial)> = placed.filter(is_ours).collect();
    let mut rest = best.split_off(best.len().min(SOURCE_TRIALS_MAX / 2));
    rest.sort_by_key(|(number, _)| Reverse(*number));
    rest.truncate(SOURCE_TRIALS_MAX - best.len());
    best.extend(rest);
    best.sort_by(|a, b| a.1.place.total_cmp(&b.1.place));
    best.into_iter().map(|(_, trial)| trial).collect()
}
