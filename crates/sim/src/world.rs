//! The world around the machines: the network, the disks, the processes, and the weather.

mod clients;
mod network;
mod node_side;
mod workers;

use std::collections::{BTreeMap, BTreeSet};

use bonfire_consensus::{Input as LogInput, MemoryLog};
use bonfire_domain::command::SweepAction;
use bonfire_domain::leader::{Action, Input, Time};
use bonfire_domain::order::{Fact, Order, Running};
use bonfire_domain::session::{ExecutorEvent, SessionInput};
use bonfire_domain::{Digest, Now, Slot, WallMs, WorkerId, invariant, spec};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::check;
use crate::node::Node;
use crate::queue::Queue;
use crate::scenario::{PlantedBug, Scenario};
use crate::worker::Worker;

/// What went wrong, when, and with which seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub seed: u64,
    pub at_ms: u64,
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {} at {} ms: {}", self.seed, self.at_ms, self.what)
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub ended_ms: u64,
    pub events: u64,
    pub node_crashes: u32,
    pub worker_crashes: u32,
    pub executor_kills: u32,
    pub messages_lost: u32,
    pub attempts: u32,
    pub trials: u32,
    /// Of them.
    pub forks: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum FromWorker {
    Hello(Running),
    Heartbeat(Running),
    Facts(Vec<(u64, Fact)>),
}

#[derive(Debug)]
pub(crate) enum Event {
    Tick,
    Weather,
    CheckAll,
    StartNode,
    Synced {
        life: u64,
        batch: u64,
    },
    Suggest {
        life: u64,
        action: Action,
    },
    DeleteBlobs {
        life: u64,
        chunks: Vec<Digest>,
    },
    Submit {
        spec: usize,
    },
    Control {
        action: SweepAction,
    },
    StartWorker {
        at: usize,
    },
    Connect {
        at: usize,
        worker: WorkerId,
    },
    ToNode {
        at: usize,
        connection: u64,
        message: FromWorker,
    },
    ToWorker {
        at: usize,
        connection: u64,
        order: Order,
    },
    Ready {
        at: usize,
        worker: WorkerId,
        slot: Slot,
    },
    Epoch {
        at: usize,
        slot: Slot,
        life: u64,
    },
    Upload {
        at: usize,
        worker: WorkerId,
        slot: Slot,
        event: Box<ExecutorEvent>,
    },
}

pub(crate) struct World<'a> {
    pub scenario: &'a Scenario,
    pub queue: Queue<Event>,
    pub rng: ChaCha8Rng,
    pub log: MemoryLog,
    pub node: Option<Node>,
    pub node_life: u64,
    pub workers: Vec<Worker>,
    /// The worker behind each open connection.
    connections: BTreeMap<u64, usize>,
    next_connection: u64,
    next_worker: u64,
    next_life: u64,
    /// Blobs on the coordinator's disk.
    pub store: BTreeSet<Digest>,
    pub specs: Vec<spec::Spec>,
    /// Sweeps whose creation was acknowledged.
    pub acknowledged: BTreeSet<String>,
    pub report: Report,
}

/// Runs a scenario to its end.
///
/// # Errors
/// The first [`Violation`]: a broken invariant, a wrong result, or no end before the horizon.
pub fn run(scenario: &Scenario) -> Result<Report, Violation> {
    let mut world = World::new(scenario).map_err(|what| Violation {
        seed: scenario.seed,
        at_ms: 0,
        what,
    })?;
    let outcome = world.run();
    outcome.map_err(|what| Violation {
        seed: scenario.seed,
        at_ms: world.queue.now(),
        what,
    })
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Result<World<'a>, String> {
        let specs: Result<Vec<_>, String> = scenario
            .specs
            .iter()
            .map(|text| {
                spec::check(text.as_bytes(), &[]).map_err(|problems| format!("{problems:?}"))
            })
            .collect();
        let mut world = World {
            scenario,
            queue: Queue::new(),
            rng: ChaCha8Rng::seed_from_u64(scenario.seed),
            log: MemoryLog::new(),
            node: None,
            node_life: 0,
            workers: Vec::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            next_worker: 0,
            next_life: 0,
            store: BTreeSet::new(),
            specs: specs?,
            acknowledged: BTreeSet::new(),
            report: Report::default(),
        };
        world.queue.after(0, Event::StartNode);
        for at in 0..scenario.workers as usize {
            let worker = world.new_worker();
            world.workers.push(worker);
            world.queue.after(5, Event::StartWorker { at });
        }
        for spec in 0..scenario.specs.len() {
            world.queue.after(10, Event::Submit { spec });
        }
        if scenario.pause {
            let pause = SweepAction::Pause;
            world.queue.after(2_000, Event::Control { action: pause });
            let resume = SweepAction::Resume;
            world.queue.after(6_000, Event::Control { action: resume });
        }
        world.queue.after(100, Event::Tick);
        world.queue.after(1_000, Event::Weather);
        world.queue.after(1_000, Event::CheckAll);
        Ok(world)
    }

    fn run(&mut self) -> Result<Report, String> {
        while let Some(event) = self.queue.pop() {
            self.report.events += 1;
            self.report.ended_ms = self.queue.now();
            self.happen(event)?;
            if self.queue.now() > self.scenario.horizon_ms {
                return Err(format!("I13: no end; {}", check::standing(self)));
            }
            if check::is_over(self) {
                check::at_rest(self)?;
                return Ok(self.report.clone());
            }
        }
        Err("nothing happens any more".to_owned())
    }

    /// The clocks. In every other run the wall clock jumps an hour back or forth every few seconds (I15).
    pub fn time(&self) -> Time {
        const HOUR_MS: u64 = 3_600_000;
        let now = self.queue.now();
        let jump = if self.scenario.seed % 2 == 1 {
            (now / 7_000).wrapping_mul(self.scenario.seed) % 3 * HOUR_MS
        } else {
            HOUR_MS
        };
        Time {
            now: Now(now),
            wall: WallMs(1_700_000_000_000 + now + jump),
        }
    }

    pub fn has_bug(&self, bug: PlantedBug) -> bool {
        self.scenario.bug == Some(bug)
    }

    fn draw(&mut self, below: u64) -> u64 {
        if below == 0 {
            0
        } else {
            self.rng.next_u64() % below
        }
    }

    fn chance(&mut self, permille: u32) -> bool {
        let rough = self.queue.now() < self.scenario.faults.until_ms;
        rough && self.draw(1_000) < u64::from(permille)
    }

    fn new_worker(&mut self) -> Worker {
        self.next_worker += 1;
        Worker::start(WorkerId(self.next_worker), self.scenario.slots)
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Tick => {
                self.queue.after(100, Event::Tick);
                self.log_input(LogInput::Tick)?;
                self.lead(Input::Tick)?;
                for at in 0..self.workers.len() {
                    self.session(at, SessionInput::Tick)?;
                }
            }
            Event::Weather => {
                self.queue.after(1_000, Event::Weather);
                self.weather()?;
            }
            Event::CheckAll => {
                self.queue.after(1_000, Event::CheckAll);
                check::midway(self)?;
            }
            Event::StartNode => self.start_node()?,
            Event::Synced { life, batch } if life == self.node_life => {
                self.log.sync();
                self.log_input(LogInput::Persisted { batch })?;
            }
            Event::Suggest { life, action } if life == self.node_life => self.suggest(action)?,
            Event::DeleteBlobs { life, chunks } if life == self.node_life => {
                for chunk in &chunks {
                    self.store.remove(chunk);
                }
                self.lead(Input::BlobsDeleted { chunks })?;
            }
            Event::Submit { spec } => self.submit(spec)?,
            Event::Control { action } => self.control(action)?,
            Event::StartWorker { at } => {
                let worker = self.workers[at].id;
                for slot in 0..self.scenario.slots {
                    let slot = Slot(slot);
                    self.queue.after(20, Event::Ready { at, worker, slot });
                }
                self.queue.after(5, Event::Connect { at, worker });
            }
            Event::Connect { at, worker } => self.connect(at, worker)?,
            Event::ToNode {
                at,
                connection,
                message,
            } => self.arrive_at_node(at, connection, message)?,
            Event::ToWorker {
                at,
                connection,
                order,
            } if self.workers[at].connection == Some(connection) => {
                self.session(at, SessionInput::Order(order))?;
            }
            Event::Ready { at, worker, slot } if self.workers[at].id == worker => {
                self.executor(at, slot, ExecutorEvent::Ready)?;
            }
            Event::Epoch { at, slot, life } => self.epoch(at, slot, life)?,
            Event::Upload {
                at,
                worker,
                slot,
                event,
            } if self.workers[at].id == worker => self.upload(at, slot, *event)?,
            _ => {}
        }
        Ok(())
    }

    fn weather(&mut self) -> Result<(), String> {
        let faults = self.scenario.faults;
        if self.node.is_some() && self.chance(faults.node_crash_permille) {
            self.crash_node();
        }
        for at in 0..self.workers.len() {
            if self.chance(faults.worker_crash_permille) {
                self.crash_worker(at)?;
            }
            if self.chance(faults.executor_kill_permille) {
                self.report.executor_kills += 1;
                let slot = Slot(self.draw(u64::from(self.scenario.slots)) as u16);
                self.kill_executor(at, slot)?;
            }
        }
        if self.chance(faults.break_permille) {
            let open: Vec<u64> = self.connections.keys().copied().collect();
            if !open.is_empty() {
                let at = self.draw(open.len() as u64) as usize;
                self.break_connection(open[at])?;
            }
        }
        Ok(())
    }

    /// The invariants of the whole replicated state.
    pub fn check_cluster(&self) -> Result<(), String> {
        match &self.node {
            Some(node) => invariant::check_all(node.cluster()).map_err(|b| b.to_string()),
            None => Ok(()),
        }
    }
}
