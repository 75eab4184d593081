//! A spec's file: read, checked, its data looked at. What its paths mean is decided here, beside the file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bonfire_data::{DataError, ImportOptions, Peek};
use bonfire_domain::dataset::Column;
use bonfire_domain::fit::{Rows, complete, fit};
use bonfire_domain::spec::{Problem, Spec, TEXT_BYTES_MAX, check, render_problems};

use crate::args::SpecArgs;
use crate::output::errors::Failure;
use crate::output::text;
use crate::{locate, submit};

/// Extensions that make a name in `data.dataset` a file's.
const EXTENSIONS: [&str; 5] = ["csv", "parquet", "jsonl", "ndjson", "txt"];

/// A spec that is right by itself, and where its rows come from.
#[derive(Clone, Debug)]
pub struct SpecFile {
    pub path: PathBuf,
    pub spec: Spec,
    pub source: Source,
    text: Vec<u8>,
    /// What `--set` put in the place of what is written.
    overrides: Vec<(String, String)>,
}

/// Where a spec's rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The model needs none.
    None,
    /// A file, a directory or a pattern, from this process's working directory.
    Files(PathBuf),
    /// A dataset the fleet has.
    Registered {
        name: String,
        version: Option<String>,
    },
}

impl SpecFile {
    /// Reads and checks a spec with its overrides.
    ///
    /// # Errors
    /// A file that cannot be read, and every problem of the spec with its place.
    pub fn read(args: &SpecArgs) -> Result<SpecFile, Failure> {
        let path = args.spec.clone();
        let text = read_bounded(&path)?;
        let spec =
            check(&text, &args.overrides).map_err(|problems| refuse(&problems, &path, &text))?;
        let written = spec.data.as_ref().map(|data| data.dataset.as_str());
        let source = written.map_or(Ok(Source::None), |written| find_source(&path, written));
        let source = source.map_err(|message| {
            let problems = vec![Problem::at_path("data.dataset", message)];
            refuse_late(problems, &path, &text, &args.overrides)
        })?;
        Ok(SpecFile {
            path,
            spec,
            source,
            text,
            overrides: args.overrides.clone(),
        })
    }

    /// Looks at the header and the first rows of the files it names, and checks the spec against them.
    ///
    /// # Errors
    /// Files that cannot be read, and everything in the spec that does not fit them.
    pub fn look(&self) -> Result<Option<Peek>, Failure> {
        let Source::Files(source) = &self.source else {
            return Ok(None);
        };
        let seen =
            bonfire_data::peek(source, &self.import_options()).map_err(|e| self.data_failure(e))?;
        let rows = match seen.is_all {
            true => Rows::All(seen.rows),
            false => Rows::First(seen.rows),
        };
        self.fit(&seen.columns, rows)?;
        Ok(Some(seen))
    }

    /// Checks the spec against a dataset's columns.
    ///
    /// # Errors
    /// Everything that does not fit, with its place in the file.
    pub fn fit(&self, columns: &[Column], rows: Rows) -> Result<(), Failure> {
        fit(&complete(&self.spec, columns), columns, rows)
            .map_err(|problems| self.problems(problems))
    }

    /// Kinds of columns that the spec says.
    pub fn import_options(&self) -> ImportOptions {
        let types = self.spec.data.as_ref().map(|data| data.types.clone());
        ImportOptions {
            types: types.unwrap_or_default(),
        }
    }

    /// Problems that were found beside the data.
    pub fn problems(&self, problems: Vec<Problem>) -> Failure {
        refuse_late(problems, &self.path, &self.text, &self.overrides)
    }

    /// A source that is not there, or not fit for the spec as a whole, is the spec's mistake, with its place. A row that is wrong
    /// has a place of its own, and a file that cannot be read speaks for itself.
    pub fn data_failure(&self, error: DataError) -> Failure {
        match &error {
            DataError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                self.problems(vec![Problem::at_path("data.dataset", error.to_string())])
            }
            DataError::Source { .. } => {
                self.problems(vec![Problem::at_path("data.dataset", error.to_string())])
            }
            DataError::Types { .. } => {
                self.problems(vec![Problem::at_path("data.types", error.to_string())])
            }
            _ => Failure::from(error),
        }
    }
}

/// Refuses for what shows only beside the data: at the place of the field, or at the `--set` that wrote it.
fn refuse_late(
    problems: Vec<Problem>,
    path: &Path,
    text: &[u8],
    overrides: &[(String, String)],
) -> Failure {
    let said = |problem: &Problem| {
        let is_at = |(path, _): &&(String, String)| {
            let rest = problem.path.strip_prefix(path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        overrides.iter().rfind(is_at)
    };
    let (mut set, mut written): (Vec<_>, Vec<_>) = problems
        .into_iter()
        .partition(|problem| said(problem).is_some());
    for problem in &mut set {
        if let Some((path, value)) = said(problem) {
            problem.message = format!("--set {path}={value}: {}", problem.message);
        }
    }
    locate::place(&mut written, &String::from_utf8_lossy(text));
    written.append(&mut set);
    refuse(&written, path, text)
}

fn refuse(problems: &[Problem], path: &Path, text: &[u8]) -> Failure {
    let file = path.display().to_string();
    let count = text::count(problems.len() as u64, "problem");
    Failure::wrong(format!("{count} in {file}")).before(render_problems(problems, &file, text))
}

/// Reads a file up to one byte more than a spec may have, so that a larger one is refused and not read.
fn read_bounded(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |e: std::io::Error| Failure::wrong(format!("cannot read {}: {e}", path.display()));
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(TEXT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    Ok(text)
}

/// Paths are relative to the spec's own file; a bare word that is no file is a registered dataset.
fn find_source(spec: &Path, written: &str) -> Result<Source, String> {
    if written.contains("://") {
        return Err(submit::no_url(written));
    }
    let path = spec.parent().unwrap_or(Path::new("")).join(written);
    // Without the `.` in the middle of it.
    let path: PathBuf = path.components().collect();
    let extension = Path::new(written)
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let looks_like_files = written.contains(['/', '*', '?', '['])
        || written.starts_with('.')
        || EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str());
    if looks_like_files || path.exists() {
        return Ok(Source::Files(path));
    }
    let (name, version) = match written.split_once('@') {
        Some((name, version)) => (name, Some(version.to_owned())),
        None => (written, None),
    };
    Ok(Source::Registered {
        name: name.to_owned(),
        version,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check_source(written: &str, expected: Result<Source, &str>) {
        match (find_source(Path::new("configs/a.yaml"), written), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{written}"),
            (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn paths_are_told_from_names() {
        let files = |path: &str| Ok(Source::Files(PathBuf::from(path)));
        let registered = |name: &str, version: Option<&str>| {
            Ok(Source::Registered {
                name: name.into(),
                version: version.map(Into::into),
            })
        };
        check_source("./data/d.csv", files("configs/data/d.csv"));
        check_source("d.parquet", files("configs/d.parquet"));
        check_source("*.csv", files("configs/*.csv"));
        check_source("/data/d", files("/data/d"));
        check_source("digits", registered("digits", None));
        check_source(
            "digits@0123456789ab",
            registered("digits", Some("0123456789ab")),
        );
        check_source("https://a.b/c.csv", Err("not in this version"));
    }

    #[test]
    fn problems_beside_the_data_have_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        let text = "kind: sweep\nversion: 1\nname: a\ntask: classification\nmodel: { kind: linear }\ndata:\n  dataset: none.csv\n  label: y\n";
        std::fs::write(&path, text).unwrap();
        let args = SpecArgs {
            spec: path.clone(),
            overrides: vec![],
        };
        let found = SpecFile::read(&args)
            .unwrap()
            .look()
            .unwrap_err()
            .to_string();
        assert!(
            found.contains("a.yaml:7:12: data.dataset: cannot read"),
            "{found}"
        );
        std::fs::write(dir.path().join("none.csv"), "x,z\n1,a\n2,b\n").unwrap();
        let found = SpecFile::read(&args)
            .unwrap()
            .look()
            .unwrap_err()
            .to_string();
        assert!(found.contains("a.yaml:8:10: data.label"), "{found}");
    }
}
