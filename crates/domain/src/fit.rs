//! Whether a spec and a dataset go together: columns, classes, shapes. Says everything that is wrong before anything runs.
//!
//! Looks at schemas and statistics only, never at rows. What depends on how many rows ended up in train is looked at once
//! the data is prepared.

mod columns;
mod cost;
mod features;
mod label;
mod layers;
mod prepared;
mod preview;
mod search;

#[cfg(test)]
mod tests;

pub use columns::{Rows, complete, feature_columns, fit};
pub use cost::{Cost, Size, cost};
pub use layers::LAYER_VALUES_MAX;
pub use prepared::{ModelPlan, fit_prepared};
pub use preview::{Preview, preview};
