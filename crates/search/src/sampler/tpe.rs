//! The tree-structured Parzen estimator: the next point is the one that good trials make likelier than bad ones.
//!
//! Sources: Bergstra et al. 2011, Algorithms for hyper-parameter optimization, section 4; the multivariate form of
//! Falkner et al. 2018 (BOHB), <https://arxiv.org/abs/1807.01774>; settings after Watanabe 2023,
//! <https://arxiv.org/abs/2304.11127>, and Optuna's (<https://doi.org/10.1145/3292500.3330701>), changed where
//! docs/search.md shows that it helps.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use super::Known;
use super::axes::ABSENT;
use super::history::Told;
use super::motpe;
use super::parzen::{Parzen, Width};
use super::random::stream;
use crate::Assignment;
use crate::space::unit;

/// The share of the trials that are good.
const GOOD_SHARE: f64 = 0.15;
/// The most good trials.
const GOOD_MAX: usize = 25;
/// The most bad trials that are looked at: the newest. It bounds the cost of a suggestion.
const BAD_MAX: usize = 256;
/// The most running trials that are looked at: the newest.
const RUNNING_MAX: usize = 128;
/// Points drawn, of which the best is taken.
const CANDIDATES: usize = 48;
/// How often candidates are drawn where no candidate is new, and where requirements may refuse most of them.
const ROUNDS: usize = 4;
const ROUNDS_BOUND: usize = 16;
pub(super) const GOOD: Width = Width {
    scale: 0.15,
    steps_max: 100.0,
    floor: 1.0,
};
/// Wider, so that a bad trial speaks against its neighbourhood and not only against its point.
pub(super) const BAD: Width = Width { scale: 0.3, ..GOOD };

/// The new candidate that good trials make most likely beside bad ones; the best of all where none is new.
///
/// At least one trial has a value, or other searches say something.
pub(super) fn suggest(
    known: &Known<'_>,
    number: u32,
    is_new: impl Fn(&Assignment) -> bool,
) -> Assignment {
    let mut stream = stream(b"bonfire:tpe:0001", known.seed, u64::from(number));
    let (good, mut weights) = good(known);
    let mut bad = bad(known, &good);
    let absent = vec![ABSENT; known.axes.len()];
    let mut points: Vec<&[f64]> = good.iter().map(|told| told.point).collect();
    let mut bad_weights = vec![1.0; bad.len()];
    for (weight, part) in known.prior.parts(known) {
        points.extend(part.good());
        weights.resize(points.len(), weight);
        bad.extend(part.bad());
        bad_weights.resize(bad.len(), weight);
    }
    let likely = Parzen::new(known.axes, points, weights, &absent, GOOD);
    // Beside a point of the front are further ones, so with several objectives a bad trial speaks against its place alone.
    let width = if known.several.is_empty() { BAD } else { GOOD };
    let unlikely = Parzen::new(known.axes, bad, bad_weights, &absent, width);
    let mut scratch = Vec::new();
    let mut best: Option<(bool, f64, Assignment)> = None;
    let rounds = if known.is_bound { ROUNDS_BOUND } else { ROUNDS };
    for _ in 0..rounds {
        for _ in 0..CANDIDATES {
            let (point, coordinates) = draw(known, &likely, &mut stream);
            let score = likely.log_density(&coordinates, &mut scratch)
                - unlikely.log_density(&coordinates, &mut scratch);
            // What is worse than a new one need not be looked up.
            if best.as_ref().is_some_and(|best| best.0 && best.1 >= score) {
                continue;
            }
            let new = is_new(&point);
            if best
                .as_ref()
                .is_none_or(|best| (best.0, best.1) < (new, score))
            {
                best = Some((new, score, point));
            }
        }
        if best.as_ref().is_some_and(|best| best.0) {
            break;
        }
    }
    best.map(|(_, _, point)| point).unwrap_or_default()
}

/// The best trials, best first, and how much each counts; a failed one is never good, and one that breaks a requirement only while
/// too few do not.
fn good<'a>(known: &Known<'a>) -> (Vec<Told<'a>>, Vec<f64>) {
    let compared = known.history.compared();
    if !known.several.is_empty() {
        let count = libm::ceil(motpe::GOOD_SHARE * compared as f64) as usize;
        return motpe::good(known, count.clamp(1, GOOD_MAX));
    }
    let count = libm::ceil(GOOD_SHARE * compared as f64) as usize;
    let count = count.clamp(1, GOOD_MAX);
    let best = known.history.best(known.goal);
    let valued = best.take_while(|told| told.loss.is_some() || told.violation.is_some());
    let good: Vec<Told<'a>> = valued.take(count).collect();
    // The better, the heavier, with a mean of about 1 (the prior has 1): Watanabe 2023, section 3.2.
    let count = good.len();
    let weights = (0..count).map(|i| 2.0 * (count - i) as f64 / count as f64);
    (good, weights.collect())
}

fn draw(known: &Known<'_>, likely: &Parzen<'_>, stream: &mut ChaCha8Rng) -> (Assignment, Vec<f64>) {
    let kernel = likely.pick(unit(stream.next_u64()));
    let mut coordinates = vec![ABSENT; known.axes.len()];
    let point = known.axes.decode(known.space, |d| {
        coordinates[d] = likely.draw(kernel, d, stream);
        coordinates[d]
    });
    (point, coordinates)
}

/// The trials that are not good: the newest ones, and those that run, as if they had turned out badly (the constant
/// liar of Ginsbourger et al. 2010). Where trials compare on a rung, those that have not got there are bad too, or the model
/// would go on drawing beside them.
fn bad<'a>(known: &Known<'a>, good: &[Told<'_>]) -> Vec<&'a [f64]> {
    let mut numbers: Vec<u32> = good.iter().map(|told| told.number).collect();
    numbers.sort_unstable();
    let is_bad = |told: &Told<'_>| numbers.binary_search(&told.number).is_err();
    let newest = known.history.newest(known.goal).filter(is_bad);
    let newest = newest.take(BAD_MAX);
    let mut bad: Vec<&[f64]> = newest.map(|told| told.point).collect();
    let ahead = known.ahead.iter().rev().map(|point| &**point);
    bad.extend(ahead.chain(known.history.pending()).take(RUNNING_MAX));
    bad
}
