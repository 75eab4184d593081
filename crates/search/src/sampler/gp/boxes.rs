//! How much hypervolume is expected of a point whose objectives are independent normals: the part that nobody dominates, cut
//! into boxes, and the expected improvement in each.
//!
//! In one box the volume gained is a product over the objectives of how far the value is below the box's upper end, its
//! height at most. The values are independent, so the expectation of the product is the product of expectations, each the
//! difference of two expected improvements. All of it in logarithms: far from the front nothing underflows.
//!
//! Sources: Yang et al. 2019, Efficient computation of expected hypervolume improvement using box decomposition
//! algorithms, section 4 (the boxes, 2n + 1 of them), <https://doi.org/10.1007/s10898-019-00798-7>; Daulton et al. 2020,
//! Differentiable expected hypervolume improvement, equation 2, <https://arxiv.org/abs/2006.05078>; logarithms as Ament et al.
//! 2023, <https://arxiv.org/abs/2310.20708>.

use super::normal::log_improvement;
use crate::OBJECTIVES_MAX;
use crate::volume::{Losses, by_last};

/// A mean and a deviation.
pub(super) type Normal = (f64, f64);

/// The region that no point of a front dominates, up to a reference.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Boxes {
    objectives: usize,
    /// The ends of boxes, by objective; the first is minus infinity.
    ends: [Vec<f64>; OBJECTIVES_MAX],
    boxes: Vec<Part>,
}

/// Below which end in each objective, and above which: places in `ends`. In the second there is no lower end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    upper: [usize; OBJECTIVES_MAX],
    lower: [usize; OBJECTIVES_MAX],
}

/// A part of the region under a staircase, seen from the last objective on.
#[derive(Clone, Copy, Debug)]
struct Strip {
    left: f64,
    right: f64,
    top: f64,
    from: f64,
}

impl Boxes {
    /// Of finite points, each below the reference; of two objectives, the third is 0 and its reference 1.
    pub(super) fn of(front: &[Losses], reference: &Losses, objectives: usize) -> Boxes {
        let mut points = front.to_vec();
        points.sort_unstable_by(by_last);
        let lowest = f64::NEG_INFINITY;
        let mut open = vec![Strip {
            left: lowest,
            right: reference[0],
            top: reference[1],
            // All points of two objectives are at 0.
            from: if objectives > 2 { lowest } else { 0.0 },
        }];
        let mut closed: Vec<(Strip, f64)> = Vec::new();
        for [x, y, z] in points {
            cut(&mut open, &mut closed, x, y, z);
        }
        closed.extend(open.into_iter().map(|strip| (strip, reference[2])));
        // What is closed where it was opened is empty.
        closed.retain(|(strip, to)| strip.from < *to);
        Boxes::number(&closed, objectives)
    }

    fn number(closed: &[(Strip, f64)], objectives: usize) -> Boxes {
        let ends = [
            sorted(
                closed
                    .iter()
                    .flat_map(|(strip, _)| [strip.left, strip.right]),
            ),
            sorted(closed.iter().map(|(strip, _)| strip.top)),
            sorted(closed.iter().flat_map(|(strip, to)| [strip.from, *to])),
        ];
        let place = |objective: usize, end: f64| {
            let ends: &Vec<f64> = &ends[objective];
            ends.partition_point(|other| *other < end)
        };
        let part = |(strip, to): &(Strip, f64)| Part {
            upper: [place(0, strip.right), place(1, strip.top), place(2, *to)],
            lower: [place(0, strip.left), 0, place(2, strip.from)],
        };
        let boxes = closed.iter().map(part).collect();
        Boxes {
            objectives,
            ends,
            boxes,
        }
    }

    /// The logarithm of the hypervolume that is expected to be gained; minus infinity only where it is beyond reach of any float.
    pub(super) fn log_expected_improvement(&self, normals: &[Normal]) -> f64 {
        let below = |objective: usize| -> Vec<f64> {
            let Some((mean, deviation)) = normals.get(objective) else {
                return Vec::new();
            };
            let log = |end: &f64| match *end {
                f64::NEG_INFINITY => f64::NEG_INFINITY,
                end => libm::log(*deviation) + log_improvement((end - mean) / deviation),
            };
            self.ends[objective].iter().map(log).collect()
        };
        let below = [below(0), below(1), below(2)];
        let mut logs = Vec::with_capacity(self.boxes.len());
        for part in &self.boxes {
            let mut log = 0.0;
            for objective in 0..self.objectives {
                let below = &below[objective];
                let (upper, lower) = (part.upper[objective], part.lower[objective]);
                log += log_difference(below[upper], below[lower]);
            }
            logs.push(log);
        }
        let largest = logs.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        if largest == f64::NEG_INFINITY {
            return largest;
        }
        let parts = logs.iter().map(|log| log - largest);
        let sum: f64 = parts.filter(|part| *part > -40.0).map(libm::exp).sum();
        largest + libm::log(sum)
    }
}

/// Takes what a point dominates from `z` on out of the strips that are open there. Each point opens two strips at most.
fn cut(open: &mut Vec<Strip>, closed: &mut Vec<(Strip, f64)>, x: f64, y: f64, z: f64) {
    let first = open.partition_point(|strip| strip.right <= x);
    let count = open[first..]
        .iter()
        .take_while(|strip| strip.top > y)
        .count();
    if count == 0 {
        return;
    }
    let last = first + count;
    let (left, right) = (open[first], open[last - 1].right);
    closed.extend(open[first..last].iter().map(|strip| (*strip, z)));
    let mut opened = Vec::new();
    if left.left < x {
        opened.push(Strip {
            right: x,
            from: z,
            ..left
        });
    }
    opened.push(Strip {
        left: x,
        right,
        top: y,
        from: z,
    });
    open.splice(first..last, opened);
}

/// Ascending and each once, minus infinity before them.
fn sorted(ends: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut ends: Vec<f64> = [f64::NEG_INFINITY].into_iter().chain(ends).collect();
    ends.sort_unstable_by(f64::total_cmp);
    ends.dedup();
    ends
}

/// ln(exp(a) - exp(b)) for a at least b; rounding may have turned them round.
fn log_difference(a: f64, b: f64) -> f64 {
    if b == f64::NEG_INFINITY {
        return a;
    }
    if b >= a {
        return f64::NEG_INFINITY;
    }
    let below = b - a;
    // Mächler 2012, Accurately computing log(1 - exp(-|a|)).
    if below > -std::f64::consts::LN_2 {
        a + libm::log(-libm::expm1(below))
    } else {
        a + libm::log1p(-libm::exp(below))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::RngCore;

    use super::*;
    use crate::sampler::random::stream;
    use crate::space::unit;
    use crate::volume::volume;

    #[track_caller]
    fn check(front: &[Losses], reference: Losses, normals: &[Normal], expected: f64) {
        let boxes = Boxes::of(front, &reference, normals.len());
        assert!(boxes.boxes.len() <= 2 * front.len() + 1, "{boxes:?}");
        let found = boxes.log_expected_improvement(normals);
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error < 1e-12, "{normals:?}: {found:?} {expected:?}");
    }

    /// Computed with mpmath to 60 digits and more, by inclusion and exclusion of what each point dominates, and again by
    /// quadrature of the distribution functions.
    #[test]
    fn two_objectives_in_high_precision() {
        let front = [[0.0, 3.0, 0.0], [2.5, 0.5, 0.0], [1.0, 1.5, 0.0]];
        for (normals, expected) in [
            ([(1.0, 0.5), (1.0, 0.8)], 0.348_280_821_680_452_1),
            ([(3.0, 1.0), (2.5, 0.25)], -5.371_951_936_204_944),
            ([(-1.0, 0.5), (-1.0, 0.25)], 2.708_333_541_644_884_5),
            ([(30.0, 0.5), (1.0, 0.5)], -1_364.693_949_392_063),
        ] {
            check(&front, [4.0, 4.0, 1.0], &normals, expected);
        }
    }

    #[test]
    fn three_objectives_in_high_precision() {
        let front = [
            [0.0, 3.0, 1.0],
            [1.0, 1.5, 2.0],
            [2.5, 0.5, 1.5],
            [3.0, 3.0, 0.0],
            [2.0, 2.0, 0.5],
        ];
        for (normals, expected) in [
            (
                [(1.0, 0.5), (1.0, 0.8), (1.0, 0.5)],
                1.650_880_373_176_037_7,
            ),
            (
                [(2.0, 1.0), (2.5, 0.25), (1.5, 2.0)],
                0.274_146_070_646_537_3,
            ),
            (
                [(-1.0, 0.5), (-1.0, 0.25), (-1.0, 1.0)],
                4.389_212_784_324_562,
            ),
            ([(5.0, 0.5), (9.0, 0.5), (1.0, 0.5)], -67.162_741_200_308_09),
        ] {
            check(&front, [4.0, 4.0, 3.0], &normals, expected);
        }
    }

    #[test]
    fn without_a_front_it_is_the_product_of_improvements() {
        let improvement = |end: f64, (mean, deviation): Normal| {
            libm::log(deviation) + log_improvement((end - mean) / deviation)
        };
        let normals = [(0.3, 0.5), (1.0, 2.0), (0.0, 0.1)];
        let expected = improvement(1.0, normals[0]) + improvement(2.0, normals[1]);
        check(&[], [1.0, 2.0, 1.0], &normals[..2], expected);
        let expected = expected + improvement(-0.5, normals[2]);
        check(&[], [1.0, 2.0, -0.5], &normals, expected);
    }

    /// Of a value that is nearly certain it is the volume that the value adds.
    #[test]
    fn a_certain_value_gains_its_volume() {
        let mut stream = stream(b"test:test:test:1", 5, 0);
        let mut gained = 0;
        for case in 0..200 {
            let objectives = 2 + case % 2;
            let mut draw = || {
                let mut point = [0.0; OBJECTIVES_MAX];
                for x in &mut point[..objectives] {
                    // Ties are likely.
                    *x = libm::floor(unit(stream.next_u64()) * 8.0) / 8.0;
                }
                point
            };
            let front: Vec<Losses> = (0..case / 20).map(|_| draw()).collect();
            let value = draw();
            let reference = [1.0; OBJECTIVES_MAX];
            let with = [&front[..], &[value]].concat();
            let gain = volume(&with, &reference) - volume(&front, &reference);
            let normals = value.map(|x| (x, 1e-9));
            let boxes = Boxes::of(&front, &reference, objectives);
            let found = libm::exp(boxes.log_expected_improvement(&normals[..objectives]));
            assert!(
                (found - gain).abs() < 1e-7,
                "{front:?} {value:?}: {found} {gain}"
            );
            gained += usize::from(gain > 0.0);
        }
        assert!((40..190).contains(&gained), "{gained}");
    }
}
