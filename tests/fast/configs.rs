//! Every example under `configs/` loads, and what it names is there.

use std::path::{Path, PathBuf};

use bonfire_domain::spec::{check, render_problems};

use crate::tidy::tree::root;

/// The files of `configs/` with this extension, sorted.
fn configs(extension: &str) -> Vec<PathBuf> {
    files(&root().join("configs"), extension)
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    let folder = folder.display();
    assert!(!found.is_empty(), "no {extension} file in {folder}");
    found
}

/// What is wrong with a spec that stands in `folder`.
fn problems(text: &str, folder: &Path) -> Option<String> {
    let spec = match check(text.as_bytes(), &[]) {
        Ok(spec) => spec,
        Err(problems) => return Some(render_problems(&problems, "spec", text.as_bytes())),
    };
    let dataset = spec.data?.dataset;
    let is_there = folder.join(&dataset).exists();
    (!is_there).then(|| format!("data.dataset: {dataset} is not there"))
}

#[test]
fn every_spec_loads_and_finds_its_data() {
    for path in configs("yaml") {
        let text = std::fs::read_to_string(&path).unwrap();
        let found = problems(&text, &root().join("configs"));
        assert_eq!(found, None, "{}", path.display());
    }
}

#[test]
fn the_specs_of_examples_load() {
    let folder = root().join("examples/ask-tell");
    for path in files(&folder, "yaml") {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(problems(&text, &folder), None, "{}", path.display());
    }
}

#[test]
fn every_node_config_is_toml() {
    for path in configs("toml") {
        let text = std::fs::read_to_string(&path).unwrap();
        let read = text.parse::<toml::Table>();
        assert!(
            read.is_ok_and(|table| !table.is_empty()),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_wrong_spec_and_missing_data_are_found() {
    let folder = root().join("configs");
    assert!(problems("kind: sweep\nversion: 1\nname: a\nmodle: {}\n", &folder).is_some());
    let text = "kind: sweep\nversion: 1\nname: a\ntask: classification\nmodel: { kind: mlp }\n\
                data: { dataset: ./nowhere.csv, label: y }\n";
    let found = problems(text, &folder).unwrap();
    assert!(found.contains("nowhere.csv"), "{found}");
}
