//! PASHA: ASHA whose last rung moves up only while the two top rungs disagree about who is best.
//!
//! Source: Bohdal et al. 2023, PASHA: efficient HPO and NAS with progressive resource allocation, Algorithm 1, soft ranking
//! and its epsilon as in section 4.2, <https://arxiv.org/abs/2207.06940>.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::asha::Asha;
use super::{Promotion, RungPlan, Verdict};
use crate::{Event, Goal};

/// Distances that epsilon is taken from: the newest ones.
const DISTANCES_MAX: usize = 1_024;
/// A trial on the top rung is compared with this many of those that came there before it, the newest ones.
const COMPARED_MAX: usize = 64;
/// Epsilon is this percentile of the distances.
const PERCENTILE: f64 = 0.9;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pasha {
    goal: Goal,
    asha: Asha,
    /// Index of the rung beyond which nobody trains now.
    top: usize,
    /// Losses closer than this are as good as equal.
    epsilon: f64,
    /// How far apart, on the top rung, trials are that overtook each other and were overtaken again.
    distances: VecDeque<f64>,
    trials: BTreeMap<u32, Track>,
    /// The trials on the top rung, in the order in which they came there.
    on_top: Vec<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Track {
    /// (units, loss) in ascending units; what is no number is not there.
    curve: Vec<(u64, f64)>,
    last: Option<u64>,
    /// The best loss up to each rung; infinite without one.
    scores: Vec<f64>,
}

impl Pasha {
    /// `0 < min <= max`, `eta >= 2`.
    pub(super) fn new(goal: Goal, min: u64, max: u64, eta: u32) -> Pasha {
        let asha = Asha::new(goal, min, max, eta);
        let top = 1.min(asha.targets().len() - 1);
        Pasha {
            goal,
            asha,
            top,
            epsilon: 0.0,
            distances: VecDeque::new(),
            trials: BTreeMap::new(),
            on_top: Vec::new(),
        }
    }

    pub(super) fn targets(&self) -> &[u64] {
        self.asha.targets()
    }

    pub(super) fn observe(&mut self, event: &Event) -> Verdict {
        let rung = match event {
            Event::Observed { number, .. } | Event::Violated { number, .. } => {
                self.asha.rung_of(*number)
            }
            _ => None,
        };
        let waited = rung.is_some_and(|(_, waits)| waits);
        let verdict = self.asha.observe(event);
        let seen = match event {
            Event::Observed { number, at, value } => Some((number, at, *value)),
            // As if it were no number.
            Event::Violated { number, at, .. } => Some((number, at, f64::NAN)),
            _ => None,
        };
        match (event, seen) {
            (_, Some((number, at, value))) if !self.is_grown() => {
                self.remember(*number, *at, value);
                let rung = self.asha.rung_of(*number);
                if let Some((rung, true)) = rung
                    && !waited
                {
                    self.enter(*number, rung);
                }
            }
            // What it reached still counts, as in ASHA.
            (Event::Ended { number, .. }, _) => {
                if let Some(track) = self.trials.get_mut(number) {
                    track.curve = Vec::new();
                }
            }
            _ => {}
        }
        verdict
    }

    pub(super) fn promotable(&self) -> Option<Promotion> {
        self.asha.promotable_below(self.top)
    }

    /// From the rungs that are open.
    pub(super) fn ahead(&self, coming: &[u32]) -> Vec<Promotion> {
        self.asha.ahead_below(self.top, coming)
    }

    pub(super) fn is_due(&self, number: u32) -> bool {
        self.asha.is_due_below(self.top, number)
    }

    pub(super) fn promote(&mut self, number: u32) -> Option<u64> {
        let (rung, _) = self.asha.rung_of(number)?;
        match rung < self.top {
            true => self.asha.promote(number),
            false => None,
        }
    }

    pub(super) fn until(&self, number: u32) -> Option<u64> {
        self.asha.until(number)
    }

    pub(super) fn target(&self, rung: usize) -> u64 {
        self.asha.target(rung)
    }

    /// ASHA's: what it costs if the ranking never settles.
    pub(super) fn plan(&self, trials: u32) -> Vec<RungPlan> {
        self.asha.plan(trials)
    }

    /// Nothing is left to decide: the last rung is open.
    fn is_grown(&self) -> bool {
        self.top + 1 >= self.asha.targets().len()
    }

    fn remember(&mut self, number: u32, at: u64, value: f64) {
        let loss = match self.goal {
            Goal::Minimize => value,
            Goal::Maximize => -value,
        };
        if self.asha.until(number).is_none() {
            return;
        }
        let track = self.trials.entry(number).or_default();
        if track.last.is_some_and(|last| at <= last) {
            return;
        }
        track.last = Some(at);
        if loss.is_finite() {
            track.curve.push((at, loss));
        }
    }

    /// A trial has come to wait at a rung.
    fn enter(&mut self, number: u32, rung: usize) {
        let Some(track) = self.trials.get_mut(&number) else {
            return;
        };
        let losses = track.curve.iter().map(|(_, loss)| *loss);
        let score = losses.fold(f64::INFINITY, f64::min);
        track.scores.resize(rung, score);
        track.scores.push(score);
        if rung != self.top {
            return;
        }
        self.measure(number);
        self.on_top.push(number);
        if !self.is_stable() {
            self.grow();
        }
    }

    fn grow(&mut self) {
        self.top += 1;
        self.distances.clear(); // epsilon stays until there are new ones
        self.on_top.clear();
        if self.is_grown() {
            self.trials.clear();
        }
    }

    /// Takes the distances of the new trial to those before it into epsilon.
    fn measure(&mut self, number: u32) {
        let Some(new) = self.trials.get(&number) else {
            return;
        };
        let others = self.on_top.iter().rev().take(COMPARED_MAX);
        let found: Vec<f64> = others
            .filter_map(|other| criss_cross(&new.curve, &self.trials.get(other)?.curve))
            .collect();
        if found.is_empty() {
            return;
        }
        self.distances.extend(found);
        let spare = self.distances.len().saturating_sub(DISTANCES_MAX);
        self.distances.drain(..spare);
        self.epsilon = percentile(self.distances.iter().copied().collect());
    }

    /// Whether the ranking of the trials on the top rung is that of the rung below, where those that are closer than epsilon
    /// there may stand in for each other.
    fn is_stable(&self) -> bool {
        let score = |number: u32, rung: usize| -> f64 {
            let track = self.trials.get(&number);
            track.map_or(f64::INFINITY, |track| track.scores[rung])
        };
        let ranked = |rung: usize| {
            let mut numbers = self.on_top.clone();
            numbers.sort_by(|a, b| score(*a, rung).total_cmp(&score(*b, rung)).then(a.cmp(b)));
            numbers
        };
        let below = self.top - 1;
        let pairs = ranked(self.top).into_iter().zip(ranked(below));
        pairs.into_iter().all(|(here, there)| {
            let (a, b) = (score(here, below), score(there, below));
            here == there || a == b || (a - b).abs() <= self.epsilon
        })
    }
}

/// The distance at the last common units of two curves whose order changed and changed back before; `None` if it did not.
fn criss_cross(a: &[(u64, f64)], b: &[(u64, f64)]) -> Option<f64> {
    let (mut i, mut j) = (0, 0);
    let mut changes = 0;
    let mut order = None;
    let mut distance = None;
    while let (Some((at, x)), Some((bt, y))) = (a.get(i), b.get(j)) {
        match at.cmp(bt) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                if x != y {
                    let now = x < y;
                    changes += u32::from(order.is_some_and(|before| before != now));
                    order = Some(now);
                }
                distance = Some((x - y).abs());
                i += 1;
                j += 1;
            }
        }
    }
    distance.filter(|distance| changes >= 2 && distance.is_finite())
}

/// With linear interpolation between the two nearest.
fn percentile(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = PERCENTILE * (values.len().saturating_sub(1)) as f64;
    let below = libm::floor(place);
    let at = |i: f64| values.get(i as usize).copied().unwrap_or(0.0);
    let (low, high) = (at(below), at(libm::ceil(place)));
    low + (high - low) * (place - below)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tell(pasha: &mut Pasha, number: u32, at: u64, value: f64) -> Verdict {
        pasha.observe(&Event::Observed { number, at, value })
    }

    /// One worker, loss of trial i at unit u by `loss`, until nothing is left to do: how many trials reached each rung, and
    /// how far the top is.
    fn run(trials: u32, max: u64, eta: u32, loss: impl Fn(u32, u64) -> f64) -> (Vec<u32>, u64) {
        let mut pasha = Pasha::new(Goal::Minimize, 1, max, eta);
        let mut reached = vec![0; pasha.targets().len()];
        let mut next = 0;
        loop {
            let (number, from, until) =
                if let Some(Promotion { number, until }) = pasha.promotable() {
                    let from = pasha.until(number).unwrap();
                    assert_eq!(pasha.promote(number), Some(until));
                    (number, from, until)
                } else if next < trials {
                    next += 1;
                    (next - 1, 0, pasha.target(0))
                } else {
                    break;
                };
            for at in from + 1..=until {
                tell(&mut pasha, number, at, loss(number, at));
            }
            let rung = pasha.targets().iter().position(|t| *t == until).unwrap();
            reached[rung] += 1;
        }
        (reached, pasha.target(pasha.top))
    }

    #[test]
    fn a_stable_ranking_trains_two_rungs() {
        let (reached, top) = run(27, 81, 3, |trial, at| f64::from(trial) + 1.0 / at as f64);
        assert_eq!(top, 3);
        assert!(reached[1] >= 9 && reached[2..] == [0, 0, 0], "{reached:?}");
    }

    #[test]
    fn a_ranking_that_turns_around_opens_the_next_rung() {
        // Up to 3 units the order is the numbers', from there on the reverse; later it stays.
        let late = |trial: u32, at: u64| match at {
            0..=2 => 100.0 - f64::from(trial),
            _ => f64::from(trial),
        };
        let (reached, top) = run(27, 81, 3, late);
        assert_eq!(top, 9);
        assert!(reached[2] > 0 && reached[3..] == [0, 0], "{reached:?}");
    }

    #[test]
    fn once_max_is_open_it_is_asha() {
        let turned = |trial: u32, at: u64| match at {
            0..=2 => 100.0 - f64::from(trial),
            _ => f64::from(trial),
        };
        let (reached, top) = run(27, 9, 3, turned);
        assert_eq!(top, 9);
        assert!(reached[2] >= 1, "{reached:?}");
    }

    #[test]
    fn ties_nan_and_infinities_end() {
        for value in [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let (reached, top) = run(20, 27, 2, |_, _| value);
            assert_eq!((reached[0], top), (20, 2), "{value}");
        }
    }

    #[test]
    fn one_or_two_rungs_are_asha() {
        assert_eq!(run(4, 1, 3, |_, _| 1.0), (vec![4], 1));
        assert_eq!(run(6, 3, 3, |trial, _| f64::from(trial)).1, 3);
    }

    #[test]
    fn only_pairs_that_cross_twice_are_noise() {
        let curve =
            |losses: &[f64]| -> Vec<(u64, f64)> { (1..).zip(losses.iter().copied()).collect() };
        for (a, b, expected) in [
            (vec![1.0, 3.0, 1.0], vec![2.0, 2.0, 1.5], Some(0.5)),
            (vec![1.0, 3.0, 3.0], vec![2.0, 2.0, 1.5], None),
            (vec![1.0, 2.0, 3.0], vec![2.0, 2.0, 4.0], None), // a tie is no crossing
            (vec![1.0], vec![2.0], None),
        ] {
            assert_eq!(criss_cross(&curve(&a), &curve(&b)), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        assert_eq!(percentile(vec![7.0]), 7.0);
        assert!((percentile((1..=10).map(f64::from).collect()) - 9.1).abs() < 1e-12);
    }

    /// Two trials that swap places again and again are equal; so no rung is added for them.
    #[test]
    fn noise_is_not_taken_for_a_change() {
        let grows = |noisy: bool| {
            let mut pasha = Pasha::new(Goal::Minimize, 3, 27, 2);
            for number in 0..4 {
                for at in 1..=3 {
                    // The first two take turns below 1; the others are far behind.
                    let turn = if noisy && at == 2 {
                        1 - number.min(1)
                    } else {
                        number
                    };
                    let loss = if number < 2 {
                        f64::from(turn) * 0.1
                    } else {
                        9.0
                    };
                    tell(&mut pasha, number, at, 1.0 - 0.1 * at as f64 + loss);
                }
            }
            for number in [0, 1] {
                assert_eq!(pasha.promote(number), Some(6));
                for at in 4..=6 {
                    let turned = 1 - number;
                    tell(&mut pasha, number, at, 0.1 + f64::from(turned) * 0.01);
                }
            }
            (pasha.epsilon, pasha.target(pasha.top))
        };
        assert_eq!(grows(false), (0.0, 12));
        let (epsilon, top) = grows(true);
        assert!(epsilon > 0.0);
        assert_eq!(top, if epsilon >= 0.1 { 6 } else { 12 });
    }
}
