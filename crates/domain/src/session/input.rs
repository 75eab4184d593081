//! The closed set of what can happen to a worker and what its session can ask for.

use std::collections::BTreeMap;

use crate::checkpoint::Checkpoint;
use crate::fault::AttemptEnd;
use crate::id::{Attempt, Digest, Slot, TrialId, WorkerId};
use crate::order::{Fact, Order, Running, StartOrder};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    pub worker: WorkerId,
    pub slots: u16,
    /// The worker that had this one's folder before.
    pub replaces: Option<WorkerId>,
    pub heartbeat_ms: u64,
    /// An unacknowledged fact is sent again after this long.
    pub resend_ms: u64,
    /// What an executor has to end when asked, without and with saving first.
    pub stop_grace_ms: u64,
    pub save_grace_ms: u64,
}

impl SessionConfig {
    pub fn new(worker: WorkerId, slots: u16) -> SessionConfig {
        SessionConfig {
            worker,
            slots,
            replaces: None,
            heartbeat_ms: 2_000,
            resend_ms: 2_000,
            stop_grace_ms: 5_000,
            save_grace_ms: 60_000,
        }
    }
}

/// What can happen to a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionInput {
    Connected,
    Disconnected,
    Order(Order),
    Executor {
        slot: Slot,
        event: ExecutorEvent,
    },
    /// SIGTERM: save, report, drain, end.
    Shutdown,
    Tick,
}

/// What a slot's executor, or the shell around it, says.
#[derive(Clone, Debug, PartialEq)]
pub enum ExecutorEvent {
    /// A warm process waits.
    Ready,
    Observed {
        trial: TrialId,
        attempt: Attempt,
        step: u64,
        epoch: u64,
        value: f64,
        /// Of the same evaluation.
        metrics: BTreeMap<String, f64>,
    },
    /// Uploaded, and every metric up to it is durable.
    Checkpointed {
        trial: TrialId,
        attempt: Attempt,
        checkpoint: Box<Checkpoint>,
    },
    /// A clean end: the process stays warm.
    Ended {
        trial: TrialId,
        attempt: Attempt,
        end: AttemptEnd,
    },
    /// The process is gone; what it ran ended so.
    Died {
        end: AttemptEnd,
    },
    Prepared {
        key: Digest,
        manifest: String,
    },
}

/// What the session asks for. Somebody else does it.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionAction {
    /// On the control stream, in this order.
    Send(Vec<(u64, Fact)>),
    Heartbeat(Running),
    /// Hand it to the slot's warm executor.
    Begin {
        slot: Slot,
        order: Box<StartOrder>,
    },
    /// Ask the executor to end it.
    End {
        slot: Slot,
        trial: TrialId,
        attempt: Attempt,
        save: bool,
    },
    /// It did not end within its grace: kill the process; `Died` follows.
    Kill {
        slot: Slot,
        trial: TrialId,
        attempt: Attempt,
    },
    UploadAgain {
        trial: TrialId,
        attempt: Attempt,
        chunks: Vec<Digest>,
    },
    /// Everything is acknowledged: the agent may end.
    Exit,
}
