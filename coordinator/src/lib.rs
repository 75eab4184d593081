//! The coordinator's shell: the node's host loop, gRPC and HTTP handlers, the tracker, the blob store's door.
//!
//! Everything that is decided is decided in `domain`; this room reads clocks, sockets and disks and does what the machines
//! ask for. It never waits in its loop, and it knows nothing of rows or tensors.

mod accept;
mod app;
mod asks;
mod clock;
mod commands;
mod config;
mod context;
mod data_dir;
mod documents;
mod error;
mod gate;
mod grpc;
mod health;
mod http;
mod janitor;
mod metrics;
mod tracker;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bonfire_consensus::{DiskLog, Recovered};
use bonfire_domain::LeaderConfig;
use bonfire_domain::command::Command;
use bonfire_proto::Token;
use bonfire_store::LocalBlobs;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::Layer;

pub use config::{ConfigError, CoordinatorConfig, Limits, PORT};
pub use data_dir::discover;
pub use error::{RunError, StartError};

use app::{Input, Node, NodeParts};
use clock::Clock;
use context::{Context, Publishing};
use data_dir::DataDir;
use gate::GateLayer;
use grpc::Readiness;
use health::{Health, Part};
use metrics::Metrics;
use tracker::{Index, Job, Sealing, Tracker, TrackerEnd, TrackerParts};

/// The loop's unit of time.
const TICK: Duration = Duration::from_millis(100);
/// The tracker's unit of time.
const TRACKER_TICK: Duration = Duration::from_millis(500);
/// A journal that nobody appends to for a minute is sealed.
const IDLE_TICKS: u32 = 120;

/// A coordinator that serves.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The fleet's token, 64 hexadecimal digits. Not for logs.
    pub token: Token,
    /// Its data directory, absolute.
    pub data: PathBuf,
    handle: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Waits until it has ended: by its shutdown token, or by itself.
    ///
    /// # Errors
    /// [`RunError`] if it could not go on.
    pub async fn join(self) -> Result<(), RunError> {
        self.handle.await.unwrap_or(Err(RunError::Panicked))
    }
}

/// Starts a coordinator; when this returns it serves, with everything applied that its log holds.
///
/// Cancel `shutdown` to end it: streams end with a farewell, calls drain, the log is written out.
///
/// # Errors
/// [`StartError::InUse`] if a live coordinator has the data directory; otherwise what is wrong with it, by file.
pub async fn start(
    config: CoordinatorConfig,
    shutdown: CancellationToken,
) -> Result<Running, StartError> {
    let listen = config.listen;
    if !listen.ip().is_loopback() && !config.insecure {
        return Err(StartError::Exposed { listen });
    }
    let listening = async || {
        TcpListener::bind(listen)
            .await
            .map_err(|source| StartError::Listen { listen, source })
    };
    // A port that is taken leaves no new directory behind; of one that is there, who has it is the better answer.
    let early = match config.data.try_exists() {
        Ok(false) => Some(listening().await?),
        _ => None,
    };
    let path = config.data.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let data = DataDir::open(&path)?;
        let blobs = LocalBlobs::open(&data.blobs())?;
        let (log, recovered) = DiskLog::open(&data.log()).map_err(StartError::Log)?;
        check_whole(&data, &blobs, &recovered)?;
        Ok::<_, StartError>((data, blobs, log, recovered))
    });
    let (data, blobs, log, recovered) = opened.await.map_err(|_| RunError::Panicked)??;
    let listener = match early {
        Some(listener) => listener,
        None => listening().await?,
    };
    let address = listener
        .local_addr()
        .map_err(|source| StartError::Listen { listen, source })?;

    let (clock, health, metrics) = (Clock::start(), Health::default(), Arc::new(Metrics::new()));
    let (told, telling) = mpsc::unbounded_channel();
    let node = Node::start(NodeParts {
        log,
        recovered,
        snapshot_log_bytes: config.limits.snapshot_log_bytes,
        leader: LeaderConfig {
            workers_gone: config.workers_gone,
            ..LeaderConfig::default()
        },
        clock,
        health: health.clone(),
        metrics: metrics.clone(),
        told,
    })?;
    let Node {
        app,
        ready,
        mut end,
    } = node;
    match ready.await {
        Ok(Ok(())) => {}
        Ok(Err(full)) => {
            // The directory is somebody else's only when nothing writes to it any more.
            let _ = app.send(Input::Stop).await;
            let _ = end.await;
            return Err(StartError::Log(full));
        }
        Err(_) => {
            return Err(match end.await {
                Ok(Err(error)) => error.into(),
                _ => RunError::Panicked.into(),
            });
        }
    }
    let (sealings, sealing) = mpsc::unbounded_channel();
    let parts = TrackerShell {
        dir: data.tracker(),
        blobs: blobs.clone(),
        limits: &config.limits,
        health: &health,
        metrics: &metrics,
        sealings,
    };
    let (tracker, mut tracker_end) = match parts.start(&app).await {
        Ok(started) => started,
        Err(error) => {
            let _ = app.send(Input::Stop).await;
            let _ = end.await;
            return Err(error);
        }
    };
    let stop = CancellationToken::new();
    let context = Context {
        publishing: Publishing::default(),
        is_full: Arc::default(),
        app,
        tracker,
        blobs,
        health,
        metrics,
        limits: Arc::new(config.limits.clone()),
        clock,
        address,
        stop: stop.clone(),
    };
    let (router, readiness) = router(&context).await;
    let service = GateLayer::new(data.token(), config.limits.call()).layer(router);
    let served = tokio::spawn(accept::serve(
        listener,
        service,
        config.limits,
        context.metrics.clone(),
        stop.clone(),
    ));
    let background = [
        tokio::spawn(janitor::obey(context.clone(), telling, stop.clone())),
        tokio::spawn(janitor::sweep_orphans(context.clone(), stop.clone())),
        tokio::spawn(tick(context.clone(), readiness)),
        tokio::spawn(seal(context.clone(), sealing)),
    ];
    if let Err(error) = data.publish(address) {
        // A full disk must not keep it from serving: it is then found by its address alone.
        tracing::warn!(%error, "the address file cannot be written");
    }
    let (token, path) = (data.token().clone(), data.path().to_path_buf());
    tracing::info!(%address, data = %path.display(), "the coordinator serves");

    let handle = tokio::spawn(async move {
        let (mut looped, mut tracked) = (None, None);
        tokio::select! {
            () = shutdown.cancelled() => {}
            result = &mut end => looped = Some(result),
            result = &mut tracker_end => tracked = Some(result),
        }
        context
            .health
            .complain(Part::Shutdown, "the coordinator stops");
        data.withdraw();
        stop.cancel();
        let mut result = served.await.map_err(|_| RunError::Panicked);
        for task in background {
            result = result.and(task.await.map_err(|_| RunError::Panicked));
        }
        // Reports that wait are written before the loop ends, so that what was acknowledged is whole.
        if tracked.is_none() {
            let _ = context.tracker.send(Job::Stop).await;
            tracked = Some(tracker_end.await);
        }
        if looped.is_none() {
            let _ = context.app.send(Input::Stop).await;
            looped = Some(end.await);
        }
        let looped = looped
            .and_then(Result::ok)
            .unwrap_or(Err(RunError::Panicked));
        let tracked = tracked
            .and_then(Result::ok)
            .map(|r| r.map_err(RunError::Tracker));
        let tracked = tracked.unwrap_or(Err(RunError::Panicked));
        drop(data); // unlocked last
        looped.and(tracked).and(result)
    });
    Ok(Running {
        address,
        token,
        data: path,
        handle,
    })
}

/// An empty log beside blobs was not always empty: going on would take every blob for an orphan, and delete it.
fn check_whole(
    data: &DataDir,
    blobs: &LocalBlobs,
    recovered: &Recovered,
) -> Result<(), StartError> {
    let cut = recovered.cut_bytes();
    if cut > 0 {
        tracing::warn!(bytes = cut, log = %data.log().display(), "the end of the log was torn and is cut");
    }
    if recovered.is_empty()
        && let Some(blob) = blobs.list()?.into_iter().find(|b| !b.part)
    {
        return Err(StartError::LogGone {
            log: data.log(),
            blob: blobs.path(blob.digest),
        });
    }
    Ok(())
}

async fn router(context: &Context) -> (Router, Readiness) {
    let (grpc, readiness) = grpc::routes(context).await;
    let router = Router::new()
        .merge(http::routes(context))
        .merge(grpc.into_axum_router())
        .fallback(http::nowhere);
    (router, readiness)
}

/// What the tracker needs besides its index, which takes the state to open.
struct TrackerShell<'a> {
    dir: PathBuf,
    blobs: LocalBlobs,
    limits: &'a Limits,
    health: &'a Health,
    metrics: &'a Arc<Metrics>,
    sealings: mpsc::UnboundedSender<Sealing>,
}

impl TrackerShell<'_> {
    async fn start(self, app: &app::App) -> Result<(Tracker, TrackerEnd), StartError> {
        let cluster = app
            .snapshot()
            .await
            .map_err(|e| RunError::Fatal(e.to_string()))?;
        let (dir, blobs) = (self.dir.clone(), self.blobs.clone());
        let opened = tokio::task::spawn_blocking(move || Index::open(&dir, &blobs, &cluster)).await;
        let index = opened.map_err(|_| RunError::Panicked)??;
        let parts = TrackerParts {
            dir: self.dir,
            blobs: self.blobs,
            index,
            journal_bytes_max: self.limits.journal_bytes_max,
            idle_ticks: IDLE_TICKS,
            health: self.health.clone(),
            metrics: self.metrics.clone(),
            sealings: self.sealings,
        };
        Tracker::start(parts).map_err(|e| RunError::Thread(e).into())
    }
}

/// Says that time passes.
async fn tick(context: Context, mut readiness: Readiness) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut until_tracker = TRACKER_TICK;
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // Skipped while the loop is behind: it has enough to wake it.
        let _ = context.app.offer(Input::Tick);
        readiness.report(context.health.is_ready()).await;
        until_tracker = until_tracker.saturating_sub(TICK);
        if until_tracker.is_zero() {
            until_tracker = TRACKER_TICK;
            context.tracker.tick();
        }
    }
}

/// Puts stored segments into the log; from then on they count and their journals may go.
async fn seal(context: Context, mut sealings: mpsc::UnboundedReceiver<Sealing>) {
    loop {
        let sealing = tokio::select! {
            () = context.stop.cancelled() => return,
            sealing = sealings.recv() => sealing,
        };
        let Some(Sealing { journal, blob }) = sealing else {
            return;
        };
        let asked = context
            .app
            .ask(Command::SealSegment { journal, blob })
            .await;
        let result = asked.map(|_| blob).map_err(|e| e.to_string());
        if context
            .tracker
            .send(Job::SealTried { journal, result })
            .await
            .is_err()
        {
            return;
        }
    }
}
