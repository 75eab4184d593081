//! Proposals: from a caller's tag to a place in the log, and back.

use std::collections::BTreeMap;

use raft::StateRole;
use raft::eraftpb::{Entry, Message, MessageType};

use super::Host;
use crate::event::{Output, Refusal};
use crate::machine::StateMachine;

/// The open proposals of this node. All are of one term: they are given up when the term or the leadership ends.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    term: u64,
    /// Index in the log to tag.
    open: BTreeMap<u64, u64>,
}

impl Proposals {
    /// The tag of the proposal that became this entry, which is thereby closed.
    pub(super) fn applied(&mut self, index: u64, term: u64) -> Option<u64> {
        if term == self.term {
            self.open.remove(&index)
        } else {
            None
        }
    }
}

impl<S: StateMachine> Host<S> {
    /// Proposes many commands as few messages: each message to a follower carries as many as fit.
    pub(super) fn propose(
        &mut self,
        proposed: Vec<(u64, Vec<u8>)>,
        outputs: &mut Vec<Output<S::Effect>>,
    ) {
        let mut group = Vec::new();
        let mut group_bytes = 0;
        for (tag, data) in proposed {
            if let Err(reason) = self.admit(&data) {
                outputs.push(Output::Refused { tag, reason });
                continue;
            }
            let bytes = data.len() as u64;
            if group_bytes > 0 && group_bytes + bytes > self.config.append_bytes_max {
                self.propose_group(std::mem::take(&mut group), outputs);
                group_bytes = 0;
            }
            group_bytes += bytes;
            group.push((
                tag,
                Entry {
                    data: data.into(),
                    ..Entry::default()
                },
            ));
        }
        self.propose_group(group, outputs);
    }

    fn admit(&self, data: &[u8]) -> Result<(), Refusal> {
        let (bytes, bytes_max) = (data.len() as u64, self.config.proposal_bytes_max);
        if !self.is_leading() {
            let leader = Some(self.raw.raft.leader_id)
                .filter(|leader| *leader != 0 && *leader != self.config.node);
            Err(Refusal::NotLeader { leader })
        } else if data.is_empty() {
            Err(Refusal::Empty)
        } else if bytes > bytes_max {
            Err(Refusal::TooLarge { bytes, bytes_max })
        } else {
            Ok(())
        }
    }

    /// Proposes a group whole; where the log has no room for all of it, one by one.
    fn propose_group(&mut self, group: Vec<(u64, Entry)>, outputs: &mut Vec<Output<S::Effect>>) {
        let (tags, entries): (Vec<u64>, Vec<Entry>) = group.into_iter().unzip();
        if tags.is_empty() || self.append(&tags, entries.clone()) {
            return;
        }
        for (tag, entry) in tags.into_iter().zip(entries) {
            if !self.append(&[tag], vec![entry]) {
                outputs.push(Output::Refused {
                    tag,
                    reason: Refusal::LogFull,
                });
            }
        }
    }

    fn append(&mut self, tags: &[u64], entries: Vec<Entry>) -> bool {
        let mut message = Message {
            from: self.config.node,
            entries: entries.into(),
            ..Message::default()
        };
        message.set_msg_type(MessageType::MsgPropose);
        let accepted = self.raw.step(message).is_ok();
        self.timeouts.fix(&mut self.raw);
        if accepted {
            let first = self.raw.raft.raft_log.last_index() + 1 - tags.len() as u64;
            self.proposals.term = self.raw.raft.term;
            self.proposals
                .open
                .extend((first..).zip(tags.iter().copied()));
        }
        accepted
    }

    /// Gives up on what was proposed in a term that this node no longer leads.
    pub(super) fn drop_lost_proposals(&mut self, outputs: &mut Vec<Output<S::Effect>>) {
        let raft = &self.raw.raft;
        if raft.state == StateRole::Leader && raft.term == self.proposals.term {
            return;
        }
        let lost = std::mem::take(&mut self.proposals.open);
        outputs.extend(lost.into_values().map(|tag| Output::Refused {
            tag,
            reason: Refusal::LeadershipLost,
        }));
    }
}
