//! A trial's spec: the sweep's with a trial's values filled in.

use bonfire_search::{Assignment, Value};

use super::field::{self, Field};
use super::problem::Problem;
use super::shape::{Datum, Shape};
use super::tree::Scalar;
use super::{ModelSpec, OptimizerKind, ScheduleKind, Spec, clash, defaults};

impl Spec {
    /// The spec of one trial: every value put at its path, no search left, held to the same rules as the file.
    ///
    /// # Errors
    /// Values that no field takes, and fields that do not go together with these values.
    pub fn with(&self, a: &Assignment) -> Result<Spec, Vec<Problem>> {
        let mut spec = self.without_search();
        if self.is_external() {
            return Ok(spec); // its values are no fields
        }
        let mut problems = fill(&mut spec, a);
        if problems.is_empty() {
            let clashes = clash::find(&spec).into_iter();
            problems.extend(clashes.map(|clash| Problem::at_path(clash.paths[0], clash.message)));
        }
        if problems.is_empty() {
            Ok(spec)
        } else {
            Err(problems)
        }
    }

    /// Everything but the search, which is the largest part to copy.
    pub(super) fn without_search(&self) -> Spec {
        Spec {
            name: self.name.clone(),
            trials: self.trials,
            data: self.data.clone(),
            task: self.task,
            model: self.model.clone(),
            loss: self.loss.clone(),
            optimizer: self.optimizer,
            schedule: self.schedule,
            train: self.train.clone(),
            objective: self.objective.clone(),
            search: None,
            resources: self.resources.clone(),
            limits: self.limits,
            checkpoint: self.checkpoint,
            retry: self.retry,
            tracking: self.tracking.clone(),
        }
    }
}

/// Puts values at their paths, kinds before the fields that depend on them, then gives the fields that do not belong to
/// the kinds their defaults.
pub(super) fn fill(spec: &mut Spec, a: &Assignment) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_kind = |name: &str| name.ends_with(".kind");
    let kinds = a.iter().filter(|(name, _)| is_kind(name));
    for (name, value) in kinds.chain(a.iter().filter(|(name, _)| !is_kind(name))) {
        if let Err(message) = put(spec, name, value) {
            problems.push(Problem::at_path(name.clone(), message));
        }
    }
    forget_other_kinds(spec);
    problems
}

fn put(spec: &mut Spec, name: &str, value: &Value) -> Result<(), String> {
    let (field, index) = resolve(spec, name)?;
    let scalar = scalar_of(value);
    match (index, field.shape) {
        (None, shape) => (field.set)(spec, shape.take(&scalar)?),
        (Some(index), Shape::List { of, .. }) => {
            let datum = of.take(&scalar)?;
            let Datum::List(mut items) = (field.get)(spec) else {
                return Err("is not a list here".into());
            };
            let count = items.len();
            *items.get_mut(index).ok_or_else(|| beyond(field, count))? = datum;
            (field.set)(spec, Datum::List(items));
        }
        (Some(_), _) => return Err(format!("{} is not a list", field.path)),
    }
    Ok(())
}

/// The row of a parameter's name under the kinds that `spec` has, and the entry of a list.
///
/// # Errors
/// A name that no field has, that another kind has, or that is the same for all trials.
pub(super) fn resolve(spec: &Spec, name: &str) -> Result<(&'static Field, Option<usize>), String> {
    let (path, index) = find(name)?;
    let Some(first) = field::at(path).next() else {
        return Err(format!(
            "no field of a spec has this path{}",
            field::suggest_path(path)
        ));
    };
    let kind = field::kind_in(spec, first.group());
    let Some(field) = field::at(path).find(|field| field.exists_for(&kind)) else {
        let owners: Vec<&str> = field::at(path)
            .flat_map(|field| field.kinds)
            .copied()
            .collect();
        return Err(format!(
            "{kind} has no such field, it is for {}",
            super::suggest::listed(&owners)
        ));
    };
    if !field.searchable {
        return Err("is the same for all trials of a sweep, it cannot be searched".into());
    }
    Ok((field, index))
}

fn find(name: &str) -> Result<(&str, Option<usize>), String> {
    field::split_index(name)
        .ok_or_else(|| "not a path such as optimizer.lr or model.hidden[0]".to_owned())
}

pub(super) fn beyond(field: &Field, count: usize) -> String {
    let path = field.path;
    format!(
        "{path} has {count} entries, the last is {path}[{}]",
        count.saturating_sub(1)
    )
}

pub(super) fn scalar_of(value: &Value) -> Scalar {
    match value {
        Value::Bool(value) => Scalar::Flag(*value),
        Value::Int(value) => Scalar::Whole(*value),
        Value::Real(value) => Scalar::Real(*value),
        Value::Text(value) => Scalar::Text(value.clone()),
    }
}

/// Fields that do not belong to the kind hold their defaults, so that equal trials have equal specs.
fn forget_other_kinds(spec: &mut Spec) {
    let optimizer = &mut spec.optimizer;
    if optimizer.kind == OptimizerKind::Sgd {
        optimizer.betas = defaults::OPTIMIZER.betas;
        optimizer.eps = defaults::OPTIMIZER.eps;
    } else {
        optimizer.momentum = defaults::OPTIMIZER.momentum;
        optimizer.nesterov = defaults::OPTIMIZER.nesterov;
    }
    if spec.schedule.kind != ScheduleKind::Step {
        spec.schedule.every = defaults::SCHEDULE.every;
        spec.schedule.factor = defaults::SCHEDULE.factor;
    }
    debug_assert!(!matches!(spec.model, ModelSpec::Noop { .. }) || spec.data.is_none());
}
