//! Metrics and logs: acknowledged when durable, there after a restart, fenced.

use bonfire_domain::metric::{LogLine, Point, ReportBatch};
use bonfire_domain::{Attempt, TrialId, WallMs};
use bonfire_proto::client::{ReportReceiver, ReportSender};

use super::*;

fn batch(trial: TrialId, attempt: u32, from_step: u64, sequence: u64, step: u64) -> ReportBatch {
    let value = f64::from(attempt) * 100.0 + step as f64;
    ReportBatch {
        trial,
        attempt: Attempt(attempt),
        from_step,
        sequence,
        points: vec![Point {
            key: "train.loss".into(),
            step,
            epoch: 0.5,
            value,
            time: WallMs(1_000),
        }],
        logs: vec![LogLine {
            time: WallMs(1_000),
            text: format!("step {step}"),
        }],
    }
}

struct Reports {
    sender: ReportSender,
    receiver: ReportReceiver,
}

impl Reports {
    async fn open(up: &Up) -> Reports {
        let (sender, receiver) = up.fleet.report_stream().await.unwrap();
        Reports { sender, receiver }
    }

    /// Sends a batch and waits until it is acknowledged.
    async fn durable(&mut self, batch: ReportBatch) {
        let (attempt, sequence) = (batch.attempt, batch.sequence);
        self.sender.send(batch).await.unwrap();
        let ack = tokio::time::timeout(LIMIT, self.receiver.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!((ack.attempt, ack.sequence), (attempt, sequence));
    }
}

async fn values(up: &Up) -> Vec<(u64, f64)> {
    let points = up.json("/v1/trials/noops/0/metrics").await;
    let pair = |p: &Value| (p["step"].as_u64().unwrap(), p["value"].as_f64().unwrap());
    points.as_array().unwrap().iter().map(pair).collect()
}

#[tokio::test]
async fn metrics_are_durable_once_and_fenced_attempts_are_not_heard() {
    let dir = tempfile::tempdir().unwrap();
    let up = super::up(&dir).await;
    up.fleet.submit(noops("noops", &[0.1])).await.unwrap();
    let mut worker = FakeWorker::join(&up.fleet, 1, 1).await;
    let order = worker.start().await;
    let trial = order.trial;
    let mut reports = Reports::open(&up).await;
    reports.durable(batch(trial, 1, 0, 1, 10)).await;
    reports.durable(batch(trial, 1, 0, 2, 20)).await;
    reports.durable(batch(trial, 1, 0, 2, 99)).await; // the sequence was taken: nothing changes
    assert_eq!(values(&up).await, [(10, 110.0), (20, 120.0)]);
    // The executor is killed from outside; the next attempt goes on from step 10.
    let end = AttemptEnd::Lost(bonfire_domain::fault::LostCause::Killed);
    worker
        .say(vec![Fact::Ended {
            trial,
            attempt: order.attempt,
            end,
        }])
        .await;
    assert_eq!(worker.start().await.attempt, Attempt(2));
    reports.durable(batch(trial, 2, 10, 1, 20)).await;
    reports.durable(batch(trial, 1, 0, 3, 30)).await; // acknowledged, so that it is not sent again, and dropped
    reports.durable(batch(trial, 7, 0, 1, 40)).await; // never was an attempt
    let expected = [(10, 110.0), (20, 220.0)];
    assert_eq!(values(&up).await, expected);
    let logs = up.json("/v1/trials/noops/0/logs").await;
    let lines: Vec<(u64, &str)> = logs
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["attempt"].as_u64().unwrap(), l["text"].as_str().unwrap()))
        .collect();
    assert_eq!(lines, [(1, "step 10"), (1, "step 20"), (2, "step 20")]);
    let text = up.http("GET", "/metrics", Some(&up.token()), b"").await.1;
    assert!(
        text.contains("bonfire_report_batches_fenced_total 2"),
        "{text}"
    );
    up.down().await;
    let up = super::up(&dir).await;
    assert_eq!(values(&up).await, expected);
    up.down().await;
}

#[tokio::test]
async fn journals_become_segments_that_say_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let small = |c: &mut CoordinatorConfig| c.limits.journal_bytes_max = 4 << 10;
    let up = up_with(&dir, small).await;
    up.fleet.submit(noops("noops", &[0.1])).await.unwrap();
    let trial = FakeWorker::join(&up.fleet, 1, 1).await.start().await.trial;
    let mut reports = Reports::open(&up).await;
    let mut expected = Vec::new();
    let journals = || {
        let names = std::fs::read_dir(dir.path().join("data/tracker")).unwrap();
        let mut names: Vec<String> = names
            .map(|f| f.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let mut sequence = 0;
    // Until the first journals were sealed and their files are gone.
    while sequence < 100
        || journals()
            .first()
            .is_none_or(|first| first.starts_with("0000000000000001"))
    {
        sequence += 1;
        assert!(sequence < 100_000, "nothing was sealed");
        reports
            .durable(batch(trial, 1, 0, sequence, sequence))
            .await;
        expected.push((sequence, 100.0 + sequence as f64));
    }
    assert_eq!(values(&up).await, expected);
    up.down().await;
    let up = up_with(&dir, small).await;
    assert_eq!(values(&up).await, expected);
    up.down().await;
    // A segment that is gone or damaged is refused by name.
    let blobs: Vec<_> = std::fs::read_dir(dir.path().join("data/blobs"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    let bytes = std::fs::read(&blobs[0]).unwrap();
    std::fs::write(&blobs[0], &bytes[..bytes.len() - 3]).unwrap();
    let mut config = CoordinatorConfig::new(dir.path().join("data"));
    config.listen.set_port(0);
    let error = crate::start(config, CancellationToken::new())
        .await
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(blobs[0].file_name().unwrap().to_str().unwrap()),
        "{error}"
    );
}
