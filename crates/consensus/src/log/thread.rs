//! The log thread: takes what is queued, writes it with one sync, and says how far it came.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{LogError, LogStore};
use crate::event::{Batch, SnapshotFile};

/// One append takes batches up to this many bytes (and at least one batch).
const APPEND_BYTES_MAX: u64 = 16 << 20;
/// With the disk full, the next try comes after this long, or as soon as more is queued.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// What the log thread reports.
#[derive(Debug)]
pub enum LogDone {
    /// All batches up to this number are on disk. Also the sign that space is back.
    Persisted(u64),
    /// The snapshot up to this index is on disk, and the log before it is dropped.
    SnapshotStored(u64),
    /// The disk is full. Said once; nothing is lost, and the thread goes on trying.
    Full(LogError),
    /// The log cannot be used any more: end the process. The last report.
    Failed(LogError),
}

enum Job {
    Persist(Batch),
    StoreSnapshot(SnapshotFile),
    Stop,
}

/// Owns a [`LogStore`] and writes to it on a thread of its own.
///
/// The queue has no limit of its own: what a node may have open in it is bounded by `uncommitted_bytes_max` and by the
/// append messages that a leader may have on their way.
pub struct LogThread {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl LogThread {
    /// Starts the thread. `on_done` is called on it and must not block.
    ///
    /// # Panics
    /// If the system has no thread to give.
    pub fn start(log: Box<dyn LogStore>, on_done: Box<dyn Fn(LogDone) + Send>) -> LogThread {
        let (jobs, queue) = channel();
        let writer = Writer {
            log,
            on_done,
            queue: VecDeque::new(),
            group: Vec::new(),
            retry: None,
            stopping: false,
        };
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.run(&queue))
            .expect("the system starts a thread");
        LogThread { jobs, thread }
    }

    /// Queues a batch. Never blocks.
    pub fn persist(&self, batch: Batch) {
        self.send(Job::Persist(batch));
    }

    /// Queues a snapshot; the log before it is dropped once it is durable. Never blocks.
    pub fn store_snapshot(&self, snapshot: SnapshotFile) {
        self.send(Job::StoreSnapshot(snapshot));
    }

    /// Writes what is queued and joins the thread. With the disk full what is left is tried once more and then dropped:
    /// none of it was acknowledged.
    pub fn stop(self) {
        self.send(Job::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the log thread panicked");
        }
    }

    fn send(&self, job: Job) {
        // The thread is gone only after it said `Failed`.
        let _ = self.jobs.send(job);
    }
}

struct Writer {
    log: Box<dyn LogStore>,
    on_done: Box<dyn Fn(LogDone) + Send>,
    queue: VecDeque<Job>,
    /// Batches of the append that is under way, kept while the disk is full.
    group: Vec<Batch>,
    /// Set while the disk is full.
    retry: Option<Duration>,
    stopping: bool,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        self.write_all(jobs);
        self.log.close();
    }

    /// Returns when it is told to stop, or cannot go on.
    fn write_all(&mut self, jobs: &Receiver<Job>) {
        loop {
            self.wait(jobs);
            for job in jobs.try_iter() {
                self.take(job);
            }
            if self.is_idle() {
                if self.stopping {
                    return;
                }
                continue;
            }
            match self.write() {
                Ok(done) => {
                    self.retry = None;
                    (self.on_done)(done);
                }
                Err(error) if error.is_full() => {
                    let first = self.retry.is_none();
                    self.retry = Some(
                        self.retry
                            .map_or(RETRY_FIRST, |delay| RETRY_MAX.min(delay * 2)),
                    );
                    if first {
                        (self.on_done)(LogDone::Full(error));
                    }
                    if self.stopping {
                        return;
                    }
                }
                Err(error) => return (self.on_done)(LogDone::Failed(error)),
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.group.is_empty() && self.queue.is_empty()
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Stop => self.stopping = true,
            job => self.queue.push_back(job),
        }
    }

    /// Returns when there is something to do or to try again.
    fn wait(&mut self, jobs: &Receiver<Job>) {
        if self.stopping {
            return;
        }
        let job = if self.is_idle() {
            // Looks once without waiting, so that a busy log is not held up by preparations.
            jobs.try_recv().or_else(|_| {
                self.log.prepare();
                jobs.recv()
            })
        } else if let Some(delay) = self.retry {
            match jobs.recv_timeout(delay) {
                Err(RecvTimeoutError::Timeout) => return,
                other => other.map_err(|_| std::sync::mpsc::RecvError),
            }
        } else {
            return;
        };
        self.take(job.unwrap_or(Job::Stop));
    }

    fn write(&mut self) -> Result<LogDone, LogError> {
        if self.group.is_empty()
            && let Some(Job::StoreSnapshot(snapshot)) = self.queue.front()
        {
            let index = snapshot.index();
            self.log.store_snapshot(snapshot)?;
            self.log.compact(index)?;
            self.queue.pop_front();
            return Ok(LogDone::SnapshotStored(index));
        }
        let mut bytes: u64 = self.group.iter().map(Batch::bytes).sum();
        while let Some(Job::Persist(batch)) = self.queue.front() {
            bytes += batch.bytes();
            if !self.group.is_empty() && bytes > APPEND_BYTES_MAX {
                break;
            }
            if let Some(Job::Persist(batch)) = self.queue.pop_front() {
                self.group.push(batch);
            }
        }
        self.log.append(&self.group)?;
        let number = self.group.last().map_or(0, Batch::number);
        self.group.clear();
        Ok(LogDone::Persisted(number))
    }
}
