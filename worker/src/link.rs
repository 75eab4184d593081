//! The worker's connections: the control stream, the report stream, and calls for blobs and manifests.
//!
//! Each comes back by itself after a loss, with growing pauses, for as long as the worker lives.

use std::sync::{Arc, Mutex, PoisonError};

use bonfire_domain::metric::ReportBatch;
use bonfire_domain::order::{Fact, Order, Running, WorkerFacts};
use bonfire_domain::{Attempt, TrialId};
use bonfire_proto::blobs::BlobClient;
use bonfire_proto::client::{
    ClientError, Fleet, ReportReceiver, ReportSender, SessionReceiver, SessionSender,
};
use bonfire_proto::{FromWorker, ToWorker, Token};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::backoff::Backoff;
use crate::reports::Reports;

/// Messages between the agent and a stream's task.
const QUEUE: usize = 64;

/// What the control stream brings.
#[derive(Debug)]
pub enum LinkEvent {
    Connected,
    Order(Box<Order>),
    Disconnected,
    /// The coordinator does not want this worker: the token is wrong.
    Refused {
        reason: String,
    },
}

/// The coordinator that answers now, for calls of their own.
#[derive(Clone)]
pub struct Upstream {
    pub fleet: Fleet,
    pub blobs: BlobClient,
}

/// The agent's end of the control stream.
pub struct Link {
    outgoing: mpsc::Sender<FromWorker>,
    pub events: mpsc::Receiver<LinkEvent>,
    pub upstream: watch::Receiver<Option<Upstream>>,
    /// What the next hello says.
    running: Arc<Mutex<Running>>,
    _task: AbortOnDropHandle<()>,
}

impl Link {
    /// Begins to connect to the first of `addresses` that answers.
    /// `running` is what the first hello says.
    pub fn start(
        addresses: Vec<String>,
        token: Token,
        facts: WorkerFacts,
        running: Running,
        seed: u64,
    ) -> Link {
        let (outgoing, to_send) = mpsc::channel(QUEUE);
        let (say, events) = mpsc::channel(QUEUE);
        let (publish, upstream) = watch::channel(None);
        let running = Arc::new(Mutex::new(running));
        let task = ControlTask {
            addresses,
            token,
            facts,
            running: Arc::clone(&running),
            say,
            publish,
            backoff: Backoff::of_network(seed),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(task.run(to_send)));
        Link {
            outgoing,
            events,
            upstream,
            running,
            _task: task,
        }
    }

    /// Whether a message would be taken now.
    pub fn has_room(&self) -> bool {
        self.outgoing.capacity() > 0
    }

    pub fn send_facts(&self, facts: Vec<(u64, Fact)>) {
        // Without room the session sends them again.
        let _ = self.outgoing.try_send(FromWorker::Facts(facts));
    }

    /// Remembers what the worker runs for the next hello.
    pub fn note(&self, running: Running) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    /// Says that the worker is there.
    pub fn beat(&self, running: Running) {
        // Without room the next beat says it.
        let _ = self.outgoing.try_send(FromWorker::Heartbeat(running));
    }

    /// Says that the worker leaves on purpose.
    pub async fn leave(self) {
        let Link {
            outgoing,
            mut events,
            ..
        } = self;
        let _ = outgoing.try_send(FromWorker::Goodbye);
        drop(outgoing);
        // The task ends when all is sent and the coordinator has closed the stream.
        while events.recv().await.is_some() {}
    }
}

struct ControlTask {
    addresses: Vec<String>,
    token: Token,
    facts: WorkerFacts,
    running: Arc<Mutex<Running>>,
    say: mpsc::Sender<LinkEvent>,
    publish: watch::Sender<Option<Upstream>>,
    backoff: Backoff,
}

impl ControlTask {
    async fn run(mut self, mut to_send: mpsc::Receiver<FromWorker>) {
        let mut said = String::new();
        loop {
            let reason = match self.open().await {
                Ok((sender, receiver)) => {
                    self.backoff.reset();
                    said.clear();
                    // What was queued for the stream before this one is said again by the session.
                    while to_send.try_recv().is_ok() {}
                    if self.say.send(LinkEvent::Connected).await.is_err() {
                        return;
                    }
                    let Some(reason) = self.carry(sender, receiver, &mut to_send).await else {
                        return;
                    };
                    if self.say.send(LinkEvent::Disconnected).await.is_err() {
                        return;
                    }
                    reason
                }
                Err(error @ ClientError::Wrong(_)) => {
                    let reason = error.to_string();
                    let refused = LinkEvent::Refused {
                        reason: reason.clone(),
                    };
                    if reason != said && self.say.send(refused).await.is_err() {
                        return;
                    }
                    said.clone_from(&reason); // the agent says it
                    reason
                }
                Err(error) => error.to_string(),
            };
            if reason != said {
                tracing::warn!(reason, "no coordinator; trying again");
                said = reason;
            }
            tokio::time::sleep(self.backoff.pause()).await;
        }
    }

    async fn open(&self) -> Result<(SessionSender, SessionReceiver), ClientError> {
        let fleet = bonfire_proto::client::connect(&self.addresses, &self.token).await?;
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let stream = fleet.worker_session(self.facts.clone(), running).await?;
        let blobs = fleet.blobs();
        self.publish.send_replace(Some(Upstream { fleet, blobs }));
        Ok(stream)
    }

    /// Carries messages both ways until the stream ends; `None` if the agent is gone.
    async fn carry(
        &self,
        sender: SessionSender,
        mut receiver: SessionReceiver,
        to_send: &mut mpsc::Receiver<FromWorker>,
    ) -> Option<String> {
        // Both halves end together: the coordinator does not notice one that is dropped alone.
        let mut sender = Some(sender);
        loop {
            tokio::select! {
                message = to_send.recv(), if sender.is_some() => match message {
                    Some(message) => {
                        // After that an end of the stream is what was wanted.
                        let is_last = matches!(message, FromWorker::Goodbye);
                        if let Some(sender) = &sender
                            && let Err(error) = sender.send(message).await
                        {
                            return Some(error.to_string());
                        }
                        if is_last {
                            sender = None;
                        }
                    }
                    None => sender = None,
                },
                message = receiver.next() => {
                    let event = match message {
                        Ok(Some(ToWorker::Order(order))) => LinkEvent::Order(Box::new(order)),
                        Ok(Some(ToWorker::Welcome(welcome))) => {
                            tracing::info!(version = welcome.version, "joined");
                            continue;
                        }
                        Ok(Some(ToWorker::Farewell { reason })) => return Some(reason),
                        Ok(None) if sender.is_none() => return None,
                        Ok(None) => return Some("the coordinator closed the stream".to_owned()),
                        Err(_) if sender.is_none() => return None,
                        Err(error) => return Some(error.to_string()),
                    };
                    if self.say.send(event).await.is_err() {
                        return None;
                    }
                }
            }
        }
    }
}

/// Reports that both the agent and the report stream's task reach.
#[derive(Clone)]
pub struct SharedReports {
    reports: Arc<Mutex<Reports>>,
    /// There is something to send.
    closed: Arc<Notify>,
    /// Something became durable.
    durable: Arc<Notify>,
}

impl SharedReports {
    pub fn new(bytes_max: u64) -> SharedReports {
        SharedReports {
            reports: Arc::new(Mutex::new(Reports::new(bytes_max))),
            closed: Arc::default(),
            durable: Arc::default(),
        }
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut Reports) -> T) -> T {
        act(&mut self.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets everything said so far go.
    pub fn close(&self) {
        self.with(Reports::close);
        self.closed.notify_one();
    }

    /// Waits until something became durable since the last call.
    pub async fn changed(&self) {
        self.durable.notified().await;
    }

    fn next_from(&self, at: u64) -> Option<(u64, ReportBatch)> {
        self.with(|reports| reports.next_from(at))
    }

    fn acknowledge(&self, trial: TrialId, attempt: Attempt, sequence: u64) {
        self.with(|reports| reports.acknowledge(trial, attempt, sequence));
        self.durable.notify_one();
    }

    /// Sends reports for as long as it is polled.
    pub async fn run(self, mut upstream: watch::Receiver<Option<Upstream>>, seed: u64) {
        let mut backoff = Backoff::of_network(seed);
        let mut said = String::new();
        loop {
            let Some(to) = current(&mut upstream).await else {
                return;
            };
            let error = match to.fleet.report_stream().await {
                Ok((sender, receiver)) => {
                    backoff.reset();
                    tokio::select! {
                        error = self.send_all(sender) => error,
                        error = self.take_all(receiver) => error,
                    }
                }
                Err(error) => error,
            };
            let reason = error.to_string();
            if reason != said {
                tracing::warn!(reason, "reports are kept until the coordinator takes them");
                said = reason;
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Sends what is not durable, from the oldest on.
    async fn send_all(&self, sender: ReportSender) -> ClientError {
        let mut at = 0;
        loop {
            match self.next_from(at) {
                Some((next, batch)) => {
                    if let Err(error) = sender.send(batch).await {
                        return error;
                    }
                    at = next;
                }
                None => self.closed.notified().await,
            }
        }
    }

    async fn take_all(&self, mut receiver: ReportReceiver) -> ClientError {
        loop {
            match receiver.next().await {
                Ok(Some(ack)) => self.acknowledge(ack.trial, ack.attempt, ack.sequence),
                Ok(None) => {
                    let (address, reason) =
                        (String::new(), "the report stream was closed".to_owned());
                    return ClientError::Unreachable { address, reason };
                }
                Err(error) => return error,
            }
        }
    }
}

/// The coordinator to call, waiting for one; `None` when the worker ends.
pub async fn current(upstream: &mut watch::Receiver<Option<Upstream>>) -> Option<Upstream> {
    let found = upstream.wait_for(Option::is_some).await.ok()?;
    found.clone()
}
