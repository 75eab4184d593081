//! What must hold midway and at rest.

use std::collections::BTreeSet;

use bonfire_domain::cluster::{Sweep, Trial, TrialState};
use bonfire_domain::search::{Assignment, SchedulerKind, explore};
use bonfire_domain::spec::ModelSpec;
use bonfire_domain::{Cluster, Digest, Suggester, SweepId};

use crate::executor::objective;
use crate::world::World;

/// Whether every submitted sweep has ended and every worker has nothing left to say.
pub(crate) fn is_over(world: &World<'_>) -> bool {
    let Some(node) = &world.node else {
        return false;
    };
    let quiet = world.queue.now() > world.scenario.faults.until_ms;
    let submitted = world.acknowledged.len() == world.specs.len();
    let ended = node.cluster().sweeps().all(|s| s.state.is_terminal());
    let blobs = node.cluster().blobs();
    let clean = blobs.garbage().is_empty() && blobs.condemned().is_empty();
    let idle = world.workers.iter().all(|w| w.session.is_idle());
    quiet && submitted && ended && clean && idle
}

/// What has not ended, for a run that does not end.
pub(crate) fn standing(world: &World<'_>) -> String {
    let Some(node) = &world.node else {
        return "the node is down".to_owned();
    };
    let mut text = String::new();
    for sweep in node.cluster().sweeps() {
        text.push_str(&format!(
            "{} is {:?} with {:?}; ",
            sweep.name,
            sweep.state,
            sweep.counts()
        ));
    }
    for worker in &world.workers {
        let idle = worker.session.is_idle();
        text.push_str(&format!("worker {} idle {idle}; ", worker.id.0));
    }
    text
}

/// Checks every second of virtual time.
pub(crate) fn midway(world: &World<'_>) -> Result<(), String> {
    world.check_cluster()?;
    let Some(node) = &world.node else {
        return Ok(());
    };
    let cluster = node.cluster();
    for name in &world.acknowledged {
        if cluster.sweep_named(name).is_none() {
            return Err(format!("I1: acknowledged sweep {name} is gone"));
        }
    }
    for sweep in cluster.sweeps() {
        for trial in sweep.live() {
            let source = sweep.scheduler().source(trial.number);
            let has = |epoch| trial.checkpoints.iter().any(|c| c.epoch == epoch);
            if source.is_some_and(|epoch| !has(epoch)) {
                let label = sweep.label_of(trial.number);
                return Err(format!("I9: what forks of {label} go on from is gone"));
            }
        }
    }
    for (digest, _) in cluster.blobs().referenced() {
        if !world.store.contains(digest) {
            return Err(format!(
                "I9: referenced blob {digest:?} is not in the store"
            ));
        }
    }
    Ok(())
}

/// Checks after the end.
pub(crate) fn at_rest(world: &mut World<'_>) -> Result<(), String> {
    midway(world)?;
    let Some(node) = &world.node else {
        return Err("the node is down at rest".to_owned());
    };
    let cluster = node.cluster();
    check_results(world, cluster)?;
    let decoded = Cluster::decode(&cluster.encode()).map_err(|e| format!("I16: {e}"))?;
    if decoded != *cluster {
        return Err("I16: the state after a snapshot differs".to_owned());
    }
    for worker in &world.workers {
        if worker.slots.iter().any(|e| e.run.is_some()) {
            return Err(format!("worker {} still runs something", worker.id.0));
        }
    }
    for sweep in cluster.sweeps() {
        let limit = sweep.spec.search.as_ref().and_then(|s| s.limit.trials);
        let kind = sweep.scheduler().kind();
        // How many forks there are is the weather's affair; of each member one comes to the end.
        let whole = match kind.population() {
            None => limit == Some(sweep.next),
            Some(members) => {
                limit >= Some(sweep.next) && sweep.count(TrialState::Completed) == members
            }
        };
        if !whole {
            let (name, made, counts) = (&sweep.name, sweep.next, sweep.counts());
            return Err(format!("{name} made {made} trials: {counts:?}"));
        }
        let is_pruned = |number: &u32| {
            let trial = sweep.trial(*number);
            trial.is_some_and(|trial| trial.state == TrialState::Pruned)
        };
        if let Some(number) = sweep.scheduler().owed().iter().find(|n| is_pruned(n)) {
            let name = &sweep.name;
            return Err(format!(
                "{name}/{number} is among the best of its rung and was not promoted"
            ));
        }
        let stops = matches!(
            kind,
            SchedulerKind::Median { .. } | SchedulerKind::Plateau { .. }
        );
        for trial in sweep.trials() {
            let full = trial.epochs() == sweep.spec.budget();
            // One that was told to stop says why: a plateau completes it early, and a median's verdict may find it at its
            // end, on a worker that died before it could say so. So may a recall.
            let recalled = trial.state == TrialState::Pruned
                && trial
                    .reason
                    .as_deref()
                    .is_some_and(|r| r.contains("its turn did not come"));
            let stopped = (stops && trial.reason.is_some()) || recalled;
            if (trial.state == TrialState::Completed) != full && !stopped {
                let (number, state) = (trial.number, trial.state);
                return Err(format!(
                    "{}/{number} is {state:?} with full={full}",
                    sweep.name
                ));
            }
        }
        world.report.trials += sweep.next;
        let forks = sweep.trials().iter().filter(|t| t.parent.is_some()).count();
        world.report.forks += forks as u32;
    }
    leaked(world)
}

/// Every blob in the store is referenced, but for uploads that no command ever named.
fn leaked(world: &World<'_>) -> Result<(), String> {
    let Some(node) = &world.node else {
        return Ok(());
    };
    let named: BTreeSet<Digest> = node
        .cluster()
        .blobs()
        .referenced()
        .map(|(d, _)| *d)
        .collect();
    let orphans = world.store.iter().filter(|d| !named.contains(d)).count() as u64;
    // A publication that was fenced leaves at most its own upload behind, for the sweep of orphans.
    let fenced = u64::from(world.report.attempts) * 9;
    if orphans > fenced {
        return Err(format!("{orphans} blobs leaked, {fenced} can be orphans"));
    }
    Ok(())
}

/// I6 and I10: parameters are those the sampler gives to an undisturbed run, values those the trial computes. A sampler that
/// looks at results has no undisturbed run: they come in another order.
fn check_results(world: &World<'_>, cluster: &Cluster) -> Result<(), String> {
    for sweep in cluster.sweeps() {
        let mut reference = Suggester::new();
        reference.add_sweep(SweepId(0), &sweep.spec, sweep.sources());
        let (expected, _) = reference.suggest(SweepId(0), 0, sweep.next);
        let looks = sweep.spec.sampler().is_some_and(|s| s.looks_at_results());
        let known = world.acknowledged.contains(&sweep.name) && !looks;
        for (trial, parameters) in sweep.trials().iter().zip(&expected) {
            let label = sweep.label_of(trial.number);
            let forked = explored(sweep, trial)?;
            let parameters = forked.as_ref().unwrap_or(parameters);
            if known && trial.parameters != *parameters {
                return Err(format!("I10: {label} has other parameters"));
            }
            let spec = sweep.spec.with(&trial.parameters);
            let Ok(ModelSpec::Noop { x, .. }) = spec.map(|s| s.model) else {
                return Err(format!("{label} has no spec"));
            };
            let mut last = trial.parent.map_or(0, |(_, step)| step);
            for seen in &trial.observations {
                if seen.value != objective(x, seen.epoch) {
                    return Err(format!("I6: {label} has a wrong value at {}", seen.epoch));
                }
                if seen.epoch != last + 1 {
                    return Err(format!("I6: {label} misses epoch {}", last + 1));
                }
                last = seen.epoch;
            }
        }
    }
    Ok(())
}

/// What a fork's parameters follow from: its parent's, the seed and its number.
fn explored(sweep: &Sweep, trial: &Trial) -> Result<Option<Assignment>, String> {
    let (Some((number, epoch)), Some(search)) = (trial.parent, &sweep.spec.search) else {
        return Ok(None);
    };
    let label = sweep.label_of(trial.number);
    let parent = sweep.trial(number).filter(|_| number < trial.number);
    let parent = parent.ok_or_else(|| format!("{label} has no parent"))?;
    // The parent may itself have ended where it was forked, never before.
    let reached = parent
        .parent
        .map_or(0, |(_, step)| step)
        .max(parent.epochs());
    if reached < epoch {
        return Err(format!("{label} was forked from what never was"));
    }
    let (kind, space) = (search.scheduler, &search.space);
    let made = explore(
        kind,
        space,
        |_| false,
        &parent.parameters,
        search.seed,
        trial.number,
    );
    Ok(made)
}
