//! The rows of the table, a file for each part of a spec.

mod data;
mod model;
mod scheduler;
mod search;
pub(super) mod top;
mod train;

use super::field::Field;

/// In the order of the product's page.
pub(super) const TABLES: [&[Field]; 11] = [
    top::HEAD,
    data::FIELDS,
    top::TASK,
    model::FIELDS,
    train::LOSS,
    train::OPTIMIZER,
    train::TRAIN,
    search::FIELDS,
    scheduler::FIELDS,
    search::REST,
    top::TAIL,
];

pub(super) use top::task_named;
