//! Which columns a preparation reads, and what for.

use bonfire_domain::dataset::{Column, DatasetManifest, Preparation};
use bonfire_domain::spec::{ColumnKind, Task};

use crate::convert::shorten;
use crate::error::DataError;
use bonfire_domain::glob;

/// What the model reads of a row; indices are into the dataset's columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reads {
    /// Numeric and categorical columns, in the dataset's order.
    Table(Vec<usize>),
    Image {
        column: usize,
        shape: [u32; 3],
    },
    Text {
        column: usize,
        context: u32,
    },
}

impl Reads {
    pub fn columns(&self) -> Vec<usize> {
        match self {
            Reads::Table(columns) => columns.clone(),
            Reads::Image { column, .. } | Reads::Text { column, .. } => vec![*column],
        }
    }
}

/// The index of a column.
pub(super) fn find(dataset: &DatasetManifest, name: &str, what: &str) -> Result<usize, DataError> {
    dataset
        .columns
        .iter()
        .position(|c| c.name == name)
        .ok_or_else(|| {
            let names: Vec<String> = dataset.columns.iter().map(|c| c.name.clone()).collect();
            DataError::request(format!(
                "{what}: there is no column {name}; columns: {}",
                shorten(&names)
            ))
        })
}

/// The label of a table, and that it suits the task.
pub(super) fn label(
    dataset: &DatasetManifest,
    preparation: &Preparation,
) -> Result<usize, DataError> {
    let Some(name) = &preparation.label else {
        return Err(DataError::request(
            "label: say which column is to be predicted",
        ));
    };
    let index = find(dataset, name, "label")?;
    match (preparation.task, dataset.columns[index].kind) {
        (_, ColumnKind::Image) => Err(DataError::request(format!(
            "label: column {name} is an image"
        ))),
        (Task::Regression, ColumnKind::Categorical | ColumnKind::Text) => Err(DataError::request(
            format!("label: column {name} is not numeric, a regression needs a number"),
        )),
        _ => Ok(index),
    }
}

/// The columns the model reads.
///
/// # Errors
/// Names that are not there, kinds that do not suit, nothing left to read.
pub(super) fn reads(
    dataset: &DatasetManifest,
    preparation: &Preparation,
    label: usize,
) -> Result<Reads, DataError> {
    match (&preparation.image, &preparation.text) {
        (Some(_), Some(_)) => Err(DataError::request(
            "image and text are both given: a model reads one of them",
        )),
        (Some(image), None) => {
            let column = find(dataset, &image.column, "image.column")?;
            fits_image(&dataset.columns[column], image.shape)?;
            Ok(Reads::Image {
                column,
                shape: image.shape,
            })
        }
        (None, Some(text)) => {
            let column = text_column(dataset, &text.column, text.context)?;
            Ok(Reads::Text {
                column,
                context: text.context,
            })
        }
        (None, None) => table(dataset, preparation, label),
    }
}

/// The column of texts.
pub(super) fn text_column(
    dataset: &DatasetManifest,
    name: &str,
    context: u32,
) -> Result<usize, DataError> {
    let column = find(dataset, name, "text.column")?;
    if !matches!(
        dataset.columns[column].kind,
        ColumnKind::Text | ColumnKind::Categorical
    ) {
        return Err(DataError::request(format!(
            "text.column: column {name} holds no text"
        )));
    }
    if context == 0 {
        return Err(DataError::request("text.context: must be at least 1"));
    }
    Ok(column)
}

fn fits_image(column: &Column, shape: [u32; 3]) -> Result<(), DataError> {
    let name = &column.name;
    if column.kind != ColumnKind::Image {
        return Err(DataError::request(format!(
            "image.column: column {name} holds no images but single values"
        )));
    }
    let wanted = shape.iter().try_fold(1_u32, |n, d| n.checked_mul(*d));
    if wanted != Some(column.width) {
        let width = column.width;
        return Err(DataError::request(format!(
            "image.shape: {shape:?} does not make the {width} numbers of column {name}"
        )));
    }
    Ok(())
}

fn table(
    dataset: &DatasetManifest,
    preparation: &Preparation,
    label: usize,
) -> Result<Reads, DataError> {
    for (key, patterns) in [
        ("features", &preparation.features),
        ("drop", &preparation.drop),
    ] {
        if let Some(pattern) = patterns
            .iter()
            .find(|p| dataset.columns.iter().all(|c| !glob::matches(p, &c.name)))
        {
            return Err(DataError::request(format!(
                "{key}: no column is named {pattern}"
            )));
        }
    }
    let mut columns = Vec::new();
    for (i, column) in dataset.columns.iter().enumerate() {
        let named = |patterns: &[String]| patterns.iter().any(|p| glob::matches(p, &column.name));
        let wanted = preparation.features.is_empty() || named(&preparation.features);
        if i == label || !wanted || named(&preparation.drop) {
            continue;
        }
        let name = &column.name;
        match column.kind {
            ColumnKind::Numeric | ColumnKind::Categorical => columns.push(i),
            ColumnKind::Text => {
                let problem = format!(
                    "column {name} is text: name it in text, drop it, or say types: {{ {name}: categorical }}"
                );
                return Err(DataError::request(problem));
            }
            ColumnKind::Image => {
                let problem = format!(
                    "column {name} holds images: name it in image with its shape, or drop it"
                );
                return Err(DataError::request(problem));
            }
        }
    }
    if columns.is_empty() {
        return Err(DataError::request("no features are left beside the label"));
    }
    Ok(Reads::Table(columns))
}
