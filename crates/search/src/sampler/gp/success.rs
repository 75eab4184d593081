//! The chance that a trial does not fail, where some have: failing is a constraint whose bound is not known.
//!
//! A process of its own is fitted to what came of the newest trials, 1 or -1, and a trial succeeds with the probability of a value above
//! 0. What is expected of a point counts by that chance. A failure that the other trials foretell, each left out in turn, is one of its
//! place, and has the worst value in the process of losses, or that would hope for much beyond. Where failures have nothing to do with
//! the place others foretell none of them, and they say nothing of losses.
//!
//! Sources: Rasmussen and Williams 2006, Gaussian processes for machine learning, section 6.5 (least-squares classification) and
//! equation 5.12 (leaving one out); Gelbart, Snoek and Adams 2014, Bayesian optimization with unknown constraints, equation 6 (the
//! product), <https://arxiv.org/abs/1403.5607>.

use super::fit;
use super::normal::{log_below, log_below_slope};
use super::output::standardise;
use super::posterior::{Posterior, noise};
use super::{FIT_MAX, Output, TOLD_MAX};
use crate::sampler::Known;
use crate::sampler::axes::Axes;
use crate::sampler::history::Told;

/// The most failed trials that count as the worst: the newest.
pub(super) const FORETOLD_MAX: usize = TOLD_MAX / 4;

/// What the trials say of whether others fail.
#[derive(Clone, Debug)]
pub(super) struct Success<'a> {
    /// `None` if the covariance is degenerate: then nothing is known of chances.
    posterior: Option<Posterior<'a>>,
    noise: f64,
    /// The place of 0 on the scale of the process.
    bar: f64,
    /// The failed trials that the others foretell, newest first.
    foretold: Vec<Told<'a>>,
}

impl<'a> Success<'a> {
    /// `None` where no trial has failed, or each has.
    pub(super) fn of(known: &Known<'a>) -> Option<Success<'a>> {
        // Whether they compare or not.
        let newest = known.history.newest(known.goal).take(TOLD_MAX);
        Success::learned(known.axes, &newest.collect::<Vec<_>>())
    }

    /// From trials, newest first.
    fn learned(axes: &'a Axes, told: &[Told<'a>]) -> Option<Success<'a>> {
        let (failed, others): (Vec<usize>, Vec<usize>) =
            (0..told.len()).partition(|i| told[*i].has_failed());
        if failed.is_empty() || others.is_empty() {
            return None;
        }
        let label = |told: &Told<'_>| if told.has_failed() { -1.0 } else { 1.0 };
        let mut values: Vec<f64> = told.iter().map(label).collect();
        let (mean, deviation) = standardise(&mut values);
        let bar = -mean / deviation;
        let points: Vec<&[f64]> = told.iter().map(|told| told.point).collect();
        // Half of them failed ones, if there are so many of both.
        let few = failed.len().min(FIT_MAX / 2);
        let few = evenly(&failed, few.max(FIT_MAX.saturating_sub(others.len())));
        let many = evenly(&others, FIT_MAX - few.len());
        let chosen = few.iter().chain(&many).copied();
        let (fit_points, fit_values): (Vec<&[f64]>, Vec<f64>) =
            chosen.map(|i| (points[i], values[i])).unzip();
        let hyper = fit::fit(axes, &fit_points, &fit_values, fit::NOISE_OF_LABELS);
        let noise = noise(&hyper);
        let output = Output { values, hyper };
        let posterior = Posterior::new(axes, &points, &output, &[], &[]);
        // Not by the share of failures alone, where most fail.
        let is_foretold = |i: usize| {
            posterior
                .as_ref()
                .is_none_or(|posterior| posterior.left_out(i, output.values[i]) < bar.min(0.0))
        };
        let foretold = failed.into_iter().filter(|i| is_foretold(*i));
        let foretold = foretold.take(FORETOLD_MAX).map(|i| told[i]).collect();
        Some(Success {
            posterior,
            noise,
            bar,
            foretold,
        })
    }

    pub(super) fn foretold(&self) -> &[Told<'a>] {
        &self.foretold
    }
}

impl Success<'_> {
    /// The logarithm of the chance.
    pub(super) fn log_chance(&self, point: &[f64]) -> f64 {
        let Some(posterior) = &self.posterior else {
            return 0.0;
        };
        let (mean, variance) = posterior.predict(point);
        log_below((mean - self.bar) / libm::sqrt(variance + self.noise))
    }

    /// As [`Success::log_chance`], with its slope by the coordinates on lines; 0 on all other axes.
    pub(super) fn chance_and_slope(&self, point: &[f64]) -> (f64, Vec<f64>) {
        let Some(posterior) = &self.posterior else {
            return (0.0, vec![0.0; point.len()]);
        };
        posterior.slope(point, |mean, variance| {
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
    use rand_chacha::rand_core::RngCore;

    use super::*;
    use crate::sampler::random::stream;
    use crate::{
        Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Scheduler, SchedulerKind,
        Space, Value,
    };

    fn space(dimensions: usize) -> Space {
        let parameter = |d| Parameter {
            name: format!("x{d}"),
            range: Range::Real {
                min: 0.0,
                max: 1.0,
                log: false,
            },
            when: vec![],
        };
        Space::new((0..dimensions).map(parameter).collect()).unwrap()
    }

    /// Places that fill the cube.
    ///
    /// Source: Roberts 2018, The unreasonable effectiveness of quasirandom sequences.
    fn points(count: u32, dimensions: usize) -> Vec<Vec<f64>> {
        // The root of x^(d+1) = x + 1.
        let mut root: f64 = 1.5;
        for _ in 0..60 {
            root = libm::pow(1.0 + root, 1.0 / (dimensions as f64 + 1.0));
        }
        let place = |i: u32, d: usize| {
            let at = 0.5 + f64::from(i) * libm::pow(root, -(d as f64 + 1.0));
            at - libm::floor(at)
        };
        let point = |i| (0..dimensions).map(|d| place(i, d)).collect();
        (1..=count).map(point).collect()
    }

    fn told(points: &[Vec<f64>], fails: impl Fn(usize, &[f64]) -> bool) -> Vec<Told<'_>> {
        let tell = |(i, point): (usize, &'_ Vec<f64>)| Told {
            number: i as u32,
            point: &points[i],
            loss: (!fails(i, point)).then_some(i as f64),
            violation: None,
        };
        points.iter().enumerate().map(tell).collect()
    }

    fn beyond(point: &[f64]) -> bool {
        point[0] + point[1] > 1.1
    }

    #[test]
    fn the_place_that_fails_is_found() {
        let (axes, points) = (Axes::of(&space(2)), points(40, 2));
        let told = told(&points, |_, point| beyond(point));
        let success = Success::learned(&axes, &told).unwrap();
        for (at, low, high) in [
            ([0.2, 0.2], 0.97, 1.0),
            ([0.4, 0.4], 0.9, 1.0),
            ([0.7, 0.7], 0.0, 0.1),
            ([0.9, 0.9], 0.0, 0.05),
        ] {
            let chance = libm::exp(success.log_chance(&at));
            assert!((low..=high).contains(&chance), "{at:?}: {chance}");
        }
        let failed = told.iter().filter(|told| told.has_failed()).count();
        let foretold = success.foretold();
        assert!(
            10 * foretold.len() >= 9 * failed,
            "{foretold:?} of {failed}"
        );
        assert!(foretold.iter().all(|told| beyond(told.point)));
    }

    /// How many failures the others foretell, of how many.
    fn foretold(count: u32, dimensions: usize, fails: impl Fn(usize) -> bool) -> (usize, usize) {
        let (axes, points) = (Axes::of(&space(dimensions)), points(count, dimensions));
        let told = told(&points, |i, _| fails(i));
        let success = Success::learned(&axes, &told).unwrap();
        let failed = told.iter().filter(|told| told.has_failed()).count();
        (success.foretold().len(), failed)
    }

    /// One of `of`, in no order.
    fn by_chance(i: usize, of: u64) -> bool {
        let mut stream = stream(b"test:test:test:1", 3, i as u64);
        stream.next_u64().is_multiple_of(of)
    }

    #[test]
    fn what_fails_anywhere_is_not_foretold() {
        for (count, dimensions) in [(11, 4), (20, 4), (40, 6), (12, 1)] {
            for lone in [0, 5, 10] {
                let found = foretold(count, dimensions, |i| i == lone);
                assert_eq!(found, (0, 1), "{lone} of {count} in {dimensions}");
            }
        }
        // A fifth to a quarter, in no order.
        for (count, dimensions) in [(60, 2), (60, 6), (100, 4), (150, 6)] {
            let (found, failed) = foretold(count, dimensions, |i| (i * i + i / 3) % 9 < 2);
            assert!(5 * failed >= count as usize, "{failed} of {count}");
            assert!(
                5 * found <= failed,
                "{count} in {dimensions}: {found} of {failed}"
            );
        }
    }

    #[test]
    fn where_most_fail_anywhere_most_are_not_foretold() {
        let (found, failed) = foretold(100, 4, |i| !by_chance(i, 3));
        assert!(failed > 55, "{failed}");
        assert!(2 * found <= failed, "{found} of {failed}");
    }

    /// Trials below the rung on which trials compare have not failed, and say so.
    #[test]
    fn under_rungs_what_waits_below_has_not_failed() {
        let (min, max, eta) = (1, 9, 3);
        let kind = SchedulerKind::Asha { min, max, eta };
        let scheduler = Scheduler::new(kind, Goal::Minimize, max).unwrap();
        let sampler = Sampler::new(SamplerKind::Gp, space(2), Goal::Minimize, 1).unwrap();
        let mut sampler = sampler.under(&scheduler).unwrap();
        for (number, point) in (0..).zip(points(200, 2)) {
            let named = point.iter().enumerate();
            let parameters = named
                .map(|(d, x)| (format!("x{d}"), Value::Real(*x)))
                .collect();
            sampler.observe(&Event::Created { number, parameters });
            let value = f64::from(number);
            for at in match number % 20 {
                0 => vec![1, 3, 9],
                _ => vec![1],
            } {
                sampler.observe(&Event::Observed { number, at, value });
            }
            if by_chance(number as usize, 10) {
                let ending = Ending::Failed;
                sampler.observe(&Event::Ended { number, ending });
            }
        }
        let known = sampler.known();
        let failed = known.history.told() - known.history.valued();
        let compared = known.history.compared() - failed;
        assert!(
            (12..30).contains(&failed) && compared <= 10,
            "{failed} {compared}"
        );
        let success = Success::of(&known).unwrap();
        assert!(
            4 * success.foretold().len() <= failed,
            "{:?}",
            success.foretold()
        );
        for at in [[0.2, 0.8], [0.5, 0.5], [0.9, 0.1], [0.3, 0.3], [0.7, 0.6]] {
            let chance = libm::exp(success.log_chance(&at));
            assert!((0.75..=1.0).contains(&chance), "{at:?}: {chance}");
        }
    }

    #[test]
    fn without_both_kinds_there_is_nothing_to_learn() {
        let (axes, points) = (Axes::of(&space(2)), points(12, 2));
        for fails in [true, false] {
            assert!(Success::learned(&axes, &told(&points, |_, _| fails)).is_none());
        }
        assert!(Success::learned(&axes, &[]).is_none());
    }

    #[test]
    fn the_slope_is_the_derivative() {
        let (axes, points) = (Axes::of(&space(2)), points(30, 2));
        let told = told(&points, |_, point| beyond(point));
        let success = Success::learned(&axes, &told).unwrap();
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

    /// What the others foretell of each is what they do without it.
    #[test]
    fn leaving_one_out_is_leaving_it_out() {
        let (axes, points) = (Axes::of(&space(2)), points(9, 2));
        let points: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        let values: Vec<f64> = (0..9).map(|i| libm::sin(f64::from(i))).collect();
        let hyper = fit::fit(&axes, &points, &values, fit::NOISE);
        let output = |values: &[f64]| Output {
            values: values.to_vec(),
            hyper: hyper.clone(),
        };
        let all = Posterior::new(&axes, &points, &output(&values), &[], &[]).unwrap();
        for i in 0..9 {
            let (mut points, mut others) = (points.clone(), values.clone());
            let (point, value) = (points.remove(i), others.remove(i));
            let without = Posterior::new(&axes, &points, &output(&others), &[], &[]).unwrap();
            let (expected, _) = without.predict(point);
            let found = all.left_out(i, value);
            assert!((found - expected).abs() < 1e-9, "{i}: {found} {expected}");
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
