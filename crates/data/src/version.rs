//! A dataset version's digest: over names, kinds and rows, whatever format they came from.
//!
//! The canonical encoding, little-endian: a tag; the count of columns; for each its name (length, bytes), kind (one byte) and
//! width; then block by block of 4,096 rows, column by column: numbers as f64 bits (a missing one as the bits of the
//! canonical NaN), texts as length and bytes (a missing one as the length 2^64 - 1), images as one byte (1, or 0 for a
//! missing one) and f32 bits; at last the count of rows.

use arrow::array::{Array, RecordBatch};
use bonfire_domain::id::Digest;
use bonfire_domain::spec::ColumnKind;

use crate::block::Values;
use crate::convert::Plan;

const TAG: &[u8] = b"bonfire dataset 1\n";
const MISSING: u64 = 0x7ff8_0000_0000_0000;

pub(crate) struct Version {
    hasher: blake3::Hasher,
    widths: Vec<u32>,
    buffer: Vec<u8>,
    rows: u64,
}

impl Version {
    pub fn new(plans: &[Plan]) -> Version {
        let mut hasher = blake3::Hasher::new();
        hasher.update(TAG);
        hasher.update(&(plans.len() as u64).to_le_bytes());
        for plan in plans {
            hasher.update(&(plan.name.len() as u64).to_le_bytes());
            hasher.update(plan.name.as_bytes());
            let kind = match plan.kind {
                ColumnKind::Numeric => 0,
                ColumnKind::Categorical => 1,
                ColumnKind::Text => 2,
                ColumnKind::Image => 3,
            };
            hasher.update(&[kind]);
            hasher.update(&plan.width.to_le_bytes());
        }
        let widths = plans.iter().map(|p| p.width).collect();
        Version {
            hasher,
            widths,
            buffer: Vec::new(),
            rows: 0,
        }
    }

    /// Takes in the next block; blocks are full but for the last.
    pub fn add(&mut self, block: &RecordBatch) {
        for (column, width) in self.widths.iter().enumerate() {
            let buffer = &mut self.buffer;
            buffer.clear();
            match Values::of(block, column, *width) {
                Some(Values::Numbers(numbers)) => {
                    for x in numbers {
                        buffer.extend_from_slice(&x.map_or(MISSING, f64::to_bits).to_le_bytes());
                    }
                }
                Some(Values::Texts(texts)) => {
                    for text in texts {
                        let length = text.map_or(u64::MAX, |t| t.len() as u64);
                        buffer.extend_from_slice(&length.to_le_bytes());
                        buffer.extend_from_slice(text.unwrap_or("").as_bytes());
                    }
                }
                Some(Values::Pixels(pixels)) => {
                    for row in 0..pixels.array.len() {
                        let valid = pixels.array.is_valid(row);
                        buffer.push(u8::from(valid));
                        if valid {
                            pixels.each(row, |p| buffer.extend_from_slice(&p.to_le_bytes()));
                        }
                        self.hasher.update(buffer);
                        buffer.clear();
                    }
                }
                None => {}
            }
            self.hasher.update(buffer);
        }
        self.rows += block.num_rows() as u64;
    }

    pub fn finish(mut self) -> Digest {
        self.hasher.update(&self.rows.to_le_bytes());
        Digest(*self.hasher.finalize().as_bytes())
    }
}
