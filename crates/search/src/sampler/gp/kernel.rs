//! The covariance of two points: Matern 5/2 of a weighted distance over mixed axes.
//!
//! The squared distance adds, over the axes, a weight times: the squared difference of places on ordered axes (few
//! ordered values at the middle of their cells), or 1 for two values of a category that differ. No value of a category
//! is a value more; no value on an ordered axis is the middle, set off by half the range. So points are places in a
//! Euclidean space, and every covariance matrix is one.
//!
//! Source: Rasmussen and Williams 2006, Gaussian processes for machine learning, equation 4.17.

use super::super::axes::{Axes, Axis, is_absent};

const SQRT_5: f64 = 2.236_067_977_499_79;

/// The place of a coordinate on an ordered axis.
fn place(axis: &Axis, coordinate: f64) -> f64 {
    if is_absent(coordinate) {
        0.5
    } else {
        axis.place(coordinate)
    }
}

/// What one axis adds to the squared distance, before its weight.
fn difference(axis: &Axis, a: f64, b: f64) -> f64 {
    if let Axis::Category { .. } = axis {
        return f64::from(u8::from(a != b));
    }
    let apart = place(axis, a) - place(axis, b);
    let off = if is_absent(a) == is_absent(b) {
        0.0
    } else {
        0.25
    };
    apart * apart + off
}

/// What each axis adds to the squared distance of two points.
pub(super) fn differences<'a>(
    axes: &'a Axes,
    a: &'a [f64],
    b: &'a [f64],
) -> impl Iterator<Item = f64> + 'a {
    let pairs = a.iter().zip(b);
    let pairs = axes.all().iter().zip(pairs);
    pairs.map(|(axis, (a, b))| difference(axis, *a, *b))
}

/// Points prepared for many distances under one set of weights.
#[derive(Clone, Debug)]
pub(super) struct Metric<'a> {
    axes: &'a Axes,
    weights: Vec<f64>,
    roots: Vec<f64>,
}

/// A point in the space where squared distances add up.
#[derive(Clone, Debug, Default)]
pub(super) struct Embedded {
    places: Vec<f64>,
    categories: Vec<f64>,
}

impl<'a> Metric<'a> {
    pub(super) fn new(axes: &'a Axes, weights: Vec<f64>) -> Metric<'a> {
        Metric {
            axes,
            roots: weights.iter().map(|w| libm::sqrt(*w)).collect(),
            weights,
        }
    }

    pub(super) fn embed(&self, point: &[f64]) -> Embedded {
        let mut embedded = Embedded::default();
        for ((axis, root), x) in self.axes.all().iter().zip(&self.roots).zip(point) {
            if let Axis::Category { .. } = axis {
                embedded.categories.push(*x);
            } else {
                embedded.places.push(root * place(axis, *x));
                if self.axes.is_conditional() {
                    let off = if is_absent(*x) { 0.5 } else { 0.0 };
                    embedded.places.push(root * off);
                }
            }
        }
        embedded
    }

    pub(super) fn square(&self, a: &Embedded, b: &Embedded) -> f64 {
        let mut sum = 0.0;
        for (a, b) in a.places.iter().zip(&b.places) {
            sum += (a - b) * (a - b);
        }
        if a.categories.is_empty() {
            return sum;
        }
        let kinds = self.axes.all().iter().zip(&self.weights);
        let weights = kinds.filter(|(axis, _)| matches!(axis, Axis::Category { .. }));
        for ((_, weight), (a, b)) in weights.zip(a.categories.iter().zip(&b.categories)) {
            if a != b {
                sum += weight;
            }
        }
        sum
    }
}

/// The correlation at a squared distance.
pub(super) fn matern(square: f64) -> f64 {
    let r = SQRT_5 * libm::sqrt(square);
    (1.0 + r + r * r / 3.0) * libm::exp(-r)
}

/// The correlation, and its derivative by the squared distance.
pub(super) fn matern_slope(square: f64) -> (f64, f64) {
    let r = SQRT_5 * libm::sqrt(square);
    let decay = libm::exp(-r);
    (
        (1.0 + r + r * r / 3.0) * decay,
        -5.0 / 6.0 * (1.0 + r) * decay,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with mpmath to 30 digits.
    #[test]
    fn known_correlations() {
        for (square, expected) in KNOWN {
            let found = matern(square);
            assert!((found / expected - 1.0).abs() < 1e-14, "{found:?}");
            assert!((matern_slope(square).0 - found).abs() < 1e-16);
        }
    }

    const KNOWN: [(f64, f64); 5] = [
        (0.0, 1.0),
        (0.04, 0.967_986_119_964_071_4),
        (0.5, 0.702_495_760_153_803_3),
        (2.0, 0.317_283_363_954_043_8),
        (9.0, 0.027_723_421_914_625_81),
    ];

    #[test]
    fn the_slope_is_the_derivative() {
        for square in [0.01, 0.3, 1.0, 7.0] {
            let step = 1e-6 * square;
            let numeric = (matern(square + step) - matern(square - step)) / (2.0 * step);
            let (_, slope) = matern_slope(square);
            assert!((slope / numeric - 1.0).abs() < 1e-8, "{slope} {numeric}");
        }
    }
}
