//! Which files are read, and what is said about the ones that cannot be.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use bonfire_domain::spec::ColumnKind;

use crate::import::{ImportOptions, peek};

/// Reads a file of this name and content and compares its columns, or the error, `DIR` standing for its directory.
#[track_caller]
fn check(name: &str, content: impl AsRef<[u8]>, expected: Result<&str, &str>) {
    check_typed(name, content, &[], expected);
}

#[track_caller]
fn check_typed(
    name: &str,
    content: impl AsRef<[u8]>,
    types: &[(&str, ColumnKind)],
    expected: Result<&str, &str>,
) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    let options = ImportOptions {
        types: types.iter().map(|(n, k)| ((*n).to_owned(), *k)).collect(),
    };
    let found = look(&path, &options, directory.path());
    assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
}

fn look(path: &Path, options: &ImportOptions, directory: &Path) -> Result<String, String> {
    match peek(path, options) {
        Ok(seen) => {
            let columns = seen.columns.iter().map(|c| {
                let nulls = if c.nulls > 0 {
                    format!("-{}", c.nulls)
                } else {
                    String::new()
                };
                format!("{}:{}{nulls}", c.name, super::kind_name(Some(c.kind)))
            });
            let more = if seen.is_all { "" } else { "+" };
            Ok(format!(
                "{} {}{more}",
                columns.collect::<Vec<_>>().join(" "),
                seen.rows
            ))
        }
        Err(e) => Err(e.to_string().replace(&*directory.to_string_lossy(), "DIR")),
    }
}

#[test]
fn csv_is_read() {
    check(
        "a.csv",
        "a,b\n1,x\n2,\"y,\"\"z\"\n",
        Ok("a:numeric b:categorical 2"),
    );
    check(
        "a.csv",
        "\u{feff}a , b\r\n1,\r\n,2\r\nNaN,3",
        Ok("a:numeric-2 b:numeric-1 3"),
    );
    check("a.csv", "a\n9007199254740993\n1\n", Ok("a:categorical 2"));
    check(
        "a.csv",
        "a,b\n\"line\nbreak\",1\n",
        Ok("a:categorical b:numeric 1"),
    );
    check_typed(
        "a.csv",
        "zip\n02134\n",
        &[("zip", ColumnKind::Categorical)],
        Ok("zip:categorical 1"),
    );
    check_typed(
        "a.csv",
        "zip,t\n02134,\n",
        &[("t", ColumnKind::Text)],
        Ok("zip:numeric t:text 1"),
    );
    let long = format!("a\n{}", "1\n".repeat(5_000));
    check("a.csv", long, Ok("a:numeric 4096+"));
}

#[test]
fn words_for_a_missing_number() {
    for word in [
        "", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", " NA ",
    ] {
        check(
            "a.csv",
            format!("a,b\n1,2\n{word},3\n"),
            Ok("a:numeric-1 b:numeric 2"),
        );
        let types = [("a", ColumnKind::Numeric)];
        check_typed(
            "a.csv",
            format!("a,b\n{word},3\n"),
            &types,
            Ok("a:numeric-1 b:numeric 1"),
        );
        // Only an empty cell is missing among texts.
        let nulls = if word.is_empty() { "-1" } else { "" };
        let found = format!("a:categorical{nulls} 2");
        check("a.csv", format!("a\nx\n\"{word}\"\n"), Ok(found.as_str()));
    }
    check(
        "a.csv",
        "a,b\nNone,1\nNA,2\n",
        Ok("a:categorical b:numeric 2"),
    );
}

#[test]
fn numbers_with_a_mistake_among_them() {
    let column = |numbers: usize, other: &str| format!("a\n{}{other}\n", "1\n".repeat(numbers));
    check("a.csv", column(8, "x"), Ok("a:categorical 9"));
    check(
        "a.csv",
        column(9, "12O\nNA"),
        Err(
            "DIR/a.csv: line 11, row 10, column a: \"12O\" is not a number, and 9 of 10 values are: mend the cell, or say types: { a: categorical } (--type a=categorical)",
        ),
    );
    check(
        "a.csv",
        column(99, "9007199254740993"),
        Err(
            "DIR/a.csv: line 101, row 100, column a: \"9007199254740993\" has no exact f64, and 99 of 100 values are: mend the cell, or say types: { a: categorical } (--type a=categorical)",
        ),
    );
    let types = [("a", ColumnKind::Categorical)];
    check_typed("a.csv", column(9, "x"), &types, Ok("a:categorical 10"));
}

#[test]
fn sentences_are_text_and_categories_are_not() {
    let rows = |text: &dyn Fn(usize) -> String| {
        (0..30)
            .map(|i| format!("{},{}\n", i % 2, text(i)))
            .collect::<String>()
    };
    let csv = |text: &dyn Fn(usize) -> String| format!("y,t\n{}", rows(text));
    let sentence = |i: usize| format!("the film of the year {i} was long and very loud");
    check("a.csv", csv(&sentence), Ok("y:numeric t:text 30"));
    check(
        "a.csv",
        csv(&|i| sentence(i % 20)),
        Ok("y:numeric t:categorical 30"),
    );
    check(
        "a.csv",
        csv(&|i| format!("row {i}")),
        Ok("y:numeric t:categorical 30"),
    );
    let address = |i: usize| format!("https://example.org/a/rather/long/address/{i}");
    check("a.csv", csv(&address), Ok("y:numeric t:categorical 30"));
    let chinese = |i: usize| {
        format!(
            "\u{6211}\u{4eec}\u{6211}\u{4eec}\u{6211}\u{4eec}\u{6211}\u{4eec}\u{6211}\u{4eec}\u{6211}\u{4eec}\u{6211}\u{4eec}{i}"
        )
    };
    check("a.csv", csv(&chinese), Ok("y:numeric t:text 30"));
    let types = [("t", ColumnKind::Categorical)];
    check_typed(
        "a.csv",
        csv(&sentence),
        &types,
        Ok("y:numeric t:categorical 30"),
    );
    let json: String = (0..30)
        .map(|i| format!("{{\"t\":\"{}\"}}\n", sentence(i)))
        .collect();
    check("a.jsonl", json, Ok("t:text 30"));
}

#[test]
fn csv_is_refused_with_its_place() {
    check("a.csv", "", Err("DIR/a.csv: empty: there is no header"));
    check(
        "a.csv",
        "a,b\n",
        Err("DIR/a.csv: empty: there are no rows below the header"),
    );
    check(
        "a.csv",
        "1,2\n3,4\n",
        Err("DIR/a.csv: no header: the first line holds only numbers; put column names there"),
    );
    check(
        "a.csv",
        "a,b,a\n1,2,3\n",
        Err("DIR/a.csv: columns 1 and 3 are both named a"),
    );
    check("a.csv", ",b\n1,2\n", Err("DIR/a.csv: column 1 has no name"));
    check(
        "a.csv",
        "a,b\n1,2\n3\n",
        Err("DIR/a.csv: line 3, row 2: 1 values, the header has 2"),
    );
    check(
        "a.csv",
        "a,b\n1,2,3\n",
        Err("DIR/a.csv: line 2, row 1: 3 values, the header has 2"),
    );
    check(
        "a.csv",
        b"a,b\n1,2\n1,\xff\n",
        Err("DIR/a.csv: line 3, row 2, column b: not UTF-8: \"\u{fffd}\""),
    );
    check(
        "a.csv",
        b"a\xff,b\n1,2\n",
        Err("DIR/a.csv: the name of column 1 is not UTF-8"),
    );
    let types = [("a", ColumnKind::Numeric)];
    check_typed(
        "a.csv",
        "a\n1\nx\n",
        &types,
        Err("DIR/a.csv: line 3, row 2, column a: \"x\" is not a number: types says numeric"),
    );
    check_typed(
        "a.csv",
        "b\n1\n",
        &types,
        Err("DIR/a.csv: types: there is no column a; columns: b"),
    );
    let types = [("a", ColumnKind::Image)];
    check_typed(
        "a.csv",
        "a\n1\n",
        &types,
        Err(
            "DIR/a.csv: line 2, row 1, column a: a text cannot be an image: write JSON lines or Parquet with a list a row",
        ),
    );
}

#[test]
fn json_lines_are_read() {
    let text = "{\"a\":1,\"b\":\"x\"}\n\n{\"b\":\"y\",\"i\":[1,2,3]}\n";
    check("a.jsonl", text, Ok("a:numeric-1 b:categorical i:image-1 2"));
    check(
        "a.ndjson",
        "{\"t\":true}\n{\"t\":null}",
        Ok("t:categorical-1 2"),
    );
}

#[test]
fn json_lines_are_refused_with_their_place() {
    check(
        "a.jsonl",
        "{\"a\":1}\n{\"a\":\n",
        Err(
            "DIR/a.jsonl: line 2, row 2: not a JSON object: EOF while parsing a value at character 5",
        ),
    );
    check(
        "a.jsonl",
        "[1]\n",
        Err(
            "DIR/a.jsonl: line 1, row 1: not a JSON object: invalid type: sequence, expected a map at character 0",
        ),
    );
    check(
        "a.jsonl",
        "{\"a\":{}}\n",
        Err("DIR/a.jsonl: line 1, row 1, column a: a list or an object is not a text"),
    );
    check(
        "a.jsonl",
        "{\"i\":[1,2]}\n{\"i\":[1]}\n",
        Err(
            "DIR/a.jsonl: line 2, row 2, column i: an image of 1 numbers, the first one has 2; encoded images (png, jpeg) are not read in this version",
        ),
    );
    check(
        "a.jsonl",
        "{\"i\":[1,\"x\"]}\n",
        Err("DIR/a.jsonl: line 1, row 1, column i: \"x\" in an image is not a number"),
    );
    check(
        "a.jsonl",
        "\n",
        Err("DIR/a.jsonl: empty: there are no rows"),
    );
    check(
        "a.jsonl",
        "{}\n",
        Err("DIR/a.jsonl: empty: there are no columns"),
    );
}

#[test]
fn text_is_a_row_a_line() {
    check("a.txt", "one\n\nthree", Ok("text:text 3"));
    check(
        "a.txt",
        b"ok\n\xff\n",
        Err("DIR/a.txt: line 2, row 2: not UTF-8 after 0 bytes"),
    );
    check("a.txt", "", Err("DIR/a.txt: empty: there are no rows"));
}

#[test]
fn other_files_are_refused() {
    check(
        "a.xlsx",
        "",
        Err(
            "DIR/a.xlsx: unknown extension; what is read: .csv, .parquet, .jsonl, .ndjson and .txt",
        ),
    );
    check(
        "a.parquet",
        "PAR1 not really",
        Err(
            "DIR/a.parquet: not a readable Parquet file: Parquet error: Invalid Parquet file. Corrupt footer",
        ),
    );
}

/// Several files, read by directory or by pattern.
#[track_caller]
fn check_many(files: &[(&str, &str)], source: &str, expected: Result<&str, &str>) {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let found = look(
        &directory.path().join(source),
        &ImportOptions::default(),
        directory.path(),
    );
    assert_eq!(
        found,
        expected.map(str::to_owned).map_err(str::to_owned),
        "{source}"
    );
}

#[test]
fn directories_and_patterns_are_one_source() {
    let files = [
        ("d/a.csv", "x\n1\n"),
        ("d/b.csv", "x\n2\n3\n"),
        ("d/README.md", "no"),
        ("d/.hidden.csv", "y\n1\n"),
        ("d/deep/c.csv", "x\n4\n"),
    ];
    check_many(&files, "d", Ok("x:numeric 4"));
    check_many(&files, "d/*.csv", Ok("x:numeric 3"));
    check_many(&files, "*/[b-z].csv", Ok("x:numeric 2"));
    check_many(
        &files,
        "d/z*.csv",
        Err("DIR/d/z*.csv: no data files; what is read: .csv, .parquet, .jsonl, .ndjson and .txt"),
    );
    check_many(&files, "d/*", Ok("x:numeric 3"));
    let files = [("d/a.csv", "x\n1\n"), ("d/b.xls", ""), ("d/c.xls", "")];
    check_many(
        &files,
        "d/*",
        Err(
            "DIR/d/b.xls: unknown extension; what is read: .csv, .parquet, .jsonl, .ndjson and .txt",
        ),
    );
    check_many(
        &files,
        "e",
        Err("cannot read DIR/e: no such file or directory"),
    );
}

#[test]
fn what_is_about_the_data_is_not_data() {
    let csv = ("a.csv", "x\n1\n");
    for note in [
        "README.txt",
        "readme.txt",
        "LICENSE.txt",
        "Licence-data.txt",
        "LICENSE",
    ] {
        check_many(&[(note, "words\n"), csv], ".", Ok("x:numeric 1"));
    }
    check_many(
        &[("README.txt", "words\n"), ("book.txt", "one\ntwo\n")],
        ".",
        Ok("text:text 3"),
    );
    check_many(&[("README.txt", "words\n")], ".", Ok("text:text 1"));
    check_many(&[("readme.csv", "x\n2\n"), csv], ".", Ok("x:numeric 2"));
}

#[test]
fn the_file_that_differs_is_blamed() {
    let files = [
        ("a.txt", "words\n"),
        ("b.csv", "x\n1\n"),
        ("c.csv", "x\n2\n"),
    ];
    check_many(
        &files,
        ".",
        Err("DIR/./a.txt: not csv like DIR/./b.csv: a source has one format"),
    );
}

#[test]
fn files_of_a_source_agree() {
    check_many(
        &[("a.csv", "x,y\n1,2\n"), ("b.csv", "x,z\n1,2\n")],
        "*.csv",
        Err("DIR/b.csv: column 2 is z, in DIR/a.csv it is y"),
    );
    check_many(
        &[("a.csv", "x,y\n1,2\n"), ("b.csv", "x\n1\n")],
        "*.csv",
        Err("DIR/b.csv: column y is missing, DIR/a.csv has it"),
    );
    check_many(
        &[("a.csv", "x\n1\n"), ("b.csv", "x,y\n1,2\n")],
        "*.csv",
        Err("DIR/b.csv: column y is not in DIR/a.csv"),
    );
    check_many(
        &[("a.csv", "x\n1\n"), ("b.txt", "x\n")],
        ".",
        Err("DIR/./b.txt: not csv like DIR/./a.csv: a source has one format"),
    );
}

#[test]
fn the_rows_of_a_long_source_are_estimated_by_its_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.csv");
    let text: String = (0..50_000)
        .map(|i| format!("{},{}\n", i % 10, 10_000 + i % 90_000))
        .collect();
    fs::write(&path, format!("a,b\n{text}")).unwrap();
    let seen = peek(&path, &ImportOptions::default()).unwrap();
    assert_eq!((seen.rows, seen.is_all), (4_096, false));
    assert!(
        (45_000..=50_000).contains(&seen.rows_expected),
        "{}",
        seen.rows_expected
    );
}
