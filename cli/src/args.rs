//! What may be typed: verbs, flags, and an example for each.

mod checkpoint;
mod dataset;
mod fleet;
mod serve;
mod sim;
mod sweep;
mod trial;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use checkpoint::{CheckpointVerb, ExportWeights};
pub use dataset::{AddFiles, DatasetVerb};
pub use fleet::FleetVerb;
pub use serve::{Coordinator, Slots, Up, Worker};
pub use sim::Sim;
pub use sweep::{
    Cancel, ExportFormat, ExportSweep, ImportanceArgs, Submit, Suggest, SweepVerb, Top,
};
pub use trial::{AddFile, ArtifactVerb, Ask, ForkTrial, GetFile, Metrics, Tell, TrialVerb};

/// One binary that turns a heap of machines into a training fleet.
#[derive(Debug, Parser)]
#[command(
    name = "bonfire",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Example:\n  bonfire run configs/digits.yaml\n\nExit codes: 0 done, 1 it failed, 2 the request was wrong, 3 not found, 4 cannot reach the fleet."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The fleet: HOST:PORT, or several with commas between; any of them answers
    #[arg(
        long,
        global = true,
        env = "BONFIRE_COORDINATOR",
        value_name = "ADDR",
        value_delimiter = ','
    )]
    #[arg(help_heading = "Fleet")]
    pub coordinator: Vec<String>,
    /// The fleet's token itself; a file is the safer place
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        help_heading = "Fleet",
        conflicts_with = "token_file"
    )]
    pub token: Option<String>,
    /// The file that holds the fleet's token [default: DATA/token]
    #[arg(
        long,
        global = true,
        env = "BONFIRE_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Fleet"
    )]
    pub token_file: Option<PathBuf>,
    /// The data directory that verbs act on when no fleet is named [default: ./bonfire-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Fleet")]
    pub data: Option<PathBuf>,
    /// How results are printed
    #[arg(short, long, global = true, value_enum, value_name = "FORM", default_value_t = OutputForm::Table)]
    #[arg(help_heading = "Output")]
    pub output: OutputForm,
    /// No progress, only results and errors
    #[arg(long, global = true, help_heading = "Output")]
    pub quiet: bool,
}

/// The data directory when none is named.
pub const DATA: &str = "bonfire-data";

impl Global {
    /// The addresses of the named fleet; none where verbs act on a data directory.
    pub fn addresses(&self) -> Vec<String> {
        self.coordinator
            .iter()
            .map(|a| a.trim().to_owned())
            .filter(|a| !a.is_empty())
            .collect()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| PathBuf::from(DATA))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// For people
    Table,
    /// For scripts: one document with stable field names
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a sweep to its end, on a fleet in this terminal if none is named
    #[command(
        after_help = "Examples:\n  bonfire run configs/digits.yaml\n  bonfire run configs/digits.yaml --set optimizer.lr=1e-3 --workers 2\n  bonfire run configs/digits.yaml --resume -o json"
    )]
    Run(Run),
    /// Start a fleet on this machine that stays until it is told to end
    #[command(after_help = "Example:\n  bonfire up --workers 2 --port 7400")]
    Up(Up),
    /// Start a coordinator
    #[command(
        after_help = "Examples:\n  bonfire coordinator --data /var/lib/bonfire\n  bonfire coordinator --config configs/coordinator.toml"
    )]
    Coordinator(Coordinator),
    /// Start a worker on this machine
    #[command(
        after_help = "Examples:\n  bonfire worker --coordinator host:7400 --token-file token\n  bonfire worker --config configs/worker.toml"
    )]
    Worker(Worker),
    /// Check a spec without running it
    #[command(
        after_help = "Examples:\n  bonfire validate configs/digits.yaml\n  bonfire validate configs/digits.yaml --resolved --set model.dropout=0.2"
    )]
    Validate(Validate),
    /// Print the JSON schema of a kind of spec, for editors
    #[command(after_help = "Example:\n  bonfire schema sweep > sweep.schema.json")]
    Schema(Schema),
    /// Submit, watch and control sweeps
    #[command(after_help = "Example:\n  bonfire sweep list", subcommand)]
    Sweep(SweepVerb),
    /// Run a sweep against a table of known results, on a virtual clock
    #[command(
        after_help = "Examples:\n  bonfire sim space.yaml --table results.parquet --workers 64\n  bonfire sim space.yaml --table results.parquet --workers 512 --mtbf 2h --seed 3 -o json"
    )]
    Sim(Sim),
    /// Look at trials, stop, resume or fork them, ask for them and tell what became of them
    #[command(after_help = "Example:\n  bonfire trial list last", subcommand)]
    Trial(TrialVerb),
    /// Look at checkpoints, verify and export them
    #[command(
        after_help = "Example:\n  bonfire checkpoint export last/7 model.safetensors --best",
        subcommand
    )]
    Checkpoint(CheckpointVerb),
    /// Add and look at datasets
    #[command(
        after_help = "Example:\n  bonfire dataset add configs/data/digits.csv",
        subcommand
    )]
    Dataset(DatasetVerb),
    /// Look at workers, drain them and take them back
    #[command(after_help = "Example:\n  bonfire fleet status", subcommand)]
    Fleet(FleetVerb),
    /// Print a shell's completion script
    #[command(after_help = "Example:\n  bonfire completions bash > /etc/bash_completion.d/bonfire")]
    Completions { shell: clap_complete::Shell },
    /// An executor process of a worker, started by it
    #[command(hide = true)]
    Executor,
}

/// A spec and what overrides it.
#[derive(Clone, Debug, Args)]
pub struct SpecArgs {
    /// The spec's file (YAML)
    pub spec: PathBuf,
    /// Put another value at a path of the spec; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = parse_override)]
    pub overrides: Vec<(String, String)>,
}

#[derive(Clone, Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub local: LocalArgs,
    /// Go on with the newest sweep made from the same spec
    #[arg(long)]
    pub resume: bool,
}

/// The fleet that is started in this terminal when none is named.
#[derive(Clone, Copy, Debug, Args)]
pub struct LocalArgs {
    /// Workers of the local fleet; they share the cores [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Slots of each worker [default: the cores divided by the workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub slots: Option<u16>,
}

#[derive(Debug, Args)]
pub struct Validate {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Print the spec with every default filled in
    #[arg(long)]
    pub resolved: bool,
}

#[derive(Debug, Args)]
pub struct Schema {
    #[arg(value_enum)]
    pub kind: SchemaKind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SchemaKind {
    Sweep,
}

/// Splits `path=value` at the first `=`.
pub(super) fn parse_override(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, value)) if !path.trim().is_empty() => {
            Ok((path.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write PATH=VALUE, such as optimizer.lr=1e-3".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_an_example() {
        fn visit(command: &clap::Command, path: &str) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                command.is_hide_set() || help.contains("bonfire"),
                "{path} has no example"
            );
            for inner in command.get_subcommands() {
                visit(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        visit(&Cli::command(), "bonfire");
    }

    #[track_caller]
    fn check(line: &str, accepted: bool) {
        let found = Cli::try_parse_from(line.split(' '));
        assert_eq!(found.is_ok(), accepted, "{line}: {found:?}");
    }

    #[test]
    fn lines_are_taken_or_refused() {
        check(
            "bonfire run a.yaml --set optimizer.lr=1e-3 --set a=b=c -o json",
            true,
        );
        check("bonfire run a.yaml --set optimizer.lr", false);
        check("bonfire run a.yaml --set =3", false);
        check("bonfire run", false);
        check("bonfire run a.yaml --workers 0", false);
        check("bonfire -o json sweep list --data x", true);
        check("bonfire sweep list -o xml", false);
        check("bonfire trial fork a/1 --set optimizer.lr=1", true);
        check("bonfire trial ask last -o json", true);
        check(
            "bonfire trial tell a/1 --attempt 1 --value -1e-3 --at 2",
            true,
        );
        check(
            "bonfire trial tell a/1 --attempt 1 --failed --reason x",
            true,
        );
        check("bonfire trial tell a/1 --value 1", false);
        check("bonfire trial tell a/1 --attempt 1", false);
        check("bonfire trial tell a/1 --attempt 1 --at 2", false);
        check(
            "bonfire trial tell a/1 --attempt 1 --value 1 --failed",
            false,
        );
        check(
            "bonfire trial tell a/1 --attempt 1 --value 1 --reason x",
            false,
        );
        check("bonfire trial tell a/1 --attempt 1 --value one", false);
        check("bonfire trial tell a/1 --attempt 1 --failed --at 3", false);
        check(
            "bonfire trial tell a/1 --attempt 1 --failed --metric m=3",
            false,
        );
        check("bonfire sweep importance last --pairs -o json", true);
        check("bonfire sweep importance", false);
        check("bonfire schema nothing", false);
        check(
            "bonfire worker --coordinator a:1,b:2 --token-file t --slots auto --labels zone=a,kind=b",
            true,
        );
        check("bonfire worker --slots none", false);
        check(
            "bonfire sim a.yaml --table t.parquet --workers 512 --mtbf 2h -o json",
            true,
        );
        check("bonfire sim a.yaml", false);
        check("bonfire sim a.yaml --table t.parquet --workers 0", false);
        check("bonfire sim a.yaml --table t.parquet --mtbf soon", false);
        check("bonfire sim a.yaml --table t.parquet --mtbf 999ms", false);
        check("bonfire frobnicate", false);
    }

    #[test]
    fn a_value_may_hold_equal_signs() {
        assert_eq!(
            parse_override("a.b=c=d").unwrap(),
            ("a.b".into(), "c=d".into())
        );
    }
}
