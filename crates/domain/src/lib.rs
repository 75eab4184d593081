//! Ids, specs, commands and the three state machines: everything that is decided, nothing that is done.
//!
//! Never here: a clock, a thread, a file, the environment, randomness, a `HashMap`.

pub mod batch;
pub mod checkpoint;
pub mod cluster;
pub mod command;
pub mod dataset;
pub mod effect;
pub mod fault;
pub mod fit;
pub mod glob;
pub mod id;
pub mod importance;
pub mod invariant;
pub mod leader;
pub mod metric;
pub mod order;
pub mod origin;
pub mod placement;
pub mod select;
pub mod session;
pub mod spec;
pub mod suggest;
pub mod view;

pub use batch::{Batch, Input as BatchInput, Target as BatchTarget};
pub use bonfire_search as search;
pub use cluster::Cluster;
pub use id::{Attempt, Digest, LogIndex, Now, Place, Slot, SweepId, TrialId, WallMs, WorkerId};
pub use leader::{Leader, LeaderConfig};
pub use session::Session;
pub use suggest::Suggester;
