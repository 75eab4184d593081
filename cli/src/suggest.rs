//! `sweep suggest`: what would be tried next, and why.

use bonfire_domain::search::{Expected, Maker};
use bonfire_domain::view::{SuggestionDocument, SuggestionsDocument};

use crate::args::{Global, Suggest};
use crate::connect::{Link, Need};
use crate::documents;
use crate::output::errors::{Exit, Outcome};
use crate::output::{Output, json, text};

pub async fn act(global: &Global, args: &Suggest) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let path = documents::next_path(&args.sweep, args.number);
    let found = documents::get::<SuggestionsDocument>(&link.fleet, &path).await;
    link.close().await;
    let found = found?;
    if output.is_json() {
        json::print(output, &found);
        return Ok(Exit::Done);
    }
    let shown: Vec<String> = found
        .suggestions
        .iter()
        .map(|one| describe(&found.sweep, one))
        .collect();
    if !shown.is_empty() {
        output.print(&shown.join("\n"));
    }
    if let Some(reason) = &found.reason {
        let what = match shown.is_empty() {
            true => "nothing is suggested",
            false => "none of these is made",
        };
        output.note(&format!("{what}: {reason}"));
    }
    Ok(Exit::Done)
}

/// A suggestion with its reasons, a few lines.
fn describe(sweep: &str, one: &SuggestionDocument) -> String {
    let (name, why) = maker(one.by);
    let parameters = text::parameters(&one.parameters);
    let mut lines = vec![
        format!("{sweep}/{}  {parameters}", one.number),
        format!("  by {name}: {why}"),
    ];
    if let Some(expected) = &one.expected {
        lines.push(format!("  {}", expect(expected)));
    }
    let like = one.neighbours.iter().map(|like| {
        let value = text::number(like.value);
        format!("{} ({value}, likeness {:.2})", like.trial, like.likeness)
    });
    let like: Vec<String> = like.collect();
    if !like.is_empty() {
        lines.push(format!("  most like {}", like.join(", ")));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn expect(expected: &Expected) -> String {
    let [value, low, high, gain] = [
        expected.value,
        expected.low,
        expected.high,
        expected.improvement,
    ]
    .map(text::number);
    let chance = expected.chance * 100.0;
    format!(
        "expected {value} ({low} to {high}); better than the best so far with a chance of {chance:.0} %, by {gain} in the mean"
    )
}

/// A sampler's name, and how it comes to a point.
fn maker(by: Maker) -> (&'static str, &'static str) {
    match by {
        Maker::Start => ("search.start", "a point to try first"),
        Maker::Grid => ("grid", "the next point that no trial has"),
        Maker::Random => ("random", "drawn"),
        Maker::Sobol => ("sobol", "fills the space"),
        Maker::From => ("tpe", "likely among what other sweeps found good"),
        Maker::Tpe => (
            "tpe",
            "likely among the good trials and not among the others",
        ),
        Maker::Gp => ("gp", "most improvement is expected of it"),
        Maker::Cmaes => ("cmaes", "drawn around where good trials lie"),
        Maker::Nsga2 => ("nsga2", "made of two good trials"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_suggestion_says_why() {
        let one = json!({
            "number": 12, "parameters": { "optimizer.lr": 0.01 }, "by": "gp",
            "expected": { "value": 0.97, "low": 0.95, "high": 0.99, "chance": 0.235, "improvement": 0.0012 },
            "neighbours": [ { "trial": "a-1/3", "likeness": 0.914, "value": 0.96 } ]
        });
        let one: SuggestionDocument = serde_json::from_value(one).unwrap();
        let found = describe("a-1", &one);
        let expected = "a-1/12  lr=0.01\n  by gp: most improvement is expected of it\n  expected 0.97 (0.95 to 0.99); better than \
                        the best so far with a chance of 24 %, by 0.0012 in the mean\n  most like a-1/3 (0.96, likeness 0.91)\n";
        assert_eq!(found, expected);
    }
}
