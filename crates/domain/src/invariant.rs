//! The numbered invariants of the replicated state that can be predicates.
//!
//! [`check_touched`] looks at what a command touched and runs after each one in builds with debug assertions;
//! [`check_all`] looks at everything and is run by the simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::cluster::{Cluster, QUEUE_PER_SLOT, Sweep, Trial, TrialState};
use crate::effect::Effect;
use crate::id::{Digest, Place, TrialId};

/// A broken invariant, by its number in the architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub invariant: &'static str,
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken: {}", self.invariant, self.what)
    }
}

fn broken(invariant: &'static str, what: String) -> Result<(), Broken> {
    Err(Broken { invariant, what })
}

/// Checks the trials that the effects of one command name.
pub fn check_touched(cluster: &Cluster, effects: &[Effect]) -> Result<(), Broken> {
    for effect in effects {
        let id = match effect {
            Effect::Start { trial, .. }
            | Effect::Stop { trial, .. }
            | Effect::Given { trial, .. }
            | Effect::Told { trial, .. }
            | Effect::TrialReady { trial, .. }
            | Effect::TrialEnded { trial } => *trial,
            _ => continue,
        };
        let Some(sweep) = cluster.sweep(id.sweep) else {
            continue;
        };
        let Some(trial) = sweep.live_trial(id.number) else {
            continue;
        };
        check_trial(cluster, sweep, trial)?;
    }
    Ok(())
}

/// Checks the whole state.
pub fn check_all(cluster: &Cluster) -> Result<(), Broken> {
    let mut held: BTreeMap<TrialId, Place> = BTreeMap::new();
    for worker in cluster.workers() {
        for (slot, queue) in &worker.slots {
            if queue.len() > QUEUE_PER_SLOT {
                return broken("I4", format!("slot {slot:?} holds {}", queue.len()));
            }
        }
        for (slot, occupant) in worker.occupants() {
            let place = Place {
                worker: worker.id(),
                slot,
            };
            if held.insert(occupant.trial, place).is_some() {
                return broken("I3", format!("{:?} has two places", occupant.trial));
            }
            let current = cluster
                .trial(occupant.trial)
                .is_some_and(|t| t.is_current(occupant.attempt) && t.place == Some(place));
            if !current {
                return broken("I3", format!("{occupant:?} is held but not current"));
            }
        }
    }
    for sweep in cluster.sweeps() {
        check_sweep(cluster, sweep, &held)?;
    }
    check_references(cluster)
}

fn check_sweep(
    cluster: &Cluster,
    sweep: &Sweep,
    held: &BTreeMap<TrialId, Place>,
) -> Result<(), Broken> {
    let trials = sweep.trials();
    let mut counts: BTreeMap<TrialState, u32> = BTreeMap::new();
    for (at, trial) in trials.iter().enumerate() {
        if trial.number != at as u32 {
            return broken("I6", format!("{} misses trial {at}", sweep.name));
        }
        *counts.entry(trial.state).or_insert(0) += 1;
        check_trial(cluster, sweep, trial)?;
        let id = sweep.id_of(trial.number);
        let on_a_slot = trial.state == TrialState::Running && !sweep.spec.is_external();
        if on_a_slot != held.contains_key(&id) {
            return broken(
                "I3",
                format!("{id:?} is {:?} but held wrongly", trial.state),
            );
        }
    }
    for state in TrialState::ALL {
        let counted = counts.get(&state).copied().unwrap_or(0);
        if counted != sweep.count(state) {
            return broken("I6", format!("{} counts {state:?} wrongly", sweep.name));
        }
    }
    check_askers(sweep)?;
    let limit = sweep.spec.search.as_ref().and_then(|s| s.limit.trials);
    if limit.is_some_and(|limit| sweep.sampled > limit) {
        return broken(
            "I11",
            format!("{} has more trials than its limit", sweep.name),
        );
    }
    if sweep.state.is_terminal() {
        let open = trials.iter().any(|t| !t.state.is_terminal());
        if open {
            return broken("I5", format!("{} ended with open trials", sweep.name));
        }
    }
    Ok(())
}

/// Every asker that has a trial has one that runs, and no two have the same.
fn check_askers(sweep: &Sweep) -> Result<(), Broken> {
    if !sweep.spec.is_external() {
        return Ok(());
    }
    let mut given = BTreeSet::new();
    for number in sweep.requests.values() {
        if !given.insert(number) {
            return broken("I3", format!("{} gave trial {number} twice", sweep.name));
        }
    }
    if given.iter().copied().eq(&sweep.running) {
        return Ok(());
    }
    broken("I3", format!("{} gave trials that do not run", sweep.name))
}

fn check_trial(cluster: &Cluster, sweep: &Sweep, trial: &Trial) -> Result<(), Broken> {
    let id = sweep.id_of(trial.number);
    let running = trial.state == TrialState::Running;
    if sweep.spec.is_external() {
        let open = trial.history.last().is_some_and(|r| r.ended.is_none());
        if open != running || trial.place.is_some() {
            return broken(
                "I3",
                format!("{id:?} is {:?} and its asker {open}", trial.state),
            );
        }
    } else if running != trial.place.is_some() {
        return broken(
            "I3",
            format!("{id:?} is {:?} with place {:?}", trial.state, trial.place),
        );
    }
    let mut steps = BTreeSet::new();
    if !trial.observations.iter().all(|o| steps.insert(o.step)) {
        return broken("I6", format!("{id:?} has an observation twice"));
    }
    if trial.lost > sweep.spec.retry.lost + 1 || trial.faults > sweep.spec.retry.attempts {
        return broken("I11", format!("{id:?} was retried too often"));
    }
    for checkpoint in &trial.checkpoints {
        for blob in checkpoint.chunks.iter().chain(&checkpoint.manifest) {
            let safe = cluster.blobs().is_referenced(&blob.digest)
                && !cluster.blobs().is_condemned(&blob.digest);
            if !safe {
                return broken("I9", format!("{id:?} names a blob without a reference"));
            }
        }
    }
    Ok(())
}

/// Every count is the number of names there are for the blob.
fn check_references(cluster: &Cluster) -> Result<(), Broken> {
    let mut named: BTreeMap<Digest, u32> = BTreeMap::new();
    let mut name = |digest: Digest| *named.entry(digest).or_insert(0) += 1;
    for sweep in cluster.sweeps() {
        for trial in sweep.trials() {
            for checkpoint in &trial.checkpoints {
                for blob in checkpoint.chunks.iter().chain(&checkpoint.manifest) {
                    name(blob.digest);
                }
            }
        }
    }
    for blob in cluster.segments().values() {
        name(blob.digest);
    }
    for blob in cluster.artifact_blobs() {
        name(blob.digest);
    }
    for file in cluster.dataset_files() {
        name(file);
    }
    let counted: BTreeMap<Digest, u32> =
        cluster.blobs().referenced().map(|(d, n)| (*d, n)).collect();
    if counted == named {
        Ok(())
    } else {
        broken(
            "I9",
            "a blob's count is not the number of its names".to_owned(),
        )
    }
}
