//! The loop's thread: inputs in, one turn at a time, until it is told to stop or the log fails.

mod act;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use bonfire_consensus::{
    DiskLog, Host, HostConfig, Input as HostInput, LogDone, LogError, LogThread, Output, Recovered,
    Refusal, Role,
};
use bonfire_domain::command::{self, Command};
use bonfire_domain::effect::Effect;
use bonfire_domain::leader::{self, Leader, LeaderConfig, Time};
use bonfire_domain::{Digest, LogIndex, WorkerId};
use tokio::sync::{mpsc, oneshot, watch};

use super::asking::Asking;
use super::chronicle::Chronicle;
use super::input::{AskError, Heard, Input, Stream, View};
use super::machine::ClusterMachine;
use super::suggester::Suggesters;
use super::{App, Attempts, INPUTS_MAX, Told};
use crate::RunError;
use crate::clock::Clock;
use crate::health::{Health, Part};
use crate::metrics::Metrics;

/// The id of the only node.
pub(crate) const NODE: u64 = 1;
/// Inputs taken in one turn: they share a batch of the log.
const TURN_INPUTS_MAX: usize = 1_024;
/// Marks the tags of clients' commands; the leader's own have this bit clear.
const CLIENT: u64 = 1 << 63;

/// What a node is started with.
pub(crate) struct NodeParts {
    pub(crate) log: DiskLog,
    pub(crate) recovered: Recovered,
    pub(crate) snapshot_log_bytes: u64,
    pub(crate) leader: LeaderConfig,
    pub(crate) clock: Clock,
    pub(crate) health: Health,
    pub(crate) metrics: Arc<Metrics>,
    /// What the loop tells; unbounded because it never waits, and bounded by what is applied.
    pub(crate) told: mpsc::UnboundedSender<Told>,
}

/// A running node.
pub(crate) struct Node {
    pub(crate) app: App,
    /// Answered when the node leads and has applied everything, or with why its disk has no space for that; dropped if it cannot.
    pub(crate) ready: oneshot::Receiver<Result<(), LogError>>,
    /// Why the loop ended; dropped if it panicked. Not a join handle: a runtime that is dropped must not wait for it.
    pub(crate) end: oneshot::Receiver<Result<(), RunError>>,
}

impl Node {
    /// Starts the loop on a thread of its own.
    ///
    /// # Errors
    /// [`RunError::Open`] if the snapshot cannot be restored; [`RunError::Thread`] without threads.
    pub(crate) fn start(parts: NodeParts) -> Result<Node, RunError> {
        let mut config = HostConfig::new(NODE, vec![NODE], NODE);
        config.snapshot_log_bytes = parts.snapshot_log_bytes;
        let opened = Host::open(config, parts.recovered, ClusterMachine::default());
        let (host, first) = opened.map_err(|e| RunError::Open(Box::new(e)))?;
        let (inputs, queue) = mpsc::channel(INPUTS_MAX);
        let (changed, changes) = watch::channel(host.applied());
        let (became_ready, ready) = oneshot::channel();
        let condemned: Arc<RwLock<BTreeSet<Digest>>> = Arc::default();
        let attempts = Attempts::default();
        let done = inputs.downgrade();
        // Waits only while the loop's queue is full, and the loop never waits for the log.
        let on_done = move |report| {
            if let Some(inputs) = done.upgrade() {
                let _ = inputs.blocking_send(Input::Log(report));
            }
        };
        let turn = Turn {
            host,
            log: LogThread::start(Box::new(parts.log), Box::new(on_done)),
            suggesters: Suggesters::new(inputs.downgrade()),
            inputs: inputs.downgrade(),
            leader: None,
            leader_config: parts.leader,
            term: 0,
            clock: parts.clock,
            queued: Vec::new(),
            streams: BTreeMap::new(),
            asked: BTreeMap::new(),
            asking: Asking::default(),
            next_tag: 0,
            health: parts.health,
            is_full: false,
            chronicle: Chronicle::default(),
            metrics: parts.metrics,
            told: parts.told,
            changed,
            condemned: condemned.clone(),
            attempts: attempts.clone(),
            became_ready: Some(became_ready),
        };
        let builder = std::thread::Builder::new().name("coordinator".into());
        let (ended, end) = oneshot::channel();
        // Nobody there to hear of the end: the process ends, or whoever asked has given up.
        let run = move || drop(ended.send(turn.run(queue, first)));
        builder.spawn(run).map_err(RunError::Thread)?;
        Ok(Node {
            app: App {
                inputs,
                changes,
                condemned,
                attempts,
                waiters: Arc::default(),
            },
            ready,
            end,
        })
    }
}

/// Everything the loop owns.
struct Turn {
    host: Host<ClusterMachine>,
    log: LogThread,
    suggesters: Suggesters,
    /// Weak, like every sender of the loop's own: without anybody outside, it ends.
    inputs: mpsc::WeakSender<Input>,
    /// Set while this node leads.
    leader: Option<Leader>,
    leader_config: LeaderConfig,
    term: u64,
    clock: Clock,
    /// For the node, at the end of the turn.
    queued: Vec<HostInput>,
    streams: BTreeMap<WorkerId, Stream>,
    asked: BTreeMap<u64, oneshot::Sender<Result<Vec<Effect>, AskError>>>,
    asking: Asking,
    next_tag: u64,
    health: Health,
    /// The log's disk is full: what clients ask for is refused until what waits is written.
    is_full: bool,
    chronicle: Chronicle,
    metrics: Arc<Metrics>,
    told: mpsc::UnboundedSender<Told>,
    changed: watch::Sender<u64>,
    condemned: Arc<RwLock<BTreeSet<Digest>>>,
    attempts: Attempts,
    became_ready: Option<oneshot::Sender<Result<(), LogError>>>,
}

impl Turn {
    fn run(
        mut self,
        mut queue: mpsc::Receiver<Input>,
        first: Vec<Output<Effect>>,
    ) -> Result<(), RunError> {
        let mut result = self.outputs(self.clock.now(), first);
        let mut inputs = Vec::with_capacity(TURN_INPUTS_MAX);
        let mut running = result.is_ok();
        while running && queue.blocking_recv_many(&mut inputs, TURN_INPUTS_MAX) > 0 {
            let time = self.clock.now(); // read once, here, for everything below
            for input in inputs.drain(..) {
                match self.take(time, input) {
                    Ok(true) => {}
                    Ok(false) => running = false,
                    Err(error) => result = Err(error),
                }
            }
            if result.is_ok() {
                result = self.settle(time);
            }
            running &= result.is_ok();
        }
        // Closed first, so that nobody waits for room in a queue that is not read any more.
        drop(queue);
        self.log.stop();
        self.suggesters.stop();
        if let Err(error) = &result {
            tracing::error!(%error, "the coordinator stops");
        }
        result
    }

    /// Takes one input. False: it was the order to stop.
    fn take(&mut self, time: Time, input: Input) -> Result<bool, RunError> {
        match input {
            Input::Tick => {
                self.queued.push(HostInput::Tick);
                self.lead(time, leader::Input::Tick);
                if let Some(leader) = &self.leader {
                    self.chronicle.tick(self.host.machine().cluster(), leader);
                }
            }
            Input::Log(done) => self.logged(done)?,
            Input::SnapshotEncoded { index, bytes } => self
                .queued
                .push(HostInput::SnapshotEncoded { index, bytes }),
            Input::Suggested {
                sweep,
                first,
                seen,
                parameters,
                exhausted,
            } => {
                self.lead(
                    time,
                    leader::Input::Suggested {
                        sweep,
                        first,
                        seen,
                        parameters,
                        exhausted,
                    },
                );
            }
            Input::BlobsDeleted { chunks } => {
                self.lead(time, leader::Input::BlobsDeleted { chunks })
            }
            Input::Connected {
                facts,
                running,
                stream,
            } => {
                if let Some(older) = self.streams.insert(facts.worker, stream) {
                    older.replaced.cancel();
                }
                self.lead(time, leader::Input::Connected { facts, running });
            }
            Input::Heard {
                worker,
                stream,
                message,
            } => {
                if self
                    .streams
                    .get(&worker)
                    .is_some_and(|s| s.number == stream)
                {
                    self.heard(time, worker, message);
                }
            }
            Input::Ask { command, reply } => self.propose(command, reply),
            Input::AskTrial {
                asked,
                waiter,
                reply,
            } => {
                self.asking.wait(asked, waiter, reply);
                let (sweep, request) = asked;
                self.lead(time, leader::Input::Asked { sweep, request });
                if self.leader.is_none() {
                    self.asking.end();
                }
            }
            Input::LeaveTrial { asked, waiter } => {
                if self.asking.leave(asked, waiter) {
                    let (sweep, request) = asked;
                    self.lead(time, leader::Input::Unasked { sweep, request });
                }
            }
            Input::Read(look) => look(&View {
                cluster: self.host.machine().cluster(),
                leader: self.leader.as_ref(),
                term: self.term,
                time,
            }),
            Input::Stop => return Ok(false),
        }
        Ok(true)
    }

    fn heard(&mut self, time: Time, worker: WorkerId, message: Heard) {
        let input = match message {
            Heard::Heartbeat(running) => leader::Input::Heartbeat { worker, running },
            Heard::Facts(facts) => leader::Input::Facts { worker, facts },
            Heard::Closed => {
                self.streams.remove(&worker);
                leader::Input::Disconnected { worker }
            }
        };
        self.lead(time, input);
    }

    fn propose(&mut self, command: Command, reply: oneshot::Sender<Result<Vec<Effect>, AskError>>) {
        if self.is_full {
            let _ = reply.send(Err(AskError::Full));
            return;
        }
        self.next_tag += 1;
        let tag = CLIENT | self.next_tag;
        self.asked.insert(tag, reply);
        self.queued.push(HostInput::Propose {
            tag,
            data: command::encode(&[command]),
        });
    }

    fn logged(&mut self, done: LogDone) -> Result<(), RunError> {
        match done {
            LogDone::Persisted(batch) => {
                self.has_space();
                self.queued.push(HostInput::Persisted { batch });
            }
            LogDone::SnapshotStored(index) => {
                self.has_space();
                self.queued.push(HostInput::SnapshotStored { index });
            }
            LogDone::Full(error) => {
                if let Some(ready) = self.became_ready.take() {
                    let _ = ready.send(Err(error)); // a start is refused; what runs waits for space
                    return Ok(());
                }
                let reason = format!("{error}: free some space, the coordinator goes on by itself");
                if self.health.complain(Part::Log, reason) {
                    tracing::warn!(%error, "the disk is full: nothing is accepted until there is space");
                }
                self.is_full = true;
                for (_, reply) in std::mem::take(&mut self.asked) {
                    let _ = reply.send(Err(AskError::Waits));
                }
            }
            LogDone::Failed(error) => return Err(RunError::Log(error)),
        }
        Ok(())
    }

    fn has_space(&mut self) {
        self.is_full = false;
        if self.health.recover(Part::Log) {
            tracing::info!("the log is written again");
        }
    }

    /// Hands the node what was queued, and what follows from that, until nothing is left.
    fn settle(&mut self, time: Time) -> Result<(), RunError> {
        let before = self.host.applied();
        while !self.queued.is_empty() {
            let outputs = self.host.step_many(std::mem::take(&mut self.queued));
            self.outputs(time, outputs)?;
        }
        if self.host.applied() != before {
            self.publish();
        }
        Ok(())
    }

    fn outputs(&mut self, time: Time, outputs: Vec<Output<Effect>>) -> Result<(), RunError> {
        if let Some((index, error)) = self.host.machine().unreadable() {
            return Err(RunError::Entry {
                index,
                error: error.to_string(),
            });
        }
        // The state is already past all of these: the leader sees it whole at the first one, so the samplers must know all
        // of it by then, or a suggestion would not have seen what it says it has.
        for output in &outputs {
            if let Output::Applied { index, effects, .. } = output {
                effects
                    .iter()
                    .for_each(|effect| self.tell(LogIndex(*index), effect));
            }
        }
        for output in outputs {
            match output {
                Output::Persist(batch) => self.log.persist(batch),
                Output::Send { .. } => {} // there is no other node
                Output::Applied { tag, effects, .. } => self.applied(time, tag, effects),
                Output::Refused { tag, reason } => self.refused(time, tag, reason),
                Output::Role(role) => self.become_role(time, role),
                Output::Encode { index, capture } => self.encode(index, capture)?,
                Output::StoreSnapshot(file) => self.log.store_snapshot(file),
                Output::Fatal { reason } => return Err(RunError::Fatal(reason)),
            }
        }
        Ok(())
    }

    fn applied(&mut self, time: Time, tag: Option<u64>, effects: Vec<Effect>) {
        self.metrics.applied.inc();
        if let Some(reply) = tag.and_then(|t| self.asked.remove(&t)) {
            // Whoever asked may be gone: the command stands all the same.
            let _ = reply.send(outcome(effects.clone()));
        }
        let tag = tag.filter(|t| t & CLIENT == 0);
        self.lead(time, leader::Input::Applied { tag, effects });
    }

    /// Passes an effect to those besides the leader who need it.
    fn tell(&mut self, index: LogIndex, effect: &Effect) {
        let cluster = self.host.machine().cluster();
        // What a restart reads again happened before.
        if self.leader.is_some() {
            self.chronicle.tell(cluster, effect);
        }
        match effect {
            Effect::Refused(_) => {
                self.metrics.refused.inc();
            }
            Effect::SweepCreated { sweep } => {
                // A leader begins with the state as it is then.
                if let Some(known) = cluster.sweep(*sweep).filter(|_| self.leader.is_some()) {
                    self.suggesters.add(known);
                }
            }
            Effect::SweepEnded { sweep } => self.suggesters.remove(*sweep),
            Effect::Learned { sweep, event } => {
                self.suggesters.learn(*sweep, index, event.clone());
            }
            Effect::Start { trial, attempt, .. } => self.attempts.started(*trial, *attempt),
            Effect::SweepChanged { sweep } if cluster.sweep(*sweep).is_none() => {
                self.suggesters.remove(*sweep);
                self.attempts.forget(*sweep);
                let _ = self.told.send(Told::SweepDeleted(*sweep));
            }
            _ => {}
        }
    }

    fn refused(&mut self, time: Time, tag: u64, reason: Refusal) {
        if tag & CLIENT == 0 {
            return self.lead(time, leader::Input::Dropped { tag });
        }
        if let Some(reply) = self.asked.remove(&tag) {
            let error = match reason {
                Refusal::LogFull => AskError::Busy,
                Refusal::TooLarge { .. } | Refusal::Empty => AskError::TooLarge(reason.to_string()),
                Refusal::NotLeader { .. } | Refusal::LeadershipLost => AskError::NotLeader,
            };
            let _ = reply.send(Err(error));
        }
    }

    fn become_role(&mut self, time: Time, role: Role) {
        match role {
            Role::Leader { term } => {
                let cluster = self.host.machine().cluster();
                self.term = term;
                self.suggesters.rebuild(cluster);
                let (leader, actions) = Leader::new(time, self.leader_config, cluster);
                self.leader = Some(leader);
                self.leader_config.workers_gone = false; // those that come from here on are others
                self.act(actions);
                self.publish();
                self.health.recover(Part::Leadership);
                if let Some(ready) = self.became_ready.take() {
                    let _ = ready.send(Ok(()));
                }
            }
            Role::Follower { .. } => {
                self.leader = None;
                self.suggesters.clear();
                self.asking.end();
                self.health
                    .complain(Part::Leadership, "this node does not lead");
            }
        }
    }

    fn encode(&self, index: u64, capture: bonfire_consensus::Capture) -> Result<(), RunError> {
        let inputs = self.inputs.clone();
        let encode = move || {
            let bytes = capture();
            if let Some(inputs) = inputs.upgrade() {
                let _ = inputs.blocking_send(Input::SnapshotEncoded { index, bytes });
            }
        };
        let builder = std::thread::Builder::new().name("snapshot".into());
        builder.spawn(encode).map(drop).map_err(RunError::Thread)
    }

    fn lead(&mut self, time: Time, input: leader::Input) {
        if let Some(leader) = self.leader.as_mut() {
            let actions = leader.step(time, self.host.machine().cluster(), input);
            self.act(actions);
        }
    }

    /// Shows the others what was applied.
    fn publish(&self) {
        let blobs = self.host.machine().cluster().blobs();
        let differs =
            *self.condemned.read().unwrap_or_else(|e| e.into_inner()) != *blobs.condemned();
        if differs {
            *self.condemned.write().unwrap_or_else(|e| e.into_inner()) = blobs.condemned().clone();
        }
        self.changed.send_replace(self.host.applied());
    }
}

/// A refusal is the whole outcome of a client's command.
fn outcome(effects: Vec<Effect>) -> Result<Vec<Effect>, AskError> {
    let refusal = effects.iter().find_map(|e| match e {
        Effect::Refused(refusal) => Some(refusal.clone()),
        _ => None,
    });
    refusal.map_or(Ok(effects), |refusal| Err(AskError::Refused(refusal)))
}
