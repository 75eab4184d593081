//! How fast metrics are taken in: a load program that speaks as a worker does, over its report stream.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bonfire_domain::metric::{Point, ReportBatch};
use bonfire_domain::order::{Order, Running, SlotFacts, StartOrder, WorkerFacts};
use bonfire_domain::{WallMs, WorkerId};
use bonfire_proto::client::{Fleet, SessionReceiver, SessionSender};
use bonfire_proto::wire::{FromWorker, ToWorker};

use crate::bed::{Bed, LOAD};
use crate::figure::Settings;
use crate::pairs::{compare, interleave};
use crate::peer::Peer;
use crate::row::{Row, load};

/// As many a batch as the peer's script sends.
const POINTS: usize = 1_000;
const BATCHES: u64 = 500;
/// A coordinator that does not answer for this long has failed.
const ANSWER_MAX: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(1);

/// M1: 500 batches of 1,000 points of one trial, from the first sent until the last is acknowledged, which means synced to
/// disk. Beside an MLflow server with SQLite and one process, 100 batches of 1,000.
///
/// What limits it: decoding the points and appending them; one sync serves all batches that wait.
pub fn points_per_second(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let bed = Bed::start(&["coordinator", "--port", "0"])?;
    let mut worker = 0;
    let ours = || {
        worker += 1;
        run_load(&bed, WorkerId(worker))
    };
    let name = "M1 metric points per second, durable";
    let Some(mlflow) = Peer::find("mlflow_logging.py", "v") else {
        let runs: Vec<f64> = std::iter::repeat_with(ours)
            .take(settings.pairs as usize)
            .collect::<Result<_, _>>()?;
        return Ok(vec![Row::alone(name, "1/s", &runs, before.max(load()))]);
    };
    let arguments = ["--singles", "10", "--runs", "2", "--workers", "1"];
    let theirs = || mlflow.measure(&arguments, "log_batch_1000", "points_per_s");
    let found = compare(&interleave(settings.pairs, ours, theirs)?);
    Ok(vec![Row::beside(
        name,
        "1/s",
        "MLflow server, log_batch",
        &found,
        before.max(load()),
    )])
}

/// Takes a trial as a new worker and reports for it; every point must be there afterwards.
fn run_load(bed: &Bed, worker: WorkerId) -> anyhow::Result<f64> {
    let sweep = bed.submit(LOAD, |_| {})?;
    let seconds = bed.runtime.block_on(report(&bed.fleet, worker))?;
    // Else it would start again on the next run's worker.
    bed.cancel(&sweep)?;
    let points: Vec<serde_json::Value> = bed.get(&format!("/v1/trials/{sweep}/0/metrics"))?;
    let expected = POINTS * BATCHES as usize;
    ensure!(
        points.len() == expected,
        "{} points of {expected} came back",
        points.len()
    );
    Ok(expected as f64 / seconds)
}

async fn report(fleet: &Fleet, worker: WorkerId) -> anyhow::Result<f64> {
    let facts = WorkerFacts {
        worker,
        name: format!("load-{}", worker.0),
        slots: vec![SlotFacts {
            device: "cpu".to_owned(),
        }],
        labels: BTreeMap::new(),
        memory: 1 << 30,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        numerics: "none".to_owned(),
    };
    let (sender, mut receiver) = fleet.worker_session(facts, Running::default()).await?;
    let order = tokio::time::timeout(ANSWER_MAX, first_start(&mut receiver))
        .await
        .context("no trial was started")??;
    let running = Running {
        attempts: vec![(order.trial, order.attempt)],
        ..Running::default()
    };
    let beating = tokio::spawn(beat(sender, receiver, running));
    let seconds = send_batches(fleet, &order).await;
    // Its stream ends with the task: the coordinator takes the worker for lost.
    beating.abort();
    seconds
}

async fn first_start(receiver: &mut SessionReceiver) -> anyhow::Result<StartOrder> {
    loop {
        match receiver
            .next()
            .await?
            .context("the coordinator ended the stream")?
        {
            ToWorker::Order(Order::Start(order)) => return Ok(*order),
            ToWorker::Farewell { reason } => bail!("the coordinator goes away: {reason}"),
            _ => {}
        }
    }
}

/// Says that the trial runs, for as long as anybody listens.
async fn beat(sender: SessionSender, mut receiver: SessionReceiver, running: Running) {
    let mut every = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            _ = every.tick() => if sender.send(FromWorker::Heartbeat(running.clone())).await.is_err() { return },
            message = receiver.next() => if !matches!(message, Ok(Some(_))) { return },
        }
    }
}

/// Sends all batches and waits for the last acknowledgement; answers with the seconds that took.
async fn send_batches(fleet: &Fleet, order: &StartOrder) -> anyhow::Result<f64> {
    let (sender, mut receiver) = fleet.report_stream().await?;
    let batches: Vec<ReportBatch> = (1..=BATCHES)
        .map(|sequence| batch(order, sequence))
        .collect();
    let began = Instant::now();
    let sending = tokio::spawn(async move {
        for batch in batches {
            sender.send(batch).await?;
        }
        // Kept until the last acknowledgement has come: its end would end the stream.
        Ok::<_, bonfire_proto::client::ClientError>(sender)
    });
    loop {
        let ack = tokio::time::timeout(ANSWER_MAX, receiver.next())
            .await
            .context("no acknowledgement came")??;
        let ack = ack.context("the coordinator ended the report stream")?;
        ensure!(
            ack.trial == order.trial && ack.attempt == order.attempt,
            "{ack:?} is of another attempt"
        );
        if ack.sequence >= BATCHES {
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(sending.await??);
    Ok(seconds)
}

/// Ten series of a hundred steps, as the peer's script sends them.
fn batch(order: &StartOrder, sequence: u64) -> ReportBatch {
    let first = (sequence - 1) * 100;
    let points = (0..POINTS as u64).map(|at| {
        let (key, step) = (at / 100, first + at % 100);
        Point {
            key: format!("m{key}"),
            step,
            epoch: 0.0,
            value: key as f64 * 0.5 + sequence as f64,
            time: WallMs(1_700_000_000_000 + step),
        }
    });
    ReportBatch {
        trial: order.trial,
        attempt: order.attempt,
        from_step: 0,
        sequence,
        points: points.collect(),
        logs: Vec::new(),
    }
}
