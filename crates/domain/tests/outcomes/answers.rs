//! What an asker hears of what it tells.

use bonfire_domain::effect::Effect;
use bonfire_domain::{Cluster, view};
use serde_json::json;

use super::{SEARCH, Sweep, Word, id};

/// Tells of one trial under a scheduler; what each word is answered with, or refused with.
#[track_caller]
fn check_answers(scheduler: &str, words: &[(Word<'_>, &str)]) {
    let mut told = Sweep::new(&format!("{SEARCH}  scheduler: {scheduler}\n"), 1);
    for (word, expected) in words {
        let mut answers = Vec::new();
        for effect in told.say(*word) {
            match effect {
                Effect::Refused(refusal) => answers.push(refusal.to_string()),
                Effect::Told {
                    repeated,
                    proceed,
                    kept,
                    ..
                } => {
                    let said = [("repeated", repeated), ("go on", proceed), ("kept", kept)];
                    let said = said.into_iter().filter(|(_, said)| *said);
                    answers.push(said.map(|(word, _)| word).collect::<Vec<_>>().join(", "));
                }
                _ => {}
            }
        }
        assert_eq!(answers.join("; "), *expected, "{scheduler}: {word:?}");
    }
}

#[test]
fn what_is_told_again_or_too_late_is_answered_for_what_it_is() {
    const GOOD: &[(&str, f64)] = &[("ms", 10.0), ("mb", 4.0)];
    const BAD: &[(&str, f64)] = &[("ms", 30.0), ("mb", 4.0)];
    let over = "cannot take what was told: it is completed";
    check_answers(
        "{ kind: none }",
        &[
            ((0, Some(1), 3.0, GOOD), "go on, kept"),
            ((0, Some(1), 3.0, GOOD), "repeated, go on, kept"),
            // The first one counts, whatever a later attempt finds there.
            ((0, Some(1), 4.0, GOOD), "repeated, go on"),
            ((0, None, 2.0, GOOD), "kept"),
            ((0, None, 2.0, GOOD), "repeated, kept"),
            ((0, None, 2.0, &[]), "repeated, kept"),
            ((0, None, 2.0, BAD), over),
            ((0, None, 2.0, &[("kb", 1.0)]), over),
            ((0, None, 1.0, GOOD), over),
            ((0, Some(1), 3.0, GOOD), "repeated, kept"),
            ((0, Some(1), 4.0, GOOD), over),
            ((0, Some(9), 1.0, GOOD), over),
        ],
    );
    // At a rung it waits: nothing is kept before it is given out again.
    check_answers(
        "{ kind: asha, max: 9 }",
        &[
            ((0, Some(1), 3.0, GOOD), "kept"),
            ((0, Some(9), 2.0, GOOD), ""),
            ((0, Some(1), 3.0, GOOD), "repeated, kept"),
        ],
    );
    // At the last rung it is done.
    check_answers(
        "{ kind: asha, min: 9, max: 9 }",
        &[
            ((0, Some(8), 3.0, &[]), "go on, kept"),
            (
                (0, Some(9), 2.0, &[]),
                "the search compares trials by ms too, and nobody has told it: tell it with the value (--metric ms=NUMBER)",
            ),
            ((0, Some(9), 2.0, GOOD), "kept"),
            ((0, None, 2.0, GOOD), "repeated, kept"),
            ((0, None, 1.0, GOOD), "repeated"),
            ((0, Some(10), 1.0, GOOD), over),
        ],
    );
}

#[test]
fn what_was_told_has_a_time() {
    let search = "  objective: { metric: loss, goal: minimize }\n  limit: { trials: 9 }\n  sampler: { kind: tpe }\n  parameters: { x: { min: 0.0, max: 1.0 } }\n";
    let mut told = Sweep::new(search, 2);
    for word in [(0, Some(3), 0.5, &[][..]), (1, None, 0.25, &[])] {
        told.tell(word).unwrap();
    }
    let point = |epoch: u64, value: f64, time: &str| json!([{ "key": "loss", "step": epoch, "epoch": epoch, "value": value, "time": time }]);
    let time = view::time_text(super::AT);
    let expected = [point(3, 0.5, &time), point(1, 0.25, &time)];
    let restarted = Cluster::decode(&told.cluster.encode()).unwrap();
    assert_eq!(restarted, told.cluster);
    for cluster in [&told.cluster, &restarted] {
        let found = [0, 1].map(|number| serde_json::Value::from(view::told(cluster, id(number))));
        assert_eq!(found, expected);
    }
}

#[test]
fn old_snapshots_have_no_times() {
    let mut told = Sweep::new(SEARCH, 1);
    told.tell((0, Some(1), 0.5, &[("ms", 1.0), ("mb", 1.0)]))
        .unwrap();
    let mut bytes = told.cluster.encode();
    // One trial with times, number 0; one of them, of unit 1, at 1. After it the newest dataset.
    assert_eq!(bytes.split_off(bytes.len() - 6), [1, 0, 1, 1, 1, 0]);
    bytes.push(0);
    bytes[..2].copy_from_slice(&5u16.to_le_bytes());
    let old = Cluster::decode(&bytes).unwrap();
    assert_eq!(view::told(&old, id(0))[0]["time"], json!(null));
    assert_ne!(old, told.cluster);
}
