//! Histories of several objectives.
#![allow(clippy::unwrap_used)]

use rand_chacha::rand_core::RngCore;

use super::*;
use crate::Goal::{Maximize, Minimize};
use crate::sampler::axes::Axes;
use crate::sampler::prior::Prior;
use crate::sampler::random::stream;
use crate::space::unit;
use crate::{Ending, Space};

#[derive(Clone, Debug)]
enum Fact {
    Seen(u64, Vec<f64>),
    End(Ending),
    /// Whether it goes for those before.
    Broken(f64, bool),
    /// A value of the first objective alone.
    Alone(f64),
}
use Fact::{Alone, Broken, End, Seen};

const DONE: Fact = End(Ending::Completed);

fn event(number: u32, fact: &Fact) -> Event {
    let at = 1;
    match fact.clone() {
        Seen(at, values) => Event::Several { number, at, values },
        End(ending) => Event::Ended { number, ending },
        Broken(violation, before) => Event::Violated {
            number,
            at,
            value: 0.0,
            violation,
            before,
        },
        Alone(value) => Event::Observed { number, at, value },
    }
}

fn tell(goals: &[Goal], facts: &[Vec<Fact>]) -> (Several, History) {
    let (mut several, mut history) = (Several::toward(goals), History::default());
    for (number, _) in (0..).zip(facts) {
        history.create(number, Box::new([]));
    }
    for (number, facts) in (0..).zip(facts) {
        for fact in facts {
            several.learn(&mut history, &event(number, fact));
        }
    }
    (several, history)
}

/// The numbers in each front, and of those that break requirements.
fn sort(several: &Several, history: &History, count: usize) -> (Vec<Vec<u32>>, Vec<u32>) {
    let space = Space::new(vec![]).unwrap();
    let known = Known {
        space: &space,
        axes: &Axes::of(&space),
        goal: several.goals[0],
        seed: 0,
        history,
        several,
        prior: &Prior::default(),
        is_bound: false,
        ahead: &[],
    };
    let sorted = Several::sorted(&known, count);
    let fronts = sorted.fronts.iter().map(|front| {
        let mut numbers: Vec<u32> = front.iter().map(|member| member.told.number).collect();
        numbers.sort_unstable();
        numbers
    });
    let broken = sorted.broken.iter().map(|told| told.number);
    (fronts.collect(), broken.collect())
}

/// Trial i is told the facts of row i. Expected: the numbers in each front, best first, and then of those that break requirements.
#[track_caller]
fn check(goals: &[Goal], facts: &[Vec<Fact>], fronts: &[&[u32]], broken: &[u32]) {
    let (several, history) = tell(goals, facts);
    let (found, found_broken) = sort(&several, &history, usize::MAX);
    assert_eq!(found, fronts, "{facts:?}");
    assert_eq!(found_broken, broken, "{facts:?}");
}

const BOTH: [Goal; 2] = [Minimize, Minimize];

fn done(values: &[f64]) -> Vec<Fact> {
    vec![Seen(1, values.to_vec()), DONE]
}

#[test]
fn fronts_stand_one_behind_the_other() {
    let facts = [
        done(&[1.0, 5.0]),
        done(&[2.0, 2.0]),
        done(&[3.0, 3.0]),
        done(&[2.0, 6.0]),
        done(&[4.0, 4.0]),
        done(&[2.0, 2.0]),
    ];
    check(&BOTH, &facts, &[&[0, 1, 5], &[2, 3], &[4]], &[]);
    check(
        &[Maximize, Minimize],
        &facts,
        &[&[1, 2, 4, 5], &[0, 3]],
        &[],
    );
}

#[test]
fn complete_trials_come_first_then_the_longer_trained_then_what_breaks_a_requirement() {
    let facts = [
        vec![Seen(9, vec![0.0, 0.0])],
        done(&[5.0, 5.0]),
        vec![Broken(2.0, false)],
        vec![Seen(3, vec![-1.0, -1.0]), End(Ending::Cancelled)],
        vec![Broken(1.0, false), DONE],
        vec![Seen(1, vec![-9.0, -9.0]), End(Ending::Failed)],
        vec![],
        vec![Broken(0.5, false), Seen(1, vec![6.0, 4.0]), DONE],
        vec![Seen(1, vec![-1.0, -1.0]), Broken(4.0, true), DONE],
    ];
    check(&BOTH, &facts, &[&[1, 7], &[0], &[3]], &[4, 2, 8]);
}

#[test]
fn a_trial_stands_for_its_evaluation_with_the_best_first_objective() {
    let facts = [
        vec![
            Seen(1, vec![3.0, 0.0]),
            Seen(2, vec![2.0, 7.0]),
            Seen(3, vec![2.0, 1.0]),
            DONE,
        ],
        done(&[2.5, 6.5]),
    ];
    let (several, _) = tell(&BOTH, &facts);
    assert_eq!(several.losses(0), Some(&[2.0, 7.0, 0.0]));
    check(&BOTH, &facts, &[&[0, 1]], &[]);
}

#[test]
fn what_is_no_vector_of_numbers_has_not_come() {
    let facts = [
        vec![
            Seen(1, vec![-5.0, f64::NAN]),
            Seen(1, vec![f64::NEG_INFINITY, 0.0]),
            Seen(1, vec![-5.0]),
            Seen(1, vec![-5.0; 3]),
            Alone(-5.0),
            Seen(2, vec![1.0, -0.0]),
            DONE,
        ],
        vec![Seen(1, vec![f64::NAN, 0.0]), DONE],
        done(&[0.0, 1.0]),
    ];
    check(&BOTH, &facts, &[&[0, 2]], &[]);
}

#[test]
fn a_complete_trial_that_changes_changes_the_front() {
    let facts = [
        done(&[1.0, 1.0]),
        done(&[2.0, 2.0]),
        done(&[3.0, 0.5]),
        vec![Seen(1, vec![0.0, 0.0]), DONE],
    ];
    let (mut several, mut history) = tell(&BOTH, &facts);
    let front =
        |several: &Several| -> Vec<u32> { several.front.iter().map(|kept| kept.1).collect() };
    assert_eq!(front(&several), [3]);
    several.learn(&mut history, &event(3, &Broken(1.0, true)));
    assert_eq!(front(&several), [0, 2]);
    several.learn(&mut history, &event(1, &Seen(2, vec![0.5, 9.0])));
    assert_eq!(front(&several), [1, 0, 2]);
    several.learn(&mut history, &event(0, &End(Ending::Failed)));
    assert_eq!(front(&several), [1, 2]);
}

/// Whatever the order and the values, fronts are what comparing all with all says, and the same whoever reports first.
#[test]
fn fronts_are_what_comparing_all_with_all_says() {
    let mut stream = stream(b"test:test:test:1", 1, 0);
    for case in 0..60 {
        let objectives = 2 + case % 2;
        let count = 1 + case;
        let point = |_| {
            let value = |_| libm::floor(unit(stream.next_u64()) * 10.0);
            (0..objectives).map(value).collect::<Vec<f64>>()
        };
        let points: Vec<Vec<f64>> = (0..count).map(point).collect();
        let goals = &[Minimize, Maximize, Minimize][..objectives];
        let facts: Vec<Vec<Fact>> = points.iter().map(|point| done(point)).collect();
        let (several, history) = tell(goals, &facts);
        let (fronts, _) = sort(&several, &history, usize::MAX);
        let rank = |i: usize| fronts.iter().position(|front| front.contains(&(i as u32)));
        let beats = |a: &[f64], b: &[f64]| {
            let mut pairs = goals.iter().zip(a.iter().zip(b));
            a != b && pairs.all(|(goal, (a, b))| !goal.better(*b, *a))
        };
        for (i, a) in points.iter().enumerate() {
            let better = (0..count).filter(|j| beats(&points[*j], a));
            let expected = better.map(|j| rank(j).unwrap() + 1).max().unwrap_or(0);
            assert_eq!(rank(i), Some(expected), "{points:?} {a:?}");
        }
        let kept: Vec<u32> = several.front.iter().map(|kept| kept.1).collect();
        let mut kept_sorted = kept.clone();
        kept_sorted.sort_unstable();
        assert_eq!(kept_sorted, fronts[0]);

        let (mut twin, mut again) = (Several::toward(goals), History::default());
        (0..count as u32).for_each(|number| again.create(number, Box::new([])));
        for (number, facts) in (0..).zip(&facts).collect::<Vec<_>>().into_iter().rev() {
            facts
                .iter()
                .for_each(|fact| twin.learn(&mut again, &event(number, fact)));
        }
        assert_eq!(twin, several);
    }
}

#[test]
fn of_a_long_front_the_outlying_trials_are_looked_at() {
    let count = 5_000;
    let point = |i: u32| done(&[f64::from(i), -f64::from(i)]);
    let facts: Vec<Vec<Fact>> = (0..count).map(point).collect();
    let (several, history) = tell(&BOTH, &facts);
    let (fronts, _) = sort(&several, &history, 10);
    assert_eq!(fronts.len(), 1);
    assert!(fronts[0].len() <= FRONT_MAX + NEWEST_MAX);
    assert!(fronts[0].contains(&0) && fronts[0].contains(&(count - 1)));
    let old = fronts[0]
        .iter()
        .filter(|number| **number < count - NEWEST_MAX as u32);
    assert!(old.count() > FRONT_MAX / 2);
}
