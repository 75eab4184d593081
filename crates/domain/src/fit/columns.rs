//! A spec beside a dataset's columns and their statistics.

use super::layers::{expected_shape, layer_problem};
use super::prepared::batch_problem;
use super::search::{is_always_searched, search_problems};
use crate::dataset::Column;
use crate::glob;
use crate::spec::{
    ColumnKind, DataSpec, ImageColumn, Missing, ModelSpec, Problem, Spec, Task, TextColumn, nearest,
};

/// The rows that statistics are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Every row of the dataset.
    All(u64),
    /// Its first rows: what they cannot know (a class that comes later, the size of the last batch) is not refused.
    First(u64),
}

impl Rows {
    pub fn count(self) -> u64 {
        match self {
            Rows::All(rows) | Rows::First(rows) => rows,
        }
    }
}

/// Checks a spec against a dataset's columns and their statistics, and the values that its search may try.
///
/// # Errors
/// Every problem found, with the path of the field that must change.
pub fn fit(spec: &Spec, columns: &[Column], rows: Rows) -> Result<(), Vec<Problem>> {
    let mut problems = fit_one(spec, columns, rows);
    // What the file says of a searched field is no trial's.
    problems.retain(|problem| !is_always_searched(spec, &problem.path));
    problems.extend(search_problems(spec, columns, rows, &problems));
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Every problem of a spec, its search left aside.
pub(super) fn fit_one(spec: &Spec, columns: &[Column], rows: Rows) -> Vec<Problem> {
    let spec = &complete(spec, columns);
    let (Some(data), Some(task)) = (&spec.data, spec.task) else {
        return Vec::new(); // a model without data
    };
    let mut found = Found {
        columns,
        problems: Vec::new(),
    };
    match spec.model {
        ModelSpec::Cnn { .. } if data.image.is_none() => {
            found.unread(
                "data.image",
                "a cnn reads images",
                "{ column: image, shape: [1, 28, 28] }",
            );
        }
        ModelSpec::Transformer { .. } if data.text.is_none() => {
            found.unread(
                "data.text",
                "a transformer reads text",
                "{ column: body, context: 128 }",
            );
        }
        _ => {}
    }
    if !found.problems.is_empty() {
        return found.problems;
    }
    found.named_columns(data);
    found.rows(data, rows.count());
    if let Some(label) = &data.label {
        found.label(spec, data, task, label, rows);
    }
    match (&data.image, &data.text) {
        (Some(image), _) => found.image(&spec.model, data, image),
        (None, Some(text)) => found.text(data, task, text, rows),
        (None, None) => found.features(data, rows.count()),
    }
    if found.problems.is_empty() {
        let (input, outputs) = expected_shape(data, task, columns);
        let large = layer_problem(&spec.model, &input, outputs);
        let batch = train_rows(spec, columns, rows).and_then(|train| batch_problem(spec, train));
        found.problems.extend(large.into_iter().chain(batch));
    }
    found.problems
}

/// Fills in what a spec leaves to the data: the image of a cnn and the text of a transformer, where the data has exactly
/// one such column (and an image of one or three square channels). To be done before a dataset is prepared.
pub fn complete(spec: &Spec, columns: &[Column]) -> Spec {
    let mut spec = spec.clone();
    let Some(data) = &mut spec.data else {
        return spec;
    };
    let only = |kind: ColumnKind| {
        let taken = |column: &&Column| column.kind == kind && !data.drop.contains(&column.name);
        let mut found = columns.iter().filter(taken);
        found.next().filter(|_| found.next().is_none())
    };
    match spec.model {
        ModelSpec::Cnn { .. } if data.image.is_none() => {
            if let Some((column, shape)) = only(ColumnKind::Image)
                .and_then(|column| Some((column, square_shape(column.width)?)))
            {
                data.image = Some(ImageColumn {
                    column: column.name.clone(),
                    shape,
                });
            }
        }
        ModelSpec::Transformer { .. } => {
            let named = |name: &str| columns.iter().any(|column| column.name == name);
            match (&mut data.text, only(ColumnKind::Text)) {
                (None, Some(column)) => {
                    data.text = Some(TextColumn {
                        column: column.name.clone(),
                        context: 128,
                    });
                }
                // What a language model reads that says nothing; a table calls it otherwise.
                (Some(text), Some(column)) if text.column == "text" && !named("text") => {
                    text.column.clone_from(&column.name);
                }
                _ => {}
            }
        }
        _ => {}
    }
    spec
}

/// The columns that a model reads, in the dataset's order: the image, the text, or every feature. Names that are not
/// there give nothing; [`fit`] has refused them.
pub fn feature_columns<'a>(data: &DataSpec, columns: &'a [Column]) -> Vec<&'a Column> {
    let only = match (&data.image, &data.text) {
        (Some(image), _) => Some(&image.column),
        (None, Some(text)) => Some(&text.column),
        (None, None) => None,
    };
    let is_in = |patterns: &[String], name: &str| patterns.iter().any(|p| glob::matches(p, name));
    let taken = |column: &&Column| match only {
        Some(name) => column.name == *name,
        None => {
            let wanted = data.features.is_empty() || is_in(&data.features, &column.name);
            let label = data.label.as_deref() == Some(column.name.as_str());
            wanted && !label && !is_in(&data.drop, &column.name)
        }
    };
    columns.iter().filter(taken).collect()
}

/// What is wrong so far.
pub(super) struct Found<'a> {
    pub(super) columns: &'a [Column],
    problems: Vec<Problem>,
}

impl Found<'_> {
    pub(super) fn push(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem::at_path(path, message));
    }

    /// The data does not say what the model reads.
    fn unread(&mut self, path: &str, model: &str, such_as: &str) {
        self.push(
            path,
            format!("{model}, and the data does not say which column: {path}: {such_as}"),
        );
    }

    fn get(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of that name, or a problem with what may have been meant.
    pub(super) fn find(&mut self, path: &str, name: &str) -> Option<Column> {
        let found = self.get(name).cloned();
        if found.is_none() {
            let message = format!("the data has no column {name:?}{}", self.hint(name));
            self.push(path, message);
        }
        found
    }

    fn hint(&self, name: &str) -> String {
        let names = || self.columns.iter().map(|column| column.name.as_str());
        match nearest(name, names()) {
            Some(near) => format!("; did you mean {near:?}?"),
            None => {
                let shown: Vec<&str> = names().take(8).collect();
                let more = if self.columns.len() > shown.len() {
                    ", ..."
                } else {
                    ""
                };
                format!(", its columns are {}{more}", shown.join(", "))
            }
        }
    }

    /// Columns that are named beside the label, the image and the text.
    fn named_columns(&mut self, data: &DataSpec) {
        for (path, patterns) in [("data.features", &data.features), ("data.drop", &data.drop)] {
            for (i, pattern) in patterns.iter().enumerate() {
                if !self
                    .columns
                    .iter()
                    .any(|column| glob::matches(pattern, &column.name))
                {
                    let message = format!("no column matches {pattern:?}{}", self.hint(pattern));
                    self.push(&format!("{path}[{i}]"), message);
                }
            }
        }
        for (name, kind) in &data.types {
            let path = format!("data.types.{name}");
            if let Some(column) = self.find(&path, name)
                && column.kind != *kind
            {
                // Rows that are read now have the kind that is said here; those of a version have theirs.
                let (has, kind) = (column.kind.name(), kind.name());
                let message = format!(
                    "the version has it as {has}: leave this out, or add the rows again with bonfire dataset add --type {name}={kind}"
                );
                self.push(&path, message);
            }
        }
    }

    fn rows(&mut self, data: &DataSpec, rows: u64) {
        if rows == 0 {
            self.push("data.dataset", "the data has no rows");
            return;
        }
        if data.label.is_none() {
            return; // a text's samples are windows, not rows
        }
        for (path, share) in [
            ("data.split.train", data.split.train),
            ("data.split.valid", data.split.valid),
        ] {
            if (rows as f64 * share) < 0.5 {
                self.push(path, format!("{share} of {rows} rows is an empty split"));
            }
        }
    }

    fn image(&mut self, model: &ModelSpec, data: &DataSpec, image: &ImageColumn) {
        if let Some(column) = self.find("data.image.column", &image.column) {
            let [channels, height, width] = image.shape.map(u64::from);
            let values = channels * height * width;
            if column.kind != ColumnKind::Image {
                let kind = column.kind.name();
                let message = format!(
                    "{:?} is {kind}, not an image (a list of numbers of one length, or bytes)",
                    image.column
                );
                self.push("data.image.column", message);
            } else if u64::from(column.width) != values {
                let found = column.width;
                let message = format!(
                    "[{channels}, {height}, {width}] is {values} values, a row of {:?} has {found}{}",
                    image.column,
                    square_hint(found)
                );
                self.push("data.image.shape", message);
            }
            self.missing("data.image.column", data, &column);
            self.finite("data.image.column", &column);
        }
        if let ModelSpec::Cnn { kernel, .. } = model {
            let [_, height, width] = image.shape;
            if *kernel > height.min(width) {
                let message = format!("{kernel} is larger than the image, {height} by {width}");
                self.push("model.kernel", message);
            }
        }
    }

    fn text(&mut self, data: &DataSpec, task: Task, text: &TextColumn, rows: Rows) {
        const PATH: &str = "data.text.column";
        let Some(column) = self.find(PATH, &text.column) else {
            return;
        };
        if !matches!(column.kind, ColumnKind::Text | ColumnKind::Categorical) {
            let kind = column.kind.name();
            self.push(PATH, format!("{:?} is {kind}, not text", column.name));
        }
        self.missing(PATH, data, &column);
        if let (Task::LanguageModel, Rows::All(rows), Some(bytes)) = (task, rows, column.bytes) {
            let left_out = match data.missing {
                Missing::Drop => column.nulls,
                _ => 0,
            };
            // Texts are joined by line feeds.
            let joints = rows.saturating_sub(left_out).saturating_sub(1);
            self.windows(data, text, bytes + joints);
        }
    }

    /// Each part of a language model's text holds a window.
    fn windows(&mut self, data: &DataSpec, text: &TextColumn, bytes: u64) {
        const PATH: &str = "data.text.context";
        let context = u64::from(text.context);
        let (train, valid) = data.split.byte_shares(bytes);
        let (part, least) = match train <= valid {
            true => ("train", train),
            false => ("valid", valid),
        };
        if least > context {
            return;
        }
        let hint = match least {
            0 | 1 => "read a longer text".into(),
            fit => format!("{} would do", fit - 1),
        };
        let message = format!(
            "{hint}: {part} has {least} of {bytes} bytes, and a window of {context} takes {}",
            context + 1
        );
        self.push(PATH, message);
    }

    pub(super) fn missing(&mut self, path: &str, data: &DataSpec, column: &Column) {
        let name = &column.name;
        if column.nulls == 0 {
            return;
        }
        let holes = holes(column);
        let numeric = column.kind == ColumnKind::Numeric;
        match data.missing {
            Missing::Error => {
                let mean = match column.kind {
                    ColumnKind::Numeric => "mean fills in train's mean, ",
                    ColumnKind::Image => "",
                    _ if data.text.is_some() => "mean reads an empty text, ",
                    _ => "mean takes it for none of the categories, ",
                };
                let message = format!(
                    "{name:?} is missing in {holes}: with data.missing, {mean}drop leaves the rows out"
                );
                self.push(path, message);
            }
            Missing::Mean if numeric && column.mean.is_none() => {
                self.push(
                    path,
                    format!("{name:?} has no value to take a mean of: put it in data.drop"),
                );
            }
            Missing::Mean if column.kind == ColumnKind::Image => {
                let message =
                    format!("{name:?} is missing in {holes}, an image has no mean: take drop");
                self.push(path, message);
            }
            Missing::Mean | Missing::Drop => {}
        }
    }

    pub(super) fn finite(&mut self, path: &str, column: &Column) {
        if let Some(row) = column.first_infinite {
            let name = &column.name;
            let message = format!(
                "{name:?} has a number that is not finite, the first in row {row}: mend the rows, or put it in data.drop"
            );
            self.push(path, message);
        }
    }
}

/// How many rows have no value, and where the first is.
pub(super) fn holes(column: &Column) -> String {
    match (column.nulls, column.first_null) {
        (1, Some(row)) => format!("row {row}"),
        (nulls, Some(row)) => format!("{nulls} rows, the first is row {row}"),
        (nulls, None) => format!("{nulls} rows"),
    }
}

/// Rows of train, where the statistics decide them.
fn train_rows(spec: &Spec, columns: &[Column], rows: Rows) -> Option<u64> {
    let (data, Rows::All(rows)) = (spec.data.as_ref()?, rows) else {
        return None;
    };
    let label = columns
        .iter()
        .find(|c| Some(&c.name) == data.label.as_ref())?;
    let reads = feature_columns(data, columns);
    if label.nulls > 0 || (data.missing == Missing::Drop && reads.iter().any(|c| c.nulls > 0)) {
        return None;
    }
    if spec.task != Some(Task::Classification) {
        return Some(data.split.shares(rows, false).0);
    }
    let classes = label.top.iter();
    let known = label.distinct == Some(label.top.len() as u64);
    known.then(|| {
        classes
            .map(|(_, rows)| data.split.shares(*rows, true).0)
            .sum()
    })
}

fn square_hint(values: u32) -> String {
    square_shape(values).map_or_else(String::new, |shape| format!("; did you mean {shape:?}?"))
}

/// Channels, height and width of a square image with that many values, in grey or in colours.
fn square_shape(values: u32) -> Option<[u32; 3]> {
    [1, 3].into_iter().find_map(|channels| {
        let side = (values / channels).isqrt();
        (side > 1 && channels * side * side == values).then_some([channels, side, side])
    })
}
