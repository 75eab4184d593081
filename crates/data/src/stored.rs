//! A dataset version's own files, read back block by block.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use bonfire_domain::dataset::{BLOCK_ROWS, DatasetFile, DatasetManifest};
use bonfire_domain::id::Digest;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::DataError;
use crate::source::guard;

/// Blocks of some columns of a dataset, in row order.
pub(crate) struct Blocks<'a> {
    dataset: &'a DatasetManifest,
    blob: &'a dyn Fn(&Digest) -> PathBuf,
    columns: Vec<usize>,
    next: usize,
    open: Option<(PathBuf, ParquetRecordBatchReader, u64)>,
    row: u64,
}

impl<'a> Blocks<'a> {
    /// - `columns`: indices, ascending; a block has just these, in this order.
    pub fn new(
        dataset: &'a DatasetManifest,
        blob: &'a dyn Fn(&Digest) -> PathBuf,
        columns: &[usize],
    ) -> Blocks<'a> {
        Blocks {
            dataset,
            blob,
            columns: columns.to_vec(),
            next: 0,
            open: None,
            row: 0,
        }
    }

    /// The next block and the index of its first row.
    ///
    /// # Errors
    /// A file that is not there, or that does not hold what the manifest says.
    pub fn next(&mut self) -> Result<Option<(u64, RecordBatch)>, DataError> {
        loop {
            let Some((path, reader, left)) = &mut self.open else {
                let Some(file) = self.dataset.files.get(self.next) else {
                    return Ok(None);
                };
                self.next += 1;
                self.open = Some(self.open_file(file)?);
                continue;
            };
            let batch = guard(path, || Ok(reader.next().transpose()?))
                .map_err(|e| DataError::damaged(path, e))?;
            let Some(batch) = batch else {
                if *left > 0 {
                    return Err(DataError::damaged(path, format!("{left} rows are missing")));
                }
                self.open = None;
                continue;
            };
            let rows = batch.num_rows() as u64;
            if rows > *left {
                return Err(DataError::damaged(path, "more rows than its manifest says"));
            }
            *left -= rows;
            let first = self.row;
            self.row += rows;
            return Ok(Some((first, batch)));
        }
    }

    fn open_file(
        &self,
        file: &DatasetFile,
    ) -> Result<(PathBuf, ParquetRecordBatchReader, u64), DataError> {
        let path = (self.blob)(&file.blob.digest);
        let opened = File::open(&path).map_err(|e| DataError::read(&path, e))?;
        check_size(&path, &opened, file.blob.bytes)?;
        let names = self
            .columns
            .iter()
            .filter_map(|c| self.dataset.columns.get(*c))
            .map(|c| c.name.as_str());
        let reader = guard(&path, || {
            let builder = ParquetRecordBatchReaderBuilder::try_new(opened)?;
            let schema = builder.parquet_schema();
            let leaves = (0..schema.num_columns())
                .filter(|i| self.columns.contains(i))
                .collect::<Vec<_>>();
            let mask = ProjectionMask::leaves(schema, leaves);
            builder
                .with_projection(mask)
                .with_batch_size(BLOCK_ROWS as usize)
                .build()
        });
        let reader = reader.map_err(|e| DataError::damaged(&path, e))?;
        let schema = arrow::array::RecordBatchReader::schema(&reader);
        if !schema.fields().iter().map(|f| f.name().as_str()).eq(names) {
            return Err(DataError::damaged(
                &path,
                "its columns are not those of its manifest",
            ));
        }
        Ok((path, reader, file.rows))
    }
}

/// A file is as long as its manifest says.
pub(crate) fn check_size(path: &Path, file: &File, bytes: u64) -> Result<(), DataError> {
    let found = file.metadata().map_err(|e| DataError::read(path, e))?.len();
    if found == bytes {
        Ok(())
    } else {
        Err(DataError::damaged(
            path,
            format!("{found} bytes, its manifest says {bytes}"),
        ))
    }
}
