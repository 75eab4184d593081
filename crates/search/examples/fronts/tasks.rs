//! Functions whose best front is known.

use bonfire_search::{
    Alike, Assignment, Condition, Goal, Parameter, Range, Space, Value, front, hypervolume,
};

const PI: f64 = std::f64::consts::PI;

fn parameter(name: &str, range: Range) -> Parameter {
    Parameter {
        name: name.into(),
        range,
        when: vec![],
    }
}

fn real(name: &str, min: f64, max: f64, log: bool) -> Parameter {
    parameter(name, Range::Real { min, max, log })
}

fn integer(name: &str, min: i64, max: i64, log: bool) -> Parameter {
    parameter(name, Range::Integer { min, max, log })
}

fn choice(name: &str, values: &[&str]) -> Parameter {
    let values = values.iter().map(|v| Value::Text((*v).into())).collect();
    let range = Range::Choice {
        values,
        alike: Alike::None,
    };
    parameter(name, range)
}

fn reals(count: usize, min: f64, max: f64) -> Vec<Parameter> {
    (0..count)
        .map(|i| real(&format!("x{i}"), min, max, false))
        .collect()
}

/// Functions to minimise together.
pub struct Task {
    pub name: &'static str,
    pub space: Space,
    pub values: fn(&Assignment) -> Vec<f64>,
    /// Deviation of what is added to the first value; what counts in the end is the value without it.
    pub noise: f64,
    pub reference: Vec<f64>,
    /// The hypervolume of the best front.
    pub volume: f64,
}

impl Task {
    /// `best`: points of the best front, closely spaced.
    fn new(
        name: &'static str,
        parameters: Vec<Parameter>,
        values: fn(&Assignment) -> Vec<f64>,
        reference: &[f64],
        best: &[Vec<f64>],
    ) -> Task {
        Task {
            name,
            space: Space::new(parameters).unwrap(),
            values,
            noise: 0.0,
            reference: reference.to_vec(),
            volume: volume(best, reference),
        }
    }
}

pub fn volume(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    let goals = vec![Goal::Minimize; reference.len()];
    let points: Vec<&[f64]> = points.iter().map(|point| &point[..]).collect();
    let points: Vec<&[f64]> = front(&goals, &points)
        .into_iter()
        .map(|i| points[i])
        .collect();
    hypervolume(&goals, &points, reference)
}

fn numbers(point: &Assignment) -> Vec<f64> {
    point.values().filter_map(Value::as_f64).collect()
}

fn grid(count: usize) -> impl Iterator<Item = f64> + Clone {
    (0..=count).map(move |i| i as f64 / count as f64)
}

/// ZDT1 to ZDT3 of coordinates in [0, 1] (Zitzler, Deb and Thiele 2000); `shape`: which.
fn zdt(shape: u32, x: &[f64]) -> Vec<f64> {
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    let share = x[0] / g;
    let h = match shape {
        1 => 1.0 - libm::sqrt(share),
        2 => 1.0 - share * share,
        _ => 1.0 - libm::sqrt(share) - share * libm::sin(10.0 * PI * x[0]),
    };
    vec![x[0], g * h]
}

/// ZDT of a real, two integers and two categories.
fn zdt_mixed(shape: u32, point: &Assignment) -> Vec<f64> {
    let number = |name: &str| point[name].as_f64().unwrap();
    let place = |name: &str| match &point[name] {
        Value::Text(text) => match &text[..] {
            "a" => 0.45,
            "b" => 1.0,
            "c" => 0.0,
            "d" => 0.2,
            _ => 0.7,
        },
        _ => 0.0,
    };
    let x = [
        number("x0"),
        number("x1") / 10.0,
        number("x2") / 100.0,
        place("x3"),
        place("x4"),
    ];
    zdt(shape, &x)
}

fn mixed() -> Vec<Parameter> {
    vec![
        real("x0", 0.0, 1.0, false),
        integer("x1", 0, 10, false),
        integer("x2", 0, 100, false),
        choice("x3", &["a", "b", "c", "d", "e"]),
        choice("x4", &["a", "b", "c", "d", "e"]),
    ]
}

/// DTLZ2 of three objectives (Deb et al. 2005).
fn dtlz2(point: &Assignment) -> Vec<f64> {
    let x = numbers(point);
    let g: f64 = x[2..].iter().map(|x| (x - 0.5) * (x - 0.5)).sum();
    let (a, b) = (x[0] * PI / 2.0, x[1] * PI / 2.0);
    vec![
        (1.0 + g) * libm::cos(a) * libm::cos(b),
        (1.0 + g) * libm::cos(a) * libm::sin(b),
        (1.0 + g) * libm::sin(a),
    ]
}

fn fonseca(x: &[f64]) -> Vec<f64> {
    let root = 1.0 / libm::sqrt(x.len() as f64);
    let part = |sign: f64| {
        let squares = x.iter().map(|x| (x + sign * root) * (x + sign * root));
        1.0 - libm::exp(-squares.sum::<f64>())
    };
    vec![part(-1.0), part(1.0)]
}

fn kursawe(x: &[f64]) -> Vec<f64> {
    let pairs = x.windows(2);
    let first = pairs
        .map(|p| -10.0 * libm::exp(-0.2 * libm::sqrt(p[0] * p[0] + p[1] * p[1])))
        .sum();
    let second = x
        .iter()
        .map(|x| libm::pow(x.abs(), 0.8) + 5.0 * libm::sin(x * x * x))
        .sum();
    vec![first, second]
}

fn viennet(x: &[f64]) -> Vec<f64> {
    let (x, y) = (x[0], x[1]);
    let square = x * x + y * y;
    let (a, b, c) = (3.0 * x - 2.0 * y + 4.0, x - y + 1.0, square + 1.0);
    vec![
        0.5 * square + libm::sin(square),
        a * a / 8.0 + b * b / 27.0 + 15.0,
        1.0 / c - 1.1 * libm::exp(-square),
    ]
}

/// A network's error and its cost: wider and deeper is better and dearer, and the best learning rate depends on the optimiser and the
/// width. Momentum only with sgd.
fn network(point: &Assignment) -> Vec<f64> {
    let number = |name: &str| point[name].as_f64().unwrap();
    let share =
        |name: &str, min: f64, max: f64| libm::log(number(name) / min) / libm::log(max / min);
    let (lr, decay) = (share("lr", 1e-5, 1.0), share("decay", 1e-6, 1e-1));
    let (width, depth) = (share("width", 16.0, 1024.0), number("depth") / 8.0);
    let (middle, floor) = match &point["optimizer"] {
        Value::Text(kind) if kind == "adamw" => (0.42, 0.03),
        Value::Text(kind) if kind == "sgd" => (0.75, 0.0),
        _ => (0.55, 0.08),
    };
    let momentum = point.get("momentum").and_then(Value::as_f64).unwrap_or(0.9) - 0.9;
    let off = lr - middle + 0.15 * (width - 0.5);
    let cliff = if off > 0.18 { 0.4 } else { 0.0 };
    let error = floor
        + 2.5 * off * off
        + cliff
        + 0.2 * (decay - 0.6) * (decay - 0.6)
        + 0.3 * momentum * momentum
        + 0.4 * libm::exp(-3.0 * width)
        + 0.15 * libm::exp(-4.0 * depth);
    vec![error, width + 0.5 * depth]
}

/// The network with everything but its shape at its best.
fn best_networks() -> Vec<Vec<f64>> {
    let widths = (16..=1024).map(|width| libm::log(f64::from(width) / 16.0) / libm::log(64.0));
    let networks = widths.flat_map(|width| {
        (1..=8).map(move |depth| {
            let depth = f64::from(depth) / 8.0;
            let error = 0.4 * libm::exp(-3.0 * width) + 0.15 * libm::exp(-4.0 * depth);
            vec![error, width + 0.5 * depth]
        })
    });
    networks.collect()
}

fn network_space() -> Vec<Parameter> {
    let momentum = Parameter {
        when: vec![Condition {
            parameter: "optimizer".into(),
            any_of: vec![Value::Text("sgd".into())],
        }],
        ..real("momentum", 0.0, 0.99, false)
    };
    vec![
        real("lr", 1e-5, 1.0, true),
        real("decay", 1e-6, 1e-1, true),
        integer("width", 16, 1024, true),
        integer("depth", 1, 8, false),
        choice("optimizer", &["adamw", "sgd", "rmsprop"]),
        momentum,
    ]
}

pub fn tasks() -> Vec<Task> {
    let curve =
        |shape: u32| -> Vec<Vec<f64>> { grid(5_000).map(|x| zdt(shape, &[x, 0.0])).collect() };
    let sphere: Vec<Vec<f64>> = grid(300)
        .flat_map(|a| grid(300).map(move |b| (a * PI / 2.0, b * PI / 2.0)))
        .map(|(a, b)| {
            let (c, s) = (libm::cos(a), libm::sin(a));
            vec![c * libm::cos(b), c * libm::sin(b), s]
        })
        .collect();
    let line = |x: f64| [(2.0 * x - 1.0) / libm::sqrt(3.0); 3];
    let fonsecas: Vec<Vec<f64>> = grid(5_000).map(|x| fonseca(&line(x))).collect();
    let plane = grid(600).flat_map(|a| grid(600).map(move |b| [6.0 * a - 3.0, 6.0 * b - 3.0]));
    let viennets: Vec<Vec<f64>> = plane.map(|x| viennet(&x)).collect();
    let solid = grid(120).flat_map(|a| {
        grid(120).flat_map(move |b| grid(120).map(move |c| [a, b, c].map(|x| 3.0 * x - 2.0)))
    });
    // All of it lies in this part, and on a grid that contains the origin.
    let kursawes: Vec<Vec<f64>> = solid.map(|x| kursawe(&x)).collect();
    let unit = || reals(5, 0.0, 1.0);
    let error_and_cost = [1.0, 1.5];
    let noisy = Task {
        noise: 0.03,
        ..Task::new(
            "network with noise",
            network_space(),
            network,
            &error_and_cost,
            &best_networks(),
        )
    };
    vec![
        Task::new(
            "zdt1",
            unit(),
            |p| zdt(1, &numbers(p)),
            &[1.1, 1.1],
            &curve(1),
        ),
        Task::new(
            "zdt2",
            unit(),
            |p| zdt(2, &numbers(p)),
            &[1.1, 1.1],
            &curve(2),
        ),
        Task::new(
            "zdt3",
            unit(),
            |p| zdt(3, &numbers(p)),
            &[1.1, 1.1],
            &curve(3),
        ),
        Task::new(
            "zdt1 mixed",
            mixed(),
            |p| zdt_mixed(1, p),
            &[1.1, 1.1],
            &curve(1),
        ),
        Task::new(
            "zdt3 mixed",
            mixed(),
            |p| zdt_mixed(3, p),
            &[1.1, 1.1],
            &curve(3),
        ),
        Task::new("dtlz2", reals(6, 0.0, 1.0), dtlz2, &[1.2; 3], &sphere),
        Task::new(
            "fonseca",
            reals(3, -4.0, 4.0),
            |p| fonseca(&numbers(p)),
            &[1.05, 1.05],
            &fonsecas,
        ),
        Task::new(
            "kursawe",
            reals(3, -5.0, 5.0),
            |p| kursawe(&numbers(p)),
            &[-14.0, 1.0],
            &kursawes,
        ),
        Task::new(
            "viennet",
            reals(2, -3.0, 3.0),
            |p| viennet(&numbers(p)),
            &[9.0, 17.5, 0.2],
            &viennets,
        ),
        Task::new(
            "network",
            network_space(),
            network,
            &error_and_cost,
            &best_networks(),
        ),
        noisy,
    ]
}
