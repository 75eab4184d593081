//! What shows only where all rows are known, and would otherwise stop a trial or its data when the fleet is at work.

use super::{TABLE, check, check_data, check_rows, columns};
use crate::dataset::Column;
use crate::fit::Rows;
use crate::spec::ColumnKind;

/// As [`check`], with 90 rows, which are all.
#[track_caller]
fn check_all(text: &str, change: impl Fn(&mut Vec<Column>), expected: &[&str]) {
    let mut columns = columns();
    change(&mut columns);
    check_rows(text, &columns, Rows::All(90), expected);
}

#[test]
fn a_kind_that_the_version_does_not_have() {
    check_data(
        "label: class, features: [age, town], types: { age: categorical, town: categorical }",
        |_| {},
        &[
            "data.types.age: the version has it as numeric: leave this out, or add the rows again with bonfire dataset add --type age=categorical",
        ],
    );
}

#[test]
fn classes_of_one_row() {
    let text = format!("{TABLE}data: {{ dataset: d, label: class, features: [age] }}");
    let classes = |counts: [u64; 3]| {
        move |columns: &mut Vec<Column>| {
            for ((_, rows), count) in columns[3].top.iter_mut().zip(counts) {
                *rows = count;
            }
        }
    };
    check_all(&text, classes([86, 2, 2]), &[]);
    check_all(
        &text,
        classes([87, 2, 1]),
        &[
            "data.label: class \"c\" of \"class\" has one row, which cannot be in both train and valid: leave it out",
        ],
    );
    check_all(
        &text,
        classes([88, 1, 1]),
        &[
            "data.label: 2 of the 3 classes of \"class\" have one row each, such as \"b\", which cannot be in both train and valid: leave them out",
        ],
    );
    // Rows that are still to come may have the class.
    check(&text, classes([88, 1, 1]), 90, &[]);
    // A list that is not complete says nothing of the classes that are not in it.
    let partial = |columns: &mut Vec<Column>| {
        columns[3].distinct = Some(4);
        columns[3].top[2].1 = 1;
    };
    check_all(&text, partial, &[]);
    check_all(
        &format!("{TABLE}data: {{ dataset: d, label: age, features: [height] }}"),
        |columns| columns[0].top[2].1 = 1,
        &[
            "data.label: class \"c\" of \"age\" has one row, which cannot be in both train and valid: leave it out, or say task: regression if it is a quantity",
        ],
    );
}

#[test]
fn categories_with_a_feature_each() {
    let distinct = |count: u64| move |columns: &mut Vec<Column>| columns[2].distinct = Some(count);
    let data = "label: class, features: [age, town]";
    check_data(data, distinct(4_096), &[]);
    check_data(
        data,
        distinct(4_097),
        &[
            "data.features: \"town\" has 4097 different values and each would be a feature, more than 4096: put it in data.drop",
        ],
    );
    let many = |columns: &mut Vec<Column>| {
        columns[2].distinct = Some(4_096);
        let town = columns[2].clone();
        columns.extend((0..256).map(|i| Column {
            name: format!("t{i}"),
            ..town.clone()
        }));
    };
    check_data(
        "label: class, features: [t*]",
        many,
        &[
            "data.features: 1052672 inputs with one for each category, more than 1048576; \"t255\" has the most: put it in data.drop",
        ],
    );
}

/// 8 of 10 bytes are train.
#[test]
fn texts_shorter_than_a_window() {
    let text = |context: u32| {
        format!(
            "task: language_model\nmodel: {{ kind: transformer }}\ndata: {{ dataset: d, split: {{ train: 0.8, valid: 0.2 }}, text: {{ column: body, context: {context} }} }}"
        )
    };
    // 90 texts are joined by 89 bytes.
    let long = |bytes: u64| move |columns: &mut Vec<Column>| columns[4].bytes = Some(bytes - 89);
    check_all(&text(128), long(645), &[]);
    check_all(
        &text(128),
        long(640),
        &[
            "data.text.context: 127 would do: valid has 128 of 640 bytes, and a window of 128 takes 129",
        ],
    );
    check_all(
        &text(128),
        |columns| {
            columns[4].bytes = Some(0);
            columns[4].kind = ColumnKind::Text;
        },
        &[
            "data.text.context: 17 would do: valid has 18 of 89 bytes, and a window of 128 takes 129",
        ],
    );
    check(&text(128), long(640), 90, &[]);
    check_all(&text(128), |_| {}, &[]); // a version that does not know its bytes
}

#[test]
fn layers_that_no_machine_holds() {
    let mlp = |hidden: &str| {
        format!(
            "task: classification\nmodel: {{ kind: mlp, hidden: {hidden} }}\ndata: {{ dataset: d, label: class, features: [age] }}"
        )
    };
    check(&mlp("[65536, 32768]"), |_| {}, 90, &[]);
    check(
        &mlp("[65536, 65536]"),
        |_| {},
        90,
        &["model.hidden: layer 1 of 65536 by 65536 has 4294967296 weights, more than 2147483648"],
    );
    check(
        "task: classification\nmodel: { kind: cnn, hidden: 65536 }\ndata: { dataset: d, label: class, image: { column: photo, shape: [1, 2048, 2048] } }",
        |columns| columns[5].width = 2_048 * 2_048,
        90,
        &[
            "model.hidden: the dense layer of 8388608 by 65536 has 549755813888 weights, more than 2147483648",
        ],
    );
}
