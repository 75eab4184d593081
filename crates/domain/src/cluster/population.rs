//! A population on the replicated state: whose turn it is, and the fork that takes a member's place.
//!
//! What to do is read off the state alone, by the leader; it becomes true as a command, with everything that was drawn in it.

use bonfire_search::{Assignment, Event, Exploit, Promotion, Turn, explore};

use super::sweep::{Sweep, SweepState};
use super::trial::{Trial, TrialState};
use super::{Cluster, Outcome, fork};
use crate::effect::{Effect, Refusal};
use crate::id::{LogIndex, TrialId, WallMs};
use crate::spec::is_kept_by_forks;

/// What a free slot does for the trials that are there.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    Promote(Promotion),
    /// A fork of `parent`, from its checkpoint at `step`, takes the place of trial `number`.
    Exploit {
        number: u32,
        parent: u32,
        step: u64,
        parameters: Assignment,
    },
}

impl Sweep {
    /// The scheduler's next decision about the trials that are there. A population is whole before any member goes on;
    /// where no fork can be had, or `limit.trials` is used up, members train on as they are.
    pub fn next_move(&self) -> Option<Move> {
        let search = self.spec.search.as_ref()?;
        let population = search.scheduler.population().is_some();
        if population && self.room() > 0 {
            return None;
        }
        let may_fork = search.limit.trials.is_none_or(|most| self.sampled < most);
        let turn = |may_fork| self.scheduler.turn(search.seed, self.next, may_fork);
        // One that has told its value and not ended yet comes next time.
        let waits = |number: u32| {
            let trial = self.live_trial(number);
            trial.is_some_and(|trial| trial.state == TrialState::Paused)
        };
        let promotion = |turn| match turn {
            Turn::Promote(next) if waits(next.number) => Some(Move::Promote(next)),
            _ => None,
        };
        match turn(may_fork)? {
            Turn::Exploit(exploit) => self
                .fork_for(exploit)
                .or_else(|| turn(false).and_then(promotion)),
            promoted => promotion(promoted),
        }
    }

    fn fork_for(&self, exploit: Exploit) -> Option<Move> {
        let search = self.spec.search.as_ref()?;
        let parent = self.live_trial(exploit.parent)?;
        let step = self.source_step(exploit.parent)?;
        let parameters = explore(
            search.scheduler,
            &search.space,
            is_kept_by_forks,
            &parent.parameters,
            search.seed,
            self.next,
        )?;
        fork::check(&self.spec, &parent.parameters, &parameters, exploit.at).ok()?;
        // What is explored may break a requirement: then the member trains on as it is, and is compared again.
        if !search.require.allow(&parameters) {
            return None;
        }
        Some(Move::Exploit {
            number: exploit.number,
            parent: exploit.parent,
            step,
            parameters,
        })
    }

    /// The step of the checkpoint that forks of a trial may come to go on from.
    pub(crate) fn source_step(&self, number: u32) -> Option<u64> {
        let epoch = self.scheduler.source(number)?;
        let mut checkpoints = self.live_trial(number)?.checkpoints.iter();
        // The first of that epoch is the one at its end.
        checkpoints.find(|c| c.epoch == epoch).map(|c| c.step)
    }

    /// Adds a trial that goes on from a checkpoint of another one, if that one's spec allows it; gives the blobs it names.
    /// `until`: epochs it trains to, from the checkpoint's and those of a whole training.
    ///
    /// # Errors
    /// No such trial or checkpoint, or what the fork may not change. Then nothing changes.
    pub(super) fn plant(
        &mut self,
        index: LogIndex,
        parent: (u32, u64),
        parameters: Assignment,
        until: impl FnOnce(&mut Sweep, u64, u64) -> Option<u64>,
    ) -> Result<Vec<crate::id::Digest>, Refusal> {
        let (from, step) = parent;
        let origin = self.trial(from).ok_or(Refusal::NoSuchTrial)?.into_owned();
        let found = origin.checkpoints.iter().find(|c| c.step == step);
        let checkpoint = found.ok_or(Refusal::NoSuchCheckpoint { step })?.clone();
        let (old, epoch) = (&origin.parameters, checkpoint.epoch);
        let whole = fork::check(&self.spec, old, &parameters, epoch)
            .map_err(|problem| Refusal::NoFork { problem })?;
        let until = until(self, epoch, whole).ok_or_else(|| not_yielding(origin.state))?;
        let number = self.next;
        // What its parent was worth is not its own: it has a value once it was evaluated itself.
        let mut trial = Trial::new(number, parameters, until, index);
        trial.parent = Some(parent);
        trial.exact = origin.exact;
        let blobs = checkpoint.chunks.iter().chain(&checkpoint.manifest);
        let blobs = blobs.map(|b| b.digest).collect();
        trial.checkpoints.push(checkpoint);
        self.add_trial(trial);
        Ok(blobs)
    }
}

impl Cluster {
    pub(super) fn exploit(
        &mut self,
        index: LogIndex,
        id: TrialId,
        number: u32,
        parent: (u32, u64),
        parameters: Assignment,
        at: WallMs,
    ) -> Outcome {
        let sweep = self.sweep_mut(id.sweep)?;
        if number != sweep.next {
            return Err(Refusal::NotNext { next: sweep.next });
        }
        if sweep.state != SweepState::Running {
            return Err(Refusal::NotFrom {
                state: sweep.state.name().to_owned(),
                action: "fork".to_owned(),
            });
        }
        let limit = sweep.spec.search.as_ref().and_then(|s| s.limit.trials);
        if let Some(limit) = limit.filter(|limit| sweep.sampled >= *limit) {
            return Err(Refusal::LimitReached { limit });
        }
        let state = sweep.trial(id.number).ok_or(Refusal::NoSuchTrial)?.state;
        let stands = matches!(state, TrialState::Paused | TrialState::Failed);
        if !stands || !sweep.scheduler.yields(id.number) {
            return Err(not_yielding(state));
        }
        let target = |sweep: &mut Sweep, epoch, _| {
            let scheduler = &mut sweep.scheduler;
            scheduler.exploited(id.number, number, epoch)
        };
        let event = Event::Created {
            number,
            parameters: parameters.clone(),
        };
        let blobs = sweep.plant(index, parent, parameters, target)?;
        sweep.sampled += 1;
        let trial = sweep.id_of(number);
        if state == TrialState::Paused {
            let (from, step) = parent;
            let reason =
                format!("trial {number} took its place, a fork of trial {from} at step {step}");
            sweep.live_mut(id.number)?.reason = Some(reason);
        }
        self.blobs.take(&blobs);
        let mut effects = match state {
            TrialState::Paused => self.settle(index, id, TrialState::Pruned, at),
            _ => vec![],
        };
        effects.push(Effect::Learned {
            sweep: id.sweep,
            event,
        });
        effects.push(Effect::TrialCreated { trial });
        effects.push(Effect::SweepChanged { sweep: id.sweep });
        Ok(effects)
    }
}

fn not_yielding(state: TrialState) -> Refusal {
    Refusal::NotFrom {
        state: state.name().to_owned(),
        action: "give its place to a fork".to_owned(),
    }
}
