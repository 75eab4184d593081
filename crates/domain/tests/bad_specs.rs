//! Every way to write a bad spec that we could think of, with the text that its writer gets to read.
//!
//! `golden/bad_specs.txt` holds cases and answers together: a case is a title, the text, `----` and what is printed.
//! A text is the base (the first case) with its top-level keys replaced or added; `-key` takes one away, `whole:` starts
//! a text of its own, `--set path=value` is an override. `UPDATE_GOLDEN=1` writes the answers anew: read the difference.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use bonfire_domain::spec::{Problem, TEXT_BYTES_MAX, check, render_problems};

const GOLDEN: &str = include_str!("golden/bad_specs.txt");
const PATH: &str = "tests/golden/bad_specs.txt";

struct Case<'a> {
    title: &'a str,
    body: &'a str,
    answer: &'a str,
}

fn cases() -> Vec<Case<'static>> {
    let blocks = GOLDEN.strip_prefix("== ").unwrap().split("\n== ");
    blocks
        .map(|block| {
            let (title, rest) = block.split_once('\n').unwrap();
            let (body, answer) = rest.split_once("----\n").unwrap();
            Case {
                title,
                body,
                answer,
            }
        })
        .collect()
}

/// The top-level keys of a text, each with its lines.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let indented = line.starts_with([' ', '\t', '}', ']', '#']) || line.is_empty();
        match sections.last_mut() {
            Some((_, lines)) if indented => lines.push_str(&format!("{line}\n")),
            _ => {
                let key = line.split(':').next().unwrap_or(line);
                sections.push((key.to_owned(), format!("{line}\n")));
            }
        }
    }
    sections
}

/// The whole text and the overrides of a case.
fn build(base: &str, body: &str) -> (String, Vec<(String, String)>) {
    let mut overrides = Vec::new();
    let mut own = String::new();
    for line in body.lines() {
        match line
            .strip_prefix("--set ")
            .and_then(|set| set.split_once('='))
        {
            Some((path, value)) => overrides.push((path.to_owned(), value.to_owned())),
            None => own.push_str(&format!("{line}\n")),
        }
    }
    if let Some(whole) = own.strip_prefix("whole:\n") {
        return (whole.to_owned(), overrides);
    }
    let mut text = sections(base);
    for (key, lines) in sections(&own) {
        if let Some(gone) = key.strip_prefix('-') {
            text.retain(|(other, _)| other != gone);
        } else if let Some(at) = text.iter().position(|(other, _)| *other == key) {
            text[at].1 = lines;
        } else {
            text.push((key, lines));
        }
    }
    (
        text.into_iter().map(|(_, lines)| lines).collect(),
        overrides,
    )
}

fn answer(text: &str, overrides: &[(String, String)]) -> String {
    match check(text.as_bytes(), overrides) {
        Ok(_) => "good\n".into(),
        Err(problems) => render_problems(&problems, "bad.yaml", text.as_bytes()),
    }
}

#[test]
fn bad_specs_are_told_what_is_wrong() {
    let cases = cases();
    let base = cases[0].body;
    let mut fresh = String::new();
    let mut wrong = Vec::new();
    for case in &cases {
        let (text, overrides) = build(base, case.body);
        let found = answer(&text, &overrides);
        fresh.push_str(&format!("== {}\n{}----\n{found}\n", case.title, case.body));
        if found.trim_end() != case.answer.trim_end() {
            wrong.push(format!("{}:\n{found}", case.title));
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PATH, fresh).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let bad = cases
        .iter()
        .filter(|case| case.answer.trim() != "good")
        .count();
    assert!(bad >= 60, "{bad} bad specs");
}

#[track_caller]
fn check_bytes(text: &[u8], expected: &[&str]) {
    let found: Vec<String> = check(text, &[])
        .unwrap_err()
        .iter()
        .map(Problem::to_string)
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn bytes_that_are_no_text() {
    check_bytes(
        b"kind: sweep\nname: caf\xe9\n",
        &["2:10: not UTF-8 from here on: save the file as UTF-8"],
    );
    check_bytes(
        b"kind: sweep\n\0\0",
        &["2:1: a NUL byte: this is not a text file"],
    );
    check_bytes(
        b"\x1f\x8b\x08",
        &["1:2: not UTF-8 from here on: save the file as UTF-8"],
    );
    check_bytes(
        b"PAR1\x15\x04",
        &["1:1: not YAML: unexpected character: `\\u{15}'"],
    );
    check_bytes(b"", &["1:1: the file is empty"]);
    check_bytes(b"# only a comment\n", &["1:1: the file is empty"]);
}

#[test]
fn a_huge_file_is_refused_before_it_is_parsed() {
    let huge = vec![b'a'; 100_000_000];
    let message = format!(
        "1:1: the file has more than {TEXT_BYTES_MAX} bytes, which no spec needs: is it one?"
    );
    check_bytes(&huge, &[&message]);
}

#[test]
fn bombs_are_bounded() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for i in 1..9 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        laughs.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    check_bytes(
        laughs.as_bytes(),
        &["5:45: more than 100000 values, with aliases expanded"],
    );
    let deep = |levels: usize| format!("a: {}{}", "[".repeat(levels), "]".repeat(levels));
    check_bytes(deep(40).as_bytes(), &["1:35: nested deeper than 32 levels"]);
    check_bytes(
        deep(10_000).as_bytes(),
        &["1:259: not YAML: recursion limit exceeded"],
    );
    let wide = format!("a: [{}]", "1,".repeat(200_000));
    check_bytes(
        wide.as_bytes(),
        &["1:199999: more than 100000 values, with aliases expanded"],
    );
    let mut tower = String::from("a0: &a0 [1]\n");
    for i in 1..40 {
        tower.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
    }
    check_bytes(tower.as_bytes(), &["32:12: nested deeper than 32 levels"]);
}

#[test]
fn many_problems_are_bounded() {
    let text: String = (0..500).map(|i| format!("unknown{i}: 1\n")).collect();
    let problems = check(text.as_bytes(), &[]).unwrap_err();
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100].message, "and 406 more problems");
}
