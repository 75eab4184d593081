//! Specs, toy data and runs that the engine's tests share.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bonfire_domain::dataset::{InputShape, OutputShape};
use bonfire_domain::search::Goal;
use bonfire_domain::spec::*;
use bonfire_domain::{Batch, BatchInput, BatchTarget};
use bonfire_engine::{Saved, StepReport, Trainer, TrainerConfig, build, step::train_step};

/// burn's random generator is global to the process: one trainer at a time, also where tests are threads of one process.
pub fn alone() -> MutexGuard<'static, ()> {
    static TRAINING: Mutex<()> = Mutex::new(());
    TRAINING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A model with the shapes of a toy dataset.
#[derive(Clone, Debug)]
pub struct Toy {
    pub spec: Spec,
    pub input: InputShape,
    pub output: OutputShape,
    pub rows: usize,
}

impl Toy {
    pub fn build(&self) -> Box<dyn Trainer> {
        build(&self.config()).unwrap()
    }

    pub fn config(&self) -> TrainerConfig<'_> {
        TrainerConfig {
            spec: &self.spec,
            input: &self.input,
            output: &self.output,
            total_steps: 12,
            steps_per_epoch: 4,
            device: DeviceSpec::Cpu,
        }
    }

    pub fn with_optimizer(mut self, kind: OptimizerKind, momentum: f64) -> Toy {
        self.spec.optimizer.kind = kind;
        self.spec.optimizer.momentum = momentum;
        self
    }

    /// The batch of a step, or one virtual shard of it: a function of (step, shard, shards).
    pub fn batch(&self, step: u64, shard: usize, shards: usize) -> Batch {
        let (from, to) = (shard * self.rows / shards, (shard + 1) * self.rows / shards);
        let width = match &self.input {
            InputShape::Features(features) => *features as usize,
            InputShape::Image([c, h, w]) => (c * h * w) as usize,
            InputShape::Bytes { context } => *context as usize,
        };
        let at = |row: usize, place: usize| noise(step, (row * 1_009 + place) as u64);
        let values = (from..to).flat_map(|row| (0..width).map(move |place| at(row, place)));
        let token = |value: f32| (value * 0.5 * 97.0 + 60.0) as i32;
        let input = match &self.input {
            InputShape::Bytes { .. } => BatchInput::Tokens(values.clone().map(token).collect()),
            _ => BatchInput::Values(values.clone().collect()),
        };
        let rows: Vec<Vec<f32>> = values
            .collect::<Vec<_>>()
            .chunks(width)
            .map(<[f32]>::to_vec)
            .collect();
        let target = match &self.output {
            OutputShape::Classes { names, .. } => {
                let class = |row: &Vec<f32>| ((row[0] + 1.0) * 0.5 * names.len() as f32) as i32;
                BatchTarget::Classes(rows.iter().map(class).collect())
            }
            OutputShape::Value { .. } => {
                BatchTarget::Values(rows.iter().map(|row| row[0] - 0.5 * row[1]).collect())
            }
            OutputShape::NextByte => {
                BatchTarget::Tokens(rows.iter().flatten().map(|v| token(-*v)).collect())
            }
        };
        Batch {
            rows: to - from,
            input,
            target,
        }
    }

    /// Trains over steps `from..to`, with the loss read back at each.
    pub fn train(
        &self,
        trainer: &mut dyn Trainer,
        steps: std::ops::Range<u64>,
        shards: u32,
    ) -> Vec<StepReport> {
        let part = |step, shard| (shard, self.batch(step, shard as usize, shards as usize));
        let step = |step| {
            let parts = (0..shards).map(|shard| part(step, shard));
            train_step(trainer, step, parts, shards, true).unwrap()
        };
        steps.map(step).collect()
    }

    pub fn evaluate(&self, trainer: &mut dyn Trainer) -> BTreeMap<&'static str, f64> {
        let mut batches = (1_000..1_004).map(|step| self.batch(step, 0, 1));
        let mut next = |batch: &mut Batch| batches.next().map(|b| *batch = b).is_some();
        trainer.evaluate(&mut next).unwrap().into_iter().collect()
    }
}

/// In (-1, 1), a function of its arguments.
fn noise(step: u64, place: u64) -> f32 {
    let mut x = (step << 32) ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

pub fn toy(model: ModelSpec, input: InputShape, output: OutputShape, rows: usize) -> Toy {
    let task = match output {
        OutputShape::Classes { .. } => Task::Classification,
        OutputShape::Value { .. } => Task::Regression,
        OutputShape::NextByte => Task::LanguageModel,
    };
    Toy {
        spec: spec(model, task),
        input,
        output,
        rows,
    }
}

pub fn classes(count: usize) -> OutputShape {
    OutputShape::Classes {
        names: (0..count).map(|class| class.to_string()).collect(),
        counts: (0..count).map(|class| 10 + class as u64).collect(),
    }
}

pub fn mlp() -> Toy {
    let model = ModelSpec::Mlp {
        hidden: vec![16, 8],
        activation: Activation::Gelu,
        dropout: 0.2,
        norm: Norm::Batch,
    };
    toy(model, InputShape::Features(5), classes(3), 16)
}

/// One of every kind of model, with dropout and normalisation.
pub fn every_model() -> Vec<Toy> {
    let value = OutputShape::Value {
        mean: 10.0,
        std: 2.0,
    };
    let mlp_layer = ModelSpec::Mlp {
        hidden: vec![12],
        activation: Activation::Silu,
        dropout: 0.1,
        norm: Norm::Layer,
    };
    let cnn = |norm, dropout| ModelSpec::Cnn {
        channels: vec![4, 6],
        kernel: 3,
        hidden: 8,
        activation: Activation::Relu,
        dropout,
        norm,
    };
    let transformer = ModelSpec::Transformer {
        layers: 2,
        heads: 2,
        width: 8,
        dropout: 0.1,
    };
    let image = InputShape::Image([2, 7, 6]);
    let text = InputShape::Bytes { context: 6 };
    vec![
        toy(ModelSpec::Linear, image.clone(), classes(3), 8),
        mlp(),
        toy(mlp_layer, InputShape::Features(4), value.clone(), 8),
        toy(cnn(Norm::Batch, 0.3), image.clone(), classes(4), 8),
        toy(cnn(Norm::Layer, 0.0), image, value, 8),
        toy(transformer.clone(), text.clone(), OutputShape::NextByte, 8),
        toy(transformer, text, classes(2), 8),
    ]
}

pub fn spec(model: ModelSpec, task: Task) -> Spec {
    Spec {
        name: "toy".into(),
        trials: Trials::Fleet,
        data: None,
        task: Some(task),
        model,
        loss: LossSpec {
            label_smoothing: 0.1,
            class_weights: ClassWeights::Balanced,
        },
        optimizer: OptimizerSpec {
            kind: OptimizerKind::Adamw,
            lr: 0.02,
            weight_decay: 0.01,
            clip_norm: Some(0.5),
            momentum: 0.9,
            nesterov: true,
            betas: [0.9, 0.999],
            eps: 1e-8,
        },
        schedule: ScheduleSpec {
            kind: ScheduleKind::Cosine,
            warmup: 0.2,
            every: 1,
            factor: 0.5,
        },
        train: TrainSpec {
            epochs: 3,
            seed: 7,
            device: DeviceSpec::Auto,
            virtual_shards: 0,
            evaluate: Period::Epochs(1),
            log_every: 1,
        },
        objective: Objective {
            metric: "valid.loss".into(),
            goal: Goal::Minimize,
            stop_at: None,
        },
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
            no_progress: None,
        },
        checkpoint: CheckpointSpec {
            every: Period::Never,
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

pub fn saved(trainer: &mut dyn Trainer) -> Saved {
    trainer.save().unwrap()
}
