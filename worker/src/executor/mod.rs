//! Executors: the child process of a slot ([`executor_main`]) and its keeper in the agent ([`run_slot`]).
//!
//! They share [`frame`], the pipe's protocol, and nothing else. An executor knows files and its pipe, never the network.

mod cause;
pub mod frame;
mod inbox;
mod lines;
mod main;
mod means;
mod memory;
mod noop;
mod outbox;
mod process;
mod rows;
mod saved;
mod slot;
mod spawn;
mod train;
mod trial;

pub use main::executor_main;
pub use slot::{Limits, SlotConfig, SlotEvent, SlotEvents, SlotOrder, run_slot};
pub use spawn::{Launch, Spawner};
