//! The wire: `.proto` files, generated code, conversions to domain types, thin typed clients.
//!
//! What arrives is junk until a `TryFrom` has accepted it ([`WireError`] names the field); what leaves is built by `From`.
//! Nothing here decides anything, and nothing generated is ever written to disk.

pub mod blobs;
pub mod client;
mod token;
pub mod wire;

/// Generated messages, clients and servers. Named only here, in the coordinator's `grpc/` and in the worker's `link.rs`.
#[allow(clippy::all, clippy::pedantic, missing_docs, rust_2018_idioms)]
pub mod pb {
    tonic::include_proto!("bonfire.v1");
    /// The encoded descriptors, for reflection.
    pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("bonfire");
}

pub use token::{Token, TokenError};
pub use wire::{FromWorker, ToWorker, Welcome, WireError};
