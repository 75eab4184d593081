//! BOHB on counting ones, the toy of its paper.
//!
//! Source: Falkner, Klein and Hutter 2018, BOHB: robust and efficient hyperparameter optimization at scale, section 5.1,
//! <https://arxiv.org/abs/1807.01774>: as many ones as possible among categories, and numbers that are probabilities, of which a budget is
//! the number of coins tossed.
// A test fails by a panic, its helpers too.
#![allow(clippy::unwrap_used)]

use bonfire_search::{
    Alike, Assignment, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Scheduler,
    SchedulerKind, Space, Suggestion, Value, Verdict,
};

/// Of each kind.
const COUNT: usize = 8;
const MIN: u64 = 9;
const MAX: u64 = 729;

fn space() -> Space {
    let parameter = |name: String, range| Parameter {
        name,
        range,
        when: vec![],
    };
    let bits = || Range::Choice {
        values: vec![Value::Int(0), Value::Int(1)],
        alike: Alike::None,
    };
    let share = || Range::Real {
        min: 0.0,
        max: 1.0,
        log: false,
    };
    let categories = (0..COUNT).map(|i| parameter(format!("a{i}"), bits()));
    let numbers = (0..COUNT).map(|i| parameter(format!("b{i}"), share()));
    Space::new(categories.chain(numbers).collect()).unwrap()
}

/// The sum over all parameters, each number as the mean of so many coins that fall with it.
fn ones(point: &Assignment, coins: u64, seed: u64) -> f64 {
    let mut state = seed;
    let mut unit = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut hash = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((hash ^ hash >> 31) >> 11) as f64 / (1u64 << 53) as f64
    };
    let part = |(name, value): (&String, &Value)| {
        let value = value.as_f64().unwrap();
        match name.starts_with('a') {
            true => value,
            false => (0..coins).filter(|_| unit() < value).count() as f64 / coins as f64,
        }
    };
    point.iter().map(part).sum()
}

/// What is missing to all ones, as a share of them, in the trial that looked best at the full budget, after so many whole
/// trainings' worth of coins: the true value.
fn regret(kind: SchedulerKind, sampler: SamplerKind, seed: u64, trainings: u64) -> f64 {
    let mut scheduler = Scheduler::new(kind, Goal::Maximize, MAX).unwrap();
    let sampler = Sampler::new(sampler, space(), Goal::Maximize, seed).unwrap();
    let mut sampler = sampler.under(&scheduler).unwrap();
    let mut points: Vec<(Assignment, u64)> = Vec::new();
    let mut spent = 0;
    let mut best = (f64::NEG_INFINITY, 0.0);
    while spent < trainings * MAX {
        let (number, until) = if let Some(promotion) = scheduler.promotable() {
            scheduler.promoted(promotion.number).unwrap();
            (promotion.number, promotion.until)
        } else {
            let number = points.len() as u32;
            let Suggestion::Trial(parameters) = sampler.suggest(number) else {
                panic!("a continuous space does not end");
            };
            points.push((parameters.clone(), 0));
            let event = Event::Created { number, parameters };
            sampler.observe(&event);
            scheduler.observe(&event);
            (number, scheduler.first_until(number))
        };
        let (point, done) = &mut points[number as usize];
        let salt = seed << 48 ^ u64::from(number) << 16 ^ until;
        let value = ones(point, until, salt.wrapping_mul(0xd6e8_feb8_6659_fd93));
        let event = Event::Observed {
            number,
            at: until,
            value,
        };
        sampler.observe(&event);
        if scheduler.observe(&event) == Verdict::Continue {
            let ending = Ending::Completed;
            sampler.observe(&Event::Ended { number, ending });
            scheduler.observe(&Event::Ended { number, ending });
        }
        if until == MAX && value > best.0 {
            let whole: f64 = point.values().filter_map(Value::as_f64).sum();
            best = (value, whole);
        }
        spent += until - *done;
        *done = until;
    }
    1.0 - best.1 / (2 * COUNT) as f64
}

fn mean(kind: SchedulerKind, sampler: SamplerKind, trainings: u64) -> f64 {
    let regrets = (1..=9).map(|seed| regret(kind, sampler, seed, trainings));
    regrets.sum::<f64>() / 9.0
}

/// As in the paper's figure 2: soon better than TPE with full trainings alone, and than Hyperband, which is soon better than points
/// that are drawn, but does not get far.
#[test]
fn bohb_is_better_than_either_part() {
    let (min, max, eta) = (MIN, MAX, 3);
    let bohb = SchedulerKind::Bohb { min, max, eta };
    let hyperband = SchedulerKind::Hyperband { min, max, eta };
    let none = SchedulerKind::None;
    for (trainings, of_random, of_hyperband, of_tpe) in [
        (10, 0.5, 0.6, 0.6),
        (30, 0.4, 0.5, 0.7),
        (100, 0.25, 0.33, 0.9),
    ] {
        let found = mean(bohb, SamplerKind::Tpe, trainings);
        for (scheduler, sampler, share) in [
            (none, SamplerKind::Random, of_random),
            (hyperband, SamplerKind::Random, of_hyperband),
            (none, SamplerKind::Tpe, of_tpe),
        ] {
            let other = mean(scheduler, sampler, trainings);
            let text = format!("{found} after {trainings}, {scheduler:?} with {sampler:?} {other}");
            assert!(found < share * other, "{text}");
        }
    }
}
