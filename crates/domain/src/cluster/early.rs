//! Trials that idle slots train ahead of their turn.
//!
//! The scheduler does not hear of it: for it such a trial waits at its rung as before, so who is promoted is decided as if
//! slots had stayed idle. When its turn comes it has trained a part of the way, or all of it; when it is in the way it saves and
//! waits again.

use std::collections::BTreeSet;

use bonfire_search::Promotion;

use super::sweep::{Sweep, SweepState};
use super::trial::{TrialState, Wish};
use super::{Cluster, Outcome};
use crate::effect::{Effect, Refusal};
use crate::id::{LogIndex, SweepId, TrialId, WallMs};

/// Why one ends with its sweep.
pub(super) const NOT_ITS_TURN: &str = "went on while slots were idle, and its turn did not come";

impl Cluster {
    pub(super) fn promote_early(&mut self, id: TrialId) -> Outcome {
        let sweep = self.sweep_mut(id.sweep)?;
        let running = sweep.state == SweepState::Running;
        let trial = sweep.live_trial(id.number).ok_or(Refusal::NoSuchTrial)?;
        let state = trial.state;
        let ahead = sweep.ahead();
        let next = ahead.iter().find(|next| next.number == id.number);
        let Some(next) = next.filter(|_| running && state == TrialState::Paused) else {
            return Err(Refusal::NotFrom {
                state: state.name().to_owned(),
                action: "go on ahead of its turn".to_owned(),
            });
        };
        sweep.live_mut(id.number)?.until = next.until;
        sweep.early.insert(id.number);
        sweep.set_state(id.number, TrialState::Pending);
        let (trial, tries) = (id, 0);
        Ok(vec![Effect::TrialReady { trial, tries }])
    }

    /// Trials ahead of their turn give their slots back.
    pub(super) fn recall(&mut self, index: LogIndex, id: SweepId, at: WallMs) -> Outcome {
        let sweep = self.sweep_mut(id)?;
        if sweep.state != SweepState::Running {
            return Err(Refusal::NotFrom {
                state: sweep.state.name().to_owned(),
                action: "recall trials".to_owned(),
            });
        }
        sweep.take_turns();
        let is_over = !sweep.has_turns();
        let early: Vec<u32> = sweep.early.iter().copied().collect();
        let mut effects = vec![Effect::SweepChanged { sweep: id }];
        for number in early {
            let trial = TrialId { sweep: id, number };
            effects.extend(self.end_early(index, trial, is_over, at)?);
        }
        Ok(effects)
    }

    /// `is_over`: its turn will not come.
    fn end_early(&mut self, index: LogIndex, id: TrialId, is_over: bool, at: WallMs) -> Outcome {
        let sweep = self.sweep_mut(id.sweep)?;
        let trial = sweep.live_mut(id.number)?;
        let reason = NOT_ITS_TURN.to_owned();
        let (state, attempt, place) = (trial.state, trial.attempt, trial.place);
        match (state, place) {
            (TrialState::Running, Some(place)) => {
                let wish = match is_over {
                    true => {
                        trial.reason = Some(reason.clone());
                        Wish::Prune { reason }
                    }
                    false => Wish::Yield,
                };
                let save = trial.ask_to_end(wish);
                let trial = id;
                Ok(vec![Effect::Stop {
                    place,
                    trial,
                    attempt,
                    save,
                }])
            }
            (TrialState::Pending, _) => {
                sweep.wait_again(id.number);
                Ok(self.settle(index, id, TrialState::Paused, at))
            }
            // It waits already.
            _ => Ok(vec![]),
        }
    }
}

impl Sweep {
    /// Whether trials run, wait or may begin whose turn it is: from them may come what others are compared with.
    pub fn has_turns(&self) -> bool {
        let in_turn =
            |numbers: &BTreeSet<u32>| numbers.iter().any(|number| !self.early.contains(number));
        in_turn(&self.running)
            || in_turn(&self.waiting)
            || self.room() > 0
            || self.next_move().is_some()
    }

    /// The trials that an idle slot may train ahead of their turn, best first: those that have not come to their next rung
    /// yet. One that failed or was lost before waits for its turn.
    pub fn ahead(&self) -> Vec<Promotion> {
        let comes = |number: &u32| {
            let wish = self.live_trial(*number).and_then(|t| t.wish.as_ref());
            !self.early.contains(number) && matches!(wish, None | Some(Wish::Yield))
        };
        let active = self.running.iter().chain(&self.waiting).copied();
        let coming: Vec<u32> = active.filter(comes).collect();
        let mut ahead = self.scheduler.ahead(&coming);
        ahead.retain(|next| {
            let trial = self.live_trial(next.number);
            trial.is_some_and(|trial| {
                trial.state == TrialState::Paused
                    && trial.epochs() < next.until
                    && trial.tries() == 0
                    && !trial.has_failed()
            })
        });
        ahead
    }

    /// Whether a trial whose attempt ended so waits for its turn: one that was ahead of it. What failed there tries again in its
    /// turn, if that comes, and counts as a failure then.
    pub(super) fn waits_after(&self, number: u32, next: TrialState) -> bool {
        let trial = self.live_trial(number);
        // A fork does not begin from nothing.
        let is_lost = trial.is_some_and(|t| t.parent.is_some() && t.checkpoints.is_empty());
        let is_open = !next.is_terminal() || (next == TrialState::Failed && !is_lost);
        is_open && self.early.contains(&number)
    }

    /// A trial that trained ahead of its turn waits at its rung again.
    pub(super) fn wait_again(&mut self, number: u32) {
        let until = self.scheduler.until(number);
        if let (Some(until), Ok(trial)) = (until, self.live_mut(number)) {
            trial.until = until;
        }
    }

    /// Those that are ahead of their turn and whose turn has come go on as any other; the scheduler hears what they have seen.
    pub(super) fn take_turns(&mut self) {
        while let Some(number) = self.due() {
            let promoted = self.scheduler.promoted(number);
            self.its_turn(number, promoted);
        }
    }

    /// The first whose turn it is and that needs no slot for it: it has one, will have one, or trained to its next rung already.
    fn due(&self) -> Option<u32> {
        let goes_on = |number: &u32| {
            let trial = self.live_trial(*number);
            trial.is_some_and(|trial| match trial.state {
                TrialState::Running | TrialState::Pending => true,
                _ => trial.has_reached() && Some(trial.until) != self.scheduler.until(*number),
            })
        };
        let mut early = self.early.iter().copied();
        early.find(|number| self.scheduler.is_due(*number) && goes_on(number))
    }

    /// The scheduler has promoted a trial: to the units `promoted`.
    pub(super) fn its_turn(&mut self, number: u32, promoted: Option<u64>) {
        self.early.remove(&number);
        let Some((until, trial)) = promoted.zip(self.live.get(&number).cloned()) else {
            return;
        };
        if let Ok(trial) = self.live_mut(number) {
            trial.until = until;
        }
        // What it heard before it takes no notice of.
        for seen in &trial.observations {
            let event = self.event_of(number, seen);
            self.scheduler.observe(&event);
        }
    }
}
