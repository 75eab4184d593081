//! Flags of the `trial` verbs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{LocalArgs, parse_override};

#[derive(Debug, Subcommand)]
pub enum TrialVerb {
    /// The trials of a sweep
    #[command(after_help = "Example:\n  bonfire trial list last")]
    List(super::sweep::Named),
    /// A trial with its attempts, spec and checkpoints
    #[command(after_help = "Example:\n  bonfire trial show digits-k2f/17 -o json")]
    Show(Named),
    /// What its executors wrote
    #[command(after_help = "Example:\n  bonfire trial logs digits-k2f/17")]
    Logs(Named),
    /// Its metric series
    #[command(after_help = "Example:\n  bonfire trial metrics digits-k2f/17 --key valid.accuracy")]
    Metrics(Metrics),
    /// End it; it keeps its value and its checkpoints
    #[command(after_help = "Example:\n  bonfire trial stop digits-k2f/17")]
    Stop(Named),
    /// Go on from its last checkpoint
    #[command(after_help = "Example:\n  bonfire trial resume digits-k2f/17")]
    Resume(ResumeTrial),
    /// A new trial from one of its checkpoints, with other values
    #[command(
        after_help = "Examples:\n  bonfire trial fork digits-k2f/17 --set optimizer.lr=1e-4\n  bonfire trial fork digits-k2f/17@1200 --set optimizer.lr=1e-4"
    )]
    Fork(ForkTrial),
    /// Get a trial of an external sweep to try, with its parameters
    #[command(after_help = "Example:\n  bonfire trial ask tune-k2f -o json")]
    Ask(Ask),
    /// Say what an external trial came to, or where it stands
    #[command(
        after_help = "Examples:\n  bonfire trial tell tune-k2f/17 --attempt 1 --value 0.93\n  bonfire trial tell tune-k2f/17 --attempt 1 --at 3 --value 0.8 -o json\n  bonfire trial tell tune-k2f/17 --attempt 1 --value 0.93 --metric latency_ms=12.5\n  bonfire trial tell tune-k2f/17 --attempt 1 --failed --reason 'out of memory'"
    )]
    Tell(Tell),
    /// Files attached to it: plots, reports, whatever belongs to it
    #[command(
        subcommand,
        after_help = "Example:\n  bonfire trial artifact list digits-k2f/17"
    )]
    Artifact(ArtifactVerb),
    /// What happened to it, and what it waits for
    #[command(after_help = "Example:\n  bonfire trial why digits-k2f/17")]
    Why(Named),
}

#[derive(Debug, Subcommand)]
pub enum ArtifactVerb {
    /// Attach a file, in the place of one of the same name
    #[command(
        after_help = "Examples:\n  bonfire trial artifact add digits-k2f/17 confusion.png\n  bonfire trial artifact add last/0 out.csv --name reports/out.csv"
    )]
    Add(AddFile),
    /// What is attached
    #[command(after_help = "Example:\n  bonfire trial artifact list digits-k2f/17 -o json")]
    List(Named),
    /// Write an attached file here
    #[command(
        after_help = "Example:\n  bonfire trial artifact get digits-k2f/17 confusion.png copy.png"
    )]
    Get(GetFile),
}

#[derive(Clone, Debug, Args)]
pub struct AddFile {
    /// A trial: SWEEP/NUMBER, or last
    pub trial: String,
    pub file: PathBuf,
    /// A relative path to keep it under [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct GetFile {
    /// A trial: SWEEP/NUMBER, or last
    pub trial: String,
    /// The artifact
    pub name: String,
    /// Where to write it [default: the last part of its name]
    pub file: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct Named {
    /// A trial: SWEEP/NUMBER, or last
    pub trial: String,
}

#[derive(Clone, Debug, Args)]
pub struct Ask {
    /// A sweep: its name, a unique prefix, or last
    pub sweep: String,
    /// A number of your own: asked again with it, you get the trial that you have
    #[arg(long, value_name = "N")]
    pub request: Option<u64>,
}

#[derive(Clone, Debug, Args)]
pub struct Tell {
    /// A trial: SWEEP/NUMBER, or last
    pub trial: String,
    /// The attempt that trial ask gave
    #[arg(long, value_name = "N")]
    pub attempt: u32,
    /// What it came to
    #[arg(long, value_name = "V", allow_hyphen_values = true)]
    #[arg(required_unless_present = "failed", conflicts_with = "failed")]
    pub value: Option<f64>,
    /// The value is intermediate, after so many units of your own
    #[arg(long, value_name = "N", requires = "value", conflicts_with = "failed")]
    pub at: Option<u64>,
    /// A metric that search.require or search.objectives names; as often as there are metrics
    #[arg(long = "metric", value_name = "NAME=NUMBER", value_parser = metric)]
    #[arg(requires = "value", conflicts_with = "failed")]
    pub metrics: Vec<(String, f64)>,
    /// It came to nothing
    #[arg(long)]
    pub failed: bool,
    /// Why it failed
    #[arg(
        long,
        value_name = "TEXT",
        requires = "failed",
        conflicts_with = "value"
    )]
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct Metrics {
    /// A trial: SWEEP/NUMBER, or last
    pub trial: String,
    /// Only this metric; may be repeated
    #[arg(long = "key", value_name = "METRIC")]
    pub keys: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub struct ResumeTrial {
    /// A trial: SWEEP/NUMBER, or last
    pub trial: String,
    #[command(flatten)]
    pub local: LocalArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ForkTrial {
    /// A trial, SWEEP/NUMBER (its latest checkpoint), or a checkpoint, SWEEP/NUMBER@STEP
    pub trial: String,
    /// Another value for a parameter; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = parse_override)]
    pub overrides: Vec<(String, String)>,
    #[command(flatten)]
    pub local: LocalArgs,
}

fn metric(text: &str) -> Result<(String, f64), String> {
    let (name, number) = text
        .split_once('=')
        .ok_or("expected NAME=NUMBER, such as latency_ms=12.5")?;
    let number = number
        .parse()
        .map_err(|_| format!("{number:?} is not a number"))?;
    Ok((name.to_owned(), number))
}
