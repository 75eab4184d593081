//! What the process says of a point, given the trials.
//!
//! A point's expected improvement beside running trials is what it adds to theirs: the mean over samples of how those turn out, of
//! the expected improvement in each. That is qEI of all of them less qEI of the running ones, greedy in the new point, whose own
//! value is integrated in closed form.
//!
//! Sources: Rasmussen and Williams 2006, Gaussian processes for machine learning, algorithm 2.1; Ament et al. 2023, Unexpected
//! improvements to expected improvement, section 4.2 (qLogEI), <https://arxiv.org/abs/2310.20708>; Wilson, Hutter and Deisenroth
//! 2018, Maximizing acquisition functions for Bayesian optimization, section 3 (greedy maximisation),
//! <https://arxiv.org/abs/1805.10196>.

use super::Output;
use super::fit::Hyper;
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
    /// As if running trials turned out as predicted.
    believed: Outcome,
    /// The means at the points, where that is so.
    means: Vec<f64>,
    /// In which ways running trials may turn out, all as likely; at least one.
    outcomes: Vec<Outcome>,
}

/// What is known once running trials have turned out in one way.
#[derive(Clone, Debug)]
struct Outcome {
    /// The covariance matrix's inverse times the values.
    alpha: Vec<f64>,
    /// The lowest mean at a trial.
    best: f64,
}

impl<'a> Posterior<'a> {
    /// - `running`: points whose values are not known yet.
    /// - `chances`: standard normals, one a running point, for each way in which they may turn out; none where they are believed
    ///   to turn out as predicted.
    ///
    /// `None` if the covariance matrix is not positive definite.
    pub(super) fn new(
        axes: &'a Axes,
        told: &[&[f64]],
        output: &Output,
        running: &[&[f64]],
        chances: &[Vec<f64>],
    ) -> Option<Posterior<'a>> {
        let weights = output.hyper.weights.iter().map(|w| libm::exp(*w));
        let metric = Metric::new(axes, weights.collect(), output.hyper.warpings.clone());
        let scale = libm::exp(output.hyper.scale);
        let noise = noise(&output.hyper);
        let points = told.iter().chain(running).map(|p| metric.embed(p));
        let points: Vec<Embedded> = points.collect();
        let rows: Vec<Vec<f64>> = (0..points.len())
            .map(|i| {
                let others = points[..i].iter();
                let others = others.map(|p| scale * matern(metric.square(p, &points[i])));
                others.chain([scale + noise]).collect()
            })
            .collect();
        let factor = Lower::factor(rows)?;
        // Values are the factor times these, and those of running points are normal around their means where the last ones are
        // standard normal.
        let mut whitened = output.values.clone();
        factor.solve(&mut whitened);
        let outcome = |chances: &[f64]| {
            let whitened = [&whitened[..], chances].concat();
            let of_running = (told.len()..points.len()).map(|i| factor.row_times(i, &whitened));
            let mut values = output.values.clone();
            values.extend(of_running);
            let mut alpha = whitened;
            factor.solve_transposed(&mut alpha);
            let means = values.iter().zip(&alpha).map(|(y, a)| y - noise * a);
            let means: Vec<f64> = means.collect();
            let best = means.iter().copied().fold(f64::INFINITY, f64::min);
            (Outcome { alpha, best }, means)
        };
        let (believed, means) = outcome(&vec![0.0; running.len()]);
        let outcomes = if running.is_empty() || chances.is_empty() {
            vec![believed.clone()]
        } else {
            chances.iter().map(|chances| outcome(chances).0).collect()
        };
        Some(Posterior {
            metric,
            points,
            scale,
            factor,
            believed,
            means,
            outcomes,
        })
    }

    /// The mean at each trial, and at each running one, which is believed to turn out so.
    pub(super) fn means(&self) -> &[f64] {
        &self.means
    }

    /// The mean and the variance of the function at a point, where running trials turn out as predicted.
    pub(super) fn predict(&self, point: &[f64]) -> (f64, f64) {
        let mut k = self.covariances(&self.metric.embed(point));
        let mean = dot(&k, &self.believed.alpha);
        self.factor.solve(&mut k);
        (mean, self.variance(&k))
    }

    fn covariances(&self, place: &Embedded) -> Vec<f64> {
        let covariance = |p: &Embedded| self.scale * matern(self.metric.square(p, place));
        self.points.iter().map(covariance).collect()
    }

    fn variance(&self, whitened: &[f64]) -> f64 {
        (self.scale - dot(whitened, whitened)).max(1e-12 * self.scale)
    }

    /// As [`Posterior::log_expected_improvement`], with its slope by the coordinates on lines; 0 on all other axes.
    pub(super) fn improvement_and_slope(&self, point: &[f64]) -> (f64, Vec<f64>) {
        let at = Slopes::of(self, point);
        let deviation = libm::sqrt(at.variance);
        let means = self.means_of(&at.covariances);
        let standing = |(outcome, mean): (&Outcome, f64)| (outcome.best - mean) / deviation;
        let z: Vec<f64> = self.outcomes.iter().zip(means).map(standing).collect();
        let logs: Vec<f64> = z.iter().map(|z| log_improvement(*z)).collect();
        let log = log_mean(&logs);
        // By the covariance with each trial's value, and by the deviation; each outcome counts by its share of the improvement.
        let mut by_values = vec![0.0; self.points.len()];
        let mut by_deviation = 0.0;
        for ((outcome, z), outcome_log) in self.outcomes.iter().zip(z).zip(&logs) {
            let share = libm::exp(outcome_log - log) / self.outcomes.len() as f64;
            let (slope_by_mean, slope_by_deviation) = improvement_slopes(z);
            let slope_by_mean = share * (slope_by_mean / deviation);
            for (sum, alpha) in by_values.iter_mut().zip(&outcome.alpha) {
                *sum += slope_by_mean * alpha;
            }
            by_deviation += share * (slope_by_deviation / deviation);
        }
        let slope = at.along_lines(&by_values, by_deviation);
        (libm::log(deviation) + log, slope)
    }

    /// What a function makes of the mean and the variance at a point, with its slope by the coordinates on lines; 0 on all other axes.
    /// It gives its derivatives by both, too.
    pub(super) fn slope(
        &self,
        point: &[f64],
        of: impl Fn(f64, f64) -> (f64, f64, f64),
    ) -> (f64, Vec<f64>) {
        let at = Slopes::of(self, point);
        let mean = dot(&at.covariances, &self.believed.alpha);
        let (value, by_mean, by_variance) = of(mean, at.variance);
        let by_values = self.believed.alpha.iter().map(|alpha| by_mean * alpha);
        let by_values: Vec<f64> = by_values.collect();
        let by_deviation = 2.0 * libm::sqrt(at.variance) * by_variance;
        (value, at.along_lines(&by_values, by_deviation))
    }

    /// The means of the outcomes at a point with these covariances.
    fn means_of(&self, covariances: &[f64]) -> impl Iterator<Item = f64> {
        let outcomes = self.outcomes.iter();
        outcomes.map(|outcome| dot(covariances, &outcome.alpha))
    }

    /// The mean at trial `i`, whose value is `value`, as the other trials have it.
    pub(super) fn left_out(&self, i: usize, value: f64) -> f64 {
        let mut whitened = vec![0.0; self.points.len()];
        whitened[i] = 1.0;
        self.factor.solve(&mut whitened);
        // The inverse's entry on the diagonal.
        value - self.believed.alpha[i] / dot(&whitened, &whitened)
    }

    /// How the function's values at two points go together, from 0 to 1.
    pub(super) fn correlation(&self, a: &[f64], b: &[f64]) -> f64 {
        let [a, b] = [a, b].map(|point| self.metric.embed(point));
        matern(self.metric.square(&a, &b))
    }

    /// The logarithm of the improvement over the lowest mean that is expected of a point besides that of the running ones: in the
    /// mean of all outcomes, over the lowest mean in each.
    pub(super) fn log_expected_improvement(&self, point: &[f64]) -> f64 {
        let mut k = self.covariances(&self.metric.embed(point));
        let means: Vec<f64> = self.means_of(&k).collect();
        self.factor.solve(&mut k);
        let deviation = libm::sqrt(self.variance(&k));
        let outcomes = self.outcomes.iter().zip(means);
        let logs =
            outcomes.map(|(outcome, mean)| log_improvement((outcome.best - mean) / deviation));
        let logs: Vec<f64> = logs.collect();
        libm::log(deviation) + log_mean(&logs)
    }
}

/// What changes with the coordinates at a point.
struct Slopes<'p> {
    posterior: &'p Posterior<'p>,
    point: &'p [f64],
    place: Embedded,
    /// With each trial's value, and their derivatives by the squared distance.
    covariances: Vec<f64>,
    by_square: Vec<f64>,
    /// The covariance matrix's inverse times those.
    solved: Vec<f64>,
    variance: f64,
}

impl<'p> Slopes<'p> {
    fn of(posterior: &'p Posterior<'_>, point: &'p [f64]) -> Slopes<'p> {
        let place = posterior.metric.embed(point);
        let (mut covariances, mut by_square) = (Vec::new(), Vec::new());
        for other in &posterior.points {
            let (value, slope) = matern_slope(posterior.metric.square(other, &place));
            covariances.push(posterior.scale * value);
            by_square.push(posterior.scale * slope);
        }
        let mut solved = covariances.clone();
        posterior.factor.solve(&mut solved);
        let variance = posterior.variance(&solved);
        posterior.factor.solve_transposed(&mut solved);
        Slopes {
            posterior,
            point,
            place,
            covariances,
            by_square,
            solved,
            variance,
        }
    }

    /// The slope by the coordinates on lines of what changes by so much with each covariance, if the variance stayed, and with the
    /// deviation.
    fn along_lines(&self, by_covariances: &[f64], by_deviation: f64) -> Vec<f64> {
        // The deviation's slope is the variance's over twice the deviation.
        let deviation = libm::sqrt(self.variance);
        let mut by_place = vec![0.0; self.place.places.len()];
        for (i, slope) in self.by_square.iter().enumerate() {
            let by_square = slope * (by_covariances[i] - by_deviation * self.solved[i] / deviation);
            let pairs = self
                .place
                .places
                .iter()
                .zip(&self.posterior.points[i].places);
            for (sum, (here, there)) in by_place.iter_mut().zip(pairs) {
                *sum += 2.0 * by_square * (here - there);
            }
        }
        let metric = &self.posterior.metric;
        metric.slope_by_coordinates(self.point, &by_place)
    }
}

/// The variance of a value at a trial around the function there.
pub(super) fn noise(hyper: &Hyper) -> f64 {
    libm::exp(hyper.noise).max(NOISE_MIN)
}

/// ln of the mean of the exponentials.
fn log_mean(logs: &[f64]) -> f64 {
    let largest = logs.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = logs.iter().map(|log| libm::exp(log - largest)).sum();
    largest + libm::log(sum / logs.len() as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::normal::quantile;
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
        let posterior = Posterior::new(&axes, &points, &output, &[], &[]).unwrap();
        let (mean, variance) = posterior.predict(&[0.4]);
        assert!((mean - KNOWN.0).abs() < 1e-13, "{mean:?}");
        assert!((variance - KNOWN.1).abs() < 1e-13, "{variance:?}");
    }

    const KNOWN: (f64, f64) = (0.398_144_383_699_853_3, 0.160_835_084_729_702_24);

    /// Ways in which one running trial may turn out, evenly by their probability.
    fn evenly(count: u32) -> Vec<Vec<f64>> {
        let share = |i: u32| (f64::from(i) + 0.5) / f64::from(count);
        (0..count).map(|i| vec![quantile(share(i))]).collect()
    }

    #[test]
    fn the_slope_is_the_derivative() {
        let axes = axes();
        let (points, output) = ([&[0.2][..], &[0.7]], output(&[1.0, -0.5]));
        for (running, chances) in [(&[][..], 0), (&[&[0.9][..]], 0), (&[&[0.9][..]], 16)] {
            let chances = evenly(chances);
            let posterior = Posterior::new(&axes, &points, &output, running, &chances).unwrap();
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
    }

    #[test]
    fn a_running_trial_that_is_believed_moves_no_mean_and_narrows_its_surroundings() {
        let axes = axes();
        let (points, output) = ([&[0.2][..], &[0.7]], output(&[1.0, -0.5]));
        let alone = Posterior::new(&axes, &points, &output, &[], &[]).unwrap();
        let believed = Posterior::new(&axes, &points, &output, &[&[0.9]], &[]).unwrap();
        for x in [0.0, 0.5, 0.85, 1.0] {
            let ((mean, variance), (same, less)) = (alone.predict(&[x]), believed.predict(&[x]));
            assert!((mean - same).abs() < 1e-12, "{x}: {mean} {same}");
            assert!(less < variance, "{x}: {variance} {less}");
        }
        let (told, running) = believed.means().split_at(2);
        for (told, alone) in told.iter().zip(alone.means()) {
            assert!((told - alone).abs() < 1e-12);
        }
        assert!((running[0] - alone.predict(&[0.9]).0).abs() < 1e-12);
    }

    /// The improvement beside a running trial is the mean of the improvements once its value has been told.
    #[test]
    fn beside_a_running_trial_each_of_its_values_counts() {
        let axes = axes();
        let (points, values) = ([&[0.2][..], &[0.7]], [1.0, -0.5]);
        let output_of = output;
        let output = output_of(&values);
        let alone = Posterior::new(&axes, &points, &output, &[], &[]).unwrap();
        let (mean, variance) = alone.predict(&[0.75]);
        let deviation = libm::sqrt(variance + libm::exp(output.hyper.noise));
        let told = evenly(400).into_iter().map(|chance| {
            let value = mean + deviation * chance[0];
            let output = output_of(&[values[0], values[1], value]);
            let points = [points[0], points[1], &[0.75]];
            Posterior::new(&axes, &points, &output, &[], &[]).unwrap()
        });
        let told: Vec<Posterior<'_>> = told.collect();
        let chances = evenly(400);
        let beside = Posterior::new(&axes, &points, &output, &[&[0.75]], &chances).unwrap();
        for (x, expected) in BESIDE {
            let found = beside.log_expected_improvement(&[x]);
            let gains = told.iter().map(|p| p.log_expected_improvement(&[x]));
            let mean = log_mean(&gains.collect::<Vec<_>>());
            assert!((found - mean).abs() < 1e-9, "{x}: {found} {mean}");
            assert!((found - expected).abs() < 0.02, "{x}: {found} {expected}");
        }
    }

    /// Computed with mpmath, by quadrature over the running trial's value.
    const BESIDE: [(f64, f64); 4] = [
        (0.1, -7.667_649_535_848_895),
        (0.6, -3.380_819_424_668_147),
        (0.72, -2.537_185_401_065_661),
        (0.9, -1.314_286_450_638_733),
    ];
}
