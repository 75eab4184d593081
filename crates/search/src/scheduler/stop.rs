//! Why a scheduler ended a trial, as data and in words.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// Worse than trial `best` on the instances both have; chance would be as clear with probability `p`.
    WorseThanBest { best: u32, instances: u32, p: f64 },
    /// At `at` units nothing was better (by more than the scheduler asks for) than its value `best` after `since` units;
    /// `None`: it has no number.
    Plateau {
        at: u64,
        best: Option<f64>,
        since: u64,
    },
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopReason::WorseThanMedian {
                at,
                best,
                median,
                trials,
            } => {
                match best {
                    Some(best) => write!(f, "its best value at {at}, {best}, is worse than ")?,
                    None => write!(f, "it has no number by {at}, which is worse than ")?,
                }
                write!(f, "{median}, the median of {trials} completed trials")
            }
            StopReason::WorseThanBest { best, instances, p } => write!(
                f,
                "it is worse than trial {best} on {instances} instances, by chance with p = {p}"
            ),
            StopReason::Plateau {
                at,
                best: Some(best),
                since,
            } => write!(
                f,
                "it has converged: its best value, {best}, is of {since}, and none by {at} was better"
            ),
            StopReason::Plateau { at, best: None, .. } => write!(f, "it has no number by {at}"),
        }
    }
}
