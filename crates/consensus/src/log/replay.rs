//! From records and a snapshot to the state that a node starts with.

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};

use crate::encode::Section;
use crate::view::LogView;

/// What was found at open. Give it to [`Host::open`](crate::Host::open).
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    hard: HardState,
    snapshot: Option<Snapshot>,
    /// Entries after the snapshot, without gaps.
    entries: Vec<Entry>,
    pub(super) cut_bytes: u64,
}

impl Recovered {
    /// A node that never ran.
    pub fn empty() -> Self {
        Recovered::default()
    }

    /// Whether the node never ran.
    pub fn is_empty(&self) -> bool {
        self.hard.term == 0 && self.entries.is_empty() && self.snapshot.is_none()
    }

    /// The last index that the snapshot holds, 0 without one.
    pub fn snapshot_index(&self) -> u64 {
        self.snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.get_metadata().index)
    }

    /// The last index in the log.
    pub fn last_index(&self) -> u64 {
        self.snapshot_index() + self.entries.len() as u64
    }

    /// Bytes of a record that was being written when the power failed; they were never acknowledged and are gone.
    pub fn cut_bytes(&self) -> u64 {
        self.cut_bytes
    }

    pub(crate) fn into_view(self, voters: &[u64]) -> LogView {
        let snapshot = self.snapshot.unwrap_or_default();
        let meta = snapshot.get_metadata();
        let (base, mut members) = ((meta.index, meta.term), meta.get_conf_state().clone());
        if base.0 == 0 {
            members = ConfState::from((voters.to_vec(), Vec::new()));
            members.voters.sort_unstable();
        }
        let mut hard = self.hard;
        // The commit index is not synced by itself, so the snapshot can be ahead of it.
        hard.commit = hard.commit.max(base.0);
        if hard.term < base.1 {
            // The crash came after the snapshot was stored and before the term was; nobody was voted for in it.
            (hard.term, hard.vote) = (base.1, 0);
        }
        LogView {
            hard,
            voters: members,
            snapshot,
            base,
            entries: self.entries,
        }
    }
}

/// Collects sections in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Replay {
    hard: HardState,
    /// Index and term before the first entry; unknown until there is one.
    base: Option<(u64, u64)>,
    entries: Vec<Entry>,
}

/// What a log must do after it was read.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Continue {
    AsIs,
    /// A snapshot replaced the log and the crash came before the log said so: say it before anything else.
    WithReset,
}

impl Replay {
    pub(super) fn take(&mut self, section: Section) -> Result<(), &'static str> {
        self.hard = section.hard;
        if let Some(reset) = section.reset {
            self.base = Some(reset);
            self.entries.clear();
        }
        for entry in section.entries {
            let before = entry
                .index
                .checked_sub(1)
                .ok_or("an entry without an index")?;
            let base = self.base.get_or_insert((before, 0));
            if before < base.0 {
                // What is left of a compacted log may begin with entries that a later leader replaced from further back.
                *base = (before, 0);
            }
            let kept = (before - base.0) as usize;
            if kept > self.entries.len() {
                return Err("an entry does not follow the ones before it");
            }
            self.entries.truncate(kept);
            self.entries.push(entry);
        }
        Ok(())
    }

    pub(super) fn hard(&self) -> &HardState {
        &self.hard
    }

    /// Puts log and snapshot together.
    pub(super) fn finish(
        mut self,
        snapshot: Option<Snapshot>,
    ) -> Result<(Recovered, Continue), &'static str> {
        let (index, term) = snapshot.as_ref().map_or((0, 0), |snapshot| {
            let meta = snapshot.get_metadata();
            (meta.index, meta.term)
        });
        let base = self.base.unwrap_or((index, term));
        if base.0 > index {
            return Err("the log begins after the snapshot ends");
        }
        let held = (index - base.0) as usize;
        let matches = match held.checked_sub(1) {
            None => true,
            Some(position) => self
                .entries
                .get(position)
                .is_some_and(|entry| entry.term == term),
        };
        let next = if matches {
            Continue::AsIs
        } else {
            Continue::WithReset
        };
        if matches {
            self.entries.drain(..held);
        } else {
            self.entries.clear();
        }
        if self.hard.commit > index + self.entries.len() as u64 && matches {
            return Err("the commit index lies behind the end of the log");
        }
        self.hard.commit = self.hard.commit.min(index + self.entries.len() as u64);
        Ok((
            Recovered {
                hard: self.hard,
                snapshot,
                entries: self.entries,
                cut_bytes: 0,
            },
            next,
        ))
    }
}

#[cfg(test)]
impl Recovered {
    /// Shortens the snapshot's bytes, as if the state machine had changed its mind about them.
    pub(crate) fn truncate_snapshot(&mut self, bytes: usize) {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.data.truncate(bytes);
        }
    }
}
