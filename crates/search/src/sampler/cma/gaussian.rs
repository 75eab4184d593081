//! The normal distribution that ordered parameters are drawn from, and how a generation changes it.
//!
//! A place is `mean + sigma * scale * B D z`: `scale` belongs to the margin (see `margin.rs`) and is 1 for continuous
//! parameters, B D is the root of the covariance (see `shape.rs`).
//!
//! Sources: Hansen 2016 (<https://arxiv.org/abs/1604.00772>), with negative weights; places that did not come from this
//! distribution, because they were drawn before it was, count as injected ones of bounded length (Hansen 2011,
//! <https://arxiv.org/abs/1110.4181>, equation 4).

use serde::{Deserialize, Serialize};

use super::rate::Rates;
use super::shape::Shape;
use super::weights::Weights;

/// The eigenvalues may be that far apart; beyond, the distribution is degenerate.
const CONDITION_MAX: f64 = 1e14;

/// By so many standard deviations a mean may leave a continuous range: an optimum at its end is then drawn often.
const BEYOND: f64 = 1.0;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Gaussian {
    pub(super) mean: Vec<f64>,
    pub(super) sigma: f64,
    pub(super) scale: Vec<f64>,
    shape: Shape,
    path_sigma: Vec<f64>,
    path_c: Vec<f64>,
    updates: u32,
}

/// A place and whether it came from the present distribution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn<'a> {
    pub(super) place: &'a [f64],
    pub(super) own: bool,
}

impl Gaussian {
    pub(super) fn new(mean: Vec<f64>, sigma: f64) -> Gaussian {
        let n = mean.len();
        Gaussian {
            mean,
            sigma,
            scale: vec![1.0; n],
            shape: Shape::round(n),
            path_sigma: vec![0.0; n],
            path_c: vec![0.0; n],
            updates: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.mean.len()
    }

    /// The place of standard normal numbers, `widen` times as far from the mean.
    pub(super) fn place(&self, normal: &[f64], widen: f64) -> Vec<f64> {
        let step = self.shape.spread(normal);
        let place = |j: usize| self.mean[j] + widen * self.sigma * self.scale[j] * step[j];
        (0..self.len()).map(place).collect()
    }

    /// The standard deviation of one coordinate.
    pub(super) fn deviation(&self, j: usize) -> f64 {
        self.sigma * self.scale[j] * self.shape.deviation(j)
    }

    /// Gives one coordinate that mean and that standard deviation.
    pub(super) fn set(&mut self, j: usize, mean: f64, deviation: f64) {
        self.mean[j] = mean;
        let own = self.deviation(j);
        if deviation != own {
            self.scale[j] *= deviation / own;
        }
    }

    /// Bounds the standard deviation of every coordinate.
    pub(super) fn narrow(&mut self, most: f64) {
        let widest = (0..self.len())
            .map(|j| self.deviation(j))
            .fold(0.0, f64::max);
        if widest > most {
            self.sigma *= most / widest;
        }
    }

    /// Learning rates for its mean and covariance.
    pub(super) fn rates(&self) -> Rates {
        Rates::new(self.len(), self.shape.matrix().len())
    }

    /// The larger of a coordinate's standard deviation and its share of the path, as lengths.
    pub(super) fn reach(&self, j: usize) -> f64 {
        let path = self.sigma * self.scale[j] * self.path_c[j].abs();
        self.deviation(j).max(path)
    }

    /// Whether numbers have left what floats can hold, or eigenvalues are too far apart.
    pub(super) fn is_degenerate(&self) -> bool {
        let finite = |all: &[f64]| all.iter().all(|x| x.is_finite());
        let roots = self.shape.roots();
        let least = roots.iter().copied().fold(f64::INFINITY, f64::min);
        let most = roots.iter().copied().fold(0.0, f64::max);
        let sound = finite(&self.mean)
            && finite(&self.scale)
            && finite(&self.path_sigma)
            && finite(&self.path_c)
            && self.sigma.is_finite()
            && self.sigma > 0.0;
        !(sound && least > 0.0 && most * most <= CONDITION_MAX * least * least)
    }

    /// Moves towards the better places of a generation, which stand best first. `inside` brings a mean back into the box.
    pub(super) fn update(
        &mut self,
        ranked: &[Drawn<'_>],
        rates: Option<&mut Rates>,
        bounded: impl Fn(usize) -> bool,
    ) {
        let n = self.len();
        let w = Weights::new(n, ranked.len(), self.shape.is_diagonal());
        self.updates += 1;
        // In units of the covariance, and of the identity.
        let bound = (n as f64).sqrt() + 2.0 * n as f64 / (n as f64 + 2.0);
        let steps: Vec<(Vec<f64>, f64)> =
            ranked.iter().map(|drawn| self.step(drawn, bound)).collect();
        let mut mean_step = vec![0.0; n];
        for ((step, _), weight) in steps.iter().zip(&w.weights) {
            if *weight > 0.0 {
                for j in 0..n {
                    mean_step[j] += weight * step[j];
                }
            }
        }
        let mut mean = self.mean.clone();
        for j in 0..n {
            let unit = self.sigma * self.scale[j];
            mean[j] += unit * mean_step[j];
            if bounded(j) {
                let beyond = BEYOND * self.deviation(j);
                mean[j] = mean[j].clamp(-beyond, 1.0 + beyond);
            }
            mean_step[j] = (mean[j] - self.mean[j]) / unit;
        }
        let white = self.shape.whiten(&mean_step);
        let keep = 1.0 - w.c_sigma;
        let gain = (w.c_sigma * (2.0 - w.c_sigma) * w.mu_eff).sqrt();
        for (path, white) in self.path_sigma.iter_mut().zip(&white) {
            *path = keep * *path + gain * white;
        }
        let length = norm(&self.path_sigma);
        let grown = 1.0 - libm::pow(keep, 2.0 * f64::from(self.updates));
        let steady = length / grown.sqrt() < (1.4 + 2.0 / (n as f64 + 1.0)) * w.chi;
        let steady = f64::from(u8::from(steady));
        let gain = steady * (w.c_c * (2.0 - w.c_c) * w.mu_eff).sqrt();
        for (path, step) in self.path_c.iter_mut().zip(&mean_step) {
            *path = (1.0 - w.c_c) * *path + gain * step;
        }
        let growth = (w.c_sigma / w.d_sigma * (length / w.chi - 1.0)).clamp(-1.0, 1.0);
        let sigma = self.sigma * libm::exp(growth);

        let decay = (1.0 - steady) * w.c_1 * w.c_c * (2.0 - w.c_c);
        let total: f64 = w.weights.iter().sum();
        let parts = steps
            .iter()
            .zip(&w.weights)
            .map(|((step, length), weight)| {
                let factor = if *weight >= 0.0 {
                    1.0
                } else {
                    n as f64 / (length * length).max(1e-12)
                };
                (w.c_mu * weight * factor, &step[..])
            });
        let mut parts: Vec<(f64, &[f64])> = parts.collect();
        parts.push((w.c_1, &self.path_c));
        let kept = 1.0 + decay - w.c_1 - w.c_mu * total;
        let shape = self.shape.changed(kept, &parts);
        match rates {
            None => {
                self.mean = mean;
                self.sigma = sigma;
                self.shape.set(shape);
            }
            Some(rates) => self.learn_slowly(rates, &white, (mean, sigma), shape),
        }
    }

    /// The step to a place in units of the covariance, and its length.
    fn step(&self, drawn: &Drawn<'_>, bound: f64) -> (Vec<f64>, f64) {
        let unit = |j: usize| (drawn.place[j] - self.mean[j]) / (self.sigma * self.scale[j]);
        let mut step: Vec<f64> = (0..self.len()).map(unit).collect();
        let length = norm(&self.shape.whiten(&step));
        if drawn.own || length <= bound {
            return (step, length);
        }
        for part in &mut step {
            *part *= bound / length;
        }
        (step, bound)
    }

    /// Takes only so much of a change as its signal is worth, see `rate.rs`.
    fn learn_slowly(
        &mut self,
        rates: &mut Rates,
        white: &[f64],
        to: (Vec<f64>, f64),
        shape: Vec<f64>,
    ) {
        let (mean, sigma) = to;
        let grown = (sigma / self.sigma) * (sigma / self.sigma);
        let before = self.shape.matrix();
        let change: Vec<f64> = shape
            .iter()
            .zip(&before)
            .map(|(a, b)| grown * a - b)
            .collect();
        let slow = rates.learn(white, &self.shape.whiten_matrix(&change));
        for (own, mean) in self.mean.iter_mut().zip(&mean) {
            *own += slow.mean * (mean - *own);
        }
        let learned = before
            .iter()
            .zip(&change)
            .map(|(b, c)| b + slow.covariance * c);
        self.shape.set(learned.collect());
        // Sizes go into sigma, so that the shape keeps its determinant of 1.
        let size = self.shape.normalize();
        self.sigma *= size * slow.sigma;
    }
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::shape::FULL_MAX;
    use super::*;

    /// Ten generations towards the origin along a slope; the places are made up, and half of them are not its own.
    fn learned(n: usize, rates: bool) -> Gaussian {
        let mut gaussian = Gaussian::new(vec![0.5; n], 0.2);
        let mut slow = rates.then(|| gaussian.rates());
        for generation in 0..10 {
            let place = |i: usize| {
                let normal = |j: usize| libm::sin((generation * 97 + i * 31 + j * 7) as f64) * 1.4;
                gaussian.place(&(0..n).map(normal).collect::<Vec<f64>>(), 1.0)
            };
            let mut places: Vec<Vec<f64>> = (0..8).map(place).collect();
            let slope = |place: &[f64]| place.iter().sum::<f64>();
            places.sort_by(|a, b| slope(a).total_cmp(&slope(b)));
            let drawn = places.iter().enumerate();
            let drawn = drawn.map(|(i, place)| Drawn {
                place,
                own: i % 2 == 0,
            });
            let drawn: Vec<Drawn<'_>> = drawn.collect();
            gaussian.update(&drawn, slow.as_mut(), |_| true);
        }
        gaussian
    }

    #[track_caller]
    fn check(n: usize, rates: bool) {
        let mut gaussian = learned(n, rates);
        assert!(!gaussian.is_degenerate());
        assert_eq!(gaussian.shape.is_diagonal(), n > FULL_MAX);
        assert!(gaussian.mean.iter().sum::<f64>() < 0.5 * n as f64);
        // What is spread and whitened again is turned at most.
        let z: Vec<f64> = (0..n).map(|j| libm::cos(j as f64)).collect();
        let back = gaussian.shape.whiten(&gaussian.shape.spread(&z));
        assert!((norm(&back) / norm(&z) - 1.0).abs() < 1e-9);
        // Deviations are those of the covariance, and can be set and bounded.
        let matrix = gaussian.shape.matrix();
        let variance = matrix[if n > FULL_MAX { 1 } else { n + 1 }];
        let expected = gaussian.sigma * variance.sqrt();
        assert!((gaussian.deviation(1) / expected - 1.0).abs() < 1e-12);
        gaussian.set(1, 0.25, 3.0);
        assert!((gaussian.deviation(1) - 3.0).abs() < 1e-12);
        gaussian.narrow(1.0);
        assert!((gaussian.deviation(1) - 1.0).abs() < 1e-12);
        assert_eq!(gaussian.mean[1], 0.25);
    }

    #[test]
    fn generations_change_a_distribution_and_leave_it_one() {
        check(2, false);
        check(7, false);
        check(7, true);
        check(65, false);
        check(65, true);
    }

    #[test]
    fn what_is_not_finite_is_degenerate() {
        let mut gaussian = learned(3, false);
        gaussian.mean[0] = f64::NAN;
        assert!(gaussian.is_degenerate());
        let mut gaussian = learned(3, false);
        gaussian.shape.set(vec![-1.0; 9]);
        assert!(gaussian.is_degenerate());
    }
}
