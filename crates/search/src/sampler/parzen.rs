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

use super::apart::Apart;
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
    /// Values of a category that are more or less alike; `table` as below.
    Alike { count: usize, table: Vec<f64> },
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
            Column::Alike { count, table } | Column::Cells { count, table, .. } => {
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
            Column::Alike { count, table } => {
                let from = row(centre, *count) * count;
                let mut left = unit(stream.next_u64());
                let inner = &table[from..from + count - 1]; // what rounding leaves is the last one's
                let passed = inner.iter().take_while(|log| {
                    left -= libm::exp(**log);
                    left >= 0.0
                });
                passed.count() as f64
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
        Axis::Category {
            count,
            apart: Some(apart),
        } => Column::Alike {
            count: *count,
            table: alike_table(apart, *count, rest),
        },
        Axis::Category { count, apart: None } => {
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

/// A value as far from a kernel's own as any has the weight that it would have without distances; nearer ones have more, by the
/// square of their distance.
///
/// Source: a discrete kernel of the exponential form, as in Watanabe 2023, <https://arxiv.org/abs/2304.11127>, and Optuna's
/// `categorical_distance_func`.
fn alike_table(apart: &Apart, count: usize, rest: f64) -> Vec<f64> {
    let each = rest / count as f64;
    let farthest = libm::log(each / (1.0 + each));
    let mut table = Vec::with_capacity((count + 1) * count);
    for own in 0..count {
        let logs = || (0..count).map(|to| farthest * apart.square(own, to));
        let sum: f64 = logs().map(libm::exp).sum();
        table.extend(logs().map(|log| log - libm::log(sum)));
    }
    table.extend(vec![-libm::log(count as f64); count]);
    table
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
mod tests;
