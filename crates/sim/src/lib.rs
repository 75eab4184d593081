//! The simulated fleet: the real consensus host, cluster, leader, samplers and worker sessions in one thread, on a virtual clock.
//!
//! Everything that is random comes from one seed: delays, lost and doubled messages, crashes. A run is a pure function of its
//! [`Scenario`], so a failing seed is a test. Never here: a real clock, a thread, a socket, a file.

mod check;
mod executor;
mod machine;
mod node;
mod queue;
mod scenario;
mod worker;
mod world;

pub use machine::ClusterMachine;
pub use scenario::{Faults, PlantedBug, Scenario};
pub use world::{Report, Violation, run};
