//! How an attempt ended and who must act: the retry decision reads this, never a text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who must act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blame {
    User,
    Infra,
    Bug,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retry {
    Never,
    Backoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub blame: Blame,
    pub retry: Retry,
}

/// What went wrong in an attempt, by the trial's own fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The spec, its data or its parameters cannot be trained.
    Unusable,
    /// Loss or gradient norm became NaN or infinite.
    NonFinite {
        step: u64,
    },
    Panicked,
    /// Died by a signal other than an outside kill.
    Crashed {
        signal: i32,
    },
    Exited {
        code: i32,
    },
    /// Used more than `resources.memory`, or the kernel ended it for memory.
    OutOfMemory,
    /// No step within `limits.no_progress`.
    NoProgress,
    /// Ran past `limits.time`.
    TimeLimit,
    /// Its checkpoint could not be read back; the one before it is used.
    DamagedCheckpoint {
        step: u64,
    },
    /// A disk or a blob was not to be had; not the trial's fault.
    Io,
    /// Whoever asked for the trial says so.
    Told,
    /// Rows of the dataset are gone or damaged where they are kept.
    DamagedData,
}

impl Failure {
    /// Who must act, and whether a retry can help.
    pub fn fault(&self) -> Fault {
        match self {
            Failure::Unusable | Failure::NonFinite { .. } | Failure::Told => Fault {
                blame: Blame::User,
                retry: Retry::Never,
            },
            Failure::Panicked
            | Failure::Crashed { .. }
            | Failure::Exited { .. }
            | Failure::OutOfMemory
            | Failure::NoProgress
            | Failure::TimeLimit => Fault {
                blame: Blame::User,
                retry: Retry::Backoff,
            },
            Failure::DamagedData => Fault {
                blame: Blame::Infra,
                retry: Retry::Never,
            },
            Failure::DamagedCheckpoint { .. } | Failure::Io => Fault {
                blame: Blame::Infra,
                retry: Retry::Backoff,
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unusable => f.write_str("cannot be trained"),
            Failure::NonFinite { step } => {
                write!(f, "loss or gradient is not finite at step {step}")
            }
            Failure::Panicked => f.write_str("executor panicked"),
            Failure::Crashed { signal } => write!(f, "executor died by signal {signal}"),
            Failure::Exited { code } => write!(f, "executor exited with code {code}"),
            Failure::OutOfMemory => f.write_str("out of memory"),
            Failure::NoProgress => f.write_str("no progress within limits.no_progress"),
            Failure::TimeLimit => f.write_str("ran past limits.time"),
            Failure::DamagedCheckpoint { step } => {
                write!(f, "checkpoint at step {step} is damaged")
            }
            Failure::Io => f.write_str("storage failed"),
            Failure::Told => f.write_str("told as failed"),
            Failure::DamagedData => f.write_str("its data is damaged"),
        }
    }
}

/// Why the fleet lost an attempt; never the trial's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LostCause {
    /// The worker's stream ended and it did not come back in time, or it left.
    WorkerGone,
    /// SIGKILL from outside, with memory under its limit.
    Killed,
    /// The worker does not run what it should run (it restarted, or the order was lost).
    NotRunning,
    /// Whoever asked for the trial told nothing within `limits.time`.
    Untold,
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LostCause::WorkerGone => "worker gone",
            LostCause::Killed => "executor killed from outside",
            LostCause::NotRunning => "worker did not run it",
            LostCause::Untold => "not told within limits.time",
        })
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptEnd {
    /// Trained to its target.
    Reached,
    /// Saved and gave its slot back on order (pause, drain); goes on later.
    Yielded,
    /// Ended on order (stop, cancel); does not go on.
    Stopped,
    Failed {
        failure: Failure,
        detail: String,
    },
    Lost(LostCause),
}

impl fmt::Display for AttemptEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttemptEnd::Reached => f.write_str("reached its target"),
            AttemptEnd::Yielded => f.write_str("saved and yielded its slot"),
            AttemptEnd::Stopped => f.write_str("stopped on order"),
            AttemptEnd::Failed { failure, detail } if detail.is_empty() => write!(f, "{failure}"),
            AttemptEnd::Failed { failure, detail } => write!(f, "{failure}: {detail}"),
            AttemptEnd::Lost(cause) => write!(f, "lost: {cause}"),
        }
    }
}
