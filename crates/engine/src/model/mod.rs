//! The built-in models. Field names are paths in saved weights: a change of one is a change of format.

mod cnn;
mod mlp;
mod norm;
mod transformer;

pub(crate) use cnn::CnnConfig;
pub(crate) use mlp::MlpConfig;
pub(crate) use transformer::{TransformerConfig, TransformerRole};

use bonfire_domain::spec::Activation;
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, relu, silu, tanh};

/// The activation as a module's field; it has no values, so it is left out of records and visits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activate(pub Activation);

impl Default for Activate {
    fn default() -> Activate {
        Activate(Activation::Relu)
    }
}

impl Activate {
    /// Whether a larger input never gives a smaller answer.
    pub fn is_monotone(self) -> bool {
        matches!(self.0, Activation::Relu | Activation::Tanh)
    }

    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self.0 {
            Activation::Relu => relu(x),
            Activation::Gelu => gelu(x),
            Activation::Tanh => tanh(x),
            Activation::Silu => silu(x),
        }
    }
}
