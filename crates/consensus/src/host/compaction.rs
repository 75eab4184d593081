//! Snapshots of this node's own state: when one is due, and what follows when it is on disk.

use raft::eraftpb::{ConfState, Snapshot};

use super::Host;
use crate::event::{Output, SnapshotFile};
use crate::machine::StateMachine;

/// At most one snapshot is under way.
pub(super) enum Compaction {
    Idle,
    /// The state is being encoded.
    Encoding {
        index: u64,
        term: u64,
        voters: ConfState,
    },
    /// The bytes are being written.
    Storing(Snapshot),
}

impl<S: StateMachine> Host<S> {
    /// Captures the state when enough was applied since the last snapshot.
    pub(super) fn capture_when_due(&mut self, outputs: &mut Vec<Output<S::Effect>>) {
        if self.applied_bytes < self.config.snapshot_log_bytes
            || !matches!(self.compaction, Compaction::Idle)
        {
            return;
        }
        let index = self.applied;
        let Some(term) = self.raw.store().term_at(index) else {
            return;
        };
        let mut voters = self.raw.raft.prs().conf().to_conf_state();
        // The crate keeps them in a hash map.
        voters.voters.sort_unstable();
        voters.learners.sort_unstable();
        self.applied_bytes = 0;
        self.compaction = Compaction::Encoding {
            index,
            term,
            voters,
        };
        outputs.push(Output::Encode {
            index,
            capture: self.machine.capture(),
        });
    }

    pub(super) fn encoded(
        &mut self,
        answer: u64,
        bytes: Vec<u8>,
        outputs: &mut Vec<Output<S::Effect>>,
    ) {
        match std::mem::replace(&mut self.compaction, Compaction::Idle) {
            Compaction::Encoding {
                index,
                term,
                voters,
            } if index == answer => {
                let mut snapshot = Snapshot {
                    data: bytes.into(),
                    ..Snapshot::default()
                };
                let meta = snapshot.mut_metadata();
                (meta.index, meta.term) = (index, term);
                meta.set_conf_state(voters);
                self.compaction = Compaction::Storing(snapshot.clone());
                outputs.push(Output::StoreSnapshot(SnapshotFile(snapshot)));
            }
            // A snapshot of the leader came in between.
            other => self.compaction = other,
        }
    }

    pub(super) fn stored(&mut self, answer: u64) {
        match std::mem::replace(&mut self.compaction, Compaction::Idle) {
            Compaction::Storing(snapshot) if snapshot.get_metadata().index == answer => {
                let alone = self.raw.store().voters.voters == [self.config.node];
                let kept_bytes = if alone { 0 } else { self.config.kept_log_bytes };
                if snapshot.get_metadata().index > self.raw.store().snapshot.get_metadata().index {
                    self.raw.mut_store().compact(snapshot, kept_bytes);
                }
            }
            other => self.compaction = other,
        }
    }
}
