//! The covariance of two points: Matern 5/2 of a weighted distance over mixed axes.
//!
//! The squared distance adds, over the axes, a weight times: the squared difference of places on ordered axes (few
//! ordered values at the middle of their cells), or 1 for two values of a category that differ. No value of a category
//! is a value more; no value on an ordered axis is the middle, set off by half the range. So points are places in a
//! Euclidean space, and every covariance matrix is one.
//!
//! Source: Rasmussen and Williams 2006, Gaussian processes for machine learning, equation 4.17.

use super::super::axes::{Axes, Axis, is_absent};
use super::warping::Warping;

const SQRT_5: f64 = 2.236_067_977_499_79;

/// The place of a coordinate on an ordered axis.
pub(super) fn place(axis: &Axis, warping: Warping, coordinate: f64) -> f64 {
    if is_absent(coordinate) {
        0.5
    } else {
        warping.place(axis.place(coordinate))
    }
}

/// What an axis adds to the squared distance besides the distance of places, before its weight.
pub(super) fn set_off(axis: &Axis, a: f64, b: f64) -> f64 {
    match axis {
        Axis::Category { apart: None, .. } => f64::from(u8::from(a != b)),
        Axis::Category {
            apart: Some(apart), ..
        } => apart.difference(a, b),
        _ if is_absent(a) == is_absent(b) => 0.0,
        _ => 0.25,
    }
}

/// The squared distance of two points, all axes of the same weight and none warped.
pub(super) fn square(axes: &Axes, a: &[f64], b: &[f64]) -> f64 {
    let pairs = a.iter().zip(b);
    let part = |(axis, (a, b)): (&Axis, (&f64, &f64))| {
        let apart = match axis {
            Axis::Category { .. } => 0.0,
            _ => place(axis, Warping::default(), *a) - place(axis, Warping::default(), *b),
        };
        apart * apart + set_off(axis, *a, *b)
    };
    axes.all().iter().zip(pairs).map(part).sum()
}

/// Points prepared for many distances under one set of weights.
#[derive(Clone, Debug)]
pub(super) struct Metric<'a> {
    axes: &'a Axes,
    weights: Vec<f64>,
    roots: Vec<f64>,
    warpings: Vec<Warping>,
}

/// A point in the space where squared distances add up.
#[derive(Clone, Debug, Default)]
pub(super) struct Embedded {
    pub(super) places: Vec<f64>,
    categories: Vec<f64>,
}

impl<'a> Metric<'a> {
    pub(super) fn new(axes: &'a Axes, weights: Vec<f64>, warpings: Vec<Warping>) -> Metric<'a> {
        Metric {
            axes,
            warpings,
            roots: weights.iter().map(|w| libm::sqrt(*w)).collect(),
            weights,
        }
    }

    pub(super) fn embed(&self, point: &[f64]) -> Embedded {
        let mut embedded = Embedded::default();
        let kinds = self.axes.all().iter().zip(&self.warpings);
        for (((axis, warping), root), x) in kinds.zip(&self.roots).zip(point) {
            match axis {
                Axis::Category { apart: None, .. } => {
                    embedded.categories.push(*x);
                    continue;
                }
                Axis::Category {
                    apart: Some(apart), ..
                } => embedded.places.extend(apart.place(*x).map(|x| root * x)),
                _ => embedded.places.push(root * place(axis, *warping, *x)),
            }
            if self.axes.is_conditional() {
                let off = if is_absent(*x) { 0.5 } else { 0.0 };
                embedded.places.push(root * off);
            }
        }
        embedded
    }

    /// From the slope by places in that space to the slope by coordinates: on lines, 0 on all other axes.
    pub(super) fn slope_by_coordinates(&self, point: &[f64], slopes: &[f64]) -> Vec<f64> {
        let mut slopes = slopes.iter();
        let kinds = self.axes.all().iter().zip(&self.warpings);
        let kinds = kinds.zip(&self.roots).zip(point);
        let slope = |(((axis, warping), root), x): (((&Axis, &Warping), &f64), &f64)| {
            let size = match axis {
                Axis::Category { apart: None, .. } => return 0.0,
                Axis::Category {
                    apart: Some(apart), ..
                } => apart.size(),
                _ => 1,
            };
            let own = slopes.by_ref().take(size).last();
            let slope = own.copied().unwrap_or(0.0);
            if self.axes.is_conditional() {
                slopes.next();
            }
            match axis {
                Axis::Line if !is_absent(*x) => root * slope * warping.slope(*x),
                _ => 0.0,
            }
        };
        kinds.map(slope).collect()
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
        let weights = kinds.filter(|(axis, _)| matches!(axis, Axis::Category { apart: None, .. }));
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
