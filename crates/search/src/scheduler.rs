//! Schedulers: how far each trial trains.
//!
//! A scheduler is an event-sourced value of replicated state: the same events give the same bytes and the same verdicts
//! on every node. A value that is not a number is kept as `None` or as the worst rank, never as NaN, so equal states
//! are equal.

mod asha;
mod median;
mod rung;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Event, Goal};
use asha::Asha;
use median::Median;

/// The way to stop early. All units are the sweep's (epochs or steps).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SchedulerKind {
    /// Every trial trains its whole budget.
    None,
    /// The median stopping rule, from `min` units of a trial on and once `startup` trials have completed.
    Median { min: u64, startup: u32 },
    /// Asynchronous successive halving: rungs at `min`, `min * eta`, ... and `max`; the best `1 / eta` of a rung go on.
    /// A trial that passes every rung ends at `max`.
    Asha { min: u64, max: u64, eta: u32 },
}

/// What a trial does after a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// Train on, to the trial's current target; at the target, finish.
    Continue,
    /// Save, free the slot, and wait for a promotion.
    Pause,
    /// End as pruned.
    Stop { reason: StopReason },
}

/// Why a trial was stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StopReason {
    /// At `at` units its best value (`None`: no number yet) was worse than the median of the running averages of the
    /// `trials` completed trials that had reported by then.
    WorseThanMedian {
        at: u64,
        best: Option<f64>,
        median: f64,
        trials: u32,
    },
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StopReason::WorseThanMedian {
            at,
            best,
            median,
            trials,
        } = self;
        match best {
            Some(best) => write!(f, "its best value at {at}, {best}, is worse than ")?,
            None => write!(f, "it has no number by {at}, which is worse than ")?,
        }
        write!(f, "{median}, the median of {trials} completed trials")
    }
}

/// A paused trial that may go on, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    pub number: u32,
    pub until: u64,
}

/// How many trials are expected to train at least this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungPlan {
    pub until: u64,
    pub trials: u32,
}

/// Settings a scheduler cannot work with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SchedulerError {
    #[error("a trial's budget is 0 units, it must be at least 1")]
    BudgetZero,
    #[error("min is 0, it must be at least 1")]
    MinZero,
    #[error("min {min} is above max {max}")]
    MinAboveMax { min: u64, max: u64 },
    #[error("max {max} is above {budget}, which is as far as a trial trains")]
    MaxAboveBudget { max: u64, budget: u64 },
    #[error("eta is {eta}, it must be at least 2")]
    EtaBelowTwo { eta: u32 },
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
}

impl Scheduler {
    /// `budget`: the units a trial trains when nobody stops it.
    ///
    /// # Errors
    /// [`SchedulerError`], the first one found.
    pub fn new(kind: SchedulerKind, goal: Goal, budget: u64) -> Result<Scheduler, SchedulerError> {
        if budget == 0 {
            return Err(SchedulerError::BudgetZero);
        }
        let state = match kind {
            SchedulerKind::None => State::None,
            SchedulerKind::Median { min, startup } => {
                State::Median(Median::new(goal, min, startup))
            }
            SchedulerKind::Asha { min, max, eta } => {
                check_rungs(min, max, eta, budget)?;
                State::Asha(Asha::new(goal, min, max, eta))
            }
        };
        Ok(Scheduler {
            kind,
            goal,
            budget,
            state,
        })
    }

    /// How far a new trial trains before it must ask.
    pub fn first_until(&self) -> u64 {
        match &self.state {
            State::None | State::Median(_) => self.budget,
            State::Asha(asha) => asha.target(0),
        }
    }

    /// Where trials are compared and paused, ascending. Only ASHA has rungs; its last is `max`.
    pub fn rungs(&self) -> Vec<u64> {
        match &self.state {
            State::None | State::Median(_) => Vec::new(),
            State::Asha(asha) => asha.targets().to_vec(),
        }
    }

    /// Folds one event in and says what its trial does next (`Continue` for events other than values).
    ///
    /// A value at or before the trial's last one is taken as a repetition: it changes nothing, and gives the verdict it
    /// gave before, unless the trial has been promoted since: then it goes on to its new target. What comes after a
    /// trial's end, or would reach a target while the trial waits there, changes nothing either.
    pub fn observe(&mut self, event: &Event) -> Verdict {
        match &mut self.state {
            State::None => Verdict::Continue,
            State::Median(median) => median.observe(event, self.budget),
            State::Asha(asha) => asha.observe(event),
        }
    }

    /// The paused trial to promote next: highest rung first, best first, ties to the lower number. Candidates are the
    /// best floor(n / eta) of a rung's n reported values, without those promoted before, ended, or without a number.
    ///
    /// Source: Li et al. 2020, A system for massively parallel hyperparameter tuning, Algorithm 2 (`get_job`),
    /// <https://arxiv.org/abs/1810.05934>.
    pub fn promotable(&self) -> Option<Promotion> {
        match &self.state {
            State::None | State::Median(_) => None,
            State::Asha(asha) => asha.promotable(),
        }
    }

    /// Marks a trial as promoted and gives its new target; `None`, and nothing changes, if it is not a candidate (any
    /// more).
    pub fn promoted(&mut self, number: u32) -> Option<u64> {
        match &mut self.state {
            State::None | State::Median(_) => None,
            State::Asha(asha) => asha.promote(number),
        }
    }

    /// The current target of a trial that exists and has not ended. Without a scheduler nothing is tracked, and the answer
    /// is the budget for any number.
    pub fn until(&self, number: u32) -> Option<u64> {
        match &self.state {
            State::None => Some(self.budget),
            State::Median(median) => median.is_live(number).then_some(self.budget),
            State::Asha(asha) => asha.until(number),
        }
    }

    /// The expected number of trials on each rung, out of that many configurations. ASHA may promote a few more, because
    /// it decides before all values are in.
    pub fn plan(&self, trials: u32) -> Vec<RungPlan> {
        match &self.state {
            State::None | State::Median(_) => vec![RungPlan {
                until: self.budget,
                trials,
            }],
            State::Asha(asha) => asha.plan(trials),
        }
    }

    pub fn kind(&self) -> SchedulerKind {
        self.kind
    }

    pub fn goal(&self) -> Goal {
        self.goal
    }
}

fn check_rungs(min: u64, max: u64, eta: u32, budget: u64) -> Result<(), SchedulerError> {
    if min == 0 {
        return Err(SchedulerError::MinZero);
    }
    if min > max {
        return Err(SchedulerError::MinAboveMax { min, max });
    }
    if max > budget {
        return Err(SchedulerError::MaxAboveBudget { max, budget });
    }
    if eta < 2 {
        return Err(SchedulerError::EtaBelowTwo { eta });
    }
    Ok(())
}
