//! One whole step over V virtual shards by a group of one.

use bonfire_collective::Tree;
use bonfire_domain::Batch;

use crate::error::TrainError;
use crate::trainer::{OnDevice, ShardGradient, StepReport, Trainer};

/// Runs step `step`: every shard's gradient, their sum along the canonical tree over `virtual_shards`, the update.
///
/// Shards without rows count as absent, and so do those that are not given. The order of `shards` does not change bits.
///
/// # Errors
/// [`TrainError`] of the trainer; [`TrainError::Reduce`] for a shard given twice or out of range;
/// [`TrainError::EmptyStep`] if nothing had a row. The parameters are then as before the step.
pub fn train_step(
    trainer: &mut dyn Trainer,
    step: u64,
    shards: impl Iterator<Item = (u32, Batch)>,
    virtual_shards: u32,
    report: bool,
) -> Result<StepReport, TrainError> {
    let mut tree = Tree::new(virtual_shards)?;
    for (shard, mut batch) in shards.filter(|(_, batch)| batch.rows > 0) {
        if virtual_shards == 1 && shard == 0 {
            match trainer.step_on_device(step, batch, report)? {
                OnDevice::Done(report) => return Ok(report),
                OnDevice::Unable(back) => batch = back,
            }
        }
        trainer.accumulate(step, shard, batch, report)?;
        let mut part = ShardGradient::default();
        trainer.take_shard(&mut part)?;
        tree.add(shard, part)?;
    }
    let reduced = tree.finish()?.ok_or(TrainError::EmptyStep { step })?;
    trainer.apply(step, &reduced, report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trainer::{MetricName, Saved, Snapshot};

    /// Writes the calls down; a batch's rows are its gradient.
    #[derive(Default)]
    struct Calls {
        has_fused_step: bool,
        calls: Vec<String>,
        rows: usize,
    }

    impl Trainer for Calls {
        fn parameters(&self) -> usize {
            1
        }
        fn step_on_device(
            &mut self,
            step: u64,
            batch: Batch,
            _report: bool,
        ) -> Result<OnDevice, TrainError> {
            if !self.has_fused_step {
                return Ok(OnDevice::Unable(batch));
            }
            self.calls.push(format!("whole step {step}"));
            Ok(OnDevice::Done(StepReport::default()))
        }
        fn accumulate(
            &mut self,
            _step: u64,
            shard: u32,
            batch: Batch,
            _want_loss: bool,
        ) -> Result<(), TrainError> {
            self.calls.push(format!("shard {shard}"));
            self.rows = batch.rows;
            Ok(())
        }
        fn take_shard(&mut self, into: &mut ShardGradient) -> Result<(), TrainError> {
            into.sum = vec![self.rows as f32];
            Ok(())
        }
        fn apply(
            &mut self,
            step: u64,
            reduced: &ShardGradient,
            _report: bool,
        ) -> Result<StepReport, TrainError> {
            self.calls.push(format!("apply {step} {:?}", reduced.sum));
            Ok(StepReport::default())
        }
        fn evaluate(
            &mut self,
            _next: &mut dyn FnMut(&mut Batch) -> bool,
        ) -> Result<Vec<(MetricName, f64)>, TrainError> {
            Ok(Vec::new())
        }
        fn metrics_of(&self, _tally: &[f64]) -> Vec<(MetricName, f64)> {
            Vec::new()
        }
        fn snapshot(&mut self) -> Result<Snapshot, TrainError> {
            Err(TrainError::Backend("nothing to save".to_owned()))
        }
        fn load(&mut self, _saved: &Saved) -> Result<(), TrainError> {
            Ok(())
        }
    }

    /// The calls of step 5 with shards of these rows.
    #[track_caller]
    fn check(has_fused_step: bool, rows: &[usize], expected: &[&str]) {
        let mut trainer = Calls {
            has_fused_step,
            ..Calls::default()
        };
        let batch = |rows: &usize| Batch {
            rows: *rows,
            ..Batch::default()
        };
        let shards = (0u32..).zip(rows.iter().map(batch));
        let done = train_step(&mut trainer, 5, shards, rows.len() as u32, false);
        assert_eq!(trainer.calls, expected, "{done:?}");
    }

    #[test]
    fn a_step_is_shards_then_apply() {
        check(false, &[3], &["shard 0", "apply 5 [3.0]"]);
        check(false, &[3, 0, 4], &["shard 0", "shard 2", "apply 5 [7.0]"]);
        check(false, &[0, 0], &[]);
    }

    #[test]
    fn a_device_takes_the_step_of_one_shard_whole() {
        check(true, &[3], &["whole step 5"]);
        check(true, &[3, 4], &["shard 0", "shard 1", "apply 5 [7.0]"]);
    }
}
