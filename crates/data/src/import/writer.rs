//! Dataset files: Parquet with one row group a block.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bonfire_domain::dataset::{BLOCK_ROWS, DatasetFile};
use bonfire_domain::spec::ColumnKind;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::blob::{BLOB_BYTES_AIM, BlobWriter, Out};
use crate::convert::Schema;
use crate::error::{DataError, io_error};

/// A blob that its Parquet writer and we hold together: the writer does not give it back after an error.
#[derive(Clone)]
struct Shared(Arc<Mutex<Option<BlobWriter>>>);

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut BlobWriter) -> io::Result<T>) -> io::Result<T> {
        let mut blob = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blob.as_mut()
            .map_or_else(|| Err(io::Error::other("the blob is finished")), act)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|b| b.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct DatasetWriter {
    schema: SchemaRef,
    properties: WriterProperties,
    open: Option<(ArrowWriter<Shared>, Shared, u64)>,
    files: Vec<DatasetFile>,
}

impl DatasetWriter {
    pub fn new(schema: &Schema) -> DatasetWriter {
        let level = ZstdLevel::try_new(1).unwrap_or_default();
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(BLOCK_ROWS as usize))
            .set_created_by("bonfire".to_owned());
        for plan in schema.plans.iter().filter(|p| p.kind == ColumnKind::Image) {
            properties = properties
                .set_column_dictionary_enabled(ColumnPath::new(vec![plan.name.clone()]), false);
        }
        DatasetWriter {
            schema: schema.stored.clone(),
            properties: properties.build(),
            open: None,
            files: Vec::new(),
        }
    }

    /// Writes a block as one row group.
    pub fn write(&mut self, out: &mut Out, block: &RecordBatch) -> Result<(), DataError> {
        let (mut writer, blob, rows) = match self.open.take() {
            Some(open) => open,
            None => {
                let blob = Shared(Arc::new(Mutex::new(Some(out.begin()?))));
                let properties = Some(self.properties.clone());
                let writer = ArrowWriter::try_new(blob.clone(), self.schema.clone(), properties);
                (writer.map_err(|e| failed(&blob, e))?, blob, 0)
            }
        };
        writer
            .write(block)
            .and_then(|()| writer.flush())
            .map_err(|e| failed(&blob, e))?;
        let rows = rows + block.num_rows() as u64;
        if writer.bytes_written() as u64 >= BLOB_BYTES_AIM {
            self.close(out, writer, &blob, rows)
        } else {
            self.open = Some((writer, blob, rows));
            Ok(())
        }
    }

    fn close(
        &mut self,
        out: &mut Out,
        writer: ArrowWriter<Shared>,
        blob: &Shared,
        rows: u64,
    ) -> Result<(), DataError> {
        writer.close().map_err(|e| failed(blob, e))?;
        let finished = blob.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(finished) = finished {
            self.files.push(out.finish(finished, rows)?);
        }
        Ok(())
    }

    pub fn finish(mut self, out: &mut Out) -> Result<Vec<DatasetFile>, DataError> {
        if let Some((writer, blob, rows)) = self.open.take() {
            self.close(out, writer, &blob, rows)?;
        }
        Ok(self.files)
    }
}

fn failed(blob: &Shared, error: parquet::errors::ParquetError) -> DataError {
    let path = blob
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()
        .map(|b| b.path.clone());
    DataError::write(&path.unwrap_or_default(), io_error(error))
}
