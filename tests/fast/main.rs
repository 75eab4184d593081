//! What needs no processes: the example configs and the rules of the repository.

#![allow(clippy::unwrap_used)]

mod configs;
mod tidy;
