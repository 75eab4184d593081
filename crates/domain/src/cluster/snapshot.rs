//! The whole state as bytes: a `u16` format number and postcard.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::outcome::OldMeasured;
use super::{Cluster, Measured, Source, Sweep};
use crate::WallMs;
use crate::id::SweepId;

/// The format number written now.
const SNAPSHOT_FORMAT: u16 = 6;
/// Has no times of what external trials were told.
const WITHOUT_TIMES: u16 = 5;
/// Ends before the dataset that was added last.
const WITHOUT_NEWEST: u16 = 4;
/// Ends before what sweeps took over from others, the values of objectives after the first, and trials ahead of their turn.
const WITHOUT_SOURCES: u16 = 3;
/// Ends before what is known of trials' metrics.
const WITHOUT_MEASURES: u16 = 2;
/// Ends before the origins of sweeps, the artifacts of trials and the sources of datasets.
const WITHOUT_ORIGINS: u16 = 1;
/// How postcard writes three empty maps.
const NONE: [u8; 3] = [0; 3];
/// How it writes an empty list.
const NOTHING: [u8; 1] = [0];

/// What a snapshot has of a sweep beside the state; written as a tuple.
type Beside = (
    SweepId,
    BTreeMap<u32, Measured>,
    Vec<Source>,
    BTreeSet<u32>,
    BTreeMap<u32, Arc<Vec<(u64, WallMs)>>>,
);
/// The same in formats 4 and 5.
type Untimed = (SweepId, BTreeMap<u32, Measured>, Vec<Source>, BTreeSet<u32>);
/// In format 3.
type Old = (SweepId, BTreeMap<u32, OldMeasured>);

fn timed((sweep, measured, sources, early): Untimed) -> Beside {
    (sweep, measured, sources, early, BTreeMap::new())
}

fn upgraded((sweep, measured): Old) -> Beside {
    let measured = measured.into_iter().map(|(n, old)| (n, old.into()));
    timed((sweep, measured.collect(), Vec::new(), BTreeSet::new()))
}

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
        let has = |s: &&Sweep| {
            let trials = !s.measured.is_empty() || !s.early.is_empty() || !s.told_at.is_empty();
            trials || !s.sources.is_empty()
        };
        let beside = self.sweeps().filter(has);
        let beside = beside.map(|s| (s.id, &s.measured, &s.sources[..], &s.early, &s.told_at));
        let beside: Vec<_> = beside.collect();
        let end = (beside, &self.newest_dataset);
        if let (Ok(body), Ok(end)) = (postcard::to_stdvec(self), postcard::to_stdvec(&end)) {
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(&end);
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
        let format = u16::from_le_bytes(*format);
        let body = match format {
            SNAPSHOT_FORMAT | WITHOUT_TIMES | WITHOUT_NEWEST | WITHOUT_SOURCES => {
                Cow::Borrowed(body)
            }
            WITHOUT_MEASURES => Cow::Owned([body, &NOTHING].concat()),
            WITHOUT_ORIGINS => Cow::Owned([body, &NONE, &NOTHING].concat()),
            found => return Err(SnapshotError::Format { found }),
        };
        let damaged = |e: postcard::Error| SnapshotError::Postcard(e.to_string());
        let (mut cluster, rest) = postcard::take_from_bytes::<Cluster>(&body).map_err(damaged)?;
        let beside: Vec<Beside> = match format {
            SNAPSHOT_FORMAT => {
                let (beside, newest) = postcard::from_bytes(rest).map_err(damaged)?;
                cluster.newest_dataset = newest;
                beside
            }
            WITHOUT_TIMES => {
                let (beside, newest): (Vec<Untimed>, _) =
                    postcard::from_bytes(rest).map_err(damaged)?;
                cluster.newest_dataset = newest;
                beside.into_iter().map(timed).collect()
            }
            WITHOUT_SOURCES => {
                let old: Vec<Old> = postcard::from_bytes(rest).map_err(damaged)?;
                old.into_iter().map(upgraded).collect()
            }
            _ => {
                let beside: Vec<Untimed> = postcard::from_bytes(rest).map_err(damaged)?;
                beside.into_iter().map(timed).collect()
            }
        };
        for (id, measured, sources, early, told_at) in beside {
            if let Some(sweep) = cluster.sweeps.get_mut(&id) {
                sweep.measured = measured;
                sweep.sources = sources.into();
                sweep.told_at = told_at;
                // Others were promoted by the scheduler, as snapshots of before have it: they go on as any trial.
                sweep.early = early;
                let scheduler = &sweep.scheduler;
                sweep.early.retain(|number| scheduler.waits(*number));
            }
        }
        Ok(cluster)
    }
}
