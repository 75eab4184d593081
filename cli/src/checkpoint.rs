//! The `checkpoint` verbs.

use bonfire_domain::Digest;
use bonfire_domain::checkpoint::CheckpointManifest;
use bonfire_domain::view::CheckpointDocument;
use bonfire_proto::client::ClientError;
use bonfire_proto::wire::DeleteCheckpoint;
use serde_json::json;

use crate::args::{CheckpointVerb, Global};
use crate::connect::{Link, Need};
use crate::documents;
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::{Output, json, table, text};
use crate::weights;

/// Largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

pub async fn act(global: &Global, verb: &CheckpointVerb) -> Outcome {
    match verb {
        CheckpointVerb::List { of } => list(global, of).await,
        CheckpointVerb::Show(args) => show(global, &args.checkpoint, args.best).await,
        CheckpointVerb::Verify(args) => verify(global, &args.checkpoint, args.best).await,
        CheckpointVerb::Export(args) => weights::export(global, args).await,
        CheckpointVerb::Delete { checkpoint } => delete(global, checkpoint).await,
        CheckpointVerb::Diff { a, b } => weights::diff(global, a, b).await,
    }
}

/// A checkpoint's manifest.
///
/// # Errors
/// A checkpoint without one (`noop`), or a manifest that is damaged.
pub async fn manifest(link: &Link, of: &CheckpointDocument) -> Result<CheckpointManifest, Failure> {
    let Some(hex) = &of.manifest else {
        return Err(Failure::failed(format!(
            "{} holds no weights: its model has none",
            of.checkpoint
        )));
    };
    let digest =
        Digest::parse(hex).ok_or_else(|| Failure::failed(format!("{hex} is not a digest")))?;
    let bytes = link.fleet.blobs().get(digest, MANIFEST_BYTES_MAX).await;
    let bytes = bytes
        .map_err(|e| lost(e, digest, &of.trial).about(format!("manifest of {}", of.checkpoint)))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Failure::failed(format!("manifest of {}: {e}", of.checkpoint)))
}

/// A part of a checkpoint that cannot be had: what the user named exists, so a blob that does not is a failure.
pub fn lost(error: ClientError, digest: Digest, trial: &str) -> Failure {
    let failure = match error {
        ClientError::NotFound(_) => Failure::failed(format!(
            "blob {} is gone from the coordinator's blobs, or was damaged and set aside there",
            digest.hex()
        )),
        error => Failure::from(error),
    };
    failure.next(format!(
        "take another checkpoint, those before it may be whole: see bonfire checkpoint list {trial}"
    ))
}

/// The metrics of a manifest that are measurements; the others are what an epoch goes on from in its middle.
pub fn metrics(manifest: &CheckpointManifest) -> impl Iterator<Item = &(String, f64)> {
    let is_state = |key: &str| key.starts_with("epoch_");
    manifest
        .metrics
        .iter()
        .filter(move |(key, _)| !is_state(key))
}

async fn list(global: &Global, of: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let found = list_in(&link, of).await;
    link.close().await;
    let found = found?;
    match output.is_json() {
        true => json::print(output, &found),
        false if found.is_empty() => output.print("no checkpoints"),
        false => output.print(&table::checkpoints(&found, "value")),
    }
    Ok(Exit::Done)
}

async fn list_in(link: &Link, of: &str) -> Result<Vec<CheckpointDocument>, Failure> {
    if of.contains('/') {
        return Ok(documents::trial(&link.fleet, of).await?.checkpoints);
    }
    let mut found = Vec::new();
    for trial in documents::sweep(&link.fleet, of).await?.trials {
        found.extend(
            documents::trial(&link.fleet, &trial.trial)
                .await?
                .checkpoints,
        );
    }
    Ok(found)
}

async fn show(global: &Global, checkpoint: &str, best: bool) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let shown = show_in(&link, checkpoint, best).await;
    link.close().await;
    let (document, manifest) = shown?;
    if output.is_json() {
        let mut shown = serde_json::to_value(&document).unwrap_or_default();
        shown["contents"] = json!(manifest);
        json::print(output, &shown);
        return Ok(Exit::Done);
    }
    let mut facts = vec![
        ("checkpoint", document.checkpoint.clone()),
        ("step", document.step.to_string()),
        ("epoch", document.epoch.to_string()),
        ("value", text::optional(document.value)),
        ("size", text::bytes(document.bytes)),
        ("written", table::short_time(&document.written)),
    ];
    if let Some(manifest) = &manifest {
        facts.push(("spec", manifest.spec.short()));
        facts.push(("numerics", manifest.numerics.clone()));
        facts.push((
            "exact",
            if manifest.exact { "yes" } else { "no" }.to_owned(),
        ));
        facts.extend(manifest.threads.map(|n| ("threads", n.to_string())));
        for part in &manifest.parts {
            facts.push((
                "part",
                format!(
                    "{} ({}, {})",
                    part.name,
                    text::bytes(part.bytes),
                    text::count(part.chunks.len() as u64, "chunk")
                ),
            ));
        }
        for (key, value) in metrics(manifest) {
            facts.push(("metric", format!("{key} {}", text::number(*value))));
        }
    }
    output.print(&table::facts(&facts));
    Ok(Exit::Done)
}

async fn show_in(
    link: &Link,
    checkpoint: &str,
    best: bool,
) -> Result<(CheckpointDocument, Option<CheckpointManifest>), Failure> {
    let document = documents::checkpoint(&link.fleet, checkpoint, best).await?;
    let manifest = match &document.manifest {
        Some(_) => Some(manifest(link, &document).await?),
        None => None,
    };
    Ok((document, manifest))
}

async fn verify(global: &Global, checkpoint: &str, best: bool) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let verified = verify_in(&link, checkpoint, best, output).await;
    link.close().await;
    let (document, bytes) = verified?;
    match output.is_json() {
        true => json::print(
            output,
            &json!({ "checkpoint": document.checkpoint, "bytes": bytes, "whole": true }),
        ),
        false => output.print(&format!(
            "{} is whole: {}",
            document.checkpoint,
            text::bytes(bytes)
        )),
    }
    Ok(Exit::Done)
}

/// Reads every part; the client compares each chunk with its digest.
async fn verify_in(
    link: &Link,
    checkpoint: &str,
    best: bool,
    output: Output,
) -> Result<(CheckpointDocument, u64), Failure> {
    let (document, manifest) = show_in(link, checkpoint, best).await?;
    let mut bytes = 0;
    for part in manifest.iter().flat_map(|m| &m.parts) {
        let mut size = 0;
        weights::read_part(link, &document.trial, part, output, |chunk| {
            size += chunk.len() as u64;
            Ok(())
        })
        .await
        .map_err(|e| e.about(&document.checkpoint))?;
        bytes += size;
    }
    Ok((document, bytes))
}

async fn delete(global: &Global, checkpoint: &str) -> Outcome {
    let output = Output::of(global);
    if !checkpoint.contains('@') {
        let failure = Failure::wrong(format!(
            "{checkpoint} is a trial, not one of its checkpoints"
        ));
        return Err(failure.next("write SWEEP/NUMBER@STEP; see bonfire checkpoint list"));
    }
    let link = Link::open(global, Need::Read).await?;
    let deleted = delete_in(&link, checkpoint).await;
    link.close().await;
    let document = deleted?;
    match output.is_json() {
        true => json::print(
            output,
            &json!({ "checkpoint": document.checkpoint, "deleted": true }),
        ),
        false => output.print(&format!("{} is deleted", document.checkpoint)),
    }
    Ok(Exit::Done)
}

async fn delete_in(link: &Link, checkpoint: &str) -> Result<CheckpointDocument, Failure> {
    let document = documents::checkpoint(&link.fleet, checkpoint, false).await?;
    let delete = DeleteCheckpoint {
        trial: document.trial.clone(),
        step: document.step,
    };
    link.fleet.delete_checkpoint(delete).await?;
    Ok(document)
}
