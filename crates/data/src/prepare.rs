//! A dataset version into prepared data: train and valid rows of fixed width, the same bytes whoever makes them.
//!
//! The rows are streamed two or three times: to count (classes, usable rows), to fit statistics on train, and to write. Which
//! part a row belongs to is a function of the seed, its class and its rank in it, so nothing is remembered about rows.

mod columns;
mod encode;
mod fit;
mod label;
mod part;
mod rows;
mod split;
#[cfg(test)]
mod tests;
mod windows;

use std::path::{Path, PathBuf};

use bonfire_domain::dataset::{DatasetManifest, Preparation, PreparedManifest};
use bonfire_domain::id::Digest;
use bonfire_domain::spec::Task;

use crate::blob::Out;
use crate::error::DataError;
use crate::import::Progress;

/// Makes prepared train and valid.
///
/// - `blob`: the local file of a dataset file's digest.
/// - `out`: a directory; files appear there whole, under their digests. Those of a failed job are removed.
///
/// Classification is split by class, regression at random, a language model in file order. Statistics and encodings come from
/// train only, in f64, in row order, on one thread.
///
/// # Errors
/// [`DataError::Request`] for what the data cannot give (label, columns, classes, split), [`DataError::Cell`] for a value with
/// its row and column, [`DataError::Damaged`] for a dataset file, and [`DataError::Cancelled`].
pub fn prepare(
    dataset: &DatasetManifest,
    preparation: &Preparation,
    blob: &dyn Fn(&Digest) -> PathBuf,
    out: &Path,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<PreparedManifest, DataError> {
    if dataset.version != preparation.version {
        let (have, want) = (dataset.version.short(), preparation.version.short());
        return Err(DataError::request(format!(
            "the dataset's version is {have}, {want} is to be prepared"
        )));
    }
    let mut out = Out::new(out)?;
    let job = Job {
        dataset,
        preparation,
        blob,
    };
    let manifest = if preparation.task == Task::LanguageModel {
        windows::prepare(&job, &mut out, progress)?
    } else {
        rows::prepare(&job, &mut out, progress)?
    };
    out.keep()?;
    Ok(manifest)
}

/// What is prepared, from where.
struct Job<'a> {
    dataset: &'a DatasetManifest,
    preparation: &'a Preparation,
    blob: &'a dyn Fn(&Digest) -> PathBuf,
}

/// Says how far a job of several passes is.
fn report(
    progress: &mut dyn FnMut(Progress) -> bool,
    done: u64,
    total: u64,
) -> Result<(), DataError> {
    if progress(Progress::Rows {
        done,
        total: Some(total),
    }) {
        Ok(())
    } else {
        Err(DataError::Cancelled)
    }
}
