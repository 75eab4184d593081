//! What can go wrong in this room, with the facts; who must act is decided by the caller.

use bonfire_collective::ReduceError;

/// A trainer's refusal or failure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// The spec asks for something that this model or data cannot do: the user's.
    #[error("model {model}: {problem}")]
    Unsupported {
        model: &'static str,
        problem: String,
    },
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Loss or gradient is NaN or infinite: the trial's own, never retried. The parameters are those before the step.
    #[error("{what} is not finite at step {step}")]
    NonFinite { step: u64, what: &'static str },
    /// A batch that does not fit the model's shapes: a bug of whoever made it.
    #[error("batch of {rows} rows: {problem}")]
    Batch { rows: usize, problem: String },
    #[error("step {step} has no samples")]
    EmptyStep { step: u64 },
    /// Parts of a step that do not belong together: a bug.
    #[error(transparent)]
    Reduce(#[from] ReduceError),
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// The tensor library refused.
    #[error("tensor backend: {0}")]
    Backend(String),
}

/// Saved weights or optimiser state that cannot be what this model's trainer wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    #[error("{part}: not safetensors: {problem}")]
    Format { part: &'static str, problem: String },
    #[error("{part}: tensor {name} is missing")]
    Missing { part: &'static str, name: String },
    #[error("{part}: tensor {name} belongs to nothing in this model")]
    Unexpected { part: &'static str, name: String },
    #[error("{part}: tensor {name} is {found}, the model has {expected}")]
    Shape {
        part: &'static str,
        name: String,
        found: String,
        expected: String,
    },
}

/// A device that this build or this machine lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("device cuda:{index}: this build has no CUDA")]
    NoCuda { index: u16 },
}
