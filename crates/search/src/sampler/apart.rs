//! Values of a category that are more or less alike, as models see them.

use super::axes::is_absent;
use super::cma::decompose;

/// What a category's distances come to, the largest as 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Apart {
    count: usize,
    /// Squared, row by row.
    squares: Vec<f64>,
    /// Places in a Euclidean space whose distances are those, or next to those where no such places are: as many numbers a value
    /// as that takes, the middle of all values at 0.
    places: Vec<f64>,
    size: usize,
}

/// What two values differ by, no value and any other: as on ordered axes, half the range off the middle.
const OFF: f64 = 0.25;
/// Parts of a place that are shorter than this share of the longest are rounding.
const PART_MIN: f64 = 1e-9;

impl Apart {
    /// Of checked distances.
    ///
    /// Source: Torgerson 1952, Multidimensional scaling: I. Theory and method (classical scaling; what is not Euclidean is left out).
    pub(super) fn of(distances: &[Vec<f64>]) -> Apart {
        let count = distances.len();
        let all = || distances.iter().flatten();
        let largest = all().fold(0.0, |a: f64, b| a.max(*b));
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let squares: Vec<f64> = all().map(|d| (d / largest) * (d / largest)).collect();
        let (places, size) = places(&squares, count);
        Apart {
            count,
            squares,
            places,
            size,
        }
    }

    /// The squared distance of two values, the largest being 1.
    pub(super) fn square(&self, from: usize, to: usize) -> f64 {
        self.squares[from * self.count + to]
    }

    /// How many numbers a place has.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Where a value is; the middle where there is none.
    pub(super) fn place(&self, coordinate: f64) -> impl Iterator<Item = f64> + '_ {
        let from = coordinate.max(0.0) as usize * self.size;
        let place = &self.places[from..from + self.size];
        place
            .iter()
            .map(move |x| if is_absent(coordinate) { 0.0 } else { *x })
    }

    /// The squared distance of two places, and what no value is set off by.
    pub(super) fn difference(&self, a: f64, b: f64) -> f64 {
        let parts = self.place(a).zip(self.place(b));
        let apart: f64 = parts.map(|(a, b)| (a - b) * (a - b)).sum();
        apart
            + if is_absent(a) == is_absent(b) {
                0.0
            } else {
                OFF
            }
    }
}

/// The places and how many numbers each has.
fn places(squares: &[f64], count: usize) -> (Vec<f64>, usize) {
    let n = count.max(1) as f64;
    let means: Vec<f64> = squares
        .chunks(count.max(1))
        .map(|row| row.iter().sum::<f64>() / n)
        .collect();
    let mean = means.iter().sum::<f64>() / n;
    let product = |i: usize| {
        let (row, column) = (i / count, i % count);
        -0.5 * (squares[i] - means[row] - means[column] + mean)
    };
    let products: Vec<f64> = (0..squares.len()).map(product).collect();
    let Some((values, vectors)) = decompose(&products, count) else {
        return (Vec::new(), 0);
    };
    let largest = values.iter().fold(0.0, |a: f64, b| a.max(*b));
    let parts: Vec<usize> = (0..count)
        .filter(|k| values[*k] > PART_MIN * largest)
        .collect();
    let mut places = Vec::with_capacity(count * parts.len());
    for value in 0..count {
        let part = |k: &usize| libm::sqrt(values[*k]) * vectors[value * count + k];
        places.extend(parts.iter().map(part));
    }
    (places, parts.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::axes::ABSENT;

    #[track_caller]
    fn check(distances: &[&[f64]], size: usize, expected: &[(usize, usize, f64)]) {
        let rows: Vec<Vec<f64>> = distances.iter().map(|row| row.to_vec()).collect();
        let apart = Apart::of(&rows);
        assert_eq!(apart.size(), size, "{apart:?}");
        for (a, b, square) in expected {
            assert!((apart.square(*a, *b) - square).abs() < 1e-12, "{apart:?}");
            let between = apart.difference(*a as f64, *b as f64);
            assert!((between - square).abs() < 1e-12, "{between} {apart:?}");
        }
    }

    #[test]
    fn places_have_the_distances() {
        // At 0, 1 and 4 of a line.
        let line: [&[f64]; 3] = [&[0.0, 1.0, 4.0], &[1.0, 0.0, 3.0], &[4.0, 3.0, 0.0]];
        check(
            &line,
            1,
            &[(0, 1, 1.0 / 16.0), (0, 2, 1.0), (1, 2, 9.0 / 16.0)],
        );
        // Corners of a triangle.
        let alike: [&[f64]; 3] = [&[0.0, 2.0, 2.0], &[2.0, 0.0, 2.0], &[2.0, 2.0, 0.0]];
        check(&alike, 2, &[(0, 0, 0.0), (0, 1, 1.0), (1, 2, 1.0)]);
        check(&[&[0.0]], 0, &[(0, 0, 0.0)]);
    }

    /// From the second to the third there is a way through the first that is shorter than the straight one.
    #[test]
    fn what_is_not_euclidean_comes_as_near_as_it_can() {
        let rows = [[0.0, 1.0, 1.0], [1.0, 0.0, 9.0], [1.0, 9.0, 0.0]];
        let apart = Apart::of(&rows.map(|row| row.to_vec()));
        assert_eq!(apart.size(), 1);
        assert!((apart.difference(1.0, 2.0) - 1.0).abs() < 0.1, "{apart:?}");
        assert!(apart.difference(0.0, 1.0) > 0.0);
        assert_eq!(apart.difference(ABSENT, ABSENT), 0.0);
        assert!(apart.difference(ABSENT, 0.0) >= OFF);
    }
}
