//! Values that a search may try, beside the data.

use super::{check_rows, columns};
use crate::dataset::Column;
use crate::fit::Rows;

/// 3 classes of 27 rows: 66 in all are train. `expected`: `path: message` of each problem.
#[track_caller]
fn check(text: &str, change: impl Fn(&mut Vec<Column>), expected: &[&str]) {
    let mut columns = columns();
    for (_, rows) in &mut columns[3].top {
        *rows = 27;
    }
    change(&mut columns);
    check_rows(text, &columns, Rows::All(81), expected);
}

fn mlp(model: &str, data: &str, parameters: &str) -> String {
    format!(
        "task: classification\nmodel: {{ kind: mlp, {model} }}\ndata: {{ dataset: d, label: class, features: [age], {data} }}\nsearch: {{ limit: {{ trials: 5 }}, parameters: {{ {parameters} }} }}"
    )
}

const NORM: &str = "norm: batch";

#[test]
fn batches_that_leave_one_sample() {
    let bad = "search.parameters.data.batch: 65 does not fit the data: 66 would do: batch normalisation needs 2 samples, and the last batch of 66 rows by 65 leaves 1";
    let batches = "data.batch: { values: [64, 65] }";
    check(&mlp(NORM, "batch: 64", batches), |_| {}, &[bad]);
    check(&mlp("norm: none", "batch: 64", batches), |_| {}, &[]);
    check(
        &mlp(NORM, "batch: 64", "data.batch: { min: 60, max: 65 }"),
        |_| {},
        &[bad],
    );
    // No trial has the file's own value.
    check(
        &mlp(NORM, "batch: 65", "data.batch: { values: [32, 64] }"),
        |_| {},
        &[],
    );
    let both = "data.batch: { values: [64, 65] }, model.norm: { values: [none, batch] }";
    check(&mlp("", "batch: 64", both), |_| {}, &[bad]);
}

#[test]
fn shards_above_the_batch_of_every_trial() {
    let shards = |data: &str, more: &str| {
        mlp(
            "norm: none",
            data,
            &format!("train.virtual_shards: {{ values: [1, 8] }}{more}"),
        )
    };
    check(&shards("batch: 8", ""), |_| {}, &[]);
    // Both are searched, and 8 shards are tried with batches of 8 and of 16.
    check(
        &shards("batch: 4", ", data.batch: { values: [8, 16] }"),
        |_| {},
        &[],
    );
}

#[test]
fn kernels_larger_than_the_image() {
    let cnn = |kernel: u32, parameters: &str| {
        format!(
            "task: classification\nmodel: {{ kind: cnn, kernel: {kernel} }}\ndata: {{ dataset: d, label: class, image: {{ column: photo, shape: [1, 4, 4] }} }}\nsearch: {{ limit: {{ trials: 5 }}, parameters: {{ {parameters} }} }}"
        )
    };
    let small = |columns: &mut Vec<Column>| columns[5].width = 16;
    check(
        &cnn(3, "model.kernel: { values: [3, 5] }"),
        small,
        &[
            "search.parameters.model.kernel: 5 does not fit the data: 5 is larger than the image, 4 by 4",
        ],
    );
    // The file's own problem is told once, at its own place.
    check(
        &cnn(5, "model.hidden: { values: [8, 16] }"),
        small,
        &["model.kernel: 5 is larger than the image, 4 by 4"],
    );
    check(&cnn(5, "model.kernel: { values: [1, 3] }"), small, &[]);
}

#[test]
fn layers() {
    check(
        &mlp(
            "hidden: [65536, 64]",
            "batch: 64",
            "\"model.hidden[1]\": { min: 64, max: 65536 }",
        ),
        |_| {},
        &[
            "search.parameters.model.hidden[1]: 65536 does not fit the data: model.hidden: layer 1 of 65536 by 65536 has 4294967296 weights, more than 2147483648",
        ],
    );
}
