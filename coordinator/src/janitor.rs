//! Deletes what nothing names any more: condemned blobs at once, uploads that no command ever named when they are old.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use bonfire_domain::command::Command;
use bonfire_domain::{Cluster, Digest};
use bonfire_store::{LocalBlobs, StoreError};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::app::{Input, Told};
use crate::context::Context;
use crate::tracker::Job;

/// Blobs condemned by one command.
const CONDEMN_MAX: usize = 1_000;
/// The orphan sweep comes at least this often.
const SWEEP_EVERY_MAX: Duration = Duration::from_secs(600);
/// A deletion that failed is tried again after this long.
const PAUSE: Duration = Duration::from_secs(5);

/// Does what the loop tells until the stop token is cancelled.
pub(crate) async fn obey(
    context: Context,
    mut told: mpsc::UnboundedReceiver<Told>,
    stop: CancellationToken,
) {
    loop {
        let told = tokio::select! {
            () = stop.cancelled() => return,
            told = told.recv() => told,
        };
        match told {
            None => return,
            Some(Told::SweepDeleted(sweep)) => {
                // Gone only if the coordinator stops.
                let _ = context.tracker.send(Job::SweepDeleted(sweep)).await;
            }
            Some(Told::DeleteBlobs(chunks)) => {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = delete(&context, &chunks) => {}
                }
                context.publishing.settled().await;
                // Not heard only if the coordinator stops: the next one deletes again.
                let _ = context.app.send(Input::BlobsDeleted { chunks }).await;
            }
        }
    }
}

async fn delete(context: &Context, chunks: &[Digest]) {
    loop {
        let (blobs, all) = (context.blobs.clone(), chunks.to_vec());
        let done = spawn_blocking(move || all.iter().try_for_each(|d| blobs.delete(*d))).await;
        match done {
            Ok(Ok(())) => {
                context.metrics.blobs_deleted.inc_by(chunks.len() as u64);
                return;
            }
            Ok(Err(error)) => tracing::warn!(%error, "a blob cannot be deleted yet"),
            Err(error) => tracing::error!(%error, "deleting blobs panicked"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sweeps orphans now and then until the stop token is cancelled.
pub(crate) async fn sweep_orphans(context: Context, stop: CancellationToken) {
    let age = context.limits.orphan_age();
    let every = (age / 4).clamp(Duration::from_secs(1), SWEEP_EVERY_MAX);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        if let Err(error) = sweep(&context, age).await {
            tracing::warn!(%error, "the sweep for orphaned blobs did not finish");
        }
    }
}

/// Condemns every blob that nothing names and that is older than `age`; what follows deletes it.
pub(crate) async fn sweep(context: &Context, age: Duration) -> Result<usize, StoreError> {
    let Ok(cluster) = context.app.snapshot().await else {
        return Ok(0);
    };
    let blobs = context.blobs.clone();
    let found = spawn_blocking(move || orphans(&blobs, &cluster, SystemTime::now(), age)).await;
    let orphans = found.unwrap_or_else(|_| Ok(vec![]))?;
    for chunks in orphans.chunks(CONDEMN_MAX) {
        // Refused only while the coordinator stops or has too much to do: the next sweep finds them again.
        let _ = context
            .app
            .ask(Command::Condemn {
                chunks: chunks.to_vec(),
            })
            .await;
    }
    Ok(orphans.len())
}

fn orphans(
    blobs: &LocalBlobs,
    cluster: &Cluster,
    now: SystemTime,
    age: Duration,
) -> Result<Vec<Digest>, StoreError> {
    let mut orphans = BTreeSet::new();
    for listed in blobs.list()? {
        let is_old = now
            .duration_since(listed.modified)
            .is_ok_and(|since| since >= age);
        let known = cluster.blobs();
        let is_named = known.is_referenced(&listed.digest) || known.is_condemned(&listed.digest);
        if listed.part && is_old {
            blobs.delete_part(listed.digest);
        } else if is_old && !is_named && !listed.part {
            orphans.insert(listed.digest);
        }
    }
    Ok(orphans.into_iter().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_old_blobs_that_nothing_names_are_orphans() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = LocalBlobs::open(dir.path()).unwrap();
        let blob = blobs.put(b"nobody's").unwrap();
        drop(blobs.begin(Digest::of(b"broken"), 0).unwrap());
        let (cluster, hour) = (Cluster::new(), Duration::from_secs(3_600));
        let now = SystemTime::now();
        assert_eq!(orphans(&blobs, &cluster, now, hour).unwrap(), vec![]);
        assert_eq!(blobs.list().unwrap().len(), 2);
        let later = now + hour * 2;
        assert_eq!(
            orphans(&blobs, &cluster, later, hour).unwrap(),
            vec![blob.digest]
        );
        assert_eq!(blobs.list().unwrap().len(), 1, "the old part is gone");
    }
}
