//! H3: what the samplers find on functions without tables: BBOB in 5, 10 and 20 dimensions, within 100 trials a dimension.

use std::sync::Mutex;

use anyhow::{Context, bail};
use bonfire_domain::search::{
    Assignment, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Space, Suggestion,
    Value,
};

use super::bbob::{FUNCTIONS, Problem};
use super::optuna::Optuna;
use crate::figure::Settings;
use crate::row::{Row, load};

/// Trials a dimension.
const TRIALS: u32 = 100;
const DIMENSIONS: [usize; 3] = [5, 10, 20];
const INSTANCES: u32 = 5;
/// Instances for peers.
const INSTANCES_FEW: u32 = 3;
/// How far above the optimum a value may be to hit target k: 10^(2 - k / 5).
const TARGETS: u32 = 51;
const UNIT: &str = "area";

/// Ours, and what rows call it.
const OURS: [(SamplerKind, &str); 4] = [
    (SamplerKind::Cmaes, "cmaes"),
    (SamplerKind::Random, "random"),
    (SamplerKind::Tpe, "tpe"),
    (SamplerKind::Auto, "auto"),
];

/// H3: the area under the fraction of targets hit over the logarithm of trials, mean over functions and instances.
///
/// # Errors
/// If a search ends early, or the peer fails.
pub fn areas(_settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let mut rows = Vec::new();
    for dimension in DIMENSIONS {
        let with_peers = dimension <= 10;
        let tpe = with_peers
            .then(|| beside("tpe", dimension))
            .transpose()?
            .flatten();
        let cma = with_peers
            .then(|| beside("cma", dimension))
            .transpose()?
            .flatten();
        for (kind, name) in OURS {
            let run = |problem: &Problem, seed: u64| search(kind, problem, seed);
            let own = areas_of(dimension, INSTANCES, run)?;
            let peer = match kind {
                SamplerKind::Cmaes => cma.as_ref().map(|areas| ("Optuna CMA-ES", areas)),
                SamplerKind::Tpe | SamplerKind::Auto => {
                    tpe.as_ref().map(|areas| ("Optuna TPE", areas))
                }
                _ => None,
            };
            let row = row(name, dimension, &own, peer, before.max(load()));
            eprintln!("  {}", row.json());
            rows.push(row);
        }
    }
    Ok(rows)
}

/// By function, an area an instance.
type Areas = Vec<Vec<f64>>;

fn row(name: &str, dimension: usize, own: &Areas, peer: Option<(&str, &Areas)>, load: f64) -> Row {
    let goal = if name == "auto" { "H3" } else { "H3b" };
    let mut row = Row::alone(
        format!("{goal} {name}, {dimension} dimensions, area under the targets hit"),
        UNIT,
        &[mean(own, usize::MAX)],
        load,
    );
    row.runs = own.iter().map(Vec::len).sum();
    if let Some((peer, theirs)) = peer {
        let few = INSTANCES_FEW as usize;
        let (ours, theirs) = (mean(own, few), mean(theirs, few));
        row.peer = Some(peer.to_owned());
        row.peer_value = Some(theirs);
        row.ratio = (theirs > 0.0).then(|| ours / theirs);
    }
    row
}

/// Over functions and their first instances.
fn mean(areas: &Areas, instances: usize) -> f64 {
    let of = |areas: &Vec<f64>| {
        let first = &areas[..areas.len().min(instances)];
        first.iter().sum::<f64>() / first.len().max(1) as f64
    };
    areas.iter().map(of).sum::<f64>() / areas.len().max(1) as f64
}

fn beside(sampler: &str, dimension: usize) -> anyhow::Result<Option<Areas>> {
    let Some(optuna) = Optuna::find() else {
        return Ok(None);
    };
    let trials = TRIALS * dimension as u32;
    let run = |problem: &Problem, seed: u64| optuna.search(sampler, problem, seed, trials);
    areas_of(dimension, INSTANCES_FEW, run).map(Some)
}

/// Runs every function and instance, on as many threads as there are cores. A run gives its values in their order.
fn areas_of(
    dimension: usize,
    instances: u32,
    run: impl Fn(&Problem, u64) -> anyhow::Result<Vec<f64>> + Sync,
) -> anyhow::Result<Areas> {
    let all = (1..=FUNCTIONS).flat_map(|id| (1..=instances).map(move |instance| (id, instance)));
    let jobs = Mutex::new(all);
    let done = Mutex::new(vec![vec![0.0; instances as usize]; FUNCTIONS as usize]);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let work = || -> anyhow::Result<()> {
            loop {
                let job = jobs.lock().unwrap_or_else(|e| e.into_inner()).next();
                let Some((id, instance)) = job else {
                    return Ok(());
                };
                let problem = Problem::new(id, instance, dimension);
                let values = run(&problem, u64::from(instance))
                    .with_context(|| format!("f{id}, instance {instance}"))?;
                let area = area(&values, problem.best(), TRIALS * dimension as u32);
                let mut done = done.lock().unwrap_or_else(|e| e.into_inner());
                done[id as usize - 1][instance as usize - 1] = area;
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(ended) => ended?,
                Err(_) => bail!("a run of BBOB panicked"),
            }
        }
        Ok(())
    })?;
    Ok(done.into_inner().unwrap_or_else(|e| e.into_inner()))
}

/// The share of targets hit after each number of trials, averaged over the logarithm of that number from 1 to `most`.
fn area(values: &[f64], best: f64, most: u32) -> f64 {
    let whole = f64::from(most).ln();
    let (mut area, mut hit, mut least) = (0.0, 0, f64::INFINITY);
    for (trials, value) in (1..).zip(values) {
        least = least.min(value - best);
        while hit < TARGETS && least <= 10f64.powf(2.0 - f64::from(hit) / 5.0) {
            area += 1.0 - f64::from(trials).ln() / whole;
            hit += 1;
        }
    }
    area / f64::from(TARGETS)
}

fn search(kind: SamplerKind, problem: &Problem, seed: u64) -> anyhow::Result<Vec<f64>> {
    let parameter = |i| Parameter {
        name: format!("x{i:02}"),
        range: Range::Real {
            min: -5.0,
            max: 5.0,
            log: false,
        },
        when: vec![],
    };
    let space = Space::new((0..problem.dimension()).map(parameter).collect());
    let space = space.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let mut sampler = Sampler::new(kind, space, Goal::Minimize, seed)?;
    let mut values = Vec::new();
    for number in 0..TRIALS * problem.dimension() as u32 {
        let Suggestion::Trial(parameters) = sampler.suggest(number) else {
            bail!("the search ended at trial {number}");
        };
        let value = problem.evaluate(&coordinates(&parameters));
        values.push(value);
        let at = 1;
        sampler.observe(&Event::Created { number, parameters });
        sampler.observe(&Event::Observed { number, at, value });
        let ending = Ending::Completed;
        sampler.observe(&Event::Ended { number, ending });
    }
    Ok(values)
}

fn coordinates(parameters: &Assignment) -> Vec<f64> {
    parameters.values().filter_map(Value::as_f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_that_under_a_staircase() {
        // All targets at once, at trial 10 of 100: half of the logarithmic axis is left.
        let mut values = vec![1e3; 9];
        values.push(0.0);
        assert!((area(&values, 0.0, 100) - 0.5).abs() < 1e-12);
        // The first target alone, at the first trial.
        assert!((area(&[100.0], 0.0, 100) - 1.0 / 51.0).abs() < 1e-12);
        assert_eq!(area(&[100.1], 0.0, 100), 0.0);
        assert!((area(&[5.0 + 1e-8], 5.0, 100) - 1.0).abs() < 0.05);
    }

    #[test]
    fn every_sampler_searches_every_function() {
        for (kind, ..) in OURS.iter().take(2) {
            let problem = Problem::new(8, 1, 2);
            let values = search(*kind, &problem, 1);
            assert!(values.is_ok_and(|values| values.len() == 200));
        }
    }
}
