//! Trials that train, on the digits: what an interruption must not change.

use std::collections::BTreeMap;
use std::path::Path;

use bonfire_data::{ImportOptions, import, prepare};
use bonfire_domain::Digest;
use bonfire_domain::checkpoint::{Checkpoint, CheckpointManifest};
use bonfire_domain::dataset::{DatasetFile, Preparation};
use bonfire_domain::metric::measures_time;
use bonfire_domain::order::StartOrder;
use bonfire_domain::spec::Spec;
use bonfire_worker::executor::frame::{Begin, LocalBlob, LocalCheckpoint, LocalData, Written};
use bonfire_worker::executor::{Limits, SlotOrder};

use crate::rig::{Rig, Story, published, start};

const SPEC: &str = "
name: digits
data: { dataset: digits.csv, label: label, batch: 128 }
task: classification
model: { kind: mlp, hidden: [16], dropout: 0.1 }
optimizer: { kind: adamw, lr: 0.01 }
train: { epochs: 4, seed: 3, log_every: 5 }
";

/// Imports and prepares the digits for a spec.
fn digits(dir: &Path, order: &mut StartOrder) -> LocalData {
    let source = std::path::absolute("../configs/data/digits.csv").unwrap();
    let (files, out) = (dir.join("files"), dir.join("prepared"));
    let dataset = import(&source, &ImportOptions::default(), &files, &mut |_| true).unwrap();
    order.dataset = Some(dataset.version);
    let spec = Spec::from_canonical(&order.spec).unwrap();
    let preparation = Preparation::of(&spec, dataset.version).unwrap();
    let blob = |digest: &Digest| files.join(digest.hex());
    let manifest = prepare(&dataset, &preparation, &blob, &out, &mut |_| true).unwrap();
    let local = |file: &DatasetFile| LocalBlob {
        blob: file.blob,
        path: out.join(file.blob.digest.hex()),
    };
    let files = manifest
        .train
        .files
        .iter()
        .chain(&manifest.valid.files)
        .map(local)
        .collect();
    LocalData {
        manifest: serde_json::to_string(&manifest).unwrap(),
        files,
    }
}

fn manifest_of(written: &Written) -> CheckpointManifest {
    let head = written.manifest.unwrap();
    serde_json::from_slice(&std::fs::read(written.dir.join(head.digest.hex())).unwrap()).unwrap()
}

fn local_checkpoint(written: &Written) -> LocalCheckpoint {
    let local = |blob: &_| LocalBlob {
        blob: *blob,
        path: written.dir.join(Digest::hex(&blob_digest(blob))),
    };
    LocalCheckpoint {
        manifest: manifest_of(written),
        files: written.chunks.iter().map(local).collect(),
    }
}

fn blob_digest(blob: &bonfire_domain::dataset::BlobRef) -> Digest {
    blob.digest
}

struct Bench {
    rig: Rig,
    data: LocalData,
    spec: String,
    /// What is changed in the spec that executors get.
    tweak: fn(&mut Spec),
}

impl Bench {
    fn new(spec: &str) -> Bench {
        let mut rig = Rig::new();
        let mut order = start(1, spec, 1, None);
        let data = digits(rig.dir.path(), &mut order);
        rig.ready();
        Bench {
            rig,
            data,
            spec: spec.to_owned(),
            tweak: |_| {},
        }
    }

    /// Orders one attempt to `until` epochs; its checkpoints go to the folder `spool`.
    fn begin(&self, spool: &str, until: u64, from: Option<&Written>) {
        let from_fact: Option<Checkpoint> = from.map(published);
        let mut order = start(1, &self.spec, until, from_fact);
        let mut spec = Spec::from_canonical(&order.spec).unwrap();
        (self.tweak)(&mut spec);
        order.spec = spec.canonical();
        let begin = Begin {
            order,
            data: Some(self.data.clone()),
            resume: from.map(local_checkpoint),
            spool: self.rig.dir.path().join(spool),
        };
        self.rig.order(SlotOrder::Begin {
            begin: Box::new(begin),
            limits: Limits::default(),
        });
    }

    fn train(&mut self, spool: &str, until: u64, from: Option<&Written>) -> Story {
        self.begin(spool, until, from);
        self.rig.story(1)
    }
}

/// What does not measure time, by name and step.
fn series(stories: &[&Story]) -> BTreeMap<(String, u64), u64> {
    let points = stories.iter().flat_map(|story| &story.points);
    let points = points.filter(|point| !measures_time(&point.key));
    points
        .map(|p| ((p.key.clone(), p.step), p.value.to_bits()))
        .collect()
}

pub fn a_resumed_trial_has_the_same_bits() {
    let mut bench = Bench::new(SPEC);
    let whole = bench.train("whole", 4, None);
    assert_eq!(whole.ending(), "reached its target");
    assert_eq!(whole.observed.len(), 4);
    let accuracy = whole.observed[3].1;
    assert!(accuracy > 0.8, "it learns: {accuracy}");
    let first = bench.train("first", 1, None);
    let second = bench.train("second", 3, first.written.last());
    let third = bench.train("third", 4, second.written.last());
    let parts = [&first, &second, &third];
    assert_eq!(series(&parts), series(&[&whole]));
    let last = |story: &Story| manifest_of(story.written.last().unwrap());
    assert_eq!(
        last(&third).parts,
        last(&whole).parts,
        "weights and optimiser"
    );
    assert_eq!(last(&third), last(&whole));
    assert_ne!(last(&second).parts, last(&whole).parts);
    assert!(last(&whole).exact);
    assert_eq!(whole.written.last().unwrap().value, Some(accuracy));
}

pub fn a_damaged_chunk_is_found() {
    let mut bench = Bench::new(SPEC);
    let first = bench.train("first", 1, None);
    let written = first.written.last().unwrap();
    let path = written.dir.join(written.chunks[0].digest.hex());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let story = bench.train("second", 2, Some(written));
    let expected = format!("checkpoint at step {} is damaged: chunk ", written.step);
    assert!(story.ending().starts_with(&expected), "{}", story.ending());
}

pub fn an_end_saves_first() {
    let spec = SPEC.replace("epochs: 4", "epochs: 100000");
    let mut bench = Bench::new(&spec);
    bench.begin("spool", 100_000, None);
    bench.rig.started();
    bench.rig.end(1, true);
    let story = bench.rig.story(1);
    assert_eq!(story.ending(), "saved and yielded its slot");
    let reported = story
        .points
        .iter()
        .map(|point| point.step)
        .max()
        .unwrap_or(0);
    let saved = story.written.last().map_or(0, |written| written.step);
    assert!(saved >= reported, "saved at {saved}, trained to {reported}");
}

pub fn loss_that_is_not_finite_ends_the_trial() {
    let mut bench = Bench::new(SPEC);
    // No spec that was checked has this; each step multiplies the weights by minus ten thousand.
    bench.tweak = |spec| spec.optimizer.weight_decay = 1e6;
    let story = bench.train("spool", 4, None);
    let ending = story.ending();
    assert!(ending.contains("is not finite at step"), "{ending}");
}
