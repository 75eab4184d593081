//! One run: a distribution, from where it starts until it has come to rest.

use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::categories::Categories;
use super::gaussian::{Drawn, Gaussian};
use super::margin::{Part, correct};
use super::members::Member;
use super::rate::Rates;
use super::restart::{Motion, Plan, Progress};
use super::weights::Weights;
use super::{Known, Layout, is_absent, is_continuous};
use crate::Range;
use crate::sampler::axes::Axis;
use crate::sampler::history::Standing;
use crate::sampler::random::stream;
use crate::space::unit;

/// The standard deviation at the start, as a share of the range.
const WIDTH: f64 = 0.15;
/// No coordinate is drawn wider.
const WIDTH_MAX: f64 = 1.0;
/// A run ends when every continuous coordinate has become that narrow.
const WIDTH_MIN: f64 = 1e-11;
/// The least probability that a trial's discrete values are not the likeliest ones: shared among the parameters, a
/// generation has about one such trial.
const LEAVING: f64 = 1.0;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    plan: Plan,
    /// Over the ordered axes; `None` where there are none.
    gaussian: Option<Gaussian>,
    categories: Categories,
    rates: Option<Rates>,
    progress: Progress,
    spent: u64,
    generation: u32,
}

impl Run {
    /// Starts at a point of the space, or anywhere. `index`: how many runs were before.
    pub(super) fn new(
        known: &Known<'_>,
        layout: &Layout,
        plan: Plan,
        start: Option<&[f64]>,
        index: u32,
    ) -> Run {
        let mut draws = stream(b"bonfire:cma:mean", known.seed, u64::from(index));
        let place = |i: &usize| {
            let anywhere = unit(draws.next_u64());
            match start {
                Some(point) if is_absent(point[*i]) => 0.5,
                Some(point) => known.axes.all()[*i].place(point[*i]),
                None => anywhere,
            }
        };
        let mean: Vec<f64> = layout.ordered.iter().map(place).collect();
        let n = mean.len();
        let gaussian = (n > 0).then(|| Gaussian::new(mean, WIDTH * plan.width));
        Run {
            plan,
            gaussian,
            categories: Categories::uniform(layout.categories.iter().map(|(_, count)| *count)),
            rates: None,
            progress: Progress::default(),
            spent: 0,
            generation: 0,
        }
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    /// Trials that it has learned from.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// The results of a generation: as many as are planned, and while more trials run than that, as many as run, because
    /// those that are told next were drawn before.
    pub(super) fn wants(&self, known: &Known<'_>) -> usize {
        self.plan.size.max(known.history.running())
    }

    pub(super) fn place(&self, normal: &[f64], widen: f64) -> Vec<f64> {
        let gaussian = self.gaussian.as_ref();
        gaussian.map_or_else(Vec::new, |gaussian| gaussian.place(normal, widen))
    }

    pub(super) fn category(&self, c: usize, place: f64) -> usize {
        self.categories.value(c, place)
    }

    /// What a point might have been drawn as: the middle of its values' parts, and the middle of the distribution where it
    /// has none.
    pub(super) fn latent_of(&self, known: &Known<'_>, layout: &Layout, point: &[f64]) -> Vec<f64> {
        let mut latent = vec![0.0; known.axes.len()];
        for (j, i) in layout.ordered.iter().enumerate() {
            latent[*i] = match &self.gaussian {
                Some(gaussian) if is_absent(point[*i]) => gaussian.mean[j],
                _ => known.axes.all()[*i].place(point[*i]),
            };
        }
        for (c, (i, _)) in layout.categories.iter().enumerate() {
            latent[*i] = if is_absent(point[*i]) {
                self.category(c, 0.5) as f64
            } else {
                point[*i]
            };
        }
        latent
    }

    /// Learns from a generation. Gives whether the run has come to rest.
    pub(super) fn learn(
        &mut self,
        known: &Known<'_>,
        layout: &Layout,
        members: &[(u32, Member)],
    ) -> bool {
        let generation = self.generation;
        self.generation = self.generation.saturating_add(1);
        self.spent += members.len() as u64;
        let mut ranked: Vec<(Standing, u32, &Member)> = Vec::new();
        for (number, member) in members {
            if let Some(standing) = known.history.standing(known.goal, *number) {
                ranked.push((standing, *number, member));
            }
        }
        ranked.sort_by_key(|(standing, number, _)| (*standing, *number));
        let losses = ranked
            .iter()
            .filter_map(|(_, number, _)| known.history.loss(known.goal, *number));
        let (best, worst) = losses.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| {
            (low.min(loss), high.max(loss))
        });
        // Of trials that have no value, or of one alone, nothing is better than the rest.
        let some_compare = ranked.first().is_some_and(|first| !first.0.has_failed());
        if ranked.len() >= 2 && some_compare {
            let ranked: Vec<(&Member, bool)> = ranked
                .iter()
                .map(|(_, _, member)| (*member, member.own && member.generation == generation))
                .collect();
            self.update(known, layout, &ranked);
        }
        let n = layout.ordered.len() + layout.categories.len();
        let motion = if best.is_finite() {
            self.progress.learn(best, worst, n, members.len())
        } else {
            Motion::Moving
        };
        let at_rest = match motion {
            Motion::Moving => false,
            Motion::Flat => true,
            Motion::Idle if self.rates.is_some() => true,
            Motion::Idle => {
                self.rates = self.gaussian.as_ref().map(Gaussian::rates);
                self.rates.is_none()
            }
        };
        let out_of_trials = self.plan.trials_max.is_some_and(|most| self.spent >= most);
        at_rest || out_of_trials || self.is_narrow(known, layout)
    }

    /// `ranked`: members best first, and whether the present distribution drew them.
    fn update(&mut self, known: &Known<'_>, layout: &Layout, ranked: &[(&Member, bool)]) {
        let alpha = self.alpha(known, layout, ranked.len());
        let range = |j: usize| &known.space.parameters()[layout.ordered[j]].range;
        let mut weights = Weights::new(layout.categories.len().max(1), ranked.len(), false);
        if let Some(gaussian) = &mut self.gaussian {
            let of = |latent: &[f64]| layout.ordered.iter().map(|i| latent[*i]).collect();
            let places: Vec<Vec<f64>> = ranked
                .iter()
                .map(|(member, _)| of(&member.latent))
                .collect();
            let drawn = places.iter().zip(ranked);
            let drawn = drawn.map(|(place, (_, own))| Drawn { place, own: *own });
            let drawn: Vec<Drawn<'_>> = drawn.collect();
            gaussian.update(&drawn, self.rates.as_mut(), |j| is_continuous(range(j)));
            for j in 0..gaussian.len() {
                if !is_continuous(range(j)) {
                    let axis = &known.axes.all()[layout.ordered[j]];
                    let part = part_at(axis, range(j), gaussian.mean[j]);
                    let (mean, deviation) =
                        correct(gaussian.mean[j], gaussian.deviation(j), part, alpha);
                    gaussian.set(j, mean, deviation);
                }
            }
            gaussian.narrow(WIDTH_MAX);
            weights = Weights::new(gaussian.len(), ranked.len(), false);
        }
        let values = |(member, _): &(&Member, bool)| {
            let indices = layout.categories.iter();
            indices.map(|(i, _)| member.latent[*i] as usize).collect()
        };
        let values: Vec<Vec<usize>> = ranked.iter().map(values).collect();
        self.categories
            .update(&values, &weights.weights, weights.mu_eff, alpha);
    }

    /// The least probability of leaving the likeliest value of one discrete parameter.
    fn alpha(&self, known: &Known<'_>, layout: &Layout, size: usize) -> f64 {
        let parameters = known.space.parameters();
        let is_discrete = |i: &&usize| !is_continuous(&parameters[**i].range);
        let discrete = layout.ordered.iter().filter(is_discrete).count();
        let count = discrete + layout.categories.len();
        (LEAVING / (size.max(1) * count.max(1)) as f64).min(0.5)
    }

    /// Whether nothing new can be expected of its continuous coordinates, or it is degenerate.
    fn is_narrow(&self, known: &Known<'_>, layout: &Layout) -> bool {
        let Some(gaussian) = &self.gaussian else {
            return false;
        };
        let parameters = known.space.parameters();
        let mut continuous = (0..gaussian.len())
            .filter(|j| is_continuous(&parameters[layout.ordered[*j]].range))
            .peekable();
        let narrow =
            continuous.peek().is_some() && continuous.all(|j| gaussian.reach(j) < WIDTH_MIN);
        narrow || gaussian.is_degenerate()
    }
}

/// The part of the value at a place in [0, 1].
fn part_at(axis: &Axis, range: &Range, place: f64) -> Part {
    let place = place.clamp(0.0, 1.0);
    let count = range.cardinality().unwrap_or(1);
    let index = match axis {
        Axis::Line => range.index_of(&range.at_share(place)).unwrap_or(0),
        _ => axis.coordinate(place) as u128,
    };
    Part {
        low: (index > 0).then(|| range.edge(index)),
        high: (index + 1 < count).then(|| range.edge(index + 1)),
    }
}
