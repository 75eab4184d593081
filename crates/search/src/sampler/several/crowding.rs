//! How far apart the points of a front are.
//!
//! Source: Deb et al. 2002, A fast and elitist multiobjective genetic algorithm: NSGA-II, section III B,
//! <https://doi.org/10.1109/4235.996017>.

use crate::OBJECTIVES_MAX;
use crate::volume::Losses;

/// The crowding distance of each point: over the objectives, the distance of its neighbours on either side as a share of the
/// front's range; infinite at the ends.
pub(in crate::sampler) fn crowding(front: &[Losses]) -> Vec<f64> {
    let mut distances = vec![0.0; front.len()];
    for objective in 0..OBJECTIVES_MAX {
        let mut order: Vec<usize> = (0..front.len()).collect();
        let value = |i: &usize| front[*i][objective];
        order.sort_by(|a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
        let (Some(first), Some(last)) = (order.first(), order.last()) else {
            continue;
        };
        // Halves, so that no difference overflows.
        let range = value(last) / 2.0 - value(first) / 2.0;
        if range <= 0.0 {
            continue;
        }
        distances[*first] = f64::INFINITY;
        distances[*last] = f64::INFINITY;
        for three in order.windows(3) {
            let apart = value(&three[2]) / 2.0 - value(&three[0]) / 2.0;
            distances[three[1]] += apart / range;
        }
    }
    distances
}

/// The places of a front's points, the least crowded first; of equals in their order.
pub(in crate::sampler) fn most_apart(front: &[Losses]) -> Vec<usize> {
    let distances = crowding(front);
    let mut order: Vec<usize> = (0..front.len()).collect();
    order.sort_by(|a, b| distances[*b].total_cmp(&distances[*a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(front: &[Losses], expected: &[f64]) {
        let found = crowding(front);
        let near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() < 1e-12;
        assert!(found.iter().zip(expected).all(near), "{found:?}");
        assert_eq!(found.len(), expected.len());
    }

    const FAR: f64 = f64::INFINITY;

    /// The paper's figure: the mean side of the cuboid that the two neighbours span, here of each point its two sides.
    #[test]
    fn the_cuboid_of_the_neighbours() {
        let front = [
            [0.0, 10.0, 0.0],
            [1.0, 6.0, 0.0],
            [2.0, 5.0, 0.0],
            [6.0, 1.0, 0.0],
            [10.0, 0.0, 0.0],
        ];
        check(&front, &[FAR, 0.2 + 0.5, 0.5 + 0.5, 0.8 + 0.5, FAR]);
        assert_eq!(most_apart(&front), [0, 4, 3, 2, 1]);
        let turned = front.map(|[x, y, z]| [y, x, z]);
        check(&turned, &[FAR, 0.7, 1.0, 1.3, FAR]);
    }

    #[test]
    fn equal_points_have_no_distance() {
        check(&[], &[]);
        check(&[[1.0, 2.0, 3.0]; 3], &[0.0; 3]);
        check(&[[1.0, 2.0, 0.0]], &[0.0]);
        let huge = [[-1e308, 1e308, 0.0], [0.0, 0.0, 0.0], [1e308, -1e308, 0.0]];
        check(&huge, &[FAR, 2.0, FAR]);
    }
}
