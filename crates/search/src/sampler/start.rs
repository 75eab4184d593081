//! Points that are known to be good: tried first, in the order given.

use serde::{Deserialize, Serialize};

use super::allowed::DRAWS_MAX;
use super::{SOBOL_DIMENSIONS_MAX, random, sobol};
use crate::{Assignment, Requirements, Space, Value};

/// Points of Sobol's sequence that are tried to complete one, before others are drawn.
const ROUNDS: u64 = 64;

/// Why a point cannot be the start of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum StartError {
    #[error("{parameter} is not a parameter of this search")]
    Unknown { parameter: String },
    #[error("{parameter}: {value} is not in its range")]
    Outside { parameter: String, value: Value },
    #[error("{parameter} exists only where {parent} is {wanted}, and here that is {value}")]
    NotActive {
        parameter: String,
        parent: String,
        wanted: String,
        value: String,
    },
    #[error("require refuses it: {text}")]
    Refused { text: String },
    #[error("require refuses each of {draws} ways to complete it")]
    NoCompletion { draws: u32 },
    #[error("is the same point as the one at {first}")]
    Twice { first: usize },
}

/// Whole points for those given. A parameter that is not given has the value that the search's own first points have:
/// point i is completed by point i of the scrambled Sobol sequence (random ones beyond its dimensions), or where `require`
/// refuses that or the point was given before, by further ones. A parent that a given parameter needs has the first value
/// under which it exists.
///
/// # Errors
/// The first problem, and which point has it.
pub fn complete_start(
    space: &Space,
    require: &Requirements,
    seed: u64,
    points: &[Assignment],
) -> Result<Vec<Assignment>, (usize, StartError)> {
    let mut whole: Vec<Assignment> = Vec::new();
    for (i, point) in points.iter().enumerate() {
        let given = meet_conditions(space, point).map_err(|error| (i, error))?;
        let point = complete(space, require, seed, &given, &whole).map_err(|error| (i, error))?;
        whole.push(point);
    }
    Ok(whole)
}

/// Whether two assignments are the same point; numbers compare by value.
pub(super) fn is_same(a: &Assignment, b: &Assignment) -> bool {
    let mut pairs = a.iter().zip(b);
    a.len() == b.len() && pairs.all(|((n, v), (name, value))| n == name && v.same(value))
}

/// The point with the parents that its parameters need.
fn meet_conditions(space: &Space, point: &Assignment) -> Result<Assignment, StartError> {
    let mut met = point.clone();
    for (name, value) in point {
        let parameter = space.parameters().iter().find(|p| p.name == *name);
        let Some(parameter) = parameter else {
            let parameter = name.clone();
            return Err(StartError::Unknown { parameter });
        };
        if !parameter.range.contains(value) {
            let (parameter, value) = (name.clone(), value.clone());
            return Err(StartError::Outside { parameter, value });
        }
    }
    // Children come after their parents: a parent that is set here is looked at later.
    for parameter in space.parameters().iter().rev() {
        if !met.contains_key(&parameter.name) {
            continue;
        }
        for condition in &parameter.when {
            let Some(first) = condition.any_of.first() else {
                continue;
            };
            let parent = condition.parameter.clone();
            let value = met.entry(parent.clone()).or_insert_with(|| first.clone());
            if condition.any_of.iter().any(|wanted| wanted.same(value)) {
                continue;
            }
            let wanted: Vec<String> = condition.any_of.iter().map(Value::to_string).collect();
            return Err(StartError::NotActive {
                parameter: parameter.name.clone(),
                parent,
                wanted: wanted.join(" or "),
                value: value.to_string(),
            });
        }
    }
    Ok(met)
}

fn complete(
    space: &Space,
    require: &Requirements,
    seed: u64,
    given: &Assignment,
    before: &[Assignment],
) -> Result<Assignment, StartError> {
    let number = before.len() as u32;
    let first = |point: &Assignment| before.iter().position(|other| is_same(other, point));
    let suits = |point: &Assignment| require.allow(point) && first(point).is_none();
    if space.parameters().len() <= SOBOL_DIMENSIONS_MAX {
        let rounds = (0..ROUNDS).map(|round| sobol::around(space, given, seed, round, number));
        if let Some(point) = rounds.into_iter().find(&suits) {
            return Ok(point);
        }
    }
    let point = random::draw_around(space, given, seed, number, DRAWS_MAX, suits);
    if suits(&point) {
        return Ok(point);
    }
    // A whole point is completed in one way only.
    if let Some(first) = first(&point).filter(|_| point.len() == given.len()) {
        return Err(StartError::Twice { first });
    }
    match require.refusing(&point) {
        Some(text) if point.len() == given.len() => Err(StartError::Refused {
            text: text.to_owned(),
        }),
        _ => Err(StartError::NoCompletion { draws: DRAWS_MAX }),
    }
}
