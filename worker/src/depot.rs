//! Blobs between this machine and the coordinator. Waits out an outage for as long as the caller does.

use std::io;
use std::path::Path;

use bonfire_domain::Digest;
use bonfire_domain::dataset::BlobRef;
use bonfire_proto::client::ClientError;
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::cache::Cache;
use crate::link::{Upstream, current};

/// Why a blob did not come or go, after every retry that may help.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    /// The coordinator has no such blob, or a damaged one.
    #[error("blob {}: {reason}", digest.short())]
    Gone { digest: Digest, reason: String },
    #[error("cannot store blob {}: {source}", digest.short())]
    Disk { digest: Digest, source: io::Error },
    #[error("{0}")]
    Call(ClientError),
    #[error("the worker ends")]
    Ending,
}

/// The cache and the way to fill it.
#[derive(Clone)]
pub struct Depot {
    pub cache: Cache,
    upstream: watch::Receiver<Option<Upstream>>,
    seed: u64,
}

impl Depot {
    pub fn new(cache: Cache, upstream: watch::Receiver<Option<Upstream>>, seed: u64) -> Depot {
        Depot {
            cache,
            upstream,
            seed,
        }
    }

    /// Makes a call again and again until it is answered.
    ///
    /// # Errors
    /// [`DepotError::Call`] with what trying again does not mend.
    pub async fn call<T, F>(&self, mut make: impl FnMut(Upstream) -> F) -> Result<T, DepotError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut upstream = self.upstream.clone();
        let mut backoff = Backoff::of_network(self.seed);
        let mut said = false;
        loop {
            let to = current(&mut upstream).await.ok_or(DepotError::Ending)?;
            match make(to).await {
                Err(error) if error.is_temporary() => {
                    if !said {
                        tracing::warn!(%error, "a call is tried again");
                        said = true;
                    }
                    tokio::time::sleep(backoff.pause()).await;
                }
                other => return other.map_err(DepotError::Call),
            }
        }
    }

    /// A small blob in memory, verified; at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`DepotError::Gone`] if nobody has it whole.
    pub async fn read(&self, digest: Digest, bytes_max: u64) -> Result<bytes::Bytes, DepotError> {
        let got = self
            .call(|to| async move { to.blobs.get(digest, bytes_max).await })
            .await;
        got.map_err(|error| gone(digest, error))
    }

    /// Brings a blob of at most some megabytes into the cache; what is there already is read and verified again.
    ///
    /// # Errors
    /// [`DepotError::Gone`] if nobody has it whole; [`DepotError::Disk`].
    pub async fn fetch_small(&self, blob: BlobRef) -> Result<(), DepotError> {
        let transfer = self.cache.transfer(blob.digest);
        let _alone = transfer.lock().await;
        if self.has(blob, true).await {
            return Ok(());
        }
        let bytes = self.read(blob.digest, blob.bytes).await?;
        let path = self.cache.path(blob.digest);
        let part = path.with_extension("part");
        let stored = async {
            tokio::fs::write(&part, &bytes).await?;
            tokio::fs::rename(&part, &path).await
        };
        stored.await.map_err(|source| DepotError::Disk {
            digest: blob.digest,
            source,
        })?;
        self.cache.added(blob);
        Ok(())
    }

    /// Brings a blob of any size into the cache.
    ///
    /// # Errors
    /// [`DepotError::Gone`] if nobody has it whole; [`DepotError::Disk`].
    pub async fn fetch(&self, blob: BlobRef) -> Result<(), DepotError> {
        let transfer = self.cache.transfer(blob.digest);
        let _alone = transfer.lock().await;
        if self.has(blob, false).await {
            return Ok(());
        }
        let path = self.cache.path(blob.digest);
        let got = self.call(|to| {
            let path = path.clone();
            async move { to.blobs.get_file(blob.digest, &path).await }
        });
        got.await.map_err(|error| gone(blob.digest, error))?;
        self.cache.added(blob);
        Ok(())
    }

    /// Whether a blob is in the cache; hashing it is not done on the agent's own thread.
    async fn has(&self, blob: BlobRef, again: bool) -> bool {
        let cache = self.cache.clone();
        tokio::task::spawn_blocking(move || cache.has(blob, again))
            .await
            .unwrap_or(false)
    }

    /// Uploads a file under its digest, unless the coordinator has it.
    ///
    /// # Errors
    /// [`DepotError::Call`]: the file is not what its name says, or cannot be read.
    pub async fn upload(&self, digest: Digest, path: &Path) -> Result<(), DepotError> {
        self.call(|to| async move { to.blobs.put_file(digest, path).await })
            .await
    }
}

fn gone(digest: Digest, error: DepotError) -> DepotError {
    match error {
        // The blob may be whole; this machine's disk is what failed.
        DepotError::Call(ClientError::Local(reason)) => DepotError::Disk {
            digest,
            source: io::Error::other(reason),
        },
        DepotError::Call(error) => DepotError::Gone {
            digest,
            reason: error.to_string(),
        },
        other => other,
    }
}
