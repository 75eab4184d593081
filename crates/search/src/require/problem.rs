//! What can be wrong with an expression.

use serde::{Deserialize, Serialize};

/// One problem and its place in the text, in characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("at character {at}: {problem}")]
pub struct RequireError {
    pub at: usize,
    pub problem: RequireProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RequireProblem {
    #[error("the expression has {bytes} bytes, more than the limit of {max}: make two of it")]
    TooLong { bytes: usize, max: usize },
    #[error("more than {max} levels of parentheses, signs and not")]
    TooDeep { max: usize },
    #[error("{found:?} means nothing here{}", instead(*.found))]
    Character { found: char },
    #[error("what begins here has no closing {quote}")]
    Unclosed { quote: char },
    #[error("{text} is not a number")]
    BadNumber { text: String },
    #[error("expected {expected}, found {found}")]
    Expected { expected: String, found: String },
    #[error("a comparison cannot be compared again: join two of them with and")]
    Chained,
    #[error("{name} is not a parameter of this search")]
    UnknownParameter { name: String },
    #[error("{name} is not a parameter of this search: a text is written '{name}'")]
    BareText { name: String },
    #[error("metrics. is followed by the name of a metric, such as metrics.latency_ms")]
    NoMetric,
    #[error("expected a number, found {found}")]
    NotNumber { found: String },
    #[error("expected something that is true or false, such as a comparison, found {found}")]
    NotTruth { found: String },
    #[error("{found} has no order: only == and != compare it")]
    NoOrder { found: String },
    #[error("{left} is never {right}")]
    Unlike { left: String, right: String },
    #[error("{parameter} is never '{value}'")]
    NeverHas { parameter: String, value: String },
    #[error("names no parameter and no metric, so it is the same for every trial")]
    Constant,
}

fn instead(found: char) -> &'static str {
    match found {
        '=' => ": equality is ==",
        '&' => ": write and",
        '|' => ": write or",
        '!' => ": write not, or !=",
        '^' => ": there are no powers",
        _ => "",
    }
}
