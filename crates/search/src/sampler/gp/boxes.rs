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
