//! The Gaussian process as a search sees it.
// A test fails by a panic, its helpers too.
#![allow(clippy::unwrap_used)]

use bonfire_search::{
    Assignment, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Scheduler,
    SchedulerKind, Space, Suggestion, Value, Verdict,
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

/// A bowl whose bottom is at 0.3, one slot, rungs after 1, 3 and 9 units: how many of the later trials are at its far end.
fn at_the_far_end(kind: SamplerKind, seed: u64) -> usize {
    let (min, max, eta) = (1, 9, 3);
    let asha = SchedulerKind::Asha { min, max, eta };
    let mut scheduler = Scheduler::new(asha, Goal::Minimize, max).unwrap();
    let sampler = Sampler::new(kind, reals(1), Goal::Minimize, seed).unwrap();
    let mut sampler = sampler.under(&scheduler).unwrap();
    let mut places: Vec<f64> = Vec::new();
    let mut trained: Vec<u64> = Vec::new();
    while places.len() < 100 {
        let (number, until) = match scheduler.promotable() {
            Some(promotion) => {
                scheduler.promoted(promotion.number);
                (promotion.number, promotion.until)
            }
            None => {
                let number = places.len() as u32;
                let Suggestion::Trial(parameters) = sampler.suggest(number) else {
                    panic!("a continuous space does not end");
                };
                places.push(parameters["p00"].as_f64().unwrap());
                trained.push(0);
                let event = Event::Created { number, parameters };
                sampler.observe(&event);
                scheduler.observe(&event);
                (number, scheduler.first_until(number))
            }
        };
        let i = number as usize;
        for at in trained[i] + 1..=until {
            let off = places[i] - 0.3;
            let value = off * off + 1.0 / at as f64;
            let event = Event::Observed { number, at, value };
            sampler.observe(&event);
            if scheduler.observe(&event) == Verdict::Continue && at == max {
                let ending = Ending::Completed;
                let event = Event::Ended { number, ending };
                sampler.observe(&event);
                scheduler.observe(&event);
            }
        }
        trained[i] = until;
    }
    places[30..].iter().filter(|place| **place > 0.9).count()
}

/// What is bad early is left there, and not tried again because nothing is known of it later.
#[test]
fn what_is_left_below_a_rung_is_not_tried_again() {
    for seed in 1..4 {
        for kind in [SamplerKind::Gp, SamplerKind::Auto, SamplerKind::Tpe] {
            let found = at_the_far_end(kind, seed);
            assert!(found <= 7, "{kind:?} {seed}: {found} of 70");
        }
    }
}
