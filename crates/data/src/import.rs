//! A source into an immutable dataset version: Parquet files of 4,096-row groups, named by content, and their manifest.

#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;

use bonfire_domain::dataset::{BLOCK_ROWS, Column, DatasetManifest};
use bonfire_domain::spec::ColumnKind;

use self::writer::DatasetWriter;
use crate::blob::Out;
use crate::convert::Schema;
use crate::error::DataError;
use crate::source::{Format, Source};
use crate::stats::Survey;
use crate::version::Version;

/// What the user says about a source.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Kinds that are not to be inferred; part of the version.
    pub types: BTreeMap<String, ColumnKind>,
}

/// How far a job is. A callback that gets it returns false to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Of the source.
    Bytes { done: u64, total: Option<u64> },
    /// Rows read; a job that reads the rows more than once counts them each time.
    Rows { done: u64, total: Option<u64> },
}

/// Reads a source as a stream and writes it as a dataset version.
///
/// - `source`: a file (csv, parquet, jsonl, ndjson, txt), or a directory or pattern of one format, read in path order.
/// - `out`: a directory; files appear there whole, under their digests. Those of a failed import are removed.
///
/// Kinds of CSV and JSON columns come from the first 4,096 rows. In CSV an empty cell is a missing value; in numeric columns so
/// are `NA`, `N/A`, `NaN`, `nan`, `null`, `NULL` and `None`, whether the kind is said or found. A column of which at least 90 %
/// of these rows are numbers, but not all, is refused. Texts that read like sentences are text columns, not categories. Memory does not grow with the number of rows.
///
/// # Errors
/// The first file, row and column that cannot be read, or whose kind is in doubt; an empty source; `out` that cannot be written;
/// [`DataError::Cancelled`].
pub fn import(
    source: &Path,
    options: &ImportOptions,
    out: &Path,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<DatasetManifest, DataError> {
    import_into(source, options, Out::new(out)?, progress)
}

fn import_into(
    source: &Path,
    options: &ImportOptions,
    mut out: Out,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<DatasetManifest, DataError> {
    let mut rows = Source::open(source)?;
    let (schema, mut block) = open(&mut rows, options)?;
    let names = schema.names();
    let mut version = Version::new(&schema.plans);
    let mut survey = Survey::new(&schema.plans);
    let mut writer = DatasetWriter::new(&schema);
    while !block.is_empty() {
        let batch = schema.convert(block, &names)?;
        version.add(&batch);
        survey.add(&batch);
        writer.write(&mut out, &batch)?;
        let (done, total) = (rows.tally().bytes(), Some(rows.bytes_total));
        if !progress(Progress::Bytes { done, total }) {
            return Err(DataError::Cancelled);
        }
        block = rows.block(BLOCK_ROWS as usize)?;
    }
    let files = writer.finish(&mut out)?;
    let manifest = DatasetManifest {
        version: version.finish(),
        rows: files.iter().map(|f| f.rows).sum(),
        files,
        columns: survey.finish(),
        source: source.display().to_string(),
        source_digest: rows.tally().digest(),
    };
    out.keep()?;
    Ok(manifest)
}

/// The first block and the columns it settles.
fn open(
    rows: &mut Source,
    options: &ImportOptions,
) -> Result<(Schema, Vec<crate::source::RawChunk>), DataError> {
    let mut block = rows.block(BLOCK_ROWS as usize)?;
    if block.is_empty() {
        let problem = if rows.format() == Format::Csv {
            "empty: there are no rows below the header"
        } else {
            "empty: there are no rows"
        };
        return Err(DataError::source(rows.first(), problem));
    }
    let schema = Schema::infer(rows, &mut block, &options.types)?;
    Ok((schema, block))
}

/// What the header and the first 4,096 rows show.
#[derive(Clone, Debug, PartialEq)]
pub struct Peek {
    /// With statistics over the rows seen.
    pub columns: Vec<Column>,
    /// Rows seen.
    pub rows: u64,
    /// Whether those are all.
    pub is_all: bool,
    /// Rows of the whole source, by its bytes where not all were seen.
    pub rows_expected: u64,
    /// Bytes of the whole source.
    pub bytes: u64,
}

/// Looks at the beginning of a source.
///
/// # Errors
/// As [`import`], for what is looked at.
pub fn peek(source: &Path, options: &ImportOptions) -> Result<Peek, DataError> {
    let mut rows = Source::open(source)?;
    let (schema, block) = open(&mut rows, options)?;
    let batch = schema.convert(block, &schema.names())?;
    let mut survey = Survey::new(&schema.plans);
    survey.add(&batch);
    let seen = batch.num_rows() as u64;
    let bytes = rows.bytes_total;
    // Formats with lines are read ahead.
    let read = match rows.tally().lines() {
        0 => seen,
        lines => lines,
    };
    let share = u128::from(bytes) * u128::from(read) / u128::from(rows.tally().bytes().max(1));
    let is_all = seen < BLOCK_ROWS || rows.block(1)?.is_empty();
    let expected = if is_all {
        seen
    } else {
        u64::try_from(share).unwrap_or(u64::MAX).max(seen)
    };
    Ok(Peek {
        columns: survey.finish(),
        rows: seen,
        is_all,
        rows_expected: expected,
        bytes,
    })
}
