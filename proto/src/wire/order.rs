//! Orders, and what a worker says of itself.

use bonfire_domain::order::{Order, Preparing, Running, SlotFacts, StartOrder, WorkerFacts};
use bonfire_domain::{Slot, WorkerId};

use super::{
    CHUNKS_MAX, DETAIL_BYTES_MAX, LABELS_MAX, NAME_BYTES_MAX, RUNNING_MAX, SLOTS_MAX,
    SPEC_BYTES_MAX, WireError, assignment, assignment_map, count, digest, digest_bytes,
    digest_or_none, required, speaker, text, trial_attempt,
};
use crate::pb;
use pb::to_worker::Message;

impl From<Order> for Message {
    fn from(order: Order) -> Message {
        match order {
            Order::Start(order) => Message::Start((*order).into()),
            Order::Stop {
                trial,
                attempt,
                save,
            } => Message::Stop(pb::Stop {
                of: trial_attempt(trial, attempt),
                save,
            }),
            Order::Acknowledge { sequence } => Message::Acknowledge(sequence),
            Order::UploadAgain {
                trial,
                attempt,
                chunks,
            } => Message::UploadAgain(pb::UploadAgain {
                of: trial_attempt(trial, attempt),
                chunks: chunks.into_iter().map(digest_bytes).collect(),
            }),
            Order::Leave => Message::Leave(pb::Leave {}),
            Order::TakeBack { trial, attempt } => Message::TakeBack(pb::TrialAttempt {
                trial: Some(trial.into()),
                attempt: attempt.0,
            }),
        }
    }
}

impl From<StartOrder> for pb::Start {
    fn from(order: StartOrder) -> pb::Start {
        pb::Start {
            of: trial_attempt(order.trial, order.attempt),
            label: order.label,
            slot: u32::from(order.slot.0),
            spec_json: order.spec,
            parameters: assignment_map(order.parameters),
            until: order.until,
            from: order.from.map(Into::into),
            dataset: order.dataset.map(digest_bytes).unwrap_or_default(),
        }
    }
}

impl TryFrom<pb::Start> for StartOrder {
    type Error = WireError;
    fn try_from(m: pb::Start) -> Result<StartOrder, WireError> {
        let (trial, attempt) = speaker("start.of", m.of)?;
        let slot = u16::try_from(m.slot)
            .map_err(|_| WireError::new("start.slot", format!("{} is too large", m.slot)))?;
        Ok(StartOrder {
            trial,
            label: text("start.label", m.label, NAME_BYTES_MAX)?,
            attempt,
            slot: Slot(slot),
            spec: text("start.spec_json", m.spec_json, SPEC_BYTES_MAX)?,
            parameters: assignment("start.parameters", m.parameters)?,
            until: m.until,
            from: m.from.map(TryInto::try_into).transpose()?,
            dataset: digest_or_none("start.dataset", &m.dataset)?,
        })
    }
}

pub(super) fn stop(m: pb::Stop) -> Result<Order, WireError> {
    let (trial, attempt) = speaker("stop.of", m.of)?;
    Ok(Order::Stop {
        trial,
        attempt,
        save: m.save,
    })
}

pub(super) fn upload_again(m: pb::UploadAgain) -> Result<Order, WireError> {
    let (trial, attempt) = speaker("upload_again.of", m.of)?;
    count("upload_again.chunks", m.chunks.len(), CHUNKS_MAX)?;
    let chunks = m
        .chunks
        .iter()
        .map(|c| digest("upload_again.chunks", c))
        .collect::<Result<_, _>>()?;
    Ok(Order::UploadAgain {
        trial,
        attempt,
        chunks,
    })
}

impl From<WorkerFacts> for pb::WorkerFacts {
    fn from(facts: WorkerFacts) -> pb::WorkerFacts {
        pb::WorkerFacts {
            worker: facts.worker.0,
            name: facts.name,
            slots: facts
                .slots
                .into_iter()
                .map(|s| pb::SlotFacts { device: s.device })
                .collect(),
            labels: facts.labels,
            memory_bytes: facts.memory,
            version: facts.version,
            numerics: facts.numerics,
        }
    }
}

impl TryFrom<pb::WorkerFacts> for WorkerFacts {
    type Error = WireError;
    fn try_from(m: pb::WorkerFacts) -> Result<WorkerFacts, WireError> {
        count("worker.slots", m.slots.len(), SLOTS_MAX)?;
        count("worker.labels", m.labels.len(), LABELS_MAX)?;
        for (name, value) in &m.labels {
            count("worker.labels", name.len().max(value.len()), NAME_BYTES_MAX)?;
        }
        let slots = m.slots.into_iter().map(|s| {
            Ok(SlotFacts {
                device: text("worker.slots.device", s.device, NAME_BYTES_MAX)?,
            })
        });
        Ok(WorkerFacts {
            worker: WorkerId(m.worker),
            slots: slots.collect::<Result<_, WireError>>()?,
            name: text("worker.name", m.name, NAME_BYTES_MAX)?,
            labels: m.labels,
            memory: m.memory_bytes,
            version: text("worker.version", m.version, NAME_BYTES_MAX)?,
            numerics: text("worker.numerics", m.numerics, DETAIL_BYTES_MAX)?,
        })
    }
}

impl From<Running> for pb::Running {
    fn from(running: Running) -> pb::Running {
        pb::Running {
            attempts: running
                .attempts
                .into_iter()
                .filter_map(|(t, a)| trial_attempt(t, a))
                .collect(),
            leaving: running.leaving,
            facts_from: running.facts_from,
            replaces: running.replaces.map(|worker| worker.0),
            preparing: running.preparing.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::Running> for Running {
    type Error = WireError;
    fn try_from(m: pb::Running) -> Result<Running, WireError> {
        count("running.attempts", m.attempts.len(), RUNNING_MAX)?;
        count("running.preparing", m.preparing.len(), RUNNING_MAX)?;
        let attempts = m
            .attempts
            .into_iter()
            .map(|of| speaker("running.attempts", Some(of)));
        Ok(Running {
            attempts: attempts.collect::<Result<_, _>>()?,
            leaving: m.leaving,
            facts_from: m.facts_from,
            replaces: m.replaces.map(WorkerId),
            preparing: m
                .preparing
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<Preparing> for pb::Preparing {
    fn from(p: Preparing) -> pb::Preparing {
        pb::Preparing {
            of: trial_attempt(p.trial, p.attempt),
            rows: p.rows,
            total: p.total,
        }
    }
}

impl TryFrom<pb::Preparing> for Preparing {
    type Error = WireError;
    fn try_from(m: pb::Preparing) -> Result<Preparing, WireError> {
        let (trial, attempt) = speaker("preparing.of", m.of)?;
        Ok(Preparing {
            trial,
            attempt,
            rows: m.rows,
            total: m.total,
        })
    }
}

pub(super) fn running(field: &'static str, m: Option<pb::Running>) -> Result<Running, WireError> {
    required(field, m)?.try_into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bonfire_domain::search::Value;
    use bonfire_domain::{Attempt, Digest, SweepId, TrialId};

    use crate::wire::ToWorker;

    const TRIAL: TrialId = TrialId {
        sweep: SweepId(3),
        number: 17,
    };

    #[track_caller]
    fn check_round_trip(order: Order) {
        let message = pb::ToWorker::from(ToWorker::Order(order.clone()));
        assert_eq!(ToWorker::try_from(message).unwrap(), ToWorker::Order(order));
    }

    #[test]
    fn orders_survive_the_wire() {
        let attempt = Attempt(4);
        check_round_trip(Order::Stop {
            trial: TRIAL,
            attempt,
            save: true,
        });
        check_round_trip(Order::Acknowledge { sequence: 88 });
        check_round_trip(Order::UploadAgain {
            trial: TRIAL,
            attempt,
            chunks: vec![Digest([2; 32])],
        });
        check_round_trip(Order::Leave);
        check_round_trip(Order::TakeBack {
            trial: TRIAL,
            attempt: Attempt(2),
        });
        let parameters = [
            ("optimizer.lr".to_owned(), Value::Real(0.1)),
            ("a".to_owned(), Value::Int(-3)),
            ("b".to_owned(), Value::Bool(true)),
            ("c".to_owned(), Value::Text("sgd".into())),
        ];
        check_round_trip(Order::Start(Box::new(StartOrder {
            trial: TRIAL,
            label: "digits-k2f/17".into(),
            attempt,
            slot: Slot(2),
            spec: "{}".into(),
            parameters: parameters.into_iter().collect(),
            until: 9,
            from: None,
            dataset: Some(Digest([3; 32])),
        })));
    }

    #[test]
    fn a_worker_with_too_many_slots_is_refused() {
        let slots = vec![pb::SlotFacts::default(); SLOTS_MAX + 1];
        let error = WorkerFacts::try_from(pb::WorkerFacts {
            slots,
            ..Default::default()
        })
        .unwrap_err();
        assert_eq!(error.field, "worker.slots");
        let name = "x".repeat(NAME_BYTES_MAX + 1);
        let error = WorkerFacts::try_from(pb::WorkerFacts {
            name,
            ..Default::default()
        })
        .unwrap_err();
        assert_eq!(error.field, "worker.name");
    }
}
