//! Spec text to [`Spec`], or every problem at once.

use super::clash;
use super::field::{self, Field};
use super::problem::{Problem, Sink};
use super::shape::Shape;
use super::suggest;
use super::tree::{self, Content, Node};
use super::{Goal, Spec, Task, defaults, external, fields, objectives, overrides, space};

/// Checks a spec's text. `overrides` are `--set path=value`, in order.
///
/// The text is YAML or JSON, at most [`tree::TEXT_BYTES_MAX`] bytes. No path in it is looked at.
///
/// # Errors
/// Every problem found, in the order of the text; those of `overrides` first, at line 0.
pub fn check(text: &[u8], overrides: &[(String, String)]) -> Result<Spec, Vec<Problem>> {
    let mut root = tree::parse(text)?;
    let mut sink = Sink::default();
    if !matches!(root.content, Content::Map(_)) {
        let message = format!(
            "expected a map of keys such as kind and name, found {}",
            root.describe()
        );
        sink.push(root.at, "", message);
        return Err(sink.into_problems());
    }
    overrides::apply(&mut root, overrides, &mut sink);
    let spec = read(&root, &mut sink);
    if sink.is_empty() {
        Ok(spec)
    } else {
        Err(sink.into_problems())
    }
}

fn read(root: &Node, sink: &mut Sink) -> Spec {
    let (model, task) = (read_model(root), read_task(root));
    let mut spec = defaults::spec(model.clone().unwrap_or(super::ModelSpec::Linear), task);
    if !follows_this_schema(root, sink) {
        return spec;
    }
    let kept = external::is_said(root).then(|| external::keep(root, sink));
    if kept.is_some() {
        spec = external::defaults();
    }
    let root = kept.as_ref().unwrap_or(root);
    find_unknown(root, root, "", sink);
    find_missing(root, &spec, model.as_ref(), sink);
    let is_map = |node: &Node| {
        matches!(
            node.content,
            Content::Map(_) | Content::Scalar(tree::Scalar::Null, _)
        )
    };
    let searches = root.get("search").is_some_and(|entry| is_map(&entry.value));
    if searches {
        spec.search = Some(defaults::search(space::empty()));
    }
    let noop = spec.data.is_none();
    for field in field::all().filter(|field| applies(root, field)) {
        let Some(node) = root.find(field.path) else {
            continue;
        };
        if noop && (field.path.starts_with("data.") || field.path == "task") {
            continue;
        }
        if matches!(field.shape, Shape::Parameters) {
            continue;
        }
        if let Some(datum) = field.shape.read(node, field.path, sink) {
            (field.set)(&mut spec, datum);
        }
    }
    complete(root, &mut spec, sink);
    if noop && model.is_some() {
        refuse_data(root, sink);
    }
    if searches {
        objectives::read(root, &mut spec, sink);
        space::read(root, &mut spec, sink);
    }
    for clash in clash::find(&spec) {
        // What is wrong by itself holds its default, which says nothing about the others.
        if !clash.paths.iter().any(|path| sink.touches(path)) {
            let path = clash.paths[0];
            sink.push(root.place(path), path, clash.message);
        }
    }
    if searches {
        space::check_search(root, &spec, sink);
    }
    spec
}

/// `kind`, `version` and `trials` decide what the rest means: where one is of another schema, only that is said.
fn follows_this_schema(root: &Node, sink: &mut Sink) -> bool {
    let mut good = true;
    for path in ["kind", "version", "trials"] {
        let Some(entry) = root.get(path) else {
            continue;
        };
        for field in field::at(path) {
            good &= field.shape.read(&entry.value, path, sink).is_some();
        }
    }
    good
}

/// The model's kind with its defaults; `None` where it is missing or wrong.
fn read_model(root: &Node) -> Option<super::ModelSpec> {
    defaults::model(&root.find("model.kind").and_then(word)?)
}

fn read_task(root: &Node) -> Option<Task> {
    fields::task_named(&root.find("task").and_then(word)?)
}

fn word(node: &Node) -> Option<String> {
    match &node.content {
        Content::Scalar(_, raw) => Some(raw.clone()),
        _ => None,
    }
}

/// The kinds a group may have: the one written or the default, and those searched over. `None`: the written one is wrong.
pub(super) fn kinds_of(root: &Node, group: &str) -> Option<Vec<String>> {
    let path = format!("{group}.kind");
    let field = field::at(&path).next()?;
    let Shape::Choice { words, .. } = field.shape else {
        return None;
    };
    let written = match root.find(&path) {
        Some(node) => word(node)?,
        None if group == "model" => return None,
        None => defaults::kind(group).to_owned(),
    };
    words.contains(&written.as_str()).then_some(())?;
    let mut kinds = vec![written];
    let searched = root
        .find("search.parameters")
        .and_then(|parameters| parameters.get(&path))
        .and_then(|entry| entry.value.get("values"));
    if let Some(Content::List(items)) = searched.map(|entry| &entry.value.content) {
        kinds.extend(
            items
                .iter()
                .filter_map(word)
                .filter(|kind| words.contains(&kind.as_str())),
        );
    }
    Some(kinds)
}

/// Whether a field exists under the kinds the file has; where the kind is wrong, nothing is said about its fields.
fn applies(root: &Node, field: &Field) -> bool {
    if field.kinds.is_empty() {
        return true;
    }
    let kinds = kinds_of(root, field.group());
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| field.exists_for(kind)))
}

/// Keys that no field has, maps that are not maps, and fields of another kind.
fn find_unknown(root: &Node, node: &Node, group: &str, sink: &mut Sink) {
    for entry in node.entries() {
        let path = if group.is_empty() {
            entry.key.clone()
        } else {
            format!("{group}.{}", entry.key)
        };
        if field::at(&path).next().is_some() {
            find_other_kind(root, &path, group, entry.at, sink);
        } else if group == "model" && kinds_of(root, group).is_none() {
            // A model that is not in this version has keys of its own.
        } else if entry.key == "<<" {
            sink.push(entry.at, path, "merge keys are not used in specs");
        } else if !field::is_group(&path) {
            let hint = field::suggest_path(&path);
            sink.push(entry.at, path, format!("unknown key{hint}"));
        } else {
            match &entry.value.content {
                Content::Map(_) => find_unknown(root, &entry.value, &path, sink),
                Content::Scalar(tree::Scalar::Null, _) => {}
                _ => {
                    let keys = field::keys_of(&path).join(", ");
                    let found = entry.value.describe();
                    sink.push(
                        entry.value.at,
                        path,
                        format!("expected a map of {keys}, found {found}"),
                    );
                }
            }
        }
    }
}

fn find_other_kind(root: &Node, path: &str, group: &str, at: super::problem::Pos, sink: &mut Sink) {
    let Some(kinds) = kinds_of(root, group) else {
        return;
    };
    if field::at(path).any(|field| kinds.iter().any(|kind| field.exists_for(kind))) {
        return;
    }
    let owners: Vec<&str> = field::at(path)
        .flat_map(|field| field.kinds)
        .copied()
        .collect();
    if field::at(path).all(|field| matches!(field.shape, Shape::Later)) {
        sink.push(at, path, "not in this version");
        return;
    }
    let mine: Vec<&str> = field::all()
        .filter(|f| f.group() == group && f.key() != "kind")
        .filter(|f| kinds.iter().any(|kind| f.exists_for(kind)))
        .map(Field::key)
        .collect();
    let key = path.rsplit('.').next().unwrap_or(path);
    let hint = suggest::hint(key, mine.iter().copied());
    let (kind, has) = (&kinds[0], mine.join(", "));
    let has = if has.is_empty() {
        "no fields".into()
    } else {
        has
    };
    let owners = suggest::listed(&owners);
    sink.push(at, path, format!("is for {owners}; {kind} has {has}{hint}"));
}

fn find_missing(root: &Node, spec: &Spec, model: Option<&super::ModelSpec>, sink: &mut Sink) {
    let noop = matches!(model, Some(super::ModelSpec::Noop { .. }));
    let mut paths: Vec<&str> = field::all()
        .filter(|field| field.required && (!spec.is_external() || external::has(field.path)))
        .map(|f| f.path)
        .collect();
    if spec.is_external() {
        external::find_missing(root, sink);
    } else if !noop {
        paths.extend(["data.dataset", "task"]);
    }
    if root.get("search").is_some() {
        paths.push("search.parameters");
    }
    for path in paths {
        if root.find(path).is_none() {
            let hint = match path {
                "task" => ": classification, regression or language_model",
                "model.kind" => ": linear, mlp, cnn, transformer or noop",
                "kind" => ": sweep",
                "version" => ": 1",
                _ => "",
            };
            sink.push(root.place(path), path, format!("is required{hint}"));
        }
    }
}

/// A no-op model reads nothing, so data beside it would be a misunderstanding.
fn refuse_data(root: &Node, sink: &mut Sink) {
    for path in ["data", "task"] {
        if let Some(entry) = root.get(path) {
            sink.push(entry.at, path, "the noop model needs none: leave it out");
        }
    }
}

/// Defaults that depend on what was written elsewhere.
fn complete(root: &Node, spec: &mut Spec, sink: &mut Sink) {
    let written = |path| root.find(path).is_some();
    if !written("tracking.experiment") {
        spec.tracking.experiment = spec.name.clone();
    }
    if spec.is_external() {
        return external::complete(root, spec, sink);
    }
    if written("search.objective.metric") && !written("search.objective.goal") {
        let known = objectives::known_goal(spec, &spec.objective.metric);
        spec.objective.goal = known.unwrap_or(Goal::Minimize);
    }
    if let Some(data) = &mut spec.data {
        let split = &mut data.split;
        match (written("data.split.train"), written("data.split.valid")) {
            (true, false) => split.valid = rest_of(split.train),
            (false, true) => split.train = rest_of(split.valid),
            _ => {}
        }
    }
}

/// What a share leaves of all, without the dust of binary fractions: 1 - 0.9 is 0.1.
fn rest_of(share: f64) -> f64 {
    let rest = 1.0 - share;
    let rounded = (rest * 1e12).round() / 1e12;
    if rounded > 0.0 && rounded < 1.0 {
        rounded
    } else {
        rest
    }
}
