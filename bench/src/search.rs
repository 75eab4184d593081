//! How good the search is: sweeps against tables of known results, beside the stored runs of Optuna.

pub mod ask;
pub mod barrier;
mod bbob;
pub mod functions;
mod known;
mod optuna;
pub mod parallel;
mod peers;
mod regret;
mod simulate;
pub mod tables;
