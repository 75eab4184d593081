//! The closed set of what can happen to the leader and what it can ask for.

use bonfire_search::Assignment;

use crate::command::Command;
use crate::effect::Effect;
use crate::id::{Digest, LogIndex, Now, SweepId, WallMs, WorkerId};
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
}
