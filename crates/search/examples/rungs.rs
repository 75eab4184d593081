//! What a search with rungs finds for its cost: samplers and schedulers on made-up learning curves, a fleet of eight on a
//! virtual clock.
//!
//! `cargo run --release -p bonfire-search --example rungs [SEEDS]` prints, for each scheduler and sampler, the regret of the
//! best trial at the last rung after 8, 16, 32 and 64 whole trainings' worth of epochs, as a share of the median
//! configuration's.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Mutex;

use bonfire_search::{
    Alike, Assignment, Event, Goal, Parameter, Range, Sampler, SamplerKind, Scheduler,
    SchedulerKind, Space, Suggestion, Value, Verdict,
};

#[path = "tables/known.rs"]
mod known;

const MAX: u64 = 27;
const WORKERS: usize = 8;
const BUDGETS: [u64; 4] = [8, 16, 32, 64];

fn real(name: &str, min: f64, max: f64, log: bool) -> Parameter {
    let range = Range::Real { min, max, log };
    Parameter {
        name: name.into(),
        range,
        when: vec![],
    }
}

fn integer(name: &str, min: i64, max: i64, log: bool) -> Parameter {
    let range = Range::Integer { min, max, log };
    Parameter {
        name: name.into(),
        range,
        when: vec![],
    }
}

fn choice(name: &str, values: &[&str]) -> Parameter {
    let values = values.iter().map(|v| Value::Text((*v).into())).collect();
    let range = Range::Choice {
        values,
        alike: Alike::None,
    };
    Parameter {
        name: name.into(),
        range,
        when: vec![],
    }
}

/// A function to search, and what its curves look like.
struct Task {
    name: &'static str,
    space: Space,
    /// The value after all epochs.
    value: fn(&Assignment) -> f64,
    /// From 0 to 1, how slowly a configuration learns; in which way that goes with its value is the task's own.
    slowness: fn(&Assignment) -> f64,
    noise: f64,
}

fn number(point: &Assignment, name: &str) -> f64 {
    point[name].as_f64().unwrap()
}

/// The place in its range of a parameter that counts in logarithms.
fn log_share(point: &Assignment, name: &str, min: f64, max: f64) -> f64 {
    libm::log(number(point, name) / min) / libm::log(max / min)
}

fn branin(point: &Assignment) -> f64 {
    known::branin(number(point, "x"), number(point, "y")) - known::BRANIN_LEAST
}

fn hartmann(point: &Assignment) -> f64 {
    let x: Vec<f64> = point.values().filter_map(Value::as_f64).collect();
    known::hartmann(&x) - known::HARTMANN_LEAST
}

/// A network's error: a valley of learning rates that moves with the optimiser and the width, a cliff above it.
fn network(point: &Assignment) -> f64 {
    let lr = log_share(point, "lr", 1e-5, 1.0);
    let decay = log_share(point, "decay", 1e-6, 1e-1);
    let width = log_share(point, "width", 16.0, 1024.0);
    let depth = number(point, "depth") - 4.0;
    let dropout = number(point, "dropout") - 0.2;
    let (middle, floor) = match &point["optimizer"] {
        Value::Text(kind) if kind == "adamw" => (0.42, 0.0),
        Value::Text(kind) if kind == "sgd" => (0.75, 0.03),
        _ => (0.55, 0.08),
    };
    let off = lr - middle + 0.15 * (width - 0.5);
    let cliff = if off > 0.18 { 0.4 } else { 0.0 };
    floor
        + 2.5 * off * off
        + cliff
        + 0.2 * (decay - 0.6) * (decay - 0.6)
        + 0.15 * (0.9 - width).max(0.0)
        + 0.01 * depth * depth * (1.2 - width)
        + 0.3 * dropout * dropout * (0.5 + width)
}

fn digest(point: &Assignment) -> f64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in format!("{point:?}").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

fn tasks() -> Vec<Task> {
    let unit: Vec<Parameter> = (0..6)
        .map(|i| real(&format!("x{i}"), 0.0, 1.0, false))
        .collect();
    let plane = || {
        Space::new(vec![
            real("x", -5.0, 10.0, false),
            real("y", 0.0, 15.0, false),
        ])
        .unwrap()
    };
    let cube = Space::new(unit).unwrap();
    let net = || {
        Space::new(vec![
            real("lr", 1e-5, 1.0, true),
            real("decay", 1e-6, 1e-1, true),
            integer("width", 16, 1024, true),
            integer("depth", 1, 8, false),
            real("dropout", 0.0, 0.6, false),
            choice("optimizer", &["adamw", "sgd", "rmsprop"]),
        ])
        .unwrap()
    };
    vec![
        Task {
            name: "branin, curves at random",
            space: plane(),
            value: branin,
            slowness: digest,
            noise: 0.02,
        },
        Task {
            name: "branin, slow to the right",
            space: plane(),
            value: branin,
            slowness: |p| (number(p, "x") + 5.0) / 15.0,
            noise: 0.02,
        },
        Task {
            name: "hartmann 6, curves at random",
            space: cube.clone(),
            value: hartmann,
            slowness: digest,
            noise: 0.02,
        },
        Task {
            name: "hartmann 6, slow where x5 is high",
            space: cube,
            value: hartmann,
            slowness: |p| number(p, "x5"),
            noise: 0.02,
        },
        Task {
            name: "network, curves at random",
            space: net(),
            value: network,
            slowness: digest,
            noise: 0.02,
        },
        Task {
            // Small rates and wide networks learn slowly: what is good in the end looks bad at first.
            name: "network, small rates learn slowly",
            space: net(),
            value: network,
            slowness: |p| {
                (0.7 * (1.0 - log_share(p, "lr", 1e-5, 1.0))
                    + 0.6 * log_share(p, "width", 16.0, 1024.0))
                .min(1.0)
            },
            noise: 0.02,
        },
    ]
}

/// The median configuration's value.
fn median(task: &Task) -> f64 {
    let random = Sampler::new(SamplerKind::Random, task.space.clone(), Goal::Minimize, 99).unwrap();
    let mut values: Vec<f64> = (0..2_001)
        .filter_map(|n| match random.suggest(n) {
            Suggestion::Trial(point) => Some((task.value)(&point)),
            Suggestion::Exhausted { .. } => None,
        })
        .collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// From the median's value towards the point's own: at the last epoch it is there, noise aside.
fn curve(task: &Task, median: f64, point: &Assignment, epoch: u64, seed: u64) -> f64 {
    let own = (task.value)(point);
    let share = epoch as f64 / MAX as f64;
    let speed = libm::pow(share, 0.05 + 0.75 * (task.slowness)(point));
    let start = 2.0 * median;
    let mut salted = point.clone();
    salted.insert("~".into(), Value::Int((seed * 1_000 + epoch) as i64));
    let noise = task.noise * median * (digest(&salted) - 0.5) * (1.0 - share);
    start + (own - start) * speed + noise
}

struct Setting {
    scheduler: &'static str,
    sampler: SamplerKind,
}

/// Regret after each budget.
fn run(task: &Task, setting: &Setting, seed: u64) -> Vec<f64> {
    let median = median(task);
    let (min, max, eta) = (1, MAX, 3);
    let kind = match setting.scheduler {
        "asha" => SchedulerKind::Asha { min, max, eta },
        "hyperband" => SchedulerKind::Hyperband { min, max, eta },
        "pasha" => SchedulerKind::Pasha { min, max, eta },
        "bohb" => SchedulerKind::Bohb { min, max, eta },
        _ => SchedulerKind::None,
    };
    let mut scheduler = Scheduler::new(kind, Goal::Minimize, MAX).unwrap();
    let sampler = Sampler::new(setting.sampler, task.space.clone(), Goal::Minimize, seed).unwrap();
    let mut sampler = sampler.under(&scheduler).unwrap();
    let mut points: BTreeMap<u32, (Assignment, u64)> = BTreeMap::new();
    let mut running: BinaryHeap<Reverse<(u64, u32, u64)>> = BinaryHeap::new();
    let (mut clock, mut used) = (0, 0);
    let mut best = f64::INFINITY;
    let mut best_seen = f64::INFINITY;
    let mut regrets = Vec::new();
    loop {
        while running.len() < WORKERS {
            let (number, until) = if let Some(promotion) = scheduler.promotable() {
                scheduler.promoted(promotion.number);
                (promotion.number, promotion.until)
            } else {
                let number = points.len() as u32;
                let Suggestion::Trial(parameters) = sampler.suggest(number) else {
                    panic!()
                };
                points.insert(number, (parameters.clone(), 0));
                let event = Event::Created { number, parameters };
                sampler.observe(&event);
                scheduler.observe(&event);
                (number, scheduler.first_until(number))
            };
            let done = points[&number].1;
            // A little apart, so that the fleet does not move in step.
            let ticks = (until - done) * (90 + u64::from(number * 7 % 21));
            running.push(Reverse((clock + ticks, number, until)));
        }
        let Reverse((now, number, until)) = running.pop().unwrap();
        clock = now;
        let (point, done) = points.get_mut(&number).unwrap();
        for at in *done + 1..=until {
            let value = curve(task, median, point, at, seed);
            let event = Event::Observed { number, at, value };
            sampler.observe(&event);
            if at == MAX && value < best_seen {
                best_seen = value;
                best = (task.value)(point);
            }
            if scheduler.observe(&event) == Verdict::Continue && at == MAX {
                let event = Event::Ended {
                    number,
                    ending: bonfire_search::Ending::Completed,
                };
                sampler.observe(&event);
                scheduler.observe(&event);
            }
        }
        used += until - *done;
        *done = until;
        while regrets.len() < BUDGETS.len() && used >= BUDGETS[regrets.len()] * MAX {
            regrets.push((best.min(median) / median).max(0.0));
        }
        if regrets.len() == BUDGETS.len() {
            return regrets;
        }
    }
}

fn main() {
    let seeds: u64 = std::env::args().nth(1).map_or(10, |n| n.parse().unwrap());
    let which = std::env::args().nth(2).unwrap_or_default();
    let mut settings = Vec::new();
    for scheduler in ["none", "asha", "hyperband", "bohb"] {
        for sampler in [SamplerKind::Random, SamplerKind::Tpe, SamplerKind::Auto] {
            if scheduler != "bohb" || sampler == SamplerKind::Tpe {
                settings.push(Setting { scheduler, sampler });
            }
        }
    }
    let tasks = tasks();
    for setting in &settings {
        let text = format!("{} {:?}", setting.scheduler, setting.sampler);
        if !text.contains(&which) {
            continue;
        }
        let regrets = regrets(&tasks, setting, seeds);
        let mean =
            |budget: usize| regrets.iter().map(|r| r[budget]).sum::<f64>() / tasks.len() as f64;
        println!(
            "{text:18} {:.4} {:.4} {:.4} {:.4}",
            mean(0),
            mean(1),
            mean(2),
            mean(3)
        );
        for (task, regrets) in tasks.iter().zip(regrets) {
            println!("    {:36} {regrets:.4?}", task.name);
        }
    }
}

/// The mean over seeds, by task and budget.
fn regrets(tasks: &[Task], setting: &Setting, seeds: u64) -> Vec<Vec<f64>> {
    let jobs = (0..tasks.len()).flat_map(|task| (0..seeds).map(move |seed| (task, seed)));
    let jobs = Mutex::new(jobs);
    let sums = Mutex::new(vec![vec![0.0; BUDGETS.len()]; tasks.len()]);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some((task, seed)) = jobs.lock().unwrap().next() else {
                        return;
                    };
                    let regrets = run(&tasks[task], setting, seed);
                    let mut sums = sums.lock().unwrap();
                    for (sum, regret) in sums[task].iter_mut().zip(regrets) {
                        *sum += regret / seeds as f64;
                    }
                }
            });
        }
    });
    sums.into_inner().unwrap()
}
