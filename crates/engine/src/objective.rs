//! Losses: what a model's answers are compared with, as sums with their weights.

use bonfire_domain::BatchTarget;
use bonfire_domain::dataset::{InputShape, OutputShape, VOCABULARY};
use bonfire_domain::spec::{ClassWeights, LossSpec};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::net::{check_ids, check_length};

/// What is minimised.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Objective {
    /// Cross-entropy, with label smoothing in [0, 1) and a weight for each class.
    Classes {
        classes: usize,
        smoothing: f64,
        weights: Option<Vec<f32>>,
    },
    /// Squared error of the standardised target, whose deviation is `std` in its own units.
    Value { std: f64 },
    /// Cross-entropy at each of `context` positions, over [`VOCABULARY`].
    NextByte { context: usize },
}

/// A batch's targets on a device.
#[derive(Clone)]
pub(crate) enum Target {
    /// Shape `[answers, 1]`.
    Ids(Tensor<2, Int>),
    /// Shape `[answers, 1]`.
    Values(Tensor<2>),
}

impl Objective {
    /// # Errors
    /// Why the spec's loss and the data do not go together.
    pub fn new(loss: &LossSpec, input: &InputShape, output: &OutputShape) -> Result<Self, String> {
        match output {
            OutputShape::Classes { names, counts } => {
                if names.len() != counts.len() || names.is_empty() {
                    return Err(format!(
                        "{} classes with {} counts",
                        names.len(),
                        counts.len()
                    ));
                }
                Ok(Objective::Classes {
                    classes: names.len(),
                    smoothing: loss.label_smoothing,
                    weights: class_weights(&loss.class_weights, names, counts)?,
                })
            }
            OutputShape::Value { std, .. } => Ok(Objective::Value { std: *std }),
            OutputShape::NextByte => match input {
                InputShape::Bytes { context } => Ok(Objective::NextByte {
                    context: *context as usize,
                }),
                _ => Err("a language model reads bytes".to_owned()),
            },
        }
    }

    /// Numbers in one answer.
    pub fn outputs(&self) -> usize {
        match self {
            Objective::Classes { classes, .. } => *classes,
            Objective::Value { .. } => 1,
            Objective::NextByte { .. } => VOCABULARY as usize,
        }
    }

    /// Whether targets fit.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self, target: &BatchTarget, rows: usize) -> Result<(), String> {
        match (self, target) {
            (Objective::Classes { classes, .. }, BatchTarget::Classes(ids)) => {
                check_length("target", ids.len(), rows, 1)?;
                check_ids("class", ids, *classes)
            }
            (Objective::Value { .. }, BatchTarget::Values(values)) => {
                check_length("target", values.len(), rows, 1)
            }
            (Objective::NextByte { context }, BatchTarget::Tokens(ids)) => {
                check_length("target", ids.len(), rows, *context)?;
                check_ids("byte", ids, VOCABULARY as usize)
            }
            _ => Err("targets of another task".to_owned()),
        }
    }

    /// The sum of the answers' weights: what the sum of losses is divided by in the end.
    pub fn weight(&self, target: &BatchTarget) -> f64 {
        match (self, target) {
            (
                Objective::Classes {
                    weights: Some(weights),
                    ..
                },
                BatchTarget::Classes(ids),
            ) => of_classes(weights, ids).map(f64::from).sum(),
            (_, target) => answers(target) as f64,
        }
    }

    /// The sum of weighted losses, shape `[1]`.
    ///
    /// With label smoothing e over C classes and class weights w, an answer y costs
    /// `(1 - e) * w[y] * -ln p[y] + e / C * sum over c of w[c] * -ln p[c]`.
    ///
    /// - `output`: shape `[answers, outputs]`; `host`: the same targets as `target`.
    ///
    /// Source: Szegedy et al. 2016, section 7, <https://arxiv.org/abs/1512.00567>; weighted as in PyTorch's `CrossEntropyLoss`.
    pub fn loss(&self, output: Tensor<2>, target: Target, host: &BatchTarget) -> Tensor<1> {
        let device = output.device();
        let ids = match target {
            Target::Values(values) => return (output - values).square().sum(),
            Target::Ids(ids) => ids,
        };
        let log_p = log_softmax(output, 1);
        let Objective::Classes {
            classes,
            smoothing,
            weights,
        } = self
        else {
            return log_p.gather(1, ids).sum().neg();
        };
        let mut picked = log_p.clone().gather(1, ids);
        if let (Some(weights), BatchTarget::Classes(ids)) = (weights, host) {
            picked = picked * column(of_classes(weights, ids).collect(), &device);
        }
        let loss = picked.sum().neg();
        if *smoothing == 0.0 {
            return loss;
        }
        let spread = match weights {
            Some(weights) => log_p * column(weights.clone(), &device).transpose(),
            None => log_p,
        };
        loss * (1.0 - smoothing) - spread.sum() * (smoothing / *classes as f64)
    }
}

impl Target {
    pub fn on(device: &Device, host: &BatchTarget) -> Target {
        let answers = answers(host);
        match host {
            BatchTarget::Classes(ids) | BatchTarget::Tokens(ids) => Target::Ids(Tensor::from_data(
                TensorData::new(ids.clone(), [answers, 1]),
                device,
            )),
            BatchTarget::Values(values) => Target::Values(Tensor::from_data(
                TensorData::new(values.clone(), [answers, 1]),
                device,
            )),
        }
    }
}

/// Answers that a batch asks for.
pub(crate) fn answers(target: &BatchTarget) -> usize {
    match target {
        BatchTarget::Classes(ids) | BatchTarget::Tokens(ids) => ids.len(),
        BatchTarget::Values(values) => values.len(),
    }
}

fn of_classes<'a>(weights: &'a [f32], ids: &'a [i32]) -> impl Iterator<Item = f32> + 'a {
    let weight = |id: &i32| usize::try_from(*id).ok().and_then(|id| weights.get(id));
    ids.iter().map(move |id| weight(id).copied().unwrap_or(1.0))
}

fn column(values: Vec<f32>, device: &Device) -> Tensor<2> {
    let shape = [values.len(), 1];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A weight for each class; `None` when all are 1.
fn class_weights(
    weights: &ClassWeights,
    names: &[String],
    counts: &[u64],
) -> Result<Option<Vec<f32>>, String> {
    match weights {
        ClassWeights::None => Ok(None),
        ClassWeights::Balanced => {
            let rows: u64 = counts.iter().sum();
            let balanced = |count: &u64| match count {
                0 => 1.0,
                count => rows as f64 / (names.len() as f64 * *count as f64),
            };
            Ok(Some(counts.iter().map(|c| balanced(c) as f32).collect()))
        }
        ClassWeights::Given(given) => {
            if let Some(unknown) = given.keys().find(|name| !names.contains(name)) {
                return Err(format!(
                    "loss.class_weights names {unknown:?}, which is no class"
                ));
            }
            let weight = |name: &String| given.get(name).copied().unwrap_or(1.0) as f32;
            Ok(Some(names.iter().map(weight).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn classes(smoothing: f64, class_weights: ClassWeights) -> Objective {
        let loss = LossSpec {
            label_smoothing: smoothing,
            class_weights,
        };
        let output = OutputShape::Classes {
            names: vec!["a".into(), "b".into()],
            counts: vec![30, 10],
        };
        Objective::new(&loss, &InputShape::Features(1), &output).unwrap()
    }

    /// Two answers: p = (0.75, 0.25) for class 0, p = (0.5, 0.5) for class 1.
    #[track_caller]
    fn check(objective: &Objective, weight: f64, loss: f64) {
        let device = Device::flex();
        let logits = TensorData::new(vec![3f32.ln(), 0.0, 0.0, 0.0], [2, 2]);
        let host = BatchTarget::Classes(vec![0, 1]);
        let target = Target::on(&device, &host);
        let sum = objective.loss(Tensor::from_data(logits, &device), target, &host);
        let sum = f64::from(sum.into_scalar::<f32>());
        assert!((sum - loss).abs() < 1e-6, "loss {sum}, expected {loss}");
        assert!((objective.weight(&host) - weight).abs() < 1e-6);
    }

    #[test]
    fn cross_entropy_is_a_weighted_sum() {
        let (a, b, half) = (-0.75f64.ln(), -0.25f64.ln(), -0.5f64.ln());
        check(&classes(0.0, ClassWeights::None), 2.0, a + half);
        // Balanced: 40 / (2 * 30) and 40 / (2 * 10).
        let (first, second) = (2.0 / 3.0, 2.0);
        let balanced = classes(0.0, ClassWeights::Balanced);
        check(&balanced, first + second, first * a + second * half);
        let given = BTreeMap::from([("b".to_owned(), 3.0)]);
        check(
            &classes(0.0, ClassWeights::Given(given.clone())),
            4.0,
            a + 3.0 * half,
        );
        let smooth = 0.9 * (a + half) + 0.05 * (a + b + 2.0 * half);
        check(&classes(0.1, ClassWeights::None), 2.0, smooth);
        let both = 0.9 * (a + 3.0 * half) + 0.05 * (a + 3.0 * b + half + 3.0 * half);
        check(&classes(0.1, ClassWeights::Given(given)), 4.0, both);
    }

    #[test]
    fn unknown_classes_are_refused() {
        let loss = LossSpec {
            label_smoothing: 0.0,
            class_weights: ClassWeights::Given(BTreeMap::from([("c".to_owned(), 1.0)])),
        };
        let output = OutputShape::Classes {
            names: vec!["a".into(), "b".into()],
            counts: vec![1, 1],
        };
        let refused = Objective::new(&loss, &InputShape::Features(1), &output);
        assert!(refused.unwrap_err().contains("\"c\""));
    }
}
