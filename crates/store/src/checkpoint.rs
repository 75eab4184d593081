//! Checkpoint manifests as bytes: written, read and checked against their chunks.

use bonfire_domain::checkpoint::{CHECKPOINT_FORMAT, CHUNK_BYTES, CheckpointManifest};
use bonfire_domain::dataset::BlobRef;

use crate::{LocalBlobs, StoreError};

/// Largest manifest that is read, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// The manifest as JSON, the same bytes for the same manifest.
///
/// # Errors
/// [`StoreError::Manifest`] if a number in it is not finite in a way JSON cannot say.
pub fn encode(manifest: &CheckpointManifest) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(manifest).map_err(|e| StoreError::Manifest(e.to_string()))
}

/// Reads a manifest and checks that its parts add up.
///
/// # Errors
/// [`StoreError::Manifest`] for another format, JSON that does not parse, or sizes that do not agree.
pub fn decode(bytes: &[u8]) -> Result<CheckpointManifest, StoreError> {
    let wrong = StoreError::Manifest;
    if bytes.len() as u64 > MANIFEST_BYTES_MAX {
        return Err(wrong(format!(
            "{} bytes exceed the limit of {MANIFEST_BYTES_MAX}",
            bytes.len()
        )));
    }
    let manifest: CheckpointManifest =
        serde_json::from_slice(bytes).map_err(|e| wrong(e.to_string()))?;
    if manifest.format != CHECKPOINT_FORMAT {
        return Err(wrong(format!(
            "has format {}, this program reads {CHECKPOINT_FORMAT}",
            manifest.format
        )));
    }
    for part in &manifest.parts {
        let sum = part
            .chunks
            .iter()
            .try_fold(0u64, |sum, c| sum.checked_add(c.bytes));
        if sum != Some(part.bytes) {
            return Err(wrong(format!(
                "part {} has {} bytes, its chunks do not add up to that",
                part.name, part.bytes
            )));
        }
        if let Some(large) = part.chunks.iter().find(|c| c.bytes > CHUNK_BYTES as u64) {
            return Err(wrong(format!(
                "part {} has a chunk of {} bytes, the limit is {CHUNK_BYTES}",
                part.name, large.bytes
            )));
        }
    }
    Ok(manifest)
}

/// Every chunk a manifest names, once.
pub fn chunks(manifest: &CheckpointManifest) -> Vec<BlobRef> {
    let mut all: Vec<BlobRef> = manifest
        .parts
        .iter()
        .flat_map(|p| p.chunks.iter().copied())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Reads a part of a checkpoint, every chunk verified.
///
/// # Errors
/// [`StoreError::Manifest`] if there is no such part; [`StoreError::Missing`] or [`StoreError::Damaged`] for its chunks.
pub fn read_part(
    blobs: &LocalBlobs,
    manifest: &CheckpointManifest,
    name: &str,
) -> Result<Vec<u8>, StoreError> {
    let part = manifest.parts.iter().find(|p| p.name == name);
    let part = part.ok_or_else(|| StoreError::Manifest(format!("has no part {name}")))?;
    let mut bytes = Vec::new();
    for chunk in &part.chunks {
        bytes.extend_from_slice(&blobs.read(chunk.digest)?);
    }
    if bytes.len() as u64 != part.bytes {
        return Err(StoreError::Manifest(format!(
            "part {name} has {} bytes, {} were read",
            part.bytes,
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// Reads and verifies a whole checkpoint: its manifest and every chunk.
///
/// # Errors
/// The first thing that is missing or damaged.
pub fn verify(blobs: &LocalBlobs, manifest: BlobRef) -> Result<CheckpointManifest, StoreError> {
    let manifest = decode(&blobs.read(manifest.digest)?)?;
    for chunk in chunks(&manifest) {
        let bytes = blobs.read(chunk.digest)?;
        if bytes.len() as u64 != chunk.bytes {
            return Err(StoreError::damaged(
                &blobs.path(chunk.digest),
                format!("has {} bytes, should have {}", bytes.len(), chunk.bytes),
            ));
        }
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bonfire_domain::Digest;
    use bonfire_domain::checkpoint::CheckpointPart;

    fn manifest(chunks: Vec<BlobRef>, bytes: u64) -> CheckpointManifest {
        CheckpointManifest {
            format: CHECKPOINT_FORMAT,
            step: 10,
            epoch: 1,
            best: Some(0.5),
            spec: Digest([1; 32]),
            prepared: None,
            numerics: "x".into(),
            exact: true,
            threads: None,
            metrics: vec![("valid.loss".into(), 0.5)],
            parts: vec![CheckpointPart {
                name: "weights".into(),
                bytes,
                chunks,
            }],
        }
    }

    #[test]
    fn a_checkpoint_is_verified_to_the_last_chunk() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = LocalBlobs::open(dir.path()).unwrap();
        let parts = [&b"first "[..], b"second"].map(|b| blobs.put(b).unwrap());
        let written = manifest(parts.to_vec(), 12);
        let at = blobs.put(&encode(&written).unwrap()).unwrap();
        assert_eq!(verify(&blobs, at).unwrap(), written);
        assert_eq!(
            read_part(&blobs, &written, "weights").unwrap(),
            b"first second"
        );
        blobs.delete(parts[1].digest).unwrap();
        assert!(matches!(
            verify(&blobs, at),
            Err(StoreError::Missing { .. })
        ));
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], word: &str) {
        let error = decode(bytes).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }

    #[test]
    fn manifests_that_do_not_add_up_are_refused() {
        let chunk = BlobRef {
            digest: Digest([1; 32]),
            bytes: 5,
        };
        check_refused(&encode(&manifest(vec![chunk], 6)).unwrap(), "add up");
        let large = BlobRef {
            bytes: CHUNK_BYTES as u64 + 1,
            ..chunk
        };
        check_refused(
            &encode(&manifest(vec![large], large.bytes)).unwrap(),
            "limit",
        );
        let future = CheckpointManifest {
            format: 9,
            ..manifest(vec![], 0)
        };
        check_refused(&encode(&future).unwrap(), "format 9");
        check_refused(b"{", "EOF");
    }
}
