//! Loss, optimiser, schedule and the training itself.

use super::super::field::Field;
use super::super::shape::{Datum, Shape};
use super::super::{ClassWeights, DeviceSpec, OptimizerKind, ScheduleKind};

pub(in super::super) const LOSS: &[Field] = &[
    Field::new(
        "loss.label_smoothing",
        Shape::below(0.0, 1.0),
        "share of the target spread over all classes",
        |s| Datum::Real(s.loss.label_smoothing),
        |s, v| s.loss.label_smoothing = v.real(),
    )
    .searched(),
    Field::new(
        "loss.class_weights",
        Shape::Or(
            "none",
            &Shape::Or(
                "balanced",
                &Shape::Map {
                    of: &Shape::above(0.0, 1e6),
                },
            ),
        ),
        "none, balanced, or a weight for each class",
        |s| match &s.loss.class_weights {
            ClassWeights::None => Datum::Word,
            ClassWeights::Balanced => Datum::Text("balanced".into()),
            ClassWeights::Given(weights) => Datum::Map(
                weights
                    .iter()
                    .map(|(k, v)| (k.clone(), Datum::Real(*v)))
                    .collect(),
            ),
        },
        |s, v| {
            s.loss.class_weights = match v {
                Datum::Text(_) => ClassWeights::Balanced,
                Datum::Map(map) => {
                    ClassWeights::Given(map.into_iter().map(|(k, v)| (k, v.real())).collect())
                }
                _ => ClassWeights::None,
            }
        },
    )
    .searched(),
];

pub(in super::super) const OPTIMIZER: &[Field] = &[
    Field::new(
        "optimizer.kind",
        Shape::choice(&["sgd", "adam", "adamw"]),
        "which optimiser",
        |s| {
            let name = match s.optimizer.kind {
                OptimizerKind::Sgd => "sgd",
                OptimizerKind::Adam => "adam",
                OptimizerKind::Adamw => "adamw",
            };
            Datum::Text(name.into())
        },
        |s, v| {
            s.optimizer.kind = match v.text() {
                "sgd" => OptimizerKind::Sgd,
                "adam" => OptimizerKind::Adam,
                _ => OptimizerKind::Adamw,
            }
        },
    )
    .searched(),
    Field::new(
        "optimizer.lr",
        Shape::above(0.0, 1.0),
        "learning rate after the warm-up",
        |s| Datum::Real(s.optimizer.lr),
        |s, v| s.optimizer.lr = v.real(),
    )
    .searched(),
    Field::new(
        "optimizer.weight_decay",
        Shape::real(0.0, 1.0),
        "pull of the weights towards 0",
        |s| Datum::Real(s.optimizer.weight_decay),
        |s, v| s.optimizer.weight_decay = v.real(),
    )
    .searched(),
    Field::new(
        "optimizer.clip_norm",
        Shape::Or("none", &Shape::above(0.0, 1e6)),
        "bound on the global gradient norm",
        |s| Datum::or_word(s.optimizer.clip_norm.map(Datum::Real)),
        |s, v| s.optimizer.clip_norm = matches!(v, Datum::Real(_)).then(|| v.real()),
    )
    .searched(),
    Field::new(
        "optimizer.momentum",
        Shape::below(0.0, 1.0),
        "share of the last update that is kept",
        |s| Datum::Real(s.optimizer.momentum),
        |s, v| s.optimizer.momentum = v.real(),
    )
    .of(&["sgd"])
    .searched(),
    Field::new(
        "optimizer.nesterov",
        Shape::Flag,
        "look ahead with the momentum",
        |s| Datum::Flag(s.optimizer.nesterov),
        |s, v| s.optimizer.nesterov = v.flag(),
    )
    .of(&["sgd"])
    .searched(),
    Field::new(
        "optimizer.betas",
        Shape::List {
            of: &Shape::below(0.0, 1.0),
            min: 2,
            max: 2,
        },
        "decay of the two moments",
        |s| Datum::List(s.optimizer.betas.map(Datum::Real).to_vec()),
        |s, v| {
            if let [first, second] = v.list() {
                s.optimizer.betas = [first.real(), second.real()];
            }
        },
    )
    .of(&["adam", "adamw"])
    .searched(),
    Field::new(
        "optimizer.eps",
        Shape::above(0.0, 1.0),
        "added to the denominator",
        |s| Datum::Real(s.optimizer.eps),
        |s, v| s.optimizer.eps = v.real(),
    )
    .of(&["adam", "adamw"])
    .searched(),
    Field::new(
        "schedule.kind",
        Shape::choice(&["constant", "linear", "cosine", "step"]),
        "how the learning rate falls after the warm-up",
        |s| {
            let name = match s.schedule.kind {
                ScheduleKind::Constant => "constant",
                ScheduleKind::Linear => "linear",
                ScheduleKind::Cosine => "cosine",
                ScheduleKind::Step => "step",
            };
            Datum::Text(name.into())
        },
        |s, v| {
            s.schedule.kind = match v.text() {
                "constant" => ScheduleKind::Constant,
                "linear" => ScheduleKind::Linear,
                "step" => ScheduleKind::Step,
                _ => ScheduleKind::Cosine,
            }
        },
    )
    .searched(),
    Field::new(
        "schedule.warmup",
        Shape::below(0.0, 1.0),
        "share of all steps over which the rate rises from 0",
        |s| Datum::Real(s.schedule.warmup),
        |s, v| s.schedule.warmup = v.real(),
    )
    .searched(),
    Field::new(
        "schedule.every",
        Shape::whole(1, 1_000_000),
        "epochs between two falls",
        |s| Datum::Whole(s.schedule.every.into()),
        |s, v| s.schedule.every = v.u32(),
    )
    .of(&["step"])
    .searched(),
    Field::new(
        "schedule.factor",
        Shape::above(0.0, 1.0),
        "what the rate is multiplied by at a fall",
        |s| Datum::Real(s.schedule.factor),
        |s, v| s.schedule.factor = v.real(),
    )
    .of(&["step"])
    .searched(),
];

pub(in super::super) const TRAIN: &[Field] = &[
    Field::new(
        "train.epochs",
        Shape::whole(1, 1_000_000),
        "passes over the data that a trial makes when nobody stops it",
        |s| Datum::Whole(s.train.epochs.into()),
        |s, v| s.train.epochs = v.u32(),
    ),
    Field::new(
        "train.seed",
        Shape::whole(0, i64::MAX),
        "seed of the weights, the order and the dropout",
        |s| Datum::of_u64(s.train.seed),
        |s, v| s.train.seed = v.u64(),
    )
    .searched(),
    Field::new(
        "train.device",
        Shape::Device,
        "auto, cpu or cuda:N",
        |s| {
            Datum::Text(match s.train.device {
                DeviceSpec::Auto => "auto".into(),
                DeviceSpec::Cpu => "cpu".into(),
                DeviceSpec::Cuda(index) => format!("cuda:{index}"),
            })
        },
        |s, v| {
            let index = v
                .text()
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok());
            s.train.device = match (v.text(), index) {
                (_, Some(index)) => DeviceSpec::Cuda(index),
                ("cpu", _) => DeviceSpec::Cpu,
                _ => DeviceSpec::Auto,
            }
        },
    ),
    Field::new(
        "train.engine",
        Shape::Choice {
            words: &["auto", "burn"],
            later: &["torch"],
        },
        "which library trains",
        |_| Datum::Text("auto".into()),
        |_, _| {},
    ),
    Field::new(
        "train.precision",
        Shape::Choice {
            words: &["f32"],
            later: &["bf16", "f16"],
        },
        "numbers a step is computed in",
        |_| Datum::Text("f32".into()),
        |_, _| {},
    ),
    Field::new(
        "train.strategy",
        Shape::Choice {
            words: &["sync", "auto"],
            later: &["local_updates"],
        },
        "how the workers of a trial agree",
        |_| Datum::Text("sync".into()),
        |_, _| {},
    ),
    Field::new(
        "train.virtual_shards",
        Shape::Or("auto", &Shape::whole(1, 4_096)),
        "slices of a global batch in which the gradient is reduced; auto is 1 for one worker",
        |s| match s.train.virtual_shards {
            0 => Datum::Word,
            shards => Datum::Whole(shards.into()),
        },
        |s, v| s.train.virtual_shards = v.u32(),
    )
    .searched(),
    Field::new(
        "train.evaluate",
        Shape::Period { never: true },
        "how often the valid rows are measured, besides rungs and the end",
        |s| Datum::Period(s.train.evaluate),
        |s, v| s.train.evaluate = v.period(),
    ),
    Field::new(
        "train.log_every",
        Shape::whole(1, 1_000_000_000),
        "steps between two read-backs of loss and gradient norm",
        |s| Datum::Whole(s.train.log_every.into()),
        |s, v| s.train.log_every = v.u32(),
    ),
];
