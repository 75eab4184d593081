//! What applying a command changed: followers drop it, the leader feeds it to its own machine.

use std::fmt;

use bonfire_search::Event;
use serde::{Deserialize, Serialize};

use crate::id::{Attempt, Digest, Place, SweepId, TrialId, WorkerId};

/// A consequence of an applied command.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The command changed nothing, and why.
    Refused(Refusal),
    SweepCreated {
        sweep: SweepId,
    },
    /// Its state, its room for trials or its needs may have changed.
    SweepChanged {
        sweep: SweepId,
    },
    SweepEnded {
        sweep: SweepId,
    },
    /// What the sampler of the sweep may learn.
    Learned {
        sweep: SweepId,
        event: Event,
    },
    TrialCreated {
        trial: TrialId,
    },
    /// May be started (again); `tries` failed or lost attempts decide the backoff.
    TrialReady {
        trial: TrialId,
        tries: u32,
    },
    TrialEnded {
        trial: TrialId,
    },
    /// The worker should run this.
    Start {
        place: Place,
        trial: TrialId,
        attempt: Attempt,
    },
    /// The worker should end this.
    Stop {
        place: Place,
        trial: TrialId,
        attempt: Attempt,
        save: bool,
    },
    SlotFreed {
        place: Place,
    },
    WorkerChanged {
        worker: WorkerId,
    },
    WorkerLost {
        worker: WorkerId,
    },
    /// Three different trials died on it: keep it from new work.
    Suspect {
        worker: WorkerId,
        reason: String,
    },
    FactTaken {
        worker: WorkerId,
        sequence: u64,
    },
    /// A published checkpoint named blobs that are being deleted.
    UploadAgain {
        worker: WorkerId,
        trial: TrialId,
        attempt: Attempt,
        chunks: Vec<Digest>,
    },
    /// Some blobs have no reference any more.
    Garbage,
    Condemned {
        chunks: Vec<Digest>,
    },
    DatasetAdded {
        name: String,
        version: Digest,
        changed: bool,
    },
    Prepared {
        key: Digest,
    },
    SegmentSealed {
        journal: u64,
    },
    /// The asker with this request has this trial.
    Given {
        request: u64,
        trial: TrialId,
        attempt: Attempt,
    },
    /// What was told is recorded, or was before (`repeated`). `proceed`: the asker should go on with the trial. `kept`: what was
    /// told is what the trial has; false where another value stands there, or where the trial was stopped before.
    Told {
        trial: TrialId,
        repeated: bool,
        proceed: bool,
        kept: bool,
    },
}

/// Why a command changed nothing. An outcome that every node computes alike, not an error of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    NoSuchSweep,
    NoSuchTrial,
    NoSuchWorker,
    NoSuchCheckpoint {
        step: u64,
    },
    NoSuchDataset {
        version: String,
    },
    NameTaken {
        name: String,
    },
    SpecUnreadable {
        problem: String,
    },
    /// The sweep's next number is another one.
    NotNext {
        next: u32,
    },
    /// The trial's attempt is another one: the sender is fenced.
    Fenced {
        current: Attempt,
    },
    /// The state machine has no such edge.
    NotFrom {
        state: String,
        action: String,
    },
    SlotTaken,
    LimitReached {
        limit: u32,
    },
    BeingDeleted {
        chunks: u32,
    },
    StillReferenced,
    ManifestUnreadable {
        problem: String,
    },
    /// The sweep's trials are trained by the fleet.
    NotExternal,
    /// NaN or infinite.
    NotFinite,
    /// A fork that could not go on from its checkpoint.
    NoFork {
        problem: String,
    },
    /// A metric was told that the search requires nothing of.
    NoSuchMetric {
        name: String,
        known: String,
    },
    /// A trial was told without a metric that is an objective, or to end without one that the search requires something of.
    MetricMissing {
        name: String,
    },
    /// A new sweep would learn from one that is not there.
    NoSuchSource {
        name: String,
    },
    /// A new sweep cannot learn from that one.
    NoSource {
        name: String,
        problem: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoSuchSweep => f.write_str("no such sweep"),
            Refusal::NoSuchTrial => f.write_str("no such trial"),
            Refusal::NoSuchWorker => f.write_str("no such worker"),
            Refusal::NoSuchCheckpoint { step } => write!(f, "no checkpoint at step {step}"),
            Refusal::NoFork { problem } => f.write_str(problem),
            Refusal::NoSuchDataset { version } => write!(f, "no dataset version {version}"),
            Refusal::NameTaken { name } => write!(f, "the name {name} is taken"),
            Refusal::SpecUnreadable { problem } => write!(f, "the spec cannot be read: {problem}"),
            Refusal::NotNext { next } => write!(f, "the next trial has number {next}"),
            Refusal::Fenced { current } => write!(f, "attempt {} is current", current.0),
            Refusal::NotFrom { state, action } => write!(f, "cannot {action}: it is {state}"),
            Refusal::SlotTaken => f.write_str("the slot is taken"),
            Refusal::LimitReached { limit } => write!(f, "the limit of {limit} is reached"),
            Refusal::BeingDeleted { chunks } => {
                write!(f, "{chunks} of its blobs are being deleted")
            }
            Refusal::StillReferenced => f.write_str(
                "its trial still needs it: it trains, waits or was forked from here; stop the trial first, or delete the sweep",
            ),
            Refusal::ManifestUnreadable { problem } => {
                write!(f, "the manifest cannot be read: {problem}")
            }
            Refusal::NotExternal => f.write_str(
                "the fleet trains its trials: only a spec with trials: external is asked and told",
            ),
            Refusal::NoSuchSource { name } => {
                write!(
                    f,
                    "search.from: there is no sweep {name} to learn from; see bonfire sweep list for whole names"
                )
            }
            Refusal::NoSource { name, problem } => {
                write!(f, "search.from: nothing can be learned from {name}: {problem}")
            }
            Refusal::NoSuchMetric { name, known } if known.is_empty() => write!(
                f,
                "neither search.require nor search.objectives names a metric, so {name} says nothing: leave it out"
            ),
            Refusal::NoSuchMetric { name, known } => write!(
                f,
                "neither search.require nor search.objectives names {name}, only {known}: leave it out"
            ),
            Refusal::MetricMissing { name } => write!(
                f,
                "the search compares trials by {name} too, and nobody has told it: tell it with the value (--metric {name}=NUMBER)"
            ),
            Refusal::NotFinite => {
                f.write_str("the value is not a finite number: tell the trial as failed instead")
            }
        }
    }
}
