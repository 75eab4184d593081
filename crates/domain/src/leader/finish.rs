//! When a sweep is over, and its bounds in time.

use super::{Action, Leader, Pending, Time};
use crate::cluster::{Cluster, Sweep, SweepState, TrialState};
use crate::command::{Command, SweepAction, SweepEnding};

/// Whether a sweep can end, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepDecision {
    Finish {
        ending: SweepEnding,
        reason: String,
    },
    /// Trials run or wait for a slot.
    Busy {
        trials: u32,
    },
    /// The sampler may still give trials, or a paused trial can be promoted or give its place to a fork.
    Open,
    /// Paused or ended: nothing to decide.
    Resting,
}

/// Decides whether a sweep is over. Pure.
pub fn decide_sweep(sweep: &Sweep) -> SweepDecision {
    let busy = sweep.count(TrialState::Running) + sweep.count(TrialState::Pending);
    let valued = if sweep.best.is_some() {
        SweepEnding::Completed
    } else {
        SweepEnding::Failed
    };
    match &sweep.state {
        _ if sweep.state.is_terminal() => SweepDecision::Resting,
        SweepState::Paused => SweepDecision::Resting,
        _ if busy > 0 => SweepDecision::Busy { trials: busy },
        SweepState::Stopping {
            cancelled,
            failed,
            reason,
        } => SweepDecision::Finish {
            ending: match (cancelled, failed) {
                (true, _) => SweepEnding::Cancelled,
                (_, true) => SweepEnding::Failed,
                _ => valued,
            },
            reason: reason.clone(),
        },
        _ if sweep.room() > 0 || sweep.next_move().is_some() => SweepDecision::Open,
        _ => {
            let done = sweep.exhausted.clone();
            let reason = match sweep.best {
                None => match sweep.trials().iter().any(|trial| trial.value.is_some()) {
                    true => "no trial holds to search.require".to_owned(),
                    false => "no trial has a value".to_owned(),
                },
                Some(_) => done.unwrap_or_else(|| match sweep.next {
                    1 => "its one trial ended".to_owned(),
                    trials => format!("all {trials} trials ended"),
                }),
            };
            SweepDecision::Finish {
                ending: valued,
                reason,
            }
        }
    }
}

impl Leader {
    pub(super) fn finish_if_over(&mut self, time: Time, sweep: &Sweep) -> Option<Action> {
        let closing = self.pending.values().any(|p| {
            p.closes == Some(sweep.id)
                || p.creates == Some(sweep.id)
                || p.promotes.iter().any(|t| t.sweep == sweep.id)
        });
        if closing {
            return None;
        }
        let SweepDecision::Finish { ending, reason } = decide_sweep(sweep) else {
            return None;
        };
        let command = Command::Finish {
            sweep: sweep.id,
            ending,
            reason,
            at: time.wall,
        };
        let pending = Pending {
            closes: Some(sweep.id),
            ..Pending::default()
        };
        Some(self.propose(vec![command], pending))
    }

    /// Stops sweeps that ran for `search.limit.time`.
    pub(super) fn sweep_limits(&mut self, time: Time, cluster: &Cluster) -> Vec<Action> {
        let mut over = Vec::new();
        for sweep in cluster.sweeps() {
            let limit = sweep.spec.search.as_ref().and_then(|s| s.limit.time);
            let Some(limit) = limit.filter(|_| sweep.state == SweepState::Running) else {
                continue;
            };
            let closing = self.pending.values().any(|p| p.closes == Some(sweep.id));
            if !closing && sweep.running_ms(time.wall) >= limit.0 {
                over.push((sweep.id, limit));
            }
        }
        over.into_iter()
            .map(|(sweep, limit)| {
                let reason = format!("limit.time of {} s is over", limit.0 as f64 / 1e3);
                let command = Command::ControlSweep {
                    sweep,
                    action: SweepAction::Stop { reason },
                    at: time.wall,
                };
                let pending = Pending {
                    closes: Some(sweep),
                    ..Pending::default()
                };
                self.propose(vec![command], pending)
            })
            .collect()
    }
}
