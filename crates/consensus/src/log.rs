//! The log at rest: what a store must do, what it finds at open, and how it fails.

mod disk;
mod files;
mod memory;
mod replay;
mod segment;
mod thread;

#[cfg(test)]
mod fake;

use std::io;
use std::path::PathBuf;

pub use disk::DiskLog;
pub use memory::MemoryLog;
pub use replay::Recovered;
pub use thread::{LogDone, LogThread};

use crate::event::{Batch, SnapshotFile};

/// Where batches and snapshots are kept. One writer.
pub trait LogStore: Send {
    /// Makes the batches durable, all or none: one write, one sync.
    ///
    /// # Errors
    /// If [`LogError::is_full`], nothing of the batches is in the log and the same call may be tried again later. After
    /// any other error the store must not be used again: the state of the disk is unknown until it is read anew.
    fn append(&mut self, batches: &[Batch]) -> Result<(), LogError>;

    /// Makes a snapshot durable. The one before it is kept until then. One that is older than the newest is ignored.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    fn store_snapshot(&mut self, snapshot: &SnapshotFile) -> Result<(), LogError>;

    /// Drops entries up to and including `upto`, as far as a stored snapshot holds them and the layout allows.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    fn compact(&mut self, upto: u64) -> Result<(), LogError>;

    /// Called last, when nothing more will come: what helps the next opening. Nothing that counts depends on it.
    fn close(&mut self) {}

    /// Called when nothing is queued: the time for work that would otherwise hold up an append.
    fn prepare(&mut self) {}
}

/// What went wrong with the log, and where.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("no space to {action} {path}")]
    Full {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot {action} {path}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// What was acknowledged cannot be read back. Nothing was changed on disk.
    #[error(
        "{path} is damaged at byte {offset}: {what}; restore the directory from a backup or join as a new node"
    )]
    Damaged {
        path: PathBuf,
        offset: u64,
        what: String,
    },
    #[error("{path} has format {found}, this program reads {known}")]
    Format {
        path: PathBuf,
        found: u16,
        known: u16,
    },
    #[error("the log failed before and must be opened anew")]
    Broken,
}

impl LogError {
    /// Whether space is missing and the same call may succeed later.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(crate) fn io(action: &'static str, path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                action,
                path,
                source,
            },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }
}
