//! The covariance of a distribution, and what follows from it.
//!
//! Beyond [`FULL_MAX`] dimensions it is a diagonal (Ros and Hansen 2008, sep-CMA-ES).

use serde::{Deserialize, Serialize};

use super::eigen::decompose;

/// The most dimensions with correlations: of more, they take longer to learn than a sweep lasts.
pub(super) const FULL_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Shape {
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

impl Shape {
    /// A ball, of that many dimensions.
    pub(super) fn round(n: usize) -> Shape {
        let roots = vec![1.0; n];
        if n > FULL_MAX {
            return Shape::Diagonal { roots };
        }
        let entries = 0..n * n;
        let identity: Vec<f64> = entries
            .map(|i| f64::from(u8::from(i / n == i % n)))
            .collect();
        Shape::Full {
            basis: identity.clone(),
            covariance: identity,
            roots,
        }
    }

    pub(super) fn is_diagonal(&self) -> bool {
        matches!(self, Shape::Diagonal { .. })
    }

    pub(super) fn roots(&self) -> &[f64] {
        match self {
            Shape::Full { roots, .. } | Shape::Diagonal { roots } => roots,
        }
    }

    /// B D z.
    pub(super) fn spread(&self, z: &[f64]) -> Vec<f64> {
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
    pub(super) fn whiten(&self, y: &[f64]) -> Vec<f64> {
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

    pub(super) fn deviation(&self, j: usize) -> f64 {
        match self {
            Shape::Diagonal { roots } => roots[j],
            Shape::Full {
                covariance, roots, ..
            } => covariance[j * roots.len() + j].sqrt(),
        }
    }

    /// The covariance: all of it, or its diagonal.
    pub(super) fn matrix(&self) -> Vec<f64> {
        match self {
            Shape::Diagonal { roots } => roots.iter().map(|root| root * root).collect(),
            Shape::Full { covariance, .. } => covariance.clone(),
        }
    }

    /// The covariance times `kept`, and the weighted squares of steps added to it.
    pub(super) fn changed(&self, kept: f64, parts: &[(f64, &[f64])]) -> Vec<f64> {
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
    /// `Gaussian::is_degenerate` finds.
    pub(super) fn set(&mut self, matrix: Vec<f64>) {
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
    pub(super) fn whiten_matrix(&self, matrix: &[f64]) -> Vec<f64> {
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
    pub(super) fn normalize(&mut self) -> f64 {
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
