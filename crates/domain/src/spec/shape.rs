//! What one field may hold: reading it from a spec's text or from a trial's value, in one place for both.

use std::collections::BTreeMap;

use super::Period;
pub(super) use super::datum::Datum;
use super::problem::{Pos, Sink};
use super::suggest::hint;
use super::tree::{Content, Node, Scalar};
use super::units;

/// A field's kind and bounds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Flag,
    Whole {
        min: i64,
        max: i64,
    },
    Real {
        min: f64,
        above: bool,
        max: f64,
        below: bool,
    },
    /// Not empty.
    Text,
    /// A name that is safe in a path, a selector and a URL.
    Name,
    /// Text, or a number or flag taken as it is written.
    Loose,
    /// A flag, a number or text, of the type it is written as.
    Scalar,
    /// One of some words. `later` are words of the product that this version does not know.
    Choice {
        words: &'static [&'static str],
        later: &'static [&'static str],
    },
    /// Milliseconds, at most [`units::DURATION_MS_MAX`].
    Duration {
        min_ms: i64,
    },
    Bytes,
    Period {
        never: bool,
    },
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    Device,
    /// A word, or something else.
    Or(&'static str, &'static Shape),
    List {
        of: &'static Shape,
        min: usize,
        max: usize,
    },
    Map {
        of: &'static Shape,
    },
    /// Only this in this version.
    Only(&'static str),
    /// Parameters to search; read by `space`.
    Parameters,
    /// A key of the product that this version does not know.
    Later,
}

impl Shape {
    pub(super) const fn whole(min: i64, max: i64) -> Shape {
        Shape::Whole { min, max }
    }

    /// Both ends belong to it.
    pub(super) const fn real(min: f64, max: f64) -> Shape {
        Shape::Real {
            min,
            above: false,
            max,
            below: false,
        }
    }

    /// The lower end does not belong to it.
    pub(super) const fn above(min: f64, max: f64) -> Shape {
        Shape::Real {
            min,
            above: true,
            max,
            below: false,
        }
    }

    /// The upper end does not belong to it.
    pub(super) const fn below(min: f64, max: f64) -> Shape {
        Shape::Real {
            min,
            above: false,
            max,
            below: true,
        }
    }

    /// Neither end belongs to it.
    pub(super) const fn between(min: f64, max: f64) -> Shape {
        Shape::Real {
            min,
            above: true,
            max,
            below: true,
        }
    }

    pub(super) const fn choice(words: &'static [&'static str]) -> Shape {
        Shape::Choice { words, later: &[] }
    }

    /// What the field takes, for a message.
    pub(super) fn expected(&self) -> String {
        match self {
            Shape::Flag => "true or false".into(),
            Shape::Whole { min, max } if min == max => min.to_string(),
            Shape::Whole { min, max: i64::MAX } => format!("a whole number, {min} or more"),
            Shape::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Shape::Real { min, above, max, below } => {
                let low = match above {
                    _ if *min == f64::MIN => None,
                    true => Some(format!("above {min}")),
                    false => Some(format!("at least {min}")),
                };
                let high = match below {
                    _ if *max == f64::MAX => None,
                    true => Some(format!("below {max}")),
                    false => Some(format!("at most {max}")),
                };
                match (low, high) {
                    (None, None) => "a number".into(),
                    (Some(one), None) | (None, Some(one)) => format!("a number {one}"),
                    (Some(low), Some(high)) => format!("a number {low} and {high}"),
                }
            }
            Shape::Text | Shape::Loose => "text".into(),
            Shape::Name => {
                "a name of letters, digits, `-`, `_` and `.`, at most 64, the first a letter or digit"
                    .into()
            }
            Shape::Scalar => "a number, text, true or false".into(),
            Shape::Choice { words, .. } if words.len() == 1 => words[0].into(),
            Shape::Choice { words, .. } => format!("one of {}", words.join(", ")),
            Shape::Duration { min_ms } if *min_ms > 0 => {
                let least = units::duration_text(*min_ms as u64);
                format!("a duration such as 90s, 30m or 2h, at least {least}")
            }
            Shape::Duration { .. } => "a duration such as 500ms, 90s, 30m or 2h".into(),
            Shape::Bytes => "a size such as 512MiB or 4GiB".into(),
            Shape::Period { never: true } => "a period such as 1 epoch, 500 steps or never".into(),
            Shape::Period { never: false } => "a period such as 1 epoch or 500 steps".into(),
            Shape::Device => "one of auto, cpu, cuda:N".into(),
            Shape::Or(word, inner) => format!("{word} or {}", inner.expected()),
            Shape::List { of, min, max } => {
                let one = of.expected();
                if min == max {
                    return format!("a list of {min}, each {one}");
                }
                match min {
                    0 => format!("a list, each {one}"),
                    _ => format!("a list of {min} to {max}, each {one}"),
                }
            }
            Shape::Map { of } => format!("a map, each value {}", of.expected()),
            Shape::Only(text) => format!("{text} in this version"),
            Shape::Parameters => "a map of parameters".into(),
            Shape::Later => "nothing".into(),
        }
    }

    /// Reads a node; problems go to `sink` with their place.
    pub(super) fn read(&self, node: &Node, path: &str, sink: &mut Sink) -> Option<Datum> {
        let result = match (self, &node.content) {
            (Shape::Later, _) => Err("not in this version".to_owned()),
            (Shape::List { of, min, max }, Content::List(items)) => {
                if items.len() < *min || items.len() > *max {
                    Err(format!(
                        "expected {}, found {} of them",
                        self.expected(),
                        items.len()
                    ))
                } else {
                    let read: Vec<Option<Datum>> = items
                        .iter()
                        .enumerate()
                        .map(|(i, item)| of.read(item, &format!("{path}[{i}]"), sink))
                        .collect();
                    return read
                        .into_iter()
                        .collect::<Option<Vec<Datum>>>()
                        .map(Datum::List);
                }
            }
            (Shape::Map { of }, Content::Map(entries)) => {
                let mut map = BTreeMap::new();
                let mut whole = true;
                for entry in entries {
                    match of.read(&entry.value, &format!("{path}.{}", entry.key), sink) {
                        Some(datum) => drop(map.insert(entry.key.clone(), datum)),
                        None => whole = false,
                    }
                }
                return whole.then_some(Datum::Map(map));
            }
            (Shape::Or(_, inner), Content::List(_) | Content::Map(_)) if inner.takes(node) => {
                return inner.read(node, path, sink);
            }
            (Shape::Loose, Content::Scalar(scalar, raw)) if *scalar != Scalar::Null => {
                Ok(Datum::Text(raw.clone()))
            }
            (Shape::Only(_), Content::Scalar(scalar, raw)) => self
                .take(&Scalar::Text(raw.clone()))
                .or_else(|_| self.take(scalar)),
            (Shape::Choice { later, .. }, Content::Map(_)) => match node.find("kind") {
                Some(Node {
                    content: Content::Scalar(_, raw),
                    ..
                }) if later.contains(&raw.as_str()) => Err(format!("{raw} is not in this version")),
                _ => Err(self.refuse(&node.describe())),
            },
            (_, Content::Scalar(scalar, _)) => self.take(scalar),
            _ => Err(self.refuse(&node.describe())),
        };
        result
            .map_err(|message| sink.push(node.at, path, message))
            .ok()
    }

    /// Whether it takes this kind of node, whatever is in it.
    fn takes(&self, node: &Node) -> bool {
        match (self, &node.content) {
            (Shape::Or(_, inner), _) => inner.takes(node),
            (Shape::List { .. }, Content::List(_)) | (Shape::Map { .. }, Content::Map(_)) => true,
            _ => false,
        }
    }

    fn refuse(&self, found: &str) -> String {
        format!("expected {}, found {found}", self.expected())
    }

    /// Reads a scalar.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub(super) fn take(&self, scalar: &Scalar) -> Result<Datum, String> {
        let refused = || Err(self.refuse(&scalar.describe()));
        match (self, scalar) {
            (Shape::Flag, Scalar::Flag(value)) => Ok(Datum::Flag(*value)),
            (Shape::Whole { min, max }, Scalar::Whole(value)) => {
                if min <= value && value <= max {
                    Ok(Datum::Whole(*value))
                } else {
                    refused()
                }
            }
            (Shape::Whole { max, .. }, Scalar::Real(value)) => {
                // 1e3 is a whole number, and so is what a search says about an integer.
                if value.trunc() == *value && value.abs() < 9.0e15 {
                    return self.take(&Scalar::Whole(*value as i64));
                }
                if value.trunc() == *value && value.is_finite() && *max == i64::MAX {
                    let most = format!(" (up to {max}, its digits written out)");
                    return Err(self.refuse(&scalar.describe()) + &most);
                }
                refused()
            }
            (Shape::Real { .. }, Scalar::Whole(value)) => self
                .take(&Scalar::Real(*value as f64))
                .or_else(|_| refused()),
            (
                Shape::Real {
                    min,
                    above,
                    max,
                    below,
                },
                Scalar::Real(value),
            ) => {
                let low = if *above { min < value } else { min <= value };
                let high = if *below { value < max } else { value <= max };
                if value.is_finite() && low && high {
                    Ok(Datum::Real(*value))
                } else {
                    refused()
                }
            }
            (Shape::Whole { .. } | Shape::Real { .. }, Scalar::Text(text)) => {
                let number = text.trim().parse::<f64>().is_ok();
                let hint = if number {
                    " (write numbers without quotes)"
                } else {
                    ""
                };
                Err(format!("{}{hint}", self.refuse(&scalar.describe())))
            }
            (Shape::Text | Shape::Loose, Scalar::Text(text)) if !text.trim().is_empty() => {
                Ok(Datum::Text(text.clone()))
            }
            (Shape::Text, Scalar::Whole(_) | Scalar::Real(_) | Scalar::Flag(_)) => Err(format!(
                "{} (put it in quotes)",
                self.refuse(&scalar.describe())
            )),
            (Shape::Scalar, Scalar::Flag(value)) => Ok(Datum::Flag(*value)),
            (Shape::Scalar, Scalar::Whole(value)) => Ok(Datum::Whole(*value)),
            (Shape::Scalar, Scalar::Real(value)) if value.is_finite() => Ok(Datum::Real(*value)),
            (Shape::Scalar, Scalar::Text(text)) => Ok(Datum::Text(text.clone())),
            (Shape::Name, Scalar::Text(text)) if is_name(text) => Ok(Datum::Text(text.clone())),
            (Shape::Choice { words, later }, Scalar::Text(text)) => {
                if words.contains(&text.as_str()) {
                    Ok(Datum::Text(text.clone()))
                } else if later.contains(&text.as_str()) {
                    Err(format!(
                        "{text} is not in this version, which has {}",
                        words.join(", ")
                    ))
                } else {
                    let hint = hint(text, words.iter().copied());
                    Err(format!("{}{hint}", self.refuse(&scalar.describe())))
                }
            }
            (Shape::Duration { min_ms }, Scalar::Text(text)) => match units::duration(text) {
                Some(ms) if ms >= *min_ms => Ok(Datum::Whole(ms)),
                _ => refused(),
            },
            (Shape::Duration { .. }, Scalar::Whole(_) | Scalar::Real(_)) => Err(format!(
                "{} without a unit",
                self.refuse(&scalar.describe())
            )),
            (Shape::Bytes, Scalar::Whole(value)) if *value > 0 => Ok(Datum::Whole(*value)),
            (Shape::Bytes, Scalar::Text(text)) => {
                units::bytes(text).map_or_else(refused, |bytes| Ok(Datum::Whole(bytes)))
            }
            (Shape::Period { never }, Scalar::Text(text)) => match units::period(text) {
                Some(Period::Never) if !never => refused(),
                Some(period) => Ok(Datum::Period(period)),
                None => refused(),
            },
            (Shape::Device, Scalar::Text(text)) => match text.strip_prefix("cuda") {
                _ if text == "auto" || text == "cpu" => Ok(Datum::Text(text.clone())),
                Some("") => Ok(Datum::Text("cuda:0".into())),
                Some(rest)
                    if rest
                        .strip_prefix(':')
                        .is_some_and(|n| n.parse::<u16>().is_ok()) =>
                {
                    Ok(Datum::Text(text.clone()))
                }
                _ => refused(),
            },
            (Shape::Or(word, _), Scalar::Text(text)) if text == word => Ok(Datum::Word),
            (Shape::Or("none", _), Scalar::Null) => Ok(Datum::Word),
            (Shape::Or(_, Shape::Or(word, _)), Scalar::Text(text)) if text == word => {
                Ok(Datum::Text(text.clone())) // the outer word is the one without a name
            }
            (Shape::Or(_, inner), _) => inner.take(scalar).map_err(|message| {
                // The inner text, where it says more than what was expected.
                if message == inner.refuse(&scalar.describe()) {
                    self.refuse(&scalar.describe())
                } else {
                    message.replacen(&inner.expected(), &self.expected(), 1)
                }
            }),
            (Shape::Only(only), Scalar::Text(text)) if text == only => Ok(Datum::Absent),
            _ => refused(),
        }
    }
}

/// Letters, digits, `-`, `_` and `.`, at most 64, the first a letter or digit.
fn is_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    starts && text.len() <= 64 && text.chars().all(inside)
}

/// A place for problems of values that have none.
pub(super) const NOWHERE: Pos = Pos { line: 0, column: 0 };
