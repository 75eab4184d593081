//! What can be wrong with a table of known results.

/// Why a table cannot answer for a spec. Rows count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableProblem {
    #[error("the spec has no search, so that there is nothing to simulate")]
    NoSearch,
    #[error(
        "wilcoxon compares results on instances, which nobody can make up: name the column that lists them with --curve"
    )]
    NoInstances,
    #[error(
        "pbt trains on from one configuration with another, and a table has results of single ones: take another scheduler"
    )]
    Population,
    #[error("no column {column} for the {what}; there are {known}")]
    NoColumn {
        what: &'static str,
        column: String,
        known: String,
    },
    #[error(
        "parameter {parameter} is continuous, and a table has a row a configuration; give it values"
    )]
    Continuous { parameter: String },
    #[error("row {row}, column {column}: {problem}")]
    Row {
        row: u64,
        column: String,
        problem: String,
    },
    #[error("rows {first} and {row} are the same configuration, {configuration}")]
    Twice {
        first: u64,
        row: u64,
        configuration: String,
    },
    #[error(
        "{missing} of the space's {size} configurations have no row{}",
        .configuration.as_ref().map_or_else(String::new, |c| format!(", the first is {c}"))
    )]
    Missing {
        missing: u128,
        size: u128,
        configuration: Option<String>,
    },
}
