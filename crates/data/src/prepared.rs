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
    /// f32 values, then a u32 class.
    ValuesClass,
    /// f32 values, then an f32.
    ValuesValue,
    /// A window of context + 1 bytes.
    Window,
    /// u16 tokens, then a u32 class.
    TokensClass,
}

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
            Layout::ValuesClass => {
                let (mut values, mut classes) =
                    (values(&mut into.input), integers(&mut into.target));
                for row in rows {
                    let (features, class) = row.split_at(row.len() - 4);
                    push_values(features, &mut values);
                    classes.push(class_of(class));
                    *count += 1;
                }
                (into.input, into.target) = (Input::Values(values), Target::Classes(classes));
            }
            Layout::ValuesValue => {
                let mut values = values(&mut into.input);
                let mut targets = match std::mem::take(&mut into.target) {
                    Target::Values(targets) => cleared(targets),
                    Target::Classes(_) | Target::Tokens(_) => Vec::new(),
                };
                for row in rows {
                    let (features, target) = row.split_at(row.len() - 4);
                    push_values(features, &mut values);
                    push_values(target, &mut targets);
                    *count += 1;
                }
                (into.input, into.target) = (Input::Values(values), Target::Values(targets));
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
            Layout::TokensClass => {
                let (mut tokens, mut classes) =
                    (tokens(&mut into.input), integers(&mut into.target));
                for row in rows {
                    let (text, class) = row.split_at(row.len() - 4);
                    tokens.extend(
                        text.as_chunks::<2>()
                            .0
                            .iter()
                            .map(|t| i32::from(u16::from_le_bytes(*t))),
                    );
                    classes.push(class_of(class));
                    *count += 1;
                }
                (into.input, into.target) = (Input::Tokens(tokens), Target::Classes(classes));
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
    let numbers = match input {
        InputShape::Features(n) => u64::from(*n),
        InputShape::Image(shape) => shape
            .iter()
            .try_fold(1_u64, |n, d| n.checked_mul((*d).into()))?,
        InputShape::Bytes { context } => u64::from(*context),
    };
    let text = matches!(input, InputShape::Bytes { .. });
    match output {
        OutputShape::Classes { .. } if text => Some((Layout::TokensClass, numbers * 2 + 4)),
        OutputShape::Classes { .. } => Some((Layout::ValuesClass, numbers.checked_mul(4)? + 4)),
        OutputShape::Value { .. } if !text => {
            Some((Layout::ValuesValue, numbers.checked_mul(4)? + 4))
        }
        OutputShape::NextByte if text => Some((Layout::Window, numbers + 1)),
        _ => None,
    }
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

fn cleared<T>(mut vector: Vec<T>) -> Vec<T> {
    vector.clear();
    vector
}
