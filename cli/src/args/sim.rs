//! Flags of `sim`.

use std::path::PathBuf;

use bonfire_domain::spec::Millis;
use bonfire_sim::WORKERS_MAX;
use clap::Args;

use super::SpecArgs;

/// A worker that fails more often than this would never train anything.
const MTBF_MS_MIN: u64 = 1_000;

#[derive(Clone, Debug, Args)]
pub struct Sim {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Known results: a row a configuration, a column for every parameter (.parquet, .csv or .json)
    #[arg(long, value_name = "FILE")]
    pub table: PathBuf,
    /// The column with the objective of a trial that trained to its end
    #[arg(long, value_name = "COLUMN", default_value = "metric")]
    pub metric: String,
    /// The column with the seconds that takes
    #[arg(long, value_name = "COLUMN", default_value = "train_time")]
    pub cost: String,
    /// A column of lists (.json, .parquet), the metric after each unit; without it a scheduler sees made-up curves
    #[arg(long, value_name = "COLUMN")]
    pub curve: Option<String>,
    /// Workers of one slot each
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(WORKERS_MAX)))]
    pub workers: u32,
    /// Seed of the faults; the sampler's is in the spec
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Mean time between two failures of a worker, such as 2h; it comes back after 30 s [default: none fails]
    #[arg(long, value_name = "DURATION", value_parser = parse_mtbf)]
    pub mtbf: Option<Millis>,
}

fn parse_mtbf(text: &str) -> Result<Millis, String> {
    let mtbf: Millis = text.parse()?;
    if mtbf.0 < MTBF_MS_MIN {
        return Err("it must be at least 1s".to_owned());
    }
    Ok(mtbf)
}
