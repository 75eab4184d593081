//! Equal work gives equal bits: resume, virtual shards, threads, saved bytes.
#![allow(clippy::unwrap_used)]

mod support;

use bonfire_collective::Tree;
use bonfire_domain::spec::{ModelSpec, OptimizerKind};
use bonfire_engine::step::train_step;
use bonfire_engine::{Saved, SavedError, ShardGradient, StepReport, TrainError, Trainer};
use safetensors::SafeTensors;
use support::{Toy, alone, every_model, mlp, saved};

/// Weights, optimiser state, metrics and reports after twelve steps.
type Outcome = (Saved, Vec<StepReport>, Vec<(&'static str, u64)>);

fn outcome(toy: &Toy, trainer: &mut dyn Trainer, reports: Vec<StepReport>) -> Outcome {
    let metrics = toy.evaluate(trainer);
    let bits = metrics
        .into_iter()
        .map(|(name, value)| (name, value.to_bits()));
    (saved(trainer), reports, bits.collect())
}

fn straight(toy: &Toy, shards: u32) -> Outcome {
    let mut trainer = toy.build();
    let reports = toy.train(&mut *trainer, 0..12, shards);
    outcome(toy, &mut *trainer, reports)
}

/// Six steps, saved bytes, a fresh trainer of another seed's history, six more: as twelve in one go.
#[track_caller]
fn check_resume(toy: &Toy) {
    let whole = straight(toy, 1);
    let mut first = toy.build();
    let mut reports = toy.train(&mut *first, 0..6, 1);
    let middle = saved(&mut *first);
    // Looking does not disturb, and the run goes on in the same process.
    toy.evaluate(&mut *first);
    let mut on = reports.clone();
    on.extend(toy.train(&mut *first, 6..12, 1));
    assert_eq!(outcome(toy, &mut *first, on), whole, "went on: {toy:?}");

    let mut second = toy.build();
    toy.train(&mut *second, 100..102, 1);
    second.load(&middle).unwrap();
    assert_eq!(saved(&mut *second), middle, "saved again: {toy:?}");
    reports.extend(toy.train(&mut *second, 6..12, 1));
    assert_eq!(
        outcome(toy, &mut *second, reports),
        whole,
        "resumed: {toy:?}"
    );
}

#[test]
fn a_snapshot_is_of_its_step_however_late_it_is_read() {
    let _alone = alone();
    // The last one has layers that threads share.
    let mut wide = mlp();
    if let ModelSpec::Mlp { hidden, .. } = &mut wide.spec.model {
        *hidden = vec![300, 300];
    }
    for toy in every_model().into_iter().chain([wide]) {
        for optimizer in [OptimizerKind::Adamw, OptimizerKind::Sgd] {
            let toy = toy.clone().with_optimizer(optimizer, 0.9);
            let mut trainer = toy.build();
            toy.train(&mut *trainer, 0..3, 1);
            let expected = saved(&mut *trainer);
            let snapshot = trainer.snapshot().unwrap();
            toy.train(&mut *trainer, 3..6, 1);
            // A second one while nobody has read the first.
            let expected_later = saved(&mut *trainer);
            let later = trainer.snapshot().unwrap();
            let read = std::thread::spawn(move || Saved::of(snapshot).unwrap());
            let reports = toy.train(&mut *trainer, 6..12, 1);
            assert!(read.join().unwrap() == expected, "{toy:?}");
            assert!(Saved::of(later).unwrap() == expected_later, "{toy:?}");
            assert_eq!(reports.len(), 6);
            let straight = straight(&toy, 1);
            assert!(saved(&mut *trainer) == straight.0, "it changed: {toy:?}");
            // What is held stays when the trainer goes on from elsewhere.
            let last = trainer.snapshot().unwrap();
            trainer.load(&expected).unwrap();
            toy.train(&mut *trainer, 3..6, 1);
            assert!(saved(&mut *trainer) == expected_later, "{toy:?}");
            assert!(Saved::of(last).unwrap() == straight.0, "{toy:?}");
        }
    }
}

#[test]
fn every_model_and_optimizer_resumes_exactly() {
    let _alone = alone();
    for toy in every_model() {
        check_resume(&toy.clone().with_optimizer(OptimizerKind::Adamw, 0.9));
        check_resume(&toy.clone().with_optimizer(OptimizerKind::Adam, 0.9));
        check_resume(&toy.clone().with_optimizer(OptimizerKind::Sgd, 0.9));
        check_resume(&toy.with_optimizer(OptimizerKind::Sgd, 0.0));
    }
}

#[test]
fn a_fresh_optimizer_is_not_a_resume() {
    let _alone = alone();
    let toy = mlp();
    let mut trainer = toy.build();
    toy.train(&mut *trainer, 0..6, 1);
    let middle = saved(&mut *trainer);
    let weightless = Saved {
        weights: middle.weights.clone(),
        optimizer: saved(&mut *toy.build()).optimizer,
    };
    let mut after = [&middle, &weightless].map(|state| {
        let mut trainer = toy.build();
        trainer.load(state).unwrap();
        toy.train(&mut *trainer, 6..12, 1);
        saved(&mut *trainer).weights
    });
    after.sort();
    assert_ne!(after[0], after[1]);
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let _alone = alone();
    for toy in every_model() {
        assert_eq!(straight(&toy, 1), straight(&toy, 1), "{toy:?}");
        let mut other = toy.clone();
        other.spec.train.seed += 1;
        assert_ne!(straight(&toy, 1).0, straight(&other, 1).0, "{toy:?}");
    }
}

/// A step whose shards come in any order, from members that each summed their own, has the same bits.
#[test]
fn members_and_order_do_not_change_bits() {
    let _alone = alone();
    for toy in every_model() {
        let expected = straight(&toy, 4);
        let mut trainer = toy.build();
        let mut reports = Vec::new();
        for step in 0..12 {
            let mut root = Tree::new(4).unwrap();
            for member in [[3, 1], [2, 0]] {
                let mut local = Tree::new(4).unwrap();
                for shard in member {
                    let batch = toy.batch(step, shard as usize, 4);
                    trainer.accumulate(step, shard, batch, true).unwrap();
                    let mut part = ShardGradient::default();
                    trainer.take_shard(&mut part).unwrap();
                    local.add(shard, part).unwrap();
                }
                for (node, part) in local.into_nodes() {
                    root.add_node(node, part).unwrap();
                }
            }
            let reduced = root.finish().unwrap().unwrap();
            reports.push(trainer.apply(step, &reduced, true).unwrap());
        }
        assert_eq!(outcome(&toy, &mut *trainer, reports), expected, "{toy:?}");
        assert_ne!(straight(&toy, 1).0, expected.0, "V is part of the trial");
    }
}

/// What one and what two threads compute, in processes of their own: the pool is fixed at a process's start.
#[test]
fn threads_do_not_change_bits() {
    let digest = |threads: &str| {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["digest_of_everything", "--exact", "--nocapture"])
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let at = text.find("digest=").expect("a digest");
        text[at + 7..at + 71].to_owned()
    };
    assert_eq!(digest("1"), digest("2"));
}

/// Says what it computed; [`threads_do_not_change_bits`] compares. Large enough that loops are split over threads.
#[test]
#[allow(clippy::print_stdout)]
fn digest_of_everything() {
    let _alone = alone();
    let mut wide = mlp();
    if let bonfire_domain::spec::ModelSpec::Mlp { hidden, .. } = &mut wide.spec.model {
        *hidden = vec![300, 300];
    }
    let mut hasher = blake3::Hasher::new();
    for toy in every_model().into_iter().chain([wide]) {
        let (state, ..) = straight(&toy, 2);
        hasher.update(&state.weights).update(&state.optimizer);
    }
    assert!(hasher.count() > 1_000_000, "too small to be split");
    println!("digest={}", hasher.finalize().to_hex());
}

#[test]
fn saved_tensors_are_named_by_path() {
    let _alone = alone();
    let toy = mlp();
    let mut trainer = toy.build();
    toy.train(&mut *trainer, 0..3, 1);
    let state = saved(&mut *trainer);
    let names = |bytes: &[u8]| -> Vec<(String, Vec<usize>)> {
        let file = SafeTensors::deserialize(bytes).unwrap();
        let mut names: Vec<_> = file
            .tensors()
            .into_iter()
            .map(|(name, tensor)| (name, tensor.shape().to_vec()))
            .collect();
        names.sort();
        names
    };
    let weights = names(&state.weights);
    assert_eq!(weights.len(), 2 * 6 + 2);
    for expected in [
        ("layers.0.dense.weight", vec![5, 16]),
        ("layers.0.norm.batch_norm.running_mean", vec![16]),
        ("layers.1.norm.batch_norm.gamma", vec![8]),
        ("output.bias", vec![3]),
    ] {
        let expected = (expected.0.to_owned(), expected.1);
        assert!(weights.contains(&expected), "{expected:?} in {weights:?}");
    }
    let optimizer = names(&state.optimizer);
    // Two moments of each trained parameter and the time; the running statistics have none.
    assert_eq!(optimizer.len(), 2 * (2 * 4 + 2) + 1);
    let moment = ("output.weight.moment_2".to_owned(), vec![8, 3]);
    assert!(optimizer.contains(&moment), "{optimizer:?}");
    let file = SafeTensors::deserialize(&state.optimizer).unwrap();
    assert_eq!(file.tensor("time").unwrap().data(), 3u64.to_le_bytes());
    let trained: usize = SafeTensors::deserialize(&state.weights)
        .unwrap()
        .tensors()
        .iter()
        .filter(|(name, _)| !name.contains("running"))
        .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
        .sum();
    assert_eq!(trainer.parameters(), trained);
}

/// Loading `broken` fails as expected, and the trainer is as it was.
#[track_caller]
fn check_load(broken: impl FnOnce(&mut Saved), expected: impl FnOnce(&SavedError) -> bool) {
    let toy = mlp();
    let mut trainer = toy.build();
    toy.train(&mut *trainer, 0..2, 1);
    let before = saved(&mut *trainer);
    let mut state = before.clone();
    broken(&mut state);
    match trainer.load(&state) {
        Err(TrainError::Saved(error)) => assert!(expected(&error), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(saved(&mut *trainer), before);
}

/// The same file with some tensors left out or renamed.
fn rewrite(bytes: &[u8], rename: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let tensors = file.tensors().into_iter();
    let kept = tensors.filter_map(|(name, tensor)| Some((rename(&name)?, tensor)));
    safetensors::serialize(kept, None).unwrap()
}

#[test]
fn wrong_states_are_refused_whole() {
    let _alone = alone();
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
    check_load(
        |s| cut(&mut s.weights),
        |e| {
            matches!(
                e,
                SavedError::Format {
                    part: "weights",
                    ..
                }
            )
        },
    );
    check_load(
        |s| cut(&mut s.optimizer),
        |e| {
            matches!(
                e,
                SavedError::Format {
                    part: "optimizer",
                    ..
                }
            )
        },
    );
    let without = |gone: &'static str| move |name: &str| (name != gone).then(|| name.to_owned());
    check_load(
        |s| s.weights = rewrite(&s.weights, without("output.bias")),
        |e| matches!(e, SavedError::Missing { name, .. } if name == "output.bias"),
    );
    check_load(
        |s| s.optimizer = rewrite(&s.optimizer, without("time")),
        |e| matches!(e, SavedError::Missing { name, .. } if name == "time"),
    );
    check_load(
        |s| s.optimizer = rewrite(&s.optimizer, without("output.bias.moment_2")),
        |e| matches!(e, SavedError::Missing { name, .. } if name == "output.bias.moment_2"),
    );
    let mut wider = mlp();
    if let bonfire_domain::spec::ModelSpec::Mlp { hidden, .. } = &mut wider.spec.model {
        *hidden = vec![16, 9];
    }
    let other = saved(&mut *wider.build());
    check_load(
        |s| s.weights = other.weights,
        |e| {
            matches!(
                e,
                SavedError::Shape {
                    part: "weights",
                    ..
                }
            )
        },
    );
    let sgd = mlp().with_optimizer(OptimizerKind::Sgd, 0.9);
    let other = saved(&mut *sgd.build());
    check_load(
        |s| s.optimizer = other.optimizer,
        |e| {
            matches!(
                e,
                SavedError::Missing {
                    part: "optimizer",
                    ..
                }
            )
        },
    );
    let plain = mlp().with_optimizer(OptimizerKind::Sgd, 0.0);
    let mut trainer = plain.build();
    let mut state = saved(&mut *trainer);
    state.optimizer = saved(&mut *sgd.build()).optimizer;
    assert!(matches!(
        trainer.load(&state),
        Err(TrainError::Saved(SavedError::Unexpected { .. }))
    ));
}

#[test]
fn a_step_without_samples_changes_nothing() {
    let _alone = alone();
    let toy = mlp();
    let mut trainer = toy.build();
    let before = saved(&mut *trainer);
    let nothing = train_step(&mut *trainer, 5, std::iter::empty(), 4, true);
    assert_eq!(nothing, Err(TrainError::EmptyStep { step: 5 }));
    assert_eq!(saved(&mut *trainer), before);
    // An empty shard is absent: two of four shards are the step.
    let shards = |empty: bool| {
        let toy = toy.clone();
        (0..4u32).filter_map(move |shard| {
            let absent = shard % 2 == 1;
            let batch = toy.batch(5, shard as usize, 4);
            (!absent || empty).then_some((shard, if absent { Default::default() } else { batch }))
        })
    };
    let with = train_step(&mut *trainer, 5, shards(true), 4, true).unwrap();
    let with = (with, saved(&mut *trainer));
    trainer.load(&before).unwrap();
    let without = train_step(&mut *trainer, 5, shards(false), 4, true).unwrap();
    assert_eq!(with, (without, saved(&mut *trainer)));
}
