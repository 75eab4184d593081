//! Normalisation layers whose running statistics are the trainer's to update.
//!
//! burn's own batch normalisation updates its running averages inside the forward pass, behind a lock and shared by
//! clones. Here a pass hands the batch statistics out, so that they can be reduced over virtual shards first.

use bonfire_domain::spec::Norm as NormSpec;
use burn::module::{Initializer, Module, Param};
use burn::nn::{GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor};

use crate::net::Pass;

/// Added to variances.
const EPSILON: f64 = 1e-5;

/// Normalises over the batch (and positions) per channel.
///
/// Source: Ioffe and Szegedy 2015, <https://arxiv.org/abs/1502.03167>; variances are biased, also in the running average.
#[derive(Module, Debug)]
pub(crate) struct BatchNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
}

impl BatchNorm {
    pub fn new(channels: usize, device: &Device) -> BatchNorm {
        BatchNorm {
            gamma: Initializer::Ones.init([channels], device),
            beta: Initializer::Zeros.init([channels], device),
            running_mean: Initializer::Zeros
                .init([channels], device)
                .set_require_grad(false),
            running_var: Initializer::Ones
                .init([channels], device)
                .set_require_grad(false),
        }
    }

    /// - `x`: shape `[rows, channels, ...]`; the answer has the same.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, pass: &mut Pass) -> Tensor<D> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        if !x.device().is_autodiff() {
            let (mean, var) = (self.running_mean.val(), self.running_var.val());
            return batch_norm(x, gamma, beta, mean, var, EPSILON);
        }
        let trained = batch_norm_train(x, gamma, beta, EPSILON);
        let statistics = [trained.mean, trained.variance];
        pass.statistics.extend(statistics.map(Tensor::inner));
        trained.output
    }
}

/// The normalisation of a block: one of the fields, or none.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    batch_norm: Option<BatchNorm>,
    /// Over the features of a row.
    layer_norm: Option<LayerNorm>,
    /// Over channels and pixels of a row: what layer normalisation is to a convolution.
    group_norm: Option<GroupNorm>,
}

impl Norm {
    /// For inputs of shape `[rows, features]`.
    pub fn dense(norm: NormSpec, features: usize, device: &Device) -> Norm {
        Norm {
            batch_norm: (norm == NormSpec::Batch).then(|| BatchNorm::new(features, device)),
            layer_norm: (norm == NormSpec::Layer)
                .then(|| LayerNormConfig::new(features).init(device)),
            group_norm: None,
        }
    }

    /// For inputs of shape `[rows, channels, height, width]`.
    pub fn image(norm: NormSpec, channels: usize, device: &Device) -> Norm {
        Norm {
            batch_norm: (norm == NormSpec::Batch).then(|| BatchNorm::new(channels, device)),
            layer_norm: None,
            group_norm: (norm == NormSpec::Layer)
                .then(|| GroupNormConfig::new(1, channels).init(device)),
        }
    }

    pub fn forward<const D: usize>(&self, mut x: Tensor<D>, pass: &mut Pass) -> Tensor<D> {
        if let Some(norm) = &self.batch_norm {
            x = norm.forward(x, pass);
        }
        if let Some(norm) = &self.layer_norm {
            x = norm.forward(x);
        }
        if let Some(norm) = &self.group_norm {
            x = norm.forward(x);
        }
        x
    }
}
