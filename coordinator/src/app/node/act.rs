//! What the leader asks for is enqueued here, and never waited for.

use bonfire_consensus::Input as HostInput;
use bonfire_domain::command;
use bonfire_domain::leader::Action;
use bonfire_proto::ToWorker;

use super::{CLIENT, Turn};
use crate::app::Told;

impl Turn {
    /// Enqueues what the leader asks for.
    pub(super) fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Propose { tag, commands } => {
                    debug_assert_eq!(tag & CLIENT, 0, "the leader's tags stay below the clients'");
                    self.queued.push(HostInput::Propose {
                        tag,
                        data: command::encode(&commands),
                    });
                }
                Action::Order { worker, order } => {
                    let Some(stream) = self.streams.get(&worker) else {
                        continue;
                    };
                    match stream.orders.try_send(ToWorker::Order(order)) {
                        Ok(()) => self.metrics.orders.inc(),
                        // The worker's next heartbeat shows what it lacks.
                        Err(_) => self.metrics.orders_dropped.inc(),
                    };
                }
                Action::Suggest {
                    sweep,
                    first,
                    count,
                    seen,
                } => {
                    self.suggesters.suggest(sweep, first, count, seen);
                }
                Action::Answer {
                    sweep,
                    request,
                    answer,
                } => {
                    let cluster = self.host.machine().cluster();
                    self.asking.answer(cluster, (sweep, request), answer);
                }
                Action::DeleteBlobs { chunks } => {
                    let _ = self.told.send(Told::DeleteBlobs(chunks));
                }
            }
        }
    }
}
