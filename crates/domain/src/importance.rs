//! Which parameters the values of a sweep's trials depend on, from its documents.

use std::collections::BTreeMap;

use bonfire_search::{Assignment, ImportanceError, Importances, Value};

use crate::spec::Spec;
use crate::view::TrialRow;

/// How much each parameter of the search matters for the values of completed trials. Those that were stopped on their way
/// have values of less training, which compare with nothing.
///
/// # Errors
/// [`ImportanceError`]; a sweep of one trial has no parameters.
pub fn importance(spec: &Spec, trials: &[TrialRow]) -> Result<Importances, ImportanceError> {
    let Some(search) = &spec.search else {
        return Err(ImportanceError::NoParameters);
    };
    let completed = trials.iter().filter(|trial| trial.state == "completed");
    let told: Vec<(Assignment, f64)> = completed
        .filter_map(|trial| Some((assignment(&trial.parameters), trial.value?)))
        .collect();
    bonfire_search::importance(&search.space, &told, spec.objective.goal)
}

/// Values as they were before they were written as JSON; numbers compare by value.
fn assignment(parameters: &BTreeMap<String, serde_json::Value>) -> Assignment {
    let value = |json: &serde_json::Value| match json {
        serde_json::Value::Bool(b) => Some(Value::Bool(*b)),
        serde_json::Value::String(text) => Some(Value::Text(text.clone())),
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(whole) => Some(Value::Int(whole)),
            None => n.as_f64().map(Value::Real),
        },
        _ => None,
    };
    let pairs = parameters.iter();
    pairs
        .filter_map(|(name, json)| Some((name.clone(), value(json)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::spec::check;

    const SEARCH: &str = "search:\n  objective: { metric: loss, goal: minimize }\n  limit: { trials: 99 }\n  parameters:\n    lr: { min: 1e-4, max: 1.0, log: true }\n    flip: { values: [true, false] }\n    kind: { values: [a, b] }\n    depth: { min: 1, max: 4, when: { kind: a } }\n";

    fn spec() -> Spec {
        let text = format!("kind: sweep\nversion: 1\nname: t\ntrials: external\n{SEARCH}");
        check(text.as_bytes(), &[]).unwrap()
    }

    /// Every fifth trial was pruned, with a value that would say the opposite; one failed.
    fn rows(count: u32) -> Vec<TrialRow> {
        let row = |number: u32| {
            let (kind, depth) = (["a", "b"][number as usize % 2], number / 2 % 4 + 1);
            let lr = 10f64.powi(-(number as i32 / 3 % 4));
            let mut parameters = BTreeMap::from([
                ("lr".to_owned(), json!(lr)),
                ("flip".to_owned(), json!((number / 8).is_multiple_of(2))),
                ("kind".to_owned(), json!(kind)),
            ]);
            if kind == "a" {
                parameters.insert("depth".to_owned(), json!(depth));
            }
            let is_pruned = number % 5 == 4;
            let value = match is_pruned {
                true => 9.0 * f64::from(number % 2),
                false => lr.log10(),
            };
            TrialRow {
                trial: format!("t/{number}"),
                number,
                state: if is_pruned { "pruned" } else { "completed" }.to_owned(),
                attempts: 1,
                value: (number != 3).then_some(value),
                epochs: 1,
                parameters,
                worker: None,
                reason: None,
                parent: None,
                feasible: None,
                violation: None,
                metrics: BTreeMap::new(),
                values: Vec::new(),
                pareto: None,
            }
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn completed_trials_count() {
        let found = importance(&spec(), &rows(80)).unwrap();
        assert_eq!(found.parameters.len(), 4);
        let first = &found.parameters[0];
        assert_eq!(first.parameter, "lr");
        assert!(first.importance > 0.9, "{found:?}");
    }

    #[test]
    fn what_is_refused() {
        let few = importance(&spec(), &rows(18)).unwrap_err();
        // Three of them were pruned and one has no value.
        assert_eq!(few, ImportanceError::TooFew { found: 14, min: 16 });
        let single = "kind: sweep\nversion: 1\nname: t\nmodel: { kind: noop }\n";
        let single = check(single.as_bytes(), &[]).unwrap();
        let refused = importance(&single, &rows(18));
        assert_eq!(refused, Err(ImportanceError::NoParameters));
    }
}
