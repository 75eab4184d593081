#![allow(clippy::unwrap_used)]

use raft::eraftpb::{ConfState, HardState};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::*;
use crate::config::HostConfig;
use crate::event::{Input, Output};
use crate::host::Host;
use crate::log::{LogStore, MemoryLog};
use crate::logger;
use crate::machine::{RestoreError, StateMachine};

const LIMITS: Limits = Limits {
    bytes_max: 1 << 20,
    fields_max: 100,
};

fn entry(index: u64, term: u64) -> Entry {
    Entry {
        index,
        term,
        data: vec![1].into(),
        ..Entry::default()
    }
}

/// Node 1 of 1, 2, 3 in term 2: entries 1 to 5 of term 2, committed up to 3.
fn node() -> RawNode<LogView> {
    let view = LogView {
        hard: HardState {
            term: 2,
            vote: 2,
            commit: 3,
            ..HardState::default()
        },
        voters: ConfState::from((vec![1, 2, 3], vec![])),
        entries: (1..=5).map(|index| entry(index, 2)).collect(),
        ..LogView::default()
    };
    let config = HostConfig::new(1, vec![1, 2, 3], 0).raft(0);
    RawNode::new(&config, view, &logger::to_tracing(1)).unwrap()
}

/// A message of node 2 in term 2.
fn message(kind: MessageType) -> Message {
    let mut message = Message {
        from: 2,
        to: 1,
        term: 2,
        ..Message::default()
    };
    message.set_msg_type(kind);
    message
}

fn append(previous: (u64, u64), entries: &[(u64, u64)]) -> Message {
    let entries: Vec<Entry> = entries
        .iter()
        .map(|(index, term)| entry(*index, *term))
        .collect();
    let (index, log_term) = previous;
    Message {
        index,
        log_term,
        entries: entries.into(),
        ..message(MessageType::MsgAppend)
    }
}

fn snapshot(index: u64, term: u64, voters: &[u64]) -> Message {
    let mut message = message(MessageType::MsgSnapshot);
    let meta = message.mut_snapshot().mut_metadata();
    (meta.index, meta.term) = (index, term);
    meta.set_conf_state(ConfState::from((voters.to_vec(), vec![])));
    message
}

/// Whether the message passes. What passes must not make the crate panic.
#[track_caller]
fn check_passes(message: Message, expected: bool) {
    let mut raw = node();
    let frame = crate::encode::message(&message);
    let result = decode(&frame, LIMITS).and_then(|message| check(&raw, &message, 2));
    assert_eq!(result.is_ok(), expected, "{result:?}: {message:?}");
    if expected {
        raw.step(message).unwrap();
    }
}

#[test]
fn appends_must_follow_each_other() {
    check_passes(append((5, 2), &[(6, 2), (7, 2)]), true);
    check_passes(append((0, 0), &[(1, 2)]), true);
    check_passes(append((3, 2), &[(4, 2), (5, 2)]), true);
    check_passes(append((5, 2), &[]), true);
    check_passes(append((5, 2), &[(7, 2)]), false);
    check_passes(append((5, 2), &[(6, 2), (8, 2)]), false);
    check_passes(append((5, 2), &[(6, 3)]), false);
    check_passes(append((5, 2), &[(6, 1)]), false);
    check_passes(append((5, 2), &[(6, 0)]), false);
    check_passes(append((5, 0), &[(6, 2)]), false);
    check_passes(append((0, 2), &[(1, 2)]), false);
    check_passes(append((99, 0), &[]), false);
    check_passes(append((5, 9), &[]), false);
    check_passes(append((0, 0), &[(1, 1)]), false);
}

#[test]
fn entries_that_the_log_cannot_hold_are_refused() {
    let mut change = append((5, 2), &[(6, 2)]);
    change.entries[0].set_entry_type(EntryType::EntryConfChange);
    check_passes(change, false);
    let mut context = append((5, 2), &[(6, 2)]);
    context.entries[0].context = vec![1].into();
    check_passes(context, false);
}

#[test]
fn senders_must_be_who_they_say() {
    check_passes(
        Message {
            from: 3,
            ..append((5, 2), &[])
        },
        false,
    );
    check_passes(
        Message {
            to: 3,
            ..append((5, 2), &[])
        },
        false,
    );
    let response = Message {
        from: 9,
        index: 5,
        ..message(MessageType::MsgAppendResponse)
    };
    assert!(check(&node(), &response, 9).is_err());
    let heartbeat = Message {
        from: 9,
        ..message(MessageType::MsgHeartbeat)
    };
    assert!(
        check(&node(), &heartbeat, 9).is_ok(),
        "our configuration may be the older one"
    );
}

#[test]
fn numbers_must_be_in_range() {
    check_passes(
        Message {
            term: 0,
            ..append((5, 2), &[])
        },
        false,
    );
    check_passes(
        Message {
            term: u64::MAX,
            ..message(MessageType::MsgHeartbeat)
        },
        false,
    );
    check_passes(
        Message {
            term: 3,
            index: 5,
            log_term: 2,
            ..message(MessageType::MsgRequestVote)
        },
        true,
    );
    check_passes(
        Message {
            term: 3,
            index: u64::MAX,
            log_term: 2,
            ..message(MessageType::MsgRequestVote)
        },
        false,
    );
}

#[test]
fn only_messages_between_nodes_pass() {
    for kind in [
        MessageType::MsgHup,
        MessageType::MsgBeat,
        MessageType::MsgPropose,
        MessageType::MsgReadIndex,
        MessageType::MsgReadIndexResp,
        MessageType::MsgTransferLeader,
        MessageType::MsgUnreachable,
        MessageType::MsgSnapStatus,
        MessageType::MsgCheckQuorum,
    ] {
        check_passes(message(kind), false);
    }
    check_passes(message(MessageType::MsgTimeoutNow), true);
}

#[test]
fn snapshots_must_be_sane() {
    check_passes(snapshot(9, 2, &[1, 2, 3]), true);
    check_passes(snapshot(0, 2, &[1, 2, 3]), false);
    check_passes(snapshot(u64::MAX, 2, &[1, 2, 3]), false);
    check_passes(snapshot(9, 3, &[1, 2, 3]), false);
    check_passes(snapshot(9, 0, &[1, 2, 3]), false);
    check_passes(snapshot(9, 2, &[]), false);
    check_passes(snapshot(9, 2, &[0, 1]), false);
    check_passes(snapshot(9, 2, &[1, 1]), false);
}

#[test]
fn a_commit_past_the_log_means_lost_data() {
    let heartbeat = |commit| Message {
        commit,
        ..message(MessageType::MsgHeartbeat)
    };
    check_passes(heartbeat(5), true);
    assert_eq!(
        check(&node(), &heartbeat(6), 2),
        Err(Refused::LostData { commit: 6, last: 5 })
    );
    let old = Message {
        term: 1,
        ..heartbeat(6)
    };
    assert_eq!(check(&node(), &old, 2), Ok(()));
}

#[test]
fn frames_are_bounded_before_they_are_parsed() {
    let many: Vec<(u64, u64)> = (6..200).map(|index| (index, 2)).collect();
    check_passes(append((5, 2), &many), false);
    let refused = |frame: &[u8]| decode(frame, LIMITS).unwrap_err();
    assert!(matches!(
        refused(&[0; (1 << 20) + 1]),
        Refused::TooLarge { .. }
    ));
    for frame in [
        &[0x0b, 0x0c][..],
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x80],
        &[0xff; 12],
        &[0x09, 1],
    ] {
        assert!(matches!(refused(frame), Refused::Malformed(_)), "{frame:?}");
    }
}

struct Nothing;

impl StateMachine for Nothing {
    type Effect = ();

    fn apply(&mut self, _: u64, _: &[u8]) -> Vec<()> {
        vec![]
    }

    fn capture(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        Box::new(Vec::new)
    }

    fn restore(&mut self, _: u64, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

/// A message of a member that lies: mostly what would make sense, here and there a little off or far off.
fn lie(rng: &mut ChaCha8Rng, last: u64, term: u64) -> Message {
    let mut near = |number: u64| match rng.next_u32() % 20 {
        0 | 1 => number.saturating_add(u64::from(rng.next_u32() % 4)),
        2 | 3 => number.saturating_sub(u64::from(rng.next_u32() % 4)),
        4 => [0, 1, 1 << 48, u64::MAX][rng.next_u32() as usize % 4],
        _ => number,
    };
    let mut message = Message {
        from: 2 + near(0) % 2,
        to: 1,
        term: near(term.max(1)),
        index: near(last),
        log_term: near(if last == 0 { 0 } else { term }),
        commit: near(last),
        reject_hint: near(0),
        request_snapshot: near(0),
        reject: near(0) % 2 == 1,
        ..Message::default()
    };
    let mut index = message.index;
    for _ in 0..near(2).min(4) {
        index = near(index.saturating_add(1));
        message.entries.push(entry(index, near(message.term)));
    }
    let meta = message.mut_snapshot().mut_metadata();
    (meta.index, meta.term) = (near(last + 3), near(term.max(1)));
    meta.set_conf_state(ConfState::from((vec![1, 2, 3], vec![])));
    let kinds = MessageType::values();
    let often = [
        MessageType::MsgAppend,
        MessageType::MsgHeartbeat,
        MessageType::MsgAppend,
    ];
    let kind = rng.next_u32() as usize % (kinds.len() + 12);
    message.set_msg_type(
        kinds
            .get(kind)
            .copied()
            .unwrap_or(often[kind % often.len()]),
    );
    message
}

use protobuf::ProtobufEnum as _;

#[test]
fn a_member_that_lies_cannot_crash_the_node() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut passed, mut deaths) = (0, 0);
    for round in 0..300 {
        let mut log = MemoryLog::new();
        let config = HostConfig::new(1, vec![1, 2, 3], round);
        let (mut host, mut outputs) = Host::open(config, log.recover().unwrap(), Nothing).unwrap();
        for _ in 0..100 {
            let (mut batch_on_disk, mut dead) = (None, false);
            for output in outputs.drain(..) {
                match output {
                    Output::Persist(batch) => {
                        log.append(std::slice::from_ref(&batch)).unwrap();
                        batch_on_disk = Some(batch.number());
                    }
                    Output::Fatal { .. } => dead = true,
                    _ => {}
                }
            }
            if dead {
                deaths += 1;
                break;
            }
            let term = match host.role() {
                crate::Role::Leader { term } | crate::Role::Follower { term, .. } => term,
            };
            let lie = lie(
                &mut rng,
                host.applied().max(log.recover().unwrap().last_index()),
                term,
            );
            let before = host.peer_messages_refused();
            let told = Input::Peer {
                from: lie.from,
                message: crate::encode::message(&lie),
            };
            let persisted = batch_on_disk.map(|batch| Input::Persisted { batch });
            outputs = host.step_many(persisted.into_iter().chain([told, Input::Tick]));
            passed += u64::from(host.peer_messages_refused() == before);
        }
    }
    assert!(
        passed > 3000 && deaths > 100,
        "{passed} messages passed, {deaths} nodes gave up"
    );
}
