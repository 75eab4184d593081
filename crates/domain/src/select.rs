//! Finding what a user names on the command line: a name, a unique prefix, `last`.

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::id::{SweepId, TrialId, WorkerId};

/// Why a selector names nothing, or too much.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectError {
    #[error("no {kind} is named {text}")]
    None { kind: &'static str, text: String },
    #[error("{text} names {count} {kind}s, such as {first} and {second}: say more of the name")]
    Many {
        kind: &'static str,
        text: String,
        count: usize,
        first: String,
        second: String,
    },
    #[error("{count} workers are named {name}: say which by its id, such as {first} or {second}")]
    SameName {
        name: String,
        count: usize,
        first: WorkerId,
        second: WorkerId,
    },
    #[error("{sweep} has no trials yet: bonfire sweep show {sweep} says what it waits for")]
    NoTrials { sweep: String },
    #[error("{text} is not a trial: write SWEEP/NUMBER, such as digits-k2f/17")]
    NotATrial { text: String },
    #[error("{text} is not a checkpoint: write SWEEP/NUMBER@STEP, such as digits-k2f/17@1200")]
    NotACheckpoint { text: String },
}

impl SelectError {
    /// Whether the text itself was wrong, rather than naming nothing.
    pub fn is_wrong_request(&self) -> bool {
        !matches!(
            self,
            SelectError::None { .. } | SelectError::NoTrials { .. }
        )
    }
}

/// The one name that `text` is, or is the only prefix of.
pub fn choose<'a>(
    kind: &'static str,
    text: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<&'a str, SelectError> {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if name == text {
            return Ok(name);
        }
        if !text.is_empty() && name.starts_with(text) {
            found.push(name);
        }
    }
    match found.as_slice() {
        [] => Err(SelectError::None {
            kind,
            text: text.to_owned(),
        }),
        [one] => Ok(one),
        [first, second, ..] => Err(SelectError::Many {
            kind,
            text: text.to_owned(),
            count: found.len(),
            first: (*first).to_owned(),
            second: (*second).to_owned(),
        }),
    }
}

/// A sweep by name, unique prefix or `last` (the newest).
pub fn sweep(cluster: &Cluster, text: &str) -> Result<SweepId, SelectError> {
    if text == "last"
        && let Some(newest) = cluster.sweeps().next_back()
    {
        return Ok(newest.id);
    }
    let name = choose("sweep", text, cluster.sweeps().map(|s| s.name.as_str()))?;
    cluster.sweep_named(name).ok_or_else(|| SelectError::None {
        kind: "sweep",
        text: text.to_owned(),
    })
}

/// A dataset by name, unique prefix or `last` (the one that was added last, unless one is named so).
pub fn dataset<'a>(cluster: &'a Cluster, text: &str) -> Result<&'a str, SelectError> {
    let names = cluster.datasets();
    match cluster.newest_dataset() {
        Some(newest) if text == "last" && !names.contains_key(text) => Ok(newest),
        _ => choose("dataset", text, names.keys().map(String::as_str)),
    }
}

/// A trial as `SWEEP/NUMBER`; `last` is the newest sweep's newest trial.
pub fn trial(cluster: &Cluster, text: &str) -> Result<TrialId, SelectError> {
    let missing = |id| match cluster.sweep(id).filter(|sweep| sweep.next == 0) {
        Some(sweep) => SelectError::NoTrials {
            sweep: sweep.name.clone(),
        },
        None => SelectError::None {
            kind: "trial",
            text: text.to_owned(),
        },
    };
    if text == "last" {
        let id = sweep(cluster, text)?;
        let next = cluster.sweep(id).map_or(0, |s| s.next);
        let number = next.checked_sub(1).ok_or_else(|| missing(id))?;
        return Ok(TrialId { sweep: id, number });
    }
    let wrong = || SelectError::NotATrial {
        text: text.to_owned(),
    };
    let (name, number) = text.rsplit_once('/').ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let id = TrialId {
        sweep: sweep(cluster, name)?,
        number,
    };
    let found = cluster.trial(id).map(|_| id);
    found.ok_or_else(|| missing(id.sweep))
}

/// A checkpoint as `SWEEP/NUMBER@STEP`, or a trial's latest (`best`: its best). Gives the trial and the step.
pub fn checkpoint(
    cluster: &Cluster,
    text: &str,
    best: bool,
) -> Result<(TrialId, u64), SelectError> {
    let missing = || SelectError::None {
        kind: "checkpoint",
        text: text.to_owned(),
    };
    let (name, step) = match text.rsplit_once('@') {
        Some((name, step)) => {
            let wrong = |_| SelectError::NotACheckpoint {
                text: text.to_owned(),
            };
            (name, Some(step.parse::<u64>().map_err(wrong)?))
        }
        None => (text, None),
    };
    let id = trial(cluster, name)?;
    let known = cluster.trial(id).ok_or_else(missing)?;
    let goal = cluster.sweep(id.sweep).map(|s| s.spec.objective.goal);
    let found = match (step, best) {
        (Some(step), _) => known.checkpoints.iter().find(|c| c.step == step),
        (None, false) => known.checkpoints.last(),
        (None, true) => known
            .checkpoints
            .iter()
            .filter(|c| c.value.is_some())
            .min_by(|a, b| match (goal, a.value, b.value) {
                (Some(goal), Some(x), Some(y)) => goal.order(x, y),
                _ => std::cmp::Ordering::Equal,
            }),
    };
    found.map(|c| (id, c.step)).ok_or_else(missing)
}

/// A worker by name, unique prefix or id.
pub fn worker(cluster: &Cluster, text: &str) -> Result<WorkerId, SelectError> {
    if let Some(known) = cluster.workers().find(|w| w.id().to_string() == text) {
        return Ok(known.id());
    }
    let names: BTreeSet<&str> = cluster.workers().map(|w| w.facts.name.as_str()).collect();
    let name = choose("worker", text, names.into_iter())?;
    let named = cluster.workers().filter(|w| w.facts.name == name);
    let named: Vec<WorkerId> = named.map(|w| w.id()).collect();
    match named[..] {
        [] => Err(SelectError::None {
            kind: "worker",
            text: text.to_owned(),
        }),
        [one] => Ok(one),
        [first, second, ..] => Err(SelectError::SameName {
            name: name.to_owned(),
            count: named.len(),
            first,
            second,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::command::Command;
    use crate::id::{LogIndex, WallMs};

    #[test]
    fn a_sweep_without_trials_is_not_a_wrong_name() {
        let text = b"kind: sweep\nversion: 1\nname: new\nmodel: { kind: noop, x: 0.5 }\n";
        let mut cluster = Cluster::new();
        let command = Command::CreateSweep {
            request: 1,
            name: "new".to_owned(),
            spec: crate::spec::check(text, &[]).unwrap().canonical(),
            dataset: None,
            at: WallMs(0),
        };
        cluster.apply(LogIndex(1), command);
        for (selector, expected) in [
            ("last", "new has no trials yet"),
            ("new/0", "new has no trials yet"),
            ("old/0", "no sweep is named old"),
            ("new", "new is not a trial"),
        ] {
            let error = trial(&cluster, selector).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{selector}: {error}");
        }
    }
}
