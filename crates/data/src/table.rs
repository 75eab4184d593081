//! Small tables as plain columns: out for exports, in for known results. Whole in memory.

mod read;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Float64Builder, Int64Array, ListBuilder,
    RecordBatch, StringArray,
};
use arrow::datatypes::{Field, Schema};
use bonfire_store::WholeFile;
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value};

use crate::error::{DataError, io_error};
use crate::number;

pub use self::read::read_table;

/// One value of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bool(bool),
    /// Such as a metric after each unit.
    List(Vec<f64>),
}

/// Columns by name, all of one length.
pub type Table = Vec<(String, Vec<Cell>)>;

/// What a table is written as. JSON is one array with an object a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    Csv,
    Parquet,
    Json,
}

/// Writes a table; the file appears whole or not at all.
///
/// In CSV a missing value is an empty cell and a list a JSON array; in Parquet a column of mixed kinds is one of texts; in JSON
/// a number that is not finite is null.
///
/// # Errors
/// Columns of several lengths, or a file that cannot be written.
pub fn write_table(
    path: &Path,
    columns: &[(String, Vec<Cell>)],
    format: TableFormat,
) -> Result<(), DataError> {
    let rows = columns.first().map_or(0, |(_, cells)| cells.len());
    if let Some((name, cells)) = columns.iter().find(|(_, cells)| cells.len() != rows) {
        return Err(DataError::request(format!(
            "column {name} has {} rows, the first has {rows}",
            cells.len()
        )));
    }
    let failed = |e: std::io::Error| DataError::write(path, e);
    let mut file = BufWriter::new(WholeFile::create(path).map_err(failed)?);
    match format {
        TableFormat::Csv => write_csv(&mut file, columns, rows).map_err(failed)?,
        TableFormat::Json => write_json(&mut file, columns, rows).map_err(failed)?,
        TableFormat::Parquet => write_parquet(&mut file, columns).map_err(failed)?,
    }
    let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
    file.finish().map_err(failed)
}

fn write_csv(
    file: &mut impl Write,
    columns: &[(String, Vec<Cell>)],
    rows: usize,
) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(columns.iter().map(|(name, _)| name))?;
    for row in 0..rows {
        writer.write_record(columns.iter().map(|(_, cells)| text(&cells[row])))?;
    }
    writer.flush()
}

fn write_json(
    file: &mut impl Write,
    columns: &[(String, Vec<Cell>)],
    rows: usize,
) -> std::io::Result<()> {
    file.write_all(b"[")?;
    for row in 0..rows {
        file.write_all(if row == 0 { b"\n" } else { b",\n" })?;
        let object: Map<String, Value> = columns
            .iter()
            .map(|(name, cells)| (name.clone(), json(&cells[row])))
            .collect();
        serde_json::to_writer(&mut *file, &object)?;
    }
    file.write_all(b"\n]\n")
}

fn json(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(i) => (*i).into(),
        Cell::Real(x) => (*x).into(),
        Cell::Text(s) => s.as_str().into(),
        Cell::Bool(b) => (*b).into(),
        Cell::List(list) => list.as_slice().into(),
    }
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Int(i) => i.to_string(),
        Cell::Real(x) => number::text(*x),
        Cell::Text(s) => s.clone(),
        Cell::Bool(b) => b.to_string(),
        Cell::List(_) => json(cell).to_string(),
    }
}

fn write_parquet(
    file: &mut (impl Write + Send),
    columns: &[(String, Vec<Cell>)],
) -> std::io::Result<()> {
    let arrays: Vec<ArrayRef> = columns.iter().map(|(_, cells)| array(cells)).collect();
    let fields: Vec<Field> = columns
        .iter()
        .zip(&arrays)
        .map(|((name, _), a)| Field::new(name, a.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let mut writer = ArrowWriter::try_new(file, schema.clone(), None).map_err(io_error)?;
    if !arrays.is_empty() {
        let batch = RecordBatch::try_new(schema, arrays).map_err(std::io::Error::other)?;
        writer.write(&batch).map_err(io_error)?;
    }
    writer.close().map(drop).map_err(io_error)
}

/// Cells as the narrowest type that has them all.
fn array(cells: &[Cell]) -> ArrayRef {
    let all = |fits: fn(&Cell) -> bool| cells.iter().all(|c| *c == Cell::Null || fits(c));
    let number = |c: &Cell| match c {
        Cell::Int(i) => Some(*i as f64),
        Cell::Real(x) => Some(*x),
        _ => None,
    };
    if cells.iter().any(|c| *c != Cell::Null) && all(|c| matches!(c, Cell::Int(_))) {
        let values = cells
            .iter()
            .map(|c| if let Cell::Int(i) = c { Some(*i) } else { None });
        Arc::new(values.collect::<Int64Array>())
    } else if all(|c| matches!(c, Cell::Int(_) | Cell::Real(_))) {
        Arc::new(cells.iter().map(number).collect::<Float64Array>())
    } else if all(|c| matches!(c, Cell::Bool(_))) {
        let values = cells.iter().map(|c| {
            if let Cell::Bool(b) = c {
                Some(*b)
            } else {
                None
            }
        });
        Arc::new(values.collect::<BooleanArray>())
    } else if all(|c| matches!(c, Cell::List(_))) {
        let mut lists = ListBuilder::new(Float64Builder::new());
        for cell in cells {
            match cell {
                Cell::List(list) => lists.append_value(list.iter().map(|x| Some(*x))),
                _ => lists.append_null(),
            }
        }
        Arc::new(lists.finish())
    } else {
        Arc::new(
            cells
                .iter()
                .map(|c| (*c != Cell::Null).then(|| text(c)))
                .collect::<StringArray>(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn table() -> Table {
        let text = |s: &str| Cell::Text(s.to_owned());
        vec![
            (
                "i".to_owned(),
                vec![Cell::Int(1), Cell::Null, Cell::Int(-3)],
            ),
            (
                "x".to_owned(),
                vec![Cell::Real(1e-8), Cell::Real(0.5), Cell::Null],
            ),
            (
                "t".to_owned(),
                vec![text("a,\"b"), Cell::Null, text("\u{e9}")],
            ),
            (
                "b".to_owned(),
                vec![Cell::Bool(true), Cell::Bool(false), Cell::Null],
            ),
            (
                "l".to_owned(),
                vec![Cell::List(vec![0.5, 1.0]), Cell::Null, Cell::List(vec![])],
            ),
        ]
    }

    #[track_caller]
    fn check(format: TableFormat, extension: &str, expected: &Table) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(format!("t.{extension}"));
        write_table(&path, &table(), format).unwrap();
        assert_eq!(read_table(&path).unwrap(), *expected);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_written_is_read_back() {
        check(TableFormat::Parquet, "parquet", &table());
        check(TableFormat::Json, "json", &table());
        let mut csv = table();
        csv[4].1 = vec![
            Cell::Text("[0.5,1.0]".to_owned()),
            Cell::Null,
            Cell::Text("[]".to_owned()),
        ];
        check(TableFormat::Csv, "csv", &csv);
    }

    #[test]
    fn an_empty_table_is_a_table() {
        let directory = tempfile::tempdir().unwrap();
        for (extension, format) in [("csv", TableFormat::Csv), ("parquet", TableFormat::Parquet)] {
            let path = directory.path().join(format!("t.{extension}"));
            let empty = vec![("a".to_owned(), Vec::new())];
            write_table(&path, &empty, format).unwrap();
            assert_eq!(read_table(&path).unwrap(), empty);
        }
    }

    #[test]
    fn columns_of_several_lengths_are_refused() {
        let columns = [
            ("a".to_owned(), vec![Cell::Int(1)]),
            ("b".to_owned(), vec![]),
        ];
        let error =
            write_table(Path::new("/nowhere/t.csv"), &columns, TableFormat::Csv).unwrap_err();
        assert_eq!(error.to_string(), "column b has 0 rows, the first has 1");
    }
}
