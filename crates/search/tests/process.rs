//! The Gaussian process as a search sees it.
// A test fails by a panic, its helpers too.
#![allow(clippy::unwrap_used)]

use bonfire_search::{
    Assignment, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Space, Suggestion,
    Value,
};

fn reals(count: usize) -> Space {
    let parameter = |i| Parameter {
        name: format!("p{i:02}"),
        range: Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        },
        when: vec![],
    };
    Space::new((0..count).map(parameter).collect()).unwrap()
}

/// The first trial is the best, in the middle of the space; what the others are worth says nothing. After `trials` the next points
/// are as near to it as half the side of the region on each parameter.
#[track_caller]
fn check_region(parameters: usize, trials: u32, side: f64) {
    let space = reals(parameters);
    let mut sampler = Sampler::new(SamplerKind::Gp, space.clone(), Goal::Minimize, 3).unwrap();
    let others = Sampler::new(SamplerKind::Random, space.clone(), Goal::Minimize, 3).unwrap();
    let middle = space.parameters().iter();
    let middle: Assignment = middle
        .map(|parameter| (parameter.name.clone(), Value::Real(0.5)))
        .collect();
    for number in 0..trials {
        let parameters = match others.suggest(number) {
            Suggestion::Trial(point) if number > 0 => point,
            _ => middle.clone(),
        };
        let value = if number == 0 {
            0.0
        } else {
            1.0 + f64::from(number * 7 % 10)
        };
        sampler.observe(&Event::Created { number, parameters });
        let (at, ending) = (1, Ending::Completed);
        sampler.observe(&Event::Observed { number, at, value });
        sampler.observe(&Event::Ended { number, ending });
    }
    for suggestion in sampler.suggest_many(trials, 8) {
        let Suggestion::Trial(point) = suggestion else {
            panic!("a continuous space does not end");
        };
        for value in point.values() {
            let apart = (value.as_f64().unwrap() - 0.5).abs();
            assert!(apart <= side / 2.0 + 1e-9, "{apart} {point:?}");
        }
    }
}

#[test]
fn many_parameters_are_searched_around_the_best_trial() {
    // Eight failures in a row halve the side, five times.
    check_region(16, 10 + 8 * 5, 0.8 / 32.0);
}

#[test]
fn after_many_trials_few_parameters_are_too() {
    // Four failures halve it; the seventh time it begins anew.
    check_region(2, 10 + 4 * (7 * 7 + 4), 0.8 / 16.0);
}
