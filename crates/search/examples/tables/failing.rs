//! Functions of which a part cannot be evaluated: trials there fail. The optimum lies where they do not, mostly close to it.

use bonfire_search::{Alike, Assignment, Parameter, Range, Space, Value};

use super::known::{BRANIN_LEAST, HARTMANN_LEAST, hartmann};
use super::smooth::{ackley, branin, cube, rosenbrock, task};
use super::{Task, parameter};

/// Values that are no number are failures.
pub fn tasks() -> Vec<Task> {
    vec![
        cube("branin, half", 2, -1.0, half_branin, BRANIN_LEAST),
        cube("hartmann 6", 6, 0.0, beside_hartmann, HARTMANN_LEAST),
        cube("rosenbrock 5", 5, -1.0, around_rosenbrock, 0.0),
        cube("ackley 6", 6, -1.0, below_ackley, 0.0),
        cube("by chance", 6, 0.0, by_chance, HARTMANN_LEAST),
        network(),
    ]
}

fn unless(fails: bool, value: f64) -> f64 {
    if fails { f64::NAN } else { value }
}

/// Two of the three best places fail.
fn half_branin(x: &[f64]) -> f64 {
    unless(x[0] + x[1] > -0.5, branin(x))
}

fn beside_hartmann(x: &[f64]) -> f64 {
    unless(x[4] < 0.27 || x[5] > 0.72, hartmann(x))
}

/// The valley can be seen along its floor alone.
fn around_rosenbrock(x: &[f64]) -> f64 {
    let off = x
        .windows(2)
        .map(|pair| (pair[1] - 2.0 * pair[0] * pair[0]).abs());
    unless(off.fold(0.0, f64::max) > 0.9, rosenbrock(x))
}

fn below_ackley(x: &[f64]) -> f64 {
    unless(x.iter().sum::<f64>() / x.len() as f64 > 0.26, ackley(x))
}

/// One of five, wherever it is.
fn by_chance(x: &[f64]) -> f64 {
    let bits = x.iter().fold(0u64, |bits, x| {
        (bits ^ x.to_bits())
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    });
    unless((bits >> 20) % 5 == 0, hartmann(x))
}

/// A network's error: the best rates are just below those that diverge, and wide models do not fit into memory with large batches.
fn network() -> Task {
    let values = ["adamw", "sgd", "rmsprop"].map(|kind| Value::Text(kind.into()));
    let (lr, decay) = ((1e-5, 1.0), (1e-6, 1e-1));
    let real = |(min, max)| Range::Real {
        min,
        max,
        log: true,
    };
    let integer = |min, max| Range::Integer {
        min,
        max,
        log: true,
    };
    let optimizer = Range::Choice {
        values: values.into(),
        alike: Alike::None,
    };
    let parameters: Vec<Parameter> = [
        ("batch", integer(8, 1024)),
        ("decay", real(decay)),
        ("lr", real(lr)),
        ("optimizer", optimizer),
        ("width", integer(16, 2048)),
    ]
    .map(|(name, range)| parameter(name.into(), range))
    .into();
    let value = move |point: &Assignment| {
        let share = |name: &str, (min, max): (f64, f64)| {
            libm::log(point[name].as_f64().unwrap() / min) / libm::log(max / min)
        };
        let (batch, width) = (
            share("batch", (8.0, 1024.0)),
            share("width", (16.0, 2048.0)),
        );
        let (top, floor) = match &point["optimizer"] {
            Value::Text(kind) if kind == "adamw" => (0.5, 0.0),
            Value::Text(kind) if kind == "sgd" => (0.8, 0.03),
            _ => (0.45, 0.02),
        };
        // Rates above diverge, those closely below are the best.
        let off = share("lr", lr) - (top - 0.15 * width);
        let late = off + 0.03;
        let decay = share("decay", decay) - 0.6;
        let narrow = (0.95 - width).max(0.0);
        let value =
            floor + 2.0 * late * late + 0.2 * decay * decay + 0.3 * narrow + 0.05 * batch * batch;
        unless(off > 0.0 || batch + width > 1.3, value)
    };
    task("network", Space::new(parameters).unwrap(), value, 0.0)
}
