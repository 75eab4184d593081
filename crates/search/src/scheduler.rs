//! Schedulers: how far each trial trains.
//!
//! A scheduler is an event-sourced value of replicated state: the same events give the same bytes and the same verdicts
//! on every node. A value that is not a number is kept as `None` or as the worst rank, never as NaN, so equal states
//! are equal.

mod asha;
mod explore;
mod halves;
mod hyperband;
mod kind;
mod median;
mod pasha;
mod pbt;
mod plateau;
mod rankings;
mod rung;
mod signed_rank;
mod stop;
mod wilcoxon;

use serde::{Deserialize, Serialize};

use crate::{Event, Goal};
use asha::Asha;
use hyperband::Hyperband;
use median::Median;
use pasha::Pasha;
use pbt::Pbt;
use plateau::Plateau;
use wilcoxon::Wilcoxon;

pub use explore::explore;
pub use hyperband::{Bracket, brackets};
pub use kind::{RealSetting, SchedulerError, SchedulerKind};
pub use stop::StopReason;

/// What a trial does after a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// Train on, to the trial's current target; at the target, finish.
    Continue,
    /// Save, free the slot, and wait for a promotion.
    Pause,
    /// End as pruned.
    Stop { reason: StopReason },
    /// End as completed, before the budget is used up.
    Finish { reason: StopReason },
}

/// A paused trial that may go on, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    pub number: u32,
    pub until: u64,
}

/// A trial that takes the place of another one: forked from `parent` after `at` units, where that has a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exploit {
    /// Whose place is taken: it waits, or has failed.
    pub number: u32,
    pub parent: u32,
    pub at: u64,
}

/// What a free slot does for trials that were created before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    Promote(Promotion),
    Exploit(Exploit),
}

/// How many trials are expected to train at least this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungPlan {
    pub until: u64,
    pub trials: u32,
}

/// Early stopping in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scheduler {
    kind: SchedulerKind,
    goal: Goal,
    budget: u64,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    None,
    Median(Median),
    Asha(Asha),
    Hyperband(Hyperband),
    Pasha(Pasha),
    Wilcoxon(Wilcoxon),
    Plateau(Plateau),
    Pbt(Pbt),
}

impl Scheduler {
    /// `budget`: the units a trial trains when nobody stops it.
    ///
    /// # Errors
    /// [`SchedulerError`], the first one found.
    pub fn new(kind: SchedulerKind, goal: Goal, budget: u64) -> Result<Scheduler, SchedulerError> {
        kind.check(budget)?;
        let state = match kind {
            SchedulerKind::None => State::None,
            SchedulerKind::Median { min, startup } => {
                State::Median(Median::new(goal, min, startup))
            }
            SchedulerKind::Asha { min, max, eta } => State::Asha(Asha::new(goal, min, max, eta)),
            SchedulerKind::Hyperband { min, max, eta } | SchedulerKind::Bohb { min, max, eta } => {
                State::Hyperband(Hyperband::new(goal, min, max, eta))
            }
            SchedulerKind::Pasha { min, max, eta } => State::Pasha(Pasha::new(goal, min, max, eta)),
            SchedulerKind::Wilcoxon { threshold, startup } => {
                State::Wilcoxon(Wilcoxon::new(goal, threshold.get(), startup))
            }
            SchedulerKind::Plateau {
                min,
                patience,
                delta,
            } => State::Plateau(Plateau::new(goal, min, patience, delta.get())),
            SchedulerKind::Pbt {
                population,
                interval,
                quantile,
                ..
            } => State::Pbt(Pbt::new(goal, population, interval, quantile.get(), budget)),
        };
        Ok(Scheduler {
            kind,
            goal,
            budget,
            state,
        })
    }

    /// How far a new trial trains before it must ask. Under Hyperband it depends on the bracket, which follows from the
    /// number.
    pub fn first_until(&self, number: u32) -> u64 {
        match &self.state {
            State::None | State::Median(_) | State::Wilcoxon(_) | State::Plateau(_) => self.budget,
            State::Asha(asha) => asha.target(0),
            State::Hyperband(hyperband) => hyperband.first_until(number),
            State::Pasha(pasha) => pasha.target(0),
            State::Pbt(pbt) => pbt.after(0),
        }
    }

    /// Where trials are compared and paused, ascending; Hyperband's are those of all brackets. The last is `max`. Empty for
    /// schedulers without rungs; a population compares its members wherever they are.
    pub fn rungs(&self) -> Vec<u64> {
        match &self.state {
            State::None
            | State::Median(_)
            | State::Wilcoxon(_)
            | State::Plateau(_)
            | State::Pbt(_) => Vec::new(),
            State::Asha(asha) => asha.targets().to_vec(),
            State::Hyperband(hyperband) => hyperband.targets().to_vec(),
            State::Pasha(pasha) => pasha.targets().to_vec(),
        }
    }

    /// Folds one event in and says what its trial does next (`Continue` for events other than values).
    ///
    /// A value at or before the trial's last one is taken as a repetition: it changes nothing, and gives the verdict it
    /// gave before, unless the trial has been promoted since: then it goes on to its new target. What comes after a
    /// trial's end, or would reach a target while the trial waits there, changes nothing either.
    ///
    /// What breaks a requirement stands behind what does not on a rung, by its violation. Schedulers without rungs take
    /// it as a value that is not a number. Of several objectives all see the first.
    pub fn observe(&mut self, event: &Event) -> Verdict {
        let instead = match (event, &self.state) {
            (
                Event::Violated { number, at, .. },
                State::Median(_) | State::Wilcoxon(_) | State::Plateau(_),
            ) => Some(Event::Observed {
                number: *number,
                at: *at,
                value: f64::NAN,
            }),
            (Event::Several { number, at, values }, _) => Some(Event::Observed {
                number: *number,
                at: *at,
                value: values.first().copied().unwrap_or(f64::NAN),
            }),
            _ => None,
        };
        let event = instead.as_ref().unwrap_or(event);
        match &mut self.state {
            State::None => Verdict::Continue,
            State::Median(median) => median.observe(event, self.budget),
            State::Asha(asha) => asha.observe(event),
            State::Hyperband(hyperband) => hyperband.observe(event),
            State::Pasha(pasha) => pasha.observe(event),
            State::Wilcoxon(wilcoxon) => wilcoxon.observe(event),
            State::Plateau(plateau) => plateau.observe(event, self.budget),
            State::Pbt(pbt) => pbt.observe(event),
        }
    }

    /// The paused trial to promote next: highest rung first, best first, ties to the lower number. Candidates are the
    /// best floor(n / eta) of a rung's n reported values, without those promoted before, ended, or without a number.
    ///
    /// Source: Li et al. 2020, A system for massively parallel hyperparameter tuning, Algorithm 2 (`get_job`),
    /// <https://arxiv.org/abs/1810.05934>.
    ///
    /// None in a population, where [`Scheduler::turn`] says more.
    pub fn promotable(&self) -> Option<Promotion> {
        match &self.state {
            State::None
            | State::Median(_)
            | State::Wilcoxon(_)
            | State::Plateau(_)
            | State::Pbt(_) => None,
            State::Asha(asha) => asha.promotable(),
            State::Hyperband(hyperband) => hyperband.promotable(),
            State::Pasha(pasha) => pasha.promotable(),
        }
    }

    /// Marks a trial as promoted and gives its new target; `None`, and nothing changes, if it is not a candidate (any
    /// more).
    pub fn promoted(&mut self, number: u32) -> Option<u64> {
        match &mut self.state {
            State::None | State::Median(_) | State::Wilcoxon(_) | State::Plateau(_) => None,
            State::Asha(asha) => asha.promote(number),
            State::Hyperband(hyperband) => hyperband.promote(number),
            State::Pasha(pasha) => pasha.promote(number),
            State::Pbt(pbt) => pbt.promote(number),
        }
    }

    /// The paused trials that an idle slot may train ahead of their turn, those that would go furthest first, and of these the
    /// best: they wait below a promotion line and would be above it if all of `coming`, the trials that still train, came to
    /// their rungs and were no better. Only rungs have any. Nobody else's turn can come while nothing new begins, but where PASHA
    /// opens a rung.
    pub fn ahead(&self, coming: &[u32]) -> Vec<Promotion> {
        match &self.state {
            State::Asha(asha) => asha.ahead(coming),
            State::Hyperband(hyperband) => hyperband.ahead(coming),
            State::Pasha(pasha) => pasha.ahead(coming),
            _ => Vec::new(),
        }
    }

    /// Whether a trial waits at a rung and its turn to be promoted has come.
    pub fn is_due(&self, number: u32) -> bool {
        match &self.state {
            State::Asha(asha) => asha.is_due(number),
            State::Hyperband(hyperband) => hyperband.is_due(number),
            State::Pasha(pasha) => pasha.is_due(number),
            _ => false,
        }
    }

    /// Whether a trial waits at a rung.
    pub fn waits(&self, number: u32) -> bool {
        match &self.state {
            State::Asha(asha) => asha.waits(number),
            State::Hyperband(hyperband) => hyperband.waits(number),
            State::Pasha(pasha) => pasha.waits(number),
            _ => false,
        }
    }

    /// For checks of whole searches: the trials that are above the promotion line of a rung of ASHA's or Hyperband's and were
    /// never promoted from it.
    pub fn owed(&self) -> Vec<u32> {
        match &self.state {
            State::Asha(asha) => asha.owed(),
            State::Hyperband(hyperband) => hyperband.owed(),
            _ => Vec::new(),
        }
    }

    /// What the next free slot does for a trial that is there: [`Scheduler::promotable`], and in a population the turn of the
    /// member that has trained the least, or a fork in the place of one.
    ///
    /// A function of what has been observed and of its arguments, never of how often it was asked. `seed` and `next`, the
    /// number that a new trial would have, draw which of the best is copied; `may_fork` is false where no trial may be added.
    ///
    /// Source: Jaderberg et al. 2017, Algorithm 1 (exploit by truncation selection, section 4.1.1),
    /// <https://arxiv.org/abs/1711.09846>.
    pub fn turn(&self, seed: u64, next: u32, may_fork: bool) -> Option<Turn> {
        match &self.state {
            State::Pbt(pbt) => pbt.turn(seed, next, may_fork),
            _ => self.promotable().map(Turn::Promote),
        }
    }

    /// A trial has trained to its target, which is not the end, and is saved. In a population it is compared from now on.
    pub fn rested(&mut self, number: u32) {
        if let State::Pbt(pbt) = &mut self.state {
            pbt.rested(number);
        }
    }

    /// Whether another trial may take the place of this one.
    pub fn yields(&self, number: u32) -> bool {
        match &self.state {
            State::Pbt(pbt) => pbt.yields(number),
            _ => false,
        }
    }

    /// Trial `next` has taken the place of trial `number`, from a checkpoint after `at` units; gives its target. `None`, and
    /// nothing changes, unless [`Scheduler::yields`].
    pub fn exploited(&mut self, number: u32, next: u32, at: u64) -> Option<u64> {
        match &mut self.state {
            State::Pbt(pbt) => pbt.exploited(number, next, at),
            _ => None,
        }
    }

    /// The units after which a trial has a checkpoint that others may come to go on from.
    pub fn source(&self, number: u32) -> Option<u64> {
        match &self.state {
            State::Pbt(pbt) => pbt.source(number),
            _ => None,
        }
    }

    /// The current target of a trial that exists and has not ended. Without a scheduler nothing is tracked, and the answer
    /// is the budget for any number.
    pub fn until(&self, number: u32) -> Option<u64> {
        match &self.state {
            State::None => Some(self.budget),
            State::Median(median) => median.is_live(number).then_some(self.budget),
            State::Asha(asha) => asha.until(number),
            State::Hyperband(hyperband) => hyperband.until(number),
            State::Pasha(pasha) => pasha.until(number),
            State::Wilcoxon(wilcoxon) => wilcoxon.is_live(number).then_some(self.budget),
            State::Plateau(plateau) => plateau.is_live(number).then_some(self.budget),
            State::Pbt(pbt) => pbt.until(number),
        }
    }

    /// The expected number of trials on each rung, out of that many configurations. ASHA may promote a few more, because
    /// it decides before all values are in. PASHA's is the most it may need; a population trains to its end. What median, Wilcoxon and plateau stop save
    /// cannot be foreseen.
    pub fn plan(&self, trials: u32) -> Vec<RungPlan> {
        match &self.state {
            State::None | State::Median(_) | State::Wilcoxon(_) | State::Plateau(_) => {
                vec![RungPlan {
                    until: self.budget,
                    trials,
                }]
            }
            State::Asha(asha) => asha.plan(trials),
            State::Hyperband(hyperband) => hyperband.plan(trials),
            State::Pasha(pasha) => pasha.plan(trials),
            State::Pbt(pbt) => pbt.plan(trials),
        }
    }

    pub fn kind(&self) -> SchedulerKind {
        self.kind
    }

    pub fn goal(&self) -> Goal {
        self.goal
    }
}
