//! What a sampler or a scheduler may learn about a sweep, and what a sampler answers.

use serde::{Deserialize, Serialize};

use crate::goal::rank_of_violation;
use crate::{Assignment, Goal};

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ending {
    /// Trained to its end.
    Completed,
    /// Stopped early by a scheduler.
    Pruned,
    /// Out of retries, or a value that is not a number.
    Failed,
    /// Stopped by a user.
    Cancelled,
}

/// One fact of a sweep's history, in log order. `number` is the trial's number in its sweep, from 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A trial exists. Trials are created in the order of their numbers.
    Created { number: u32, parameters: Assignment },
    /// The objective's value after `at` units of training (epochs or steps, whichever the sweep counts in).
    Observed { number: u32, at: u64, value: f64 },
    /// Nothing more comes from this trial.
    Ended { number: u32, ending: Ending },
    /// As `Observed`, at an evaluation at which the trial's metrics break a requirement.
    Violated {
        number: u32,
        at: u64,
        value: f64,
        /// By how much in all: above 0, and not NaN.
        violation: f64,
        /// Whether that goes for its evaluations before, too: nothing was known of its metrics then.
        before: bool,
    },
    /// As `Observed`, in a search of several objectives: the value of each, in their order.
    Several {
        number: u32,
        at: u64,
        values: Vec<f64>,
    },
}

impl Event {
    /// The trial that it is of.
    pub(crate) fn number(&self) -> u32 {
        match self {
            Event::Created { number, .. }
            | Event::Observed { number, .. }
            | Event::Ended { number, .. }
            | Event::Violated { number, .. }
            | Event::Several { number, .. } => *number,
        }
    }

    /// The units behind an evaluation, and its rank under the goal: smaller is better, what breaks a requirement stands
    /// behind what does not, by its violation. `None` for other events. Of several objectives the first counts.
    pub(crate) fn rank(&self, goal: Goal) -> Option<(u64, u64)> {
        match self {
            Event::Observed { at, value, .. } => Some((*at, goal.rank(*value))),
            Event::Violated { at, violation, .. } => Some((*at, rank_of_violation(*violation))),
            Event::Several { at, values, .. } => {
                Some((*at, goal.rank(values.first().copied().unwrap_or(f64::NAN))))
            }
            Event::Created { .. } | Event::Ended { .. } => None,
        }
    }
}

/// A sampler's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Suggestion {
    /// The next trial's parameters: a point of the space.
    Trial(Assignment),
    /// There is nothing left to try.
    Exhausted { reason: String },
}
