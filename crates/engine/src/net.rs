//! What a burn model is to the trainer: its input made from a batch, a forward pass, and what the pass leaves behind.

use bonfire_domain::BatchInput;
use bonfire_domain::dataset::{InputShape, VOCABULARY};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// A model that the built-in trainer can train.
pub(crate) trait Net: Module + 'static {
    type Input: NetInput;

    /// The model's answer, shape `[answers, outputs]`: an answer a row, or for a language model one a position.
    ///
    /// On an autodiff device this is training (dropout on, normalisation by the batch), elsewhere inference.
    fn forward(&self, input: Self::Input, pass: &mut Pass) -> Tensor<2>;
}

/// What one forward pass leaves behind besides its answer.
#[derive(Default)]
pub(crate) struct Pass {
    /// Batch statistics of the normalisation layers: mean, then variance, each of shape `[channels]`.
    pub statistics: Vec<Tensor<1>>,
}

/// A batch's input on a device.
pub(crate) trait NetInput: Sized {
    /// # Errors
    /// What does not fit `shape`.
    fn on(
        device: &Device,
        input: BatchInput,
        rows: usize,
        shape: &InputShape,
    ) -> Result<Self, String>;
}

/// Numbers in a row of an input.
pub(crate) fn width(shape: &InputShape) -> usize {
    match shape {
        InputShape::Features(features) => *features as usize,
        InputShape::Image(sides) => sides.iter().map(|side| *side as usize).product(),
        InputShape::Bytes { context } => *context as usize,
    }
}

/// Shape `[rows, features]`; an image's are channels, then rows, then columns.
impl NetInput for Tensor<2> {
    fn on(
        device: &Device,
        input: BatchInput,
        rows: usize,
        shape: &InputShape,
    ) -> Result<Tensor<2>, String> {
        let BatchInput::Values(values) = input else {
            return Err("tokens where the model reads numbers".to_owned());
        };
        let width = width(shape);
        check_length("input", values.len(), rows, width)?;
        Ok(Tensor::from_data(
            TensorData::new(values, [rows, width]),
            device,
        ))
    }
}

/// Shape `[rows, context]`.
impl NetInput for Tensor<2, Int> {
    fn on(
        device: &Device,
        input: BatchInput,
        rows: usize,
        shape: &InputShape,
    ) -> Result<Tensor<2, Int>, String> {
        let BatchInput::Tokens(tokens) = input else {
            return Err("numbers where the model reads tokens".to_owned());
        };
        let width = width(shape);
        check_length("input", tokens.len(), rows, width)?;
        check_ids("token", &tokens, VOCABULARY as usize)?;
        Ok(Tensor::from_data(
            TensorData::new(tokens, [rows, width]),
            device,
        ))
    }
}

pub(crate) fn check_length(
    what: &str,
    found: usize,
    rows: usize,
    width: usize,
) -> Result<(), String> {
    match rows.checked_mul(width) {
        Some(expected) if expected == found => Ok(()),
        _ => Err(format!(
            "{what} has {found} values, not {rows} times {width}"
        )),
    }
}

/// Whether every id is in `0..count`.
pub(crate) fn check_ids(what: &str, ids: &[i32], count: usize) -> Result<(), String> {
    let is_known = |id: &i32| usize::try_from(*id).is_ok_and(|id| id < count);
    match ids.iter().find(|id| !is_known(id)) {
        Some(id) => Err(format!("{what} {id} is not in 0..{count}")),
        None => Ok(()),
    }
}
