//! A simulated executor: trains a no-op trial on the virtual clock, one epoch a step.

use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::dataset::BlobRef;
use bonfire_domain::fault::AttemptEnd;
use bonfire_domain::order::StartOrder;
use bonfire_domain::session::ExecutorEvent;
use bonfire_domain::spec::{ModelSpec, Period, Spec};
use bonfire_domain::{Attempt, Digest, TrialId, WallMs};

/// One attempt under way.
#[derive(Clone, Debug)]
pub struct Run {
    pub trial: TrialId,
    pub attempt: Attempt,
    x: f64,
    /// Milliseconds an epoch takes.
    pub sleep_ms: u64,
    epoch: u64,
    until: u64,
    every: Period,
    budget: u64,
    /// Asked to end; whether to save first.
    pub stopping: Option<bool>,
}

/// What a no-op trial reports at epoch `epoch`.
pub fn objective(x: f64, epoch: u64) -> f64 {
    (x - 0.3) * (x - 0.3) + 1.0 / epoch as f64
}

/// The blobs a checkpoint consists of: one of its own, one that all checkpoints of a sweep share.
pub fn chunks(trial: TrialId, epoch: u64) -> Vec<BlobRef> {
    let own = format!("{}/{}@{epoch}", trial.sweep.0, trial.number);
    let shared = format!("{} at {}", trial.sweep.0, epoch % 3);
    [own, shared]
        .iter()
        .map(|text| BlobRef {
            digest: Digest::of(text.as_bytes()),
            bytes: text.len() as u64,
        })
        .collect()
}

impl Run {
    /// Begins an attempt; `None` if its spec is not a no-op one.
    pub fn begin(order: &StartOrder) -> Option<Run> {
        let spec = Spec::from_canonical(&order.spec).ok()?;
        let budget = spec.budget();
        let every = spec.checkpoint.every;
        let trial = spec.with(&order.parameters).ok()?;
        let ModelSpec::Noop { x, sleep_ms } = trial.model else {
            return None;
        };
        Some(Run {
            trial: order.trial,
            attempt: order.attempt,
            x,
            sleep_ms: sleep_ms.0,
            epoch: order.from.as_ref().map_or(0, |c| c.epoch),
            until: order.until,
            every,
            budget,
            stopping: None,
        })
    }

    /// One epoch passed: what the executor says, and whether the attempt is over.
    pub fn step(&mut self, wall: WallMs) -> (Vec<ExecutorEvent>, bool) {
        let (trial, attempt) = (self.trial, self.attempt);
        let end = |end| ExecutorEvent::Ended {
            trial,
            attempt,
            end,
        };
        if self.stopping == Some(false) {
            return (vec![end(AttemptEnd::Stopped)], true);
        }
        if self.epoch >= self.until {
            return (vec![end(AttemptEnd::Reached)], true);
        }
        self.epoch += 1;
        let value = objective(self.x, self.epoch);
        let mut events = vec![ExecutorEvent::Observed {
            trial,
            attempt,
            step: self.epoch,
            epoch: self.epoch,
            value,
            metrics: [("valid.loss".to_owned(), value)].into(),
        }];
        let due =
            matches!(self.every, Period::Epochs(n) if self.epoch.is_multiple_of(u64::from(n)));
        let rung = self.epoch == self.until && self.until < self.budget;
        if due || rung || self.stopping == Some(true) {
            events.push(ExecutorEvent::Checkpointed {
                trial,
                attempt,
                checkpoint: Box::new(Checkpoint {
                    step: self.epoch,
                    epoch: self.epoch,
                    attempt,
                    manifest: None,
                    chunks: chunks(trial, self.epoch),
                    value: Some(value),
                    written: wall,
                }),
            });
        }
        if self.epoch >= self.until {
            events.push(end(AttemptEnd::Reached));
            return (events, true);
        }
        if self.stopping == Some(true) {
            events.push(end(AttemptEnd::Yielded));
            return (events, true);
        }
        (events, false)
    }
}
