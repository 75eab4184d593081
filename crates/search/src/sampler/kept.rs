//! A sampler as it is written down: without what follows from the rest.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::allowed::Allowed;
use super::axes::Axes;
use super::cma::Evolution;
use super::history::History;
use super::marks::Marks;
use super::prior::Prior;
use super::several::Several;
use super::taken::Taken;
use super::{Sampler, SamplerKind};
use crate::{Assignment, Goal, Space};

#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    kind: SamplerKind,
    space: Space,
    goal: Goal,
    seed: u64,
    taken: Taken,
    allowed: Allowed,
    start: Vec<Assignment>,
    started: usize,
    prior: Prior,
    history: History,
    evolution: Evolution,
    explores: bool,
    several: Several,
}

impl From<Kept> for Sampler {
    fn from(kept: Kept) -> Sampler {
        Sampler {
            axes: Arc::new(Axes::of(&kept.space)),
            marks: Marks::of(&kept.space, &kept.history),
            kind: kept.kind,
            space: kept.space,
            goal: kept.goal,
            seed: kept.seed,
            taken: kept.taken,
            allowed: kept.allowed,
            start: kept.start,
            started: kept.started,
            prior: kept.prior,
            history: kept.history,
            evolution: kept.evolution,
            explores: kept.explores,
            several: kept.several,
        }
    }
}

impl From<Sampler> for Kept {
    fn from(sampler: Sampler) -> Kept {
        Kept {
            kind: sampler.kind,
            space: sampler.space,
            goal: sampler.goal,
            seed: sampler.seed,
            taken: sampler.taken,
            allowed: sampler.allowed,
            start: sampler.start,
            started: sampler.started,
            prior: sampler.prior,
            history: sampler.history,
            evolution: sampler.evolution,
            explores: sampler.explores,
            several: sampler.several,
        }
    }
}
