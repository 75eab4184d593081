//! A convolutional network for images: blocks that halve the sides, one dense layer, the output.

use bonfire_domain::spec::{Activation, Norm as NormSpec};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::Activate;
use super::norm::Norm;
use crate::net::{Net, Pass};

/// Sizes of a [`Cnn`].
#[derive(Clone, Debug)]
pub(crate) struct CnnConfig<'a> {
    /// Channels, height, width.
    pub image: [usize; 3],
    pub channels: &'a [u32],
    /// Side of the square kernel, odd.
    pub kernel: usize,
    pub hidden: usize,
    pub outputs: usize,
    pub activation: Activation,
    pub dropout: f64,
    pub norm: NormSpec,
}

#[derive(Module, Debug)]
pub(crate) struct Cnn {
    blocks: Vec<Block>,
    dense: Linear,
    #[module(skip)]
    activation: Activate,
    dropout: Dropout,
    output: Linear,
    /// Channels, height, width.
    image: [usize; 3],
}

/// Convolution that keeps the sides, normalisation, activation, and 2x2 max pooling where both sides are at least 2.
#[derive(Module, Debug)]
struct Block {
    conv: Conv2d,
    norm: Norm,
    #[module(skip)]
    activation: Activate,
    pool: Option<MaxPool2d>,
}

impl CnnConfig<'_> {
    pub fn init(&self, device: &Device) -> Cnn {
        let [mut channels, mut height, mut width] = self.image;
        let pad = self.kernel / 2;
        let mut blocks = Vec::with_capacity(self.channels.len());
        for next in self.channels {
            let next = *next as usize;
            let conv = Conv2dConfig::new([channels, next], [self.kernel, self.kernel])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad));
            let fits = height >= 2 && width >= 2;
            blocks.push(Block {
                conv: conv.init(device),
                norm: Norm::image(self.norm, next, device),
                activation: Activate(self.activation),
                pool: fits.then(|| MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init()),
            });
            channels = next;
            if fits {
                (height, width) = (height / 2, width / 2);
            }
        }
        Cnn {
            blocks,
            dense: LinearConfig::new(channels * height * width, self.hidden).init(device),
            activation: Activate(self.activation),
            dropout: DropoutConfig::new(self.dropout).init(),
            output: LinearConfig::new(self.hidden, self.outputs).init(device),
            image: self.image,
        }
    }
}

impl Net for Cnn {
    type Input = Tensor<2>;

    fn forward(&self, x: Tensor<2>, pass: &mut Pass) -> Tensor<2> {
        let [rows, _] = x.dims();
        let [channels, height, width] = self.image;
        let mut x = x.reshape([rows, channels, height, width]);
        for block in &self.blocks {
            x = block.norm.forward(block.conv.forward(x), pass);
            // Pooling before an activation that only grows gives the same values from a quarter of the work.
            x = match &block.pool {
                Some(pool) if block.activation.is_monotone() => {
                    block.activation.forward(pool.forward(x))
                }
                Some(pool) => pool.forward(block.activation.forward(x)),
                None => block.activation.forward(x),
            };
        }
        let x = self.dense.forward(x.flatten::<2>(1, 3));
        let x = self.dropout.forward(self.activation.forward(x));
        self.output.forward(x)
    }
}
