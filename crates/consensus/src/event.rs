//! What goes into a [`Host`](crate::Host) and what comes out of it.

use std::fmt;

use raft::eraftpb::{Entry, HardState, Snapshot};

use crate::encode::{self, SectionRef};

/// Encodes a captured state; runs on a thread of the caller's choice.
pub type Capture = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// Everything that can happen to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// One unit of Raft's time passed. Elections and heartbeats are counted in these.
    Tick,
    /// A command to replicate. `tag` is the caller's and comes back in [`Output::Applied`] or [`Output::Refused`]; it is
    /// not written anywhere and need only be unique among the proposals that are open.
    Propose { tag: u64, data: Vec<u8> },
    /// Bytes that another node put into [`Output::Send`]. `from` is the id that the connection proved.
    Peer { from: u64, message: Vec<u8> },
    /// All batches up to and including this number are on disk.
    Persisted { batch: u64 },
    /// The answer to [`Output::Encode`].
    SnapshotEncoded { index: u64, bytes: Vec<u8> },
    /// The answer to [`Output::StoreSnapshot`].
    SnapshotStored { index: u64 },
}

/// Everything that a node wants done, in this order.
pub enum Output<E> {
    /// To the log, in order; answered by [`Input::Persisted`] with the highest number that is on disk.
    Persist(Batch),
    /// Bytes for another node. They may be lost, doubled or reordered.
    Send { to: u64, message: Vec<u8> },
    /// A committed command was applied. `tag` is set on the node that proposed it and still leads.
    Applied {
        index: u64,
        tag: Option<u64>,
        effects: Vec<E>,
    },
    /// The node gives up on this proposal; `reason` says whether it may still be applied.
    Refused { tag: u64, reason: Refusal },
    /// The role changed. `Leader` is said only once everything from earlier terms is applied.
    Role(Role),
    /// To be encoded elsewhere and answered by [`Input::SnapshotEncoded`] with the same index.
    Encode { index: u64, capture: Capture },
    /// To be written durably, answered by [`Input::SnapshotStored`]; then the log before it may go.
    StoreSnapshot(SnapshotFile),
    /// The node cannot go on: stop the process. Every later input is ignored.
    Fatal { reason: String },
}

impl<E: fmt::Debug> fmt::Debug for Output<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Persist(batch) => f.debug_tuple("Persist").field(batch).finish(),
            Self::Send { to, message } => f
                .debug_struct("Send")
                .field("to", to)
                .field("message", message)
                .finish(),
            Self::Applied {
                index,
                tag,
                effects,
            } => f
                .debug_struct("Applied")
                .field("index", index)
                .field("tag", tag)
                .field("effects", effects)
                .finish(),
            Self::Refused { tag, reason } => f
                .debug_struct("Refused")
                .field("tag", tag)
                .field("reason", reason)
                .finish(),
            Self::Role(role) => f.debug_tuple("Role").field(role).finish(),
            Self::Encode { index, .. } => f
                .debug_struct("Encode")
                .field("index", index)
                .finish_non_exhaustive(),
            Self::StoreSnapshot(file) => f.debug_tuple("StoreSnapshot").field(file).finish(),
            Self::Fatal { reason } => f.debug_struct("Fatal").field("reason", reason).finish(),
        }
    }
}

/// Who a node is in its term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Leads and has applied all that was committed before its term.
    Leader { term: u64 },
    /// Follows, stands for election, or was just elected and has not caught up yet.
    Follower { leader: Option<u64>, term: u64 },
}

/// Why a proposal came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Never entered the log.
    #[error("this node does not lead (leader: {leader:?})")]
    NotLeader { leader: Option<u64> },
    /// Never entered the log.
    #[error("the log holds its limit of commands that are not committed yet")]
    LogFull,
    /// Never entered the log.
    #[error("the command has {bytes} bytes, the limit is {bytes_max}")]
    TooLarge { bytes: u64, bytes_max: u64 },
    /// Never entered the log.
    #[error("the command is empty")]
    Empty,
    /// It is in the log of this node and may or may not be applied later: the outcome is unknown.
    #[error("leadership was lost before the command was committed: it may still be applied")]
    LeadershipLost,
}

impl Refusal {
    /// Whether the command may still be applied although it was refused.
    pub fn is_outcome_unknown(self) -> bool {
        matches!(self, Self::LeadershipLost)
    }
}

/// What one turn of the node must have on disk before it may speak of it: entries, hard state, a received snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    pub(crate) number: u64,
    pub(crate) hard: HardState,
    pub(crate) entries: Vec<Entry>,
    pub(crate) snapshot: Option<Snapshot>,
}

impl Batch {
    /// The number that [`Input::Persisted`] answers with. Rises, with gaps, from 1 at each open.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Entries in the batch, those that Raft makes for itself included.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Roughly what it takes on disk, in bytes.
    pub fn bytes(&self) -> u64 {
        let entries: usize = self.entries.iter().map(encode::entry_bytes).sum();
        let snapshot = self
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.data.len());
        (entries + snapshot + 64) as u64
    }

    /// The last index of a snapshot that a leader sent, if the batch has one.
    pub fn snapshot_index(&self) -> Option<u64> {
        self.snapshot
            .as_ref()
            .map(|snapshot| snapshot.get_metadata().index)
    }

    pub(crate) fn section(&self) -> SectionRef<'_> {
        let snapshot = self.snapshot.as_ref().map(Snapshot::get_metadata);
        SectionRef {
            hard: &self.hard,
            reset: snapshot.map(|meta| (meta.index, meta.term)),
            entries: &self.entries,
        }
    }

    /// The highest index that the batch speaks of, 0 if it has only a hard state.
    pub(crate) fn last_index(&self) -> u64 {
        let section = self.section();
        let last = section.entries.last().map_or(0, |entry| entry.index);
        last.max(section.reset.map_or(0, |(index, _)| index))
    }
}

/// A snapshot on its way to the disk. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotFile(pub(crate) Snapshot);

impl SnapshotFile {
    /// The last index that the snapshot holds.
    pub fn index(&self) -> u64 {
        self.0.get_metadata().index
    }

    /// The encoded state.
    pub fn bytes(&self) -> &[u8] {
        &self.0.data
    }
}
