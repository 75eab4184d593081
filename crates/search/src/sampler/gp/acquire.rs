//! Looks for the point of which most improvement is expected: points drawn evenly, then hill climbing from the best of
//! those and from the best trials: up the slope on lines, where there is one, and one axis at a time on the others.
//!
//! Scores are those of the values that a trial would get, so that nothing is expected between two integers (Garrido-Merchan and
//! Hernandez-Lobato 2020, Dealing with categorical and integer-valued variables in Bayesian optimization with Gaussian processes,
//! <https://doi.org/10.1016/j.neucom.2019.11.004>). Slopes are those without rounding.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use super::posterior::Posterior;
use super::region::Region;
use super::success::Success;
use super::uphill::Steps;
use crate::Assignment;
use crate::sampler::Known;
use crate::sampler::axes::{ABSENT, Axis, is_absent};
use crate::sampler::random::stream;
use crate::space::unit;

/// Points drawn evenly, and how many are drawn to have so many where requirements refuse some.
const DRAWS: usize = 100;
const DRAWS_BOUND: usize = 2_000;
/// Climbs from drawn points, and as many from trials.
pub(super) const CLIMBS: usize = 3;
/// The most steps of a climb.
const STEPS: usize = 8;
/// The most values of a category that are tried in one step; of more, as many drawn ones.
const VALUES: usize = 8;
/// Steps up the slope; the first step of a coordinate, and the bounds of a step.
const ASCENT: usize = 24;
const ASCENT_STEP: f64 = 0.05;
const ASCENT_STEP_MIN: f64 = 1e-5;
const ASCENT_STEP_MAX: f64 = 0.25;
/// How far the first step goes at most on a line, what that shrinks by where no step is better, and where it ends.
const WIDTH: f64 = 0.1;
const SHRINK: f64 = 0.4;
const WIDTH_MIN: f64 = 1e-3;

/// A new point and what is expected of it.
#[derive(Clone, Debug)]
struct Candidate {
    score: f64,
    coordinates: Vec<f64>,
    point: Assignment,
}

/// What is expected of a point.
pub(super) trait Expects {
    fn score(&self, point: &[f64]) -> f64;

    /// The score with its slope by the coordinates on lines, if that can be had.
    fn slope(&self, _point: &[f64]) -> Option<(f64, Vec<f64>)> {
        None
    }
}

/// Of several objectives.
impl<F: Fn(&[f64]) -> f64> Expects for F {
    fn score(&self, point: &[f64]) -> f64 {
        self(point)
    }
}

/// Of one: the improvement, by the chance that the trial does not fail.
pub(super) struct Improvement<'p> {
    pub(super) posterior: &'p Posterior<'p>,
    pub(super) success: Option<&'p Success<'p>>,
}

impl Expects for Improvement<'_> {
    fn score(&self, point: &[f64]) -> f64 {
        let log = self.posterior.log_expected_improvement(point);
        self.success
            .map_or(log, |success| log + success.log_chance(point))
    }

    fn slope(&self, point: &[f64]) -> Option<(f64, Vec<f64>)> {
        let (mut log, mut slopes) = self.posterior.improvement_and_slope(point);
        if let Some(success) = self.success {
            let (log_chance, by_chance) = success.chance_and_slope(point);
            log += log_chance;
            for (slope, by_chance) in slopes.iter_mut().zip(by_chance) {
                *slope += by_chance;
            }
        }
        Some((log, slopes))
    }
}

struct Search<'s, S, F> {
    known: &'s Known<'s>,
    expects: &'s S,
    region: Option<&'s Region>,
    is_new: F,
    stream: ChaCha8Rng,
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'s> {
    /// Trials to climb from, those in a region's place.
    pub(super) starts: &'s [&'s [f64]],
    pub(super) region: Option<&'s Region>,
}

/// The point of the highest score that was found; `None` if none was new.
pub(super) fn search(
    known: &Known<'_>,
    place: Place<'_>,
    expects: &impl Expects,
    number: u32,
    is_new: impl Fn(&Assignment, &[f64]) -> bool,
) -> Option<Assignment> {
    let mut search = Search {
        known,
        expects,
        region: place.region,
        is_new,
        stream: stream(b"bonfire:gp:00001", known.seed, u64::from(number)),
    };
    let draws = if known.is_bound { DRAWS_BOUND } else { DRAWS };
    let drawn = (0..draws).filter_map(|_| search.draw());
    let mut drawn: Vec<Candidate> = drawn.take(DRAWS).collect();
    drawn.sort_by(|a, b| b.score.total_cmp(&a.score));
    let starts = match place.region {
        Some(region) => vec![region.centre()],
        None => place.starts.to_vec(),
    };
    let starts = starts
        .iter()
        .map(|point| (f64::NEG_INFINITY, point.to_vec()));
    let mut starts: Vec<(f64, Vec<f64>)> = starts.collect();
    starts.extend(
        drawn
            .iter()
            .take(CLIMBS)
            .map(|c| (c.score, c.coordinates.clone())),
    );
    let mut best = drawn.into_iter().next();
    for (score, from) in starts {
        if let Some(found) = search.climb(score, from)
            && best.as_ref().is_none_or(|best| found.score > best.score)
        {
            best = Some(found);
        }
    }
    best.map(|best| best.point)
}

impl<S: Expects, F: Fn(&Assignment, &[f64]) -> bool> Search<'_, S, F> {
    fn draw(&mut self) -> Option<Candidate> {
        if let Some(region) = self.region {
            let at = region.draw(self.known.axes, &mut self.stream);
            return self.candidate(&at, None);
        }
        let nowhere = vec![ABSENT; self.known.axes.len()];
        self.candidate(&nowhere, None)
    }

    /// `from` with one coordinate changed. Parameters that are active and have no coordinate get one by chance.
    fn candidate(&mut self, from: &[f64], change: Option<(usize, f64)>) -> Option<Candidate> {
        let axes = self.known.axes;
        let stream = &mut self.stream;
        let (point, coordinates) = axes.settle(self.known.space, |d| match change {
            Some((changed, to)) if changed == d => to,
            _ if is_absent(from[d]) => axes.all()[d].at_share(unit(stream.next_u64())),
            _ => from[d],
        });
        let is_new = (self.is_new)(&point, &coordinates);
        is_new.then(|| Candidate {
            score: self.expects.score(&coordinates),
            coordinates,
            point,
        })
    }

    /// The best point on the way up; `None` if no step is better than the start.
    fn climb(&mut self, score: f64, from: Vec<f64>) -> Option<Candidate> {
        let has_line = self.known.axes.all().contains(&Axis::Line);
        if has_line && self.expects.slope(&from).is_some() {
            self.climb_slopes(score, from)
        } else {
            self.climb_steps(score, from)
        }
    }

    /// Step by step on all axes.
    fn climb_steps(&mut self, mut score: f64, mut from: Vec<f64>) -> Option<Candidate> {
        let mut best = None;
        let mut width = WIDTH;
        let has_line = self.known.axes.all().contains(&Axis::Line);
        for _ in 0..STEPS {
            match self.step(&from, width) {
                Some(step) if step.score > score => {
                    score = step.score;
                    from.clone_from(&step.coordinates);
                    best = Some(step);
                }
                _ if has_line && width > WIDTH_MIN => width *= SHRINK,
                _ => break,
            }
        }
        best
    }

    /// Up the slope on lines and step by step on the other axes, in turns.
    fn climb_slopes(&mut self, mut score: f64, mut from: Vec<f64>) -> Option<Candidate> {
        let mut best = None;
        for _ in 0..STEPS {
            let up = self.ascend(&from);
            let Some(up) = self.candidate(&up, None) else {
                // The top may not be tried, or was: what is open lies beside it.
                let beside = self.climb_steps(score, from);
                return beside.or(best);
            };
            if up.score > score {
                score = up.score;
                from.clone_from(&up.coordinates);
                best = Some(up);
            }
            match self.step(&from, 0.0) {
                Some(step) if step.score > score => {
                    score = step.score;
                    from.clone_from(&step.coordinates);
                    best = Some(step);
                }
                _ => break,
            }
        }
        best
    }

    /// The best place on the way up the slope, the coordinates on lines all at once.
    fn ascend(&self, from: &[f64]) -> Vec<f64> {
        let mut x = from.to_vec();
        let mut best = (f64::NEG_INFINITY, x.clone());
        let mut steps = Steps::new(x.len(), ASCENT_STEP, ASCENT_STEP_MIN, ASCENT_STEP_MAX);
        for _ in 0..ASCENT {
            let Some((score, slopes)) = self.expects.slope(&x) else {
                break;
            };
            if score > best.0 {
                best = (score, x.clone());
            }
            for (d, by) in steps.next(slopes).into_iter().enumerate() {
                if by != 0.0 {
                    let (low, high) = self.ends(d);
                    x[d] = (x[d] + by).clamp(low, high);
                }
            }
        }
        best.1
    }

    /// The best of the points that differ in one coordinate.
    fn step(&mut self, from: &[f64], width: f64) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        for d in 0..from.len() {
            if is_absent(from[d]) || (width == 0.0 && self.known.axes.all()[d] == Axis::Line) {
                continue;
            }
            for to in self.neighbours(d, from[d], width) {
                let Some(found) = self.candidate(from, Some((d, to))) else {
                    continue;
                };
                if best.as_ref().is_none_or(|best| found.score > best.score) {
                    best = Some(found);
                }
            }
        }
        best
    }

    /// Places one step away. `width`: how far a step goes on a line at most, if not out of the region. Of discrete values the next
    /// ones are neighbours whatever that is, so that a climb does not end on the flat part of one.
    fn neighbours(&mut self, d: usize, at: f64, width: f64) -> Vec<f64> {
        let (axes, space) = (self.known.axes, self.known.space);
        let (low, high) = self.ends(d);
        let axis = &axes.all()[d];
        let stream = &mut self.stream;
        match axis {
            Axis::Category { count, .. } if *count <= VALUES => (0..*count)
                .map(|value| value as f64)
                .filter(|value| *value != at)
                .collect(),
            Axis::Category { .. } => (0..VALUES)
                .map(|_| axis.at_share(unit(stream.next_u64())))
                .collect(),
            Axis::Cells { edges } => [-2.0, -1.0, 1.0, 2.0]
                .into_iter()
                .map(|by| at + by)
                .filter(|to| (0.0..(edges.len() - 1) as f64).contains(to))
                .collect(),
            Axis::Line => {
                let mut places: Vec<f64> = axes.beside(space, d, at).collect();
                for by in [-width, width] {
                    let to = (at + by * unit(stream.next_u64())).clamp(low, high);
                    let to = axes.settled(space, d, to);
                    if to != at && !places.contains(&to) {
                        places.push(to);
                    }
                }
                places
            }
        }
    }

    /// Between which places a line is searched.
    fn ends(&self, d: usize) -> (f64, f64) {
        self.region.map_or((0.0, 1.0), |region| region.ends(d))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::{Goal, Parameter, Range, Sampler, SamplerKind, Space, Value};

    /// A continuous parameter, and integers that are many.
    fn sampler(count: i64) -> Sampler {
        let (min, max, log) = (-2.0, 3.0, false);
        let parameter = |name: &str, range| Parameter {
            name: name.into(),
            range,
            when: vec![],
        };
        let real = parameter("a", Range::Real { min, max, log });
        let (min, max) = (1, count);
        let integer = parameter("n", Range::Integer { min, max, log });
        let space = Space::new(vec![real, integer]).unwrap();
        Sampler::new(SamplerKind::Gp, space, Goal::Minimize, 5).unwrap()
    }

    /// Highest at a place of its own, whether a value is there or not. Remembers what it was asked for.
    struct Hill {
        top: [f64; 2],
        has_slope: bool,
        asked: RefCell<Vec<Vec<f64>>>,
    }

    impl Hill {
        fn height(&self, point: &[f64]) -> f64 {
            let pairs = point.iter().zip(self.top);
            -pairs.map(|(x, top)| (x - top) * (x - top)).sum::<f64>()
        }
    }

    impl Expects for Hill {
        fn score(&self, point: &[f64]) -> f64 {
            self.asked.borrow_mut().push(point.to_vec());
            self.height(point)
        }

        fn slope(&self, point: &[f64]) -> Option<(f64, Vec<f64>)> {
            let slopes = point.iter().zip(self.top).map(|(x, top)| 2.0 * (top - x));
            self.has_slope
                .then(|| (self.height(point), slopes.collect()))
        }
    }

    /// The integer of the best point beside `taken`, where the top lies at the place of integer `top` of `count`.
    #[track_caller]
    fn check(count: i64, top: f64, start: i64, taken: &[i64], has_slope: bool, expected: i64) {
        let sampler = sampler(count);
        let known = sampler.known();
        let place = |n: f64| (n - 0.5) / count as f64;
        let hill = Hill {
            top: [1.0, place(top)],
            has_slope,
            asked: RefCell::default(),
        };
        let start = [1.0, place(start as f64)];
        let around = Place {
            starts: &[&start],
            region: None,
        };
        let is_new = |point: &Assignment, coordinates: &[f64]| {
            let is_taken = taken.iter().any(|n| point["n"] == Value::Int(*n));
            !is_taken && coordinates != start
        };
        let found = search(&known, around, &hill, 0, is_new).unwrap();
        assert_eq!(found["n"], Value::Int(expected), "{found:?}");
        for point in hill.asked.borrow().iter() {
            let n = point[1] * count as f64 + 0.5;
            let apart = (n - libm::round(n)).abs();
            assert!(apart < 1e-6, "{n} of {count} is no integer");
        }
    }

    #[test]
    fn only_values_that_a_trial_would_get_are_scored() {
        for has_slope in [true, false] {
            check(64, 40.3, 12, &[], has_slope, 40);
            check(64, 40.3, 40, &[40], has_slope, 41);
            check(64, 40.3, 41, &[40, 41], has_slope, 39);
        }
    }

    #[test]
    fn a_climb_goes_on_by_single_integers() {
        check(100_000, 50_003.0, 50_000, &[], false, 50_003);
        check(100_000, 50_003.0, 50_003, &[50_003], true, 50_004);
    }
}
