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
        source: cluster
            .source(name, version)
            .map_or(manifest.source, str::to_owned),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::command::Command;
    use crate::id::{LogIndex, WallMs};
    use crate::select;

    /// Registers the same rows under names and from sources, in order.
    fn fleet(added: &[(&str, &str)]) -> Cluster {
        let mut cluster = Cluster::new();
        for (i, (name, source)) in added.iter().enumerate() {
            let manifest = DatasetManifest {
                version: Digest::of(b"rows"),
                rows: 0,
                files: vec![],
                columns: vec![],
                source: (*source).to_owned(),
                source_digest: Digest::of(b"bytes"),
            };
            let add = Command::AddDataset {
                name: (*name).to_owned(),
                manifest: serde_json::to_string(&manifest).unwrap(),
                at: WallMs(0),
            };
            cluster.apply(LogIndex(i as u64 + 1), add);
        }
        cluster
    }

    #[track_caller]
    fn check(added: &[(&str, &str)], expected: &[(&str, &str)]) {
        let cluster = fleet(added);
        let restored = Cluster::decode(&cluster.encode()).unwrap();
        assert_eq!(restored, cluster);
        for (name, source) in expected {
            let found = dataset(&restored, name, None).unwrap().source;
            assert_eq!(found, *source, "{name} of {added:?}");
        }
    }

    #[test]
    fn equal_rows_have_a_source_for_each_name() {
        check(&[("a", "a.csv")], &[("a", "a.csv")]);
        let both = [("a", "a.csv"), ("b", "b.parquet")];
        check(&both, &[("a", "a.csv"), ("b", "b.parquet")]);
        // Under one name the last one counts.
        check(
            &[("a", "a.csv"), ("b", "b.parquet"), ("b", "c.csv")],
            &[("a", "a.csv"), ("b", "c.csv")],
        );
        check(
            &[("a", "a.csv"), ("a", "b.csv"), ("a", "a.csv")],
            &[("a", "a.csv")],
        );
    }

    #[test]
    fn snapshots_from_before_there_were_sources_are_read() {
        let mut bytes = fleet(&[("a", "a.csv")]).encode();
        assert_eq!(bytes.split_off(bytes.len() - 3), [1, 1, b'a'], "the newest");
        let mut old = |format: u16| {
            bytes[..2].copy_from_slice(&format.to_le_bytes());
            let cluster = Cluster::decode(&bytes).unwrap();
            for what in ["sweep", "source of its own", "artifact", "origin"] {
                if format == 4 {
                    assert_eq!(bytes.pop(), Some(0), "no {what}");
                }
            }
            cluster
        };
        let cluster = old(4);
        assert_eq!(old(1), cluster);
        assert_eq!(dataset(&cluster, "a", None).unwrap().source, "a.csv");
        assert_eq!(cluster.newest_dataset(), None);
    }

    #[test]
    fn the_last_one_is_the_one_that_was_added_last() {
        let check = |added: &[(&str, &str)], expected: Result<&str, &str>| {
            let restored = Cluster::decode(&fleet(added).encode()).unwrap();
            let found = select::dataset(&restored, "last").map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{added:?}");
        };
        check(&[], Err("no dataset is named last"));
        check(&[("b", "b.csv"), ("a", "a.csv")], Ok("a"));
        // The same rows again are added again.
        check(&[("b", "b.csv"), ("a", "a.csv"), ("b", "b.csv")], Ok("b"));
        // A name is a name.
        check(&[("last", "b.csv"), ("a", "a.csv")], Ok("last"));
        check(&[("last-year", "b.csv"), ("a", "a.csv")], Ok("a"));
    }
}
