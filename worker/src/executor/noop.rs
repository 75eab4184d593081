//! The trial that trains nothing: it sleeps and reports a known curve, for tests and benchmarks.

use std::time::Duration;

use bonfire_domain::fault::AttemptEnd;
use bonfire_domain::metric::Point;
use bonfire_domain::spec::Millis;

use super::frame::{ExecutorEvent, Written};
use super::trial::{Boundary, Trial, end_on_order};
use crate::clock;

/// Runs epochs `from + 1` to `until`; a step is an epoch.
///
/// After epoch e `valid.loss` is `(x - 0.3)^2 + 1/e`.
pub(super) fn run(trial: &Trial<'_>, x: f64, sleep: Millis) -> AttemptEnd {
    let order = &trial.begin.order;
    let (id, attempt) = trial.id();
    let from = order.from.as_ref().map_or(0, |checkpoint| checkpoint.epoch);
    trial.started(from);
    let (mut saved, mut value) = (from, None);
    for epoch in from + 1..=order.until {
        if sleep.0 > 0 {
            trial.outbox.flush();
        }
        if let Some(save) = trial
            .inbox
            .wait_end(id, attempt, Duration::from_millis(sleep.0))
        {
            if save && saved < epoch - 1 {
                write(trial, epoch - 1, value);
            }
            return end_on_order(save);
        }
        let last = epoch == order.until;
        let at = Boundary {
            step: epoch,
            epoch,
            epoch_ends: true,
            last,
        };
        value = None;
        if trial.evaluates_at(at) {
            let loss = (x - 0.3) * (x - 0.3) + 1.0 / epoch as f64;
            let key = "valid.loss".to_owned();
            let time = clock::wall();
            trial.points(vec![Point {
                key,
                step: epoch,
                epoch: epoch as f64,
                value: loss,
                time,
            }]);
            if trial.spec.objective.metric == "valid.loss" {
                trial.observed(at, loss, vec![("valid.loss".to_owned(), loss)]);
                value = Some(loss);
            }
        }
        if at.hits(trial.spec.checkpoint.every) || (last && trial.ends_at_rung()) {
            write(trial, epoch, value);
            saved = epoch;
        }
    }
    AttemptEnd::Reached
}

/// A checkpoint of nothing but the epoch.
fn write(trial: &Trial<'_>, epoch: u64, value: Option<f64>) {
    let (id, attempt) = trial.id();
    trial
        .outbox
        .keep(&ExecutorEvent::Checkpoint(Box::new(Written {
            trial: id,
            attempt,
            step: epoch,
            epoch,
            value,
            dir: trial.begin.spool.clone(),
            manifest: None,
            chunks: Vec::new(),
        })));
}
