//! The node's loop without I/O: inputs in, outputs out.
//!
//! One turn follows the asynchronous path of the raft crate. What a turn brings goes into the view in memory at once, to
//! the log as a [`Batch`](crate::Batch), and is spoken of (votes, acknowledgements, commits) only when
//! [`Input::Persisted`] says that it is on disk. A turn that only moved the commit index writes nothing: the index rides
//! along in the next batch, and a start works without it.
//!
//! Must never know: clocks, threads, files, sockets, what a command means.

mod compaction;
mod proposals;
mod turn;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use raft::eraftpb::MessageType;
use raft::{RawNode, StateRole};

use crate::config::{HostConfig, OpenError};
use crate::event::{Input, Output, Role};
use crate::log::Recovered;
use crate::machine::StateMachine;
use crate::timeouts::Timeouts;
use crate::view::LogView;
use crate::{guard, logger};

use compaction::Compaction;
use proposals::Proposals;
use turn::Pending;

/// One node. Same configuration, same recovered log, same inputs: same outputs, bit for bit.
pub struct Host<S: StateMachine> {
    config: HostConfig,
    raw: RawNode<LogView>,
    machine: S,
    timeouts: Timeouts,
    /// Turns whose batch is not on disk yet, oldest first.
    pending: VecDeque<Pending>,
    proposals: Proposals,
    compaction: Compaction,
    applied: u64,
    /// Bytes of entries applied since the newest snapshot.
    applied_bytes: u64,
    /// The newest term that this node led and of which it applied an entry: it has caught up then.
    caught_up_term: u64,
    reported: Option<Role>,
    fatal: bool,
    peer_messages_refused: u64,
}

/// A started node, and what it wants done first.
pub type Opened<S> = (Host<S>, Vec<Output<<S as StateMachine>::Effect>>);

impl<S: StateMachine> Host<S> {
    /// Starts a node from what was found on disk. `machine` is in its initial state.
    ///
    /// The snapshot is restored here; what is committed behind it comes out as [`Output::Applied`], once. A single voter
    /// stands for election at once and leads as soon as its first batch is on disk.
    ///
    /// # Errors
    /// [`OpenError`] if the configuration makes no sense or the snapshot cannot be restored.
    pub fn open(
        config: HostConfig,
        recovered: Recovered,
        mut machine: S,
    ) -> Result<Opened<S>, OpenError> {
        config.check()?;
        let view = recovered.into_view(&config.voters);
        let applied = view.snapshot.get_metadata().index;
        if applied > 0 {
            machine
                .restore(applied, &view.snapshot.data)
                .map_err(|source| OpenError::Restore {
                    index: applied,
                    source,
                })?;
        }
        let alone = view.voters.voters == [config.node];
        let raw = RawNode::new(
            &config.raft(applied),
            view,
            &logger::to_tracing(config.node),
        )
        .map_err(|error| OpenError::Raft(error.to_string()))?;
        let mut host = Host {
            timeouts: Timeouts::new(config.seed, config.node, config.election_ticks),
            config,
            raw,
            machine,
            pending: VecDeque::new(),
            proposals: Proposals::default(),
            compaction: Compaction::Idle,
            applied,
            applied_bytes: 0,
            caught_up_term: 0,
            reported: None,
            fatal: false,
            peer_messages_refused: 0,
        };
        let mut outputs = Vec::new();
        host.timeouts.fix(&mut host.raw);
        host.turns(&mut outputs);
        if alone {
            host.raw
                .campaign()
                .map_err(|error| OpenError::Raft(error.to_string()))?;
            host.timeouts.fix(&mut host.raw);
        }
        host.pump(&mut outputs);
        Ok((host, outputs))
    }

    /// Advances the node by one input. Never blocks, never reads a clock. Handle all outputs, in order, before the next
    /// input goes in: batches reach the log in the order in which they were made.
    pub fn step(&mut self, input: Input) -> Vec<Output<S::Effect>> {
        self.step_many([input])
    }

    /// Advances the node by many inputs in order. Proposals that come together share a batch.
    pub fn step_many(&mut self, inputs: impl IntoIterator<Item = Input>) -> Vec<Output<S::Effect>> {
        let mut outputs = Vec::new();
        let mut proposed = Vec::new();
        for input in inputs {
            if self.fatal {
                return outputs;
            }
            if let Input::Propose { tag, data } = input {
                proposed.push((tag, data));
                continue;
            }
            self.propose(std::mem::take(&mut proposed), &mut outputs);
            self.take(input, &mut outputs);
        }
        self.propose(proposed, &mut outputs);
        self.pump(&mut outputs);
        outputs
    }

    /// The state machine, with everything up to [`Host::applied`].
    pub fn machine(&self) -> &S {
        &self.machine
    }

    /// As last said by [`Output::Role`].
    pub fn role(&self) -> Role {
        self.reported.unwrap_or_else(|| self.derive_role())
    }

    /// The last index applied (or restored from a snapshot).
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Peer messages that were malformed or came from the wrong place, since the start.
    pub fn peer_messages_refused(&self) -> u64 {
        self.peer_messages_refused
    }

    fn take(&mut self, input: Input, outputs: &mut Vec<Output<S::Effect>>) {
        match input {
            Input::Tick => self.tick(outputs),
            Input::Peer { from, message } => self.hear(from, &message, outputs),
            Input::Persisted { batch } => self.release(batch, outputs),
            Input::SnapshotEncoded { index, bytes } => self.encoded(index, bytes, outputs),
            Input::SnapshotStored { index } => self.stored(index),
            Input::Propose { .. } => unreachable!("proposals are collected by step_many"),
        }
    }

    fn tick(&mut self, outputs: &mut Vec<Output<S::Effect>>) {
        self.pump(outputs);
        // An election reads the entries after `applied`, which a snapshot on its way to the disk has replaced.
        if !self.is_installing() {
            self.raw.tick();
            self.timeouts.fix(&mut self.raw);
        }
    }

    /// Takes bytes of a peer, if they pass the guard.
    fn hear(&mut self, from: u64, bytes: &[u8], outputs: &mut Vec<Output<S::Effect>>) {
        let limits = guard::Limits {
            bytes_max: self.config.peer_message_bytes_max,
            fields_max: self.config.peer_message_fields_max,
        };
        let checked = guard::decode(bytes, limits)
            .and_then(|message| guard::check(&self.raw, &message, from).map(|()| message));
        let message = match checked {
            Ok(message) => message,
            Err(guard::Refused::LostData { commit, last }) => {
                let reason = format!(
                    "node {from} holds index {commit} as committed, the log here ends at {last}: this disk lost data that \
                     was acknowledged; join as a new node with an empty directory"
                );
                return self.give_up(reason, outputs);
            }
            Err(reason) => {
                self.peer_messages_refused += 1;
                tracing::warn!(from, %reason, "message of a peer refused");
                return;
            }
        };
        let kind = message.get_msg_type();
        if kind == MessageType::MsgTimeoutNow && self.is_installing() {
            return;
        }
        // What remains are answers from nodes that left, which are of no use.
        let _ = self.raw.step(message);
        self.timeouts.fix(&mut self.raw);
        if kind == MessageType::MsgSnapshot {
            self.pump(outputs);
        }
    }

    /// Whether a received snapshot is on its way to the disk.
    fn is_installing(&self) -> bool {
        self.pending
            .iter()
            .any(|pending| pending.snapshot.is_some())
    }

    fn give_up(&mut self, reason: String, outputs: &mut Vec<Output<S::Effect>>) {
        self.fatal = true;
        outputs.push(Output::Fatal { reason });
    }

    fn is_leading(&self) -> bool {
        self.raw.raft.state == StateRole::Leader && self.caught_up_term == self.raw.raft.term
    }

    fn derive_role(&self) -> Role {
        let raft = &self.raw.raft;
        if self.is_leading() {
            return Role::Leader { term: raft.term };
        }
        let leader =
            Some(raft.leader_id).filter(|leader| *leader != 0 && *leader != self.config.node);
        Role::Follower {
            leader,
            term: raft.term,
        }
    }
}
