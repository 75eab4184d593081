//! Fixed-width rows into blobs of whole blocks.

use std::io::Write;

use bonfire_domain::dataset::{BLOCK_ROWS, DatasetFile, PreparedPart};

use crate::blob::{BLOB_BYTES_AIM, BlobWriter, Out};
use crate::error::DataError;

pub(super) struct PartWriter {
    row_bytes: u64,
    rows_a_file: u64,
    open: Option<(BlobWriter, u64)>,
    files: Vec<DatasetFile>,
}

impl PartWriter {
    pub fn new(row_bytes: u32) -> PartWriter {
        let row_bytes = u64::from(row_bytes);
        let blocks = (BLOB_BYTES_AIM / (row_bytes * BLOCK_ROWS).max(1)).max(1);
        PartWriter {
            row_bytes,
            rows_a_file: blocks * BLOCK_ROWS,
            open: None,
            files: Vec::new(),
        }
    }

    /// Writes one row of `row_bytes` bytes.
    pub fn write(&mut self, out: &mut Out, row: &[u8]) -> Result<(), DataError> {
        debug_assert_eq!(row.len() as u64, self.row_bytes);
        let (mut blob, rows) = match self.open.take() {
            Some(open) => open,
            None => (out.begin()?, 0),
        };
        blob.write_all(row)
            .map_err(|e| DataError::write(&blob.path, e))?;
        if rows + 1 == self.rows_a_file {
            self.files.push(out.finish(blob, rows + 1)?);
        } else {
            self.open = Some((blob, rows + 1));
        }
        Ok(())
    }

    pub fn finish(mut self, out: &mut Out) -> Result<PreparedPart, DataError> {
        if let Some((blob, rows)) = self.open.take() {
            self.files.push(out.finish(blob, rows)?);
        }
        Ok(PreparedPart {
            rows: self.files.iter().map(|f| f.rows).sum(),
            files: self.files,
        })
    }
}
