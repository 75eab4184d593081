//! The simulated fleet: the real consensus host, cluster, leader, samplers and worker sessions in one thread, on a virtual clock.
//!
//! There are two of it. [`run`] is rough: delays, lost and doubled messages, crashes, all from one seed, over a node with its
//! log; a run is a pure function of its [`Scenario`], so a failing seed is a test. [`TableFleet`] is quiet and fast: trials look
//! their results up in a table, to see what a search would have done. Never here: a real clock, a thread, a socket, a file.

mod barrier;
mod check;
mod executor;
mod fleet;
mod machine;
mod node;
mod queue;
mod scenario;
mod table;
mod worker;
mod world;

pub use barrier::{Barrier, Rungs};
pub use fleet::{
    BestAt, FleetError, FleetProgress, FleetSetting, RETURN_MS, START_MS, SimDocument, TableFleet,
    WORKERS_MAX,
};
pub use machine::ClusterMachine;
pub use scenario::{Faults, PlantedBug, Scenario, plain_spec, scheduled_spec};
pub use table::{Cell, Column, Columns, TableProblem};
pub use world::{Report, Violation, run};
