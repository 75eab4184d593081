//! What goes through the replicated log, and its encoding on disk.
//!
//! An entry is a `u16` format number (little-endian) and the postcard encoding of a list of commands. A command that changes
//! becomes a new variant at the end of the enum; the old one stays and is upgraded on reading.

use std::collections::BTreeMap;

use bonfire_search::Assignment;
use serde::{Deserialize, Serialize};

use crate::dataset::BlobRef;
use crate::id::{Attempt, Digest, LogIndex, Place, SweepId, TrialId, WallMs, WorkerId};
use crate::order::{Fact, WorkerFacts};
use crate::origin::Origin;

/// The format number written now.
pub const COMMAND_FORMAT: u16 = 1;

/// A change of the replicated state. `at` is the leader's wall clock, a recorded fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// A worker registers its slots, or comes back after it was thought lost.
    /// `facts_from` is where its numbered facts go on.
    Join {
        facts: WorkerFacts,
        facts_from: u64,
        at: WallMs,
    },
    /// A worker is gone: silent for too long, or it left after draining.
    Lose {
        worker: WorkerId,
        at: WallMs,
    },
    /// Whether a worker may be given new work.
    Admit {
        worker: WorkerId,
        admission: Admission,
        at: WallMs,
    },
    /// `request` makes a repeated submission answer with the first one's sweep.
    CreateSweep {
        request: u64,
        name: String,
        spec: String,
        /// The dataset version the spec trains on.
        dataset: Option<Digest>,
        at: WallMs,
    },
    /// Refused whole unless `first` is the sweep's next number. `exhausted` says that no more will come, and why.
    CreateTrials {
        sweep: SweepId,
        first: u32,
        seen: LogIndex,
        parameters: Vec<Assignment>,
        exhausted: Option<String>,
        at: WallMs,
    },
    /// The scheduler's best paused trial may train on to its next rung.
    Promote {
        trial: TrialId,
        at: WallMs,
    },
    StartAttempt {
        trial: TrialId,
        attempt: Attempt,
        place: Place,
        at: WallMs,
    },
    /// What a worker reported.
    Report {
        worker: WorkerId,
        sequence: u64,
        fact: Fact,
        at: WallMs,
    },
    ControlSweep {
        sweep: SweepId,
        action: SweepAction,
        at: WallMs,
    },
    ControlTrial {
        trial: TrialId,
        action: TrialAction,
        at: WallMs,
    },
    /// A new trial that starts from a checkpoint of another one of the same sweep.
    Fork {
        request: u64,
        parent: TrialId,
        /// The checkpoint's step.
        step: u64,
        parameters: Assignment,
        at: WallMs,
    },
    /// Nothing runs and nothing will: the sweep ends.
    Finish {
        sweep: SweepId,
        ending: SweepEnding,
        reason: String,
        at: WallMs,
    },
    /// A dataset version under a name, its manifest as JSON.
    AddDataset {
        name: String,
        manifest: String,
        at: WallMs,
    },
    DeleteCheckpoint {
        trial: TrialId,
        step: u64,
        at: WallMs,
    },
    /// These blobs have no reference: from now on nothing may name them until they are deleted.
    Condemn {
        chunks: Vec<Digest>,
    },
    Deleted {
        chunks: Vec<Digest>,
    },
    /// The tracker's journal `journal` is now a segment in the blob store.
    SealSegment {
        journal: u64,
        blob: BlobRef,
    },
    /// An external trial goes to whoever asked with `request`: one that waits, or one whose asker did not tell in time.
    Give {
        request: u64,
        trial: TrialId,
        attempt: Attempt,
        at: WallMs,
    },
    /// What the asker of an external trial says of it.
    Tell {
        trial: TrialId,
        attempt: Attempt,
        told: Told,
        at: WallMs,
    },
    /// As `CreateSweep`, with where it came from.
    SubmitSweep {
        request: u64,
        name: String,
        spec: String,
        dataset: Option<Digest>,
        origin: Origin,
        at: WallMs,
    },
    /// A file attached to a trial, in the place of one of the same name.
    AddArtifact {
        trial: TrialId,
        name: String,
        blob: BlobRef,
        at: WallMs,
    },
    /// A new trial, which starts from a checkpoint of `parent`, takes the place of `trial` in its population. Refused unless
    /// `number` is the sweep's next number.
    Exploit {
        trial: TrialId,
        number: u32,
        /// Of the same sweep.
        parent: u32,
        /// The checkpoint's step.
        step: u64,
        parameters: Assignment,
        at: WallMs,
    },
    /// As `Tell`, with metrics that the search requires something of. They are finite.
    TellMeasured {
        trial: TrialId,
        attempt: Attempt,
        told: Told,
        metrics: BTreeMap<String, f64>,
        at: WallMs,
    },
    /// A trial whose turn has not come trains on, because a slot is idle. For the scheduler it waits as before.
    PromoteEarly {
        trial: TrialId,
        at: WallMs,
    },
    /// The trials of a sweep that train ahead of their turn save and wait again, or end if the sweep is over but for them.
    Recall {
        sweep: SweepId,
        at: WallMs,
    },
}

/// What the asker of an external trial says of it. Values are finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// What it came to; the trial is complete.
    Value { value: f64 },
    /// Where it stands after `at` units, whatever the asker counts in.
    Intermediate { at: u64, value: f64 },
    /// It came to nothing; it is not given out again.
    Failed { reason: String },
}

/// Whether a worker may be given new work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    Open,
    /// Finishes or saves what it runs, gets nothing new.
    Draining,
    /// Three different trials died on it within ten minutes.
    Quarantined {
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SweepAction {
    Pause,
    Resume,
    /// Ends all; `save` writes a last checkpoint of what runs.
    Cancel {
        save: bool,
    },
    /// A bound of `search.limit` or `stop_at` was reached.
    Stop {
        reason: String,
    },
    /// Only of a sweep that has ended.
    Delete,
    /// As `Pause`, because another sweep is to have the slots.
    SetAside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrialAction {
    /// Ends it; it keeps its best value and its checkpoints.
    Stop,
    /// Goes on from its last checkpoint, or tries again from the start.
    Resume,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SweepEnding {
    Completed,
    Cancelled,
    Failed,
}

/// Why an entry of the log cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("entry of {found} bytes is shorter than its format number")]
    Short { found: usize },
    #[error("entry has format {found}, this version reads up to {COMMAND_FORMAT}")]
    Format { found: u16 },
    #[error("entry cannot be decoded: {0}")]
    Postcard(String),
}

/// Encodes one entry of the log.
pub fn encode(commands: &[Command]) -> Vec<u8> {
    let mut bytes = COMMAND_FORMAT.to_le_bytes().to_vec();
    // Writing plain data to a vector cannot fail.
    if let Ok(body) = postcard::to_stdvec(commands) {
        bytes.extend_from_slice(&body);
    }
    bytes
}

/// Decodes one entry of the log.
///
/// # Errors
/// [`DecodeError`] for a format of the future or damaged bytes; nothing is taken from such an entry.
pub fn decode(bytes: &[u8]) -> Result<Vec<Command>, DecodeError> {
    let Some((format, body)) = bytes.split_first_chunk::<2>() else {
        return Err(DecodeError::Short { found: bytes.len() });
    };
    let found = u16::from_le_bytes(*format);
    if found != COMMAND_FORMAT {
        return Err(DecodeError::Format { found });
    }
    postcard::from_bytes(body).map_err(|e| DecodeError::Postcard(e.to_string()))
}
