//! Numbers, durations, sizes and parameters as short text for people.

use std::collections::BTreeMap;

use serde_json::Value;

/// At most six significant digits, without trailing zeros.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e9).contains(&size) {
        let text = format!("{value:.4e}");
        let Some((digits, exponent)) = text.split_once('e') else {
            return text;
        };
        return format!("{}e{exponent}", trimmed(digits));
    }
    // Between 1e-4 and 1e9, so this is from -4 to 8.
    let whole_digits = size.log10().floor() as i32 + 1;
    let decimals = (6 - whole_digits).clamp(0, 9) as usize;
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

pub fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), number)
}

/// Such as `41 s`, `3 m 20 s`, `2 h 05 m`.
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0 => format!("{:.1} s", seconds.max(0.0)),
        1..60 => format!("{whole} s"),
        60..3600 => format!("{} m {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} m", whole / 3600, whole % 3600 / 60),
    }
}

/// Such as `12.4 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{size:.1} {}", UNITS[unit])
    }
}

/// Such as `lr=0.01 hidden[0]=64`: the last word of each path, or all of it where two would look alike.
pub fn parameters(parameters: &BTreeMap<String, Value>) -> String {
    let short = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for name in parameters.keys() {
        *seen.entry(short(name)).or_default() += 1;
    }
    let word = |(name, value): (&String, &Value)| {
        let last = short(name);
        let name = if seen.get(&last) == Some(&1) {
            &last
        } else {
            name
        };
        format!("{name}={}", self::value(value))
    };
    parameters.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A JSON value without quotes.
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(n) if n.is_f64() => n.as_f64().map_or_else(|| n.to_string(), number),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// At most `width` characters, with an ellipsis where something is left out.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// As [`cut`], what is left out being in the middle: the end of a name such as `digits-1/12` says which one it is.
pub fn cut_middle(text: &str, width: usize) -> String {
    /// As long as `/` and the number of a trial are.
    const END: usize = 8;
    let count = text.chars().count();
    if count <= width || width <= END + 1 {
        return cut(text, width);
    }
    let head: String = text.chars().take(width - END - 1).collect();
    let tail: String = text.chars().skip(count - END).collect();
    format!("{head}…{tail}")
}

/// On one line, whatever somebody wrote: control characters as they are written in source code, so that they do nothing to a
/// terminal.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push(' '),
            control if control.is_control() => out.extend(control.escape_default()),
            other => out.push(other),
        }
    }
    out
}

/// Parts in lines of at most `width` characters, a part never being broken; one that is wider is cut.
pub fn wrap(parts: &[String], between: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.chars().count() + between.len() + part.chars().count() <= width => {
                line.push_str(between);
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    let lines: Vec<String> = lines.iter().map(|line| cut(line, width)).collect();
    lines.join("\n")
}

/// A word for a shell: as it is, or in quotes.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `1 trial`, `2 trials`.
pub fn count(n: u64, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(found: String, expected: &str) {
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_too_long_is_cut_where_it_says_least() {
        check(cut_middle("digits-1/12", 11), "digits-1/12");
        check(
            cut_middle(&format!("{}-1a2b/12", "n".repeat(64)), 20),
            "nnnnnnnnnnn…-1a2b/12",
        );
        check(cut_middle("0123456789", 8), "0123456…");
        check(visible("a\u{1b}[31mb\nc\td é"), "a\\u{1b}[31mb c\\td é");
        let parts = ["one", "two", "three and more"].map(str::to_owned);
        check(quoted("a/b-1.yaml"), "a/b-1.yaml");
        check(quoted("model.hidden[0]=64"), "'model.hidden[0]=64'");
        check(quoted("it's a b"), r"'it'\''s a b'");
        check(wrap(&parts, "; ", 10), "one; two\nthree and…");
        check(wrap(&parts, "; ", 100), "one; two; three and more");
    }

    #[test]
    fn numbers_are_short() {
        check(number(0.0), "0");
        check(number(0.983_333_333), "0.983333");
        check(number(1e-5), "1e-5");
        check(number(0.001_234_567), "0.00123457");
        check(number(27.0), "27");
        check(number(123_456.789), "123457");
        check(number(1.5e12), "1.5e12");
        check(number(f64::NAN), "NaN");
    }

    #[test]
    fn durations_and_sizes_are_short() {
        check(seconds(0.04), "0.0 s");
        check(seconds(59.4), "59 s");
        check(seconds(200.0), "3 m 20 s");
        check(seconds(7_500.0), "2 h 05 m");
        check(bytes(1_023), "1023 B");
        check(bytes(13_002_342), "12.4 MiB");
    }

    #[test]
    fn parameters_keep_what_tells_them_apart() {
        let of = |text: serde_json::Value| serde_json::from_value(text).unwrap_or_default();
        check(
            parameters(&of(json!({"optimizer.lr": 0.01, "model.hidden[0]": 64}))),
            "hidden[0]=64 lr=0.01",
        );
        check(
            parameters(&of(
                json!({"optimizer.kind": "sgd", "schedule.kind": "cosine"}),
            )),
            "optimizer.kind=sgd schedule.kind=cosine",
        );
    }

    #[test]
    fn long_texts_are_cut() {
        check(cut("abcdef", 6), "abcdef");
        check(cut("abcdefg", 6), "abcde…");
    }
}
