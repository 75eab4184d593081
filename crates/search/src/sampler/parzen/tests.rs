//! Densities and draws.

use super::super::axes::ABSENT;
use super::*;
use crate::sampler::random::stream;
use crate::{Alike, Assignment, Condition, Parameter, Range, Space, Value};

const WIDTH: Width = Width {
    scale: 0.2,
    steps_max: 100.0,
    floor: 1.0,
};

fn parameter(name: &str, range: Range, when: &[(&str, i64)]) -> Parameter {
    let when = when.iter().map(|(parent, value)| Condition {
        parameter: (*parent).to_owned(),
        any_of: vec![Value::Int(*value)],
    });
    Parameter {
        name: name.to_owned(),
        range,
        when: when.collect(),
    }
}

fn line() -> Range {
    Range::Real {
        min: 0.0,
        max: 1.0,
        log: false,
    }
}

fn cells(count: i64) -> Range {
    Range::Integer {
        min: 1,
        max: count,
        log: false,
    }
}

fn category(count: i64) -> Range {
    Range::Choice {
        values: (0..count).map(Value::Int).collect(),
        alike: Alike::None,
    }
}

fn axes(parameters: Vec<Parameter>) -> (Space, Axes) {
    #![allow(clippy::unwrap_used)]
    let space = Space::new(parameters).unwrap();
    let axes = Axes::of(&space);
    (space, axes)
}

/// Densities computed with mpmath to 30 digits.
#[track_caller]
fn check(range: Range, centres: &[f64], weights: &[f64], x: f64, expected: f64) {
    let (_, axes) = axes(vec![parameter("a", range, &[])]);
    let points: Vec<[f64; 1]> = centres.iter().map(|c| [*c]).collect();
    let centres = points.iter().map(|p| &p[..]).collect();
    let parzen = Parzen::new(&axes, centres, weights.to_vec(), &[ABSENT], WIDTH);
    let found = libm::exp(parzen.log_density(&[x], &mut Vec::new()));
    assert!(
        (found / expected - 1.0).abs() < 1e-12,
        "{found:?} {expected:?}"
    );
}

#[test]
fn known_densities() {
    // One kernel: its width is the narrowest, 1/2. Beside it the prior, of the same weight.
    check(line(), &[0.5], &[1.0], 0.5, KNOWN[0]);
    check(line(), &[0.0], &[1.0], 1.0, KNOWN[1]);
    // Two kernels: 1/3 is wider than 0.2 * 2^(-1/5).
    check(line(), &[0.2, 0.9], &[1.5, 0.5], 0.3, KNOWN[2]);
    check(cells(4), &[3.0], &[1.0], 0.0, KNOWN[3]);
    check(cells(4), &[3.0], &[1.0], 3.0, KNOWN[4]);
    // A category: (1 + 1/3) / 2 for its own value, 1/6 for each of the others; the prior 1/3.
    check(
        category(3),
        &[1.0],
        &[1.0],
        1.0,
        (2.0 / 3.0 + 1.0 / 3.0) / 2.0,
    );
    check(
        category(3),
        &[1.0],
        &[1.0],
        2.0,
        (1.0 / 6.0 + 1.0 / 3.0) / 2.0,
    );
}

fn apart(rows: [[f64; 3]; 3]) -> Range {
    Range::Choice {
        values: (0..3).map(Value::Int).collect(),
        alike: Alike::Apart(rows.map(|row| row.to_vec()).to_vec()),
    }
}

#[test]
fn near_values_of_a_category_are_likelier_than_far_ones() {
    // All as far: as without distances.
    let equal = || apart([[0.0, 7.0, 7.0], [7.0, 0.0, 7.0], [7.0, 7.0, 0.0]]);
    let shares = [4.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0];
    for (value, share) in shares.into_iter().enumerate() {
        check(
            equal(),
            &[0.0],
            &[1.0],
            value as f64,
            (share + 1.0 / 3.0) / 2.0,
        );
    }
    // The second is half as far as the third: a fourth of the weight, to the power of a fourth.
    let line = || apart([[0.0, 2.0, 4.0], [2.0, 0.0, 2.0], [4.0, 2.0, 0.0]]);
    let near = libm::sqrt(0.5);
    let sum = 1.0 + near + 0.25;
    for (value, weight) in [1.0, near, 0.25].into_iter().enumerate() {
        check(
            line(),
            &[0.0],
            &[1.0],
            value as f64,
            (weight / sum + 1.0 / 3.0) / 2.0,
        );
    }
}

#[test]
fn draws_follow_distances() {
    let line = apart([[0.0, 2.0, 4.0], [2.0, 0.0, 2.0], [4.0, 2.0, 0.0]]);
    let (_, axes) = axes(vec![parameter("a", line, &[])]);
    let parzen = Parzen::new(&axes, vec![&[0.0]], vec![1.0], &[ABSENT], WIDTH);
    let mut stream = stream(b"test:test:test:2", 1, 0);
    for kernel in 0..2 {
        let mut counts = [0.0; 3];
        for _ in 0..30_000 {
            counts[parzen.draw(kernel, 0, &mut stream) as usize] += 1.0 / 30_000.0;
        }
        let weights = [[1.0, libm::sqrt(0.5), 0.25], [1.0; 3]][kernel];
        for (count, weight) in counts.iter().zip(weights) {
            let share = weight / weights.iter().sum::<f64>();
            assert!((count - share).abs() < 0.01, "{counts:?}");
        }
    }
}

const KNOWN: [f64; 5] = [
    1.084_368_567_256_816_6,
    0.613_129_348_225_038_4,
    1.194_850_099_686_666_7,
    0.183_704_868_174_385_05,
    0.301_688_133_749_202_7,
];

/// A category, cells in two branches and a line in one of them.
fn branches() -> (Space, Axes, Vec<[f64; 4]>) {
    let (space, axes) = axes(vec![
        parameter("kind", category(2), &[]),
        parameter("left", cells(3), &[("kind", 0)]),
        parameter("right", line(), &[("kind", 1)]),
        parameter("size", cells(2), &[]),
    ]);
    let none = ABSENT;
    let centres = vec![
        [0.0, 2.0, none, 0.0],
        [1.0, none, 0.25, 1.0],
        [1.0, none, 0.9, 1.0],
    ];
    (space, axes, centres)
}

#[test]
fn a_density_over_branches_adds_up_to_one_and_draws_follow_it() {
    let (space, axes, centres) = branches();
    let points = centres.iter().map(|c| &c[..]).collect();
    let absent = [ABSENT; 4];
    let parzen = Parzen::new(&axes, points, vec![1.0, 2.0, 1.0], &absent, WIDTH);
    let mut scratch = Vec::new();
    let mut density = |x: [f64; 4]| libm::exp(parzen.log_density(&x, &mut scratch));
    // Left: kind 0, 3 x 2 points. Right: kind 1, ten parts of the line by 2.
    let mut shares = Vec::new();
    for size in 0..2 {
        for left in 0..3 {
            shares.push(density([0.0, f64::from(left), ABSENT, f64::from(size)]));
        }
        for part in 0..10 {
            let middle = |i: i32| (f64::from(part) + (f64::from(i) + 0.5) / 64.0) / 10.0;
            let places = (0..64).map(middle);
            let mass: f64 = places
                .map(|x| density([1.0, ABSENT, x, f64::from(size)]) / 640.0)
                .sum();
            shares.push(mass);
        }
    }
    let total: f64 = shares.iter().sum();
    assert!((total - 1.0).abs() < 1e-4, "{total}");

    let mut stream = stream(b"test:test:parzen", 1, 2);
    let mut counts = vec![0u32; shares.len()];
    for _ in 0..20_000 {
        let kernel = parzen.pick(unit(stream.next_u64()));
        let mut x = [ABSENT; 4];
        let point: Assignment = axes.decode(&space, |d| {
            x[d] = parzen.draw(kernel, d, &mut stream);
            x[d]
        });
        assert!(space.contains(&point), "{point:?}");
        let cell = if x[0] == 0.0 {
            x[1] as usize
        } else {
            3 + (x[2] * 10.0) as usize
        };
        counts[x[3] as usize * 13 + cell] += 1;
    }
    let chi2: f64 = counts
        .iter()
        .zip(&shares)
        .map(|(count, share)| {
            let fair = share * 20_000.0;
            (f64::from(*count) - fair) * (f64::from(*count) - fair) / fair
        })
        .sum();
    assert!((6.0..63.0).contains(&chi2), "25 degrees of freedom: {chi2}"); // 0.01 % on either side
}
