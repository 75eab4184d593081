//! `search.parameters` to a [`Space`]: each name a field, each end and value one that the field takes.

use std::collections::BTreeMap;

use bonfire_search::{
    Alike, Condition, Parameter, Range, Sampler, SamplerKind, Scheduler, Space, SpaceError,
    SpaceProblem, Value,
};

use super::assign;
use super::check::kinds_of;
use super::field::{self, Field};
use super::problem::{Pos, Sink};
use super::shape::{Datum, Shape};
use super::suggest;
use super::tree::{Content, Entry, Node, Scalar};
use super::units;
use super::{Spec, alike, demands, external, probe};

const PATH: &str = "search.parameters";

/// A space without parameters.
pub(super) fn empty() -> Space {
    Space::new(Vec::new()).expect("a space without parameters is legal")
}

/// Reads the parameters into `spec.search`, then looks at the search as a whole.
pub(super) fn read(root: &Node, spec: &mut Spec, sink: &mut Sink) {
    let Some(node) = root.find(PATH) else {
        return;
    };
    let Content::Map(entries) = &node.content else {
        let found = node.describe();
        let message = format!(
            "expected a map, such as optimizer.lr: {{ min: 1e-4, max: 1e-1 }}, found {found}"
        );
        sink.push(node.at, PATH, message);
        return;
    };
    if entries.is_empty() {
        sink.push(
            node.at,
            PATH,
            "names no parameter: leave search out for a single trial",
        );
    }
    let fields: BTreeMap<&str, Slot> = entries
        .iter()
        .filter_map(|entry| Some((entry.key.as_str(), find_slot(root, spec, entry, sink)?)))
        .collect();
    let mut parameters = Vec::new();
    for entry in entries {
        let slot = fields.get(entry.key.as_str());
        let shape = slot.map(|slot| slot.shape);
        let range = read_range(entry, shape, sink);
        let when = read_when(entry, &fields, entries, sink);
        if let (Some(range), Some(when), Some(_)) = (range, when, slot) {
            parameters.push(Parameter {
                name: entry.key.clone(),
                range,
                when,
            });
        }
    }
    let whole = parameters.len() == entries.len();
    match Space::new(parameters) {
        Ok(space) if whole => {
            if let Some(search) = &mut spec.search {
                search.space = space;
            }
            demands::read(root, &fields, spec, sink);
        }
        Ok(_) => {}
        Err(errors) => {
            // A parent that is there and wrong has been told.
            let told = |error: &SpaceError| match &error.problem {
                SpaceProblem::UnknownParent { parent } => node.get(parent).is_some(),
                _ => false,
            };
            for error in errors.iter().filter(|error| !told(error)) {
                show(node, error, sink);
            }
        }
    }
}

fn show(parameters: &Node, error: &SpaceError, sink: &mut Sink) {
    let entry = parameters.get(&error.parameter);
    let at = entry.map_or(parameters.at, |entry| {
        let key = match &error.problem {
            SpaceProblem::MinAboveMax { .. }
            | SpaceProblem::BoundNotFinite { .. }
            | SpaceProblem::LogNotPositive { .. } => "min",
            SpaceProblem::NoValues
            | SpaceProblem::DuplicateValue { .. }
            | SpaceProblem::ValueNotFinite { .. } => "values",
            SpaceProblem::TooManyApart { .. }
            | SpaceProblem::DistancesMissing { .. }
            | SpaceProblem::ApartFromItself { .. }
            | SpaceProblem::NotApart { .. }
            | SpaceProblem::NotSymmetric { .. } => "distance",
            _ => "when",
        };
        entry.value.get(key).map_or(entry.at, |inner| inner.at)
    });
    sink.push(
        at,
        format!("{PATH}.{}", error.parameter),
        error.problem.to_string(),
    );
}

/// The field that a parameter sets.
pub(super) struct Slot {
    /// Of the field, or of its entries where the name has an index.
    pub(super) shape: &'static Shape,
}

fn find_slot(root: &Node, spec: &Spec, entry: &Entry, sink: &mut Sink) -> Option<Slot> {
    if spec.is_external() {
        let shape = external::shape_of(entry);
        return Some(Slot { shape });
    }
    let name = entry.key.as_str();
    let found =
        resolve_any_kind(root, spec, name).and_then(|(field, index)| match (&field.shape, index) {
            (Shape::List { of, .. }, Some(index)) => {
                let Datum::List(items) = (field.get)(spec) else {
                    return Err(format!("{} is not a list here", field.path));
                };
                let count = items.len();
                if index < count {
                    Ok(Slot { shape: of })
                } else {
                    Err(assign::beyond(field, count))
                }
            }
            (Shape::List { .. }, None) => {
                let path = field.path;
                Err(format!("is a list: search its entries, such as {path}[0]"))
            }
            (_, Some(_)) => Err(format!("{} is not a list", field.path)),
            (shape, None) => Ok(Slot { shape }),
        });
    match found {
        Ok(slot) => Some(slot),
        Err(message) => {
            sink.push(entry.at, format!("{PATH}.{name}"), message);
            None
        }
    }
}

/// As [`assign::resolve`], under any of the kinds that trials may have.
fn resolve_any_kind(
    root: &Node,
    spec: &Spec,
    name: &str,
) -> Result<(&'static Field, Option<usize>), String> {
    let direct = assign::resolve(spec, name);
    let Some((path, index)) = field::split_index(name).filter(|_| direct.is_err()) else {
        return direct;
    };
    let other = field::at(path).find(|field| {
        let kinds = kinds_of(root, field.group()).unwrap_or_default();
        field.searchable && kinds.iter().any(|kind| field.exists_for(kind))
    });
    other.map_or(direct, |field| Ok((field, index)))
}

const KEYS: [&str; 7] = ["min", "max", "log", "values", "ordered", "distance", "when"];

/// `shape` is `None` where the name is wrong; then only what needs no field is looked at.
fn read_range(entry: &Entry, shape: Option<&'static Shape>, sink: &mut Sink) -> Option<Range> {
    let path = format!("{PATH}.{}", entry.key);
    let Content::Map(inner) = &entry.value.content else {
        let found = entry.value.describe();
        let message = format!("expected {{ min, max }} or {{ values }}, found {found}");
        sink.push(entry.value.at, path, message);
        return None;
    };
    for unknown in inner
        .iter()
        .filter(|inner| !KEYS.contains(&inner.key.as_str()))
    {
        let hint = suggest::hint(&unknown.key, KEYS);
        sink.push(
            unknown.at,
            format!("{path}.{}", unknown.key),
            format!("unknown key{hint}"),
        );
    }
    let get = |key: &str| entry.value.get(key);
    let mut refuse = |key: &str, message: String| {
        let at = get(key).map_or(entry.at, |entry| entry.at);
        sink.push(at, path.clone(), message);
        None
    };
    match (get("values"), get("min"), get("max")) {
        (Some(_), None, None) if get("log").is_some() => {
            refuse("log", "log goes with min and max, not with values".into())
        }
        (Some(values), None, None) => read_values(entry, values, shape, sink),
        (None, Some(min), Some(max)) => {
            for key in ["ordered", "distance"] {
                if get(key).is_some() {
                    let message = format!("{key} goes with values, not with min and max");
                    return refuse(key, message);
                }
            }
            read_ends(entry, min, max, shape, sink)
        }
        (Some(_), _, _) => refuse("values", "has values and an end: one or the other".into()),
        (None, Some(_), None) => refuse("min", "has min and no max".into()),
        (None, None, Some(_)) => refuse("max", "has max and no min".into()),
        (None, None, None) => refuse("", "needs min and max, or values".into()),
    }
}

pub(super) fn read_flag(
    entry: &Entry,
    key: &str,
    otherwise: bool,
    sink: &mut Sink,
) -> Option<bool> {
    let Some(inner) = entry.value.get(key) else {
        return Some(otherwise);
    };
    let path = format!("{PATH}.{}.{key}", entry.key);
    Shape::Flag
        .read(&inner.value, &path, sink)
        .map(|datum| datum.flag())
}

fn read_ends(
    entry: &Entry,
    min: &Entry,
    max: &Entry,
    shape: Option<&'static Shape>,
    sink: &mut Sink,
) -> Option<Range> {
    let path = format!("{PATH}.{}", entry.key);
    let log = read_flag(entry, "log", false, sink);
    let number = match shape? {
        Shape::Or(_, inner) => inner,
        shape => shape,
    };
    if !matches!(number, Shape::Whole { .. } | Shape::Real { .. }) {
        let expected = number.expected();
        let message =
            format!("has no min and max: its values are {expected}; list them with values");
        sink.push(entry.at, path, message);
        return None;
    }
    let mut read_end = |end: &Entry| number.read(&end.value, &format!("{path}.{}", end.key), sink);
    let ends = (read_end(min), read_end(max)); // both, so that both are told
    let (min, max, log) = (ends.0?, ends.1?, log?);
    Some(match number {
        Shape::Whole { .. } => Range::Integer {
            min: min.whole(),
            max: max.whole(),
            log,
        },
        _ => Range::Real {
            min: min.real(),
            max: max.real(),
            log,
        },
    })
}

fn read_values(
    entry: &Entry,
    values: &Entry,
    shape: Option<&'static Shape>,
    sink: &mut Sink,
) -> Option<Range> {
    let path = format!("{PATH}.{}.values", entry.key);
    let Content::List(items) = &values.value.content else {
        let found = values.value.describe();
        sink.push(
            values.value.at,
            path,
            format!("expected a list, found {found}"),
        );
        return None;
    };
    let shape = shape?;
    let mut read = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("{path}[{i}]");
        let value = shape
            .read(item, &path, sink)
            .and_then(|datum| value_of(shape, &datum));
        if value.is_none() && matches!(item.content, Content::Map(_)) {
            sink.push(item.at, path, "a map cannot be searched");
        }
        read.push(value);
    }
    let numeric = |value: &Value| matches!(value, Value::Int(_) | Value::Real(_));
    let mut values: Vec<Value> = read.into_iter().collect::<Option<_>>()?;
    let numbers = values.iter().all(numeric);
    let alike = alike::read(entry, &format!("{PATH}.{}", entry.key), numbers, sink)?;
    if numbers && alike == Alike::Neighbours {
        values.sort_by(Value::total_cmp);
    }
    Some(Range::Choice { values, alike })
}

/// A datum as a trial's value; `None` for lists and maps.
pub(super) fn value_of(shape: &Shape, datum: &Datum) -> Option<Value> {
    Some(match datum {
        Datum::Flag(value) => Value::Bool(*value),
        Datum::Whole(value) if is_duration(shape) => {
            Value::Text(units::duration_text(u64::try_from(*value).unwrap_or(0)))
        }
        Datum::Whole(value) => Value::Int(*value),
        Datum::Real(value) => Value::Real(*value),
        Datum::Text(value) => Value::Text(value.clone()),
        Datum::Period(value) => Value::Text(units::period_text(*value)),
        Datum::Word => match shape {
            Shape::Or(word, _) => Value::Text((*word).to_owned()),
            _ => return None,
        },
        Datum::Absent | Datum::List(_) | Datum::Map(_) => return None,
    })
}

fn is_duration(shape: &Shape) -> bool {
    match shape {
        Shape::Duration { .. } => true,
        Shape::Or(_, inner) => is_duration(inner),
        _ => false,
    }
}

fn read_when(
    entry: &Entry,
    fields: &BTreeMap<&str, Slot>,
    entries: &[Entry],
    sink: &mut Sink,
) -> Option<Vec<Condition>> {
    let Some(when) = entry.value.get("when") else {
        return Some(Vec::new());
    };
    let path = format!("{PATH}.{}.when", entry.key);
    let Content::Map(conditions) = &when.value.content else {
        let found = when.value.describe();
        let message = format!("expected a map such as {{ optimizer.kind: sgd }}, found {found}");
        sink.push(when.value.at, path, message);
        return None;
    };
    let mut read = Vec::new();
    for condition in conditions {
        let parent = condition.key.as_str();
        let Some(slot) = fields.get(parent) else {
            // One that is there and wrong has been told.
            if !entries.iter().any(|entry| entry.key == parent) {
                let hint = suggest::hint(parent, entries.iter().map(|entry| entry.key.as_str()));
                let message = format!("{parent} is not a parameter of this search{hint}");
                sink.push(condition.at, path.clone(), message);
            }
            read.push(None);
            continue;
        };
        let items = match &condition.value.content {
            Content::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&condition.value),
        };
        let path = format!("{path}.{parent}");
        let values: Option<Vec<Value>> = items
            .iter()
            .map(|item| read_wanted(item, slot.shape, &path, sink))
            .collect();
        read.push(values.map(|any_of| Condition {
            parameter: parent.to_owned(),
            any_of,
        }));
    }
    read.into_iter().collect()
}

fn read_wanted(node: &Node, shape: &Shape, path: &str, sink: &mut Sink) -> Option<Value> {
    let datum = shape.read(node, path, sink)?;
    let value = value_of(shape, &datum);
    if value.is_none() {
        sink.push(node.at, path, "a map cannot be searched");
    }
    value
}

/// What can only be said of the search as a whole: its bounds, then its sampler, its scheduler and every end of its
/// ranges, where nothing else is wrong.
pub(super) fn check_search(root: &Node, spec: &Spec, sink: &mut Sink) {
    let Some(search) = &spec.search else {
        return;
    };
    let unbounded = search.limit.trials.is_none() && search.limit.time.is_none();
    let sampler_told = sink.touches("search.sampler.kind");
    let limit_told = sink.touches("search.limit.trials") || sink.touches("search.limit.time");
    let bounds_itself =
        search.sampler == SamplerKind::Grid || search.scheduler.population().is_some();
    if unbounded && !bounds_itself && !sampler_told && !limit_told {
        let at = root.place("search.limit");
        let message = "needs trials or time: without a bound the search would never end";
        sink.push(at, "search.limit", message);
    }
    let goal = spec.objective.goal;
    if !sink.is_empty() {
        return;
    }
    let scheduler = Scheduler::new(search.scheduler, goal, spec.budget());
    let sampler = Sampler::new(search.sampler, search.space.clone(), goal, search.seed);
    let sampler = sampler.and_then(|sampler| sampler.toward(&spec.goals()));
    let sampler = sampler.and_then(|sampler| match &scheduler {
        Ok(scheduler) => sampler.under(scheduler),
        Err(_) => Ok(sampler), // said below
    });
    match sampler {
        Ok(sampler) => demands::check(root, search, sampler, sink),
        Err(error) => sink.push(
            root.place("search.sampler.kind"),
            "search.sampler.kind",
            error.to_string(),
        ),
    }
    probe::run(root, spec, sink);
    // Its rules have been told as clashes; this is the net below.
    if let Err(error) = scheduler {
        sink.push(
            root.place("search.scheduler"),
            "search.scheduler",
            error.to_string(),
        );
    }
}

/// The place of a parameter in the text.
pub(super) fn place(root: &Node, name: &str) -> Pos {
    let entry = root.find(PATH).and_then(|parameters| parameters.get(name));
    entry.map_or(root.at, |entry| entry.at)
}

/// A scalar for a message about a value.
pub(crate) fn shown(value: &Value) -> String {
    match assign::scalar_of(value) {
        Scalar::Text(text) => text,
        scalar => scalar.describe(),
    }
}
