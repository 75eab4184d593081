//! From a spec and the data's shapes to a trainer: the built-in models.

use bonfire_domain::dataset::{InputShape, OutputShape};
use bonfire_domain::fit::LAYER_VALUES_MAX;
use bonfire_domain::spec::{Activation, ModelSpec, Norm};

use crate::burn_trainer::BurnTrainer;
use crate::device;
use crate::error::TrainError;
use crate::model::{CnnConfig, MlpConfig, TransformerConfig, TransformerRole};
use crate::net::width;
use crate::objective::Objective;
use crate::trainer::{Trainer, TrainerConfig};

/// Builds the spec's model, with parameters drawn from `spec.train.seed`, and its optimiser.
///
/// # Errors
/// [`TrainError::Unsupported`] for a model that the data does not fit; [`TrainError::Device`] for a device that is lacking.
pub fn build(config: &TrainerConfig<'_>) -> Result<Box<dyn Trainer>, TrainError> {
    let device = device::open(&config.device)?;
    let model = &config.spec.model;
    let refuse = |problem| TrainError::Unsupported {
        model: name(model),
        problem,
    };
    let objective =
        Objective::new(&config.spec.loss, config.input, config.output).map_err(refuse)?;
    let outputs = objective.outputs();
    Ok(match model {
        ModelSpec::Linear => {
            let model = MlpConfig {
                inputs: values(config.input).map_err(refuse)?,
                hidden: &[],
                outputs,
                activation: Activation::Relu,
                dropout: 0.0,
                norm: Norm::None,
            };
            check_dense(&model).map_err(refuse)?;
            Box::new(BurnTrainer::new(config, objective, device, |d| {
                model.init(d)
            })?)
        }
        ModelSpec::Mlp {
            hidden,
            activation,
            dropout,
            norm,
        } => {
            let model = MlpConfig {
                inputs: values(config.input).map_err(refuse)?,
                hidden,
                outputs,
                activation: *activation,
                dropout: *dropout,
                norm: *norm,
            };
            check_dense(&model).map_err(refuse)?;
            check_dropout(*dropout).map_err(refuse)?;
            Box::new(BurnTrainer::new(config, objective, device, |d| {
                model.init(d)
            })?)
        }
        ModelSpec::Cnn {
            channels,
            kernel,
            hidden,
            activation,
            dropout,
            norm,
        } => {
            let model = CnnConfig {
                image: image(config.input).map_err(refuse)?,
                channels,
                kernel: *kernel as usize,
                hidden: *hidden as usize,
                outputs,
                activation: *activation,
                dropout: *dropout,
                norm: *norm,
            };
            check_cnn(&model).map_err(refuse)?;
            check_dropout(*dropout).map_err(refuse)?;
            Box::new(BurnTrainer::new(config, objective, device, |d| {
                model.init(d)
            })?)
        }
        ModelSpec::Transformer {
            layers,
            heads,
            width,
            dropout,
        } => {
            let model = TransformerConfig {
                context: context(config.input).map_err(refuse)?,
                layers: *layers as usize,
                heads: *heads as usize,
                width: *width as usize,
                dropout: *dropout,
                role: match config.output {
                    OutputShape::NextByte => TransformerRole::Decoder,
                    _ => TransformerRole::Encoder,
                },
                outputs,
            };
            check_transformer(&model).map_err(refuse)?;
            check_dropout(*dropout).map_err(refuse)?;
            Box::new(BurnTrainer::new(config, objective, device, |d| {
                model.init(d)
            })?)
        }
        ModelSpec::Noop { .. } => {
            return Err(refuse("it trains nothing and needs no trainer".to_owned()));
        }
    })
}

fn name(model: &ModelSpec) -> &'static str {
    match model {
        ModelSpec::Linear => "linear",
        ModelSpec::Mlp { .. } => "mlp",
        ModelSpec::Cnn { .. } => "cnn",
        ModelSpec::Transformer { .. } => "transformer",
        ModelSpec::Noop { .. } => "noop",
    }
}

fn values(input: &InputShape) -> Result<usize, String> {
    match input {
        InputShape::Bytes { .. } => {
            Err("it reads numbers, not bytes; use a transformer".to_owned())
        }
        _ if width(input) == 0 => Err("there are no features".to_owned()),
        _ => Ok(width(input)),
    }
}

fn image(input: &InputShape) -> Result<[usize; 3], String> {
    match input {
        InputShape::Image(sides) if !sides.contains(&0) => Ok(sides.map(|side| side as usize)),
        _ => Err("it needs an image column; set data.image".to_owned()),
    }
}

fn context(input: &InputShape) -> Result<usize, String> {
    match input {
        InputShape::Bytes { context } if *context > 0 => Ok(*context as usize),
        _ => Err("it needs a text column; set data.text".to_owned()),
    }
}

fn check_dropout(dropout: f64) -> Result<(), String> {
    match (0.0..1.0).contains(&dropout) {
        true => Ok(()),
        false => Err(format!("dropout {dropout} is not in 0..1")),
    }
}

/// Whether a layer of `inputs` by `outputs` is one.
fn check_layer(what: &str, inputs: usize, outputs: usize) -> Result<(), String> {
    match inputs.checked_mul(outputs) {
        Some(0) => Err(format!("{what} has width 0")),
        Some(size) if size as u64 <= LAYER_VALUES_MAX => Ok(()),
        _ => Err(format!("{what} of {inputs} by {outputs} is too large")),
    }
}

fn check_dense(model: &MlpConfig<'_>) -> Result<(), String> {
    let mut inputs = model.inputs;
    for (index, hidden) in model.hidden.iter().enumerate() {
        check_layer(&format!("hidden layer {index}"), inputs, *hidden as usize)?;
        inputs = *hidden as usize;
    }
    check_layer("the output layer", inputs, model.outputs)
}

fn check_cnn(model: &CnnConfig<'_>) -> Result<(), String> {
    let [mut channels, mut height, mut width] = model.image;
    if model.kernel.is_multiple_of(2) {
        return Err(format!("kernel {} is not odd", model.kernel));
    }
    for (index, next) in model.channels.iter().enumerate() {
        let patch = model
            .kernel
            .saturating_mul(model.kernel)
            .saturating_mul(channels);
        check_layer(&format!("block {index}"), patch, *next as usize)?;
        channels = *next as usize;
        if height >= 2 && width >= 2 {
            (height, width) = (height / 2, width / 2);
        }
    }
    let flat = channels.saturating_mul(height).saturating_mul(width);
    check_layer("the dense layer", flat, model.hidden)?;
    check_layer("the output layer", model.hidden, model.outputs)
}

fn check_transformer(model: &TransformerConfig) -> Result<(), String> {
    let (width, heads) = (model.width, model.heads);
    if heads == 0 || width == 0 || !width.is_multiple_of(heads) {
        return Err(format!("width {width} is not a multiple of {heads} heads"));
    }
    check_layer("the feed-forward layer", width, width.saturating_mul(4))?;
    check_layer("the table of positions", model.context, width)?;
    check_layer("the output layer", width, model.outputs)
}
