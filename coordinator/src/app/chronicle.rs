//! What happens in a fleet, as lines of the coordinator's log: sweeps, workers, attempts that came to nothing, and what a sweep
//! waits for whenever that changes.

use std::collections::BTreeMap;

use bonfire_domain::cluster::SweepState;
use bonfire_domain::command::Admission;
use bonfire_domain::effect::Effect;
use bonfire_domain::{Cluster, Leader, SweepId};

/// Ticks between two looks at what sweeps wait for.
const LOOK_TICKS: u32 = 10;

#[derive(Default)]
pub(super) struct Chronicle {
    ticks: u32,
    /// What was said of each sweep that waits.
    reasons: BTreeMap<SweepId, String>,
}

impl Chronicle {
    /// Writes down what an effect means to people; most mean nothing.
    pub(super) fn tell(&self, cluster: &Cluster, effect: &Effect) {
        match effect {
            Effect::SweepCreated { sweep } => {
                if let Some(sweep) = cluster.sweep(*sweep) {
                    tracing::info!(sweep = sweep.name, "a sweep begins");
                }
            }
            Effect::SweepEnded { sweep } => {
                if let Some(sweep) = cluster.sweep(*sweep) {
                    let (state, reason) = (sweep.state.name(), sweep.reason.as_deref());
                    let reason = reason.unwrap_or_default();
                    tracing::info!(sweep = sweep.name, state, reason, "a sweep ended");
                }
            }
            Effect::TrialReady { trial, tries } if *tries > 0 => {
                let sweep = cluster.sweep(trial.sweep);
                if let Some((sweep, trial)) = sweep.and_then(|s| Some((s, s.trial(trial.number)?)))
                {
                    let name = format!("{}/{}", sweep.name, trial.number);
                    let (attempt, reason) = (trial.attempt.0, trial.reason.as_deref());
                    let reason = reason.unwrap_or_default();
                    tracing::info!(trial = name, attempt, reason, "an attempt came to nothing");
                }
            }
            Effect::WorkerChanged { worker } => {
                if let Some(worker) = cluster.worker(*worker) {
                    let (name, slots) = (&worker.facts.name, worker.facts.slots.len());
                    match &worker.admission {
                        Admission::Open => tracing::info!(name, slots, "a worker takes work"),
                        Admission::Draining => tracing::info!(name, "a worker drains"),
                        Admission::Quarantined { reason } => {
                            tracing::warn!(name, reason, "a worker is quarantined");
                        }
                    }
                }
            }
            Effect::WorkerLost { worker } => tracing::info!(%worker, "a worker is gone"),
            _ => {}
        }
    }

    /// Looks now and then at what running sweeps wait for.
    pub(super) fn tick(&mut self, cluster: &Cluster, leader: &Leader) {
        self.ticks = (self.ticks + 1) % LOOK_TICKS;
        if self.ticks != 0 {
            return;
        }
        for line in self.look(cluster, leader) {
            tracing::info!(sweep = line.0, "{}", line.1);
        }
    }

    /// Sweeps whose reason has changed, by name, and the reason now.
    fn look(&mut self, cluster: &Cluster, leader: &Leader) -> Vec<(String, String)> {
        let mut changed = Vec::new();
        let mut reasons = BTreeMap::new();
        for sweep in cluster.sweeps() {
            if sweep.state != SweepState::Running {
                continue;
            }
            let old = self.reasons.get(&sweep.id);
            let now = leader.why_sweep(cluster, sweep);
            match (&now, old) {
                (Some(now), old) if old != Some(now) => {
                    changed.push((sweep.name.clone(), now.clone()));
                }
                (None, Some(_)) => changed.push((sweep.name.clone(), "goes on".to_owned())),
                _ => {}
            }
            reasons.extend(now.map(|now| (sweep.id, now)));
        }
        self.reasons = reasons;
        changed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bonfire_domain::command::Command;
    use bonfire_domain::leader::Time;
    use bonfire_domain::{LeaderConfig, LogIndex, WallMs, spec};

    use super::*;

    #[test]
    fn a_reason_is_said_when_it_changes() {
        let text = b"kind: sweep\nversion: 1\nname: waits\nmodel: { kind: noop, x: 0.5 }\n";
        let mut cluster = Cluster::new();
        let command = Command::CreateSweep {
            request: 1,
            name: "waits".to_owned(),
            spec: spec::check(text, &[]).unwrap().canonical(),
            dataset: None,
            at: WallMs(0),
        };
        cluster.apply(LogIndex(1), command);
        let (leader, _) = Leader::new(Time::default(), LeaderConfig::default(), &cluster);
        let mut chronicle = Chronicle::default();
        let said = chronicle.look(&cluster, &leader);
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].0, "waits");
        assert!(said[0].1.contains("no worker"), "{said:?}");
        assert!(chronicle.look(&cluster, &leader).is_empty());
        chronicle.reasons.clear();
        assert_eq!(chronicle.look(&cluster, &leader), said);
    }
}
