//! Plain text: one column, `text`, a row a line. Also the line reader that JSON lines use.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::LargeStringBuilder;
use bonfire_domain::spec::ColumnKind;

use super::tally::{Tallied, Tally};
use super::{Heading, ROW_BYTES_MAX, RawChunk, RawColumn, RawRows, Rows};
use crate::error::{CellError, DataError};

/// Lines of a UTF-8 file, without their ends (`\n` or `\r\n`) and without a byte order mark.
pub(super) struct Lines {
    pub path: Arc<Path>,
    reader: BufReader<Tallied>,
    bytes: Vec<u8>,
    pub number: u64,
}

impl Lines {
    pub fn open(path: &Path, tally: Tally) -> Result<Lines, DataError> {
        let file = Tallied::open(path, tally, u64::MAX)?;
        let reader = BufReader::with_capacity(1 << 16, file);
        Ok(Lines {
            path: path.into(),
            reader,
            bytes: Vec::new(),
            number: 0,
        })
    }

    /// The next line; `row` is what an error about it says.
    pub fn next(&mut self, row: u64) -> Result<Option<&str>, DataError> {
        self.bytes.clear();
        let mut limited = self.reader.by_ref().take(ROW_BYTES_MAX + 1);
        let count = limited
            .read_until(b'\n', &mut self.bytes)
            .map_err(|e| DataError::read(&self.path, e))?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        if count as u64 > ROW_BYTES_MAX {
            return Err(self.error(row, format!("longer than {ROW_BYTES_MAX} bytes")));
        }
        let mut line = self.bytes.as_slice();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.number == 1 {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        match std::str::from_utf8(line) {
            Ok(text) => Ok(Some(text)),
            Err(e) => Err(self.error(row, format!("not UTF-8 after {} bytes", e.valid_up_to()))),
        }
    }

    pub fn error(&self, row: u64, problem: String) -> DataError {
        DataError::Cell(Box::new(CellError {
            file: Some(self.path.to_path_buf()),
            line: Some(self.number),
            row,
            column: None,
            problem,
        }))
    }
}

pub(super) struct TextRows {
    lines: Lines,
    headings: [Heading; 1],
    done: u64,
}

impl TextRows {
    pub fn open(path: &Path, tally: Tally) -> Result<TextRows, DataError> {
        let headings = [Heading {
            name: "text".to_owned(),
            kind: Some(ColumnKind::Text),
        }];
        Ok(TextRows {
            lines: Lines::open(path, tally)?,
            headings,
            done: 0,
        })
    }
}

impl Rows for TextRows {
    fn headings(&self) -> Option<&[Heading]> {
        Some(&self.headings)
    }

    fn read(&mut self, rows: usize) -> Result<Option<RawChunk>, DataError> {
        let mut text = LargeStringBuilder::new();
        let mut lines = Vec::new();
        while lines.len() < rows {
            let Some(line) = self.lines.next(self.done + lines.len() as u64 + 1)? else {
                break;
            };
            text.append_value(line);
            lines.push(self.lines.number);
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let before = self.done;
        self.done += lines.len() as u64;
        let content = RawRows::Columns(vec![RawColumn::Array(Arc::new(text.finish()))]);
        Ok(Some(RawChunk {
            file: self.lines.path.clone(),
            before,
            rows: lines.len(),
            lines,
            content,
        }))
    }
}
