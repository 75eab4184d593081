//! Versions, statistics, real files, and what happens when the disk is full.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bonfire_domain::dataset::DatasetManifest;
use bonfire_domain::spec::ColumnKind;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::blob::{Out, Sink};
use crate::table::{Cell, TableFormat, write_table};

fn shipped(name: &str) -> PathBuf {
    Path::new(".").join("../../configs/data").join(name)
}

fn go(
    source: &Path,
    types: &[(&str, ColumnKind)],
) -> Result<(DatasetManifest, TempDir), DataError> {
    let out = tempfile::tempdir().unwrap();
    let options = ImportOptions {
        types: types.iter().map(|(n, k)| ((*n).to_owned(), *k)).collect(),
    };
    import(source, &options, out.path(), &mut |_| true).map(|manifest| (manifest, out))
}

fn written(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    path
}

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn digits_are_the_same_version_from_csv_and_parquet() {
    let (csv, files) = go(&shipped("digits.csv"), &[]).unwrap();
    let (parquet, _) = go(&shipped("digits.parquet"), &[]).unwrap();
    assert_eq!(csv.version, parquet.version);
    assert_eq!(csv.columns, parquet.columns);
    assert_eq!(
        csv.files, parquet.files,
        "the same rows make the same bytes"
    );
    assert_ne!(csv.source_digest, parquet.source_digest);
    assert_eq!((csv.rows, csv.columns.len()), (1_797, 65));
    let label = &csv.columns[64];
    assert_eq!(
        (label.name.as_str(), label.distinct, label.nulls),
        ("label", Some(10), 0)
    );
    assert_eq!(label.top[0], ("3".to_owned(), 183));
    assert_eq!((label.min, label.max), (Some(0.0), Some(9.0)));
    assert_eq!(names(files.path()), [csv.files[0].blob.digest.hex()]);
    let bytes = fs::read(files.path().join(csv.files[0].blob.digest.hex())).unwrap();
    assert_eq!(blake3::hash(&bytes).as_bytes(), &csv.files[0].blob.digest.0);
    assert_eq!(bytes.len() as u64, csv.files[0].blob.bytes);
}

#[test]
fn the_first_hole_and_the_first_infinite_number_have_their_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.csv");
    let row = |i: u32| match i {
        4_200 | 4_300 => format!("inf,{i},a\n"),
        4_500 | 4_600 => format!("{i},,\n"),
        _ => format!("{i},{i},b\n"),
    };
    let text: String = (1..5_000).map(row).collect();
    fs::write(&path, format!("x,y,z\n{text}")).unwrap();
    let (found, _) = go(&path, &[]).unwrap();
    let places: Vec<_> = found
        .columns
        .iter()
        .map(|c| (c.first_infinite, c.first_null, c.nulls))
        .collect();
    let holes = (None, Some(4_500), 2);
    assert_eq!(places, [(Some(4_200), None, 0), holes, holes]);
}

#[test]
fn the_other_shipped_files_are_read() {
    let (images, _) = go(&shipped("digits-images.parquet"), &[]).unwrap();
    assert_eq!(
        (images.rows, images.columns[0].kind, images.columns[0].width),
        (1_797, ColumnKind::Image, 64)
    );
    let (diabetes, _) = go(&shipped("diabetes.parquet"), &[]).unwrap();
    assert_eq!((diabetes.rows, diabetes.columns.len()), (442, 11));
    assert!(
        diabetes
            .columns
            .iter()
            .all(|c| c.kind == ColumnKind::Numeric)
    );
    let (text, _) = go(&shipped("moby_dick.txt"), &[]).unwrap();
    assert_eq!(
        text.rows,
        fs::read_to_string(shipped("moby_dick.txt"))
            .unwrap()
            .lines()
            .count() as u64
    );
    assert_eq!(text.columns[0].kind, ColumnKind::Text);
}

#[test]
fn rows_decide_the_version_and_formats_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let csv = written(at, "a.csv", "n,c\n1,x\n,y\n2.5,\n");
    let json = written(
        at,
        "a.jsonl",
        "{\"n\":1,\"c\":\"x\"}\n{\"n\":null,\"c\":\"y\"}\n{\"n\":2.5}\n",
    );
    let parquet = at.join("a.parquet");
    let text = |s: &str| Cell::Text(s.to_owned());
    let n = vec![Cell::Real(1.0), Cell::Real(f64::NAN), Cell::Real(2.5)];
    let c = vec![text("x"), text("y"), Cell::Null];
    write_table(
        &parquet,
        &[("n".to_owned(), n), ("c".to_owned(), c)],
        TableFormat::Parquet,
    )
    .unwrap();
    let version = |path: &Path, types: &[(&str, ColumnKind)]| go(path, types).unwrap().0.version;
    let expected = version(&csv, &[]);
    assert_eq!(version(&json, &[]), expected);
    assert_eq!(version(&parquet, &[]), expected);
    let parts = at.join("parts");
    fs::create_dir(&parts).unwrap();
    written(&parts, "1.csv", "n,c\n1,x\n");
    written(&parts, "2.csv", "n,c\n,y\n2.5,\n");
    assert_eq!(version(&parts, &[]), expected);
    assert_ne!(version(&csv, &[("n", ColumnKind::Categorical)]), expected);
    assert_ne!(
        version(&written(at, "b.csv", "n,c\n1,x\n,y\n2.25,\n"), &[]),
        expected
    );
    assert_ne!(
        version(&written(at, "b.csv", "n,d\n1,x\n,y\n2.5,\n"), &[]),
        expected
    );
    assert_ne!(
        version(&written(at, "b.csv", "n,c\n,y\n1,x\n2.5,\n"), &[]),
        expected
    );
}

#[test]
fn statistics_are_over_all_rows() {
    let directory = tempfile::tempdir().unwrap();
    let rows: String = (0..10_000)
        .map(|i| format!("{i},{}\n", if i % 3 == 0 { "a" } else { "b" }))
        .collect();
    let (manifest, out) = go(
        &written(directory.path(), "a.csv", format!("n,c\n{rows}")),
        &[],
    )
    .unwrap();
    let n = &manifest.columns[0];
    assert_eq!(
        (n.min, n.max, n.mean, n.distinct),
        (Some(0.0), Some(9_999.0), Some(4_999.5), Some(10_000))
    );
    assert!((n.std.unwrap() - 2_886.751_331_514_37).abs() < 1e-6);
    assert_eq!(
        manifest.columns[1].top,
        [("b".to_owned(), 6_666), ("a".to_owned(), 3_334)]
    );
    let file = fs::File::open(out.path().join(manifest.files[0].blob.digest.hex())).unwrap();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let groups: Vec<i64> = reader
        .metadata()
        .row_groups()
        .iter()
        .map(|g| g.num_rows())
        .collect();
    assert_eq!(groups, [4_096, 4_096, 1_808]);
}

#[test]
fn distinct_values_are_counted_up_to_a_bound() {
    let directory = tempfile::tempdir().unwrap();
    let rows: String = (0..70_000)
        .map(|i| format!("{i},{}\n", i % 65_536))
        .collect();
    let (manifest, _) = go(
        &written(directory.path(), "a.csv", format!("n,m\n{rows}")),
        &[],
    )
    .unwrap();
    assert_eq!(
        (manifest.columns[0].distinct, manifest.columns[1].distinct),
        (None, Some(65_536))
    );
}

#[test]
fn a_late_text_in_a_numeric_column_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(
        directory.path(),
        "a.csv",
        format!("n\n{}x\n", "1\n".repeat(4_100)),
    );
    let error = go(&path, &[]).unwrap_err().to_string();
    assert!(error.ends_with("a.csv: line 4102, row 4101, column n: \"x\" is not a number: override with types: { n: categorical }"), "{error}");
    assert_eq!(
        go(&path, &[("n", ColumnKind::Categorical)]).unwrap().0.rows,
        4_101
    );
}

#[test]
fn a_late_word_for_a_missing_number_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("n\n{}NA\n2\n", "1\n".repeat(4_100));
    let (found, _) = go(&written(directory.path(), "a.csv", text), &[]).unwrap();
    let n = &found.columns[0];
    assert_eq!((n.nulls, n.first_null, n.max), (1, Some(4_101), Some(2.0)));
    assert_eq!(n.bytes, None);
}

#[test]
fn sentences_are_text_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let sentence = |i: usize| format!("it was the best of {i} times, it was the worst of times");
    let rows = |row: &dyn Fn(usize) -> String| (0..30).map(row).collect::<String>();
    let csv = format!("t\n{}", rows(&|i| format!("\"{}\"\n", sentence(i))));
    let json = rows(&|i| format!("{{\"t\":\"{}\"}}\n", sentence(i)));
    let parquet = at.join("a.parquet");
    let cells = (0..30).map(|i| Cell::Text(sentence(i))).collect();
    write_table(&parquet, &[("t".to_owned(), cells)], TableFormat::Parquet).unwrap();
    let bytes: usize = (0..30).map(|i| sentence(i).len()).sum();
    for path in [
        written(at, "a.csv", csv),
        written(at, "a.jsonl", json),
        parquet,
    ] {
        let (found, _) = go(&path, &[]).unwrap();
        let t = &found.columns[0];
        assert_eq!((t.kind, t.bytes), (ColumnKind::Text, Some(bytes as u64)));
    }
}

#[test]
fn a_cancelled_import_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    let error = import(
        &shipped("digits.csv"),
        &ImportOptions::default(),
        out.path(),
        &mut |_| false,
    )
    .unwrap_err();
    assert!(matches!(error, DataError::Cancelled), "{error}");
    assert!(names(out.path()).is_empty(), "{:?}", names(out.path()));
}

/// A disk with room for so many bytes.
struct Small(fs::File, Arc<AtomicU64>);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.1.load(Ordering::Relaxed))
            .unwrap()
            .min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.fetch_sub(room as u64, Ordering::Relaxed);
        self.0.write(&bytes[..room])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Small {
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing() {
    let (whole, _) = go(&shipped("digits.csv"), &[]).unwrap();
    let needed = whole.files[0].blob.bytes;
    for room in [0, 1, 1_000, needed / 2, needed - 1] {
        let directory = tempfile::tempdir().unwrap();
        let left = Arc::new(AtomicU64::new(room));
        let create = move |path: &Path| -> io::Result<Box<dyn Sink>> {
            Ok(Box::new(Small(fs::File::create_new(path)?, left.clone())))
        };
        let out = Out::with(directory.path(), Box::new(create)).unwrap();
        let error = import_into(
            &shipped("digits.csv"),
            &ImportOptions::default(),
            out,
            &mut |_| true,
        )
        .unwrap_err();
        let DataError::Write { path, source } = &error else {
            panic!("room {room}: {error}")
        };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull, "room {room}");
        assert!(
            path.starts_with(directory.path()),
            "room {room}: {}",
            path.display()
        );
        assert!(names(directory.path()).is_empty(), "room {room}");
    }
    go(&shipped("digits.csv"), &[]).unwrap();
}

/// Reads junk under an extension; whatever it is, an answer comes back.
fn try_junk(extension: &str, bytes: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), &format!("junk.{extension}"), bytes);
    let out = directory.path().join("out");
    let result = import(&path, &ImportOptions::default(), &out, &mut |_| true);
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
        assert!(names(&out).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn junk_is_refused_or_read_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for extension in ["csv", "jsonl", "txt", "parquet"] {
            try_junk(extension, &bytes);
        }
    }

    #[test]
    fn printable_junk_neither(text in "[a-c0-9,.\"\\{\\}\\[\\]: \n\re-]{0,120}") {
        for extension in ["csv", "jsonl"] {
            try_junk(extension, text.as_bytes());
        }
    }

    #[test]
    fn damaged_parquet_neither(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<Option<prop::sample::Index>>()) {
        let mut bytes = fs::read(shipped("diabetes.parquet")).unwrap();
        for (index, to) in flips {
            let at = index.index(bytes.len());
            bytes[at] = to;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        try_junk("parquet", &bytes);
    }
}
