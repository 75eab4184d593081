//! The closed set of what can wake the loop.

use super::asking::Reply;
use bonfire_consensus::LogDone;
use bonfire_domain::cluster::Cluster;
use bonfire_domain::command::Command;
use bonfire_domain::effect::{Effect, Refusal};
use bonfire_domain::leader::{Leader, Time};
use bonfire_domain::order::{Fact, Running, WorkerFacts};
use bonfire_domain::search::Assignment;
use bonfire_domain::{Digest, LogIndex, SweepId, WorkerId};
use bonfire_proto::ToWorker;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Anything that can wake the loop is a line here.
pub(crate) enum Input {
    /// Every 100 ms.
    Tick,
    Log(LogDone),
    SnapshotEncoded {
        index: u64,
        bytes: Vec<u8>,
    },
    Suggested {
        sweep: SweepId,
        first: u32,
        seen: LogIndex,
        parameters: Vec<Assignment>,
        exhausted: Option<String>,
    },
    BlobsDeleted {
        chunks: Vec<Digest>,
    },
    /// A worker opened a control stream; an older one of the same worker is closed.
    Connected {
        facts: WorkerFacts,
        running: Running,
        stream: Stream,
    },
    /// From the worker's stream with this number; an older stream is not heard any more.
    Heard {
        worker: WorkerId,
        stream: u64,
        message: Heard,
    },
    /// A client's command.
    Ask {
        command: Command,
        reply: oneshot::Sender<Result<Vec<Effect>, AskError>>,
    },
    /// A client wants a trial of an external sweep.
    AskTrial {
        /// The sweep, and a number of the client's own.
        asked: (SweepId, u64),
        waiter: u64,
        reply: Reply,
    },
    /// It does not wait any more.
    LeaveTrial {
        asked: (SweepId, u64),
        waiter: u64,
    },
    /// A quick look at the state, inside the loop.
    Read(Box<dyn FnOnce(&View<'_>) + Send>),
    /// Write what is queued and end.
    Stop,
}

/// What a worker's stream says.
pub(crate) enum Heard {
    Heartbeat(Running),
    Facts(Vec<(u64, Fact)>),
    Closed,
}

/// The loop's end of a worker's control stream.
pub(crate) struct Stream {
    pub(crate) number: u64,
    pub(crate) orders: mpsc::Sender<ToWorker>,
    /// Cancelled when a newer stream of the worker takes its place.
    pub(crate) replaced: CancellationToken,
}

/// What a reader sees.
pub(crate) struct View<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) leader: Option<&'a Leader>,
    pub(crate) term: u64,
    pub(crate) time: Time,
}

/// Why a client's command did nothing, or may have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("{0}")]
    Refused(Refusal),
    #[error("the coordinator has too much to do: try again")]
    Busy,
    #[error("the coordinator's disk is full: free some space there and try again")]
    Full,
    #[error(
        "the coordinator's disk is full: what was asked for happens when there is space, so look before asking again"
    )]
    Waits,
    #[error("the sampler is still at work: ask again")]
    Slow,
    #[error("this node does not lead")]
    NotLeader,
    #[error("the command is too large: {0}")]
    TooLarge(String),
    #[error("the coordinator stops")]
    Stopping,
}
