//! Real fleets: the binary named by `BONFIRE_BIN`, its coordinator, workers and executors, and what kills them.
#![allow(clippy::unwrap_used)]

mod ask_tell;
mod damage;
mod disk;
mod ends;
mod exact;
mod kills;
mod refusals;
mod run;
mod search;
mod sim;
mod verbs;
