//! The two directions of a worker's control stream.

use bonfire_domain::order::{Fact, Order, Running, WorkerFacts};

use super::{
    DETAIL_BYTES_MAX, FACTS_MAX, NAME_BYTES_MAX, WireError, count, order, required, speaker, text,
};
use crate::pb;

/// What a worker says on its control stream.
#[derive(Clone, Debug, PartialEq)]
pub enum FromWorker {
    /// The first message, and only the first.
    Hello {
        facts: WorkerFacts,
        running: Running,
    },
    Heartbeat(Running),
    /// Facts with their sequence numbers, ascending.
    Facts(Vec<(u64, Fact)>),
    /// The worker ends the stream on purpose: it is not lost.
    Goodbye,
}

/// What the coordinator says on a worker's control stream.
#[derive(Clone, Debug, PartialEq)]
pub enum ToWorker {
    /// The first message.
    Welcome(Welcome),
    Order(Order),
    /// The coordinator goes away: connect again, stop nothing.
    Farewell {
        reason: String,
    },
}

/// How the coordinator wants to be spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    pub version: String,
    /// Points in one report batch.
    pub report_points_max: u32,
    /// Encoded size of one report batch, in bytes.
    pub report_bytes_max: u64,
}

impl From<FromWorker> for pb::FromWorker {
    fn from(message: FromWorker) -> pb::FromWorker {
        use pb::from_worker::Message;
        pb::FromWorker {
            message: Some(match message {
                FromWorker::Hello { facts, running } => Message::Hello(pb::Hello {
                    facts: Some(facts.into()),
                    running: Some(running.into()),
                }),
                FromWorker::Heartbeat(running) => Message::Heartbeat(running.into()),
                FromWorker::Facts(facts) => Message::Facts(pb::Facts {
                    facts: facts.into_iter().map(Into::into).collect(),
                }),
                FromWorker::Goodbye => Message::Goodbye(pb::Goodbye {}),
            }),
        }
    }
}

impl TryFrom<pb::FromWorker> for FromWorker {
    type Error = WireError;
    fn try_from(m: pb::FromWorker) -> Result<FromWorker, WireError> {
        use pb::from_worker::Message;
        Ok(match required("message", m.message)? {
            Message::Hello(m) => FromWorker::Hello {
                facts: required("hello.facts", m.facts)?.try_into()?,
                running: order::running("hello.running", m.running)?,
            },
            Message::Heartbeat(m) => FromWorker::Heartbeat(m.try_into()?),
            Message::Facts(m) => FromWorker::Facts(facts(m)?),
            Message::Goodbye(_) => FromWorker::Goodbye,
        })
    }
}

fn facts(m: pb::Facts) -> Result<Vec<(u64, Fact)>, WireError> {
    count("facts", m.facts.len(), FACTS_MAX)?;
    let facts = m
        .facts
        .into_iter()
        .map(TryInto::try_into)
        .collect::<Result<Vec<(u64, Fact)>, _>>()?;
    if facts.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(WireError::new("facts.sequence", "does not rise"));
    }
    Ok(facts)
}

impl From<ToWorker> for pb::ToWorker {
    fn from(message: ToWorker) -> pb::ToWorker {
        use pb::to_worker::Message;
        pb::ToWorker {
            message: Some(match message {
                ToWorker::Welcome(w) => Message::Welcome(pb::Welcome {
                    version: w.version,
                    report_points_max: w.report_points_max,
                    report_bytes_max: w.report_bytes_max,
                }),
                ToWorker::Order(order) => order.into(),
                ToWorker::Farewell { reason } => Message::Farewell(pb::Farewell { reason }),
            }),
        }
    }
}

impl TryFrom<pb::ToWorker> for ToWorker {
    type Error = WireError;
    fn try_from(m: pb::ToWorker) -> Result<ToWorker, WireError> {
        use pb::to_worker::Message;
        Ok(match required("message", m.message)? {
            Message::Welcome(m) => ToWorker::Welcome(Welcome {
                version: text("welcome.version", m.version, NAME_BYTES_MAX)?,
                report_points_max: m.report_points_max,
                report_bytes_max: m.report_bytes_max,
            }),
            Message::Start(m) => ToWorker::Order(Order::Start(Box::new(m.try_into()?))),
            Message::Stop(m) => ToWorker::Order(order::stop(m)?),
            Message::Acknowledge(sequence) => ToWorker::Order(Order::Acknowledge { sequence }),
            Message::UploadAgain(m) => ToWorker::Order(order::upload_again(m)?),
            Message::Leave(_) => ToWorker::Order(Order::Leave),
            Message::TakeBack(m) => {
                let (trial, attempt) = speaker("take_back", Some(m))?;
                ToWorker::Order(Order::TakeBack { trial, attempt })
            }
            Message::Farewell(m) => ToWorker::Farewell {
                reason: text("farewell.reason", m.reason, DETAIL_BYTES_MAX)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bonfire_domain::order::{Preparing, SlotFacts};
    use bonfire_domain::{Attempt, SweepId, TrialId, WorkerId};

    #[track_caller]
    fn check_round_trip(message: FromWorker) {
        assert_eq!(
            FromWorker::try_from(pb::FromWorker::from(message.clone())).unwrap(),
            message
        );
    }

    #[test]
    fn what_a_worker_says_survives_the_wire() {
        let trial = TrialId {
            sweep: SweepId(1),
            number: 0,
        };
        let running = Running {
            attempts: vec![(trial, Attempt(1))],
            leaving: true,
            facts_from: 7,
            replaces: Some(WorkerId(3)),
            preparing: vec![Preparing {
                trial,
                attempt: Attempt(1),
                rows: 5,
                total: 9,
            }],
        };
        let facts = WorkerFacts {
            worker: WorkerId(u64::MAX),
            name: "host-1234".into(),
            slots: vec![SlotFacts {
                device: "cpu".into(),
            }],
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            memory: 1 << 40,
            version: "0.1.0".into(),
            numerics: "x".into(),
        };
        check_round_trip(FromWorker::Hello {
            facts,
            running: running.clone(),
        });
        check_round_trip(FromWorker::Heartbeat(running));
        check_round_trip(FromWorker::Goodbye);
    }

    #[test]
    fn facts_out_of_order_are_refused() {
        let fact = |sequence| {
            let fact = Fact::Ended {
                trial: TrialId {
                    sweep: SweepId(1),
                    number: 0,
                },
                attempt: Attempt(1),
                end: bonfire_domain::fault::AttemptEnd::Reached,
            };
            (sequence, fact)
        };
        let message = |a, b| pb::FromWorker::from(FromWorker::Facts(vec![fact(a), fact(b)]));
        assert!(FromWorker::try_from(message(1, 2)).is_ok());
        assert_eq!(
            FromWorker::try_from(message(2, 2)).unwrap_err().field,
            "facts.sequence"
        );
    }
}
