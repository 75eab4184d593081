//! `run` and what it leaves behind.

use std::os::unix::fs::symlink;
use std::time::Duration;

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};
use cluster_tests::procs::wait_for;

const NOOP: &str = "kind: sweep\nversion: 1\nname: tiny\nmodel: { kind: noop, x: 0.5 }\ntrain: { epochs: 3 }\n\
    search:\n  sampler: { kind: sobol, seed: 2 }\n  limit: { trials: 9 }\n  parameters:\n    model.x: { min: 0.0, max: 1.0 }\n";

/// A file with a spec of the digits in the repository; `rest` says how they are learned.
fn digits(fleet: &Fleet, name: &str, rest: &str) -> String {
    let rows = repository().join("configs/data/digits.csv");
    let text = format!(
        "kind: sweep\nversion: 1\nname: {name}\ndata: {{ dataset: {}, label: label }}\ntask: classification\n{rest}",
        rows.display()
    );
    let spec = spec_file(fleet.dir.path(), &format!("{name}.yaml"), &text);
    spec.to_str().unwrap().to_owned()
}

#[test]
fn run_prints_one_document_and_leaves_a_directory_that_can_be_asked() {
    let fleet = Fleet::new();
    let spec = spec_file(fleet.dir.path(), "tiny.yaml", NOOP);
    let outcome = fleet.run(["run", spec.to_str().unwrap(), "-o", "json"]);
    let document = outcome.exits(0).json();
    assert_eq!(document["state"], "completed");
    let trials = document["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 9);
    for trial in trials {
        let x = trial["parameters"]["model.x"].as_f64().unwrap();
        let value = trial["value"].as_f64().unwrap();
        assert!((value - ((x - 0.3) * (x - 0.3) + 1.0 / 3.0)).abs() < 1e-12);
    }
    fleet.nothing_left();
    let name = document["sweep"].as_str().unwrap().to_owned();
    assert!(
        name.starts_with("tiny-") && name.len() == "tiny-".len() + 3,
        "{name}"
    );
    let listed = fleet.run(["sweep", "list", "-o", "json"]).exits(0).json();
    assert_eq!(listed[0]["sweep"], name.as_str());
    // The same spec again is another sweep; with --resume it is the one that ended, not run again.
    let resumed = fleet.run(["run", spec.to_str().unwrap(), "--resume", "-o", "json"]);
    let resumed = resumed.exits(0).json();
    assert_eq!(resumed["sweep"], document["sweep"]);
    assert_eq!(resumed["trials"], document["trials"]);
    fleet.nothing_left();
}

#[test]
fn the_same_seed_gives_the_same_trials_whatever_the_workers() {
    let parameters = |workers: &str| {
        let fleet = Fleet::new();
        let spec = spec_file(fleet.dir.path(), "tiny.yaml", NOOP);
        let spec = spec.to_str().unwrap();
        let outcome = fleet.run(["run", spec, "--workers", workers, "-o", "json"]);
        let document = outcome.exits(0).json();
        let trials = document["trials"].as_array().unwrap().clone();
        trials
            .iter()
            .map(|t| t["parameters"].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(parameters("1"), parameters("3"));
}

#[test]
fn a_trained_model_can_be_exported() {
    let fleet = Fleet::new();
    let spec = digits(
        &fleet,
        "one",
        "model: { kind: mlp, hidden: [32] }\noptimizer: { kind: adamw, lr: 5e-3 }\ntrain: { epochs: 8 }\n",
    );
    let outcome = fleet.run(["run", &spec, "-o", "json"]);
    let document = outcome.exits(0).json();
    let best = document["best"]["value"].as_f64().unwrap();
    assert!(best > 0.9, "{best}");
    let weights = fleet.dir.path().join("model.safetensors");
    let arguments = ["checkpoint", "export", "last", weights.to_str().unwrap()];
    fleet.run(arguments).exits(0);
    let bytes = std::fs::read(&weights).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    assert!(!header.as_object().unwrap().is_empty());
    let beside = fleet.dir.path().join("model.json");
    let beside: serde_json::Value =
        serde_json::from_slice(&std::fs::read(beside).unwrap()).unwrap();
    assert!(beside["step"].as_u64().unwrap() > 0, "{beside}");
    fleet.nothing_left();
}

/// Each member, or a fork in its place, trains to the end; a fork goes on from weights of another trial.
#[test]
fn a_population_forks_its_best() {
    let fleet = Fleet::new();
    let spec = digits(
        &fleet,
        "pbt",
        "model: { kind: mlp, hidden: [16] }\ntrain: { epochs: 4 }\nsearch:\n  \
         objective: { metric: valid.loss, goal: minimize }\n  scheduler: { kind: pbt, population: 3 }\n  \
         parameters: { optimizer.lr: { min: 1e-6, max: 1e-2, log: true } }\n",
    );
    let outcome = fleet.run(["run", &spec, "-o", "json"]);
    let document = outcome.exits(0).json();
    let trials = document["trials"].as_array().unwrap();
    let in_state = |state: &str| trials.iter().filter(|t| t["state"] == state).count();
    assert_eq!(in_state("completed"), 3, "{document}");
    assert_eq!(in_state("pruned"), trials.len() - 3, "{document}");
    let forks: Vec<_> = trials.iter().filter(|t| !t["parent"].is_null()).collect();
    assert!(
        !forks.is_empty() && forks.len() == trials.len() - 3,
        "{document}"
    );
    for fork in forks {
        let shown = fleet.run([
            "trial",
            "show",
            fork["trial"].as_str().unwrap(),
            "-o",
            "json",
        ]);
        let shown = shown.exits(0).json();
        let (parent, step) = shown["parent"].as_str().unwrap().split_once('@').unwrap();
        let from = &shown["attempt_history"][0]["from_step"];
        assert_eq!(
            (from.to_string(), step != "0"),
            (step.to_owned(), true),
            "{shown}"
        );
        assert!(trials.iter().any(|t| t["trial"] == parent), "{shown}");
    }
    fleet.nothing_left();
}

#[test]
fn files_can_be_attached_to_a_trial() {
    let fleet = Fleet::new();
    let spec = spec_file(fleet.dir.path(), "tiny.yaml", NOOP);
    fleet.run(["run", spec.to_str().unwrap()]).exits(0);
    let add = ["trial", "artifact", "add", "last/0", spec.to_str().unwrap()];
    fleet.run(add).exits(0);
    let named = [&add[..], &["--name", "specs/tiny.yaml"]].concat();
    fleet.run(named).exits(0);
    fleet
        .run([&add[..], &["--name", "../up"]].concat())
        .exits(2);
    let listed = fleet.run(["trial", "artifact", "list", "last/0", "-o", "json"]);
    let listed = listed.exits(0).json();
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["name"])
        .collect();
    assert_eq!(names, ["specs/tiny.yaml", "tiny.yaml"]);
    assert_eq!(listed[0]["bytes"], NOOP.len());
    let get = [
        "trial",
        "artifact",
        "get",
        "last/0",
        "specs/tiny.yaml",
        "copy.yaml",
    ];
    fleet.run(get).exits(0);
    let copy = std::fs::read_to_string(fleet.dir.path().join("copy.yaml")).unwrap();
    assert_eq!(copy, NOOP);
    fleet
        .run(["trial", "artifact", "get", "last/0", "nothing"])
        .exits(3);
    assert!(!fleet.blobs().is_empty());
    fleet.run(["sweep", "delete", "last"]).exits(0);
    fleet.nothing_left();
}

/// An executor logs, then says that it is done, through two pipes: the last line belongs to its attempt all the same.
#[test]
fn the_last_line_of_each_trial_is_kept() {
    let fleet = Fleet::new();
    let spec = digits(
        &fleet,
        "many",
        "model: { kind: linear }\ntrain: { epochs: 1 }\nsearch:\n  limit: { trials: 20 }\n  \
         parameters: { optimizer.lr: { min: 1e-4, max: 1e-2 } }\n",
    );
    fleet.run(["run", &spec]).exits(0);
    for number in 0..20 {
        let trial = format!("last/{number}");
        let logs = fleet.run(["trial", "logs", &trial, "-o", "json"]);
        let logs = logs.exits(0).json();
        let last = logs.as_array().unwrap().last().unwrap()["text"].to_string();
        assert!(last.contains("reached its target"), "{trial}: {logs}");
    }
}

/// A killed `run` takes its workers with it: nobody waits for them, so what it left can be ended at once. Another one sets it
/// aside, and says so.
#[test]
fn what_a_killed_run_left_can_be_set_aside_cancelled_and_deleted() {
    let fleet = Fleet::new();
    let spec = digits(
        &fleet,
        "long",
        "model: { kind: linear }\ntrain: { epochs: 100000 }\n",
    );
    let run = ["run", &spec, "--quiet"];
    let mut running = fleet.command(run).spawn().unwrap();
    wait_for("a trial to train", Duration::from_secs(60), || {
        let shown = fleet.run(["sweep", "show", "last", "-o", "json"]);
        let epochs = |document: serde_json::Value| document["trials"][0]["epochs"].as_u64();
        (shown.code == Some(0) && epochs(shown.json()) > Some(0)).then_some(())
    });
    running.kill().unwrap();
    running.wait().unwrap();
    let tiny = spec_file(fleet.dir.path(), "tiny.yaml", NOOP);
    fleet.run(["run", tiny.to_str().unwrap()]).exits(0);
    let shown = fleet.run(["sweep", "show", "long", "-o", "json"]);
    let document = shown.exits(0).json();
    assert_eq!(document["state"], "paused");
    assert_eq!(document["reason"], "set aside for another sweep");
    let cancelled = fleet.run(["sweep", "cancel", "long", "-o", "json"]);
    assert_eq!(cancelled.exits(0).json()["state"], "cancelled");
    fleet.run(["sweep", "delete", "long"]).exits(0);
    fleet.nothing_left();
}

#[test]
fn results_go_where_they_are_sent_or_fail() {
    let fleet = Fleet::new();
    let spec = spec_file(fleet.dir.path(), "tiny.yaml", NOOP);
    fleet.run(["run", spec.to_str().unwrap()]).exits(0);
    let [file, link, device] = ["t.csv", "l.csv", "d.csv"].map(|name| fleet.dir.path().join(name));
    std::fs::write(&file, "old").unwrap();
    symlink(&file, &link).unwrap();
    symlink("/dev/null", &device).unwrap();
    fleet.run(["sweep", "export", "last", "l.csv"]).exits(0);
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("trial,")
    );
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let refused = fleet.run(["sweep", "export", "last", "d.csv"]);
    assert!(refused.stderr.contains("a pipe or a device"), "{refused:?}");
    refused.exits(1);
    assert!(std::fs::symlink_metadata(&device).unwrap().is_symlink());

    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut list = fleet.command(["sweep", "list", "-o", "json"]);
    let output = list.stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write to stdout"), "{said}");
}
