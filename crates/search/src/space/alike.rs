//! Which values of a choice are alike.

use super::SpaceProblem;
use crate::Value;

/// The most values that distances are said of: they are a number a pair.
pub const APART_MAX: usize = 64;

/// Which values of a choice are alike: what is known of one then says something of another.
#[derive(Clone, Debug, PartialEq)]
pub enum Alike {
    /// No two more than any others.
    None,
    /// Neighbours in the list.
    Neighbours,
    /// By how far they are apart, row by row: the same there and back, 0 to itself, above 0 to all others. Only ratios count.
    Apart(Vec<Vec<f64>>),
}

impl Alike {
    pub fn neighbours(ordered: bool) -> Alike {
        if ordered {
            Alike::Neighbours
        } else {
            Alike::None
        }
    }
}

/// The first problem of the distances between values.
pub(super) fn problem(values: &[Value], rows: &[Vec<f64>]) -> Option<SpaceProblem> {
    let expected = values.len();
    if expected > APART_MAX {
        let max = APART_MAX;
        return Some(SpaceProblem::TooManyApart { max });
    }
    let lengths = rows.iter().map(Vec::len);
    if let Some(found) = [rows.len()]
        .into_iter()
        .chain(lengths)
        .find(|found| *found != expected)
    {
        return Some(SpaceProblem::DistancesMissing { found, expected });
    }
    for (i, row) in rows.iter().enumerate() {
        for (j, distance) in row.iter().enumerate() {
            let (from, to) = (values[i].clone(), values[j].clone());
            if i == j && *distance != 0.0 {
                return Some(SpaceProblem::ApartFromItself { value: from });
            }
            if i != j && !(distance.is_finite() && *distance > 0.0) {
                return Some(SpaceProblem::NotApart { from, to });
            }
            if rows[j][i] != *distance {
                return Some(SpaceProblem::NotSymmetric { from, to });
            }
        }
    }
    None
}
