//! Numbers as text, both ways: what counts as a number in a source, and a number's shortest text.

/// What a cell says when read as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Parsed {
    /// Empty, or not-a-number.
    Missing,
    /// A word for a missing value, which among texts is a text.
    Marker,
    Number(f64),
    /// An integer that f64 rounds, and what it becomes.
    Rounded(f64),
    Text,
}

/// What tables write for a missing number, besides `NaN` and nothing.
const MARKERS: [&str; 5] = ["NA", "N/A", "null", "NULL", "None"];

/// Reads a cell as a number, as Rust reads an f64, with blanks around it ignored.
pub(crate) fn parse(text: &str) -> Parsed {
    let text = text.trim();
    if text.is_empty() {
        return Parsed::Missing;
    }
    match text.parse::<f64>() {
        Err(_) if MARKERS.contains(&text) => Parsed::Marker,
        Err(_) => Parsed::Text,
        Ok(x) if x.is_nan() => Parsed::Missing,
        Ok(x) if text.len() > 15 && rounds(text, x) => Parsed::Rounded(x),
        Ok(x) => Parsed::Number(x),
    }
}

/// Whether a text of digits only is another integer than `x`.
fn rounds(text: &str, x: f64) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.bytes().all(|b| b.is_ascii_digit()) && text.parse::<i128>().is_ok_and(|n| n != x as i128)
}

/// Whether an integer has no f64 of its own.
pub(crate) fn integer_rounds(n: i128) -> bool {
    (n as f64) as i128 != n
}

/// The shortest text that reads back as `x`: `5`, not `5.0`; `1e-8` below 1e-4, `1e16` from 1e16.
pub(crate) fn text(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        "0".to_owned()
    } else if (1e-4..1e16).contains(&size) || !x.is_finite() {
        format!("{x}")
    } else {
        format!("{x:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cell: &str, expected: Parsed) {
        assert_eq!(parse(cell), expected, "{cell:?}");
    }

    #[test]
    fn cells_read_as_numbers() {
        check("5", Parsed::Number(5.0));
        check(" -1.5e3 ", Parsed::Number(-1500.0));
        check("", Parsed::Missing);
        check("NaN", Parsed::Missing);
        check("nan", Parsed::Missing);
        for marker in ["NA", " N/A ", "null", "NULL", "None"] {
            check(marker, Parsed::Marker);
        }
        for text in ["na", "n/a", "Null", "none", "NA NA", "-"] {
            check(text, Parsed::Text);
        }
        check("inf", Parsed::Number(f64::INFINITY));
        check("abc", Parsed::Text);
        check("1,5", Parsed::Text);
        check("9007199254740992", Parsed::Number(9_007_199_254_740_992.0));
        check("9007199254740993", Parsed::Rounded(9_007_199_254_740_992.0));
        check(&"9".repeat(400), Parsed::Number(f64::INFINITY));
        check("0.1000000000000000055", Parsed::Number(0.1));
    }

    #[test]
    fn numbers_have_a_shortest_text() {
        for (x, expected) in [
            (5.0, "5"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1e-8, "1e-8"),
            (2.5e20, "2.5e20"),
            (-3.0, "-3"),
        ] {
            assert_eq!(text(x), expected);
        }
    }
}
