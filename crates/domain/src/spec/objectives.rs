//! `search.objectives`: several metrics that a search makes better together, in the place of `search.objective`.

use bonfire_search::{Goal, OBJECTIVES_MAX};

use super::clash::unknown_metric;
use super::problem::{Pos, Sink};
use super::tree::{Content, Entry, Node};
use super::{Objective, Spec, Task, defaults, suggest};

pub(super) const PATH: &str = "search.objectives";
const ONE: &str = "search.objective";
const KEYS: [&str; 2] = ["metric", "goal"];

/// Whether the search has several objectives in its text.
pub(super) fn are_said(root: &Node) -> bool {
    root.find(PATH).is_some()
}

/// Which way a metric is better, where that is known of it.
pub(super) fn known_goal(spec: &Spec, metric: &str) -> Option<Goal> {
    let tasks = [Task::Classification, Task::Regression, Task::LanguageModel];
    if !spec.is_external() {
        let mut known = defaults::metrics(spec.task).iter();
        return known
            .find(|(name, _)| *name == metric)
            .map(|(_, goal)| *goal);
    }
    let mut known = tasks.iter().flat_map(|task| defaults::metrics(Some(*task)));
    let found =
        known.find(|(name, _)| *name == metric || name.strip_prefix("valid.") == Some(metric));
    found.map(|(_, goal)| *goal)
}

/// Takes the objectives of the text: the first is the sweep's, the others stand beside it.
pub(super) fn read(root: &Node, spec: &mut Spec, sink: &mut Sink) {
    let Some(node) = root.find(PATH) else {
        return;
    };
    if root.find(ONE).is_some() {
        let message = format!("search.objectives is there too: take one of them for {ONE}");
        sink.push(root.place(ONE), ONE, message);
    }
    let Content::List(items) = &node.content else {
        return; // said before
    };
    if sink.touches(PATH) {
        return;
    }
    let mut objectives: Vec<Objective> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("{PATH}[{i}]");
        let Some(objective) = read_one(item, &path, spec, sink) else {
            continue;
        };
        let twice = |other: &Objective| other.metric == objective.metric;
        if let Some(first) = objectives.iter().position(twice) {
            let message = format!("is the metric of {PATH}[{first}] too");
            sink.push(item.at, path, message);
        }
        objectives.push(objective);
    }
    debug_assert!(objectives.len() <= OBJECTIVES_MAX);
    let mut objectives = objectives.into_iter();
    if let (Some(first), Some(search)) = (objectives.next(), &mut spec.search) {
        spec.objective = first;
        search.others = objectives.collect();
    }
}

/// A metric, and its goal unless that is known of the metric.
fn read_one(item: &Node, path: &str, spec: &Spec, sink: &mut Sink) -> Option<Objective> {
    let (mut metric, mut goal) = (None, None);
    for Entry { key, at, value } in item.entries() {
        let path = format!("{path}.{key}");
        let Content::Scalar(_, text) = &value.content else {
            let message = format!("expected text, found {}", value.describe());
            sink.push(value.at, path, message);
            continue;
        };
        match key.as_str() {
            "metric" if text.is_empty() => sink.push(value.at, path, "must not be empty"),
            "metric" => match unknown_metric(spec, text) {
                Some(message) => sink.push(value.at, path, message),
                None => metric = Some(text.clone()),
            },
            "goal" => goal = goal_named(text, value.at, &path, sink),
            "stop_at" => {
                let message = "one value does not end a search of several objectives: leave it out";
                sink.push(*at, path, message);
            }
            key => {
                let hint = suggest::hint(key, KEYS);
                let message = format!("unknown key; an objective has metric and goal{hint}");
                sink.push(*at, path, message);
            }
        }
    }
    if sink.touches(path) {
        return None;
    }
    let Some(metric) = metric else {
        let path = format!("{path}.metric");
        sink.push(item.at, path, "is required: what is compared");
        return None;
    };
    let known = goal.or_else(|| known_goal(spec, &metric));
    if known.is_none() && spec.is_external() {
        let path = format!("{path}.goal");
        sink.push(item.at, path, "is required: minimize or maximize");
    }
    Some(Objective {
        metric,
        goal: known.unwrap_or(Goal::Minimize), // the metric is told to be unknown
        stop_at: None,
    })
}

fn goal_named(text: &str, at: Pos, path: &str, sink: &mut Sink) -> Option<Goal> {
    match text {
        "minimize" => Some(Goal::Minimize),
        "maximize" => Some(Goal::Maximize),
        _ => {
            let hint = suggest::hint(text, ["minimize", "maximize"]);
            let message = format!("expected minimize or maximize, found {text:?}{hint}");
            sink.push(at, path, message);
            None
        }
    }
}
