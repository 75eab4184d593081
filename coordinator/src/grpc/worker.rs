//! What workers call: the control stream, the report stream, manifests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bonfire_domain::dataset::PreparedManifest;
use bonfire_domain::metric::ReportBatch;
use bonfire_domain::order::{Fact, Order};
use bonfire_domain::{Attempt, Digest, TrialId, WorkerId};
use bonfire_proto::pb;
use bonfire_proto::pb::worker_server::Worker;
use bonfire_proto::wire::{Ack, REPORT_BYTES_MAX};
use bonfire_proto::{FromWorker, ToWorker, Welcome, WireError};
use bonfire_store::LocalBlobs;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::status;
use crate::app::{Heard, Input, Stream};
use crate::context::Context;

/// A stream must say hello within this time.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Batches of one report stream that are not acknowledged yet.
const UNACKNOWLEDGED_MAX: usize = 16;
/// Points of one report batch.
const POINTS_MAX: u32 = bonfire_domain::metric::REPORT_POINTS_MAX as u32;

pub(super) struct Handler {
    context: Context,
    streams: AtomicU64,
}

impl Handler {
    pub(super) fn new(context: Context) -> Handler {
        Handler {
            context,
            streams: AtomicU64::new(0),
        }
    }
}

type Out<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl Worker for Handler {
    type SessionStream = Out<pb::ToWorker>;

    async fn session(
        &self,
        request: Request<Streaming<pb::FromWorker>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(HELLO_TIMEOUT, inbound.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no hello on the stream"))??;
        let first = FromWorker::try_from(first.ok_or_else(|| WireError::missing("hello"))?)?;
        let FromWorker::Hello { facts, running } = first else {
            return Err(WireError::new("message", "the first one must be hello").into());
        };
        let number = self.streams.fetch_add(1, Ordering::Relaxed);
        let (orders, queue) = mpsc::channel(self.context.limits.orders_max + 2);
        let replaced = CancellationToken::new();
        let session = Session {
            context: self.context.clone(),
            worker: facts.worker,
            number,
            orders: orders.clone(),
            replaced: replaced.clone(),
        };
        // The queue is empty: this is the first message the worker reads.
        let _ = orders.try_send(ToWorker::Welcome(welcome()));
        let stream = Stream {
            number,
            orders,
            replaced,
        };
        self.context
            .app
            .send(Input::Connected {
                facts,
                running,
                stream,
            })
            .await
            .map_err(|e| status::ask(&e))?;
        let (out, outbound) = mpsc::channel(1);
        tokio::spawn(forward(queue, out, self.context.stop.clone()));
        tokio::spawn(session.listen(inbound));
        Ok(Response::new(ReceiverStream::new(outbound)))
    }

    type ReportStream = Out<pb::ReportAck>;

    async fn report(
        &self,
        request: Request<Streaming<pb::ReportBatch>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let (out, outbound) = mpsc::channel(UNACKNOWLEDGED_MAX);
        let (pending, acks) = mpsc::channel(UNACKNOWLEDGED_MAX);
        tokio::spawn(acknowledge(acks, out.clone()));
        tokio::spawn(take_reports(
            self.context.clone(),
            request.into_inner(),
            pending,
            out,
        ));
        Ok(Response::new(ReceiverStream::new(outbound)))
    }

    async fn fetch_prepared(
        &self,
        request: Request<pb::DigestRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        let key = digest(&request.into_inner())?;
        let read = self.context.app.read(move |v| {
            (
                v.cluster.prepared(key).map(str::to_owned),
                v.cluster.applied().0,
            )
        });
        let (manifest, revision) = read.await.map_err(|e| status::ask(&e))?;
        Ok(Response::new(pb::Document {
            json: manifest.unwrap_or_default().into(),
            revision,
        }))
    }

    async fn fetch_dataset(
        &self,
        request: Request<pb::DigestRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        let version = digest(&request.into_inner())?;
        let read = self.context.app.read(move |v| {
            (
                v.cluster.version_text(version).map(str::to_owned),
                v.cluster.applied().0,
            )
        });
        let (manifest, revision) = read.await.map_err(|e| status::ask(&e))?;
        let manifest = manifest
            .ok_or_else(|| Status::not_found(format!("no dataset version {}", version.short())))?;
        Ok(Response::new(pb::Document {
            json: manifest.into(),
            revision,
        }))
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        report_points_max: POINTS_MAX,
        report_bytes_max: REPORT_BYTES_MAX as u64,
    }
}

fn digest(request: &pb::DigestRequest) -> Result<Digest, Status> {
    let bytes: Result<[u8; 32], _> = request.digest.as_ref().try_into();
    bytes
        .map(Digest)
        .map_err(|_| WireError::new("digest", "has not 32 bytes").into())
}

/// Passes orders on until the worker, the loop or the coordinator ends the stream.
async fn forward(
    mut queue: mpsc::Receiver<ToWorker>,
    out: mpsc::Sender<Result<pb::ToWorker, Status>>,
    stop: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            biased;
            () = out.closed() => return,
            message = queue.recv() => message,
            () = stop.cancelled() => {
                let reason = "the coordinator stops".to_owned();
                let _ = out.send(Ok(ToWorker::Farewell { reason }.into())).await;
                return;
            }
        };
        let Some(message) = message else { return };
        if out.send(Ok(message.into())).await.is_err() {
            return;
        }
    }
}

/// The reading half of a worker's control stream.
struct Session {
    context: Context,
    worker: WorkerId,
    number: u64,
    orders: mpsc::Sender<ToWorker>,
    replaced: CancellationToken,
}

impl Session {
    /// Always reads: a stream that is not read would stall every other on its connection.
    async fn listen(self, mut inbound: Streaming<pb::FromWorker>) {
        loop {
            let next = tokio::select! {
                next = inbound.message() => next,
                // The receiver dropped alone is not seen on the wire by the reader.
                () = self.orders.closed() => break,
                () = self.replaced.cancelled() => return,
                () = self.context.stop.cancelled() => return,
            };
            let message = match next {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(status) => {
                    tracing::debug!(worker = %self.worker, code = ?status.code(), "control stream lost");
                    break;
                }
            };
            match FromWorker::try_from(message) {
                Ok(FromWorker::Heartbeat(running)) => self.hear(Heard::Heartbeat(running)),
                Ok(FromWorker::Facts(facts)) => {
                    let _look = self.context.publishing.look().await;
                    let facts = self.verified(facts).await;
                    self.hear(Heard::Facts(facts));
                }
                Ok(FromWorker::Goodbye) => break,
                Ok(FromWorker::Hello { .. }) => {
                    tracing::warn!(worker = %self.worker, "a second hello on a stream is ignored")
                }
                Err(error) => {
                    tracing::warn!(worker = %self.worker, %error, "a message cannot be read: the stream is closed");
                    break;
                }
            }
        }
        let closed = Input::Heard {
            worker: self.worker,
            stream: self.number,
            message: Heard::Closed,
        };
        // Not heard only if the coordinator stops.
        let _ = self.context.app.send(closed).await;
    }

    /// Gives the loop a message, or drops it if the loop has too much to do: heartbeats come again, and facts are sent again
    /// until they are acknowledged.
    fn hear(&self, message: Heard) {
        let input = Input::Heard {
            worker: self.worker,
            stream: self.number,
            message,
        };
        if let Err(error) = self.context.app.offer(input) {
            tracing::debug!(worker = %self.worker, %error, "a message of a worker was dropped");
        }
    }

    /// Holds back checkpoints that name blobs which are not here: only what is whole may be published. The worker is told to
    /// upload them again, and sends the fact again meanwhile. Prepared data that is not whole passes without its manifest:
    /// it is acknowledged and not taken, and the worker makes it anew.
    async fn verified(&self, facts: Vec<(u64, Fact)>) -> Vec<(u64, Fact)> {
        let names_blobs =
            |f: &(u64, Fact)| matches!(f.1, Fact::Checkpointed { .. } | Fact::Prepared { .. });
        if !facts.iter().any(names_blobs) {
            return facts;
        }
        let blobs = self.context.blobs.clone();
        let checked = spawn_blocking(move || split(&blobs, facts));
        let (whole, partial) = checked.await.unwrap_or_default();
        for again in partial {
            tracing::info!(worker = %self.worker, chunks = again.chunks.len(), "a checkpoint names blobs that are not here");
            let order = Order::UploadAgain {
                trial: again.trial,
                attempt: again.attempt,
                chunks: again.chunks,
            };
            let _ = self.orders.try_send(ToWorker::Order(order));
        }
        whole
    }
}

/// A checkpoint that cannot be published yet.
struct Again {
    trial: TrialId,
    attempt: Attempt,
    chunks: Vec<Digest>,
}

/// Facts that can be taken, and checkpoints whose blobs are not all here.
fn split(blobs: &LocalBlobs, facts: Vec<(u64, Fact)>) -> (Vec<(u64, Fact)>, Vec<Again>) {
    let (mut whole, mut partial) = (Vec::new(), Vec::new());
    for (sequence, fact) in facts {
        match fact {
            Fact::Checkpointed {
                trial,
                attempt,
                checkpoint,
            } => {
                let named = checkpoint.chunks.iter().chain(&checkpoint.manifest);
                let chunks = blobs.missing(named);
                if chunks.is_empty() {
                    let fact = Fact::Checkpointed {
                        trial,
                        attempt,
                        checkpoint,
                    };
                    whole.push((sequence, fact));
                } else {
                    partial.push(Again {
                        trial,
                        attempt,
                        chunks,
                    });
                }
            }
            Fact::Prepared { key, manifest } => {
                let parsed = serde_json::from_str::<PreparedManifest>(&manifest).ok();
                let is_whole = parsed.is_some_and(|m| {
                    let files = [&m.train, &m.valid].into_iter().flat_map(|p| &p.files);
                    blobs.missing(files.map(|f| &f.blob)).is_empty()
                });
                let manifest = if is_whole { manifest } else { String::new() };
                whole.push((sequence, Fact::Prepared { key, manifest }));
            }
            other => whole.push((sequence, other)),
        }
    }
    (whole, partial)
}

type Pending = (Ack, Option<oneshot::Receiver<()>>);

/// Reads batches into the tracker. Not reading while too many wait is right here: the connection carries nothing else.
async fn take_reports(
    context: Context,
    mut inbound: Streaming<pb::ReportBatch>,
    pending: mpsc::Sender<Pending>,
    out: mpsc::Sender<Result<pb::ReportAck, Status>>,
) {
    let end = loop {
        let next = tokio::select! {
            next = inbound.message() => next,
            () = out.closed() => return,
            () = context.stop.cancelled() => break Status::unavailable("the coordinator stops"),
        };
        let Ok(Some(message)) = next else { return };
        let batch = match ReportBatch::try_from(message) {
            Ok(batch) => batch,
            Err(error) => break error.into(),
        };
        let ack = Ack {
            trial: batch.trial,
            attempt: batch.attempt,
            sequence: batch.sequence,
        };
        let durable = match may_speak(&context, &batch).await {
            Ok(true) => match context.tracker.report(batch).await {
                Ok(durable) => Some(durable),
                Err(gone) => break Status::unavailable(gone.to_string()),
            },
            // Acknowledged and dropped: the sender is fenced and need not try again.
            Ok(false) => {
                context.metrics.report_batches_fenced.inc();
                None
            }
            Err(status) => break status,
        };
        if pending.send((ack, durable)).await.is_err() {
            return;
        }
    };
    let _ = out.send(Err(end)).await;
}

/// Whether the attempt is its trial's latest: an older one is fenced, whatever it still sends.
async fn may_speak(context: &Context, batch: &ReportBatch) -> Result<bool, Status> {
    let trial = batch.trial;
    let attempts = context.app.attempts();
    let latest = match attempts.latest(trial) {
        Some(latest) => Some(latest),
        None => {
            let read = context
                .app
                .read(move |view| view.cluster.trial(trial).map(|t| t.attempt));
            let latest = read.await.map_err(|e| status::ask(&e))?;
            if let Some(latest) = latest {
                attempts.started(trial, latest);
            }
            latest
        }
    };
    Ok(latest == Some(batch.attempt))
}

/// Sends acknowledgements in the order of the batches. A batch that will not be durable ends the stream: the worker sends
/// it again on the next one.
async fn acknowledge(
    mut pending: mpsc::Receiver<Pending>,
    out: mpsc::Sender<Result<pb::ReportAck, Status>>,
) {
    while let Some((ack, durable)) = pending.recv().await {
        let is_durable = match durable {
            None => true,
            Some(durable) => durable.await.is_ok(),
        };
        let message = if is_durable {
            Ok(ack.into())
        } else {
            Err(Status::resource_exhausted(
                "metrics wait for space: send them again",
            ))
        };
        if out.send(message).await.is_err() || !is_durable {
            return;
        }
    }
}
