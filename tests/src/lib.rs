//! The harness of the process tests: real coordinators, workers and executors, started, killed and asked over the command line.

pub mod fleet;
pub mod procs;

pub use fleet::{Fleet, Outcome, bonfire, spec_file};
