//! The log as the raft crate sees it: in memory, with everything that was handed to the disk, synced or not.

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

/// Entries after `base`, the newest durable snapshot, and the hard state.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogView {
    pub(crate) hard: HardState,
    /// The voters as of the index that the node was opened at.
    pub(crate) voters: ConfState,
    pub(crate) snapshot: Snapshot,
    /// The index before the first entry kept, and its term; 0 and 0 for a log from its beginning.
    pub(crate) base: (u64, u64),
    pub(crate) entries: Vec<Entry>,
}

impl LogView {
    pub(crate) fn last(&self) -> u64 {
        self.base.0 + self.entries.len() as u64
    }

    /// Takes what one turn brings, in the order in which it counts.
    pub(crate) fn write(
        &mut self,
        snapshot: Option<&Snapshot>,
        entries: &[Entry],
        hard: Option<&HardState>,
    ) {
        if let Some(snapshot) = snapshot {
            let meta = snapshot.get_metadata();
            self.voters = meta.get_conf_state().clone();
            self.base = (meta.index, meta.term);
            self.entries.clear();
            self.snapshot = snapshot.clone();
        }
        if let Some(first) = entries.first() {
            debug_assert!(
                first.index > self.base.0 && first.index <= self.last() + 1,
                "entries leave a gap"
            );
            self.entries
                .truncate((first.index - self.base.0 - 1) as usize);
            self.entries.extend_from_slice(entries);
        }
        let commit = self
            .hard
            .commit
            .max(self.base.0)
            .max(hard.map_or(0, |hard| hard.commit));
        if let Some(hard) = hard {
            self.hard = hard.clone();
        }
        self.hard.commit = commit;
    }

    /// Puts a durable snapshot in place of the entries it holds, all but the last `kept_bytes` of them.
    pub(crate) fn compact(&mut self, snapshot: Snapshot, kept_bytes: u64) {
        let index = snapshot.get_metadata().index;
        debug_assert!(
            index > self.base.0 && index <= self.last(),
            "snapshot outside the log"
        );
        let mut dropped = (index - self.base.0) as usize;
        let mut bytes = 0;
        while dropped > 0 {
            bytes += crate::encode::entry_bytes(&self.entries[dropped - 1]) as u64;
            if bytes > kept_bytes {
                break;
            }
            dropped -= 1;
        }
        if dropped > 0 {
            let last = &self.entries[dropped - 1];
            self.base = (last.index, last.term);
            self.entries.drain(..dropped);
        }
        // A start needs a commit that is not below what the snapshot applied.
        self.hard.commit = self.hard.commit.max(index);
        self.snapshot = snapshot;
    }

    /// The term of the entry at `index`, if the log still has it.
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        match index.checked_sub(self.base.0)? {
            0 => Some(self.base.1),
            after => self.entries.get(after as usize - 1).map(|entry| entry.term),
        }
    }
}

impl Storage for LogView {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard.clone(), self.voters.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        bytes_max: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let range = (low - self.base.0 - 1) as usize..(high - self.base.0 - 1) as usize;
        let mut entries = self
            .entries
            .get(range)
            .ok_or(Error::Store(StorageError::Unavailable))?
            .to_vec();
        raft::util::limit_size(&mut entries, bytes_max.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let missing = if index < self.base.0 {
            StorageError::Compacted
        } else {
            StorageError::Unavailable
        };
        self.term_at(index).ok_or(Error::Store(missing))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        let index = self.snapshot.get_metadata().index;
        if index == 0 || index < request_index {
            // Any other error is a panic in the crate.
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(self.snapshot.clone())
    }
}
