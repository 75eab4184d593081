//! CMA-ES: trials are drawn from a distribution, and each generation of results moves it towards the better ones.
//!
//! Ordered parameters are drawn from a Gaussian over their places in [0, 1] (`gaussian.rs`), values of discrete ones keep
//! a margin (`margin.rs`), parameters without an order have probabilities of their own (`categories.rs`), and a run that
//! has come to rest is followed by another (`restart.rs`).
//!
//! The state is a function of the events. It changes only when a trial is created, by the results that are there: those
//! of the lowest numbers first, as many as a generation has. Nobody waits for a generation: trials go on being drawn from
//! the distribution as it is, and a result counts in the generation in which it comes. While more trials run than a
//! generation has, it grows to their number. What a parameter that is not active was drawn as is kept all the same, so that
//! branches do not narrow what they do not look at.

mod categories;
mod eigen;
mod gaussian;
mod margin;
mod members;
mod rate;
mod restart;
mod run;
mod shape;
mod weights;

pub(super) use eigen::decompose;
use std::borrow::Cow;
use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::Known;
use super::auto::{MIXED, STARTUP};
use super::axes::{Axes, Axis, is_absent};
use super::random::stream;
use crate::space::unit;
use crate::{Assignment, Range};
use members::Members;
use restart::{Plan, Regime, Restarts};
use run::Run;

/// How often a trial is drawn when its point is not new, each time from a distribution that is this share wider.
const DRAWS: (u32, f64) = (24, 0.25);
/// The same where requirements may refuse a point, too: most are refused near the border of what they allow.
const DRAWS_BOUND: (u32, f64) = (96, 1.0 / 32.0);

/// How wide a first run starts that starts late, as a share of the usual width.
const LATE_WIDTH: f64 = 1.0 / 3.0;

/// The search so far: nothing before the first trials have values, then one run after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Evolution {
    /// Whether other samplers have searched before, so that the first run starts late, and near what they found.
    late: bool,
    members: Members,
    restarts: Restarts,
    run: Option<Run>,
    /// Points whose continuous parameters all lie at an end of their ranges, where alone such points repeat.
    corners: BTreeSet<Vec<u64>>,
}

/// Which axes are drawn how.
#[derive(Clone, Debug, PartialEq)]
struct Layout {
    /// Axes with an order and more than one value.
    ordered: Vec<usize>,
    /// Axes without, and how many values they have.
    categories: Vec<(usize, usize)>,
}

impl Layout {
    fn of(known: &Known<'_>) -> Layout {
        let mut layout = Layout {
            ordered: Vec::new(),
            categories: Vec::new(),
        };
        let parameters = known.space.parameters().iter();
        for (i, (axis, parameter)) in known.axes.all().iter().zip(parameters).enumerate() {
            match axis {
                _ if parameter.range.cardinality() == Some(1) => {}
                Axis::Category { count, .. } => layout.categories.push((i, *count)),
                Axis::Cells { .. } | Axis::Line => layout.ordered.push(i),
            }
        }
        layout
    }
}

impl Evolution {
    pub(super) fn late() -> Evolution {
        Evolution {
            late: true,
            ..Evolution::default()
        }
    }

    /// Takes in what has been reported; called before a trial is created.
    pub(super) fn advance(&mut self, known: &Known<'_>) {
        while self.step(known) {}
    }

    /// The state as a trial that is created next would find it.
    pub(super) fn advanced(&self, known: &Known<'_>) -> Cow<'_, Evolution> {
        if !self.is_due(known) {
            return Cow::Borrowed(self);
        }
        let mut advanced = self.clone();
        advanced.advance(known);
        Cow::Owned(advanced)
    }

    fn is_due(&self, known: &Known<'_>) -> bool {
        match &self.run {
            None if self.late => known.history.valued() > MIXED,
            None => known.history.valued() >= STARTUP,
            Some(run) => self.members.ready(known.history.running()) >= run.wants(known),
        }
    }

    fn step(&mut self, known: &Known<'_>) -> bool {
        if !self.is_due(known) {
            return false;
        }
        let layout = Layout::of(known);
        let Some(run) = &mut self.run else {
            let plan = Plan {
                regime: Regime::First,
                size: weights::default_size(layout.ordered.len() + layout.categories.len()),
                width: if self.late { LATE_WIDTH } else { 1.0 },
                trials_max: None,
            };
            let best = known.history.best(known.goal).next();
            let start = best.map(|told| told.point);
            self.run = Some(Run::new(known, &layout, plan, start, 0));
            return true;
        };
        let wants = run.wants(known);
        let generation = self.members.take(known.history.running(), wants);
        if run.learn(known, &layout, &generation) {
            let mut draws = stream(
                b"bonfire:cma:plan",
                known.seed,
                u64::from(self.restarts.count),
            );
            let default = weights::default_size(layout.ordered.len() + layout.categories.len());
            let next = self
                .restarts
                .next(run.plan(), run.spent(), default, || unit(draws.next_u64()));
            self.members.forget();
            self.run = Some(Run::new(known, &layout, next, None, self.restarts.count));
        }
        true
    }

    /// A trial exists; to be called after [`Evolution::advance`].
    pub(super) fn create(
        &mut self,
        known: &Known<'_>,
        number: u32,
        parameters: &Assignment,
        point: &[f64],
    ) {
        self.members.count();
        self.corners.extend(corner(known, point));
        if let Some(run) = &self.run {
            let layout = Layout::of(known);
            let mut draws = Draws::new(known, run, &layout, number);
            let drawn = (0..draws.count).find_map(|attempt| {
                let latent = draws.next(attempt);
                let same = is_near(known, &latent, point) && decode(known, &latent) == *parameters;
                same.then_some(latent)
            });
            let own = drawn.is_some();
            let latent = drawn.unwrap_or_else(|| run.latent_of(known, &layout, point));
            self.members.add(number, latent, own, run.generation());
        }
    }

    /// Whether the point is a corner that a trial has.
    fn has_corner(&self, known: &Known<'_>, point: &Assignment) -> bool {
        let point = known.axes.encode(known.space, point);
        let Some(corner) = point.and_then(|point| self::corner(known, &point)) else {
            return false;
        };
        let mut ahead = known
            .ahead
            .iter()
            .filter_map(|point| self::corner(known, point));
        self.corners.contains(&corner) || ahead.any(|other| other == corner)
    }

    pub(super) fn report(&mut self, number: u32, has_value: bool) {
        self.members.report(number, has_value);
    }

    pub(super) fn end(&mut self, number: u32) {
        self.members.end(number);
    }
}

/// The first new one of the points drawn for a trial. Where there is none, the last drawn that is no corner, or `None`;
/// `None` before the first run, too.
pub(super) fn suggest(
    known: &Known<'_>,
    evolution: &Evolution,
    number: u32,
    is_new: impl Fn(&Assignment) -> bool,
) -> Option<Assignment> {
    let run = evolution.run.as_ref()?;
    let layout = Layout::of(known);
    let mut draws = Draws::new(known, run, &layout, number);
    let mut taken = None;
    for attempt in 0..draws.count {
        let point = decode(known, &draws.next(attempt));
        if evolution.has_corner(known, &point) {
            continue;
        }
        if is_new(&point) {
            return Some(point);
        }
        taken = Some(point);
    }
    taken
}

/// The points drawn for one trial.
struct Draws<'a> {
    run: &'a Run,
    layout: &'a Layout,
    axes: &'a Axes,
    /// How many there are at most, and how much wider each is drawn.
    count: u32,
    step: f64,
    stream: ChaCha8Rng,
}

impl<'a> Draws<'a> {
    fn new(known: &Known<'a>, run: &'a Run, layout: &'a Layout, number: u32) -> Draws<'a> {
        let (count, step) = if known.is_bound { DRAWS_BOUND } else { DRAWS };
        Draws {
            run,
            layout,
            axes: known.axes,
            count,
            step,
            stream: stream(b"bonfire:cma-es:1", known.seed, u64::from(number)),
        }
    }

    /// A place for each ordered axis and an index for each of the others.
    fn next(&mut self, attempt: u32) -> Vec<f64> {
        let mut latent = vec![0.0; self.axes.len()];
        let stream = &mut self.stream;
        let normal: Vec<f64> = self.layout.ordered.iter().map(|_| normal(stream)).collect();
        let widen = 1.0 + self.step * f64::from(attempt);
        let places = self.run.place(&normal, widen);
        for (place, i) in places.into_iter().zip(&self.layout.ordered) {
            latent[*i] = place;
        }
        for (c, (i, _)) in self.layout.categories.iter().enumerate() {
            latent[*i] = self.run.category(c, unit(self.stream.next_u64())) as f64;
        }
        latent
    }
}

fn decode(known: &Known<'_>, latent: &[f64]) -> Assignment {
    known
        .axes
        .decode(known.space, |i| match &known.axes.all()[i] {
            Axis::Category { .. } => latent[i],
            axis => axis.coordinate(latent[i].clamp(0.0, 1.0)),
        })
}

/// Whether a point's continuous coordinates could be those drawn: cheaper than to make the point.
fn is_near(known: &Known<'_>, latent: &[f64], point: &[f64]) -> bool {
    let parameters = known.space.parameters().iter();
    let mut coordinates = latent.iter().zip(point).zip(parameters);
    coordinates.all(|((latent, own), parameter)| {
        let is_free = parameter.range.cardinality().is_none() && !is_absent(*own);
        !is_free || (latent.clamp(0.0, 1.0) - own).abs() < 1e-6
    })
}

/// What tells a point from others where all its continuous parameters lie at an end of their ranges; `None` elsewhere,
/// and where it has none.
fn corner(known: &Known<'_>, point: &[f64]) -> Option<Vec<u64>> {
    const NEAR: f64 = 1e-12;
    let mut continuous = 0;
    let mut corner = Vec::with_capacity(point.len());
    for (coordinate, parameter) in point.iter().zip(known.space.parameters()) {
        let mut own = *coordinate;
        if parameter.range.cardinality().is_none() && !is_absent(own) {
            if own > NEAR && own < 1.0 - NEAR {
                return None;
            }
            own = libm::round(own);
            continuous += 1;
        }
        corner.push(own.to_bits());
    }
    (continuous > 0).then_some(corner)
}

/// Whether a range is drawn as it is: discrete ones of very many values, too.
fn is_continuous(range: &Range) -> bool {
    const VALUES_MAX: u128 = 1 << 20;
    range.cardinality().is_none_or(|count| count > VALUES_MAX)
}

/// A standard normal number (Box and Muller 1958).
fn normal(stream: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - unit(stream.next_u64()))).sqrt();
    radius * libm::cos(std::f64::consts::TAU * unit(stream.next_u64()))
}
