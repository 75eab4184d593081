//! Paths of documents.
#![allow(clippy::unwrap_used)]

use super::*;

#[track_caller]
fn check(path: &str, expected: Asked) {
    assert_eq!(parse(path).unwrap(), expected, "{path}");
}

#[test]
fn paths_are_read() {
    let a = || "a-k2f".to_owned();
    check("/v1/sweeps", Asked::Sweeps);
    check("/v1/sweeps/a-k2f", Asked::Sweep(a()));
    check("/v1/sweeps/a-k2f/trials", Asked::SweepTrials(a()));
    let next = |count| Asked::SweepNext { name: a(), count };
    check("/v1/sweeps/a-k2f/next", next(1));
    check("/v1/sweeps/a-k2f/next?count=12", next(12));
    check("/v1/trials/a-k2f/17", Asked::Trial("a-k2f/17".into()));
    check(
        "/v1/sweeps/%E6%97%A5%20b%2Fc",
        Asked::Sweep("日 b/c".into()),
    );
    check("/v1/sweeps/%zz%4", Asked::Sweep("%zz%4".into()));
    check(
        "/v1/trials/a-k2f/17/why",
        Asked::TrialWhy("a-k2f/17".into()),
    );
    check(
        "/v1/checkpoints/a-k2f/17@1200",
        Asked::Checkpoint {
            text: "a-k2f/17@1200".into(),
            best: false,
        },
    );
    check(
        "/v1/checkpoints/a-k2f/17?best",
        Asked::Checkpoint {
            text: "a-k2f/17".into(),
            best: true,
        },
    );
    check(
        "/v1/datasets/digits@ab12",
        Asked::Dataset("digits@ab12".into()),
    );
    check("/v1/fleet", Asked::Fleet);
}

#[test]
fn other_paths_name_nothing() {
    for path in [
        "",
        "/",
        "/v1",
        "/v1/",
        "/v2/sweeps",
        "/v1/sweeps/a/b",
        "/v1/trials/a",
        "/v1/nothing",
    ] {
        assert!(
            matches!(parse(path), Err(DocumentError::NotFound(_))),
            "{path}"
        );
    }
    for count in ["0", "65", "-1", "many", ""] {
        let path = format!("/v1/sweeps/a/next?count={count}");
        assert!(
            matches!(parse(&path), Err(DocumentError::Wrong(_))),
            "{path}"
        );
    }
    let long = format!("/v1/sweeps/{}", "a".repeat(PATH_BYTES_MAX));
    assert!(matches!(parse(&long), Err(DocumentError::Wrong(_))));
}
