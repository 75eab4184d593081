//! A Gaussian process: the next point is the one of which most improvement is expected.
//!
//! What it costs is capped: of a longer history [`TOLD_MAX`] trials are looked at, the best and those near the best one, covariances are
//! fitted to [`FIT_MAX`] of those, and of the running trials the newest [`RUNNING_MAX`] count. Nothing is kept between
//! suggestions; a batch shares its fit, which follows from the history alone.
//!
//! Of running trials [`OUTCOMES`] samples of how they may turn out count (`posterior`); with several objectives they are believed to
//! turn out as predicted (Ginsbourger et al. 2010, the kriging believer). Failed trials say where others may fail (`success`).
//!
//! Source: Jones, Schonlau and Welch 1998, Efficient global optimization of expensive black-box functions; the parts
//! name their own.

mod acquire;
mod boxes;
mod explain;
mod fit;
mod front;
mod kernel;
mod matrix;
mod normal;
mod output;
mod posterior;
mod region;
mod success;
mod uphill;
mod warping;

use rand_chacha::rand_core::RngCore;

use super::history::Told;
use super::random::stream;
use super::{Known, sobol};
use crate::Assignment;
use acquire::{Improvement, Place};
pub(super) use explain::explain;
use fit::Hyper;
pub(super) use normal::quantile;
use posterior::Posterior;
use region::Region;
use success::Success;

/// The most trials with a result that are looked at: half of them the best, half the nearest to the best one of the [`NEWEST`] others.
const TOLD_MAX: usize = 200;
const NEWEST: usize = 2_000;
/// The most trials that are bad below the rung on which others compare, and count as the worst there: the newest. Without them a place
/// that is left after a rung is always new.
const BELOW_MAX: usize = TOLD_MAX / 4;
/// The most trials that covariances are fitted to: half of them the best, half spread over the others.
const FIT_MAX: usize = 60;
/// The most running trials that are looked at: the newest.
pub(super) const RUNNING_MAX: usize = 64;

/// Ways in which running trials may turn out that are looked at.
const OUTCOMES: u32 = 16;

/// What the suggestions of a batch share.
#[derive(Clone, Debug)]
pub(super) struct Model<'a> {
    /// Best first, then failed ones; of the first objective alone.
    told: Vec<Told<'a>>,
    points: Vec<&'a [f64]>,
    /// One an objective.
    outputs: Vec<Output>,
    /// Where some have failed.
    success: Option<Success<'a>>,
    /// Where to look; of several objectives everywhere.
    region: Option<Region>,
}

/// What one objective is at the points, and how it covaries.
#[derive(Clone, Debug)]
struct Output {
    values: Vec<f64>,
    hyper: Hyper,
}

impl<'a> Model<'a> {
    /// At least one trial has a value.
    pub(super) fn new(known: &Known<'a>) -> Model<'a> {
        if !known.several.is_empty() {
            return front::model(known);
        }
        let success = Success::of(known);
        let foretold = success.as_ref().map_or(&[][..], Success::foretold);
        let below = known.history.bad_below(known.goal, NEWEST);
        let below: Vec<Told<'a>> = below.take(BELOW_MAX).collect();
        let mut told = select(known, TOLD_MAX - foretold.len() - below.len());
        told.extend_from_slice(foretold);
        told.extend(below);
        let points: Vec<&[f64]> = told.iter().map(|told| told.point).collect();
        let chosen = spread(points.len());
        let outputs = vec![Output::new(known, &points, &chosen, &told, None)];
        Model {
            told,
            points,
            outputs,
            success,
            region: Region::of(known),
        }
    }
}

impl Output {
    /// - `chosen`: the places of those that covariances are fitted to.
    /// - `fair`: of several objectives, a loss that is not bad, see [`output::tame`].
    fn new(
        known: &Known<'_>,
        points: &[&[f64]],
        chosen: &[usize],
        told: &[Told<'_>],
        fair: Option<f64>,
    ) -> Output {
        let losses = with_penalties(told);
        let values = match fair {
            None => output::warp(&losses),
            Some(fair) => output::tame(&losses, fair),
        };
        let fit_points: Vec<&[f64]> = chosen.iter().map(|i| points[*i]).collect();
        let fit_values: Vec<f64> = chosen.iter().map(|i| values[*i]).collect();
        let hyper = fit::fit(known.axes, &fit_points, &fit_values, fit::NOISE);
        Output { values, hyper }
    }
}

/// The new point of which most improvement is expected; `None` if none was found, or the covariance is degenerate.
///
/// `is_new`: of a point and its coordinates.
pub(super) fn suggest(
    known: &Known<'_>,
    model: &Model<'_>,
    number: u32,
    is_new: impl Fn(&Assignment, &[f64]) -> bool,
) -> Option<Assignment> {
    let ahead = known.ahead.iter().rev().map(|point| &**point);
    let running = ahead.chain(known.history.pending());
    let running: Vec<&[f64]> = running.take(RUNNING_MAX).collect();
    if model.points.is_empty() {
        return None;
    }
    let tried = [&model.points[..], &running].concat();
    let chances = match &model.outputs[..] {
        [_] => chances(known.seed, number, running.len()),
        _ => Vec::new(),
    };
    let posteriors = model.outputs.iter();
    let posteriors = posteriors
        .map(|output| Posterior::new(known.axes, &model.points, output, &running, &chances));
    let posteriors: Vec<Posterior<'_>> = posteriors.collect::<Option<_>>()?;
    let success = model.success.as_ref();
    if let [posterior] = &posteriors[..] {
        let place = Place {
            starts: &model.points[..acquire::CLIMBS.min(model.points.len())],
            region: model.region.as_ref(),
        };
        let expects = Improvement { posterior, success };
        return acquire::search(known, place, &expects, number, is_new);
    }
    front::suggest(known, &posteriors, success, &tried, number, is_new)
}

/// [`OUTCOMES`] times as many standard normals as trials run: Sobol points, so that each trial's are spread evenly.
fn chances(seed: u64, number: u32, running: usize) -> Vec<Vec<f64>> {
    let mut stream = stream(b"bonfire:gp:besid", seed, u64::from(number));
    let keys: Vec<u64> = (0..running).map(|_| stream.next_u64()).collect();
    let normal = |(dimension, key): (usize, &u64), sample| {
        let place = sobol::scrambled(dimension, sample, *key);
        // Never 0 or 1.
        quantile(((place >> 12) as f64 + 0.5) / (1u64 << 52) as f64)
    };
    let sample = |sample| {
        keys.iter()
            .enumerate()
            .map(|at| normal(at, sample))
            .collect()
    };
    (0..OUTCOMES).map(sample).collect()
}

/// A loss for each trial but the failed ones. One that breaks a requirement is as bad as the worst that does not, and worse
/// by its place among those that do, over the spread of the others.
///
/// Source: Deb 2000, An efficient constraint handling method for genetic algorithms, equation 4 (the worst feasible value
/// plus the violation), <https://doi.org/10.1016/S0045-7825(99)00389-8>; by places, since metrics have scales of their own.
fn with_penalties(told: &[Told<'_>]) -> Vec<Option<f64>> {
    let losses = || told.iter().filter_map(|told| told.loss);
    let best = losses().fold(f64::INFINITY, f64::min);
    let worst = losses().fold(f64::NEG_INFINITY, f64::max);
    let (worst, spread) = match worst - best {
        _ if !worst.is_finite() => (0.0, 1.0),
        spread if spread > 0.0 && spread.is_finite() => (worst, spread),
        _ => (worst, worst.abs().max(1.0)),
    };
    let mut violations: Vec<f64> = told.iter().filter_map(|told| told.violation).collect();
    violations.sort_by(f64::total_cmp);
    let penalty = |violation: f64| {
        let place = violations.partition_point(|other| *other < violation) + 1;
        (worst + spread * (place as f64 / violations.len() as f64)).min(f64::MAX)
    };
    let loss = |told: &Told<'_>| told.loss.or(told.violation.map(penalty));
    told.iter().map(loss).collect()
}

/// The trials to look at, best first: at most `count`, and none that failed.
fn select<'a>(known: &Known<'a>, count: usize) -> Vec<Told<'a>> {
    let best = || {
        let best = known.history.best(known.goal);
        best.take_while(|told| !told.has_failed())
    };
    if known.history.compared() <= count {
        return best().collect();
    }
    let mut chosen: Vec<Told<'a>> = best().take(count / 2).collect();
    let mut numbers: Vec<u32> = chosen.iter().map(|told| told.number).collect();
    numbers.sort_unstable();
    let is_other =
        |told: &Told<'_>| !told.has_failed() && numbers.binary_search(&told.number).is_err();
    let newest = known.history.newest_compared(known.goal).filter(is_other);
    let mut near = nearest(known, &chosen, newest.take(NEWEST), count - chosen.len());
    let loss = |told: &Told<'_>| told.loss.unwrap_or(f64::INFINITY);
    let violation = |told: &Told<'_>| match told.loss {
        Some(_) => -1.0,
        None => told.violation.unwrap_or(f64::INFINITY),
    };
    near.sort_by(|a, b| {
        let by_loss = loss(a).total_cmp(&loss(b));
        let by_violation = violation(a).total_cmp(&violation(b));
        by_loss.then(by_violation).then(a.number.cmp(&b.number))
    });
    chosen.extend(near);
    chosen
}

/// Those nearest to the first of `chosen`, at most `count`.
fn nearest<'a>(
    known: &Known<'a>,
    chosen: &[Told<'a>],
    others: impl Iterator<Item = Told<'a>>,
    count: usize,
) -> Vec<Told<'a>> {
    let Some(best) = chosen.first() else {
        return others.take(count).collect();
    };
    let square = |told: &Told<'a>| kernel::square(known.axes, best.point, told.point);
    let mut others: Vec<(f64, Told<'a>)> = others.map(|told| (square(&told), told)).collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.number.cmp(&b.1.number)));
    others.truncate(count);
    others.into_iter().map(|(_, told)| told).collect()
}

/// At most [`FIT_MAX`] places of that many: the first half of them in a row, the rest evenly.
fn spread(count: usize) -> Vec<usize> {
    if count <= FIT_MAX {
        return (0..count).collect();
    }
    let head = FIT_MAX / 2;
    let tail = FIT_MAX - head;
    let rest = (0..tail).map(|i| head + i * (count - head) / tail);
    (0..head).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Space, Value};

    /// A search of one parameter that knows trials at these places, with these values.
    fn search(trials: &[(f64, f64)]) -> Sampler {
        let (min, max, log) = (0.0, 1.0, false);
        let parameter = Parameter {
            name: "x".into(),
            range: Range::Real { min, max, log },
            when: vec![],
        };
        let space = Space::new(vec![parameter]).unwrap();
        let mut sampler = Sampler::new(SamplerKind::Gp, space, Goal::Minimize, 1).unwrap();
        for (number, (x, value)) in (0..).zip(trials) {
            let parameters = Assignment::from([("x".to_owned(), Value::Real(*x))]);
            let (at, value, ending) = (1, *value, Ending::Completed);
            sampler.observe(&Event::Created { number, parameters });
            sampler.observe(&Event::Observed { number, at, value });
            sampler.observe(&Event::Ended { number, ending });
        }
        sampler
    }

    #[test]
    fn of_many_trials_the_best_and_those_near_the_best_one_are_looked_at() {
        // Places and values that have nothing to do with each other.
        let share = |i: u32, by: f64| f64::from(i) * by - libm::floor(f64::from(i) * by);
        let trials = (0..2_300).map(|i| (share(i, 0.618_033_988), share(i, 0.754_877_666)));
        let trials: Vec<(f64, f64)> = trials.collect();
        let sampler = search(&trials);
        let told = select(&sampler.known(), TOLD_MAX);
        let found: Vec<u32> = told.iter().map(|told| told.number).collect();

        let mut order: Vec<usize> = (0..trials.len()).collect();
        order.sort_by(|a, b| trials[*a].1.total_cmp(&trials[*b].1));
        let (best, others) = order.split_at(100);
        let mut others = others.to_vec();
        others.sort_unstable();
        let mut near = others.split_off(others.len() - NEWEST);
        let apart = |i: usize| (trials[i].0 - trials[best[0]].0).abs();
        near.sort_by(|a, b| apart(*a).total_cmp(&apart(*b)));
        near.truncate(100);
        near.sort_by(|a, b| trials[*a].1.total_cmp(&trials[*b].1));
        let expected = best.iter().chain(&near).map(|i| *i as u32);
        assert_eq!(found, expected.collect::<Vec<_>>());

        let few = search(&trials[..TOLD_MAX]);
        assert_eq!(select(&few.known(), TOLD_MAX).len(), TOLD_MAX);
    }

    /// With several objectives as with one, of the trials that failed those alone that the others foretell are looked at.
    #[test]
    fn failures_that_nothing_foretells_are_left_out() {
        let goals = [Goal::Minimize, Goal::Minimize];
        for goals in [&goals[..1], &goals] {
            let space = search(&[]).space().clone();
            let sampler = Sampler::new(SamplerKind::Gp, space, Goal::Minimize, 1).unwrap();
            let mut sampler = sampler.toward(goals).unwrap();
            let failed = [4, 11, 13, 22, 29, 37];
            for number in 0..40 {
                let x = f64::from(number * 17 % 40) / 40.0;
                let parameters = Assignment::from([("x".to_owned(), Value::Real(x))]);
                sampler.observe(&Event::Created { number, parameters });
                let ending = match failed.contains(&number) {
                    true => Ending::Failed,
                    false => Ending::Completed,
                };
                let values = [x, 1.0 - x][..goals.len()].to_vec();
                let at = 1;
                if ending == Ending::Completed {
                    sampler.observe(&Event::Several { number, at, values });
                }
                sampler.observe(&Event::Ended { number, ending });
            }
            let known = sampler.known();
            let model = Model::new(&known);
            let foretold = model.success.as_ref().unwrap().foretold().len();
            assert!(foretold <= 1, "{foretold}");
            assert_eq!(model.points.len(), 40 - failed.len() + foretold);
        }
    }

    #[test]
    fn the_fitted_trials_are_the_best_and_some_of_all_others() {
        for count in [0, 1, FIT_MAX, FIT_MAX + 1, TOLD_MAX] {
            let chosen = spread(count);
            assert_eq!(chosen.len(), count.min(FIT_MAX));
            assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(chosen.iter().all(|place| *place < count));
        }
    }

    #[track_caller]
    fn check(told: &[(Option<f64>, Option<f64>)], expected: &[Option<f64>]) {
        let told = told.iter().map(|(loss, violation)| Told {
            number: 0,
            point: &[],
            loss: *loss,
            violation: *violation,
        });
        let told: Vec<Told<'_>> = told.collect();
        assert_eq!(with_penalties(&told), expected);
    }

    #[test]
    fn what_breaks_a_requirement_is_worse_than_all_that_does_not() {
        let (good, broken) = (|loss| (Some(loss), None), |by| (None, Some(by)));
        let failed = (None, None);
        let told = [
            good(1.0),
            good(5.0),
            broken(0.1),
            broken(9.0),
            broken(0.1),
            failed,
        ];
        let found = [1.0, 5.0, 5.0 + 4.0 / 3.0, 9.0, 5.0 + 4.0 / 3.0].map(Some);
        check(&told, &[&found[..], &[None]].concat());
        check(
            &[broken(3.0), broken(1.0), failed],
            &[Some(1.0), Some(0.5), None],
        );
        check(&[good(2.0), broken(1.0)], &[Some(2.0), Some(4.0)]);
        check(
            &[good(-f64::MAX), good(f64::MAX), broken(1.0)],
            &[Some(-f64::MAX), Some(f64::MAX), Some(f64::MAX)],
        );
    }
}
