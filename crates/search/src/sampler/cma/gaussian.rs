//! The normal distribution that ordered parameters are drawn from, and how a generation changes it.
//!
//! A place is `mean + sigma * scale * B D z`: `scale` belongs to the margin (see `margin.rs`) and is 1 for continuous
//! parameters, B D is the root of the covariance. Beyond [`FULL_MAX`] dimensions the covariance is a diagonal.
//!
//! Sources: Hansen 2016 (<https://arxiv.org/abs/1604.00772>), with negative weights; Ros and Hansen 2008 for the diagonal;
//! places that did not come from this distribution, because they were drawn before it was, count as injected ones of
//! bounded length (Hansen 2011, <https://arxiv.org/abs/1110.4181>, equation 4).

use serde::{Deserialize, Serialize};

use super::eigen::decompose;
use super::rate::Rates;
use super::weights::Weights;

/// The most dimensions with correlations: of more, they take longer to learn than a sweep lasts.
pub(super) const FULL_MAX: usize = 64;

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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Full {
        covariance: Vec<f64>,
        /// Eigenvectors, the columns of a matrix.
        basis: Vec<f64>,
        /// Roots of the eigenvalues.
        roots: Vec<f64>,
    },
    Diagonal {
        /// Standard deviations.
        roots: Vec<f64>,
    },
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
        let shape = if n <= FULL_MAX {
            let identity: Vec<f64> = (0..n * n)
                .map(|i| f64::from(u8::from(i / n == i % n)))
                .collect();
            Shape::Full {
                basis: identity.clone(),
                covariance: identity,
                roots: vec![1.0; n],
            }
        } else {
            Shape::Diagonal {
                roots: vec![1.0; n],
            }
        };
        Gaussian {
            mean,
            sigma,
            scale: vec![1.0; n],
            shape,
            path_sigma: vec![0.0; n],
            path_c: vec![0.0; n],
            updates: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.mean.len()
    }

    pub(super) fn is_diagonal(&self) -> bool {
        matches!(self.shape, Shape::Diagonal { .. })
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
        let w = Weights::new(n, ranked.len(), self.is_diagonal());
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

impl Shape {
    fn roots(&self) -> &[f64] {
        match self {
            Shape::Full { roots, .. } | Shape::Diagonal { roots } => roots,
        }
    }

    /// B D z.
    fn spread(&self, z: &[f64]) -> Vec<f64> {
        match self {
            Shape::Diagonal { roots } => roots.iter().zip(z).map(|(r, z)| r * z).collect(),
            Shape::Full { basis, roots, .. } => {
                let n = z.len();
                let scaled: Vec<f64> = roots.iter().zip(z).map(|(r, z)| r * z).collect();
                let row = |row: &[f64]| row.iter().zip(&scaled).map(|(b, s)| b * s).sum();
                basis.chunks_exact(n).map(row).collect()
            }
        }
    }

    /// B D^-1 B^T y.
    fn whiten(&self, y: &[f64]) -> Vec<f64> {
        match self {
            Shape::Diagonal { roots } => roots.iter().zip(y).map(|(r, y)| y / r).collect(),
            Shape::Full { basis, roots, .. } => {
                let n = y.len();
                let mut turned = vec![0.0; n];
                for (row, y) in basis.chunks_exact(n).zip(y) {
                    for (sum, b) in turned.iter_mut().zip(row) {
                        *sum += b * y;
                    }
                }
                for (part, root) in turned.iter_mut().zip(roots) {
                    *part /= root;
                }
                let row = |row: &[f64]| row.iter().zip(&turned).map(|(b, t)| b * t).sum();
                basis.chunks_exact(n).map(row).collect()
            }
        }
    }

    fn deviation(&self, j: usize) -> f64 {
        match self {
            Shape::Diagonal { roots } => roots[j],
            Shape::Full {
                covariance, roots, ..
            } => covariance[j * roots.len() + j].sqrt(),
        }
    }

    /// The covariance: all of it, or its diagonal.
    fn matrix(&self) -> Vec<f64> {
        match self {
            Shape::Diagonal { roots } => roots.iter().map(|root| root * root).collect(),
            Shape::Full { covariance, .. } => covariance.clone(),
        }
    }

    /// The covariance times `kept`, and the weighted squares of steps added to it.
    fn changed(&self, kept: f64, parts: &[(f64, &[f64])]) -> Vec<f64> {
        let mut matrix = self.matrix();
        for entry in &mut matrix {
            *entry *= kept;
        }
        for (weight, step) in parts {
            match self {
                Shape::Diagonal { .. } => {
                    for (entry, step) in matrix.iter_mut().zip(*step) {
                        *entry += weight * step * step;
                    }
                }
                Shape::Full { .. } => {
                    for (row, left) in matrix.chunks_exact_mut(step.len()).zip(*step) {
                        for (entry, right) in row.iter_mut().zip(*step) {
                            *entry += weight * (left * right);
                        }
                    }
                }
            }
        }
        matrix
    }

    /// Takes a covariance and derives the rest of it. One that is not positive leaves roots that are not, which
    /// [`Gaussian::is_degenerate`] finds.
    fn set(&mut self, matrix: Vec<f64>) {
        match self {
            Shape::Diagonal { roots } => {
                for (root, entry) in roots.iter_mut().zip(&matrix) {
                    *root = entry.sqrt();
                }
            }
            Shape::Full {
                covariance,
                basis,
                roots,
            } => {
                let n = roots.len();
                match decompose(&matrix, n) {
                    Some((values, vectors)) => {
                        *roots = values.iter().map(|value| value.max(0.0).sqrt()).collect();
                        *basis = vectors;
                    }
                    None => roots.fill(0.0),
                }
                *covariance = matrix;
            }
        }
    }

    /// C^-1/2 M C^-1/2; of a diagonal only that.
    fn whiten_matrix(&self, matrix: &[f64]) -> Vec<f64> {
        match self {
            Shape::Diagonal { roots } => {
                let entries = matrix.iter().zip(roots);
                entries.map(|(entry, root)| entry / (root * root)).collect()
            }
            Shape::Full { roots, .. } => {
                let n = roots.len();
                let mut half = vec![0.0; n * n];
                for (i, row) in matrix.chunks_exact(n).enumerate() {
                    for (j, entry) in self.whiten(row).into_iter().enumerate() {
                        half[j * n + i] = entry;
                    }
                }
                let rows = half.chunks_exact(n);
                rows.flat_map(|row| self.whiten(row)).collect()
            }
        }
    }

    /// Divides by the root of the determinant's share of one dimension, and gives that.
    fn normalize(&mut self) -> f64 {
        let n = self.roots().len() as f64;
        let logs: f64 = self.roots().iter().map(|root| libm::log(*root)).sum();
        let size = libm::exp(logs / n);
        if !(size.is_finite() && size > 0.0) {
            return 1.0;
        }
        match self {
            Shape::Diagonal { roots } => roots.iter_mut().for_each(|root| *root /= size),
            Shape::Full {
                covariance, roots, ..
            } => {
                roots.iter_mut().for_each(|root| *root /= size);
                covariance
                    .iter_mut()
                    .for_each(|entry| *entry /= size * size);
            }
        }
        size
    }
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}
