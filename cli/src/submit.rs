//! A spec's way into the fleet: its rows are imported and uploaded, then the sweep is created.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bonfire_data::{ImportOptions, Progress};
use bonfire_domain::Digest;
use bonfire_domain::dataset::DatasetManifest;
use bonfire_domain::fit::Rows;
use bonfire_domain::origin::Origin;
use bonfire_domain::spec::Spec;
use bonfire_domain::view::DatasetDocument;
use bonfire_proto::client::Fleet;
use bonfire_proto::wire::{AddDataset, Submit};

use crate::connect::Link;
use crate::documents;
use crate::origin;
use crate::output::Output;
use crate::output::errors::{Exit, Failure};
use crate::output::progress::Transfer;
use crate::signals::Signals;
use crate::spec_file::{Source, SpecFile};

/// How folders of imports begin, and the file in each that its process holds.
const IMPORT: &str = "import-";
const LOCK: &str = "lock";

/// A spec whose rows the fleet has.
#[derive(Clone, Debug)]
pub struct Submission {
    pub spec: Spec,
    pub dataset: Option<Digest>,
    pub origin: Origin,
}

impl Submission {
    /// What `run --resume` looks for.
    pub fn digest(&self) -> String {
        Digest::of(self.spec.canonical().as_bytes()).hex()
    }
}

/// Brings a spec's rows into the fleet and puts the dataset version into the spec.
///
/// # Errors
/// Rows that cannot be read, a spec that does not fit all of them, a fleet that cannot take them, Ctrl-C.
pub async fn prepare(
    link: &Link,
    file: &SpecFile,
    output: Output,
    signals: &mut Signals,
) -> Result<Submission, Failure> {
    let spec = file.spec.clone();
    let origin = origin::of(&file.path);
    let (name, manifest) = match &file.source {
        Source::None => {
            return Ok(Submission {
                spec,
                dataset: None,
                origin,
            });
        }
        Source::Files(source) => {
            let name = dataset_name(source).unwrap_or_else(|| spec.name.clone());
            let import = Import {
                source,
                options: file.import_options(),
                name: &name,
            };
            let manifest = import
                .run(link, output, signals, |m| {
                    file.fit(&m.columns, Rows::All(m.rows))
                })
                .await?;
            (name, manifest)
        }
        Source::Registered { name, version } => {
            let manifest = of_spec(&link.fleet, name, version.as_deref())
                .await
                .map_err(|e| as_request(e, file))?;
            file.fit(&manifest.columns, Rows::All(manifest.rows))?;
            (name.clone(), manifest)
        }
    };
    let mut spec = bonfire_domain::fit::complete(&spec, &manifest.columns);
    if let Some(data) = &mut spec.data {
        data.dataset = format!("{name}@{}", manifest.version.short());
    }
    Ok(Submission {
        spec,
        dataset: Some(manifest.version),
        origin,
    })
}

/// Creates the sweep and answers with its name.
///
/// # Errors
/// The fleet's refusal.
pub async fn submit(fleet: &Fleet, submission: &Submission) -> Result<String, Failure> {
    let submit = Submit {
        request: random()?,
        name: submission.spec.name.clone(),
        spec: submission.spec.canonical(),
        dataset: submission.dataset,
        fixed_name: false,
        origin: submission.origin.clone(),
    };
    Ok(fleet.submit(submit).await?)
}

/// A number nobody else draws: it makes a request that is sent twice count once.
///
/// # Errors
/// The system has no randomness.
pub fn random() -> Result<u64, Failure> {
    getrandom::u64().map_err(|e| Failure::failed(format!("no random number to be had: {e}")))
}

/// The dataset that a spec names, in full: a spec is read again when there are more datasets, and a prefix would come to mean
/// another.
///
/// # Errors
/// Exit 3 for a dataset or version that is not there.
pub async fn of_spec(
    fleet: &Fleet,
    name: &str,
    version: Option<&str>,
) -> Result<DatasetManifest, Failure> {
    let found = documents::dataset(fleet, name).await?.name;
    if found != name {
        let text = format!("no dataset is named {name} (did you mean {found}?)");
        return Err(Failure::missing(text));
    }
    registered(fleet, name, version).await
}

/// The manifest of a dataset the fleet has, at its newest version or the one whose digest begins so.
///
/// # Errors
/// Exit 3 for a dataset or version that is not there.
pub async fn registered(
    fleet: &Fleet,
    name: &str,
    version: Option<&str>,
) -> Result<DatasetManifest, Failure> {
    let document: DatasetDocument = documents::dataset(fleet, name).await?;
    let found = match version {
        None => Some(&document.version),
        Some(start) => document
            .versions
            .iter()
            .find(|v| !start.is_empty() && v.starts_with(start)),
    };
    let digest = found.and_then(|text| Digest::parse(text));
    let digest = digest.ok_or_else(|| {
        Failure::missing(format!(
            "dataset {name} has no version {}",
            version.unwrap_or_default()
        ))
        .next(format!("bonfire dataset show {name}"))
    })?;
    documents::manifest(fleet, digest).await
}

/// A dataset that a spec names and that is not there makes the spec wrong.
pub fn as_request(failure: Failure, file: &SpecFile) -> Failure {
    if failure.exit != Exit::NotFound {
        return failure;
    }
    let message = format!(
        "{}, and there is no such file beside the spec",
        failure.text
    );
    file.problems(vec![bonfire_domain::spec::Problem::at_path(
        "data.dataset",
        message,
    )])
}

/// A source to become a dataset version.
pub struct Import<'a> {
    pub source: &'a Path,
    pub options: ImportOptions,
    pub name: &'a str,
}

impl Import<'_> {
    /// Imports, asks `accept`, uploads what the fleet lacks, and registers the version.
    ///
    /// # Errors
    /// Rows that cannot be read, the refusal of `accept` or of the fleet, Ctrl-C.
    pub async fn run(
        &self,
        link: &Link,
        output: Output,
        signals: &mut Signals,
        accept: impl FnOnce(&DatasetManifest) -> Result<(), Failure>,
    ) -> Result<DatasetManifest, Failure> {
        let scratch = link.scratch();
        let made = std::fs::create_dir_all(&scratch).and_then(|()| {
            sweep(&scratch);
            let folder = tempfile::Builder::new()
                .prefix(IMPORT)
                .tempdir_in(&scratch)?;
            // Held as long as the folder is used.
            let lock = File::create(folder.path().join(LOCK))?;
            lock.try_lock()?;
            Ok((folder, lock))
        });
        let (folder, _lock) =
            made.map_err(|e| Failure::failed(format!("cannot write {}: {e}", scratch.display())))?;
        let manifest = self.import(folder.path(), output, signals).await?;
        accept(&manifest)?;
        tokio::select! {
            uploaded = upload(&link.fleet, &manifest, folder.path(), output) => uploaded?,
            () = signals.next() => return Err(interrupted()),
        }
        let json = serde_json::to_string(&manifest).map_err(|e| Failure::failed(e.to_string()))?;
        let add = AddDataset {
            name: self.name.to_owned(),
            manifest: json,
        };
        link.fleet.add_dataset(add).await?;
        Ok(manifest)
    }

    async fn import(
        &self,
        folder: &Path,
        output: Output,
        signals: &mut Signals,
    ) -> Result<DatasetManifest, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let (source, options) = (self.source.to_owned(), self.options.clone());
        let (folder, stopped) = (folder.to_owned(), Arc::clone(&stop));
        let mut task = tokio::task::spawn_blocking(move || {
            let mut transfer =
                Transfer::new(output, format!("reading {}", source.display()), "bytes");
            bonfire_data::import(&source, &options, &folder, &mut |progress| {
                let (Progress::Bytes { done, total } | Progress::Rows { done, total }) = progress;
                transfer.update(done, total);
                !stopped.load(Ordering::Relaxed)
            })
        });
        let result = tokio::select! {
            result = &mut task => result,
            () = signals.next() => {
                stop.store(true, Ordering::Relaxed);
                // What it wrote goes with its folder; nothing else is waited for.
                let _ = task.await;
                return Err(interrupted());
            }
        };
        let imported =
            result.map_err(|e| Failure::failed(format!("the import ended early: {e}")))?;
        Ok(imported?)
    }
}

/// Why a source that is a URL is not read.
pub fn no_url(written: &str) -> String {
    format!("{written}: reading from a URL is not in this version; download it and name the file")
}

fn interrupted() -> Failure {
    Failure::failed("interrupted before all rows were there; nothing is left of them")
}

/// Removes what imports left whose process was killed: nobody holds their lock. What cannot be removed costs space only.
fn sweep(scratch: &Path) {
    let Ok(entries) = std::fs::read_dir(scratch) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let is_ours = entry.file_name().to_string_lossy().starts_with(IMPORT);
        let lock = File::open(entry.path().join(LOCK));
        if is_ours && lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

async fn upload(
    fleet: &Fleet,
    manifest: &DatasetManifest,
    folder: &Path,
    output: Output,
) -> Result<(), Failure> {
    let blobs = fleet.blobs();
    let total: u64 = manifest.files.iter().map(|f| f.blob.bytes).sum();
    let mut transfer = Transfer::new(output, "uploading", "bytes");
    let mut done = 0;
    for file in &manifest.files {
        let digest = file.blob.digest;
        blobs.put_file(digest, &folder.join(digest.hex())).await?;
        done += file.blob.bytes;
        transfer.update(done, Some(total));
    }
    Ok(())
}

/// A name made of a file's or folder's: letters, digits and `-_.`; of a pattern, its folder's.
pub fn dataset_name(source: &Path) -> Option<String> {
    let text = source.to_str()?;
    let source = if text.contains(['*', '?', '[']) {
        source.parent()?
    } else {
        source
    };
    let stem = if source.is_dir() {
        source.file_name()?
    } else {
        source.file_stem()?
    };
    let kept = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = stem.to_str()?.chars().map(kept).take(64).collect();
    let name = name.trim_matches(['-', '.']).to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(source: &str, expected: Option<&str>) {
        assert_eq!(
            dataset_name(Path::new(source)).as_deref(),
            expected,
            "{source}"
        );
    }

    #[test]
    fn names_come_from_files() {
        check_name("configs/data/digits.csv", Some("digits"));
        check_name("a/my rows@2.parquet", Some("my-rows-2"));
        check_name("a/rows/*.csv", Some("rows"));
        check_name("*.csv", None);
        check_name("a/---.csv", None);
    }
}
