//! Which files a user means: one file, a directory or a pattern, all of one format, in the order of their paths. A readme or a
//! licence of another format is left out.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::error::DataError;
use bonfire_domain::glob;

/// Directories inside a directory that are followed.
const DEPTH_MAX: u32 = 16;
/// Files a source may have.
const FILES_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Parquet,
    JsonLines,
    Text,
}

impl Format {
    fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "parquet" => Some(Format::Parquet),
            "jsonl" | "ndjson" => Some(Format::JsonLines),
            "txt" => Some(Format::Text),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Parquet => "parquet",
            Format::JsonLines => "jsonl",
            Format::Text => "txt",
        }
    }
}

const READ: &str = "what is read: .csv, .parquet, .jsonl, .ndjson and .txt";

/// First words of names that are about the data.
const NOTES: [&str; 8] = [
    "readme",
    "license",
    "licence",
    "copying",
    "notice",
    "authors",
    "changelog",
    "citation",
];

/// The files of a source, sorted by path, at least one.
///
/// # Errors
/// Nothing there, an unknown extension, more than one format, a directory that cannot be listed.
pub(crate) fn resolve(source: &Path) -> Result<(Format, Vec<PathBuf>), DataError> {
    let text = source.to_string_lossy();
    let mut files = if source.is_file() {
        let format = Format::of(source)
            .ok_or_else(|| DataError::source(source, format!("unknown extension; {READ}")))?;
        return Ok((format, vec![source.to_owned()]));
    } else if source.is_dir() {
        let mut found = Vec::new();
        list(source, DEPTH_MAX, &mut found)?;
        found.retain(|f| Format::of(f).is_some());
        found
    } else if source.exists() {
        let problem = "no file and no folder: the rows of a pipe or a device cannot be read twice";
        return Err(DataError::source(source, problem));
    } else if glob::is_pattern(&text) {
        let mut found = expand(source)?;
        found.retain(|f| f.is_file());
        found
    } else {
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file or directory");
        return Err(DataError::read(source, error));
    };
    files.sort();
    leave_out_notes(&mut files);
    let Some(first) = files.first() else {
        return Err(DataError::source(source, format!("no data files; {READ}")));
    };
    let Some(format) = most_common(&files) else {
        let unknown = files.iter().find(|f| Format::of(f).is_none());
        let unknown = unknown.unwrap_or(first);
        return Err(DataError::source(
            unknown,
            format!("unknown extension; {READ}"),
        ));
    };
    if let Some(other) = files.iter().find(|f| Format::of(f) != Some(format)) {
        let like = files.iter().find(|f| Format::of(f) == Some(format));
        let problem = format!(
            "not {} like {}: a source has one format",
            format.name(),
            like.unwrap_or(first).display()
        );
        return Err(DataError::source(other, problem));
    }
    Ok((format, files))
}

/// Takes out what is written about the data, such as a README.txt beside CSV files: it has another format than the first
/// file that is none of these. Among files of one format everything is data.
fn leave_out_notes(files: &mut Vec<PathBuf>) {
    let data = files
        .iter()
        .find(|f| !is_note(f) && Format::of(f).is_some());
    if let Some(format) = data.and_then(|f| Format::of(f)) {
        files.retain(|f| !is_note(f) || Format::of(f) == Some(format));
    }
}

/// Whether a name begins with a word for what is read about data and not as data.
fn is_note(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let word = name.split(|c: char| !c.is_ascii_alphanumeric()).next();
    word.is_some_and(|word| NOTES.contains(&word))
}

/// The format that most files have, the first of equals; `None` if that is no format.
fn most_common(files: &[PathBuf]) -> Option<Format> {
    let count = |format| files.iter().filter(|f| Format::of(f) == format).count();
    let mut best = (None, 0);
    let mut seen = Vec::new();
    for format in files.iter().map(|f| Format::of(f)) {
        if !seen.contains(&format) {
            seen.push(format);
            let count = count(format);
            if count > best.1 {
                best = (format, count);
            }
        }
    }
    best.0
}

/// Files below a directory, hidden ones left out.
fn list(directory: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for path in entries(directory)? {
        if path.is_dir() {
            if depth > 0 {
                list(&path, depth - 1, found)?;
            }
        } else {
            push(directory, path, found)?;
        }
    }
    Ok(())
}

fn push(at: &Path, path: PathBuf, found: &mut Vec<PathBuf>) -> Result<(), DataError> {
    if found.len() >= FILES_MAX {
        return Err(DataError::source(
            at,
            format!("more than {FILES_MAX} files"),
        ));
    }
    found.push(path);
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| DataError::read(directory, e))? {
        let entry = entry.map_err(|e| DataError::read(directory, e))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// What a pattern names, component by component.
fn expand(pattern: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !glob::is_pattern(&text) {
            for path in &mut found {
                path.push(component);
            }
            found.retain(|p| p.as_os_str().is_empty() || p.exists());
            continue;
        }
        let mut next = Vec::new();
        for base in &found {
            let directory = if base.as_os_str().is_empty() {
                Path::new(".")
            } else {
                base
            };
            if !directory.is_dir() {
                continue;
            }
            for path in entries(directory)? {
                let name = path
                    .file_name()
                    .map(|n| n.to_string_lossy().into_owned())
                    .unwrap_or_default();
                if glob::matches(&text, &name) {
                    push(pattern, base.join(name), &mut next)?;
                }
            }
        }
        found = next;
    }
    Ok(found)
}
