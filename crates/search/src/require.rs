//! What a search demands of its trials: expressions over parameters and over metrics, one an entry of `search.require`.
//!
//! An expression is `a >= b`, `metrics.latency_ms <= 20`, `optimizer.kind == 'sgd' or optimizer.lr < 0.1`: numbers, texts in
//! quotes, `true` and `false`, names of parameters as the space has them, `metrics.` and a metric's name, `+ - * / %`,
//! comparisons, `and`, `or`, `not` and parentheses. A name with other characters than letters, digits, `_`, `.` and an index
//! stands in backquotes. Numbers are floats.
//!
//! A comparison that names a parameter which is not active, or a metric which nobody has reported, is neither true nor
//! false (Kleene's strong logic): an entry refuses a trial only where it is false whatever that comparison were.

mod check;
mod eval;
mod parse;
mod problem;
mod token;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use problem::{RequireError, RequireProblem};

use crate::{Assignment, Space};
use parse::{Kind, Node};

/// The longest expression, in bytes.
pub const REQUIREMENT_BYTES_MAX: usize = 1_024;
/// The deepest nesting of parentheses, signs and `not`.
pub const REQUIREMENT_DEPTH_MAX: usize = 32;
/// The most expressions of one search.
pub const REQUIREMENTS_MAX: usize = 64;

/// One expression. It is written down as its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Requirement {
    text: String,
    root: Node,
}

/// All that a search demands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Requirements(Vec<Requirement>);

/// What metrics say of a trial.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Met,
    /// By how much in all: above 0, infinite where something is no number.
    Broken(f64),
    /// This metric is missing to say so.
    Untold(String),
}

impl Requirement {
    /// # Errors
    /// The first thing that cannot be read, with its place.
    pub fn parse(text: &str) -> Result<Requirement, RequireError> {
        let root = parse::parse(text)?;
        let text = text.to_owned();
        Ok(Requirement { text, root })
    }

    /// Whether names and types fit a space. Metrics are numbers; which there are is for the caller to say.
    ///
    /// # Errors
    /// Everything that does not fit, in the order of the text.
    pub fn check(&self, space: &Space) -> Result<(), Vec<RequireError>> {
        check::check(&self.root, space)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The metrics it names, each with the place of the first mention, in characters from 1.
    pub fn metrics(&self) -> BTreeMap<&str, usize> {
        let mut found = BTreeMap::new();
        self.root.visit(&mut |node| {
            if let Kind::Metric(name) = &node.kind {
                found.entry(name.as_str()).or_insert(node.at);
            }
        });
        found
    }

    /// The parameters it names.
    pub fn parameters(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        self.root.visit(&mut |node| {
            if let Kind::Parameter(name) = &node.kind {
                found.insert(name.as_str());
            }
        });
        found
    }
}

impl Requirements {
    pub fn new(all: Vec<Requirement>) -> Requirements {
        Requirements(all)
    }

    pub fn all(&self) -> &[Requirement] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a trial with these parameters may be tried: no entry is false by them alone. It is so for a part of an
    /// assignment where the rest may still make it true.
    pub fn allow(&self, parameters: &Assignment) -> bool {
        self.refusing(parameters).is_none()
    }

    /// The first entry that refuses them.
    pub fn refusing(&self, parameters: &Assignment) -> Option<&str> {
        let refuses = |one: &&Requirement| {
            let found = eval::violation(&one.root, parameters, &BTreeMap::new());
            found.is_some_and(|violation| violation > 0.0)
        };
        self.0.iter().find(refuses).map(Requirement::text)
    }

    /// Whether entries may refuse a point, and not only what comes of it.
    pub fn bind_parameters(&self) -> bool {
        self.0.iter().any(|one| !one.parameters().is_empty())
    }

    /// The metrics that entries name.
    pub fn metrics(&self) -> BTreeSet<&str> {
        self.0
            .iter()
            .flat_map(|one| one.metrics().into_keys())
            .collect()
    }

    /// What a trial's metrics say, by the entries that name any. Violations are summed, as in Deb et al. 2002 (NSGA-II,
    /// section VI), <https://doi.org/10.1109/4235.996017>.
    pub fn outcome(&self, parameters: &Assignment, metrics: &BTreeMap<String, f64>) -> Outcome {
        let mut total = 0.0;
        let mut untold = None;
        for one in &self.0 {
            let named = one.metrics();
            if named.is_empty() {
                continue;
            }
            let missing = named.into_keys().find(|name| !metrics.contains_key(*name));
            match (eval::violation(&one.root, parameters, metrics), missing) {
                (Some(violation), _) => total += violation,
                (None, Some(name)) => untold = untold.or(Some(name)),
                (None, None) => {} // a parameter is not active
            }
        }
        match untold {
            _ if total > 0.0 => Outcome::Broken(total),
            Some(name) => Outcome::Untold(name.to_owned()),
            None => Outcome::Met,
        }
    }
}

impl PartialEq for Requirement {
    fn eq(&self, other: &Requirement) -> bool {
        self.text == other.text
    }
}

impl Eq for Requirement {}

impl TryFrom<String> for Requirement {
    type Error = RequireError;

    fn try_from(text: String) -> Result<Requirement, RequireError> {
        Requirement::parse(&text)
    }
}

impl From<Requirement> for String {
    fn from(requirement: Requirement) -> String {
        requirement.text
    }
}

#[cfg(test)]
mod tests;
