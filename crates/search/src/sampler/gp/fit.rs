//! The parameters of the covariance: the most probable ones under priors, by a fixed number of steps from the priors'
//! means.
//!
//! Sources: Rasmussen and Williams 2006, Gaussian processes for machine learning, equations 5.8 and 5.9 (marginal
//! likelihood and its gradient); Hvarfner et al. 2024, <https://arxiv.org/abs/2402.02229> (length scales that grow with
//! the root of the dimension); Igel and Huesken 2003 (iRprop-).

use super::kernel::{differences, matern_slope};
use super::matrix::Lower;
use crate::sampler::axes::Axes;

/// What a covariance is made of, as logarithms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hyper {
    /// The weight of each axis: 1 over its squared length scale, where the range has length 1.
    pub(super) weights: Vec<f64>,
    pub(super) scale: f64,
    pub(super) noise: f64,
}

/// A normal prior on a logarithm.
#[derive(Clone, Copy, Debug)]
struct Prior {
    mean: f64,
    deviation: f64,
}

impl Prior {
    fn log(self, x: f64) -> f64 {
        let z = (x - self.mean) / self.deviation;
        -0.5 * z * z
    }

    fn slope(self, x: f64) -> f64 {
        -(x - self.mean) / (self.deviation * self.deviation)
    }
}

/// Of each axis' weight in one dimension; in d, ln d less.
const WEIGHT: Prior = Prior {
    mean: 0.0,
    deviation: 2.0,
};
/// Values have variance 1.
const SCALE: Prior = Prior {
    mean: 0.0,
    deviation: 1.0,
};
const NOISE: Prior = Prior {
    mean: -6.0,
    deviation: 2.0,
};
/// Steps uphill; the best place of all is taken.
const STEPS: usize = 16;
/// The first step of each logarithm, and the bounds of a step.
const STEP: f64 = 0.5;
const STEP_MIN: f64 = 1e-3;
const STEP_MAX: f64 = 2.0;
/// No logarithm leaves the interval from minus this to this.
const BOUND: f64 = 14.0;

/// The differences of all pairs of points: `[pair][axis]`, pairs by rows of the lower triangle without its diagonal.
struct Pairs {
    axes: usize,
    all: Vec<f64>,
}

impl Pairs {
    fn of(axes: &Axes, points: &[&[f64]]) -> Pairs {
        let mut all = Vec::new();
        for (i, a) in points.iter().enumerate() {
            for b in &points[..i] {
                all.extend(differences(axes, a, b));
            }
        }
        Pairs {
            axes: axes.len(),
            all,
        }
    }

    fn get(&self, pair: usize) -> &[f64] {
        &self.all[pair * self.axes..(pair + 1) * self.axes]
    }
}

/// The most probable parameters for these points and values.
pub(super) fn fit(axes: &Axes, points: &[&[f64]], values: &[f64]) -> Hyper {
    let pairs = Pairs::of(axes, points);
    let priors = priors(axes.len());
    let mut x: Vec<f64> = priors.iter().map(|prior| prior.mean).collect();
    let mut best = (f64::NEG_INFINITY, x.clone());
    let mut steps = vec![STEP; x.len()];
    let mut before = vec![0.0; x.len()];
    for _ in 0..STEPS {
        let Some((log, mut slopes)) = posterior(&pairs, values, &priors, &x) else {
            break;
        };
        if log > best.0 {
            best = (log, x.clone());
        }
        for i in 0..x.len() {
            let turn = slopes[i] * before[i];
            if turn > 0.0 {
                steps[i] = f64::min(steps[i] * 1.2, STEP_MAX);
            } else if turn < 0.0 {
                steps[i] = f64::max(steps[i] * 0.5, STEP_MIN);
                slopes[i] = 0.0; // stay, and go on from here
            }
            let sign = f64::from(i8::from(slopes[i] > 0.0) - i8::from(slopes[i] < 0.0));
            x[i] = (x[i] + sign * steps[i]).clamp(-BOUND, BOUND);
        }
        before = slopes;
    }
    let mut weights = best.1;
    let noise = weights.pop().unwrap_or(NOISE.mean);
    let scale = weights.pop().unwrap_or(SCALE.mean);
    Hyper {
        weights,
        scale,
        noise,
    }
}

/// The axes' weights, the scale, the noise.
fn priors(dimensions: usize) -> Vec<Prior> {
    let mean = WEIGHT.mean - libm::log(dimensions.max(1) as f64);
    let mut priors = vec![Prior { mean, ..WEIGHT }; dimensions];
    priors.extend([SCALE, NOISE]);
    priors
}

/// The logarithm of the posterior density of parameters but for a constant, and its gradient; `None` where the
/// covariance matrix is not positive definite. `x`: as [`priors`].
fn posterior(
    pairs: &Pairs,
    values: &[f64],
    priors: &[Prior],
    x: &[f64],
) -> Option<(f64, Vec<f64>)> {
    let (mut log, mut gradient) = likelihood(pairs, values, x)?;
    for ((slope, prior), x) in gradient.iter_mut().zip(priors).zip(x) {
        log += prior.log(*x);
        *slope += prior.slope(*x);
    }
    Some((log, gradient))
}

/// The logarithm of the marginal likelihood but for a constant, and its gradient by the logarithms `x`.
fn likelihood(pairs: &Pairs, values: &[f64], x: &[f64]) -> Option<(f64, Vec<f64>)> {
    let (n, d) = (values.len(), pairs.axes);
    let weights: Vec<f64> = x[..d].iter().map(|x| libm::exp(*x)).collect();
    let (scale, noise) = (libm::exp(x[d]), libm::exp(x[d + 1]));
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
    let mut slopes = Vec::with_capacity(n * n / 2);
    for i in 0..n {
        let mut row = Vec::with_capacity(i + 1);
        for _ in 0..i {
            let differences = pairs.get(slopes.len()).iter().zip(&weights);
            let (value, slope) = matern_slope(differences.map(|(d, w)| d * w).sum());
            row.push(scale * value);
            slopes.push(scale * slope);
        }
        row.push(scale + noise);
        rows.push(row);
    }
    let kernel = rows.clone();
    let factor = Lower::factor(rows)?;
    let mut alpha = values.to_vec();
    factor.solve(&mut alpha);
    let misfit: f64 = alpha.iter().map(|a| a * a).sum();
    factor.solve_transposed(&mut alpha);
    let inverse = factor.inverse();
    // Half the trace of (alpha alpha^T - K^-1) dK, over the lower triangle.
    let mut gradient = vec![0.0; d + 2];
    let mut pair = 0;
    for i in 0..n {
        for j in 0..i {
            let share = alpha[i] * alpha[j] - inverse[i][j];
            gradient[d] += share * kernel[i][j];
            let share = share * slopes[pair];
            for (gradient, difference) in gradient.iter_mut().zip(pairs.get(pair)) {
                *gradient += share * difference;
            }
            pair += 1;
        }
        let share = alpha[i] * alpha[i] - inverse[i][i];
        gradient[d] += 0.5 * share * scale;
        gradient[d + 1] += 0.5 * share * noise;
    }
    for (gradient, weight) in gradient.iter_mut().zip(&weights) {
        *gradient *= weight;
    }
    Some((-0.5 * misfit - 0.5 * factor.log_determinant(), gradient))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Parameter, Range, Space};

    fn axes(count: usize) -> Axes {
        let parameter = |i| Parameter {
            name: format!("p{i}"),
            range: Range::Real {
                min: 0.0,
                max: 1.0,
                log: false,
            },
            when: vec![],
        };
        Axes::of(&Space::new((0..count).map(parameter).collect()).unwrap())
    }

    /// Two trials half a range apart, computed with mpmath to 30 digits.
    #[test]
    fn a_known_likelihood_and_gradient() {
        let pairs = Pairs::of(&axes(1), &[&[0.2], &[0.7]]);
        let (log, gradient) = likelihood(&pairs, &[1.0, -0.5], &[1.0, 0.5, -2.0]).unwrap();
        assert!((log + 1.148_176_928_389_081_3).abs() < 1e-14, "{log:?}");
        let expected = [
            0.213_928_483_300_894_45,
            -0.247_322_134_624_603_67,
            0.023_058_903_495_701_755,
        ];
        for (found, expected) in gradient.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{found:?} {expected:?}");
        }
    }

    /// Of two axes, the values follow the first alone: its weight is much the larger, and there is little noise.
    #[test]
    fn axes_that_matter_weigh_more() {
        let places: Vec<[f64; 2]> = (0..25)
            .map(|i| [f64::from(i % 5) / 4.0, f64::from(i / 5) / 4.0])
            .collect();
        let points: Vec<&[f64]> = places.iter().map(|p| &p[..]).collect();
        let values: Vec<f64> = places.iter().map(|p| 4.0 * p[0] * p[0] - 1.5).collect();
        let hyper = fit(&axes(2), &points, &values);
        assert!(hyper.weights[0] > hyper.weights[1] + 2.0, "{hyper:?}");
        assert!(hyper.noise < -4.0, "{hyper:?}");
    }
}
