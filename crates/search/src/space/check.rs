//! Finds every problem of a list of parameters, and puts them in order.

use std::collections::{BTreeMap, BTreeSet};

use super::alike;
use super::problem::Bound;
use super::{
    Alike, Condition, PARAMETERS_MAX, Parameter, Range, SpaceError, SpaceProblem, VALUES_MAX,
};
use crate::Value;

/// Every problem, in the order of `parameters`, cycles last. Of too many parameters that alone is said.
pub(super) fn find_problems(parameters: &[Parameter]) -> Vec<SpaceError> {
    let mut by_name: BTreeMap<&str, &Parameter> = BTreeMap::new();
    if let Some(parameter) = parameters.get(PARAMETERS_MAX) {
        let problem = SpaceProblem::TooManyParameters {
            max: PARAMETERS_MAX,
        };
        return vec![SpaceError {
            parameter: parameter.name.clone(),
            problem,
        }];
    }
    let mut errors = Vec::new();
    for parameter in parameters {
        let mut problems = Vec::new();
        if parameter.name.is_empty() {
            problems.push(SpaceProblem::EmptyName);
        }
        if by_name.contains_key(parameter.name.as_str()) {
            problems.push(SpaceProblem::DuplicateName);
        } else {
            by_name.insert(&parameter.name, parameter);
        }
        problems.extend(range_problems(&parameter.range));
        errors.push((parameter, problems));
    }
    for (parameter, problems) in &mut errors {
        for condition in &parameter.when {
            problems.extend(condition_problems(condition, &by_name));
        }
    }
    let mut errors: Vec<SpaceError> = errors
        .into_iter()
        .flat_map(|(parameter, problems)| {
            problems.into_iter().map(|problem| SpaceError {
                parameter: parameter.name.clone(),
                problem,
            })
        })
        .collect();
    errors.extend(find_cycles(&by_name));
    errors
}

/// Parents first; among those whose parents are all placed, the smallest name. The parameters have no problems.
pub(super) fn order(parameters: Vec<Parameter>) -> Vec<Parameter> {
    let by_name = parameters.iter().map(|p| (p.name.as_str(), p)).collect();
    let (sorted, _) = sort_parents_first(&by_name);
    let sorted: Vec<String> = sorted.into_iter().map(str::to_owned).collect();
    let mut waiting: BTreeMap<String, Parameter> = parameters
        .into_iter()
        .map(|p| (p.name.clone(), p))
        .collect();
    sorted
        .iter()
        .filter_map(|name| waiting.remove(name))
        .collect()
}

fn range_problems(range: &Range) -> Vec<SpaceProblem> {
    match range {
        Range::Real { min, max, log } => {
            let mut problems = Vec::new();
            for (bound, value) in [(Bound::Min, min), (Bound::Max, max)] {
                if !value.is_finite() {
                    problems.push(SpaceProblem::BoundNotFinite { bound });
                }
            }
            if min > max {
                let (min, max) = (Value::Real(*min), Value::Real(*max));
                problems.push(SpaceProblem::MinAboveMax { min, max });
            }
            if *log && min.is_finite() && *min <= 0.0 {
                problems.push(SpaceProblem::LogNotPositive {
                    min: Value::Real(*min),
                });
            }
            problems
        }
        Range::Integer { min, max, log } => {
            let mut problems = Vec::new();
            if min > max {
                let (min, max) = (Value::Int(*min), Value::Int(*max));
                problems.push(SpaceProblem::MinAboveMax { min, max });
            }
            if *log && *min <= 0 {
                problems.push(SpaceProblem::LogNotPositive {
                    min: Value::Int(*min),
                });
            }
            problems
        }
        Range::Choice { values, alike } => {
            let mut problems = choice_problems(values);
            if let Alike::Apart(rows) = alike {
                problems.extend(alike::problem(values, rows));
            }
            problems
        }
    }
}

fn choice_problems(values: &[Value]) -> Vec<SpaceProblem> {
    if values.is_empty() {
        return vec![SpaceProblem::NoValues];
    }
    if values.len() > VALUES_MAX {
        return vec![SpaceProblem::TooManyValues {
            count: values.len(),
            max: VALUES_MAX,
        }];
    }
    let mut problems = Vec::new();
    for value in values {
        if value.as_f64().is_some_and(|value| !value.is_finite()) {
            problems.push(SpaceProblem::ValueNotFinite {
                value: value.to_string(),
            });
        }
    }
    let mut sorted: Vec<&Value> = values.iter().collect();
    sorted.sort_by(|a, b| a.total_cmp(b));
    let finite = |value: &Value| value.as_f64().is_none_or(f64::is_finite);
    for run in sorted.chunk_by(|a, b| a.same(b)) {
        if run.len() > 1 && finite(run[0]) {
            problems.push(SpaceProblem::DuplicateValue {
                value: run[0].clone(),
            });
        }
    }
    problems
}

fn condition_problems(
    condition: &Condition,
    by_name: &BTreeMap<&str, &Parameter>,
) -> Vec<SpaceProblem> {
    let parent = condition.parameter.clone();
    let Some(found) = by_name.get(condition.parameter.as_str()) else {
        return vec![SpaceProblem::UnknownParent { parent }];
    };
    if condition.any_of.is_empty() {
        return vec![SpaceProblem::EmptyCondition { parent }];
    }
    if matches!(found.range, Range::Real { .. }) {
        return vec![SpaceProblem::ContinuousParent { parent }];
    }
    if condition.any_of.len() > VALUES_MAX {
        let (count, max) = (condition.any_of.len(), VALUES_MAX);
        return vec![SpaceProblem::ConditionTooLong { parent, count, max }];
    }
    let strange = condition
        .any_of
        .iter()
        .filter(|value| !found.range.contains(value));
    strange
        .map(|value| SpaceProblem::NotAValueOfParent {
            parent: parent.clone(),
            value: value.clone(),
        })
        .collect()
}

/// The names in order, and those that a cycle keeps from ever being placed. Unknown parents count as placed.
fn sort_parents_first<'a>(
    by_name: &BTreeMap<&'a str, &'a Parameter>,
) -> (Vec<&'a str>, BTreeSet<&'a str>) {
    let mut children: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
    let mut missing: BTreeMap<&'a str, usize> = BTreeMap::new();
    for (&name, parameter) in by_name {
        let parents = parents_of(parameter, by_name);
        missing.insert(name, parents.len());
        for parent in parents {
            children.entry(parent).or_default().push(name);
        }
    }
    let mut ready: BTreeSet<&'a str> = missing
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(name, _)| *name)
        .collect();
    let mut sorted = Vec::new();
    while let Some(name) = ready.pop_first() {
        missing.remove(name);
        sorted.push(name);
        for &child in children.get(name).into_iter().flatten() {
            if let Some(count) = missing.get_mut(child) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(child);
                }
            }
        }
    }
    (sorted, missing.into_keys().collect())
}

/// One error for each of a set of disjoint cycles that covers all trouble, on the cycle's smallest name.
fn find_cycles(by_name: &BTreeMap<&str, &Parameter>) -> Vec<SpaceError> {
    let mut errors = Vec::new();
    let mut rest = by_name.clone();
    loop {
        let (_, left) = sort_parents_first(&rest);
        let Some(&start) = left.first() else {
            return errors;
        };
        rest.retain(|name, _| left.contains(name));
        // Everything left has a parent that is left, so the walk must meet itself.
        let mut walk = vec![start];
        let through = loop {
            let here = walk[walk.len() - 1];
            let next = rest
                .get(here)
                .and_then(|p| parents_of(p, &rest).into_iter().next());
            let Some(next) = next else {
                return errors; // cannot be: `left` would not have held it
            };
            if let Some(met) = walk.iter().position(|name| *name == next) {
                break walk.split_off(met);
            }
            walk.push(next);
        };
        rest.retain(|name, _| !through.contains(name));
        errors.push(cycle_error(&through));
    }
}

fn cycle_error(through: &[&str]) -> SpaceError {
    let smallest = through.iter().enumerate().min_by_key(|(_, name)| **name);
    let start = smallest.map_or(0, |(i, _)| i);
    let through: Vec<String> = through[start..]
        .iter()
        .chain(&through[..start])
        .map(|name| (*name).to_owned())
        .collect();
    SpaceError {
        parameter: through.first().cloned().unwrap_or_default(),
        problem: SpaceProblem::Cycle { through },
    }
}

fn parents_of<'a>(
    parameter: &'a Parameter,
    by_name: &BTreeMap<&'a str, &'a Parameter>,
) -> BTreeSet<&'a str> {
    let names = parameter
        .when
        .iter()
        .map(|condition| condition.parameter.as_str());
    names.filter(|name| by_name.contains_key(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Space;

    fn real(min: f64, max: f64, log: bool) -> Range {
        Range::Real { min, max, log }
    }

    fn integer(min: i64, max: i64, log: bool) -> Range {
        Range::Integer { min, max, log }
    }

    fn choice(values: &[Value]) -> Range {
        Range::Choice {
            values: values.to_vec(),
            alike: Alike::None,
        }
    }

    fn parameter(name: &str, range: Range, when: &[(&str, &[i64])]) -> Parameter {
        let when = when.iter().map(|(parent, any_of)| Condition {
            parameter: (*parent).to_owned(),
            any_of: any_of.iter().map(|v| Value::Int(*v)).collect(),
        });
        Parameter {
            name: name.to_owned(),
            range,
            when: when.collect(),
        }
    }

    fn small() -> Range {
        integer(0, 3, false)
    }

    /// The errors' texts, or the names in order.
    #[track_caller]
    fn check(parameters: &[Parameter], expected: &[&str]) {
        let found: Vec<String> = match Space::new(parameters.to_vec()) {
            Ok(space) => space.parameters().iter().map(|p| p.name.clone()).collect(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(found, expected);
    }

    #[track_caller]
    fn check_range(range: Range, expected: &[&str]) {
        let expected: Vec<String> = expected
            .iter()
            .map(|text| format!("parameter x: {text}"))
            .collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(
            &[parameter("x", range, &[])],
            if expected.is_empty() {
                &["x"]
            } else {
                &expected
            },
        );
    }

    #[test]
    fn ranges() {
        check_range(real(0.0, 1.0, false), &[]);
        check_range(real(1.0, 1.0, true), &[]);
        check_range(real(2.0, 1.0, false), &["min 2.0 is above max 1.0"]);
        let no_log = "min 0.0 has no logarithm: with log it must be above 0";
        check_range(real(0.0, 1.0, true), &[no_log]);
        check_range(
            real(0.0, -1.0, true),
            &["min 0.0 is above max -1.0", no_log],
        );
        check_range(
            real(f64::NAN, f64::INFINITY, true),
            &["min is not a finite number", "max is not a finite number"],
        );
        check_range(integer(3, 3, false), &[]);
        check_range(integer(4, 3, false), &["min 4 is above max 3"]);
        check_range(
            integer(0, 3, true),
            &["min 0 has no logarithm: with log it must be above 0"],
        );
    }

    #[test]
    fn choices() {
        check_range(choice(&[]), &["values is empty"]);
        check_range(
            choice(&[Value::Int(1), Value::Real(1.5), Value::Text("1".into())]),
            &[],
        );
        check_range(
            choice(&[Value::Int(1), Value::Int(2), Value::Real(1.0)]),
            &["values has 1 twice"],
        );
        check_range(
            choice(&[Value::Real(f64::NAN), Value::Real(f64::NAN)]),
            &[
                "values has NaN, which is not a finite number",
                "values has NaN, which is not a finite number",
            ],
        );
        let many: Vec<Value> = (0..=VALUES_MAX as i64).map(Value::Int).collect();
        check_range(
            choice(&many),
            &["values has 4097 entries, more than the limit of 4096"],
        );
    }

    #[test]
    fn names() {
        check(
            &[parameter("", small(), &[])],
            &["parameter : the name is empty"],
        );
        check(
            &[
                parameter("a", small(), &[]),
                parameter("a", real(0.0, 1.0, false), &[]),
            ],
            &["parameter a: the name is used twice"],
        );
        let many: Vec<Parameter> = (0..=PARAMETERS_MAX)
            .map(|i| parameter(&format!("p{i:04}"), small(), &[]))
            .collect();
        check(&many, &["parameter p1024: more than 1024 parameters"]);
    }

    #[test]
    fn conditions() {
        check(
            &[
                parameter("a", small(), &[]),
                parameter("b", small(), &[("a", &[7, 2, 9]), ("x", &[1])]),
                parameter("c", small(), &[("a", &[]), ("d", &[1])]),
                parameter("d", real(0.0, 1.0, false), &[]),
            ],
            &[
                "parameter b: when asks for a = 7, which a never is",
                "parameter b: when asks for a = 9, which a never is",
                "parameter b: when names x, which is not a parameter of this search",
                "parameter c: when gives no value for a",
                "parameter c: when names d, which is continuous: a condition needs a parent with \
                 values or integers",
            ],
        );
    }

    #[test]
    fn parents_come_first_then_names() {
        check(
            &[
                parameter("z", small(), &[]),
                parameter("b", small(), &[("z", &[1])]),
                parameter("a", small(), &[("b", &[1]), ("m", &[1])]),
                parameter("m", small(), &[]),
            ],
            &["m", "z", "b", "a"],
        );
    }

    #[test]
    fn every_cycle_is_told_once() {
        check(
            &[
                parameter("a", small(), &[("b", &[1])]),
                parameter("b", small(), &[("c", &[1]), ("a", &[2])]),
                parameter("c", small(), &[("a", &[1])]),
                parameter("d", small(), &[("d", &[1])]),
                parameter("e", small(), &[("a", &[1])]),
                parameter("f", integer(1, 0, false), &[]),
            ],
            &[
                "parameter f: min 1 is above max 0",
                "parameter a: its conditions go in a circle: a -> b -> a",
                "parameter d: its conditions go in a circle: d -> d",
            ],
        );
    }
}
