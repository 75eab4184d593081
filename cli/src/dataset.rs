//! The `dataset` verbs.

use std::collections::BTreeMap;
use std::path::Path;

use bonfire_data::{ImportOptions, changes};
use bonfire_domain::dataset::{Column, DatasetManifest};
use bonfire_domain::spec::{ColumnKind, nearest};
use bonfire_domain::view::DatasetDocument;
use serde_json::json;

use crate::args::{AddFiles, DatasetVerb, Global};
use crate::connect::{Link, Need, is_gone};
use crate::documents;
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::progress::Transfer;
use crate::output::{Output, json, table, text};
use crate::signals::Signals;
use crate::submit::{self, Import};

/// Changes of a version that are shown as text.
const CHANGES_MAX: usize = 20;

pub async fn act(global: &Global, verb: &DatasetVerb) -> Outcome {
    match verb {
        DatasetVerb::Add(args) => add(global, args).await,
        DatasetVerb::List => list(global).await,
        DatasetVerb::Show(args) => show(global, &args.dataset).await,
        DatasetVerb::Verify(args) => verify(global, &args.dataset).await,
    }
}

async fn add(global: &Global, args: &AddFiles) -> Outcome {
    let output = Output::of(global);
    let options = ImportOptions {
        types: read_types(&args.types)?,
    };
    let source = args.source.to_string_lossy();
    if source.contains("://") {
        return Err(Failure::wrong(submit::no_url(&source)));
    }
    // What is wrong with the first rows is said before a name or a fleet is looked for.
    bonfire_data::peek(&args.source, &options)?;
    let name = match &args.name {
        Some(name) => checked_name(name)?,
        None => submit::dataset_name(&args.source).ok_or_else(|| {
            Failure::wrong(format!("{} gives no name", args.source.display()))
                .next("say one with --name")
        })?,
    };
    let mut signals = Signals::watch()?;
    let link = signals.unless(Link::open(global, Need::Write)).await?;
    let added = add_in(&link, &args.source, options, &name, output, &mut signals).await;
    link.close().await;
    let (document, lines) = added?;
    if output.is_json() {
        let mut shown = serde_json::to_value(&document).unwrap_or_default();
        shown["changes"] = json!(lines);
        json::print(output, &shown);
        return Ok(Exit::Done);
    }
    let short: String = document.version.chars().take(12).collect();
    let mut out = format!(
        "{name}@{short}: {}, {}, {}\n",
        text::count(document.rows, "row"),
        text::count(document.columns.len() as u64, "column"),
        text::bytes(document.bytes)
    );
    match &lines {
        None => {}
        Some(lines) if lines.is_empty() => out.push_str("the same as before\n"),
        Some(lines) => {
            out.push_str("changed since the version before:\n");
            for line in lines.iter().take(CHANGES_MAX) {
                out.push_str(&format!("  {line}\n"));
            }
            if lines.len() > CHANGES_MAX {
                let more = lines.len() - CHANGES_MAX;
                out.push_str(&format!("  and {more} more; all of them: -o json\n"));
            }
        }
    }
    output.print(&out);
    Ok(Exit::Done)
}

/// The dataset as it is now, and what the version changed if there was one before.
async fn add_in(
    link: &Link,
    source: &Path,
    options: ImportOptions,
    name: &str,
    output: Output,
    signals: &mut Signals,
) -> Result<(DatasetDocument, Option<Vec<String>>), Failure> {
    let rows = documents::get::<Vec<DatasetDocument>>(&link.fleet, documents::DATASETS).await?;
    // A selector would take another dataset whose name begins so.
    let before = match rows.iter().any(|row| row.name == name) {
        true => Some(submit::registered(&link.fleet, name, None).await?),
        false => None,
    };
    let import = Import {
        source,
        options,
        name,
    };
    let after = import.run(link, output, signals, |_| Ok(())).await?;
    let lines = before.map(|old: DatasetManifest| changes(&old, &after));
    let wanted = format!("{name}@{}", after.version.short());
    Ok((documents::dataset(&link.fleet, &wanted).await?, lines))
}

fn checked_name(name: &str) -> Result<String, Failure> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let first = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric());
    if first && name.len() <= 64 && name.chars().all(good) {
        return Ok(name.to_owned());
    }
    Err(Failure::wrong(format!(
        "{name:?} is not a dataset's name: letters, digits and -_. , at most 64"
    )))
}

fn read_types(types: &[(String, String)]) -> Result<BTreeMap<String, ColumnKind>, Failure> {
    const KINDS: [&str; 4] = ["numeric", "categorical", "text", "image"];
    let read = |(column, kind): &(String, String)| {
        let parsed = serde_json::from_value::<ColumnKind>(json!(kind));
        parsed.map(|kind| (column.clone(), kind)).map_err(|_| {
            let meant =
                nearest(kind, KINDS).map_or_else(String::new, |k| format!(", did you mean {k}?"));
            Failure::wrong(format!(
                "{kind:?} is no kind of column; there are {}{meant}",
                KINDS.join(", ")
            ))
        })
    };
    types.iter().map(read).collect()
}

async fn list(global: &Global) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let rows = documents::get::<Vec<DatasetDocument>>(&link.fleet, documents::DATASETS).await;
    link.close().await;
    let rows = rows?;
    match output.is_json() {
        true => json::print(output, &rows),
        false if rows.is_empty() => output.print("no datasets yet"),
        false => output.print(&table::datasets(&rows)),
    }
    Ok(Exit::Done)
}

async fn show(global: &Global, name: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let document = documents::dataset(&link.fleet, name).await;
    link.close().await;
    let document = document?;
    if output.is_json() {
        json::print(output, &document);
        return Ok(Exit::Done);
    }
    let facts = [
        ("dataset", document.name.clone()),
        ("version", document.version.clone()),
        ("versions", document.versions.len().to_string()),
        ("rows", document.rows.to_string()),
        (
            "files",
            format!("{} ({})", document.files, text::bytes(document.bytes)),
        ),
        ("source", document.source.clone()),
    ];
    let columns: Vec<Column> = document
        .columns
        .iter()
        .filter_map(|c| serde_json::from_value(c.clone()).ok())
        .collect();
    let rows = columns.iter().map(|c| {
        let kind = serde_json::to_value(c.kind)
            .ok()
            .and_then(|k| k.as_str().map(str::to_owned))
            .unwrap_or_default();
        let distinct = c.distinct.map_or_else(|| "-".to_owned(), |d| d.to_string());
        let top: Vec<&str> = c
            .top
            .iter()
            .take(3)
            .map(|(value, _)| value.as_str())
            .collect();
        let statistics = [c.min, c.max, c.mean, c.std].map(text::optional);
        let mut row = vec![text::cut(&c.name, 24), kind, c.nulls.to_string()];
        row.extend(statistics);
        row.extend([distinct, text::cut(&top.join(" "), 16)]);
        row
    });
    let header = [
        "column",
        "kind",
        "nulls",
        "min",
        "max",
        "mean",
        "std",
        "distinct",
        "most frequent",
    ];
    output.print(&format!(
        "{}\n{}",
        table::facts(&facts),
        table::table(&header, &[2, 3, 4, 5, 6, 7], rows)
    ));
    Ok(Exit::Done)
}

async fn verify(global: &Global, name: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let verified = verify_in(&link, name, output).await;
    link.close().await;
    let manifest = verified?;
    let bytes: u64 = manifest.files.iter().map(|f| f.blob.bytes).sum();
    match output.is_json() {
        true => json::print(
            output,
            &json!({
                "name": name, "version": manifest.version.hex(), "files": manifest.files.len(), "bytes": bytes, "whole": true
            }),
        ),
        false => output.print(&format!(
            "{name} is whole: {}, {}",
            text::count(manifest.files.len() as u64, "file"),
            text::bytes(bytes)
        )),
    }
    Ok(Exit::Done)
}

async fn verify_in(link: &Link, name: &str, output: Output) -> Result<DatasetManifest, Failure> {
    let (name, version) = name
        .split_once('@')
        .map_or((name, None), |(name, version)| (name, Some(version)));
    let manifest = submit::registered(&link.fleet, name, version).await?;
    let scratch =
        tempfile::tempdir().map_err(|e| Failure::failed(format!("no temporary folder: {e}")))?;
    let blobs = link.fleet.blobs();
    let total: u64 = manifest.files.iter().map(|f| f.blob.bytes).sum();
    let mut transfer = Transfer::new(output, "reading", "bytes");
    let mut done = 0;
    for file in &manifest.files {
        let path = scratch.path().join(file.blob.digest.hex());
        let fetched = blobs.get_file(file.blob.digest, &path).await;
        // One file at a time, so that a dataset needs the room of its largest.
        let _ = std::fs::remove_file(&path);
        fetched.map_err(|error| match is_gone(&error) {
            true => Failure::from(error),
            false => Failure::failed(error.to_string())
                .about(format!("file {}", file.blob.digest.short()))
                .next("bonfire dataset add with its source puts the rows there again"),
        })?;
        done += file.blob.bytes;
        transfer.update(done, Some(total));
    }
    Ok(manifest)
}
