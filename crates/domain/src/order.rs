//! What the leader tells a worker and what a worker tells the leader, on the control stream.

use std::collections::BTreeMap;
use std::fmt;

use bonfire_search::Assignment;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::fault::AttemptEnd;
use crate::id::{Attempt, Digest, Slot, TrialId, WorkerId};

/// What a worker says of itself when it joins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerFacts {
    pub worker: WorkerId,
    /// For people; unique names are made by the worker (host name and four random digits).
    pub name: String,
    pub slots: Vec<SlotFacts>,
    pub labels: BTreeMap<String, String>,
    /// Bytes of memory the machine has.
    pub memory: u64,
    pub version: String,
    /// Build, engine, processor: equal bits are promised inside one class.
    pub numerics: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotFacts {
    /// `cpu`, or `cuda:0`.
    pub device: String,
}

/// Starts one member of an attempt. Idempotent: told twice, it runs once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartOrder {
    pub trial: TrialId,
    /// `digits-k2f/17`, for logs and paths.
    pub label: String,
    pub attempt: Attempt,
    pub slot: Slot,
    /// The sweep's canonical spec; with `parameters` filled in it is the trial's.
    pub spec: String,
    pub parameters: Assignment,
    /// Epochs to train to.
    pub until: u64,
    /// The checkpoint to go on from.
    pub from: Option<Checkpoint>,
    /// The dataset version, where the spec has data.
    pub dataset: Option<Digest>,
}

/// From the leader to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    Start(Box<StartOrder>),
    /// End the attempt; `save` asks for a checkpoint first (pause, drain).
    Stop {
        trial: TrialId,
        attempt: Attempt,
        save: bool,
    },
    /// The fact with this sequence number is in the log: forget it.
    Acknowledge {
        sequence: u64,
    },
    /// Publishing was refused because these blobs are being deleted: upload them again after that.
    UploadAgain {
        trial: TrialId,
        attempt: Attempt,
        chunks: Vec<Digest>,
    },
    /// The worker may end: nothing of it is needed any more.
    Leave,
    /// An attempt that waits behind another one gives its place back; one that has begun goes on.
    TakeBack {
        trial: TrialId,
        attempt: Attempt,
    },
}

/// From a worker to the leader. Facts are numbered without gaps, taken in that order only, and sent again until acknowledged;
/// one that comes twice changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// The objective at an evaluation after `epoch` epochs.
    Observed {
        trial: TrialId,
        attempt: Attempt,
        step: u64,
        epoch: u64,
        value: f64,
    },
    Checkpointed {
        trial: TrialId,
        attempt: Attempt,
        checkpoint: Box<Checkpoint>,
    },
    Ended {
        trial: TrialId,
        attempt: Attempt,
        end: AttemptEnd,
    },
    /// Prepared data was made and uploaded: the manifest as JSON.
    Prepared { key: Digest, manifest: String },
    /// As `Observed`, with the metrics that the search requires something of.
    Measured {
        trial: TrialId,
        attempt: Attempt,
        step: u64,
        epoch: u64,
        value: f64,
        metrics: BTreeMap<String, f64>,
    },
}

impl Fact {
    /// The objective at an evaluation; `metrics` are those that the search requires something of.
    pub fn evaluation(
        (trial, attempt): (TrialId, Attempt),
        (step, epoch): (u64, u64),
        value: f64,
        metrics: BTreeMap<String, f64>,
    ) -> Fact {
        match metrics.is_empty() {
            true => Fact::Observed {
                trial,
                attempt,
                step,
                epoch,
                value,
            },
            false => Fact::Measured {
                trial,
                attempt,
                step,
                epoch,
                value,
                metrics,
            },
        }
    }
}

/// What a worker is doing, said with every heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Running {
    /// Assignments the worker holds, running or next.
    pub attempts: Vec<(TrialId, Attempt)>,
    /// It was asked to end and drains.
    pub leaving: bool,
    /// The lowest sequence number that is not acknowledged, or the next one: where the log goes on.
    pub facts_from: u64,
    /// The worker that had this one's folder before, and is dead: its attempts need not be waited for.
    pub replaces: Option<WorkerId>,
    /// Attempts whose data is being prepared here.
    pub preparing: Vec<Preparing>,
}

/// How far a worker is with the data of an attempt that has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparing {
    pub trial: TrialId,
    pub attempt: Attempt,
    /// Rows read; rows that are read more than once count each time.
    pub rows: u64,
    /// Of so many.
    pub total: u64,
}

impl fmt::Display for Preparing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Preparing { rows, total, .. } = self;
        let percent = rows.saturating_mul(100) / (*total).max(1);
        write!(f, "prepares its data: {rows} of {total} rows ({percent} %)")
    }
}
