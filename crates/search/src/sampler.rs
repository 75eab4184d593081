//! Samplers: which point of the space the next trial tries.
//!
//! A sampler is an event-sourced value. `observe` folds events in, `suggest` looks; what it suggests is a function of
//! (seed, events, number) and of nothing else, never of how often it was asked.

mod directions;
mod grid;
mod random;
mod sobol;
mod taken;

use serde::{Deserialize, Serialize};

pub use directions::DIMENSIONS_MAX as SOBOL_DIMENSIONS_MAX;

use crate::{Event, Goal, Space, Suggestion};
use taken::Taken;

/// The most points a grid may have: trials are numbered by a `u32`.
pub const GRID_MAX: u128 = u32::MAX as u128;

/// The way to search. `Auto` is Sobol, or random in a space of more than [`SOBOL_DIMENSIONS_MAX`] parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SamplerKind {
    Auto,
    Grid,
    Random,
    Sobol,
}

/// Why a sampler cannot search a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SamplerError {
    #[error(
        "a grid needs finite sets of values, continuous here: {}; give them values, or take sobol",
        .parameters.join(", ")
    )]
    GridContinuous { parameters: Vec<String> },
    #[error("the grid has {size} points, more than the limit of {max}: take sobol or random")]
    GridTooLarge { size: u128, max: u128 },
    #[error("sobol searches at most {max} parameters, here are {dimensions}: take random")]
    TooManyDimensions { dimensions: usize, max: usize },
}

/// A search in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampler {
    kind: SamplerKind,
    space: Space,
    goal: Goal,
    seed: u64,
    /// The points that trials have been created with, where points have numbers.
    taken: Taken,
}

impl Sampler {
    /// # Errors
    /// [`SamplerError`], naming the limit.
    pub fn new(
        kind: SamplerKind,
        space: Space,
        goal: Goal,
        seed: u64,
    ) -> Result<Sampler, SamplerError> {
        let dimensions = space.parameters().len();
        let kind = match kind {
            SamplerKind::Auto if dimensions > SOBOL_DIMENSIONS_MAX => SamplerKind::Random,
            SamplerKind::Auto => SamplerKind::Sobol,
            chosen => chosen,
        };
        match kind {
            SamplerKind::Grid => grid::check(&space)?,
            SamplerKind::Sobol if dimensions > SOBOL_DIMENSIONS_MAX => {
                let max = SOBOL_DIMENSIONS_MAX;
                return Err(SamplerError::TooManyDimensions { dimensions, max });
            }
            SamplerKind::Auto | SamplerKind::Random | SamplerKind::Sobol => {}
        }
        Ok(Sampler {
            kind,
            space,
            goal,
            seed,
            taken: Taken::default(),
        })
    }

    /// Folds one event in. These samplers remember which points have been created, and nothing else.
    pub fn observe(&mut self, event: &Event) {
        if let Event::Created { parameters, .. } = event
            && let Some(rank) = self.space.rank(parameters)
        {
            self.taken.insert(rank);
        }
    }

    /// The point for the trial of that number, once the `Created` events of all smaller numbers have been observed.
    ///
    /// - Grid: point `number` of the space's order. It looks at `number` alone.
    /// - Random and Sobol: a place of the unit cube, a function of (seed, number). Where the space is finite and a
    ///   trial already has that point, a free one instead, a function of (seed, number, created points): no point comes
    ///   twice while one is left, then the answer is `Exhausted`.
    ///
    /// Trials are created in the order of their numbers, so none of this depends on the number of workers.
    pub fn suggest(&self, number: u32) -> Suggestion {
        match self.kind {
            SamplerKind::Grid => return grid::suggest(&self.space, number),
            SamplerKind::Auto | SamplerKind::Random | SamplerKind::Sobol => {}
        }
        if let Some(size) = self.space.size()
            && self.taken.count() >= size
        {
            let reason = format!("each of the space's {size} points has been tried");
            return Suggestion::Exhausted { reason };
        }
        let is_new = |point: &_| {
            self.space
                .rank(point)
                .is_none_or(|rank| !self.taken.has(rank))
        };
        let point = match self.kind {
            SamplerKind::Random => random::suggest(&self.space, self.seed, number, is_new),
            SamplerKind::Auto | SamplerKind::Grid | SamplerKind::Sobol => {
                sobol::suggest(&self.space, self.seed, number)
            }
        };
        Suggestion::Trial(if is_new(&point) {
            point
        } else {
            self.free_neighbour(point)
        })
    }

    /// Whether a suggestion depends on values that trials have reported. If not, it can be made ahead of results.
    pub fn looks_at_results(&self) -> bool {
        match self.kind {
            SamplerKind::Auto | SamplerKind::Grid | SamplerKind::Random | SamplerKind::Sobol => {
                false
            }
        }
    }

    /// How many trials there will be in all, where the sampler alone decides that: a grid's points.
    pub fn planned(&self) -> Option<u32> {
        match self.kind {
            SamplerKind::Grid => self.space.size().and_then(|size| u32::try_from(size).ok()),
            SamplerKind::Auto | SamplerKind::Random | SamplerKind::Sobol => None,
        }
    }

    /// What searches; never `Auto`.
    pub fn kind(&self) -> SamplerKind {
        self.kind
    }

    pub fn space(&self) -> &Space {
        &self.space
    }

    pub fn goal(&self) -> Goal {
        self.goal
    }

    /// The next free point after a taken one, in the space's order, from the start again after the last.
    fn free_neighbour(&self, point: crate::Assignment) -> crate::Assignment {
        let free = self.space.rank(&point).and_then(|rank| {
            let size = self.space.size()?;
            let next = self.taken.next_free(rank);
            Some(if next < size {
                next
            } else {
                self.taken.next_free(0)
            })
        });
        free.and_then(|rank| self.space.point(rank))
            .unwrap_or(point)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Parameter, Range};

    fn space(count: usize, range: &Range) -> Space {
        let name = |i| format!("p{i:03}");
        let parameter = |i| Parameter {
            name: name(i),
            range: range.clone(),
            when: vec![],
        };
        Space::new((0..count).map(parameter).collect()).unwrap()
    }

    const REAL: Range = Range::Real {
        min: 0.0,
        max: 1.0,
        log: false,
    };

    fn integer(max: i64) -> Range {
        Range::Integer {
            min: 0,
            max,
            log: false,
        }
    }

    #[track_caller]
    fn check(kind: SamplerKind, space: Space, expected: Result<(SamplerKind, Option<u32>), &str>) {
        let found = Sampler::new(kind, space, Goal::Minimize, 1);
        let found = found.map(|sampler| (sampler.kind(), sampler.planned()));
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn what_a_sampler_can_search() {
        use SamplerKind::{Auto, Grid, Random, Sobol};
        check(Auto, space(128, &REAL), Ok((Sobol, None)));
        check(Auto, space(129, &REAL), Ok((Random, None)));
        check(Random, space(129, &REAL), Ok((Random, None)));
        check(
            Sobol,
            space(129, &REAL),
            Err("sobol searches at most 128 parameters, here are 129: take random"),
        );
        check(Grid, space(2, &integer(9)), Ok((Grid, Some(100))));
        check(
            Grid,
            space(1, &integer(i64::from(u32::MAX) - 1)),
            Ok((Grid, Some(u32::MAX))),
        );
        check(
            Grid,
            space(1, &integer(i64::from(u32::MAX))),
            Err(
                "the grid has 4294967296 points, more than the limit of 4294967295: \
                 take sobol or random",
            ),
        );
        check(
            Grid,
            space(2, &REAL),
            Err(
                "a grid needs finite sets of values, continuous here: p000, p001; \
                 give them values, or take sobol",
            ),
        );
    }
}
