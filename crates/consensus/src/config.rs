//! What a node is started with, and why it may refuse to start.

use crate::machine::RestoreError;

/// Everything a node must be told. [`HostConfig::new`] sets the limits; override fields after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// This node's id, at least 1. A node that lost its disk must come back under another one.
    pub node: u64,
    /// The ids that vote, this node among them. Only a log without a snapshot reads it: later the snapshot knows.
    pub voters: Vec<u64>,
    /// Seeds the election timeouts, the only randomness.
    pub seed: u64,
    /// A snapshot is taken when this many bytes were applied since the last one.
    pub snapshot_log_bytes: u64,
    /// Of the log behind a snapshot, this many bytes are kept in memory for followers that are a little behind.
    pub kept_log_bytes: u64,
    /// A follower that hears nothing stands for election after this many ticks to twice as many.
    pub election_ticks: u32,
    /// A leader sends heartbeats at this interval, in ticks.
    pub heartbeat_ticks: u32,
    /// One command may have this many bytes.
    pub proposal_bytes_max: u64,
    /// Commands that are proposed and not committed may have this many bytes together.
    pub uncommitted_bytes_max: u64,
    /// One turn applies at most this many bytes of commands (and at least one command).
    pub applied_bytes_max: u64,
    /// Entries for a follower are packed into messages of up to this many bytes.
    pub append_bytes_max: u64,
    /// This many append messages may be on their way to one follower.
    pub append_inflight_max: u32,
    /// A message of a peer may have this many bytes; must exceed the largest snapshot.
    pub peer_message_bytes_max: u64,
    /// A message of a peer may have this many fields, an entry is one.
    pub peer_message_fields_max: u32,
}

impl HostConfig {
    /// The limits that a coordinator uses.
    pub fn new(node: u64, voters: Vec<u64>, seed: u64) -> Self {
        HostConfig {
            node,
            voters,
            seed,
            snapshot_log_bytes: 64 << 20,
            kept_log_bytes: 8 << 20,
            election_ticks: 10,
            heartbeat_ticks: 2,
            proposal_bytes_max: 8 << 20,
            uncommitted_bytes_max: 64 << 20,
            applied_bytes_max: 4 << 20,
            append_bytes_max: 1 << 20,
            append_inflight_max: 256,
            peer_message_bytes_max: 256 << 20,
            peer_message_fields_max: 1 << 16,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let mut voters = self.voters.clone();
        voters.sort_unstable();
        voters.dedup();
        let problem = if self.node == 0 || voters.first() == Some(&0) {
            Some("node ids must be at least 1".to_string())
        } else if voters.len() != self.voters.len() {
            Some(format!("voters {:?} name a node twice", self.voters))
        } else if !voters.contains(&self.node) {
            Some(format!("voters {:?} lack node {}", self.voters, self.node))
        } else if self.heartbeat_ticks == 0 || self.election_ticks <= self.heartbeat_ticks {
            Some(format!(
                "election_ticks {} must exceed heartbeat_ticks {}, at least 1",
                self.election_ticks, self.heartbeat_ticks
            ))
        } else if self.append_inflight_max == 0 {
            Some("append_inflight_max must be at least 1".to_string())
        } else if self.uncommitted_bytes_max <= self.append_bytes_max {
            Some(format!(
                "uncommitted_bytes_max {} must exceed append_bytes_max {}",
                self.uncommitted_bytes_max, self.append_bytes_max
            ))
        } else {
            None
        };
        problem.map_or(Ok(()), |problem| Err(OpenError::Config(problem)))
    }

    /// The crate's own settings. Its range of election timeouts is set, but the values come from [`crate::timeouts`].
    pub(crate) fn raft(&self, applied: u64) -> raft::Config {
        raft::Config {
            id: self.node,
            applied,
            election_tick: self.election_ticks as usize,
            heartbeat_tick: self.heartbeat_ticks as usize,
            max_size_per_msg: self.append_bytes_max,
            max_inflight_msgs: self.append_inflight_max as usize,
            check_quorum: true,
            pre_vote: true,
            max_uncommitted_size: self.uncommitted_bytes_max,
            max_committed_size_per_ready: self.applied_bytes_max,
            ..raft::Config::default()
        }
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("node configuration: {0}")]
    Config(String),
    #[error("snapshot at index {index}")]
    Restore { index: u64, source: RestoreError },
    #[error("raft refused to start: {0}")]
    Raft(String),
}
