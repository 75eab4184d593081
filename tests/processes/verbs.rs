//! Verbs that nothing else tries, on what one sweep left behind.

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};
use serde_json::Value;

/// A directory with a sweep of two trained models, and the path of its spec.
fn trained() -> (Fleet, String) {
    let fleet = Fleet::new();
    let rows = repository().join("configs/data/digits.csv");
    let text = format!(
        "kind: sweep\nversion: 1\nname: two\ndata: {{ dataset: {}, label: label }}\ntask: classification\n\
         model: {{ kind: linear }}\ntrain: {{ epochs: 4 }}\ncheckpoint: {{ every: 1 epoch, keep: {{ last: 2, best: 1 }} }}\n\
         search:\n  sampler: {{ kind: grid }}\n  parameters: {{ optimizer.lr: {{ values: [1e-3, 1e-2] }} }}\n",
        rows.display()
    );
    let spec = spec_file(fleet.dir.path(), "two.yaml", &text);
    let spec = spec.to_str().unwrap().to_owned();
    fleet.run(["run", &spec, "--quiet"]).exits(0);
    (fleet, spec)
}

#[track_caller]
fn shown(fleet: &Fleet, verb: &str) -> Value {
    let arguments = verb.split(' ').chain(["-o", "json"]);
    fleet.run(arguments).exits(0).json()
}

#[test]
fn what_a_sweep_left_can_be_looked_at() {
    let (fleet, spec) = trained();
    let preview = shown(&fleet, &format!("sweep preview {spec}"));
    assert_eq!(preview["trials"], 2, "{preview}");
    let rows = shown(&fleet, "trial list last");
    assert_eq!(rows.as_array().unwrap().len(), 2);
    let top = shown(&fleet, "sweep top last");
    let values: Vec<f64> = top
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["value"].as_f64().unwrap())
        .collect();
    assert!(values.len() == 2 && values[0] >= values[1], "{top}");
    // Of a sweep that has ended there is one look.
    let watched = fleet.run(["sweep", "watch", "last"]).exits(0);
    assert!(
        watched.stderr.contains("completed") || watched.stdout.contains("completed"),
        "{watched:?}"
    );
    let resolved = fleet.run(["validate", &spec, "--resolved"]).exits(0);
    assert!(resolved.stdout.contains("label_smoothing"), "{resolved:?}");
    let again = spec_file(fleet.dir.path(), "again.yaml", &resolved.stdout);
    fleet.run(["validate", again.to_str().unwrap()]).exits(0);
    let script = fleet.run(["completions", "bash"]).exits(0);
    assert!(script.stdout.contains("bonfire"), "{script:?}");
    fleet.nothing_left();
}

#[test]
fn checkpoints_can_be_compared_exported_and_deleted() {
    let (fleet, _) = trained();
    let listed = shown(&fleet, "checkpoint list last/0");
    let ids: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["checkpoint"].as_str().unwrap())
        .collect();
    assert!(ids.len() >= 2, "{listed}");
    let same = fleet.run(["checkpoint", "diff", ids[0], ids[0]]).exits(0);
    let other = fleet.run(["checkpoint", "diff", ids[0], ids[1]]).exits(1);
    assert_ne!(same.stdout, other.stdout);
    // The best one is the one whose value is the trial's.
    let value = shown(&fleet, "trial show last/0")["value"].clone();
    let best = shown(&fleet, "checkpoint show last/0 --best");
    assert_eq!(best["value"], value, "{best}");
    fleet
        .run([
            "checkpoint",
            "export",
            "last/0",
            "best.safetensors",
            "--best",
        ])
        .exits(0);
    let beside = std::fs::read_to_string(fleet.dir.path().join("best.json")).unwrap();
    let beside: Value = serde_json::from_str(&beside).unwrap();
    assert_eq!(beside["step"], best["step"], "{beside}");
    fleet.run(["checkpoint", "delete", ids[0]]).exits(0);
    fleet.run(["checkpoint", "show", ids[0]]).exits(3);
    fleet.run(["checkpoint", "verify", ids[1]]).exits(0);
    fleet.nothing_left();
}

/// With no fleet named, what trains starts one and ends with it.
#[test]
fn trials_are_forked_and_resumed_in_the_foreground() {
    let (fleet, _) = trained();
    // At its end there is nothing left to train.
    let change = ["--set", "optimizer.lr=1e-4", "-o", "json"];
    let fork = |from: &str| fleet.run(["trial", "fork", from].into_iter().chain(change));
    fork("last/1").exits(2);
    let listed = shown(&fleet, "checkpoint list last/1");
    let forked = fork(listed[0]["checkpoint"].as_str().unwrap());
    let forked = forked.exits(0).json();
    assert!(forked.to_string().contains("/2"), "{forked}");
    let fork = shown(&fleet, "trial show last/2");
    assert_eq!(fork["state"], "completed", "{fork}");
    assert_eq!(fork["parameters"]["optimizer.lr"], 1e-4);
    assert!(fork["parent"].as_str().unwrap().contains("/1@"), "{fork}");
    // What is complete is not resumed.
    fleet.run(["trial", "resume", "last/2"]).exits(1);
    fleet.nothing_left();
}

#[test]
fn another_dataset_is_not_the_version_before() {
    let fleet = Fleet::new();
    let add = |file: &str, rows: &str, name: &str| {
        let path = spec_file(fleet.dir.path(), file, rows);
        let path = path.to_str().unwrap().to_owned();
        fleet
            .run(["dataset", "add", &path, "--name", name])
            .exits(0)
    };
    add("a.csv", "x,y\n1,2\n3,4\n", "ab1");
    add("b.csv", "x,y\n1,2\n", "ab2");
    // A new name that is the beginning of others.
    for name in ["ab", "a"] {
        let added = add("c.csv", "z\n1\n", name);
        assert!(!added.stdout.contains("changed"), "{added:?}");
    }
    let changed = add("c.csv", "z\n1\n2\n", "ab");
    assert!(changed.stdout.contains("rows: 1 to 2"), "{changed:?}");
}

/// The main job of the README.
#[test]
fn the_digits_are_learned() {
    let fleet = Fleet::new();
    let spec = repository().join("configs/digits.yaml");
    let outcome = fleet.run(["run", spec.to_str().unwrap(), "--quiet", "-o", "json"]);
    let document = outcome.exits(0).json();
    let best = document["best"]["value"].as_f64().unwrap();
    assert!(best >= 0.975, "{best}");
    assert!(document["trials"].as_array().unwrap().len() >= 20);
    fleet.nothing_left();
}
