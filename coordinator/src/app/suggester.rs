//! The samplers on a thread of their own: a slow one delays its own sweep and nothing else.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use bonfire_domain::cluster::Cluster;
use bonfire_domain::search::Event;
use bonfire_domain::spec::Spec;
use bonfire_domain::suggest::Suggester;
use bonfire_domain::{LogIndex, SweepId};
use tokio::sync::mpsc;

use super::input::Input;

/// What the samplers are told, in the order of the log.
pub(super) enum Job {
    /// Starts again from the state alone; events up to its index are in it.
    Rebuild(Box<Cluster>),
    Add(SweepId, Arc<Spec>),
    Remove(SweepId),
    Learn(SweepId, LogIndex, Event),
    Suggest {
        sweep: SweepId,
        first: u32,
        count: u32,
        seen: LogIndex,
    },
}

/// The thread. Its queue needs no limit of its own: at most one suggestion a sweep is open, and events come as fast as the
/// log is written.
pub(super) struct SuggesterThread {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl SuggesterThread {
    pub(super) fn start(inputs: mpsc::WeakSender<Input>) -> std::io::Result<SuggesterThread> {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("suggester".into())
            .spawn(move || {
                let mut suggester = Suggester::new();
                let mut rebuilt = LogIndex::default();
                while let Ok(job) = queue.recv() {
                    match job {
                        Job::Rebuild(cluster) => {
                            suggester.rebuild(&cluster);
                            rebuilt = cluster.applied();
                        }
                        Job::Add(sweep, spec) => suggester.add_sweep(sweep, &spec),
                        Job::Remove(sweep) => suggester.remove_sweep(sweep),
                        Job::Learn(sweep, index, event) if index > rebuilt => {
                            suggester.learn(sweep, index, &event)
                        }
                        Job::Learn(..) => {}
                        Job::Suggest {
                            sweep,
                            first,
                            count,
                            seen,
                        } => {
                            let (parameters, exhausted) = suggester.suggest(sweep, first, count);
                            let suggested = Input::Suggested {
                                sweep,
                                first,
                                seen,
                                parameters,
                                exhausted,
                            };
                            // Without a loop there is nobody to suggest to.
                            let Some(inputs) = inputs.upgrade() else {
                                return;
                            };
                            if inputs.blocking_send(suggested).is_err() {
                                return;
                            }
                        }
                    }
                }
            })?;
        Ok(SuggesterThread { jobs, thread })
    }

    pub(super) fn send(&self, job: Job) {
        // Gone only if a sampler panicked; the loop notices when its suggestion does not come.
        if self.jobs.send(job).is_err() {
            tracing::error!("the suggester thread has ended");
        }
    }

    /// Ends the thread after the job it is at. The loop's queue must be drained or closed by then.
    pub(super) fn stop(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the suggester thread panicked");
        }
    }
}
