//! Searched values beside the data: what the file's own values fit and a trial's would not.
//!
//! A look at some trials that the search may come to, each with all its values, so that nothing is refused that no trial
//! would have. What depends on more values together is found when the data is prepared.

use std::collections::BTreeSet;

use bonfire_search::{Assignment, Parameter, Space, Value};

use super::Rows;
use super::columns::fit_one;
use crate::dataset::Column;
use crate::spec::{Problem, Spec, candidates, meet_conditions, shown};

/// Values looked at of one parameter.
const VALUES_MAX: usize = 64;
/// Values looked at in all.
const CHECKS_MAX: usize = 1_024;
/// Columns looked at in all: wide tables get fewer checks.
const COLUMNS_MAX: usize = 1 << 22;
/// A field outside `data` and `model` that the data has a say in.
const SHARDS: &str = "train.virtual_shards";

/// Whether every trial has its own value of a field.
pub(super) fn is_always_searched(spec: &Spec, path: &str) -> bool {
    let mut parameters = parameters(spec);
    parameters.any(|parameter| parameter.name == path && parameter.when.is_empty())
}

/// Tries the values of each list and both ends of each range. A parameter is told once, with the first of its values that
/// has a problem.
///
/// `known`: problems that are told already.
pub(super) fn search_problems(
    spec: &Spec,
    columns: &[Column],
    rows: Rows,
    known: &[Problem],
) -> Vec<Problem> {
    let Some(search) = &spec.search else {
        return Vec::new();
    };
    let (space, require) = (&search.space, &search.require);
    let mut told: BTreeSet<String> = known
        .iter()
        .map(|problem| problem.message.clone())
        .collect();
    let mut problems = Vec::new();
    let mut left = CHECKS_MAX.min(COLUMNS_MAX / columns.len().max(1));
    for parameter in parameters(spec).filter(|parameter| meets_data(&parameter.name)) {
        let mut tried = candidates(&parameter.range);
        tried.truncate(VALUES_MAX.min(left));
        left -= tried.len();
        let found = tried.iter().find_map(|value| {
            let trials = [Others::First, Others::Last]
                .map(|others| complete(space, parameter, value, others))
                .map(|trial| require.allow(&trial).then(|| spec.with(&trial).ok())?);
            // Values that do not go together have been told without the data.
            let mut found = trials
                .into_iter()
                .flatten()
                .flat_map(|trial| fit_one(&trial, columns, rows));
            let new = found.find(|problem| {
                let others = problem.path != parameter.name
                    && parameters(spec).any(|other| other.name == problem.path);
                !others && !told.contains(&problem.message)
            });
            new.map(|problem| (value, problem))
        });
        if let Some((value, problem)) = found {
            problems.push(told_at(parameter, value, &problem));
            told.insert(problem.message);
        }
    }
    problems
}

/// The parameters that are fields.
fn parameters(spec: &Spec) -> impl Iterator<Item = &Parameter> {
    let search = spec.search.as_ref().filter(|_| !spec.is_external());
    search
        .into_iter()
        .flat_map(|search| search.space.parameters())
}

fn meets_data(name: &str) -> bool {
    name.starts_with("data.") || name.starts_with("model.") || name == SHARDS
}

/// What the other parameters of a trial are.
#[derive(Clone, Copy)]
enum Others {
    First,
    Last,
}

/// A trial with that value.
fn complete(space: &Space, parameter: &Parameter, value: &Value, others: Others) -> Assignment {
    let mut trial = meet_conditions(space, parameter);
    trial.insert(parameter.name.clone(), value.clone());
    // Parents come first.
    for other in space.parameters() {
        if trial.contains_key(&other.name) || !space.active(&trial, other) {
            continue;
        }
        let values = candidates(&other.range);
        let value = match others {
            Others::First => values.first(),
            Others::Last => values.last(),
        };
        trial.extend(value.map(|value| (other.name.clone(), value.clone())));
    }
    trial
}

fn told_at(parameter: &Parameter, value: &Value, problem: &Problem) -> Problem {
    let name = &parameter.name;
    let field = match problem.path == *name {
        true => String::new(),
        false => format!("{}: ", problem.path),
    };
    let (value, message) = (shown(value), &problem.message);
    let message = format!("{value} does not fit the data: {field}{message}");
    Problem::at_path(format!("search.parameters.{name}"), message)
}
