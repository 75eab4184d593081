//! What does not fit is an error, and nothing has changed then.
#![allow(clippy::unwrap_used)]

mod support;

use bonfire_domain::dataset::{InputShape, OutputShape};
use bonfire_domain::spec::{Activation, DeviceSpec, Millis, ModelSpec, Norm};
use bonfire_domain::{Batch, BatchInput, BatchTarget};
use bonfire_engine::step::train_step;
use bonfire_engine::{DeviceError, TrainError, TrainerConfig, build};
use support::{Toy, alone, classes, every_model, mlp, saved, toy};

/// What a trainer says of a batch, and that it goes on as if it had never seen it.
#[track_caller]
fn check_batch(toy: &Toy, batch: Batch, expected: &str) {
    let mut trainer = toy.build();
    let before = saved(&mut *trainer);
    let refused = train_step(
        &mut *trainer,
        0,
        std::iter::once((0, batch.clone())),
        1,
        true,
    );
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains(expected),
        "{message:?}, expected {expected:?}"
    );
    let mut one = Some(batch);
    let refused = trainer.evaluate(&mut |into| one.take().map(|b| *into = b).is_some());
    assert!(
        matches!(refused, Err(TrainError::Batch { .. })),
        "{refused:?}"
    );
    assert_eq!(saved(&mut *trainer), before);
    toy.train(&mut *trainer, 0..1, 1);
}

#[test]
fn wrong_batches_are_errors() {
    let _alone = alone();
    let values = |n: usize| BatchInput::Values(vec![0.5; n]);
    let labels = |ids: &[i32]| BatchTarget::Classes(ids.to_vec());
    let batch = |rows, input, target| Batch {
        rows,
        input,
        target,
    };
    let toy = mlp();
    check_batch(
        &toy,
        batch(2, values(9), labels(&[0, 1])),
        "9 values, not 2 times 5",
    );
    check_batch(
        &toy,
        batch(2, values(10), labels(&[0])),
        "1 values, not 2 times 1",
    );
    check_batch(
        &toy,
        batch(2, values(10), labels(&[0, 3])),
        "class 3 is not in 0..3",
    );
    check_batch(
        &toy,
        batch(2, values(10), labels(&[0, -1])),
        "class -1 is not in 0..3",
    );
    let floats = BatchTarget::Values(vec![0.0; 2]);
    check_batch(&toy, batch(2, values(10), floats), "another task");
    let tokens = BatchInput::Tokens(vec![1; 10]);
    check_batch(&toy, batch(2, tokens, labels(&[0, 1])), "tokens where");
    check_batch(
        &toy,
        batch(usize::MAX, values(10), labels(&[0])),
        "not 18446744073709551615",
    );

    let text = every_model().pop().unwrap();
    let tokens = |token| BatchInput::Tokens(vec![token; 6]);
    check_batch(
        &text,
        batch(1, tokens(257), labels(&[0])),
        "token 257 is not in 0..257",
    );
    check_batch(&text, batch(1, tokens(-1), labels(&[0])), "token -1");
    check_batch(&text, batch(1, values(6), labels(&[0])), "numbers where");
}

#[test]
fn what_is_not_finite_ends_the_step_before_it_counts() {
    let _alone = alone();
    let toy = mlp();
    let mut trainer = toy.build();
    let before = saved(&mut *trainer);
    let mut batch = toy.batch(0, 0, 1);
    if let BatchInput::Values(values) = &mut batch.input {
        values[3] = f32::NAN;
    }
    for (report, what) in [(true, "loss"), (false, "gradient")] {
        let ended = train_step(
            &mut *trainer,
            9,
            std::iter::once((0, batch.clone())),
            1,
            report,
        );
        assert_eq!(ended, Err(TrainError::NonFinite { step: 9, what }));
    }
    assert_eq!(saved(&mut *trainer), before);
    let mut one = Some(batch);
    let evaluated = trainer.evaluate(&mut |into| one.take().map(|b| *into = b).is_some());
    assert!(
        matches!(evaluated, Err(TrainError::NonFinite { .. })),
        "{evaluated:?}"
    );
    let nothing = trainer.evaluate(&mut |_| false);
    assert!(matches!(nothing, Err(TrainError::EmptyStep { .. })));
}

/// Why a model cannot be built on these shapes.
#[track_caller]
fn check_refused(model: ModelSpec, input: InputShape, output: OutputShape, expected: &str) {
    let toy = toy(model, input, output, 8);
    let message = match build(&toy.config()) {
        Ok(_) => panic!("{toy:?} was built"),
        Err(error) => error.to_string(),
    };
    assert!(
        message.contains(expected),
        "{message:?}, expected {expected:?}"
    );
}

#[test]
fn models_that_do_not_fit_are_refused() {
    let features = InputShape::Features(4);
    let text = InputShape::Bytes { context: 8 };
    let image = InputShape::Image([1, 8, 8]);
    let mlp = |hidden, dropout| ModelSpec::Mlp {
        hidden,
        activation: Activation::Relu,
        dropout,
        norm: Norm::None,
    };
    let cnn = |channels, kernel, hidden| ModelSpec::Cnn {
        channels,
        kernel,
        hidden,
        activation: Activation::Relu,
        dropout: 0.0,
        norm: Norm::None,
    };
    let transformer = |heads, width| ModelSpec::Transformer {
        layers: 1,
        heads,
        width,
        dropout: 0.0,
    };
    let noop = ModelSpec::Noop {
        x: 0.0,
        sleep_ms: Millis(0),
    };
    check_refused(ModelSpec::Linear, text.clone(), classes(2), "not bytes");
    check_refused(
        ModelSpec::Linear,
        features.clone(),
        OutputShape::NextByte,
        "reads bytes",
    );
    check_refused(
        ModelSpec::Linear,
        InputShape::Features(0),
        classes(2),
        "no features",
    );
    check_refused(ModelSpec::Linear, features.clone(), classes(0), "0 classes");
    check_refused(mlp(vec![0], 0.0), features.clone(), classes(2), "width 0");
    check_refused(mlp(vec![4], 1.0), features.clone(), classes(2), "dropout 1");
    check_refused(
        mlp(vec![u32::MAX], 0.0),
        features.clone(),
        classes(2),
        "too large",
    );
    check_refused(
        cnn(vec![4], 3, 8),
        features.clone(),
        classes(2),
        "data.image",
    );
    check_refused(cnn(vec![4], 4, 8), image.clone(), classes(2), "not odd");
    check_refused(cnn(vec![4], 3, 0), image.clone(), classes(2), "width 0");
    check_refused(transformer(2, 8), features.clone(), classes(2), "data.text");
    check_refused(transformer(3, 8), text.clone(), classes(2), "multiple of 3");
    check_refused(transformer(0, 8), text, classes(2), "multiple of 0");
    check_refused(noop, features, classes(2), "no trainer");

    let toy = mlp_on(&image);
    let config = TrainerConfig {
        device: DeviceSpec::Cuda(0),
        ..toy.config()
    };
    let refused = build(&config).err();
    assert_eq!(
        refused,
        Some(TrainError::Device(DeviceError::NoCuda { index: 0 }))
    );
}

/// An mlp reads images too.
fn mlp_on(image: &InputShape) -> Toy {
    let mut toy = mlp();
    toy.input = image.clone();
    toy
}
