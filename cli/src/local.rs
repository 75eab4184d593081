//! The fleet inside this process: a coordinator, and workers whose executors are child processes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use bonfire_coordinator::{CoordinatorConfig, Running, StartError, discover};
use bonfire_proto::Token;
use bonfire_worker::{WorkerConfig, WorkerEnd, WorkerError};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::args::LocalArgs;
use crate::output::errors::{Exit, Failure};

/// How long workers may take to save and report when a local fleet ends.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Marks a data directory whose coordinator is open for one short command: whoever comes next waits for its end instead of
/// building on it.
const BRIEF: &str = "brief";
/// How long a short command is waited for.
pub const BRIEF_MAX: Duration = Duration::from_secs(10);
/// How long a directory is waited for that is in use while nobody answers for it: a process that was killed holds its lock until
/// the children that it was just starting have begun their own program.
const LINGERS_MAX: Duration = Duration::from_secs(2);
/// How long a live coordinator may take to let somebody connect.
const CONNECT_MAX: Duration = Duration::from_millis(250);
/// Between two looks at a directory that is in use.
pub const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// Marks a data directory whose coordinator is somebody's to keep up (`up`, `coordinator`): it comes back after a kill, and a
/// follower must not take its place.
const KEPT_UP: &str = "kept-up";

/// Marks a data directory whose coordinator has its workers in its own process (`run`): none of them outlives it.
const OWN_WORKERS: &str = "own-workers";

/// Whether the coordinator that last had a data directory is to come back.
pub fn is_kept_up(data: &Path) -> bool {
    data.join(KEPT_UP).exists()
}

/// Whether the coordinator of a data directory is open for one short command.
pub fn is_brief(data: &Path) -> bool {
    data.join(BRIEF).exists()
}

/// Whether somebody listens where the coordinator of a data directory said it would.
async fn answers(data: &Path) -> bool {
    let Some((address, _)) = discover(data) else {
        return false;
    };
    let connected = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address)).await;
    matches!(connected, Ok(Ok(_)))
}

/// How long a directory that is in use is waited for.
fn patience(brief: bool, answers: bool) -> Duration {
    match (brief, answers) {
        (true, _) => BRIEF_MAX,
        (false, false) => LINGERS_MAX,
        (false, true) => Duration::ZERO,
    }
}

/// A coordinator in this process.
pub struct LocalCoordinator {
    running: Running,
    stop: CancellationToken,
}

/// What came of opening a data directory.
pub enum Opening {
    Open(LocalCoordinator),
    /// A live coordinator has it.
    InUse,
}

impl LocalCoordinator {
    /// Opens a data directory for this command, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub async fn brief(data: &Path) -> Result<Opening, Failure> {
        let mut config = CoordinatorConfig::new(data);
        config.listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        config.workers_gone = data.join(OWN_WORKERS).exists();
        let opening = LocalCoordinator::with(config).await?;
        if let Opening::Open(_) = &opening {
            // Without the mark others build on it, and have to look for a fleet again when it ends.
            let _ = std::fs::write(data.join(BRIEF), "");
            // Whoever kept it up is gone.
            let _ = std::fs::remove_file(data.join(KEPT_UP));
        }
        Ok(opening)
    }

    /// Starts a coordinator that stays; a short command that has the directory is waited for, and so is one that was killed.
    ///
    /// # Errors
    /// A directory that cannot be read, a port that is taken.
    pub async fn lasting(config: CoordinatorConfig) -> Result<Opening, Failure> {
        let began = Instant::now();
        loop {
            match LocalCoordinator::with(config.clone()).await? {
                Opening::Open(coordinator) => {
                    coordinator.stay();
                    // Without the mark a follower may take its place after a kill.
                    let _ = std::fs::write(config.data.join(KEPT_UP), "");
                    // Workers of elsewhere may join it.
                    let _ = std::fs::remove_file(config.data.join(OWN_WORKERS));
                    return Ok(Opening::Open(coordinator));
                }
                Opening::InUse => {
                    let brief = is_brief(&config.data);
                    let answers = !brief && answers(&config.data).await;
                    if began.elapsed() >= patience(brief, answers) {
                        return Ok(Opening::InUse);
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    /// From now on others may build on it.
    pub fn stay(&self) {
        // Mostly there is none.
        let _ = std::fs::remove_file(self.data().join(BRIEF));
    }

    async fn with(config: CoordinatorConfig) -> Result<Opening, Failure> {
        let stop = CancellationToken::new();
        match bonfire_coordinator::start(config, stop.clone()).await {
            Ok(running) => Ok(Opening::Open(LocalCoordinator { running, stop })),
            Err(StartError::InUse { .. }) => Ok(Opening::InUse),
            Err(error) => Err(start_failure(&error)),
        }
    }

    pub fn address(&self) -> String {
        self.running.address.to_string()
    }

    pub fn token(&self) -> &Token {
        &self.running.token
    }

    /// Starts workers beside the coordinator, which thereby stays.
    pub fn start_workers(&self, local: LocalArgs) -> Workers {
        self.stay();
        if !is_kept_up(self.data()) {
            // Without the mark they are waited for when it was killed.
            let _ = std::fs::write(self.data().join(OWN_WORKERS), "");
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = local.workers.unwrap_or(1);
        let share = u16::try_from(cores / usize::from(count))
            .unwrap_or(u16::MAX)
            .max(1);
        let slots = local.slots.or((count > 1).then_some(share));
        let mut workers = Workers {
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
        };
        for number in 0..count {
            let folder = self.data().join("workers").join(number.to_string());
            let mut config = WorkerConfig::new(vec![self.address()], self.token().clone(), folder);
            config.slots = slots;
            config.executor.cores = Some((cores / usize::from(count)).max(1));
            config.drain_max = DRAIN_MAX;
            workers
                .tasks
                .spawn(bonfire_worker::run(config, workers.stop.clone()));
        }
        workers
    }

    /// Ends the coordinator and waits until its directory is free.
    ///
    /// # Errors
    /// It had ended by itself, and why.
    pub async fn stop(self) -> Result<(), Failure> {
        self.stay();
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until the coordinator ends, which it does by itself only when it cannot go on.
    ///
    /// # Errors
    /// Why it could not go on.
    pub async fn ended(self) -> Result<(), Failure> {
        let mark = self.data().join(KEPT_UP);
        let ended = self.running.join().await;
        // It ended as it should: nobody has to wait for it.
        let _ = std::fs::remove_file(mark);
        ended.map_err(|error| Failure::failed(error.to_string()))
    }

    /// What ends it.
    pub fn stopper(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Its data directory, absolute.
    pub fn data(&self) -> &Path {
        &self.running.data
    }
}

/// Workers in this process.
pub struct Workers {
    tasks: JoinSet<Result<WorkerEnd, WorkerError>>,
    stop: CancellationToken,
}

impl Workers {
    /// Waits until a worker ends by itself, which means that it cannot run. Never returns while all do.
    pub async fn failed(&mut self) -> Failure {
        loop {
            match self.tasks.join_next().await {
                None => std::future::pending().await,
                Some(Ok(Ok(_))) => {}
                Some(Ok(Err(error))) => return Failure::failed(format!("worker: {error}")),
                Some(Err(error)) => return Failure::failed(format!("worker: {error}")),
            }
        }
    }

    /// Tells all to save, report and end, and waits for it.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn start_failure(error: &StartError) -> Failure {
    let exit = if matches!(error, StartError::Exposed { .. }) {
        Exit::Wrong
    } else {
        Exit::Failed
    };
    let failure = Failure::new(exit, error.to_string());
    match error {
        StartError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            failure.next("pick another port with --port, or --port 0 for a free one")
        }
        StartError::Log(error) if error.is_full() => {
            failure.next("free some space, or choose another directory with --data")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_a_live_coordinator_has_is_not_waited_for() {
        assert_eq!(patience(false, true), Duration::ZERO);
        assert_eq!(patience(false, false), LINGERS_MAX);
        assert_eq!(patience(true, false), BRIEF_MAX);
    }
}
