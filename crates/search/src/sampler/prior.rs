//! What trials of other searches say: each search is split by itself into its good trials and the others, by rank, so that
//! values that are shifted or scaled, or of another dataset, compare with nothing but their own.
//!
//! How much a search counts follows from how well it foretells the order of the own trials, and fades as those grow many.
//!
//! Sources: ranks instead of values across searches, Bardenet et al. 2013, Collaborative hyperparameter tuning, section 3,
//! <https://proceedings.mlr.press/v28/bardenet13.html>; one density a search, mixed with the own one, Watanabe et al. 2023,
//! <https://arxiv.org/abs/2212.06751>; weights by the pairs of own trials that are put in the right order, Feurer et al. 2018
//! (RGPE), <https://arxiv.org/abs/1802.02219>, section 4.1.

use serde::{Deserialize, Serialize};

use super::Known;
use super::axes::{ABSENT, Axes, Axis, is_absent};
use super::parzen::Parzen;
use super::tpe::{BAD, GOOD};
use crate::{Assignment, Space};

/// The share of a search's trials that are good, as of the own ones.
const GOOD_SHARE: f64 = 0.15;
/// After so many own trials with a value, other searches say nothing any more.
const FADED: usize = 50;
/// Of fewer own trials the order says little: a search is believed.
const BELIEVED: usize = 4;

/// A trial of another search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriorTrial {
    pub parameters: Assignment,
    /// Its place among all trials of its search, from 0 for the best to 1.
    pub place: f64,
}

/// Points of other searches' trials. What a trial has no value for is not there, as for a parameter that is not active.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Prior(Vec<Part>);

/// Those of one search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    good: Vec<Box<[f64]>>,
    bad: Vec<Box<[f64]>>,
}

impl Prior {
    /// The trials of each search. Those of which nothing can be used are left out.
    pub(super) fn new(space: &Space, axes: &Axes, searches: &[Vec<PriorTrial>]) -> Prior {
        let parts = searches.iter().map(|trials| {
            let mut part = Part::default();
            for trial in trials {
                match point_of(space, axes, &trial.parameters) {
                    Some(point) if trial.place <= GOOD_SHARE => part.good.push(point),
                    Some(point) => part.bad.push(point),
                    None => {}
                }
            }
            part
        });
        Prior(parts.filter(|part| !part.good.is_empty()).collect())
    }

    /// The searches that say something, each with how much its trials count beside own ones.
    pub(super) fn parts(&self, known: &Known<'_>) -> Vec<(f64, &Part)> {
        let faded = fade(known.history.valued());
        if self.0.is_empty() || faded == 0.0 {
            return Vec::new();
        }
        let own: Vec<(&[f64], f64)> = known
            .history
            .newest_compared(known.goal)
            .filter_map(|told| Some((told.point, told.loss?)))
            .take(FADED)
            .collect();
        let weighed = self.0.iter().map(|part| {
            let trust = match own.len() < BELIEVED {
                true => 1.0,
                false => part.agreement(known.axes, &own).max(0.0),
            };
            (faded * trust, part)
        });
        weighed.filter(|(weight, _)| *weight > 0.0).collect()
    }
}

/// From 1 to 0 as own trials get a value.
fn fade(valued: usize) -> f64 {
    FADED.saturating_sub(valued) as f64 / FADED as f64
}

impl Part {
    pub(super) fn good(&self) -> impl Iterator<Item = &[f64]> {
        self.good.iter().map(|point| &**point)
    }

    pub(super) fn bad(&self) -> impl Iterator<Item = &[f64]> {
        self.bad.iter().map(|point| &**point)
    }

    /// How well the search foretells the order of own points by their losses: the pairs it puts in order less those it does
    /// not, over all (Kendall's tau); 0 where no two differ.
    fn agreement(&self, axes: &Axes, own: &[(&[f64], f64)]) -> f64 {
        let absent = vec![ABSENT; axes.len()];
        let good: Vec<&[f64]> = self.good().collect();
        let bad: Vec<&[f64]> = self.bad().collect();
        let (good_weights, bad_weights) = (vec![1.0; good.len()], vec![1.0; bad.len()]);
        let likely = Parzen::new(axes, good, good_weights, &absent, GOOD);
        let unlikely = Parzen::new(axes, bad, bad_weights, &absent, BAD);
        let mut scratch = Vec::new();
        let promise = own.iter().map(|(point, _)| {
            likely.log_density(point, &mut scratch) - unlikely.log_density(point, &mut scratch)
        });
        let promise: Vec<f64> = promise.collect();
        let (mut in_order, mut pairs) = (0_i64, 0_i64);
        for (i, (_, loss)) in own.iter().enumerate() {
            for (j, (_, other)) in own[..i].iter().enumerate() {
                if loss == other {
                    continue;
                }
                pairs += 1;
                let promises_more = promise[i].total_cmp(&promise[j]) as i64;
                in_order += if loss < other {
                    promises_more
                } else {
                    -promises_more
                };
            }
        }
        match pairs {
            0 => 0.0,
            pairs => in_order as f64 / pairs as f64,
        }
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
    let shares = point.iter().any(|coordinate| !is_absent(*coordinate));
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
        let faded = [0, 10, 25, 50, 99].map(fade);
        assert_eq!(faded, [1.0, 0.8, 0.5, 0.0, 0.0]);
    }

    /// A search whose good trials are at 0.1; own trials at these places with these losses.
    #[track_caller]
    fn check_agreement(own: &[(f64, f64)], expected: f64) {
        let real = Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        };
        let parameter = Parameter {
            name: "a".to_owned(),
            range: real,
            when: vec![],
        };
        let axes = Axes::of(&Space::new(vec![parameter]).unwrap());
        let at = |x: f64| -> Box<[f64]> { Box::new([x]) };
        let part = Part {
            good: [0.1, 0.12].map(at).to_vec(),
            bad: [0.5, 0.6, 0.8, 0.9].map(at).to_vec(),
        };
        let points: Vec<Box<[f64]>> = own.iter().map(|(x, _)| at(*x)).collect();
        let told = points.iter().zip(own);
        let told: Vec<(&[f64], f64)> = told.map(|(point, (_, loss))| (&**point, *loss)).collect();
        assert_eq!(part.agreement(&axes, &told), expected);
    }

    #[test]
    fn a_search_counts_as_far_as_it_foretells_the_order() {
        check_agreement(&[(0.1, 1.0), (0.3, 2.0), (0.7, 3.0)], 1.0);
        check_agreement(&[(0.1, 3.0), (0.3, 2.0), (0.7, 1.0)], -1.0);
        check_agreement(&[(0.1, 1.0), (0.3, 3.0), (0.7, 2.0)], 1.0 / 3.0);
        check_agreement(&[(0.1, 5.0), (0.3, 5.0)], 0.0);
        check_agreement(&[], 0.0);
    }
}
