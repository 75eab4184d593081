//! A Gaussian process: the next point is the one of which most improvement is expected.
//!
//! What it costs is capped: of a longer history the [`TOLD_MAX`] best and newest trials are looked at, covariances are
//! fitted to [`FIT_MAX`] of those, and of the running trials the newest [`RUNNING_MAX`] count. Nothing is kept between
//! suggestions; a batch shares its fit, which follows from the history alone.
//!
//! Running trials are believed to turn out as predicted (Ginsbourger et al. 2010, the kriging believer). Failed trials
//! have the worst value that is known.
//!
//! Source: Jones, Schonlau and Welch 1998, Efficient global optimization of expensive black-box functions; the parts
//! name their own.

mod acquire;
mod fit;
mod kernel;
mod matrix;
mod normal;
mod output;
mod posterior;

use super::Known;
use super::history::Told;
use crate::Assignment;
use fit::Hyper;
pub(super) use normal::quantile;
use posterior::Posterior;

/// The most trials with a result that are looked at: half of them the best, half the newest others.
const TOLD_MAX: usize = 200;
/// The most trials that covariances are fitted to: half of them the best, half spread over the others.
const FIT_MAX: usize = 60;
/// The most running trials that are looked at: the newest.
pub(super) const RUNNING_MAX: usize = 64;

/// What the suggestions of a batch share.
#[derive(Clone, Debug)]
pub(super) struct Model<'a> {
    /// Best first.
    points: Vec<&'a [f64]>,
    values: Vec<f64>,
    hyper: Hyper,
}

impl<'a> Model<'a> {
    /// At least one trial has a value.
    pub(super) fn new(known: &Known<'a>) -> Model<'a> {
        let told = select(known);
        let losses: Vec<Option<f64>> = told.iter().map(|told| told.loss).collect();
        let values = output::warp(&losses);
        let points: Vec<&[f64]> = told.iter().map(|told| told.point).collect();
        let chosen = spread(points.len());
        let fit_points: Vec<&[f64]> = chosen.iter().map(|i| points[*i]).collect();
        let fit_values: Vec<f64> = chosen.iter().map(|i| values[*i]).collect();
        let hyper = fit::fit(known.axes, &fit_points, &fit_values);
        Model {
            points,
            values,
            hyper,
        }
    }
}

/// The new point of which most improvement is expected; `None` if none was found, or the covariance is degenerate.
pub(super) fn suggest(
    known: &Known<'_>,
    model: &Model<'_>,
    number: u32,
    is_new: impl Fn(&Assignment) -> bool,
) -> Option<Assignment> {
    let ahead = known.ahead.iter().rev().map(|point| &**point);
    let running = ahead.chain(known.history.pending());
    let running: Vec<&[f64]> = running.take(RUNNING_MAX).collect();
    let posterior = Posterior::new(known.axes, model, running.iter().copied())?;
    acquire::search(known, model, &posterior, &running, number, is_new)
}

/// The trials to look at, best first.
fn select<'a>(known: &Known<'a>) -> Vec<Told<'a>> {
    if known.history.compared() <= TOLD_MAX {
        return known.history.best(known.goal).collect();
    }
    let mut chosen: Vec<Told<'a>> = known.history.best(known.goal).take(TOLD_MAX / 2).collect();
    let mut numbers: Vec<u32> = chosen.iter().map(|told| told.number).collect();
    numbers.sort_unstable();
    let is_other = |told: &Told<'_>| numbers.binary_search(&told.number).is_err();
    let newest = known.history.newest_compared(known.goal).filter(is_other);
    let mut newest: Vec<Told<'a>> = newest.take(TOLD_MAX - TOLD_MAX / 2).collect();
    let loss = |told: &Told<'_>| told.loss.unwrap_or(f64::INFINITY);
    newest.sort_by(|a, b| loss(a).total_cmp(&loss(b)).then(a.number.cmp(&b.number)));
    chosen.extend(newest);
    chosen
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

    #[test]
    fn the_fitted_trials_are_the_best_and_some_of_all_others() {
        for count in [0, 1, FIT_MAX, FIT_MAX + 1, TOLD_MAX] {
            let chosen = spread(count);
            assert_eq!(chosen.len(), count.min(FIT_MAX));
            assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(chosen.iter().all(|place| *place < count));
        }
    }
}
