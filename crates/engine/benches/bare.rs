//! The loop that a user of burn would write by hand.

use bonfire_domain::spec::ModelSpec;
use bonfire_domain::{BatchInput, BatchTarget};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d,
};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::support::Toy;
use crate::{BATCHES, is_logged};

/// Steps of the whole schedule, and of its warm-up, as the toy's configuration says.
const TOTAL: f64 = 12.0;

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

#[derive(Module, Debug)]
struct Cnn {
    convolutions: Vec<Conv2d>,
    pool: MaxPool2d,
    dense: Linear,
    output: Linear,
}

#[derive(Module, Debug)]
struct Decoder {
    tokens: Embedding,
    positions: Embedding,
    encoder: TransformerEncoder,
    norm: LayerNorm,
    output: Linear,
}

#[derive(Module, Debug)]
// One model a process: their sizes do not matter.
#[allow(clippy::large_enum_variant)]
enum Model {
    Mlp(Mlp),
    Cnn(Cnn),
    Decoder(Decoder),
}

impl Model {
    fn new(spec: &ModelSpec, device: &Device) -> Model {
        let dense = |from: usize, to: usize| LinearConfig::new(from, to).init(device);
        match spec {
            ModelSpec::Cnn {
                channels, hidden, ..
            } => {
                let (mut from, mut side) = (1, 28);
                let mut convolutions = Vec::new();
                for to in channels {
                    let config = Conv2dConfig::new([from, *to as usize], [3, 3])
                        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
                    convolutions.push(config.init(device));
                    (from, side) = (*to as usize, side / 2);
                }
                Model::Cnn(Cnn {
                    convolutions,
                    pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
                    dense: dense(from * side * side, *hidden as usize),
                    output: dense(*hidden as usize, 10),
                })
            }
            ModelSpec::Transformer {
                layers,
                heads,
                width,
                ..
            } => {
                let (layers, heads) = (*layers as usize, *heads as usize);
                let width = *width as usize;
                let encoder = TransformerEncoderConfig::new(width, 4 * width, heads, layers)
                    .with_dropout(0.0)
                    .with_norm_first(true);
                let vocabulary = bonfire_domain::dataset::VOCABULARY as usize;
                Model::Decoder(Decoder {
                    tokens: EmbeddingConfig::new(vocabulary, width).init(device),
                    positions: EmbeddingConfig::new(128, width).init(device),
                    encoder: encoder.init(device),
                    norm: LayerNormConfig::new(width).init(device),
                    output: dense(width, vocabulary),
                })
            }
            _ => Model::Mlp(Mlp {
                layers: vec![dense(784, 512), dense(512, 512), dense(512, 10)],
            }),
        }
    }

    fn forward(&self, input: &BatchInput, rows: usize, device: &Device) -> Tensor<2> {
        match (self, input) {
            (Model::Mlp(model), BatchInput::Values(values)) => {
                let mut x = tensor(values, [rows, 784], device);
                for (at, layer) in model.layers.iter().enumerate() {
                    x = layer.forward(x);
                    if at + 1 < model.layers.len() {
                        x = relu(x);
                    }
                }
                x
            }
            (Model::Cnn(model), BatchInput::Values(values)) => {
                let mut x = tensor(values, [rows, 784], device).reshape([rows, 1, 28, 28]);
                for convolution in &model.convolutions {
                    x = relu(model.pool.forward(convolution.forward(x)));
                }
                let x = relu(model.dense.forward(x.flatten::<2>(1, 3)));
                model.output.forward(x)
            }
            (Model::Decoder(model), BatchInput::Tokens(tokens)) => {
                let tokens = TensorData::new(tokens.clone(), [rows, 128]);
                let tokens = Tensor::<2, Int>::from_data(tokens, device);
                let positions = Tensor::<1, Int>::arange(0..128, device).reshape([1, 128]);
                let x = model.tokens.forward(tokens) + model.positions.forward(positions);
                let later = Tensor::<2, Bool>::tril_mask([128, 128], 0, device);
                let input = TransformerEncoderInput::new(x).mask_attn(later.reshape([1, 128, 128]));
                let x = model.norm.forward(model.encoder.forward(input));
                let [_, _, width] = x.dims();
                model.output.forward(x.reshape([rows * 128, width]))
            }
            _ => unreachable!("the toy's batches are of its own kind"),
        }
    }
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

pub struct Loop {
    toy: Toy,
    model: Option<Model>,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    device: Device,
    batches: Vec<bonfire_domain::Batch>,
}

impl Loop {
    pub fn new(toy: &Toy) -> Loop {
        let device = Device::flex().autodiff();
        let optimizer = AdamWConfig::new()
            .with_weight_decay(toy.spec.optimizer.weight_decay as f32)
            .with_epsilon(toy.spec.optimizer.eps as f32)
            .init();
        Loop {
            model: Some(Model::new(&toy.spec.model, &device)),
            optimizer,
            loss: CrossEntropyLossConfig::new().init(&device),
            device,
            batches: (0..BATCHES).map(|step| toy.batch(step, 0, 1)).collect(),
            toy: toy.clone(),
        }
    }

    pub fn parameters(&self) -> usize {
        self.model.as_ref().map_or(0, Module::num_params)
    }

    pub fn step(&mut self, step: u64) {
        let batch = &self.batches[(step % BATCHES) as usize];
        let Some(model) = self.model.take() else {
            return;
        };
        let logits = model.forward(&batch.input, batch.rows, &self.device);
        let targets = match &batch.target {
            BatchTarget::Classes(targets) | BatchTarget::Tokens(targets) => targets.clone(),
            BatchTarget::Values(_) => unreachable!("the toys classify"),
        };
        let count = targets.len();
        let targets = TensorData::new(targets, [count]);
        let targets = Tensor::<1, Int>::from_data(targets, &self.device);
        let loss = self.loss.forward(logits.clone(), targets.clone());
        if is_logged(step) {
            let right = logits.argmax(1).reshape([count]).equal(targets).int().sum();
            let seen: f32 = loss.clone().into_scalar();
            let right: i32 = right.into_scalar();
            std::hint::black_box((seen, right));
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let limit = self.toy.spec.optimizer.clip_norm.unwrap_or(1.0) as f32;
        let gradients = clip(&model, gradients, limit);
        let done = (step as f64 / TOTAL).min(1.0);
        let lr = self.toy.spec.optimizer.lr * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.model = Some(self.optimizer.step(lr.max(1e-12), model, gradients));
    }
}

/// Scales all gradients by the global norm, on the device.
fn clip(model: &Model, gradients: GradientsParams, limit: f32) -> GradientsParams {
    let mut squares = Squares {
        gradients: &gradients,
        parts: Vec::new(),
    };
    model.visit(&mut squares);
    let norm = Tensor::cat(squares.parts, 0).sum().sqrt();
    let factor = norm
        .add_scalar(1e-6)
        .recip()
        .mul_scalar(limit)
        .clamp_max(1.0);
    let mut scale = Scale { gradients, factor };
    model.visit(&mut scale);
    scale.gradients
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    parts: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.parts.push(gradient.square().sum());
        }
    }
}

struct Scale {
    gradients: GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let scaled = gradient.mul(self.factor.clone().reshape([1; D]));
            self.gradients.register(param.id, scaled);
        }
    }
}
