//! What a sweep may try: parameters, their ranges, and the conditions under which they exist.

mod alike;
mod check;
mod points;
mod problem;
mod range;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use alike::{APART_MAX, Alike};
pub use problem::{Bound, SpaceError, SpaceProblem};
pub use range::Range;
pub(crate) use range::unit;

use crate::{Assignment, Value};
use points::Points;

/// The most parameters a space may have.
pub const PARAMETERS_MAX: usize = 1024;
/// The most values a choice, or one condition, may list.
pub const VALUES_MAX: usize = 4096;

/// One `when:` entry: holds where the parent is active and has one of these values (numbers by value: 1 is 1.0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    pub parameter: String,
    pub any_of: Vec<Value>,
}

/// One parameter of a sweep. It is active where all conditions of `when` hold, and absent elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    pub range: Range,
    pub when: Vec<Condition>,
}

/// A checked set of parameters. Only the parameters are written down; the rest is derived again on reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Parameter>", into = "Vec<Parameter>")]
pub struct Space {
    parameters: Vec<Parameter>,
    /// How to number the points without an active continuous parameter; `None` where they are too entangled to count.
    points: Option<Points>,
    /// Whether no parameter is continuous, so that every point has a number.
    finite: bool,
}

impl Space {
    /// Checks the parameters and puts them in order: parents first, by name where there is a choice. A space without
    /// parameters is legal and has one point, the empty assignment; so is a range with `min == max`.
    ///
    /// # Errors
    /// Every problem found, in the order of `parameters`, conditional cycles last.
    pub fn new(parameters: Vec<Parameter>) -> Result<Space, Vec<SpaceError>> {
        let errors = check::find_problems(&parameters);
        if !errors.is_empty() {
            return Err(errors);
        }
        let parameters = check::order(parameters);
        let finite = parameters.iter().all(|p| p.range.cardinality().is_some());
        let points = match Points::count(&parameters) {
            Ok(points) => Some(points),
            Err(error) if finite => return Err(vec![error]),
            Err(_) => None,
        };
        Ok(Space {
            parameters,
            points,
            finite,
        })
    }

    /// The parameters, parents before children.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Whether all of `p`'s conditions hold in `a`. An inactive parent is absent from `a` and holds nothing.
    pub fn active(&self, a: &Assignment, p: &Parameter) -> bool {
        p.when.iter().all(|condition| {
            a.get(&condition.parameter)
                .is_some_and(|value| condition.any_of.iter().any(|wanted| wanted.same(value)))
        })
    }

    /// Whether `a` has exactly the active parameters, each inside its range. Numbers count by value: a real range
    /// takes the integer 1, an integer range the real 1.0.
    pub fn contains(&self, a: &Assignment) -> bool {
        let mut present = 0;
        for parameter in &self.parameters {
            match (self.active(a, parameter), a.get(&parameter.name)) {
                (true, Some(value)) if parameter.range.contains(value) => present += 1,
                (false, None) => {}
                _ => return false,
            }
        }
        present == a.len()
    }

    /// The exact number of distinct assignments, conditions respected; `None` where a parameter is continuous, active
    /// or not. `u128::MAX` stands for that many or more.
    pub fn size(&self) -> Option<u128> {
        self.numbered().filter(|_| self.finite)
    }

    /// How many points have numbers: those without an active continuous parameter, so all of a finite space.
    /// `None` where they are too entangled to count; `u128::MAX` stands for that many or more, and then none has.
    pub(crate) fn numbered(&self) -> Option<u128> {
        self.points.as_ref().map(Points::size)
    }

    /// Whether every point has a number.
    pub(crate) fn is_numbered(&self) -> bool {
        self.size().is_some_and(|size| size < u128::MAX)
    }

    /// The number of a point, below [`Space::numbered`]; `None` if `a` is not a point or has no number (an active
    /// parameter is continuous, or points are too many).
    pub(crate) fn rank(&self, a: &Assignment) -> Option<u128> {
        let points = self.points.as_ref()?;
        // Of no points, parts may still be more than can be counted.
        if matches!(points.size(), 0 | u128::MAX) || !self.contains(a) {
            return None;
        }
        points.rank(&self.parameters, a)
    }

    /// The point of that number: the order of nested loops, the last parameter fastest, except that parameters joined
    /// by conditions stand together. `None` beyond the last, or where points have no numbers.
    pub(crate) fn point(&self, rank: u128) -> Option<Assignment> {
        let points = self.points.as_ref()?;
        if points.size() == u128::MAX || rank >= points.size() {
            return None;
        }
        Some(points.point(&self.parameters, rank))
    }

    /// The point that a place in the unit cube stands for: `fraction(i)` is parameter i's coordinate as a multiple of
    /// 2^-64, asked once for each parameter in order, whether active or not. The active parameters of `given` have their
    /// values from there.
    pub(crate) fn place_around(
        &self,
        given: &Assignment,
        mut fraction: impl FnMut(usize) -> u64,
    ) -> Assignment {
        let mut assignment = BTreeMap::new();
        for (i, parameter) in self.parameters.iter().enumerate() {
            let fraction = fraction(i);
            if self.active(&assignment, parameter) {
                let value = match given.get(&parameter.name) {
                    Some(value) => value.clone(),
                    None => parameter.range.at(fraction),
                };
                assignment.insert(parameter.name.clone(), value);
            }
        }
        assignment
    }
}

impl TryFrom<Vec<Parameter>> for Space {
    type Error = SpaceError;

    /// As [`Space::new`], with the first error only.
    fn try_from(parameters: Vec<Parameter>) -> Result<Space, SpaceError> {
        Space::new(parameters).map_err(|mut errors| errors.swap_remove(0))
    }
}

impl From<Space> for Vec<Parameter> {
    fn from(space: Space) -> Vec<Parameter> {
        space.parameters
    }
}
