//! What names a sweep, and what a trial may use and leave behind.

use super::super::field::Field;
use super::super::shape::{Datum, Shape};
use super::super::{Millis, Task, Trials};

pub(in super::super) const HEAD: &[Field] = &[
    Field::new(
        "kind",
        Shape::Choice {
            words: &["sweep"],
            later: &["dataset", "feature_view", "deployment"],
        },
        "which schema this file follows",
        |_| Datum::Text("sweep".into()),
        |_, _| {},
    )
    .required(),
    Field::new(
        "version",
        Shape::whole(1, 1),
        "version of the schema",
        |_| Datum::Whole(1),
        |_, _| {},
    )
    .required(),
    Field::new(
        "name",
        Shape::Name,
        "first part of the sweep's name; the fleet adds three characters",
        |s| Datum::Text(s.name.clone()),
        |s, v| v.text().clone_into(&mut s.name),
    )
    .required(),
    Field::new(
        "trials",
        Shape::choice(&["external"]),
        "who trains: the fleet, or with external whoever calls trial ask and trial tell",
        |s| match s.trials {
            Trials::Fleet => Datum::Absent,
            Trials::External => Datum::Text("external".into()),
        },
        |s, _| s.trials = Trials::External,
    ),
];

pub(in super::super) const TASK: &[Field] = &[Field::new(
    "task",
    Shape::choice(&["classification", "regression", "language_model"]),
    "what the model learns; required unless the model is noop",
    |s| match s.task {
        None => Datum::Absent,
        Some(Task::Classification) => Datum::Text("classification".into()),
        Some(Task::Regression) => Datum::Text("regression".into()),
        Some(Task::LanguageModel) => Datum::Text("language_model".into()),
    },
    |s, v| s.task = task_named(v.text()),
)];

/// The task of that name.
pub(in super::super) fn task_named(name: &str) -> Option<Task> {
    match name {
        "classification" => Some(Task::Classification),
        "regression" => Some(Task::Regression),
        "language_model" => Some(Task::LanguageModel),
        _ => None,
    }
}

pub(in super::super) const TAIL: &[Field] = &[
    Field::only("resources.slots", "1", "slots a member takes"),
    Field::only(
        "resources.workers",
        "1",
        "workers that train one trial together",
    ),
    Field::only(
        "resources.mixed",
        "false",
        "whether members may differ in their numerics class",
    ),
    Field::new(
        "resources.gpu",
        Shape::real(0.0, 1.0),
        "GPUs a member needs, 0 or 1",
        |s| Datum::Real(s.resources.gpu),
        |s, v| s.resources.gpu = v.real(),
    ),
    Field::new(
        "resources.priority",
        Shape::whole(-100, 100),
        "higher goes first",
        |s| Datum::Whole(s.resources.priority.into()),
        |s, v| s.resources.priority = i16::try_from(v.whole()).unwrap_or(0),
    ),
    Field::new(
        "resources.memory",
        Shape::Or("none", &Shape::Bytes),
        "memory an attempt may use",
        |s| Datum::or_word(s.resources.memory.map(Datum::of_u64)),
        |s, v| s.resources.memory = v.u64_or_none(),
    ),
    Field::new(
        "resources.labels",
        Shape::Map { of: &Shape::Loose },
        "labels a worker must have",
        |s| Datum::of_text_map(&s.resources.labels),
        |s, v| s.resources.labels = v.text_map(),
    ),
    Field::new(
        "limits.time",
        Shape::Or("none", &Shape::Duration { min_ms: 1_000 }),
        "longest wall time of an attempt",
        |s| Datum::or_word(s.limits.time.map(|t| Datum::of_u64(t.0))),
        |s, v| s.limits.time = v.u64_or_none().map(Millis),
    ),
    Field::new(
        "limits.no_progress",
        Shape::Or("none", &Shape::Duration { min_ms: 1_000 }),
        "an attempt that makes no step for this long is ended",
        |s| Datum::or_word(s.limits.no_progress.map(|t| Datum::of_u64(t.0))),
        |s, v| s.limits.no_progress = v.u64_or_none().map(Millis),
    ),
    Field::new(
        "checkpoint.every",
        Shape::Period { never: true },
        "how often a checkpoint is written, besides rungs and ends",
        |s| Datum::Period(s.checkpoint.every),
        |s, v| s.checkpoint.every = v.period(),
    ),
    Field::new(
        "checkpoint.keep.last",
        Shape::whole(1, 10_000),
        "newest checkpoints kept of a trial",
        |s| Datum::Whole(s.checkpoint.keep_last.into()),
        |s, v| s.checkpoint.keep_last = v.u32(),
    ),
    Field::new(
        "checkpoint.keep.best",
        Shape::whole(0, 10_000),
        "best checkpoints kept of a trial",
        |s| Datum::Whole(s.checkpoint.keep_best.into()),
        |s, v| s.checkpoint.keep_best = v.u32(),
    ),
    Field::new(
        "retry.attempts",
        Shape::whole(1, 1_000),
        "attempts that may end by the trial's own fault before it has failed",
        |s| Datum::Whole(s.retry.attempts.into()),
        |s, v| s.retry.attempts = v.u32(),
    ),
    Field::new(
        "retry.lost",
        Shape::whole(0, 1_000_000),
        "attempts that the fleet may lose before the trial has failed",
        |s| Datum::Whole(s.retry.lost.into()),
        |s, v| s.retry.lost = v.u32(),
    ),
    Field::new(
        "tracking.experiment",
        Shape::Text,
        "where the tracker files the sweep; its name by default",
        |s| Datum::Text(s.tracking.experiment.clone()),
        |s, v| v.text().clone_into(&mut s.tracking.experiment),
    ),
    Field::new(
        "tracking.tags",
        Shape::Map { of: &Shape::Loose },
        "free words on the sweep",
        |s| Datum::of_text_map(&s.tracking.tags),
        |s, v| s.tracking.tags = v.text_map(),
    ),
];
