//! The chance that a trial does not fail, where some have: failing is a constraint whose bound is not known.
//!
//! A process of its own is fitted to what came of the trials, 1 or -1, and a trial succeeds with the probability of a value above 0.
//! What is expected of a point counts by that chance, and a trial that failed where others rather fail, too, has the worst value in the
//! process of losses, or that would hope for much beyond. Where failures have nothing to do with the place, the fit takes them for
//! noise: the chance is about the same everywhere, and they say nothing of losses.
//!
//! Sources: Rasmussen and Williams 2006, Gaussian processes for machine learning, section 6.5 (least-squares classification);
//! Gelbart, Snoek and Adams 2014, Bayesian optimization with unknown constraints, equation 6 (the product),
//! <https://arxiv.org/abs/1403.5607>.

use super::fit;
use super::normal::{log_below, log_below_slope};
use super::output::standardise;
use super::posterior::{Posterior, noise};
use super::{FIT_MAX, Output};
use crate::sampler::axes::Axes;
use crate::sampler::history::Told;

/// What the trials say of whether others fail.
#[derive(Clone, Debug)]
pub(super) struct Success<'a> {
    posterior: Posterior<'a>,
    noise: f64,
    /// The place of 0 on the scale of the process.
    bar: f64,
}

impl<'a> Success<'a> {
    /// `None` where no trial has failed, or each has, or the covariance is degenerate.
    pub(super) fn of(axes: &'a Axes, told: &[Told<'_>]) -> Option<Success<'a>> {
        let (failed, others): (Vec<usize>, Vec<usize>) =
            (0..told.len()).partition(|i| told[*i].has_failed());
        if failed.is_empty() || others.is_empty() {
            return None;
        }
        let label = |told: &Told<'_>| if told.has_failed() { -1.0 } else { 1.0 };
        let mut values: Vec<f64> = told.iter().map(label).collect();
        let (mean, deviation) = standardise(&mut values);
        let points: Vec<&[f64]> = told.iter().map(|told| told.point).collect();
        // As many of both as there are.
        let half = FIT_MAX / 2;
        let few = evenly(&failed, half.max(FIT_MAX.saturating_sub(others.len())));
        let many = evenly(&others, FIT_MAX - few.len());
        let chosen = few.iter().chain(&many).copied();
        let (fit_points, fit_values): (Vec<&[f64]>, Vec<f64>) =
            chosen.map(|i| (points[i], values[i])).unzip();
        let hyper = fit::fit(axes, &fit_points, &fit_values);
        let noise = noise(&hyper);
        let output = Output { values, hyper };
        Some(Success {
            posterior: Posterior::new(axes, &points, &output, &[], &[])?,
            noise,
            bar: -mean / deviation,
        })
    }
}

impl Success<'_> {
    /// The logarithm of the chance.
    pub(super) fn log_chance(&self, point: &[f64]) -> f64 {
        let (mean, variance) = self.posterior.predict(point);
        log_below((mean - self.bar) / libm::sqrt(variance + self.noise))
    }

    /// Whether a trial there rather fails.
    pub(super) fn is_unlikely(&self, point: &[f64]) -> bool {
        self.log_chance(point) < -std::f64::consts::LN_2
    }

    /// As [`Success::log_chance`], with its slope by the coordinates on lines; 0 on all other axes.
    pub(super) fn chance_and_slope(&self, point: &[f64]) -> (f64, Vec<f64>) {
        self.posterior.slope(point, |mean, variance| {
            let deviation = libm::sqrt(variance + self.noise);
            let z = (mean - self.bar) / deviation;
            let by_z = log_below_slope(z);
            let by_variance = -0.5 * by_z * z / (variance + self.noise);
            (log_below(z), by_z / deviation, by_variance)
        })
    }
}

/// At most `count` of them, evenly.
fn evenly(all: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(all.len());
    (0..count).map(|i| all[i * all.len() / count]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parameter, Range, Space};

    fn axes() -> Axes {
        let parameter = |name: &str| Parameter {
            name: name.into(),
            range: Range::Real {
                min: 0.0,
                max: 1.0,
                log: false,
            },
            when: vec![],
        };
        Axes::of(&Space::new(vec![parameter("a"), parameter("b")]).unwrap())
    }

    /// Places that fill the square.
    fn points(count: u32) -> Vec<[f64; 2]> {
        let share = |i: u32, by: f64| f64::from(i) * by - libm::floor(f64::from(i) * by);
        let place = |i| [share(i, 0.754_877_666), share(i, 0.569_840_291)];
        (1..=count).map(place).collect()
    }

    /// The best first, then those that failed.
    fn told(points: &[[f64; 2]], fails: impl Fn(usize, &[f64; 2]) -> bool) -> Vec<Told<'_>> {
        let tell = |(i, point): (usize, &'_ [f64; 2])| (fails(i, point), i);
        let mut order: Vec<(bool, usize)> = points.iter().enumerate().map(tell).collect();
        order.sort_unstable();
        let tell = |(fails, i): (bool, usize)| Told {
            number: i as u32,
            point: &points[i],
            loss: (!fails).then_some(i as f64),
            violation: None,
        };
        order.into_iter().map(tell).collect()
    }

    #[test]
    fn the_place_that_fails_is_found() {
        let (axes, points) = (axes(), points(40));
        let told = told(&points, |_, [a, b]| a + b > 1.1);
        let success = Success::of(&axes, &told).unwrap();
        let chance = |at: [f64; 2]| libm::exp(success.log_chance(&at));
        for (at, low, high) in [
            ([0.2, 0.2], 0.97, 1.0),
            ([0.4, 0.4], 0.9, 1.0),
            ([0.7, 0.7], 0.0, 0.1),
            ([0.9, 0.9], 0.0, 0.03),
        ] {
            let chance = chance(at);
            assert!((low..=high).contains(&chance), "{at:?}: {chance}");
        }
        for told in &told {
            assert_eq!(
                success.is_unlikely(told.point),
                told.has_failed(),
                "{told:?}"
            );
        }
    }

    #[test]
    fn what_fails_anywhere_says_nothing_of_places() {
        let (axes, points) = (axes(), points(60));
        // A quarter, in no order.
        let told = told(&points, |i, _| (i * i + i / 3) % 4 == 1);
        let failed = told.iter().filter(|told| told.has_failed()).count();
        assert!((10..25).contains(&failed), "{failed}");
        let success = Success::of(&axes, &told).unwrap();
        for told in &told {
            assert!(!success.is_unlikely(told.point), "{told:?}");
            let chance = libm::exp(success.log_chance(told.point));
            assert!((0.5..0.95).contains(&chance), "{told:?}: {chance}");
        }
    }

    #[test]
    fn without_both_kinds_there_is_nothing_to_learn() {
        let (axes, points) = (axes(), points(12));
        for fails in [true, false] {
            assert!(Success::of(&axes, &told(&points, |_, _| fails)).is_none());
        }
        assert!(Success::of(&axes, &[]).is_none());
    }

    #[test]
    fn the_slope_is_the_derivative() {
        let (axes, points) = (axes(), points(30));
        let told = told(&points, |_, [a, b]| a + b > 1.1);
        let success = Success::of(&axes, &told).unwrap();
        for at in [[0.3, 0.6], [0.52, 0.61], [0.8, 0.95]] {
            let (chance, slopes) = success.chance_and_slope(&at);
            assert_eq!(chance, success.log_chance(&at));
            for d in 0..2 {
                let by = |step: f64| {
                    let mut moved = at;
                    moved[d] += step;
                    success.log_chance(&moved)
                };
                let numeric = (by(1e-6) - by(-1e-6)) / 2e-6;
                let apart = (slopes[d] - numeric).abs();
                assert!(
                    apart < 1e-5 * numeric.abs().max(1.0),
                    "{at:?}: {slopes:?} {numeric}"
                );
            }
        }
    }

    #[test]
    fn of_many_trials_both_kinds_are_fitted_to() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(evenly(&all, 4), [0, 25, 50, 75]);
        assert_eq!(evenly(&all[..3], 4), [0, 1, 2]);
        assert_eq!(evenly(&all, 0), [0; 0]);
    }
}
