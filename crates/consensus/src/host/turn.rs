//! One turn of the node: what became ready goes out, what was committed is applied.

use raft::eraftpb::{Entry, EntryType, Message, MessageType, Snapshot};
use raft::{SnapshotStatus, StateRole};

use super::Host;
use super::compaction::Compaction;
use crate::encode;
use crate::event::{Batch, Output, Role};
use crate::machine::StateMachine;

/// A turn that waits for the disk.
pub(super) struct Pending {
    number: u64,
    /// False if there was nothing to write; it then only waits for the ones before it.
    on_disk: bool,
    /// To be sent when everything up to this turn is on disk: votes and acknowledgements.
    after: Vec<Message>,
    /// A received snapshot, to be restored then.
    pub(super) snapshot: Option<Snapshot>,
}

impl<S: StateMachine> Host<S> {
    /// Takes turns until nothing is ready, and says what became of the role.
    pub(super) fn pump(&mut self, outputs: &mut Vec<Output<S::Effect>>) {
        if self.fatal {
            return;
        }
        self.report_demotion(outputs);
        self.turns(outputs);
        self.drop_lost_proposals(outputs);
        self.report_role(outputs);
    }

    pub(super) fn turns(&mut self, outputs: &mut Vec<Output<S::Effect>>) {
        while !self.fatal && self.raw.has_ready() {
            self.turn(outputs);
        }
    }

    fn turn(&mut self, outputs: &mut Vec<Output<S::Effect>>) {
        let mut ready = self.raw.ready();
        let number = ready.number();
        let on_disk = ready.must_sync();
        let hard = ready.hs().cloned();
        let snapshot = Some(ready.snapshot().clone()).filter(|snapshot| !snapshot.is_empty());
        let entries = ready.take_entries();
        let now = ready.take_messages();
        let after = ready.take_persisted_messages();
        let committed = ready.take_committed_entries();
        // From here on raft asks the view for what it hands out now, whether or not it is on disk.
        self.raw
            .mut_store()
            .write(snapshot.as_ref(), &entries, hard.as_ref());
        self.raw.advance_append_async(ready);

        if on_disk {
            let hard = self.raw.store().hard.clone();
            outputs.push(Output::Persist(Batch {
                number,
                hard,
                entries,
                snapshot: snapshot.clone(),
            }));
        }
        self.pending.push_back(Pending {
            number,
            on_disk,
            after,
            snapshot,
        });
        self.send(now, outputs);
        self.apply(committed, outputs);
        self.release(0, outputs);
    }

    /// Lets go of the turns that are on disk: all up to number `batch`, and those behind them that needed no disk.
    pub(super) fn release(&mut self, batch: u64, outputs: &mut Vec<Output<S::Effect>>) {
        let mut highest = None;
        let mut after = Vec::new();
        let mut snapshot = None;
        while let Some(pending) = self
            .pending
            .pop_front_if(|next| next.number <= batch || !next.on_disk)
        {
            highest = Some(pending.number);
            after.extend(pending.after);
            snapshot = pending.snapshot.or(snapshot);
        }
        let Some(highest) = highest else { return };
        self.raw.on_persist_ready(highest);
        if let Some(snapshot) = snapshot {
            self.install(&snapshot, outputs);
        }
        self.send(after, outputs);
    }

    /// Restores a snapshot that a leader sent, now that it is on disk.
    fn install(&mut self, snapshot: &Snapshot, outputs: &mut Vec<Output<S::Effect>>) {
        let index = snapshot.get_metadata().index;
        if let Err(error) = self.machine.restore(index, &snapshot.data) {
            return self.give_up(
                format!("snapshot at index {index} from the leader: {error}"),
                outputs,
            );
        }
        self.applied = index;
        self.applied_bytes = 0;
        self.compaction = Compaction::Idle;
        self.raw.advance_apply_to(index);
    }

    fn send(&mut self, messages: Vec<Message>, outputs: &mut Vec<Output<S::Effect>>) {
        for message in messages {
            let to = message.to;
            if message.get_msg_type() == MessageType::MsgSnapshot {
                // Nothing more goes to that node until this is said. If the snapshot is lost, the next append is refused
                // there and it is sent again.
                self.raw.report_snapshot(to, SnapshotStatus::Finish);
            }
            outputs.push(Output::Send {
                to,
                message: encode::message(&message),
            });
        }
    }

    fn apply(&mut self, committed: Vec<Entry>, outputs: &mut Vec<Output<S::Effect>>) {
        let Some(last) = committed.last().map(|entry| entry.index) else {
            return;
        };
        for entry in committed {
            debug_assert_eq!(entry.index, self.applied + 1, "log applied out of order");
            self.applied = entry.index;
            self.applied_bytes += encode::entry_bytes(&entry) as u64;
            if self.raw.raft.state == StateRole::Leader && entry.term == self.raw.raft.term {
                self.caught_up_term = entry.term;
            }
            // A new leader's first entry is empty. Other types come with membership changes, which nobody proposes.
            if entry.get_entry_type() == EntryType::EntryNormal && !entry.data.is_empty() {
                let effects = self.machine.apply(entry.index, &entry.data);
                let tag = self.proposals.applied(entry.index, entry.term);
                outputs.push(Output::Applied {
                    index: entry.index,
                    tag,
                    effects,
                });
            }
        }
        self.raw.advance_apply_to(last);
        self.capture_when_due(outputs);
    }

    /// Says early that the node no longer leads, so that nobody acts on effects of a later leader's commands.
    fn report_demotion(&mut self, outputs: &mut Vec<Output<S::Effect>>) {
        if matches!(self.reported, Some(Role::Leader { .. })) {
            self.report_role(outputs);
        }
    }

    fn report_role(&mut self, outputs: &mut Vec<Output<S::Effect>>) {
        let role = self.derive_role();
        if self.reported != Some(role) {
            self.reported = Some(role);
            outputs.push(Output::Role(role));
        }
    }
}
