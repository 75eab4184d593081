//! Three nodes in one thread under seeded schedules: a network that loses, doubles and delays, disks that lag, crashes.
//!
//! Checked all the time: every node applies the same commands at the same indices, what was acknowledged to a proposer is
//! never lost, a term has one leader, honest messages pass the guard. At the end everything must be able to go on.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use bonfire_consensus::{
    Host, HostConfig, Input, LogStore, MemoryLog, Output, RestoreError, Role, StateMachine,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const NODES: usize = 3;
const TICK: u64 = 100;

/// A sum over everything applied, and the last index.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sum {
    index: u64,
    sum: u64,
}

impl StateMachine for Sum {
    type Effect = (u64, u64);

    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<(u64, u64)> {
        let value = command
            .first_chunk()
            .map_or(0, |chunk| u64::from_le_bytes(*chunk));
        *self = Sum {
            index,
            sum: self.sum.wrapping_mul(31).wrapping_add(value),
        };
        vec![(value, self.sum)]
    }

    fn capture(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let state = self.clone();
        Box::new(move || [state.index.to_le_bytes(), state.sum.to_le_bytes()].concat())
    }

    fn restore(&mut self, _: u64, snapshot: &[u8]) -> Result<(), RestoreError> {
        let (index, sum) = snapshot
            .split_at_checked(8)
            .ok_or(RestoreError("cut".into()))?;
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        *self = Sum {
            index: number(index),
            sum: number(sum),
        };
        Ok(())
    }
}

enum Event {
    Tick {
        node: usize,
        life: u64,
    },
    Deliver {
        from: usize,
        to: usize,
        message: Vec<u8>,
    },
    Synced {
        node: usize,
        life: u64,
    },
    Propose,
    Fault,
}

#[derive(Default)]
struct Node {
    host: Option<Host<Sum>>,
    log: MemoryLog,
    life: u64,
    sync_at: u64,
}

#[derive(Debug, Default)]
struct Counts {
    acknowledged: u64,
    leaders: usize,
    crashes: u64,
    restored: u64,
    installed: u64,
}

struct World {
    rng: ChaCha8Rng,
    now: u64,
    order: u64,
    events: BTreeMap<(u64, u64), Event>,
    nodes: Vec<Node>,
    cut: BTreeSet<(usize, usize)>,
    calm: bool,
    next_tag: u64,
    /// What was applied anywhere: index to (value, sum).
    applied: BTreeMap<u64, (u64, u64)>,
    leaders: BTreeMap<u64, usize>,
    counts: Counts,
    trace: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: 0,
            order: 0,
            events: BTreeMap::new(),
            nodes: (0..NODES).map(|_| Node::default()).collect(),
            cut: BTreeSet::new(),
            calm: false,
            next_tag: 0,
            applied: BTreeMap::new(),
            leaders: BTreeMap::new(),
            counts: Counts::default(),
            trace: 0,
        };
        (0..NODES).for_each(|node| world.start(node));
        world.at(50, Event::Propose);
        world.at(2000, Event::Fault);
        world
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.rng.next_u64() % limit
    }

    fn at(&mut self, delay: u64, event: Event) {
        self.order += 1;
        self.events.insert((self.now + delay, self.order), event);
    }

    fn start(&mut self, node: usize) {
        let config = HostConfig {
            snapshot_log_bytes: 400,
            kept_log_bytes: 100,
            append_bytes_max: 200,
            append_inflight_max: 4,
            uncommitted_bytes_max: 2000,
            ..HostConfig::new(node as u64 + 1, vec![1, 2, 3], self.rng.next_u64())
        };
        let recovered = self.nodes[node].log.recover().unwrap();
        self.counts.restored += u64::from(recovered.snapshot_index() > 0);
        let (host, outputs) = Host::open(config, recovered, Sum::default()).unwrap();
        let slot = &mut self.nodes[node];
        slot.host = Some(host);
        slot.life += 1;
        let (life, phase) = (slot.life, self.below(TICK));
        self.at(phase, Event::Tick { node, life });
        self.act(node, outputs);
    }

    fn crash(&mut self, node: usize) {
        let kept = self.below(self.nodes[node].log.unsynced() as u64 + 1) as usize;
        self.nodes[node].host = None;
        self.nodes[node].log.crash(kept);
        self.counts.crashes += 1;
    }

    fn step(&mut self, node: usize, input: Input) {
        if let Some(host) = &mut self.nodes[node].host {
            let outputs = host.step(input);
            assert_eq!(
                host.peer_messages_refused(),
                0,
                "an honest message was refused"
            );
            self.act(node, outputs);
        }
    }

    fn act(&mut self, node: usize, outputs: Vec<Output<(u64, u64)>>) {
        // Answers wait until all outputs before them are handled: batches must stay in order.
        let mut answers = Vec::new();
        for output in outputs {
            match output {
                Output::Persist(batch) => {
                    self.counts.installed += u64::from(batch.snapshot_index().is_some());
                    self.nodes[node].log.write(&batch);
                    let delay = 1 + self.below(if self.calm { 20 } else { 150 });
                    let slot = &mut self.nodes[node];
                    slot.sync_at = slot.sync_at.max(self.now + delay);
                    let (delay, life) = (slot.sync_at - self.now, slot.life);
                    self.at(delay, Event::Synced { node, life });
                }
                Output::Send { to, message } => self.send(node, to as usize - 1, &message),
                Output::Applied {
                    index,
                    tag,
                    effects,
                } => {
                    let first = *self.applied.entry(index).or_insert(effects[0]);
                    assert_eq!(first, effects[0], "nodes differ at {index}");
                    self.counts.acknowledged += u64::from(tag.is_some());
                    assert!(
                        tag.is_none_or(|tag| tag == effects[0].0),
                        "a tag went astray"
                    );
                    self.trace = self.trace.rotate_left(5) ^ index ^ effects[0].1 ^ self.now;
                }
                Output::Role(Role::Leader { term }) => {
                    let leader = *self.leaders.entry(term).or_insert(node);
                    assert_eq!(leader, node, "two leaders in term {term}");
                    self.counts.leaders = self.leaders.len();
                }
                Output::Refused { .. } | Output::Role(_) => {}
                Output::Encode { index, capture } => {
                    let bytes = capture();
                    answers.push(Input::SnapshotEncoded { index, bytes });
                }
                Output::StoreSnapshot(file) => {
                    let index = file.index();
                    self.nodes[node].log.store_snapshot(&file).unwrap();
                    self.nodes[node].log.compact(index).unwrap();
                    answers.push(Input::SnapshotStored { index });
                }
                Output::Fatal { reason } => panic!("node {}: {reason}", node + 1),
            }
        }
        for answer in answers {
            self.step(node, answer);
        }
    }

    fn send(&mut self, from: usize, to: usize, message: &[u8]) {
        if self.cut.contains(&(from, to)) || (!self.calm && self.below(100) < 5) {
            return;
        }
        let copies = if !self.calm && self.below(100) < 3 {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let slow = !self.calm && self.below(50) == 0;
            let delay = 1 + self.below(if slow { 1500 } else { 60 });
            self.at(
                delay,
                Event::Deliver {
                    from,
                    to,
                    message: message.to_vec(),
                },
            );
        }
    }

    fn run_one(&mut self) {
        let ((now, _), event) = self.events.pop_first().unwrap();
        self.now = now;
        match event {
            Event::Tick { node, life } if self.nodes[node].life == life => {
                self.step(node, Input::Tick);
                self.at(TICK, Event::Tick { node, life });
            }
            Event::Deliver { from, to, message } => {
                let from = from as u64 + 1;
                self.step(to, Input::Peer { from, message });
            }
            Event::Synced { node, life }
                if self.nodes[node].life == life && self.nodes[node].host.is_some() =>
            {
                if let Some(batch) = self.nodes[node].log.sync() {
                    self.step(node, Input::Persisted { batch });
                }
            }
            Event::Propose => {
                let node = self.below(NODES as u64) as usize;
                self.next_tag += 1;
                let tag = self.next_tag;
                self.step(
                    node,
                    Input::Propose {
                        tag,
                        data: tag.to_le_bytes().to_vec(),
                    },
                );
                self.at(40, Event::Propose);
            }
            Event::Fault if !self.calm => self.fault(),
            _ => {}
        }
    }

    fn fault(&mut self) {
        let node = self.below(NODES as u64) as usize;
        let leader = self.leaders.values().next_back().copied().unwrap_or(0);
        match self.below(8) {
            0 | 1 => self.crash(leader),
            2 => self.crash(node),
            3 => self
                .cut
                .extend((0..NODES).flat_map(|other| [(node, other), (other, node)])),
            4 => _ = self.cut.insert((node, (node + 1) % NODES)),
            5 => self.cut.clear(),
            _ => (0..NODES).for_each(|node| {
                if self.nodes[node].host.is_none() {
                    self.start(node);
                }
            }),
        }
        let delay = 300 + self.below(2500);
        self.at(delay, Event::Fault);
    }

    /// Heals everything and requires that a new command reaches every node.
    fn settle(&mut self) {
        self.calm = true;
        self.cut.clear();
        for node in 0..NODES {
            if self.nodes[node].host.is_none() {
                self.start(node);
            }
        }
        let (start, want) = (self.now, self.next_tag);
        let newest = |world: &World| world.applied.values().map(|(value, _)| *value).max();
        while newest(self) <= Some(want) || !self.is_level() {
            assert!(
                self.now < start + 200 * TICK,
                "no progress after the last fault"
            );
            self.run_one();
        }
        // Every command that was ever applied, and so every acknowledged one, is in the state that all agree on.
        let values = self.applied.values().map(|(value, _)| *value);
        let sum = values.fold(0u64, |sum, value| sum.wrapping_mul(31).wrapping_add(value));
        assert_eq!(
            self.applied.last_key_value().map(|(_, (_, sum))| *sum),
            Some(sum),
            "a command was lost"
        );
    }

    /// Whether all nodes have applied the newest command.
    fn is_level(&self) -> bool {
        let newest = self
            .applied
            .last_key_value()
            .map(|(index, (_, sum))| (*index, *sum));
        let states = self
            .nodes
            .iter()
            .map(|node| node.host.as_ref().unwrap().machine());
        states
            .into_iter()
            .all(|state| Some((state.index, state.sum)) == newest)
    }
}

fn run(seed: u64, events: u32) -> World {
    let mut world = World::new(seed);
    (0..events).for_each(|_| world.run_one());
    world.settle();
    world
}

// I1, I2: nothing acknowledged is lost, and nodes are equal at equal applied index.
#[test]
fn a_cluster_survives_seeded_schedules() {
    let mut total = Counts::default();
    for seed in 0..100 {
        eprintln!("seed {seed}");
        let counts = run(seed, 3000).counts;
        total.leaders += counts.leaders;
        total.crashes += counts.crashes;
        total.acknowledged += counts.acknowledged;
        total.restored += counts.restored;
        total.installed += counts.installed;
    }
    let enough = total.leaders > 300 && total.crashes > 300 && total.acknowledged > 3000;
    assert!(
        enough && total.restored > 100 && total.installed > 20,
        "the schedules do too little: {total:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(run(7, 3000).trace, run(7, 3000).trace);
    assert_ne!(run(7, 3000).trace, run(8, 3000).trace);
}
