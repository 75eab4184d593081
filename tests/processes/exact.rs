//! Every kind of model and optimiser goes on bit for bit after its executor was killed, and a stop is a stop.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};
use cluster_tests::procs::wait_for;

const FINISHED: Duration = Duration::from_secs(300);

/// A name, the spec's data, task and model, its optimiser and how many epochs.
fn cases(dir: &Path) -> Vec<(&'static str, String)> {
    let line = |n: u32| {
        format!(
            "{n} sheep and {} more are {} sheep\n",
            n * 7 % 31,
            n + n * 7 % 31
        )
    };
    let text: String = (0..600).map(line).collect();
    let text = spec_file(dir, "sheep.txt", &text).display().to_string();
    let data = repository().join("configs/data");
    let digits = data.join("digits.csv").display().to_string();
    let images = data.join("digits-images.parquet").display().to_string();
    let diabetes = data.join("diabetes.parquet").display().to_string();
    let classes = "task: classification\n";
    vec![
        (
            "linear",
            format!(
                "data: {{ dataset: {digits}, label: label }}\n{classes}model: {{ kind: linear }}\n\
                 optimizer: {{ kind: sgd, lr: 0.05, momentum: 0.9, nesterov: true }}\ntrain: {{ epochs: 300 }}\n"
            ),
        ),
        (
            "mlp",
            format!(
                "data: {{ dataset: {digits}, label: label, batch: 32 }}\n{classes}\
                 model: {{ kind: mlp, hidden: [64], dropout: 0.2, norm: batch }}\n\
                 optimizer: {{ kind: adam, lr: 1e-3 }}\ntrain: {{ epochs: 30, virtual_shards: 2 }}\n"
            ),
        ),
        (
            "cnn",
            format!(
                "data: {{ dataset: {images}, label: label, image: {{ column: image, shape: [1, 8, 8] }} }}\n{classes}\
                 model: {{ kind: cnn, channels: [8], hidden: 16, norm: batch }}\ntrain: {{ epochs: 12 }}\n"
            ),
        ),
        (
            "transformer",
            format!(
                "data: {{ dataset: {text}, text: {{ column: text, context: 32 }}, batch: 16 }}\ntask: language_model\n\
                 model: {{ kind: transformer, layers: 1, heads: 2, width: 16, dropout: 0.1 }}\ntrain: {{ epochs: 8 }}\n"
            ),
        ),
        (
            "regression",
            format!(
                "data: {{ dataset: {diabetes}, label: target }}\ntask: regression\n\
                 model: {{ kind: mlp, hidden: [32] }}\ntrain: {{ epochs: 400 }}\n"
            ),
        ),
    ]
}

fn submit(fleet: &Fleet, name: &str, text: &str) -> String {
    let text = format!(
        "kind: sweep\nversion: 1\nname: {name}\n{text}checkpoint: {{ every: 1 epoch }}\nretry: {{ lost: 1000 }}\n"
    );
    let spec = spec_file(fleet.dir.path(), &format!("{name}.yaml"), &text);
    let submitted = fleet.run(["sweep", "submit", spec.to_str().unwrap(), "-o", "json"]);
    let document = submitted.exits(0).json();
    document["sweep"].as_str().unwrap().to_owned()
}

/// The weights at the end, and the series of all metrics but those that measure time.
fn outcome(fleet: &Fleet, name: &str) -> (Vec<u8>, BTreeMap<(String, u64), String>) {
    let trial = format!("{name}/0");
    let file = fleet.dir.path().join("weights.safetensors");
    let export = ["checkpoint", "export", &trial, file.to_str().unwrap()];
    fleet.run(export).exits(0);
    (std::fs::read(file).unwrap(), fleet.series(&trial))
}

fn checkpoints(fleet: &Fleet, name: &str) -> usize {
    let trial = fleet.run(["trial", "show", &format!("{name}/0"), "-o", "json"]);
    match trial.code {
        Some(0) => trial.json()["checkpoints"].as_array().map_or(0, Vec::len),
        _ => 0,
    }
}

#[test]
fn every_kind_of_model_goes_on_bit_for_bit_after_a_kill() {
    let fleet = Fleet::start(1, 1);
    for (kind, text) in cases(fleet.dir.path()) {
        let calm = submit(&fleet, kind, &text);
        assert_eq!(
            fleet.finished(&calm, FINISHED)["state"],
            "completed",
            "{kind}"
        );
        let expected = outcome(&fleet, &calm);
        let killed = submit(&fleet, kind, &text);
        wait_for("a checkpoint", FINISHED, || {
            (checkpoints(&fleet, &killed) > 0).then_some(())
        });
        assert!(fleet.kill_executor(0, 0), "{kind}");
        let document = fleet.finished(&killed, FINISHED);
        assert_eq!(document["state"], "completed", "{kind}");
        let attempts = document["trials"][0]["attempts"].as_u64().unwrap();
        assert!(attempts > 1, "{kind} had ended before it was killed");
        let (weights, points) = outcome(&fleet, &killed);
        assert!(weights == expected.0, "{kind}: other weights");
        assert_eq!(points, expected.1, "{kind}");
    }
    fleet.stop();
}

#[test]
fn a_stopped_trial_stays_stopped() {
    let fleet = Fleet::start(1, 1);
    let text = "model: { kind: noop, x: 0.5, sleep: 50ms }\ntrain: { epochs: 10000 }\n";
    let name = submit(&fleet, "stopped", text);
    wait_for("a checkpoint", FINISHED, || {
        (checkpoints(&fleet, &name) > 0).then_some(())
    });
    let trial = format!("{name}/0");
    fleet.run(["trial", "stop", &trial]).exits(0);
    let document = fleet.finished(&name, FINISHED);
    let found = &document["trials"][0];
    assert_eq!(found["state"], "cancelled", "{document}");
    assert_eq!(found["attempts"], 1, "{document}");
    fleet.run(["trial", "stop", &trial]).exits(1);
    fleet.stop();
}
