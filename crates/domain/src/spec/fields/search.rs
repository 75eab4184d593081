//! The search: objective, sampler, scheduler, limits. The parameters themselves are read by `space`.

use std::collections::BTreeMap;

use bonfire_search::{
    Assignment, OBJECTIVES_MAX, REQUIREMENTS_MAX, Requirement, Requirements, Value,
};

use super::super::field::Field;
use super::super::shape::{Datum, Shape};
use super::super::{Goal, Millis, Objective, SamplerKind, SearchSpec, Spec};

/// Reads a part of the search; a spec of one trial prints none.
pub(super) fn of(spec: &Spec, read: impl Fn(&SearchSpec) -> Datum) -> Datum {
    spec.search.as_ref().map_or(Datum::Absent, read)
}

pub(super) fn with(spec: &mut Spec, write: impl FnOnce(&mut SearchSpec)) {
    if let Some(search) = &mut spec.search {
        write(search);
    }
}

/// Reads a part of the objective of a search that has one.
fn alone(spec: &Spec, read: impl Fn() -> Datum) -> Datum {
    match spec.others().is_empty() {
        true => of(spec, |_| read()),
        false => Datum::Absent,
    }
}

fn goal_name(goal: Goal) -> &'static str {
    match goal {
        Goal::Minimize => "minimize",
        Goal::Maximize => "maximize",
    }
}

pub(in super::super) const FIELDS: &[Field] = &[
    Field::new(
        "search.objective.metric",
        Shape::Text,
        "what is compared, such as valid.accuracy; by default what suits the task (external: value)",
        |s| alone(s, || Datum::Text(s.objective.metric.clone())),
        |s, v| v.text().clone_into(&mut s.objective.metric),
    ),
    Field::new(
        "search.objective.goal",
        Shape::choice(&["minimize", "maximize"]),
        "which way is better; by default what suits the metric",
        |s| {
            let name = goal_name(s.objective.goal);
            alone(s, || Datum::Text(name.into()))
        },
        |s, v| {
            s.objective.goal = match v.text() {
                "maximize" => Goal::Maximize,
                _ => Goal::Minimize,
            }
        },
    ),
    Field::new(
        "search.objective.stop_at",
        Shape::Or("none", &Shape::real(f64::MIN, f64::MAX)),
        "the sweep is complete when a trial reaches this value",
        |s| alone(s, || Datum::or_word(s.objective.stop_at.map(Datum::Real))),
        |s, v| s.objective.stop_at = matches!(v, Datum::Real(_)).then(|| v.real()),
    ),
    Field::new(
        super::super::objectives::PATH,
        Shape::List {
            of: &Shape::Map { of: &Shape::Scalar },
            min: 2,
            max: OBJECTIVES_MAX,
        },
        "in the place of objective: metrics that are to get better together, each with its goal",
        |s| match s.others() {
            [] => Datum::Absent,
            _ => Datum::List(s.objectives().map(objective_datum).collect()),
        },
        |_, _| {}, // read by `objectives`, which knows the task's metrics
    ),
    Field::new(
        "search.sampler.kind",
        Shape::Choice {
            words: &[
                "auto", "grid", "random", "sobol", "tpe", "gp", "cmaes", "nsga2",
            ],
            later: &["evolution", "halton"],
        },
        "who picks the next values; auto chooses by the space and the trials so far",
        |s| {
            of(s, |search| {
                let name = match search.sampler {
                    SamplerKind::Auto => "auto",
                    SamplerKind::Grid => "grid",
                    SamplerKind::Random => "random",
                    SamplerKind::Sobol => "sobol",
                    SamplerKind::Tpe => "tpe",
                    SamplerKind::Gp => "gp",
                    SamplerKind::Cmaes => "cmaes",
                    SamplerKind::Nsga2 => "nsga2",
                };
                Datum::Text(name.into())
            })
        },
        |s, v| {
            with(s, |search| {
                search.sampler = match v.text() {
                    "grid" => SamplerKind::Grid,
                    "random" => SamplerKind::Random,
                    "sobol" => SamplerKind::Sobol,
                    "tpe" => SamplerKind::Tpe,
                    "gp" => SamplerKind::Gp,
                    "cmaes" => SamplerKind::Cmaes,
                    "nsga2" => SamplerKind::Nsga2,
                    _ => SamplerKind::Auto,
                }
            })
        },
    ),
    Field::new(
        "search.sampler.seed",
        Shape::whole(0, i64::MAX),
        "seed of the sampler",
        |s| of(s, |search| Datum::of_u64(search.seed)),
        |s, v| with(s, |search| search.seed = v.u64()),
    ),
];

/// What bounds the search, and its parameters.
pub(in super::super) const REST: &[Field] = &[
    Field::new(
        "search.limit.trials",
        Shape::Or("none", &Shape::whole(1, 10_000_000)),
        "configurations to try (pbt: forks included)",
        |s| {
            of(s, |search| {
                Datum::or_word(search.limit.trials.map(|n| Datum::Whole(n.into())))
            })
        },
        |s, v| {
            with(s, |search| {
                search.limit.trials = matches!(v, Datum::Whole(_)).then(|| v.u32());
            })
        },
    ),
    Field::new(
        "search.limit.time",
        Shape::Or("none", &Shape::Duration { min_ms: 1_000 }),
        "wall time of the sweep",
        |s| {
            of(s, |search| {
                Datum::or_word(search.limit.time.map(|t| Datum::of_u64(t.0)))
            })
        },
        |s, v| with(s, |search| search.limit.time = v.u64_or_none().map(Millis)),
    ),
    Field::new(
        "search.limit.failed_trials",
        Shape::whole(1, 1_000_000),
        "failed trials that end the sweep",
        |s| of(s, |search| Datum::Whole(search.limit.failed_trials.into())),
        |s, v| with(s, |search| search.limit.failed_trials = v.u32()),
    ),
    Field::new(
        "search.parameters",
        Shape::Parameters,
        "fields that trials differ in, by dotted path",
        |_| Datum::Absent,
        |_, _| {},
    ),
    Field::new(
        "search.require",
        Shape::List {
            of: &Shape::Text,
            min: 1,
            max: REQUIREMENTS_MAX,
        },
        "expressions over parameters that every trial holds to, such as model.hidden[0] >= model.hidden[1]",
        |s| {
            of(s, |search| match search.require.all() {
                [] => Datum::Absent,
                all => Datum::List(
                    all.iter()
                        .map(|one| Datum::Text(one.text().into()))
                        .collect(),
                ),
            })
        },
        |s, v| {
            // What cannot be read is told by `demands`.
            let read = v
                .list()
                .iter()
                .filter_map(|one| Requirement::parse(one.text()).ok());
            let read = Requirements::new(read.collect());
            with(s, |search| search.require = read);
        },
    ),
    Field::new(
        "search.start",
        Shape::List {
            of: &Shape::Map { of: &Shape::Scalar },
            min: 1,
            max: START_MAX,
        },
        "points to try first, in this order; parameters that are left out are filled in",
        |s| {
            of(s, |search| match search.start.as_slice() {
                [] => Datum::Absent,
                points => Datum::List(points.iter().map(point_datum).collect()),
            })
        },
        |_, _| {}, // read by `demands`, which knows the parameters
    ),
    Field::new(
        "search.from",
        Shape::List {
            of: &Shape::Name,
            min: 1,
            max: FROM_MAX,
        },
        "sweeps of the fleet whose trials the first suggestions are made from",
        |s| {
            of(s, |search| match search.from.as_slice() {
                [] => Datum::Absent,
                names => Datum::of_texts(names),
            })
        },
        |s, v| with(s, |search| search.from = v.texts()),
    ),
];

/// Sweeps to learn from.
const FROM_MAX: usize = 8;

/// Points to try first.
const START_MAX: usize = 1_000;

fn objective_datum(objective: &Objective) -> Datum {
    let goal = Datum::Text(goal_name(objective.goal).into());
    let metric = Datum::Text(objective.metric.clone());
    Datum::Map(BTreeMap::from([
        ("metric".to_owned(), metric),
        ("goal".to_owned(), goal),
    ]))
}

fn point_datum(point: &Assignment) -> Datum {
    let datum = |value: &Value| match value {
        Value::Bool(value) => Datum::Flag(*value),
        Value::Int(value) => Datum::Whole(*value),
        Value::Real(value) => Datum::Real(*value),
        Value::Text(value) => Datum::Text(value.clone()),
    };
    let pairs = point.iter();
    Datum::Map(
        pairs
            .map(|(name, value)| (name.clone(), datum(value)))
            .collect(),
    )
}
