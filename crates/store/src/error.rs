//! What goes wrong with bytes at rest.

use std::io;
use std::path::{Path, PathBuf};

use bonfire_domain::Digest;
use bonfire_domain::fault::{Blame, Fault, Retry};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("no space to {action} {}", path.display())]
    Full { action: &'static str, path: PathBuf },
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("{} has format {found}, this program reads {known}", path.display())]
    Format {
        path: PathBuf,
        found: u16,
        known: u16,
    },
    #[error("blob {} is not here", digest.short())]
    Missing { digest: Digest },
    #[error("the bytes sent as blob {} have the digest {}", expected.short(), found.short())]
    Differs { expected: Digest, found: Digest },
    #[error("blob {} is being uploaded by somebody else", digest.short())]
    Busy { digest: Digest },
    #[error("cannot go on at byte {asked} of blob {}: {have} bytes are here", digest.short())]
    Offset {
        digest: Digest,
        asked: u64,
        have: u64,
    },
    #[error("manifest of a checkpoint: {0}")]
    Manifest(String),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> StoreError {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::Full { action, path }
            }
            _ => StoreError::Io {
                action,
                path,
                source,
            },
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            path: path.to_path_buf(),
            what: what.into(),
        }
    }

    /// Whether space is missing and the same call may succeed later.
    pub fn is_full(&self) -> bool {
        matches!(self, StoreError::Full { .. })
    }

    /// Who must act.
    pub fn fault(&self) -> Fault {
        let retry = match self {
            StoreError::Full { .. } | StoreError::Io { .. } | StoreError::Busy { .. } => {
                Retry::Backoff
            }
            _ => Retry::Never,
        };
        Fault {
            blame: Blame::Infra,
            retry,
        }
    }
}
