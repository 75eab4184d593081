//! The words that a spec has for what the types hold.

use super::{Activation, ColumnKind, ModelSpec, Norm, Task};

impl ModelSpec {
    /// The model's kind as a spec has it.
    pub fn kind(&self) -> &'static str {
        match self {
            ModelSpec::Linear => "linear",
            ModelSpec::Mlp { .. } => "mlp",
            ModelSpec::Cnn { .. } => "cnn",
            ModelSpec::Transformer { .. } => "transformer",
            ModelSpec::Noop { .. } => "noop",
        }
    }
}

impl ModelSpec {
    /// Whether a training step computes statistics over its samples.
    pub fn normalises_batches(&self) -> bool {
        matches!(
            self,
            ModelSpec::Mlp {
                norm: Norm::Batch,
                ..
            } | ModelSpec::Cnn {
                norm: Norm::Batch,
                ..
            }
        )
    }
}

impl Task {
    /// The task as a spec has it.
    pub fn name(self) -> &'static str {
        match self {
            Task::Classification => "classification",
            Task::Regression => "regression",
            Task::LanguageModel => "language_model",
        }
    }
}

impl ColumnKind {
    /// The kind as a spec has it.
    pub fn name(self) -> &'static str {
        match self {
            ColumnKind::Numeric => "numeric",
            ColumnKind::Categorical => "categorical",
            ColumnKind::Text => "text",
            ColumnKind::Image => "image",
        }
    }
}

impl Activation {
    /// The activation as a spec has it.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::Gelu => "gelu",
            Activation::Tanh => "tanh",
            Activation::Silu => "silu",
        }
    }
}

impl Norm {
    /// The normalisation as a spec has it.
    pub fn name(self) -> &'static str {
        match self {
            Norm::None => "none",
            Norm::Batch => "batch",
            Norm::Layer => "layer",
        }
    }
}
