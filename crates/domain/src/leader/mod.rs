//! The leader's machine: heartbeats, timers, placement. Volatile; it never changes the cluster, it proposes.
//!
//! What it has proposed and not yet seen applied is kept in `pending`, so that its decisions see the cluster plus that. A new
//! leader starts from the cluster alone and derives every outstanding order again from what workers say they run.

mod asks;
mod early;
mod finish;
mod input;
mod liveness;
mod orders;
mod place;
mod why;

use std::collections::{BTreeMap, BTreeSet};

pub use asks::deadline;
pub use finish::{SweepDecision, decide_sweep};
pub use input::{Action, Answer, Input, Time};
pub use liveness::Contact;

use crate::cluster::{Cluster, Sweep};
use crate::command::Command;
use crate::effect::Effect;
use crate::id::{Attempt, Now, Place, SweepId, TrialId, WorkerId};
use crate::order::Order;

/// The leader's limits and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderConfig {
    /// A worker whose stream is open but silent for this long is lost.
    pub silent_ms_max: u64,
    /// A worker whose stream ended has this long to come back.
    pub reconnect_ms_max: u64,
    /// What workers get on top when a new leader starts.
    pub start_grace_ms: u64,
    /// The workers of the last leader are gone, and nobody waits for them.
    pub workers_gone: bool,
    /// The first wait before a failed or lost trial starts again; doubles to `backoff_ms_max`.
    pub backoff_ms: u64,
    pub backoff_ms_max: u64,
    /// Blobs condemned at once.
    pub condemn_max: usize,
    /// Trials asked of a sampler at once.
    pub suggest_max: u32,
    /// Askers of external trials that wait at once.
    pub asks_max: usize,
}

impl Default for LeaderConfig {
    fn default() -> LeaderConfig {
        LeaderConfig {
            silent_ms_max: 10_000,
            reconnect_ms_max: 5_000,
            start_grace_ms: 10_000,
            workers_gone: false,
            backoff_ms: 50,
            backoff_ms_max: 30_000,
            condemn_max: 256,
            suggest_max: 256,
            asks_max: 4_096,
        }
    }
}

/// What one proposal will do when it is applied.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pending {
    starts: Vec<(TrialId, Place)>,
    ends: Vec<(TrialId, Place)>,
    promotes: Vec<TrialId>,
    /// External trials and the requests they go to.
    gives: Vec<(TrialId, u64)>,
    creates: Option<SweepId>,
    /// Sweeps that this proposal finishes or stops.
    closes: Option<SweepId>,
    worker: Option<WorkerId>,
    condemns: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Leader {
    config: LeaderConfig,
    next_tag: u64,
    pending: BTreeMap<u64, Pending>,
    contacts: BTreeMap<WorkerId, Contact>,
    /// Sweeps whose sampler is at work.
    suggesting: BTreeSet<SweepId>,
    /// For each open sweep, whether its sampler looks at results.
    looking: BTreeMap<SweepId, bool>,
    /// When a trial that failed or was lost may start again.
    not_before: BTreeMap<TrialId, Now>,
    /// Blobs are being deleted.
    deleting: bool,
    /// Who waits for a trial of which external sweep, the first one first.
    asks: Vec<(SweepId, u64)>,
    /// Sweeps whose sampler was asked, at this number, only to hear whether it has more.
    probed: BTreeMap<SweepId, u32>,
    /// Attempts that were asked to give their place in a queue back, and when.
    taken_back: BTreeMap<(TrialId, Attempt), Now>,
}

impl Leader {
    /// Takes office: every worker has its time to come back, every outstanding order is derived again.
    pub fn new(time: Time, config: LeaderConfig, cluster: &Cluster) -> (Leader, Vec<Action>) {
        let mut leader = Leader {
            config,
            next_tag: 0,
            pending: BTreeMap::new(),
            contacts: BTreeMap::new(),
            suggesting: BTreeSet::new(),
            looking: BTreeMap::new(),
            not_before: BTreeMap::new(),
            deleting: false,
            asks: Vec::new(),
            probed: BTreeMap::new(),
            taken_back: BTreeMap::new(),
        };
        let grace = Now(time.now.0.saturating_add(config.start_grace_ms));
        for worker in cluster.workers() {
            leader.contacts.insert(worker.id(), Contact::absent(grace));
        }
        let mut actions = Vec::new();
        if config.workers_gone {
            let gone = cluster
                .workers()
                .map(|worker| leader.lose(time, worker.id()));
            actions.extend(gone);
        }
        actions.extend(leader.delete_condemned(cluster));
        actions.extend(leader.work(time, cluster));
        (leader, actions)
    }

    /// Advances the leader by one input. Never blocks, never reads a clock; same arguments, same answer.
    pub fn step(&mut self, time: Time, cluster: &Cluster, input: Input) -> Vec<Action> {
        match input {
            Input::Tick => {
                let mut actions = self.expired(time, cluster);
                actions.extend(self.sweep_limits(time, cluster));
                actions.extend(self.condemn_garbage(cluster));
                actions.extend(self.work(time, cluster));
                actions
            }
            Input::Connected { facts, running } => self.connected(time, cluster, facts, running),
            Input::Heartbeat { worker, running } => self.heard(time, cluster, worker, running),
            Input::Facts { worker, facts } => self.facts(time, cluster, worker, facts),
            Input::Disconnected { worker } => self.disconnected(time, worker),
            Input::Applied { tag, effects } => {
                if let Some(done) = tag.and_then(|t| self.pending.remove(&t))
                    && let Some(sweep) = done.creates
                {
                    self.suggesting.remove(&sweep);
                }
                let mut actions = Vec::new();
                for effect in effects {
                    actions.extend(self.applied(time, cluster, effect));
                }
                actions.extend(self.work(time, cluster));
                actions
            }
            Input::Dropped { tag } => {
                if let Some(sweep) = self.pending.remove(&tag).and_then(|p| p.creates) {
                    self.suggesting.remove(&sweep);
                }
                vec![]
            }
            Input::Suggested {
                sweep,
                first,
                seen,
                parameters,
                exhausted,
            } => {
                let known = cluster.sweep(sweep);
                let stale = known.is_none_or(|s| s.next != first || s.room() == 0);
                if stale {
                    self.suggesting.remove(&sweep);
                    return self.work(time, cluster);
                }
                if parameters.is_empty() && exhausted.is_none() {
                    // The sampler does not know the sweep yet: asked again with the next input, not at once.
                    self.suggesting.remove(&sweep);
                    return vec![];
                }
                if let Some(sweep) = known.filter(|s| s.spec.is_external()) {
                    return self.suggested_to_askers(time, sweep, seen, parameters, exhausted);
                }
                let command = Command::CreateTrials {
                    sweep,
                    first,
                    seen,
                    parameters,
                    exhausted,
                    at: time.wall,
                };
                vec![self.propose(
                    vec![command],
                    Pending {
                        creates: Some(sweep),
                        ..Pending::default()
                    },
                )]
            }
            Input::Asked { sweep, request } => self.asked(time, cluster, sweep, request),
            Input::Unasked { sweep, request } => {
                self.unasked(sweep, request);
                vec![]
            }
            Input::BlobsDeleted { chunks } => {
                self.deleting = false;
                vec![self.propose(vec![Command::Deleted { chunks }], Pending::default())]
            }
        }
    }

    fn propose(&mut self, commands: Vec<Command>, pending: Pending) -> Action {
        self.next_tag += 1;
        self.pending.insert(self.next_tag, pending);
        Action::Propose {
            tag: self.next_tag,
            commands,
        }
    }

    fn applied(&mut self, time: Time, cluster: &Cluster, effect: Effect) -> Vec<Action> {
        match effect {
            Effect::Start {
                place,
                trial,
                attempt,
            } => orders::start(cluster, place, trial, attempt),
            Effect::Stop {
                place,
                trial,
                attempt,
                save,
            } => vec![Action::Order {
                worker: place.worker,
                order: Order::Stop {
                    trial,
                    attempt,
                    save,
                },
            }],
            Effect::TrialReady { trial, tries } => {
                self.back_off(time, cluster, trial, tries);
                vec![]
            }
            Effect::TrialEnded { trial } => {
                self.not_before.remove(&trial);
                vec![]
            }
            Effect::Given {
                request,
                trial,
                attempt,
            } => self.given(request, trial, attempt),
            Effect::SweepEnded { sweep } => {
                self.probed.remove(&sweep);
                vec![]
            }
            Effect::FactTaken { worker, sequence } => vec![Action::Order {
                worker,
                order: Order::Acknowledge { sequence },
            }],
            Effect::UploadAgain {
                worker,
                trial,
                attempt,
                chunks,
            } => vec![Action::Order {
                worker,
                order: Order::UploadAgain {
                    trial,
                    attempt,
                    chunks,
                },
            }],
            Effect::Suspect { worker, reason } => {
                let admission = crate::command::Admission::Quarantined { reason };
                vec![self.propose(
                    vec![Command::Admit {
                        worker,
                        admission,
                        at: time.wall,
                    }],
                    Pending::default(),
                )]
            }
            Effect::WorkerLost { worker } => {
                let gone = |c: &Contact| !c.connected;
                if self.contacts.get(&worker).is_some_and(gone) {
                    self.contacts.remove(&worker);
                }
                vec![]
            }
            Effect::Condemned { chunks } if !chunks.is_empty() => {
                self.deleting = true;
                vec![Action::DeleteBlobs { chunks }]
            }
            _ => vec![],
        }
    }

    fn back_off(&mut self, time: Time, cluster: &Cluster, trial: TrialId, tries: u32) {
        let asked_for = |sweep: &Sweep| sweep.spec.is_external();
        if tries == 0 || cluster.sweep(trial.sweep).is_some_and(asked_for) {
            self.not_before.remove(&trial);
            return;
        }
        let doubled = self
            .config
            .backoff_ms
            .saturating_mul(1 << tries.saturating_sub(1).min(16));
        let wait = doubled.min(self.config.backoff_ms_max);
        self.not_before
            .insert(trial, Now(time.now.0.saturating_add(wait)));
    }

    fn condemn_garbage(&mut self, cluster: &Cluster) -> Vec<Action> {
        let waiting = self.deleting || self.pending.values().any(|p| p.condemns);
        let garbage = cluster.blobs().garbage();
        if waiting || garbage.is_empty() {
            return vec![];
        }
        let chunks = garbage
            .iter()
            .take(self.config.condemn_max)
            .copied()
            .collect();
        let pending = Pending {
            condemns: true,
            ..Pending::default()
        };
        vec![self.propose(vec![Command::Condemn { chunks }], pending)]
    }

    fn delete_condemned(&mut self, cluster: &Cluster) -> Vec<Action> {
        let chunks: Vec<_> = cluster.blobs().condemned().iter().copied().collect();
        if chunks.is_empty() {
            return vec![];
        }
        self.deleting = true;
        vec![Action::DeleteBlobs { chunks }]
    }
}
