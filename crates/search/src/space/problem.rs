//! What can be wrong with a space.

use serde::{Deserialize, Serialize};

use crate::Value;

/// One problem and the parameter that has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("parameter {parameter}: {problem}")]
pub struct SpaceError {
    pub parameter: String,
    pub problem: SpaceProblem,
}

/// What is wrong. The text does not name the parameter: whoever prints it has its place in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum SpaceProblem {
    #[error("the name is empty")]
    EmptyName,
    #[error("the name is used twice")]
    DuplicateName,
    #[error("more than {max} parameters")]
    TooManyParameters { max: usize },
    #[error("{bound} is not a finite number")]
    BoundNotFinite { bound: Bound },
    #[error("min {min} is above max {max}")]
    MinAboveMax { min: Value, max: Value },
    #[error("min {min} has no logarithm: with log it must be above 0")]
    LogNotPositive { min: Value },
    #[error("values is empty")]
    NoValues,
    #[error("values has {count} entries, more than the limit of {max}")]
    TooManyValues { count: usize, max: usize },
    #[error("values has {value}, which is not a finite number")]
    ValueNotFinite { value: String },
    #[error("values has {value} twice")]
    DuplicateValue { value: Value },
    #[error("distance goes with at most {max} values")]
    TooManyApart { max: usize },
    #[error("distance needs {expected} rows of {expected} numbers, one a value, and has {found}")]
    DistancesMissing { found: usize, expected: usize },
    #[error("distance from {value} to itself must be 0")]
    ApartFromItself { value: Value },
    #[error("distance from {from} to {to} must be a number above 0")]
    NotApart { from: Value, to: Value },
    #[error("distance from {from} to {to} is not the same as back")]
    NotSymmetric { from: Value, to: Value },
    #[error("when names {parent}, which is not a parameter of this search")]
    UnknownParent { parent: String },
    #[error(
        "when names {parent}, which is continuous: a condition needs a parent with values or integers"
    )]
    ContinuousParent { parent: String },
    #[error("when gives no value for {parent}")]
    EmptyCondition { parent: String },
    #[error("when gives {count} values for {parent}, more than the limit of {max}")]
    ConditionTooLong {
        parent: String,
        count: usize,
        max: usize,
    },
    #[error("when asks for {parent} = {value}, which {parent} never is")]
    NotAValueOfParent { parent: String, value: Value },
    /// Each parameter of the list has a condition on the next one, and the last on the first.
    #[error("its conditions go in a circle: {}", circle(.through))]
    Cycle { through: Vec<String> },
    #[error(
        "its conditions join so many parameters that the points cannot be counted (more than {max} cases)"
    )]
    TooEntangled { max: usize },
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    Min,
    Max,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Bound::Min => "min",
            Bound::Max => "max",
        })
    }
}

fn circle(through: &[String]) -> String {
    let mut names: Vec<&str> = through.iter().map(String::as_str).collect();
    names.extend(through.first().map(String::as_str));
    names.join(" -> ")
}
