//! Orders to workers, derived from the cluster alone: idempotent, and they carry the attempt.

use super::Action;
use crate::cluster::{Cluster, Wish};
use crate::id::{Attempt, Place, TrialId, WorkerId};
use crate::order::{Order, Running, StartOrder};

/// The order that starts an attempt on its place; none if it is not current any more.
pub(super) fn start(cluster: &Cluster, place: Place, id: TrialId, attempt: Attempt) -> Vec<Action> {
    let order = cluster.sweep(id.sweep).and_then(|sweep| {
        let trial = sweep.live_trial(id.number)?;
        trial.is_current(attempt).then(|| StartOrder {
            trial: id,
            label: sweep.label_of(id.number),
            attempt,
            slot: place.slot,
            spec: sweep.spec_text.to_string(),
            parameters: trial.parameters.clone(),
            until: trial.until,
            from: trial.last_checkpoint().cloned(),
            dataset: sweep.dataset,
        })
    });
    order
        .map(|order| Action::Order {
            worker: place.worker,
            order: Order::Start(Box::new(order)),
        })
        .into_iter()
        .collect()
}

/// Mends the difference between what a worker holds and what it should hold.
pub(super) fn reconcile(cluster: &Cluster, worker: WorkerId, running: &Running) -> Vec<Action> {
    let mut actions = Vec::new();
    if let Some(state) = cluster.worker(worker) {
        for (slot, occupant) in state.occupants() {
            let told = running
                .attempts
                .contains(&(occupant.trial, occupant.attempt));
            if !told {
                let place = Place { worker, slot };
                actions.extend(start(cluster, place, occupant.trial, occupant.attempt));
            }
            let wish = cluster
                .sweep(occupant.trial.sweep)
                .and_then(|s| s.live_trial(occupant.trial.number))
                .and_then(|t| t.wish.as_ref());
            if let Some(wish) = wish {
                actions.push(Action::Order {
                    worker,
                    order: Order::Stop {
                        trial: occupant.trial,
                        attempt: occupant.attempt,
                        save: matches!(wish, Wish::Yield | Wish::Converge { .. }),
                    },
                });
            }
        }
    }
    for (trial, attempt) in &running.attempts {
        let current = cluster
            .sweep(trial.sweep)
            .and_then(|s| s.live_trial(trial.number))
            .is_some_and(|t| t.is_current(*attempt) && t.place.is_some_and(|p| p.worker == worker));
        if !current {
            actions.push(Action::Order {
                worker,
                order: Order::Stop {
                    trial: *trial,
                    attempt: *attempt,
                    save: false,
                },
            });
        }
    }
    actions
}
