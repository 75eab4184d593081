//! One attempt on its slot, from loading to its last upload.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::session::{ExecutorEvent as Said, SessionInput};
use bonfire_domain::spec::{Millis, Spec};
use bonfire_domain::{Attempt, Slot, TrialId};
use tokio_util::task::AbortOnDropHandle;

use crate::cache::Pin;
use crate::depot::DepotError;
use crate::executor::Limits;
use crate::executor::frame::Written;

pub(super) type Key = (TrialId, Attempt);

/// One attempt on its slot.
pub(super) struct Work {
    pub(super) key: Key,
    pub(super) limits: Limits,
    pub(super) spool: PathBuf,
    /// The executor has not been asked to begin yet.
    pub(super) loading: Option<AbortOnDropHandle<()>>,
    pub(super) pins: Vec<Pin>,
    pub(super) uploads: VecDeque<Written>,
    pub(super) uploading: Option<AbortOnDropHandle<()>>,
    pub(super) published: Vec<Checkpoint>,
    /// The executor is done with it.
    pub(super) end: Option<AttemptEnd>,
}

impl Work {
    pub(super) fn publish(&mut self, slot: Slot, checkpoint: Checkpoint) -> SessionInput {
        self.published.push(checkpoint.clone());
        let (trial, attempt) = self.key;
        say(
            slot,
            Said::Checkpointed {
                trial,
                attempt,
                checkpoint: Box::new(checkpoint),
            },
        )
    }

    /// A checkpoint that cannot be stored does not exist; an attempt that ended on it has not got there.
    pub(super) fn fail_upload(&mut self, error: DepotError) {
        tracing::error!(trial = ?self.key.0, %error, "a checkpoint is not published");
        if self.uploads.is_empty()
            && matches!(self.end, Some(AttemptEnd::Reached | AttemptEnd::Yielded))
        {
            self.end = Some(AttemptEnd::Failed {
                failure: Failure::Io,
                detail: error.to_string(),
            });
        }
    }
}

pub(super) fn say(slot: Slot, event: Said) -> SessionInput {
    SessionInput::Executor { slot, event }
}

pub(super) fn limits(spec: &Spec) -> Limits {
    let duration = |millis: Millis| Duration::from_millis(millis.0);
    Limits {
        time: spec.limits.time.map(duration),
        no_progress: spec.limits.no_progress.map(duration),
        memory: spec.resources.memory,
    }
}
