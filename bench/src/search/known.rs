//! The tables of known results: `data/hpo` of the shared folder, described by its `spaces.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;

use crate::peer::shared;

/// A table and what is known of it as a whole.
#[derive(Clone, Debug)]
pub struct Known {
    pub name: String,
    pub path: PathBuf,
    pub about: About,
}

#[derive(Clone, Debug, Deserialize)]
pub struct About {
    file: String,
    metric: String,
    pub direction: String,
    pub optimum: f64,
    pub median: f64,
    #[serde(rename = "top_0.1pct_threshold")]
    pub top: f64,
    /// Mean seconds of a configuration.
    #[serde(rename = "train_time_mean")]
    pub cost_s: f64,
    params: Vec<Parameter>,
}

#[derive(Clone, Debug, Deserialize)]
struct Parameter {
    name: String,
    choices: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Spaces {
    tables: BTreeMap<String, About>,
}

impl Known {
    /// Every table, by name; none where they are absent.
    ///
    /// # Errors
    /// If their description cannot be read.
    pub fn all() -> anyhow::Result<Vec<Known>> {
        let folder = shared().join("data/hpo");
        let Ok(text) = std::fs::read_to_string(folder.join("spaces.json")) else {
            eprintln!("  no tables: {} has no spaces.json", folder.display());
            return Ok(vec![]);
        };
        let spaces: Spaces = serde_json::from_str(&text).context("read spaces.json")?;
        let known = spaces.tables.into_iter().map(|(name, about)| Known {
            name,
            path: folder.join(&about.file),
            about,
        });
        Ok(known.filter(|k| k.path.is_file()).collect())
    }

    /// A spec that searches the table with `sampler`: numbers are ordered, texts are not.
    ///
    /// `search` are further lines of it, such as its limit.
    pub fn spec(&self, sampler: &str, seed: u64, search: &str) -> String {
        let About {
            metric, direction, ..
        } = &self.about;
        let mut text = format!(
            "kind: sweep\nversion: 1\nname: known\ntrials: external\nsearch:\n  objective: {{ metric: {metric}, goal: {direction} }}\n  sampler: {{ kind: {sampler}, seed: {seed} }}\n  {search}\n  parameters:\n"
        );
        for parameter in &self.about.params {
            let values: Vec<String> = parameter.choices.iter().map(ToString::to_string).collect();
            let (name, values) = (&parameter.name, values.join(", "));
            text.push_str(&format!("    {name}: {{ values: [{values}] }}\n"));
        }
        text
    }

    /// The distance of a value from the optimum, where the median configuration has 1.
    pub fn regret(&self, value: f64) -> f64 {
        (value - self.about.optimum).abs() / (self.about.median - self.about.optimum).abs()
    }

    /// Whether a value is among those of the best 0.1 % of the configurations.
    pub fn is_top(&self, value: f64) -> bool {
        match self.about.direction.as_str() {
            "maximize" => value >= self.about.top,
            _ => value <= self.about.top,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bonfire_domain::spec::check;

    use super::*;

    fn known(direction: &str) -> Known {
        let text = format!(
            r#"{{"file": "a.parquet", "metric": "val_acc", "direction": "{direction}", "optimum": 1.0, "median": 0.6,
            "top_0.1pct_threshold": 0.9, "train_time_mean": 2.0,
            "params": [{{"name": "alpha", "choices": [1e-08, 1]}}, {{"name": "kind", "choices": ["none", "relu"]}}]}}"#
        );
        Known {
            name: "a".into(),
            path: "a.parquet".into(),
            about: serde_json::from_str(&text).unwrap(),
        }
    }

    #[test]
    fn its_spec_is_a_good_one() {
        let text = known("maximize").spec("auto", 3, "limit: { trials: 200 }");
        let spec = check(text.as_bytes(), &[]).unwrap();
        let search = spec.search.unwrap();
        assert_eq!((search.seed, search.space.size()), (3, Some(4)));
    }

    #[test]
    fn regret_is_between_optimum_and_median() {
        let known = known("maximize");
        assert_eq!(known.regret(1.0), 0.0);
        assert_eq!(known.regret(0.6), 1.0);
        assert!((known.regret(0.8) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_top_is_on_the_better_side() {
        for (direction, value, expected) in [
            ("maximize", 0.95, true),
            ("maximize", 0.85, false),
            ("minimize", 0.95, false),
            ("minimize", 0.9, true),
        ] {
            assert_eq!(
                known(direction).is_top(value),
                expected,
                "{direction} {value}"
            );
        }
    }
}
