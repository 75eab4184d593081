//! Facts from workers: observations, checkpoints, ends. A repeated or fenced fact changes nothing.

use bonfire_search::Verdict;

use super::outcome::Metrics;
use super::trial::{Observation, TrialState, Wish};
use super::{Cluster, Outcome};
use crate::checkpoint::{Checkpoint, decide_retention};
use crate::effect::{Effect, Refusal};
use crate::id::{Attempt, Digest, LogIndex, TrialId, WallMs, WorkerId};
use crate::order::Fact;

impl Cluster {
    pub(super) fn report(
        &mut self,
        index: LogIndex,
        worker: WorkerId,
        sequence: u64,
        fact: Fact,
        at: WallMs,
    ) -> Vec<Effect> {
        let taken = Effect::FactTaken { worker, sequence };
        // A worker that was lost joins again first; a fact behind a gap waits for those before it.
        match self.workers.get(&worker).map(|w| w.next_fact) {
            Some(next) if sequence < next => return vec![taken],
            Some(next) if sequence == next => {}
            _ => return vec![],
        }
        let seen = |step, epoch, value| Observation {
            index,
            step,
            epoch,
            value,
        };
        let mut effects = match fact {
            // No worker has it, whatever this one says.
            Fact::Observed { trial, .. }
            | Fact::Measured { trial, .. }
            | Fact::Checkpointed { trial, .. }
            | Fact::Ended { trial, .. }
                if self.is_external(trial) =>
            {
                vec![]
            }
            Fact::Observed {
                trial,
                attempt,
                step,
                epoch,
                value,
            } => {
                let seen = seen(step, epoch, value);
                self.observed(trial, attempt, seen, &Metrics::new(), at)
            }
            Fact::Measured {
                trial,
                attempt,
                step,
                epoch,
                value,
                metrics,
            } => self.observed(trial, attempt, seen(step, epoch, value), &metrics, at),
            Fact::Checkpointed {
                trial,
                attempt,
                checkpoint,
            } => match self.published(trial, attempt, *checkpoint) {
                Ok(effects) => effects,
                Err(chunks) => {
                    return vec![Effect::UploadAgain {
                        worker,
                        trial,
                        attempt,
                        chunks,
                    }];
                }
            },
            Fact::Ended {
                trial,
                attempt,
                end,
            } => self.end_attempt(trial, attempt, end, at),
            Fact::Prepared { key, manifest } => self.prepared_made(key, &manifest),
        };
        if let Some(state) = self.workers.get_mut(&worker) {
            state.next_fact = sequence + 1;
        }
        effects.push(taken);
        effects
    }

    fn observed(
        &mut self,
        id: TrialId,
        attempt: Attempt,
        seen: Observation,
        metrics: &Metrics,
        at: WallMs,
    ) -> Vec<Effect> {
        let Ok(sweep) = self.sweep_mut(id.sweep) else {
            return vec![];
        };
        let averages = sweep.spec.averages();
        let Ok(trial) = sweep.live_mut(id.number) else {
            return vec![];
        };
        if !trial.is_current(attempt) || trial.observations.iter().any(|o| o.step == seen.step) {
            return vec![];
        }
        let place = trial.place;
        let (event, counts) = sweep.record(id.number, seen, metrics);
        // One instance says nothing of the whole: the mean is learnt at the trial's end.
        let counts = counts.filter(|_| !averages);
        let verdict = match sweep.early.contains(&id.number) {
            true => Verdict::Continue,
            false => sweep.scheduler.observe(&event),
        };
        sweep.take_turns();
        let mut effects = Vec::new();
        if let Some(value) = counts {
            sweep.consider(id.number, value);
        }
        if !averages {
            effects.push(Effect::Learned {
                sweep: id.sweep,
                event,
            });
        }
        let wish = match verdict {
            Verdict::Stop { reason } => Some((
                Wish::Prune {
                    reason: reason.to_string(),
                },
                reason,
            )),
            Verdict::Finish { reason } => Some((
                Wish::Converge {
                    reason: reason.to_string(),
                },
                reason,
            )),
            Verdict::Continue | Verdict::Pause => None,
        };
        if let (Some((wish, reason)), Some(place)) = (wish, place)
            && let Ok(trial) = sweep.live_mut(id.number)
            && matches!(trial.wish, None | Some(Wish::Yield))
        {
            trial.reason = Some(reason.to_string());
            let save = trial.ask_to_end(wish);
            effects.push(Effect::Stop {
                place,
                trial: id,
                attempt,
                save,
            });
        }
        if let Some(value) = counts {
            effects.extend(self.stop_if_reached(id, value, at));
        }
        effects
    }

    /// Takes a checkpoint into the trial.
    ///
    /// # Errors
    /// The blobs it names that are being deleted: the writer uploads them again after that.
    fn published(
        &mut self,
        id: TrialId,
        attempt: Attempt,
        checkpoint: Checkpoint,
    ) -> Result<Vec<Effect>, Vec<Digest>> {
        let wanted: Vec<Digest> = checkpoint
            .chunks
            .iter()
            .chain(&checkpoint.manifest)
            .map(|b| b.digest)
            .collect();
        let Some(trial) = self.trial(id) else {
            return Ok(vec![]);
        };
        let known = trial.checkpoints.iter().any(|c| c.step == checkpoint.step);
        if !trial.is_current(attempt) || known {
            return Ok(vec![]);
        }
        let condemned = self.blobs.condemned_among(&wanted);
        if !condemned.is_empty() {
            return Err(condemned);
        }
        self.blobs.take(&wanted);
        if let Ok(trial) = self.sweep_mut(id.sweep).and_then(|s| s.live_mut(id.number)) {
            trial.checkpoints.push(checkpoint);
            trial.checkpoints.sort_by_key(|c| c.step);
            trial.faults = 0;
        }
        Ok(self.retain_checkpoints(id))
    }

    /// Lets go of the checkpoints that retention does not keep.
    pub(super) fn retain_checkpoints(&mut self, id: TrialId) -> Vec<Effect> {
        let Ok(sweep) = self.sweep_mut(id.sweep) else {
            return vec![];
        };
        let (keep, goal) = (sweep.spec.checkpoint, sweep.spec.objective.goal);
        let source = sweep.source_step(id.number);
        let Ok(trial) = sweep.live_mut(id.number) else {
            return vec![];
        };
        // A fork may come to go on from it.
        let mut pinned: Vec<u64> = source.into_iter().collect();
        if !trial.state.is_terminal() {
            pinned.extend(trial.checkpoints.last().map(|c| c.step));
        }
        let steps = decide_retention(
            &trial.checkpoints,
            keep.keep_last,
            keep.keep_best,
            &pinned,
            |a, b| goal.order(a, b),
        );
        let mut gone = Vec::new();
        trial.checkpoints.retain(|c| {
            let goes = steps.contains(&c.step);
            if goes {
                gone.push(c.clone());
            }
            !goes
        });
        self.release_checkpoints(gone)
    }

    /// Gives back the references of checkpoints that no trial holds any more.
    pub(super) fn release_checkpoints(&mut self, gone: Vec<Checkpoint>) -> Vec<Effect> {
        let digests: Vec<Digest> = gone
            .iter()
            .flat_map(|c| c.chunks.iter().chain(&c.manifest))
            .map(|b| b.digest)
            .collect();
        if self.blobs.release(&digests) {
            vec![Effect::Garbage]
        } else {
            vec![]
        }
    }

    pub(super) fn delete_checkpoint(&mut self, id: TrialId, step: u64) -> Outcome {
        let sweep = self.sweep_mut(id.sweep)?;
        let source = sweep.source_step(id.number);
        let trial = sweep.live_mut(id.number)?;
        if !trial.checkpoints.iter().any(|c| c.step == step) {
            return Err(Refusal::NoSuchCheckpoint { step });
        }
        let last = trial.last_checkpoint().is_some_and(|c| c.step == step);
        let needed = matches!(trial.state, TrialState::Running | TrialState::Paused) && last;
        if needed || source == Some(step) {
            return Err(Refusal::StillReferenced);
        }
        let gone = super::attempt::take_checkpoint(trial, step);
        Ok(self.release_checkpoints(gone))
    }
}
