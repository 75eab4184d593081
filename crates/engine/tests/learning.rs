//! Gradients and metrics are right, and models learn.
#![allow(clippy::unwrap_used)]

mod support;

use bonfire_domain::dataset::{InputShape, OutputShape};
use bonfire_domain::spec::{
    Activation, ClassWeights, MODEL_PARAMETERS, ModelSpec, Norm, Task, metrics,
};
use bonfire_domain::{Batch, BatchInput, BatchTarget};
use bonfire_engine::{ShardGradient, Trainer};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use support::{Toy, alone, classes, every_model, mlp, saved, toy};

/// A shard's sums at step 3.
fn part(trainer: &mut dyn Trainer, batch: Batch) -> ShardGradient {
    let mut part = ShardGradient::default();
    trainer.accumulate(3, 0, batch, true).unwrap();
    trainer.take_shard(&mut part).unwrap();
    part
}

/// The loss at step 3 with `by` added to one weight.
fn loss_with(toy: &Toy, tensor: &str, index: usize, by: f32) -> f64 {
    let mut trainer = toy.build();
    let mut state = saved(&mut *trainer);
    let file = SafeTensors::deserialize(&state.weights).unwrap();
    let mut owned: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, t)| (name, t.dtype(), t.shape().to_vec(), t.data().to_vec()))
        .collect();
    let (.., bytes) = owned.iter_mut().find(|t| t.0 == tensor).unwrap();
    let place: &mut [u8; 4] = (&mut bytes[4 * index..4 * index + 4]).try_into().unwrap();
    *place = (f32::from_le_bytes(*place) + by).to_le_bytes();
    let views = owned.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    state.weights = safetensors::serialize(views, None).unwrap();
    trainer.load(&state).unwrap();
    part(&mut *trainer, toy.batch(3, 0, 1)).loss
}

/// The gradient at a place of the flat vector equals the central difference of the loss.
#[track_caller]
fn check_gradient(toy: &Toy, tensor: &str, index: usize, place: usize) {
    let found = f64::from(part(&mut *toy.build(), toy.batch(3, 0, 1)).sum[place]);
    let h = 2e-2f32;
    let (above, below) = (
        loss_with(toy, tensor, index, h),
        loss_with(toy, tensor, index, -h),
    );
    let expected = (above - below) / (2.0 * f64::from(h));
    let tolerance = 0.01 * expected.abs().max(0.1);
    assert!(
        (found - expected).abs() < tolerance,
        "{tensor}[{index}]: {found}, not {expected}"
    );
}

#[test]
fn gradients_are_finite_differences() {
    let _alone = alone();
    for (norm, output) in [
        (Norm::None, classes(3)),
        (
            Norm::Layer,
            OutputShape::Value {
                mean: 0.0,
                std: 1.0,
            },
        ),
        (Norm::Batch, classes(2)),
    ] {
        let hidden = vec![6];
        let model = ModelSpec::Mlp {
            hidden,
            activation: Activation::Tanh,
            dropout: 0.3,
            norm,
        };
        let toy = toy(model, InputShape::Features(4), output, 16);
        // In the flat vector: the dense layer's weight [4, 6] and bias [6] come first.
        for (index, place) in [(0, 0), (7, 7), (23, 23)] {
            check_gradient(&toy, "layers.0.dense.weight", index, place);
        }
        check_gradient(&toy, "layers.0.dense.bias", 5, 24 + 5);
    }
}

#[test]
fn the_step_is_the_mean_over_weights() {
    let _alone = alone();
    // Without normalisation over the batch and dropout, four shards sum to the whole batch's gradient.
    let mut toy = mlp();
    if let ModelSpec::Mlp { dropout, norm, .. } = &mut toy.spec.model {
        (*dropout, *norm) = (0.0, Norm::None);
    }
    let mut trainer = toy.build();
    let whole = part(&mut *trainer, toy.batch(3, 0, 1));
    let mut sum = part(&mut *trainer, toy.batch(3, 0, 4));
    for shard in 1..4 {
        bonfire_collective::Part::absorb(&mut sum, part(&mut *trainer, toy.batch(3, shard, 4)))
            .unwrap();
    }
    assert!((whole.weight - sum.weight).abs() < 1e-9 && whole.samples == sum.samples);
    assert!((whole.loss - sum.loss).abs() < 1e-5 * whole.loss);
    let report = trainer.apply(3, &whole, true).unwrap();
    let norm = |g: &[f32]| g.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let apart: Vec<f32> = whole.sum.iter().zip(&sum.sum).map(|(a, b)| a - b).collect();
    assert!(norm(&apart) < 1e-5 * norm(&whole.sum));
    assert!((report.grad_norm - norm(&whole.sum) / whole.weight).abs() < 1e-9);
    assert!((report.loss.unwrap() - whole.loss / whole.weight).abs() < 1e-12);
}

#[test]
fn running_statistics_move_by_a_tenth() {
    let _alone = alone();
    let toy = mlp();
    let mut trainer = toy.build();
    let whole = part(&mut *trainer, toy.batch(3, 0, 1));
    assert_eq!(whole.statistics.len(), 2 * (16 + 8));
    trainer.apply(3, &whole, false).unwrap();
    let state = saved(&mut *trainer);
    let file = SafeTensors::deserialize(&state.weights).unwrap();
    for (name, start, from) in [("running_mean", 0, 0.0), ("running_var", 16, 1.0)] {
        let tensor = file
            .tensor(&format!("layers.0.norm.batch_norm.{name}"))
            .unwrap();
        let values = tensor
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|v| f32::from_le_bytes(*v));
        for (value, sum) in values.zip(&whole.statistics[start..start + 16]) {
            let expected = 0.9 * from + 0.1 * sum / whole.samples as f32;
            assert!(
                (value - expected).abs() < 1e-6,
                "{name} {value}, not {expected}"
            );
        }
    }
}

#[test]
fn clipping_bounds_the_global_norm() {
    let _alone = alone();
    let mut toy = mlp().with_optimizer(bonfire_domain::spec::OptimizerKind::Sgd, 0.0);
    toy.spec.optimizer.weight_decay = 0.0;
    let moved = |clip: Option<f64>| {
        let mut toy = toy.clone();
        toy.spec.optimizer.clip_norm = clip;
        let mut trainer = toy.build();
        let before = saved(&mut *trainer).weights;
        let report = toy.train(&mut *trainer, 3..4, 1).remove(0);
        let after = saved(&mut *trainer).weights;
        let files = [&before, &after].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        let mut squares = 0f64;
        let mut names = files[0].names();
        names.sort();
        for name in names.into_iter().filter(|name| !name.contains("running")) {
            let [old, new] = files
                .each_ref()
                .map(|file| file.tensor(name).unwrap().data().as_chunks::<4>().0);
            let pairs = old.iter().zip(new);
            squares += pairs
                .map(|(old, new)| {
                    f64::from(f32::from_le_bytes(*new) - f32::from_le_bytes(*old)).powi(2)
                })
                .sum::<f64>();
        }
        (squares.sqrt() / report.lr, report.grad_norm)
    };
    let (free, norm) = moved(None);
    assert!((free - norm).abs() < 1e-3 * norm, "{free} {norm}");
    let (clipped, same) = moved(Some(norm / 3.0));
    assert_eq!(norm, same, "the reported norm is the one before clipping");
    assert!((clipped - norm / 3.0).abs() < 1e-3 * norm);
    assert_eq!(moved(Some(2.0 * norm)), (free, norm));
}

/// Trains on toy batches and compares a metric on others with a bound.
#[track_caller]
fn check_learns(mut toy: Toy, steps: u64, metric: &str, is_enough: impl Fn(f64) -> bool) {
    toy.spec.loss.label_smoothing = 0.0;
    toy.spec.loss.class_weights = ClassWeights::None;
    toy.spec.schedule.kind = bonfire_domain::spec::ScheduleKind::Constant;
    let mut trainer = toy.build();
    let before = toy.evaluate(&mut *trainer)[metric];
    toy.train(&mut *trainer, 0..steps, 1);
    let after = toy.evaluate(&mut *trainer)[metric];
    assert!(
        !is_enough(before) && is_enough(after),
        "{metric} {before} -> {after}: {toy:?}"
    );
}

#[test]
fn models_learn() {
    let _alone = alone();
    let value = OutputShape::Value {
        mean: 10.0,
        std: 2.0,
    };
    let mut plain = mlp();
    if let ModelSpec::Mlp { dropout, .. } = &mut plain.spec.model {
        *dropout = 0.0;
    }
    plain.rows = 64;
    check_learns(plain.clone(), 200, "accuracy", |x| x > 0.85);
    plain.output = value.clone();
    check_learns(plain, 200, "r2", |x| x > 0.9);
    check_learns(
        toy(ModelSpec::Linear, InputShape::Features(3), value, 32),
        200,
        "r2",
        |x| x > 0.99,
    );
    let cnn = ModelSpec::Cnn {
        channels: vec![8],
        kernel: 3,
        hidden: 16,
        activation: Activation::Relu,
        dropout: 0.0,
        norm: Norm::Batch,
    };
    let image = toy(cnn, InputShape::Image([1, 4, 4]), classes(2), 64);
    check_learns(image, 150, "accuracy", |x| x > 0.85);
    let transformer = ModelSpec::Transformer {
        layers: 1,
        heads: 2,
        width: 16,
        dropout: 0.0,
    };
    // The next byte mirrors this one: nothing but the token itself is needed.
    let text = InputShape::Bytes { context: 8 };
    let mut bytes = toy(transformer.clone(), text.clone(), OutputShape::NextByte, 16);
    bytes.spec.optimizer.clip_norm = None;
    check_learns(bytes, 250, "perplexity", |x| x < 8.0);
    check_learns(
        toy(transformer, text, classes(2), 64),
        200,
        "accuracy",
        |x| x > 0.9,
    );
}

#[test]
fn a_decoder_sees_only_what_is_before() {
    let _alone = alone();
    let toy = every_model()
        .into_iter()
        .find(|toy| toy.output == OutputShape::NextByte)
        .unwrap();
    let mut trainer = toy.build();
    // The sum of the losses of all positions but the last does not change with the last byte.
    let mut loss = |last_input: i32, last_target: i32| {
        let mut tokens = vec![10, 20, 30, 40, 50, 60];
        tokens[5] = last_input;
        let mut batch = Some(Batch {
            rows: 1,
            input: BatchInput::Tokens(tokens),
            target: BatchTarget::Tokens(vec![1, 2, 3, 4, 5, last_target]),
        });
        let mut next = |into: &mut Batch| batch.take().map(|b| *into = b).is_some();
        trainer.evaluate(&mut next).unwrap()[0].1 * 6.0
    };
    let base = loss(60, 6) - loss(60, 7);
    let other = loss(61, 6) - loss(61, 7);
    assert!(
        (base - other).abs() > 1e-6,
        "the last position does see its own byte"
    );
    // What stays when the last position's own loss is averaged out over all bytes.
    let rest = |loss: &mut dyn FnMut(i32) -> f64| {
        let all: Vec<f64> = (0..257).map(&mut *loss).collect();
        // ln sum p = 0 for the last position: all = rest - ln p, so sum exp(-all) = exp(-rest).
        -all.iter().map(|l| (-l).exp()).sum::<f64>().ln()
    };
    let (one, two) = (rest(&mut |t| loss(60, t)), rest(&mut |t| loss(61, t)));
    assert!((one - two).abs() < 1e-4, "{one} {two}");
}

#[test]
fn padding_does_not_matter_where_it_is_masked() {
    let _alone = alone();
    let toy = every_model().pop().unwrap();
    let mut trainer = toy.build();
    let mut loss = |tokens: Vec<i32>| {
        let rows = tokens.len() / 6;
        let target = BatchTarget::Classes(vec![1; rows]);
        let mut batch = Some(Batch {
            rows,
            input: BatchInput::Tokens(tokens),
            target,
        });
        let mut next = |into: &mut Batch| batch.take().map(|b| *into = b).is_some();
        trainer.evaluate(&mut next).unwrap()[0].1
    };
    let short = loss(vec![5, 6, 7, 256, 256, 256]);
    assert!((short - loss(vec![5, 6, 7, 8, 256, 256])).abs() > 1e-7);
    // Beside a longer row, and all alone when empty.
    let both = loss(vec![5, 6, 7, 256, 256, 256, 5, 6, 7, 256, 256, 256]);
    assert!((short - both).abs() < 1e-6);
    assert!(loss(vec![256; 6]).is_finite());
}

#[test]
fn every_metric_of_a_task_is_reported() {
    let _alone = alone();
    for toy in every_model() {
        let task = match toy.output {
            OutputShape::Classes { .. } => Task::Classification,
            OutputShape::Value { .. } => Task::Regression,
            OutputShape::NextByte => Task::LanguageModel,
        };
        let mut trainer = toy.build();
        let evaluated = toy.evaluate(&mut *trainer);
        let report = toy.train(&mut *trainer, 0..1, 2).remove(0);
        for (name, _) in metrics(Some(task)) {
            let Some(name) = name.strip_prefix("valid.") else {
                assert_eq!(*name, MODEL_PARAMETERS);
                assert!(trainer.parameters() > 0);
                continue;
            };
            assert!(evaluated.contains_key(name), "{name} of {task:?}");
            let trained = report.metrics.iter().any(|(found, _)| *found == name);
            assert!(
                trained || name == "loss" && report.loss.is_some(),
                "{name} of {task:?}"
            );
        }
    }
}
