//! The documents of datasets.

use serde::{Deserialize, Serialize};

use crate::cluster::Cluster;
use crate::dataset::DatasetManifest;
use crate::id::Digest;
use crate::spec::Task;

/// `dataset show NAME -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetDocument {
    pub name: String,
    pub version: String,
    pub versions: Vec<String>,
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    pub source: String,
    pub columns: Vec<serde_json::Value>,
    /// What the newest sweep over this version learnt, and how many classes that has.
    pub label: Option<String>,
    pub classes: Option<u64>,
}

/// A dataset by name, at its newest version or the one given.
pub fn dataset(cluster: &Cluster, name: &str, version: Option<Digest>) -> Option<DatasetDocument> {
    let versions = cluster.datasets().get(name)?;
    let version = version.or(versions.last().copied())?;
    let manifest: DatasetManifest = cluster.version(version)?;
    // A version has no label by itself; the newest sweep over it says which one it was used with.
    let used = cluster
        .sweeps()
        .rev()
        .find(|sweep| sweep.dataset == Some(manifest.version));
    let is_classified = used.is_some_and(|sweep| sweep.spec.task == Some(Task::Classification));
    let label = used.and_then(|sweep| sweep.spec.data.as_ref()?.label.clone());
    Some(DatasetDocument {
        name: name.to_owned(),
        version: version.hex(),
        versions: versions.iter().map(Digest::hex).collect(),
        rows: manifest.rows,
        files: manifest.files.len() as u64,
        bytes: manifest.files.iter().map(|f| f.blob.bytes).sum(),
        source: manifest.source,
        columns: manifest
            .columns
            .iter()
            .filter_map(|c| serde_json::to_value(c).ok())
            .collect(),
        classes: label.as_ref().and_then(|label| {
            let column = manifest.columns.iter().find(|c| c.name == *label)?;
            column.distinct.filter(|_| is_classified)
        }),
        label,
    })
}

/// All datasets at their newest versions, by name.
pub fn datasets(cluster: &Cluster) -> Vec<DatasetDocument> {
    cluster
        .datasets()
        .keys()
        .filter_map(|name| dataset(cluster, name, None))
        .collect()
}
