//! What a spec means where it says nothing.

use std::collections::BTreeMap;

use bonfire_search::Requirements;

use super::{
    Activation, AttemptLimits, CheckpointSpec, ClassWeights, DataSpec, DeviceSpec, Goal,
    ImageColumn, LossSpec, Millis, Missing, ModelSpec, Norm, Objective, OptimizerKind,
    OptimizerSpec, Period, Resources, RetrySpec, SamplerKind, ScheduleKind, ScheduleSpec,
    SchedulerKind, SearchLimit, SearchSpec, Shuffle, Space, Spec, Split, Task, TextColumn,
    TrackingSpec, TrainSpec, Trials,
};

/// How many values of a model are trained: the same at each evaluation, so not in the series of a trial.
pub const MODEL_PARAMETERS: &str = "model.parameters";

/// The metrics of a task that an objective may name, with the direction that is better; the first one is the default.
/// A spec without a task is the no-op model's.
pub fn metrics(task: Option<Task>) -> &'static [(&'static str, Goal)] {
    match task {
        Some(Task::Classification) => &[
            ("valid.accuracy", Goal::Maximize),
            ("valid.macro_f1", Goal::Maximize),
            ("valid.loss", Goal::Minimize),
            (MODEL_PARAMETERS, Goal::Minimize),
        ],
        Some(Task::Regression) => &[
            ("valid.rmse", Goal::Minimize),
            ("valid.mae", Goal::Minimize),
            ("valid.r2", Goal::Maximize),
            ("valid.loss", Goal::Minimize),
            (MODEL_PARAMETERS, Goal::Minimize),
        ],
        Some(Task::LanguageModel) => &[
            ("valid.loss", Goal::Minimize),
            ("valid.perplexity", Goal::Minimize),
            (MODEL_PARAMETERS, Goal::Minimize),
        ],
        None => &[("valid.loss", Goal::Minimize)],
    }
}

/// The objective of a task when none is written.
pub(super) fn objective(task: Option<Task>) -> Objective {
    let (metric, goal) = metrics(task)[0];
    Objective {
        metric: metric.into(),
        goal,
        stop_at: None,
    }
}

/// A spec with nothing written but the model's kind and the task.
pub(super) fn spec(model: ModelSpec, task: Option<Task>) -> Spec {
    let noop = matches!(model, ModelSpec::Noop { .. });
    let task = if noop { None } else { task };
    Spec {
        name: String::new(),
        trials: Trials::Fleet,
        data: (!noop).then(|| data(task)),
        task,
        model,
        loss: LossSpec {
            label_smoothing: 0.0,
            class_weights: ClassWeights::None,
        },
        optimizer: OPTIMIZER,
        schedule: SCHEDULE,
        train: TrainSpec {
            epochs: if noop { 1 } else { 10 },
            seed: 17,
            device: DeviceSpec::Auto,
            virtual_shards: 0,
            evaluate: Period::Epochs(1),
            log_every: 10,
        },
        objective: objective(task),
        search: None,
        resources: Resources {
            slots: 1,
            gpu: 0.0,
            priority: 0,
            memory: None,
            labels: BTreeMap::new(),
        },
        limits: AttemptLimits {
            time: None,
            no_progress: (!noop).then_some(Millis(600_000)),
        },
        checkpoint: CheckpointSpec {
            every: if noop {
                Period::Never
            } else {
                Period::Epochs(1)
            },
            keep_last: 1,
            keep_best: 1,
        },
        retry: RetrySpec {
            attempts: 3,
            lost: 100,
        },
        tracking: TrackingSpec {
            experiment: String::new(),
            tags: BTreeMap::new(),
        },
    }
}

/// Every optimiser's fields when none is written.
pub(super) const OPTIMIZER: OptimizerSpec = OptimizerSpec {
    kind: OptimizerKind::Adamw,
    lr: 1e-3,
    weight_decay: 1e-4,
    clip_norm: Some(1.0),
    momentum: 0.9,
    nesterov: false,
    betas: [0.9, 0.999],
    eps: 1e-8,
};

/// Every schedule's fields when none is written.
pub(super) const SCHEDULE: ScheduleSpec = ScheduleSpec {
    kind: ScheduleKind::Cosine,
    warmup: 0.05,
    every: 10,
    factor: 0.1,
};

fn data(task: Option<Task>) -> DataSpec {
    DataSpec {
        dataset: String::new(),
        label: None,
        split: Split {
            train: 0.8,
            valid: 0.2,
            seed: 7,
        },
        batch: 64,
        shuffle: Shuffle::Auto,
        image: None,
        text: (task == Some(Task::LanguageModel)).then(text),
        types: BTreeMap::new(),
        features: Vec::new(),
        drop: Vec::new(),
        missing: Missing::Error,
    }
}

/// `data.image` when only a part of it is written. The shape has no default: `check` asks for it.
pub(super) fn image() -> ImageColumn {
    ImageColumn {
        column: "image".into(),
        shape: [0, 0, 0],
    }
}

/// `data.text` when only a part of it is written, or when a language model says nothing: a text file's one column.
pub(super) fn text() -> TextColumn {
    TextColumn {
        column: "text".into(),
        context: 128,
    }
}

/// A model of that kind with nothing else written.
pub(super) fn model(kind: &str) -> Option<ModelSpec> {
    match kind {
        "linear" => Some(ModelSpec::Linear),
        "mlp" => Some(ModelSpec::Mlp {
            hidden: vec![128, 64],
            activation: Activation::Relu,
            dropout: 0.1,
            norm: Norm::None,
        }),
        "cnn" => Some(ModelSpec::Cnn {
            channels: vec![16, 32],
            kernel: 3,
            hidden: 128,
            activation: Activation::Relu,
            dropout: 0.1,
            norm: Norm::Batch,
        }),
        "transformer" => Some(ModelSpec::Transformer {
            layers: 2,
            heads: 4,
            width: 128,
            dropout: 0.1,
        }),
        "noop" => Some(ModelSpec::Noop {
            x: 0.5,
            sleep_ms: Millis(0),
        }),
        _ => None,
    }
}

/// A search with nothing written; the space is filled in last.
pub(super) fn search(space: Space) -> SearchSpec {
    SearchSpec {
        sampler: SamplerKind::Auto,
        seed: 1,
        scheduler: SchedulerKind::None,
        limit: SearchLimit {
            trials: None,
            time: None,
            failed_trials: 8,
        },
        space,
        require: Requirements::default(),
        start: Vec::new(),
        others: Vec::new(),
        from: Vec::new(),
    }
}

/// The kind of a group when none is written; a model's must be.
pub(super) fn kind(group: &str) -> &'static str {
    match group {
        "optimizer" => "adamw",
        "schedule" => "cosine",
        "search.sampler" => "auto",
        "search.scheduler" => "none",
        _ => "",
    }
}
