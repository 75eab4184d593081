//! Why a sampler cannot search.

use serde::{Deserialize, Serialize};

use super::SamplerKind;

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
    #[error(
        "bohb suggests by tpe: take auto or tpe; with another sampler, hyperband has the same rungs"
    )]
    NotTpe { kind: SamplerKind },
    #[error(
        "pbt draws its population before there are results, and forks search on: take auto, sobol or random"
    )]
    NotDrawn { kind: SamplerKind },
    #[error("require refuses each of the space's {points} points: there is nothing to try")]
    NothingAllowed { points: u128 },
    #[error(
        "require refuses each of {draws} points drawn evenly from the space: nothing to try was found, make the ranges fit it"
    )]
    NothingFound { draws: u32 },
    #[error(
        "the grid has {size} points, and with require at most {max} can be looked through: take sobol or random"
    )]
    GridNotListed { size: u128, max: u128 },
    #[error(
        "nsga2 looks for a front of several objectives, and here is one: take auto, tpe or cmaes"
    )]
    OneObjective,
    #[error(
        "cmaes searches by one value alone: with several objectives take auto, tpe, gp, nsga2, sobol, random or grid"
    )]
    OneValueAlone { kind: SamplerKind },
    #[error(
        "a search has at most {max} objectives, here are {objectives}: leave some out, or require a metric's limit"
    )]
    TooManyObjectives { objectives: usize, max: usize },
}
