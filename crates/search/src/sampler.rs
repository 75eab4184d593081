//! Samplers: which point of the space the next trial tries.
//!
//! A sampler is an event-sourced value. `observe` folds events in, `suggest` looks; what it suggests is a function of
//! (seed, events, number) and of nothing else, never of how often it was asked.

mod ahead;
mod allowed;
mod apart;
mod auto;
mod axes;
mod cma;
mod directions;
mod error;
mod gp;
mod grid;
mod history;
mod kept;
mod levels;
mod marks;
mod motpe;
mod nsga2;
mod parzen;
mod prior;
mod random;
mod several;
mod sobol;
mod start;
mod taken;
mod tpe;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use directions::DIMENSIONS_MAX as SOBOL_DIMENSIONS_MAX;
pub use error::SamplerError;
pub use prior::{PriorTrial, is_usable};
pub(crate) use random::stream;
pub use start::{StartError, complete_start};

use crate::{
    Assignment, Event, Explanation, Goal, OBJECTIVES_MAX, Requirements, Scheduler, SchedulerKind,
    Space, Suggestion,
};
use allowed::Allowed;
use axes::Axes;
use cma::Evolution;
use history::History;
use kept::Kept;
use marks::{Mark, Marks};
use prior::Prior;
use several::Several;
use taken::Taken;

/// The most points a grid may have: trials are numbered by a `u32`.
pub const GRID_MAX: u128 = u32::MAX as u128;

/// The way to search. `Auto` starts with Sobol and mixes a Gaussian process and TPE, see docs/search.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SamplerKind {
    Auto,
    Grid,
    Random,
    Sobol,
    Tpe,
    Gp,
    Cmaes,
    /// A search of several objectives.
    Nsga2,
}

/// A search in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Sampler {
    kind: SamplerKind,
    space: Space,
    goal: Goal,
    seed: u64,
    /// The points that trials have been created with, where points have numbers, and those that may not be tried.
    taken: Taken,
    allowed: Allowed,
    /// The points of trials where not all points have numbers, for a sampler that looks at results.
    marks: Marks,
    /// Points to try first, and how many of them have been.
    start: Vec<Assignment>,
    started: usize,
    /// What other searches say.
    prior: Prior,
    /// What a model learns from; empty where the sampler does not look at results.
    history: History,
    /// The state of CMA-ES; empty for the other samplers.
    evolution: Evolution,
    /// Whether a share of the suggestions is random, as in BOHB.
    explores: bool,
    /// What a search of several objectives knows besides; empty in one of one.
    several: Several,
    /// Follows from the space.
    axes: Arc<Axes>,
}

/// What a model's suggestion is made from.
#[derive(Clone, Copy, Debug)]
struct Known<'a> {
    space: &'a Space,
    axes: &'a Axes,
    goal: Goal,
    seed: u64,
    history: &'a History,
    several: &'a Several,
    prior: &'a Prior,
    /// Whether requirements may refuse a point.
    is_bound: bool,
    /// Points of this batch that come before, in order.
    ahead: &'a [Box<[f64]>],
}

impl Sampler {
    /// # Errors
    /// [`SamplerError`], naming the limit.
    pub fn new(
        kind: SamplerKind,
        space: Space,
        goal: Goal,
        seed: u64,
    ) -> Result<Sampler, SamplerError> {
        let dimensions = space.parameters().len();
        match kind {
            SamplerKind::Grid => grid::check(&space)?,
            SamplerKind::Sobol if dimensions > SOBOL_DIMENSIONS_MAX => {
                let max = SOBOL_DIMENSIONS_MAX;
                return Err(SamplerError::TooManyDimensions { dimensions, max });
            }
            _ => {}
        }
        Ok(Sampler {
            kind,
            axes: Arc::new(Axes::of(&space)),
            space,
            goal,
            seed,
            taken: Taken::default(),
            allowed: Allowed::default(),
            marks: Marks::default(),
            start: Vec::new(),
            started: 0,
            prior: Prior::default(),
            history: History::default(),
            evolution: match kind {
                SamplerKind::Auto => Evolution::late(),
                _ => Evolution::default(),
            },
            explores: false,
            several: Several::default(),
        })
    }

    /// The same search of trials that a scheduler stops on its rungs: models compare them on one rung at a time, the
    /// highest that enough have got to. Under BOHB a third of the suggestions is random, and `Auto` is `Tpe`. Under population
    /// based training `Auto` is `Sobol` (`Random` beyond its dimensions): the population covers the space, the rest is its own.
    ///
    /// No event has been observed yet.
    ///
    /// # Errors
    /// [`SamplerError::NotTpe`] under BOHB, [`SamplerError::NotDrawn`] under population based training.
    pub fn under(self, scheduler: &Scheduler) -> Result<Sampler, SamplerError> {
        if matches!(scheduler.kind(), SchedulerKind::Pbt { .. }) {
            return self.under_population();
        }
        let history = History::with_rungs(&scheduler.rungs());
        if !matches!(scheduler.kind(), SchedulerKind::Bohb { .. }) {
            let evolution = match self.kind {
                SamplerKind::Auto if history.has_rungs() => Evolution::default(),
                _ => self.evolution,
            };
            return Ok(Sampler {
                history,
                evolution,
                ..self
            });
        }
        match self.kind {
            SamplerKind::Auto | SamplerKind::Tpe => Ok(Sampler {
                kind: SamplerKind::Tpe,
                evolution: Evolution::default(),
                explores: true,
                history,
                ..self
            }),
            kind => Err(SamplerError::NotTpe { kind }),
        }
    }

    fn under_population(self) -> Result<Sampler, SamplerError> {
        let kind = match self.kind {
            SamplerKind::Auto if self.space.parameters().len() > SOBOL_DIMENSIONS_MAX => {
                SamplerKind::Random
            }
            SamplerKind::Auto => SamplerKind::Sobol,
            kind @ (SamplerKind::Sobol | SamplerKind::Random) => kind,
            kind => return Err(SamplerError::NotDrawn { kind }),
        };
        Ok(Sampler {
            kind,
            evolution: Evolution::default(),
            ..self
        })
    }

    /// The same search toward several objectives: of those that each trial stands for, it looks for the values that no others
    /// dominate. `goals[0]` is the goal that it was made with. A trial stands for its evaluation whose first objective is
    /// best, the earlier of equals, with all values there. One goal changes nothing. No event has been observed yet.
    ///
    /// # Errors
    /// [`SamplerError::OneObjective`], [`SamplerError::OneValueAlone`] and [`SamplerError::TooManyObjectives`].
    pub fn toward(self, goals: &[Goal]) -> Result<Sampler, SamplerError> {
        let (objectives, max) = (goals.len(), OBJECTIVES_MAX);
        match (objectives, self.kind) {
            (0 | 1, SamplerKind::Nsga2) => return Err(SamplerError::OneObjective),
            (0 | 1, _) => return Ok(self),
            _ if objectives > max => {
                return Err(SamplerError::TooManyObjectives { objectives, max });
            }
            (_, kind @ SamplerKind::Cmaes) => return Err(SamplerError::OneValueAlone { kind }),
            _ => {}
        }
        Ok(Sampler {
            goal: goals[0],
            evolution: Evolution::default(),
            several: Several::toward(goals),
            ..self
        })
    }

    /// The same search of the points that requirements leave. No event has been observed yet.
    ///
    /// A space of at most 2^18 points is looked through, so only points that may be tried are counted.
    ///
    /// # Errors
    /// [`SamplerError::NothingAllowed`] and [`SamplerError::NothingFound`] where nothing is left to try, and
    /// [`SamplerError::GridNotListed`].
    pub fn requiring(mut self, require: Requirements) -> Result<Sampler, SamplerError> {
        let (kind, seed) = (self.kind, self.seed);
        self.allowed = Allowed::new(require, kind, &self.space, seed, &mut self.taken)?;
        Ok(self)
    }

    /// The same search, with points to try first, in that order; each is a point of the space that may be tried, as
    /// [`complete_start`] makes them. No event has been observed yet.
    pub fn starting(mut self, start: Vec<Assignment>) -> Sampler {
        self.start = start;
        self
    }

    /// The same search, which begins with what trials of other searches say: TPE makes its first suggestions from them instead
    /// of points that fill the space, and takes them into account while it has few trials of its own. No event has been
    /// observed yet. A sampler that does not look at results takes no notice.
    pub fn learning_from(mut self, searches: &[Vec<PriorTrial>]) -> Sampler {
        self.prior = Prior::new(&self.space, &self.axes, searches);
        self
    }

    /// Folds one event in: which points have been created, and for a sampler that looks, what came of them. Events of
    /// trials that were never created change nothing.
    pub fn observe(&mut self, event: &Event) {
        if let Event::Created { parameters, .. } = event {
            if let Some(rank) = self.space.rank(parameters) {
                self.taken.insert(rank);
            }
            self.started += usize::from(self.begins_with(self.started, parameters));
        }
        if !self.looks_at_results() {
            return;
        }
        if let Event::Created { number, parameters } = event {
            self.create(*number, parameters);
        } else if self.several.is_empty() {
            self.learn(event);
        } else {
            self.several.learn(&mut self.history, event);
        }
    }

    /// What comes of a trial, in a search of one objective.
    fn learn(&mut self, event: &Event) {
        let (goal, evolves) = (self.goal, self.evolves());
        let (number, has_value) = match event {
            Event::Created { .. } => return,
            Event::Observed { number, at, value } => {
                self.history.observe(goal, *number, *at, *value);
                (*number, value.is_finite())
            }
            Event::Violated {
                number,
                violation,
                before,
                ..
            } => {
                let history = &mut self.history;
                history.violate(goal, *number, *violation, *before);
                (*number, true)
            }
            Event::Several { number, at, values } => {
                let value = values.first().copied().unwrap_or(f64::NAN);
                self.history.observe(goal, *number, *at, value);
                (*number, value.is_finite())
            }
            Event::Ended { number, ending } => {
                self.history.end(goal, *number, *ending);
                if evolves {
                    self.evolution.end(*number);
                }
                return;
            }
        };
        if evolves {
            self.evolution.report(number, has_value);
        }
    }

    fn create(&mut self, number: u32, parameters: &Assignment) {
        let Some(point) = self.axes.encode(&self.space, parameters) else {
            return;
        };
        if self.evolves() && !self.history.has(number) {
            // Of parts, so that the evolution may change.
            let known = Known {
                space: &self.space,
                axes: &self.axes,
                goal: self.goal,
                seed: self.seed,
                history: &self.history,
                several: &self.several,
                prior: &self.prior,
                is_bound: self.allowed.binds(),
                ahead: &[],
            };
            self.evolution.advance(&known);
            self.evolution.create(&known, number, parameters, &point);
        }
        if !self.history.has(number) && !self.space.is_numbered() {
            self.marks.insert(Mark::at(&point));
        }
        self.history.create(number, point);
    }

    /// Whether CMA-ES makes suggestions, if only later on.
    fn evolves(&self) -> bool {
        match self.kind {
            SamplerKind::Cmaes => true,
            SamplerKind::Auto => {
                let has_rungs = self.history.has_rungs();
                self.several.is_empty() && self.axes.are_continuous() && !has_rungs
            }
            _ => false,
        }
    }

    fn known(&self) -> Known<'_> {
        Known {
            space: &self.space,
            axes: &self.axes,
            goal: self.goal,
            seed: self.seed,
            history: &self.history,
            several: &self.several,
            prior: &self.prior,
            is_bound: self.allowed.binds(),
            ahead: &[],
        }
    }

    /// Whether the start point of that place is this one.
    fn begins_with(&self, place: usize, parameters: &Assignment) -> bool {
        let point = self.start.get(place);
        point.is_some_and(|point| start::is_same(point, parameters))
    }

    /// The point for the trial of that number, once the `Created` events of all smaller numbers have been observed.
    ///
    /// - Start points come first, one after the other.
    /// - Grid: the first point in the space's order that no trial has.
    /// - Random and Sobol: a place of the unit cube, a function of (seed, number).
    /// - TPE, the Gaussian process, CMA-ES, NSGA-II and auto: a function of (seed, number, events).
    ///
    /// Where a trial already has that point, a free one instead: of points without an active continuous parameter none comes
    /// twice while another is left, of the others none that a sampler which looks at results finds another for. Where
    /// requirements refuse the point, others are drawn. A finite space ends with `Exhausted`, and so does a search that draws
    /// 10,000 points and may try none of them.
    ///
    /// Trials are created in the order of their numbers, and results between two creations commute, so none of this
    /// depends on the number of workers.
    pub fn suggest(&self, number: u32) -> Suggestion {
        ahead::suggest(self, number, 1)
            .pop()
            .unwrap_or(Suggestion::Exhausted {
                reason: "trial numbers have run out".to_owned(),
            })
    }

    /// As [`Sampler::suggest`] for `count` numbers from `first` on, each seeing those before it as created. Fewer only
    /// where the last is `Exhausted`, or numbers run out.
    pub fn suggest_many(&self, first: u32, count: u32) -> Vec<Suggestion> {
        ahead::suggest(self, first, count)
    }

    /// As [`Sampler::suggest_many`], each with what makes it and what a Gaussian process expects of it; why no more come, if that
    /// is so. `model`: a sampler of the same space that saw the same events and looks at results.
    pub fn explain(
        &self,
        model: &Sampler,
        first: u32,
        count: u32,
    ) -> (Vec<Explanation>, Option<String>) {
        ahead::explain(self, model, first, count)
    }

    /// Whether a suggestion depends on values that trials have reported. If not, it can be made ahead of results.
    pub fn looks_at_results(&self) -> bool {
        match self.kind {
            SamplerKind::Grid | SamplerKind::Random | SamplerKind::Sobol => false,
            SamplerKind::Auto
            | SamplerKind::Tpe
            | SamplerKind::Gp
            | SamplerKind::Cmaes
            | SamplerKind::Nsga2 => true,
        }
    }

    /// How many trials there will be in all, where the sampler alone decides that: a grid's points.
    pub fn planned(&self) -> Option<u32> {
        match self.kind {
            SamplerKind::Grid => self.points().and_then(|points| u32::try_from(points).ok()),
            _ => None,
        }
    }

    /// What it demands of its trials.
    pub fn requirements(&self) -> &Requirements {
        self.allowed.require()
    }

    /// Whether requirements may refuse points of the space.
    pub fn is_bound(&self) -> bool {
        self.allowed.binds()
    }

    /// Whether a point of the space may be tried.
    pub fn allows(&self, point: &Assignment) -> bool {
        self.allowed.allows(point)
    }

    /// A grid of the points that this search may try, in the order of its space; `None` where there is none.
    pub fn as_grid(&self) -> Option<Sampler> {
        let grid = Sampler::new(SamplerKind::Grid, self.space.clone(), self.goal, 0).ok()?;
        grid.requiring(self.allowed.require().clone()).ok()
    }

    /// How many points of a finite space may be tried. With requirements it is known of spaces that are looked through;
    /// of others it is the most there may be.
    pub fn points(&self) -> Option<u128> {
        let size = self.space.size()?;
        Some(size - self.allowed.refused())
    }

    pub fn kind(&self) -> SamplerKind {
        self.kind
    }

    pub fn space(&self) -> &Space {
        &self.space
    }

    pub fn goal(&self) -> Goal {
        self.goal
    }
}

#[cfg(test)]
mod tests;
