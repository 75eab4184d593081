//! Encodings applied: the values of a block as the bytes of prepared rows.

use std::collections::HashMap;

use bonfire_domain::dataset::{Encoding, PAD};

use crate::block::Values;

/// Turns columns of a block into the features of its rows.
pub(super) struct Encoder {
    steps: Vec<Step>,
    /// Bytes of a row before its target.
    pub bytes: usize,
    /// f32 values of a row, or tokens.
    pub width: u32,
}

struct Step {
    offset: usize,
    how: How,
}

enum How {
    Standardise { mean: f64, std: f64, fill: f64 },
    OneHot(HashMap<String, usize>),
    Image { scale: f64, width: usize },
    Tokens { context: usize },
}

impl Encoder {
    /// - `pixels`: numbers of an image; `context`: tokens of a text.
    pub fn new(encodings: &[Encoding], pixels: usize, context: usize) -> Encoder {
        let mut steps = Vec::with_capacity(encodings.len());
        let (mut offset, mut width) = (0, 0);
        for encoding in encodings {
            let (how, numbers, size) = match encoding {
                Encoding::Standardise {
                    mean, std, fill, ..
                } => (
                    How::Standardise {
                        mean: *mean,
                        std: *std,
                        fill: *fill,
                    },
                    1,
                    4,
                ),
                Encoding::OneHot { values, .. } => {
                    let places = values
                        .iter()
                        .enumerate()
                        .map(|(i, v)| (v.clone(), i))
                        .collect();
                    (How::OneHot(places), values.len(), 4)
                }
                Encoding::Image { scale, .. } => (
                    How::Image {
                        scale: *scale,
                        width: pixels,
                    },
                    pixels,
                    4,
                ),
                Encoding::Bytes { .. } => (How::Tokens { context }, context, 2),
            };
            steps.push(Step { offset, how });
            offset += numbers * size;
            width += numbers;
        }
        Encoder {
            steps,
            bytes: offset,
            width: u32::try_from(width).unwrap_or(u32::MAX),
        }
    }

    /// Writes column `which` of the wanted rows into `rows`, which are `row_bytes` each and zero.
    ///
    /// # Errors
    /// The row in the block, and what is wrong there.
    pub fn encode(
        &self,
        which: usize,
        values: &Values<'_>,
        wanted: impl Fn(usize) -> bool,
        rows: &mut [u8],
        row_bytes: usize,
    ) -> Result<(), (usize, String)> {
        let Some(step) = self.steps.get(which) else {
            return Ok(());
        };
        for (i, row) in rows
            .chunks_exact_mut(row_bytes)
            .enumerate()
            .filter(|(i, _)| wanted(*i))
        {
            let row = &mut row[step.offset..];
            step.how.encode(values, i, row).map_err(|e| (i, e))?;
        }
        Ok(())
    }
}

impl How {
    fn encode(&self, values: &Values<'_>, i: usize, row: &mut [u8]) -> Result<(), String> {
        match (self, values) {
            (How::Standardise { mean, std, fill }, Values::Numbers(numbers)) => {
                let x = if values.is_null(i) {
                    *fill
                } else {
                    numbers.value(i)
                };
                row[..4].copy_from_slice(&standardised(x, *mean, *std)?.to_le_bytes());
            }
            (How::OneHot(places), Values::Texts(texts)) if !values.is_null(i) => {
                if let Some(place) = places.get(texts.value(i)) {
                    row[4 * place..4 * place + 4].copy_from_slice(&1_f32.to_le_bytes());
                }
            }
            (How::Image { scale, width }, Values::Pixels(pixels)) => {
                let mut out = row[..4 * width].chunks_exact_mut(4);
                pixels.each(i, |p| {
                    if let Some(out) = out.next() {
                        out.copy_from_slice(&((f64::from(p) * scale) as f32).to_le_bytes());
                    }
                });
            }
            (How::Tokens { context }, Values::Texts(texts)) => {
                let text = if values.is_null(i) {
                    ""
                } else {
                    texts.value(i)
                };
                let tokens = text.bytes().map(u16::from).chain(std::iter::repeat(PAD));
                for (out, token) in row[..2 * context].chunks_exact_mut(2).zip(tokens) {
                    out.copy_from_slice(&token.to_le_bytes());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// `(x - mean) / std` as f32.
pub(super) fn standardised(x: f64, mean: f64, std: f64) -> Result<f32, String> {
    let y = ((x - mean) / std) as f32;
    if y.is_finite() {
        Ok(y)
    } else {
        Err(format!("{x} is too far from the mean of train, {mean}"))
    }
}
