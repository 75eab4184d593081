//! Trials that go on ahead of their turn on slots that have nothing else to do, and end when they would be in the way.

use bonfire_search::Scheduler;

use super::trial::{TrialState, Wish};
use super::{Cluster, Outcome};
use crate::effect::Effect;
use crate::id::{LogIndex, SweepId, TrialId, WallMs};

/// Why one ends.
const RECALLED: &str = "went on while slots were idle, and its turn did not come";

impl Cluster {
    pub(super) fn promote_early(&mut self, trial: TrialId) -> Outcome {
        let effects = self.promote(trial, Scheduler::promoted_early)?;
        self.sweep_mut(trial.sweep)?.early.insert(trial.number);
        Ok(effects)
    }

    pub(super) fn recall(&mut self, index: LogIndex, id: SweepId, at: WallMs) -> Outcome {
        let sweep = self.sweep_mut(id)?;
        let scheduler = &sweep.scheduler;
        // Those whose turn has come are like the others from now on.
        sweep.early.retain(|number| !scheduler.has_risen(*number));
        let early: Vec<u32> = sweep.early.iter().copied().collect();
        let mut effects = vec![Effect::SweepChanged { sweep: id }];
        for number in early {
            effects.extend(self.end_early(index, TrialId { sweep: id, number }, at)?);
        }
        Ok(effects)
    }

    fn end_early(&mut self, index: LogIndex, trial: TrialId, at: WallMs) -> Outcome {
        let sweep = self.sweep_mut(trial.sweep)?;
        let live = sweep.live_mut(trial.number)?;
        live.reason = Some(RECALLED.to_owned());
        let Some(place) = live.place.filter(|_| live.state == TrialState::Running) else {
            return Ok(self.settle(index, trial, TrialState::Pruned, at));
        };
        let (attempt, reason) = (live.attempt, RECALLED.to_owned());
        let save = live.ask_to_end(Wish::Prune { reason });
        Ok(vec![Effect::Stop {
            place,
            trial,
            attempt,
            save,
        }])
    }
}
