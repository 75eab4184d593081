//! The learning rate as a pure function of the step.

use std::f64::consts::PI;

use bonfire_domain::spec::{OptimizerSpec, ScheduleKind, ScheduleSpec};

/// Learning rate of step `step` (from 0), in (0, `optimizer.lr`].
///
/// Warm-up rises linearly over `warmup * total_steps` steps, its first at `lr / warmup steps` and its last at `lr`. After
/// it, `linear` and `cosine` fall towards 0 at `total_steps`; `step` multiplies by `factor` every `every` epochs, counted
/// from the start of training.
pub fn learning_rate(
    optimizer: &OptimizerSpec,
    schedule: &ScheduleSpec,
    total_steps: u64,
    steps_per_epoch: u64,
    step: u64,
) -> f64 {
    let total = total_steps.max(1) as f64;
    let warmup = libm::floor(schedule.warmup * total);
    let at = step as f64;
    if at < warmup {
        return optimizer.lr * ((at + 1.0) / warmup);
    }
    let progress = ((at - warmup) / (total - warmup).max(1.0)).min(1.0);
    let share = match schedule.kind {
        ScheduleKind::Constant => 1.0,
        ScheduleKind::Linear => 1.0 - progress,
        ScheduleKind::Cosine => 0.5 * (1.0 + libm::cos(PI * progress)),
        ScheduleKind::Step => {
            let period = u64::from(schedule.every.max(1)).saturating_mul(steps_per_epoch.max(1));
            libm::pow(schedule.factor, (step / period) as f64)
        }
    };
    optimizer.lr * share
}

#[cfg(test)]
mod tests {
    use bonfire_domain::spec::OptimizerKind;

    use super::*;

    #[track_caller]
    fn check(kind: ScheduleKind, warmup: f64, step: u64, expected: f64) {
        let optimizer = OptimizerSpec {
            kind: OptimizerKind::Adamw,
            lr: 0.5,
            weight_decay: 0.0,
            clip_norm: None,
            momentum: 0.0,
            nesterov: false,
            betas: [0.9, 0.999],
            eps: 1e-8,
        };
        let schedule = ScheduleSpec {
            kind,
            warmup,
            every: 2,
            factor: 0.1,
        };
        let lr = learning_rate(&optimizer, &schedule, 100, 10, step);
        assert!(
            (lr - expected).abs() < 1e-12,
            "{kind:?} warmup {warmup} step {step}: {lr}, expected {expected}"
        );
    }

    #[test]
    fn warmup_starts_above_zero_and_reaches_the_rate() {
        check(ScheduleKind::Constant, 0.1, 0, 0.05);
        check(ScheduleKind::Constant, 0.1, 9, 0.5);
        check(ScheduleKind::Constant, 0.1, 10, 0.5);
        check(ScheduleKind::Constant, 0.001, 0, 0.5);
    }

    #[test]
    fn schedules_fall_as_they_say() {
        check(ScheduleKind::Constant, 0.0, 99, 0.5);
        check(ScheduleKind::Linear, 0.0, 0, 0.5);
        check(ScheduleKind::Linear, 0.0, 50, 0.25);
        check(ScheduleKind::Linear, 0.2, 60, 0.25);
        check(ScheduleKind::Cosine, 0.0, 0, 0.5);
        check(ScheduleKind::Cosine, 0.0, 50, 0.25);
        check(ScheduleKind::Cosine, 0.0, 25, 0.25 * (1.0 + 0.5f64.sqrt()));
        check(ScheduleKind::Cosine, 0.0, 1_000, 0.0);
        check(ScheduleKind::Step, 0.0, 19, 0.5);
        check(ScheduleKind::Step, 0.0, 20, 0.05);
        check(ScheduleKind::Step, 0.1, 40, 0.005);
    }
}
