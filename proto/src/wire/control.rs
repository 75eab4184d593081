//! What clients ask for.

use bonfire_domain::Digest;
use bonfire_domain::cluster::ARTIFACT_NAME_BYTES_MAX;
use bonfire_domain::command::{Admission, SweepAction, TrialAction};
use bonfire_domain::dataset::BlobRef;
use bonfire_domain::origin::{GitRevision, Origin};
use bonfire_domain::search::Assignment;
use bytes::Bytes;

use super::{
    DETAIL_BYTES_MAX, MANIFEST_BYTES_MAX, NAME_BYTES_MAX, SPEC_BYTES_MAX, WireError, assignment,
    assignment_map, digest, digest_bytes, digest_or_none, required, text,
};
use crate::pb;

/// A selector of a sweep, trial or worker, in bytes.
pub const SELECTOR_BYTES_MAX: usize = 320;
/// A document's path, in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;

/// A new sweep. `request` makes a repeated submission answer with the first one's sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    pub request: u64,
    pub name: String,
    /// The canonical spec, JSON.
    pub spec: String,
    pub dataset: Option<Digest>,
    /// Named exactly `name`; else three random characters are added.
    pub fixed_name: bool,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSweep {
    pub sweep: String,
    pub action: SweepAction,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlTrial {
    pub trial: String,
    pub action: TrialAction,
}

/// A new trial from a checkpoint of another one, its latest if `step` is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fork {
    pub request: u64,
    pub trial: String,
    pub step: Option<u64>,
    pub parameters: Assignment,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddDataset {
    pub name: String,
    /// The manifest, JSON.
    pub manifest: String,
}

/// A file for a trial, whose blob is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddArtifact {
    pub trial: String,
    pub name: String,
    pub blob: BlobRef,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteCheckpoint {
    pub trial: String,
    pub step: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admit {
    pub worker: String,
    pub admission: Admission,
}

/// A JSON document and the log index it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub json: Bytes,
    pub revision: u64,
}

impl From<Submit> for pb::SubmitRequest {
    fn from(s: Submit) -> pb::SubmitRequest {
        pb::SubmitRequest {
            request: s.request,
            name: s.name,
            spec_json: s.spec,
            dataset: s.dataset.map(digest_bytes).unwrap_or_default(),
            fixed_name: s.fixed_name,
            origin: Some(s.origin.into()),
        }
    }
}

impl TryFrom<pb::SubmitRequest> for Submit {
    type Error = WireError;
    fn try_from(m: pb::SubmitRequest) -> Result<Submit, WireError> {
        Ok(Submit {
            request: m.request,
            name: filled("name", m.name, NAME_BYTES_MAX)?,
            spec: text("spec_json", m.spec_json, SPEC_BYTES_MAX)?,
            dataset: digest_or_none("dataset", &m.dataset)?,
            fixed_name: m.fixed_name,
            origin: Origin::try_from(m.origin.unwrap_or_default())?,
        })
    }
}

impl From<Origin> for pb::Origin {
    fn from(o: Origin) -> pb::Origin {
        pb::Origin {
            git: o.git.map(|git| pb::GitRevision {
                commit: git.commit,
                branch: git.branch.unwrap_or_default(),
                dirty: git.dirty,
            }),
            version: o.version,
            system: o.system,
        }
    }
}

impl TryFrom<pb::Origin> for Origin {
    type Error = WireError;
    fn try_from(m: pb::Origin) -> Result<Origin, WireError> {
        let revision = |git: pb::GitRevision| {
            let branch = text("branch", git.branch, NAME_BYTES_MAX)?;
            Ok(GitRevision {
                commit: filled("commit", git.commit, NAME_BYTES_MAX)?,
                branch: (!branch.is_empty()).then_some(branch),
                dirty: git.dirty,
            })
        };
        Ok(Origin {
            git: m.git.map(revision).transpose()?,
            version: text("version", m.version, NAME_BYTES_MAX)?,
            system: text("system", m.system, NAME_BYTES_MAX)?,
        })
    }
}

impl From<ControlSweep> for pb::ControlSweepRequest {
    fn from(c: ControlSweep) -> pb::ControlSweepRequest {
        use pb::control_sweep_request::{Action, Cancel, Plain};
        let action = match c.action {
            SweepAction::Pause => Some(Action::Pause(Plain {})),
            SweepAction::Resume => Some(Action::Resume(Plain {})),
            SweepAction::Cancel { save } => Some(Action::Cancel(Cancel { save })),
            // The leader's own: a client that says it is refused by the missing field.
            SweepAction::Stop { .. } => None,
            SweepAction::Delete => Some(Action::Delete(Plain {})),
            SweepAction::SetAside => Some(Action::SetAside(Plain {})),
        };
        pb::ControlSweepRequest {
            sweep: c.sweep,
            action,
        }
    }
}

impl TryFrom<pb::ControlSweepRequest> for ControlSweep {
    type Error = WireError;
    fn try_from(m: pb::ControlSweepRequest) -> Result<ControlSweep, WireError> {
        use pb::control_sweep_request::Action;
        Ok(ControlSweep {
            sweep: filled("sweep", m.sweep, SELECTOR_BYTES_MAX)?,
            action: match required("action", m.action)? {
                Action::Pause(_) => SweepAction::Pause,
                Action::Resume(_) => SweepAction::Resume,
                Action::Cancel(m) => SweepAction::Cancel { save: m.save },
                Action::Delete(_) => SweepAction::Delete,
                Action::SetAside(_) => SweepAction::SetAside,
            },
        })
    }
}

impl From<ControlTrial> for pb::ControlTrialRequest {
    fn from(c: ControlTrial) -> pb::ControlTrialRequest {
        use pb::control_trial_request::Action;
        let action = match c.action {
            TrialAction::Stop => Action::Stop,
            TrialAction::Resume => Action::Resume,
        };
        pb::ControlTrialRequest {
            trial: c.trial,
            action: action as i32,
        }
    }
}

impl TryFrom<pb::ControlTrialRequest> for ControlTrial {
    type Error = WireError;
    fn try_from(m: pb::ControlTrialRequest) -> Result<ControlTrial, WireError> {
        use pb::control_trial_request::Action;
        let action = match m.action() {
            Action::Stop => TrialAction::Stop,
            Action::Resume => TrialAction::Resume,
            Action::Unspecified => return Err(WireError::missing("action")),
        };
        Ok(ControlTrial {
            trial: filled("trial", m.trial, SELECTOR_BYTES_MAX)?,
            action,
        })
    }
}

impl From<Fork> for pb::ForkRequest {
    fn from(f: Fork) -> pb::ForkRequest {
        pb::ForkRequest {
            request: f.request,
            trial: f.trial,
            step: f.step,
            parameters: assignment_map(f.parameters),
        }
    }
}

impl TryFrom<pb::ForkRequest> for Fork {
    type Error = WireError;
    fn try_from(m: pb::ForkRequest) -> Result<Fork, WireError> {
        Ok(Fork {
            request: m.request,
            trial: filled("trial", m.trial, SELECTOR_BYTES_MAX)?,
            step: m.step,
            parameters: assignment("parameters", m.parameters)?,
        })
    }
}

impl From<AddArtifact> for pb::AddArtifactRequest {
    fn from(a: AddArtifact) -> pb::AddArtifactRequest {
        pb::AddArtifactRequest {
            trial: a.trial,
            name: a.name,
            digest: digest_bytes(a.blob.digest),
            bytes: a.blob.bytes,
        }
    }
}

impl TryFrom<pb::AddArtifactRequest> for AddArtifact {
    type Error = WireError;
    fn try_from(m: pb::AddArtifactRequest) -> Result<AddArtifact, WireError> {
        Ok(AddArtifact {
            trial: filled("trial", m.trial, SELECTOR_BYTES_MAX)?,
            name: filled("name", m.name, ARTIFACT_NAME_BYTES_MAX)?,
            blob: BlobRef {
                digest: digest("digest", &m.digest)?,
                bytes: m.bytes,
            },
        })
    }
}

impl From<AddDataset> for pb::AddDatasetRequest {
    fn from(a: AddDataset) -> pb::AddDatasetRequest {
        pb::AddDatasetRequest {
            name: a.name,
            manifest_json: a.manifest,
        }
    }
}

impl TryFrom<pb::AddDatasetRequest> for AddDataset {
    type Error = WireError;
    fn try_from(m: pb::AddDatasetRequest) -> Result<AddDataset, WireError> {
        Ok(AddDataset {
            name: filled("name", m.name, NAME_BYTES_MAX)?,
            manifest: text("manifest_json", m.manifest_json, MANIFEST_BYTES_MAX)?,
        })
    }
}

impl From<DeleteCheckpoint> for pb::DeleteCheckpointRequest {
    fn from(d: DeleteCheckpoint) -> pb::DeleteCheckpointRequest {
        pb::DeleteCheckpointRequest {
            trial: d.trial,
            step: d.step,
        }
    }
}

impl TryFrom<pb::DeleteCheckpointRequest> for DeleteCheckpoint {
    type Error = WireError;
    fn try_from(m: pb::DeleteCheckpointRequest) -> Result<DeleteCheckpoint, WireError> {
        Ok(DeleteCheckpoint {
            trial: filled("trial", m.trial, SELECTOR_BYTES_MAX)?,
            step: m.step,
        })
    }
}

impl From<Admit> for pb::AdmitRequest {
    fn from(a: Admit) -> pb::AdmitRequest {
        use pb::admit_request::Admission as Wire;
        let (admission, reason) = match a.admission {
            Admission::Open => (Wire::Open, String::new()),
            Admission::Draining => (Wire::Draining, String::new()),
            Admission::Quarantined { reason } => (Wire::Quarantined, reason),
        };
        pb::AdmitRequest {
            worker: a.worker,
            admission: admission as i32,
            reason,
        }
    }
}

impl TryFrom<pb::AdmitRequest> for Admit {
    type Error = WireError;
    fn try_from(m: pb::AdmitRequest) -> Result<Admit, WireError> {
        use pb::admit_request::Admission as Wire;
        let admission = match m.admission() {
            Wire::Open => Admission::Open,
            Wire::Draining => Admission::Draining,
            Wire::Quarantined => Admission::Quarantined {
                reason: text("reason", m.reason, DETAIL_BYTES_MAX)?,
            },
            Wire::Unspecified => return Err(WireError::missing("admission")),
        };
        Ok(Admit {
            worker: filled("worker", m.worker, SELECTOR_BYTES_MAX)?,
            admission,
        })
    }
}

impl From<Document> for pb::Document {
    fn from(d: Document) -> pb::Document {
        pb::Document {
            json: d.json,
            revision: d.revision,
        }
    }
}

impl From<pb::Document> for Document {
    fn from(m: pb::Document) -> Document {
        Document {
            json: m.json,
            revision: m.revision,
        }
    }
}

pub(super) fn filled(
    field: &'static str,
    value: String,
    bytes_max: usize,
) -> Result<String, WireError> {
    if value.is_empty() {
        return Err(WireError::missing(field));
    }
    text(field, value, bytes_max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bonfire_domain::search::Value;

    #[track_caller]
    fn check<T, P>(asked: T)
    where
        T: Clone + std::fmt::Debug + PartialEq + TryFrom<P, Error = WireError>,
        P: From<T>,
    {
        assert_eq!(T::try_from(P::from(asked.clone())), Ok(asked));
    }

    #[test]
    fn requests_survive_the_wire() {
        let dataset = Some(Digest([4; 32]));
        check::<Submit, pb::SubmitRequest>(Submit {
            request: 7,
            name: "digits".into(),
            spec: "{}".into(),
            dataset,
            fixed_name: true,
            origin: Origin {
                git: Some(GitRevision {
                    commit: "1f3c09b".into(),
                    branch: None,
                    dirty: true,
                }),
                version: "0.1.0".into(),
                system: "linux x86_64".into(),
            },
        });
        for action in [
            SweepAction::Pause,
            SweepAction::Resume,
            SweepAction::Cancel { save: true },
            SweepAction::Delete,
            SweepAction::SetAside,
        ] {
            check::<ControlSweep, pb::ControlSweepRequest>(ControlSweep {
                sweep: "last".into(),
                action,
            });
        }
        for action in [TrialAction::Stop, TrialAction::Resume] {
            check::<ControlTrial, pb::ControlTrialRequest>(ControlTrial {
                trial: "a/1".into(),
                action,
            });
        }
        let parameters = [("optimizer.lr".to_owned(), Value::Real(1e-4))].into();
        check::<Fork, pb::ForkRequest>(Fork {
            request: 1,
            trial: "a/1".into(),
            step: Some(0),
            parameters,
        });
        check::<AddArtifact, pb::AddArtifactRequest>(AddArtifact {
            trial: "digits-k2f/3".into(),
            name: "plots/a.png".into(),
            blob: BlobRef {
                digest: Digest([3; 32]),
                bytes: 12,
            },
        });
        check::<AddDataset, pb::AddDatasetRequest>(AddDataset {
            name: "digits".into(),
            manifest: "{}".into(),
        });
        check::<DeleteCheckpoint, pb::DeleteCheckpointRequest>(DeleteCheckpoint {
            trial: "a/1".into(),
            step: 3,
        });
        for admission in [
            Admission::Open,
            Admission::Draining,
            Admission::Quarantined {
                reason: "three deaths".into(),
            },
        ] {
            check::<Admit, pb::AdmitRequest>(Admit {
                worker: "host".into(),
                admission,
            });
        }
    }

    #[test]
    fn empty_and_oversized_requests_are_refused() {
        let submit = |name: String, spec: String| pb::SubmitRequest {
            name,
            spec_json: spec,
            ..Default::default()
        };
        assert_eq!(
            Submit::try_from(submit(String::new(), String::new()))
                .unwrap_err()
                .field,
            "name"
        );
        let large = "x".repeat(SPEC_BYTES_MAX + 1);
        assert_eq!(
            Submit::try_from(submit("a".into(), large))
                .unwrap_err()
                .field,
            "spec_json"
        );
        let fork = pb::ForkRequest {
            trial: "a/1".into(),
            parameters: [("lr".to_owned(), pb::Value::default())].into(),
            ..Default::default()
        };
        assert_eq!(Fork::try_from(fork).unwrap_err().field, "value.kind");
    }
}
