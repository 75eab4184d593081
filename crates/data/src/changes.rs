//! What a new version of a dataset changed, in words.

use bonfire_domain::dataset::{Column, DatasetManifest};

/// Differences in rows, columns, kinds and statistics, one a line; empty if the versions are the same.
pub fn changes(old: &DatasetManifest, new: &DatasetManifest) -> Vec<String> {
    let mut lines = Vec::new();
    if old.version == new.version {
        return lines;
    }
    if old.rows != new.rows {
        lines.push(format!("rows: {} to {}", old.rows, new.rows));
    }
    for before in &old.columns {
        match new.columns.iter().find(|c| c.name == before.name) {
            None => lines.push(format!("column {}: removed", before.name)),
            Some(after) => lines.extend(column(before, after)),
        }
    }
    for added in new
        .columns
        .iter()
        .filter(|c| old.columns.iter().all(|o| o.name != c.name))
    {
        lines.push(format!("column {}: added", added.name));
    }
    if lines.is_empty() {
        lines.push(
            "values: other rows, or other ones in the same places, with the same statistics"
                .to_owned(),
        );
    }
    lines
}

fn column(before: &Column, after: &Column) -> Option<String> {
    let mut parts = Vec::new();
    if before.kind != after.kind {
        parts.push(format!("kind {} to {}", kind(before), kind(after)));
    }
    for (what, old, new) in [
        ("width", Some(before.width.into()), Some(after.width.into())),
        ("nulls", Some(before.nulls as f64), Some(after.nulls as f64)),
        ("min", before.min, after.min),
        ("max", before.max, after.max),
        ("mean", before.mean, after.mean),
        ("std", before.std, after.std),
        (
            "distinct",
            before.distinct.map(|d| d as f64),
            after.distinct.map(|d| d as f64),
        ),
    ] {
        if old != new {
            let show = |x: Option<f64>| x.map_or_else(|| "none".to_owned(), |x| format!("{x:.6}"));
            let trim = |s: String| {
                if s.contains('.') {
                    s.trim_end_matches('0').trim_end_matches('.').to_owned()
                } else {
                    s
                }
            };
            parts.push(format!("{what} {} to {}", trim(show(old)), trim(show(new))));
        }
    }
    if parts.is_empty() && before.top != after.top {
        parts.push("frequencies of its values".to_owned());
    }
    (!parts.is_empty()).then(|| format!("column {}: {}", before.name, parts.join(", ")))
}

fn kind(column: &Column) -> &'static str {
    crate::source::kind_name(Some(column.kind))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::import::{ImportOptions, import};

    fn manifest(csv: &str) -> DatasetManifest {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        std::fs::write(&path, csv).unwrap();
        import(
            &path,
            &ImportOptions::default(),
            directory.path(),
            &mut |_| true,
        )
        .unwrap()
    }

    #[track_caller]
    fn check(new: &str, expected: &[&str]) {
        assert_eq!(
            changes(&manifest("n,c\n1,x\n2,y\n"), &manifest(new)),
            expected
        );
    }

    #[test]
    fn differences_are_said_in_words() {
        check("n,c\n1,x\n2,y\n", &[]);
        check(
            "n,c\n2,y\n1,x\n",
            &["values: other rows, or other ones in the same places, with the same statistics"],
        );
        check("n,c\n1,x\n2,x\n", &["column c: distinct 2 to 1"]);
        check(
            "n,d\n1,x\n2,y\n,y\n",
            &[
                "rows: 2 to 3",
                "column n: nulls 0 to 1",
                "column c: removed",
                "column d: added",
            ],
        );
        check(
            "n,c\na,x\n2,y\n",
            &[
                "column n: kind numeric to categorical, min 1 to none, max 2 to none, mean 1.5 to none, std 0.5 to none",
            ],
        );
    }
}
