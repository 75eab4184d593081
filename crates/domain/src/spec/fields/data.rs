//! What is trained on.

use std::collections::BTreeMap;

use super::super::field::Field;
use super::super::shape::{Datum, Shape};
use super::super::{
    ColumnKind, DataSpec, ImageColumn, Missing, Shuffle, Spec, TextColumn, defaults,
};

/// Reads a part of the data; a spec without data prints none.
fn of(spec: &Spec, read: impl Fn(&DataSpec) -> Datum) -> Datum {
    spec.data.as_ref().map_or(Datum::Absent, read)
}

fn with(spec: &mut Spec, write: impl FnOnce(&mut DataSpec)) {
    if let Some(data) = &mut spec.data {
        write(data);
    }
}

fn image(spec: &mut Spec) -> Option<&mut ImageColumn> {
    Some(
        spec.data
            .as_mut()?
            .image
            .get_or_insert_with(defaults::image),
    )
}

fn text(spec: &mut Spec) -> Option<&mut TextColumn> {
    Some(spec.data.as_mut()?.text.get_or_insert_with(defaults::text))
}

pub(in super::super) const FIELDS: &[Field] = &[
    Field::new(
        "data.dataset",
        Shape::Text,
        "a file, a directory, a glob, or a registered name[@version]; relative to this file",
        |s| of(s, |d| Datum::Text(d.dataset.clone())),
        |s, v| with(s, |d| v.text().clone_into(&mut d.dataset)),
    ),
    Field::new(
        "data.label",
        Shape::Text,
        "the column to learn; required for classification and regression",
        |s| of(s, |d| d.label.clone().map_or(Datum::Absent, Datum::Text)),
        |s, v| with(s, |d| d.label = Some(v.text().to_owned())),
    ),
    Field::new(
        "data.split.train",
        Shape::between(0.0, 1.0),
        "share of the rows to train on",
        |s| of(s, |d| Datum::Real(d.split.train)),
        |s, v| with(s, |d| d.split.train = v.real()),
    ),
    Field::new(
        "data.split.valid",
        Shape::between(0.0, 1.0),
        "share of the rows to measure on",
        |s| of(s, |d| Datum::Real(d.split.valid)),
        |s, v| with(s, |d| d.split.valid = v.real()),
    ),
    Field::new(
        "data.split.seed",
        Shape::whole(0, i64::MAX),
        "seed of the split",
        |s| of(s, |d| Datum::of_u64(d.split.seed)),
        |s, v| with(s, |d| d.split.seed = v.u64()),
    ),
    Field::new(
        "data.batch",
        Shape::whole(1, 1_048_576),
        "samples in a global batch",
        |s| of(s, |d| Datum::Whole(d.batch.into())),
        |s, v| with(s, |d| d.batch = v.u32()),
    )
    .searched(),
    Field::new(
        "data.shuffle",
        Shape::Or("auto", &Shape::whole(1, 1_048_576)),
        "window in which rows are shuffled, in blocks of 4,096 rows",
        |s| {
            of(s, |d| match d.shuffle {
                Shuffle::Auto => Datum::Word,
                Shuffle::Blocks(blocks) => Datum::Whole(blocks.into()),
            })
        },
        |s, v| {
            with(s, |d| {
                d.shuffle = match v {
                    Datum::Whole(_) => Shuffle::Blocks(v.u32()),
                    _ => Shuffle::Auto,
                }
            })
        },
    ),
    Field::new(
        "data.image.column",
        Shape::Text,
        "the column with the images",
        |s| {
            of(s, |d| {
                d.image
                    .as_ref()
                    .map_or(Datum::Absent, |i| Datum::Text(i.column.clone()))
            })
        },
        |s, v| {
            if let Some(image) = image(s) {
                v.text().clone_into(&mut image.column);
            }
        },
    ),
    Field::new(
        "data.image.shape",
        Shape::List {
            of: &Shape::whole(1, 65_536),
            min: 3,
            max: 3,
        },
        "channels, height, width",
        |s| {
            of(s, |d| {
                d.image
                    .as_ref()
                    .map_or(Datum::Absent, |i| Datum::of_u32s(&i.shape))
            })
        },
        |s, v| {
            if let (Some(image), Ok(shape)) = (image(s), v.u32s().try_into()) {
                image.shape = shape;
            }
        },
    ),
    Field::new(
        "data.text.column",
        Shape::Text,
        "the column with the text",
        |s| {
            of(s, |d| {
                d.text
                    .as_ref()
                    .map_or(Datum::Absent, |t| Datum::Text(t.column.clone()))
            })
        },
        |s, v| {
            if let Some(column) = text(s) {
                v.text().clone_into(&mut column.column);
            }
        },
    ),
    Field::new(
        "data.text.context",
        Shape::whole(1, 65_536),
        "bytes a window shows the model",
        |s| {
            of(s, |d| {
                d.text
                    .as_ref()
                    .map_or(Datum::Absent, |t| Datum::Whole(t.context.into()))
            })
        },
        |s, v| {
            if let Some(column) = text(s) {
                column.context = v.u32();
            }
        },
    ),
    Field::new(
        "data.types",
        Shape::Map {
            of: &Shape::choice(&["numeric", "categorical", "text", "image"]),
        },
        "kinds of columns, where the inferred one is wrong",
        |s| of(s, |d| Datum::of_text_map(&kind_names(&d.types))),
        |s, v| {
            with(s, |d| {
                let named = v.text_map().into_iter();
                d.types = named
                    .filter_map(|(k, name)| Some((k, kind_named(&name)?)))
                    .collect();
            })
        },
    ),
    Field::new(
        "data.features",
        Shape::List {
            of: &Shape::Text,
            min: 0,
            max: 10_000,
        },
        "columns or globs to learn from; empty: all but the label and `drop`",
        |s| of(s, |d| Datum::of_texts(&d.features)),
        |s, v| with(s, |d| d.features = v.texts()),
    ),
    Field::new(
        "data.drop",
        Shape::List {
            of: &Shape::Text,
            min: 0,
            max: 10_000,
        },
        "columns or globs to leave out",
        |s| of(s, |d| Datum::of_texts(&d.drop)),
        |s, v| with(s, |d| d.drop = v.texts()),
    ),
    Field::new(
        "data.missing",
        Shape::choice(&["error", "mean", "drop"]),
        "what to do about a missing value: refuse the data, take train's mean (of categories none), or drop the row",
        |s| {
            of(s, |d| {
                let name = match d.missing {
                    Missing::Error => "error",
                    Missing::Mean => "mean",
                    Missing::Drop => "drop",
                };
                Datum::Text(name.into())
            })
        },
        |s, v| {
            with(s, |d| {
                d.missing = match v.text() {
                    "mean" => Missing::Mean,
                    "drop" => Missing::Drop,
                    _ => Missing::Error,
                }
            })
        },
    ),
];

fn kind_named(name: &str) -> Option<ColumnKind> {
    match name {
        "numeric" => Some(ColumnKind::Numeric),
        "categorical" => Some(ColumnKind::Categorical),
        "text" => Some(ColumnKind::Text),
        "image" => Some(ColumnKind::Image),
        _ => None,
    }
}

fn kind_names(kinds: &BTreeMap<String, ColumnKind>) -> BTreeMap<String, String> {
    kinds
        .iter()
        .map(|(column, kind)| (column.clone(), kind.name().to_owned()))
        .collect()
}
