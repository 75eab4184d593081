//! What a search of several objectives finds: samplers on functions whose front is known.
//!
//! `cargo run --release -p bonfire-search --example fronts [SEEDS [SAMPLER [WORKERS [TRIALS]]]]` prints, for each sampler, how much of the
//! known front's hypervolume is missing after 50, 100 and 200 trials, as a share of it, and the time of one suggestion. `SAMPLER` is a
//! list such as `Gp,Nsga2`; `optuna-nsga2`, `optuna-tpe` and `optuna-gp` are Optuna's, with the interpreter that `PYTHON` names.
// It measures: it prints, looks at the clock and uses threads, which the library may not, and a panic is how it fails.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bonfire_search::{Assignment, Ending, Event, Goal, Sampler, SamplerKind, Suggestion};

use peer::Peer;
use tasks::{Task, tasks, volume};

mod peer;
mod tasks;

const BUDGETS: [usize; 4] = [50, 100, 200, 500];

/// A draw that belongs to a seed and a trial: the sum of twelve is nearly normal.
fn noise(seed: u64, number: u32) -> f64 {
    let mut sum = -6.0;
    for i in 0..12 {
        let mut hash = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(number) << 8 ^ i;
        for _ in 0..2 {
            hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            hash ^= hash >> 31;
        }
        sum += (hash >> 11) as f64 / (1u64 << 53) as f64;
    }
    sum
}

/// Who suggests.
#[derive(Clone, Copy)]
enum Kind {
    Ours(SamplerKind),
    /// A sampler of Optuna.
    Optuna(&'static str),
}

impl Kind {
    fn name(self) -> String {
        match self {
            Kind::Ours(kind) => format!("{kind:?}"),
            Kind::Optuna(name) => format!("optuna-{name}"),
        }
    }
}

enum Searcher {
    Ours(Box<Sampler>),
    Optuna(Peer),
}

impl Searcher {
    fn start(kind: Kind, task: &Task, seed: u64) -> Searcher {
        let goals = vec![Goal::Minimize; task.reference.len()];
        match kind {
            Kind::Ours(kind) => {
                let sampler = Sampler::new(kind, task.space.clone(), Goal::Minimize, seed).unwrap();
                Searcher::Ours(Box::new(sampler.toward(&goals).unwrap()))
            }
            Kind::Optuna(name) => Searcher::Optuna(Peer::start(task, name, seed)),
        }
    }

    fn suggest(&mut self, number: u32) -> Assignment {
        match self {
            Searcher::Ours(sampler) => match sampler.suggest(number) {
                Suggestion::Trial(parameters) => parameters,
                other => panic!("the space has ended: {other:?}"),
            },
            Searcher::Optuna(peer) => peer.suggest(),
        }
    }

    fn begin(&mut self, number: u32, parameters: Assignment) {
        if let Searcher::Ours(sampler) = self {
            sampler.observe(&Event::Created { number, parameters });
        }
    }

    fn end(&mut self, number: u32, values: Vec<f64>) {
        match self {
            Searcher::Ours(sampler) => {
                let (at, ending) = (1, Ending::Completed);
                sampler.observe(&Event::Several { number, at, values });
                sampler.observe(&Event::Ended { number, ending });
            }
            Searcher::Optuna(peer) => peer.tell(number, &values),
        }
    }
}

struct Setting {
    kind: Kind,
    workers: usize,
    trials: usize,
}

/// What is missing after each budget, and what the last suggestion before it took.
struct Found {
    missing: Vec<f64>,
    cost: Vec<Duration>,
}

fn run(task: &Task, setting: &Setting, seed: u64) -> Found {
    let mut searcher = Searcher::start(setting.kind, task, seed);
    let mut running = VecDeque::new();
    let mut done: Vec<Vec<f64>> = Vec::new();
    let mut found = Found {
        missing: Vec::new(),
        cost: Vec::new(),
    };
    for number in 0.. {
        let start = Instant::now();
        let parameters = searcher.suggest(number);
        let cost = start.elapsed();
        let values = (task.values)(&parameters);
        searcher.begin(number, parameters);
        running.push_back((number, values));
        if running.len() < setting.workers {
            continue;
        }
        let (number, values) = running.pop_front().unwrap();
        let mut seen = values.clone();
        seen[0] += task.noise * noise(seed, number);
        searcher.end(number, seen);
        done.push(values);
        if BUDGETS.contains(&done.len()) {
            let missing = 1.0 - volume(&done, &task.reference) / task.volume;
            found.missing.push(missing);
            found.cost.push(cost);
        }
        if done.len() == setting.trials {
            break;
        }
    }
    found
}

fn main() {
    let argument = |n: usize| std::env::args().nth(n);
    let seeds: u64 = argument(1).map_or(2, |n| n.parse().unwrap());
    let which = argument(2).unwrap_or_default();
    let workers = argument(3).map_or(1, |n| n.parse().unwrap());
    let trials = argument(4).map_or(200, |n| n.parse().unwrap());
    let tasks = tasks();
    let ours = [
        SamplerKind::Random,
        SamplerKind::Sobol,
        SamplerKind::Nsga2,
        SamplerKind::Tpe,
        SamplerKind::Gp,
        SamplerKind::Auto,
    ];
    let optuna = ["nsga2", "tpe", "gp"].map(Kind::Optuna);
    for kind in ours.map(Kind::Ours).into_iter().chain(optuna) {
        let text = kind.name();
        let is_wanted = match which.is_empty() {
            true => matches!(kind, Kind::Ours(_)),
            false => which.split(',').any(|name| name == text),
        };
        if !is_wanted {
            continue;
        }
        let setting = Setting {
            kind,
            workers,
            trials,
        };
        let found = all(&tasks, &setting, seeds);
        let mean = |i: usize| found.iter().map(|f| f.0[i]).sum::<f64>() / tasks.len() as f64;
        let means: Vec<f64> = (0..found[0].0.len()).map(mean).collect();
        println!("{text:12} {means:.4?}");
        for (task, (missing, cost)) in tasks.iter().zip(&found) {
            println!("    {:22} {missing:.4?}  ms {cost:.1?}", task.name);
        }
    }
}

/// The means over seeds, by task: what is missing, and the cost in ms.
fn all(tasks: &[Task], setting: &Setting, seeds: u64) -> Vec<(Vec<f64>, Vec<f64>)> {
    let jobs = (0..tasks.len()).flat_map(|task| (0..seeds).map(move |seed| (task, seed)));
    let jobs = Mutex::new(jobs);
    let budgets = BUDGETS
        .iter()
        .filter(|budget| **budget <= setting.trials)
        .count();
    let sums = Mutex::new(vec![(vec![0.0; budgets], vec![0.0; budgets]); tasks.len()]);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some((task, seed)) = jobs.lock().unwrap().next() else {
                        return;
                    };
                    let found = run(&tasks[task], setting, seed);
                    let mut sums = sums.lock().unwrap();
                    let (missing, cost) = &mut sums[task];
                    for (i, (m, c)) in found.missing.iter().zip(&found.cost).enumerate() {
                        missing[i] += m / seeds as f64;
                        cost[i] += c.as_secs_f64() * 1e3 / seeds as f64;
                    }
                }
            });
        }
    });
    sums.into_inner().unwrap()
}
