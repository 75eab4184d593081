//! Every numbered invariant of `docs/ARCHITECTURE.md` is named by a test or a predicate.

use std::collections::BTreeMap;

use super::tree::{SourceFile, files};
use super::{assert_clean, assert_one};

const DOCUMENT: &str = "docs/ARCHITECTURE.md";

/// Invariants that nothing can test yet, and what they wait for.
const WAITING: &[(u32, &str)] = &[(
    7,
    "a group has one member until training is distributed, so there is nothing to compare",
)];

/// Numbers of the rows `| I7 | ... |` of the document, in order.
fn listed(files: &[SourceFile]) -> Vec<u32> {
    let document = files.iter().find(|f| f.path == DOCUMENT);
    let lines = document.into_iter().flat_map(|f| f.text.lines());
    let row = |line: &str| line.strip_prefix("| I")?.split(' ').next()?.parse().ok();
    lines.filter_map(row).collect()
}

/// Where each number is named: predicates and files with tests, as `I` and digits by themselves.
fn named(files: &[SourceFile]) -> BTreeMap<u32, String> {
    let holds_tests = |f: &&SourceFile| {
        let is_ours = f.is_rust() && !f.path.starts_with("tests/fast/tidy/");
        is_ours && (f.path.ends_with("invariant.rs") || f.text.contains("#[test]"))
    };
    let mut found = BTreeMap::new();
    for file in files.iter().filter(holds_tests) {
        for word in file.text.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if let Some(number) = word.strip_prefix('I').and_then(|n| n.parse().ok()) {
                found.entry(number).or_insert_with(|| file.path.clone());
            }
        }
    }
    found
}

fn check_invariants(files: &[SourceFile], waiting: &[(u32, &str)]) -> Vec<String> {
    let (listed, named) = (listed(files), named(files));
    let mut wrong = Vec::new();
    if listed.is_empty() || !listed.iter().copied().eq(1..=listed.len() as u32) {
        wrong.push(format!("{DOCUMENT} lists the invariants {listed:?}"));
    }
    for number in &listed {
        let waits = waiting.iter().any(|(w, _)| w == number);
        match named.get(number) {
            None if !waits => wrong.push(format!("I{number} is named by no test")),
            Some(path) if waits => wrong.push(format!("I{number} waits no longer: {path}")),
            _ => {}
        }
    }
    for (number, path) in named.iter().filter(|(number, _)| !listed.contains(number)) {
        wrong.push(format!("{path} names I{number}, which {DOCUMENT} lacks"));
    }
    wrong
}

#[test]
fn every_invariant_has_a_test() {
    assert_clean(check_invariants(&files(), WAITING));
}

#[test]
fn an_invariant_without_a_test_is_found() {
    let files = |document: &str, test: &str| {
        [
            SourceFile::new(DOCUMENT, document),
            SourceFile::new("a/src/a.rs", &format!("#[test]\nfn a() {{}} // {test}")),
            SourceFile::new("a/src/b.rs", "// I2, but no test here"),
        ]
    };
    let document = "| I1 | one |\n| I2 | two |\n";
    assert_clean(check_invariants(&files(document, "I1, I2"), &[]));
    assert_clean(check_invariants(&files(document, "I1"), &[(2, "later")]));
    assert_one(
        &check_invariants(&files(document, "I1"), &[]),
        &["I2 is named by no test"],
    );
    assert_one(
        &check_invariants(&files(document, "I1 I2"), &[(2, "x")]),
        &["I2 waits no longer"],
    );
    assert_one(
        &check_invariants(&files(document, "I1 I2 I3"), &[]),
        &["I3", "lacks"],
    );
    assert_one(
        &check_invariants(&files("| I2 | two |\n", "I2"), &[]),
        &["lists the invariants [2]"],
    );
}
