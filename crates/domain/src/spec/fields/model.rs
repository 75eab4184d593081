//! The models.

use super::super::field::Field;
use super::super::shape::{Datum, Shape};
use super::super::{Activation, Millis, ModelSpec, Norm, Spec, defaults};

const LAYER_WIDTH: Shape = Shape::whole(1, 65_536);

pub(in super::super) const FIELDS: &[Field] = &[
    Field::new(
        "model.kind",
        Shape::Choice {
            words: &["linear", "mlp", "cnn", "transformer", "noop"],
            later: &["torchscript", "command"],
        },
        "which model",
        |s| Datum::Text(s.model.kind().into()),
        |s, v| {
            if let Some(model) = defaults::model(v.text()) {
                s.model = model;
            }
        },
    )
    .required(),
    Field::later("model.argv").of(&["command"]),
    Field::new(
        "model.hidden",
        Shape::List {
            of: &LAYER_WIDTH,
            min: 1,
            max: 64,
        },
        "widths of the hidden layers",
        |s| match &s.model {
            ModelSpec::Mlp { hidden, .. } => Datum::of_u32s(hidden),
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Mlp { hidden, .. } = &mut s.model {
                *hidden = v.u32s();
            }
        },
    )
    .of(&["mlp"])
    .searched(),
    Field::new(
        "model.channels",
        Shape::List {
            of: &Shape::whole(1, 4_096),
            min: 1,
            max: 16,
        },
        "output channels of the blocks",
        |s| match &s.model {
            ModelSpec::Cnn { channels, .. } => Datum::of_u32s(channels),
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Cnn { channels, .. } = &mut s.model {
                *channels = v.u32s();
            }
        },
    )
    .of(&["cnn"])
    .searched(),
    Field::new(
        "model.kernel",
        Shape::whole(1, 31),
        "side of the square kernels, odd",
        |s| match &s.model {
            ModelSpec::Cnn { kernel, .. } => Datum::Whole((*kernel).into()),
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Cnn { kernel, .. } = &mut s.model {
                *kernel = v.u32();
            }
        },
    )
    .of(&["cnn"])
    .searched(),
    Field::new(
        "model.hidden",
        LAYER_WIDTH,
        "width of the dense layer before the output",
        |s| match &s.model {
            ModelSpec::Cnn { hidden, .. } => Datum::Whole((*hidden).into()),
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Cnn { hidden, .. } = &mut s.model {
                *hidden = v.u32();
            }
        },
    )
    .of(&["cnn"])
    .searched(),
    Field::new(
        "model.layers",
        Shape::whole(1, 128),
        "transformer layers",
        |s| match &s.model {
            ModelSpec::Transformer { layers, .. } => Datum::Whole((*layers).into()),
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Transformer { layers, .. } = &mut s.model {
                *layers = v.u32();
            }
        },
    )
    .of(&["transformer"])
    .searched(),
    Field::new(
        "model.heads",
        Shape::whole(1, 128),
        "attention heads of a layer; they divide the width",
        |s| match &s.model {
            ModelSpec::Transformer { heads, .. } => Datum::Whole((*heads).into()),
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Transformer { heads, .. } = &mut s.model {
                *heads = v.u32();
            }
        },
    )
    .of(&["transformer"])
    .searched(),
    Field::new(
        "model.width",
        Shape::whole(1, 16_384),
        "numbers a position is carried as",
        |s| match &s.model {
            ModelSpec::Transformer { width, .. } => Datum::Whole((*width).into()),
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Transformer { width, .. } = &mut s.model {
                *width = v.u32();
            }
        },
    )
    .of(&["transformer"])
    .searched(),
    Field::new(
        "model.activation",
        Shape::choice(&["relu", "gelu", "tanh", "silu"]),
        "between the layers",
        |s| match &s.model {
            ModelSpec::Mlp { activation, .. } | ModelSpec::Cnn { activation, .. } => {
                Datum::Text(activation.name().into())
            }
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Mlp { activation, .. } | ModelSpec::Cnn { activation, .. } =
                &mut s.model
            {
                *activation = match v.text() {
                    "gelu" => Activation::Gelu,
                    "tanh" => Activation::Tanh,
                    "silu" => Activation::Silu,
                    _ => Activation::Relu,
                };
            }
        },
    )
    .of(&["mlp", "cnn"])
    .searched(),
    Field::new(
        "model.dropout",
        Shape::below(0.0, 1.0),
        "share of the activations that a training step drops",
        |s| match &s.model {
            ModelSpec::Mlp { dropout, .. }
            | ModelSpec::Cnn { dropout, .. }
            | ModelSpec::Transformer { dropout, .. } => Datum::Real(*dropout),
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Mlp { dropout, .. }
            | ModelSpec::Cnn { dropout, .. }
            | ModelSpec::Transformer { dropout, .. } = &mut s.model
            {
                *dropout = v.real();
            }
        },
    )
    .of(&["mlp", "cnn", "transformer"])
    .searched(),
    Field::new(
        "model.norm",
        Shape::choice(&["none", "batch", "layer"]),
        "normalisation between the layers",
        |s| match &s.model {
            ModelSpec::Mlp { norm, .. } | ModelSpec::Cnn { norm, .. } => {
                Datum::Text(norm.name().into())
            }
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Mlp { norm, .. } | ModelSpec::Cnn { norm, .. } = &mut s.model {
                *norm = match v.text() {
                    "batch" => Norm::Batch,
                    "layer" => Norm::Layer,
                    _ => Norm::None,
                };
            }
        },
    )
    .of(&["mlp", "cnn"])
    .searched(),
    Field::new(
        "model.x",
        Shape::real(-1e6, 1e6),
        "reports valid.loss = (x - 0.3)^2 + 1/e at epoch e",
        |s| match &s.model {
            ModelSpec::Noop { x, .. } => Datum::Real(*x),
            _ => Datum::Absent,
        },
        |s, v| {
            if let ModelSpec::Noop { x, .. } = &mut s.model {
                *x = v.real();
            }
        },
    )
    .of(&["noop"])
    .searched(),
    Field::new(
        "model.sleep",
        Shape::Duration { min_ms: 0 },
        "wait of an epoch",
        sleep,
        set_sleep,
    )
    .of(&["noop"])
    .searched(),
];

fn sleep(spec: &Spec) -> Datum {
    match &spec.model {
        ModelSpec::Noop { sleep_ms, .. } => Datum::of_u64(sleep_ms.0),
        _ => Datum::Absent,
    }
}

fn set_sleep(spec: &mut Spec, value: Datum) {
    if let ModelSpec::Noop { sleep_ms, .. } = &mut spec.model {
        *sleep_ms = Millis(value.u64());
    }
}
