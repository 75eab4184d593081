//! What the process says of a point, given the trials.
//!
//! Source: Rasmussen and Williams 2006, Gaussian processes for machine learning, algorithm 2.1.

use super::Output;
use super::kernel::{Embedded, Metric, matern, matern_slope};
use super::matrix::{Lower, dot};
use super::normal::{improvement_slopes, log_improvement};
use crate::sampler::axes::Axes;

/// Less noise than this would make close points inseparable.
const NOISE_MIN: f64 = 1e-6;

#[derive(Clone, Debug)]
pub(super) struct Posterior<'a> {
    metric: Metric<'a>,
    points: Vec<Embedded>,
    scale: f64,
    factor: Lower,
    /// The covariance matrix's inverse times the values.
    alpha: Vec<f64>,
    /// The means at the points.
    means: Vec<f64>,
    /// The lowest at a trial with a result.
    best: f64,
}

impl<'a> Posterior<'a> {
    /// `running`: points whose values are taken to be the means there. `None` if the covariance matrix is not positive
    /// definite.
    pub(super) fn new<'p>(
        axes: &'a Axes,
        told: &[&[f64]],
        output: &Output,
        running: impl Iterator<Item = &'p [f64]>,
    ) -> Option<Posterior<'a>> {
        let weights = output.hyper.weights.iter().map(|w| libm::exp(*w));
        let metric = Metric::new(axes, weights.collect(), output.hyper.warpings.clone());
        let scale = libm::exp(output.hyper.scale);
        let noise = libm::exp(output.hyper.noise).max(NOISE_MIN);
        let count = told.len();
        let mut points: Vec<Embedded> = told.iter().map(|p| metric.embed(p)).collect();
        points.extend(running.map(|point| metric.embed(point)));
        let rows: Vec<Vec<f64>> = (0..points.len())
            .map(|i| {
                let others = points[..i].iter();
                let others = others.map(|p| scale * matern(metric.square(p, &points[i])));
                others.chain([scale + noise]).collect()
            })
            .collect();
        let factor = Lower::factor(rows.clone())?;
        let mut alpha = output.values.clone();
        factor.solve(&mut alpha);
        factor.solve_transposed(&mut alpha);
        let means = output.values.iter().zip(&alpha).map(|(y, a)| y - noise * a);
        let mut means: Vec<f64> = means.collect();
        let best = means.iter().copied().fold(f64::INFINITY, f64::min);
        if points.len() > count {
            let mut values = output.values.clone();
            values.extend(rows[count..].iter().map(|row| dot(&row[..count], &alpha)));
            means.extend(&values[count..]);
            factor.solve(&mut values);
            factor.solve_transposed(&mut values);
            alpha = values;
        }
        Some(Posterior {
            metric,
            points,
            scale,
            factor,
            alpha,
            means,
            best,
        })
    }

    /// The mean at each trial, and at each running one.
    pub(super) fn means(&self) -> &[f64] {
        &self.means
    }

    /// The mean and the variance of the function at a point.
    pub(super) fn predict(&self, point: &[f64]) -> (f64, f64) {
        let point = self.metric.embed(point);
        let covariance = |p: &Embedded| self.scale * matern(self.metric.square(p, &point));
        let mut k: Vec<f64> = self.points.iter().map(covariance).collect();
        let mean = dot(&k, &self.alpha);
        self.factor.solve(&mut k);
        (mean, (self.scale - dot(&k, &k)).max(1e-12 * self.scale))
    }

    /// As [`Posterior::log_expected_improvement`], with its slope by the coordinates on lines; 0 on all other axes.
    pub(super) fn improvement_and_slope(&self, point: &[f64]) -> (f64, Vec<f64>) {
        let place = self.metric.embed(point);
        let (mut k, mut slopes) = (Vec::new(), Vec::new());
        for other in &self.points {
            let (value, slope) = matern_slope(self.metric.square(other, &place));
            k.push(self.scale * value);
            slopes.push(self.scale * slope);
        }
        let mean = dot(&k, &self.alpha);
        self.factor.solve(&mut k);
        let variance = (self.scale - dot(&k, &k)).max(1e-12 * self.scale);
        self.factor.solve_transposed(&mut k);
        let deviation = libm::sqrt(variance);
        let z = (self.best - mean) / deviation;
        let (by_mean, by_deviation) = improvement_slopes(z);
        let (by_mean, by_deviation) = (by_mean / deviation, by_deviation / deviation);
        // The deviation's slope is the variance's over twice the deviation.
        let mut by_place = vec![0.0; place.places.len()];
        for (i, slope) in slopes.iter().enumerate() {
            let by_square = slope * (by_mean * self.alpha[i] - by_deviation * k[i] / deviation);
            let pairs = place.places.iter().zip(&self.points[i].places);
            for (sum, (here, there)) in by_place.iter_mut().zip(pairs) {
                *sum += 2.0 * by_square * (here - there);
            }
        }
        let score = libm::log(deviation) + log_improvement(z);
        (score, self.metric.slope_by_coordinates(point, &by_place))
    }

    /// How the function's values at two points go together, from 0 to 1.
    pub(super) fn correlation(&self, a: &[f64], b: &[f64]) -> f64 {
        let [a, b] = [a, b].map(|point| self.metric.embed(point));
        matern(self.metric.square(&a, &b))
    }

    /// The logarithm of the improvement that is expected of a point over the lowest mean.
    pub(super) fn log_expected_improvement(&self, point: &[f64]) -> f64 {
        let (mean, variance) = self.predict(point);
        let deviation = libm::sqrt(variance);
        libm::log(deviation) + log_improvement((self.best - mean) / deviation)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::fit::Hyper;
    use super::super::warping::Warping;
    use super::*;
    use crate::{Parameter, Range, Space};

    fn axes() -> Axes {
        let range = Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        };
        let parameter = Parameter {
            name: "a".into(),
            range,
            when: vec![],
        };
        Axes::of(&Space::new(vec![parameter]).unwrap())
    }

    fn output(values: &[f64]) -> Output {
        let hyper = Hyper {
            weights: vec![1.0],
            warpings: vec![Warping::default()],
            scale: 0.5,
            noise: -2.0,
        };
        Output {
            values: values.to_vec(),
            hyper,
        }
    }

    /// Two trials, computed with mpmath to 30 digits.
    #[test]
    fn a_known_case() {
        let axes = axes();
        let (points, output) = ([&[0.2][..], &[0.7]], output(&[1.0, -0.5]));
        let posterior = Posterior::new(&axes, &points, &output, [].into_iter()).unwrap();
        let (mean, variance) = posterior.predict(&[0.4]);
        assert!((mean - KNOWN.0).abs() < 1e-13, "{mean:?}");
        assert!((variance - KNOWN.1).abs() < 1e-13, "{variance:?}");
    }

    const KNOWN: (f64, f64) = (0.398_144_383_699_853_3, 0.160_835_084_729_702_24);

    #[test]
    fn the_slope_is_the_derivative() {
        let axes = axes();
        let (points, output) = ([&[0.2][..], &[0.7]], output(&[1.0, -0.5]));
        let posterior = Posterior::new(&axes, &points, &output, [&[0.9][..]].into_iter()).unwrap();
        for x in [0.01, 0.3, 0.69, 0.75, 0.99] {
            let (score, slope) = posterior.improvement_and_slope(&[x]);
            assert_eq!(score, posterior.log_expected_improvement(&[x]));
            let at = |x: f64| posterior.log_expected_improvement(&[x]);
            let numeric = (at(x + 1e-6) - at(x - 1e-6)) / 2e-6;
            assert!(
                (slope[0] - numeric).abs() < 1e-6,
                "{x}: {slope:?} {numeric}"
            );
        }
    }

    #[test]
    fn a_running_trial_moves_no_mean_and_narrows_its_surroundings() {
        let axes = axes();
        let (points, output) = ([&[0.2][..], &[0.7]], output(&[1.0, -0.5]));
        let alone = Posterior::new(&axes, &points, &output, [].into_iter()).unwrap();
        let believed = Posterior::new(&axes, &points, &output, [&[0.9][..]].into_iter()).unwrap();
        for x in [0.0, 0.5, 0.85, 1.0] {
            let ((mean, variance), (same, less)) = (alone.predict(&[x]), believed.predict(&[x]));
            assert!((mean - same).abs() < 1e-12, "{x}: {mean} {same}");
            assert!(less < variance, "{x}: {variance} {less}");
        }
        assert_eq!(alone.best, believed.best);
        let (told, running) = believed.means().split_at(2);
        assert_eq!(told, alone.means());
        assert!((running[0] - alone.predict(&[0.9]).0).abs() < 1e-12);
    }
}
