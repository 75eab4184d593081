//! The samplers, each on a thread of its own: a slow one delays its own sweep and nothing else, and one that panics ends its own
//! sweep's search and nothing else.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use bonfire_domain::cluster::{Cluster, Source, Sweep};
use bonfire_domain::search::Event;
use bonfire_domain::spec::Spec;
use bonfire_domain::suggest::Suggester;
use bonfire_domain::{LogIndex, SweepId};
use tokio::sync::mpsc;

use super::input::Input;

/// Why a sweep gets no more trials whose sampler panicked.
const PANICKED: &str = "its sampler failed, which is a bug: the coordinator's log says where";

/// How a sampler begins.
enum Start {
    /// A new sweep.
    Fresh(Arc<Spec>, Arc<[Source]>),
    /// From the state alone; events up to its index are in it.
    Rebuilt(Arc<Cluster>),
}

/// What a sampler is told, in the order of the log.
enum Job {
    Learn(LogIndex, Event),
    Suggest {
        first: u32,
        count: u32,
        seen: LogIndex,
    },
}

struct Desk {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

/// A thread for each open sweep. Their queues need no limit of their own: at most one suggestion a sweep is open, and events come
/// as fast as the log is written.
pub(super) struct Suggesters {
    inputs: mpsc::WeakSender<Input>,
    desks: BTreeMap<SweepId, Desk>,
    /// Of sweeps that have ended; they end with the job they are at.
    leaving: Vec<JoinHandle<()>>,
}

impl Suggesters {
    pub(super) fn new(inputs: mpsc::WeakSender<Input>) -> Suggesters {
        Suggesters {
            inputs,
            desks: BTreeMap::new(),
            leaving: Vec::new(),
        }
    }

    /// Starts again from the replicated state alone.
    pub(super) fn rebuild(&mut self, cluster: &Cluster) {
        self.clear();
        let shared = Arc::new(cluster.clone());
        let open = cluster.sweeps().filter(|s| !s.state.is_terminal());
        for sweep in open {
            self.start(sweep.id, Start::Rebuilt(Arc::clone(&shared)));
        }
    }

    /// Ends every sampler: this node does not lead.
    pub(super) fn clear(&mut self) {
        let old = std::mem::take(&mut self.desks);
        self.leaving
            .extend(old.into_values().map(|desk| desk.thread));
    }

    pub(super) fn add(&mut self, sweep: &Sweep) {
        let (id, spec) = (sweep.id, Arc::clone(&sweep.spec));
        if !self.desks.contains_key(&id) {
            self.start(id, Start::Fresh(spec, Arc::clone(sweep.sources())));
        }
    }

    pub(super) fn remove(&mut self, sweep: SweepId) {
        self.leaving.retain(|thread| !thread.is_finished());
        self.leaving
            .extend(self.desks.remove(&sweep).map(|desk| desk.thread));
    }

    pub(super) fn learn(&self, sweep: SweepId, index: LogIndex, event: Event) {
        self.tell(sweep, Job::Learn(index, event));
    }

    /// The answer comes as [`Input::Suggested`]; none for a sweep that is not open.
    pub(super) fn suggest(&self, sweep: SweepId, first: u32, count: u32, seen: LogIndex) {
        self.tell(sweep, Job::Suggest { first, count, seen });
    }

    fn tell(&self, sweep: SweepId, job: Job) {
        if let Some(desk) = self.desks.get(&sweep) {
            // Gone only after its panic, which has ended the search.
            let _ = desk.jobs.send(job);
        }
    }

    fn start(&mut self, sweep: SweepId, start: Start) {
        let (jobs, queue) = channel();
        let inputs = self.inputs.clone();
        let thread = std::thread::Builder::new()
            .name("sampler".into())
            .spawn(move || work(sweep, start, &queue, &inputs));
        match thread {
            Ok(thread) => drop(self.desks.insert(sweep, Desk { jobs, thread })),
            Err(error) => tracing::error!(
                sweep = sweep.0, %error,
                "no thread for a sampler: its sweep gets no trials until the coordinator starts again"
            ),
        }
    }

    /// Ends every thread after the job it is at. The loop's queue must be drained or closed by then.
    pub(super) fn stop(self) {
        let threads = self.desks.into_values().map(|desk| desk.thread);
        let threads: Vec<_> = threads.chain(self.leaving).collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a sampler's thread panicked");
            }
        }
    }
}

fn work(sweep: SweepId, start: Start, queue: &Receiver<Job>, inputs: &mpsc::WeakSender<Input>) {
    // What a panic leaves behind is not looked at again.
    let made = catch_unwind(AssertUnwindSafe(|| {
        let mut suggester = Suggester::new();
        let rebuilt = match &start {
            Start::Fresh(spec, sources) => {
                suggester.add_sweep(sweep, spec, sources);
                LogIndex::default()
            }
            Start::Rebuilt(cluster) => {
                suggester.rebuild_sweep(cluster, sweep);
                cluster.applied()
            }
        };
        (suggester, rebuilt)
    }));
    drop(start);
    let mut made = made.ok();
    while let Ok(job) = queue.recv() {
        let (first, count, seen) = match job {
            Job::Learn(index, event) => {
                if let Some((mut suggester, rebuilt)) = made.take() {
                    made = catch_unwind(AssertUnwindSafe(|| {
                        if index > rebuilt {
                            suggester.learn(sweep, index, &event);
                        }
                        (suggester, rebuilt)
                    }))
                    .ok();
                }
                continue;
            }
            Job::Suggest { first, count, seen } => (first, count, seen),
        };
        let given = made.as_ref().and_then(|(suggester, _)| {
            catch_unwind(AssertUnwindSafe(|| suggester.suggest(sweep, first, count))).ok()
        });
        if given.is_none() {
            made = None;
        }
        let (parameters, exhausted) = given.unwrap_or_else(|| (vec![], Some(PANICKED.to_owned())));
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
