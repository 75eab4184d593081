//! Grid search: every point of a finite space, in the space's order, once.

use super::{GRID_MAX, SamplerError};
use crate::Space;

pub(super) fn check(space: &Space) -> Result<(), SamplerError> {
    match space.size() {
        None => {
            let continuous = space
                .parameters()
                .iter()
                .filter(|p| p.range.cardinality().is_none());
            let parameters = continuous.map(|p| p.name.clone()).collect();
            Err(SamplerError::GridContinuous { parameters })
        }
        Some(size) if size > GRID_MAX => Err(SamplerError::GridTooLarge {
            size,
            max: GRID_MAX,
        }),
        Some(_) => Ok(()),
    }
}
