//! Metrics and logs: journaled, acknowledged when durable, sealed into segments, read back as series.
//!
//! A thread of its own owns the files. Batches that come together share one write and one fdatasync. It never decides
//! whether an attempt may speak: who sends a batch here has asked.

mod index;
mod note;
mod series;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use bonfire_domain::dataset::BlobRef;
use bonfire_domain::metric::ReportBatch;
use bonfire_domain::{SweepId, TrialId};
use bonfire_store::{LocalBlobs, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use index::Index;
pub(crate) use series::{LogEntry, Series};

use crate::health::Health;
use crate::metrics::Metrics;
use writer::Writer;

/// Jobs that wait for the thread.
const JOBS_MAX: usize = 64;

/// Hears why the tracker's thread ended.
pub(crate) type TrackerEnd = oneshot::Receiver<Result<(), StoreError>>;

pub(crate) enum Job {
    Report {
        batch: ReportBatch,
        durable: oneshot::Sender<()>,
    },
    /// What a trial reported, as far as it is known without reading segments.
    Find {
        trial: TrialId,
        found: oneshot::Sender<Series>,
    },
    /// A journal's segment is in the log, or why not yet.
    SealTried {
        journal: u64,
        result: Result<BlobRef, String>,
    },
    SweepDeleted(SweepId),
    Tick,
    Stop,
}

/// A journal that is ready to become a segment: its blob is stored and its number must go through the log.
pub(crate) struct Sealing {
    pub(crate) journal: u64,
    pub(crate) blob: BlobRef,
}

/// What the thread is started with.
pub(crate) struct TrackerParts {
    pub(crate) dir: PathBuf,
    pub(crate) blobs: LocalBlobs,
    pub(crate) index: Index,
    pub(crate) journal_bytes_max: u64,
    /// A journal that nobody appends to for this many ticks is sealed although it is small.
    pub(crate) idle_ticks: u32,
    pub(crate) health: Health,
    pub(crate) metrics: Arc<Metrics>,
    /// Journals whose blob is stored; answered by [`Job::SealTried`].
    pub(crate) sealings: mpsc::UnboundedSender<Sealing>,
}

/// A handle to the tracker's thread. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tracker {
    jobs: mpsc::Sender<Job>,
    changes: watch::Receiver<u64>,
}

/// The tracker's thread ended, or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tracker has ended")]
pub(crate) struct TrackerGone;

impl Tracker {
    /// Starts the thread. The receiver hears why it ended: well, or by an error of the disk after which nothing more is
    /// acknowledged; it is dropped if the thread panicked.
    pub(crate) fn start(parts: TrackerParts) -> std::io::Result<(Tracker, TrackerEnd)> {
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let (changed, changes) = watch::channel(0);
        let writer = Writer::new(parts, jobs.downgrade(), changed);
        let (ended, end) = oneshot::channel();
        let run = move || drop(ended.send(writer.run(queue)));
        std::thread::Builder::new()
            .name("tracker".into())
            .spawn(run)?;
        Ok((Tracker { jobs, changes }, end))
    }

    /// Queues a batch; the receiver is answered when it is durable, and dropped if it will not be.
    pub(crate) async fn report(
        &self,
        batch: ReportBatch,
    ) -> Result<oneshot::Receiver<()>, TrackerGone> {
        let (durable, answer) = oneshot::channel();
        self.send(Job::Report { batch, durable }).await?;
        Ok(answer)
    }

    /// What a trial reported; reading it from its segments may take a while and is done by the caller.
    pub(crate) async fn find(&self, trial: TrialId) -> Result<Series, TrackerGone> {
        let (found, answer) = oneshot::channel();
        self.send(Job::Find { trial, found }).await?;
        answer.await.map_err(|_| TrackerGone)
    }

    pub(crate) async fn send(&self, job: Job) -> Result<(), TrackerGone> {
        self.jobs.send(job).await.map_err(|_| TrackerGone)
    }

    /// Says that time passed; skipped while the thread is behind.
    pub(crate) fn tick(&self) {
        let _ = self.jobs.try_send(Job::Tick);
    }

    /// Rises when new reports are durable.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}
