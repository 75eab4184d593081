//! Figures: pairs that run interleaved, their medians and the bad end of their interval, beside peers where there are any.
//!
//! Everything is measured from outside: a release binary is started as a user would start it, and driven over its own API.
//! Figures are never timed tests; what a figure needs to be true (every trial there, every point back) is checked all the same.

mod bed;
mod checkpoint;
mod dispatch;
mod figure;
mod footprint;
mod pairs;
mod peer;
mod row;
mod search;
mod tracker;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::figure::{Settings, choose};

/// Measures bonfire beside its peers; one JSON object a line on stdout, progress on stderr.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  bonfire-bench dispatch D1 --pairs 3")]
struct Arguments {
    /// dispatch, checkpoint, tracker, footprint or search; all if none is named
    group: Option<String>,
    /// Figures of the group, such as D1; all if none is named
    ids: Vec<String>,
    /// Pairs of runs behind each figure
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen = match choose(arguments.group.as_deref(), &arguments.ids) {
        Ok(chosen) => chosen,
        Err(problem) => {
            eprintln!("bonfire-bench: {problem}");
            return ExitCode::from(2);
        }
    };
    let settings = Settings {
        pairs: arguments.pairs,
    };
    let mut failed = false;
    for figure in chosen {
        eprintln!("{} {}", figure.group, figure.id);
        match (figure.measure)(&settings) {
            Ok(rows) => failed |= !print_rows(&rows),
            Err(error) => {
                eprintln!("bonfire-bench: {}: {error:#}", figure.id);
                failed = true;
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

fn print_rows(rows: &[row::Row]) -> bool {
    let mut out = std::io::stdout().lock();
    rows.iter()
        .all(|row| writeln!(out, "{}", row.json()).is_ok())
}
