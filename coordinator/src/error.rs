//! Why a coordinator does not start, and why it stopped by itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use bonfire_consensus::{LogError, OpenError};
use bonfire_store::StoreError;

/// Why a coordinator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{} is in use by a live coordinator: name it with --coordinator, or stop it", data.display())]
    InUse { data: PathBuf },
    #[error(
        "{listen} is not loopback: the token would travel in the clear; say --insecure to allow that"
    )]
    Exposed { listen: SocketAddr },
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        listen: SocketAddr,
        source: std::io::Error,
    },
    #[error("cannot use {}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} says {found:?}: this data directory was written by another version", path.display())]
    Format { path: PathBuf, found: String },
    #[error("{} does not hold a token of 64 hexadecimal digits", path.display())]
    Token { path: PathBuf },
    #[error("the log cannot be used: {}", chain(.0))]
    Log(#[source] LogError),
    #[error(
        "{} is empty, yet there are blobs such as {}: put the log back, or start in another directory (an empty log owns no blobs, and they would be deleted)",
        log.display(), blob.display()
    )]
    LogGone { log: PathBuf, blob: PathBuf },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Why a coordinator stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the state cannot be opened: {}", chain(.0.as_ref()))]
    Open(#[source] Box<OpenError>),
    #[error("entry {index} of the log: {error}; this version cannot read what another one wrote")]
    Entry { index: u64, error: String },
    #[error("the log failed: {}", chain(.0))]
    Log(#[source] LogError),
    #[error("the tracker failed: {0}")]
    Tracker(#[source] StoreError),
    #[error("{0}")]
    Fatal(String),
    #[error("the system has no thread to give: {0}")]
    Thread(#[source] std::io::Error),
    #[error("a part of the coordinator panicked")]
    Panicked,
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
