//! Reference counts of blobs, and their deletion in two commands.
//!
//! `Condemn` marks blobs without a reference: from then on nothing may name them. The leader deletes them on every node, then
//! `Deleted` clears the mark, and they may be uploaded again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Cluster, Outcome};
use crate::dataset::{BlobRef, DatasetManifest, PreparedManifest};
use crate::effect::{Effect, Refusal};
use crate::id::Digest;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Blobs {
    references: BTreeMap<Digest, u32>,
    /// Count fell to zero; not condemned yet.
    garbage: BTreeSet<Digest>,
    condemned: BTreeSet<Digest>,
}

impl Blobs {
    pub fn is_referenced(&self, digest: &Digest) -> bool {
        self.references.contains_key(digest)
    }

    pub fn is_condemned(&self, digest: &Digest) -> bool {
        self.condemned.contains(digest)
    }

    /// Without a reference, to be condemned.
    pub fn garbage(&self) -> &BTreeSet<Digest> {
        &self.garbage
    }

    /// To be deleted, then cleared by `Deleted`.
    pub fn condemned(&self) -> &BTreeSet<Digest> {
        &self.condemned
    }

    pub fn referenced(&self) -> impl Iterator<Item = (&Digest, u32)> {
        self.references.iter().map(|(d, n)| (d, *n))
    }

    pub(super) fn condemned_among(&self, digests: &[Digest]) -> Vec<Digest> {
        digests
            .iter()
            .filter(|d| self.condemned.contains(d))
            .copied()
            .collect()
    }

    pub(super) fn take(&mut self, digests: &[Digest]) {
        for digest in digests {
            *self.references.entry(*digest).or_insert(0) += 1;
            self.garbage.remove(digest);
        }
    }

    /// Gives references back; true if a blob has none left.
    pub(super) fn release(&mut self, digests: &[Digest]) -> bool {
        let mut any = false;
        for digest in digests {
            let Some(count) = self.references.get_mut(digest) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                self.references.remove(digest);
                self.garbage.insert(*digest);
                any = true;
            }
        }
        any
    }

    pub(super) fn deleted(&mut self, digests: &[Digest]) {
        for digest in digests {
            self.condemned.remove(digest);
        }
    }
}

impl Cluster {
    pub(super) fn condemn(&mut self, chunks: Vec<Digest>) -> Vec<Effect> {
        let chunks: Vec<Digest> = chunks
            .into_iter()
            .filter(|d| !self.blobs.references.contains_key(d))
            .collect();
        for digest in &chunks {
            self.blobs.garbage.remove(digest);
            self.blobs.condemned.insert(*digest);
        }
        vec![Effect::Condemned { chunks }]
    }

    pub(super) fn add_dataset(&mut self, name: String, text: &str) -> Outcome {
        let unreadable = |e: serde_json::Error| Refusal::ManifestUnreadable {
            problem: e.to_string(),
        };
        let manifest: DatasetManifest = serde_json::from_str(text).map_err(unreadable)?;
        let version = manifest.version;
        if !self.versions.contains_key(&version) {
            let digests: Vec<Digest> = manifest.files.iter().map(|f| f.blob.digest).collect();
            let condemned = self.blobs.condemned_among(&digests);
            if !condemned.is_empty() {
                return Err(Refusal::BeingDeleted {
                    chunks: condemned.len() as u32,
                });
            }
            self.blobs.take(&digests);
            self.versions.insert(version, text.into());
        }
        self.note_source(&name, &manifest);
        let versions = self.datasets.entry(name.clone()).or_default();
        let changed = versions.last() != Some(&version);
        if changed {
            versions.retain(|v| *v != version);
            versions.push(version);
        }
        self.newest_dataset = Some(name.clone());
        Ok(vec![Effect::DatasetAdded {
            name,
            version,
            changed,
        }])
    }

    /// One manifest stands for equal rows; what people named differs by the name that they gave.
    fn note_source(&mut self, name: &str, manifest: &DatasetManifest) {
        let first = self.version(manifest.version);
        let key = (name.to_owned(), manifest.version);
        if first.is_some_and(|first| first.source == manifest.source) {
            self.sources.remove(&key);
        } else {
            self.sources.insert(key, manifest.source.clone());
        }
    }

    /// The first one wins; the files of a later one are garbage unless they are the same, which they are.
    pub(super) fn prepared_made(&mut self, key: Digest, text: &str) -> Vec<Effect> {
        let Ok(manifest) = serde_json::from_str::<PreparedManifest>(text) else {
            return vec![];
        };
        if !self.prepared.contains_key(&key) && manifest.key == key {
            let parts = [&manifest.train, &manifest.valid];
            let digests: Vec<Digest> = parts
                .iter()
                .flat_map(|p| p.files.iter().map(|f| f.blob.digest))
                .collect();
            // A condemned file is not taken: the worker finds the key unknown, uploads and says so again.
            if !self.blobs.condemned_among(&digests).is_empty() {
                return vec![];
            }
            self.blobs.take(&digests);
            self.prepared.insert(key, text.into());
        }
        vec![Effect::Prepared { key }]
    }

    /// Every blob that datasets and prepared data name, once a name.
    pub fn dataset_files(&self) -> Vec<Digest> {
        let versions = self.versions.values().flat_map(|text| {
            let manifest = serde_json::from_str::<DatasetManifest>(text);
            manifest.map(|m| m.files).unwrap_or_default()
        });
        let prepared = self.prepared.values().flat_map(|text| {
            let manifest = serde_json::from_str::<PreparedManifest>(text);
            manifest
                .map(|m| [m.train.files, m.valid.files].concat())
                .unwrap_or_default()
        });
        versions.chain(prepared).map(|f| f.blob.digest).collect()
    }

    pub(super) fn seal_segment(&mut self, journal: u64, blob: BlobRef) -> Outcome {
        if !self.segments.contains_key(&journal) {
            if self.blobs.is_condemned(&blob.digest) {
                return Err(Refusal::BeingDeleted { chunks: 1 });
            }
            self.blobs.take(&[blob.digest]);
            self.segments.insert(journal, blob);
        }
        Ok(vec![Effect::SegmentSealed { journal }])
    }
}
