//! Things that stay until they are told to end: a whole fleet, a coordinator, a worker.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bonfire_coordinator::CoordinatorConfig;
use bonfire_worker::{WorkerConfig, WorkerEnd, WorkerError};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::{Coordinator, Global, Slots, Up, Worker};
use crate::connect::find_token;
use crate::local::{LocalCoordinator, Opening, Workers};
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::{Output, json, table};
use crate::signals::Signals;

/// Worker folders that are tried in one data directory.
const FOLDERS_MAX: u32 = 1_024;

/// A coordinator and workers on this machine.
///
/// # Errors
/// A data directory or a port that is taken; a worker that cannot run.
pub async fn up(global: &Global, args: &Up) -> Outcome {
    let mut signals = Signals::watch()?;
    let data = global.data_dir();
    let mut config = CoordinatorConfig::new(&data);
    config.listen.set_port(args.port);
    let coordinator = opened(
        signals.unless(LocalCoordinator::lasting(config)).await?,
        &data,
    )?;
    let workers = coordinator.start_workers(args.local);
    announce(Output::of(global), &coordinator, &data);
    serve(coordinator, Some(workers), &mut signals).await
}

/// A coordinator alone.
///
/// # Errors
/// A configuration that is wrong, a data directory or a port that is taken.
pub async fn coordinator(global: &Global, args: &Coordinator) -> Outcome {
    let mut signals = Signals::watch()?;
    let mut config = match &args.config {
        None => CoordinatorConfig::new(global.data_dir()),
        Some(file) => {
            let text = read_config(file)?;
            CoordinatorConfig::from_toml(&text)
                .map_err(|e| Failure::wrong(e.to_string()).about(file.display()))?
        }
    };
    if let Some(data) = &global.data {
        config.data = data.clone();
    }
    if let Some(ip) = args.listen {
        config.listen.set_ip(ip);
    }
    if let Some(port) = args.port {
        config.listen.set_port(port);
    }
    config.insecure |= args.insecure;
    let data = config.data.clone();
    let coordinator = opened(
        signals.unless(LocalCoordinator::lasting(config)).await?,
        &data,
    )?;
    announce(Output::of(global), &coordinator, &data);
    serve(coordinator, None, &mut signals).await
}

fn opened(opening: Opening, data: &Path) -> Result<LocalCoordinator, Failure> {
    match opening {
        Opening::Open(coordinator) => Ok(coordinator),
        Opening::InUse => {
            let at = bonfire_coordinator::discover(data)
                .map_or_else(String::new, |(address, _)| format!(" at {address}"));
            let text = format!("{} is in use by a live coordinator{at}", data.display());
            Err(Failure::failed(text)
                .next("stop it first, or choose another directory with --data"))
        }
    }
}

/// Says where the fleet is and how to join it.
fn announce(output: Output, coordinator: &LocalCoordinator, data: &Path) {
    let address = coordinator.address();
    // For a terminal in any folder.
    let token = std::path::absolute(data.join("token")).unwrap_or_else(|_| data.join("token"));
    let token = token.display().to_string();
    let reached = reached_at(&address);
    let join = format!("bonfire worker --coordinator {reached} --token-file {token}");
    if output.is_json() {
        let document = json!({ "address": address, "token_file": token, "data": data.display().to_string(), "join": join });
        return json::print(output, &document);
    }
    let facts = [
        ("address", address.clone()),
        ("token file", token.clone()),
        ("data", data.display().to_string()),
        ("join", join),
        (
            "submit",
            format!("bonfire sweep submit SPEC --coordinator {reached} --token-file {token}"),
        ),
    ];
    output.print(&table::facts(&facts));
}

/// Where others reach a coordinator that listens at an address: one that listens everywhere is reached by its machine's name.
fn reached_at(address: &str) -> String {
    let listens = address.parse::<SocketAddr>();
    match listens.ok().filter(|at| at.ip().is_unspecified()) {
        None => address.to_owned(),
        Some(at) => {
            let name = bonfire_worker::host_name().unwrap_or_else(|| "HOST".to_owned());
            format!("{name}:{}", at.port())
        }
    }
}

/// Waits for a signal, then ends workers before the coordinator they report to. A second signal ends all at once.
async fn serve(
    coordinator: LocalCoordinator,
    workers: Option<Workers>,
    signals: &mut Signals,
) -> Outcome {
    let stopper = coordinator.stopper();
    let mut ended = std::pin::pin!(coordinator.ended());
    let mut workers = workers;
    let mut result = tokio::select! {
        () = signals.next() => Ok(Exit::Done),
        failure = failure_of(&mut workers) => Err(failure),
        ended = &mut ended => {
            return Err(ended.err().unwrap_or_else(|| Failure::failed("the coordinator ended")));
        }
    };
    let end = async {
        if let Some(workers) = workers {
            workers.stop().await;
        }
        stopper.cancel();
        ended.await
    };
    tokio::select! {
        ended = end => if let (Ok(_), Err(failure)) = (&result, ended) { result = Err(failure) },
        () = signals.next() => result = Err(Failure::failed("stopped before everything was saved")),
    }
    result
}

async fn failure_of(workers: &mut Option<Workers>) -> Failure {
    match workers {
        Some(workers) => workers.failed().await,
        None => std::future::pending().await,
    }
}

/// A worker of a fleet elsewhere.
///
/// # Errors
/// A configuration that is wrong, no token, a folder that cannot be written.
pub async fn worker(global: &Global, args: &Worker) -> Outcome {
    let mut signals = Signals::watch()?;
    let config = worker_config(global, args)?;
    let output = Output::of(global);
    output.note(&format!("worker for {}", config.coordinators.join(", ")));
    let shutdown = CancellationToken::new();
    let fixed = args.config.is_some();
    let mut running = std::pin::pin!(run_worker(config, fixed, shutdown.clone()));
    let mut told = false;
    loop {
        tokio::select! {
            end = &mut running => return end,
            () = signals.next() => {
                if told {
                    return Err(Failure::failed("stopped before everything was saved"));
                }
                told = true;
                shutdown.cancel();
                output.note("saving and reporting; once more to stop at once");
            }
        }
    }
}

fn worker_config(global: &Global, args: &Worker) -> Result<WorkerConfig, Failure> {
    let addresses = global.addresses();
    let mut config = match &args.config {
        Some(file) => {
            let text = read_config(file)?;
            let base = file.parent().unwrap_or(Path::new(""));
            WorkerConfig::from_toml(&text, base)
                .map_err(|e| Failure::wrong(e.to_string()).about(file.display()))?
        }
        None if addresses.is_empty() => {
            let failure = Failure::wrong("no coordinator to work for");
            return Err(failure
                .next("say --coordinator HOST:PORT; for a fleet on this machine: bonfire up"));
        }
        None => WorkerConfig::new(
            Vec::new(),
            find_token(global)?,
            global.data_dir().join("workers"),
        ),
    };
    if !addresses.is_empty() {
        config.coordinators = addresses;
    }
    if args.config.is_some() && (global.token.is_some() || global.token_file.is_some()) {
        config.token = find_token(global)?;
    }
    if args.config.is_some()
        && let Some(data) = &global.data
    {
        config.data_dir = data.clone();
    }
    match args.slots {
        None => {}
        Some(Slots::Auto) => config.slots = None,
        Some(Slots::Count(count)) => config.slots = Some(count),
    }
    config.labels.extend(args.labels.iter().cloned());
    if args.name.is_some() {
        config.name.clone_from(&args.name);
    }
    Ok(config)
}

/// Runs in the folder that is configured, or in the first free one below it.
async fn run_worker(config: WorkerConfig, fixed: bool, shutdown: CancellationToken) -> Outcome {
    for number in 0..FOLDERS_MAX {
        let mut config = config.clone();
        if !fixed {
            config.data_dir = config.data_dir.join(number.to_string());
        }
        match bonfire_worker::run(config, shutdown.clone()).await {
            Ok(WorkerEnd::Drained) => return Ok(Exit::Done),
            Ok(WorkerEnd::DrainTimeout) => {
                return Err(Failure::failed(
                    "not everything could be reported in time; unsaved work is done again elsewhere",
                ));
            }
            Err(WorkerError::Taken { .. }) if !fixed => {}
            Err(WorkerError::Refused(reason)) => return Err(Failure::wrong(reason)),
            Err(error) => return Err(Failure::failed(error.to_string())),
        }
    }
    Err(Failure::failed(format!(
        "all {FOLDERS_MAX} worker folders are in use"
    )))
}

fn read_config(file: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|e| Failure::wrong(format!("cannot read {}: {e}", file.display())))
}
