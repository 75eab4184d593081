//! The network: connections that open and break, messages that are late, lost or doubled.

use bonfire_domain::leader::Input;
use bonfire_domain::order::{Fact, Order};
use bonfire_domain::session::SessionInput;
use bonfire_domain::{Digest, WorkerId};

use super::{Event, FromWorker, World};
use crate::scenario::PlantedBug;

impl World<'_> {
    pub(super) fn connect(&mut self, at: usize, id: WorkerId) -> Result<(), String> {
        if self.workers[at].id != id || self.workers[at].connection.is_some() {
            return Ok(());
        }
        if self.node.is_none() {
            let after = 100 + self.draw(400);
            self.queue.after(after, Event::Connect { at, worker: id });
            return Ok(());
        }
        self.next_connection += 1;
        self.workers[at].connection = Some(self.next_connection);
        self.connections.insert(self.next_connection, at);
        let running = self.workers[at].session.running();
        // The hello opens the stream: it cannot be lost without the stream.
        let connection = self.next_connection;
        let message = FromWorker::Hello(running);
        self.queue.after(
            1,
            Event::ToNode {
                at,
                connection,
                message,
            },
        );
        self.session(at, SessionInput::Connected)
    }

    /// Ends a connection; the worker comes back by itself.
    pub(super) fn close(&mut self, connection: u64) {
        let Some(at) = self.connections.remove(&connection) else {
            return;
        };
        let worker = self.workers[at].id;
        if self.workers[at].connection == Some(connection) {
            self.workers[at].connection = None;
            let now = self.time().now;
            self.workers[at]
                .session
                .step(now, SessionInput::Disconnected);
            let after = 50 + self.draw(500);
            self.queue.after(after, Event::Connect { at, worker });
        }
    }

    pub(super) fn break_connection(&mut self, connection: u64) -> Result<(), String> {
        let at = self.connections.get(&connection).copied();
        self.close(connection);
        match at {
            Some(at) => self.lead(Input::Disconnected {
                worker: self.workers[at].id,
            }),
            None => Ok(()),
        }
    }

    pub(super) fn arrive_at_node(
        &mut self,
        at: usize,
        connection: u64,
        message: FromWorker,
    ) -> Result<(), String> {
        if self.connections.get(&connection) != Some(&at) {
            return Ok(());
        }
        let worker = self.workers[at].id;
        match message {
            FromWorker::Hello(running) => {
                let facts = self.workers[at].facts();
                self.lead(Input::Connected { facts, running })
            }
            FromWorker::Heartbeat(running) => self.lead(Input::Heartbeat { worker, running }),
            FromWorker::Facts(facts) => {
                let facts = self.with_blobs_present(worker, facts);
                if self.has_bug(PlantedBug::AcknowledgesFactsEarly) {
                    for (sequence, _) in &facts {
                        let sequence = *sequence;
                        self.send_order(worker, Order::Acknowledge { sequence });
                    }
                }
                self.lead(Input::Facts { worker, facts })
            }
        }
    }

    /// Only a checkpoint whose blobs are there can be published: others are sent back to be uploaded again.
    pub(super) fn with_blobs_present(
        &mut self,
        worker: WorkerId,
        facts: Vec<(u64, Fact)>,
    ) -> Vec<(u64, Fact)> {
        if self.has_bug(PlantedBug::PublishesUnseen) {
            return facts;
        }
        let mut kept = Vec::new();
        for (sequence, fact) in facts {
            if let Fact::Checkpointed {
                trial,
                attempt,
                checkpoint,
            } = &fact
            {
                let missing: Vec<Digest> = checkpoint
                    .chunks
                    .iter()
                    .map(|c| c.digest)
                    .filter(|d| !self.store.contains(d))
                    .collect();
                if !missing.is_empty() {
                    let order = Order::UploadAgain {
                        trial: *trial,
                        attempt: *attempt,
                        chunks: missing,
                    };
                    self.send_order(worker, order);
                    // What follows waits for it: facts are taken in order.
                    return kept;
                }
            }
            kept.push((sequence, fact));
        }
        kept
    }

    pub(super) fn send_order(&mut self, worker: WorkerId, order: Order) {
        let Some(at) = self.workers.iter().position(|w| w.id == worker) else {
            return;
        };
        let Some(connection) = self.workers[at].connection else {
            return;
        };
        self.transmit(
            |order| Event::ToWorker {
                at,
                connection,
                order,
            },
            order,
        );
    }

    /// Sends with delay; now and then it is lost or doubled.
    pub(super) fn transmit<M: Clone>(&mut self, event: impl Fn(M) -> Event, message: M) {
        let faults = self.scenario.faults;
        if self.chance(faults.lost_permille) {
            self.report.messages_lost += 1;
            return;
        }
        if self.chance(faults.doubled_permille) {
            let after = 1 + self.draw(faults.delay_ms_max + 1);
            self.queue.after(after, event(message.clone()));
        }
        let after = 1 + self.draw(faults.delay_ms_max + 1);
        self.queue.after(after, event(message));
    }
}
