//! A fleet whose trials look their results up: the real cluster, leader, samplers and sessions on a virtual clock.
//!
//! Unlike the [world](crate::run) that hunts for mistakes, this one is quiet: messages and the log take no time, nothing is
//! lost or doubled, and the clock jumps from one event to the next, so that a sweep of thousands of trials takes seconds. What
//! takes virtual time is training, [`START_MS`] before each attempt, and workers that fail and come back. Not simulated:
//! bounds of an attempt other than `limits.time`, other askers of an external trial, and whatever trains with more than one member.

mod document;
mod trainer;
mod worker;

use std::collections::{BTreeMap, VecDeque};

use bonfire_domain::cluster::{Measured, TrialState};
use bonfire_domain::command::Command;
use bonfire_domain::effect::{Effect, Refusal};
use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::leader::{Action, Input, Time};
use bonfire_domain::order::Order;
use bonfire_domain::session::{ExecutorEvent, SessionAction, SessionInput};
use bonfire_domain::spec::Spec;
use bonfire_domain::{
    Cluster, Digest, Leader, LeaderConfig, LogIndex, Now, Slot, Suggester, SweepId, WallMs,
    WorkerId,
};
use bonfire_search::Goal;

use crate::queue::Queue;
use crate::table::{Column, Columns, Required, Table, TableProblem};
use trainer::Trainer;
use worker::Worker;

pub use document::{BestAt, SimDocument};

/// Milliseconds from a start order to the first step: what a warm executor takes.
pub const START_MS: u64 = 5;
/// Milliseconds until a worker that failed is back, as another process.
pub const RETURN_MS: u64 = 30_000;
/// The most workers of one fleet.
pub const WORKERS_MAX: u32 = 16_384;

/// The fleet that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetSetting {
    /// Of one slot each, from 1 to [`WORKERS_MAX`].
    pub workers: u32,
    /// Seed of the faults; the sampler's is in the spec.
    pub seed: u64,
    /// Mean milliseconds between two failures of a worker, exponentially distributed; none without.
    pub mtbf_ms: Option<u64>,
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetProgress {
    /// Trials that train no more, or wait at a rung.
    pub rested: u32,
    /// What `limit.trials` says.
    pub limit: Option<u32>,
    pub is_over: bool,
}

/// A simulation that cannot go on: a mistake of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    #[error("the fleet refused the sweep: {0}")]
    Refused(Refusal),
    #[error("nothing happens any more at {at_ms} ms, and the sweep has not ended")]
    Stuck { at_ms: u64 },
}

#[derive(Debug)]
enum Event {
    /// A run reaches the unit it goes to next.
    Reach {
        at: usize,
        life: u64,
    },
    /// A run has taken as long as an attempt may.
    Overrun {
        at: usize,
        life: u64,
    },
    Crash {
        at: usize,
    },
    Return {
        at: usize,
    },
    Tick,
}

/// See the module.
pub struct TableFleet {
    setting: FleetSetting,
    trainer: Trainer,
    /// Digest of the spec as it was given.
    spec_digest: Digest,
    config: LeaderConfig,
    queue: Queue<Event>,
    cluster: Cluster,
    index: u64,
    leader: Leader,
    suggester: Suggester,
    workers: Vec<Worker>,
    /// The living worker of each id.
    places: BTreeMap<WorkerId, usize>,
    next_worker: u64,
    next_life: u64,
    orders: VecDeque<(WorkerId, Order)>,
    inbox: VecDeque<Input>,
    sweep: Option<SweepId>,
    /// Why there is no sweep.
    refusal: Option<Refusal>,
    is_over: bool,
    goal: Goal,
    busy_ms: u64,
    workers_lost: u32,
    best_over_trials: Vec<Option<f64>>,
    best_over_time: Vec<BestAt>,
}

impl TableFleet {
    /// Checks the table against the spec's space and starts the fleet: every worker has joined, the sweep is submitted.
    ///
    /// # Errors
    /// Everything in the table that does not fit.
    pub fn new(
        spec: &Spec,
        columns: &[Column],
        names: &Columns,
        setting: FleetSetting,
    ) -> Result<TableFleet, Vec<TableProblem>> {
        let sampler = spec.sampler();
        let sampler = sampler.ok_or_else(|| vec![TableProblem::NoSearch])?;
        let search = spec.search.as_ref();
        if search.is_some_and(|search| search.scheduler.population().is_some()) {
            return Err(vec![TableProblem::Population]);
        }
        if spec.averages() && names.curve.is_none() {
            return Err(vec![TableProblem::NoInstances]);
        }
        let judged = spec.judged_metrics().into_iter();
        let required = judged.filter(|name| *name != spec.objective.metric);
        let required: Required = required.map(str::to_owned).collect();
        let table = Table::new(columns, names, &required, &sampler)?;
        let trainer = Trainer::new(spec, table, setting.mtbf_ms.is_some());
        let config = LeaderConfig {
            // Nobody sends heartbeats: a worker is there as long as its stream is open.
            silent_ms_max: u64::MAX,
            ..LeaderConfig::default()
        };
        let cluster = Cluster::new();
        let (leader, _) = Leader::new(Time::default(), config, &cluster);
        let mut fleet = TableFleet {
            setting,
            trainer,
            spec_digest: Digest::of(spec.canonical().as_bytes()),
            config,
            queue: Queue::new(),
            cluster,
            index: 0,
            leader,
            suggester: Suggester::new(),
            workers: Vec::new(),
            places: BTreeMap::new(),
            next_worker: 0,
            next_life: 0,
            orders: VecDeque::new(),
            inbox: VecDeque::new(),
            sweep: None,
            refusal: None,
            is_over: false,
            goal: spec.objective.goal,
            busy_ms: 0,
            workers_lost: 0,
            best_over_trials: Vec::new(),
            best_over_time: Vec::new(),
        };
        for at in 0..setting.workers.clamp(1, WORKERS_MAX) as usize {
            fleet.workers.push(Worker::new(setting.seed, at));
            fleet.join(at);
            fleet.settle();
        }
        fleet.submit();
        Ok(fleet)
    }

    /// Goes on by at most this many events.
    ///
    /// # Errors
    /// [`FleetError`]: it cannot go on.
    pub fn advance(&mut self, events: u32) -> Result<FleetProgress, FleetError> {
        if let Some(refusal) = self.refusal.take() {
            return Err(FleetError::Refused(refusal));
        }
        for _ in 0..events {
            if self.is_over {
                break;
            }
            let Some(event) = self.queue.pop() else {
                let at_ms = self.queue.now();
                return Err(FleetError::Stuck { at_ms });
            };
            self.happen(event);
            self.settle();
        }
        Ok(self.progress())
    }

    fn progress(&self) -> FleetProgress {
        let sweep = self.sweep.and_then(|id| self.cluster.sweep(id));
        let rested = sweep.map_or(0, |sweep| {
            sweep.next - sweep.count(TrialState::Running) - sweep.count(TrialState::Pending)
        });
        let search = sweep.and_then(|sweep| sweep.spec.search.as_ref());
        FleetProgress {
            rested,
            limit: search.and_then(|search| search.limit.trials),
            is_over: self.is_over,
        }
    }

    fn time(&self) -> Time {
        Time {
            now: Now(self.queue.now()),
            wall: WallMs(self.queue.now()),
        }
    }

    fn submit(&mut self) {
        let spec = self.trainer.spec();
        let command = Command::CreateSweep {
            request: 1,
            name: spec.name.clone(),
            spec: spec.canonical(),
            dataset: None,
            at: self.time().wall,
        };
        let limit = spec.search.as_ref().and_then(|search| search.limit.time);
        let effects = self.apply(vec![command]);
        self.inbox.push_back(Input::Applied { tag: None, effects });
        if let Some(limit) = limit {
            self.queue.after(limit.0, Event::Tick);
        }
        self.settle();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Reach { at, life } => self.reach(at, life),
            Event::Overrun { at, life } => self.overrun(at, life),
            Event::Crash { at } => self.crash(at),
            Event::Return { at } => self.join(at),
            Event::Tick => self.inbox.push_back(Input::Tick),
        }
    }

    /// Delivers orders and inputs until nobody has anything more to say at this moment.
    fn settle(&mut self) {
        loop {
            if let Some((worker, order)) = self.orders.pop_front() {
                if let Some(at) = self.places.get(&worker) {
                    self.session(*at, vec![SessionInput::Order(order)]);
                }
            } else if let Some(input) = self.inbox.pop_front() {
                for action in self.leader.step(self.time(), &self.cluster, input) {
                    self.act(action);
                }
            } else {
                return;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Propose { tag, commands } => {
                let effects = self.apply(commands);
                let tag = Some(tag);
                self.inbox.push_back(Input::Applied { tag, effects });
            }
            Action::Order { worker, order } => self.orders.push_back((worker, order)),
            Action::Suggest {
                sweep,
                first,
                count,
                seen,
            } => {
                let (parameters, exhausted) = self.suggester.suggest(sweep, first, count);
                self.inbox.push_back(Input::Suggested {
                    sweep,
                    first,
                    seen,
                    parameters,
                    exhausted,
                });
            }
            Action::DeleteBlobs { chunks } => {
                self.inbox.push_back(Input::BlobsDeleted { chunks });
            }
            // Nobody asks here: workers answer for external trials.
            Action::Answer { .. } => {}
        }
    }

    /// Appends one entry to the log.
    fn apply(&mut self, commands: Vec<Command>) -> Vec<Effect> {
        self.index += 1;
        let index = LogIndex(self.index);
        let mut effects = Vec::new();
        for command in commands {
            effects.extend(self.cluster.apply(index, command));
        }
        for effect in &effects {
            self.note(index, effect);
        }
        let best = self.sweep.and_then(|id| self.cluster.sweep(id)?.best);
        if let Some((value, _)) = best
            && self.best_over_time.last().is_none_or(|b| b.value != value)
        {
            let seconds = self.queue.now() as f64 / 1e3;
            self.best_over_time.push(BestAt { seconds, value });
        }
        effects
    }

    fn note(&mut self, index: LogIndex, effect: &Effect) {
        match effect {
            Effect::Refused(refusal) if self.sweep.is_none() => {
                self.refusal.get_or_insert(refusal.clone());
            }
            Effect::SweepCreated { sweep } => {
                self.sweep = Some(*sweep);
                if let Some(known) = self.cluster.sweep(*sweep) {
                    self.suggester
                        .add_sweep(*sweep, &known.spec, known.sources());
                }
            }
            Effect::SweepEnded { sweep } => {
                self.suggester.remove_sweep(*sweep);
                self.is_over = true;
            }
            Effect::Learned { sweep, event } => self.suggester.learn(*sweep, index, event),
            Effect::TrialEnded { trial } => {
                let value = self.cluster.trial(*trial).and_then(|t| t.value);
                let sweep = self.cluster.sweep(trial.sweep);
                let measured = sweep.and_then(|sweep| sweep.measured(trial.number));
                let breaks = measured.and_then(Measured::is_feasible) == Some(false);
                let value = value.filter(|_| !breaks);
                let best = self.best_over_trials.last().copied().flatten();
                let best = match (value, best) {
                    (Some(value), Some(best)) if !self.goal.better(value, best) => Some(best),
                    (value, best) => value.or(best),
                };
                self.best_over_trials.push(best);
            }
            Effect::TrialReady { tries, .. } if *tries > 0 => {
                // The leader waits this long before it starts the trial again.
                let doubled = self.config.backoff_ms << (tries - 1).min(16);
                let wait = doubled.min(self.config.backoff_ms_max);
                self.queue.after(wait, Event::Tick);
            }
            _ => {}
        }
    }

    /// Drives a worker's session until it asks for nothing more; its facts go to the leader in one message.
    fn session(&mut self, at: usize, inputs: Vec<SessionInput>) {
        let now = self.time().now;
        let mut inputs = VecDeque::from(inputs);
        let mut facts = Vec::new();
        while let Some(input) = inputs.pop_front() {
            for action in self.workers[at].session.step(now, input) {
                match action {
                    SessionAction::Send(new) => facts.extend(new),
                    SessionAction::Begin { order, .. } => {
                        self.next_life += 1;
                        let life = self.next_life;
                        let began_ms = now.0 + START_MS;
                        let limit = self.trainer.spec().limits.time;
                        let bounds = [
                            self.workers[at].fails_ms,
                            limit.map(|limit| now.0 + limit.0),
                        ];
                        let ends_ms = bounds.into_iter().flatten().min();
                        match self.trainer.begin(&order, life, began_ms, ends_ms) {
                            Ok(run) => {
                                self.queue.at(run.next_ms(), Event::Reach { at, life });
                                self.workers[at].run = Some(run);
                                if let Some(limit) = limit {
                                    self.queue.after(limit.0, Event::Overrun { at, life });
                                }
                            }
                            Err(event) => inputs.push_back(executor(event)),
                        }
                    }
                    SessionAction::End { trial, attempt, .. } => {
                        self.end_run(at);
                        inputs.push_back(executor(ExecutorEvent::Ended {
                            trial,
                            attempt,
                            end: AttemptEnd::Stopped,
                        }));
                    }
                    // Nothing is silent, stubborn, uploaded or asked to leave here.
                    SessionAction::Heartbeat(_)
                    | SessionAction::Kill { .. }
                    | SessionAction::UploadAgain { .. }
                    | SessionAction::Exit => {}
                }
            }
        }
        if !facts.is_empty() {
            let worker = self.workers[at].id;
            self.inbox.push_back(Input::Facts { worker, facts });
        }
    }

    fn reach(&mut self, at: usize, life: u64) {
        let wall = self.time().wall;
        let worker = &mut self.workers[at];
        let Some(run) = worker.run.as_mut().filter(|run| run.life == life) else {
            return;
        };
        let (events, goes_on) = self.trainer.reach(run, wall);
        if goes_on {
            self.queue.at(run.next_ms(), Event::Reach { at, life });
        } else {
            self.end_run(at);
        }
        self.session(at, events.into_iter().map(executor).collect());
    }

    fn overrun(&mut self, at: usize, life: u64) {
        let worker = &mut self.workers[at];
        let Some(run) = worker.run.as_ref().filter(|run| run.life == life) else {
            return;
        };
        let event = run.ended(Failure::TimeLimit);
        self.end_run(at);
        self.session(at, vec![executor(event)]);
    }

    /// Whatever ends a run, the time it took was time that its worker was busy.
    fn end_run(&mut self, at: usize) {
        if let Some(run) = self.workers[at].run.take() {
            self.busy_ms += self.queue.now().saturating_sub(run.began_ms);
        }
    }

    /// A worker starts, or comes back as another process.
    fn join(&mut self, at: usize) {
        self.next_worker += 1;
        let id = WorkerId(self.next_worker);
        let facts = self.workers[at].start(id, self.trainer.spec());
        self.places.insert(id, at);
        if let Some(mean_ms) = self.setting.mtbf_ms {
            let after = self.workers[at].draw_failure(mean_ms);
            self.workers[at].fails_ms = Some(self.queue.now().saturating_add(after));
            self.queue.after(after, Event::Crash { at });
        }
        let ready = executor(ExecutorEvent::Ready);
        self.session(at, vec![ready, SessionInput::Connected]);
        let running = self.workers[at].session.running();
        self.inbox.push_back(Input::Connected { facts, running });
    }

    /// The process and its machine are gone: the leader sees the stream end, waits for it, and gives the worker up.
    fn crash(&mut self, at: usize) {
        self.end_run(at);
        self.workers_lost += 1;
        let worker = self.workers[at].id;
        self.places.remove(&worker);
        self.inbox.push_back(Input::Disconnected { worker });
        self.queue.after(self.config.reconnect_ms_max, Event::Tick);
        self.queue.after(RETURN_MS, Event::Return { at });
    }
}

fn executor(event: ExecutorEvent) -> SessionInput {
    SessionInput::Executor {
        slot: Slot(0),
        event,
    }
}
