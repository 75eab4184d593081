use super::*;
use crate::Goal::{Maximize, Minimize};

#[derive(Clone, Copy)]
enum Fact {
    Seen(u64, f64),
    End(Ending),
    /// Whether it goes for those before.
    Broken(f64, bool),
}
use Fact::{Broken, End, Seen};

/// Trial i is told the facts of row i.
fn tell(history: &mut History, goal: Goal, facts: &[&[Fact]]) {
    for (number, _) in (0..).zip(facts) {
        history.create(number, Box::new([f64::from(number)]));
    }
    for (number, facts) in (0..).zip(facts) {
        for fact in *facts {
            match fact {
                Seen(at, value) => history.observe(goal, number, *at, *value),
                End(ending) => history.end(goal, number, *ending),
                Broken(by, before) => history.violate(goal, number, *by, *before),
            }
        }
    }
}

/// Trial i is told the facts of row i. Expected: numbers and losses best first, then the pending ones, newest first.
#[track_caller]
fn check(goal: Goal, facts: &[&[Fact]], expected: &[(u32, Option<f64>)], expected_pending: &[f64]) {
    let mut history = History::default();
    tell(&mut history, goal, facts);
    let best: Vec<_> = history.best(goal).map(|t| (t.number, t.loss)).collect();
    assert_eq!(best, expected);
    let mut newest: Vec<u32> = expected.iter().map(|(number, _)| *number).collect();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    let found: Vec<u32> = history.newest(goal).map(|t| t.number).collect();
    assert_eq!(found, newest);
    let pending: Vec<f64> = history.pending().map(|point| point[0]).collect();
    assert_eq!(pending, expected_pending);
    assert_eq!(history.told(), expected.len());
    let valued = expected.iter().filter(|(_, loss)| loss.is_some()).count();
    assert_eq!(history.valued(), valued);
}

const DONE: Fact = End(Ending::Completed);
const PRUNED: Fact = End(Ending::Pruned);
const FAILED: Fact = End(Ending::Failed);
const CANCELLED: Fact = End(Ending::Cancelled);

#[test]
fn complete_trials_come_first_then_the_longer_trained_then_the_failed() {
    check(
        Minimize,
        &[
            &[Seen(1, 5.0), PRUNED],
            &[Seen(9, 7.0), DONE],
            &[Seen(3, 9.0), PRUNED],
            &[Seen(9, 6.0), DONE],
            &[Seen(2, 0.0), FAILED],
            &[Seen(3, 8.0)],
            &[],
            &[FAILED],
            &[CANCELLED],
            &[Seen(1, 1.0), CANCELLED],
            &[],
        ],
        &[
            (3, Some(6.0)),
            (1, Some(7.0)),
            (5, Some(8.0)),
            (2, Some(9.0)),
            (9, Some(1.0)),
            (0, Some(5.0)),
            (4, None),
            (7, None),
        ],
        &[10.0, 6.0],
    );
}

#[test]
fn the_best_value_counts_and_losses_are_smaller_the_better() {
    check(
        Maximize,
        &[
            &[Seen(1, 0.5), Seen(2, 0.9), Seen(3, 0.7), DONE],
            &[Seen(1, 0.8), DONE],
            &[Seen(1, 0.9), DONE],
        ],
        &[(0, Some(-0.9)), (2, Some(-0.9)), (1, Some(-0.8))],
        &[],
    );
}

#[test]
fn values_that_are_not_finite_did_not_come() {
    check(
        Minimize,
        &[
            &[Seen(1, f64::NEG_INFINITY), DONE],
            &[Seen(1, f64::NAN)],
            &[Seen(1, 2.0), Seen(2, f64::NAN), Seen(3, f64::INFINITY)],
            &[Seen(2, 3.0)],
        ],
        &[(3, Some(3.0)), (2, Some(2.0)), (0, None)],
        &[1.0],
    );
}

#[test]
fn a_trial_that_is_opened_again_is_what_it_ends_as() {
    check(
        Minimize,
        &[
            &[Seen(1, 4.0), FAILED, Seen(2, 3.0), DONE],
            &[CANCELLED, Seen(1, 2.0), DONE],
        ],
        &[(1, Some(2.0)), (0, Some(3.0))],
        &[],
    );
}

#[test]
fn what_breaks_a_requirement_stands_between_values_and_failures() {
    let rows: [&[Fact]; 8] = [
        &[Broken(2.0, false), DONE],
        &[FAILED],
        &[Broken(0.5, false), Broken(3.0, false), PRUNED],
        &[Seen(1, 9.0), Broken(0.1, false), DONE],
        &[Seen(1, 0.1), Broken(f64::INFINITY, true), DONE],
        &[Broken(1.0, false), FAILED],
        &[Seen(1, 0.2), Broken(1.0, true), Seen(3, 8.0)],
        &[Broken(1.5, false)],
    ];
    let mut history = History::default();
    tell(&mut history, Minimize, &rows);
    let best = history.best(Minimize);
    let best: Vec<_> = best.map(|t| (t.number, t.loss, t.violation)).collect();
    let expected = [
        (3, Some(9.0), None),
        (6, Some(8.0), None),
        (2, None, Some(0.5)),
        (7, None, Some(1.5)),
        (0, None, Some(2.0)),
        (4, None, Some(f64::INFINITY)),
        (1, None, None),
        (5, None, None),
    ];
    assert_eq!(best, expected);
    assert_eq!((history.valued(), history.running()), (6, 0));

    let mut history = History::with_rungs(&[1, 3, 9]);
    tell(&mut history, Minimize, &rows);
    let best: Vec<u32> = history.best(Minimize).map(|t| t.number).collect();
    assert_eq!(best, [6, 3, 2, 7, 0, 4, 1, 5]);
    assert_eq!(history.compared(), 8);
}

/// Rungs after 1, 3 and 9 units; one dimension, so four trials are enough. Numbers and losses best first, then the
/// numbers of those that compare, newest first.
#[track_caller]
fn check_on_rungs(facts: &[&[Fact]], expected: &[(u32, Option<f64>)]) {
    let mut history = History::with_rungs(&[1, 3, 9]);
    tell(&mut history, Minimize, facts);
    let best: Vec<_> = history.best(Minimize).map(|t| (t.number, t.loss)).collect();
    assert_eq!(best, expected);
    assert_eq!(history.compared(), expected.len());
    let mut newest = expected.to_vec();
    newest.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let found = history.newest_compared(Minimize);
    let found: Vec<_> = found.map(|t| (t.number, t.loss)).collect();
    assert_eq!(found, newest);
}

#[test]
fn under_rungs_trials_compare_on_the_highest_that_four_have_got_to() {
    let rows: [&[Fact]; 8] = [
        &[Seen(1, 5.0), Seen(3, 2.0), Seen(9, 0.5), DONE],
        &[Seen(1, 6.0), Seen(2, 3.0), Seen(3, 4.0), PRUNED],
        &[Seen(1, 1.0)],
        &[Seen(1, 7.0), Seen(4, 1.5)],
        &[Seen(2, 0.1), FAILED],
        &[],
        &[Seen(1, f64::NAN), Seen(2, 9.0)],
        &[Seen(1, 3.0), Seen(3, 2.5), CANCELLED],
    ];
    // Its value at 3 and not the one at 9; 3.0 is the best up to 3.
    let at_3 = [
        (3, Some(1.5)),
        (0, Some(2.0)),
        (7, Some(2.5)),
        (1, Some(3.0)),
        (4, None),
    ];
    check_on_rungs(&rows, &at_3);
    // Without the last, three are left at 3: all compare at 1.
    let at_1 = [
        (2, Some(1.0)),
        (0, Some(5.0)),
        (1, Some(6.0)),
        (3, Some(7.0)),
        (6, Some(9.0)),
        (4, None),
    ];
    check_on_rungs(&rows[..7], &at_1);
}

#[test]
fn a_trial_that_fails_leaves_its_rungs_and_comes_back_when_it_goes_on() {
    check_on_rungs(
        &[&[Seen(1, 2.0), FAILED, Seen(3, 1.0), PRUNED]],
        &[(0, Some(2.0))],
    );
    check_on_rungs(&[&[Seen(1, 2.0), Seen(1, 1.0), FAILED]], &[(0, None)]);
}

#[test]
fn strangers_and_second_creations_change_nothing() {
    let mut history = History::default();
    history.create(7, Box::new([0.5]));
    let before = history.clone();
    history.create(7, Box::new([0.9]));
    history.observe(Minimize, 8, 1, 1.0);
    history.end(Minimize, u32::MAX, Ending::Failed);
    assert_eq!(history, before);
}
