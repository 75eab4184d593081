//! One block of rows in the stored types: what hashing, statistics and preparing read it through.

use arrow::array::{
    Array, AsArray, FixedSizeBinaryArray, Float64Array, LargeStringArray, RecordBatch,
};
use arrow::datatypes::{DataType, Float64Type};

/// A column of a block.
pub(crate) enum Values<'a> {
    Numbers(&'a Float64Array),
    Texts(&'a LargeStringArray),
    Pixels(Pixels<'a>),
}

impl<'a> Values<'a> {
    /// `None` for a type that we do not store; `width` is an image's.
    pub fn of(batch: &'a RecordBatch, column: usize, width: u32) -> Option<Values<'a>> {
        let array = batch.columns().get(column)?;
        match array.data_type() {
            DataType::Float64 => Some(Values::Numbers(array.as_primitive::<Float64Type>())),
            DataType::LargeUtf8 => Some(Values::Texts(array.as_string::<i64>())),
            DataType::FixedSizeBinary(size) => {
                let size = u32::try_from(*size).ok()?;
                let wide = size.checked_div(width)?;
                (size == width * wide && (wide == 1 || wide == 4)).then(|| {
                    Values::Pixels(Pixels {
                        array: array.as_fixed_size_binary(),
                        bytes: wide == 1,
                    })
                })
            }
            _ => None,
        }
    }

    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Values::Numbers(a) => a.is_null(row),
            Values::Texts(a) => a.is_null(row),
            Values::Pixels(p) => p.array.is_null(row),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Values::Numbers(a) => a.len(),
            Values::Texts(a) => a.len(),
            Values::Pixels(p) => p.array.len(),
        }
    }
}

/// Images of a block.
#[derive(Clone, Copy)]
pub(crate) struct Pixels<'a> {
    pub array: &'a FixedSizeBinaryArray,
    bytes: bool,
}

impl Pixels<'_> {
    /// Calls `take` with each pixel of an image.
    pub fn each(&self, row: usize, mut take: impl FnMut(f32)) {
        let image = self.array.value(row);
        if self.bytes {
            image.iter().for_each(|p| take(f32::from(*p)));
        } else {
            let (pixels, _) = image.as_chunks::<4>();
            pixels.iter().for_each(|p| take(f32::from_le_bytes(*p)));
        }
    }
}
