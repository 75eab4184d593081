//! A population by hand: who comes next, and for whom.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::Assignment;

const NAN: f64 = f64::NAN;

fn population(of: u32, quantile: f64) -> Pbt {
    let mut pbt = Pbt::new(Goal::Maximize, of, 2, quantile, 10);
    for number in 0..of {
        let parameters = Assignment::new();
        pbt.observe(&Event::Created { number, parameters });
    }
    pbt
}

/// A member trains its interval to the end.
fn train(pbt: &mut Pbt, number: u32, value: f64) {
    let at = pbt.until(number).unwrap();
    let verdict = pbt.observe(&Event::Observed { number, at, value });
    if at < 10 {
        assert_eq!(verdict, Verdict::Pause);
        pbt.rested(number);
    } else {
        assert_eq!(verdict, Verdict::Continue);
        end(pbt, number, Ending::Completed);
    }
}

fn end(pbt: &mut Pbt, number: u32, ending: Ending) {
    pbt.observe(&Event::Ended { number, ending });
}

fn text(turn: Option<Turn>) -> String {
    match turn {
        None => "nothing".to_owned(),
        Some(Turn::Promote(next)) => format!("{} to {}", next.number, next.until),
        Some(Turn::Exploit(copy)) => {
            format!("fork of {}@{} for {}", copy.parent, copy.at, copy.number)
        }
    }
}

/// Values after the first interval, trial by trial; whose turn comes then, one after the other.
#[track_caller]
fn check(quantile: f64, values: &[f64], may_fork: bool, expected: &str) {
    let mut pbt = population(values.len() as u32, quantile);
    for (number, value) in (0..).zip(values) {
        train(&mut pbt, number, *value);
    }
    let mut turns = Vec::new();
    let mut next = values.len() as u32;
    while let Some(turn) = pbt.turn(1, next, may_fork) {
        turns.push(text(Some(turn)));
        match turn {
            Turn::Promote(promotion) => {
                assert_eq!(pbt.promote(promotion.number), Some(promotion.until));
            }
            Turn::Exploit(copy) => {
                assert!(pbt.yields(copy.number));
                assert_eq!(pbt.exploited(copy.number, next, copy.at), Some(4));
                end(&mut pbt, copy.number, Ending::Pruned);
                next += 1;
            }
        }
    }
    assert_eq!(turns.join(", "), expected, "{values:?}");
}

#[test]
fn the_worst_share_gives_its_place_to_forks_of_the_best() {
    let values = [5.0, 1.0, 9.0, 4.0, 3.0];
    let forked = "0 to 4, fork of 2@2 for 1, 2 to 4, 3 to 4, 4 to 4";
    check(0.2, &values, true, forked);
    check(
        0.2,
        &values,
        false,
        "0 to 4, 1 to 4, 2 to 4, 3 to 4, 4 to 4",
    );
    // Of four, one: the share is rounded down, but one at the least.
    check(
        0.2,
        &values[..4],
        true,
        "0 to 4, fork of 2@2 for 1, 2 to 4, 3 to 4",
    );
    check(0.5, &[2.0, 1.0], true, "0 to 4, fork of 0@2 for 1");
}

#[test]
fn nobody_copies_what_is_not_better() {
    let nothing = "0 to 4, 1 to 4, 2 to 4";
    check(0.4, &[7.0; 3], true, nothing);
    check(0.4, &[NAN; 3], true, nothing);
    check(
        0.4,
        &[NAN, 0.0, 0.0],
        true,
        "fork of 1@2 for 0, 1 to 4, 2 to 4",
    );
    check(
        0.4,
        &[f64::INFINITY, NAN, NAN],
        true,
        "0 to 4, 1 to 4, fork of 0@2 for 2",
    );
    check(0.4, &[3.0], true, "0 to 4");
}

#[test]
fn the_one_that_trained_the_least_comes_first() {
    let mut pbt = population(3, 0.4);
    train(&mut pbt, 2, 1.0);
    assert_eq!(
        text(pbt.turn(0, 3, true)),
        "2 to 4",
        "there is nobody to compare with"
    );
    pbt.promote(2);
    train(&mut pbt, 2, 1.0);
    train(&mut pbt, 1, 2.0);
    assert_eq!(text(pbt.turn(0, 3, true)), "1 to 4");
    pbt.promote(1);
    assert_eq!(
        text(pbt.turn(0, 3, true)),
        "fork of 1@2 for 2",
        "the latest result of one that trains"
    );
    train(&mut pbt, 0, 9.0);
    assert_eq!(text(pbt.turn(0, 3, true)), "0 to 4");
}

#[test]
fn a_failed_member_is_replaced_at_once_and_a_stopped_one_is_not() {
    let mut pbt = population(4, 0.25);
    end(&mut pbt, 0, Ending::Failed);
    assert_eq!(
        text(pbt.turn(0, 4, true)),
        "nothing",
        "there is nobody to fork"
    );
    train(&mut pbt, 1, 1.0);
    assert_eq!(text(pbt.turn(0, 4, true)), "fork of 1@2 for 0");
    assert_eq!(text(pbt.turn(0, 4, false)), "1 to 4");
    end(&mut pbt, 3, Ending::Cancelled);
    assert_eq!(pbt.exploited(3, 4, 2), None);
    assert_eq!(pbt.exploited(0, 4, 2), Some(4));
    assert_eq!(text(pbt.turn(0, 5, true)), "1 to 4");
    // Whom a user resumes trains on by itself.
    let mut pbt = population(2, 0.25);
    train(&mut pbt, 1, 1.0);
    end(&mut pbt, 0, Ending::Failed);
    end(&mut pbt, 0, Ending::Cancelled);
    assert_eq!(text(pbt.turn(0, 2, true)), "1 to 4");
    let resumed = Event::Observed {
        number: 0,
        at: 2,
        value: 1.0,
    };
    assert_eq!(
        (pbt.observe(&resumed), pbt.until(0)),
        (Verdict::Continue, None)
    );
}

#[test]
fn who_is_done_is_compared_with_and_not_copied() {
    let mut pbt = population(2, 0.5);
    for _ in 0..5 {
        train(&mut pbt, 0, 9.0);
        pbt.promote(0);
    }
    assert_eq!((pbt.until(0), pbt.source(0)), (None, None));
    train(&mut pbt, 1, 1.0);
    assert_eq!(text(pbt.turn(0, 2, true)), "1 to 4");
}

#[test]
fn a_checkpoint_that_may_be_copied_is_that_of_the_last_whole_interval() {
    let mut pbt = population(2, 0.5);
    assert_eq!(pbt.source(0), None);
    train(&mut pbt, 0, 1.0);
    assert_eq!(pbt.source(0), Some(2));
    pbt.promote(0);
    // Told, but not saved yet.
    pbt.observe(&Event::Observed {
        number: 0,
        at: 4,
        value: 2.0,
    });
    assert_eq!(pbt.source(0), Some(2));
    pbt.rested(0);
    assert_eq!(pbt.source(0), Some(4));
    end(&mut pbt, 0, Ending::Failed);
    assert_eq!(pbt.source(0), None);
}

#[test]
fn the_last_interval_is_what_is_left() {
    let pbt = Pbt::new(Goal::Minimize, 2, 4, 0.2, 10);
    let ends: Vec<u64> = [0, 3, 4, 8, 9].map(|at| pbt.after(at)).to_vec();
    assert_eq!(ends, [4, 4, 8, 10, 10]);
    let pbt = Pbt::new(Goal::Minimize, 2, u64::MAX - 1, 0.2, u64::MAX);
    assert_eq!(pbt.after(u64::MAX - 1), u64::MAX);
}
