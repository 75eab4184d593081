//! Who is there: streams, heartbeats, silence, and what workers say they run against what they should run.

use super::{Action, Leader, Pending, Time, orders};
use crate::cluster::Cluster;
use crate::command::{Admission, Command};
use crate::id::{Now, WorkerId};
use crate::order::{Fact, Order, Running, WorkerFacts};

/// What the leader knows of a worker's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    pub connected: bool,
    /// What it said of itself when it connected.
    pub facts: Option<WorkerFacts>,
    /// When it was last heard (in the future: its grace under a new leader).
    pub seen: Now,
    pub running: Running,
}

impl Contact {
    pub(super) fn absent(seen: Now) -> Contact {
        Contact {
            connected: false,
            facts: None,
            seen,
            running: Running::default(),
        }
    }
}

impl Leader {
    pub fn contact(&self, worker: WorkerId) -> Option<&Contact> {
        self.contacts.get(&worker)
    }

    pub(super) fn connected(
        &mut self,
        time: Time,
        cluster: &Cluster,
        facts: WorkerFacts,
        running: Running,
    ) -> Vec<Action> {
        let worker = facts.worker;
        let known = cluster.worker(worker).is_some_and(|w| w.facts == facts);
        let contact = Contact {
            connected: true,
            facts: Some(facts.clone()),
            seen: time.now,
            running: running.clone(),
        };
        self.contacts.insert(worker, contact);
        let mut actions = Vec::new();
        if let Some(dead) = running.replaces.filter(|id| self.is_gone(cluster, *id)) {
            actions.push(self.lose(time, dead));
        }
        if !known {
            actions.push(self.join(time, facts, running.facts_from));
        }
        actions.extend(self.heard(time, cluster, worker, running));
        actions.extend(self.work(time, cluster));
        actions
    }

    /// A heartbeat: mends lost orders, stops what is fenced, lets a drained worker go.
    pub(super) fn heard(
        &mut self,
        time: Time,
        cluster: &Cluster,
        worker: WorkerId,
        running: Running,
    ) -> Vec<Action> {
        let Some(contact) = self.contacts.get_mut(&worker) else {
            return vec![];
        };
        contact.seen = time.now;
        contact.running = running.clone();
        let lost = cluster.worker(worker).is_none();
        let asked = self.pending.values().any(|p| p.worker == Some(worker));
        let facts = self.contacts.get(&worker).and_then(|c| c.facts.clone());
        if let Some(facts) = facts.filter(|_| lost && !asked && !running.leaving) {
            // It was thought lost and speaks again: it is a worker like a new one.
            return vec![self.join(time, facts, running.facts_from)];
        }
        let mut actions = orders::reconcile(cluster, worker, &running);
        if running.leaving {
            actions.extend(self.let_go(time, cluster, worker, &running));
        }
        actions
    }

    fn join(&mut self, time: Time, facts: WorkerFacts, facts_from: u64) -> Action {
        let pending = Pending {
            worker: Some(facts.worker),
            ..Pending::default()
        };
        let command = Command::Join {
            facts,
            facts_from,
            at: time.wall,
        };
        self.propose(vec![command], pending)
    }

    fn let_go(
        &mut self,
        time: Time,
        cluster: &Cluster,
        worker: WorkerId,
        running: &Running,
    ) -> Vec<Action> {
        let Some(state) = cluster.worker(worker) else {
            return vec![Action::Order {
                worker,
                order: Order::Leave,
            }];
        };
        let busy = !running.attempts.is_empty() || state.occupants().next().is_some();
        let asked = self.pending.values().any(|p| p.worker == Some(worker));
        match state.admission {
            _ if asked => vec![],
            Admission::Draining if !busy => vec![Action::Order {
                worker,
                order: Order::Leave,
            }],
            Admission::Draining => vec![],
            _ => {
                let command = Command::Admit {
                    worker,
                    admission: Admission::Draining,
                    at: time.wall,
                };
                let pending = Pending {
                    worker: Some(worker),
                    ..Pending::default()
                };
                vec![self.propose(vec![command], pending)]
            }
        }
    }

    /// A known worker that is not connected and not being lost already. One that is connected is alive, whoever says it is not.
    fn is_gone(&self, cluster: &Cluster, worker: WorkerId) -> bool {
        let connected = self.contacts.get(&worker).is_some_and(|c| c.connected);
        let asked = self.pending.values().any(|p| p.worker == Some(worker));
        cluster.worker(worker).is_some() && !connected && !asked
    }

    pub(super) fn disconnected(&mut self, time: Time, worker: WorkerId) -> Vec<Action> {
        let Some(contact) = self.contacts.get_mut(&worker) else {
            return vec![];
        };
        contact.connected = false;
        if contact.running.leaving && contact.running.attempts.is_empty() {
            return vec![self.lose(time, worker)];
        }
        vec![]
    }

    /// Loses workers that are gone or silent for too long.
    pub(super) fn expired(&mut self, time: Time, cluster: &Cluster) -> Vec<Action> {
        let mut gone = Vec::new();
        for worker in cluster.workers() {
            let id = worker.id();
            let asked = self.pending.values().any(|p| p.worker == Some(id));
            let contact = self
                .contacts
                .entry(id)
                .or_insert_with(|| Contact::absent(time.now));
            let limit = if contact.connected {
                self.config.silent_ms_max
            } else {
                self.config.reconnect_ms_max
            };
            if time.now.since(contact.seen) >= limit && !asked {
                gone.push(id);
            }
        }
        gone.into_iter().map(|id| self.lose(time, id)).collect()
    }

    pub(super) fn lose(&mut self, time: Time, worker: WorkerId) -> Action {
        let pending = Pending {
            worker: Some(worker),
            ..Pending::default()
        };
        let command = Command::Lose {
            worker,
            at: time.wall,
        };
        self.propose(vec![command], pending)
    }

    /// Facts go into the log as they came, all of one message in one entry.
    pub(super) fn facts(
        &mut self,
        time: Time,
        cluster: &Cluster,
        worker: WorkerId,
        facts: Vec<(u64, Fact)>,
    ) -> Vec<Action> {
        if let Some(contact) = self.contacts.get_mut(&worker) {
            contact.seen = time.now;
        }
        let mut pending = Pending::default();
        let mut commands = Vec::with_capacity(facts.len());
        for (sequence, fact) in facts {
            if let Fact::Ended { trial, attempt, .. } = &fact
                && let Some(sweep) = cluster.sweep(trial.sweep)
                && let Some(known) = sweep.live_trial(trial.number)
                && known.is_current(*attempt)
                && let Some(place) = known.place
            {
                pending.ends.push((*trial, place));
            }
            commands.push(Command::Report {
                worker,
                sequence,
                fact,
                at: time.wall,
            });
        }
        if commands.is_empty() {
            return vec![];
        }
        let mut actions = vec![self.propose(commands, pending)];
        // What ends makes room: the next start can go into the log right behind it.
        actions.extend(self.work(time, cluster));
        actions
    }
}
