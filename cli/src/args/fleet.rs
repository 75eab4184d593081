//! Flags of the `fleet` verbs.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum FleetVerb {
    /// Nodes and workers
    #[command(after_help = "Example:\n  bonfire fleet status -o json")]
    Status,
    /// The workers
    #[command(after_help = "Example:\n  bonfire fleet list")]
    List,
    /// Let a worker finish or save what it runs and give it nothing new
    #[command(after_help = "Example:\n  bonfire fleet drain node7-0412")]
    Drain {
        /// A worker: its name, a unique prefix, or its id
        worker: String,
    },
    /// Give a drained or quarantined worker new work again
    #[command(after_help = "Example:\n  bonfire fleet resume node7-0412")]
    Resume {
        /// A worker: its name, a unique prefix, or its id
        worker: String,
    },
}
