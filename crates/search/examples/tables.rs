//! How soon samplers find the top of tables of known results, on tables made up in the manner of those of
//! hyperparameter search: parameters that matter to different degrees, interactions, cliffs, plateaus, several optima,
//! heavy tails, noise frozen into the table.
//!
//! `cargo run --release -p bonfire-search --example tables [GROUP] [SAMPLER] [SEEDS] [TRIALS] [FIRST] [INSTANCES] [WORKERS]`: the group
//! `tuned`, `unseen`, `all` for both, `further` for three more, or functions: `smooth`, `wide` (20 and 40 parameters), `bent` (most
//! happens at an end), `alike` (values with distances) and `failing`. Choices have been made on
//! `tuned` from instance 0 on and on `all` from 110 to 147; `unseen` from 100 on, `all` from 200 on and `further` from 200 on
//! have been looked at once each. It prints, by family, the share of runs that found one of the best 0.1 % after 33, 66 and 133
//! trials, and the regret after 50, 100 and 200 as a share of the median configuration's.
// It measures: it prints and looks at the clock, which the library may not, and a panic is how it fails.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use std::time::Instant;

use bonfire_search::{
    Alike, Assignment, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Space,
    Suggestion, Value,
};

#[path = "tables/failing.rs"]
mod failing;
#[path = "tables/families.rs"]
mod families;
#[path = "tables/further.rs"]
mod further;
#[path = "tables/known.rs"]
mod known;
#[path = "tables/smooth.rs"]
mod smooth;

const EARLY: [usize; 3] = [33, 66, 133];
const MARKS: [usize; 3] = [50, 100, 200];

/// What is searched, and how good its points are.
pub struct Task {
    pub family: &'static str,
    pub space: Space,
    /// No number where a trial fails.
    pub value: Box<dyn Fn(&Assignment) -> f64>,
    pub best: f64,
    pub median: f64,
    /// The worst value of the best 0.1 %.
    pub top: f64,
}

pub fn parameter(name: String, range: Range) -> Parameter {
    let when = vec![];
    Parameter { name, range, when }
}

/// Losses in the order of trials, with the seconds that suggestions took. So many trials run at a time, and end in that order.
fn run(
    task: &Task,
    kind: SamplerKind,
    seed: u64,
    trials: usize,
    workers: usize,
) -> (Vec<f64>, f64) {
    let mut sampler = Sampler::new(kind, task.space.clone(), Goal::Minimize, seed).unwrap();
    let mut losses = Vec::new();
    let began = Instant::now();
    for number in 0..trials as u32 {
        let Suggestion::Trial(parameters) = sampler.suggest(number) else {
            break;
        };
        let value = (task.value)(&parameters);
        losses.push(value);
        sampler.observe(&Event::Created { number, parameters });
        if let Some(done) = (number as usize + 1).checked_sub(workers) {
            let (number, at, value) = (done as u32, 1, losses[done]);
            let ending = match value.is_nan() {
                true => Ending::Failed,
                false => Ending::Completed,
            };
            sampler.observe(&Event::Observed { number, at, value });
            sampler.observe(&Event::Ended { number, ending });
        }
    }
    (losses, began.elapsed().as_secs_f64())
}

/// Sums over the runs of a family, or of all.
#[derive(Clone, Copy, Default)]
struct Sums {
    runs: f64,
    top: [f64; 3],
    regret: [f64; 3],
    seconds: f64,
}

impl Sums {
    fn add(&mut self, task: &Task, losses: &[f64], seconds: f64) {
        let best_after = |trials: usize| {
            let losses = losses.iter().take(trials);
            losses.fold(f64::INFINITY, |a, b| a.min(*b))
        };
        self.runs += 1.0;
        self.seconds += seconds;
        for i in 0..3 {
            self.top[i] += f64::from(u8::from(best_after(EARLY[i]) <= task.top));
            self.regret[i] += (best_after(MARKS[i]) - task.best) / (task.median - task.best);
        }
    }

    fn print(&self, name: &str) {
        let n = self.runs;
        let [a, b, c] = self.top.map(|sum| sum / n);
        let [d, e, f] = self.regret.map(|sum| sum / n);
        let seconds = self.seconds / n;
        println!(
            "{name:12} top {a:.3} {b:.3} {c:.3}  regret {d:.4} {e:.4} {f:.4}  {seconds:.2} s a run"
        );
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let group = arguments.next().unwrap_or("tuned".into());
    let kind = match arguments.next().as_deref() {
        Some("tpe") => SamplerKind::Tpe,
        Some("gp") => SamplerKind::Gp,
        Some("cmaes") => SamplerKind::Cmaes,
        Some("random") => SamplerKind::Random,
        _ => SamplerKind::Auto,
    };
    let mut next = |default: usize| arguments.next().map_or(default, |n| n.parse().unwrap());
    let (seeds, trials) = (next(10) as u64, next(200));
    let first = match &*group {
        "unseen" => 100,
        "all" | "further" => 200,
        _ => 0,
    };
    let first = next(first) as u64;
    let instances = first..first + next(3) as u64;
    let workers = next(1).max(1);
    let of = |families| families::tasks(families, instances.clone());
    let tasks = match &*group {
        "smooth" => smooth::tasks(),
        "wide" => smooth::wide_tasks(),
        "bent" => smooth::bent_tasks(),
        "alike" => smooth::alike_tasks(),
        "failing" => failing::tasks(),
        "unseen" => of(&families::UNSEEN[..]),
        "all" => [&families::TUNED[..], &families::UNSEEN]
            .map(of)
            .into_iter()
            .flatten()
            .collect(),
        "further" => of(&further::FURTHER),
        _ => of(&families::TUNED),
    };
    let (mut all, mut of_family) = (Sums::default(), Sums::default());
    for (i, task) in tasks.iter().enumerate() {
        for seed in 1..=seeds {
            let (losses, seconds) = run(task, kind, seed, trials, workers);
            for sums in [&mut all, &mut of_family] {
                sums.add(task, &losses, seconds);
            }
        }
        if tasks
            .get(i + 1)
            .is_none_or(|next| next.family != task.family)
        {
            of_family.print(task.family);
            of_family = Sums::default();
        }
    }
    all.print("all");
    let deviation = |share: f64| libm::sqrt(share * (1.0 - share) / all.runs);
    let [a, b, c] = all.top.map(|sum| deviation(sum / all.runs));
    println!(
        "{} runs, standard errors of the shares {a:.3} {b:.3} {c:.3}",
        all.runs
    );
}

/// Numbers by chance.
///
/// Source: Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators.
pub struct SplitMix(pub u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// Both ends included.
    pub fn count(&mut self, from: usize, to: usize) -> usize {
        from + (self.next() % (to - from + 1) as u64) as usize
    }

    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }
}

/// The task of a table: every point's value is worked out.
///
/// - `axes`: how many values each parameter has, and whether they are ordered.
/// - `noise`: its deviation, as a share of the distance from the median to the best without it.
/// - `step`: values are rounded up to multiples of such a share of that distance, as accuracies on a small set are; 0 for none.
pub fn table(
    family: &'static str,
    axes: &[(usize, bool)],
    value: impl Fn(&[usize]) -> f64,
    (noise, step): (f64, f64),
    random: &mut SplitMix,
) -> Task {
    let size = axes.iter().map(|(count, _)| count).product();
    let mut values = Vec::with_capacity(size);
    let mut at = vec![0; axes.len()];
    for _ in 0..size {
        values.push(value(&at));
        for (digit, (count, _)) in at.iter_mut().zip(axes).rev() {
            *digit = (*digit + 1) % count;
            if *digit > 0 {
                break;
            }
        }
    }
    let (best, _, median) = marks(&values);
    let unit = median - best;
    for value in &mut values {
        *value += noise * unit * random.normal();
        if step > 0.0 {
            *value = libm::ceil((*value - best) / (step * unit)) * step * unit + best;
        }
    }
    let (best, top, median) = marks(&values);
    let parameters = axes.iter().enumerate().map(|(i, (count, ordered))| {
        let values = (0..*count as i64).map(Value::Int).collect();
        let alike = Alike::neighbours(*ordered);
        parameter(format!("p{i:02}"), Range::Choice { values, alike })
    });
    let space = Space::new(parameters.collect()).unwrap();
    let axes = axes.to_vec();
    let look_up = move |point: &Assignment| {
        let digits = point.values().zip(&axes);
        let place = digits.fold(0, |place, (digit, (count, _))| {
            place * count + digit.as_f64().unwrap() as usize
        });
        values[place]
    };
    Task {
        family,
        space,
        value: Box::new(look_up),
        best,
        median,
        top,
    }
}

/// The best, the worst of the best 0.1 %, the median.
fn marks(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let top = sorted.len().div_ceil(1_000) - 1;
    (sorted[0], sorted[top], sorted[sorted.len() / 2])
}
