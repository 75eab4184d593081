//! The whole state as bytes: a `u16` format number and postcard.

use std::borrow::Cow;

use super::Cluster;

/// The format number written now.
const SNAPSHOT_FORMAT: u16 = 2;
/// Ends before the origins of sweeps, the artifacts of trials and the sources of datasets.
const WITHOUT_ORIGINS: u16 = 1;
/// How postcard writes three empty maps.
const NONE: [u8; 3] = [0; 3];

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
        if let Ok(body) = postcard::to_stdvec(self) {
            bytes.extend_from_slice(&body);
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
            WITHOUT_ORIGINS => Cow::Owned([body, &NONE].concat()),
            found => return Err(SnapshotError::Format { found }),
        };
        postcard::from_bytes(&body).map_err(|e| SnapshotError::Postcard(e.to_string()))
    }
}
