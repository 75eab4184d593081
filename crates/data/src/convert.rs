//! From what a format holds to the four kinds of column: which kind a column is, and its values in the one type we store.
//!
//! Numeric columns become f64 (not-a-number is a missing value), categorical and text ones UTF-8, images fixed-size bytes:
//! one byte a pixel where the source has bytes, else an f32.

mod guess;
mod image;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use bonfire_domain::spec::ColumnKind;
use serde_json::Value;

use crate::error::DataError;
use crate::source::{RawChunk, RawColumn, RawRows, Source, kind_name};

/// Columns a source may have.
const COLUMNS_MAX: usize = 65_536;

/// A column whose kind is settled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub name: String,
    pub kind: ColumnKind,
    /// Numbers in a row: 1, or an image's.
    pub width: u32,
    /// The user named the kind, so integers may be rounded to f64.
    pub forced: bool,
    /// Images only: one byte a pixel instead of four.
    pub bytes: bool,
}

impl Plan {
    pub fn stored(&self) -> DataType {
        match self.kind {
            ColumnKind::Numeric => DataType::Float64,
            ColumnKind::Categorical | ColumnKind::Text => DataType::LargeUtf8,
            ColumnKind::Image => {
                let pixel = if self.bytes { 1 } else { 4 };
                DataType::FixedSizeBinary(i32::try_from(self.width).unwrap_or(i32::MAX / 4) * pixel)
            }
        }
    }
}

/// The columns of a dataset, and the type its files have.
#[derive(Debug)]
pub(crate) struct Schema {
    pub plans: Vec<Plan>,
    pub stored: SchemaRef,
}

impl Schema {
    /// Settles every column from the headings, the first block and what the user says.
    ///
    /// # Errors
    /// A kind for a column that is not there; a column of numbers with a text among them; an image column without an image in the block, or one too large.
    pub fn infer(
        source: &Source,
        block: &mut [RawChunk],
        types: &BTreeMap<String, ColumnKind>,
    ) -> Result<Schema, DataError> {
        let path = source.first();
        let (names, declared): (Vec<String>, Vec<Option<ColumnKind>>) = match source.headings() {
            Some(headings) => headings.iter().map(|h| (h.name.clone(), h.kind)).unzip(),
            None => keys(block).into_iter().map(|name| (name, None)).unzip(),
        };
        if names.is_empty() {
            return Err(DataError::source(path, "empty: there are no columns"));
        }
        if names.len() > COLUMNS_MAX {
            return Err(DataError::source(
                path,
                format!("{} columns, more than {COLUMNS_MAX}", names.len()),
            ));
        }
        if let Some(name) = types.keys().find(|t| !names.contains(t)) {
            let problem = format!("there is no column {name}; columns: {}", shorten(&names));
            return Err(DataError::types(path, problem));
        }
        for chunk in block.iter_mut() {
            spread(chunk, &names)?;
        }
        let mut plans = Vec::with_capacity(names.len());
        for (i, (name, declared)) in names.into_iter().zip(declared).enumerate() {
            let forced = types.get(&name).copied();
            let kind = match forced.or(declared) {
                Some(kind) => kind,
                None => guess::kind(block, i, &name)?,
            };
            let kind = match (forced, kind) {
                (None, ColumnKind::Categorical) if guess::is_prose(block, i) => ColumnKind::Text,
                _ => kind,
            };
            let mut plan = Plan {
                name,
                kind,
                width: 1,
                forced: forced.is_some(),
                bytes: false,
            };
            if kind == ColumnKind::Image {
                image::measure(&mut plan, block, i, path)?;
            }
            plans.push(plan);
        }
        let fields: Vec<Field> = plans
            .iter()
            .map(|p| Field::new(&p.name, p.stored(), true))
            .collect();
        let stored = Arc::new(ArrowSchema::new(fields));
        Ok(Schema { plans, stored })
    }

    /// Chunks of one block as one batch of the stored types.
    ///
    /// # Errors
    /// The first value that does not fit its column, with its place.
    pub fn convert(
        &self,
        block: Vec<RawChunk>,
        names: &[String],
    ) -> Result<RecordBatch, DataError> {
        let mut batches = Vec::with_capacity(block.len());
        for mut chunk in block {
            spread(&mut chunk, names)?;
            let RawRows::Columns(columns) = &chunk.content else {
                continue;
            };
            let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
            for (plan, raw) in self.plans.iter().zip(columns) {
                let array = match plan.kind {
                    ColumnKind::Numeric => values::numbers(raw, plan),
                    ColumnKind::Categorical | ColumnKind::Text => values::texts(raw, plan),
                    ColumnKind::Image => image::pixels(raw, plan),
                };
                arrays.push(array.map_err(|(row, problem)| chunk.error(row, &plan.name, problem))?);
            }
            let batch = RecordBatch::try_new(self.stored.clone(), arrays);
            batches.push(batch.map_err(|e| DataError::source(&chunk.file, e.to_string()))?);
        }
        if batches.len() == 1 {
            return Ok(batches.remove(0));
        }
        concat_batches(&self.stored, &batches).map_err(|e| DataError::request(e.to_string()))
    }

    pub fn names(&self) -> Vec<String> {
        self.plans.iter().map(|p| p.name.clone()).collect()
    }
}

/// Keys of all objects, in the order of their first appearance.
fn keys(block: &[RawChunk]) -> Vec<String> {
    let mut names = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for chunk in block {
        let RawRows::Objects(objects) = &chunk.content else {
            continue;
        };
        for key in objects.iter().flat_map(|o| o.keys()) {
            if !seen.contains(key) {
                seen.insert(key.clone());
                names.push(key.clone());
            }
        }
    }
    names
}

/// Objects as columns; a missing key is a missing value.
fn spread(chunk: &mut RawChunk, names: &[String]) -> Result<(), DataError> {
    let RawRows::Objects(objects) = &mut chunk.content else {
        return Ok(());
    };
    let mut objects = std::mem::take(objects);
    let mut columns: Vec<Vec<Value>> = names
        .iter()
        .map(|_| Vec::with_capacity(objects.len()))
        .collect();
    for (row, object) in objects.iter_mut().enumerate() {
        let mut taken = 0;
        for (name, column) in names.iter().zip(&mut columns) {
            let value = object.get_mut(name).map(|v| (taken += 1, v.take()).1);
            column.push(value.unwrap_or(Value::Null));
        }
        if taken < object.len() {
            let unknown = object
                .keys()
                .find(|k| !names.contains(k))
                .cloned()
                .unwrap_or_default();
            let problem =
                "not a column of the first 4,096 rows: give it in one of them, null if need be";
            return Err(chunk.error(row, &unknown, problem));
        }
    }
    chunk.content = RawRows::Columns(columns.into_iter().map(RawColumn::Json).collect());
    Ok(())
}

/// What to do about a value that does not fit.
fn advice(plan: &Plan) -> String {
    let name = &plan.name;
    if plan.forced {
        format!("types says {}", kind_name(Some(plan.kind)))
    } else {
        format!("override with types: {{ {name}: categorical }}")
    }
}

/// Names for an error text.
pub(crate) fn shorten(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
    let more = if names.len() > shown.len() {
        ", ..."
    } else {
        ""
    };
    format!("{}{more}", shown.join(", "))
}
