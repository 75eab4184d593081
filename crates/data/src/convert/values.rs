//! Numeric, categorical and text values in their stored types.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Float64Builder, LargeStringArray, LargeStringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, UInt64Type};
use bonfire_domain::spec::ColumnKind;
use serde_json::{Number, Value};

use super::{Plan, advice};
use crate::number::{self, Parsed};
use crate::source::RawColumn;

/// The row in its chunk, and what is wrong there.
pub(super) type At<T> = Result<T, (usize, String)>;

/// A column as f64, missing values null.
pub(super) fn numbers(raw: &RawColumn, plan: &Plan) -> At<ArrayRef> {
    match raw {
        RawColumn::Cells(cells) => parsed(cells, plan),
        RawColumn::Array(array) => match array.data_type() {
            DataType::Boolean if !plan.forced => Err((
                0,
                format!("a truth value is not a number: {}", advice(plan)),
            )),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                parsed(as_text(array)?.as_string(), plan)
            }
            DataType::Dictionary(_, value) => numbers(&RawColumn::Array(to(array, value)?), plan),
            _ => cast_numbers(array, plan),
        },
        RawColumn::Json(values) => {
            let mut out = Float64Builder::with_capacity(values.len());
            for (row, value) in values.iter().enumerate() {
                out.append_option(json_as_number(value, plan).map_err(|e| (row, e))?);
            }
            Ok(Arc::new(out.finish()))
        }
    }
}

/// A column as UTF-8: for a categorical an empty text is a missing value, for a text a missing value is an empty one.
pub(super) fn texts(raw: &RawColumn, plan: &Plan) -> At<ArrayRef> {
    let text = plan.kind == ColumnKind::Text;
    let mut out = LargeStringBuilder::new();
    let mut push = |value: Option<&str>| match value {
        Some(value) if text || !value.is_empty() => out.append_value(value),
        _ if text => out.append_value(""),
        _ => out.append_null(),
    };
    match raw {
        RawColumn::Cells(cells) => cells.iter().for_each(push),
        RawColumn::Array(array) => as_text(array)?.as_string::<i64>().iter().for_each(push),
        RawColumn::Json(values) => {
            for (row, value) in values.iter().enumerate() {
                match value {
                    Value::Null => push(None),
                    Value::String(s) => push(Some(s)),
                    Value::Number(n) => push(Some(&json_text(n))),
                    Value::Bool(b) => push(Some(if *b { "true" } else { "false" })),
                    Value::Array(_) | Value::Object(_) => {
                        return Err((row, "a list or an object is not a text".to_owned()));
                    }
                }
            }
        }
    }
    Ok(Arc::new(out.finish()))
}

fn parsed(cells: &LargeStringArray, plan: &Plan) -> At<ArrayRef> {
    let mut out = Float64Builder::with_capacity(cells.len());
    for (row, cell) in cells.iter().enumerate() {
        out.append_option(text_as_number(cell.unwrap_or(""), plan).map_err(|e| (row, e))?);
    }
    Ok(Arc::new(out.finish()))
}

fn text_as_number(cell: &str, plan: &Plan) -> Result<Option<f64>, String> {
    match number::parse(cell) {
        Parsed::Missing | Parsed::Marker => Ok(None),
        Parsed::Number(x) => Ok(Some(x)),
        Parsed::Rounded(x) if plan.forced => Ok(Some(x)),
        Parsed::Rounded(_) => Err(rounded(cell, plan)),
        Parsed::Text => {
            let cell: String = cell.chars().take(40).collect();
            Err(format!("{cell:?} is not a number: {}", advice(plan)))
        }
    }
}

fn rounded(value: &str, plan: &Plan) -> String {
    let name = &plan.name;
    format!(
        "{value} has no exact f64: say types: {{ {name}: categorical }} to keep it, or numeric to round it"
    )
}

fn json_as_number(value: &Value, plan: &Plan) -> Result<Option<f64>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Number(n) => match json_number(n) {
            (x, exact) if exact || plan.forced => Ok(Some(x)),
            _ => Err(rounded(&n.to_string(), plan)),
        },
        Value::String(s) if plan.forced => text_as_number(s, plan),
        Value::Bool(b) if plan.forced => Ok(Some(f64::from(u8::from(*b)))),
        other => {
            let shown: String = other.to_string().chars().take(40).collect();
            Err(format!("{shown} is not a number: {}", advice(plan)))
        }
    }
}

/// A JSON number as f64, and whether that is exact.
pub(super) fn json_number(n: &Number) -> (f64, bool) {
    let integer = n
        .as_i64()
        .map(i128::from)
        .or_else(|| n.as_u64().map(i128::from));
    let exact = integer.is_none_or(|i| !number::integer_rounds(i));
    (n.as_f64().unwrap_or(f64::NAN), exact)
}

fn json_text(n: &Number) -> String {
    if n.is_f64() {
        number::text(n.as_f64().unwrap_or(f64::NAN))
    } else {
        n.to_string()
    }
}

fn cast_numbers(array: &ArrayRef, plan: &Plan) -> At<ArrayRef> {
    let per_second = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => Some(1.0),
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => Some(1e3),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(1e6),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(1e9),
        DataType::Date32 => Some(1.0 / 86_400.0),
        _ => None,
    };
    // A time is its seconds since 1970 in UTC.
    if let Some(per_second) = per_second {
        let whole = if *array.data_type() == DataType::Date32 {
            to(&to(array, &DataType::Int32)?, &DataType::Int64)?
        } else {
            to(array, &DataType::Int64)?
        };
        let seconds: Float64Array = whole
            .as_primitive::<Int64Type>()
            .unary(|t| t as f64 / per_second);
        return Ok(Arc::new(seconds));
    }
    if !plan.forced {
        check_exact(array, plan)?;
    }
    let cast = to(array, &DataType::Float64)?;
    let cast = cast.as_primitive::<Float64Type>();
    if cast.values().iter().any(|x| x.is_nan()) {
        return Ok(Arc::new(
            cast.iter()
                .map(|x| x.filter(|x| !x.is_nan()))
                .collect::<Float64Array>(),
        ));
    }
    Ok(Arc::new(cast.clone()))
}

/// 64-bit integers that f64 holds.
fn check_exact(array: &ArrayRef, plan: &Plan) -> At<()> {
    let first = match array.data_type() {
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>();
            (0..values.len())
                .find(|i| values.is_valid(*i) && number::integer_rounds(values.value(*i).into()))
                .map(|i| (i, values.value(i).to_string()))
        }
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>();
            (0..values.len())
                .find(|i| values.is_valid(*i) && number::integer_rounds(values.value(*i).into()))
                .map(|i| (i, values.value(i).to_string()))
        }
        _ => None,
    };
    first.map_or(Ok(()), |(row, value)| Err((row, rounded(&value, plan))))
}

/// Any array as UTF-8 with 64-bit offsets; floats by their shortest text.
fn as_text(array: &ArrayRef) -> At<ArrayRef> {
    match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let numbers = to(array, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            let texts: LargeStringArray = numbers
                .iter()
                .map(|x| x.filter(|x| !x.is_nan()).map(number::text))
                .collect();
            Ok(Arc::new(texts))
        }
        DataType::Dictionary(_, value) => as_text(&to(array, value)?),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => {
            Err((0, "a list is not a text".to_owned()))
        }
        _ => to(array, &DataType::LargeUtf8),
    }
}

/// A cast in which a value that does not fit is an error. Which row it is arrow does not say.
pub(super) fn to(array: &ArrayRef, kind: &DataType) -> At<ArrayRef> {
    let options = arrow::compute::CastOptions {
        safe: false,
        ..Default::default()
    };
    let whole = arrow::compute::cast_with_options(array, kind, &options);
    whole.map_err(|e| {
        let row = (0..array.len()).find(|i| {
            cast(&array.slice(*i, 1), kind).is_ok_and(|a| a.is_null(0) && array.is_valid(*i))
        });
        (row.unwrap_or(0), e.to_string())
    })
}
