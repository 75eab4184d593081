//! What training will cost, from a spec and its data's columns: weights, arithmetic and time, before anything runs.
//!
//! An estimate. Arithmetic is exact up to normalisation and activations; time takes what one slot of one core was measured to do
//! (docs/performance.md), so it is right within a small factor on such a core and says nothing of a GPU.

use bonfire_search::{Goal, Sampler, SamplerKind, Suggestion};

use super::{Preview, complete, feature_columns};
use crate::dataset::{Column, VOCABULARY};
use crate::spec::{ColumnKind, DataSpec, Millis, ModelSpec, Spec, Task};

/// Configurations of a space that costs are averaged over.
const SAMPLED: u32 = 64;
/// Seconds of a step that do no arithmetic.
const STEP_SECONDS: f64 = 3e-4;
/// Seconds of an epoch that go to its report and its evaluation, besides arithmetic.
const EPOCH_SECONDS: f64 = 2e-3;
/// Seconds from a slot's last trial to the first step of the next, with what is loaded and saved; each rung ends an attempt.
const ATTEMPT_SECONDS: f64 = 6e-2;
/// Seconds of an epoch of a model that computes nothing.
const NOOP_SECONDS: f64 = 1e-3;
/// Floating-point operations a slot does in a second.
const DENSE_RATE: f64 = 6e10;
const CONVOLUTION_RATE: f64 = 1.3e10;
const ATTENTION_RATE: f64 = 3.5e10;

/// What is known of the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    pub rows: u64,
    /// Bytes of all sources: what a language model reads.
    pub bytes: u64,
}

/// The expected cost of a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Weights of the smallest and of the largest model among those looked at.
    pub weights: (u64, u64),
    /// Samples trained, over all trials.
    pub samples: f64,
    /// Floating-point operations, over all trials.
    pub operations: f64,
    /// Seconds of one slot, over all trials.
    pub slot_seconds: f64,
    /// Seconds of one trial that nobody stops, in the mean: no number of slots is faster.
    pub trial_seconds: f64,
}

impl Cost {
    /// Seconds on that many slots.
    pub fn seconds(&self, slots: u16) -> f64 {
        (self.slot_seconds / f64::from(slots.max(1))).max(self.trial_seconds)
    }
}

/// Multiplies the mean cost of an epoch, over points drawn evenly from the space, by the planned epochs. `None` where epochs
/// are not planned (only time bounds the search, trials are external) or the data is not known.
pub fn cost(spec: &Spec, plan: &Preview, columns: &[Column], size: Option<Size>) -> Option<Cost> {
    if spec.is_external() {
        return None;
    }
    let epochs = plan.epochs? as f64;
    let last = plan.rungs.last().map_or(spec.budget(), |rung| rung.until) as f64;
    let spec = complete(spec, columns);
    let trials = drawn(&spec);
    let found: Vec<Epoch> = trials
        .iter()
        .filter_map(|trial| Epoch::of(trial, columns, size))
        .collect();
    let mean = |value: fn(&Epoch) -> f64| found.iter().map(value).sum::<f64>() / found.len() as f64;
    let weights = |epoch: &Epoch| epoch.weights;
    let least = found.iter().map(weights).min()?;
    let most = found.iter().map(weights).max()?;
    let seconds = mean(|epoch| epoch.seconds);
    let attempts: f64 = plan.rungs.iter().map(|rung| f64::from(rung.trials)).sum();
    // A model that computes nothing loads and saves nothing.
    let attempt = if most > 0 { ATTEMPT_SECONDS } else { 0.0 };
    Some(Cost {
        weights: (least, most),
        samples: (epochs * mean(|epoch| epoch.samples)).round(),
        operations: (epochs * mean(|epoch| epoch.operations)).round(),
        slot_seconds: epochs * seconds + attempts * attempt,
        trial_seconds: last * seconds + plan.rungs.len() as f64 * attempt,
    })
}

/// Some trials of a sweep.
fn drawn(spec: &Spec) -> Vec<Spec> {
    let Some(search) = &spec.search else {
        return vec![spec.clone()];
    };
    let sampler = Sampler::new(SamplerKind::Random, search.space.clone(), Goal::Minimize, 0);
    let suggested = sampler.map_or_else(|_| Vec::new(), |s| s.suggest_many(0, SAMPLED));
    let trial = |suggestion| match suggestion {
        Suggestion::Trial(assignment) => spec.with(&assignment).ok(),
        Suggestion::Exhausted { .. } => None,
    };
    suggested.into_iter().filter_map(trial).collect()
}

/// One epoch of one trial.
struct Epoch {
    weights: u64,
    samples: f64,
    operations: f64,
    seconds: f64,
}

impl Epoch {
    fn of(trial: &Spec, columns: &[Column], size: Option<Size>) -> Option<Epoch> {
        if let ModelSpec::Noop {
            sleep_ms: Millis(sleep),
            ..
        } = trial.model
        {
            return Some(Epoch {
                weights: 0,
                samples: 0.0,
                operations: 0.0,
                seconds: NOOP_SECONDS + sleep as f64 / 1e3,
            });
        }
        let (data, size) = (trial.data.as_ref()?, size?);
        let units = match (trial.task?, &data.text) {
            (Task::LanguageModel, Some(text)) => size.bytes / u64::from(text.context.max(1)),
            _ => size.rows,
        } as f64;
        let samples = units * data.split.train;
        let model = model(trial, data, columns)?;
        // Forward, and twice that backward; the same weights are only read for valid.
        let operations = 2.0 * model.products * (3.0 * samples + units * data.split.valid);
        let steps = (samples / f64::from(data.batch.max(1))).ceil();
        Some(Epoch {
            weights: model.weights as u64,
            samples,
            operations,
            seconds: EPOCH_SECONDS + steps * STEP_SECONDS + operations / model.rate,
        })
    }
}

struct Model {
    weights: f64,
    /// Multiply-adds of one sample, forward.
    products: f64,
    rate: f64,
}

/// Sizes as `engine` builds them; normalisation is left out.
fn model(trial: &Spec, data: &DataSpec, columns: &[Column]) -> Option<Model> {
    let outputs = outputs(trial.task?, data, columns)?;
    let dense = |sizes: &[f64]| -> (f64, f64) {
        let products: f64 = sizes.windows(2).map(|pair| pair[0] * pair[1]).sum();
        (products + sizes[1..].iter().sum::<f64>(), products)
    };
    let inputs = match &data.image {
        Some(image) => f64::from(image.shape.iter().product::<u32>()),
        None => features(data, columns),
    };
    let (weights, products, rate) = match &trial.model {
        ModelSpec::Linear => {
            let (weights, products) = dense(&[inputs, outputs]);
            (weights, products, DENSE_RATE)
        }
        ModelSpec::Mlp { hidden, .. } => {
            let hidden = hidden.iter().map(|size| f64::from(*size));
            let sizes: Vec<f64> = [inputs]
                .into_iter()
                .chain(hidden)
                .chain([outputs])
                .collect();
            let (weights, products) = dense(&sizes);
            (weights, products, DENSE_RATE)
        }
        ModelSpec::Cnn {
            channels,
            kernel,
            hidden,
            ..
        } => {
            let [mut before, mut height, mut width] = data.image.as_ref()?.shape.map(f64::from);
            let (mut weights, mut products) = (0.0, 0.0);
            for next in channels.iter().map(|next| f64::from(*next)) {
                let filter = before * f64::from(kernel * kernel) * next;
                weights += filter + next;
                products += filter * height * width;
                if height >= 2.0 && width >= 2.0 {
                    (height, width) = ((height / 2.0).floor(), (width / 2.0).floor());
                }
                before = next;
            }
            let end = dense(&[before * height * width, f64::from(*hidden), outputs]);
            (weights + end.0, products + end.1, CONVOLUTION_RATE)
        }
        ModelSpec::Transformer { layers, width, .. } => {
            let (layers, width) = (f64::from(*layers), f64::from(*width));
            let context = f64::from(data.text.as_ref()?.context);
            let vocabulary = f64::from(VOCABULARY);
            // Four projections and two layers of four widths; each place looks at every other.
            let block = 12.0 * width * width;
            let embedding = (vocabulary + context) * width;
            let places = if trial.task? == Task::LanguageModel {
                context
            } else {
                1.0
            };
            let products =
                context * layers * (block + 2.0 * context * width) + places * width * outputs;
            let weights = layers * block + embedding + width * outputs;
            (weights, products, ATTENTION_RATE)
        }
        ModelSpec::Noop { .. } => return None,
    };
    Some(Model {
        weights,
        products,
        rate,
    })
}

fn features(data: &DataSpec, columns: &[Column]) -> f64 {
    let inputs = |column: &Column| match column.kind {
        ColumnKind::Categorical => column.distinct.unwrap_or(0) as f64,
        _ => 1.0,
    };
    feature_columns(data, columns).into_iter().map(inputs).sum()
}

fn outputs(task: Task, data: &DataSpec, columns: &[Column]) -> Option<f64> {
    match task {
        Task::Regression => Some(1.0),
        Task::LanguageModel => Some(f64::from(VOCABULARY)),
        Task::Classification => {
            let label = columns
                .iter()
                .find(|c| Some(&c.name) == data.label.as_ref())?;
            label.distinct.map(|classes| classes as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::fit::preview;
    use crate::spec;

    fn column(name: &str, kind: ColumnKind, distinct: u64, width: u32) -> Column {
        Column {
            name: name.into(),
            kind,
            width,
            nulls: 0,
            first_null: None,
            first_infinite: None,
            min: None,
            max: None,
            mean: None,
            std: None,
            distinct: Some(distinct),
            top: vec![],
            bytes: None,
        }
    }

    #[track_caller]
    fn cost_of(text: &str, size: Option<Size>) -> Option<Cost> {
        let columns = [
            column("x", ColumnKind::Numeric, 900, 1),
            column("town", ColumnKind::Categorical, 3, 1),
            column("y", ColumnKind::Categorical, 10, 1),
            column("photo", ColumnKind::Image, 0, 64),
            column("text", ColumnKind::Text, 900, 1),
        ];
        let text = format!("kind: sweep\nversion: 1\nname: t\n{text}");
        let spec = spec::check(text.as_bytes(), &[]).unwrap();
        cost(&spec, &preview(&spec), &columns, size)
    }

    const SIZE: Option<Size> = Some(Size {
        rows: 1_000,
        bytes: 64_000,
    });

    #[track_caller]
    fn check(text: &str, weights: u64, samples: f64, operations: f64) {
        let found = cost_of(text, SIZE).unwrap();
        assert_eq!(found.weights, (weights, weights), "{text}");
        assert_eq!(
            (found.samples, found.operations),
            (samples, operations),
            "{text}"
        );
    }

    #[test]
    fn weights_and_operations_are_those_of_the_layers() {
        let table = "task: classification\ntrain: { epochs: 2 }\ndata: { dataset: d, label: y, features: [x, town] }";
        // 4 inputs, 10 classes; 800 rows of train and 200 of valid, twice.
        let operations = |products: f64| 2.0 * 2.0 * products * (3.0 * 800.0 + 200.0);
        check(
            &format!("{table}\nmodel: {{ kind: linear }}"),
            50,
            1_600.0,
            operations(40.0),
        );
        check(
            &format!("{table}\nmodel: {{ kind: mlp, hidden: [8] }}"),
            4 * 8 + 8 + 8 * 10 + 10,
            1_600.0,
            operations(112.0),
        );
        let cnn = "task: classification\ntrain: { epochs: 2 }\ndata: { dataset: d, label: y }\nmodel: { kind: cnn, channels: [4], kernel: 3, hidden: 5 }";
        check(
            cnn,
            (9 * 4 + 4) + (4 * 16 * 5 + 5) + (5 * 10 + 10),
            1_600.0,
            operations(64.0 * 36.0 + 320.0 + 50.0),
        );
        let reader = "task: language_model\ntrain: { epochs: 2 }\ndata: { dataset: d, text: { column: text, context: 64 } }\nmodel: { kind: transformer, layers: 1, heads: 2, width: 8 }";
        check(
            reader,
            12 * 64 + (257 + 64) * 8 + 8 * 257,
            1_600.0,
            operations(64.0 * (768.0 + 2.0 * 64.0 * 8.0) + 64.0 * 8.0 * 257.0),
        );
    }

    #[test]
    fn a_space_costs_what_its_points_cost_in_the_mean() {
        let text = "task: classification\ndata: { dataset: d, label: y, features: [x, town] }\nmodel: { kind: mlp }\ntrain: { epochs: 9 }\nsearch: { limit: { trials: 9 }, scheduler: { kind: asha }, parameters: { \"model.hidden[0]\": { values: [8, 64] } } }";
        let found = cost_of(text, SIZE).unwrap();
        assert!(found.weights.0 < found.weights.1);
        // Two points, an epoch each, neither promoted.
        assert_eq!(found.samples, 2.0 * 800.0);
        assert!(found.trial_seconds > found.slot_seconds);
        assert!(found.slot_seconds > 2.0 * ATTEMPT_SECONDS);
        assert_eq!(found.seconds(1_000), found.trial_seconds);
        let slow = "model: { kind: noop, sleep: 2s }\ntrain: { epochs: 3 }";
        let found = cost_of(slow, None).unwrap();
        assert!((found.seconds(4) - 6.003).abs() < 1e-9);
        assert_eq!(cost_of(text, None), None);
    }
}
