//! `trials: external`: somebody else trains. Keys that say how the fleet trains are refused, and a parameter's name is free:
//! what it may be is said by its own ends or values.

use super::field;
use super::problem::Sink;
use super::shape::Shape;
use super::tree::{Content, Entry, Node, Scalar};
use super::{Goal, Millis, ModelSpec, Objective, Spec, Trials, defaults, objectives};

/// Keys and groups that mean something for external trials.
const KEYS: [&str; 8] = [
    "kind",
    "version",
    "name",
    "trials",
    "search",
    "limits.time",
    "retry.lost",
    "tracking",
];

/// How long a trial that was asked for may take until it is given out again, when the spec says nothing.
const TIME_MS: u64 = 3_600_000;

const WHOLE: Shape = Shape::whole(i64::MIN, i64::MAX);
const REAL: Shape = Shape::real(f64::MIN, f64::MAX);

/// Whether the text says `trials: external`.
pub(super) fn is_said(root: &Node) -> bool {
    let said = root.find("trials").map(|node| &node.content);
    matches!(said, Some(Content::Scalar(_, raw)) if raw == "external")
}

/// Whether a field means something for external trials.
pub(super) fn has(path: &str) -> bool {
    KEYS.iter().any(|key| {
        path.strip_prefix(key)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The spec with nothing written. Its model is never trained. Trials have no length of their own.
pub(super) fn defaults() -> Spec {
    let model = ModelSpec::Noop {
        x: 0.5,
        sleep_ms: Millis(0),
    };
    let mut spec = defaults::spec(model, None);
    spec.trials = Trials::External;
    spec.train.epochs = u32::MAX;
    spec.limits.time = Some(Millis(TIME_MS));
    spec.objective = Objective {
        metric: "value".into(),
        goal: Goal::Minimize,
        stop_at: None,
    };
    spec
}

/// The text without the keys that mean nothing here, each of which is a problem.
pub(super) fn keep(root: &Node, sink: &mut Sink) -> Node {
    let kept = keep_below(root.entries(), "", sink);
    Node {
        at: root.at,
        content: Content::Map(kept),
    }
}

fn keep_below(entries: &[Entry], group: &str, sink: &mut Sink) -> Vec<Entry> {
    let mut kept = Vec::new();
    for entry in entries {
        let path = if group.is_empty() {
            entry.key.clone()
        } else {
            format!("{group}.{}", entry.key)
        };
        let known = field::at(&path).next().is_some() || field::is_group(&path);
        let partly = KEYS.iter().any(|key| {
            key.strip_prefix(path.as_str())
                .is_some_and(|r| r.starts_with('.'))
        });
        let mut entry = entry.clone();
        if let Content::Map(inner) = &entry.value.content
            && partly
        {
            entry.value.content = Content::Map(keep_below(inner, &path, sink));
        } else if known && !partly && !has(&path) {
            let message = "with trials: external the fleet trains nothing: leave it out";
            sink.push(entry.at, path, message);
            continue;
        }
        kept.push(entry);
    }
    kept
}

/// What must be written, beside what every spec must have.
pub(super) fn find_missing(root: &Node, sink: &mut Sink) {
    let mut missing = |path: &str, hint: &str| {
        let message = format!("is required with trials: external{hint}");
        sink.push(root.place(path), path, message);
    };
    if root.get("search").is_none() {
        return missing("search", ": its objective, limit and parameters");
    }
    if root.find("search.objective").is_none() && !objectives::are_said(root) {
        missing("search.objective", ": { metric: loss, goal: minimize }");
    }
    let rungs = root.find("search.scheduler.kind").is_some_and(|node| {
        let has = |raw: &str| matches!(raw, "asha" | "hyperband" | "pasha" | "bohb");
        matches!(&node.content, Content::Scalar(_, raw) if has(raw))
    });
    if rungs && root.find("search.scheduler.max").is_none() {
        missing("search.scheduler.max", ": the --at of the last rung");
    }
}

/// What follows from other fields: the length of a trial is that of its last rung, and some metrics say what is better.
pub(super) fn complete(root: &Node, spec: &mut Spec, sink: &mut Sink) {
    if let Some(max) = spec.search.as_ref().and_then(|s| s.scheduler.max()) {
        spec.train.epochs = u32::try_from(max).unwrap_or(u32::MAX);
    }
    let path = "search.objective.goal";
    if root.find("search.objective").is_none() || root.find(path).is_some() {
        return;
    }
    match objectives::known_goal(spec, &spec.objective.metric) {
        Some(goal) => spec.objective.goal = goal,
        None => sink.push(root.place(path), path, "is required: minimize or maximize"),
    }
}

/// What a parameter takes, from how its ends or values are written: whole ends make integers, other ends real numbers;
/// a list of numbers is of one type.
pub(super) fn shape_of(parameter: &Entry) -> &'static Shape {
    let scalar = |key: &str| match parameter.value.get(key).map(|e| &e.value.content) {
        Some(Content::Scalar(scalar, _)) => Some(scalar),
        _ => None,
    };
    if let Some(values) = parameter.value.get("values") {
        let Content::List(items) = &values.value.content else {
            return &Shape::Scalar;
        };
        let number = |item: &Node| {
            matches!(
                item.content,
                Content::Scalar(Scalar::Whole(_) | Scalar::Real(_), _)
            )
        };
        let real = |item: &Node| matches!(item.content, Content::Scalar(Scalar::Real(_), _));
        if items.iter().all(number) && items.iter().any(real) {
            return &REAL;
        }
        return &Shape::Scalar;
    }
    match (scalar("min"), scalar("max")) {
        (Some(Scalar::Whole(_)), Some(Scalar::Whole(_))) => &WHOLE,
        _ => &REAL,
    }
}
