//! A trust region: where the next point is looked for, where there are too many parameters to look everywhere, or so many trials
//! that everywhere has been looked.
//!
//! It lies around the best trial. Its side doubles after some trials in a row that were each the best so far, halves after some in a
//! row that were not, and begins anew when it has become small. All of that follows from the trials in the order of their numbers,
//! whoever suggested them.
//!
//! Source: Eriksson et al. 2019, Scalable global optimization via local Bayesian optimization (TuRBO), section 3,
//! <https://arxiv.org/abs/1910.01739>; the sides are all the same, which found more than sides by length scales, and failures are
//! counted to half as many, as every one costs a training.

use rand_chacha::rand_core::RngCore;

use super::TOLD_MAX;
use crate::sampler::Known;
use crate::sampler::axes::{Axes, Axis, is_absent};
use crate::space::unit;

/// Of fewer parameters the whole space is searched, which finds more, until there are more than [`TOLD_MAX`] trials.
const DIMENSIONS_MIN: usize = 15;
/// Trials that fill the space and say nothing of a region.
const STARTUP: usize = 10;
/// Of the unit cube: in the beginning, and between which it stays.
const SIDE: f64 = 0.8;
const SIDE_MIN: f64 = 1.0 / 128.0;
const SIDE_MAX: f64 = 1.6;
/// So many successes in a row double the side; half as many failures as there are parameters halve it, and no fewer than the second.
const SUCCESSES: u32 = 3;
const FAILURES_MIN: u32 = 4;
/// A success is better by this share of the best value's size.
const GAIN: f64 = 1e-3;
/// How many coordinates of a drawn point are drawn, in the mean; the others are the centre's.
const DRAWN: f64 = 20.0;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Region {
    centre: Vec<f64>,
    side: f64,
}

impl Region {
    /// `None` where the whole space is searched, or no trial has a value.
    pub(super) fn of(known: &Known<'_>) -> Option<Region> {
        let is_long = known.history.compared() > TOLD_MAX;
        if known.axes.len() < DIMENSIONS_MIN && !is_long {
            return None;
        }
        let newest = known.history.newest_compared(known.goal);
        let losses: Vec<Option<f64>> = newest.map(|told| told.loss).collect();
        let side = side(losses.into_iter().rev(), known.axes.len());
        let best = known.history.best(known.goal).next()?;
        best.loss.map(|_| Region {
            centre: best.point.to_vec(),
            side,
        })
    }

    pub(super) fn centre(&self) -> &[f64] {
        &self.centre
    }

    /// Between which coordinates an axis that is a line is searched.
    pub(super) fn ends(&self, d: usize) -> (f64, f64) {
        match self.centre[d] {
            at if is_absent(at) => (0.0, 1.0),
            at => self.around(at),
        }
    }

    fn around(&self, place: f64) -> (f64, f64) {
        let reach = self.side / 2.0;
        ((place - reach).max(0.0), (place + reach).min(1.0))
    }

    /// A point in it. What is absent at the centre stays so.
    pub(super) fn draw(&self, axes: &Axes, stream: &mut impl RngCore) -> Vec<f64> {
        let share = DRAWN / axes.len() as f64;
        let mut point = self.centre.clone();
        for (at, axis) in point.iter_mut().zip(axes.all()) {
            if is_absent(*at) || unit(stream.next_u64()) >= share {
                continue;
            }
            let drawn = unit(stream.next_u64());
            *at = match axis {
                Axis::Category { .. } => axis.at_share(drawn),
                Axis::Cells { .. } | Axis::Line => {
                    let (low, high) = self.around(axis.place(*at));
                    axis.coordinate(low + (high - low) * drawn)
                }
            };
        }
        point
    }
}

/// The side after trials with these losses, in order.
fn side(losses: impl Iterator<Item = Option<f64>>, dimensions: usize) -> f64 {
    let failures_max = (dimensions as u32 / 2).max(FAILURES_MIN);
    let mut best = f64::INFINITY;
    let (mut side, mut successes, mut failures) = (SIDE, 0, 0);
    for (i, loss) in losses.enumerate() {
        let loss = loss.unwrap_or(f64::INFINITY);
        let is_better = match best.is_finite() {
            true => loss < best - GAIN * best.abs(),
            false => loss.is_finite(),
        };
        best = best.min(loss);
        if i < STARTUP {
            continue;
        }
        (successes, failures) = match is_better {
            true => (successes + 1, 0),
            false => (0, failures + 1),
        };
        if successes == SUCCESSES {
            (side, successes) = (f64::min(side * 2.0, SIDE_MAX), 0);
        } else if failures == failures_max {
            (side, failures) = (side / 2.0, 0);
        }
        if side < SIDE_MIN {
            side = SIDE;
        }
    }
    side
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(losses: &[Option<f64>], expected: f64) {
        let losses = [&[Some(9.0); STARTUP][..], losses].concat();
        assert_eq!(side(losses.into_iter(), 20), expected);
    }

    #[test]
    fn successes_double_it_and_failures_halve_it() {
        check(&[], SIDE);
        let down = |count: u32| (0..count).map(|i| Some(8.0 - f64::from(i)));
        let flat = |count: usize| vec![Some(9.0); count];
        check(&down(2).collect::<Vec<_>>(), SIDE);
        check(&down(3).collect::<Vec<_>>(), SIDE_MAX);
        check(&down(6).collect::<Vec<_>>(), SIDE_MAX);
        check(&flat(9), SIDE);
        check(&flat(10), SIDE / 2.0);
        check(&[None; 10], SIDE / 2.0);
        // Better by less than a thousandth is no success.
        check(&[Some(8.999); 10], SIDE / 2.0);
        let mixed: Vec<_> = flat(9).into_iter().chain(down(1)).chain(flat(9)).collect();
        check(&mixed, SIDE);
    }

    #[test]
    fn what_has_become_small_begins_anew() {
        // From 0.8 to 1/128 it halves six times.
        check(&[Some(9.0); 69], SIDE / 64.0);
        check(&[Some(9.0); 70], SIDE);
    }
}
