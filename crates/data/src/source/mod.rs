//! What a user names, as a stream of raw rows: which files, in which format, read chunk by chunk.
//!
//! A reader knows its format only. What the columns mean is decided in `convert`; nothing here looks at more than one chunk.

mod csv;
mod files;
mod json;
mod lines;
mod parquet;
mod tally;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, LargeStringArray};
use bonfire_domain::spec::ColumnKind;
use serde_json::{Map, Value};

pub(crate) use self::files::Format;
pub(crate) use self::parquet::guard;
pub(crate) use self::tally::Tally;
use crate::error::{CellError, DataError};

/// Bytes a single row of text may have: an unclosed quote must not read the whole file into memory.
pub(crate) const ROW_BYTES_MAX: u64 = 64 << 20;

/// A column's values as the format has them.
pub(crate) enum RawColumn {
    /// Cells of a CSV file; a missing value is an empty cell.
    Cells(LargeStringArray),
    /// A Parquet column, in its own type.
    Array(ArrayRef),
    Json(Vec<Value>),
}

pub(crate) enum RawRows {
    /// In the order of [`Rows::names`].
    Columns(Vec<RawColumn>),
    Objects(Vec<Map<String, Value>>),
}

/// Some rows of one file.
pub(crate) struct RawChunk {
    pub file: Arc<Path>,
    /// Data rows of the file before this chunk.
    pub before: u64,
    /// Line of each row, from 1; empty where the format has no lines.
    pub lines: Vec<u64>,
    pub rows: usize,
    pub content: RawRows,
}

impl RawChunk {
    /// The place of a row of this chunk in its file.
    pub fn error(&self, row: usize, column: &str, problem: impl Into<String>) -> DataError {
        DataError::Cell(Box::new(CellError {
            file: Some(self.file.to_path_buf()),
            line: self.lines.get(row).copied(),
            row: self.before + row as u64 + 1,
            column: Some(column.to_owned()),
            problem: problem.into(),
        }))
    }
}

/// A column before its values are looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heading {
    pub name: String,
    /// Where the format says it; CSV does not.
    pub kind: Option<ColumnKind>,
}

/// One open file.
trait Rows {
    /// `None` for JSON lines, whose rows name their own columns.
    fn headings(&self) -> Option<&[Heading]>;
    /// At most `rows` more; `None` at the end.
    fn read(&mut self, rows: usize) -> Result<Option<RawChunk>, DataError>;
    /// Called once, after the last row.
    fn close(&mut self) -> Result<(), DataError> {
        Ok(())
    }
}

/// All files of a source, one after the other.
pub(crate) struct Source {
    format: Format,
    files: std::vec::IntoIter<PathBuf>,
    first: PathBuf,
    open: Option<(PathBuf, Box<dyn Rows>)>,
    headings: Option<Vec<Heading>>,
    tally: Tally,
    pub bytes_total: u64,
}

impl Source {
    /// Finds the files of `source` and opens the first.
    ///
    /// # Errors
    /// Nothing there, more than one format, a file that cannot be read.
    pub fn open(source: &Path) -> Result<Source, DataError> {
        let (format, files) = files::resolve(source)?;
        let mut bytes_total = 0;
        for file in &files {
            bytes_total += std::fs::metadata(file)
                .map_err(|e| DataError::read(file, e))?
                .len();
        }
        let first = files[0].clone();
        let files = files.into_iter();
        let tally = Tally::default();
        let mut source = Source {
            format,
            files,
            first,
            open: None,
            headings: None,
            tally,
            bytes_total,
        };
        source.next_file()?;
        Ok(source)
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// The first file, which errors about the whole source name.
    pub fn first(&self) -> &Path {
        &self.first
    }

    pub fn headings(&self) -> Option<&[Heading]> {
        self.headings.as_deref()
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Exactly `rows` more unless the source ends before, in chunks of one file each.
    pub fn block(&mut self, rows: usize) -> Result<Vec<RawChunk>, DataError> {
        let mut chunks = Vec::new();
        let mut have = 0;
        while have < rows {
            let Some((_, open)) = &mut self.open else {
                break;
            };
            match open.read(rows - have)? {
                Some(chunk) => {
                    have += chunk.rows;
                    chunks.push(chunk);
                }
                None => {
                    open.close()?;
                    self.open = None;
                    self.next_file()?;
                }
            }
        }
        Ok(chunks)
    }

    fn next_file(&mut self) -> Result<(), DataError> {
        let Some(path) = self.files.next() else {
            return Ok(());
        };
        let tally = self.tally.clone();
        let open: Box<dyn Rows> = match self.format {
            Format::Csv => Box::new(csv::CsvRows::open(&path, tally)?),
            Format::Parquet => Box::new(parquet::ParquetRows::open(&path, tally)?),
            Format::JsonLines => Box::new(json::JsonRows::open(&path, tally)?),
            Format::Text => Box::new(lines::TextRows::open(&path, tally)?),
        };
        match (&self.headings, open.headings()) {
            (None, headings) => self.headings = headings.map(<[Heading]>::to_vec),
            (Some(ours), Some(theirs)) => check_headings(&path, theirs, &self.first, ours)?,
            (Some(_), None) => {}
        }
        self.open = Some((path, open));
        Ok(())
    }
}

/// All files of a source have the same columns in the same order.
fn check_headings(
    path: &Path,
    theirs: &[Heading],
    first: &Path,
    ours: &[Heading],
) -> Result<(), DataError> {
    for (i, our) in ours.iter().enumerate() {
        let problem = match theirs.get(i) {
            Some(their) if their == our => continue,
            Some(their) if their.name == our.name => format!(
                "column {} is {}, in {} it is {}",
                our.name,
                kind_name(their.kind),
                first.display(),
                kind_name(our.kind)
            ),
            Some(their) => {
                format!(
                    "column {} is {}, in {} it is {}",
                    i + 1,
                    their.name,
                    first.display(),
                    our.name
                )
            }
            None => format!("column {} is missing, {} has it", our.name, first.display()),
        };
        return Err(DataError::source(path, problem));
    }
    match theirs.get(ours.len()) {
        Some(extra) => {
            let problem = format!("column {} is not in {}", extra.name, first.display());
            Err(DataError::source(path, problem))
        }
        None => Ok(()),
    }
}

/// A kind as a spec writes it.
pub(crate) fn kind_name(kind: Option<ColumnKind>) -> &'static str {
    match kind {
        Some(ColumnKind::Numeric) => "numeric",
        Some(ColumnKind::Categorical) => "categorical",
        Some(ColumnKind::Text) => "text",
        Some(ColumnKind::Image) => "image",
        None => "of no kind yet",
    }
}

/// Names that are there and differ.
fn check_names<'a>(path: &Path, names: impl Iterator<Item = &'a str>) -> Result<(), DataError> {
    let mut seen = std::collections::BTreeMap::new();
    for (i, name) in names.enumerate() {
        if name.is_empty() {
            return Err(DataError::source(
                path,
                format!("column {} has no name", i + 1),
            ));
        }
        if let Some(before) = seen.insert(name, i) {
            let problem = format!("columns {} and {} are both named {name}", before + 1, i + 1);
            return Err(DataError::source(path, problem));
        }
    }
    Ok(())
}
