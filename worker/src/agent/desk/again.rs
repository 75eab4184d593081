//! Blobs that have to go up once more.

use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::{Attempt, Digest, Slot, TrialId};

use super::{Desks, Done};
use crate::publish;

impl Desks {
    /// Blobs that a checkpoint names were deleted while it was published: they go up again, then the fact.
    pub(in crate::agent) fn upload_again(
        &mut self,
        trial: TrialId,
        attempt: Attempt,
        chunks: Vec<Digest>,
    ) {
        let key = (trial, attempt);
        let names = |checkpoint: &Checkpoint| {
            let mut blobs = checkpoint.chunks.iter().chain(&checkpoint.manifest);
            blobs.any(|blob| chunks.contains(&blob.digest))
        };
        let at = self
            .desks
            .iter()
            .position(|desk| desk.work.as_ref().is_some_and(|work| work.key == key));
        let slot = Slot(at.and_then(|at| u16::try_from(at).ok()).unwrap_or_default());
        // Of an attempt that has ended the session still holds the fact, and sends it again by itself.
        let work = self.work(slot, key);
        let published = work.map(|work| {
            work.published
                .iter()
                .filter(|c| names(c))
                .cloned()
                .collect()
        });
        let checkpoints: Vec<Checkpoint> = published.unwrap_or_default();
        let (depot, finish) = (self.loader.depot.clone(), self.finish.clone());
        tokio::spawn(async move {
            match publish::upload_again(&depot, &chunks).await {
                // The agent is gone if nobody takes it.
                Ok(()) => drop(
                    finish
                        .send(Done::UploadedAgain {
                            slot,
                            key,
                            checkpoints,
                        })
                        .await,
                ),
                Err(error) => {
                    tracing::error!(%error, "a checkpoint's blobs cannot be uploaded again")
                }
            }
        });
    }
}
