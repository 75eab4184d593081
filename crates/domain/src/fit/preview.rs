//! What a sweep will cost, from its spec alone.

use bonfire_search::{RungPlan, SamplerKind, Scheduler};

use crate::spec::{Millis, Spec};

/// What `sweep preview` prints.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Configurations that will be tried; `None` where only time bounds the search.
    pub trials: Option<u64>,
    /// Distinct configurations of the space, as far as they are counted those that `require` allows; `None` where it is
    /// continuous.
    pub points: Option<u128>,
    pub parameters: usize,
    /// Expected trials that train at least this far; a single entry where nothing is stopped early, none where trials have no
    /// length.
    pub rungs: Vec<RungPlan>,
    /// Epochs over all trials, as planned; `None` where only time bounds the search, or trials have no length.
    pub epochs: Option<u64>,
    /// The same if nothing were stopped early.
    pub epochs_full: Option<u64>,
    pub time: Option<Millis>,
}

/// Counts trials and epochs. What median, Wilcoxon and plateau stop save cannot be foreseen: their plan is the full one.
/// PASHA's is the most it may need, Hyperband's is summed over its brackets.
pub fn preview(spec: &Spec) -> Preview {
    let budget = spec.budget();
    let Some(search) = &spec.search else {
        return Preview {
            trials: Some(1),
            points: Some(1),
            parameters: 0,
            rungs: vec![RungPlan {
                until: budget,
                trials: 1,
            }],
            epochs: Some(budget),
            epochs_full: Some(budget),
            time: None,
        };
    };
    let points = spec.sampler().and_then(|sampler| sampler.points());
    let points_u64 = points.map(|points| u64::try_from(points).unwrap_or(u64::MAX));
    let limit = search.limit.trials.map(u64::from);
    // No point of a finite space is tried twice, whoever samples it.
    let trials = match (limit, points_u64) {
        (Some(limit), Some(points)) => Some(limit.min(points)),
        (Some(limit), None) => Some(limit),
        (None, points) if search.sampler == SamplerKind::Grid => points,
        (None, _) if search.limit.time.is_some() => None,
        (None, points) => points,
    };
    let planned = u32::try_from(trials.unwrap_or(1)).unwrap_or(u32::MAX);
    // An external trial without rungs has no length.
    let measured = !spec.is_external() || search.scheduler.max().is_some();
    let scheduler = Scheduler::new(search.scheduler, spec.objective.goal, budget);
    let rungs = scheduler.ok().filter(|_| measured);
    let rungs = rungs.map_or_else(Vec::new, |scheduler| scheduler.plan(planned));
    let mut epochs = 0u64;
    let mut before = 0;
    for rung in &rungs {
        epochs += rung
            .until
            .saturating_sub(before)
            .saturating_mul(rung.trials.into());
        before = rung.until;
    }
    let last = rungs.last().map_or(budget, |rung| rung.until);
    Preview {
        trials,
        points,
        parameters: search.space.parameters().len(),
        rungs,
        epochs: trials.filter(|_| measured).map(|_| epochs),
        epochs_full: trials
            .filter(|_| measured)
            .map(|trials| trials.saturating_mul(last)),
        time: search.limit.time,
    }
}
