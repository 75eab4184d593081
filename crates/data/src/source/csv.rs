//! CSV: quoted fields, a header, one data row a record.

use std::path::Path;
use std::sync::Arc;

use arrow::array::LargeStringBuilder;
use csv::{ByteRecord, ReaderBuilder, Trim};

use super::tally::{Tallied, Tally};
use super::{Heading, ROW_BYTES_MAX, RawChunk, RawColumn, RawRows, Rows, check_names};
use crate::error::{CellError, DataError};

pub(super) struct CsvRows {
    path: Arc<Path>,
    reader: csv::Reader<Tallied>,
    headings: Vec<Heading>,
    record: ByteRecord,
    done: u64,
}

impl CsvRows {
    /// # Errors
    /// No header, a header of numbers, a name that is missing, twice there or not UTF-8.
    pub fn open(path: &Path, tally: Tally) -> Result<CsvRows, DataError> {
        let file = Tallied::open(path, tally, ROW_BYTES_MAX)?;
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::Headers)
            .buffer_capacity(1 << 16)
            .from_reader(file);
        let header = reader
            .byte_headers()
            .map_err(|e| read_error(path, e))?
            .clone();
        if header.is_empty() {
            return Err(DataError::source(path, "empty: there is no header"));
        }
        let mut headings = Vec::with_capacity(header.len());
        for (i, name) in header.iter().enumerate() {
            let name = std::str::from_utf8(name).map_err(|_| {
                DataError::source(path, format!("the name of column {} is not UTF-8", i + 1))
            })?;
            headings.push(Heading {
                name: name.to_owned(),
                kind: None,
            });
        }
        if headings.iter().all(|h| h.name.parse::<f64>().is_ok()) {
            let problem = "no header: the first line holds only numbers; put column names there";
            return Err(DataError::source(path, problem));
        }
        check_names(path, headings.iter().map(|h| h.name.as_str()))?;
        let record = ByteRecord::new();
        Ok(CsvRows {
            path: path.into(),
            reader,
            headings,
            record,
            done: 0,
        })
    }

    fn error(&self, line: u64, row: u64, column: Option<&str>, problem: String) -> DataError {
        DataError::Cell(Box::new(CellError {
            file: Some(self.path.to_path_buf()),
            line: Some(line),
            row,
            column: column.map(str::to_owned),
            problem,
        }))
    }

    /// Puts the cells of the current record where they belong.
    fn take(&self, row: u64, line: u64, cells: &mut [LargeStringBuilder]) -> Result<(), DataError> {
        let (have, want) = (self.record.len(), self.headings.len());
        if have != want {
            let problem = format!("{have} values, the header has {want}");
            return Err(self.error(line, row, None, problem));
        }
        for ((cell, heading), column) in self.record.iter().zip(&self.headings).zip(cells) {
            match std::str::from_utf8(cell) {
                Ok("") => column.append_null(),
                Ok(text) => column.append_value(text),
                Err(_) => {
                    let problem = format!(
                        "not UTF-8: {:?}",
                        String::from_utf8_lossy(&cell[..cell.len().min(40)])
                    );
                    return Err(self.error(line, row, Some(&heading.name), problem));
                }
            }
        }
        Ok(())
    }
}

impl Rows for CsvRows {
    fn headings(&self) -> Option<&[Heading]> {
        Some(&self.headings)
    }

    fn read(&mut self, rows: usize) -> Result<Option<RawChunk>, DataError> {
        let mut cells: Vec<LargeStringBuilder> = self
            .headings
            .iter()
            .map(|_| LargeStringBuilder::new())
            .collect();
        let mut lines = Vec::new();
        while lines.len() < rows {
            if !self
                .reader
                .read_byte_record(&mut self.record)
                .map_err(|e| read_error(&self.path, e))?
            {
                break;
            }
            self.reader.get_mut().next_row();
            let line = self.record.position().map_or(0, csv::Position::line);
            self.take(self.done + lines.len() as u64 + 1, line, &mut cells)?;
            lines.push(line);
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let before = self.done;
        self.done += lines.len() as u64;
        let content = RawRows::Columns(
            cells
                .iter_mut()
                .map(|c| RawColumn::Cells(c.finish()))
                .collect(),
        );
        Ok(Some(RawChunk {
            file: self.path.clone(),
            before,
            rows: lines.len(),
            lines,
            content,
        }))
    }
}

fn read_error(path: &Path, error: csv::Error) -> DataError {
    match error.into_kind() {
        csv::ErrorKind::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            DataError::source(path, e.to_string())
        }
        csv::ErrorKind::Io(e) => DataError::read(path, e),
        other => DataError::source(path, format!("{other:?}")),
    }
}
