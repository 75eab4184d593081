//! The thread over a real directory: acknowledgements, restarts, torn ends, damage.

#![allow(clippy::unwrap_used)]

use bonfire_domain::cluster::Cluster;
use bonfire_domain::command::Command;
use bonfire_domain::metric::Point;
use bonfire_domain::{Attempt, LogIndex, WallMs, spec};
use tempfile::TempDir;

use super::*;

/// A state with sweep 0 in it.
fn cluster() -> Cluster {
    let text = b"kind: sweep\nversion: 1\nname: a\nmodel: { kind: noop, x: 0.5 }\n";
    let spec = spec::check(text, &[])
        .unwrap_or_else(|p| panic!("{p:?}"))
        .canonical();
    let mut cluster = Cluster::new();
    let create = Command::CreateSweep {
        request: 1,
        name: "a".into(),
        spec,
        dataset: None,
        at: WallMs(1),
    };
    cluster.apply(LogIndex(1), create);
    assert!(cluster.sweep(SweepId(0)).is_some());
    cluster
}

struct Open {
    tracker: Tracker,
    end: TrackerEnd,
}

fn open(dir: &TempDir) -> Result<Open, StoreError> {
    let blobs = LocalBlobs::open(&dir.path().join("blobs"))?;
    let path = dir.path().join("tracker");
    let (sealings, _) = mpsc::unbounded_channel();
    let parts = TrackerParts {
        index: Index::open(&path, &blobs, &cluster())?,
        dir: path,
        blobs,
        journal_bytes_max: 1 << 20,
        idle_ticks: 10,
        health: Health::default(),
        metrics: Arc::new(Metrics::new()),
        sealings,
    };
    let (tracker, end) = Tracker::start(parts).unwrap();
    Ok(Open { tracker, end })
}

impl Open {
    async fn close(self) {
        self.tracker.send(Job::Stop).await.unwrap();
        self.end.await.unwrap().unwrap();
    }

    async fn steps(&self) -> Vec<u64> {
        let series = self.tracker.find(trial()).await.unwrap();
        series
            .load()
            .unwrap()
            .points()
            .iter()
            .map(|p| p.step)
            .collect()
    }
}

fn trial() -> TrialId {
    TrialId {
        sweep: SweepId(0),
        number: 3,
    }
}

fn batch(sequence: u64) -> ReportBatch {
    let point = Point {
        key: "loss".into(),
        step: sequence,
        epoch: 0.0,
        value: 1.0,
        time: WallMs(1),
    };
    ReportBatch {
        trial: trial(),
        attempt: Attempt(1),
        from_step: 0,
        sequence,
        points: vec![point],
        logs: vec![],
    }
}

fn journal(dir: &TempDir) -> PathBuf {
    dir.path()
        .join("tracker")
        .join(bonfire_store::journal::name(1))
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&dir).unwrap();
    for sequence in [1, 2, 3] {
        let durable = first.tracker.report(batch(sequence)).await.unwrap();
        durable.await.unwrap();
    }
    first.close().await;
    // Two more bytes of an append that was never acknowledged.
    let mut bytes = std::fs::read(journal(&dir)).unwrap();
    bytes.extend_from_slice(&[7, 0]);
    std::fs::write(journal(&dir), bytes).unwrap();
    let second = open(&dir).unwrap();
    assert_eq!(second.steps().await, [1, 2, 3]);
    // Sent again because its acknowledgement was lost: acknowledged again, and once only.
    for sequence in [3, 4] {
        let durable = second.tracker.report(batch(sequence)).await.unwrap();
        durable.await.unwrap();
    }
    second.close().await;
    let third = open(&dir).unwrap();
    assert_eq!(third.steps().await, [1, 2, 3, 4]);
    third.close().await;
}

#[tokio::test]
async fn damage_in_the_middle_is_refused_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&dir).unwrap();
    for sequence in [1, 2] {
        let durable = first.tracker.report(batch(sequence)).await.unwrap();
        durable.await.unwrap();
    }
    first.close().await;
    let mut bytes = std::fs::read(journal(&dir)).unwrap();
    bytes[30] ^= 1;
    std::fs::write(journal(&dir), bytes).unwrap();
    let error = open(&dir).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("0000000000000001.journal"), "{error}");
}

#[tokio::test]
async fn a_deleted_sweep_takes_its_series_along() {
    let dir = tempfile::tempdir().unwrap();
    let open = open(&dir).unwrap();
    let durable = open.tracker.report(batch(1)).await.unwrap();
    durable.await.unwrap();
    open.tracker
        .send(Job::SweepDeleted(SweepId(0)))
        .await
        .unwrap();
    assert_eq!(open.steps().await, Vec::<u64>::new());
    open.close().await;
}
