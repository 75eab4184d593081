//! Eigenvalues and eigenvectors of a symmetric matrix, in a fixed order of operations.
//!
//! Source: the procedures tred2 and tql2 of Bowdler, Martin, Reinsch and Wilkinson 1968 (Numerische Mathematik 11),
//! in the form of JAMA (public domain, <https://math.nist.gov/javanumerics/jama/>).

/// The most steps for one eigenvalue; it takes two or three.
const STEPS_MAX: u32 = 60;

/// The eigenvalues of a symmetric matrix of `n` rows, and its eigenvectors as the columns of a matrix of the same form.
/// Both in no particular order. `None` where it has an entry that is not finite, or does not converge.
pub(in crate::sampler) fn decompose(matrix: &[f64], n: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    if n == 0 || matrix.iter().any(|entry| !entry.is_finite()) {
        return None;
    }
    let mut solver = Solver {
        n,
        vectors: matrix.to_vec(),
        values: vec![0.0; n],
        beside: vec![0.0; n],
    };
    solver.reduce();
    solver.accumulate();
    solver.diagonalize()?;
    let finite = |all: &[f64]| all.iter().all(|entry| entry.is_finite());
    (finite(&solver.values) && finite(&solver.vectors)).then_some((solver.values, solver.vectors))
}

struct Solver {
    n: usize,
    vectors: Vec<f64>,
    /// The diagonal.
    values: Vec<f64>,
    /// What stands beside the diagonal.
    beside: Vec<f64>,
}

impl Solver {
    fn at(&self, row: usize, column: usize) -> f64 {
        self.vectors[row * self.n + column]
    }

    fn set(&mut self, row: usize, column: usize, value: f64) {
        self.vectors[row * self.n + column] = value;
    }

    /// Householder's reduction to tridiagonal form.
    fn reduce(&mut self) {
        let n = self.n;
        for j in 0..n {
            self.values[j] = self.at(n - 1, j);
        }
        for i in (1..n).rev() {
            let scale: f64 = self.values[..i].iter().map(|value| value.abs()).sum();
            let mut h = 0.0;
            if scale == 0.0 {
                self.beside[i] = self.values[i - 1];
                for j in 0..i {
                    self.values[j] = self.at(i - 1, j);
                    self.set(i, j, 0.0);
                    self.set(j, i, 0.0);
                }
            } else {
                h = self.reflect(i, scale);
            }
            self.values[i] = h;
        }
    }

    fn reflect(&mut self, i: usize, scale: f64) -> f64 {
        let mut h = 0.0;
        for value in &mut self.values[..i] {
            *value /= scale;
            h += *value * *value;
        }
        let f = self.values[i - 1];
        let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
        self.beside[i] = scale * g;
        h -= f * g;
        self.values[i - 1] = f - g;
        self.beside[..i].fill(0.0);
        for j in 0..i {
            let f = self.values[j];
            self.set(j, i, f);
            let mut g = self.beside[j] + self.at(j, j) * f;
            for k in j + 1..i {
                g += self.at(k, j) * self.values[k];
                self.beside[k] += self.at(k, j) * f;
            }
            self.beside[j] = g;
        }
        let mut f = 0.0;
        for j in 0..i {
            self.beside[j] /= h;
            f += self.beside[j] * self.values[j];
        }
        let half = f / (h + h);
        for j in 0..i {
            self.beside[j] -= half * self.values[j];
        }
        for j in 0..i {
            let (f, g) = (self.values[j], self.beside[j]);
            for k in j..i {
                let less = f * self.beside[k] + g * self.values[k];
                self.set(k, j, self.at(k, j) - less);
            }
            self.values[j] = self.at(i - 1, j);
            self.set(i, j, 0.0);
        }
        h
    }

    /// Multiplies the reflections out.
    fn accumulate(&mut self) {
        let n = self.n;
        for i in 0..n - 1 {
            self.set(n - 1, i, self.at(i, i));
            self.set(i, i, 1.0);
            let h = self.values[i + 1];
            if h != 0.0 {
                for k in 0..=i {
                    self.values[k] = self.at(k, i + 1) / h;
                }
                for j in 0..=i {
                    let g: f64 = (0..=i).map(|k| self.at(k, i + 1) * self.at(k, j)).sum();
                    for k in 0..=i {
                        self.set(k, j, self.at(k, j) - g * self.values[k]);
                    }
                }
            }
            for k in 0..=i {
                self.set(k, i + 1, 0.0);
            }
        }
        for j in 0..n {
            self.values[j] = self.at(n - 1, j);
            self.set(n - 1, j, 0.0);
        }
        self.set(n - 1, n - 1, 1.0);
        self.beside[0] = 0.0;
    }

    /// The QL algorithm with implicit shifts.
    fn diagonalize(&mut self) -> Option<()> {
        let n = self.n;
        self.beside.rotate_left(1);
        self.beside[n - 1] = 0.0;
        let mut shift = 0.0;
        let mut largest: f64 = 0.0;
        for l in 0..n {
            largest = largest.max(self.values[l].abs() + self.beside[l].abs());
            let small = f64::EPSILON * largest;
            let m = (l..n).find(|m| self.beside[*m].abs() <= small)?;
            let mut steps = 0;
            while m > l && (steps == 0 || self.beside[l].abs() > small) {
                shift += self.step(l, m);
                steps += 1;
                if steps > STEPS_MAX {
                    return None;
                }
            }
            self.values[l] += shift;
            self.beside[l] = 0.0;
        }
        Some(())
    }

    /// One QL step on the rows from `l` to `m`; gives the shift.
    fn step(&mut self, l: usize, m: usize) -> f64 {
        let n = self.n;
        let g = self.values[l];
        let p = (self.values[l + 1] - g) / (2.0 * self.beside[l]);
        let r = if p < 0.0 {
            -libm::hypot(p, 1.0)
        } else {
            libm::hypot(p, 1.0)
        };
        self.values[l] = self.beside[l] / (p + r);
        self.values[l + 1] = self.beside[l] * (p + r);
        let next = self.values[l + 1];
        let shift = g - self.values[l];
        for value in &mut self.values[l + 2..] {
            *value -= shift;
        }
        let mut p = self.values[m];
        let (mut c, mut c2, mut c3) = (1.0, 1.0, 1.0);
        let (mut s, mut s2) = (0.0, 0.0);
        let second = self.beside[l + 1];
        for i in (l..m).rev() {
            (c3, c2, s2) = (c2, c, s);
            let g = c * self.beside[i];
            let h = c * p;
            let r = libm::hypot(p, self.beside[i]);
            self.beside[i + 1] = s * r;
            s = self.beside[i] / r;
            c = p / r;
            p = c * self.values[i] - s * g;
            self.values[i + 1] = h + s * (c * g + s * self.values[i]);
            for row in self.vectors.chunks_exact_mut(n) {
                let (left, right) = (row[i], row[i + 1]);
                row[i + 1] = s * left + c * right;
                row[i] = c * left - s * right;
            }
        }
        p = -s * s2 * c3 * second * self.beside[l] / next;
        self.beside[l] = s * p;
        self.values[l] = c * p;
        shift
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Checks that `matrix` is its vectors times its values times its vectors, and that these are orthonormal.
    #[track_caller]
    fn check(matrix: &[f64], n: usize, mut expected: Vec<f64>) {
        let (values, vectors) = decompose(matrix, n).unwrap();
        let size = matrix.iter().fold(1e-300, |a: f64, b| a.max(b.abs()));
        for i in 0..n {
            for j in 0..n {
                let of = |k: usize| vectors[i * n + k] * values[k] * vectors[j * n + k];
                let entry: f64 = (0..n).map(of).sum();
                assert!((entry - matrix[i * n + j]).abs() < 1e-13 * size * n as f64);
                let product: f64 = (0..n)
                    .map(|k| vectors[k * n + i] * vectors[k * n + j])
                    .sum();
                assert!((product - f64::from(i == j)).abs() < 1e-13 * n as f64);
            }
        }
        let mut values = values;
        values.sort_by(f64::total_cmp);
        expected.sort_by(f64::total_cmp);
        for (value, expected) in values.iter().zip(&expected) {
            assert!(
                (value - expected).abs() < 1e-12 * size,
                "{value} {expected}"
            );
        }
    }

    #[test]
    fn known_decompositions() {
        check(&[3.0], 1, vec![3.0]);
        check(&[2.0, 1.0, 1.0, 2.0], 2, vec![1.0, 3.0]);
        check(&[0.0; 9], 3, vec![0.0; 3]);
        check(
            &[1.0, 0.0, 0.0, 0.0, 1e-12, 0.0, 0.0, 0.0, 1e6],
            3,
            vec![1.0, 1e-12, 1e6],
        );
        // The second difference: 2 - 2 cos(k pi / (n + 1)).
        let n = 24;
        let entry = |i: usize| match (i / n).abs_diff(i % n) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        };
        let matrix: Vec<f64> = (0..n * n).map(entry).collect();
        let step = std::f64::consts::PI / (n + 1) as f64;
        let value = |k: usize| 2.0 - 2.0 * libm::cos(k as f64 * step);
        check(&matrix, n, (1..=n).map(value).collect());
    }

    #[test]
    fn what_is_not_finite_has_none() {
        assert_eq!(decompose(&[f64::NAN], 1), None);
        assert_eq!(
            decompose(&[1.0, f64::INFINITY, f64::INFINITY, 1.0], 2),
            None
        );
        assert_eq!(decompose(&[], 0), None);
    }
}
