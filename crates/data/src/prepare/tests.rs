//! Splits, encodings, windows and refusals, read back through `Prepared`.
#![allow(clippy::unwrap_used)]

mod windows;

use std::fs;
use std::path::{Path, PathBuf};

use bonfire_domain::batch::{Batch, Input, Target};
use bonfire_domain::dataset::{Encoding, InputShape, OutputShape, PAD};
use bonfire_domain::spec::{ColumnKind, ImageColumn, Missing, Split, TextColumn};
use tempfile::TempDir;

use super::*;
use crate::import::{ImportOptions, import};
use crate::prepared::Prepared;

/// A dataset in a directory of blobs.
struct Made {
    directory: TempDir,
    dataset: DatasetManifest,
}

impl Made {
    fn of(source: &Path, types: &[(&str, ColumnKind)]) -> Made {
        let directory = tempfile::tempdir().unwrap();
        let options = ImportOptions {
            types: types.iter().map(|(n, k)| ((*n).to_owned(), *k)).collect(),
        };
        let dataset = import(source, &options, directory.path(), &mut |_| true).unwrap();
        Made { directory, dataset }
    }

    fn shipped(name: &str) -> Made {
        Made::of(&Path::new(".").join("../../configs/data").join(name), &[])
    }

    fn csv(content: &str, types: &[(&str, ColumnKind)]) -> Made {
        let source = tempfile::tempdir().unwrap();
        let path = source.path().join("a.csv");
        fs::write(&path, content).unwrap();
        Made::of(&path, types)
    }

    fn preparation(&self, task: Task, label: &str) -> Preparation {
        Preparation {
            version: self.dataset.version,
            task,
            label: (!label.is_empty()).then(|| label.to_owned()),
            split: Split {
                train: 0.8,
                valid: 0.2,
                seed: 7,
            },
            image: None,
            text: None,
            features: Vec::new(),
            drop: Vec::new(),
            missing: Missing::Error,
        }
    }

    fn blob(&self) -> impl Fn(&Digest) -> PathBuf + '_ {
        |digest| self.directory.path().join(digest.hex())
    }

    fn prepare(
        &self,
        preparation: &Preparation,
    ) -> Result<(PreparedManifest, Prepared), DataError> {
        let manifest = prepare(
            &self.dataset,
            preparation,
            &self.blob(),
            self.directory.path(),
            &mut |_| true,
        )?;
        let prepared = Prepared::open(&manifest, &self.blob())?;
        Ok((manifest, prepared))
    }
}

fn all(prepared: &Prepared) -> (Batch, Batch) {
    let (mut train, mut valid) = (Batch::default(), Batch::default());
    prepared.train_rows_batch(0..u64::MAX, &mut train);
    prepared.valid_batch(0..u64::MAX, &mut valid);
    (train, valid)
}

fn values(batch: &Batch) -> &[f32] {
    let Input::Values(values) = &batch.input else {
        panic!("{:?}", batch.input)
    };
    values
}

fn classes(batch: &Batch) -> &[i32] {
    let Target::Classes(classes) = &batch.target else {
        panic!("{:?}", batch.target)
    };
    classes
}

#[test]
fn digits_are_split_by_class_and_standardised() {
    let made = Made::shipped("digits.csv");
    let preparation = made.preparation(Task::Classification, "label");
    let (manifest, prepared) = made.prepare(&preparation).unwrap();
    assert_eq!(
        (manifest.input.clone(), manifest.row_bytes),
        (InputShape::Features(64), 260)
    );
    assert_eq!(manifest.train.rows + manifest.valid.rows, 1_797);
    let OutputShape::Classes { names, counts } = &manifest.output else {
        panic!()
    };
    assert_eq!(names.join(""), "0123456789");
    let (train, valid) = all(&prepared);
    for (class, count) in counts.iter().enumerate() {
        let rows = |batch: &Batch| {
            classes(batch)
                .iter()
                .filter(|c| **c == class as i32)
                .count() as u64
        };
        let (t, v) = (rows(&train), rows(&valid));
        assert_eq!(t, *count);
        assert_eq!(t, (0.8 * (t + v) as f64).round() as u64, "class {class}");
    }
    for feature in 0..64 {
        let column: Vec<f64> = values(&train)
            .iter()
            .skip(feature)
            .step_by(64)
            .map(|x| f64::from(*x))
            .collect();
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        let std =
            (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / column.len() as f64).sqrt();
        assert!(
            mean.abs() < 1e-5 && ((std - 1.0).abs() < 1e-4 || std == 0.0),
            "feature {feature}: {mean} {std}"
        );
    }
    let (again, _) = Made::shipped("digits.parquet")
        .prepare(&preparation)
        .unwrap();
    assert_eq!(again, manifest, "whoever prepares it, from whatever format");
    let mut other = preparation.clone();
    other.split.seed = 8;
    assert_ne!(made.prepare(&other).unwrap().0.train, manifest.train);
    assert_eq!(
        manifest.train.files[0].blob.digest.short(),
        "a4144c23337d",
        "these bytes are in every checkpoint"
    );
}

#[test]
fn images_keep_their_pixels() {
    let made = Made::shipped("digits-images.parquet");
    let mut preparation = made.preparation(Task::Classification, "label");
    preparation.image = Some(ImageColumn {
        column: "image".to_owned(),
        shape: [1, 8, 8],
    });
    let (manifest, prepared) = made.prepare(&preparation).unwrap();
    assert_eq!(manifest.input, InputShape::Image([1, 8, 8]));
    assert_eq!(
        manifest.encodings,
        [Encoding::Image {
            column: "image".to_owned(),
            scale: 1.0 / 16.0
        }]
    );
    let (train, _) = all(&prepared);
    assert_eq!(values(&train).len(), 64 * train.rows);
    assert!(
        values(&train)
            .iter()
            .all(|p| (0.0..=1.0).contains(p) && (p * 16.0).fract() == 0.0)
    );
    let table = Made::shipped("digits.csv");
    let (_, table) = table
        .prepare(&table.preparation(Task::Classification, "label"))
        .unwrap();
    assert_eq!(
        classes(&train),
        classes(&all(&table).0),
        "the split depends on the labels alone"
    );
}

#[test]
fn a_regression_standardises_its_target() {
    let made = Made::shipped("diabetes.parquet");
    let (manifest, prepared) = made
        .prepare(&made.preparation(Task::Regression, "target"))
        .unwrap();
    assert_eq!((manifest.train.rows, manifest.valid.rows), (354, 88));
    let OutputShape::Value { mean, std } = manifest.output else {
        panic!()
    };
    assert!(
        (100.0..200.0).contains(&mean) && (50.0..100.0).contains(&std),
        "{mean} {std}"
    );
    let Target::Values(targets) = all(&prepared).0.target else {
        panic!()
    };
    let sum: f64 = targets.iter().map(|t| f64::from(*t)).sum();
    assert!(sum.abs() < 1e-3, "{sum}");
}

#[test]
fn texts_with_a_number_are_tokens_and_a_standardised_target() {
    let made = Made::csv("t,y\na,1\nb,2\nc,3\nd,4\n", &[("t", ColumnKind::Text)]);
    let mut preparation = made.preparation(Task::Regression, "y");
    preparation.text = Some(TextColumn {
        column: "t".to_owned(),
        context: 2,
    });
    (preparation.split.train, preparation.split.valid) = (0.5, 0.5);
    let (manifest, prepared) = made.prepare(&preparation).unwrap();
    assert_eq!(
        (manifest.input, manifest.row_bytes),
        (InputShape::Bytes { context: 2 }, 8)
    );
    let OutputShape::Value { mean, std } = manifest.output else {
        panic!()
    };
    let (train, valid) = all(&prepared);
    for batch in [train, valid] {
        let (Input::Tokens(tokens), Target::Values(targets)) = (batch.input, batch.target) else {
            panic!()
        };
        assert_eq!((batch.rows, tokens.len(), targets.len()), (2, 4, 2));
        for (text, target) in tokens.chunks(2).zip(targets) {
            let value = f64::from(text[0] - 96);
            assert_eq!(text[1], i32::from(PAD));
            assert!((f64::from(target) - (value - mean) / std).abs() < 1e-6);
        }
    }
}

#[test]
fn texts_with_a_class_are_cut_and_padded() {
    let made = Made::csv(
        "t,label\nabcdef,x\ngh,y\nabcdef,x\ngh,y\n",
        &[("t", ColumnKind::Text)],
    );
    let mut preparation = made.preparation(Task::Classification, "label");
    preparation.text = Some(TextColumn {
        column: "t".to_owned(),
        context: 4,
    });
    let (manifest, prepared) = made.prepare(&preparation).unwrap();
    assert_eq!(
        (manifest.input, manifest.row_bytes),
        (InputShape::Bytes { context: 4 }, 12)
    );
    let (train, _) = all(&prepared);
    let Input::Tokens(tokens) = train.input else {
        panic!()
    };
    assert_eq!(tokens, [97, 98, 99, 100, 103, 104, PAD.into(), PAD.into()]);
}

#[test]
fn categories_are_one_hot_and_missing_values_follow_the_policy() {
    let csv = "n,c,label\n1,x,a\n2,,a\n,y,b\n4,y,b\n5,x,a\n6,y,b\n";
    let made = Made::csv(csv, &[]);
    let mut preparation = made.preparation(Task::Classification, "label");
    preparation.split.valid = 0.1;
    preparation.missing = Missing::Mean;
    let (manifest, prepared) = made.prepare(&preparation).unwrap();
    assert_eq!(manifest.input, InputShape::Features(3));
    let Encoding::Standardise { mean, fill, .. } = &manifest.encodings[0] else {
        panic!()
    };
    assert_eq!(mean, fill);
    assert_eq!(
        manifest.encodings[1],
        Encoding::OneHot {
            column: "c".to_owned(),
            values: vec!["x".to_owned(), "y".to_owned()]
        }
    );
    let (train, valid) = all(&prepared);
    assert_eq!((train.rows, valid.rows), (4, 2));
    let hot: Vec<&[f32]> = values(&train)
        .chunks(3)
        .chain(values(&valid).chunks(3))
        .map(|row| &row[1..])
        .collect();
    assert_eq!(
        hot.iter().filter(|h| **h == [0.0, 0.0]).count(),
        1,
        "the missing one: {hot:?}"
    );
    assert_eq!(hot.iter().filter(|h| **h == [1.0, 0.0]).count(), 2);
    preparation.missing = Missing::Drop;
    let (manifest, _) = made.prepare(&preparation).unwrap();
    assert_eq!(manifest.train.rows + manifest.valid.rows, 4);
}

#[track_caller]
fn check_refused(csv: &str, change: impl Fn(&mut Preparation), expected: &str) {
    let made = Made::csv(csv, &[]);
    let mut preparation = made.preparation(Task::Classification, "label");
    change(&mut preparation);
    let before = fs::read_dir(made.directory.path()).unwrap().count();
    let error = made
        .prepare(&preparation)
        .map(|(manifest, _)| manifest)
        .unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert!(error.is_users());
    assert_eq!(
        fs::read_dir(made.directory.path()).unwrap().count(),
        before,
        "nothing is left behind"
    );
}

const GOOD: &str = "n,label\n1,a\n2,a\n3,b\n4,b\n";

#[test]
fn what_the_data_cannot_give_is_refused() {
    check_refused(
        GOOD,
        |p| p.label = Some("lable".to_owned()),
        "label: there is no column lable; columns: n, label",
    );
    check_refused(
        GOOD,
        |p| p.label = None,
        "label: say which column is to be predicted",
    );
    check_refused(
        GOOD,
        |p| p.task = Task::Regression,
        "label: column label is not numeric, a regression needs a number",
    );
    check_refused(
        GOOD,
        |p| p.drop = vec!["*".to_owned()],
        "no features are left beside the label",
    );
    check_refused(
        GOOD,
        |p| p.features = vec!["x*".to_owned()],
        "features: no column is named x*",
    );
    check_refused(
        GOOD,
        |p| {
            p.image = Some(ImageColumn {
                column: "n".to_owned(),
                shape: [1, 1, 1],
            })
        },
        "image.column: column n holds no images but single values",
    );
    check_refused(
        GOOD,
        |p| {
            p.text = Some(TextColumn {
                column: "n".to_owned(),
                context: 4,
            })
        },
        "text.column: column n holds no text",
    );
    check_refused(
        "n,label\n1,a\n2,a\n",
        |_| {},
        "label: column label has a single class, a: there is nothing to tell apart",
    );
    check_refused(
        "n,label\n1,a\n2,a\n3,5\n",
        |_| {},
        "label: class 5 of column label has one row, which cannot be in both train and valid (2 classes in 3 rows): leave it out, or say task: regression if the label is a quantity",
    );
    check_refused(
        "n,label\n1,1\n2,2\n",
        |p| (p.task, p.split.train, p.split.valid) = (Task::Regression, 0.1, 0.9),
        "split: train gets none of the 2 usable rows",
    );
    check_refused(
        "n,label\n1,1\n2,2\n",
        |p| (p.task, p.split.valid) = (Task::Regression, 0.1),
        "split: valid gets none of the 2 usable rows",
    );
    check_refused(
        "n,label\n1,a\n,a\n3,b\n4,b\n",
        |_| {},
        "row 2, column n: no value: say missing: mean to fill it or missing: drop to leave such rows out",
    );
    check_refused(
        "n,label\n1,a\n2,\n3,b\n4,b\n",
        |p| p.missing = Missing::Mean,
        "row 2, column label: no value, and a label cannot be filled: say missing: drop",
    );
    check_refused(
        "n,label\n,a\n,a\n,b\n,b\n",
        |p| p.missing = Missing::Drop,
        "split: no usable rows",
    );
    check_refused(
        "n,label\n1,a\n2,a\n3,b\n-inf,b\n",
        |_| {},
        "row 4, column n: -inf is not a finite number",
    );
    check_refused(
        "n,label\n1,2\n2,inf\n",
        |p| p.task = Task::Regression,
        "row 2, column label: inf is not a finite number",
    );
    check_refused(
        "t\nab\n",
        |p| {
            (p.task, p.text) = (
                Task::LanguageModel,
                Some(TextColumn {
                    column: "t".to_owned(),
                    context: 8,
                }),
            )
        },
        "split: train gets 1 bytes, a window of text.context 8 needs 9",
    );
}

#[test]
fn damaged_files_are_named() {
    let made = Made::shipped("digits.csv");
    let preparation = made.preparation(Task::Classification, "label");
    let (manifest, _) = made.prepare(&preparation).unwrap();
    for (file, what) in [
        (manifest.valid.files[0].blob.digest, "prepared"),
        (made.dataset.files[0].blob.digest, "dataset"),
    ] {
        let path = made.directory.path().join(file.hex());
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = if what == "prepared" {
            Prepared::open(&manifest, &made.blob()).unwrap_err()
        } else {
            made.prepare(&preparation).map(|_| ()).unwrap_err()
        };
        assert!(
            matches!(&error, DataError::Damaged { path: p, .. } if *p == path),
            "{what}: {error}"
        );
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn several_blocks_are_one_dataset() {
    let rows: String = (0..9_000).map(|i| format!("{i},{}\n", i % 3)).collect();
    let made = Made::csv(&format!("n,label\n{rows}"), &[]);
    let mut preparation = made.preparation(Task::Classification, "label");
    preparation.split = Split {
        train: 0.5,
        valid: 0.25,
        seed: 1,
    };
    let (manifest, prepared) = made.prepare(&preparation).unwrap();
    assert_eq!((manifest.train.rows, manifest.valid.rows), (4_500, 2_250));
    let Encoding::Standardise { mean, std, .. } = manifest.encodings[0] else {
        panic!()
    };
    let (train, valid) = all(&prepared);
    let back = |batch: &Batch| {
        values(batch)
            .iter()
            .map(|x| (f64::from(*x) * std + mean).round() as i64)
            .collect::<Vec<_>>()
    };
    let (train_rows, valid_rows) = (back(&train), back(&valid));
    assert!(
        train_rows.is_sorted() && valid_rows.is_sorted(),
        "rows stay in their order"
    );
    let mut both: Vec<i64> = train_rows.iter().chain(&valid_rows).copied().collect();
    both.sort_unstable();
    both.dedup();
    assert_eq!(both.len(), 6_750, "no row is in both");
    assert!(
        classes(&train)
            .iter()
            .zip(&train_rows)
            .all(|(c, row)| i64::from(*c) == row % 3)
    );
}
