//! Why a call came to nothing, and the exit code that goes with it.

use std::error::Error;

use tonic::{Code, Status};

use crate::WireError;

/// Why a call came to nothing. Whatever the cause, the token is in none of the texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody answered: no connection, a lost one, or a deadline passed. Worth another try.
    #[error("cannot reach {address}: {reason}")]
    Unreachable { address: String, reason: String },
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The request was wrong: junk, a bad selector, a missing token.
    #[error("{0}")]
    Wrong(String),
    /// An older attempt speaks, or the state does not allow it.
    #[error("{0}")]
    Fenced(String),
    /// It failed on the other side; `retry` says that it may go better later (a full queue, a full disk).
    #[error("{reason}")]
    Failed { reason: String, retry: bool },
    /// A file on this machine cannot be read or written.
    #[error("{0}")]
    Local(String),
    /// The answer cannot be read.
    #[error("the coordinator's answer cannot be read: {0}")]
    Answer(#[from] WireError),
}

impl ClientError {
    /// The exit code of a command that ends with this error: 1 failed, 2 wrong request, 3 not found, 4 unreachable.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Unreachable { .. } => 4,
            ClientError::NotFound(_) => 3,
            ClientError::Wrong(_) => 2,
            ClientError::Fenced(_)
            | ClientError::Failed { .. }
            | ClientError::Local(_)
            | ClientError::Answer(_) => 1,
        }
    }

    /// Whether the same call may succeed later without anybody changing it.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            ClientError::Unreachable { .. } | ClientError::Failed { retry: true, .. }
        )
    }

    /// Reads a gRPC status. A lost connection has many codes; only its source tells it apart.
    pub(crate) fn of(address: &str, status: &Status) -> ClientError {
        let reason = status.message().to_owned();
        let lost = status.source().is_some() && status.code() != Code::OutOfRange;
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                ClientError::Unreachable {
                    address: address.to_owned(),
                    reason: cause(status),
                }
            }
            _ if lost => ClientError::Unreachable {
                address: address.to_owned(),
                reason: cause(status),
            },
            Code::NotFound => ClientError::NotFound(reason),
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::AlreadyExists => ClientError::Wrong(reason),
            Code::Unauthenticated | Code::PermissionDenied => ClientError::Wrong(format!(
                "the fleet at {address} refused the token: give the one in its data directory (--token-file DIR/token)"
            )),
            Code::FailedPrecondition | Code::Aborted => ClientError::Fenced(reason),
            Code::ResourceExhausted => ClientError::Failed {
                reason,
                retry: true,
            },
            _ => ClientError::Failed {
                reason,
                retry: false,
            },
        }
    }
}

/// The innermost cause, which is the one that helps ("connection refused").
fn cause(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    if text.is_empty() {
        text = "the connection was lost".to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: Code, exit: u8, temporary: bool) {
        let error = ClientError::of("127.0.0.1:7400", &Status::new(code, "because"));
        assert_eq!(
            (error.exit_code(), error.is_temporary()),
            (exit, temporary),
            "{error:?}"
        );
    }

    #[test]
    fn codes_become_exit_codes() {
        check(Code::Unavailable, 4, true);
        check(Code::DeadlineExceeded, 4, true);
        check(Code::NotFound, 3, false);
        check(Code::InvalidArgument, 2, false);
        check(Code::Unauthenticated, 2, false);
        check(Code::FailedPrecondition, 1, false);
        check(Code::ResourceExhausted, 1, true);
        check(Code::Internal, 1, false);
    }
}
