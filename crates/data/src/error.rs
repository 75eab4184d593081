//! What can go wrong with rows, with the file, the row and the column it is about.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why rows could not be read, prepared or written.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A source as a whole: its header, its format, its being empty.
    #[error("{}: {problem}", path.display())]
    Source { path: PathBuf, problem: String },
    /// A kind that was said of a column, and that it cannot have.
    #[error("{}: types: {problem}", path.display())]
    Types { path: PathBuf, problem: String },
    /// One row or one value.
    #[error("{0}")]
    Cell(Box<CellError>),
    /// What is asked does not fit the data.
    #[error("{problem}")]
    Request { problem: String },
    /// A file of ours that does not hold what its manifest says.
    #[error("{}: damaged: {problem}", path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error("cancelled")]
    Cancelled,
}

/// A place in a source or a dataset, and what is wrong there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CellError {
    /// The source file; `None` for a row of a dataset version.
    pub file: Option<PathBuf>,
    /// Line of the file, from 1, where the format has lines.
    pub line: Option<u64>,
    /// Data row, from 1: of the file, or of the dataset version.
    pub row: u64,
    pub column: Option<String>,
    pub problem: String,
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        write!(f, "row {}", self.row)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl DataError {
    /// True where the user must act: the source or the request is wrong, not the machine.
    pub fn is_users(&self) -> bool {
        match self {
            DataError::Source { .. }
            | DataError::Types { .. }
            | DataError::Cell(_)
            | DataError::Request { .. } => true,
            DataError::Read { source, .. } => source.kind() == io::ErrorKind::NotFound,
            DataError::Write { .. } | DataError::Damaged { .. } | DataError::Cancelled => false,
        }
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> DataError {
        let path = path.to_owned();
        DataError::Read { path, source }
    }

    pub(crate) fn write(path: &Path, source: impl Into<io::Error>) -> DataError {
        let path = path.to_owned();
        let source = source.into();
        DataError::Write { path, source }
    }

    pub(crate) fn source(path: &Path, problem: impl Into<String>) -> DataError {
        let path = path.to_owned();
        let problem = problem.into();
        DataError::Source { path, problem }
    }

    pub(crate) fn types(path: &Path, problem: impl Into<String>) -> DataError {
        let path = path.to_owned();
        let problem = problem.into();
        DataError::Types { path, problem }
    }

    pub(crate) fn request(problem: impl Into<String>) -> DataError {
        let problem = problem.into();
        DataError::Request { problem }
    }

    pub(crate) fn damaged(path: &Path, problem: impl fmt::Display) -> DataError {
        let path = path.to_owned();
        let problem = problem.to_string();
        DataError::Damaged { path, problem }
    }

    /// A value of a dataset version; `row` counts from 0 here and from 1 in the text.
    pub(crate) fn value(row: u64, column: &str, problem: impl Into<String>) -> DataError {
        DataError::Cell(Box::new(CellError {
            row: row + 1,
            column: Some(column.to_owned()),
            problem: problem.into(),
            ..CellError::default()
        }))
    }
}

/// The input or output error inside a Parquet error, so that "no space left" stays recognisable.
pub(crate) fn io_error(error: parquet::errors::ParquetError) -> io::Error {
    match error {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(inner) => io::Error::other(inner),
        },
        other => io::Error::other(other),
    }
}
