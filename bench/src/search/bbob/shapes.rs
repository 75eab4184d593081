//! What BBOB's functions are put together from.

use std::f64::consts::PI;

pub type Matrix = Vec<Vec<f64>>;

pub fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

pub fn squares(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

pub fn weighted(x: &[f64], weights: &[f64]) -> f64 {
    x.iter().zip(weights).map(|(x, w)| w * x * x).sum()
}

pub fn scaled(x: Vec<f64>, scales: &[f64]) -> Vec<f64> {
    x.into_iter().zip(scales).map(|(x, s)| x * s).collect()
}

/// `top` to the powers from 0 to 1.
pub fn powers(count: usize, top: f64) -> Vec<f64> {
    let last = (count - 1).max(1) as f64;
    (0..count).map(|i| top.powf(i as f64 / last)).collect()
}

/// A row vector times a matrix.
pub fn times(x: &[f64], matrix: &Matrix) -> Vec<f64> {
    let mut product = vec![0.0; x.len()];
    for (x, row) in x.iter().zip(matrix) {
        product
            .iter_mut()
            .zip(row)
            .for_each(|(sum, entry)| *sum += x * entry);
    }
    product
}

pub fn scale_columns(matrix: &mut Matrix, scales: &[f64]) {
    for row in matrix {
        row.iter_mut()
            .zip(scales)
            .for_each(|(entry, scale)| *entry *= scale);
    }
}

/// The places of the values in ascending order.
pub fn order(values: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    places
}

/// Bumps that break up smoothness, T_osz.
pub fn oscillate(x: f64) -> f64 {
    let wave =
        |log: f64, a: f64, b: f64| (0.1 * (log + 0.49 * ((a * log).sin() + (b * log).sin()))).exp();
    if x > 0.0 {
        wave(10.0 * x.ln(), 1.0, 0.79)
    } else if x < 0.0 {
        -wave(10.0 * (-x).ln(), 0.55, 0.31)
    } else {
        0.0
    }
}

pub fn oscillate_all(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(oscillate).collect()
}

/// Stretches the positive sides, T_asy.
pub fn asymmetric(mut x: Vec<f64>, beta: f64) -> Vec<f64> {
    let last = (x.len() - 1) as f64;
    for (i, x) in x.iter_mut().enumerate() {
        if *x > 0.0 {
            *x = x.powf(1.0 + beta * i as f64 / last * x.sqrt());
        }
    }
    x
}

pub fn rastrigin(x: &[f64]) -> f64 {
    let waves: f64 = x.iter().map(|x| (2.0 * PI * x).cos()).sum();
    10.0 * (x.len() as f64 - waves) + squares(x)
}

pub fn rosenbrock_scale(dimension: usize) -> f64 {
    ((dimension as f64).sqrt() / 8.0).max(1.0)
}

pub fn rosenbrock(x: &[f64]) -> f64 {
    x.windows(2).map(valley).sum()
}

fn valley(pair: &[f64]) -> f64 {
    let (a, b) = (pair[0] * pair[0] - pair[1], pair[0] - 1.0);
    100.0 * a * a + b * b
}

pub fn griewank_rosenbrock(x: &[f64]) -> f64 {
    let part = |pair: &[f64]| valley(pair) / 4000.0 - valley(pair).cos();
    let sum: f64 = x.windows(2).map(part).sum();
    10.0 + 10.0 * sum / (x.len() - 1) as f64
}

pub fn schaffer(x: &[f64]) -> f64 {
    let part = |pair: &[f64]| {
        let s = pair[0] * pair[0] + pair[1] * pair[1];
        let wave = (50.0 * s.powf(0.1)).sin();
        s.powf(0.25) * (wave * wave + 1.0)
    };
    let mean = x.windows(2).map(part).sum::<f64>() / (x.len() - 1) as f64;
    mean * mean
}

pub fn weierstrass(x: &[f64]) -> f64 {
    let waves = |x: f64| -> f64 {
        let wave = |k: i32| 0.5f64.powi(k) * (2.0 * PI * 3f64.powi(k) * x).cos();
        (0..12).map(wave).sum()
    };
    let mean = x.iter().map(|x| waves(x + 0.5)).sum::<f64>() / x.len() as f64;
    let above = mean - waves(0.5);
    10.0 * above * above * above
}

pub fn katsuura(x: &[f64]) -> f64 {
    let d = x.len() as f64;
    let rough = |x: f64| -> f64 {
        let part = |k: i32| {
            let wide = 2f64.powi(k) * x;
            (wide - wide.round_ties_even()).abs() / 2f64.powi(k)
        };
        (1..=32).map(part).sum()
    };
    let parts = x.iter().enumerate();
    let product: f64 = parts
        .map(|(i, x)| 1.0 + (i + 1) as f64 * rough(*x))
        .product();
    10.0 / (d * d) * (product.powf(10.0 / d.powf(1.2)) - 1.0)
}
