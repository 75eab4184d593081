//! The worker's shell: agent loop, executor processes, checkpoint upload.
//!
//! [`run`] is the agent; [`executor_main`] is the body of the hidden subcommand that it starts for each slot. Which attempt
//! runs where is decided elsewhere (`domain`), how a model trains too (`engine`); here are the processes, pipes and files.

mod agent;
mod backoff;
mod cache;
mod clock;
mod config;
mod depot;
pub mod executor;
mod gate;
mod link;
mod load;
mod machine;
mod publish;
mod reports;

pub use agent::{WorkerEnd, WorkerError, run};
pub use config::{ConfigError, ExecutorConfig, WorkerConfig};
pub use executor::executor_main;
pub use machine::host_name;
