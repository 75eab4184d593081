//! The replicated state: `apply` is total, clockless and identical on every node.
//!
//! It never reads a clock, never fails, never asks anybody. A stale or illegal command is an outcome
//! ([`Effect::Refused`]), not a panic. What follows from a command comes back as effects, which followers drop.

mod artifacts;
mod attempt;
mod blobs;
mod control;
mod early;
mod external;
mod fleet;
mod fork;
mod front;
mod history;
mod outcome;
mod population;
mod report;
mod snapshot;
mod source;
mod sweep;
mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use artifacts::{ARTIFACT_NAME_BYTES_MAX, ARTIFACTS_MAX, Artifact, check_artifact_name};
pub use blobs::Blobs;
pub use external::TOLD_MAX;
pub use fleet::{Occupant, QUEUE_PER_SLOT, WorkerState};
pub use history::{History, SEGMENT_TRIALS, Segment};
pub use outcome::{Measured, Metrics};
pub use population::Move;
pub use snapshot::SnapshotError;
pub use source::{SOURCE_TRIALS_MAX, Source};
pub use sweep::{Sweep, SweepState};
pub use trial::{ATTEMPTS_KEPT, AttemptRecord, Observation, Trial, TrialState, Wish};

use crate::command::Command;
use crate::dataset::{BlobRef, DatasetManifest};
use crate::effect::{Effect, Refusal};
use crate::id::{Digest, LogIndex, SweepId, TrialId, WorkerId};
use crate::origin::Origin;

/// Everything the fleet agreed on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    applied: LogIndex,
    next_sweep: u32,
    sweeps: BTreeMap<SweepId, Sweep>,
    names: BTreeMap<String, SweepId>,
    workers: BTreeMap<WorkerId, WorkerState>,
    /// Dataset versions by digest; manifests as canonical JSON.
    versions: BTreeMap<Digest, Arc<str>>,
    /// The versions registered under a name, oldest first.
    datasets: BTreeMap<String, Vec<Digest>>,
    /// Prepared data by key; manifests as canonical JSON. The first one wins.
    prepared: BTreeMap<Digest, Arc<str>>,
    blobs: Blobs,
    /// Sealed tracker segments, by journal number.
    segments: BTreeMap<u64, BlobRef>,
    /// Where sweeps came from. A snapshot of format 1 ends before these, the artifacts and the sources.
    origins: BTreeMap<SweepId, Origin>,
    artifacts: BTreeMap<TrialId, BTreeMap<String, Artifact>>,
    /// What a version was read from under a name, where its manifest, which came with another name first, says otherwise.
    sources: BTreeMap<(String, Digest), String>,
    /// The dataset that was added last; a snapshot has it at its end, one before format 5 not at all.
    #[serde(skip)]
    newest_dataset: Option<String>,
}

/// The outcome of one command: what changed, or why nothing did.
pub(crate) type Outcome = Result<Vec<Effect>, Refusal>;

impl Cluster {
    pub fn new() -> Cluster {
        Cluster::default()
    }

    /// Applies one command at its place in the log. Several commands of one entry share its index.
    pub fn apply(&mut self, index: LogIndex, command: Command) -> Vec<Effect> {
        debug_assert!(index >= self.applied, "log applied out of order");
        self.applied = index;
        let outcome = match command {
            Command::Join {
                facts,
                facts_from,
                at,
            } => self.join(facts, facts_from, at),
            Command::Lose { worker, at } => self.lose(worker, at),
            Command::Admit {
                worker,
                admission,
                at,
            } => self.admit(worker, admission, at),
            Command::CreateSweep {
                request,
                name,
                spec,
                dataset,
                at,
            } => self.create_sweep(request, name, &spec, dataset, at),
            Command::SubmitSweep {
                request,
                name,
                spec,
                dataset,
                origin,
                at,
            } => {
                let made = self.create_sweep(request, name, &spec, dataset, at);
                self.note_origin(made, origin)
            }
            Command::CreateTrials {
                sweep,
                first,
                parameters,
                exhausted,
                ..
            } => self.create_trials(index, sweep, first, parameters, exhausted),
            Command::Promote { trial, .. } => self.promote(trial),
            Command::PromoteEarly { trial, .. } => self.promote_early(trial),
            Command::Recall { sweep, at } => self.recall(index, sweep, at),
            Command::StartAttempt {
                trial,
                attempt,
                place,
                at,
            } => self.start_attempt(trial, attempt, place, at),
            Command::Report {
                worker,
                sequence,
                fact,
                at,
            } => Ok(self.report(index, worker, sequence, fact, at)),
            Command::ControlSweep { sweep, action, at } => {
                self.control_sweep(index, sweep, action, at)
            }
            Command::ControlTrial { trial, action, at } => {
                self.control_trial(index, trial, action, at)
            }
            Command::Fork {
                request,
                parent,
                step,
                parameters,
                at,
            } => self.fork(index, request, parent, step, parameters, at),
            Command::Finish {
                sweep,
                ending,
                reason,
                at,
            } => self.finish(index, sweep, ending, reason, at),
            Command::AddDataset { name, manifest, .. } => self.add_dataset(name, &manifest),
            Command::DeleteCheckpoint { trial, step, .. } => self.delete_checkpoint(trial, step),
            Command::Condemn { chunks } => Ok(self.condemn(chunks)),
            Command::Deleted { chunks } => {
                self.blobs.deleted(&chunks);
                Ok(vec![])
            }
            Command::SealSegment { journal, blob } => self.seal_segment(journal, blob),
            Command::Give {
                request,
                trial,
                attempt,
                at,
            } => self.give(index, request, trial, attempt, at),
            Command::Tell {
                trial,
                attempt,
                told,
                at,
            } => self.tell(index, (trial, attempt), told, Metrics::new(), at),
            Command::TellMeasured {
                trial,
                attempt,
                told,
                metrics,
                at,
            } => self.tell(index, (trial, attempt), told, metrics, at),
            Command::AddArtifact {
                trial,
                name,
                blob,
                at,
            } => self.add_artifact(trial, name, blob, at),
            Command::Exploit {
                trial,
                number,
                parent,
                step,
                parameters,
                at,
            } => self.exploit(index, trial, number, (parent, step), parameters, at),
        };
        let effects = outcome.unwrap_or_else(|refusal| vec![Effect::Refused(refusal)]);
        self.note_events(index, &effects);
        self.seal_history();
        debug_assert_eq!(crate::invariant::check_touched(self, &effects), Ok(()));
        effects
    }

    fn note_events(&mut self, index: LogIndex, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Learned { sweep, .. } = effect
                && let Some(sweep) = self.sweeps.get_mut(sweep)
            {
                sweep.seen = index;
            }
        }
    }

    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    pub fn sweeps(&self) -> impl DoubleEndedIterator<Item = &Sweep> {
        self.sweeps.values()
    }

    pub fn sweep(&self, sweep: SweepId) -> Option<&Sweep> {
        self.sweeps.get(&sweep)
    }

    /// Where a sweep came from, as far as it was said.
    pub fn origin(&self, sweep: SweepId) -> Option<&Origin> {
        self.origins.get(&sweep)
    }

    pub fn sweep_named(&self, name: &str) -> Option<SweepId> {
        self.names.get(name).copied()
    }

    pub fn sweep_requested(&self, request: u64) -> Option<&Sweep> {
        self.sweeps.values().rev().find(|s| s.request == request)
    }

    /// A trial, live or sealed.
    pub fn trial(&self, trial: TrialId) -> Option<std::borrow::Cow<'_, Trial>> {
        self.sweeps.get(&trial.sweep)?.trial(trial.number)
    }

    pub fn workers(&self) -> impl Iterator<Item = &WorkerState> {
        self.workers.values()
    }

    pub fn worker(&self, worker: WorkerId) -> Option<&WorkerState> {
        self.workers.get(&worker)
    }

    /// The manifest of a dataset version.
    pub fn version(&self, version: Digest) -> Option<DatasetManifest> {
        serde_json::from_str(self.versions.get(&version)?).ok()
    }

    /// The manifest of a dataset version as it was recorded.
    pub fn version_text(&self, version: Digest) -> Option<&str> {
        self.versions.get(&version).map(AsRef::as_ref)
    }

    /// What people named as the source of a version under that name, last; `None` where its manifest has it.
    pub fn source(&self, name: &str, version: Digest) -> Option<&str> {
        let key = (name.to_owned(), version);
        self.sources.get(&key).map(String::as_str)
    }

    /// Dataset names with their versions, oldest first.
    pub fn datasets(&self) -> &BTreeMap<String, Vec<Digest>> {
        &self.datasets
    }

    /// The dataset that was added last, in its newest version or in the one it had.
    pub fn newest_dataset(&self) -> Option<&str> {
        self.newest_dataset.as_deref()
    }

    /// The manifest of prepared data as it was recorded.
    pub fn prepared(&self, key: Digest) -> Option<&str> {
        self.prepared.get(&key).map(AsRef::as_ref)
    }

    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub fn segments(&self) -> &BTreeMap<u64, BlobRef> {
        &self.segments
    }

    pub(crate) fn sweep_mut(&mut self, sweep: SweepId) -> Result<&mut Sweep, Refusal> {
        self.sweeps.get_mut(&sweep).ok_or(Refusal::NoSuchSweep)
    }
}
