//! The agent: one loop that feeds the session, and does what it says with slots, streams and blobs.
//!
//! Nothing is decided here that [`bonfire_domain::session`] could decide; nothing in the loop waits for a disk, a process or a
//! coordinator.

mod desk;
mod specs;
mod work;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bonfire_domain::order::Fact;
use bonfire_domain::session::{Session, SessionAction, SessionConfig, SessionInput};
use bonfire_domain::{Attempt, Slot, TrialId, WorkerId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::WorkerConfig;
use crate::depot::Depot;
use crate::executor::{Launch, SlotConfig, SlotEvents, Spawner, run_slot};
use crate::gate::Gate;
use crate::link::{Link, LinkEvent, SharedReports};
use crate::load::{Loader, LoaderRequest};
use crate::machine;
use desk::{Desks, Done};

/// Held by whoever works in a folder; it says who that is.
const LOCK: &str = "lock";
/// The loop's own clock.
const TICK: Duration = Duration::from_millis(100);
/// Messages of each kind that wait for the loop.
const QUEUE: usize = 64;
/// Orders that wait for a slot's task.
const SLOT_QUEUE: usize = 16;
/// Wakeups taken together before facts are sent.
const BATCH: usize = 64;
/// How long the last words to the coordinator may take.
const LEAVE: Duration = Duration::from_secs(1);

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerEnd {
    /// Everything was saved, reported and taken.
    Drained,
    /// It was told to end and could not report everything within `drain_max`.
    DrainTimeout,
}

/// Why a worker cannot run.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("{}: another worker uses this folder", path.display())]
    Taken { path: PathBuf },
    #[error("cannot start: {0}")]
    Start(io::Error),
    #[error("{0}")]
    Refused(String),
}

/// Runs a worker until `shutdown` is cancelled and what it runs is saved, reported and taken.
///
/// Without a coordinator it trains on and tries again for as long as it lives.
///
/// # Errors
/// [`WorkerError`] before the first slot is offered.
pub async fn run(
    config: WorkerConfig,
    shutdown: CancellationToken,
) -> Result<WorkerEnd, WorkerError> {
    let mut folder = take_folder(&config.data_dir)?;
    let worker = WorkerId(machine::random().map_err(WorkerError::Start)?);
    let replaces = succeed(&mut folder, worker).map_err(|source| WorkerError::Disk {
        path: config.data_dir.join(LOCK),
        source,
    })?;
    let spool = fresh_spool(&config.data_dir)?;
    let dir = config.data_dir.join("cache");
    let cache = Cache::open(&dir, config.cache_bytes_max);
    let cache = cache.map_err(|source| WorkerError::Disk { path: dir, source })?;
    let (mut agent, mut inputs) = Agent::start(&config, worker, replaces, cache, spool)?;
    let end = agent.run(&mut inputs, &shutdown, config.drain_max).await;
    agent.end().await;
    end
}

/// One worker a data folder: two would throw away each other's spool.
fn take_folder(dir: &Path) -> Result<File, WorkerError> {
    let path = dir.join(LOCK);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let opened = std::fs::create_dir_all(dir).and_then(|()| options.open(&path));
    let file = opened.map_err(|source| WorkerError::Disk { path, source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(WorkerError::Taken {
            path: dir.to_owned(),
        }),
    }
}

/// Reads from the folder's lock who had it before, and writes who has it now. Whoever had it is dead: it held the lock.
fn succeed(folder: &mut File, worker: WorkerId) -> io::Result<Option<WorkerId>> {
    let mut text = String::new();
    // Anything else than an id is as good as none: nobody is waited for less.
    let read = folder.take(64).read_to_string(&mut text);
    let before = read.ok().and_then(|_| text.trim().parse::<u64>().ok());
    folder.set_len(0)?;
    folder.seek(SeekFrom::Start(0))?;
    write!(folder, "{}", worker.0)?;
    Ok(before.map(WorkerId))
}

/// What an earlier worker left there belongs to attempts that are fenced.
fn fresh_spool(dir: &Path) -> Result<PathBuf, WorkerError> {
    let path = dir.join("spool");
    let removed = match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::fs::create_dir_all(&path),
    };
    match removed {
        Ok(()) => Ok(path),
        Err(source) => Err(WorkerError::Disk { path, source }),
    }
}

/// Everything that can wake the loop besides the link and the clock.
struct Inputs {
    slots: mpsc::Receiver<SlotEvents>,
    done: mpsc::Receiver<Done>,
    loader: mpsc::Receiver<LoaderRequest>,
}

struct Agent {
    clock: Clock,
    session: Session,
    link: Link,
    reports: SharedReports,
    gate: Gate,
    desks: Desks,
    slots: Vec<JoinHandle<()>>,
    _reporter: AbortOnDropHandle<()>,
    connected: bool,
    connected_once: bool,
    exit: bool,
}

impl Agent {
    fn start(
        config: &WorkerConfig,
        worker: WorkerId,
        replaces: Option<WorkerId>,
        cache: Cache,
        spool: PathBuf,
    ) -> Result<(Agent, Inputs), WorkerError> {
        let seed = worker.0;
        let facts = machine::facts(config, worker);
        let count = machine::slots(config);
        tracing::info!(worker = %worker, name = facts.name, slots = count, numerics = facts.numerics, "worker starts");
        let heartbeat_ms = u64::try_from(config.heartbeat.as_millis()).unwrap_or(u64::MAX);
        let session = Session::new(SessionConfig {
            heartbeat_ms,
            replaces,
            ..SessionConfig::new(worker, count)
        });
        let link = Link::start(
            config.coordinators.clone(),
            config.token.clone(),
            facts,
            session.running(),
            seed,
        );
        let reports = SharedReports::new(config.report_bytes_max);
        let reporter = tokio::spawn(
            reports
                .clone()
                .run(link.upstream.clone(), seed.rotate_left(17)),
        );
        let (ask, loader_requests) = mpsc::channel(QUEUE);
        let depot = Depot::new(cache, link.upstream.clone(), seed.rotate_left(31));
        let loader = Loader::new(depot, spool, ask);
        let (say, slot_events) = mpsc::channel(QUEUE);
        let (finish, done) = mpsc::channel(QUEUE);
        let spawner =
            Spawner::start(tokio::runtime::Handle::current()).map_err(WorkerError::Start)?;
        let slot_config = slot_config(config, count).map_err(WorkerError::Start)?;
        let (mut orders, mut slots) = (Vec::new(), Vec::new());
        for slot in 0..count {
            let (order, ordered) = mpsc::channel(SLOT_QUEUE);
            orders.push(order);
            let running = run_slot(
                Slot(slot),
                slot_config.clone(),
                spawner.clone(),
                ordered,
                say.clone(),
            );
            slots.push(tokio::spawn(running));
        }
        let agent = Agent {
            clock: Clock::start(),
            session,
            link,
            desks: Desks::new(orders, loader, reports.clone(), finish),
            reports,
            gate: Gate::default(),
            slots,
            _reporter: AbortOnDropHandle::new(reporter),
            connected: false,
            connected_once: false,
            exit: false,
        };
        Ok((
            agent,
            Inputs {
                slots: slot_events,
                done,
                loader: loader_requests,
            },
        ))
    }

    async fn run(
        &mut self,
        inputs: &mut Inputs,
        shutdown: &CancellationToken,
        drain_max: Duration,
    ) -> Result<WorkerEnd, WorkerError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut give_up: Option<tokio::time::Instant> = None;
        loop {
            let listening = !self.reports.with(|reports| reports.is_full());
            let deadline = give_up.unwrap_or_else(tokio::time::Instant::now);
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if give_up.is_none() => {
                    tracing::info!("worker saves, reports and ends");
                    give_up = Some(tokio::time::Instant::now() + drain_max);
                    self.feed(SessionInput::Shutdown);
                }
                () = tokio::time::sleep_until(deadline), if give_up.is_some() => {
                    return Ok(WorkerEnd::DrainTimeout);
                }
                Some(event) = self.link.events.recv() => self.take_link(event)?,
                Some(events) = inputs.slots.recv(), if listening => {
                    self.take_slot(events);
                    for _ in 1..BATCH {
                        let Ok(events) = inputs.slots.try_recv() else { break };
                        self.take_slot(events);
                    }
                }
                Some(done) = inputs.done.recv() => {
                    let said = self.desks.done(done);
                    self.feed_all(said);
                }
                Some(request) = inputs.loader.recv() => {
                    let said = self.desks.take_request(request);
                    self.feed_all(said);
                }
                () = self.reports.changed() => {}
                _ = tick.tick() => self.feed(SessionInput::Tick),
            }
            self.flush();
            // Nothing runs and nobody waits for a word of ours: there is no need to find a coordinator first.
            self.exit |= give_up.is_some() && !self.connected && self.session.is_idle();
            if self.exit {
                return Ok(WorkerEnd::Drained);
            }
        }
    }

    fn take_link(&mut self, event: LinkEvent) -> Result<(), WorkerError> {
        match event {
            LinkEvent::Connected => {
                (self.connected, self.connected_once) = (true, true);
                self.feed(SessionInput::Connected);
            }
            LinkEvent::Order(order) => self.feed(SessionInput::Order(*order)),
            LinkEvent::Disconnected => {
                self.connected = false;
                self.gate.clear();
                self.feed(SessionInput::Disconnected);
            }
            LinkEvent::Refused { reason } if !self.connected_once => {
                return Err(WorkerError::Refused(reason));
            }
            LinkEvent::Refused { reason } => {
                tracing::warn!(reason, "the coordinator refuses this worker; trying again");
            }
        }
        Ok(())
    }

    fn take_slot(&mut self, (slot, events): SlotEvents) {
        for event in events {
            let said = self.desks.take_event(slot, event);
            self.feed_all(said);
        }
    }

    fn feed_all(&mut self, inputs: Vec<SessionInput>) {
        for input in inputs {
            self.feed(input);
        }
    }

    /// Gives the session an input and does what it says; what that leads to at once is fed in turn.
    fn feed(&mut self, input: SessionInput) {
        if !matches!(input, SessionInput::Tick) {
            tracing::trace!(?input, "heard");
        }
        for action in self.session.step(self.clock.now(), input) {
            let said = match action {
                SessionAction::Send(facts) => {
                    self.hold(facts);
                    vec![]
                }
                SessionAction::Heartbeat(mut running) => {
                    running.preparing = self.desks.preparing();
                    self.link.beat(running);
                    vec![]
                }
                SessionAction::Begin { slot, order } => self.desks.begin(slot, order),
                SessionAction::End {
                    slot,
                    trial,
                    attempt,
                    save,
                } => self.desks.end(slot, trial, attempt, save),
                SessionAction::Kill {
                    slot,
                    trial,
                    attempt,
                } => self.desks.kill(slot, trial, attempt),
                SessionAction::UploadAgain {
                    trial,
                    attempt,
                    chunks,
                } => {
                    self.desks.upload_again(trial, attempt, chunks);
                    vec![]
                }
                SessionAction::Exit => {
                    self.exit = true;
                    vec![]
                }
            };
            self.feed_all(said);
        }
    }

    /// Facts wait at the gate; an attempt that ended reports no more.
    fn hold(&mut self, facts: Vec<(u64, Fact)>) {
        let ended = facts.iter().filter_map(|(_, fact)| match fact {
            Fact::Ended { trial, attempt, .. } => Some((*trial, *attempt)),
            _ => None,
        });
        let ended: Vec<(TrialId, Attempt)> = ended.collect();
        self.reports.with(|reports| {
            self.gate.push(facts, reports);
            for (trial, attempt) in ended {
                reports.end(trial, attempt);
            }
        });
    }

    /// Lets reports go, and the facts that need not wait for them.
    fn flush(&mut self) {
        self.reports.close();
        self.link.note(self.session.running());
        while self.link.has_room() {
            let facts = self.reports.with(|reports| self.gate.release(reports));
            if facts.is_empty() {
                return;
            }
            tracing::trace!(?facts, "told");
            self.link.send_facts(facts);
        }
    }

    /// Says good-bye and ends every process.
    async fn end(self) {
        let Agent {
            link, desks, slots, ..
        } = self;
        // Gone without the last words: the coordinator sees the stream end.
        let _ = tokio::time::timeout(LEAVE, link.leave()).await;
        drop(desks);
        for slot in slots {
            if let Err(error) = slot.await {
                tracing::error!(%error, "a slot's task broke off");
            }
        }
    }
}

fn slot_config(config: &WorkerConfig, slots: u16) -> io::Result<SlotConfig> {
    let cores = config.executor.cores.unwrap_or_else(machine::cores);
    let threads = (cores / usize::from(slots)).max(1);
    let launch = match &config.executor.launch {
        Some(launch) => Launch {
            threads,
            ..launch.clone()
        },
        None => Launch::of_this_binary(threads)?,
    };
    Ok(SlotConfig {
        launch,
        nice: config.executor.nice,
        trials_max: config.executor.trials_max,
        resident_max: config.executor.resident_bytes_max,
    })
}
