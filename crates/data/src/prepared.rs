//! Prepared rows, mapped into memory and turned into batches.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;

use bonfire_domain::batch::{Batch, Input, Target};
use bonfire_domain::dataset::{InputShape, OutputShape, PreparedManifest, PreparedPart};
use bonfire_domain::id::Digest;
use memmap2::Mmap;

use crate::error::DataError;
use crate::order::Order;
use crate::stored::check_size;

/// Random access to train and valid rows. Processes that open the same files share their memory.
#[derive(Debug)]
pub struct Prepared {
    train: Rows,
    valid: Rows,
    layout: Layout,
    row_bytes: usize,
}

/// How the bytes of a row are read, see [`PreparedManifest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// What the model reads, then what it is to answer.
    Labelled { reads: Reads, answer: Answer },
    /// A window of context + 1 bytes.
    Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// f32 values.
    Values,
    /// u16 tokens.
    Tokens,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// A u32.
    Class,
    /// An f32.
    Value,
}

/// The bytes of an answer.
const ANSWER_BYTES: usize = 4;

#[derive(Debug)]
struct Rows {
    count: u64,
    /// The first row of each file, and its bytes.
    files: Vec<(u64, Mmap)>,
}

impl Prepared {
    /// Maps the files of a manifest; reads none of their rows.
    ///
    /// - `blob`: the local file of a digest, whose content is trusted to be that digest's.
    ///
    /// # Errors
    /// A file that is not there or not as long as its manifest says, or a manifest that contradicts itself.
    pub fn open(
        manifest: &PreparedManifest,
        blob: &dyn Fn(&Digest) -> PathBuf,
    ) -> Result<Prepared, DataError> {
        let (layout, bytes) = layout(&manifest.input, &manifest.output).ok_or_else(|| {
            DataError::request("prepared data of an input and an output that do not go together")
        })?;
        if bytes != u64::from(manifest.row_bytes) {
            return Err(DataError::request(format!(
                "prepared rows of {} bytes, their shape needs {bytes}",
                manifest.row_bytes
            )));
        }
        let row_bytes = manifest.row_bytes as usize;
        let train = Rows::open(&manifest.train, bytes, blob)?;
        let valid = Rows::open(&manifest.valid, bytes, blob)?;
        Ok(Prepared {
            train,
            valid,
            layout,
            row_bytes,
        })
    }

    pub fn train_rows(&self) -> u64 {
        self.train.count
    }

    pub fn valid_rows(&self) -> u64 {
        self.valid.count
    }

    /// Fills a batch with the train rows at some positions of an epoch's order, reusing its memory.
    ///
    /// Positions past the last row are left out; they are those of a last, smaller batch.
    pub fn train_batch(&self, order: &Order, epoch: u32, positions: Range<u64>, into: &mut Batch) {
        let order = order.epoch(epoch);
        let end = positions.end.min(self.train.count);
        self.fill(
            &self.train,
            (positions.start..end).map(|p| order.row(p)),
            into,
        );
    }

    /// Fills a batch with valid rows in their own order. Rows past the last are left out.
    pub fn valid_batch(&self, rows: Range<u64>, into: &mut Batch) {
        let end = rows.end.min(self.valid.count);
        self.fill(&self.valid, rows.start..end, into);
    }

    /// Fills a batch with train rows in their own order, as for an evaluation on train.
    pub fn train_rows_batch(&self, rows: Range<u64>, into: &mut Batch) {
        let end = rows.end.min(self.train.count);
        self.fill(&self.train, rows.start..end, into);
    }

    fn fill(&self, part: &Rows, rows: impl Iterator<Item = u64>, into: &mut Batch) {
        let rows = rows.filter_map(|row| part.row(row, self.row_bytes));
        into.rows = 0;
        let count = &mut into.rows;
        match self.layout {
            Layout::Labelled { reads, answer } => {
                into.input = match reads {
                    Reads::Values => Input::Values(values(&mut into.input)),
                    Reads::Tokens => Input::Tokens(tokens(&mut into.input)),
                };
                into.target = match answer {
                    Answer::Class => Target::Classes(integers(&mut into.target)),
                    Answer::Value => Target::Values(numbers(&mut into.target)),
                };
                for row in rows {
                    let (input, answer) = row.split_at(row.len() - ANSWER_BYTES);
                    match &mut into.input {
                        Input::Values(values) => push_values(input, values),
                        Input::Tokens(tokens) => push_tokens(input, tokens),
                    }
                    match &mut into.target {
                        Target::Values(values) => push_values(answer, values),
                        Target::Classes(ids) | Target::Tokens(ids) => ids.push(class_of(answer)),
                    }
                    *count += 1;
                }
            }
            Layout::Window => {
                let (mut tokens, mut next) = (tokens(&mut into.input), integers(&mut into.target));
                for row in rows {
                    tokens.extend(row[..row.len() - 1].iter().map(|b| i32::from(*b)));
                    next.extend(row[1..].iter().map(|b| i32::from(*b)));
                    *count += 1;
                }
                (into.input, into.target) = (Input::Tokens(tokens), Target::Tokens(next));
            }
        }
    }
}

impl Rows {
    fn open(
        part: &PreparedPart,
        row_bytes: u64,
        blob: &dyn Fn(&Digest) -> PathBuf,
    ) -> Result<Rows, DataError> {
        let mut files = Vec::with_capacity(part.files.len());
        let mut count = 0;
        for file in part.files.iter().filter(|f| f.rows > 0) {
            let path = blob(&file.blob.digest);
            if file.rows.checked_mul(row_bytes) != Some(file.blob.bytes) {
                return Err(DataError::damaged(
                    &path,
                    format!(
                        "{} rows of {row_bytes} bytes in {} bytes",
                        file.rows, file.blob.bytes
                    ),
                ));
            }
            let open = File::open(&path).map_err(|e| DataError::read(&path, e))?;
            check_size(&path, &open, file.blob.bytes)?;
            // Blobs are immutable once they have their digest's name: nobody writes or truncates the file under the map.
            #[allow(unsafe_code)]
            let map = unsafe { Mmap::map(&open) }.map_err(|e| DataError::read(&path, e))?;
            files.push((count, map));
            count += file.rows;
        }
        if count != part.rows {
            return Err(DataError::request(format!(
                "prepared data of {} rows whose files have {count}",
                part.rows
            )));
        }
        Ok(Rows { count, files })
    }

    fn row(&self, row: u64, row_bytes: usize) -> Option<&[u8]> {
        let file = self
            .files
            .partition_point(|(first, _)| *first <= row)
            .checked_sub(1)?;
        let (first, map) = &self.files[file];
        let start = usize::try_from(row - first).ok()?.checked_mul(row_bytes)?;
        map.get(start..start.checked_add(row_bytes)?)
    }
}

/// The layout of a row and its bytes; `None` for shapes that do not go together.
fn layout(input: &InputShape, output: &OutputShape) -> Option<(Layout, u64)> {
    let (reads, bytes) = match input {
        InputShape::Features(n) => (Reads::Values, u64::from(*n).checked_mul(4)?),
        InputShape::Image(shape) => {
            let mut sides = shape.iter();
            let bytes = sides.try_fold(4_u64, |n, d| n.checked_mul((*d).into()))?;
            (Reads::Values, bytes)
        }
        InputShape::Bytes { context } => (Reads::Tokens, u64::from(*context) * 2),
    };
    let answer = match (output, input) {
        (OutputShape::Classes { .. }, _) => Answer::Class,
        (OutputShape::Value { .. }, _) => Answer::Value,
        (OutputShape::NextByte, InputShape::Bytes { context }) => {
            return Some((Layout::Window, u64::from(*context) + 1));
        }
        (OutputShape::NextByte, _) => return None,
    };
    let bytes = bytes.checked_add(ANSWER_BYTES as u64)?;
    Some((Layout::Labelled { reads, answer }, bytes))
}

fn push_values(bytes: &[u8], values: &mut Vec<f32>) {
    values.extend(
        bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b)),
    );
}

fn push_tokens(bytes: &[u8], tokens: &mut Vec<i32>) {
    let token = |b: &[u8; 2]| i32::from(u16::from_le_bytes(*b));
    tokens.extend(bytes.as_chunks::<2>().0.iter().map(token));
}

fn class_of(bytes: &[u8]) -> i32 {
    bytes
        .first_chunk::<4>()
        .map_or(0, |b| i32::from_le_bytes(*b))
}

/// The batch's own vector, emptied, if it has one of this kind.
fn values(input: &mut Input) -> Vec<f32> {
    match std::mem::take(input) {
        Input::Values(values) => cleared(values),
        Input::Tokens(_) => Vec::new(),
    }
}

fn tokens(input: &mut Input) -> Vec<i32> {
    match std::mem::take(input) {
        Input::Tokens(tokens) => cleared(tokens),
        Input::Values(_) => Vec::new(),
    }
}

fn integers(target: &mut Target) -> Vec<i32> {
    match std::mem::take(target) {
        Target::Classes(integers) | Target::Tokens(integers) => cleared(integers),
        Target::Values(_) => Vec::new(),
    }
}

fn numbers(target: &mut Target) -> Vec<f32> {
    match std::mem::take(target) {
        Target::Values(numbers) => cleared(numbers),
        Target::Classes(_) | Target::Tokens(_) => Vec::new(),
    }
}

fn cleared<T>(mut vector: Vec<T>) -> Vec<T> {
    vector.clear();
    vector
}
