//! The command line: verbs, output, exit codes, and the fleet that `run` and `up` start in this process.
//!
//! It calls the other rooms and decides nothing that they could: selectors and states are the fleet's, rows are `data`'s.

mod args;
mod artifact;
mod ask;
mod checkpoint;
mod connect;
mod dataset;
mod documents;
mod export;
mod fleet;
mod foreground;
mod importance;
mod local;
mod locate;
mod origin;
mod output;
mod preview;
mod run;
mod signals;
mod sim;
mod spec_file;
mod submit;
mod suggest;
mod sweep;
mod trial;
mod up;
mod validate;
mod weights;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use args::{Cli, Verb};
use output::Output;
use output::errors::{Exit, Failure, Outcome};

/// Tasks that still run when a verb is done get this long.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// Runs the command line.
pub fn main() -> ExitCode {
    // Executors are started by the thousand: they pay for nothing that they do not need.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|verb| verb == "executor")
    {
        return bonfire_worker::executor_main();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, and a closed pipe is nobody's.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Wrong as u8));
        }
    };
    start_logging(&cli.verb, cli.global.quiet);
    let outcome = run_verb(&cli).and_then(|exit| output::all_written().map(|()| exit));
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            output::say(&failure.on(&connect::flags(&cli.global)).to_string());
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Logs go to stderr, as much as `BONFIRE_LOG` says. What serves tells what it does; what somebody looks at tells troubles, or
/// errors alone where it is to be quiet.
fn start_logging(verb: &Verb, quiet: bool) {
    let default = match verb {
        Verb::Up(_) | Verb::Coordinator(_) | Verb::Worker(_) => "warn,bonfire=info",
        _ if quiet => "error",
        _ => "warn",
    };
    let filter = EnvFilter::try_from_env("BONFIRE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // Only a second start in one process is refused.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .try_init();
}

fn run_verb(cli: &Cli) -> Outcome {
    match &cli.verb {
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "bonfire", &mut script);
            Output::of(&cli.global).print(&String::from_utf8_lossy(&script));
            return Ok(Exit::Done);
        }
        Verb::Sim(args) => return sim::sim(&cli.global, args),
        Verb::Schema(args) => return validate::schema(&cli.global, args),
        Verb::Executor => return Err(Failure::wrong("executor must be the first word")),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| Failure::failed(format!("cannot start: {e}")))?;
    let outcome = runtime.block_on(act(cli));
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    outcome
}

async fn act(cli: &Cli) -> Outcome {
    let global = &cli.global;
    match &cli.verb {
        Verb::Run(args) => run::run(global, args).await,
        Verb::Up(args) => up::up(global, args).await,
        Verb::Coordinator(args) => up::coordinator(global, args).await,
        Verb::Worker(args) => up::worker(global, args).await,
        Verb::Validate(args) => validate::validate(global, args).await,
        Verb::Sweep(verb) => sweep::act(global, verb).await,
        Verb::Trial(verb) => trial::act(global, verb).await,
        Verb::Checkpoint(verb) => checkpoint::act(global, verb).await,
        Verb::Dataset(verb) => dataset::act(global, verb).await,
        Verb::Fleet(verb) => fleet::act(global, verb).await,
        Verb::Sim(_) | Verb::Schema(_) | Verb::Completions { .. } | Verb::Executor => {
            Ok(Exit::Done)
        }
    }
}
