//! `search.require` and `search.start`: what trials must hold to, and the points that are tried first.

use std::collections::{BTreeMap, BTreeSet};

use bonfire_search::{
    Assignment, Range, RequireError, RequireProblem, Requirement, Sampler, Space, StartError,
    Value, complete_start,
};

use super::problem::{Pos, Sink};
use super::space::{self, Slot};
use super::tree::{Content, Node};
use super::{SearchSpec, Spec, Task, defaults, suggest};

const REQUIRE: &str = "search.require";
const START: &str = "search.start";
const FROM: &str = "search.from";

/// Holds both to the parameters of the search, which are good, and completes the start points.
pub(super) fn read(root: &Node, fields: &BTreeMap<&str, Slot>, spec: &mut Spec, sink: &mut Sink) {
    let before = sink.touches(REQUIRE);
    for (i, item) in items(root, REQUIRE).iter().enumerate() {
        // What is no text has been told.
        if let Content::Scalar(_, text) = &item.content
            && !sink.touches(&format!("{REQUIRE}[{i}]"))
        {
            read_requirement(item.at, i, text, spec, sink);
        }
    }
    if sink.touches(REQUIRE) || before {
        return; // whether points hold to it cannot be said
    }
    let Some(search) = &mut spec.search else {
        return;
    };
    if let Some(points) = read_points(root, fields, &search.space, sink) {
        match complete_start(&search.space, &search.require, search.seed, &points) {
            Ok(points) => search.start = points,
            Err((i, error)) => refuse_point(root, i, &error, sink),
        }
    }
}

/// What can be said only of the search as a whole.
pub(super) fn check(root: &Node, search: &SearchSpec, sampler: Sampler, sink: &mut Sink) {
    if let Some(name) = twice(&search.from) {
        sink.push(root.place(FROM), FROM, format!("names {name} twice"));
    }
    if !search.from.is_empty() && !sampler.looks_at_results() {
        let message = "this sampler looks at no results, not at those of other sweeps either: take auto, tpe, gp or cmaes";
        sink.push(root.place(FROM), FROM, message);
    }
    if !search.from.is_empty() && !search.others.is_empty() {
        let message = "trials of other sweeps are ranked by one objective: leave it out with search.objectives";
        sink.push(root.place(FROM), FROM, message);
    }
    let points = search.start.len();
    if let Some(limit) = search.limit.trials.filter(|limit| points > *limit as usize) {
        let message = format!("has {points} points, more than search.limit.trials {limit}");
        sink.push(root.place(START), START, message);
    }
    if let Err(error) = sampler.requiring(search.require.clone()) {
        sink.push(root.place(REQUIRE), REQUIRE, error.to_string());
    }
}

fn twice(names: &[String]) -> Option<&String> {
    let mut seen = BTreeSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

fn items<'a>(root: &'a Node, path: &str) -> &'a [Node] {
    match root.find(path).map(|node| &node.content) {
        Some(Content::List(items)) => items,
        _ => &[],
    }
}

fn read_requirement(at: Pos, i: usize, text: &str, spec: &Spec, sink: &mut Sink) {
    let Some(search) = &spec.search else {
        return;
    };
    let path = format!("{REQUIRE}[{i}]");
    let read = Requirement::parse(text).map_err(|error| vec![error]);
    let errors = match read {
        Ok(requirement) => {
            for message in unknown_metrics(&requirement, spec) {
                sink.push(at, path.clone(), message);
            }
            requirement.check(&search.space).err().unwrap_or_default()
        }
        Err(errors) => errors,
    };
    for error in errors {
        let hint = hint(&error, &search.space);
        sink.push(at, path.clone(), format!("{error}{hint}"));
    }
}

/// The fleet's trials have the metrics of their task; what an external trial has is the teller's.
fn unknown_metrics(requirement: &Requirement, spec: &Spec) -> Vec<String> {
    if spec.is_external() || (spec.task.is_none() && spec.data.is_some()) {
        return Vec::new(); // of a wrong task nothing can be said
    }
    let known: Vec<&str> = defaults::metrics(spec.task)
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let of = spec.task.map_or("the no-op model", Task::name);
    let named = requirement.metrics().into_iter();
    let unknown = named.filter(|(name, _)| !known.contains(name));
    let message = |(name, at): (&str, usize)| {
        let hint = suggest::hint(name, known.iter().copied());
        let known = known.join(", ");
        format!("at character {at}: {name} is no metric of {of}, which has {known}{hint}")
    };
    unknown.map(message).collect()
}

/// What may have been meant.
fn hint(error: &RequireError, space: &Space) -> String {
    let parameters = space.parameters().iter();
    match &error.problem {
        RequireProblem::UnknownParameter { name } => {
            suggest::hint(name, parameters.map(|p| p.name.as_str()))
        }
        RequireProblem::NeverHas { parameter, value } => {
            let mut of = parameters.filter(|p| p.name == *parameter);
            let Some(Range::Choice { values, .. }) = of.next().map(|p| &p.range) else {
                return String::new();
            };
            let texts = values.iter().filter_map(|value| match value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            });
            suggest::hint(value, texts)
        }
        _ => String::new(),
    }
}

/// The points as they are written; `None` where one is wrong.
fn read_points(
    root: &Node,
    fields: &BTreeMap<&str, Slot>,
    space: &Space,
    sink: &mut Sink,
) -> Option<Vec<Assignment>> {
    let mut points = Vec::new();
    let mut whole = true;
    for (i, item) in items(root, START).iter().enumerate() {
        let mut point = Assignment::new();
        for entry in item.entries() {
            let (name, path) = (entry.key.as_str(), format!("{START}[{i}].{}", entry.key));
            let Some(slot) = fields.get(name) else {
                let names = space.parameters().iter().map(|p| p.name.as_str());
                let hint = suggest::hint(name, names);
                let message = format!("is not a parameter of this search{hint}");
                sink.push(entry.at, path, message);
                whole = false;
                continue;
            };
            if sink.touches(&path) {
                whole = false;
                continue;
            }
            let datum = slot.shape.read(&entry.value, &path, sink);
            match datum.and_then(|datum| space::value_of(slot.shape, &datum)) {
                Some(value) => drop(point.insert(name.to_owned(), value)),
                None => whole = false,
            }
        }
        points.push(point);
    }
    whole.then_some(points)
}

fn refuse_point(root: &Node, i: usize, error: &StartError, sink: &mut Sink) {
    let item = items(root, START).get(i);
    let name = match error {
        StartError::Outside { parameter, .. } | StartError::NotActive { parameter, .. } => {
            Some(parameter)
        }
        _ => None,
    };
    let entry = name.and_then(|name| item?.get(name));
    let at = entry.map_or(item.map_or(root.at, |item| item.at), |entry| entry.at);
    let message = match error {
        StartError::Outside { value, .. } => {
            format!(
                "{} is not in the range of this parameter",
                space::shown(value)
            )
        }
        StartError::NotActive {
            parent,
            wanted,
            value,
            ..
        } => format!("exists only where {parent} is {wanted}, and here that is {value}"),
        StartError::Twice { first } => format!("is the same point as {START}[{first}]"),
        error => error.to_string(),
    };
    let path = match name {
        Some(name) => format!("{START}[{i}].{name}"),
        None => format!("{START}[{i}]"),
    };
    sink.push(at, path, message);
}
