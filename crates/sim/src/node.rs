//! A simulated coordinator node: the real host, leader and suggester, over a log in memory.

use std::sync::Arc;

use bonfire_consensus::{
    Batch, Host, HostConfig, Input as LogInput, LogStore, MemoryLog, Output, Role,
};
use bonfire_domain::effect::Effect;
use bonfire_domain::leader::{Action, Input, Time};
use bonfire_domain::{Cluster, Leader, LeaderConfig, LogIndex, Suggester, command};

use crate::machine::ClusterMachine;

/// What a node wants from the world.
#[derive(Debug)]
pub enum Want {
    /// Sync the log and answer.
    Sync {
        batch: u64,
    },
    Act(Action),
    /// A client's command was applied.
    Answered {
        tag: u64,
        effects: Vec<Effect>,
    },
    Fatal(String),
}

/// Tags of clients' commands have this bit; the leader's have not.
pub const CLIENT_TAG: u64 = 1 << 63;

/// A running node. Its disk is the world's.
pub struct Node {
    host: Host<ClusterMachine>,
    leader: Option<Leader>,
    pub suggester: Suggester,
}

impl Node {
    /// Starts from what is on the disk.
    pub fn open(
        time: Time,
        log: &mut MemoryLog,
        seed: u64,
        snapshot_log_bytes: u64,
        forget_tail: bool,
    ) -> Result<(Node, Vec<Want>), String> {
        let mut config = HostConfig::new(1, vec![1], seed);
        config.snapshot_log_bytes = snapshot_log_bytes;
        config.kept_log_bytes = snapshot_log_bytes / 2;
        if forget_tail {
            // A planted mistake: what lies behind the snapshot is not read back.
            *log = MemoryLog::new();
        }
        let recovered = log.recover().map_err(|e| e.to_string())?;
        let (host, outputs) =
            Host::open(config, recovered, ClusterMachine::default()).map_err(|e| e.to_string())?;
        let mut node = Node {
            host,
            leader: None,
            suggester: Suggester::new(),
        };
        let mut turn = Turn::default();
        for output in outputs {
            node.output(time, log, output, &mut turn);
        }
        let inputs = std::mem::take(&mut turn.inputs);
        turn.wants.extend(node.settle(time, log, inputs));
        Ok((node, turn.wants))
    }

    pub fn cluster(&self) -> &Cluster {
        &self.host.machine().cluster
    }

    pub fn shared(&self) -> Arc<Cluster> {
        Arc::clone(&self.host.machine().cluster)
    }

    /// Inputs of the consensus host; what follows from them is done in order before this returns.
    pub fn log(&mut self, time: Time, log: &mut MemoryLog, input: LogInput) -> Vec<Want> {
        self.settle(time, log, vec![input])
    }

    /// A client's command.
    pub fn client(
        &mut self,
        time: Time,
        log: &mut MemoryLog,
        tag: u64,
        command: command::Command,
    ) -> Vec<Want> {
        let data = command::encode(&[command]);
        let tag = tag | CLIENT_TAG;
        self.settle(time, log, vec![LogInput::Propose { tag, data }])
    }

    /// One input of the leader.
    pub fn lead(&mut self, time: Time, log: &mut MemoryLog, input: Input) -> Vec<Want> {
        let mut turn = Turn::default();
        self.step_leader(time, input, &mut turn);
        let inputs = std::mem::take(&mut turn.inputs);
        turn.wants.extend(self.settle(time, log, inputs));
        turn.wants
    }

    fn settle(&mut self, time: Time, log: &mut MemoryLog, inputs: Vec<LogInput>) -> Vec<Want> {
        let mut turn = Turn {
            inputs,
            wants: Vec::new(),
        };
        while !turn.inputs.is_empty() {
            let outputs = self.host.step_many(std::mem::take(&mut turn.inputs));
            for output in outputs {
                self.output(time, log, output, &mut turn);
            }
        }
        turn.wants
    }

    fn step_leader(&mut self, time: Time, input: Input, turn: &mut Turn) {
        let cluster = self.shared();
        if let Some(leader) = self.leader.as_mut() {
            let actions = leader.step(time, &cluster, input);
            turn.act(actions);
        }
    }

    fn output(&mut self, time: Time, log: &mut MemoryLog, output: Output<Effect>, turn: &mut Turn) {
        match output {
            Output::Persist(batch) => turn.wants.push(write(log, &batch)),
            Output::Applied {
                index,
                tag,
                effects,
            } => self.applied(time, index, tag, effects, turn),
            Output::Refused { tag, .. } if tag & CLIENT_TAG == 0 => {
                self.step_leader(time, Input::Dropped { tag }, turn);
            }
            Output::Refused { .. } | Output::Send { .. } => {}
            Output::Role(Role::Leader { .. }) => {
                let cluster = self.shared();
                self.suggester.rebuild(&cluster);
                let (leader, actions) = Leader::new(time, LeaderConfig::default(), &cluster);
                self.leader = Some(leader);
                turn.act(actions);
            }
            Output::Role(Role::Follower { .. }) => self.leader = None,
            Output::Encode { index, capture } => {
                let bytes = capture();
                turn.inputs.push(LogInput::SnapshotEncoded { index, bytes });
            }
            Output::StoreSnapshot(file) => {
                let index = file.index();
                match log.store_snapshot(&file).and_then(|()| log.compact(index)) {
                    Ok(()) => turn.inputs.push(LogInput::SnapshotStored { index }),
                    Err(e) => turn.wants.push(Want::Fatal(e.to_string())),
                }
            }
            Output::Fatal { reason } => turn.wants.push(Want::Fatal(reason)),
        }
    }

    fn applied(
        &mut self,
        time: Time,
        index: u64,
        tag: Option<u64>,
        effects: Vec<Effect>,
        turn: &mut Turn,
    ) {
        for effect in &effects {
            match effect {
                Effect::SweepCreated { sweep } => {
                    let cluster = self.shared();
                    if let Some(known) = cluster.sweep(*sweep) {
                        self.suggester
                            .add_sweep(*sweep, &known.spec, known.sources());
                    }
                }
                Effect::SweepEnded { sweep } => self.suggester.remove_sweep(*sweep),
                Effect::Learned { sweep, event } => {
                    self.suggester.learn(*sweep, LogIndex(index), event);
                }
                _ => {}
            }
        }
        let own = tag.filter(|t| t & CLIENT_TAG == 0);
        if let Some(tag) = tag.filter(|t| t & CLIENT_TAG != 0) {
            turn.wants.push(Want::Answered {
                tag: tag & !CLIENT_TAG,
                effects: effects.clone(),
            });
        }
        self.step_leader(time, Input::Applied { tag: own, effects }, turn);
    }
}

/// What one turn has gathered: inputs for the host, wishes for the world.
#[derive(Default)]
struct Turn {
    inputs: Vec<LogInput>,
    wants: Vec<Want>,
}

impl Turn {
    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Propose { tag, commands } => self.inputs.push(LogInput::Propose {
                    tag,
                    data: command::encode(&commands),
                }),
                other => self.wants.push(Want::Act(other)),
            }
        }
    }
}

fn write(log: &mut MemoryLog, batch: &Batch) -> Want {
    log.write(batch);
    Want::Sync {
        batch: batch.number(),
    }
}
