//! What is seen of a configuration before the end of its budget.

use bonfire_domain::Digest;
use bonfire_search::{Assignment, Value};

use super::{Row, Table};

/// The least and the largest exponent of a synthetic curve: a small one is a configuration that is good early.
const EXPONENT_MIN: f64 = 0.1;
const EXPONENT_MAX: f64 = 0.6;

impl Table {
    /// The objective of a configuration after `unit` of `units` of its budget.
    ///
    /// A recorded curve has a value for each unit; after its last one it stays as it is. Without one it is
    /// median + (metric - median) * r^a, at share r = unit / units, with the configuration's own `exponent` a.
    pub(crate) fn value(&self, row: &Row, exponent: f64, unit: u64, units: u64) -> f64 {
        if let Some(curve) = &row.curve {
            let reached = usize::try_from(unit).unwrap_or(usize::MAX);
            return curve[reached.clamp(1, curve.len()) - 1];
        }
        if unit >= units || !row.metric.is_finite() {
            return row.metric;
        }
        let share = unit as f64 / units as f64;
        self.median + (row.metric - self.median) * libm::pow(share, exponent)
    }
}

/// The exponent of a configuration's synthetic curve, between 0.1 and 0.6: the first 53 bits of the BLAKE3 digest of its
/// `name=value` lines, by name, numbers without a fraction written as integers.
pub(crate) fn exponent(configuration: &Assignment) -> f64 {
    let lines: String = configuration
        .iter()
        .map(|(name, value)| format!("{name}={}\n", plain(value)))
        .collect();
    let Digest(bytes) = Digest::of(lines.as_bytes());
    let first = bytes
        .iter()
        .take(8)
        .fold(0, |bits, b| bits << 8 | u64::from(*b));
    let fraction = (first >> 11) as f64 / (1_u64 << 53) as f64;
    EXPONENT_MIN + (EXPONENT_MAX - EXPONENT_MIN) * fraction
}

/// A value's text, the same for 1 and 1.0.
fn plain(value: &Value) -> Value {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0; // 2^53
    match value {
        Value::Real(real) if real.fract() == 0.0 && real.abs() <= EXACT_MAX => {
            Value::Int(*real as i64)
        }
        other => other.clone(),
    }
}

/// The middle of the finite numbers, the mean of the middle two where there is none; NaN of nothing.
pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let (low, high) = (sorted[last / 2], sorted[last.div_ceil(2)]);
    low + (high - low) / 2.0
}
