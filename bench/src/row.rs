//! One measured figure, in the form that scripts rely on.

use serde::Serialize;

use crate::pairs::Comparison;

/// A line of output. `ratio` is how many times better bonfire is, above 1 is better whatever the unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// An id, a space, and words.
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub peer: Option<String>,
    pub peer_value: Option<f64>,
    pub ratio: Option<f64>,
    /// The bad end of the ratio's interval.
    pub ratio_low: Option<f64>,
    /// Runs behind the medians; pairs where there is a peer.
    pub runs: usize,
    /// The larger load average (one minute) of before and after.
    pub load: f64,
}

impl Row {
    /// A figure that stands alone: the median of its runs.
    pub fn alone(name: impl Into<String>, unit: &'static str, values: &[f64], load: f64) -> Row {
        Row {
            name: name.into(),
            value: crate::pairs::median(values),
            unit,
            peer: None,
            peer_value: None,
            ratio: None,
            ratio_low: None,
            runs: values.len(),
            load,
        }
    }

    /// A figure beside a peer.
    pub fn beside(
        name: impl Into<String>,
        unit: &'static str,
        peer: &str,
        found: &Comparison,
        load: f64,
    ) -> Row {
        Row {
            name: name.into(),
            value: found.ours,
            unit,
            peer: Some(peer.to_owned()),
            peer_value: Some(found.theirs),
            ratio: Some(found.ratio),
            ratio_low: Some(found.ratio_low),
            runs: found.pairs,
            load,
        }
    }

    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The machine's load average over one minute; 0 where it is not to be had.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0.0)
}

#[test]
fn a_row_has_every_field() {
    let row = Row::alone("B1 binary size", "MB", &[3.0, 1.0, 2.0], 0.5);
    let expected = r#"{"name":"B1 binary size","value":2.0,"unit":"MB","peer":null,"peer_value":null,"ratio":null,"ratio_low":null,"runs":3,"load":0.5}"#;
    assert_eq!(row.json(), expected);
}
