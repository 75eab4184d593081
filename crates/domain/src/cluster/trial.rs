//! One trial of a sweep: what it is, what it did, and the edges between its states.

use bonfire_search::{Assignment, Ending, Event, Goal};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::fault::AttemptEnd;
use crate::id::{Attempt, LogIndex, Place, WallMs};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// Waits for a slot, or for an asker.
    Pending,
    /// Has a current attempt on a slot (running there, or next), or with an asker.
    Running,
    /// At a rung, or held with its sweep; may go on.
    Paused,
    Completed,
    Pruned,
    Failed,
    Cancelled,
}

use TrialState::{Cancelled, Completed, Failed, Paused, Pending, Pruned, Running};

/// Every legal edge. The edges out of a terminal state are taken by `trial resume` alone.
const EDGES: &[(TrialState, &[TrialState])] = &[
    (Pending, &[Running, Paused, Pruned, Cancelled]),
    (
        Running,
        &[Pending, Paused, Completed, Pruned, Failed, Cancelled],
    ),
    (Paused, &[Pending, Pruned, Cancelled]),
    (Completed, &[]),
    (Pruned, &[Pending]),
    (Failed, &[Pending]),
    (Cancelled, &[Pending]),
];

impl TrialState {
    pub const ALL: [TrialState; 7] = [
        Pending, Running, Paused, Completed, Pruned, Failed, Cancelled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Pending => "pending",
            Running => "running",
            Paused => "paused",
            Completed => "completed",
            Pruned => "pruned",
            Failed => "failed",
            Cancelled => "cancelled",
        }
    }

    /// Nothing more happens unless a user resumes it.
    pub fn is_terminal(self) -> bool {
        self.ending().is_some()
    }

    /// What a sampler learns of a terminal state.
    pub fn ending(self) -> Option<Ending> {
        match self {
            Completed => Some(Ending::Completed),
            Pruned => Some(Ending::Pruned),
            Failed => Some(Ending::Failed),
            Cancelled => Some(Ending::Cancelled),
            Pending | Running | Paused => None,
        }
    }

    /// Whether the edge table has this step.
    pub fn may_become(self, next: TrialState) -> bool {
        EDGES
            .iter()
            .any(|(from, to)| *from == self && to.contains(&next))
    }
}

/// Why a running attempt was asked to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// The scheduler gave the trial up.
    Prune { reason: String },
    /// A user stopped the trial, or the sweep was cancelled.
    Cancel,
    /// A bound of the sweep was reached.
    Limit,
    /// Save and give the slot back: the sweep is paused, the worker drains, or it is ahead of its turn and in the way.
    Yield,
    /// As `Cancel`, after a last checkpoint.
    CancelSaved,
    /// The scheduler says that it has converged: save, and be done.
    Converge { reason: String },
}

impl Wish {
    /// Whether the attempt writes a last checkpoint.
    pub fn saves(&self) -> bool {
        matches!(
            self,
            Wish::Yield | Wish::CancelSaved | Wish::Converge { .. }
        )
    }

    /// How final it is: a wish takes the place only of one that is less so.
    fn rank(&self) -> u8 {
        match self {
            Wish::Yield => 0,
            Wish::Limit => 1,
            Wish::Prune { .. } | Wish::Converge { .. } => 2,
            Wish::CancelSaved => 3,
            Wish::Cancel => 4,
        }
    }
}

/// The objective at an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub index: LogIndex,
    pub step: u64,
    pub epoch: u64,
    pub value: f64,
}

/// One attempt in the history of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    pub attempt: Attempt,
    /// The worker's name.
    pub worker: String,
    pub numerics: String,
    /// The step it went on from.
    pub from_step: u64,
    pub started: WallMs,
    pub ended: Option<(WallMs, AttemptEnd)>,
}

/// Attempts whose history is kept; older ones are only counted.
pub const ATTEMPTS_KEPT: usize = 16;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub number: u32,
    pub parameters: Assignment,
    pub state: TrialState,
    /// The latest attempt; current while the state is running.
    pub attempt: Attempt,
    /// Of a running trial of the fleet; an external one has none.
    pub place: Option<Place>,
    /// Epochs the trial may train to now.
    pub until: u64,
    pub wish: Option<Wish>,
    pub created: LogIndex,
    pub observations: Vec<Observation>,
    pub ended: Option<LogIndex>,
    /// Best objective so far; where values are results on instances, their mean, and in the end what was told last.
    pub value: Option<f64>,
    pub checkpoints: Vec<Checkpoint>,
    pub history: Vec<AttemptRecord>,
    /// Attempts that ended by the trial's own fault since its last new checkpoint.
    pub faults: u32,
    /// Attempts the fleet lost.
    pub lost: u32,
    /// The trial and step it was forked from.
    pub parent: Option<(u32, u64)>,
    /// False once it went on in another numerics class.
    pub exact: bool,
    /// Why it is in its state, where that is not plain.
    pub reason: Option<String>,
}

impl Trial {
    pub fn new(number: u32, parameters: Assignment, until: u64, created: LogIndex) -> Trial {
        Trial {
            number,
            parameters,
            state: Pending,
            attempt: Attempt::NONE,
            place: None,
            until,
            wish: None,
            created,
            observations: Vec::new(),
            ended: None,
            value: None,
            checkpoints: Vec::new(),
            history: Vec::new(),
            faults: 0,
            lost: 0,
            parent: None,
            exact: true,
            reason: None,
        }
    }

    /// Epochs of the last observation.
    pub fn epochs(&self) -> u64 {
        self.observations.iter().map(|o| o.epoch).max().unwrap_or(0)
    }

    /// Whether its latest attempt came to its target. One that only told its value there may have been lost before it could
    /// save.
    pub(super) fn has_reached(&self) -> bool {
        let ended = self.history.last().and_then(|record| record.ended.as_ref());
        ended.is_some_and(|(_, end)| *end == AttemptEnd::Reached)
    }

    /// Whether its latest attempt came to nothing by its own fault.
    pub(super) fn has_failed(&self) -> bool {
        let ended = self.history.last().and_then(|record| record.ended.as_ref());
        ended.is_some_and(|(_, end)| matches!(end, AttemptEnd::Failed { .. }))
    }

    pub fn last_checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoints.last()
    }

    /// Records the objective at an evaluation. `averages`: evaluations are of instances, and the trial's value is the mean.
    pub(super) fn observe(&mut self, goal: Goal, averages: bool, seen: Observation) {
        self.observations.push(seen);
        if averages {
            let values = || self.observations.iter().map(|o| o.value);
            let count = values().filter(|v| v.is_finite()).count();
            let sum: f64 = values().filter(|v| v.is_finite()).sum();
            self.value = (count > 0).then_some(sum / count as f64);
            return;
        }
        if !seen.value.is_nan() && self.value.is_none_or(|best| goal.better(seen.value, best)) {
            self.value = Some(seen.value);
        }
    }

    /// Asks the current attempt to end; answers whether it saves first. What was wished before stands where it is more final: a
    /// trial that was stopped does not come back because its sweep is paused.
    pub(super) fn ask_to_end(&mut self, wish: Wish) -> bool {
        match &self.wish {
            Some(before) if before.rank() >= wish.rank() => before.saves(),
            _ => {
                let saves = wish.saves();
                self.wish = Some(wish);
                saves
            }
        }
    }

    /// What a sampler learns at the end of a trial whose values are of instances.
    pub(crate) fn mean_event(&self) -> Option<(Event, f64)> {
        let value = self.value?;
        let event = Event::Observed {
            number: self.number,
            at: self.observations.len() as u64,
            value,
        };
        Some((event, value))
    }

    /// Makes an attempt the current one.
    pub(super) fn begin(&mut self, record: AttemptRecord) {
        self.attempt = record.attempt;
        if self.history.len() >= ATTEMPTS_KEPT {
            self.history.remove(0);
        }
        self.history.push(record);
    }

    /// Says how the latest attempt ended, if that is not known.
    pub(super) fn end_record(&mut self, at: WallMs, end: AttemptEnd) {
        if let Some(record) = self.history.last_mut().filter(|r| r.ended.is_none()) {
            record.ended = Some((at, end));
        }
    }

    /// Whether this attempt is the one that may speak for the trial.
    pub fn is_current(&self, attempt: Attempt) -> bool {
        self.state == Running && self.attempt == attempt
    }

    /// Failed and lost attempts, which decide the backoff before the next.
    pub fn tries(&self) -> u32 {
        self.faults.saturating_add(self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completed_is_final_and_every_state_is_in_the_table() {
        for from in TrialState::ALL {
            assert!(EDGES.iter().any(|(s, _)| *s == from), "{from:?}");
            assert!(!Completed.may_become(from));
            assert!(!from.may_become(from));
        }
        assert!(Failed.may_become(Pending));
        assert!(!Pending.may_become(Completed));
    }
}
