//! Parquet: columns in their own types, read a few thousand rows at a time.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::datatypes::DataType;
use bonfire_domain::spec::ColumnKind;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::tally::Tally;
use super::{Heading, RawChunk, RawColumn, RawRows, Rows, check_names};
use crate::error::DataError;

/// Rows asked of the decoder at a time.
const READ_ROWS: usize = 4_096;

pub(super) struct ParquetRows {
    path: Arc<Path>,
    reader: ParquetRecordBatchReader,
    headings: Vec<Heading>,
    /// What a read left over, when less than a batch was wanted.
    rest: Option<arrow::array::RecordBatch>,
    done: u64,
    rows: u64,
    bytes: u64,
    counted: u64,
    tally: Tally,
}

impl ParquetRows {
    /// # Errors
    /// Not a Parquet file, or a column of a type that is not read, by name.
    pub fn open(path: &Path, tally: Tally) -> Result<ParquetRows, DataError> {
        let file = File::open(path).map_err(|e| DataError::read(path, e))?;
        let bytes = file.metadata().map_err(|e| DataError::read(path, e))?.len();
        let opened = guard(path, || {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
            let rows = builder.metadata().file_metadata().num_rows();
            Ok((rows, builder.with_batch_size(READ_ROWS).build()?))
        });
        let (rows, reader) = opened?;
        let rows = u64::try_from(rows).unwrap_or(0);
        let mut headings = Vec::new();
        for field in reader.schema().fields() {
            let name = field.name().clone();
            let kind = kind_of(field.data_type()).ok_or_else(|| {
                let kind = field.data_type();
                DataError::source(
                    path,
                    format!("column {name} has type {kind}, which is not read in this version"),
                )
            })?;
            headings.push(Heading {
                name,
                kind: Some(kind),
            });
        }
        if headings.is_empty() {
            return Err(DataError::source(path, "empty: there are no columns"));
        }
        check_names(path, headings.iter().map(|h| h.name.as_str()))?;
        Ok(ParquetRows {
            path: path.into(),
            reader,
            headings,
            rest: None,
            done: 0,
            rows,
            bytes,
            counted: 0,
            tally,
        })
    }
}

impl Rows for ParquetRows {
    fn headings(&self) -> Option<&[Heading]> {
        Some(&self.headings)
    }

    fn read(&mut self, rows: usize) -> Result<Option<RawChunk>, DataError> {
        let batch = match self.rest.take() {
            Some(batch) => batch,
            None => {
                let reader = &mut self.reader;
                let next = guard(&self.path, || {
                    Ok(reader
                        .find(|b| !matches!(b, Ok(b) if b.num_rows() == 0))
                        .transpose()?)
                });
                match next? {
                    Some(batch) => batch,
                    None => return Ok(None),
                }
            }
        };
        let count = rows.min(batch.num_rows());
        if count < batch.num_rows() {
            self.rest = Some(batch.slice(count, batch.num_rows() - count));
        }
        let batch = batch.slice(0, count);
        let before = self.done;
        self.done += count as u64;
        let share = u128::from(self.bytes) * u128::from(self.done)
            / u128::from(self.rows.max(self.done).max(1));
        let share = u64::try_from(share).unwrap_or(self.bytes);
        self.tally.count(share.saturating_sub(self.counted));
        self.counted = share;
        let content = RawRows::Columns(
            batch
                .columns()
                .iter()
                .map(|c| RawColumn::Array(c.clone()))
                .collect(),
        );
        Ok(Some(RawChunk {
            file: self.path.clone(),
            before,
            lines: Vec::new(),
            rows: count,
            content,
        }))
    }

    fn close(&mut self) -> Result<(), DataError> {
        self.tally.hash(&self.path)
    }
}

/// What a type is read as when the user says nothing.
fn kind_of(kind: &DataType) -> Option<ColumnKind> {
    match kind {
        DataType::Null | DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => {
            Some(ColumnKind::Numeric)
        }
        DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => Some(ColumnKind::Numeric),
        number if number.is_numeric() => Some(ColumnKind::Numeric),
        DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Some(ColumnKind::Categorical)
        }
        DataType::Dictionary(_, value) => kind_of(value).filter(|k| *k != ColumnKind::Image),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Some(ColumnKind::Image),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_numeric().then_some(ColumnKind::Image)
        }
        _ => None,
    }
}

/// Turns what the decoder says about a damaged file, a panic included, into an error that names it.
pub(crate) fn guard<T>(
    path: &Path,
    decode: impl FnOnce() -> Result<T, parquet::errors::ParquetError>,
) -> Result<T, DataError> {
    // The decoder is abandoned after a panic, so nothing half-changed is seen again.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(DataError::source(
            path,
            format!("not a readable Parquet file: {e}"),
        )),
        Err(_) => Err(DataError::source(
            path,
            "not a readable Parquet file: its content is damaged",
        )),
    }
}
