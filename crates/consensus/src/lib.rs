//! A Raft node as `step(input) -> outputs`, and its log on disk.
//!
//! [`Host`] is the node: it owns the algorithm, a view of the log in memory and the caller's [`StateMachine`]. It never
//! blocks, reads no clock and touches no file, so the coordinator and the simulation drive the same code. What it wants
//! done comes back as [`Output`]; [`LogThread`] over a [`DiskLog`] writes the batches, [`MemoryLog`] stands in for the
//! disk in a simulation.
//!
//! This is the only room that names the `raft` crate and protobuf 2: to everybody else a message between nodes is opaque
//! bytes. Nothing in here knows what a command means.

mod config;
mod encode;
mod event;
mod guard;
mod host;
mod log;
mod logger;
mod machine;
mod timeouts;
mod view;

pub use config::{HostConfig, OpenError};
pub use event::{Batch, Capture, Input, Output, Refusal, Role, SnapshotFile};
pub use host::{Host, Opened};
pub use log::{DiskLog, LogDone, LogError, LogStore, LogThread, MemoryLog, Recovered};
pub use machine::{RestoreError, StateMachine};
