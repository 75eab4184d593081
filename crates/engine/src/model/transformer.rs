//! A pre-norm transformer over bytes with learned positions: a causal decoder, or an encoder with mean pooling.

use bonfire_domain::dataset::{PAD, VOCABULARY};
use burn::module::{Initializer, Module};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig,
};
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::net::{Net, Pass};

/// Sizes of a [`Transformer`].
#[derive(Clone, Debug)]
pub(crate) struct TransformerConfig {
    pub context: usize,
    pub layers: usize,
    /// Divides `width`.
    pub heads: usize,
    pub width: usize,
    pub dropout: f64,
    pub role: TransformerRole,
    pub outputs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransformerRole {
    /// Answers at every position from what is before it: shape `[rows * context, outputs]`.
    Decoder,
    /// Answers once a row from the mean over what is not padding: shape `[rows, outputs]`.
    Encoder,
}

/// Source: Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>, with the normalisation first (Xiong et al. 2020,
/// <https://arxiv.org/abs/2002.04745>) and initial embeddings of deviation 0.02 as in GPT-2.
#[derive(Module, Debug)]
pub(crate) struct Transformer {
    tokens: Embedding,
    positions: Embedding,
    dropout: Dropout,
    encoder: TransformerEncoder,
    norm: LayerNorm,
    output: Linear,
    is_causal: bool,
}

impl TransformerConfig {
    pub fn init(&self, device: &Device) -> Transformer {
        let small = || Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        let embedding = |entries| {
            EmbeddingConfig::new(entries, self.width)
                .with_initializer(small())
                .init(device)
        };
        Transformer {
            tokens: embedding(VOCABULARY as usize),
            positions: embedding(self.context),
            dropout: DropoutConfig::new(self.dropout).init(),
            encoder: TransformerEncoderConfig::new(
                self.width,
                4 * self.width,
                self.heads,
                self.layers,
            )
            .with_dropout(self.dropout)
            .with_norm_first(true)
            .init(device),
            norm: LayerNormConfig::new(self.width).init(device),
            output: LinearConfig::new(self.width, self.outputs).init(device),
            is_causal: self.role == TransformerRole::Decoder,
        }
    }
}

impl Net for Transformer {
    type Input = Tensor<2, Int>;

    fn forward(&self, tokens: Tensor<2, Int>, _pass: &mut Pass) -> Tensor<2> {
        let device = tokens.device();
        let [rows, context] = tokens.dims();
        let positions = Tensor::<1, Int>::arange(0..context as i64, &device).reshape([1, context]);
        let is_pad = tokens.clone().equal_elem(i64::from(PAD));
        let x = self.tokens.forward(tokens) + self.positions.forward(positions);
        let input = TransformerEncoderInput::new(self.dropout.forward(x));
        if self.is_causal {
            let later = Tensor::<2, Bool>::tril_mask([context, context], 0, &device);
            let input = input.mask_attn(later.reshape([1, context, context]));
            let x = self.norm.forward(self.encoder.forward(input));
            let [_, _, width] = x.dims();
            return self.output.forward(x.reshape([rows * context, width]));
        }
        let x = self.encoder.forward(input.mask_pad(is_pad.clone()));
        let keep = is_pad.bool_not().float().reshape([rows, context, 1]);
        let x = self.norm.forward(x) * keep.clone();
        let counts = keep.sum_dim(1).clamp_min(1.0);
        let [_, _, width] = x.dims();
        let mean = (x.sum_dim(1) / counts).reshape([rows, width]);
        self.output.forward(mean)
    }
}
