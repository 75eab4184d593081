//! What a sweep will cost, from its spec alone.

use bonfire_search::{RungPlan, SamplerKind, Scheduler};

use crate::spec::{Millis, Spec};

/// What `sweep preview` prints.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Configurations that will be tried; `None` where only time bounds the search.
    pub trials: Option<u64>,
    /// Distinct configurations of the space; `None` where it is continuous.
    pub points: Option<u128>,
    pub parameters: usize,
    /// Expected trials that train at least this far; a single entry where nothing is stopped early, none where nobody says how
    /// long a trial is (external ones without rungs).
    pub rungs: Vec<RungPlan>,
    /// Epochs over all trials, as planned; `None` where only time bounds the search, or nobody says how long a trial is.
    pub epochs: Option<u64>,
    /// The same if nothing were stopped early.
    pub epochs_full: Option<u64>,
    pub time: Option<Millis>,
}

/// Counts trials and epochs. Median stopping cannot be foreseen: its plan is the full one.
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
    let points = search.space.size();
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
    let mut rungs = Scheduler::new(search.scheduler, spec.objective.goal, budget)
        .map_or_else(|_| Vec::new(), |scheduler| scheduler.plan(planned));
    let has_length = !spec.is_external() || budget < u64::from(u32::MAX);
    rungs.retain(|_| has_length);
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
        epochs: trials.filter(|_| has_length).map(|_| epochs),
        epochs_full: trials
            .filter(|_| has_length)
            .map(|trials| trials.saturating_mul(last)),
        time: search.limit.time,
    }
}
