//! Facts: what a worker reports on its control stream.

use std::collections::BTreeMap;

use bonfire_domain::fault::{AttemptEnd, Failure, LostCause};
use bonfire_domain::order::Fact;

use super::{
    DETAIL_BYTES_MAX, MANIFEST_BYTES_MAX, WireError, digest, digest_bytes, required, speaker, text,
    trial_attempt,
};
use crate::pb;
use pb::attempt_end::{self, Plain, failed};
use pb::numbered_fact as numbered;

impl From<(u64, Fact)> for pb::NumberedFact {
    fn from((sequence, fact): (u64, Fact)) -> pb::NumberedFact {
        let fact = match fact {
            Fact::Observed {
                trial,
                attempt,
                step,
                epoch,
                value,
            } => numbered::Fact::Observed(pb::Observed {
                of: trial_attempt(trial, attempt),
                step,
                epoch,
                value,
                metrics: BTreeMap::new(),
            }),
            Fact::Measured {
                trial,
                attempt,
                step,
                epoch,
                value,
                metrics,
            } => numbered::Fact::Observed(pb::Observed {
                of: trial_attempt(trial, attempt),
                step,
                epoch,
                value,
                metrics,
            }),
            Fact::Checkpointed {
                trial,
                attempt,
                checkpoint,
            } => numbered::Fact::Checkpointed(pb::Checkpointed {
                of: trial_attempt(trial, attempt),
                checkpoint: Some((*checkpoint).into()),
            }),
            Fact::Ended {
                trial,
                attempt,
                end,
            } => numbered::Fact::Ended(pb::Ended {
                of: trial_attempt(trial, attempt),
                end: Some(end.into()),
            }),
            Fact::Prepared { key, manifest } => numbered::Fact::Prepared(pb::Prepared {
                key: digest_bytes(key),
                manifest_json: manifest,
            }),
        };
        pb::NumberedFact {
            sequence,
            fact: Some(fact),
        }
    }
}

impl TryFrom<pb::NumberedFact> for (u64, Fact) {
    type Error = WireError;
    fn try_from(message: pb::NumberedFact) -> Result<(u64, Fact), WireError> {
        let fact = match required("fact", message.fact)? {
            numbered::Fact::Observed(m) => {
                let of = speaker("observed.of", m.of)?;
                let metrics = super::metrics("observed.metrics", m.metrics)?;
                Fact::evaluation(of, (m.step, m.epoch), m.value, metrics)
            }
            numbered::Fact::Checkpointed(m) => {
                let (trial, attempt) = speaker("checkpointed.of", m.of)?;
                let checkpoint = required("checkpointed.checkpoint", m.checkpoint)?;
                Fact::Checkpointed {
                    trial,
                    attempt,
                    checkpoint: Box::new(checkpoint.try_into()?),
                }
            }
            numbered::Fact::Ended(m) => {
                let (trial, attempt) = speaker("ended.of", m.of)?;
                Fact::Ended {
                    trial,
                    attempt,
                    end: required("ended.end", m.end)?.try_into()?,
                }
            }
            numbered::Fact::Prepared(m) => Fact::Prepared {
                key: digest("prepared.key", &m.key)?,
                manifest: text(
                    "prepared.manifest_json",
                    m.manifest_json,
                    MANIFEST_BYTES_MAX,
                )?,
            },
        };
        Ok((message.sequence, fact))
    }
}

impl From<AttemptEnd> for pb::AttemptEnd {
    fn from(end: AttemptEnd) -> pb::AttemptEnd {
        use attempt_end::End;
        let end = match end {
            AttemptEnd::Reached => End::Reached(Plain {}),
            AttemptEnd::Yielded => End::Yielded(Plain {}),
            AttemptEnd::Stopped => End::Stopped(Plain {}),
            AttemptEnd::Failed { failure, detail } => End::Failed(attempt_end::Failed {
                detail,
                failure: Some(failure.into()),
            }),
            AttemptEnd::Lost(cause) => End::Lost(match cause {
                LostCause::WorkerGone => attempt_end::LostCause::WorkerGone,
                LostCause::Killed => attempt_end::LostCause::Killed,
                LostCause::NotRunning => attempt_end::LostCause::NotRunning,
                LostCause::Untold => attempt_end::LostCause::Untold,
            } as i32),
        };
        pb::AttemptEnd { end: Some(end) }
    }
}

impl TryFrom<pb::AttemptEnd> for AttemptEnd {
    type Error = WireError;
    fn try_from(message: pb::AttemptEnd) -> Result<AttemptEnd, WireError> {
        use attempt_end::End;
        Ok(match required("end", message.end)? {
            End::Reached(_) => AttemptEnd::Reached,
            End::Yielded(_) => AttemptEnd::Yielded,
            End::Stopped(_) => AttemptEnd::Stopped,
            End::Failed(m) => AttemptEnd::Failed {
                failure: required("end.failure", m.failure)?.into(),
                detail: text("end.detail", m.detail, DETAIL_BYTES_MAX)?,
            },
            End::Lost(cause) => AttemptEnd::Lost(match attempt_end::LostCause::try_from(cause) {
                Ok(attempt_end::LostCause::WorkerGone) => LostCause::WorkerGone,
                Ok(attempt_end::LostCause::Killed) => LostCause::Killed,
                Ok(attempt_end::LostCause::NotRunning) => LostCause::NotRunning,
                Ok(attempt_end::LostCause::Untold) => LostCause::Untold,
                _ => return Err(WireError::new("end.lost", format!("unknown cause {cause}"))),
            }),
        })
    }
}

impl From<Failure> for failed::Failure {
    fn from(failure: Failure) -> failed::Failure {
        match failure {
            Failure::Unusable => failed::Failure::Unusable(Plain {}),
            Failure::NonFinite { step } => failed::Failure::NonFiniteStep(step),
            Failure::Panicked => failed::Failure::Panicked(Plain {}),
            Failure::Crashed { signal } => failed::Failure::CrashedSignal(signal),
            Failure::Exited { code } => failed::Failure::ExitedCode(code),
            Failure::OutOfMemory => failed::Failure::OutOfMemory(Plain {}),
            Failure::NoProgress => failed::Failure::NoProgress(Plain {}),
            Failure::TimeLimit => failed::Failure::TimeLimit(Plain {}),
            Failure::DamagedCheckpoint { step } => failed::Failure::DamagedCheckpointStep(step),
            Failure::Io => failed::Failure::Io(Plain {}),
            Failure::Told => failed::Failure::Told(Plain {}),
            Failure::DamagedData => failed::Failure::DamagedData(Plain {}),
        }
    }
}

impl From<failed::Failure> for Failure {
    fn from(failure: failed::Failure) -> Failure {
        match failure {
            failed::Failure::Unusable(_) => Failure::Unusable,
            failed::Failure::NonFiniteStep(step) => Failure::NonFinite { step },
            failed::Failure::Panicked(_) => Failure::Panicked,
            failed::Failure::CrashedSignal(signal) => Failure::Crashed { signal },
            failed::Failure::ExitedCode(code) => Failure::Exited { code },
            failed::Failure::OutOfMemory(_) => Failure::OutOfMemory,
            failed::Failure::NoProgress(_) => Failure::NoProgress,
            failed::Failure::TimeLimit(_) => Failure::TimeLimit,
            failed::Failure::DamagedCheckpointStep(step) => Failure::DamagedCheckpoint { step },
            failed::Failure::Io(_) => Failure::Io,
            failed::Failure::Told(_) => Failure::Told,
            failed::Failure::DamagedData(_) => Failure::DamagedData,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bonfire_domain::checkpoint::Checkpoint;
    use bonfire_domain::{Attempt, Digest, SweepId, TrialId, WallMs};

    const TRIAL: TrialId = TrialId {
        sweep: SweepId(3),
        number: 17,
    };

    #[track_caller]
    fn check_round_trip(fact: Fact) {
        let there = pb::NumberedFact::from((9, fact.clone()));
        let back: (u64, Fact) = there.try_into().unwrap();
        assert_eq!(back, (9, fact));
    }

    #[test]
    fn facts_survive_the_wire() {
        let attempt = Attempt(2);
        check_round_trip(Fact::Observed {
            trial: TRIAL,
            attempt,
            step: 5,
            epoch: 1,
            value: 0.25,
        });
        check_round_trip(Fact::Measured {
            trial: TRIAL,
            attempt,
            step: 5,
            epoch: 1,
            value: 0.25,
            metrics: [("valid.loss".to_owned(), 0.5)].into(),
        });
        check_round_trip(Fact::Prepared {
            key: Digest([7; 32]),
            manifest: "{}".into(),
        });
        check_round_trip(Fact::Checkpointed {
            trial: TRIAL,
            attempt,
            checkpoint: Box::new(Checkpoint {
                step: 100,
                epoch: 2,
                attempt,
                manifest: None,
                chunks: vec![bonfire_domain::dataset::BlobRef {
                    digest: Digest([1; 32]),
                    bytes: 12,
                }],
                value: Some(0.5),
                written: WallMs(77),
            }),
        });
        let failures = [
            Failure::Unusable,
            Failure::NonFinite { step: 4 },
            Failure::Panicked,
            Failure::Crashed { signal: 11 },
            Failure::Exited { code: 3 },
            Failure::OutOfMemory,
            Failure::NoProgress,
            Failure::TimeLimit,
            Failure::DamagedCheckpoint { step: 6 },
            Failure::Io,
            Failure::Told,
            Failure::DamagedData,
        ];
        let failed = failures.map(|failure| AttemptEnd::Failed {
            failure,
            detail: "last lines".into(),
        });
        let lost = [
            LostCause::WorkerGone,
            LostCause::Killed,
            LostCause::NotRunning,
            LostCause::Untold,
        ]
        .map(AttemptEnd::Lost);
        let plain = [
            AttemptEnd::Reached,
            AttemptEnd::Yielded,
            AttemptEnd::Stopped,
        ];
        for end in failed.into_iter().chain(lost).chain(plain) {
            check_round_trip(Fact::Ended {
                trial: TRIAL,
                attempt,
                end,
            });
        }
    }

    #[track_caller]
    fn check_refused(fact: numbered::Fact, field: &str) {
        let message = pb::NumberedFact {
            sequence: 1,
            fact: Some(fact),
        };
        let error = <(u64, Fact)>::try_from(message).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }

    #[test]
    fn junk_is_refused_with_its_field() {
        let of = trial_attempt(TRIAL, Attempt(1));
        check_refused(
            numbered::Fact::Observed(pb::Observed::default()),
            "observed.of",
        );
        let never = trial_attempt(TRIAL, Attempt(0));
        check_refused(
            numbered::Fact::Observed(pb::Observed {
                of: never,
                ..Default::default()
            }),
            "observed.of",
        );
        let many = (0..=super::super::METRICS_MAX).map(|i| (i.to_string(), 1.0));
        check_refused(
            numbered::Fact::Observed(pb::Observed {
                of: trial_attempt(TRIAL, Attempt(1)),
                metrics: many.collect(),
                ..Default::default()
            }),
            "observed.metrics",
        );
        check_refused(
            numbered::Fact::Ended(pb::Ended { of, end: None }),
            "ended.end",
        );
        let lost = pb::AttemptEnd {
            end: Some(attempt_end::End::Lost(99)),
        };
        check_refused(
            numbered::Fact::Ended(pb::Ended {
                of,
                end: Some(lost),
            }),
            "end.lost",
        );
        check_refused(
            numbered::Fact::Prepared(pb::Prepared::default()),
            "prepared.key",
        );
        let chunks = vec![pb::BlobRef::default(); super::super::CHUNKS_MAX + 1];
        let checkpoint = Some(pb::Checkpoint {
            chunks,
            ..Default::default()
        });
        check_refused(
            numbered::Fact::Checkpointed(pb::Checkpointed { of, checkpoint }),
            "checkpoint.chunks",
        );
    }
}
