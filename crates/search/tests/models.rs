//! Samplers of models on functions whose optimum is known.
//!
//! Most functions and what is to be found on them in so many trials are those that the authors of TPE test their own with: hyperopt,
//! `hyperopt/tests/test_tpe.py`, class `TestOpt`, functions in `test_domains.py`
//! (<https://github.com/hyperopt/hyperopt>), with the thresholds after 50 trials of its first version, and Branin's, which came later and
//! is after 200 there. There one search is looked at; here it is the median of several.
// A test fails by a panic, its helpers too.
#![allow(clippy::unwrap_used)]

#[path = "../examples/tables/known.rs"]
mod known;

use std::f64::consts::PI;

use bonfire_search::{
    Alike, Assignment, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Space,
    Suggestion, Value,
};

fn real(name: &str, min: f64, max: f64, log: bool) -> Parameter {
    Parameter {
        name: name.to_owned(),
        range: Range::Real { min, max, log },
        when: vec![],
    }
}

fn number(point: &Assignment, name: &str) -> f64 {
    point[name].as_f64().unwrap()
}

type Loss = fn(&Assignment) -> f64;

/// The best value of so many trials.
fn best(
    kind: SamplerKind,
    space: &Space,
    value: fn(&Assignment) -> f64,
    trials: u32,
    seed: u64,
) -> f64 {
    let mut sampler = Sampler::new(kind, space.clone(), Goal::Minimize, seed).unwrap();
    let mut best = f64::INFINITY;
    for number in 0..trials {
        let Suggestion::Trial(parameters) = sampler.suggest(number) else {
            panic!("a continuous space does not end");
        };
        let value = value(&parameters);
        best = best.min(value);
        sampler.observe(&Event::Created { number, parameters });
        let (at, ending) = (1, Ending::Completed);
        sampler.observe(&Event::Observed { number, at, value });
        sampler.observe(&Event::Ended { number, ending });
    }
    best
}

/// The best values of searches with so many seeds, in order.
fn found(kind: SamplerKind, space: &Space, value: Loss, trials: u32, seeds: u64) -> Vec<f64> {
    let mut found: Vec<f64> = (1..=seeds)
        .map(|seed| best(kind, space, value, trials, seed))
        .collect();
    found.sort_by(f64::total_cmp);
    found
}

/// Of most seeds the best value is below what hyperopt asks for, and its distance to the best of all at most a third of what
/// points that are drawn come to, where they do not come to that themselves.
#[track_caller]
fn check(parameters: Vec<Parameter>, value: Loss, trials: u32, below: f64, least: f64) {
    let space = Space::new(parameters).unwrap();
    let drawn = found(SamplerKind::Random, &space, value, trials, 21)[10];
    let below = below.min(least + (drawn - least) / 3.0);
    for (kind, seeds) in [
        (SamplerKind::Tpe, 21),
        (SamplerKind::Gp, 5),
        (SamplerKind::Auto, 5),
    ] {
        let found = found(kind, &space, value, trials, seeds);
        let median = found[found.len() / 2];
        assert!(
            median < below,
            "{kind:?}: {median} is not below {below}, of {found:?}"
        );
        assert!(found[0] >= least, "{kind:?}: {found:?}");
    }
}

#[test]
fn quadratic() {
    let value = |p: &Assignment| (number(p, "x") - 3.0) * (number(p, "x") - 3.0);
    check(vec![real("x", -5.0, 5.0, false)], value, 50, 0.01, 0.0);
}

/// A spike, and a long slope that leads away from it. Hyperopt notes that its own fails here, and later gave it settings made for
/// this; TPE finds the spike in 54 searches of 101, points that are drawn in 52.
#[test]
fn distractor() {
    let value = |p: &Assignment| {
        let x = number(p, "x");
        -1.0 / (1.0 + libm::exp(-x)) - 2.0 * libm::exp(-(x + 10.0) * (x + 10.0))
    };
    let space = Space::new(vec![real("x", -15.0, 15.0, false)]).unwrap();
    for (kind, seeds) in [
        (SamplerKind::Tpe, 101),
        (SamplerKind::Gp, 9),
        (SamplerKind::Auto, 9),
    ] {
        let found = found(kind, &space, value, 50, seeds);
        let hits = found.iter().filter(|value| **value < -1.85).count();
        assert!(2 * hits > found.len(), "{kind:?}: {hits} of {seeds}");
    }
}

#[test]
fn gauss_wave() {
    let curve = Parameter {
        range: Range::Choice {
            values: vec![Value::Int(0), Value::Int(1)],
            alike: Alike::None,
        },
        ..real("curve", 0.0, 1.0, false)
    };
    let value = |p: &Assignment| {
        let t = number(p, "x") + PI * number(p, "curve");
        -(libm::sin(t) + 2.0 * libm::exp(-(t / 5.0) * (t / 5.0)))
    };
    check(
        vec![real("x", -20.0, 20.0, false), curve],
        value,
        50,
        -2.0,
        -2.8354,
    );
}

#[test]
fn branin() {
    let value = |p: &Assignment| known::branin(number(p, "x"), number(p, "y"));
    let plane = vec![real("x", -5.0, 10.0, false), real("y", 0.0, 15.0, false)];
    check(plane, value, 50, 0.7, known::BRANIN_LEAST);
}

/// Where the functions of the examples have their minima, as Surjanovic and Bingham give them
/// (<https://www.sfu.ca/~ssurjano/optimization.html>).
#[test]
fn known_minima() {
    for (x, y) in [(-PI, 12.275), (PI, 2.275), (9.42478, 2.475)] {
        let value = known::branin(x, y);
        assert!((value - known::BRANIN_LEAST).abs() < 1e-6, "{value}");
    }
    let place = [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573];
    let value = known::hartmann(&place);
    assert!((value - known::HARTMANN_LEAST).abs() < 1e-5, "{value}");
}

/// There the range is a lognormal distribution with a deviation of 2, here its middle three deviations to both sides.
#[test]
fn a_quadratic_over_orders_of_magnitude() {
    let value = |p: &Assignment| {
        let x = number(p, "x");
        (0.1 * (x - 10.0) * (x - 10.0)).min(10.0)
    };
    let line = vec![real("x", libm::exp(-6.0), libm::exp(6.0), true)];
    check(line, value, 50, 0.01, 0.0);
}
