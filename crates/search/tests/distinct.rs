//! A search does not train the same point twice while another is easy to have, whatever its space and its results.
// A test fails by a panic, its helpers too.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bonfire_search::{
    Alike, Assignment, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Space,
    Suggestion, Value,
};

const MODELS: [SamplerKind; 3] = [SamplerKind::Auto, SamplerKind::Gp, SamplerKind::Tpe];

fn real(min: f64, max: f64, log: bool) -> Range {
    Range::Real { min, max, log }
}

fn integers(min: i64, max: i64, log: bool) -> Range {
    Range::Integer { min, max, log }
}

/// Parameters a, b, c.
fn space(ranges: &[Range]) -> Space {
    let parameter = |(name, range): (char, &Range)| Parameter {
        name: name.to_string(),
        range: range.clone(),
        when: vec![],
    };
    Space::new(('a'..).zip(ranges).map(parameter).collect()).unwrap()
}

fn number(point: &Assignment, name: &str) -> f64 {
    match &point[name] {
        Value::Text(text) => text.parse().unwrap(),
        value => value.as_f64().unwrap(),
    }
}

fn tell(sampler: &mut Sampler, number: u32, parameters: Assignment, value: f64) {
    let (at, ending) = (1, Ending::Completed);
    sampler.observe(&Event::Created { number, parameters });
    sampler.observe(&Event::Observed { number, at, value });
    sampler.observe(&Event::Ended { number, ending });
}

/// `drawn` trials from another sampler, then `asked` from this one, the last four at once. None of these has the point of another.
#[track_caller]
fn check(
    kind: SamplerKind,
    ranges: &[Range],
    seed: u64,
    (drawn, asked): (u32, u32),
    value: impl Fn(&Assignment) -> f64,
) {
    let space = space(ranges);
    let mut sampler = Sampler::new(kind, space.clone(), Goal::Minimize, seed).unwrap();
    let others = Sampler::new(SamplerKind::Random, space, Goal::Minimize, seed).unwrap();
    let mut points: BTreeMap<String, u32> = BTreeMap::new();
    let mut repeats = Vec::new();
    let mut add = |number: u32, point: &Assignment| {
        if let Some(first) = points.insert(format!("{point:?}"), number) {
            repeats.push((first, number));
        }
    };
    let one = |suggestion| match suggestion {
        Suggestion::Trial(point) => point,
        Suggestion::Exhausted { reason } => panic!("{reason}"),
    };
    let last = drawn + asked - 4;
    for number in 0..last {
        let point = match number < drawn {
            true => one(others.suggest(number)),
            false => one(sampler.suggest(number)),
        };
        add(number, &point);
        let value = value(&point);
        tell(&mut sampler, number, point, value);
    }
    for (number, suggestion) in (last..).zip(sampler.suggest_many(last, 4)) {
        add(number, &one(suggestion));
    }
    assert!(repeats.is_empty(), "{kind:?}, seed {seed}: {repeats:?}");
}

/// Best at an end of the continuous range, so that only integers are left to tell points apart.
#[test]
fn many_integers_beside_an_end() {
    let ranges = [
        real(0.0, 1.0, false),
        integers(1, 64, false),
        integers(1, 100, false),
    ];
    for kind in MODELS {
        for seed in 1..4 {
            check(kind, &ranges, seed, (0, 70), |point| {
                let [a, n, m] = ["a", "b", "c"].map(|name| number(point, name));
                (1.0 - a) + (n - 20.0) * (n - 20.0) / 1e3 + (m - 77.0) * (m - 77.0) / 3e3
            });
        }
    }
}

#[test]
fn a_thousand_integers_in_logarithms_and_ordered_words() {
    let words = (0..50).map(|i| Value::Text(format!("{i:02}")));
    let words = Range::Choice {
        values: words.collect(),
        alike: Alike::Neighbours,
    };
    let ranges = [real(-3.0, 7.0, false), integers(1, 1000, true), words];
    for kind in MODELS {
        for seed in 1..3 {
            check(kind, &ranges, seed, (0, 60), |point| {
                let [a, n, w] = ["a", "b", "c"].map(|name| number(point, name));
                a + (n - 300.0) * (n - 300.0) / 1e5 + (w - 31.0) * (w - 31.0) / 1e2
            });
        }
    }
}

/// Ranges whose values are not quite those at the shares of them that models look at.
#[test]
fn reals_alone() {
    let one = [real(1e-5, 0.1, true)];
    let two = [real(-3.0, 7.1, false), real(1e-4, 0.3, true)];
    for kind in MODELS {
        for seed in 1..4 {
            check(kind, &one, seed, (0, 50), |_| 0.0);
            check(kind, &two, seed, (0, 50), |point| {
                number(point, "a") - 2.0 * number(point, "b")
            });
        }
    }
}

/// More trials than the process looks at: it knows nothing of the first ones.
#[test]
fn a_long_history() {
    let ranges = [real(0.0, 1.0, false), real(0.0, 1.0, false)];
    for seed in 1..4 {
        check(SamplerKind::Gp, &ranges, seed, (400, 40), |_| 0.0);
    }
    for (kind, seed) in [(SamplerKind::Gp, 1), (SamplerKind::Auto, 2)] {
        check(kind, &ranges, seed, (180, 60), |point| {
            number(point, "a") + 2.0 * number(point, "b")
        });
    }
}

#[test]
fn all_values_the_same() {
    let mixed = [
        real(0.0, 0.5, false),
        integers(1, 40, false),
        integers(0, 1, false),
    ];
    for kind in MODELS {
        check(kind, &mixed, 7, (0, 60), |_| 0.0);
    }
}

/// A search that evolves, too, has points on the same corner only once.
#[test]
fn a_generation_on_a_corner() {
    let ranges = [real(-1.0, 2.0, false), integers(1, 40, false)];
    for seed in 1..4 {
        check(SamplerKind::Cmaes, &ranges, seed, (0, 200), |point| {
            -number(point, "a") + (number(point, "b") - 20.0).abs()
        });
    }
}
