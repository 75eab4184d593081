//! PASHA: ASHA whose last rung moves up only while the two top rungs disagree about who is best.
//!
//! Source: Bohdal et al. 2023, PASHA: efficient HPO and NAS with progressive resource allocation, Algorithm 1, soft ranking
//! and its epsilon as in section 4.2, <https://arxiv.org/abs/2207.06940>.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::asha::Asha;
use super::rankings::{Place, Rankings};
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
    /// Of `on_top`; empty after a restart, until the next trial comes there.
    #[serde(skip)]
    rankings: Rankings,
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
            rankings: Rankings::default(),
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

    pub(super) fn waits(&self, number: u32) -> bool {
        self.asha.waits(number)
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
        if !self.keep_score(number, rung) || rung != self.top {
            return;
        }
        self.measure(number);
        self.rank(number);
        if !self.rankings.agree_within(self.epsilon) {
            self.grow();
        }
    }

    /// Whether anything is known of the trial.
    fn keep_score(&mut self, number: u32, rung: usize) -> bool {
        let Some(track) = self.trials.get_mut(&number) else {
            return false;
        };
        let losses = track.curve.iter().map(|(_, loss)| *loss);
        let score = losses.fold(f64::INFINITY, f64::min);
        track.scores.resize(rung, score);
        track.scores.push(score);
        true
    }

    /// Puts a trial that has come to the top rung into the rankings by it and by the rung below.
    fn rank(&mut self, number: u32) {
        if self.rankings.len() != self.on_top.len() {
            self.rankings = Rankings::default();
            for number in &self.on_top {
                self.rankings.insert(self.place(*number));
            }
        }
        self.on_top.push(number);
        self.rankings.insert(self.place(number));
    }

    fn place(&self, number: u32) -> Place {
        let scores = self.trials.get(&number).map(|track| &track.scores[..]);
        let score = |rung: usize| scores.map_or(f64::INFINITY, |scores| scores[rung]);
        Place {
            number,
            here: score(self.top),
            below: score(self.top - 1),
        }
    }

    fn grow(&mut self) {
        self.top += 1;
        self.distances.clear(); // epsilon stays until there are new ones
        self.on_top.clear();
        self.rankings = Rankings::default();
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
mod tests;
