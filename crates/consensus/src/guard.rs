//! What is checked before the bytes of a peer reach the raft crate, which answers many malformed messages with a panic
//! and takes others as valid.
//!
//! The sender's id is the one that its connection proved. A message that passes here may still be a lie; it cannot crash
//! the node.

use protobuf::Message as _;
use raft::eraftpb::{Entry, EntryType, Message, MessageType, Snapshot};
use raft::{RawNode, StateRole};

use crate::view::LogView;

#[cfg(test)]
mod tests;

/// Terms and indices above this are nonsense and would overflow in sums.
const NUMBER_MAX: u64 = 1 << 48;

/// What one message may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes_max: u64,
    /// Fields at the top level; each entry is one. An empty entry takes 2 bytes on the wire and 100 in memory.
    pub(crate) fields_max: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the frame has {bytes} bytes, the limit is {bytes_max}")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("the leader has committed {commit}, the log here ends at {last}")]
    LostData { commit: u64, last: u64 },
}

/// Parses a frame after counting its fields.
pub(crate) fn decode(frame: &[u8], limits: Limits) -> Result<Message, Refused> {
    let bytes = frame.len() as u64;
    if bytes > limits.bytes_max {
        return Err(Refused::TooLarge {
            bytes,
            bytes_max: limits.bytes_max,
        });
    }
    scan(frame, limits.fields_max).map_err(Refused::Malformed)?;
    Message::parse_from_bytes(frame).map_err(|_| Refused::Malformed("not a message"))
}

/// Walks the top-level fields without decoding them: not too many, no groups, nothing cut.
fn scan(frame: &[u8], fields_max: u32) -> Result<(), &'static str> {
    let mut at = 0usize;
    let mut fields = 0;
    while at < frame.len() {
        fields += 1;
        if fields > fields_max {
            return Err("too many fields");
        }
        let skip = match varint(frame, &mut at)? & 7 {
            0 => varint(frame, &mut at).map(|_| 0)?,
            1 => 8,
            5 => 4,
            2 => varint(frame, &mut at)?,
            _ => return Err("a group or an unknown wire type"),
        };
        let left = (frame.len() - at) as u64;
        if skip > left {
            return Err("cut");
        }
        at += skip as usize;
    }
    Ok(())
}

fn varint(frame: &[u8], at: &mut usize) -> Result<u64, &'static str> {
    let mut value = 0u64;
    for position in 0..10 {
        let byte = *frame.get(*at).ok_or("cut")?;
        *at += 1;
        value |= u64::from(byte & 127) << (7 * position).min(63);
        if byte < 128 {
            return Ok(value);
        }
    }
    Err("a number that does not end")
}

/// Refuses what the crate would panic on or take unseen. `sender` is the id proven by the connection.
pub(crate) fn check(raw: &RawNode<LogView>, message: &Message, sender: u64) -> Result<(), Refused> {
    let raft = &raw.raft;
    let kind = message.get_msg_type();
    let malformed = |why| Err(Refused::Malformed(why));
    if message.from != sender || sender == 0 || sender == raft.id || message.to != raft.id {
        return malformed("wrong from or to");
    }
    match kind {
        // The sender's configuration may be newer than ours; the connection proved that it is a member.
        MessageType::MsgAppend
        | MessageType::MsgHeartbeat
        | MessageType::MsgSnapshot
        | MessageType::MsgRequestVote
        | MessageType::MsgRequestPreVote => {}
        MessageType::MsgAppendResponse
        | MessageType::MsgHeartbeatResponse
        | MessageType::MsgRequestVoteResponse
        | MessageType::MsgRequestPreVoteResponse
        | MessageType::MsgTimeoutNow => {
            if raft.prs().get(sender).is_none() {
                return malformed("unknown sender");
            }
        }
        // Proposals, reads and transfers are asked of the leader by other ways; the rest is local.
        _ => return malformed("not a message between nodes"),
    }
    let numbers = [
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.reject_hint,
        message.request_snapshot,
    ];
    if message.term == 0 || numbers.iter().any(|number| *number > NUMBER_MAX) {
        return malformed("number out of range");
    }
    let last = raft.raft_log.last_index();
    match kind {
        MessageType::MsgAppend => check_append(raw, message),
        MessageType::MsgHeartbeat if message.commit > last && message.term >= raft.term => {
            Err(Refused::LostData {
                commit: message.commit,
                last,
            })
        }
        MessageType::MsgAppendResponse
            if raft.state == StateRole::Leader
                && message.term == raft.term
                && (message.index > last
                    || message.reject_hint > last
                    || message.request_snapshot > last) =>
        {
            malformed("acknowledges what was never sent")
        }
        MessageType::MsgSnapshot => check_snapshot(message.get_snapshot(), message.term),
        _ => Ok(()),
    }
}

/// Entries must follow the previous one and each other, with terms that do not fall, and agree with what is committed.
fn check_append(raw: &RawNode<LogView>, message: &Message) -> Result<(), Refused> {
    let log = &raw.raft.raft_log;
    if (message.index == 0) != (message.log_term == 0) || message.log_term > message.term {
        return Err(Refused::Malformed("bad previous entry"));
    }
    let mut previous = (message.index, message.log_term.max(1));
    for entry in message.entries.iter() {
        if entry.index != previous.0 + 1 || entry.term < previous.1 || entry.term > message.term {
            return Err(Refused::Malformed("entries do not follow each other"));
        }
        if !is_plain(entry) {
            return Err(Refused::Malformed("an entry of an unknown kind"));
        }
        let ours = log.term(entry.index).unwrap_or(0);
        if entry.index <= log.committed && ours != 0 && ours != entry.term {
            return Err(Refused::Malformed("contradicts a committed entry"));
        }
        previous = (entry.index, entry.term);
    }
    Ok(())
}

/// Membership changes are not made yet, and the log on disk has no place for them.
fn is_plain(entry: &Entry) -> bool {
    entry.get_entry_type() == EntryType::EntryNormal && entry.context.is_empty()
}

fn check_snapshot(snapshot: &Snapshot, term: u64) -> Result<(), Refused> {
    let meta = snapshot.get_metadata();
    let conf = meta.get_conf_state();
    let mut ids: Vec<u64> = conf
        .voters
        .iter()
        .chain(conf.learners.iter())
        .copied()
        .collect();
    ids.sort_unstable();
    let named = ids.len();
    ids.dedup();
    let sane_place = (1..=NUMBER_MAX).contains(&meta.index) && (1..=term).contains(&meta.term);
    let sane_members = !conf.voters.is_empty() && ids.len() == named && ids.first() != Some(&0);
    let joint =
        !conf.voters_outgoing.is_empty() || !conf.learners_next.is_empty() || conf.auto_leave;
    if sane_place && sane_members && !joint {
        Ok(())
    } else {
        Err(Refused::Malformed("malformed snapshot"))
    }
}
