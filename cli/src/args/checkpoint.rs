//! Flags of the `checkpoint` verbs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum CheckpointVerb {
    /// The checkpoints of a trial, or of all trials of a sweep
    #[command(
        after_help = "Examples:\n  bonfire checkpoint list digits-k2f/17\n  bonfire checkpoint list last"
    )]
    List {
        /// A trial, SWEEP/NUMBER, or a sweep
        of: String,
    },
    /// A checkpoint and what is in it
    #[command(after_help = "Example:\n  bonfire checkpoint show digits-k2f/17@1200")]
    Show(Named),
    /// Read every byte of it and compare the digests
    #[command(after_help = "Example:\n  bonfire checkpoint verify digits-k2f/17@1200")]
    Verify(Named),
    /// Write its weights as one safetensors file, and a JSON file beside it
    #[command(
        after_help = "Example:\n  bonfire checkpoint export digits-k2f/17 model.safetensors --best"
    )]
    Export(ExportWeights),
    /// Delete one checkpoint
    #[command(after_help = "Example:\n  bonfire checkpoint delete digits-k2f/17@1200")]
    Delete {
        /// SWEEP/NUMBER@STEP
        checkpoint: String,
    },
    /// Compare the weights of two checkpoints
    #[command(
        after_help = "Example:\n  bonfire checkpoint diff digits-k2f/17@600 digits-k2f/17@1200"
    )]
    Diff {
        /// SWEEP/NUMBER@STEP, or a trial: its latest
        a: String,
        /// SWEEP/NUMBER@STEP, or a trial: its latest
        b: String,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Named {
    /// SWEEP/NUMBER@STEP, or a trial: its latest
    pub checkpoint: String,
    /// The trial's best one instead of its latest
    #[arg(long)]
    pub best: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ExportWeights {
    #[command(flatten)]
    pub of: Named,
    /// Where to, such as model.safetensors; model.json is written beside it
    pub file: PathBuf,
}
