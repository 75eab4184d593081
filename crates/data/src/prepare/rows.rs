//! Classification and regression: one row in, one row out.

use arrow::array::RecordBatch;
use bonfire_domain::dataset::{InputShape, OutputShape, PreparedManifest};
use bonfire_domain::spec::{Missing, Task};

use super::columns::{self, Reads};
use super::encode::{Encoder, standardised};
use super::fit::{Fit, standard};
use super::label::{Counts, Label};
use super::part::PartWriter;
use super::split::{Part, Splitter};
use super::{Job, report};
use crate::blob::Out;
use crate::block::Values;
use crate::error::DataError;
use crate::import::Progress;
use crate::stats::Moments;
use crate::stored::Blocks;

/// The columns of a pass, and where the label and the features stand in its blocks.
struct View {
    columns: Vec<usize>,
    label: usize,
    features: Vec<usize>,
    label_name: String,
    missing: Missing,
    /// What the model reads can be empty but not missing.
    text: bool,
}

impl View {
    fn new(job: &Job<'_>, label: usize, reads: &Reads) -> View {
        let mut columns = reads.columns();
        columns.push(label);
        columns.sort_unstable();
        columns.dedup();
        let place = |column: usize| columns.iter().position(|c| *c == column).unwrap_or(0);
        View {
            label: place(label),
            features: reads.columns().into_iter().map(place).collect(),
            label_name: job.dataset.columns[label].name.clone(),
            missing: job.preparation.missing,
            text: matches!(reads, Reads::Text { .. }),
            columns,
        }
    }

    fn values<'a>(
        &self,
        job: &Job<'_>,
        batch: &'a RecordBatch,
    ) -> Result<Vec<Values<'a>>, DataError> {
        let column = |(place, column): (usize, &usize)| {
            let column = &job.dataset.columns[*column];
            Values::of(batch, place, column.width).ok_or_else(|| {
                DataError::request(format!(
                    "column {} is stored in another type than its kind",
                    column.name
                ))
            })
        };
        self.columns.iter().enumerate().map(column).collect()
    }

    /// Whether a row is used, as `missing` says.
    fn usable(
        &self,
        job: &Job<'_>,
        values: &[Values<'_>],
        first: u64,
        row: usize,
    ) -> Result<bool, DataError> {
        for (place, column) in values.iter().enumerate() {
            let label = place == self.label;
            if !column.is_null(row) || (self.text && !label) {
                continue;
            }
            let name = &job.dataset.columns[self.columns[place]].name;
            let problem = match self.missing {
                Missing::Drop => return Ok(false),
                Missing::Error if label => "no value: say missing: drop to leave such rows out",
                Missing::Error => {
                    "no value: say missing: mean to fill it or missing: drop to leave such rows out"
                }
                Missing::Mean if label => {
                    "no value, and a label cannot be filled: say missing: drop"
                }
                Missing::Mean if matches!(column, Values::Pixels(_)) => {
                    "no image, and an image cannot be filled: say missing: drop"
                }
                Missing::Mean => continue,
            };
            return Err(DataError::value(first + row as u64, name, problem));
        }
        Ok(true)
    }
}

/// Passes over the rows, for progress.
const PASSES: u64 = 3;

/// One pass: calls `act` with the first row's index and the values of each block.
fn scan(
    job: &Job<'_>,
    view: &View,
    pass: u64,
    progress: &mut dyn FnMut(Progress) -> bool,
    mut act: impl FnMut(u64, &[Values<'_>], usize) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut blocks = Blocks::new(job.dataset, job.blob, &view.columns);
    while let Some((first, batch)) = blocks.next()? {
        let values = view.values(job, &batch)?;
        act(first, &values, batch.num_rows())?;
        let done = pass * job.dataset.rows + first + batch.num_rows() as u64;
        report(progress, done, PASSES * job.dataset.rows)?;
    }
    Ok(())
}

pub(super) fn prepare(
    job: &Job<'_>,
    out: &mut Out,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<PreparedManifest, DataError> {
    let (dataset, preparation) = (job.dataset, job.preparation);
    let label_column = columns::label(dataset, preparation)?;
    let reads = columns::reads(dataset, preparation, label_column)?;
    if reads.columns().contains(&label_column) {
        return Err(DataError::request("the label is also what the model reads"));
    }
    let view = View::new(job, label_column, &reads);

    let label = count(job, &view, label_column, progress)?;
    let splitter = Splitter::new(preparation.split, &label.rows(), label.is_class());
    let (train, valid) = splitter.sizes();
    for (name, rows) in [("train", &train), ("valid", &valid)] {
        if rows.iter().sum::<u64>() == 0 {
            let all: u64 = label.rows().iter().sum();
            return Err(DataError::request(format!(
                "split: {name} gets none of the {all} usable rows"
            )));
        }
    }

    let (fit, target) = fit(job, &view, &reads, &label, splitter.clone(), progress)?;
    let encodings = fit.finish(&dataset.columns)?;
    let (input, pixels, context) = match &reads {
        Reads::Table(_) => (None, 0, 0),
        Reads::Image { shape, .. } => (
            Some(InputShape::Image(*shape)),
            shape.iter().product::<u32>() as usize,
            0,
        ),
        Reads::Text { context, .. } => (
            Some(InputShape::Bytes { context: *context }),
            0,
            *context as usize,
        ),
    };
    let encoder = Encoder::new(&encodings, pixels, context);
    if encoder.width == 0 {
        return Err(DataError::request(
            "no features: the columns read have no value in train",
        ));
    }
    let (output, mean, std) = match &label {
        Label::Classes(classes) => (
            OutputShape::Classes {
                names: classes.names.clone(),
                counts: train,
            },
            0.0,
            1.0,
        ),
        Label::Value { .. } => {
            let (mean, std) = standard(&target, &view.label_name)?;
            (OutputShape::Value { mean, std }, mean, std)
        }
    };

    let row_bytes = encoder.bytes + 4;
    let declared = u32::try_from(row_bytes)
        .map_err(|_| DataError::request(format!("a row of {row_bytes} bytes")))?;
    let mut writers = (PartWriter::new(declared), PartWriter::new(declared));
    let mut splitter = splitter;
    let (mut parts, mut rows) = (Vec::new(), Vec::new());
    scan(job, &view, 2, progress, |first, values, count| {
        parts.clear();
        rows.clear();
        rows.resize(count * row_bytes, 0_u8);
        for row in 0..count {
            let mut part = Part::Neither;
            if view.usable(job, values, first, row)? {
                part = splitter.next(label.class(&values[view.label], row));
                let target = match (&label, &values[view.label]) {
                    (Label::Value { .. }, Values::Numbers(numbers)) => {
                        standardised(numbers.value(row), mean, std)
                            .map_err(|e| DataError::value(first + row as u64, &view.label_name, e))?
                            .to_le_bytes()
                    }
                    (_, column) => (label.class(column, row) as u32).to_le_bytes(),
                };
                rows[(row + 1) * row_bytes - 4..(row + 1) * row_bytes].copy_from_slice(&target);
            }
            parts.push(part);
        }
        for (which, place) in view.features.iter().enumerate() {
            let wanted = |row: usize| parts[row] != Part::Neither;
            encoder
                .encode(which, &values[*place], wanted, &mut rows, row_bytes)
                .map_err(|(row, e)| {
                    DataError::value(
                        first + row as u64,
                        &dataset.columns[view.columns[*place]].name,
                        e,
                    )
                })?;
        }
        for (part, row) in parts.iter().zip(rows.chunks_exact(row_bytes)) {
            match part {
                Part::Train => writers.0.write(out, row)?,
                Part::Valid => writers.1.write(out, row)?,
                Part::Neither => {}
            }
        }
        Ok(())
    })?;
    Ok(PreparedManifest {
        key: preparation.key(),
        version: dataset.version,
        input: input.unwrap_or(InputShape::Features(encoder.width)),
        output,
        row_bytes: declared,
        train: writers.0.finish(out)?,
        valid: writers.1.finish(out)?,
        encodings,
    })
}

/// First pass: usable rows, by class where there are classes.
fn count(
    job: &Job<'_>,
    view: &View,
    label: usize,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Label, DataError> {
    // Other columns matter only where a missing value in them drops the row.
    let gaps = view
        .columns
        .iter()
        .any(|c| job.dataset.columns[*c].nulls > 0);
    let alone = View {
        columns: vec![label],
        label: 0,
        features: Vec::new(),
        label_name: view.label_name.clone(),
        ..*view
    };
    let seen = if view.missing == Missing::Drop && gaps {
        view
    } else {
        &alone
    };
    let mut counts = Counts::new(job.preparation.task == Task::Classification);
    scan(job, seen, 0, progress, |first, values, rows| {
        for row in 0..rows {
            if seen.usable(job, values, first, row)? {
                let counted = counts.add(&values[seen.label], row);
                counted.map_err(|e| DataError::value(first + row as u64, &view.label_name, e))?;
            }
        }
        Ok(())
    })?;
    counts.finish(&view.label_name)
}

/// Second pass: statistics of train, and a check of every value.
fn fit(
    job: &Job<'_>,
    view: &View,
    reads: &Reads,
    label: &Label,
    mut splitter: Splitter,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(Fit, Moments), DataError> {
    let mut fit = Fit::new(reads, &job.dataset.columns);
    let mut target = Moments::default();
    scan(job, view, 1, progress, |first, values, rows| {
        for row in 0..rows {
            if !view.usable(job, values, first, row)? {
                continue;
            }
            let part = splitter.next(label.class(&values[view.label], row));
            if part == Part::Neither {
                continue;
            }
            let train = part == Part::Train;
            for (which, place) in view.features.iter().enumerate() {
                let added = fit.add(which, &values[*place], row, train);
                added.map_err(|e| {
                    DataError::value(
                        first + row as u64,
                        &job.dataset.columns[view.columns[*place]].name,
                        e,
                    )
                })?;
            }
            if let (true, Label::Value { .. }, Values::Numbers(numbers)) =
                (train, label, &values[view.label])
            {
                target.add(numbers.value(row));
            }
        }
        Ok(())
    })?;
    Ok((fit, target))
}
