//! Checkpoints as facts.

use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::dataset::BlobRef;
use bonfire_domain::{Attempt, WallMs};

use super::{CHUNKS_MAX, WireError, count};
use crate::pb;

impl From<Checkpoint> for pb::Checkpoint {
    fn from(c: Checkpoint) -> pb::Checkpoint {
        pb::Checkpoint {
            step: c.step,
            epoch: c.epoch,
            attempt: c.attempt.0,
            manifest: c.manifest.map(Into::into),
            chunks: c.chunks.into_iter().map(Into::into).collect(),
            value: c.value,
            written_ms: c.written.0,
        }
    }
}

impl TryFrom<pb::Checkpoint> for Checkpoint {
    type Error = WireError;
    fn try_from(c: pb::Checkpoint) -> Result<Checkpoint, WireError> {
        count("checkpoint.chunks", c.chunks.len(), CHUNKS_MAX)?;
        Ok(Checkpoint {
            step: c.step,
            epoch: c.epoch,
            attempt: Attempt(c.attempt),
            manifest: c.manifest.map(BlobRef::try_from).transpose()?,
            chunks: c
                .chunks
                .into_iter()
                .map(BlobRef::try_from)
                .collect::<Result<_, _>>()?,
            value: c.value,
            written: WallMs(c.written_ms),
        })
    }
}
