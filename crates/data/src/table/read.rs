//! Tables read back, whole.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};

use super::{Cell, Table};
use crate::error::DataError;
use crate::source::guard;

/// Bytes of a CSV or JSON table that is read.
const TABLE_BYTES_MAX: u64 = 4 << 30;

/// Reads a table: Parquet, CSV, or JSON (an array of objects, or an object a line), by extension.
///
/// In CSV a column is of integers, numbers or truth values if all its cells are, else of texts; an empty cell is null.
///
/// # Errors
/// Another extension, a file that cannot be read, or one that is no table.
pub fn read_table(path: &Path) -> Result<Table, DataError> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match extension.as_str() {
        "parquet" => read_parquet(path),
        "csv" => read_csv(path),
        "json" | "jsonl" | "ndjson" => read_json(path, extension == "json"),
        _ => Err(DataError::source(
            path,
            "unknown extension; a table is .parquet, .csv, .json, .jsonl or .ndjson",
        )),
    }
}

fn read_parquet(path: &Path) -> Result<Table, DataError> {
    let file = File::open(path).map_err(|e| DataError::read(path, e))?;
    let batches = guard(path, || {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
        let names: Vec<String> = arrow::array::RecordBatchReader::schema(&reader)
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        Ok((names, reader.collect::<Result<Vec<_>, _>>()?))
    });
    let (names, batches) = batches?;
    let mut table: Table = names.into_iter().map(|name| (name, Vec::new())).collect();
    for batch in &batches {
        for ((name, cells), array) in table.iter_mut().zip(batch.columns()) {
            let read = cells_of(array)
                .map_err(|e| DataError::source(path, format!("column {name}: {e}")))?;
            cells.extend(read);
        }
    }
    Ok(table)
}

fn cells_of(array: &ArrayRef) -> Result<Vec<Cell>, arrow::error::ArrowError> {
    let or_null = |i: usize, cell: Cell| if array.is_null(i) { Cell::Null } else { cell };
    let all = 0..array.len();
    Ok(match array.data_type() {
        DataType::Null => vec![Cell::Null; array.len()],
        DataType::Boolean => {
            let values = array.as_boolean();
            all.map(|i| or_null(i, Cell::Bool(values.value(i))))
                .collect()
        }
        kind if kind.is_integer() && *kind != DataType::UInt64 => {
            let whole = cast(array, &DataType::Int64)?;
            let values = whole.as_primitive::<Int64Type>();
            all.map(|i| or_null(i, Cell::Int(values.value(i))))
                .collect()
        }
        kind if kind.is_numeric() => {
            let real = cast(array, &DataType::Float64)?;
            let values = real.as_primitive::<Float64Type>();
            all.map(|i| or_null(i, Cell::Real(values.value(i))))
                .collect()
        }
        DataType::Dictionary(_, value) => return cells_of(&cast(array, value)?),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if item.data_type().is_numeric() =>
        {
            let kind = DataType::LargeList(Arc::new(Field::new("item", DataType::Float64, true)));
            let lists = cast(array, &kind)?;
            let lists = lists.as_list::<i64>();
            let list = |i: usize| {
                let values = lists.value(i);
                Cell::List(
                    values
                        .as_primitive::<Float64Type>()
                        .iter()
                        .map(|x| x.unwrap_or(f64::NAN))
                        .collect(),
                )
            };
            all.map(|i| {
                if array.is_null(i) {
                    Cell::Null
                } else {
                    list(i)
                }
            })
            .collect()
        }
        _ => {
            let texts = cast(array, &DataType::LargeUtf8)?;
            let values = texts.as_string::<i64>();
            all.map(|i| or_null(i, Cell::Text(values.value(i).to_owned())))
                .collect()
        }
    })
}

fn read_csv(path: &Path) -> Result<Table, DataError> {
    let text = read_text(path)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let failed = |e: csv::Error| DataError::source(path, e.to_string());
    let mut columns: Vec<(String, Vec<String>)> = reader
        .headers()
        .map_err(failed)?
        .iter()
        .map(|name| (name.to_owned(), Vec::new()))
        .collect();
    for record in reader.records() {
        for ((_, cells), cell) in columns.iter_mut().zip(&record.map_err(failed)?) {
            cells.push(cell.to_owned());
        }
    }
    Ok(columns
        .into_iter()
        .map(|(name, cells)| (name, guess(cells)))
        .collect())
}

fn guess(cells: Vec<String>) -> Vec<Cell> {
    let readings: [fn(&str) -> Option<Cell>; 3] = [
        |c| c.parse().ok().map(Cell::Int),
        |c| c.parse().ok().map(Cell::Real),
        |c| c.parse().ok().map(Cell::Bool),
    ];
    let as_one = |read: &fn(&str) -> Option<Cell>| -> Option<Vec<Cell>> {
        cells
            .iter()
            .map(|c| {
                if c.is_empty() {
                    Some(Cell::Null)
                } else {
                    read(c)
                }
            })
            .collect()
    };
    if let Some(read) = readings.iter().find_map(as_one) {
        return read;
    }
    cells
        .into_iter()
        .map(|c| {
            if c.is_empty() {
                Cell::Null
            } else {
                Cell::Text(c)
            }
        })
        .collect()
}

fn read_json(path: &Path, document: bool) -> Result<Table, DataError> {
    let text = read_text(path)?;
    let failed = |e: serde_json::Error| DataError::source(path, e.to_string());
    let rows: Vec<Map<String, Value>> = if document {
        serde_json::from_str(&text).map_err(failed)?
    } else {
        let lines = serde_json::Deserializer::from_str(&text).into_iter();
        lines.collect::<Result<_, _>>().map_err(failed)?
    };
    let mut table: Table = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    let count = rows.len();
    for (row, object) in rows.into_iter().enumerate() {
        for (key, value) in object {
            let place = *places.entry(key.clone()).or_insert_with(|| {
                table.push((key, vec![Cell::Null; count]));
                table.len() - 1
            });
            table[place].1[row] = cell(value);
        }
    }
    Ok(table)
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(b) => Cell::Bool(b),
        Value::String(s) => Cell::Text(s),
        Value::Number(n) => n
            .as_i64()
            .map_or_else(|| Cell::Real(n.as_f64().unwrap_or(f64::NAN)), Cell::Int),
        Value::Array(list) if list.iter().all(|x| x.is_number() || x.is_null()) => Cell::List(
            list.iter()
                .map(|x| x.as_f64().unwrap_or(f64::NAN))
                .collect(),
        ),
        other => Cell::Text(other.to_string()),
    }
}

fn read_text(path: &Path) -> Result<String, DataError> {
    let bytes = fs::metadata(path)
        .map_err(|e| DataError::read(path, e))?
        .len();
    if bytes > TABLE_BYTES_MAX {
        return Err(DataError::source(
            path,
            format!("{bytes} bytes, a table of this format is read up to {TABLE_BYTES_MAX}"),
        ));
    }
    let text = fs::read_to_string(path).map_err(|e| DataError::read(path, e))?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}
