//! The tracker's thread: one append for all that waits, acknowledgements after it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bonfire_domain::dataset::BlobRef;
use bonfire_domain::metric::ReportBatch;
use bonfire_store::{LocalBlobs, StoreError, segment};
use tokio::sync::{mpsc, oneshot, watch};

use super::index::Reports;
use super::{Index, Job, Sealing, TrackerParts};
use crate::health::{Health, Part};
use crate::metrics::Metrics;

/// Jobs taken in one turn.
const TURN_JOBS_MAX: usize = 64;
/// Batches held while the disk is full; later ones are dropped and sent again by their workers.
const WAITING_MAX: usize = 64;
/// A journal smaller than this is not sealed for idleness alone.
const IDLE_BYTES_MIN: u64 = 1 << 20;
/// After a failure to seal, the next try comes this many ticks later.
const SEAL_PAUSE_TICKS: u32 = 10;

pub(super) struct Writer {
    dir: PathBuf,
    blobs: LocalBlobs,
    index: Index,
    journal_bytes_max: u64,
    idle_ticks: u32,
    idle: u32,
    /// Batches that are not durable yet, and who waits for that.
    waiting: Vec<(ReportBatch, oneshot::Sender<()>)>,
    /// The journal that is being sealed.
    sealing: Option<u64>,
    seal_pause: u32,
    health: Health,
    metrics: Arc<Metrics>,
    sealings: mpsc::UnboundedSender<Sealing>,
    jobs: mpsc::WeakSender<Job>,
    changed: watch::Sender<u64>,
}

impl Writer {
    pub(super) fn new(
        parts: TrackerParts,
        jobs: mpsc::WeakSender<Job>,
        changed: watch::Sender<u64>,
    ) -> Writer {
        Writer {
            dir: parts.dir,
            blobs: parts.blobs,
            index: parts.index,
            journal_bytes_max: parts.journal_bytes_max,
            idle_ticks: parts.idle_ticks,
            idle: 0,
            waiting: Vec::new(),
            sealing: None,
            seal_pause: 0,
            health: parts.health,
            metrics: parts.metrics,
            sealings: parts.sealings,
            jobs,
            changed,
        }
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// [`StoreError`] of the disk after which the state of a journal is unknown: the process should end.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) -> Result<(), StoreError> {
        let mut jobs = Vec::with_capacity(TURN_JOBS_MAX);
        while queue.blocking_recv_many(&mut jobs, TURN_JOBS_MAX) > 0 {
            let mut stopping = false;
            for job in jobs.drain(..) {
                match job {
                    Job::Stop => stopping = true,
                    job => self.take(job)?,
                }
            }
            self.write()?;
            if stopping {
                self.index.close(&self.dir);
                return Ok(());
            }
            self.seal_next();
        }
        Ok(())
    }

    fn take(&mut self, job: Job) -> Result<(), StoreError> {
        match job {
            // Dropped without an answer: its stream ends, and the worker sends it again.
            Job::Report { .. } if self.waiting.len() >= WAITING_MAX + TURN_JOBS_MAX => {}
            Job::Report { batch, durable } => self.waiting.push((batch, durable)),
            Job::Find { trial, found } => drop(found.send(self.index.find(trial))),
            Job::SealTried { journal, result } => {
                self.sealing = None;
                match result {
                    Ok(blob) => self.index.sealed(&self.dir, journal, &self.blobs, blob)?,
                    Err(reason) => {
                        tracing::warn!(journal, reason, "a journal is not sealed yet");
                        self.seal_pause = SEAL_PAUSE_TICKS;
                    }
                }
            }
            Job::SweepDeleted(sweep) => self.index.forget(sweep),
            Job::Tick => {
                self.idle = self.idle.saturating_add(1);
                self.seal_pause = self.seal_pause.saturating_sub(1);
                if self.idle >= self.idle_ticks && self.index.current_bytes() >= IDLE_BYTES_MIN {
                    self.index.rotate();
                }
            }
            Job::Stop => {}
        }
        Ok(())
    }

    /// Makes what waits durable with one append, and says so.
    fn write(&mut self) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        // In the order they came; one that was taken before is acknowledged and not written again.
        let mut seen: BTreeMap<_, u64> = BTreeMap::new();
        let mut fresh = BTreeSet::new();
        for (at, (batch, _)) in self.waiting.iter().enumerate() {
            let highest = seen.entry((batch.trial, batch.attempt)).or_insert(0);
            if batch.sequence > *highest && !self.index.is_known(batch) {
                *highest = batch.sequence;
                fresh.insert(at);
            }
        }
        let appended = if fresh.is_empty() {
            Ok(())
        } else {
            self.append(&fresh)
        };
        match appended {
            Ok(()) => {}
            Err(error) if error.is_full() => {
                let reason = format!("{error}: free some space, the coordinator goes on by itself");
                if self.health.complain(Part::Tracker, reason) {
                    tracing::warn!(%error, "metrics wait for space");
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        if self.health.recover(Part::Tracker) {
            tracing::info!("metrics are written again");
        }
        self.idle = 0;
        let (batches, durable): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().unzip();
        let batches: Vec<ReportBatch> = batches
            .into_iter()
            .enumerate()
            .filter(|(at, _)| fresh.contains(at))
            .map(|(_, b)| b)
            .collect();
        self.metrics.report_batches.inc_by(batches.len() as u64);
        self.metrics
            .report_points
            .inc_by(batches.iter().map(|b| b.points.len() as u64).sum());
        self.index.take(batches);
        self.changed.send_modify(|n| *n += 1);
        for durable in durable {
            // Whoever waited may be gone.
            let _ = durable.send(());
        }
        if self.index.current_bytes() >= self.journal_bytes_max {
            self.index.rotate();
        }
        Ok(())
    }

    fn append(&mut self, fresh: &BTreeSet<usize>) -> Result<(), StoreError> {
        let waiting = &self.waiting;
        let journal = self.index.journal(&self.dir)?;
        journal.append(fresh.iter().map(|at| &waiting[*at].0))
    }

    /// Encodes and stores the next full journal on a thread of its own, so that nobody's acknowledgement waits for it.
    fn seal_next(&mut self) {
        if self.sealing.is_some() || self.seal_pause > 0 {
            return;
        }
        let Some((journal, reports)) = self.index.to_seal() else {
            return;
        };
        let (blobs, sealings, jobs) =
            (self.blobs.clone(), self.sealings.clone(), self.jobs.clone());
        let seal = move || match store(&blobs, &reports) {
            Ok(blob) => drop(sealings.send(Sealing { journal, blob })),
            Err(error) => {
                let result = Err(error.to_string());
                // Gone means that the coordinator stops: the journal stays, and is sealed by the next one.
                if let Some(jobs) = jobs.upgrade() {
                    let _ = jobs.blocking_send(Job::SealTried { journal, result });
                }
            }
        };
        match std::thread::Builder::new().name("seal".into()).spawn(seal) {
            Ok(_) => self.sealing = Some(journal),
            Err(error) => tracing::warn!(%error, "no thread to seal a journal"),
        }
    }
}

fn store(blobs: &LocalBlobs, reports: &Reports) -> Result<BlobRef, StoreError> {
    blobs.put(&segment::encode(reports)?)
}
