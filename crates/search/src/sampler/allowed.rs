//! Which points a search may try: those that its requirements do not refuse.

use serde::{Deserialize, Serialize};

use super::taken::Taken;
use super::{SamplerError, SamplerKind, random};
use crate::{Assignment, Requirements, Space};

/// Spaces of at most so many points are looked through at the start, so that only points that may be tried are counted.
pub(super) const LISTED_MAX: u128 = 1 << 18;
/// Points drawn to find one that may be tried, before it is said that there is none.
pub(super) const DRAWS_MAX: u32 = 10_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Allowed {
    require: Requirements,
    /// Whether that can refuse a point.
    binds: bool,
    /// How many points are refused, where all have been looked through.
    refused: Option<u128>,
}

impl Allowed {
    /// The refused points of a space that is small enough are put into `taken`.
    ///
    /// # Errors
    /// A space of which nothing is left, as far as that can be told, and a grid that is too large to be looked through.
    pub(super) fn new(
        require: Requirements,
        kind: SamplerKind,
        space: &Space,
        seed: u64,
        taken: &mut Taken,
    ) -> Result<Allowed, SamplerError> {
        let binds = require.bind_parameters();
        let mut allowed = Allowed {
            require,
            binds,
            refused: None,
        };
        if !binds {
            return Ok(allowed);
        }
        match space.size() {
            Some(size) if size <= LISTED_MAX => {
                let is_refused = |rank: &u128| {
                    let point = space.point(*rank);
                    point.is_some_and(|point| !allowed.require.allow(&point))
                };
                let mut refused = 0;
                for rank in (0..size).filter(is_refused) {
                    taken.insert(rank);
                    refused += 1;
                }
                if refused == size {
                    return Err(SamplerError::NothingAllowed { points: size });
                }
                allowed.refused = Some(refused);
                Ok(allowed)
            }
            Some(size) if kind == SamplerKind::Grid => {
                let max = LISTED_MAX;
                Err(SamplerError::GridNotListed { size, max })
            }
            _ => {
                let point = random::draw(space, seed, 0, DRAWS_MAX, |p| allowed.require.allow(p));
                match allowed.require.allow(&point) {
                    true => Ok(allowed),
                    false => Err(SamplerError::NothingFound { draws: DRAWS_MAX }),
                }
            }
        }
    }

    pub(super) fn allows(&self, point: &Assignment) -> bool {
        !self.binds || self.require.allow(point)
    }

    pub(super) fn require(&self) -> &Requirements {
        &self.require
    }

    pub(super) fn binds(&self) -> bool {
        self.binds
    }

    /// How many points are refused, as far as they are counted.
    pub(super) fn refused(&self) -> u128 {
        self.refused.unwrap_or(0)
    }

    /// Whether every refused point is among those taken.
    pub(super) fn is_listed(&self) -> bool {
        self.refused.is_some()
    }
}
