//! What a sweep will cost, from its spec alone.

use bonfire_search::{RungPlan, SamplerKind, Scheduler, SchedulerKind};

use crate::spec::{Millis, Spec};

/// What `sweep preview` prints.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Configurations that will be tried, in a population at first; `None` where only time bounds the search.
    pub trials: Option<u64>,
    /// Forks in a population that are about to take places, where all its members train alike; `None` for other schedulers.
    pub forks: Option<u64>,
    /// Distinct configurations of the space, as far as they are counted those that `require` allows; `None` where it is
    /// continuous.
    pub points: Option<u128>,
    pub parameters: usize,
    /// Expected trials that train at least this far; a single entry where nothing is stopped early, none where only time bounds the
    /// search, or trials have no length.
    pub rungs: Vec<RungPlan>,
    /// Epochs over all trials, as planned; `None` where only time bounds the search, or trials have no length.
    pub epochs: Option<u64>,
    /// The same if nothing were stopped early.
    pub epochs_full: Option<u64>,
    pub time: Option<Millis>,
}

/// Counts trials and epochs. What median, Wilcoxon and plateau stop save cannot be foreseen: their plan is the full one.
/// PASHA's is the most it may need, Hyperband's is summed over its brackets, and a population's is that of its members, each
/// with the forks that take its place.
pub fn preview(spec: &Spec) -> Preview {
    let budget = spec.budget();
    let Some(search) = &spec.search else {
        return Preview {
            trials: Some(1),
            forks: None,
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
    let population = search.scheduler.population().map(u64::from);
    // How many forks there will be is the search's own affair; they train what those whose place they take do not.
    let limit = population.or(search.limit.trials.map(u64::from));
    // No point of a finite space is tried twice, whoever samples it.
    let trials = match (limit, points_u64) {
        (Some(limit), Some(points)) => Some(limit.min(points)),
        (Some(limit), None) => Some(limit),
        (None, points) if search.sampler == SamplerKind::Grid => points,
        (None, _) if search.limit.time.is_some() => None,
        (None, points) => points,
    };
    // An external trial without rungs has no length.
    let measured = !spec.is_external() || search.scheduler.max().is_some();
    let planned = trials.filter(|_| measured);
    let scheduler = Scheduler::new(search.scheduler, spec.objective.goal, budget).ok();
    let rungs = planned.zip(scheduler).map(|(trials, scheduler)| {
        let trials = u32::try_from(trials).unwrap_or(u32::MAX);
        scheduler.plan(trials)
    });
    let rungs = rungs.unwrap_or_default();
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
        forks: trials.and_then(|trials| forks(spec, trials)),
        points,
        parameters: search.space.parameters().len(),
        rungs,
        epochs: planned.map(|_| epochs),
        epochs_full: planned.map(|trials| trials.saturating_mul(last)),
        time: search.limit.time,
    }
}

/// The share of the population that gives its place up after each interval but the last, as far as `limit.trials` allows.
fn forks(spec: &Spec, members: u64) -> Option<u64> {
    let search = spec.search.as_ref()?;
    let SchedulerKind::Pbt {
        interval, quantile, ..
    } = search.scheduler
    else {
        return None;
    };
    let share = (members as f64 * quantile.get()) as u64;
    let share = share.max(1).min(members / 2);
    let ends = spec.budget().saturating_sub(1) / interval.max(1);
    let room = search
        .limit
        .trials
        .map(|most| u64::from(most).saturating_sub(members));
    Some(share.saturating_mul(ends).min(room.unwrap_or(u64::MAX)))
}
