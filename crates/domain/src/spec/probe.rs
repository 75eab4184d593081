//! Tries what a search may try: every value and both ends of every parameter, with its conditions met, so that a
//! combination that cannot be trained is told before anything runs.

use std::collections::BTreeSet;

use bonfire_search::{Assignment, Parameter, Range, Space, Value};

use super::problem::Sink;
use super::tree::Node;
use super::{SearchSpec, Spec, assign, clash, field, space};

/// Values tried of one parameter.
const VALUES_MAX: usize = 1_000;
/// Combinations tried of a pair of parameters.
const COMBINATIONS_MAX: usize = 4_096;

/// Tries parameters one by one, then in the pairs that have rules between them.
pub(super) fn run(root: &Node, spec: &Spec, sink: &mut Sink) {
    let Some(search) = &spec.search else {
        return;
    };
    if spec.is_external() {
        return; // its parameters are no fields
    }
    let base = spec.without_search();
    let searched: BTreeSet<&str> = search
        .space
        .parameters()
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    let known: BTreeSet<String> = clash::find(&base).into_iter().map(|c| c.message).collect();
    for parameter in search.space.parameters() {
        for value in candidates(&parameter.range) {
            let mut assignment = meet_conditions(&search.space, parameter);
            assignment.insert(parameter.name.clone(), value);
            if !search.require.allow(&assignment) {
                continue; // no trial has it
            }
            let found = try_out(&base, &assignment, &known, |paths| {
                // Where another parameter has a part in it, the pair decides.
                let own = paths.contains(&parameter.name.as_str());
                let others = paths
                    .iter()
                    .any(|path| *path != parameter.name && searched.contains(path));
                own && !others
            });
            if let Some(message) = found {
                let path = format!("search.parameters.{}", parameter.name);
                sink.push(space::place(root, &parameter.name), path, message);
                break;
            }
        }
    }
    for (a, b) in clash::PAIRS {
        let find = |name| search.space.parameters().iter().find(|p| p.name == name);
        if let (Some(a), Some(b)) = (find(a), find(b)) {
            try_pair(root, &base, search, (a, b), &known, sink);
        }
    }
}

fn try_pair(
    root: &Node,
    base: &Spec,
    search: &SearchSpec,
    (a, b): (&Parameter, &Parameter),
    known: &BTreeSet<String>,
    sink: &mut Sink,
) {
    let pairs = candidates(&a.range).into_iter().flat_map(|x| {
        candidates(&b.range)
            .into_iter()
            .map(move |y| (x.clone(), y))
    });
    for (x, y) in pairs.take(COMBINATIONS_MAX) {
        let mut assignment = meet_conditions(&search.space, a);
        assignment.extend(meet_conditions(&search.space, b));
        assignment.insert(a.name.clone(), x.clone());
        assignment.insert(b.name.clone(), y.clone());
        if !search.require.allow(&assignment) {
            continue;
        }
        let both =
            |paths: &[&str]| paths.contains(&a.name.as_str()) && paths.contains(&b.name.as_str());
        if let Some(message) = try_out(base, &assignment, known, both) {
            let path = format!("search.parameters.{}", a.name);
            let (x, y) = (space::shown(&x), space::shown(&y));
            let message = format!(
                "the trial {} = {x}, {} = {y} cannot be: {message}",
                a.name, b.name
            );
            sink.push(space::place(root, &a.name), path, message);
            return;
        }
    }
}

/// What is wrong with a trial, of the problems that `concerns` and that the file does not have by itself.
fn try_out(
    base: &Spec,
    assignment: &Assignment,
    known: &BTreeSet<String>,
    concerns: impl Fn(&[&str]) -> bool,
) -> Option<String> {
    let mut trial = base.clone();
    if let Some(problem) = assign::fill(&mut trial, assignment).into_iter().next() {
        return Some(missing_condition(&problem.path).unwrap_or(problem.message));
    }
    let found = clash::find(&trial).into_iter();
    let mut own = found.filter(|clash| !known.contains(&clash.message) && concerns(&clash.paths));
    own.next().map(|clash| clash.message)
}

/// A parameter of some kinds only, without the condition that says so. Only where the kind is searched does a field get
/// this far and then not exist.
fn missing_condition(name: &str) -> Option<String> {
    let (path, _) = field::split_index(name)?;
    let field = field::at(path).find(|field| !field.kinds.is_empty())?;
    let (group, kinds) = (field.group(), field.kinds.join(", "));
    let wanted = if field.kinds.len() == 1 {
        kinds.clone()
    } else {
        format!("[{kinds}]")
    };
    Some(format!(
        "exists only where {group}.kind is {kinds}: add when: {{ {group}.kind: {wanted} }}"
    ))
}

/// The values to try: all of a list, both ends of a range.
pub(crate) fn candidates(range: &Range) -> Vec<Value> {
    match range {
        Range::Real { min, max, .. } => vec![Value::Real(*min), Value::Real(*max)],
        Range::Integer { min, max, .. } => vec![Value::Int(*min), Value::Int(*max)],
        Range::Choice { values, .. } => values.iter().take(VALUES_MAX).cloned().collect(),
    }
}

/// Values under which a parameter exists: each condition's first, and its parent's conditions in turn.
pub(crate) fn meet_conditions(space: &Space, parameter: &Parameter) -> Assignment {
    let mut met = Assignment::new();
    let mut open = vec![parameter];
    while let Some(parameter) = open.pop() {
        for condition in &parameter.when {
            let Some(value) = condition.any_of.first() else {
                continue;
            };
            met.entry(condition.parameter.clone())
                .or_insert_with(|| value.clone());
            let parent = space
                .parameters()
                .iter()
                .find(|p| p.name == condition.parameter);
            open.extend(parent); // conditions have no circles, so this ends
        }
    }
    met
}
