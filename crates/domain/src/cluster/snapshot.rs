//! The whole state as bytes: a `u16` format number and postcard.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Cluster, Measured};
use crate::id::SweepId;

/// The format number written now.
const SNAPSHOT_FORMAT: u16 = 3;
/// Ends before what is known of trials' metrics.
const WITHOUT_MEASURES: u16 = 2;
/// Ends before the origins of sweeps, the artifacts of trials and the sources of datasets.
const WITHOUT_ORIGINS: u16 = 1;
/// How postcard writes three empty maps.
const NONE: [u8; 3] = [0; 3];
/// How it writes an empty list.
const NOTHING: [u8; 1] = [0];

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SnapshotError {
    #[error("snapshot of {found} bytes is shorter than its format number")]
    Short { found: usize },
    #[error("snapshot has format {found}, this version reads {SNAPSHOT_FORMAT}")]
    Format { found: u16 },
    #[error("snapshot cannot be decoded: {0}")]
    Postcard(String),
}

impl Cluster {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = SNAPSHOT_FORMAT.to_le_bytes().to_vec();
        // Writing plain data to a vector cannot fail.
        let measures = self.sweeps().map(|sweep| (sweep.id, &sweep.measured));
        let measures: Vec<_> = measures.filter(|(_, all)| !all.is_empty()).collect();
        if let (Ok(body), Ok(measures)) =
            (postcard::to_stdvec(self), postcard::to_stdvec(&measures))
        {
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(&measures);
        }
        bytes
    }

    /// Reads what [`Cluster::encode`] wrote; the state is equal to the one that was encoded.
    ///
    /// # Errors
    /// [`SnapshotError`] for a format of the future or damaged bytes.
    pub fn decode(bytes: &[u8]) -> Result<Cluster, SnapshotError> {
        let Some((format, body)) = bytes.split_first_chunk::<2>() else {
            return Err(SnapshotError::Short { found: bytes.len() });
        };
        let body = match u16::from_le_bytes(*format) {
            SNAPSHOT_FORMAT => Cow::Borrowed(body),
            WITHOUT_MEASURES => Cow::Owned([body, &NOTHING].concat()),
            WITHOUT_ORIGINS => Cow::Owned([body, &NONE, &NOTHING].concat()),
            found => return Err(SnapshotError::Format { found }),
        };
        let damaged = |e: postcard::Error| SnapshotError::Postcard(e.to_string());
        let (mut cluster, rest) = postcard::take_from_bytes::<Cluster>(&body).map_err(damaged)?;
        let measures: Vec<(SweepId, BTreeMap<u32, Measured>)> =
            postcard::from_bytes(rest).map_err(damaged)?;
        for (id, measured) in measures {
            if let Some(sweep) = cluster.sweeps.get_mut(&id) {
                sweep.measured = measured;
            }
        }
        Ok(cluster)
    }
}
