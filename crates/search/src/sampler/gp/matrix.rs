//! Symmetric positive definite systems, in a fixed order of operations.

/// A lower triangle by rows: row i has i + 1 entries.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lower {
    rows: Vec<Vec<f64>>,
}

/// The sum of products, in eight interleaved parts: the same order everywhere, and fast.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut parts = [0.0; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a_blocks.remainder().iter().zip(b_blocks.remainder());
    let rest: f64 = rest.map(|(x, y)| x * y).sum();
    for (x, y) in a_blocks.zip(b_blocks) {
        for (part, (x, y)) in parts.iter_mut().zip(x.iter().zip(y)) {
            *part += x * y;
        }
    }
    let [p, q, r, s, t, u, v, w] = parts;
    ((p + q) + (r + s)) + ((t + u) + (v + w)) + rest
}

impl Lower {
    /// The Cholesky factor of a matrix given by its lower triangle; `None` if it is not positive definite.
    pub(super) fn factor(mut rows: Vec<Vec<f64>>) -> Option<Lower> {
        for i in 0..rows.len() {
            let (done, rest) = rows.split_at_mut(i);
            let row = rest.first_mut()?;
            for (j, above) in done.iter().enumerate() {
                row[j] = (row[j] - dot(&row[..j], &above[..j])) / above[j];
            }
            let square = row[i] - dot(&row[..i], &row[..i]);
            if square.is_nan() || square <= 0.0 {
                return None;
            }
            row[i] = libm::sqrt(square);
        }
        Some(Lower { rows })
    }

    /// Entry i of L times a vector.
    pub(super) fn row_times(&self, i: usize, x: &[f64]) -> f64 {
        dot(&self.rows[i], &x[..=i])
    }

    /// Solves L x = b in place, for as many rows as `b` has.
    pub(super) fn solve(&self, b: &mut [f64]) {
        for (i, row) in self.rows.iter().enumerate().take(b.len()) {
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
    }

    /// Solves L^T x = b in place, of the first rows and columns as many as `b` has.
    pub(super) fn solve_transposed(&self, b: &mut [f64]) {
        for (i, row) in self.rows.iter().enumerate().take(b.len()).rev() {
            b[i] /= row[i];
            let x = b[i];
            for (b, l) in b[..i].iter_mut().zip(&row[..i]) {
                *b -= x * l;
            }
        }
    }

    /// ln det(L L^T).
    pub(super) fn log_determinant(&self) -> f64 {
        let diagonal = self.rows.iter().enumerate().map(|(i, row)| row[i]);
        2.0 * diagonal.map(libm::log).sum::<f64>()
    }

    /// The lower triangle of (L L^T)^-1.
    pub(super) fn inverse(&self) -> Vec<Vec<f64>> {
        let n = self.rows.len();
        // Row j of `columns`: column j of L^-1 from its diagonal on.
        let mut columns: Vec<Vec<f64>> = Vec::with_capacity(n);
        for j in 0..n {
            let mut column = vec![0.0; n - j];
            column[0] = 1.0 / self.rows[j][j];
            for i in j + 1..n {
                let row = &self.rows[i];
                column[i - j] = -dot(&row[j..i], &column[..i - j]) / row[i];
            }
            columns.push(column);
        }
        let entry = |i: usize, j: usize| dot(&columns[i], &columns[j][i - j..]);
        (0..n)
            .map(|i| (0..=i).map(|j| entry(i, j)).collect())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The matrix with 1 / (1 + |i - j|) and 1 more on the diagonal.
    fn matrix(n: usize) -> Vec<Vec<f64>> {
        let entry = |i: usize, j: usize| 1.0 / (1.0 + (i - j) as f64) + f64::from(u8::from(i == j));
        (0..n)
            .map(|i| (0..=i).map(|j| entry(i, j)).collect())
            .collect()
    }

    #[test]
    fn factors_solve_and_invert() {
        for n in [1, 2, 7, 8, 9, 30] {
            let full = |m: &[Vec<f64>], i: usize, j: usize| m[i.max(j)][i.min(j)];
            let m = matrix(n);
            let factor = Lower::factor(m.clone()).unwrap();
            let b: Vec<f64> = (0..n).map(|i| i as f64 - 2.0).collect();
            let mut x = b.clone();
            factor.solve(&mut x);
            factor.solve_transposed(&mut x);
            let inverse = factor.inverse();
            for (i, b) in b.iter().enumerate() {
                let back: f64 = (0..n).map(|j| full(&m, i, j) * x[j]).sum();
                assert!((back - b).abs() < 1e-12, "{n} {i}: {back}");
                for k in 0..n {
                    let one: f64 = (0..n).map(|j| full(&m, i, j) * full(&inverse, j, k)).sum();
                    let expected = f64::from(u8::from(i == k));
                    assert!((one - expected).abs() < 1e-12, "{n} {i} {k}: {one}");
                }
            }
        }
    }

    #[test]
    fn determinants_and_what_has_none() {
        let m = vec![vec![4.0], vec![2.0, 5.0]];
        let found = Lower::factor(m).unwrap().log_determinant();
        assert!((found - libm::log(16.0)).abs() < 1e-14);
        assert_eq!(Lower::factor(vec![vec![1.0], vec![1.0, 1.0]]), None);
        assert_eq!(Lower::factor(vec![vec![f64::NAN]]), None);
    }
}
