//! The training step of this engine beside a bare burn loop: the same model sizes, batch, mathematics (AdamW, global norm,
//! warm-up and cosine, dropout off), read-backs, malloc and threads, on data in memory.
//!
//! `bonfire-step MODEL BLOCKS` with mlp, cnn or transformer prints a line a block: milliseconds a step of ours, of the bare
//! loop and of ours with four virtual shards, measured in turn. `bonfire-bench training T1` starts it and compares.
//!
//! `bonfire-step stall BLOCKS DIR` prints a line a checkpoint of 1.2 GB: milliseconds that the loop stood still for it, which is
//! the call and what the next update took beyond a calm one, and milliseconds that training lost until the checkpoint was in
//! DIR and synced, which has what the thread that writes takes from it (`bonfire-bench checkpoint C1`). The first checkpoint,
//! which takes its memory from the machine, is told on the standard error.
// A program for a bench: it prints, and a failure may end it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

mod bare;

use std::io::Write;
use std::time::Instant;

use bonfire_domain::Batch;
use bonfire_domain::dataset::{InputShape, OutputShape};
use bonfire_domain::spec::{Activation, ClassWeights, ModelSpec, Norm};
use bonfire_engine::{SavedPart, ShardGradient, Sink, Trainer, step::train_step};

use support::Toy;

/// Loss and metrics are read back once in so many steps.
const LOG_EVERY: u64 = 10;
/// Steps whose median is that of a calm step.
const CALM_STEPS: u64 = 7;
/// Batches in memory, taken in turn.
const BATCHES: u64 = 8;
/// Steps of a block, so many that a block takes about half a second.
const STEPS: [(&str, u64); 3] = [("mlp", 100), ("cnn", 20), ("transformer", 10)];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (name, blocks) = (arguments.next(), arguments.next());
    if let (Some("stall"), Some(blocks), Some(dir)) = (name.as_deref(), &blocks, arguments.next()) {
        return stall(blocks.parse().unwrap(), dir.as_ref());
    }
    let steps = STEPS
        .iter()
        .find(|(known, _)| Some(*known) == name.as_deref());
    let blocks = blocks.and_then(|text| text.parse::<u32>().ok());
    let (Some((name, steps)), Some(blocks)) = (steps, blocks) else {
        eprintln!("usage: bonfire-step mlp|cnn|transformer BLOCKS");
        std::process::exit(2);
    };
    let toy = toy(name);
    let mut ours = Ours::new(&toy, 1);
    let mut bare = bare::Loop::new(&toy);
    let mut four = Ours::new(&toy, 4);
    assert_eq!(
        bare.parameters(),
        ours.trainer.parameters(),
        "the same model"
    );
    for block in 0..=blocks {
        let (mut a, mut b, mut c) = (0.0, 0.0, 0.0);
        // Who goes first changes, so that a drift of the machine hits all.
        for turn in 0..3 {
            match (block + turn) % 3 {
                0 => a = time(*steps, |step| ours.step(step)),
                1 => b = time(*steps, |step| bare.step(step)),
                _ => c = time(*steps, |step| four.step(step)),
            }
        }
        // The first block warms up.
        if block > 0 {
            println!("{a} {b} {c}");
        }
    }
}

/// What checkpoints of a hundred million parameters with both moments cost the training beside them.
fn stall(blocks: u32, dir: &std::path::Path) {
    let mut toy = toy("mlp");
    toy.rows = 32;
    if let ModelSpec::Mlp { hidden, .. } = &mut toy.spec.model {
        *hidden = vec![9_600, 9_600];
    }
    let mut ours = Ours::new(&toy, 1);
    // The first steps fill caches and buffers.
    (0..CALM_STEPS).for_each(|step| _ = ours.timed_step(step));
    for block in 0..=blocks {
        let calm: Vec<Took> = (0..CALM_STEPS).map(|step| ours.timed_step(step)).collect();
        let calm = Took {
            step: median(calm.iter().map(|took| took.step)),
            update: median(calm.iter().map(|took| took.update)),
        };
        let began = Instant::now();
        let snapshot = ours.trainer.snapshot().unwrap();
        let called = ms_since(began);
        let path = dir.join("checkpoint");
        let writing = std::thread::spawn(move || {
            lower_priority();
            let mut file = Synced(std::fs::File::create(path).unwrap());
            snapshot(&mut file).unwrap();
            file.0.sync_all().unwrap();
        });
        let stall = called + ours.timed_step(0).update - calm.update;
        let mut steps = 1;
        while !writing.is_finished() {
            ours.timed_step(steps);
            steps += 1;
        }
        let lost = ms_since(began) - calm.step * steps as f64;
        writing.join().unwrap();
        let told = format!("{stall} {lost}");
        // The first one takes new memory.
        match block {
            0 => eprintln!("first: {told}; calm: {calm:?}; call: {called}"),
            _ => println!("{told}"),
        }
    }
}

/// Milliseconds.
#[derive(Clone, Copy, Debug)]
struct Took {
    step: f64,
    /// Of that, the update alone.
    update: f64,
}

fn ms_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Of this thread, as an executor does for the one that writes.
fn lower_priority() {
    let this = std::fs::read_link("/proc/thread-self").unwrap();
    let mut renice = std::process::Command::new("renice");
    renice
        .args(["-n", "9", "-p"])
        .arg(this.file_name().unwrap());
    assert!(renice.output().unwrap().status.success(), "renice");
}

struct Synced(std::fs::File);

impl Sink for Synced {
    fn begin(&mut self, _part: SavedPart) -> std::io::Result<()> {
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }
}

/// Milliseconds a step.
fn time(steps: u64, mut run: impl FnMut(u64)) -> f64 {
    let began = Instant::now();
    (0..steps).for_each(&mut run);
    began.elapsed().as_secs_f64() * 1e3 / steps as f64
}

fn is_logged(step: u64) -> bool {
    step.is_multiple_of(LOG_EVERY)
}

/// The sizes that the peers' scripts measure PyTorch with.
fn toy(name: &str) -> Toy {
    let image = InputShape::Image([1, 28, 28]);
    let mut toy = match name {
        "mlp" => {
            let model = ModelSpec::Mlp {
                hidden: vec![512, 512],
                activation: Activation::Relu,
                dropout: 0.0,
                norm: Norm::None,
            };
            support::toy(model, InputShape::Features(784), support::classes(10), 128)
        }
        "cnn" => {
            let model = ModelSpec::Cnn {
                channels: vec![16, 32],
                kernel: 3,
                hidden: 128,
                activation: Activation::Relu,
                dropout: 0.0,
                norm: Norm::None,
            };
            support::toy(model, image, support::classes(10), 64)
        }
        _ => {
            let model = ModelSpec::Transformer {
                layers: 4,
                heads: 4,
                width: 128,
                dropout: 0.0,
            };
            let text = InputShape::Bytes { context: 128 };
            support::toy(model, text, OutputShape::NextByte, 16)
        }
    };
    toy.spec.loss.label_smoothing = 0.0;
    toy.spec.loss.class_weights = ClassWeights::None;
    toy.spec.optimizer.lr = 1e-3;
    toy.spec.optimizer.clip_norm = Some(1.0);
    toy.spec.optimizer.weight_decay = 1e-4;
    toy
}

struct Ours {
    trainer: Box<dyn Trainer>,
    /// Shards of each batch.
    batches: Vec<Vec<Batch>>,
}

impl Ours {
    fn new(toy: &Toy, shards: usize) -> Ours {
        let of = |step| {
            (0..shards)
                .map(|shard| toy.batch(step, shard, shards))
                .collect()
        };
        Ours {
            trainer: toy.build(),
            batches: (0..BATCHES).map(of).collect(),
        }
    }

    fn step(&mut self, step: u64) {
        let batch = &self.batches[(step % BATCHES) as usize];
        let shards = (0u32..).zip(batch.iter().cloned());
        let count = batch.len() as u32;
        train_step(&mut *self.trainer, step, shards, count, is_logged(step)).unwrap();
    }

    /// A step of one shard, its parts by themselves.
    fn timed_step(&mut self, step: u64) -> Took {
        let batch = self.batches[(step % BATCHES) as usize][0].clone();
        let report = is_logged(step);
        let began = Instant::now();
        self.trainer.accumulate(step, 0, batch, report).unwrap();
        let mut gradient = ShardGradient::default();
        self.trainer.take_shard(&mut gradient).unwrap();
        let updating = Instant::now();
        self.trainer.apply(step, &gradient, report).unwrap();
        let update = ms_since(updating);
        drop(gradient);
        Took {
            step: ms_since(began),
            update,
        }
    }
}
