//! Parzen estimators over mixed spaces: a mixture of one kernel a trial and a uniform prior.
//!
//! A kernel is a product over the axes: a Gaussian truncated to [0, 1] on lines, the same integrated over the cells of
//! a few ordered values, and a peak above a floor on categories. Where a trial has no value (its parameter was not
//! active), its kernel is uniform, so in conditional spaces parameters that are active together are modelled together
//! and the density is one over all branches.
//!
//! Sources: Bergstra et al. 2011, Algorithms for hyper-parameter optimization; Falkner et al. 2018 (BOHB),
//! <https://arxiv.org/abs/1807.01774>, section 4 for the product kernel; the bandwidths and their lower bound
//! ("magic clipping") as in Watanabe 2023, <https://arxiv.org/abs/2304.11127>, sections 3.3 and 4.

use rand_chacha::rand_core::RngCore;

use super::axes::{Axes, Axis, is_absent};
use crate::space::unit;

const SQRT_2: f64 = std::f64::consts::SQRT_2;
/// ln sqrt(2 pi).
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_7;
/// The least probability of a cell, so that logarithms stay finite.
const MASS_MIN: f64 = 1e-12;
/// How often a truncated Gaussian is drawn before its centre is taken.
const DRAWS: u32 = 64;

/// How wide kernels are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Width {
    /// Standard deviation on [0, 1] of a single kernel; of n kernels in d dimensions, times n^(-1/(d+4)).
    pub(super) scale: f64,
    /// The narrowest kernel is 1 / min(n + 1, this).
    pub(super) steps_max: f64,
    /// Weight of all other values of a category together, over n; the value itself has 1.
    pub(super) floor: f64,
}

/// A density over the points of a space.
#[derive(Clone, Debug)]
pub(super) struct Parzen<'a> {
    centres: Vec<&'a [f64]>,
    /// Weights added up; the last is their sum.
    cumulative: Vec<f64>,
    log_weights: Vec<f64>,
    columns: Vec<Column<'a>>,
}

/// One axis of all kernels.
#[derive(Clone, Debug)]
enum Column<'a> {
    Category {
        count: usize,
        /// Log probability of the kernel's own value, of another one, and of any where the kernel has none.
        own: f64,
        other: f64,
        none: f64,
    },
    Cells {
        axis: &'a Axis,
        sigma: f64,
        count: usize,
        /// Row c: the log probability of each cell under a kernel at cell c; the last row is the uniform one.
        table: Vec<f64>,
    },
    Line {
        sigma: f64,
        centre: Vec<f64>,
        /// 0 where the kernel has no value.
        precision: Vec<f64>,
        log_norm: Vec<f64>,
    },
}

impl<'a> Parzen<'a> {
    /// Kernels at the centres, with their weights, and the prior as one more of weight 1. `absent`: a point
    /// without any value.
    pub(super) fn new(
        axes: &'a Axes,
        mut centres: Vec<&'a [f64]>,
        mut weights: Vec<f64>,
        absent: &'a [f64],
        width: Width,
    ) -> Parzen<'a> {
        let kernels = centres.len() as f64;
        let active = |centre: &&[f64]| centre.iter().filter(|c| !is_absent(**c)).count();
        let dimensions = centres.iter().map(active).max().unwrap_or(0) as f64;
        let shrink = libm::pow(kernels.max(1.0), -1.0 / (dimensions + 4.0));
        let narrowest = 1.0 / (kernels + 1.0).min(width.steps_max);
        let sigma = (width.scale * shrink).max(narrowest);
        centres.push(absent);
        weights.push(1.0);
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let cumulative = weights.iter().map(|weight| {
            sum += weight;
            sum
        });
        let cumulative = cumulative.collect();
        let log_weights = weights.iter().map(|w| libm::log(w / total)).collect();
        let columns = axes.all().iter().enumerate();
        let columns = columns
            .map(|(d, axis)| {
                let rest = width.floor / kernels.max(1.0);
                column(axis, sigma, rest, centres.iter().map(|c| c[d]))
            })
            .collect();
        Parzen {
            centres,
            cumulative,
            log_weights,
            columns,
        }
    }

    /// The logarithm of the density at a point: with respect to length on lines, counting on the others.
    /// `scratch` is overwritten.
    pub(super) fn log_density(&self, point: &[f64], scratch: &mut Vec<f64>) -> f64 {
        scratch.clone_from(&self.log_weights);
        for (d, (column, &x)) in self.columns.iter().zip(point).enumerate() {
            if !is_absent(x) {
                self.add_column(d, column, x, scratch);
            }
        }
        let largest = scratch.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        let mut sum = 0.0;
        for log in scratch.iter() {
            let below = log - largest;
            if below > -40.0 {
                sum += libm::exp(below); // the others are lost in rounding
            }
        }
        largest + libm::log(sum)
    }

    fn add_column(&self, d: usize, column: &Column<'_>, x: f64, logs: &mut [f64]) {
        match column {
            Column::Category {
                own, other, none, ..
            } => {
                for (log, centre) in logs.iter_mut().zip(&self.centres) {
                    let centre = centre[d];
                    *log += if centre == x {
                        *own
                    } else if is_absent(centre) {
                        *none
                    } else {
                        *other
                    };
                }
            }
            Column::Cells { count, table, .. } => {
                for (log, centre) in logs.iter_mut().zip(&self.centres) {
                    *log += table[row(centre[d], *count) * count + x as usize];
                }
            }
            Column::Line {
                centre,
                precision,
                log_norm,
                ..
            } => {
                let kernels = centre.iter().zip(precision.iter().zip(log_norm));
                for (log, (centre, (precision, norm))) in logs.iter_mut().zip(kernels) {
                    let z = (x - centre) * precision;
                    *log += norm - 0.5 * z * z;
                }
            }
        }
    }

    /// The kernel that a draw in [0, 1) falls on.
    pub(super) fn pick(&self, draw: f64) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let place = draw * total;
        let kernel = self.cumulative.partition_point(|sum| *sum <= place);
        kernel.min(self.centres.len() - 1)
    }

    /// A coordinate on axis `d`, drawn from one kernel.
    pub(super) fn draw(&self, kernel: usize, d: usize, stream: &mut impl RngCore) -> f64 {
        let centre = self.centres[kernel][d];
        match &self.columns[d] {
            Column::Category { count, own, .. } => {
                let keep = !is_absent(centre) && unit(stream.next_u64()) < keep_share(*own, *count);
                if keep {
                    centre
                } else {
                    libm::floor(unit(stream.next_u64()) * *count as f64)
                }
            }
            Column::Cells { axis, sigma, .. } => {
                let place = if is_absent(centre) {
                    unit(stream.next_u64())
                } else {
                    truncated(axis.place(centre), *sigma, stream)
                };
                axis.coordinate(place)
            }
            Column::Line { sigma, .. } if !is_absent(centre) => truncated(centre, *sigma, stream),
            Column::Line { .. } => unit(stream.next_u64()),
        }
    }
}

fn column<'a>(
    axis: &'a Axis,
    sigma: f64,
    rest: f64,
    centres: impl Iterator<Item = f64>,
) -> Column<'a> {
    match axis {
        Axis::Category { count } => {
            let each = rest / *count as f64;
            Column::Category {
                count: *count,
                own: libm::log((1.0 + each) / (1.0 + rest)),
                other: libm::log(each / (1.0 + rest)),
                none: -libm::log(*count as f64),
            }
        }
        Axis::Cells { edges } => Column::Cells {
            axis,
            sigma,
            count: edges.len() - 1,
            table: cell_table(axis, edges, sigma),
        },
        Axis::Line => {
            let centre: Vec<f64> = centres.collect();
            let (mut precision, mut log_norm) = (Vec::new(), Vec::new());
            for &centre in &centre {
                if is_absent(centre) {
                    precision.push(0.0);
                    log_norm.push(0.0);
                } else {
                    precision.push(1.0 / sigma);
                    let inside = normal_mass((0.0 - centre) / sigma, (1.0 - centre) / sigma);
                    log_norm.push(-libm::log(sigma * inside) - LN_SQRT_TAU);
                }
            }
            Column::Line {
                sigma,
                centre,
                precision,
                log_norm,
            }
        }
    }
}

/// The share of draws that keep a category's own value, when the others are uniform over all values.
fn keep_share(own: f64, count: usize) -> f64 {
    // own = keep + (1 - keep) / count
    let count = count as f64;
    if count <= 1.0 {
        return 1.0;
    }
    (libm::exp(own) * count - 1.0) / (count - 1.0)
}

fn row(centre: f64, count: usize) -> usize {
    if is_absent(centre) {
        count
    } else {
        centre as usize
    }
}

fn cell_table(axis: &Axis, edges: &[f64], sigma: f64) -> Vec<f64> {
    let count = edges.len() - 1;
    let mut table = Vec::with_capacity((count + 1) * count);
    for cell in 0..count {
        let centre = axis.place(cell as f64);
        let inside = normal_mass((0.0 - centre) / sigma, (1.0 - centre) / sigma);
        let below: Vec<f64> = edges
            .iter()
            .map(|edge| libm::erf((edge - centre) / sigma / SQRT_2))
            .collect();
        for pair in below.windows(2) {
            let mass = 0.5 * (pair[1] - pair[0]) / inside;
            table.push(libm::log(mass.max(MASS_MIN)));
        }
    }
    for pair in edges.windows(2) {
        table.push(libm::log(pair[1] - pair[0]));
    }
    table
}

/// The probability of a standard normal between two places.
fn normal_mass(from: f64, to: f64) -> f64 {
    0.5 * (libm::erf(to / SQRT_2) - libm::erf(from / SQRT_2))
}

/// A draw from the Gaussian around a place of [0, 1], truncated to it (Box and Muller 1958, and rejection).
fn truncated(centre: f64, sigma: f64, stream: &mut impl RngCore) -> f64 {
    for _ in 0..DRAWS {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit(stream.next_u64())));
        let angle = std::f64::consts::TAU * unit(stream.next_u64());
        let place = centre + sigma * radius * libm::cos(angle);
        if (0.0..=1.0).contains(&place) {
            return place;
        }
    }
    centre
}

#[cfg(test)]
mod tests {
    use super::super::axes::ABSENT;
    use super::*;
    use crate::sampler::random::stream;
    use crate::{Assignment, Condition, Parameter, Range, Space, Value};

    const WIDTH: Width = Width {
        scale: 0.2,
        steps_max: 100.0,
        floor: 1.0,
    };

    fn parameter(name: &str, range: Range, when: &[(&str, i64)]) -> Parameter {
        let when = when.iter().map(|(parent, value)| Condition {
            parameter: (*parent).to_owned(),
            any_of: vec![Value::Int(*value)],
        });
        Parameter {
            name: name.to_owned(),
            range,
            when: when.collect(),
        }
    }

    fn line() -> Range {
        Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        }
    }

    fn cells(count: i64) -> Range {
        Range::Integer {
            min: 1,
            max: count,
            log: false,
        }
    }

    fn category(count: i64) -> Range {
        Range::Choice {
            values: (0..count).map(Value::Int).collect(),
            ordered: false,
        }
    }

    fn axes(parameters: Vec<Parameter>) -> (Space, Axes) {
        #![allow(clippy::unwrap_used)]
        let space = Space::new(parameters).unwrap();
        let axes = Axes::of(&space);
        (space, axes)
    }

    /// Densities computed with mpmath to 30 digits.
    #[track_caller]
    fn check(range: Range, centres: &[f64], weights: &[f64], x: f64, expected: f64) {
        let (_, axes) = axes(vec![parameter("a", range, &[])]);
        let points: Vec<[f64; 1]> = centres.iter().map(|c| [*c]).collect();
        let centres = points.iter().map(|p| &p[..]).collect();
        let parzen = Parzen::new(&axes, centres, weights.to_vec(), &[ABSENT], WIDTH);
        let found = libm::exp(parzen.log_density(&[x], &mut Vec::new()));
        assert!(
            (found / expected - 1.0).abs() < 1e-12,
            "{found:?} {expected:?}"
        );
    }

    #[test]
    fn known_densities() {
        // One kernel: its width is the narrowest, 1/2. Beside it the prior, of the same weight.
        check(line(), &[0.5], &[1.0], 0.5, KNOWN[0]);
        check(line(), &[0.0], &[1.0], 1.0, KNOWN[1]);
        // Two kernels: 1/3 is wider than 0.2 * 2^(-1/5).
        check(line(), &[0.2, 0.9], &[1.5, 0.5], 0.3, KNOWN[2]);
        check(cells(4), &[3.0], &[1.0], 0.0, KNOWN[3]);
        check(cells(4), &[3.0], &[1.0], 3.0, KNOWN[4]);
        // A category: (1 + 1/3) / 2 for its own value, 1/6 for each of the others; the prior 1/3.
        check(
            category(3),
            &[1.0],
            &[1.0],
            1.0,
            (2.0 / 3.0 + 1.0 / 3.0) / 2.0,
        );
        check(
            category(3),
            &[1.0],
            &[1.0],
            2.0,
            (1.0 / 6.0 + 1.0 / 3.0) / 2.0,
        );
    }

    const KNOWN: [f64; 5] = [
        1.084_368_567_256_816_6,
        0.613_129_348_225_038_4,
        1.194_850_099_686_666_7,
        0.183_704_868_174_385_05,
        0.301_688_133_749_202_7,
    ];

    /// A category, cells in two branches and a line in one of them.
    fn branches() -> (Space, Axes, Vec<[f64; 4]>) {
        let (space, axes) = axes(vec![
            parameter("kind", category(2), &[]),
            parameter("left", cells(3), &[("kind", 0)]),
            parameter("right", line(), &[("kind", 1)]),
            parameter("size", cells(2), &[]),
        ]);
        let none = ABSENT;
        let centres = vec![
            [0.0, 2.0, none, 0.0],
            [1.0, none, 0.25, 1.0],
            [1.0, none, 0.9, 1.0],
        ];
        (space, axes, centres)
    }

    #[test]
    fn a_density_over_branches_adds_up_to_one_and_draws_follow_it() {
        let (space, axes, centres) = branches();
        let points = centres.iter().map(|c| &c[..]).collect();
        let absent = [ABSENT; 4];
        let parzen = Parzen::new(&axes, points, vec![1.0, 2.0, 1.0], &absent, WIDTH);
        let mut scratch = Vec::new();
        let mut density = |x: [f64; 4]| libm::exp(parzen.log_density(&x, &mut scratch));
        // Left: kind 0, 3 x 2 points. Right: kind 1, ten parts of the line by 2.
        let mut shares = Vec::new();
        for size in 0..2 {
            for left in 0..3 {
                shares.push(density([0.0, f64::from(left), ABSENT, f64::from(size)]));
            }
            for part in 0..10 {
                let middle = |i: i32| (f64::from(part) + (f64::from(i) + 0.5) / 64.0) / 10.0;
                let places = (0..64).map(middle);
                let mass: f64 = places
                    .map(|x| density([1.0, ABSENT, x, f64::from(size)]) / 640.0)
                    .sum();
                shares.push(mass);
            }
        }
        let total: f64 = shares.iter().sum();
        assert!((total - 1.0).abs() < 1e-4, "{total}");

        let mut stream = stream(b"test:test:parzen", 1, 2);
        let mut counts = vec![0u32; shares.len()];
        for _ in 0..20_000 {
            let kernel = parzen.pick(unit(stream.next_u64()));
            let mut x = [ABSENT; 4];
            let point: Assignment = axes.decode(&space, |d| {
                x[d] = parzen.draw(kernel, d, &mut stream);
                x[d]
            });
            assert!(space.contains(&point), "{point:?}");
            let cell = if x[0] == 0.0 {
                x[1] as usize
            } else {
                3 + (x[2] * 10.0) as usize
            };
            counts[x[3] as usize * 13 + cell] += 1;
        }
        let chi2: f64 = counts
            .iter()
            .zip(&shares)
            .map(|(count, share)| {
                let fair = share * 20_000.0;
                (f64::from(*count) - fair) * (f64::from(*count) - fair) / fair
            })
            .sum();
        assert!((6.0..63.0).contains(&chi2), "25 degrees of freedom: {chi2}"); // 0.01 % on either side
    }
}
