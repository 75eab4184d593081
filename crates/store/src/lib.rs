//! Bytes at rest: blobs by content, checkpoint manifests, the tracker's journals and segments.
//!
//! Everything large is immutable and named by its BLAKE3 digest. What is read back is verified before anybody believes
//! it; what is damaged is refused with the name of its file, never read as if whole. Nothing here decides anything.

pub mod blobs;
pub mod checkpoint;
mod error;
pub mod journal;
pub mod segment;
mod whole;

pub use blobs::{BlobWriter, Check, LocalBlobs, blob_of};
pub use error::StoreError;
pub use journal::Journal;
pub use segment::{SegmentReader, TrialReports};
pub use whole::WholeFile;
