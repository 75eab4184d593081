//! Which parameters to try next, and which trials to stop early: samplers and schedulers, ask and tell.
//!
//! Everything here is a synchronous, deterministic function of its arguments. Randomness is a seed,
//! history is [`Event`]s, and the same events give the same answer on every machine. This room knows no clock,
//! no file, no thread, no `HashMap`, none of bonfire's other rooms, and calls `libm` where the standard library
//! would call the C library.
//!
//! - A [`Space`] is what may be tried; a [`Sampler`] picks points of it.
//! - A [`Scheduler`] sees the values of running trials and says which go on, pause, stop or are promoted.
//!
//! To add a sampler: a variant of [`SamplerKind`], a file under `sampler/`, an arm in each `match` of `sampler.rs`.
//! Schedulers likewise.

mod event;
mod explain;
mod front;
mod goal;
mod importance;
mod require;
mod sampler;
mod scheduler;
mod space;
mod value;
mod volume;

#[cfg(test)]
mod properties;

pub use event::{Ending, Event, Suggestion};
pub use explain::{Expected, Explanation, Maker, Neighbour};
pub use front::{OBJECTIVES_MAX, front};
pub use goal::Goal;
pub use importance::{
    IMPORTANCE_TRIALS_MIN, Importance, ImportanceError, Importances, PairImportance, importance,
};
pub use require::{
    Outcome, REQUIREMENT_BYTES_MAX, REQUIREMENT_DEPTH_MAX, REQUIREMENTS_MAX, RequireError,
    RequireProblem, Requirement, Requirements,
};
pub use sampler::{
    GRID_MAX, PriorTrial, SOBOL_DIMENSIONS_MAX, Sampler, SamplerError, SamplerKind, StartError,
    complete_start, is_usable,
};
pub use scheduler::{
    Bracket, Exploit, Promotion, RealSetting, RungPlan, Scheduler, SchedulerError, SchedulerKind,
    StopReason, Turn, Verdict, brackets, explore,
};
pub use space::{
    APART_MAX, Alike, Bound, Condition, PARAMETERS_MAX, Parameter, Range, Space, SpaceError,
    SpaceProblem, VALUES_MAX,
};
pub use value::{Assignment, Value};
pub use volume::hypervolume;
