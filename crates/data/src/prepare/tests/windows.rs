//! What a language model reads.

use super::*;

#[test]
fn a_language_model_gets_windows_in_file_order() {
    let made = Made::shipped("moby_dick.txt");
    let mut preparation = made.preparation(Task::LanguageModel, "");
    preparation.text = Some(TextColumn {
        column: "text".to_owned(),
        context: 128,
    });
    let (manifest, prepared) = made.prepare(&preparation).unwrap();
    let text = fs::read(Path::new("../../configs/data/moby_dick.txt")).unwrap();
    let text = text.strip_suffix(b"\n").unwrap();
    let cut = text.len() * 8 / 10;
    assert_eq!(manifest.train.rows, (cut as u64 - 1) / 128);
    assert_eq!(manifest.valid.rows, ((text.len() - cut) as u64 - 1) / 128);
    let (train, valid) = all(&prepared);
    for (batch, start) in [(train, 0), (valid, cut)] {
        let (Input::Tokens(tokens), Target::Tokens(next)) = (batch.input, batch.target) else {
            panic!()
        };
        let byte = |at: usize| i32::from(text[start + at]);
        assert!(tokens.iter().enumerate().all(|(i, t)| *t == byte(i)));
        assert!(next.iter().enumerate().all(|(i, t)| *t == byte(i + 1)));
        assert_eq!(tokens.len(), 128 * batch.rows);
    }
}

/// The windows of train and of valid, each 3 bytes.
#[track_caller]
fn check(csv: &str, missing: Missing, expected: Result<(u64, u64), &str>) {
    let made = Made::csv(csv, &[("t", ColumnKind::Categorical)]);
    let mut preparation = made.preparation(Task::LanguageModel, "");
    preparation.missing = missing;
    preparation.text = Some(TextColumn {
        column: "t".to_owned(),
        context: 2,
    });
    let found = made.prepare(&preparation);
    let found = found.map(|(manifest, _)| (manifest.train.rows, manifest.valid.rows));
    let found = found.map_err(|e| e.to_string());
    assert_eq!(
        found,
        expected.map_err(str::to_owned),
        "{csv:?} {missing:?}"
    );
}

/// Texts are joined by line feeds; 8 of 10 bytes are train.
#[test]
fn a_missing_text_is_empty_or_left_out() {
    let csv = "t,n\naaaaaaaa,1\n,2\n,3\naaaaaaaa,4\n";
    check(csv, Missing::Mean, Ok((7, 1))); // 19 bytes: 15 and 4
    check(csv, Missing::Drop, Ok((6, 1))); // 17 bytes: 13 and 4
    check(
        "t,n\naaaaaa,1\naaaa,2\n",
        Missing::Mean,
        Ok((3, 1)), // 11 bytes: 8 and 3
    );
    check(
        "t,n\naaaaa,1\naaaa,2\n",
        Missing::Mean,
        Err("split: valid gets 2 bytes, a window of text.context 2 needs 3"),
    );
}
