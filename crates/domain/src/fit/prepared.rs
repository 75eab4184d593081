//! A spec beside prepared data: what the model gets, what it answers, and how many steps an epoch has.

use super::layers::{layer_problem, outputs_of};
use crate::dataset::{InputShape, OutputShape, PreparedManifest};
use crate::spec::{ClassWeights, ModelSpec, Problem, Spec};

/// Everything a model is built from, besides its spec.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelPlan {
    pub input: InputShape,
    pub output: OutputShape,
    pub train_rows: u64,
    pub valid_rows: u64,
    /// Optimiser steps of an epoch: `train_rows / data.batch`, rounded up.
    pub steps_per_epoch: u64,
    /// Samples in the last step of an epoch.
    pub last_batch: u32,
}

impl ModelPlan {
    /// Optimiser steps of a trial that nobody stops.
    pub fn steps(&self, spec: &Spec) -> u64 {
        self.steps_per_epoch.saturating_mul(spec.budget())
    }
}

/// Checks a trial's spec against its prepared data.
///
/// # Errors
/// Every problem found, with the path of the field that must change.
pub fn fit_prepared(spec: &Spec, p: &PreparedManifest) -> Result<ModelPlan, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut push = |path: &str, message: String| problems.push(Problem::at_path(path, message));
    let Some(data) = &spec.data else {
        let message = format!("{} needs no data", spec.model.kind());
        return Err(vec![Problem::at_path("model.kind", message)]);
    };
    for (path, rows) in [
        ("data.split.train", p.train.rows),
        ("data.split.valid", p.valid.rows),
    ] {
        if rows == 0 {
            push(path, "the split is empty".into());
        }
    }
    if let Some(message) = reading_problem(&spec.model, &p.input) {
        push("model.kind", message);
    }
    if let (ModelSpec::Cnn { kernel, .. }, InputShape::Image([_, height, width])) =
        (&spec.model, &p.input)
        && kernel > height.min(width)
    {
        push(
            "model.kernel",
            format!("{kernel} is larger than the image, {height} by {width}"),
        );
    }
    if let OutputShape::Classes { names, counts } = &p.output {
        if names.len() < 2 {
            push("data.label", "has a single class in train".into());
        }
        let empty = names.iter().zip(counts).find(|(_, count)| **count == 0);
        if let (ClassWeights::Balanced, Some((name, _))) = (&spec.loss.class_weights, empty) {
            let message =
                format!("balanced cannot weigh class {name:?}, which has no row in train");
            push("loss.class_weights", message);
        }
    }
    problems.extend(layer_problem(&spec.model, &p.input, outputs_of(&p.output)));
    problems.extend(batch_problem(spec, p.train.rows));
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(ModelPlan {
        input: p.input.clone(),
        output: p.output.clone(),
        train_rows: p.train.rows,
        valid_rows: p.valid.rows,
        steps_per_epoch: p.train.rows.div_ceil(data.batch.into()),
        last_batch: last_batch(p.train.rows, data.batch),
    })
}

/// What is wrong with a spec's batches, of that many rows in train.
pub(super) fn batch_problem(spec: &Spec, rows: u64) -> Option<Problem> {
    let (batch, shards) = (spec.data.as_ref()?.batch, spec.virtual_shards());
    if batch < shards {
        let message = format!("{batch} is below train.virtual_shards {shards}");
        return Some(Problem::at_path("data.batch", message));
    }
    if !spec.model.normalises_batches() || rows == 0 || least_shard(rows, batch, shards) >= 2 {
        return None;
    }
    let hint = match nearest_good_batch(rows, batch, shards) {
        Some(good) => format!("{good} would do"),
        None => "take model.norm: layer".into(),
    };
    let of = match shards {
        1 => String::new(),
        shards => format!(" in {shards} shards"),
    };
    let message = format!(
        "{hint}: batch normalisation needs 2 samples, and the last batch of {rows} rows by {batch}{of} leaves 1"
    );
    Some(Problem::at_path("data.batch", message))
}

fn reading_problem(model: &ModelSpec, input: &InputShape) -> Option<String> {
    let what = match (model, input) {
        (ModelSpec::Transformer { .. }, InputShape::Bytes { .. })
        | (ModelSpec::Cnn { .. }, InputShape::Image(_))
        | (
            ModelSpec::Mlp { .. } | ModelSpec::Linear,
            InputShape::Features(_) | InputShape::Image(_),
        ) => {
            return None;
        }
        (_, InputShape::Features(_)) => "a table's features",
        (_, InputShape::Image(_)) => "images",
        (_, InputShape::Bytes { .. }) => "text",
    };
    Some(format!("{} cannot read {what}", model.kind()))
}

/// Samples in the last step of an epoch; `rows` and `batch` above 0.
fn last_batch(rows: u64, batch: u32) -> u32 {
    match rows % u64::from(batch) {
        0 => batch,
        rest => rest as u32, // below batch
    }
}

/// Samples in the smallest virtual shard that is not empty, over all batches of an epoch.
fn least_shard(rows: u64, batch: u32, shards: u32) -> u32 {
    let last = last_batch(rows, batch);
    let full = if rows >= batch.into() { batch } else { last };
    smallest_slice(full, shards).min(smallest_slice(last, shards))
}

/// Slice s of b samples is positions floor(s * b / V) to floor((s + 1) * b / V): with b below V the filled slices hold
/// one sample each, otherwise the smallest holds floor(b / V).
fn smallest_slice(samples: u32, shards: u32) -> u32 {
    (samples / shards).max(1)
}

/// The batch size nearest to `batch` (the larger of two) with which every shard has 2 samples.
fn nearest_good_batch(rows: u64, batch: u32, shards: u32) -> Option<u32> {
    let largest = u32::try_from(rows).unwrap_or(u32::MAX);
    (1..=batch.max(1_024)).find_map(|distance| {
        let above = batch.checked_add(distance).filter(|size| *size <= largest);
        let below = batch.checked_sub(distance).filter(|size| *size > 0);
        let mut candidates = [above, below].into_iter().flatten();
        candidates.find(|size| *size >= shards && least_shard(rows, *size, shards) >= 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts by the definition.
    fn counted(samples: u32, shards: u32) -> u32 {
        let edge = |s: u32| u64::from(s) * u64::from(samples) / u64::from(shards);
        (0..shards)
            .map(|s| edge(s + 1) - edge(s))
            .filter(|size| *size > 0)
            .min()
            .unwrap_or(0) as u32
    }

    #[test]
    fn the_smallest_slice_is_what_the_definition_counts() {
        for samples in 1..70 {
            for shards in 1..20 {
                assert_eq!(
                    smallest_slice(samples, shards),
                    counted(samples, shards),
                    "{samples} {shards}"
                );
            }
        }
    }

    #[test]
    fn a_batch_that_would_do_is_found() {
        #[track_caller]
        fn check(rows: u64, batch: u32, shards: u32, least: u32, good: Option<u32>) {
            assert_eq!(least_shard(rows, batch, shards), least);
            assert_eq!(nearest_good_batch(rows, batch, shards), good);
        }
        check(1_438, 64, 1, 30, Some(65)); // nothing to repair
        check(65, 64, 1, 1, Some(65));
        check(129, 64, 1, 1, Some(65)); // 65 + 64
        check(128, 64, 4, 16, Some(65));
        check(130, 64, 4, 1, Some(65)); // 65 + 65
        check(1, 64, 1, 1, None);
    }
}
