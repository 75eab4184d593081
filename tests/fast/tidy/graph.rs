//! What is really built: the packages of `cargo tree`, with their licences and who names them.
//!
//! `cargo metadata` lists more than that: every optional dependency that a weak feature mentions.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::tree::root;

/// Name and version.
pub type PackageId = (String, String);

#[derive(Clone, Debug, Default)]
pub struct Package {
    pub licence: String,
    /// Names of the packages that depend on it directly.
    pub dependents: BTreeSet<String>,
}

pub type Graph = BTreeMap<PackageId, Package>;

/// The workspace's graph for this machine, dev and build dependencies included.
pub fn graph() -> Graph {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = "tree --workspace --locked --prefix depth --edges normal,build,dev --format";
    let output = Command::new(cargo)
        .current_dir(root())
        .args(arguments.split(' '))
        .arg("|{p}|{l}")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    parse(std::str::from_utf8(&output.stdout).unwrap())
}

/// Reads lines of `DEPTH|NAME vVERSION ...|LICENCE (*)`; whatever a repeated package uses stands at its first line.
pub fn parse(text: &str) -> Graph {
    let mut graph = Graph::new();
    let mut above: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, '|');
        let (Some(depth), Some(package), Some(licence)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let depth: usize = depth.parse().unwrap();
        let mut words = package.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let version = words
            .next()
            .unwrap_or_default()
            .trim_start_matches('v')
            .to_owned();
        above.truncate(depth);
        let entry = graph.entry((name.clone(), version)).or_default();
        entry.licence = licence.trim_end_matches(" (*)").to_owned();
        entry.dependents.extend(above.last().cloned());
        above.push(name);
    }
    graph
}

#[test]
fn a_tree_is_read_with_its_dependents() {
    let text = "0|a v1.0.0 (/a)|MIT\n1|b v2.0.0|Apache-2.0\n2|c v3.0.0 (proc-macro)|MIT\n1|c v3.0.0 (proc-macro)|MIT (*)\n\n0|d v1.0.0|MIT\n1|b v2.0.0|Apache-2.0 (*)\n";
    let graph = parse(text);
    let dependents = |name: &str| -> Vec<String> {
        let found = graph.iter().find(|((n, _), _)| n == name).unwrap();
        found.1.dependents.iter().cloned().collect()
    };
    assert_eq!(dependents("a"), Vec::<String>::new());
    assert_eq!(dependents("b"), ["a", "d"]);
    assert_eq!(dependents("c"), ["a", "b"]);
    assert_eq!(graph[&("c".to_owned(), "3.0.0".to_owned())].licence, "MIT");
}
