//! The door: what arrives is checked field by field before anything else sees it.

mod ask;
mod checkpoint;
mod control;
mod fact;
mod order;
mod report;
mod session;

pub use ask::{Ask, TOLD_AT_MAX, Tell};
pub use control::{
    AddArtifact, AddDataset, Admit, ControlSweep, ControlTrial, DeleteCheckpoint, Document, Fork,
    PATH_BYTES_MAX, SELECTOR_BYTES_MAX, Submit,
};
pub use report::{Ack, REPORT_BYTES_MAX};
pub use session::{FromWorker, ToWorker, Welcome};

use std::collections::BTreeMap;

use bonfire_domain::dataset::BlobRef;
use bonfire_domain::search::{Assignment, PARAMETERS_MAX, Value};
use bonfire_domain::{Attempt, Digest, SweepId, TrialId};
use bytes::Bytes;

use crate::pb;

/// One message of the control plane, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 6 << 20;
/// One document that a client reads, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 20;
/// A spec in its canonical form, in bytes.
pub const SPEC_BYTES_MAX: usize = 1 << 20;
/// A manifest as JSON, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// Names, labels and other short texts, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// A reason or the last log lines of an attempt, in bytes.
pub const DETAIL_BYTES_MAX: usize = 16 << 10;
/// Slots of one worker.
pub const SLOTS_MAX: usize = 1_024;
/// Labels of one worker.
pub const LABELS_MAX: usize = 64;
/// Assignments a worker holds.
pub const RUNNING_MAX: usize = 4 * SLOTS_MAX;
/// Facts in one message.
pub const FACTS_MAX: usize = 4_096;
/// Metrics told with one value, and the name of one, in bytes.
pub const METRICS_MAX: usize = 64;
pub const METRIC_BYTES_MAX: usize = 256;
/// Chunks of one checkpoint.
pub const CHUNKS_MAX: usize = 65_536;

/// A message that cannot be taken, and the field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct WireError {
    pub field: &'static str,
    pub problem: String,
}

impl WireError {
    pub fn new(field: &'static str, problem: impl Into<String>) -> WireError {
        WireError {
            field,
            problem: problem.into(),
        }
    }

    pub fn missing(field: &'static str) -> WireError {
        WireError::new(field, "is missing")
    }
}

impl From<WireError> for tonic::Status {
    fn from(error: WireError) -> tonic::Status {
        tonic::Status::invalid_argument(error.to_string())
    }
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or_else(|| WireError::missing(field))
}

fn text(field: &'static str, value: String, bytes_max: usize) -> Result<String, WireError> {
    count(field, value.len(), bytes_max).map(|()| value)
}

fn count(field: &'static str, found: usize, max: usize) -> Result<(), WireError> {
    if found > max {
        return Err(WireError::new(
            field,
            format!("{found} exceeds the limit of {max}"),
        ));
    }
    Ok(())
}

/// Values are not looked at: one that is no number breaks whatever is required of it.
fn metrics(
    field: &'static str,
    metrics: BTreeMap<String, f64>,
) -> Result<BTreeMap<String, f64>, WireError> {
    count(field, metrics.len(), METRICS_MAX)?;
    for name in metrics.keys() {
        count(field, name.len(), METRIC_BYTES_MAX)?;
    }
    Ok(metrics)
}

pub(crate) fn digest(field: &'static str, value: &Bytes) -> Result<Digest, WireError> {
    let bytes: [u8; 32] = value.as_ref().try_into().map_err(|_| {
        WireError::new(
            field,
            format!("a digest has 32 bytes, this one {}", value.len()),
        )
    })?;
    Ok(Digest(bytes))
}

fn digest_or_none(field: &'static str, value: &Bytes) -> Result<Option<Digest>, WireError> {
    if value.is_empty() {
        Ok(None)
    } else {
        digest(field, value).map(Some)
    }
}

pub(crate) fn digest_bytes(digest: Digest) -> Bytes {
    Bytes::copy_from_slice(&digest.0)
}

fn assignment(
    field: &'static str,
    map: BTreeMap<String, pb::Value>,
) -> Result<Assignment, WireError> {
    count(field, map.len(), PARAMETERS_MAX)?;
    map.into_iter()
        .map(|(name, value)| {
            let name = text(field, name, NAME_BYTES_MAX)?;
            Ok((name, value.try_into()?))
        })
        .collect()
}

fn assignment_map(assignment: Assignment) -> BTreeMap<String, pb::Value> {
    assignment
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect()
}

impl From<Value> for pb::Value {
    fn from(value: Value) -> pb::Value {
        use pb::value::Kind;
        pb::Value {
            kind: Some(match value {
                Value::Bool(x) => Kind::Boolean(x),
                Value::Int(x) => Kind::Integer(x),
                Value::Real(x) => Kind::Real(x),
                Value::Text(x) => Kind::Text(x),
            }),
        }
    }
}

impl TryFrom<pb::Value> for Value {
    type Error = WireError;
    fn try_from(value: pb::Value) -> Result<Value, WireError> {
        use pb::value::Kind;
        Ok(match required("value.kind", value.kind)? {
            Kind::Boolean(x) => Value::Bool(x),
            Kind::Integer(x) => Value::Int(x),
            Kind::Real(x) if x.is_nan() => {
                return Err(WireError::new("value.real", "is not a number"));
            }
            Kind::Real(x) => Value::Real(x),
            Kind::Text(x) => Value::Text(text("value.text", x, DETAIL_BYTES_MAX)?),
        })
    }
}

impl From<TrialId> for pb::TrialId {
    fn from(id: TrialId) -> pb::TrialId {
        pb::TrialId {
            sweep: id.sweep.0,
            number: id.number,
        }
    }
}

impl From<pb::TrialId> for TrialId {
    fn from(id: pb::TrialId) -> TrialId {
        TrialId {
            sweep: SweepId(id.sweep),
            number: id.number,
        }
    }
}

fn trial_attempt(trial: TrialId, attempt: Attempt) -> Option<pb::TrialAttempt> {
    Some(pb::TrialAttempt {
        trial: Some(trial.into()),
        attempt: attempt.0,
    })
}

/// The trial and attempt a message speaks for. Attempt 0 never started, so nothing can speak for it.
fn speaker(
    field: &'static str,
    of: Option<pb::TrialAttempt>,
) -> Result<(TrialId, Attempt), WireError> {
    let of = required(field, of)?;
    if of.attempt == 0 {
        return Err(WireError::new(field, "attempt 0 never ran"));
    }
    Ok((required(field, of.trial)?.into(), Attempt(of.attempt)))
}

impl From<BlobRef> for pb::BlobRef {
    fn from(blob: BlobRef) -> pb::BlobRef {
        pb::BlobRef {
            digest: digest_bytes(blob.digest),
            bytes: blob.bytes,
        }
    }
}

impl TryFrom<pb::BlobRef> for BlobRef {
    type Error = WireError;
    fn try_from(blob: pb::BlobRef) -> Result<BlobRef, WireError> {
        Ok(BlobRef {
            digest: digest("blob.digest", &blob.digest)?,
            bytes: blob.bytes,
        })
    }
}
