//! Which parameters a sweep's values depend on: functional analysis of variance over a forest of regression trees.
//!
//! The forest is a function over the whole space, made of boxes, so the mean over all other parameters is exact for one
//! parameter and for a pair. The variance of that mean is what a parameter explains by itself, what a pair explains beyond
//! its two parameters is their interaction. An interaction belongs to both alike, and all together are 1.
//!
//! Where a parameter is not active, a value is drawn for it in each tree, so there it explains nothing.
//!
//! Sources: Hutter, Hoos and Leyton-Brown 2014, An efficient approach for assessing hyperparameter importance,
//! <https://proceedings.mlr.press/v32/hutter14.html>, Algorithms 1 and 2; halves of interactions as in Owen 2014, Sobol'
//! indices and Shapley value, <https://doi.org/10.1137/130936233>, where there are none of three.

mod evenly;
mod forest;
mod variance;

use serde::{Deserialize, Serialize};

use crate::{Alike, Assignment, Goal, Range, Space};
use forest::{Forest, Side};

/// Fewer trials say nothing that would hold.
pub const IMPORTANCE_TRIALS_MIN: usize = 16;
/// Of more trials, this many spread evenly over them are looked at.
const TRIALS_MAX: usize = 2_000;
/// Parameters of which pairs are looked at: those that trees gain most by.
const PAIRED_MAX: usize = 16;
/// A value that is worse than that of the space's middle point by more than this many times as much as the best is better counts
/// as one at that distance: how bad the bad are is not what a search is about.
const WORSE_MAX: f64 = 5.0;

/// How much a parameter matters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    pub parameter: String,
    /// From 0 to 1.
    pub importance: f64,
}

/// How much two parameters matter together, beyond what each does by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairImportance {
    /// In the space's order.
    pub parameters: [String; 2],
    /// From 0 to 1; contained in the importance of both, by halves.
    pub importance: f64,
}

/// What values depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importances {
    /// Every parameter, the most important first. They sum to 1.
    pub parameters: Vec<Importance>,
    /// Pairs that matter, the most important first.
    pub pairs: Vec<PairImportance>,
}

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportanceError {
    #[error(
        "{found} trials with a finite value to compare, importance needs at least {min}: wait for more of them"
    )]
    TooFew { found: usize, min: usize },
    #[error("there are no parameters to compare")]
    NoParameters,
    #[error("all {trials} completed trials have the same value: no parameter makes a difference")]
    Constant { trials: usize },
    #[error(
        "no parameter explains any of the differences between {trials} completed trials: they look like noise"
    )]
    Unexplained { trials: usize },
}

/// How much each parameter matters for the values of completed trials. Trials without a finite value, and those
/// that are no points of the space, are left out.
///
/// A function of its arguments and their order. It takes about a second for 2,000 trials of ten parameters.
///
/// # Errors
/// [`ImportanceError`].
pub fn importance(
    space: &Space,
    trials: &[(Assignment, f64)],
    goal: Goal,
) -> Result<Importances, ImportanceError> {
    let mut known: Vec<(&Assignment, f64)> = Vec::new();
    for (point, value) in trials {
        if value.is_finite() && space.contains(point) {
            known.push((point, goal.loss(*value)));
        }
    }
    let (found, min) = (known.len(), IMPORTANCE_TRIALS_MIN);
    if space.parameters().is_empty() {
        return Err(ImportanceError::NoParameters);
    }
    if found < min {
        return Err(ImportanceError::TooFew { found, min });
    }
    let count = found.min(TRIALS_MAX);
    let known: Vec<_> = (0..count).map(|i| known[i * found / count]).collect();
    let sides: Vec<Side> = space.parameters().iter().map(|p| side(&p.range)).collect();
    let rows: Vec<Vec<Option<f64>>> = known.iter().map(|(point, _)| row(space, point)).collect();
    let losses: Vec<f64> = known.iter().map(|(_, loss)| *loss).collect();
    let evenly = evenly::nearest(&sides, &rows);
    let Some(losses) = scaled(losses, &evenly) else {
        return Err(ImportanceError::Constant { trials: found });
    };
    let forest = Forest::grow(&sides, &rows, &losses, &evenly);
    shares(space, &forest).ok_or(ImportanceError::Unexplained { trials: found })
}

/// Losses with those far above the middle one drawn in, from 0 to 1; `None` if they are all the same. `evenly`: trials that
/// stand for the space, as a search that has found something has most of its trials there, and their middle is near the best.
fn scaled(mut losses: Vec<f64>, evenly: &[usize]) -> Option<Vec<f64>> {
    let largest = losses.iter().fold(0.0, |a, b| f64::max(a, b.abs()));
    if largest > 0.0 {
        losses.iter_mut().for_each(|loss| *loss /= largest); // so that no difference is infinite
    }
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let worst = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sorted: Vec<f64> = evenly.iter().map(|i| losses[*i]).collect();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(worst);
    let limit = if median > best {
        worst.min(median + WORSE_MAX * (median - best))
    } else {
        worst
    };
    let width = limit - best;
    let scale = |loss: &f64| (loss.min(limit) - best) / width;
    (width > 0.0).then(|| losses.iter().map(scale).collect())
}

fn side(range: &Range) -> Side {
    match range {
        Range::Choice { values, alike } if *alike != Alike::Neighbours => Side::Category {
            count: values.len(),
        },
        _ => Side::Line,
    }
}

/// A place in [0, 1] or the index of a category for each parameter, `None` where it is not active.
fn row(space: &Space, point: &Assignment) -> Vec<Option<f64>> {
    let place = |parameter: &crate::Parameter| {
        let value = point.get(&parameter.name)?;
        match side(&parameter.range) {
            Side::Category { .. } => parameter.range.index_of(value).map(|index| index as f64),
            Side::Line => parameter.range.share_of(value),
        }
    };
    space.parameters().iter().map(place).collect()
}

/// `None` where the forest explains nothing.
fn shares(space: &Space, forest: &Forest) -> Option<Importances> {
    let count = space.parameters().len();
    let own: Vec<f64> = (0..count).map(|i| variance::of_one(forest, i)).collect();
    let mut paired: Vec<usize> = (0..count).filter(|i| forest.gain(*i) > 0.0).collect();
    paired.sort_by(|a, b| forest.gain(*b).total_cmp(&forest.gain(*a)).then(a.cmp(b)));
    paired.truncate(PAIRED_MAX);
    paired.sort_unstable();
    let mut joint = Vec::new();
    for (at, &i) in paired.iter().enumerate() {
        for &j in &paired[at + 1..] {
            let beyond = variance::of_two(forest, i, j) - own[i] - own[j];
            joint.push((i, j, beyond.max(0.0)));
        }
    }
    let all = own.iter().sum::<f64>() + joint.iter().map(|(.., v)| v).sum::<f64>();
    if all <= 1e-12 {
        return None;
    }
    let mut whole = own;
    for (i, j, beyond) in &joint {
        whole[*i] += beyond / 2.0;
        whole[*j] += beyond / 2.0;
    }
    let name = |i: usize| space.parameters()[i].name.clone();
    let mut parameters: Vec<Importance> = whole
        .iter()
        .enumerate()
        .map(|(i, variance)| Importance {
            parameter: name(i),
            importance: variance / all,
        })
        .collect();
    parameters.sort_by(|a, b| b.importance.total_cmp(&a.importance)); // stable: ties in the space's order
    let mut pairs: Vec<PairImportance> = joint
        .iter()
        .filter(|(.., beyond)| *beyond > 0.0)
        .map(|(i, j, beyond)| PairImportance {
            parameters: [name(*i), name(*j)],
            importance: beyond / all,
        })
        .collect();
    pairs.sort_by(|a, b| b.importance.total_cmp(&a.importance));
    Some(Importances { parameters, pairs })
}

#[cfg(test)]
mod tests;
