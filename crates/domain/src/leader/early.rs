//! Slots that nothing else wants: they train trials ahead of their turn, while others of the sweep run.
//!
//! That costs nobody anything: these trials save and wait again when a slot is wanted for something else, and end when the sweep
//! would be over without them.

use super::place::take_place;
use super::{Action, Leader, Pending, Time};
use crate::cluster::{Cluster, Sweep, SweepState, TrialState};
use crate::command::Command;
use crate::placement::Load;

/// What idle slots do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// Train one more trial ahead of its turn.
    Train,
    /// The trials that do so are in the way.
    Recall,
    Rest,
}

/// Decides for a sweep that alone has trials on the fleet, or not. Pure.
///
/// - `alone`: no other sweep wants slots.
/// - `asked`: its sampler is at work.
pub(super) fn decide_idle(sweep: &Sweep, alone: bool, asked: bool) -> Idle {
    let early = sweep.early();
    let runs_on = |number: &u32| {
        let trial = sweep.live_trial(*number);
        trial.is_some_and(|trial| match trial.state {
            TrialState::Running => trial.wish.is_none(),
            state => state == TrialState::Pending,
        })
    };
    let in_turn = |number: &u32| !early.contains(number);
    let waits = sweep.waiting().iter().any(in_turn);
    let wants = waits || sweep.room() > 0 || sweep.next_move().is_some();
    let others_run = sweep.running().iter().any(in_turn);
    let is_free = alone && !wants && others_run;
    match early.iter().any(runs_on) {
        true if !is_free => Idle::Recall,
        _ if is_free && !asked && !sweep.ahead().is_empty() => Idle::Train,
        _ => Idle::Rest,
    }
}

impl Leader {
    /// What is done with slots once every sweep has what it can use.
    pub(super) fn use_idle(
        &mut self,
        time: Time,
        cluster: &Cluster,
        open: &[&Sweep],
        load: &Load,
    ) -> Vec<Action> {
        if !self.pending.is_empty() {
            return vec![]; // what is on its way decides first
        }
        let trains =
            |sweep: &&Sweep| sweep.state == SweepState::Running && !sweep.spec.is_external();
        let running: Vec<&Sweep> = open.iter().copied().filter(trains).collect();
        let alone = running.len() == 1;
        let mut actions = Vec::new();
        for sweep in running {
            match decide_idle(sweep, alone, self.is_suggesting(sweep.id)) {
                Idle::Train => actions.extend(self.train_early(time, cluster, sweep, load)),
                Idle::Recall => {
                    let command = Command::Recall {
                        sweep: sweep.id,
                        at: time.wall,
                    };
                    actions.push(self.propose(vec![command], Pending::default()));
                }
                Idle::Rest => {}
            }
        }
        actions
    }

    fn train_early(
        &mut self,
        time: Time,
        cluster: &Cluster,
        sweep: &Sweep,
        load: &Load,
    ) -> Option<Action> {
        let next = sweep.ahead().into_iter().next()?;
        let trial = sweep.live_trial(next.number)?;
        let mut places = self.places(cluster, sweep, load).ok()?.into_iter();
        let place = take_place(cluster, &mut places, trial.history.last())?;
        let id = sweep.id_of(next.number);
        let commands = vec![
            Command::PromoteEarly {
                trial: id,
                at: time.wall,
            },
            Command::StartAttempt {
                trial: id,
                attempt: trial.attempt.next(),
                place,
                at: time.wall,
            },
        ];
        let pending = Pending {
            promotes: vec![id],
            starts: vec![(id, place)],
            ..Pending::default()
        };
        Some(self.propose(commands, pending))
    }
}
