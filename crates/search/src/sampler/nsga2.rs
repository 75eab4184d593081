//! NSGA-II: a trial is a child of two good ones, changed a little.
//!
//! There are no generations: each suggestion is a child of the best [`POPULATION`] trials so far, so nobody waits for
//! others. Among parents the front counts first, then how far apart they are there, and what breaks a requirement comes last, by its
//! violation.
//!
//! Sources: Deb et al. 2002, A fast and elitist multiobjective genetic algorithm: NSGA-II, sections III and VI,
//! <https://doi.org/10.1109/4235.996017>; one child at a time, Durillo et al. 2009, On the effect of the steady-state selection
//! scheme in multi-objective genetic algorithms, <https://doi.org/10.1007/978-3-642-01020-0_18>; crossover and mutation, Deb
//! and Agrawal 1995 (simulated binary crossover) and Deb and Goyal 1996, within bounds as in Deb's code.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use super::Known;
use super::axes::{ABSENT, Axis, is_absent};
use super::random::stream;
use super::several::{Several, most_apart};
use crate::Assignment;
use crate::space::unit;

/// How many trials are parents, and how many there are before there are children.
pub(super) const POPULATION: usize = 20;
/// How likely two parents are crossed at all, and then each parameter.
const CROSSED: f64 = 0.9;
const SWAPPED: f64 = 0.5;
/// The larger, the nearer children are to their parents.
const ETA_CROSSOVER: f64 = 20.0;
const ETA_MUTATION: f64 = 20.0;
/// How often a child is drawn until it is new.
const DRAWS: u32 = 64;
const DRAWS_BOUND: u32 = 1_024;

/// The first child that is new and like neither parent, or the last one drawn; `None` where no trial has a value.
pub(super) fn suggest(
    known: &Known<'_>,
    number: u32,
    is_new: impl Fn(&Assignment) -> bool,
) -> Option<Assignment> {
    let parents = parents(known);
    if parents.is_empty() {
        return None;
    }
    let mut stream = stream(b"bonfire:nsga2:01", known.seed, u64::from(number));
    let draws = if known.is_bound { DRAWS_BOUND } else { DRAWS };
    let mut last = None;
    for _ in 0..draws {
        let mother = parents[tournament(parents.len(), &mut stream)];
        let father = parents[tournament(parents.len(), &mut stream)];
        let (point, coordinates) = child(known, mother, father, &mut stream);
        if is_new(&point) && *coordinates != *mother && *coordinates != *father {
            return Some(point);
        }
        last = Some(point);
    }
    last
}

/// Best first.
fn parents<'a>(known: &Known<'a>) -> Vec<&'a [f64]> {
    let sorted = Several::sorted(known, POPULATION);
    let mut parents: Vec<&[f64]> = Vec::new();
    for front in &sorted.fronts {
        let losses: Vec<_> = front.iter().map(|member| member.losses).collect();
        let apart = most_apart(&losses).into_iter();
        parents.extend(apart.map(|i| front[i].told.point));
    }
    parents.extend(sorted.broken.iter().map(|told| told.point));
    parents.truncate(POPULATION);
    parents
}

/// The better of two places drawn.
fn tournament(count: usize, stream: &mut ChaCha8Rng) -> usize {
    let mut draw = || (unit(stream.next_u64()) * count as f64) as usize;
    draw().min(draw())
}

fn child(
    known: &Known<'_>,
    mother: &[f64],
    father: &[f64],
    stream: &mut ChaCha8Rng,
) -> (Assignment, Vec<f64>) {
    let active = mother.iter().filter(|x| !is_absent(**x)).count();
    let mutated = 1.0 / active.max(1) as f64;
    let crossed = unit(stream.next_u64()) < CROSSED;
    let mut coordinates = vec![ABSENT; known.axes.len()];
    let point = known.axes.decode(known.space, |d| {
        let axis = &known.axes.all()[d];
        let mut x = match (mother[d], father[d]) {
            (a, b) if is_absent(a) && is_absent(b) => axis.at_share(unit(stream.next_u64())),
            (a, b) if is_absent(a) => b,
            (a, b) if is_absent(b) || !crossed => a,
            (a, _) if unit(stream.next_u64()) >= SWAPPED => a,
            (a, b) => cross(axis, a, b, stream),
        };
        if unit(stream.next_u64()) < mutated {
            x = mutate(axis, x, stream);
        }
        coordinates[d] = x;
        x
    });
    (point, coordinates)
}

/// One of the two children of simulated binary crossover, either as likely; of categories, one of the parents' values.
fn cross(axis: &Axis, a: f64, b: f64, stream: &mut ChaCha8Rng) -> f64 {
    let lower_child = stream.next_u64() >> 63 == 0;
    if let Axis::Category { .. } = axis {
        return if lower_child { a } else { b };
    }
    let (a, b) = (axis.place(a), axis.place(b));
    let (low, high) = (a.min(b), a.max(b));
    let draw = unit(stream.next_u64());
    if high - low < 1e-14 {
        return axis.coordinate(if lower_child { a } else { b });
    }
    let room = if lower_child { low } else { 1.0 - high };
    let beta = 1.0 + 2.0 * room / (high - low);
    let alpha = 2.0 - libm::pow(beta, -(ETA_CROSSOVER + 1.0));
    let power = 1.0 / (ETA_CROSSOVER + 1.0);
    let spread = if draw <= 1.0 / alpha {
        libm::pow(draw * alpha, power)
    } else {
        libm::pow(1.0 / (2.0 - draw * alpha), power)
    };
    let half = 0.5 * spread * (high - low);
    let middle = 0.5 * (low + high);
    let place = if lower_child {
        middle - half
    } else {
        middle + half
    };
    axis.coordinate(place.clamp(0.0, 1.0))
}

/// Polynomial mutation; of categories, any value. One of a few ordered values goes to a neighbour at least: what is less than a step
/// would never change it.
fn mutate(axis: &Axis, x: f64, stream: &mut ChaCha8Rng) -> f64 {
    let draw = unit(stream.next_u64());
    if let Axis::Category { .. } = axis {
        return axis.at_share(draw);
    }
    let place = axis.place(x);
    let power = ETA_MUTATION + 1.0;
    let step = if draw < 0.5 {
        let rest = (1.0 - 2.0 * draw) * libm::pow(1.0 - place, power);
        libm::pow(2.0 * draw + rest, 1.0 / power) - 1.0
    } else {
        let rest = (2.0 * draw - 1.0) * libm::pow(place, power);
        1.0 - libm::pow(2.0 * (1.0 - draw) + rest, 1.0 / power)
    };
    let to = axis.coordinate((place + step).clamp(0.0, 1.0));
    match axis {
        Axis::Cells { edges } if to == x => {
            let last = (edges.len() - 2) as f64;
            let down = if x == last {
                true
            } else {
                draw < 0.5 && x > 0.0
            };
            (if down { x - 1.0 } else { x + 1.0 }).clamp(0.0, last)
        }
        _ => to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(count: usize) -> Axis {
        let edges = (0..=count).map(|i| i as f64 / count as f64).collect();
        Axis::Cells { edges }
    }

    /// Whether a coordinate is one of the axis.
    fn is_on(axis: &Axis, x: f64) -> bool {
        match axis {
            Axis::Category { count, .. } => x.fract() == 0.0 && (0.0..*count as f64).contains(&x),
            Axis::Cells { edges } => {
                x.fract() == 0.0 && (0.0..(edges.len() - 1) as f64).contains(&x)
            }
            Axis::Line => (0.0..=1.0).contains(&x),
        }
    }

    /// Draws children of two coordinates, and mutants of the first.
    #[track_caller]
    fn check(axis: &Axis, a: f64, b: f64) -> (Vec<f64>, Vec<f64>) {
        let mut stream = stream(b"test:test:test:1", 2, 0);
        let children: Vec<f64> = (0..2_000).map(|_| cross(axis, a, b, &mut stream)).collect();
        let mutants: Vec<f64> = (0..2_000).map(|_| mutate(axis, a, &mut stream)).collect();
        for x in children.iter().chain(&mutants) {
            assert!(is_on(axis, *x), "{axis:?} {a} {b}: {x}");
        }
        (children, mutants)
    }

    #[test]
    fn children_and_mutants_are_on_the_axis() {
        for (a, b) in [
            (0.0, 1.0),
            (0.5, 0.5),
            (0.3, 0.30001),
            (1.0, 1.0),
            (0.9, 0.2),
        ] {
            check(&Axis::Line, a, b);
        }
        for count in [1, 2, 3, 32] {
            let last = (count - 1) as f64;
            for (a, b) in [(0.0, last), (last, last), (last, 0.0)] {
                let (_, mutants) = check(&cells(count), a, b);
                let stay = mutants.iter().filter(|x| **x == a).count();
                assert!(count == 1 || stay == 0, "{count} {stay}");
                check(&Axis::Category { count, apart: None }, a, b);
            }
        }
    }

    /// As in the paper: the mean of the children is that of the parents, and half of them are between them, half outside.
    #[test]
    fn children_are_spread_like_their_parents() {
        let (children, mutants) = check(&Axis::Line, 0.4, 0.6);
        let mean = children.iter().sum::<f64>() / children.len() as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let between = children.iter().filter(|x| (0.4..0.6).contains(*x)).count();
        assert!((900..1_100).contains(&between), "{between}");
        let near = children
            .iter()
            .filter(|x| (**x - 0.4).abs().min((**x - 0.6).abs()) < 0.02);
        assert!(near.count() > 1_800);
        // |x| has the density (eta + 1) (1 - x)^eta, whose mean is 1 / (eta + 2).
        let moved = mutants.iter().map(|x| (x - 0.4).abs()).sum::<f64>() / 2_000.0;
        assert!((moved - 1.0 / 22.0).abs() < 0.004, "{moved}");
    }

    #[test]
    fn a_tournament_prefers_the_better() {
        let mut stream = stream(b"test:test:test:2", 2, 0);
        let mut wins = [0; 4];
        (0..16_000).for_each(|_| wins[tournament(4, &mut stream)] += 1);
        for (place, expected) in [7_000, 5_000, 3_000, 1_000].into_iter().enumerate() {
            let off: i32 = wins[place] - expected;
            assert!(off.abs() < 300, "{wins:?}");
        }
    }
}
