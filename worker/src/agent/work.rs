//! One attempt on its slot, from loading to its last upload.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use bonfire_domain::checkpoint::{Checkpoint, decide_superseded};
use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::order::Preparing;
use bonfire_domain::search::Goal;
use bonfire_domain::session::{ExecutorEvent as Said, SessionInput};
use bonfire_domain::spec::{CheckpointSpec, Millis, Period, Spec};
use bonfire_domain::{Attempt, Slot, TrialId};
use tokio_util::task::AbortOnDropHandle;

use crate::cache::Pin;
use crate::depot::DepotError;
use crate::executor::Limits;
use crate::executor::frame::Written;

/// Of an attempt whose spec cannot be read: it writes nothing.
pub(super) const NOTHING_KEPT: (CheckpointSpec, Goal) = (
    CheckpointSpec {
        every: Period::Never,
        keep_last: 0,
        keep_best: 0,
    },
    Goal::Minimize,
);

pub(super) type Key = (TrialId, Attempt);

/// One attempt on its slot.
pub(super) struct Work {
    pub(super) key: Key,
    pub(super) limits: Limits,
    pub(super) spool: PathBuf,
    /// The executor has not been asked to begin yet.
    pub(super) loading: Option<AbortOnDropHandle<()>>,
    /// How many rows of its data were read, and of how many, while that is being prepared.
    pub(super) preparing: Option<(u64, u64)>,
    pub(super) pins: Vec<Pin>,
    pub(super) uploads: VecDeque<Written>,
    pub(super) uploading: Option<AbortOnDropHandle<()>>,
    pub(super) published: Vec<Checkpoint>,
    /// The executor is done with it.
    pub(super) end: Option<AttemptEnd>,
    /// How many checkpoints the sweep keeps, and which are better.
    pub(super) keep: (CheckpointSpec, Goal),
}

impl Work {
    pub(super) fn preparing(&self) -> Option<Preparing> {
        let (trial, attempt) = self.key;
        self.preparing.map(|(rows, total)| Preparing {
            trial,
            attempt,
            rows,
            total,
        })
    }

    /// Lines a checkpoint up. Those that retention would let go as soon as this one is published are not uploaded: an executor
    /// that is faster than the disks behind it would otherwise leave ever more waiting, and an end would wait for all of them.
    /// Returns the folders of those.
    pub(super) fn queue(&mut self, written: Written) -> Vec<PathBuf> {
        self.uploads.push_back(written);
        let (keep, goal) = self.keep;
        let waiting: Vec<_> = self.uploads.iter().map(|w| (w.step, w.value)).collect();
        let gone = decide_superseded(&waiting, keep.keep_last, keep.keep_best, |a, b| {
            goal.order(a, b)
        });
        let (gone, stay) = self.uploads.drain(..).partition(|w| gone.contains(&w.step));
        self.uploads = stay;
        let gone: VecDeque<Written> = gone;
        gone.into_iter().map(|written| written.dir).collect()
    }

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
