//! Several objectives: a process of each, and the point of which most hypervolume is expected beyond the front.
//!
//! The front is that of the processes' means at the trials, so that noise does not pass for a front, and running trials are on it
//! where they are believed to be. The reference stands a tenth of the range beyond the worst of all values, and not of those on the
//! front: a young front seldom has its ends, and what lies beyond them would count as nothing.
//!
//! Source: Emmerich, Deutz and Klinkenberg 2011, Hypervolume-based expected improvement,
//! <https://doi.org/10.1109/CEC.2011.5949880>; the parts name their own.

use rand_chacha::rand_core::RngCore;

use super::acquire::Place;
use super::boxes::{Boxes, Normal};
use super::posterior::Posterior;
use super::success::Success;
use super::{Model, Output, acquire, spread};
use crate::Assignment;
use crate::front::Sweep;
use crate::sampler::Known;
use crate::sampler::history::Told;
use crate::sampler::random::stream;
use crate::sampler::several::{Several, most_apart};
use crate::space::unit;
use crate::volume::Losses;
use crate::{Goal, OBJECTIVES_MAX};

/// The most trials with a result that are looked at, by the number of objectives: half of them the best, half the newest others.
/// Two or three processes of so many cost about as much as one of all that one objective has.
const TOLD_MAX: [usize; OBJECTIVES_MAX + 1] = [200, 200, 120, 100];
/// The most points of the front that improvement is measured from, the least crowded.
const FRONT_MAX: usize = 32;
/// How far the reference stands beyond the worst values, as a share of their range.
const MARGIN: f64 = 0.1;

/// At least one trial has a value.
pub(super) fn model<'a>(known: &Known<'a>) -> Model<'a> {
    let several = known.several;
    let success = Success::of(known);
    let foretold = success.as_ref().map_or(&[][..], Success::foretold);
    let count = TOLD_MAX[several.objectives()];
    let foretold = &foretold[..foretold.len().min(count / 4)];
    let mut told = select(known, count - foretold.len());
    told.extend_from_slice(foretold);
    let points: Vec<&[f64]> = told.iter().map(|told| told.point).collect();
    let chosen = spread(points.len());
    let fair = worst_on_front(known);
    let outputs = (0..several.objectives()).map(|objective| {
        let loss = |told: &Told<'a>| {
            let losses = several.losses(told.number);
            Some(losses?[objective])
        };
        let told = told.iter().map(|told| Told {
            loss: told.loss.and_then(|_| loss(told)),
            ..*told
        });
        let told: Vec<Told<'_>> = told.collect();
        Output::new(known, &points, &chosen, &told, Some(fair[objective]))
    });
    let outputs = outputs.collect();
    Model {
        told: Vec::new(),
        points,
        outputs,
        success,
        region: None,
    }
}

/// In each objective the worst loss on the front: what is better elsewhere may be as bad as that here.
fn worst_on_front(known: &Known<'_>) -> Losses {
    let mut worst = [f64::NEG_INFINITY; OBJECTIVES_MAX];
    let sorted = Several::sorted(known, 1);
    for member in sorted.fronts.iter().flatten() {
        for (worst, loss) in worst.iter_mut().zip(member.losses) {
            *worst = worst.max(loss);
        }
    }
    worst
}

/// The trials to look at, best first; none that failed.
fn select<'a>(known: &Known<'a>, count: usize) -> Vec<Told<'a>> {
    let all = known.history.valued();
    let best = if all <= count { count } else { count / 2 };
    let sorted = Several::sorted(known, best);
    let mut told: Vec<Told<'a>> = Vec::new();
    for front in &sorted.fronts {
        let losses: Vec<Losses> = front.iter().map(|member| member.losses).collect();
        told.extend(most_apart(&losses).into_iter().map(|i| front[i].told));
    }
    told.extend(&sorted.broken);
    told.truncate(best);
    let mut numbers: Vec<u32> = told.iter().map(|told| told.number).collect();
    numbers.sort_unstable();
    let is_other =
        |told: &Told<'_>| !told.has_failed() && numbers.binary_search(&told.number).is_err();
    let newest = known.history.newest(known.goal).filter(is_other);
    let room = count - told.len();
    told.extend(newest.take(room));
    told
}

pub(super) fn suggest(
    known: &Known<'_>,
    posteriors: &[Posterior<'_>],
    success: Option<&Success<'_>>,
    tried: &[&[f64]],
    number: u32,
    is_new: impl Fn(&Assignment, &[f64]) -> bool,
) -> Option<Assignment> {
    let objectives = posteriors.len();
    let mean = |i: usize| {
        let mut means = [0.0; OBJECTIVES_MAX];
        for (mean, posterior) in means.iter_mut().zip(posteriors) {
            *mean = posterior.means()[i] + 0.0;
        }
        means
    };
    let means: Vec<Losses> = (0..tried.len()).map(mean).collect();
    let front = front(&means);
    let losses: Vec<Losses> = front.iter().map(|i| means[*i]).collect();
    let reference = reference(&means, objectives);
    let boxes = Boxes::of(&losses, &reference, objectives);
    let score = |point: &[f64]| {
        let normal = |posterior: &Posterior<'_>| -> Normal {
            let (mean, variance) = posterior.predict(point);
            (mean, libm::sqrt(variance))
        };
        let mut normals = [(0.0, 1.0); OBJECTIVES_MAX];
        for (place, posterior) in normals.iter_mut().zip(posteriors) {
            *place = normal(posterior);
        }
        let log = boxes.log_expected_improvement(&normals[..objectives]);
        success.map_or(log, |success| log + success.log_chance(point))
    };
    // Climbs begin anywhere on the front.
    let mut stream = stream(b"bonfire:gp:front", known.seed, u64::from(number));
    let mut starts: Vec<&[f64]> = front.iter().map(|i| tried[*i]).collect();
    let count = acquire::CLIMBS.min(starts.len());
    for i in 0..count {
        let others = starts.len() - i;
        starts.swap(i, i + (unit(stream.next_u64()) * others as f64) as usize);
    }
    let place = Place {
        starts: &starts[..count],
        region: None,
    };
    acquire::search(known, place, &score, number, is_new)
}

/// The places of those that no others dominate, each value once, at most [`FRONT_MAX`].
fn front(points: &[Losses]) -> Vec<usize> {
    let rank = |loss: f64| Goal::Minimize.rank(loss);
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|i| points[*i].map(rank));
    order.dedup_by_key(|i| points[*i].map(rank));
    let mut sweep = Sweep::default();
    order.retain(|i| sweep.admits(points[*i].map(rank)));
    if order.len() <= FRONT_MAX {
        return order;
    }
    let losses: Vec<Losses> = order.iter().map(|i| points[*i]).collect();
    let apart = most_apart(&losses).into_iter().take(FRONT_MAX);
    apart.map(|i| order[i]).collect()
}

/// Of objectives that there are not, 1.
fn reference(points: &[Losses], objectives: usize) -> Losses {
    let mut reference = [1.0; OBJECTIVES_MAX];
    for (objective, place) in reference.iter_mut().enumerate().take(objectives) {
        let values = || points.iter().map(|point| point[objective]);
        let best = values().fold(f64::INFINITY, f64::min);
        let worst = values().fold(f64::NEG_INFINITY, f64::max);
        // Without a range any reference is as good, if it is beyond.
        let range = (worst - best).max(1e-6);
        *place = worst + MARGIN * range;
    }
    reference
}
