//! Counts behind the metrics, in f64, as a flat vector that adds up over batches and virtual shards.

use bonfire_domain::BatchTarget;
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use crate::error::TrainError;
use crate::module::read;
use crate::objective::{Objective, Target};
use crate::trainer::MetricName;

/// Positions in the tally of a classification; three counts a class follow.
const CLASS_COUNTS: usize = 2;

impl Objective {
    /// A tally of nothing.
    pub fn empty_tally(&self) -> Vec<f64> {
        match self {
            // Loss, answers; then true positives, predictions and labels of each class.
            Objective::Classes { classes, .. } => vec![0.0; CLASS_COUNTS + 3 * classes],
            // Squared error, absolute error, answers, sum and sum of squares of the target; standardised.
            Objective::Value { .. } => vec![0.0; 5],
            // Loss, answers.
            Objective::NextByte { .. } => vec![0.0; 2],
        }
    }

    /// Adds a batch's answers, on a device without autodiff, to `tally`.
    ///
    /// # Errors
    /// [`TrainError::Backend`] where the device cannot be read.
    pub fn observe(
        &self,
        tally: &mut [f64],
        output: Tensor<2>,
        target: Target,
        host: &BatchTarget,
    ) -> Result<(), TrainError> {
        let losses = match target {
            Target::Ids(ids) => floats(log_softmax(output.clone(), 1).gather(1, ids))?,
            Target::Values(_) => Vec::new(),
        };
        match (self, host) {
            (Objective::Classes { classes, .. }, BatchTarget::Classes(labels)) => {
                observe_classes(tally, *classes, &losses, &floats(output)?, labels);
            }
            (Objective::Value { .. }, BatchTarget::Values(values)) => {
                observe_values(tally, &floats(output)?, values);
            }
            _ => {
                if let [loss, answers, ..] = tally {
                    *loss -= losses.iter().map(|log_p| f64::from(*log_p)).sum::<f64>();
                    *answers += losses.len() as f64;
                }
            }
        }
        Ok(())
    }

    /// The metrics of a tally, the plain loss first; empty if nothing was observed.
    pub fn metrics(&self, tally: &[f64]) -> Vec<(MetricName, f64)> {
        match (self, tally) {
            (Objective::Classes { .. }, [loss, answers, counts @ ..]) if *answers > 0.0 => {
                let correct: f64 = counts.chunks_exact(3).map(|class| class[0]).sum();
                vec![
                    ("loss", loss / answers),
                    ("accuracy", correct / answers),
                    ("macro_f1", macro_f1(counts)),
                ]
            }
            (Objective::Value { std }, [square, absolute, answers, sum, squares])
                if *answers > 0.0 =>
            {
                let mse = square / answers;
                let spread = squares - sum * sum / answers;
                vec![
                    ("loss", mse),
                    ("rmse", mse.sqrt() * std),
                    ("mae", absolute / answers * std),
                    ("r2", r2(*square, spread)),
                ]
            }
            (Objective::NextByte { .. }, [loss, answers]) if *answers > 0.0 => {
                let mean = loss / answers;
                vec![("loss", mean), ("perplexity", libm::exp(mean))]
            }
            _ => Vec::new(),
        }
    }
}

fn floats(tensor: Tensor<2>) -> Result<Vec<f32>, TrainError> {
    let data = read(tensor)?;
    let values = data.as_slice::<f32>();
    values
        .map(<[f32]>::to_vec)
        .map_err(|error| TrainError::Backend(format!("{error:?}")))
}

/// - `log_p`: of the labels, shape `[answers]`; `logits`: shape `[answers, classes]`.
fn observe_classes(
    tally: &mut [f64],
    classes: usize,
    log_p: &[f32],
    logits: &[f32],
    labels: &[i32],
) {
    let (totals, counts) = tally.split_at_mut(CLASS_COUNTS);
    totals[0] -= log_p.iter().map(|log_p| f64::from(*log_p)).sum::<f64>();
    totals[1] += labels.len() as f64;
    for (logits, label) in logits.chunks_exact(classes.max(1)).zip(labels) {
        let said = argmax(logits);
        let label = usize::try_from(*label).unwrap_or(usize::MAX);
        let hits = f64::from(said == label);
        for (place, count) in [(3 * said, hits), (3 * said + 1, 1.0)] {
            counts[place] += count;
        }
        if let Some(count) = label.checked_mul(3).and_then(|at| counts.get_mut(at + 2)) {
            *count += 1.0;
        }
    }
}

/// The largest, the first of equal ones.
fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

fn observe_values(tally: &mut [f64], outputs: &[f32], targets: &[f32]) {
    for (output, target) in outputs.iter().zip(targets) {
        let (output, target) = (f64::from(*output), f64::from(*target));
        let error = output - target;
        let parts = [error * error, error.abs(), 1.0, target, target * target];
        for (sum, part) in tally.iter_mut().zip(parts) {
            *sum += part;
        }
    }
}

/// Mean over the classes that were said or asked for of `2 tp / (predictions + labels)`.
fn macro_f1(counts: &[f64]) -> f64 {
    let classes = counts.chunks_exact(3).filter(|c| c[1] + c[2] > 0.0);
    let scores: Vec<f64> = classes.map(|c| 2.0 * c[0] / (c[1] + c[2])).collect();
    scores.iter().sum::<f64>() / scores.len().max(1) as f64
}

/// The share of the target's variance that is explained; 1 or 0 where the target does not vary.
fn r2(square: f64, spread: f64) -> f64 {
    if spread > 0.0 {
        1.0 - square / spread
    } else {
        f64::from(square == 0.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[track_caller]
    fn check(
        objective: &Objective,
        output: &[f32],
        host: &BatchTarget,
        expected: &[(MetricName, f64)],
    ) {
        let device = Device::flex();
        let width = objective.outputs();
        let data = TensorData::new(output.to_vec(), [output.len() / width, width]);
        let output = Tensor::from_data(data, &device);
        let mut tally = objective.empty_tally();
        let target = Target::on(&device, host);
        objective.observe(&mut tally, output, target, host).unwrap();
        let metrics = objective.metrics(&tally);
        assert_eq!(metrics.len(), expected.len(), "{metrics:?}");
        for ((name, found), (wanted, value)) in metrics.iter().zip(expected) {
            assert_eq!(name, wanted);
            let close = (found - value).abs() < 1e-6 * value.abs().max(1.0);
            assert!(close, "{name} {found}, not {value}");
        }
    }

    #[test]
    fn classification_by_hand() {
        let objective = Objective::Classes {
            classes: 4,
            smoothing: 0.0,
            weights: None,
        };
        // Says 0, 0, 1, 2 (the last a tie of 2 and 3) where 0, 1, 1, 1 are right; class 3 never occurs.
        // F1: class 0 2*1/(2+1), class 1 2*1/(1+3), class 2 0.
        let output = [
            9.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0,
        ];
        let sure = (9f64.exp() + 3.0).ln();
        let loss = (2.0 * (sure - 9.0) + sure + (2.0 * 9f64.exp() + 2.0).ln()) / 4.0;
        check(
            &objective,
            &output,
            &BatchTarget::Classes(vec![0, 1, 1, 1]),
            &[
                ("loss", loss),
                ("accuracy", 0.5),
                ("macro_f1", (2.0 / 3.0 + 0.5 + 0.0) / 3.0),
            ],
        );
    }

    #[test]
    fn regression_by_hand() {
        let objective = Objective::Value { std: 10.0 };
        // Errors 1, -1, 0, 2; the target's mean is 1.5 and its spread 5.
        check(
            &objective,
            &[1.0, 0.0, 2.0, 5.0],
            &BatchTarget::Values(vec![0.0, 1.0, 2.0, 3.0]),
            &[
                ("loss", 1.5),
                ("rmse", 10.0 * 1.5f64.sqrt()),
                ("mae", 10.0),
                ("r2", 1.0 - 6.0 / 5.0),
            ],
        );
        let constant = BatchTarget::Values(vec![2.0, 2.0]);
        let metrics = |mae: f64, r2| {
            [
                ("loss", mae * mae),
                ("rmse", 10.0 * mae),
                ("mae", 10.0 * mae),
                ("r2", r2),
            ]
        };
        check(&objective, &[2.0, 2.0], &constant, &metrics(0.0, 1.0));
        check(&objective, &[3.0, 1.0], &constant, &metrics(1.0, 0.0));
    }

    #[test]
    fn perplexity_by_hand() {
        let objective = Objective::NextByte { context: 2 };
        check(
            &objective,
            &[0.0; 2 * 257],
            &BatchTarget::Tokens(vec![1, 2]),
            &[("loss", 257f64.ln()), ("perplexity", 257.0)],
        );
    }

    #[test]
    fn nothing_observed_is_no_metric() {
        let objective = Objective::NextByte { context: 2 };
        assert_eq!(objective.metrics(&objective.empty_tally()), vec![]);
    }
}
