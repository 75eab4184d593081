//! `kill -9` at random moments: nothing acknowledged is lost, and what a trial computes does not change.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};
use cluster_tests::procs::wait_for;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::Value;

/// A round ends within this time.
const FINISHED: Duration = Duration::from_secs(600);
/// What is left when its sweep is deleted: the dataset's file and prepared train and valid, a file each.
const DATA_BLOBS: usize = 3;

/// Six trials of a small network, ten epochs each, a checkpoint an epoch.
fn digits(dir: &std::path::Path) -> std::path::PathBuf {
    let digits = repository().join("configs/data/digits.csv");
    let text = format!(
        "kind: sweep\nversion: 1\nname: killed\ndata: {{ dataset: {}, label: label, batch: 32 }}\n\
         task: classification\nmodel: {{ kind: mlp, hidden: [64, 32], dropout: 0.2 }}\ntrain: {{ epochs: 10 }}\n\
         checkpoint: {{ every: 1 epoch }}\nretry: {{ attempts: 3, lost: 10000 }}\n\
         search:\n  sampler: {{ kind: random, seed: 4 }}\n  limit: {{ trials: 6 }}\n  parameters:\n    \
         optimizer.lr: {{ min: 1e-4, max: 1e-2, log: true }}\n",
        digits.display()
    );
    spec_file(dir, "killed.yaml", &text)
}

/// Every metric of every trial by key and step, but for those that measure time.
fn metrics(fleet: &Fleet, name: &str, trials: u64) -> Vec<BTreeMap<(String, u64), String>> {
    let of = |number| fleet.series(&format!("{name}/{number}"));
    (0..trials).map(of).collect()
}

fn submit(fleet: &Fleet) -> String {
    let spec = digits(fleet.dir.path());
    let outcome = fleet.run(["sweep", "submit", spec.to_str().unwrap(), "-o", "json"]);
    let document = outcome.exits(0).json();
    document["sweep"].as_str().unwrap().to_owned()
}

/// How many kills, and with which seed: `BONFIRE_KILLS` and `BONFIRE_SEED` make the long form.
fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

/// The exported weights of every trial.
fn weights(fleet: &Fleet, name: &str) -> Vec<Vec<u8>> {
    let export = |number| {
        let file = fleet.dir.path().join(format!("{number}.safetensors"));
        let id = format!("{name}/{number}");
        let verb = ["checkpoint", "export", &id, file.to_str().unwrap()];
        fleet.run(verb).exits(0);
        std::fs::read(file).unwrap()
    };
    (0..6).map(export).collect()
}

#[test]
fn kills_lose_nothing_and_change_nothing() {
    let calm = Fleet::start(1, 1);
    let name = submit(&calm);
    let document = calm.finished(&name, FINISHED);
    assert_eq!(document["state"], "completed");
    let expected = metrics(&calm, &name, 6);
    let exported = weights(&calm, &name);
    calm.run(["sweep", "delete", &name]).exits(0);
    let kept = wait_for("the sweep's blobs to be deleted", FINISHED, || {
        let kept = calm.blobs();
        (kept.len() == DATA_BLOBS).then_some(kept)
    });
    calm.stop();

    let seed = from_env("BONFIRE_SEED", 11);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Uploads that were cut off by a kill are swept while the test runs.
    let mut fleet = Fleet::configured("[limits]\nblob_orphan_seconds = 5\n", 2, 1);
    let mut kills = from_env("BONFIRE_KILLS", 10);
    let mut interrupted = 0;
    while kills > 0 {
        let name = submit(&fleet);
        kills = harass(&mut fleet, &name, &mut rng, kills);
        let document: Value = fleet.finished(&name, FINISHED);
        assert_eq!(document["state"], "completed", "seed {seed}: {document}");
        let trials = document["trials"].as_array().unwrap();
        assert_eq!(trials.len(), 6);
        assert!(trials.iter().all(|t| t["state"] == "completed"));
        let attempts: u64 = trials.iter().filter_map(|t| t["attempts"].as_u64()).sum();
        interrupted += attempts - 6;
        assert_eq!(metrics(&fleet, &name, 6), expected, "seed {seed}");
        let same = weights(&fleet, &name) == exported;
        assert!(same, "seed {seed}: other weights");
        fleet.run(["sweep", "delete", &name]).exits(0);
    }
    assert!(interrupted > 0, "nothing was interrupted with seed {seed}");
    wait_for("nothing but the data to be kept", FINISHED, || {
        (fleet.blobs() == kept).then_some(())
    });
    fleet.stop();
}

/// Kills at random moments until the sweep has ended or `kills` is used up; answers with what is left of it.
fn harass(fleet: &mut Fleet, name: &str, rng: &mut ChaCha8Rng, mut kills: u64) -> u64 {
    while kills > 0 {
        // A random moment; what is under way then is not ours to choose.
        std::thread::park_timeout(Duration::from_millis(u64::from(rng.next_u32() % 700)));
        let at = (rng.next_u32() % 2) as usize;
        match rng.next_u32() % 4 {
            0 => fleet.kill_coordinator(),
            1 => fleet.kill_worker(at),
            _ => {
                if !fleet.kill_executor(at, rng.next_u32() as usize) {
                    continue;
                }
            }
        }
        kills -= 1;
        // The sweep is there whatever was killed.
        let found = wait_for("the sweep", Duration::from_secs(30), || {
            let found = fleet.run(["sweep", "show", name, "-o", "json"]);
            (found.code == Some(0)).then(|| found.json())
        });
        if found["state"] == "completed" {
            break;
        }
    }
    kills
}
