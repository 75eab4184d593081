//! `auto` once it has many trials of numbers: CMA-ES goes on from the best of them.
// A test fails by a panic, its helpers too.
#![allow(clippy::unwrap_used)]

use bonfire_search::{
    Assignment, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Space, Suggestion,
    Value,
};

/// After so many trials with a value `auto` turns to CMA-ES.
const EARLY: u32 = 401;

fn space() -> Space {
    let range = Range::Real {
        min: -5.0,
        max: 5.0,
        log: false,
    };
    let parameter = |i| Parameter {
        name: format!("x{i}"),
        range: range.clone(),
        when: vec![],
    };
    Space::new((0..5).map(parameter).collect()).unwrap()
}

fn rosenbrock(point: &Assignment) -> f64 {
    let x: Vec<f64> = point.values().filter_map(Value::as_f64).collect();
    let valley = |pair: &[f64]| {
        let (a, b) = (pair[1] - pair[0] * pair[0], 1.0 - pair[0]);
        100.0 * a * a + b * b
    };
    x.windows(2).map(valley).sum()
}

fn facts(number: u32, value: f64) -> [Event; 2] {
    let (at, ending) = (1, Ending::Completed);
    [
        Event::Observed { number, at, value },
        Event::Ended { number, ending },
    ]
}

/// The first trials, drawn by TPE, which is cheap: a sampler learns from trials whoever suggested them.
fn early(seed: u64) -> Vec<Event> {
    let mut sampler = Sampler::new(SamplerKind::Tpe, space(), Goal::Minimize, seed).unwrap();
    let mut events = Vec::new();
    for number in 0..EARLY {
        let Suggestion::Trial(parameters) = sampler.suggest(number) else {
            panic!("a continuous space does not end");
        };
        let facts = facts(number, rosenbrock(&parameters));
        let created = Event::Created { number, parameters };
        for event in [created].into_iter().chain(facts) {
            sampler.observe(&event);
            events.push(event);
        }
    }
    events
}

fn after(kind: SamplerKind, seed: u64, events: &[Event]) -> Sampler {
    let mut sampler = Sampler::new(kind, space(), Goal::Minimize, seed).unwrap();
    events.iter().for_each(|event| sampler.observe(event));
    sampler
}

/// The best value of the trials up to `until`.
fn best(kind: SamplerKind, seed: u64, until: u32) -> f64 {
    let mut sampler = after(kind, seed, &early(seed));
    let mut best = f64::INFINITY;
    for number in EARLY..until {
        let Suggestion::Trial(parameters) = sampler.suggest(number) else {
            panic!("a continuous space does not end");
        };
        let value = rosenbrock(&parameters);
        best = best.min(value);
        sampler.observe(&Event::Created { number, parameters });
        facts(number, value)
            .iter()
            .for_each(|fact| sampler.observe(fact));
    }
    best
}

/// TPE alone comes to a value of 4 or so and stays there.
#[test]
fn it_finds_what_tpe_does_not() {
    let median = |kind| {
        let mut found = [1, 2, 3].map(|seed| best(kind, seed, 1_200));
        found.sort_by(f64::total_cmp);
        found[1]
    };
    let (auto, tpe) = (median(SamplerKind::Auto), median(SamplerKind::Tpe));
    assert!(auto < 0.1 * tpe, "{auto} and {tpe}");
}

/// Up to ten run at a time, and the results of three come between two creations. Told in another order or by a coordinator that has
/// read everything back, the suggestions are the same.
#[test]
fn the_order_of_results_and_a_restart_change_nothing() {
    let first = early(3);
    let mut sampler = after(SamplerKind::Auto, 3, &first);
    let mut turned = sampler.clone();
    let mut history = first.clone();
    let mut running: Vec<(u32, f64)> = Vec::new();
    for number in EARLY..EARLY + 400 {
        let suggestion = sampler.suggest(number);
        assert_eq!(turned.suggest(number), suggestion, "{number}");
        if number % 57 == 0 {
            let bytes = postcard::to_stdvec(&sampler).unwrap();
            sampler = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(sampler.suggest(number), suggestion, "read back at {number}");
            let replayed = after(SamplerKind::Auto, 3, &history);
            assert_eq!(replayed, sampler, "told again at {number}");
        }
        let Suggestion::Trial(parameters) = suggestion else {
            panic!("a continuous space does not end");
        };
        running.push((number, rosenbrock(&parameters)));
        let created = Event::Created { number, parameters };
        sampler.observe(&created);
        turned.observe(&created);
        history.push(created);
        if running.len() == 10 {
            let done: Vec<(u32, f64)> = running.drain(..3).collect();
            for (number, value) in &done {
                for fact in facts(*number, *value) {
                    sampler.observe(&fact);
                    history.push(fact);
                }
            }
            for (number, value) in done.iter().rev() {
                facts(*number, *value)
                    .iter()
                    .for_each(|fact| turned.observe(fact));
            }
        }
    }
    assert_eq!(turned, sampler);
}
