//! What a trial waits for, in words.

use super::{Leader, Time};
use crate::cluster::{Cluster, Sweep, SweepState, TrialState, Wish};
use crate::id::TrialId;
use crate::order::Preparing;
use crate::placement::Skip;

impl Leader {
    /// Why a sweep that wants to run does not train: its data is being prepared, or no slot would do for it.
    pub fn why_sweep(&self, cluster: &Cluster, sweep: &Sweep) -> Option<String> {
        let preparing = self.preparing().find(|p| p.trial.sweep == sweep.id);
        if let Some(preparing) = preparing.filter(|_| sweep.state == SweepState::Running) {
            return Some(preparing.to_string());
        }
        let idle = sweep.state == SweepState::Running
            && !sweep.spec.is_external()
            && sweep.count(TrialState::Running) == 0;
        if !idle {
            return None;
        }
        match self.places(cluster, sweep, &self.load(cluster)) {
            Ok(_) | Err(Skip::AllBusy { .. }) => None,
            Err(skip) => Some(format!("waits: {skip}")),
        }
    }

    /// What workers prepare, as they said last.
    fn preparing(&self) -> impl Iterator<Item = &Preparing> {
        let contacts = self.contacts.values().filter(|c| c.connected);
        contacts.flat_map(|contact| &contact.running.preparing)
    }

    /// Says what a trial does or waits for now, one reason a line.
    pub fn why_trial(&self, time: Time, cluster: &Cluster, id: TrialId) -> Vec<String> {
        let Some(sweep) = cluster.sweep(id.sweep) else {
            return vec!["no such sweep".to_owned()];
        };
        let Some(trial) = sweep.trial(id.number) else {
            return vec!["no such trial".to_owned()];
        };
        let mut reasons = Vec::new();
        match trial.state {
            TrialState::Running | TrialState::Pending if sweep.spec.is_external() => {
                if sweep.state == SweepState::Paused {
                    reasons.push("its sweep is paused".to_owned());
                }
                reasons.push(self.why_external(time, sweep, &trial));
            }
            TrialState::Running => {
                let on = trial.history.last().map_or("", |r| r.worker.as_str());
                reasons.push(format!("attempt {} runs on {on}", trial.attempt.0));
                let of_this = |p: &&Preparing| (p.trial, p.attempt) == (id, trial.attempt);
                reasons.extend(self.preparing().find(of_this).map(ToString::to_string));
                if sweep.early().contains(&id.number) {
                    let reason = "goes on ahead of its turn, because a slot was idle";
                    reasons.push(reason.to_owned());
                }
                match &trial.wish {
                    Some(Wish::Prune { reason } | Wish::Converge { reason }) => {
                        reasons.push(format!("ends: {reason}"))
                    }
                    Some(Wish::Cancel | Wish::CancelSaved) => {
                        reasons.push("ends: cancelled".to_owned())
                    }
                    Some(Wish::Limit) => reasons.push("ends: a limit was reached".to_owned()),
                    Some(Wish::Yield) => reasons.push("saves and yields its slot".to_owned()),
                    None => {}
                }
            }
            TrialState::Pending => {
                if sweep.state == SweepState::Paused {
                    reasons.push("its sweep is paused".to_owned());
                }
                if let Some(until) = self.not_before.get(&id).filter(|t| **t > time.now) {
                    let ms = until.since(time.now);
                    let last = trial.reason.clone().unwrap_or_default();
                    reasons.push(format!("starts again in {ms} ms ({last})"));
                }
                match self.places(cluster, sweep, &self.load(cluster)) {
                    Ok(_) => reasons.push("starts as soon as its turn comes".to_owned()),
                    Err(skip) => reasons.push(skip.to_string()),
                }
            }
            TrialState::Paused if trial.epochs() >= trial.until => {
                let until = trial.until;
                reasons.push(match sweep.scheduler().kind().population() {
                    Some(_) => format!(
                        "ended its interval at epoch {until} and waits for its turn, or for a fork in its place"
                    ),
                    None if sweep.early().contains(&id.number) => format!(
                        "trained to epoch {} ahead of its turn, and waits for it",
                        trial.epochs()
                    ),
                    None => format!("reached rung {until} and waits for a promotion"),
                });
            }
            TrialState::Paused => reasons.push("its sweep is paused".to_owned()),
            terminal => {
                let why = trial.reason.clone().unwrap_or_default();
                reasons.push(format!("{} {why}", terminal.name()).trim_end().to_owned());
            }
        }
        reasons
    }
}
