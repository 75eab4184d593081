//! Checkpoints of an attempt on their way into the blob store: chunks, then the manifest, then the fact.

use bonfire_domain::Digest;
use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::dataset::BlobRef;

use crate::clock;
use crate::depot::{Depot, DepotError};
use crate::executor::frame::Written;
use crate::load::remove;

/// Uploads what an executor wrote; the files end in the cache.
///
/// # Errors
/// [`DepotError`]: the checkpoint does not exist, and training goes on without it.
pub async fn upload(depot: &Depot, written: Written) -> Result<Checkpoint, DepotError> {
    let mut files: Vec<BlobRef> = written.chunks.clone();
    files.extend(written.manifest);
    for blob in files {
        let path = written.dir.join(blob.digest.hex());
        depot.upload(blob.digest, &path).await?;
        let moved = depot.cache.adopt(blob, &path);
        moved.map_err(|source| DepotError::Disk {
            digest: blob.digest,
            source,
        })?;
    }
    if written.manifest.is_some() {
        remove(&written.dir).await;
    }
    Ok(checkpoint(&written))
}

/// The fact about what was written.
pub fn checkpoint(written: &Written) -> Checkpoint {
    Checkpoint {
        step: written.step,
        epoch: written.epoch,
        attempt: written.attempt,
        manifest: written.manifest,
        chunks: written.chunks.clone(),
        value: written.value,
        written: clock::wall(),
    }
}

/// Uploads blobs again that were deleted while a checkpoint named them.
///
/// # Errors
/// One of them is not in the cache any more.
pub async fn upload_again(depot: &Depot, chunks: &[Digest]) -> Result<(), DepotError> {
    for digest in chunks {
        depot.upload(*digest, &depot.cache.path(*digest)).await?;
    }
    Ok(())
}
