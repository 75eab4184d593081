//! What train says about each column: means and deviations, the values of categories, the range of pixels.

use std::collections::BTreeMap;

use bonfire_domain::dataset::{Column, Encoding, FEATURES_MAX, ONE_HOT_MAX, order_classes};
use bonfire_domain::spec::ColumnKind;

use super::columns::Reads;
use crate::block::Values;
use crate::error::DataError;
use crate::stats::Moments;

/// Gathers the statistics of train, row by row.
pub(super) struct Fit {
    columns: Vec<(usize, State)>,
}

enum State {
    Numbers(Moments),
    Values(BTreeMap<String, u64>),
    Pixels { largest: f32, whole: bool },
    Text,
}

impl Fit {
    pub fn new(reads: &Reads, columns: &[Column]) -> Fit {
        let state = |i: usize| match (reads, columns[i].kind) {
            (Reads::Image { .. }, _) => State::Pixels {
                largest: 0.0,
                whole: true,
            },
            (Reads::Text { .. }, _) => State::Text,
            (Reads::Table(_), ColumnKind::Numeric) => State::Numbers(Moments::default()),
            (Reads::Table(_), _) => State::Values(BTreeMap::new()),
        };
        Fit {
            columns: reads.columns().into_iter().map(|i| (i, state(i))).collect(),
        }
    }

    /// Takes in column `which` of a row. Outside train a value is only checked.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn add(
        &mut self,
        which: usize,
        values: &Values<'_>,
        row: usize,
        train: bool,
    ) -> Result<(), String> {
        let Some((_, state)) = self.columns.get_mut(which) else {
            return Ok(());
        };
        if values.is_null(row) {
            return Ok(());
        }
        match (state, values) {
            (State::Numbers(moments), Values::Numbers(numbers)) => {
                let x = numbers.value(row);
                if !x.is_finite() {
                    return Err(format!("{x} is not a finite number"));
                }
                if train {
                    moments.add(x);
                }
            }
            (State::Values(counts), Values::Texts(texts)) if train => {
                let text = texts.value(row);
                if let Some(count) = counts.get_mut(text) {
                    *count += 1;
                } else if counts.len() as u64 == ONE_HOT_MAX {
                    return Err(format!(
                        "more than {ONE_HOT_MAX} different values, each would be a feature: drop the column"
                    ));
                } else {
                    counts.insert(text.to_owned(), 1);
                }
            }
            (State::Pixels { largest, whole }, Values::Pixels(pixels)) => {
                let mut finite = true;
                pixels.each(row, |p| {
                    finite &= p.is_finite();
                    if train {
                        *largest = largest.max(p.abs());
                        *whole &= p >= 0.0 && p.fract() == 0.0;
                    }
                });
                if !finite {
                    return Err("a pixel is not a finite number".to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The encodings, in the order of the columns read.
    ///
    /// # Errors
    /// Numbers too large to standardise, too many features.
    pub fn finish(self, columns: &[Column]) -> Result<Vec<Encoding>, DataError> {
        let mut encodings = Vec::with_capacity(self.columns.len());
        let mut features = 0;
        for (i, state) in self.columns {
            let column = columns[i].name.clone();
            features += 1;
            encodings.push(match state {
                State::Numbers(moments) => {
                    let (mean, std) = standard(&moments, &column)?;
                    Encoding::Standardise {
                        column,
                        mean,
                        std,
                        fill: mean,
                    }
                }
                State::Values(counts) => {
                    let values = order_classes(&counts);
                    features += values.len();
                    Encoding::OneHot { column, values }
                }
                State::Pixels { largest, whole } => Encoding::Image {
                    column,
                    scale: scale(largest, whole),
                },
                State::Text => Encoding::Bytes { column },
            });
        }
        if features as u64 > FEATURES_MAX {
            return Err(DataError::request(format!(
                "{features} features, more than {FEATURES_MAX}"
            )));
        }
        Ok(encodings)
    }
}

/// Mean and deviation to standardise with; a constant column has deviation 1.
pub(super) fn standard(moments: &Moments, column: &str) -> Result<(f64, f64), DataError> {
    let (mean, std) = (moments.mean, moments.std());
    if !mean.is_finite() || !std.is_finite() {
        return Err(DataError::request(format!(
            "column {column}: its values are too large to be standardised"
        )));
    }
    Ok((mean, if std > 0.0 { std } else { 1.0 }))
}

/// Bytes are divided by 255; numbers within -1 and 1 stay; others are divided by the largest.
///
/// Whether numbers are bytes is read from train, not from the file's type, so that a version has one result whatever format
/// its rows came in: whole numbers from 0 whose largest is 128 to 255.
fn scale(largest: f32, whole: bool) -> f64 {
    if largest <= 1.0 {
        1.0
    } else if whole && (128.0..=255.0).contains(&largest) {
        1.0 / 255.0
    } else {
        1.0 / f64::from(largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_scaled_by_what_they_are() {
        for (largest, whole, expected) in [
            (255.0, true, 1.0 / 255.0),
            (200.0, true, 1.0 / 255.0),
            (16.0, true, 1.0 / 16.0),
            (1.0, true, 1.0),
            (0.0, true, 1.0),
            (0.5, false, 1.0),
            (1_000.0, false, 1e-3),
        ] {
            assert!(
                (scale(largest, whole) - expected).abs() < 1e-12,
                "{largest} {whole}"
            );
        }
    }
}
