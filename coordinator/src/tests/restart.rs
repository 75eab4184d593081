//! What a stopped or killed coordinator finds again, and what it refuses to read.

use bonfire_consensus::{DiskLog, Host, HostConfig, Input, LogStore, Output};
use bonfire_proto::client::ClientError;

use super::*;
use crate::app::ClusterMachine;
use crate::{RunError, StartError};

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    // Small enough that a snapshot is taken on the way.
    let small = |c: &mut CoordinatorConfig| c.limits.snapshot_log_bytes = 1 << 10;
    let up = up_with(&dir, small).await;
    let values: Vec<f64> = (0..40).map(|i| f64::from(i) / 64.0).collect();
    up.fleet.submit(noops("noops", &values)).await.unwrap();
    let fleet = up.fleet.clone();
    let worker = tokio::spawn(async move { FakeWorker::join(&fleet, 1, 2).await.work().await });
    let before = up
        .until("/v1/sweeps/noops", |d| d["state"] == "completed")
        .await;
    up.down().await;
    assert_eq!(worker.await.unwrap(), 40);
    let log = std::fs::read_dir(dir.path().join("data/log")).unwrap();
    let has_snapshot = log
        .map(|f| f.unwrap().path())
        .any(|p| p.extension().is_some_and(|e| e == "snap"));
    assert!(has_snapshot, "the limit asked for a snapshot");
    let up = up_with(&dir, small).await;
    assert_eq!(up.json("/v1/sweeps/noops").await, before);
    assert_eq!(
        up.fleet.submit(noops("noops", &values)).await.unwrap(),
        "noops",
        "the request is remembered"
    );
    up.down().await;
}

#[tokio::test]
async fn a_sweep_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let up = super::up(&dir).await;
    up.fleet
        .submit(noops("noops", &[0.1, 0.2, 0.3]))
        .await
        .unwrap();
    let mut worker = FakeWorker::join(&up.fleet, 1, 1).await;
    let order = worker.start().await;
    worker.finish(&order).await;
    up.until("/v1/sweeps/noops", |d| {
        d["trials"][0]["state"] == "completed"
    })
    .await;
    up.down().await;
    let error = worker
        .sender
        .send(FromWorker::Heartbeat(Holds::default()))
        .await;
    assert!(matches!(
        error,
        Ok(()) | Err(ClientError::Unreachable { .. })
    ));
    // The same agent comes back: it goes on counting its facts, and is told again what it should run.
    let up = super::up(&dir).await;
    let mut again = FakeWorker::join(&up.fleet, 1, 1).await;
    again.next = worker.next;
    let working = tokio::spawn(again.work());
    let document = up
        .until("/v1/sweeps/noops", |d| d["state"] == "completed")
        .await;
    assert_eq!(document["trials"].as_array().unwrap().len(), 3);
    assert_eq!(document["trials"][0]["attempts"], 1);
    up.down().await;
    assert_eq!(working.await.unwrap(), 2, "what was done is not done again");
}

/// Puts raw bytes into the log of a data directory, as another version might have.
fn write_entry(dir: &std::path::Path, entry: Vec<u8>) {
    let (mut log, recovered) = DiskLog::open(dir).unwrap();
    let (mut host, mut outputs) = Host::open(
        HostConfig::new(1, vec![1], 1),
        recovered,
        ClusterMachine::default(),
    )
    .unwrap();
    let mut proposed = false;
    while !outputs.is_empty() {
        let mut inputs = Vec::new();
        for output in outputs {
            match output {
                Output::Persist(batch) => {
                    log.append(std::slice::from_ref(&batch)).unwrap();
                    inputs.push(Input::Persisted {
                        batch: batch.number(),
                    });
                }
                Output::Role(bonfire_consensus::Role::Leader { .. }) if !proposed => {
                    proposed = true;
                    inputs.push(Input::Propose {
                        tag: 1,
                        data: entry.clone(),
                    });
                }
                _ => {}
            }
        }
        outputs = host.step_many(inputs);
    }
    assert!(proposed);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_named_and_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    super::up(&dir).await.down().await;
    write_entry(&dir.path().join("data/log"), vec![0xff, 0xff, 1, 2, 3]);
    let mut config = CoordinatorConfig::new(dir.path().join("data"));
    config.listen.set_port(0);
    let result = crate::start(config, CancellationToken::new()).await;
    let Err(StartError::Run(RunError::Entry { index, error })) = result else {
        panic!("{result:?}");
    };
    assert!(
        index > 0 && error.contains("format 65535"),
        "{index} {error}"
    );
}
