//! Durations, sizes and periods as people write them.

use super::{Millis, Period};

/// Ten years.
pub(super) const DURATION_MS_MAX: u64 = 10 * 366 * 86_400_000;

const DURATIONS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Milliseconds of `500ms`, `90s`, `1.5h`, `1d`; at most [`DURATION_MS_MAX`].
pub(super) fn duration(text: &str) -> Option<i64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, ms) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
    scaled(number.trim_end(), *ms).filter(|ms| *ms <= DURATION_MS_MAX as i64)
}

/// Bytes of `4GiB`, `512MB`, `100B`; above 0.
pub(super) fn bytes(text: &str) -> Option<i64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    scaled(number.trim_end(), *bytes).filter(|bytes| *bytes > 0)
}

/// A decimal number times a unit, rounded down.
fn scaled(number: &str, unit: u64) -> Option<i64> {
    let decimal = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !decimal {
        return None;
    }
    if let Ok(whole) = number.parse::<u64>() {
        return i64::try_from(whole.checked_mul(unit)?).ok();
    }
    let scaled = number.parse::<f64>().ok()? * unit as f64;
    (scaled < 9.0e15).then_some(scaled as i64)
}

/// `never`, `1 epoch`, `3 epochs`, `500 steps`; counts from 1 to 10^9.
pub(super) fn period(text: &str) -> Option<Period> {
    if text == "never" {
        return Some(Period::Never);
    }
    let (number, unit) = text.split_once(' ')?;
    let count: u32 = number
        .parse()
        .ok()
        .filter(|count| (1..=1_000_000_000).contains(count))?;
    match unit.trim_start() {
        "epoch" | "epochs" => Some(Period::Epochs(count)),
        "step" | "steps" => Some(Period::Steps(count.into())),
        _ => None,
    }
}

/// The shortest whole form: `90s`, `2h`.
pub(super) fn duration_text(ms: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| ms >= *unit && ms.is_multiple_of(*unit);
    let (name, unit) = DURATIONS.iter().rev().find(fits).unwrap_or(&("s", 1_000));
    format!("{}{name}", ms / unit)
}

/// The shortest whole form: `4GiB`.
pub(super) fn bytes_text(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    let (name, unit) = SIZES.iter().find(fits).unwrap_or(&("B", 1));
    format!("{}{name}", bytes / unit)
}

pub(super) fn period_text(period: Period) -> String {
    let count = |n: u64, unit: &str| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
    match period {
        Period::Never => "never".into(),
        Period::Epochs(n) => count(n.into(), "epoch"),
        Period::Steps(n) => count(n, "step"),
    }
}

/// `30m`, as a spec has it.
impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&duration_text(self.0))
    }
}

/// As a spec has it: `500ms`, `90s`, `1.5h`, `1d`.
impl std::str::FromStr for Millis {
    type Err = String;

    fn from_str(text: &str) -> Result<Millis, String> {
        let ms = duration(text).and_then(|ms| u64::try_from(ms).ok());
        ms.map(Millis).ok_or_else(|| {
            "write a duration of at most ten years, such as 90s, 30m or 2h".to_owned()
        })
    }
}

/// `1 epoch`, as a spec has it.
impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&period_text(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: PartialEq + std::fmt::Debug>(
        read: impl Fn(&str) -> Option<T>,
        rows: &[(&str, Option<T>)],
    ) {
        for (text, expected) in rows {
            assert_eq!(read(text), *expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        check(
            duration,
            &[
                ("500ms", Some(500)),
                ("90s", Some(90_000)),
                ("1.5h", Some(5_400_000)),
                ("1 d", Some(86_400_000)),
                ("0s", Some(0)),
                ("-1s", None),
                ("1w", None),
                ("1e3s", None),
                ("s", None),
                ("1", None),
                ("99999999999999999999h", None),
                ("4000d", None),
            ],
        );
        for ms in [0, 1, 999, 1_000, 90_000, 5_400_000, 86_400_000] {
            assert_eq!(duration(&duration_text(ms)), Some(ms as i64));
        }
    }

    #[test]
    fn sizes() {
        check(
            bytes,
            &[
                ("4GiB", Some(4 << 30)),
                ("1.5KiB", Some(1536)),
                ("10MB", Some(10_000_000)),
                ("7B", Some(7)),
                ("0B", None),
                ("4G", None),
                ("99999999TiB", None),
            ],
        );
        for size in [1, 1024, 1_000_000, 4 << 30] {
            assert_eq!(bytes(&bytes_text(size)), Some(size as i64));
        }
    }

    #[test]
    fn periods() {
        check(
            period,
            &[
                ("1 epoch", Some(Period::Epochs(1))),
                ("3 epochs", Some(Period::Epochs(3))),
                ("500 steps", Some(Period::Steps(500))),
                ("never", Some(Period::Never)),
                ("0 epochs", None),
                ("1", None),
                ("epoch", None),
                ("1 minute", None),
            ],
        );
        for value in [
            Period::Never,
            Period::Epochs(1),
            Period::Epochs(2),
            Period::Steps(500),
        ] {
            assert_eq!(period(&period_text(value)), Some(value));
        }
    }
}
