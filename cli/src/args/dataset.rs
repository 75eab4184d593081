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
    #[arg(long = "type", value_name = "COLUMN=KIND", value_parser = parse_type)]
    pub types: Vec<(String, String)>,
}

/// Splits `column=kind` at the last `=`, since a column's name may have one.
fn parse_type(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((column, kind)) if !column.is_empty() => Ok((column.to_owned(), kind.to_owned())),
        _ => Err("write COLUMN=KIND, such as zip=categorical".to_owned()),
    }
}

#[derive(Clone, Debug, Args)]
pub struct Named {
    /// A dataset: its name, a unique prefix, or last; @VERSION for one that is not its newest
    pub dataset: String,
}
