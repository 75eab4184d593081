//! Kinds of columns that nobody said, from the values of the first block.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use bonfire_domain::spec::ColumnKind;
use serde_json::Value;

use super::values;
use crate::error::DataError;
use crate::number::{Parsed, parse};
use crate::source::{RawChunk, RawColumn, RawRows};

/// Of this many numbers for each other value a column is one of numbers with a mistake in it: 90 %.
const NUMBERS_PER_TEXT: u64 = 9;
/// Bytes of a value, in the mean, above which texts are read and not told apart.
const PROSE_BYTES: usize = 40;

/// The kind of a column whose format does not say: a number if every value is one.
///
/// In cells `NA`, `N/A`, `NaN`, `nan`, `null`, `NULL` and `None` are missing values among numbers; among texts they are texts.
///
/// # Errors
/// The first cell that is no number, where at least 90 % are.
pub(super) fn kind(block: &[RawChunk], column: usize, name: &str) -> Result<ColumnKind, DataError> {
    let mut json = ColumnKind::Numeric;
    let (mut numbers, mut markers, mut others) = (0_u64, 0_u64, 0_u64);
    let mut first_other = None;
    for chunk in block {
        let RawRows::Columns(columns) = &chunk.content else {
            continue;
        };
        match &columns[column] {
            RawColumn::Cells(cells) => {
                for (row, cell) in cells.iter().enumerate() {
                    let Some(cell) = cell else {
                        continue;
                    };
                    match parse(cell) {
                        Parsed::Missing => {}
                        Parsed::Number(_) => numbers += 1,
                        Parsed::Marker => markers += 1,
                        parsed @ (Parsed::Rounded(_) | Parsed::Text) => {
                            others += 1;
                            first_other
                                .get_or_insert_with(|| (chunk, row, cell.to_string(), parsed));
                        }
                    }
                }
            }
            RawColumn::Json(values) => {
                for (row, value) in values.iter().enumerate() {
                    let parsed = match value {
                        Value::Null => continue,
                        Value::Array(_) => {
                            json = ColumnKind::Image;
                            continue;
                        }
                        Value::Number(n) => match values::json_number(n) {
                            (_, true) => {
                                numbers += 1;
                                continue;
                            }
                            (number, false) => Parsed::Rounded(number),
                        },
                        _ => Parsed::Text,
                    };
                    others += 1;
                    let text = || {
                        value
                            .as_str()
                            .map_or_else(|| value.to_string(), str::to_owned)
                    };
                    first_other.get_or_insert_with(|| (chunk, row, text(), parsed));
                }
            }
            RawColumn::Array(_) => {}
        }
    }
    match first_other {
        None if numbers == 0 && markers > 0 => Ok(ColumnKind::Categorical),
        None => Ok(json),
        Some((chunk, row, cell, parsed)) if numbers >= NUMBERS_PER_TEXT * others => {
            let cell: String = cell.chars().take(40).collect();
            let what = match parsed {
                Parsed::Rounded(_) => "has no exact f64",
                _ => "is not a number",
            };
            let all = numbers + others;
            let problem = format!(
                "{cell:?} {what}, and {numbers} of {all} values are: mend the cell, or say types: {{ {name}: categorical }} (--type {name}=categorical)"
            );
            Err(chunk.error(row, name, problem))
        }
        Some(_) => Ok(ColumnKind::Categorical),
    }
}

/// Whether texts are to be read, as sentences are, and not told apart, as categories are: over 40 bytes in the mean, of more
/// than one word (or in a script that needs no blanks) mostly, and nearly all different.
pub(super) fn is_prose(block: &[RawChunk], column: usize) -> bool {
    let mut seen = Prose::default();
    for chunk in block {
        let RawRows::Columns(columns) = &chunk.content else {
            continue;
        };
        match &columns[column] {
            RawColumn::Cells(cells) => cells.iter().flatten().for_each(|text| seen.add(text)),
            RawColumn::Json(values) => values
                .iter()
                .filter_map(Value::as_str)
                .for_each(|text| seen.add(text)),
            RawColumn::Array(array) => match array.data_type() {
                DataType::Utf8 => {
                    let texts = array.as_string::<i32>();
                    texts.iter().flatten().for_each(|text| seen.add(text));
                }
                DataType::LargeUtf8 => {
                    let texts = array.as_string::<i64>();
                    texts.iter().flatten().for_each(|text| seen.add(text));
                }
                DataType::Utf8View => {
                    let texts = array.as_string_view();
                    texts.iter().flatten().for_each(|text| seen.add(text));
                }
                _ => return false,
            },
        }
    }
    seen.is_prose()
}

#[derive(Default)]
struct Prose<'a> {
    texts: usize,
    bytes: usize,
    worded: usize,
    distinct: BTreeSet<&'a str>,
}

impl<'a> Prose<'a> {
    fn add(&mut self, text: &'a str) {
        if text.is_empty() {
            return;
        }
        self.texts += 1;
        self.bytes += text.len();
        let is_worded = !text.is_ascii() || text.trim().contains(' ');
        self.worded += usize::from(is_worded);
        self.distinct.insert(text);
    }

    fn is_prose(&self) -> bool {
        self.bytes > PROSE_BYTES * self.texts
            && 2 * self.worded > self.texts
            && 10 * self.distinct.len() >= 9 * self.texts
    }
}
