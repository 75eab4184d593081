//! The pseudo-random numbers from which BBOB's instances are made, as they were in 2009.

use std::f64::consts::PI;

const MODULUS: i64 = 2_147_483_647;

/// Park and Miller's generator behind a table of 32, `count` numbers in (0, 1).
pub fn uniform(count: usize, seed: i64) -> Vec<f64> {
    let next = |seed: i64| {
        let next = 16_807 * (seed % 127_773) - 2_836 * (seed / 127_773);
        if next < 0 { next + MODULUS } else { next }
    };
    let mut state = seed.abs().max(1);
    let mut table = [0; 32];
    for i in (0..40).rev() {
        state = next(state);
        if let Some(entry) = table.get_mut(i) {
            *entry = state;
        }
    }
    let mut last = table[0];
    let draw = |_| {
        state = next(state);
        let place = (last / 67_108_865) as usize;
        last = std::mem::replace(&mut table[place], state);
        (last as f64 / MODULUS as f64).max(1e-99)
    };
    (0..count).map(draw).collect()
}

/// Standard normal numbers.
pub fn gauss(count: usize, seed: i64) -> Vec<f64> {
    let draws = uniform(2 * count, seed);
    let (radii, angles) = draws.split_at(count);
    let pairs = radii.iter().zip(angles);
    let all = pairs.map(|(radius, angle)| (-2.0 * radius.ln()).sqrt() * (2.0 * PI * angle).cos());
    all.map(|g| if g == 0.0 { 1e-99 } else { g }).collect()
}

/// A place in [-4, 4]^d, of four digits.
pub fn optimum(dimension: usize, seed: i64) -> Vec<f64> {
    let draws = uniform(dimension, seed).into_iter();
    let places = draws.map(|draw| 8.0 * (1e4 * draw).floor() / 1e4 - 4.0);
    places.map(|x| if x == 0.0 { -1e-5 } else { x }).collect()
}

/// An orthogonal matrix, by rows.
pub fn rotation(dimension: usize, seed: i64) -> Vec<Vec<f64>> {
    let draws = gauss(dimension * dimension, seed);
    let mut rows: Vec<Vec<f64>> = draws.chunks(dimension).map(<[f64]>::to_vec).collect();
    for i in 0..dimension {
        let (before, rest) = rows.split_at_mut(i);
        let row = &mut rest[0];
        for other in before {
            let along: f64 = row.iter().zip(&*other).map(|(a, b)| a * b).sum();
            row.iter_mut()
                .zip(&*other)
                .for_each(|(a, b)| *a -= along * b);
        }
        let length = row.iter().map(|a| a * a).sum::<f64>().sqrt();
        row.iter_mut().for_each(|a| *a /= length);
    }
    rows
}
