//! Flags of the `dataset` verbs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum DatasetVerb {
    /// Add a file, a directory or a pattern as a dataset version
    #[command(after_help = "Example:\n  bonfire dataset add configs/data/digits.csv --name digits")]
    Add(AddFiles),
    /// All datasets
    #[command(after_help = "Example:\n  bonfire dataset list")]
    List,
    /// A dataset version with its columns and statistics
    #[command(after_help = "Example:\n  bonfire dataset show digits -o json")]
    Show(Named),
    /// Read every byte of it and compare the digests
    #[command(after_help = "Example:\n  bonfire dataset verify digits")]
    Verify(Named),
}

#[derive(Clone, Debug, Args)]
pub struct AddFiles {
    /// What to read: .csv, .parquet, .jsonl, .ndjson, .txt, a directory or a pattern of one of these
    pub source: PathBuf,
    /// The dataset's name [default: the file's, without its extension]
    #[arg(long)]
    pub name: Option<String>,
    /// A column's kind where it is not to be inferred: numeric, categorical, text or image
    #[arg(long = "type", value_name = "COLUMN=KIND", value_parser = super::parse_override)]
    pub types: Vec<(String, String)>,
}

#[derive(Clone, Debug, Args)]
pub struct Named {
    /// A dataset: its name, a unique prefix, or last; @VERSION for one that is not its newest
    pub dataset: String,
}
