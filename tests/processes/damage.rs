//! What a disk does to files at rest: said by name, never read as whole, and mended by what a user would do.

use std::path::{Path, PathBuf};

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};

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
