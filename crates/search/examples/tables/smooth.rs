//! Continuous functions, beside the tables.

use bonfire_search::{
    Alike, Assignment, Condition, Goal, Parameter, Range, Sampler, SamplerKind, Space, Suggestion,
    Value,
};

use super::known::{self, BRANIN_LEAST, HARTMANN_LEAST, hartmann};
use super::{Task, parameter};

pub fn tasks() -> Vec<Task> {
    vec![
        cube("branin", 2, -1.0, branin, BRANIN_LEAST),
        cube("hartmann 6", 6, 0.0, hartmann, HARTMANN_LEAST),
        cube("rosenbrock 5", 5, -1.0, rosenbrock, 0.0),
        cube("ackley 8", 8, -1.0, ackley, 0.0),
        cube("levy 6", 6, -1.0, levy, 0.0),
        conditional(),
    ]
}

/// Where most happens at an end of each range, as without a logarithm that there should be.
pub fn bent_tasks() -> Vec<Task> {
    vec![
        cube(
            "bent branin",
            2,
            0.0,
            |x| branin(&wide(&bent(x))),
            BRANIN_LEAST,
        ),
        cube(
            "bent hartmann",
            6,
            0.0,
            |x| hartmann(&bent(x)),
            HARTMANN_LEAST,
        ),
        cube(
            "bent rosenbrock",
            4,
            0.0,
            |x| rosenbrock(&wide(&bent(x))),
            0.0,
        ),
        cube("bent ackley", 6, 0.0, |x| ackley(&wide(&bent(x))), 0.0),
        cube(
            "bent ellipsoid",
            8,
            0.0,
            |x| ellipsoid(&wide(&bent(x))),
            0.0,
        ),
        cube("rates", 4, 0.0, rates, 0.0),
    ]
}

/// A category whose values have places that are not seen, twice: without a word of that, and with their distances.
pub fn alike_tasks() -> Vec<Task> {
    [("alike, unsaid", false), ("alike, said", true)]
        .map(|(family, said)| alike(family, said))
        .into()
}

fn alike(family: &'static str, said: bool) -> Task {
    const COUNT: usize = 16;
    let place = |i: usize| {
        let (a, b) = (2.4 * i as f64, 0.3 + 0.7 * (i as f64 * 0.618_034).fract());
        (b * libm::cos(a), b * libm::sin(a))
    };
    let distance = move |i: usize, j: usize| {
        let ((a, b), (c, d)) = (place(i), place(j));
        libm::hypot(a - c, b - d)
    };
    let rows = (0..COUNT).map(|i| (0..COUNT).map(|j| distance(i, j)).collect());
    let alike = if said {
        Alike::Apart(rows.collect())
    } else {
        Alike::None
    };
    let values = || (0..COUNT as i64).map(Value::Int).collect();
    let choice = |name: &str| {
        let range = Range::Choice {
            values: values(),
            alike: alike.clone(),
        };
        parameter(name.into(), range)
    };
    let parameters = vec![choice("a"), choice("b"), real("x", 0.0), real("y", 0.0)];
    let value = move |point: &Assignment| {
        let at: Vec<f64> = point.values().filter_map(Value::as_f64).collect();
        let ((a, b), (c, d)) = (place(at[0] as usize), place(at[1] as usize));
        let off = [a - 0.5, b + 0.3, c + 0.4 * a, d - 0.2];
        let lines = [at[2] - 0.4 - 0.3 * a, at[3] - 0.6 + 0.3 * d];
        off.iter().map(|x| x * x).sum::<f64>() + 2.0 * lines.iter().map(|x| x * x).sum::<f64>()
    };
    let best = (0..COUNT * COUNT).map(|i| {
        let ((a, b), (c, d)) = (place(i / COUNT), place(i % COUNT));
        let off = [a - 0.5, b + 0.3, c + 0.4 * a, d - 0.2];
        off.iter().map(|x| x * x).sum::<f64>()
    });
    let best = best.fold(f64::INFINITY, f64::min);
    task(family, Space::new(parameters).unwrap(), value, best)
}

/// From 0 to 1, each coordinate but every third stretched at one end.
fn bent(x: &[f64]) -> Vec<f64> {
    let bend = |(i, x): (usize, &f64)| match i % 3 {
        0 => libm::pow(*x, 0.3),
        1 => 1.0 - libm::pow(1.0 - x, 0.3),
        _ => *x,
    };
    x.iter().enumerate().map(bend).collect()
}

/// From -1 to 1.
fn wide(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| 2.0 * x - 1.0).collect()
}

/// Learning rates and the like, given on a line: decades matter.
fn rates(x: &[f64]) -> f64 {
    let decades = |x: f64| libm::log10(1e-4 + x);
    let off = [
        decades(x[0]) + 2.5,
        decades(x[1]) + 2.0 + 0.3 * (decades(x[0]) + 2.5),
        x[2] - 0.3,
        3.0 * (x[3] - 0.6),
    ];
    libm::log1p(off.iter().map(|off| off * off).sum())
}

/// Of many parameters.
pub fn wide_tasks() -> Vec<Task> {
    vec![
        cube("ellipsoid 20", 20, -1.0, ellipsoid, 0.0),
        cube("turned 20", 20, -1.0, turned, 0.0),
        cube("rosenbrock 20", 20, -1.0, rosenbrock, 0.0),
        cube("ackley 20", 20, -1.0, ackley, 0.0),
        cube("levy 20", 20, -1.0, levy, 0.0),
        cube("rastrigin 20", 20, -1.0, rastrigin, 0.0),
        cube("6 of 40", 40, 0.0, hartmann, HARTMANN_LEAST),
        cube("ackley 40", 40, -1.0, ackley, 0.0),
        mixed(),
    ]
}

/// In logarithms.
fn ellipsoid(x: &[f64]) -> f64 {
    let last = (x.len() - 1) as f64;
    let part = |(i, x): (usize, &f64)| {
        let off = x - 0.3 * libm::sin(i as f64);
        libm::pow(1e3, i as f64 / last) * off * off
    };
    libm::log1p(x.iter().enumerate().map(part).sum())
}

/// The same along other directions: neighbours are mixed.
fn turned(x: &[f64]) -> f64 {
    let n = x.len();
    let mixed = (0..n).map(|i| 0.6 * x[i] + 0.64 * x[(i + 1) % n] - 0.48 * x[(i + 7) % n]);
    ellipsoid(&mixed.collect::<Vec<f64>>())
}

fn rastrigin(x: &[f64]) -> f64 {
    let wave = |x: &f64| {
        let x = 2.0 * (x - 0.17);
        x * x + 1.0 - libm::cos(std::f64::consts::TAU * x)
    };
    x.iter().map(wave).sum()
}

/// Twelve lines, some of which matter in logarithms, five integers, three categories.
fn mixed() -> Task {
    let mut parameters: Vec<Parameter> = (0..12).map(|i| real(&format!("a{i:02}"), 0.0)).collect();
    for i in 0..5 {
        let (min, max, log) = (0, 9, false);
        parameters.push(parameter(format!("b{i}"), Range::Integer { min, max, log }));
    }
    for i in 0..3 {
        let values = (0..4).map(Value::Int).collect();
        let alike = Alike::None;
        parameters.push(parameter(format!("c{i}"), Range::Choice { values, alike }));
    }
    let value = |point: &Assignment| {
        let x: Vec<f64> = point.values().filter_map(Value::as_f64).collect();
        let mut sum = 0.0;
        for i in 0..12 {
            // Half of them matter at one end alone.
            let at = if i % 2 == 0 {
                x[i]
            } else {
                libm::exp(6.0 * (x[i] - 1.0))
            };
            let off = at - 0.2 - 0.05 * i as f64 - 0.1 * x[17 + i % 3];
            sum += off * off * (1.0 + (i % 4) as f64);
        }
        for i in 0..5 {
            let off = x[12 + i] / 9.0 - 0.3 - 0.1 * i as f64;
            sum += 0.5 * off * off;
        }
        for i in 0..3 {
            sum += [0.0, 0.3, 0.1, 0.4][(x[17 + i] as usize + i) % 4];
        }
        libm::log1p(10.0 * sum)
    };
    task("mixed 20", Space::new(parameters).unwrap(), value, 0.0)
}

fn real(name: &str, min: f64) -> Parameter {
    let (max, log) = (1.0, false);
    parameter(name.into(), Range::Real { min, max, log })
}

/// The median is that of 20,001 points drawn evenly, the top one in a thousand of those; points that fail do not count.
pub fn task(
    family: &'static str,
    space: Space,
    value: impl Fn(&Assignment) -> f64 + 'static,
    best: f64,
) -> Task {
    let random = Sampler::new(SamplerKind::Random, space.clone(), Goal::Minimize, 99).unwrap();
    let drawn = (0..20_001).filter_map(|n| match random.suggest(n) {
        Suggestion::Trial(point) => Some(value(&point)),
        Suggestion::Exhausted { .. } => None,
    });
    let mut values: Vec<f64> = drawn.filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    let (top, median) = (values[values.len() / 1_000], values[values.len() / 2]);
    let value = Box::new(value);
    Task {
        family,
        space,
        value,
        best,
        median,
        top,
    }
}

pub fn cube(
    family: &'static str,
    dimensions: usize,
    min: f64,
    value: fn(&[f64]) -> f64,
    best: f64,
) -> Task {
    let parameters = (0..dimensions).map(|i| real(&format!("x{i:02}"), min));
    let space = Space::new(parameters.collect()).unwrap();
    let value = move |point: &Assignment| {
        let x: Vec<f64> = point.values().filter_map(Value::as_f64).collect();
        value(&x)
    };
    task(family, space, value, best)
}

/// From the square from -1 to 1.
pub fn branin(x: &[f64]) -> f64 {
    known::branin(7.5 * x[0] + 2.5, 7.5 * x[1] + 7.5)
}

/// In logarithms; from the cube from -1 to 1.
pub fn rosenbrock(x: &[f64]) -> f64 {
    let valley = |pair: &[f64]| {
        let (a, b) = (2.0 * pair[0], 2.0 * pair[1]);
        100.0 * (b - a * a) * (b - a * a) + (1.0 - a) * (1.0 - a)
    };
    libm::log1p(x.windows(2).map(valley).sum())
}

/// Off the middle, where many searches begin.
pub fn ackley(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let tau = std::f64::consts::TAU;
    let places = || x.iter().map(|x| 5.0 * (x - 0.23));
    let far = libm::sqrt(places().map(|x| x * x).sum::<f64>() / n);
    let waves = places().map(|x| libm::cos(tau * x)).sum::<f64>() / n;
    20.0 - 20.0 * libm::exp(-0.2 * far) + std::f64::consts::E - libm::exp(waves)
}

fn levy(x: &[f64]) -> f64 {
    let w: Vec<f64> = x.iter().map(|x| 1.0 + (10.0 * x - 1.0) / 4.0).collect();
    let sine = |x: f64| libm::sin(std::f64::consts::PI * x);
    let middle = |w: &f64| {
        let wave = sine(*w + 1.0 / std::f64::consts::PI);
        (w - 1.0) * (w - 1.0) * (1.0 + 10.0 * wave * wave)
    };
    let last = w[w.len() - 1];
    let end = sine(2.0 * last);
    let first = sine(w[0]);
    first * first
        + w[..w.len() - 1].iter().map(middle).sum::<f64>()
        + (last - 1.0) * (last - 1.0) * (1.0 + end * end)
}

/// Three branches, each with two parameters of its own, and one parameter of all.
fn conditional() -> Task {
    let mut parameters = vec![
        parameter(
            "kind".into(),
            Range::Choice {
                values: (0..3).map(Value::Int).collect(),
                alike: Alike::None,
            },
        ),
        real("of all", 0.0),
    ];
    for kind in 0..3 {
        for name in ["x", "y"] {
            let when = vec![Condition {
                parameter: "kind".into(),
                any_of: vec![Value::Int(kind)],
            }];
            parameters.push(Parameter {
                when,
                ..real(&format!("{name}{kind}"), 0.0)
            });
        }
    }
    let value = |point: &Assignment| {
        let at = |name: &str| point[name].as_f64().unwrap();
        let kind = at("kind");
        let (x, y) = (at(&format!("x{kind}")), at(&format!("y{kind}")));
        let off = [0.3, 0.8, 0.6][kind as usize];
        let steep = [1.0, 4.0, 16.0][kind as usize];
        let branch = steep * ((x - off) * (x - off) + (y - x * off) * (y - x * off));
        let common = at("of all") - 0.2 - 0.3 * x;
        [0.2, 0.1, 0.0][kind as usize] + libm::log1p(branch) + common * common
    };
    task("conditional", Space::new(parameters).unwrap(), value, 0.0)
}
