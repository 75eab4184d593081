//! Rows: readers, types, statistics, splits, preprocessing, order and batches; the only room that names arrow and parquet.
//!
//! Three flows. [`import`] turns a source into an immutable dataset version; [`prepare`] turns a version into train and valid
//! rows of fixed width; [`Prepared`] with an [`Order`] turns those into batches, ahead of need where a [`Loader`] is used.
//! Everything here is synchronous: progress and cancellation go through a callback. This room must not know of trials,
//! workers or tensors.

mod blob;
mod block;
mod changes;
mod convert;
mod error;
mod import;
mod loader;
mod number;
mod order;
mod permute;
mod prepare;
mod prepared;
mod source;
mod stats;
mod stored;
mod table;
mod version;

pub use changes::changes;
pub use error::{CellError, DataError};
pub use import::{ImportOptions, Peek, Progress, import, peek};
pub use loader::{Loader, Part, Wanted};
pub use order::{EpochOrder, Order, shard_positions, window_blocks};
pub use prepare::prepare;
pub use prepared::Prepared;
pub use table::{Cell, Table, TableFormat, read_table, write_table};
