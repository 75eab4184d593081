//! Tensors: tasks, models, the train step; the only room that names burn.
//!
//! The executor drives a [`Trainer`] and knows no tensor. On the CPU there is one path for any number of virtual shards:
//! the gradient of each shard as a flat vector, the sum along the collective's canonical tree, and our own optimiser in
//! place on the parameters' buffers. Numbers depend on (spec, data, seed, step, virtual shard), never on who computed them.
//!
//! burn's random generator is global to the process: train one trial at a time in a process.

mod blocks;
mod builtin;
mod burn_trainer;
mod codec;
mod device;
mod error;
mod flat;
mod model;
mod module;
mod net;
mod numerics;
mod objective;
mod optimizer;
mod schedule;
pub mod step;
mod tally;
mod trainer;

pub use builtin::build;
pub use device::{DeviceDescription, check_device, devices};
pub use error::{DeviceError, SavedError, TrainError};
pub use numerics::{numerics_class, threads};
pub use schedule::learning_rate;
pub use trainer::{
    MetricName, OnDevice, Saved, SavedPart, ShardGradient, Sink, Snapshot, StepReport, Trainer,
    TrainerConfig,
};
