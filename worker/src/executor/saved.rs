//! Checkpoints as files: written chunk by chunk under their digests, the manifest last; read back only if every digest holds.
//!
//! Durability is the blob store's, which answers an upload after its own fsync; a worker's machine that goes down takes its
//! attempt along, so nothing here is synced.

use std::fs;
use std::io;
use std::path::Path;

use bonfire_domain::Digest;
use bonfire_domain::checkpoint::{
    CHECKPOINT_FORMAT, CHUNK_BYTES, CheckpointManifest, CheckpointPart,
};
use bonfire_domain::dataset::BlobRef;
use bonfire_engine::Saved;

use super::frame::LocalCheckpoint;

/// Names of the parts.
const WEIGHTS: &str = "weights";
const OPTIMIZER: &str = "optimizer";

/// Why a checkpoint cannot be gone on from.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("format {found}, this version reads {CHECKPOINT_FORMAT}")]
    Format { found: u16 },
    #[error("part {0} is missing")]
    NoPart(&'static str),
    #[error("chunk {digest} is not here")]
    NoChunk { digest: Digest },
    #[error("chunk {digest}: {source}")]
    Read { digest: Digest, source: io::Error },
    #[error("chunk {expected} has the digest {found}")]
    Damaged { expected: Digest, found: Digest },
    #[error("part {part} has {found} bytes, the manifest says {expected}")]
    Length {
        part: &'static str,
        found: u64,
        expected: u64,
    },
}

/// Writes the parts and then `manifest`, completed with them, into `dir`.
///
/// Returns the manifest's blob and every chunk's, each once.
///
/// # Errors
/// What the disk says; nothing is left behind.
pub(super) fn write(
    dir: &Path,
    mut manifest: CheckpointManifest,
    saved: &Saved,
) -> io::Result<(BlobRef, Vec<BlobRef>)> {
    let written = fs::create_dir_all(dir).and_then(|()| {
        let mut all = Vec::new();
        for (name, bytes) in [(WEIGHTS, &saved.weights), (OPTIMIZER, &saved.optimizer)] {
            let chunks = bytes
                .chunks(CHUNK_BYTES)
                .map(|chunk| write_blob(dir, chunk));
            let chunks: Vec<BlobRef> = chunks.collect::<io::Result<_>>()?;
            all.extend_from_slice(&chunks);
            let part = CheckpointPart {
                name: name.to_owned(),
                bytes: bytes.len() as u64,
                chunks,
            };
            manifest.parts.push(part);
        }
        all.sort_unstable();
        all.dedup();
        let json = serde_json::to_vec(&manifest).map_err(io::Error::other)?;
        Ok((write_blob(dir, &json)?, all))
    });
    if written.is_err() {
        // A leftover costs space only, and goes with the attempt's folder.
        let _ = fs::remove_dir_all(dir);
    }
    written
}

fn write_blob(dir: &Path, bytes: &[u8]) -> io::Result<BlobRef> {
    let digest = Digest::of(bytes);
    fs::write(dir.join(digest.hex()), bytes)?;
    Ok(BlobRef {
        digest,
        bytes: bytes.len() as u64,
    })
}

/// Reads a checkpoint's parts, verifying every chunk.
///
/// # Errors
/// [`LoadError`]: the checkpoint is damaged.
pub(super) fn read(checkpoint: &LocalCheckpoint) -> Result<Saved, LoadError> {
    let found = checkpoint.manifest.format;
    if found != CHECKPOINT_FORMAT {
        return Err(LoadError::Format { found });
    }
    Ok(Saved {
        weights: read_part(checkpoint, WEIGHTS)?,
        optimizer: read_part(checkpoint, OPTIMIZER)?,
    })
}

fn read_part(checkpoint: &LocalCheckpoint, name: &'static str) -> Result<Vec<u8>, LoadError> {
    let part = checkpoint
        .manifest
        .parts
        .iter()
        .find(|part| part.name == name);
    let part = part.ok_or(LoadError::NoPart(name))?;
    let mut bytes = Vec::new();
    for BlobRef {
        digest: expected, ..
    } in &part.chunks
    {
        let file = checkpoint
            .files
            .iter()
            .find(|file| file.blob.digest == *expected);
        let file = file.ok_or(LoadError::NoChunk { digest: *expected })?;
        let chunk = fs::read(&file.path);
        let chunk = chunk.map_err(|source| LoadError::Read {
            digest: *expected,
            source,
        })?;
        let found = Digest::of(&chunk);
        if found != *expected {
            return Err(LoadError::Damaged {
                expected: *expected,
                found,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    let found = bytes.len() as u64;
    if found != part.bytes {
        return Err(LoadError::Length {
            part: name,
            found,
            expected: part.bytes,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::frame::LocalBlob;
    use super::*;

    fn manifest() -> CheckpointManifest {
        CheckpointManifest {
            format: CHECKPOINT_FORMAT,
            step: 7,
            epoch: 1,
            best: Some(0.5),
            spec: Digest::of(b"spec"),
            prepared: None,
            numerics: "class".into(),
            exact: true,
            metrics: vec![],
            parts: vec![],
        }
    }

    /// Writes a checkpoint, lets `harm` at its folder, and reads it back.
    fn round(harm: impl Fn(&Path, &[BlobRef])) -> Result<Saved, LoadError> {
        let dir = tempfile::tempdir().unwrap();
        let (head, chunks) = write(dir.path(), manifest(), &saved()).unwrap();
        harm(dir.path(), &chunks);
        let json = fs::read(dir.path().join(head.digest.hex())).unwrap();
        assert_eq!(Digest::of(&json), head.digest);
        let files = chunks
            .iter()
            .map(|blob| LocalBlob {
                blob: *blob,
                path: dir.path().join(blob.digest.hex()),
            })
            .collect();
        read(&LocalCheckpoint {
            manifest: serde_json::from_slice(&json).unwrap(),
            files,
        })
    }

    fn saved() -> Saved {
        let weights: Vec<u8> = (0..CHUNK_BYTES + 5).map(|n| (n % 251) as u8).collect();
        Saved {
            weights,
            optimizer: vec![1, 2, 3],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(round(|_, _| {}).unwrap(), saved());
    }

    #[test]
    fn damage_is_never_read_as_if_whole() {
        let flipped = round(|dir, chunks| {
            let path = dir.join(chunks[0].digest.hex());
            let mut bytes = fs::read(&path).unwrap();
            bytes[0] ^= 1;
            fs::write(path, bytes).unwrap();
        });
        assert!(
            matches!(flipped, Err(LoadError::Damaged { .. })),
            "{flipped:?}"
        );
        let gone = round(|dir, chunks| fs::remove_file(dir.join(chunks[1].digest.hex())).unwrap());
        assert!(matches!(gone, Err(LoadError::Read { .. })), "{gone:?}");
    }

    #[test]
    fn a_disk_that_refuses_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), b"").unwrap();
        assert!(write(&dir.path().join("file").join("below"), manifest(), &saved()).is_err());
    }
}
