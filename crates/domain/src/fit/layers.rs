//! A model's layers beside the most weights one may have.

use super::feature_columns;
use crate::dataset::{Column, InputShape, OutputShape, VOCABULARY};
use crate::spec::{ColumnKind, DataSpec, ModelSpec, Problem, Task};

/// Weights in one layer; what is above it is a mistake in a spec, not a model for a machine.
pub const LAYER_VALUES_MAX: u64 = 1 << 31;

/// A dense layer, or a convolution as the dense layer that it is for one place.
struct Layer {
    /// The field that makes it large.
    path: &'static str,
    what: String,
    inputs: u64,
    outputs: u64,
}

/// The first layer with too many weights, of a model with that input and that many outputs.
pub(super) fn layer_problem(
    model: &ModelSpec,
    input: &InputShape,
    outputs: u64,
) -> Option<Problem> {
    let size = |layer: &Layer| layer.inputs.saturating_mul(layer.outputs);
    let large = layers(model, input, outputs)
        .into_iter()
        .find(|layer| size(layer) > LAYER_VALUES_MAX)?;
    let message = format!(
        "{} of {} by {} has {} weights, more than {LAYER_VALUES_MAX}",
        large.what,
        large.inputs,
        large.outputs,
        size(&large)
    );
    Some(Problem::at_path(large.path, message))
}

/// What a model gets and answers, from columns before anything is prepared. The values of a category that are only in valid
/// are counted too, though they are no inputs.
pub(super) fn expected_shape(data: &DataSpec, task: Task, columns: &[Column]) -> (InputShape, u64) {
    let inputs = |column: &Column| match column.kind {
        ColumnKind::Categorical => column.distinct.unwrap_or(0),
        _ => 1,
    };
    let input = match (&data.image, &data.text) {
        (Some(image), _) => InputShape::Image(image.shape),
        (None, Some(text)) => InputShape::Bytes {
            context: text.context,
        },
        (None, None) => {
            let features: u64 = feature_columns(data, columns).into_iter().map(inputs).sum();
            InputShape::Features(u32::try_from(features).unwrap_or(u32::MAX))
        }
    };
    let label = || {
        columns
            .iter()
            .find(|c| Some(&c.name) == data.label.as_ref())
    };
    let outputs = match task {
        Task::Regression => 1,
        Task::LanguageModel => VOCABULARY.into(),
        Task::Classification => label().and_then(|label| label.distinct).unwrap_or(1),
    };
    (input, outputs)
}

/// Numbers that a model answers with.
pub(super) fn outputs_of(output: &OutputShape) -> u64 {
    match output {
        OutputShape::Classes { names, .. } => names.len() as u64,
        OutputShape::Value { .. } => 1,
        OutputShape::NextByte => VOCABULARY.into(),
    }
}

/// Layers as `engine` builds them.
fn layers(model: &ModelSpec, input: &InputShape, outputs: u64) -> Vec<Layer> {
    let values = match input {
        InputShape::Features(features) => u64::from(*features),
        InputShape::Image(shape) => product(shape),
        InputShape::Bytes { context } => u64::from(*context),
    };
    let last = |path, inputs| Layer {
        path,
        what: "the output layer".into(),
        inputs,
        outputs,
    };
    match (model, input) {
        (ModelSpec::Linear, _) => vec![last("model.kind", values)],
        (ModelSpec::Mlp { hidden, .. }, _) => {
            let mut inputs = values;
            let mut layers = Vec::with_capacity(hidden.len() + 1);
            for (i, size) in hidden.iter().enumerate() {
                layers.push(Layer {
                    path: "model.hidden",
                    what: format!("layer {i}"),
                    inputs,
                    outputs: (*size).into(),
                });
                inputs = (*size).into();
            }
            layers.push(last("model.hidden", inputs));
            layers
        }
        (
            ModelSpec::Cnn {
                channels,
                kernel,
                hidden,
                ..
            },
            InputShape::Image(shape),
        ) => {
            let [mut before, mut height, mut width] = shape.map(u64::from);
            let patch = u64::from(*kernel).saturating_mul(u64::from(*kernel));
            let mut layers = Vec::with_capacity(channels.len() + 2);
            for (i, next) in channels.iter().enumerate() {
                layers.push(Layer {
                    path: "model.channels",
                    what: format!("block {i}"),
                    inputs: patch.saturating_mul(before),
                    outputs: (*next).into(),
                });
                before = (*next).into();
                if height >= 2 && width >= 2 {
                    (height, width) = (height / 2, width / 2);
                }
            }
            layers.push(Layer {
                path: "model.hidden",
                what: "the dense layer".into(),
                inputs: before.saturating_mul(height).saturating_mul(width),
                outputs: (*hidden).into(),
            });
            layers.push(last("model.hidden", (*hidden).into()));
            layers
        }
        (ModelSpec::Transformer { width, .. }, InputShape::Bytes { context }) => {
            let width = u64::from(*width);
            let layer = |what: &str, inputs, outputs| Layer {
                path: "model.width",
                what: what.into(),
                inputs,
                outputs,
            };
            vec![
                layer("the feed-forward layer", width, width.saturating_mul(4)),
                layer("the table of positions", (*context).into(), width),
                last("model.width", width),
            ]
        }
        (ModelSpec::Cnn { .. } | ModelSpec::Transformer { .. } | ModelSpec::Noop { .. }, _) => {
            Vec::new()
        }
    }
}

fn product(shape: &[u32; 3]) -> u64 {
    shape
        .iter()
        .fold(1, |values: u64, side| values.saturating_mul((*side).into()))
}
