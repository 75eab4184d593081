//! The stored runs of Optuna on the tables: `peers/optuna_tables_given.json` of the shared folder. Never made again here.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::peer::shared;

/// Trials after which the stored runs say their best value.
pub const MARKS: [usize; 3] = [50, 100, 200];

/// The samplers that are ranked, and how rows call them.
pub const RANKED: [(&str, &str); 4] = [
    ("random", "Optuna random"),
    ("tpe", "Optuna TPE"),
    ("tpe_uni", "Optuna univariate TPE"),
    ("gp", "Optuna GP"),
];

/// Only on tables of numbers.
pub const SHOWN: (&str, &str) = ("cma", "Optuna CMA-ES");

/// Best values by sampler, table and run, one for each of [`MARKS`].
pub type Stored = BTreeMap<String, BTreeMap<String, Vec<Vec<f64>>>>;

#[derive(Debug, Deserialize)]
struct File {
    per_table: BTreeMap<String, BTreeMap<String, OnTable>>,
}

#[derive(Debug, Deserialize)]
struct OnTable {
    runs: BTreeMap<String, Vec<f64>>,
}

/// The stored runs; none where they are absent.
///
/// # Errors
/// If they cannot be read, or a run has not all marks.
pub fn stored() -> anyhow::Result<Option<Stored>> {
    let path = shared().join("peers/optuna_tables_given.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => read(&text).map(Some),
        Err(_) => {
            eprintln!("  no peer: {} is not there", path.display());
            Ok(None)
        }
    }
}

fn read(text: &str) -> anyhow::Result<Stored> {
    let file: File = serde_json::from_str(text).context("read the stored runs of Optuna")?;
    let mut stored = Stored::new();
    for (sampler, tables) in file.per_table {
        for (table, found) in tables {
            let runs: Vec<Vec<f64>> = found.runs.into_values().collect();
            let whole = !runs.is_empty() && runs.iter().all(|run| run.len() == MARKS.len());
            ensure!(
                whole,
                "{sampler} on {table} has not a value for each of {MARKS:?}"
            );
            stored
                .entry(sampler.clone())
                .or_default()
                .insert(table, runs);
        }
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn runs_are_read_whole() {
        let text = |run: &str| {
            format!(
                r#"{{"per_table": {{"tpe": {{"a": {{"seeds": 1, "runs": {{"0": {run}}}}}}}}}}}"#
            )
        };
        let found = read(&text("[1.0, 2.0, 3.0]")).unwrap();
        assert_eq!(found["tpe"]["a"], vec![vec![1.0, 2.0, 3.0]]);
        assert!(read(&text("[1.0, 2.0]")).is_err());
        assert!(read("{}").is_err());
    }
}
