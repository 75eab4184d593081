//! The `trial artifact` verbs: files attached to a trial.

use std::path::Path;

use bonfire_domain::Digest;
use bonfire_domain::cluster::check_artifact_name;
use bonfire_domain::dataset::BlobRef;
use bonfire_domain::view::ArtifactDocument;
use bonfire_proto::wire::AddArtifact;
use bonfire_store::WholeFile;
use serde_json::json;

use crate::args::{AddFile, ArtifactVerb, GetFile, Global};
use crate::connect::{Link, Need};
use crate::documents;
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::{Output, json, table, text};

pub async fn act(global: &Global, verb: &ArtifactVerb) -> Outcome {
    match verb {
        ArtifactVerb::Add(args) => add(global, args).await,
        ArtifactVerb::List(args) => list(global, &args.trial).await,
        ArtifactVerb::Get(args) => get(global, args).await,
    }
}

async fn add(global: &Global, args: &AddFile) -> Outcome {
    let output = Output::of(global);
    let name = match &args.name {
        Some(name) => name.clone(),
        None => file_name(&args.file)?,
    };
    check_artifact_name(&name).map_err(|problem| {
        Failure::wrong(format!("{name:?} cannot name an artifact: {problem}"))
    })?;
    let blob = digest_of(&args.file)?;
    let link = Link::open(global, Need::Read).await?;
    let added = add_in(&link, args, name.clone(), blob).await;
    link.close().await;
    let trial = added?;
    match output.is_json() {
        true => json::print(
            output,
            &json!({ "trial": trial, "name": name, "bytes": blob.bytes, "digest": blob.digest.hex() }),
        ),
        false => output.print(&format!(
            "{name} ({}) is attached to {trial}",
            text::bytes(blob.bytes)
        )),
    }
    Ok(Exit::Done)
}

async fn add_in(
    link: &Link,
    args: &AddFile,
    name: String,
    blob: BlobRef,
) -> Result<String, Failure> {
    // Found first, so that nothing is uploaded for a trial that is not there.
    let trial = documents::trial(&link.fleet, &args.trial).await?.row.trial;
    let uploaded = link.fleet.blobs().put_file(blob.digest, &args.file).await;
    uploaded.map_err(|e| Failure::from(e).about(args.file.display()))?;
    let add = AddArtifact { trial, name, blob };
    Ok(link.fleet.add_artifact(add).await?)
}

fn file_name(file: &Path) -> Result<String, Failure> {
    let name = file.file_name().and_then(|name| name.to_str());
    let unnamed = || Failure::wrong(format!("{} has no name to take", file.display()));
    name.map(str::to_owned)
        .ok_or_else(|| unnamed().next("say --name NAME"))
}

fn digest_of(file: &Path) -> Result<BlobRef, Failure> {
    let failed = |e: std::io::Error| Failure::wrong(format!("cannot read {}: {e}", file.display()));
    let opened = std::fs::File::open(file).map_err(failed)?;
    let about = opened.metadata().map_err(failed)?;
    if !about.is_file() {
        let failure = Failure::wrong(format!("{} is no file", file.display()));
        return Err(
            failure.next("attach the files of a folder one by one, with --name FOLDER/FILE")
        );
    }
    bonfire_store::blob_of(opened).map_err(failed)
}

async fn list(global: &Global, selector: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let document = documents::trial(&link.fleet, selector).await;
    link.close().await;
    let artifacts = document?.artifacts;
    match output.is_json() {
        true => json::print(output, &artifacts),
        false if artifacts.is_empty() => output.print("no artifacts"),
        false => output.print(&rows(&artifacts)),
    }
    Ok(Exit::Done)
}

/// A table of them.
pub fn rows(artifacts: &[ArtifactDocument]) -> String {
    let row = |a: &ArtifactDocument| {
        vec![
            a.name.clone(),
            text::bytes(a.bytes),
            table::short_time(&a.added),
        ]
    };
    table::table(
        &["artifact", "size", "added"],
        &[1],
        artifacts.iter().map(row),
    )
}

async fn get(global: &Global, args: &GetFile) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let got = get_in(&link, args).await;
    link.close().await;
    let (artifact, file) = got?;
    match output.is_json() {
        true => json::print(
            output,
            &json!({ "name": artifact.name, "bytes": artifact.bytes, "file": file }),
        ),
        false => output.print(&format!("{} is written to {file}", artifact.name)),
    }
    Ok(Exit::Done)
}

async fn get_in(link: &Link, args: &GetFile) -> Result<(ArtifactDocument, String), Failure> {
    let document = documents::trial(&link.fleet, &args.trial).await?;
    let (trial, held) = (document.row.trial, document.artifacts);
    let found = held.into_iter().find(|a| a.name == args.name);
    let artifact = found.ok_or_else(|| {
        Failure::missing(format!("{trial} has no artifact {}", args.name)).next(format!(
            "see bonfire trial artifact list {trial}{}",
            link.flags()
        ))
    })?;
    let digest = Digest::parse(&artifact.digest)
        .ok_or_else(|| Failure::failed(format!("{} is not a digest", artifact.digest)))?;
    let last = artifact.name.rsplit('/').next().unwrap_or(&artifact.name);
    let file = args.file.clone().unwrap_or_else(|| last.into());
    let failed =
        |e: std::io::Error| Failure::failed(format!("cannot write {}: {e}", file.display()));
    let (target, permissions) = WholeFile::target(&file).map_err(failed)?;
    let written = link.fleet.blobs().get_file(digest, &target).await;
    written.map_err(|e| Failure::from(e).about(&artifact.name))?;
    if let Some(permissions) = permissions {
        std::fs::set_permissions(&target, permissions).map_err(failed)?;
    }
    Ok((artifact, file.display().to_string()))
}
