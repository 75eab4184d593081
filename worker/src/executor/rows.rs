//! Prepared rows of an attempt, and the plan of its batches: a pure function of the spec, the data and the step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bonfire_data::Progress;
use bonfire_data::{
    DataError, Loader, Order, Part, Prepared, Wanted, shard_positions, window_blocks,
};
use bonfire_domain::dataset::{BLOCK_ROWS, DatasetManifest, Preparation, PreparedManifest};
use bonfire_domain::spec::Spec;
use bonfire_domain::{Batch, Digest};

use super::frame::{LocalBlob, LocalData};

/// What an attempt trains on.
pub(super) struct Rows {
    pub(super) manifest: PreparedManifest,
    /// Of the manifest.
    pub(super) digest: Digest,
    prepared: Arc<Prepared>,
    order: Order,
    batch: u64,
    virtual_shards: u32,
}

impl Rows {
    /// Opens the files of a prepared manifest.
    ///
    /// # Errors
    /// [`DataError`]; the manifest's JSON cannot be read.
    pub(super) fn open(spec: &Spec, data: &LocalData) -> Result<Rows, DataError> {
        let request = |problem: String| DataError::Request { problem };
        let manifest: PreparedManifest = serde_json::from_str(&data.manifest)
            .map_err(|e| request(format!("prepared manifest: {e}")))?;
        let columns = spec
            .data
            .as_ref()
            .ok_or_else(|| request("the spec has no data".into()))?;
        // Only now are the rows of train known: a last batch may be too small for batch normalisation.
        bonfire_domain::fit::fit_prepared(spec, &manifest).map_err(|problems| {
            let said: Vec<String> = problems.iter().map(|p| p.message.clone()).collect();
            request(said.join("; "))
        })?;
        let files = by_digest(&data.files);
        let prepared = Prepared::open(&manifest, &|digest| local(&files, digest))?;
        let rows = prepared.train_rows();
        let bytes = rows.saturating_mul(manifest.row_bytes.into());
        let window = window_blocks(columns.shuffle, bytes, rows.div_ceil(BLOCK_ROWS));
        if rows == 0 || prepared.valid_rows() == 0 {
            return Err(request("train or valid has no rows".into()));
        }
        Ok(Rows {
            digest: manifest.digest(),
            order: Order::new(rows, window, spec.train.seed),
            prepared: Arc::new(prepared),
            batch: u64::from(columns.batch.max(1)),
            virtual_shards: spec.virtual_shards(),
            manifest,
        })
    }

    /// Steps of one epoch; the last one may have a smaller batch.
    pub(super) fn steps_per_epoch(&self) -> u64 {
        self.order.rows().div_ceil(self.batch)
    }

    /// Starts making the batches of steps `from..until`, a virtual shard at a time.
    ///
    /// # Errors
    /// The loader's thread cannot be started.
    pub(super) fn load(&self, from: u64, until: u64) -> std::io::Result<Loader> {
        let (rows, batch, shards) = (self.order.rows(), self.batch, self.virtual_shards);
        let plan = (from..until).flat_map(move |step| {
            (0..shards).map(move |shard| wanted(rows, batch, shards, step, shard))
        });
        Loader::start(Arc::clone(&self.prepared), self.order, plan)
    }

    /// Puts the valid rows in `into`, a batch at a time from row `next` on; `false` after the last.
    pub(super) fn next_valid(&self, next: &mut u64, into: &mut Batch) -> bool {
        let end = (*next + self.batch).min(self.prepared.valid_rows());
        if *next >= end {
            return false;
        }
        self.prepared.valid_batch(*next..end, into);
        *next = end;
        true
    }
}

/// Which rows virtual shard `shard` of step `step` has: each row of `rows` once an epoch.
fn wanted(rows: u64, batch: u64, shards: u32, step: u64, shard: u32) -> Wanted {
    let steps = rows.div_ceil(batch);
    let start = step % steps * batch;
    let size = batch.min(rows - start);
    // Epochs beyond a u32 are refused by the spec.
    let epoch = u32::try_from(step / steps).unwrap_or(u32::MAX);
    let positions = shard_positions(start, size, shard, shards);
    Wanted {
        part: Part::Train { epoch },
        step,
        shard,
        positions,
    }
}

/// Prepares a dataset version from its local files; the prepared files lie in `out` under their digests.
///
/// # Errors
/// As [`bonfire_data::prepare`].
pub(super) fn prepare(
    dataset: &DatasetManifest,
    files: &[LocalBlob],
    preparation: &Preparation,
    out: &Path,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<PreparedManifest, DataError> {
    let files = by_digest(files);
    bonfire_data::prepare(
        dataset,
        preparation,
        &|digest| local(&files, digest),
        out,
        progress,
    )
}

fn by_digest(files: &[LocalBlob]) -> BTreeMap<Digest, PathBuf> {
    files
        .iter()
        .map(|file| (file.blob.digest, file.path.clone()))
        .collect()
}

/// A file that was not given is not found when it is opened, under its own name.
fn local(files: &BTreeMap<Digest, PathBuf>, digest: &Digest) -> PathBuf {
    files
        .get(digest)
        .cloned()
        .unwrap_or_else(|| PathBuf::from(digest.hex()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: u64, batch: u64, shards: u32, step: u64, expected: &[(u64, u64)]) {
        let found: Vec<(u64, u64)> = (0..shards)
            .map(|shard| wanted(rows, batch, shards, step, shard).positions)
            .map(|positions| (positions.start, positions.end))
            .collect();
        assert_eq!(found, expected, "{rows} rows, batch {batch}, step {step}");
    }

    #[test]
    fn each_position_is_wanted_once_an_epoch() {
        check(10, 4, 1, 0, &[(0, 4)]);
        check(10, 4, 1, 2, &[(8, 10)]);
        check(10, 4, 1, 3, &[(0, 4)]);
        check(10, 4, 2, 1, &[(4, 6), (6, 8)]);
        check(10, 4, 4, 2, &[(8, 8), (8, 9), (9, 9), (9, 10)]);
        check(3, 8, 2, 5, &[(0, 1), (1, 3)]);
    }
}
