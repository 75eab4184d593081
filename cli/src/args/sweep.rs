//! Flags of the `sweep` verbs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{LocalArgs, SpecArgs};

#[derive(Debug, Subcommand)]
pub enum SweepVerb {
    /// Submit a sweep and return its name at once
    #[command(after_help = "Example:\n  bonfire sweep submit configs/digits.yaml --follow")]
    Submit(Submit),
    /// The number of trials, the rungs and the cost, without running
    #[command(after_help = "Example:\n  bonfire sweep preview configs/digits.yaml")]
    Preview(SpecArgs),
    /// All sweeps
    #[command(after_help = "Example:\n  bonfire sweep list -o json")]
    List,
    /// A sweep with its trials
    #[command(after_help = "Example:\n  bonfire sweep show last -o json")]
    Show(Named),
    /// Follow a sweep to its end
    #[command(after_help = "Example:\n  bonfire sweep watch digits-k2f")]
    Watch(Named),
    /// The best trials
    #[command(
        after_help = "Example:\n  bonfire sweep top last -n 5\n  bonfire sweep top last --pareto -o json"
    )]
    Top(Top),
    /// What would be tried next, and why
    #[command(after_help = "Example:\n  bonfire sweep suggest last -n 3")]
    Suggest(Suggest),
    /// Which parameters the values of completed trials depend on
    #[command(after_help = "Example:\n  bonfire sweep importance last --pairs")]
    Importance(ImportanceArgs),
    /// Save what runs and start nothing more
    #[command(after_help = "Example:\n  bonfire sweep pause digits-k2f")]
    Pause(Named),
    /// Go on with a paused sweep
    #[command(after_help = "Example:\n  bonfire sweep resume digits-k2f")]
    Resume(ResumeSweep),
    /// End a sweep for good
    #[command(after_help = "Example:\n  bonfire sweep cancel digits-k2f --save")]
    Cancel(Cancel),
    /// Forget a sweep that has ended, with its trials and checkpoints
    #[command(after_help = "Example:\n  bonfire sweep delete digits-k2f")]
    Delete(Named),
    /// Write trials with parameters, values and final metrics to a file
    #[command(after_help = "Example:\n  bonfire sweep export last trials.parquet")]
    Export(ExportSweep),
}

#[derive(Clone, Debug, Args)]
pub struct Named {
    /// A sweep: its name, a unique prefix, or last
    pub sweep: String,
}

#[derive(Clone, Debug, Args)]
pub struct Submit {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub local: LocalArgs,
    /// Follow it to its end
    #[arg(long)]
    pub follow: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ResumeSweep {
    /// A sweep: its name, a unique prefix, or last
    pub sweep: String,
    #[command(flatten)]
    pub local: LocalArgs,
}

#[derive(Clone, Debug, Args)]
pub struct Top {
    /// A sweep: its name, a unique prefix, or last
    pub sweep: String,
    /// How many; 10, or the whole front with --pareto
    #[arg(short = 'n', long = "number")]
    pub number: Option<usize>,
    /// Of several objectives the trials that no other dominates alone
    #[arg(long)]
    pub pareto: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Suggest {
    /// A sweep: its name, a unique prefix, or last
    pub sweep: String,
    /// How many
    #[arg(short = 'n', long = "number", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub number: u32,
}

#[derive(Clone, Debug, Args)]
pub struct ImportanceArgs {
    /// A sweep: its name, a unique prefix, or last
    pub sweep: String,
    /// Pairs of parameters instead: what they do together, beyond what each does by itself
    #[arg(long)]
    pub pairs: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Cancel {
    /// A sweep: its name, a unique prefix, or last
    pub sweep: String,
    /// Write a last checkpoint of what runs
    #[arg(long)]
    pub save: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ExportSweep {
    /// A sweep: its name, a unique prefix, or last
    pub sweep: String,
    /// Where to; .csv, .parquet or .json
    pub file: PathBuf,
    /// What to write, where the file's extension does not say it
    #[arg(long, value_enum)]
    pub format: Option<ExportFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Csv,
    Parquet,
    Json,
}
