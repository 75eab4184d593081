//! The gradient plane: the canonical reduction over f32 slices; knows no tensor library.
//!
//! A group has one member so far, so what is here is the arithmetic alone: which sums are made, and in which order. It
//! never depends on who computed what, which is why the bits of a step do not depend on the members.

mod tree;

pub use tree::{Part, ReduceError, Tree, reduce_tree};
