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
use bonfire_engine::{Saved, SavedPart, Sink, Snapshot};

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

/// Writes the parts and then `manifest`, completed with them, into `dir`. Memory is one chunk, whatever the model's size.
///
/// Returns the manifest's blob and every chunk's, each once.
///
/// `full`: asked while the disk is full; it waits a while and says whether to try again.
///
/// # Errors
/// What the disk or the device says; nothing is left behind.
pub(super) fn write(
    dir: &Path,
    mut manifest: CheckpointManifest,
    snapshot: Snapshot,
    full: &mut dyn FnMut(&io::Error) -> bool,
) -> io::Result<(BlobRef, Vec<BlobRef>)> {
    let made = with_space(full, || fs::create_dir_all(dir));
    let written = made.and_then(|()| {
        let mut chunks = Chunks {
            dir,
            full,
            buffer: Vec::with_capacity(CHUNK_BYTES),
            parts: Vec::new(),
        };
        snapshot(&mut chunks)?;
        chunks.flush()?;
        let Chunks { parts, full, .. } = chunks;
        manifest.parts = parts;
        let all = manifest.parts.iter().flat_map(|part| &part.chunks);
        let mut all: Vec<BlobRef> = all.copied().collect();
        all.sort_unstable();
        all.dedup();
        let json = serde_json::to_vec(&manifest).map_err(io::Error::other)?;
        Ok((write_blob(dir, &json, full)?, all))
    });
    if written.is_err() {
        // A leftover costs space only, and goes with the attempt's folder.
        let _ = fs::remove_dir_all(dir);
    }
    written
}

/// Cuts what a snapshot writes into chunks and writes each under its digest.
struct Chunks<'a> {
    dir: &'a Path,
    full: &'a mut dyn FnMut(&io::Error) -> bool,
    /// What is not a whole chunk yet.
    buffer: Vec<u8>,
    /// The last one is being written.
    parts: Vec<CheckpointPart>,
}

impl Chunks<'_> {
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let blob = write_blob(self.dir, &self.buffer, self.full)?;
        self.buffer.clear();
        let part = self.parts.last_mut();
        let part = part.ok_or_else(|| io::Error::other("bytes before any part"))?;
        part.bytes += blob.bytes;
        part.chunks.push(blob);
        Ok(())
    }
}

impl Sink for Chunks<'_> {
    fn begin(&mut self, part: SavedPart) -> io::Result<()> {
        self.flush()?;
        let name = match part {
            SavedPart::Weights => WEIGHTS,
            SavedPart::Optimizer => OPTIMIZER,
        };
        self.parts.push(CheckpointPart {
            name: name.to_owned(),
            bytes: 0,
            chunks: Vec::new(),
        });
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == CHUNK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }
}

fn write_blob(
    dir: &Path,
    bytes: &[u8],
    full: &mut dyn FnMut(&io::Error) -> bool,
) -> io::Result<BlobRef> {
    let digest = Digest::of(bytes);
    let path = dir.join(digest.hex());
    with_space(full, || {
        fs::write(&path, bytes).inspect_err(|_| {
            // What came to lie there takes space that others need as well.
            let _ = fs::remove_file(&path);
        })
    })?;
    Ok(BlobRef {
        digest,
        bytes: bytes.len() as u64,
    })
}

/// Does it again for as long as the disk is full and `full` says so.
fn with_space(
    full: &mut dyn FnMut(&io::Error) -> bool,
    mut make: impl FnMut() -> io::Result<()>,
) -> io::Result<()> {
    loop {
        match make() {
            Err(error) if is_full(&error) && full(&error) => {}
            made => return made,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
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
            threads: Some(1),
            metrics: vec![],
            parts: vec![],
        }
    }

    /// Writes a checkpoint, lets `harm` at its folder, and reads it back.
    fn round(harm: impl Fn(&Path, &[BlobRef])) -> Result<Saved, LoadError> {
        let dir = tempfile::tempdir().unwrap();
        let (head, chunks) = write(dir.path(), manifest(), snapshot(), &mut |_| false).unwrap();
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

    /// In pieces that are no chunks.
    fn snapshot() -> Snapshot {
        Box::new(|sink| {
            let Saved { weights, optimizer } = saved();
            sink.begin(SavedPart::Weights)?;
            weights
                .chunks(100_003)
                .try_for_each(|piece| sink.write(piece))?;
            sink.begin(SavedPart::Optimizer)?;
            sink.write(&optimizer)
        })
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
        assert!(
            write(
                &dir.path().join("file").join("below"),
                manifest(),
                snapshot(),
                &mut |_| panic!("it is not full"),
            )
            .is_err()
        );
    }

    #[test]
    fn a_full_disk_is_tried_again_while_somebody_waits() {
        let refuse = || Err(io::Error::from(io::ErrorKind::StorageFull));
        let (mut tries, mut asked) = (0, 0);
        let mut full = |_: &io::Error| {
            asked += 1;
            true
        };
        let written = with_space(&mut full, || {
            tries += 1;
            if tries < 3 { refuse() } else { Ok(()) }
        });
        assert!(written.is_ok());
        assert_eq!((tries, asked), (3, 2));
        let given_up = with_space(&mut |_| false, refuse);
        assert_eq!(given_up.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
