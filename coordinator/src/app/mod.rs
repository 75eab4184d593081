//! The coordinator's one loop and the handle through which everything else talks to it.
//!
//! The loop owns the node and the leader; nothing else touches them. It never waits for a disk, a sampler or a peer:
//! whatever it wants done is enqueued, and the answer comes back as an input.

mod asking;
mod attempts;
mod chronicle;
mod input;
mod machine;
mod node;
mod suggester;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use bonfire_domain::cluster::Cluster;
use bonfire_domain::command::Command;
use bonfire_domain::effect::Effect;
use bonfire_domain::{Digest, SweepId};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use attempts::Attempts;
pub(crate) use input::{AskError, Heard, Input, Stream, View};
#[cfg(test)]
pub(crate) use machine::ClusterMachine;
pub(crate) use node::{NODE, Node, NodeParts};

/// Inputs that wait for the loop.
const INPUTS_MAX: usize = 4_096;

/// What the loop tells the rest of the coordinator, besides answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// These blobs have no reference: delete them and say `BlobsDeleted`.
    DeleteBlobs(Vec<Digest>),
    SweepDeleted(SweepId),
}

/// A handle to the loop. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    inputs: mpsc::Sender<Input>,
    /// Rises with everything applied.
    changes: watch::Receiver<u64>,
    condemned: Arc<RwLock<BTreeSet<Digest>>>,
    attempts: Attempts,
    waiters: Arc<AtomicU64>,
}

impl App {
    /// Puts a command into the log; answers when it is applied.
    pub(crate) async fn ask(&self, command: Command) -> Result<Vec<Effect>, AskError> {
        let (reply, answer) = oneshot::channel();
        self.offer(Input::Ask { command, reply })?;
        answer.await.map_err(|_| AskError::Stopping)?
    }

    /// Looks at the state inside the loop: only for what takes microseconds.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, AskError> {
        let (reply, answer) = oneshot::channel();
        self.offer(Input::Read(Box::new(move |view| {
            // Whoever asked may be gone.
            let _ = reply.send(look(view));
        })))?;
        answer.await.map_err(|_| AskError::Stopping)
    }

    /// A copy of the state for whatever takes longer. Sealed history is shared, not copied.
    pub(crate) async fn snapshot(&self) -> Result<Cluster, AskError> {
        self.read(|view| view.cluster.clone()).await
    }

    /// Gives an input without waiting.
    pub(crate) fn offer(&self, input: Input) -> Result<(), AskError> {
        self.inputs.try_send(input).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => AskError::Busy,
            mpsc::error::TrySendError::Closed(_) => AskError::Stopping,
        })
    }

    /// Gives an input that must arrive, waiting for room.
    pub(crate) async fn send(&self, input: Input) -> Result<(), AskError> {
        self.inputs
            .send(input)
            .await
            .map_err(|_| AskError::Stopping)
    }

    fn next_waiter(&self) -> u64 {
        self.waiters.fetch_add(1, Ordering::Relaxed)
    }

    /// Follows the index of what is applied.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Whether a blob is being deleted: from its condemnation on it counts as gone.
    pub(crate) fn is_condemned(&self, digest: Digest) -> bool {
        self.condemned
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .contains(&digest)
    }

    pub(crate) fn attempts(&self) -> &Attempts {
        &self.attempts
    }
}
