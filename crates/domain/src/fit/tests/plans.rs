//! Trials, epochs and rungs of a search before it runs.

use super::spec_of;
use crate::fit::preview;
use crate::search::RungPlan;

#[track_caller]
fn check_preview(search: &str, expected: (Option<u64>, Option<u64>, &[(u64, u32)])) {
    let text = format!("model: {{ kind: noop }}\ntrain: {{ epochs: 9 }}\nsearch: {search}");
    let found = preview(&spec_of(&text));
    let rungs: Vec<(u64, u32)> = found
        .rungs
        .iter()
        .map(|RungPlan { until, trials }| (*until, *trials))
        .collect();
    assert_eq!(
        (found.trials, found.epochs, rungs.as_slice()),
        expected,
        "{search}"
    );
}

#[test]
fn previews_count_trials_and_epochs() {
    let x = "parameters: { model.x: { min: 0, max: 1 } }";
    let grid = "sampler: { kind: grid }, parameters: { model.x: { values: [1, 2, 3] } }";
    check_preview(
        &format!("{{ limit: {{ trials: 5 }}, {x} }}"),
        (Some(5), Some(45), &[(9, 5)]),
    );
    check_preview(&format!("{{ {grid} }}"), (Some(3), Some(27), &[(9, 3)]));
    check_preview(
        &format!("{{ limit: {{ trials: 2 }}, {grid} }}"),
        (Some(2), Some(18), &[(9, 2)]),
    );
    check_preview(
        &format!("{{ limit: {{ time: 1h }}, {x} }}"),
        (None, None, &[]),
    );
    check_preview(
        &format!("{{ limit: {{ time: 1h }}, scheduler: {{ kind: asha }}, {x} }}"),
        (None, None, &[]),
    );
    check_preview(
        &format!("{{ limit: {{ trials: 9 }}, scheduler: {{ kind: asha }}, {x} }}"),
        (Some(9), Some(9 + 6 + 6), &[(1, 9), (3, 3), (9, 1)]),
    );
    // Brackets of 9, 5 and 3 trials that begin at 1, 3 and 9.
    check_preview(
        &format!("{{ limit: {{ trials: 17 }}, scheduler: {{ kind: hyperband }}, {x} }}"),
        (Some(17), Some(17 + 22 + 30), &[(1, 17), (3, 11), (9, 5)]),
    );
    check_preview(
        &format!("{{ limit: {{ trials: 17 }}, scheduler: {{ kind: bohb }}, {x} }}"),
        (Some(17), Some(17 + 22 + 30), &[(1, 17), (3, 11), (9, 5)]),
    );
    check_preview(
        &format!("{{ limit: {{ trials: 9 }}, scheduler: {{ kind: pasha }}, {x} }}"),
        (Some(9), Some(9 + 6 + 6), &[(1, 9), (3, 3), (9, 1)]),
    );
    check_preview(
        &format!("{{ limit: {{ trials: 9 }}, scheduler: {{ kind: plateau }}, {x} }}"),
        (Some(9), Some(81), &[(9, 9)]),
    );
    // Five members, each with those that take its place; one gives way at the end of four intervals.
    let pbt = "scheduler: { kind: pbt, population: 5, interval: 2 }";
    check_preview(&format!("{{ {pbt}, {x} }}"), (Some(5), Some(45), &[(9, 5)]));
    let forks = |limit: &str| {
        let search = format!("search: {{ {limit} {pbt}, {x} }}");
        preview(&spec_of(&format!(
            "model: {{ kind: noop }}\ntrain: {{ epochs: 9 }}\n{search}"
        )))
        .forks
    };
    assert_eq!(forks(""), Some(4));
    assert_eq!(forks("limit: { trials: 7 },"), Some(2));
    let single = preview(&spec_of("model: { kind: noop }"));
    assert_eq!(
        (single.trials, single.epochs, single.forks),
        (Some(1), Some(1), None)
    );
    let external = "trials: external\nsearch: { limit: { trials: 5 }, objective: { metric: m, goal: minimize }, parameters: { x: { min: 0, max: 9 } } }";
    let external = preview(&spec_of(external));
    assert_eq!((external.trials, external.epochs), (Some(5), None));
    assert_eq!((external.epochs_full, external.rungs.len()), (None, 0));
}
