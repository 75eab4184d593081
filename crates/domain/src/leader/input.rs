//! The closed set of what can happen to the leader and what it can ask for.

use bonfire_search::Assignment;

use crate::command::Command;
use crate::effect::{Effect, Refusal};
use crate::id::{Attempt, Digest, LogIndex, Now, SweepId, TrialId, WallMs, WorkerId};
use crate::order::{Fact, Order, Running, WorkerFacts};

/// Both clocks, read once at the edge and handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Time {
    /// Monotonic: timers and timeouts.
    pub now: Now,
    /// Wall clock: recorded as facts in commands.
    pub wall: WallMs,
}

/// What can happen to the leader.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Every 100 ms or so.
    Tick,
    /// A worker opened its control stream.
    Connected {
        facts: WorkerFacts,
        running: Running,
    },
    Heartbeat {
        worker: WorkerId,
        running: Running,
    },
    /// Facts with their sequence numbers, ascending.
    Facts {
        worker: WorkerId,
        facts: Vec<(u64, Fact)>,
    },
    /// The control stream ended.
    Disconnected {
        worker: WorkerId,
    },
    /// An entry was applied to the cluster that `step` is given; `tag` is the leader's own if it proposed it.
    Applied {
        tag: Option<u64>,
        effects: Vec<Effect>,
    },
    /// A proposal of the leader will not be applied.
    Dropped {
        tag: u64,
    },
    /// The sampler answered.
    Suggested {
        sweep: SweepId,
        first: u32,
        seen: LogIndex,
        parameters: Vec<Assignment>,
        exhausted: Option<String>,
    },
    /// Somebody wants a trial of an external sweep. The same `request` of the same sweep again gets the same trial.
    Asked {
        sweep: SweepId,
        request: u64,
    },
    /// Whoever asked does not wait any more.
    Unasked {
        sweep: SweepId,
        request: u64,
    },
    /// The condemned blobs are gone from every node.
    BlobsDeleted {
        chunks: Vec<Digest>,
    },
}

/// What the leader asks for. Somebody else does it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Into the log as one entry; answered by `Applied` or `Dropped` with the tag.
    Propose {
        tag: u64,
        commands: Vec<Command>,
    },
    /// To a worker's stream; lost if it is not connected (the next heartbeat mends it).
    Order {
        worker: WorkerId,
        order: Order,
    },
    /// Ask the sweep's sampler for `count` assignments from number `first`, having seen the log up to `seen`.
    Suggest {
        sweep: SweepId,
        first: u32,
        count: u32,
        seen: LogIndex,
    },
    DeleteBlobs {
        chunks: Vec<Digest>,
    },
    /// To whoever asked for a trial with this request.
    Answer {
        sweep: SweepId,
        request: u64,
        answer: Answer,
    },
}

/// What somebody who asked for a trial gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Given {
        trial: TrialId,
        attempt: Attempt,
    },
    /// There is none now: the sweep's state as documents have it, and why.
    Nothing {
        state: &'static str,
        reason: String,
    },
    Refused(Refusal),
    /// Too many ask.
    Busy,
}
