//! One parameter's range: what is in it, and which value a place in the unit interval stands for.

use serde::{Deserialize, Serialize};

use crate::{Alike, Value};

/// The values one parameter may take. Both ends of a range belong to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Range {
    Real {
        min: f64,
        max: f64,
        log: bool,
    },
    Integer {
        min: i64,
        max: i64,
        log: bool,
    },
    /// No two values are the same by value.
    Choice {
        values: Vec<Value>,
        alike: Alike,
    },
}

/// A range as it is written down: what there was before there were distances has the form that it had.
#[derive(Serialize, Deserialize)]
enum Written {
    Real {
        min: f64,
        max: f64,
        log: bool,
    },
    Integer {
        min: i64,
        max: i64,
        log: bool,
    },
    Choice {
        values: Vec<Value>,
        ordered: bool,
    },
    Apart {
        values: Vec<Value>,
        distance: Vec<Vec<f64>>,
    },
}

impl From<Written> for Range {
    fn from(written: Written) -> Range {
        match written {
            Written::Real { min, max, log } => Range::Real { min, max, log },
            Written::Integer { min, max, log } => Range::Integer { min, max, log },
            Written::Choice { values, ordered } => Range::Choice {
                values,
                alike: Alike::neighbours(ordered),
            },
            Written::Apart { values, distance } => Range::Choice {
                values,
                alike: Alike::Apart(distance),
            },
        }
    }
}

impl From<Range> for Written {
    fn from(range: Range) -> Written {
        match range {
            Range::Real { min, max, log } => Written::Real { min, max, log },
            Range::Integer { min, max, log } => Written::Integer { min, max, log },
            Range::Choice { values, alike } => match alike {
                Alike::Apart(distance) => Written::Apart { values, distance },
                alike => Written::Choice {
                    values,
                    ordered: alike == Alike::Neighbours,
                },
            },
        }
    }
}

impl Range {
    /// Whether the value is in the range. Numbers count by value.
    pub fn contains(&self, value: &Value) -> bool {
        match self {
            Range::Real { min, max, .. } => value
                .as_f64()
                .is_some_and(|value| *min <= value && value <= *max),
            Range::Integer { min, max, .. } => value
                .as_integer()
                .is_some_and(|value| *min <= value && value <= *max),
            Range::Choice { values, .. } => values.iter().any(|own| own.same(value)),
        }
    }

    /// The number of values; `None` if continuous.
    pub fn cardinality(&self) -> Option<u128> {
        match self {
            Range::Real { min, max, .. } => (min == max).then_some(1),
            Range::Integer { min, max, .. } => Some(integers(*min, *max)),
            Range::Choice { values, .. } => Some(values.len() as u128),
        }
    }

    /// The place of a value among the range's values, from 0; `None` if it is not in the range or that is continuous.
    pub(crate) fn index_of(&self, value: &Value) -> Option<u128> {
        if !self.contains(value) {
            return None;
        }
        match self {
            Range::Real { min, max, .. } => (min == max).then_some(0),
            Range::Integer { min, .. } => {
                let value = value.as_integer()?;
                u128::try_from(i128::from(value) - i128::from(*min)).ok()
            }
            Range::Choice { values, .. } => values
                .iter()
                .position(|own| own.same(value))
                .map(|i| i as u128),
        }
    }

    /// The value of that place; the last one beyond the end.
    pub(crate) fn nth(&self, index: u128) -> Value {
        match self {
            Range::Real { min, .. } => Value::Real(*min),
            Range::Integer { min, max, .. } => {
                let last = integers(*min, *max) - 1;
                let value = i128::from(*min) + index.min(last) as i128; // at most 2^64 above an i64
                Value::Int(value.clamp(i128::from(*min), i128::from(*max)) as i64)
            }
            Range::Choice { values, .. } => {
                let last = values.len().saturating_sub(1);
                let index = usize::try_from(index).unwrap_or(last).min(last);
                values[index].clone()
            }
        }
    }

    /// The value at `fraction` * 2^-64 of the range: equal lengths of the unit interval for equal shares of the range,
    /// in logarithms where `log` says so. For log integers the share of n is that of [n - 1/2, n + 1/2], rounded.
    pub(crate) fn at(&self, fraction: u64) -> Value {
        match self {
            Range::Real { .. } | Range::Integer { log: true, .. } => self.at_share(unit(fraction)),
            Range::Integer { .. } | Range::Choice { .. } => {
                let count = self.cardinality().unwrap_or(1); // at most 2^64, so the product fits
                self.nth((u128::from(fraction) * count) >> 64)
            }
        }
    }

    /// As [`Range::at`], for a share in [0, 1] that may be any float.
    pub(crate) fn at_share(&self, share: f64) -> Value {
        match self {
            Range::Real { min, max, log } => {
                let value = if *log {
                    libm::exp(between(libm::log(*min), libm::log(*max), share))
                } else {
                    between(*min, *max, share)
                };
                Value::Real(value.clamp(*min, *max))
            }
            Range::Integer {
                min,
                max,
                log: true,
            } => {
                let (low, high) = log_ends(*min, *max);
                let value = libm::round(libm::exp(between(low, high, share)));
                Value::Int((value as i64).clamp(*min, *max)) // the cast saturates
            }
            Range::Integer { .. } | Range::Choice { .. } => {
                let count = self.cardinality().unwrap_or(1) as f64;
                self.nth(libm::floor(share * count) as u128) // the cast saturates
            }
        }
    }

    /// The share of the range at which the part of the discrete value of that index begins.
    pub(crate) fn edge(&self, index: u128) -> f64 {
        match self {
            Range::Integer {
                min,
                max,
                log: true,
            } => {
                let (low, high) = log_ends(*min, *max);
                (libm::log(*min as f64 + index as f64 - 0.5) - low) / (high - low)
            }
            _ => index as f64 / self.cardinality().unwrap_or(1) as f64,
        }
    }

    /// The share of the range at which a value lies, in [0, 1]: the middle of a discrete value's part. `None` if it
    /// is not in the range.
    pub(crate) fn share_of(&self, value: &Value) -> Option<f64> {
        let share = match self {
            Range::Real { min, max, .. } if min == max => 0.5,
            Range::Real { min, max, log } => {
                let value = value.as_f64()?;
                if *log {
                    let (low, high) = (libm::log(*min), libm::log(*max));
                    (libm::log(value) - low) / (high - low)
                } else {
                    // In halves, so that the width may exceed the largest float.
                    (value / 2.0 - min / 2.0) / (max / 2.0 - min / 2.0)
                }
            }
            Range::Integer {
                min,
                max,
                log: true,
            } => {
                let (low, high) = log_ends(*min, *max);
                (libm::log(value.as_f64()?) - low) / (high - low)
            }
            Range::Integer { .. } | Range::Choice { .. } => {
                (self.index_of(value)? as f64 + 0.5) / self.cardinality()? as f64
            }
        };
        let inside = self.contains(value) && share.is_finite();
        inside.then(|| share.clamp(0.0, 1.0))
    }
}

/// How many integers lie between two, both included: 1 to 2^64.
fn integers(min: i64, max: i64) -> u128 {
    u128::from(max.abs_diff(min)) + 1
}

/// The logarithms between which a log range of integers lies.
fn log_ends(min: i64, max: i64) -> (f64, f64) {
    (libm::log(min as f64 - 0.5), libm::log(max as f64 + 0.5))
}

/// A multiple of 2^-53 in [0, 1).
pub(crate) fn unit(fraction: u64) -> f64 {
    const ULP: f64 = 1.0 / (1u64 << 53) as f64;
    (fraction >> 11) as f64 * ULP
}

/// As two products, so that the width of the range may exceed the largest float.
fn between(low: f64, high: f64, share: f64) -> f64 {
    low * (1.0 - share) + high * share
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(range: Range, fraction: u64, expected: Value) {
        assert_eq!(range.at(fraction), expected, "{range:?} at {fraction}");
    }

    const HALF: u64 = 1 << 63;
    const END: u64 = u64::MAX;

    #[test]
    fn integers_include_both_ends() {
        let range = |min, max| Range::Integer {
            min,
            max,
            log: false,
        };
        check(range(-2, 2), 0, Value::Int(-2));
        check(range(-2, 2), HALF, Value::Int(0));
        check(range(-2, 2), END, Value::Int(2));
        check(range(i64::MIN, i64::MAX), 0, Value::Int(i64::MIN));
        check(range(i64::MIN, i64::MAX), HALF, Value::Int(0));
        check(range(i64::MIN, i64::MAX), END, Value::Int(i64::MAX));
        check(range(5, 5), END, Value::Int(5));
    }

    #[test]
    fn log_integers_include_both_ends() {
        let range = |min, max| Range::Integer {
            min,
            max,
            log: true,
        };
        check(range(1, 100), 0, Value::Int(1));
        check(range(1, 100), HALF, Value::Int(7)); // sqrt(0.5 * 100.5) = 7.09
        check(range(1, 100), END, Value::Int(100));
        check(range(7, 7), END, Value::Int(7));
    }

    #[test]
    fn reals_stay_between_their_ends() {
        let range = |min, max, log| Range::Real { min, max, log };
        check(range(-1.0, 3.0, false), 0, Value::Real(-1.0));
        check(range(-1.0, 3.0, false), HALF, Value::Real(1.0));
        check(range(f64::MIN, f64::MAX, false), HALF, Value::Real(0.0));
        check(range(0.1, 0.1, false), HALF / 3, Value::Real(0.1));
        check(range(0.1, 0.1, true), HALF / 3, Value::Real(0.1));
        for (fraction, expected) in [(0, 1e-4), (HALF, 1e-2), (END, 1.0)] {
            let value = range(1e-4, 1.0, true).at(fraction).as_f64().unwrap();
            assert!(
                (value / expected - 1.0).abs() < 1e-14,
                "{value} for {expected}"
            );
        }
    }

    #[test]
    fn choices_share_evenly() {
        let range = Range::Choice {
            values: ["a", "b", "c", "d"].map(|v| Value::Text(v.into())).to_vec(),
            alike: Alike::None,
        };
        for (fraction, expected) in [(0, "a"), (HALF - 1, "b"), (HALF, "c"), (END, "d")] {
            check(range.clone(), fraction, Value::Text(expected.into()));
        }
    }

    #[test]
    fn what_is_written_down_has_the_form_that_it_had() {
        let range = |alike| Range::Choice {
            values: vec![Value::Bool(false), Value::Bool(true)],
            alike,
        };
        let apart = Alike::Apart(vec![vec![0.0, 2.5], vec![2.5, 0.0]]);
        for (alike, expected) in [
            (
                Alike::None,
                r#"{"Choice":{"values":[{"Bool":false},{"Bool":true}],"ordered":false}}"#,
            ),
            (
                Alike::Neighbours,
                r#"{"Choice":{"values":[{"Bool":false},{"Bool":true}],"ordered":true}}"#,
            ),
            (
                apart,
                r#"{"Apart":{"values":[{"Bool":false},{"Bool":true}],"distance":[[0.0,2.5],[2.5,0.0]]}}"#,
            ),
        ] {
            let written = serde_json::to_string(&range(alike.clone())).unwrap();
            assert_eq!(written, expected);
            let read: Range = serde_json::from_str(&written).unwrap();
            assert_eq!(read, range(alike));
        }
    }
}
