//! What a disk does to files at rest: said by name, never read as whole, and mended by what a user would do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};
use cluster_tests::procs::wait_for;

const LIMIT: Duration = Duration::from_secs(60);

fn digits() -> String {
    let path = repository().join("configs/data/digits.csv");
    path.display().to_string()
}

/// One trial over the dataset that the fleet has.
fn spec(dir: &Path, dataset: &str, epochs: u32, seed: u32) -> String {
    let text = format!(
        "kind: sweep\nversion: 1\nname: one\ndata: {{ dataset: {dataset}, label: label, split: {{ seed: {seed} }} }}\n\
         task: classification\nmodel: {{ kind: linear }}\ntrain: {{ epochs: {epochs} }}\n"
    );
    let name = format!("one-{epochs}-{seed}.yaml");
    spec_file(dir, &name, &text).display().to_string()
}

/// Changes one byte in the middle of a blob.
fn flip(fleet: &Fleet, digest: &str) -> PathBuf {
    let path = fleet.data().join("blobs").join(digest);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The largest blob that is not in `known`.
fn largest(fleet: &Fleet, known: &[String]) -> String {
    let size = |name: &String| {
        std::fs::metadata(fleet.data().join("blobs").join(name))
            .unwrap()
            .len()
    };
    let blobs = fleet
        .blobs()
        .into_iter()
        .filter(|name| !known.contains(name));
    blobs.max_by_key(size).unwrap()
}

#[test]
fn a_damaged_dataset_is_refused_by_name_and_added_again() {
    let fleet = Fleet::new();
    fleet.run(["dataset", "add", &digits()]).exits(0);
    let rows = largest(&fleet, &[]);
    let spec = spec(fleet.dir.path(), "digits", 1, 7);
    let whole = flip(&fleet, &rows);
    let refused = fleet.run(["run", &spec]);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    refused.exits(1);
    assert!(said.contains("its data is damaged"), "{said}");
    assert!(!whole.exists(), "it is set aside");
    fleet.run(["dataset", "verify", "digits"]).exits(1);
    fleet.run(["dataset", "add", &digits()]).exits(0);
    fleet.run(["dataset", "verify", "digits"]).exits(0);
    fleet.run(["run", &spec]).exits(0);
    fleet.nothing_left();
}

#[test]
fn damaged_prepared_data_is_prepared_again() {
    let fleet = Fleet::new();
    fleet.run(["dataset", "add", &digits()]).exits(0);
    let rows = largest(&fleet, &[]);
    let spec = spec(fleet.dir.path(), "digits", 2, 8);
    let first = fleet.run(["run", &spec, "-o", "json"]).exits(0).json();
    flip(&fleet, &largest(&fleet, &[rows]));
    // A machine that has nothing of it yet.
    std::fs::remove_dir_all(fleet.data().join("workers")).unwrap();
    let second = fleet.run(["run", &spec, "-o", "json"]).exits(0).json();
    assert_eq!(second["best"]["value"], first["best"]["value"]);
    fleet.nothing_left();
}

#[test]
fn a_log_that_is_gone_is_not_an_empty_fleet() {
    let fleet = Fleet::new();
    fleet.run(["dataset", "add", &digits()]).exits(0);
    let before = fleet.blobs();
    std::fs::rename(fleet.data().join("log"), fleet.data().join("elsewhere")).unwrap();
    let refused = fleet.run(["sweep", "list"]);
    let said = refused.stderr.clone();
    refused.exits(1);
    assert!(said.contains("put the log back"), "{said}");
    let _ = std::fs::remove_dir_all(fleet.data().join("log"));
    std::fs::rename(fleet.data().join("elsewhere"), fleet.data().join("log")).unwrap();
    fleet.run(["dataset", "show", "digits"]).exits(0);
    assert_eq!(fleet.blobs(), before);
}

/// A torn end was never acknowledged and is cut; what was closed whole and is shorter now is not taken for one.
#[test]
fn an_end_that_is_gone_is_refused_by_name() {
    let fleet = Fleet::new();
    let text =
        "kind: sweep\nversion: 1\nname: one\nmodel: { kind: noop, x: 0.5 }\ntrain: { epochs: 3 }\n";
    let spec = spec_file(fleet.dir.path(), "one.yaml", text);
    fleet.run(["run", spec.to_str().unwrap()]).exits(0);
    let metrics = ["trial", "metrics", "last/0", "-o", "json"];
    let before = fleet.run(metrics).exits(0).json();
    assert!(!before.as_array().unwrap().is_empty());
    let in_folder = |folder: &str, extension: &str| {
        let entries = std::fs::read_dir(fleet.data().join(folder)).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        // Such as spare.log, in which nothing is yet.
        let is_spare = |path: &Path| path.file_stem().is_some_and(|stem| stem == "spare");
        paths.find(|path| !is_spare(path) && path.extension().is_some_and(|e| e == extension))
    };
    let journal = in_folder("tracker", "journal").unwrap();
    let log = in_folder("log", "log").unwrap();
    for (file, kept) in [(&journal, None), (&journal, Some(2)), (&log, Some(2))] {
        let whole = std::fs::read(file).unwrap();
        let written = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        match kept {
            None => std::fs::remove_file(file).unwrap(),
            Some(part) => std::fs::write(file, &whole[..written - written / part]).unwrap(),
        }
        let refused = fleet.run(metrics);
        let said = refused.stderr.clone();
        refused.exits(1);
        assert!(said.contains(file.to_str().unwrap()), "{said}");
        std::fs::write(file, &whole).unwrap();
        assert_eq!(fleet.run(metrics).exits(0).json(), before);
    }
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let mut fleet = Fleet::start(1, 1);
    let text = format!(
        "kind: sweep\nversion: 1\nname: long\ndata: {{ dataset: {}, label: label }}\ntask: classification\n\
         model: {{ kind: linear }}\ntrain: {{ epochs: 200 }}\ncheckpoint: {{ every: 1 epoch, keep: {{ last: 2 }} }}\n",
        digits()
    );
    let spec = spec_file(fleet.dir.path(), "long.yaml", &text);
    let submit = |fleet: &Fleet| {
        let submitted = fleet.run(["sweep", "submit", spec.to_str().unwrap(), "-o", "json"]);
        let document = submitted.exits(0).json();
        document["sweep"].as_str().unwrap().to_owned()
    };
    let calm = submit(&fleet);
    fleet.finished(&calm, LIMIT);

    let name = submit(&fleet);
    let trial = format!("{name}/0");
    wait_for("two checkpoints", LIMIT, || {
        let listed = fleet.run(["checkpoint", "list", &trial, "-o", "json"]);
        let of_this = listed.code == Some(0) && listed.json().as_array().unwrap().len() >= 2;
        of_this.then_some(())
    });
    fleet.run(["sweep", "pause", &name]).exits(0);
    wait_for("the pause", LIMIT, || {
        let shown = fleet.run(["trial", "show", &trial, "-o", "json"]).exits(0);
        (shown.json()["state"] == "paused").then_some(())
    });
    let newest = fleet.run(["checkpoint", "show", &trial, "-o", "json"]);
    let newest = newest.exits(0).json();
    let chunk = &newest["contents"]["parts"][0]["chunks"][0]["digest"];
    flip(&fleet, chunk.as_str().unwrap());
    // A machine that has nothing of it yet.
    fleet.end_worker(0);
    std::fs::remove_dir_all(fleet.data().join("workers")).unwrap();
    fleet.start_worker(0);
    fleet.run(["sweep", "resume", &name]).exits(0);
    let document = fleet.finished(&name, LIMIT);
    assert_eq!(document["state"], "completed", "{document}");

    let shown = fleet.run(["trial", "show", &trial, "-o", "json"]).exits(0);
    let attempts = shown.json()["attempt_history"].clone();
    let ends: Vec<&str> = attempts
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|attempt| attempt["end"].as_str())
        .collect();
    let said = format!("checkpoint at step {} is damaged", newest["step"]);
    assert!(ends.iter().any(|end| end.contains(&said)), "{ends:?}");
    let last = attempts.as_array().unwrap().last().unwrap();
    assert!(last["from_step"].as_u64() > Some(0), "{last}");
    assert!(
        last["from_step"].as_u64() < newest["step"].as_u64(),
        "{last}"
    );
    assert_eq!(fleet.series(&trial), fleet.series(&format!("{calm}/0")));
    fleet.stop();
}
