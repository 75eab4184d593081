//! One parameter's value, and the values of one trial.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One parameter's value. `==` compares kind and value; [`Value::total_cmp`] compares numbers by value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Real(f64),
    Text(String),
}

/// A trial's parameters by name. Parameters whose conditions do not hold are absent.
pub type Assignment = BTreeMap<String, Value>;

impl Value {
    /// A total order: booleans, then numbers, then texts. Numbers compare by value, exactly, whatever their kind
    /// (1 is 1.0, the two zeros are equal); NaN is the last of them.
    pub fn total_cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Real(a), Value::Real(b)) => compare_reals(*a, *b),
            (Value::Int(a), Value::Real(b)) => compare_int_real(*a, *b),
            (Value::Real(a), Value::Int(b)) => compare_int_real(*b, *a).reverse(),
            _ => self.kind().cmp(&other.kind()),
        }
    }

    /// Whether both stand for the same value: [`Value::total_cmp`] says equal.
    pub fn same(&self, other: &Value) -> bool {
        self.total_cmp(other) == Ordering::Equal
    }

    /// The value as a float if it is a number. Integers beyond 2^53 are rounded.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Real(value) => Some(*value),
            Value::Bool(_) | Value::Text(_) => None,
        }
    }

    /// The value as an integer if it is a number without a fraction that an `i64` holds.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            Value::Real(value) => {
                let whole = *value as i64; // saturates; NaN becomes 0
                (compare_int_real(whole, *value) == Ordering::Equal).then_some(whole)
            }
            Value::Bool(_) | Value::Text(_) => None,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Value::Bool(_) => 0,
            Value::Int(_) | Value::Real(_) => 1,
            Value::Text(_) => 2,
        }
    }
}

/// Numbers in their shortest form that reads back to the same bits (reals keep a point or an exponent), texts bare.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Real(value) => write!(f, "{value:?}"),
            Value::Text(value) => f.write_str(value),
        }
    }
}

fn compare_reals(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Compares without rounding the integer: 2^53 + 1 is not 2^53.
fn compare_int_real(a: i64, b: f64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0; // 2^63
    if b.is_nan() || b >= BEYOND {
        return Ordering::Less;
    }
    if b < -BEYOND {
        return Ordering::Greater;
    }
    let whole = b as i64; // towards zero, exact: |b| is below 2^63
    let fraction = b - whole as f64; // exact: b has a fraction only below 2^53
    a.cmp(&whole).then_with(|| compare_reals(0.0, fraction))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(a: Value, b: Value, expected: Ordering) {
        assert_eq!(a.total_cmp(&b), expected, "{a:?} {b:?}");
        assert_eq!(b.total_cmp(&a), expected.reverse(), "{b:?} {a:?}");
    }

    #[test]
    fn numbers_compare_by_value_across_kinds() {
        let (int, real) = (Value::Int, Value::Real);
        check(int(1), real(1.0), Ordering::Equal);
        check(int(0), real(-0.0), Ordering::Equal);
        check(int(1), real(1.5), Ordering::Less);
        check(int(-1), real(-1.5), Ordering::Greater);
        check(
            int((1 << 53) + 1),
            real(9_007_199_254_740_992.0),
            Ordering::Greater,
        );
        check(
            int(i64::MAX),
            real(9_223_372_036_854_775_808.0),
            Ordering::Less,
        );
        check(
            int(i64::MIN),
            real(-9_223_372_036_854_775_808.0),
            Ordering::Equal,
        );
        check(int(i64::MIN), real(f64::NEG_INFINITY), Ordering::Greater);
        check(int(i64::MAX), real(f64::NAN), Ordering::Less);
        check(real(f64::INFINITY), real(f64::NAN), Ordering::Less);
        check(real(f64::NAN), real(-f64::NAN), Ordering::Equal);
    }

    #[test]
    fn kinds_are_ordered() {
        check(Value::Bool(true), Value::Int(i64::MIN), Ordering::Less);
        check(
            Value::Real(f64::NAN),
            Value::Text(String::new()),
            Ordering::Less,
        );
        check(Value::Bool(false), Value::Bool(true), Ordering::Less);
    }

    #[test]
    fn display_reads_back() {
        for (value, text) in [
            (Value::Real(1.0), "1.0"),
            (Value::Real(1e-5), "1e-5"),
            (Value::Int(-7), "-7"),
            (Value::Bool(true), "true"),
            (Value::Text("relu".into()), "relu"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn integers_are_recognised_in_reals() {
        for (value, expected) in [
            (Value::Real(3.0), Some(3)),
            (Value::Real(3.5), None),
            (Value::Real(f64::NAN), None),
            (Value::Real(1e300), None),
            (Value::Int(-2), Some(-2)),
            (Value::Bool(true), None),
        ] {
            assert_eq!(value.as_integer(), expected, "{value:?}");
        }
    }

    #[test]
    fn postcard_keeps_the_kind() {
        for value in [
            Value::Int(1),
            Value::Real(1.0),
            Value::Bool(true),
            Value::Text("1".into()),
        ] {
            let bytes = postcard::to_stdvec(&value).unwrap();
            assert_eq!(postcard::from_bytes::<Value>(&bytes).unwrap(), value);
        }
    }
}
