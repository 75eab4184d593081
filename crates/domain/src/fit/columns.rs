//! A spec beside a dataset's columns and their statistics.

use super::prepared::batch_problem;
use crate::dataset::Column;
use crate::glob;
use crate::spec::{
    ClassWeights, ColumnKind, DataSpec, ImageColumn, Missing, ModelSpec, Problem, Spec, Task,
    TextColumn, nearest,
};

/// Widest input of one-hot and numeric features.
const FEATURES_MAX: u64 = 1 << 20;
/// Fewer rows can all differ by chance.
const NAMES_MIN: u64 = 20;

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

/// Checks a spec against a dataset's columns and their statistics.
///
/// # Errors
/// Every problem found, with the path of the field that must change.
pub fn fit(spec: &Spec, columns: &[Column], rows: Rows) -> Result<(), Vec<Problem>> {
    let spec = &complete(spec, columns);
    let (Some(data), Some(task)) = (&spec.data, spec.task) else {
        return Ok(()); // a model without data
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
        return Err(found.problems);
    }
    found.named_columns(data);
    found.rows(data, rows.count());
    if let Some(label) = &data.label {
        found.label(spec, data, task, label, rows.count());
    }
    match (&data.image, &data.text) {
        (Some(image), _) => found.image(&spec.model, data, image),
        (None, Some(text)) => found.text(data, text),
        (None, None) => found.features(data, rows.count()),
    }
    if found.problems.is_empty()
        && let Some(train) = train_rows(spec, columns, rows)
    {
        found.problems.extend(batch_problem(spec, train));
    }
    if found.problems.is_empty() {
        Ok(())
    } else {
        Err(found.problems)
    }
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
        ModelSpec::Transformer { .. } if data.text.is_none() => {
            if let Some(column) = only(ColumnKind::Text) {
                data.text = Some(TextColumn {
                    column: column.name.clone(),
                    context: 128,
                });
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

struct Found<'a> {
    columns: &'a [Column],
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn push(&mut self, path: &str, message: impl Into<String>) {
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
    fn find(&mut self, path: &str, name: &str) -> Option<Column> {
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
        for name in data.types.keys() {
            self.find(&format!("data.types.{name}"), name);
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

    fn label(&mut self, spec: &Spec, data: &DataSpec, task: Task, label: &str, rows: u64) {
        const PATH: &str = "data.label";
        let Some(column) = self.find(PATH, label) else {
            return;
        };
        let name = &column.name;
        if column.nulls > 0 && data.missing != Missing::Drop {
            let message = format!(
                "{name:?} is missing in {}: data.missing: drop leaves them out",
                holes(&column)
            );
            self.push(PATH, message);
        }
        self.finite(PATH, &column);
        match (task, column.kind) {
            (Task::Regression, ColumnKind::Numeric) => {
                if column.min.is_some() && column.min == column.max {
                    self.push(
                        PATH,
                        format!("{name:?} has a single value, there is nothing to learn"),
                    );
                }
            }
            (Task::Regression, kind) => {
                let message = format!("{name:?} is {}, a regression needs a number", kind.name());
                self.push(PATH, message);
            }
            (Task::Classification, ColumnKind::Image) => {
                self.push(PATH, format!("{name:?} is an image, not classes"));
            }
            (Task::Classification, _) => self.classes(spec, &column, rows),
            (Task::LanguageModel, _) => {}
        }
    }

    fn classes(&mut self, spec: &Spec, column: &Column, rows: u64) {
        const PATH: &str = "data.label";
        let name = &column.name;
        match column.distinct {
            Some(0) => self.push(PATH, format!("{name:?} has no value at all")),
            Some(1) => {
                let only = column.top.first().map_or("", |(value, _)| value.as_str());
                self.push(PATH, format!("{name:?} has a single class, {only:?}"));
            }
            Some(classes) if classes.saturating_mul(2) > rows => {
                let hint = match column.kind {
                    ColumnKind::Numeric => "; is the task regression?",
                    _ => "",
                };
                let message = format!(
                    "{name:?} has {classes} classes in {rows} rows, a class needs at least 2{hint}"
                );
                self.push(PATH, message);
            }
            Some(_) => {}
            None => self.push(PATH, format!("{name:?} has too many values to be classes")),
        }
        let ClassWeights::Given(weights) = &spec.loss.class_weights else {
            return;
        };
        // Only a complete list of classes can say that one is not there.
        if column
            .distinct
            .is_none_or(|distinct| distinct > column.top.len() as u64)
        {
            return;
        }
        let classes: Vec<&str> = column.top.iter().map(|(class, _)| class.as_str()).collect();
        for class in weights
            .keys()
            .filter(|class| !classes.contains(&class.as_str()))
        {
            let near = nearest(class, classes.iter().copied());
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            let path = format!("loss.class_weights.{class}");
            self.push(&path, format!("{name:?} has no class {class:?}{hint}"));
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

    fn text(&mut self, data: &DataSpec, text: &TextColumn) {
        const PATH: &str = "data.text.column";
        let Some(column) = self.find(PATH, &text.column) else {
            return;
        };
        if !matches!(column.kind, ColumnKind::Text | ColumnKind::Categorical) {
            let kind = column.kind.name();
            self.push(PATH, format!("{:?} is {kind}, not text", column.name));
        }
        self.missing(PATH, data, &column);
    }

    fn features(&mut self, data: &DataSpec, rows: u64) {
        let taken: Vec<Column> = feature_columns(data, self.columns)
            .into_iter()
            .cloned()
            .collect();
        if taken.is_empty() {
            self.push("data.features", "no column is left to learn from");
        }
        let mut width = 0u64;
        for column in &taken {
            let name = &column.name;
            match column.kind {
                ColumnKind::Numeric => width += 1,
                ColumnKind::Categorical => {
                    width += column.distinct.unwrap_or(FEATURES_MAX);
                    if is_name_of_row(column, rows) && !data.types.contains_key(name) {
                        let message = format!(
                            "{name:?} has another value in every row, which says nothing about the next: put it in data.drop, or say data.types: {{ {name}: categorical }}"
                        );
                        self.push("data.features", message);
                    }
                }
                ColumnKind::Text => {
                    let message = format!(
                        "{name:?} is text: put it in data.drop, read it with data.text, or say data.types: {{ {name}: categorical }}"
                    );
                    self.push("data.features", message);
                }
                ColumnKind::Image => {
                    let message = format!(
                        "{name:?} is an image: put it in data.drop, or read it with data.image"
                    );
                    self.push("data.features", message);
                }
            }
            self.missing("data.missing", data, column);
            self.finite("data.features", column);
        }
        if width > FEATURES_MAX {
            let widest = taken
                .iter()
                .max_by_key(|column| column.distinct.unwrap_or(u64::MAX));
            let name = widest.map_or("", |column| column.name.as_str());
            let message = format!(
                "{width} inputs with one for each category, more than {FEATURES_MAX}; {name:?} has the most: put it in data.drop"
            );
            self.push("data.features", message);
        }
    }

    fn missing(&mut self, path: &str, data: &DataSpec, column: &Column) {
        let name = &column.name;
        if column.nulls == 0 {
            return;
        }
        let holes = holes(column);
        let numeric = column.kind == ColumnKind::Numeric;
        match data.missing {
            Missing::Error => {
                let mean = if numeric {
                    "mean fills in train's mean, "
                } else {
                    ""
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

    fn finite(&mut self, path: &str, column: &Column) {
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
fn holes(column: &Column) -> String {
    match (column.nulls, column.first_null) {
        (1, Some(row)) => format!("row {row}"),
        (nulls, Some(row)) => format!("{nulls} rows, the first is row {row}"),
        (nulls, None) => format!("{nulls} rows"),
    }
}

/// Whether no two rows of many have the same value: an id, a name.
fn is_name_of_row(column: &Column, rows: u64) -> bool {
    rows >= NAMES_MIN && column.nulls == 0 && column.distinct == Some(rows)
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
