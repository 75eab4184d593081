//! What may stand in a file: its length, words that belong to one room, words that belong nowhere.

use super::tree::{SourceFile, files};
use super::{assert_clean, assert_one};

/// Hard limit of a source file, tests counted; 300 is aimed at.
const LINES_MAX: usize = 500;
/// Files that may be longer, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// Files longer than the limit, and exceptions that are not needed any more.
fn check_lengths(files: &[SourceFile], long: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_excepted = |path: &str| long.iter().any(|(excepted, _)| *excepted == path);
    for file in files.iter().filter(|f| f.is_rust()) {
        let lines = file.text.lines().count();
        if lines > LINES_MAX && !is_excepted(&file.path) {
            wrong.push(format!(
                "{}: {lines} lines, the limit is {LINES_MAX}",
                file.path
            ));
        }
    }
    for (path, _) in long {
        let is_long = |f: &SourceFile| f.path == *path && f.text.lines().count() > LINES_MAX;
        if !files.iter().any(is_long) {
            wrong.push(format!(
                "{path}: excepted from the line limit and within it"
            ));
        }
    }
    wrong
}

/// A path prefix that may be named only where `homes` say. Where `within` is given, only files below it are looked at.
struct Confined {
    words: &'static [&'static str],
    within: &'static [&'static str],
    homes: &'static [&'static str],
    reason: &'static str,
}

const CONFINED: &[Confined] = &[
    Confined {
        words: &["pb::"],
        within: &[],
        homes: &["proto/", "coordinator/src/grpc", "worker/src/link.rs"],
        reason: "generated types stop at the door",
    },
    Confined {
        words: &["tonic::", "prost::"],
        within: &["coordinator/", "worker/"],
        homes: &[
            "coordinator/src/grpc",
            "coordinator/src/gate.rs",
            "coordinator/src/http/mod.rs",
            "worker/src/link.rs",
        ],
        reason: "the wire stops at the door",
    },
    Confined {
        words: &[
            "HashMap",
            "HashSet",
            "SystemTime",
            "std::time::Instant",
            "std::thread",
            "std::fs",
            "std::env",
            "tokio",
        ],
        within: &[
            "crates/domain/src/",
            "crates/search/src/",
            "crates/sim/src/",
        ],
        homes: &[],
        reason: "a pure room is a function of its arguments, the same on every machine",
    },
    Confined {
        words: &["tokio"],
        within: &["crates/"],
        homes: &["crates/store/", "crates/collective/"],
        reason: "these rooms are synchronous",
    },
];

/// Words outside their rooms. Lines that are comments may say them.
fn check_confined(files: &[SourceFile]) -> Vec<String> {
    let mut wrong = Vec::new();
    let starts = |path: &str, prefixes: &[&str]| prefixes.iter().any(|p| path.starts_with(p));
    for rule in CONFINED {
        let looked_at = files
            .iter()
            .filter(|f| f.is_rust() && !starts(&f.path, &[HERE]));
        let inside = looked_at.filter(|f| rule.within.is_empty() || starts(&f.path, rule.within));
        for file in inside.filter(|f| !starts(&f.path, rule.homes)) {
            for (number, line) in (1..).zip(file.text.lines()) {
                if line.trim_start().starts_with("//") {
                    continue;
                }
                for word in rule.words.iter().filter(|word| names(line, word)) {
                    wrong.push(format!("{}:{number}: {word} ({})", file.path, rule.reason));
                }
            }
        }
    }
    wrong
}

/// Whether a line has the word where no longer name ends in it.
fn names(line: &str, word: &str) -> bool {
    let before = |at: usize| line[..at].chars().next_back();
    let is_start = |at: usize| !before(at).is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| is_start(at))
}

/// This folder says all the words that others must not.
const HERE: &str = "tests/fast/tidy/";
/// Text nobody wrote by hand.
const NOT_OURS: &[&str] = &["Cargo.lock", "LICENSE-APACHE"];

/// Words that belong into no file, where they may stand all the same, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    ("/work/", &[], "a path of one machine"),
    ("/root/", &[], "a path of one machine"),
    (
        "../shared",
        &["scripts/bench.sh", "bench/"],
        "only the benchmarks look for peers, and do without",
    ),
    ("TODO", &[], "what is not done is left out whole"),
    ("FIXME", &[], "what is not done is left out whole"),
    ("#[ignore", &[], "a test runs or is not there"),
    (
        "unsafe impl Send",
        &[],
        "threads share by message or by lock",
    ),
];

fn check_forbidden(files: &[SourceFile]) -> Vec<String> {
    let mut wrong = Vec::new();
    let ours = |f: &&SourceFile| !f.path.starts_with(HERE) && !NOT_OURS.contains(&f.path.as_str());
    for file in files.iter().filter(ours) {
        for (word, homes, reason) in FORBIDDEN {
            if homes.iter().any(|home| file.path.starts_with(home)) {
                continue;
            }
            for (number, _) in (1..)
                .zip(file.text.lines())
                .filter(|(_, line)| line.contains(word))
            {
                wrong.push(format!("{}:{number}: {word} ({reason})", file.path));
            }
        }
    }
    wrong
}

#[test]
fn no_file_is_too_long() {
    assert_clean(check_lengths(&files(), LONG));
}

#[test]
fn words_stay_in_their_rooms() {
    assert_clean(check_confined(&files()));
}

#[test]
fn forbidden_words_are_nowhere() {
    assert_clean(check_forbidden(&files()));
}

#[test]
fn a_long_file_and_a_stale_exception_are_found() {
    let long = SourceFile::new("a/src/long.rs", &"\n".repeat(LINES_MAX + 1));
    let short = SourceFile::new("a/src/short.rs", &"\n".repeat(LINES_MAX));
    let text = SourceFile::new("docs/long.md", &"\n".repeat(LINES_MAX + 1));
    let all = [long, short, text];
    assert_one(&check_lengths(&all, &[]), &["a/src/long.rs", "501"]);
    assert_clean(check_lengths(&all, &[("a/src/long.rs", "a table")]));
    assert_one(
        &check_lengths(&all[1..], &[("a/src/short.rs", "a table")]),
        &["within it"],
    );
}

#[test]
fn a_word_outside_its_room_is_found() {
    #[track_caller]
    fn check(path: &str, text: &str, words: &[&str]) {
        let wrong = check_confined(&[SourceFile::new(path, text)]);
        if words.is_empty() {
            assert_clean(wrong);
        } else {
            assert_one(&wrong, words);
        }
    }
    check(
        "cli/src/a.rs",
        "\nfn f(x: pb::Trial) {}",
        &["cli/src/a.rs:2", "pb::"],
    );
    check("cli/src/a.rs", "// not pb:: here", &[]);
    check("cli/src/a.rs", "use epb::Trial;", &[]);
    check("cli/src/notes.md", "pb::Trial", &[]);
    check("proto/src/wire/a.rs", "use crate::pb::Trial;", &[]);
    check("coordinator/src/grpc/a.rs", "pb::Trial", &[]);
    check("coordinator/src/act.rs", "use tonic::Status;", &["tonic::"]);
    check("worker/src/link.rs", "use tonic::Status;", &[]);
    check(
        "crates/domain/src/a.rs",
        "let x: HashMap<u8, u8>;",
        &["HashMap", "pure"],
    );
    check("crates/domain/tests/a.rs", "let x: HashMap<u8, u8>;", &[]);
    check(
        "crates/engine/src/a.rs",
        "tokio::spawn(x)",
        &["tokio", "synchronous"],
    );
    check("crates/store/src/a.rs", "tokio::spawn(x)", &[]);
}

#[test]
fn a_forbidden_word_is_found() {
    #[track_caller]
    fn check(path: &str, text: &str, words: &[&str]) {
        let wrong = check_forbidden(&[SourceFile::new(path, text)]);
        if words.is_empty() {
            assert_clean(wrong);
        } else {
            assert_one(&wrong, words);
        }
    }
    check("a/src/a.rs", "\n// TODO: more", &["a/src/a.rs:2", "TODO"]);
    check("docs/a.md", "see ../shared/x", &["../shared"]);
    check("scripts/bench.sh", "see ../shared/x", &[]);
    check("scripts/test.sh", "cd /work/main", &["/work/"]);
    check("a/tests/a.rs", "#[ignore = \"slow\"]", &["#[ignore"]);
    check("Cargo.lock", "TODO", &[]);
}
