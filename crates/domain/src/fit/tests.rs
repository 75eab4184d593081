//! Specs beside datasets that do and do not go with them.
#![allow(clippy::unwrap_used)]

mod late;
mod plans;
mod search;

use super::*;
use crate::dataset::{Column, InputShape, OutputShape, PreparedManifest, PreparedPart};
use crate::id::Digest;
use crate::spec::{self, ColumnKind, Spec};

fn spec_of(text: &str) -> Spec {
    let head = "kind: sweep\nversion: 1\nname: t\n";
    match spec::check(format!("{head}{text}").as_bytes(), &[]) {
        Ok(spec) => spec,
        Err(problems) => panic!("{text}: {problems:?}"),
    }
}

fn column(name: &str, kind: ColumnKind) -> Column {
    Column {
        name: name.into(),
        kind,
        width: 1,
        nulls: 0,
        first_null: None,
        first_infinite: None,
        min: Some(0.0),
        max: Some(1.0),
        mean: Some(0.5),
        std: Some(0.5),
        distinct: Some(3),
        top: ["a", "b", "c"].map(|class| (class.to_owned(), 30)).to_vec(),
        bytes: None,
    }
}

/// age, height: numbers; town, class: three values; body: text; photo: 784 numbers a row.
fn columns() -> Vec<Column> {
    use ColumnKind::{Categorical, Image, Numeric, Text};
    let mut photo = column("photo", Image);
    photo.width = 784;
    vec![
        column("age", Numeric),
        column("height", Numeric),
        column("town", Categorical),
        column("class", Categorical),
        column("body", Text),
        photo,
    ]
}

const TABLE: &str = "task: classification\nmodel: { kind: mlp }\n";

/// `expected`: `path: message` of each problem.
#[track_caller]
fn check(text: &str, change: impl Fn(&mut Vec<Column>), rows: u64, expected: &[&str]) {
    let mut columns = columns();
    change(&mut columns);
    check_rows(text, &columns, Rows::First(rows), expected);
}

/// What is wrong with a spec beside these columns.
#[track_caller]
fn check_rows(text: &str, columns: &[Column], rows: Rows, expected: &[&str]) {
    let found = fit(&spec_of(text), columns, rows).err().unwrap_or_default();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn check_data(data: &str, change: impl Fn(&mut Vec<Column>), expected: &[&str]) {
    check(
        &format!("{TABLE}data: {{ dataset: d.csv, {data} }}"),
        change,
        90,
        expected,
    );
}

fn as_is(_: &mut Vec<Column>) {}

#[test]
fn what_fits_is_taken() {
    check_data("label: class, drop: [body, photo]", as_is, &[]);
    check_data("label: class, features: [age, t*]", as_is, &[]);
    check_data("label: age, features: [height]", as_is, &[]);
    check("model: { kind: noop }", as_is, 0, &[]);
    check(
        "task: classification\nmodel: { kind: cnn }\ndata: { dataset: d, label: class, image: { column: photo, shape: [1, 28, 28] } }",
        as_is,
        90,
        &[],
    );
    check(
        "task: language_model\nmodel: { kind: transformer }\ndata: { dataset: d, text: { column: body } }",
        as_is,
        90,
        &[],
    );
}

#[test]
fn the_only_image_and_the_only_text_need_not_be_named() {
    let cnn = "task: classification\nmodel: { kind: cnn }\ndata: { dataset: d, label: class }";
    let reader =
        "task: classification\nmodel: { kind: transformer }\ndata: { dataset: d, label: class }";
    check(cnn, as_is, 90, &[]);
    check(reader, as_is, 90, &[]);
    let data = |text: &str| complete(&spec_of(text), &columns()).data.unwrap();
    assert_eq!(data(cnn).image.unwrap().shape, [1, 28, 28]);
    assert_eq!(data(reader).text.unwrap().column, "body");
    let none = |columns: &mut Vec<Column>| columns.truncate(4);
    check(
        cnn,
        none,
        90,
        &[
            "data.image: a cnn reads images, and the data does not say which column: data.image: { column: image, shape: [1, 28, 28] }",
        ],
    );
    check(
        reader,
        none,
        90,
        &[
            "data.text: a transformer reads text, and the data does not say which column: data.text: { column: body, context: 128 }",
        ],
    );
    check(
        cnn,
        |columns| columns[5].width = 785,
        90,
        &[
            "data.image: a cnn reads images, and the data does not say which column: data.image: { column: image, shape: [1, 28, 28] }",
        ],
    );
}

#[test]
fn columns_that_are_not_there() {
    check_data(
        "label: clas, features: [agee], drop: [x*], types: { twon: numeric }",
        as_is,
        &[
            "data.features[0]: no column matches \"agee\"; did you mean \"age\"?",
            "data.drop[0]: no column matches \"x*\", its columns are age, height, town, class, body, photo",
            "data.types.twon: the data has no column \"twon\"; did you mean \"town\"?",
            "data.label: the data has no column \"clas\"; did you mean \"class\"?",
            "data.features: no column is left to learn from",
        ],
    );
}

#[test]
fn columns_that_a_table_cannot_hold() {
    check_data(
        "label: class",
        as_is,
        &[
            "data.features: \"body\" is text: put it in data.drop, read it with data.text, or say data.types: { body: categorical }",
            "data.features: \"photo\" is an image: put it in data.drop, or read it with data.image",
        ],
    );
    check_data(
        "label: class, features: [age, town]",
        |columns| columns[2].distinct = None,
        &[
            "data.features: \"town\" has more than 65536 different values and each would be a feature, more than 4096: put it in data.drop",
        ],
    );
}

#[test]
fn labels_that_cannot_be_learnt() {
    let one = |columns: &mut Vec<Column>| {
        columns[3].distinct = Some(1);
        columns[3].top.truncate(1);
    };
    check_data(
        "label: class, features: [age]",
        one,
        &["data.label: \"class\" has a single class, \"a\""],
    );
    check_data(
        "label: age, features: [height]",
        |columns| columns[0].distinct = Some(46),
        &[
            "data.label: \"age\" has 46 classes in 90 rows, a class needs at least 2; is the task regression?",
        ],
    );
    check_data(
        "label: photo, features: [age]",
        as_is,
        &["data.label: \"photo\" is an image, not classes"],
    );
    check_data(
        "label: class, features: [age]",
        |columns| (columns[3].nulls, columns[3].first_null) = (2, Some(7)),
        &[
            "data.label: \"class\" is missing in 2 rows, the first is row 7: data.missing: drop leaves them out",
        ],
    );
    let regression =
        "task: regression\nmodel: { kind: mlp }\ndata: { dataset: d, features: [age], label: ";
    check(
        &format!("{regression}town }}"),
        as_is,
        90,
        &["data.label: \"town\" is categorical, a regression needs a number"],
    );
    check(
        &format!("{regression}height }}"),
        |columns| columns[1].max = Some(0.0),
        90,
        &["data.label: \"height\" has a single value, there is nothing to learn"],
    );
    check(
        &format!(
            "{TABLE}data: {{ dataset: d, label: class, features: [age] }}\nloss: {{ class_weights: {{ a: 1, bb: 2 }} }}"
        ),
        as_is,
        90,
        &["loss.class_weights.bb: \"class\" has no class \"bb\"; did you mean \"b\"?"],
    );
}

#[test]
fn what_no_model_learns_from() {
    check_data(
        "label: class, features: [age, height]",
        |columns| columns[1].first_infinite = Some(12),
        &[
            "data.features: \"height\" has a number that is not finite, the first in row 12: mend the rows, or put it in data.drop",
        ],
    );
    let ids = |columns: &mut Vec<Column>| columns[2].distinct = Some(90);
    check_data(
        "label: class, features: [age, town]",
        ids,
        &[
            "data.features: \"town\" has another value in every row, which says nothing about the next: put it in data.drop, or say data.types: { town: categorical }",
        ],
    );
    check_data(
        "label: class, features: [age, town], types: { town: categorical }",
        ids,
        &[],
    );
}

/// 3 classes of 27 rows: 22 each and 66 in all are train.
#[test]
fn a_last_batch_of_one_is_refused_where_all_rows_are_known() {
    let text = |model: &str, batch: u32| {
        format!(
            "task: classification\nmodel: {model}\ndata: {{ dataset: d, label: class, features: [age], batch: {batch} }}"
        )
    };
    let mut columns = columns();
    for (_, rows) in &mut columns[3].top {
        *rows = 27;
    }
    let found = |text: &str, rows: Rows| {
        let found = fit(&spec_of(text), &columns, rows)
            .err()
            .unwrap_or_default();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let norm = "{ kind: mlp, norm: batch }";
    let expected = [
        "data.batch: 66 would do: batch normalisation needs 2 samples, and the last batch of 66 rows by 65 leaves 1",
    ];
    assert_eq!(found(&text(norm, 65), Rows::All(81)), expected);
    assert!(found(&text(norm, 64), Rows::All(81)).is_empty());
    assert!(found(&text(norm, 65), Rows::First(81)).is_empty());
    assert!(found(&text("{ kind: mlp }", 65), Rows::All(81)).is_empty());
}

#[test]
fn missing_values_and_empty_splits() {
    let holes = |columns: &mut Vec<Column>| {
        (columns[0].nulls, columns[0].first_null) = (1, Some(3));
        columns[2].nulls = 6;
    };
    check_data(
        "label: class, features: [age, town]",
        holes,
        &[
            "data.missing: \"age\" is missing in row 3: with data.missing, mean fills in train's mean, drop leaves the rows out",
            "data.missing: \"town\" is missing in 6 rows: with data.missing, mean takes it for none of the categories, drop leaves the rows out",
        ],
    );
    check_data(
        "label: class, features: [age, town], missing: mean",
        holes,
        &[],
    );
    check_data(
        "label: class, features: [age], missing: mean",
        |columns| {
            columns[0].nulls = 90;
            columns[0].mean = None;
        },
        &["data.missing: \"age\" has no value to take a mean of: put it in data.drop"],
    );
    check_data(
        "label: class, features: [age], split: { train: 0.996, valid: 0.004 }",
        as_is,
        &["data.split.valid: 0.004 of 90 rows is an empty split"],
    );
    check(
        &format!("{TABLE}data: {{ dataset: d, label: class, features: [age] }}"),
        |columns| columns[3].distinct = Some(2),
        0,
        &[
            "data.dataset: the data has no rows",
            "data.label: \"class\" has 2 classes in 0 rows, a class needs at least 2",
        ],
    );
}

#[test]
fn images_and_texts() {
    let cnn = "task: classification\nmodel: { kind: cnn, kernel: 9 }\ndata: { dataset: d, label: class, image: ";
    check(
        &format!("{cnn}{{ column: photo, shape: [3, 28, 28] }} }}"),
        as_is,
        90,
        &[
            "data.image.shape: [3, 28, 28] is 2352 values, a row of \"photo\" has 784; did you mean [1, 28, 28]?",
        ],
    );
    check(
        &format!("{cnn}{{ column: age, shape: [1, 8, 8] }} }}"),
        as_is,
        90,
        &[
            "data.image.column: \"age\" is numeric, not an image (a list of numbers of one length, or bytes)",
            "model.kernel: 9 is larger than the image, 8 by 8",
        ],
    );
    let reader = "task: language_model\nmodel: { kind: transformer }\ndata: { dataset: d }";
    check(reader, as_is, 90, &[]);
    check(
        reader,
        |columns| columns[4].kind = ColumnKind::Categorical,
        90,
        &[
            "data.text.column: the data has no column \"text\", its columns are age, height, town, class, body, photo",
        ],
    );
    check(
        "task: language_model\nmodel: { kind: transformer }\ndata: { dataset: d, text: { column: age } }",
        as_is,
        90,
        &["data.text.column: \"age\" is numeric, not text"],
    );
}

fn prepared(input: InputShape, train: u64, valid: u64, classes: usize) -> PreparedManifest {
    let part = |rows| PreparedPart {
        rows,
        files: vec![],
    };
    PreparedManifest {
        key: Digest::of(b"key"),
        version: Digest::of(b"version"),
        input,
        output: OutputShape::Classes {
            names: ["a", "b", "c"][..classes]
                .iter()
                .map(|&name| name.to_owned())
                .collect(),
            counts: vec![train; classes],
        },
        row_bytes: 12,
        train: part(train),
        valid: part(valid),
        encodings: vec![],
    }
}

#[track_caller]
fn check_prepared(model: &str, p: &PreparedManifest, expected: Result<(u64, u32), &[&str]>) {
    let text =
        format!("task: classification\ndata: {{ dataset: d, label: y, batch: 64 }}\n{model}");
    let found = fit_prepared(&spec_of(&text), p);
    let found = found.map(|plan| (plan.steps_per_epoch, plan.last_batch));
    let found = found.map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
    let expected =
        expected.map_err(|all| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
    assert_eq!(found, expected, "{model}");
}

#[test]
fn prepared_data_gives_a_plan_or_a_reason() {
    let features = InputShape::Features(2);
    let mlp = "model: { kind: mlp }";
    let norm = "model: { kind: mlp, norm: batch }";
    check_prepared(mlp, &prepared(features.clone(), 129, 30, 2), Ok((3, 1)));
    check_prepared(mlp, &prepared(features.clone(), 128, 30, 2), Ok((2, 64)));
    check_prepared(norm, &prepared(features.clone(), 130, 30, 2), Ok((3, 2)));
    check_prepared(
        norm,
        &prepared(features.clone(), 129, 30, 2),
        Err(&[
            "data.batch: 65 would do: batch normalisation needs 2 samples, and the last batch of 129 rows by 64 leaves 1",
        ]),
    );
    check_prepared(
        mlp,
        &prepared(features, 0, 0, 1),
        Err(&[
            "data.split.train: the split is empty",
            "data.split.valid: the split is empty",
            "data.label: has a single class in train",
        ]),
    );
    check_prepared(
        mlp,
        &prepared(InputShape::Bytes { context: 8 }, 100, 10, 2),
        Err(&["model.kind: mlp cannot read text"]),
    );
    check_prepared(
        mlp,
        &prepared(InputShape::Image([1, 8, 8]), 64, 10, 2),
        Ok((1, 64)),
    );
}

#[test]
fn features_keep_the_datasets_order() {
    let names = |data: &str| -> Vec<String> {
        let spec = spec_of(&format!(
            "{TABLE}data: {{ dataset: d, label: class, {data} }}"
        ));
        let columns = columns();
        let found = feature_columns(spec.data.as_ref().unwrap(), &columns);
        found.iter().map(|column| column.name.clone()).collect()
    };
    assert_eq!(names("drop: [photo, body]"), ["age", "height", "town"]);
    assert_eq!(names("features: [town, \"*e\"]"), ["age", "town"]);
    assert_eq!(
        names("image: { column: photo, shape: [1, 28, 28] }"),
        ["photo"]
    );
}
