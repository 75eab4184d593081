//! A multilayer perceptron of any depth; without hidden layers it is the linear model.

use bonfire_domain::spec::{Activation, Norm as NormSpec};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::Activate;
use super::norm::Norm;
use crate::net::{Net, Pass};

/// Sizes of an [`Mlp`].
#[derive(Clone, Debug)]
pub(crate) struct MlpConfig<'a> {
    pub inputs: usize,
    pub hidden: &'a [u32],
    pub outputs: usize,
    pub activation: Activation,
    pub dropout: f64,
    pub norm: NormSpec,
}

#[derive(Module, Debug)]
pub(crate) struct Mlp {
    layers: Vec<Layer>,
    output: Linear,
}

/// Dense, normalisation, activation, dropout.
#[derive(Module, Debug)]
struct Layer {
    dense: Linear,
    norm: Norm,
    #[module(skip)]
    activation: Activate,
    dropout: Dropout,
}

impl MlpConfig<'_> {
    pub fn init(&self, device: &Device) -> Mlp {
        let mut width = self.inputs;
        let mut layers = Vec::with_capacity(self.hidden.len());
        for hidden in self.hidden {
            let hidden = *hidden as usize;
            layers.push(Layer {
                dense: LinearConfig::new(width, hidden).init(device),
                norm: Norm::dense(self.norm, hidden, device),
                activation: Activate(self.activation),
                dropout: DropoutConfig::new(self.dropout).init(),
            });
            width = hidden;
        }
        let output = LinearConfig::new(width, self.outputs).init(device);
        Mlp { layers, output }
    }
}

impl Net for Mlp {
    type Input = Tensor<2>;

    fn forward(&self, mut x: Tensor<2>, pass: &mut Pass) -> Tensor<2> {
        for layer in &self.layers {
            let normed = layer.norm.forward(layer.dense.forward(x), pass);
            x = layer.dropout.forward(layer.activation.forward(normed));
        }
        self.output.forward(x)
    }
}
