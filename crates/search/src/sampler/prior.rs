//! What trials of other searches say: each search is split by itself into its good trials and the others, by rank, so that
//! values that are shifted or scaled, or of another dataset, compare with nothing but their own.
//!
//! Sources: ranks instead of values across searches, Bardenet et al. 2013, Collaborative hyperparameter tuning, section 3,
//! <https://proceedings.mlr.press/v28/bardenet13.html>; one density a search, mixed with the own one, Watanabe et al. 2023,
//! <https://arxiv.org/abs/2212.06751>. There the weights follow how alike searches are; here they fade.

use serde::{Deserialize, Serialize};

use super::axes::{ABSENT, Axes, Axis};
use crate::{Assignment, Space};

/// The share of a search's trials that are good, as of the own ones.
const GOOD_SHARE: f64 = 0.15;
/// After so many own trials with a value, other searches say nothing any more.
const FADED: usize = 50;

/// A trial of another search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriorTrial {
    pub parameters: Assignment,
    /// Its place among all trials of its search, from 0 for the best to 1.
    pub place: f64,
}

/// Points of other searches' trials. What a trial has no value for is not there, as for a parameter that is not active.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Prior {
    good: Vec<Box<[f64]>>,
    bad: Vec<Box<[f64]>>,
}

impl Prior {
    /// Trials of which nothing can be used are left out.
    pub(super) fn new(space: &Space, axes: &Axes, trials: &[PriorTrial]) -> Prior {
        let mut prior = Prior::default();
        for trial in trials {
            match point_of(space, axes, &trial.parameters) {
                Some(point) if trial.place <= GOOD_SHARE => prior.good.push(point),
                Some(point) => prior.bad.push(point),
                None => {}
            }
        }
        prior
    }

    /// How much a trial of another search counts beside an own one, after so many own ones with a value.
    pub(super) fn weight(&self, valued: usize) -> f64 {
        match self.good.is_empty() {
            true => 0.0,
            false => FADED.saturating_sub(valued) as f64 / FADED as f64,
        }
    }

    pub(super) fn good(&self) -> impl Iterator<Item = &[f64]> {
        self.good.iter().map(|point| &**point)
    }

    pub(super) fn bad(&self) -> impl Iterator<Item = &[f64]> {
        self.bad.iter().map(|point| &**point)
    }
}

/// The coordinates of a point of another space: those of the parameters that both have. `None` if there are none, or one has a
/// value that is not in its range here.
fn point_of(space: &Space, axes: &Axes, parameters: &Assignment) -> Option<Box<[f64]>> {
    let mut point = Vec::with_capacity(axes.len());
    for (axis, parameter) in axes.all().iter().zip(space.parameters()) {
        point.push(match (parameters.get(&parameter.name), axis) {
            (None, _) => ABSENT,
            (Some(value), Axis::Line) => parameter.range.share_of(value)?,
            (Some(value), _) => parameter.range.index_of(value)? as f64,
        });
    }
    let shares = point.iter().any(|coordinate| *coordinate != ABSENT);
    shares.then(|| point.into_boxed_slice())
}

/// Whether a trial of another search says something in this space: they share a parameter, and what they share is in its
/// range.
pub fn is_usable(space: &Space, parameters: &Assignment) -> bool {
    point_of(space, &Axes::of(space), parameters).is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Parameter, Range, Value};

    /// A space of `a`, a number from 0 to 1, and `b`, 1 to 4.
    #[track_caller]
    fn check(pairs: &[(&str, Value)], expected: Option<[f64; 2]>) {
        let real = Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        };
        let integer = Range::Integer {
            min: 1,
            max: 4,
            log: false,
        };
        let parameter = |(name, range): (&str, Range)| Parameter {
            name: name.to_owned(),
            range,
            when: vec![],
        };
        let parameters = [("a", real), ("b", integer)].map(parameter);
        let space = Space::new(parameters.to_vec()).unwrap();
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let found = point_of(&space, &Axes::of(&space), &pairs.collect());
        assert_eq!(found.as_deref(), expected.as_ref().map(|point| &point[..]));
    }

    #[test]
    fn what_two_spaces_share_counts() {
        let int = Value::Int;
        check(
            &[("a", Value::Real(0.25)), ("b", int(3)), ("c", int(9))],
            Some([0.25, 2.0]),
        );
        check(&[("a", int(1))], Some([1.0, ABSENT]));
        check(&[("b", Value::Real(4.0))], Some([ABSENT, 3.0]));
        check(&[("c", int(9))], None);
        check(&[], None);
        check(&[("a", Value::Real(0.25)), ("b", int(5))], None);
    }

    #[test]
    fn other_searches_fade() {
        let mut prior = Prior::default();
        assert_eq!(prior.weight(0), 0.0);
        prior.good.push(Box::new([0.5]));
        let weights = [0, 10, 25, 50, 99].map(|valued| prior.weight(valued));
        assert_eq!(weights, [1.0, 0.8, 0.5, 0.0, 0.0]);
    }
}
