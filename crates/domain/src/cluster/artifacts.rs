//! Artifacts of trials: files that somebody attached, by name. Their bytes are blobs; the newest under a name counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Cluster, Outcome};
use crate::dataset::BlobRef;
use crate::effect::{Effect, Refusal};
use crate::id::{SweepId, TrialId, WallMs};

/// Artifacts a trial may have.
pub const ARTIFACTS_MAX: usize = 1_000;
/// Longest name of an artifact, in bytes.
pub const ARTIFACT_NAME_BYTES_MAX: usize = 256;

/// A file attached to a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    pub blob: BlobRef,
    pub added: WallMs,
}

/// What is wrong with an artifact's name: it is a relative path of plain parts.
///
/// # Errors
/// The rule it breaks.
pub fn check_artifact_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > ARTIFACT_NAME_BYTES_MAX {
        return Err("it must have 1 to 256 bytes");
    }
    if name.chars().any(|c| c.is_control() || c == '\\') {
        return Err("it must have no control characters and no backslash");
    }
    match name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        true => Err("it must be a relative path without empty parts, '.' and '..'"),
        false => Ok(()),
    }
}

impl Cluster {
    /// A trial's artifacts by name.
    pub fn artifacts(&self, trial: TrialId) -> Option<&BTreeMap<String, Artifact>> {
        self.artifacts.get(&trial)
    }

    /// Every artifact's blob, once a name.
    pub fn artifact_blobs(&self) -> impl Iterator<Item = BlobRef> {
        let all = self.artifacts.values().flat_map(BTreeMap::values);
        all.map(|artifact| artifact.blob)
    }

    pub(super) fn add_artifact(
        &mut self,
        trial: TrialId,
        name: String,
        blob: BlobRef,
        at: WallMs,
    ) -> Outcome {
        if self.trial(trial).is_none() {
            return Err(Refusal::NoSuchTrial);
        }
        if let Err(problem) = check_artifact_name(&name) {
            let problem = format!("the name of an artifact: {problem}");
            return Err(Refusal::ManifestUnreadable { problem });
        }
        if self.blobs.is_condemned(&blob.digest) {
            return Err(Refusal::BeingDeleted { chunks: 1 });
        }
        let held = self.artifacts.entry(trial).or_default();
        if held.len() >= ARTIFACTS_MAX && !held.contains_key(&name) {
            return Err(Refusal::LimitReached {
                limit: ARTIFACTS_MAX as u32,
            });
        }
        let artifact = Artifact { blob, added: at };
        let old = held.insert(name, artifact);
        self.blobs.take(&[blob.digest]);
        let mut effects = vec![Effect::SweepChanged { sweep: trial.sweep }];
        if let Some(old) = old
            && self.blobs.release(&[old.blob.digest])
        {
            effects.push(Effect::Garbage);
        }
        Ok(effects)
    }

    /// Lets go of the artifacts of a sweep that is deleted.
    pub(super) fn drop_artifacts(&mut self, sweep: SweepId) -> Vec<Effect> {
        let of_sweep = |id: &TrialId| id.sweep == sweep;
        let gone: Vec<TrialId> = self.artifacts.keys().copied().filter(of_sweep).collect();
        let gone = gone.iter().filter_map(|trial| self.artifacts.remove(trial));
        let digests = gone.flat_map(BTreeMap::into_values).map(|a| a.blob.digest);
        let digests: Vec<_> = digests.collect();
        match self.blobs.release(&digests) {
            true => vec![Effect::Garbage],
            false => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::command::{Command, SweepAction};
    use crate::id::{Digest, LogIndex};
    use crate::invariant::check_all;

    #[track_caller]
    fn check(name: &str, good: bool) {
        assert_eq!(check_artifact_name(name).is_ok(), good, "{name:?}");
    }

    #[test]
    fn names_are_relative_paths() {
        check("plot.png", true);
        check("plots/confusion 1.png", true);
        check("", false);
        check("/etc/passwd", false);
        check("a/../b", false);
        check("./a", false);
        check("a//b", false);
        check("a\nb", false);
        check(&"a".repeat(257), false);
    }

    #[test]
    fn the_newest_under_a_name_counts_and_a_deleted_sweep_has_none() {
        let mut cluster = Cluster::new();
        let mut index = 0;
        let mut apply = |cluster: &mut Cluster, command| {
            index += 1;
            let effects = cluster.apply(LogIndex(index), command);
            check_all(cluster).unwrap();
            effects
        };
        let text = "kind: sweep\nversion: 1\nname: a\nmodel: { kind: noop }\n";
        let spec = crate::spec::check(text.as_bytes(), &[]).unwrap();
        let at = WallMs(1);
        let create = Command::CreateSweep {
            request: 1,
            name: "a".to_owned(),
            spec: spec.canonical(),
            dataset: None,
            at,
        };
        apply(&mut cluster, create);
        let sweep = SweepId(0);
        let trial = TrialId { sweep, number: 0 };
        let create = Command::CreateTrials {
            sweep,
            first: 0,
            seen: LogIndex(0),
            parameters: vec![Default::default()],
            exhausted: None,
            at,
        };
        let blob = |bytes: &[u8]| BlobRef {
            digest: Digest::of(bytes),
            bytes: bytes.len() as u64,
        };
        let add = |name: &str, bytes: &[u8]| Command::AddArtifact {
            trial,
            name: name.to_owned(),
            blob: blob(bytes),
            at,
        };
        let refused = apply(&mut cluster, add("a", b"1"));
        assert_eq!(refused, [Effect::Refused(Refusal::NoSuchTrial)]);
        apply(&mut cluster, create);
        apply(&mut cluster, add("a", b"1"));
        apply(&mut cluster, add("b", b"1"));
        apply(&mut cluster, add("a", b"2"));
        apply(&mut cluster, add("a", b"2"));
        let held = cluster.artifacts(trial).unwrap();
        let held: Vec<_> = held.iter().map(|(n, a)| (n.as_str(), a.blob)).collect();
        assert_eq!(held, [("a", blob(b"2")), ("b", blob(b"1"))]);
        assert!(cluster.blobs().garbage().is_empty());
        apply(&mut cluster, add("b", b"3"));
        assert!(cluster.blobs().garbage().contains(&Digest::of(b"1")));
        let read = Cluster::decode(&cluster.encode()).unwrap();
        assert_eq!(read, cluster);
        for action in [SweepAction::Cancel { save: false }, SweepAction::Delete] {
            if action == SweepAction::Delete {
                let ending = crate::command::SweepEnding::Cancelled;
                let reason = String::new();
                let finish = Command::Finish {
                    sweep,
                    ending,
                    reason,
                    at,
                };
                apply(&mut cluster, finish);
            }
            apply(&mut cluster, Command::ControlSweep { sweep, action, at });
        }
        assert_eq!(cluster.artifacts(trial), None);
        assert_eq!(cluster.blobs().referenced().count(), 0);
    }
}
