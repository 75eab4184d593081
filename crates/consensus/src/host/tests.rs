#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Message};

use super::*;
use crate::event::{Output, Refusal};
use crate::log::{LogStore, MemoryLog};
use crate::machine::RestoreError;

/// Remembers what it applied.
#[derive(Debug, Clone, Default, PartialEq)]
struct Tape(Vec<(u64, u64)>);

impl StateMachine for Tape {
    type Effect = u64;

    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u64> {
        let value = command
            .first_chunk()
            .map_or(0, |chunk| u64::from_le_bytes(*chunk));
        self.0.push((index, value));
        vec![value]
    }

    fn capture(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let tape = self.0.clone();
        Box::new(move || {
            tape.iter()
                .flat_map(|(index, value)| [*index, *value])
                .flat_map(u64::to_le_bytes)
                .collect()
        })
    }

    fn restore(&mut self, _: u64, snapshot: &[u8]) -> Result<(), RestoreError> {
        let numbers: Vec<u64> = snapshot
            .chunks(8)
            .map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap()))
            .collect();
        if numbers.len() % 2 == 1 {
            return Err(RestoreError("odd".into()));
        }
        self.0 = numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        Ok(())
    }
}

/// One voter with a log that syncs at once.
struct Node {
    host: Host<Tape>,
    log: MemoryLog,
    applied: Vec<(Option<u64>, u64)>,
    refused: Vec<(u64, Refusal)>,
    persists: usize,
    trace: String,
}

fn config() -> HostConfig {
    HostConfig {
        snapshot_log_bytes: 4096,
        ..HostConfig::new(1, vec![1], 7)
    }
}

impl Node {
    fn start(log: MemoryLog, config: HostConfig) -> Node {
        let (host, outputs) = Host::open(config, log.recover().unwrap(), Tape::default()).unwrap();
        let mut node = Node {
            host,
            log,
            applied: vec![],
            refused: vec![],
            persists: 0,
            trace: String::new(),
        };
        node.follow(outputs);
        node
    }

    fn follow(&mut self, outputs: Vec<Output<u64>>) {
        let mut queue: VecDeque<_> = outputs.into();
        while let Some(output) = queue.pop_front() {
            self.trace += &format!("{output:?}\n");
            let answer = match output {
                Output::Persist(batch) => {
                    self.persists += 1;
                    self.log.write(&batch);
                    self.log.sync().map(|batch| Input::Persisted { batch })
                }
                Output::Applied { tag, effects, .. } => {
                    self.applied
                        .extend(effects.into_iter().map(|effect| (tag, effect)));
                    None
                }
                Output::Refused { tag, reason } => {
                    self.refused.push((tag, reason));
                    None
                }
                Output::Encode { index, capture } => Some(Input::SnapshotEncoded {
                    index,
                    bytes: capture(),
                }),
                Output::StoreSnapshot(file) => {
                    self.log.store_snapshot(&file).unwrap();
                    self.log.compact(file.index()).unwrap();
                    Some(Input::SnapshotStored {
                        index: file.index(),
                    })
                }
                Output::Role(_) => None,
                other => panic!("{other:?}"),
            };
            if let Some(input) = answer {
                queue.extend(self.host.step(input));
            }
        }
    }

    fn propose(&mut self, values: std::ops::Range<u64>) {
        let inputs = values.map(|value| Input::Propose {
            tag: value,
            data: value.to_le_bytes().to_vec(),
        });
        let outputs = self.host.step_many(inputs);
        self.follow(outputs);
    }
}

#[test]
fn a_single_voter_leads_once_its_first_batch_is_on_disk() {
    let (mut host, outputs) = Host::open(config(), Recovered::empty(), Tape::default()).unwrap();
    assert!(
        matches!(
            outputs[..],
            [
                Output::Persist(_),
                Output::Role(Role::Follower {
                    leader: None,
                    term: 1
                })
            ]
        ),
        "{outputs:?}"
    );
    let outputs = host.step(Input::Propose {
        tag: 1,
        data: vec![1],
    });
    assert!(
        matches!(
            outputs[..],
            [Output::Refused {
                tag: 1,
                reason: Refusal::NotLeader { leader: None }
            }]
        ),
        "{outputs:?}"
    );
    let outputs = host.step(Input::Persisted { batch: 9 });
    assert!(
        matches!(outputs[..], [Output::Role(Role::Leader { term: 1 })]),
        "{outputs:?}"
    );
    assert_eq!((host.role(), host.applied()), (Role::Leader { term: 1 }, 1));
}

#[test]
fn proposals_that_come_together_share_one_batch() {
    let mut node = Node::start(MemoryLog::new(), config());
    node.persists = 0;
    node.propose(0..600);
    assert_eq!(node.persists, 1);
    assert_eq!(
        node.applied,
        (0..600)
            .map(|value| (Some(value), value))
            .collect::<Vec<_>>()
    );
}

#[test]
fn nothing_is_applied_before_it_is_on_disk() {
    let mut node = Node::start(MemoryLog::new(), config());
    let outputs = node.host.step(Input::Propose {
        tag: 5,
        data: vec![1; 8],
    });
    assert!(matches!(outputs[..], [Output::Persist(_)]), "{outputs:?}");
    assert!(node.host.step(Input::Tick).is_empty());
    node.follow(outputs);
    assert_eq!(node.applied.len(), 1);
}

#[test]
fn a_restart_applies_everything_again_once_and_without_tags() {
    let mut node = Node::start(MemoryLog::new(), config());
    node.propose(0..10);
    let mut again = Node::start(node.log.clone(), config());
    assert_eq!(again.host.machine(), node.host.machine());
    assert_eq!(
        again.applied,
        (0..10).map(|value| (None, value)).collect::<Vec<_>>()
    );
    assert_eq!(again.host.role(), Role::Leader { term: 2 });
    again.propose(10..11);
    assert_eq!(again.applied.last(), Some(&(Some(10), 10)));
}

#[test]
fn a_restart_from_snapshot_and_log_equals_the_state_before() {
    let mut node = Node::start(MemoryLog::new(), config());
    for value in 0..1000 {
        node.propose(value..value + 1);
        if value % 97 == 0 {
            let again = Node::start(node.log.clone(), config());
            assert_eq!(
                again.host.machine(),
                node.host.machine(),
                "I16 after {value}"
            );
        }
    }
    assert!(node.log.recover().unwrap().snapshot_index() > 900);
    assert!(
        node.log.bytes() < 3 * 4096,
        "the log is compacted: {} bytes",
        node.log.bytes()
    );
    assert!(
        node.host.raw.store().entries.len() < 200,
        "the view is compacted"
    );
    let again = Node::start(node.log.clone(), config());
    assert!(
        again.applied.len() < 100,
        "what the snapshot holds is not applied again"
    );
}

#[test]
fn a_crash_loses_only_what_was_not_acknowledged() {
    for kept in 0..4 {
        let mut node = Node::start(MemoryLog::new(), config());
        node.propose(0..3);
        for value in 3..6u64 {
            for output in node.host.step(Input::Propose {
                tag: value,
                data: value.to_le_bytes().to_vec(),
            }) {
                let Output::Persist(batch) = output else {
                    panic!("{output:?}")
                };
                node.log.write(&batch);
            }
        }
        assert_eq!(node.log.unsynced(), 3);
        node.log.crash(kept);
        let again = Node::start(node.log.clone(), config());
        let values: Vec<u64> = again.applied.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, (0..3 + kept.min(3) as u64).collect::<Vec<_>>());
    }
}

#[test]
fn proposals_beyond_the_limits_are_refused() {
    let limits = HostConfig {
        uncommitted_bytes_max: 26,
        append_bytes_max: 25,
        proposal_bytes_max: 8,
        ..config()
    };
    let mut node = Node::start(MemoryLog::new(), limits);
    let propose = |(tag, bytes)| Input::Propose {
        tag,
        data: vec![1; bytes],
    };
    let mut outputs = node.host.step(propose((1, 8)));
    // A group that does not fit whole is proposed one by one.
    outputs.extend(
        node.host
            .step_many([(2, 9), (3, 8), (4, 0), (5, 8), (6, 8)].map(propose)),
    );
    node.follow(outputs);
    let too_large = Refusal::TooLarge {
        bytes: 9,
        bytes_max: 8,
    };
    assert_eq!(
        node.refused,
        [(2, too_large), (4, Refusal::Empty), (6, Refusal::LogFull)]
    );
    assert_eq!(
        node.applied
            .iter()
            .map(|(tag, _)| tag.unwrap())
            .collect::<Vec<_>>(),
        [1, 3, 5]
    );
    node.propose(7..8);
    assert_eq!(node.applied.len(), 4, "committed commands leave room again");
}

#[test]
fn same_seed_same_outputs() {
    let run = |seed| {
        let cluster = HostConfig {
            seed,
            voters: vec![1, 2, 3],
            ..config()
        };
        let (mut host, _) = Host::open(cluster, Recovered::empty(), Tape::default()).unwrap();
        let mut trace = String::new();
        for tick in 0..200 {
            for output in host.step(Input::Tick) {
                trace += &format!("{tick} {output:?}\n");
                if let Output::Persist(batch) = output {
                    trace += &format!(
                        "{:?}\n",
                        host.step(Input::Persisted {
                            batch: batch.number()
                        })
                    );
                }
            }
        }
        trace
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// A snapshot at index 50, term 3, as leader 2 sends it.
fn leaders_snapshot(data: Vec<u8>) -> Input {
    let mut message = Message {
        from: 2,
        to: 1,
        term: 3,
        ..Message::default()
    };
    message.set_msg_type(MessageType::MsgSnapshot);
    let snapshot = message.mut_snapshot();
    snapshot.data = data.into();
    let meta = snapshot.mut_metadata();
    (meta.index, meta.term) = (50, 3);
    meta.set_conf_state(ConfState::from((vec![1, 2, 3], vec![])));
    Input::Peer {
        from: 2,
        message: crate::encode::message(&message),
    }
}

fn follower() -> Host<Tape> {
    let cluster = HostConfig {
        voters: vec![1, 2, 3],
        ..config()
    };
    Host::open(cluster, Recovered::empty(), Tape::default())
        .unwrap()
        .0
}

#[test]
fn a_received_snapshot_counts_when_it_is_on_disk_and_no_election_comes_before() {
    let mut host = follower();
    let ticks = std::iter::repeat_n(Input::Tick, 100);
    let outputs = host.step_many(
        std::iter::once(leaders_snapshot([9, 9].map(u64::to_le_bytes).concat())).chain(ticks),
    );
    let [
        Output::Persist(batch),
        Output::Role(Role::Follower {
            leader: Some(2),
            term: 3,
        }),
    ] = &outputs[..]
    else {
        panic!("{outputs:?}");
    };
    assert_eq!((batch.snapshot_index(), host.applied()), (Some(50), 0));
    let outputs = host.step(Input::Persisted {
        batch: batch.number(),
    });
    assert!(
        matches!(outputs[..], [Output::Send { to: 2, .. }]),
        "{outputs:?}"
    );
    assert_eq!((host.applied(), host.machine()), (50, &Tape(vec![(9, 9)])));
}

#[test]
fn a_received_snapshot_that_cannot_be_restored_ends_the_node() {
    let mut host = follower();
    host.step(leaders_snapshot(vec![0; 8]));
    let outputs = host.step(Input::Persisted { batch: u64::MAX });
    assert!(
        outputs
            .iter()
            .any(|output| matches!(output, Output::Fatal { .. })),
        "{outputs:?}"
    );
    assert!(
        host.step_many(std::iter::repeat_n(Input::Tick, 100))
            .is_empty()
    );
}

#[test]
fn a_snapshot_that_cannot_be_restored_is_an_error() {
    let mut node = Node::start(MemoryLog::new(), config());
    node.propose(0..200);
    let mut recovered = node.log.recover().unwrap();
    assert!(recovered.snapshot_index() > 0);
    recovered.truncate_snapshot(8);
    let opened = Host::open(config(), recovered, Tape::default());
    assert!(matches!(opened.map(|_| ()), Err(OpenError::Restore { .. })));
}

#[test]
fn senseless_configurations_are_refused() {
    let base = HostConfig::new(1, vec![1, 2, 3], 0);
    for bad in [
        HostConfig {
            node: 0,
            ..base.clone()
        },
        HostConfig {
            node: 4,
            ..base.clone()
        },
        HostConfig {
            voters: vec![1, 2, 2],
            ..base.clone()
        },
        HostConfig {
            voters: vec![0, 1],
            ..base.clone()
        },
        HostConfig {
            voters: vec![],
            ..base.clone()
        },
        HostConfig {
            heartbeat_ticks: 10,
            ..base.clone()
        },
        HostConfig {
            append_inflight_max: 0,
            ..base.clone()
        },
    ] {
        let opened = Host::open(bad.clone(), Recovered::empty(), Tape::default());
        assert!(
            matches!(opened.map(|_| ()), Err(OpenError::Config(_))),
            "{bad:?}"
        );
    }
}
