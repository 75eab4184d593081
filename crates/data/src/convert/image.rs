//! Images: lists of numbers or bytes, all of one length.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryBuilder};
use arrow::datatypes::{DataType, Float32Type, UInt8Type};
use serde_json::Value;

use super::Plan;
use super::values::{At, to};
use crate::error::DataError;
use crate::source::{RawChunk, RawColumn, RawRows};

/// Bytes of one stored image, so that a block of 4,096 stays below 2 GiB.
const IMAGE_BYTES_MAX: usize = 512 << 10;

/// Sets the width and the pixel's type from the first image there is.
///
/// # Errors
/// No image in the block, an empty or a too large one.
pub(super) fn measure(
    plan: &mut Plan,
    block: &[RawChunk],
    column: usize,
    path: &Path,
) -> Result<(), DataError> {
    for chunk in block {
        let RawRows::Columns(columns) = &chunk.content else {
            continue;
        };
        let found = first_length(&columns[column]);
        let Some((row, length, bytes)) =
            found.map_err(|(row, e)| chunk.error(row, &plan.name, e))?
        else {
            continue;
        };
        let size = if bytes {
            length
        } else {
            length.saturating_mul(4)
        };
        if length == 0 || size > IMAGE_BYTES_MAX {
            let problem = format!(
                "an image of {length} numbers ({size} bytes); from 1 to {IMAGE_BYTES_MAX} bytes are read"
            );
            return Err(chunk.error(row, &plan.name, problem));
        }
        plan.width = u32::try_from(length).unwrap_or(u32::MAX);
        plan.bytes = bytes;
        return Ok(());
    }
    let problem = format!("column {}: no image in the first rows", plan.name);
    Err(match plan.forced {
        true => DataError::types(path, problem),
        false => DataError::source(path, problem),
    })
}

/// The first image's row, its length, and whether its pixels are bytes.
fn first_length(raw: &RawColumn) -> At<Option<(usize, usize, bool)>> {
    let array = match raw {
        RawColumn::Cells(_) => {
            return Err((
                0,
                "a text cannot be an image: write JSON lines or Parquet with a list a row"
                    .to_owned(),
            ));
        }
        RawColumn::Json(values) => {
            let row = values.iter().position(|v| !v.is_null());
            return row
                .map(|row| {
                    list(&values[row])
                        .map(|l| (row, l.len(), false))
                        .map_err(|e| (row, e))
                })
                .transpose();
        }
        RawColumn::Array(array) => array,
    };
    let images = Images::of(array)?;
    let row = (0..array.len()).find(|i| array.is_valid(*i));
    Ok(row.map(|row| (row, images.range(row).len(), images.bytes)))
}

/// A column as fixed-size bytes.
pub(super) fn pixels(raw: &RawColumn, plan: &Plan) -> At<ArrayRef> {
    let width = plan.width as usize;
    let size = if plan.bytes { width } else { 4 * width };
    let mut out = FixedSizeBinaryBuilder::new(i32::try_from(size).unwrap_or(i32::MAX));
    let mut image = Vec::with_capacity(size);
    let wrong = |row: usize, length: usize| {
        (
            row,
            format!(
                "an image of {length} numbers, the first one has {width}; encoded images (png, jpeg) are not read in this version"
            ),
        )
    };
    match raw {
        RawColumn::Cells(_) => return Err((0, "a text cannot be an image".to_owned())),
        RawColumn::Json(values) => {
            for (row, value) in values.iter().enumerate() {
                if value.is_null() {
                    out.append_null();
                    continue;
                }
                let list = list(value).map_err(|e| (row, e))?;
                if list.len() != width {
                    return Err(wrong(row, list.len()));
                }
                image.clear();
                for pixel in list {
                    let pixel = pixel
                        .as_f64()
                        .ok_or_else(|| (row, format!("{pixel} in an image is not a number")))?;
                    image.extend_from_slice(&(pixel as f32).to_le_bytes());
                }
                out.append_value(&image).map_err(|e| (row, e.to_string()))?;
            }
        }
        RawColumn::Array(array) => {
            let images = Images::of(array)?;
            for row in 0..array.len() {
                if array.is_null(row) {
                    out.append_null();
                    continue;
                }
                let range = images.range(row);
                if range.len() != width {
                    return Err(wrong(row, range.len()));
                }
                image.clear();
                images
                    .append(range, plan.bytes, &mut image)
                    .map_err(|e| (row, e))?;
                out.append_value(&image).map_err(|e| (row, e.to_string()))?;
            }
        }
    }
    Ok(Arc::new(out.finish()))
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| {
        let shown: String = value.to_string().chars().take(40).collect();
        format!("{shown} is not a list of numbers")
    })
}

/// The numbers of all images of an array, one after the other, and where each begins.
struct Images {
    values: ArrayRef,
    offsets: Vec<usize>,
    bytes: bool,
}

impl Images {
    fn of(array: &ArrayRef) -> At<Images> {
        let (values, offsets): (ArrayRef, Vec<usize>) = match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                (
                    list.values().clone(),
                    list.offsets()
                        .iter()
                        .map(|o| usize::try_from(*o).unwrap_or(0))
                        .collect(),
                )
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                (
                    list.values().clone(),
                    list.offsets()
                        .iter()
                        .map(|o| usize::try_from(*o).unwrap_or(0))
                        .collect(),
                )
            }
            DataType::FixedSizeList(_, length) => {
                let list = array.as_fixed_size_list();
                let length = usize::try_from(*length).unwrap_or(0);
                let start = usize::try_from(list.value_offset(0)).unwrap_or(0);
                (
                    list.values().clone(),
                    (0..=array.len()).map(|i| start + i * length).collect(),
                )
            }
            DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                return Images::of(&to(array, &DataType::LargeBinary)?);
            }
            DataType::LargeBinary => {
                let binary = array.as_binary::<i64>();
                let offsets = binary
                    .offsets()
                    .iter()
                    .map(|o| usize::try_from(*o).unwrap_or(0))
                    .collect();
                let bytes = arrow::buffer::ScalarBuffer::from(binary.values().clone());
                (
                    Arc::new(arrow::array::UInt8Array::new(bytes, None)),
                    offsets,
                )
            }
            other => return Err((0, format!("{other} cannot be an image"))),
        };
        let bytes = *values.data_type() == DataType::UInt8;
        let values = if bytes {
            values
        } else {
            to(&values, &DataType::Float32)?
        };
        Ok(Images {
            values,
            offsets,
            bytes,
        })
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }

    fn append(
        &self,
        range: std::ops::Range<usize>,
        as_bytes: bool,
        image: &mut Vec<u8>,
    ) -> Result<(), String> {
        if self.values.null_count() > 0 && range.clone().any(|i| self.values.is_null(i)) {
            return Err("a number is missing in an image".to_owned());
        }
        match (self.bytes, as_bytes) {
            (true, true) => {
                image.extend_from_slice(&self.values.as_primitive::<UInt8Type>().values()[range])
            }
            (true, false) => {
                let pixels = &self.values.as_primitive::<UInt8Type>().values()[range];
                image.extend(pixels.iter().flat_map(|p| f32::from(*p).to_le_bytes()));
            }
            (false, false) => {
                let pixels = &self.values.as_primitive::<Float32Type>().values()[range];
                image.extend(pixels.iter().flat_map(|p| p.to_le_bytes()));
            }
            (false, true) => {
                return Err("the first image has bytes, this one other numbers".to_owned());
            }
        }
        Ok(())
    }
}
