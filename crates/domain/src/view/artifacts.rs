//! The documents of artifacts.

use serde::{Deserialize, Serialize};

use super::time_text;
use crate::cluster::Cluster;
use crate::id::TrialId;

/// A file attached to a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArtifactDocument {
    pub name: String,
    pub bytes: u64,
    pub digest: String,
    pub added: String,
}

/// By name.
pub(super) fn of_trial(cluster: &Cluster, id: TrialId) -> Vec<ArtifactDocument> {
    let held = cluster.artifacts(id).into_iter().flatten();
    held.map(|(name, artifact)| ArtifactDocument {
        name: name.clone(),
        bytes: artifact.blob.bytes,
        digest: artifact.blob.digest.hex(),
        added: time_text(artifact.added),
    })
    .collect()
}
