//! The parameters of the covariance: the most probable ones under priors, by a fixed number of steps from the priors'
//! means.
//!
//! Sources: Rasmussen and Williams 2006, Gaussian processes for machine learning, equations 5.8 and 5.9 (marginal
//! likelihood and its gradient); Hvarfner et al. 2024, <https://arxiv.org/abs/2402.02229> (length scales that grow with
//! the root of the dimension); Igel and Huesken 2003 (iRprop-).

use super::kernel::{matern_slope, place, set_off};
use super::matrix::Lower;
use super::uphill::Steps;
use super::warping::{Warped, Warping};
use crate::sampler::axes::{Axes, Axis, is_absent};

/// What a covariance is made of, as logarithms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hyper {
    /// The weight of each axis: 1 over its squared length scale, where the range has length 1.
    pub(super) weights: Vec<f64>,
    pub(super) scale: f64,
    pub(super) noise: f64,
    /// Of each axis; those of categories stay as they are.
    pub(super) warpings: Vec<Warping>,
}

/// A normal prior on a logarithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior {
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
pub(super) const NOISE: Prior = Prior {
    mean: -6.0,
    deviation: 2.0,
};
/// Of values that say only which of two things happened: what happens by chance is noise.
pub(super) const NOISE_OF_LABELS: Prior = Prior {
    mean: -1.0,
    deviation: 1.0,
};
/// Of each of the two of a warping.
const WARPING: Prior = Prior {
    mean: 0.0,
    deviation: 0.5,
};
/// Warpings are for so many points at least, so many axes at most (each has two numbers to fit), and where they make what was seen
/// more probable by e to this power: elsewhere they only add to the noise.
const WARPED_FROM: usize = 20;
const WARPED_MAX: usize = 12;
const WARPED_GAIN: f64 = 6.0;
/// Steps uphill; the best place of all is taken.
const STEPS: usize = 16;
/// The first step of each logarithm, and the bounds of a step.
const STEP: f64 = 0.5;
/// The same of a fit that goes on from another.
const STEP_ON: f64 = 0.1;
const STEP_MIN: f64 = 1e-3;
const STEP_MAX: f64 = 2.0;
/// No logarithm leaves the interval from minus this to this.
const BOUND: f64 = 14.0;

/// What covariances are fitted to.
struct Points<'a> {
    axes: &'a Axes,
    all: &'a [&'a [f64]],
    noise: Prior,
    /// The axes that are warped.
    warped: Vec<usize>,
}

/// What each axis adds to the squared distances of all pairs of points, by rows of the lower triangle without its diagonal.
struct Pairs {
    axes: usize,
    /// `[pair][axis]`
    all: Vec<f64>,
    /// `[pair][warped axis][a or b]`: the derivatives by the warping's logarithms.
    slopes: Vec<[f64; 2]>,
}

impl Points<'_> {
    /// `x`: as [`priors`].
    fn hyper(&self, x: &[f64]) -> Hyper {
        let d = self.axes.len();
        let mut warpings = vec![Warping::default(); d];
        for (k, pair) in self.warped.iter().zip(x[d + 2..].chunks_exact(2)) {
            let (a, b) = (pair[0], pair[1]);
            warpings[*k] = Warping { a, b };
        }
        Hyper {
            weights: x[..d].to_vec(),
            scale: x[d],
            noise: x[d + 1],
            warpings,
        }
    }

    fn pairs(&self, warpings: &[Warping]) -> Pairs {
        let d = self.axes.len();
        let mut places: Vec<Warped> = Vec::with_capacity(self.all.len() * d);
        let mut changes = vec![false; d];
        for k in &self.warped {
            changes[*k] = true;
        }
        for point in self.all {
            let kinds = self.axes.all().iter().zip(warpings).zip(&changes);
            for (((axis, warping), changes), x) in kinds.zip(*point) {
                places.push(match axis {
                    Axis::Category { .. } => Warped::default(),
                    _ if *changes && !is_absent(*x) => warping.warped(axis.place(*x)),
                    _ => Warped {
                        place: place(axis, Warping::default(), *x),
                        ..Warped::default()
                    },
                });
            }
        }
        let (mut all, mut slopes) = (Vec::new(), Vec::new());
        for (i, a) in self.all.iter().enumerate() {
            for (j, b) in self.all[..i].iter().enumerate() {
                let (here, there) = (&places[i * d..(i + 1) * d], &places[j * d..(j + 1) * d]);
                for (k, axis) in self.axes.all().iter().enumerate() {
                    let apart = here[k].place - there[k].place;
                    all.push(apart * apart + set_off(axis, a[k], b[k]));
                }
                for k in &self.warped {
                    let (here, there) = (here[*k], there[*k]);
                    let apart = 2.0 * (here.place - there.place);
                    slopes.push([
                        apart * (here.by_a - there.by_a),
                        apart * (here.by_b - there.by_b),
                    ]);
                }
            }
        }
        Pairs {
            axes: d,
            all,
            slopes,
        }
    }
}

impl Pairs {
    fn get(&self, pair: usize) -> &[f64] {
        &self.all[pair * self.axes..(pair + 1) * self.axes]
    }

    fn slopes(&self, pair: usize, warped: usize) -> &[[f64; 2]] {
        &self.slopes[pair * warped..(pair + 1) * warped]
    }
}

/// The most probable parameters for these points and values, whose noise is expected to be so.
pub(super) fn fit(axes: &Axes, points: &[&[f64]], values: &[f64], noise: Prior) -> Hyper {
    let plain = Points {
        axes,
        noise,
        all: points,
        warped: Vec::new(),
    };
    let fitted = uphill(&plain, values, None);
    // Whoever lists a few values chose how far they are apart.
    let is_line = |d: &usize| axes.all()[*d] == Axis::Line;
    let warped: Vec<usize> = (0..axes.len()).filter(is_line).collect();
    if points.len() < WARPED_FROM || axes.len() > WARPED_MAX || warped.is_empty() {
        return plain.hyper(&fitted.1);
    }
    let bent = Points { warped, ..plain };
    let refitted = uphill(&bent, values, Some(&fitted.1));
    match refitted.0 > fitted.0 + WARPED_GAIN {
        true => bent.hyper(&refitted.1),
        false => plain.hyper(&fitted.1),
    }
}

/// The logarithm of the best posterior density on the way up, and where that is.
fn uphill(points: &Points<'_>, values: &[f64], from: Option<&[f64]>) -> (f64, Vec<f64>) {
    let priors = priors(points);
    let mut x: Vec<f64> = priors.iter().map(|prior| prior.mean).collect();
    if let Some(from) = from {
        x[..from.len()].copy_from_slice(from);
    }
    let mut best = (f64::NEG_INFINITY, x.clone());
    let step = if from.is_some() { STEP_ON } else { STEP };
    let mut steps = Steps::new(x.len(), step, STEP_MIN, STEP_MAX);
    for _ in 0..STEPS {
        let Some((log, slopes)) = posterior(points, values, &priors, &x) else {
            break;
        };
        if log > best.0 {
            best = (log, x.clone());
        }
        for (x, by) in x.iter_mut().zip(steps.next(slopes)) {
            *x = (*x + by).clamp(-BOUND, BOUND);
        }
    }
    best
}

/// The axes' weights, the scale, the noise, the warpings.
fn priors(points: &Points<'_>) -> Vec<Prior> {
    let (dimensions, warped) = (points.axes.len(), points.warped.len());
    let mean = WEIGHT.mean - libm::log(dimensions.max(1) as f64);
    let mut priors = vec![Prior { mean, ..WEIGHT }; dimensions];
    priors.extend([SCALE, points.noise]);
    priors.extend(vec![WARPING; 2 * warped]);
    priors
}

/// The logarithm of the posterior density of parameters but for a constant, and its gradient; `None` where the
/// covariance matrix is not positive definite. `x`: as [`priors`].
fn posterior(
    points: &Points<'_>,
    values: &[f64],
    priors: &[Prior],
    x: &[f64],
) -> Option<(f64, Vec<f64>)> {
    let (mut log, mut gradient) = likelihood(points, values, x)?;
    for ((slope, prior), x) in gradient.iter_mut().zip(priors).zip(x) {
        log += prior.log(*x);
        *slope += prior.slope(*x);
    }
    Some((log, gradient))
}

/// The logarithm of the marginal likelihood but for a constant, and its gradient by the logarithms `x`.
fn likelihood(points: &Points<'_>, values: &[f64], x: &[f64]) -> Option<(f64, Vec<f64>)> {
    let (n, d, w) = (values.len(), points.axes.len(), points.warped.len());
    let pairs = points.pairs(&points.hyper(x).warpings);
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
    let mut by_warping = vec![[0.0; 2]; w];
    let mut pair = 0;
    for i in 0..n {
        for j in 0..i {
            let share = alpha[i] * alpha[j] - inverse[i][j];
            gradient[d] += share * kernel[i][j];
            let share = share * slopes[pair];
            for (gradient, difference) in gradient.iter_mut().zip(pairs.get(pair)) {
                *gradient += share * difference;
            }
            for (sum, slope) in by_warping.iter_mut().zip(pairs.slopes(pair, w)) {
                sum[0] += share * slope[0];
                sum[1] += share * slope[1];
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
    for (k, slopes) in points.warped.iter().zip(by_warping) {
        gradient.extend(slopes.map(|slope| slope * weights[*k]));
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
        let axes = axes(1);
        let points = Points {
            axes: &axes,
            all: &[&[0.2], &[0.7]],
            noise: NOISE,
            warped: vec![],
        };
        let (log, gradient) = likelihood(&points, &[1.0, -0.5], &[1.0, 0.5, -2.0]).unwrap();
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

    #[test]
    fn slopes_are_derivatives_with_warpings_too() {
        let axes = axes(2);
        let all: [&[f64]; 4] = [&[0.2, 0.4], &[0.7, 0.9], &[0.0, 0.3], &[1.0, 0.8]];
        let points = Points {
            axes: &axes,
            all: &all,
            noise: NOISE,
            warped: vec![0, 1],
        };
        let values = [1.0, -0.5, 0.3, -0.8];
        let x = [1.0, 0.2, 0.5, -2.0, 0.3, -0.2, -0.6, 0.1];
        let (_, gradient) = likelihood(&points, &values, &x).unwrap();
        for i in 0..x.len() {
            let at = |by: f64| {
                let mut x = x;
                x[i] += by;
                likelihood(&points, &values, &x).unwrap().0
            };
            let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!(
                (gradient[i] - numeric).abs() < 1e-7,
                "{i}: {gradient:?} {numeric}"
            );
        }
    }

    /// Where all happens at the lower end, that end is stretched; a bowl hardly changes.
    #[test]
    fn an_axis_is_bent_where_that_says_more() {
        let places: Vec<[f64; 1]> = (0..30).map(|i| [f64::from(i) / 29.0]).collect();
        let points: Vec<&[f64]> = places.iter().map(|p| &p[..]).collect();
        let warping = |value: fn(f64) -> f64| {
            let values: Vec<f64> = places.iter().map(|p| value(p[0])).collect();
            fit(&axes(1), &points, &values, NOISE).warpings[0]
        };
        let steep = warping(|x| 0.7 * libm::log(x + 0.01) + 1.0);
        assert!(steep.place(0.1) > 0.2, "{steep:?}");
        let bowl = warping(|x| 12.0 * (x - 0.4) * (x - 0.4) - 1.0);
        assert!((bowl.place(0.1) - 0.1).abs() < 0.02, "{bowl:?}");
    }

    /// Of two axes, the values follow the first alone: its weight is much the larger, and there is little noise.
    #[test]
    fn axes_that_matter_weigh_more() {
        let places: Vec<[f64; 2]> = (0..25)
            .map(|i| [f64::from(i % 5) / 4.0, f64::from(i / 5) / 4.0])
            .collect();
        let points: Vec<&[f64]> = places.iter().map(|p| &p[..]).collect();
        let values: Vec<f64> = places.iter().map(|p| 4.0 * p[0] * p[0] - 1.5).collect();
        let hyper = fit(&axes(2), &points, &values, NOISE);
        assert!(hyper.weights[0] > hyper.weights[1] + 2.0, "{hyper:?}");
        assert!(hyper.noise < -4.0, "{hyper:?}");
    }
}
