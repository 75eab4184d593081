//! A checkpoint's weights: exported as one safetensors file with a JSON file beside it, or compared with another's.

use std::io::{self, Write};
use std::path::PathBuf;

use bonfire_domain::Digest;
use bonfire_domain::checkpoint::{CHUNK_BYTES, CheckpointManifest, CheckpointPart};
use bonfire_domain::dataset::{Preparation, PreparedManifest};
use bonfire_domain::spec;
use bonfire_domain::view::{CheckpointDocument, TrialDocument};
use bonfire_store::WholeFile;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use crate::args::{ExportWeights, Global};
use crate::checkpoint::{self, manifest};
use crate::connect::{Link, Need};
use crate::documents;
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::progress::Transfer;
use crate::output::{Output, json, table, text};

/// The part of a checkpoint with the weights, as safetensors by parameter path.
const WEIGHTS: &str = "weights";

/// Writes weights and what is needed to use them.
///
/// # Errors
/// No such checkpoint, one without weights, a damaged one, a file that cannot be written.
pub async fn export(global: &Global, args: &ExportWeights) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let exported = export_in(&link, args, output).await;
    link.close().await;
    let (document, beside) = exported?;
    let (file, beside) = (
        args.file.display().to_string(),
        beside.display().to_string(),
    );
    match output.is_json() {
        true => json::print(
            output,
            &json!({ "checkpoint": document.checkpoint, "file": file, "description": beside }),
        ),
        false => output.print(&format!(
            "{} is written to {file} and {beside}",
            document.checkpoint
        )),
    }
    Ok(Exit::Done)
}

async fn export_in(
    link: &Link,
    args: &ExportWeights,
    output: Output,
) -> Result<(CheckpointDocument, PathBuf), Failure> {
    let beside = args.file.with_extension("json");
    if beside == args.file {
        return Err(Failure::wrong(format!(
            "{} is where the description goes",
            args.file.display()
        ))
        .next("name it FILE.safetensors"));
    }
    let document = documents::checkpoint(&link.fleet, &args.of.checkpoint, args.of.best).await?;
    let manifest = manifest(link, &document).await?;
    let trial = documents::trial(&link.fleet, &document.trial).await?;
    let description = describe(link, &document, &manifest, &trial).await?;
    let part = weights_part(&manifest, &document)?;
    let failed =
        |e: io::Error| Failure::failed(format!("cannot write {}: {e}", args.file.display()));
    let mut whole = WholeFile::create(&args.file).map_err(failed)?;
    read_part(link, &document.trial, part, output, |chunk| {
        whole.write_all(chunk).map_err(failed)
    })
    .await?;
    let mut text = serde_json::to_string_pretty(&description).unwrap_or_default();
    text.push('\n');
    let written = WholeFile::create(&beside).and_then(|mut described| {
        described.write_all(text.as_bytes())?;
        described.finish()
    });
    written.map_err(|e| Failure::failed(format!("cannot write {}: {e}", beside.display())))?;
    whole.finish().map_err(failed)?;
    Ok((document, beside))
}

fn weights_part<'a>(
    manifest: &'a CheckpointManifest,
    document: &CheckpointDocument,
) -> Result<&'a CheckpointPart, Failure> {
    let part = manifest.parts.iter().find(|part| part.name == WEIGHTS);
    part.ok_or_else(|| Failure::failed(format!("{} holds no weights", document.checkpoint)))
}

/// Hands over a part's bytes in order, chunk by chunk, each compared with its digest. `of`: the trial it belongs to.
///
/// # Errors
/// A chunk that is missing or damaged, a part of another length than its manifest says, the taker's own.
pub async fn read_part(
    link: &Link,
    of: &str,
    part: &CheckpointPart,
    output: Output,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let blobs = link.fleet.blobs();
    let mut transfer = Transfer::new(output, format!("reading {}", part.name), "bytes");
    let mut bytes = 0;
    for chunk in &part.chunks {
        let got = blobs
            .get(chunk.digest, CHUNK_BYTES.max(chunk.bytes as usize) as u64)
            .await;
        let got = got.map_err(|e| {
            checkpoint::lost(e, chunk.digest, of).about(format!("part {}", part.name))
        })?;
        bytes += got.len() as u64;
        take(&got)?;
        transfer.update(bytes, Some(part.bytes));
    }
    if bytes != part.bytes {
        return Err(Failure::failed(format!(
            "part {} has {bytes} bytes, its manifest says {}",
            part.name, part.bytes
        )));
    }
    Ok(())
}

/// What somebody needs who uses the weights. Equal checkpoints give equal descriptions: no time is in it.
async fn describe(
    link: &Link,
    document: &CheckpointDocument,
    manifest: &CheckpointManifest,
    trial: &TrialDocument,
) -> Result<Value, Failure> {
    let prepared = prepared(link, trial).await?;
    // A number that is not finite has no place in JSON.
    let metrics: Map<String, Value> = checkpoint::metrics(manifest)
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    Ok(json!({
        "checkpoint": document.checkpoint,
        "trial": document.trial,
        "step": manifest.step,
        "epoch": manifest.epoch,
        "value": document.value,
        "metrics": metrics,
        "parameters": trial.row.parameters,
        "spec_digest": manifest.spec,
        "spec": trial.spec,
        "dataset_version": trial.dataset,
        "prepared": manifest.prepared,
        "input": prepared.as_ref().map(|p| &p.input),
        "output": prepared.as_ref().map(|p| &p.output),
        "preprocessing": prepared.as_ref().map_or(&[][..], |p| &p.encodings),
        "numerics": manifest.numerics,
        "exact": manifest.exact,
    }))
}

/// How the trial's columns became features.
async fn prepared(link: &Link, trial: &TrialDocument) -> Result<Option<PreparedManifest>, Failure> {
    let Some(version) = trial.dataset.as_deref().and_then(Digest::parse) else {
        return Ok(None);
    };
    let unreadable =
        |e: serde_json::Error| Failure::failed(format!("the fleet's answer cannot be read: {e}"));
    let spec = spec::check(trial.spec.to_string().as_bytes(), &[]).map_err(|problems| {
        let problem = problems.first().map_or("", |problem| &problem.message);
        Failure::failed(format!(
            "the spec of {} cannot be read: {problem}",
            trial.row.trial
        ))
    })?;
    let Some(preparation) = Preparation::of(&spec, version) else {
        return Ok(None);
    };
    let text = link.fleet.fetch_prepared(preparation.key()).await?;
    text.map(|text| serde_json::from_str(&text).map_err(unreadable))
        .transpose()
}

/// Compares two checkpoints, tensor by tensor. Exit 0 if they are equal, 1 if they differ.
///
/// # Errors
/// As [`export`].
pub async fn diff(global: &Global, a: &str, b: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let read =
        async { Ok::<_, Failure>((load(&link, a, output).await?, load(&link, b, output).await?)) }
            .await;
    link.close().await;
    let ((a, a_bytes), (b, b_bytes)) = read?;
    let rows = compare(&a_bytes, &b_bytes)
        .map_err(|e| Failure::failed(format!("weights cannot be read: {e}")))?;
    let equal = rows.iter().all(|row| row.equal);
    if output.is_json() {
        let tensors: Vec<Value> = rows.iter().map(Row::json).collect();
        json::print(
            output,
            &json!({ "a": a.checkpoint, "b": b.checkpoint, "equal": equal, "tensors": tensors }),
        );
    } else {
        let lines = rows.iter().map(|r| {
            vec![
                text::cut(&r.name, 48),
                r.shapes.clone(),
                if r.equal {
                    "equal".into()
                } else {
                    text::optional(r.difference)
                },
            ]
        });
        let verdict = if equal {
            "the same weights"
        } else {
            "different weights"
        };
        output.print(&format!(
            "{}\n{} and {}: {verdict}",
            table::table(&["tensor", "shape", "largest difference"], &[2], lines),
            a.checkpoint,
            b.checkpoint
        ));
    }
    Ok(if equal { Exit::Done } else { Exit::Failed })
}

async fn load(
    link: &Link,
    checkpoint: &str,
    output: Output,
) -> Result<(CheckpointDocument, Vec<u8>), Failure> {
    let document = documents::checkpoint(&link.fleet, checkpoint, false).await?;
    let manifest = manifest(link, &document).await?;
    let mut bytes = Vec::new();
    let part = weights_part(&manifest, &document)?;
    read_part(link, &document.trial, part, output, |chunk| {
        bytes.extend_from_slice(chunk);
        Ok(())
    })
    .await?;
    Ok((document, bytes))
}

/// One tensor in two files.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: String,
    shapes: String,
    equal: bool,
    /// Of f32 tensors of one shape.
    difference: Option<f64>,
}

impl Row {
    fn json(&self) -> Value {
        json!({ "tensor": self.name, "shape": self.shapes, "equal": self.equal, "difference": self.difference })
    }
}

fn compare(a: &[u8], b: &[u8]) -> Result<Vec<Row>, safetensors::SafeTensorError> {
    let (a, b) = (SafeTensors::deserialize(a)?, SafeTensors::deserialize(b)?);
    let mut names: Vec<&str> = a.names().into_iter().chain(b.names()).collect();
    names.sort_unstable();
    names.dedup();
    let row = |name: &str| {
        let name = name.to_owned();
        match (a.tensor(&name), b.tensor(&name)) {
            (Ok(x), Ok(y)) if x.shape() == y.shape() && x.dtype() == y.dtype() => {
                let floats = x.dtype() == Dtype::F32;
                let difference = floats.then(|| largest_difference(x.data(), y.data()));
                Row {
                    name,
                    shapes: format!("{:?}", x.shape()),
                    equal: x.data() == y.data(),
                    difference,
                }
            }
            (Ok(x), Ok(y)) => {
                let shapes = format!(
                    "{:?} {:?} / {:?} {:?}",
                    x.dtype(),
                    x.shape(),
                    y.dtype(),
                    y.shape()
                );
                Row {
                    name,
                    shapes,
                    equal: false,
                    difference: None,
                }
            }
            (x, _) => {
                let side = if x.is_ok() {
                    "only in the first"
                } else {
                    "only in the second"
                };
                Row {
                    name,
                    shapes: side.to_owned(),
                    equal: false,
                    difference: None,
                }
            }
        }
    };
    Ok(names.into_iter().map(row).collect())
}

/// Over little-endian f32 values.
fn largest_difference(a: &[u8], b: &[u8]) -> f64 {
    let values = |bytes: &[u8]| -> Vec<f64> {
        bytes
            .chunks_exact(4)
            .map(|c| f64::from(f32::from_le_bytes([c[0], c[1], c[2], c[3]])))
            .collect()
    };
    values(a)
        .iter()
        .zip(values(b))
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use safetensors::tensor::{TensorView, serialize};

    use super::*;

    fn file(tensors: &[(&str, &[f32])]) -> Vec<u8> {
        let bytes: Vec<(&str, Vec<u8>, usize)> = tensors
            .iter()
            .map(|(name, values)| {
                (
                    *name,
                    values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                    values.len(),
                )
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, data, n)| (*name, TensorView::new(Dtype::F32, vec![*n], data).unwrap()));
        serialize(views, None).unwrap()
    }

    #[test]
    fn tensors_are_compared_by_name() {
        let a = file(&[("w", &[1.0, 2.0]), ("b", &[0.5]), ("old", &[1.0])]);
        let b = file(&[("w", &[1.0, 2.25]), ("b", &[0.5]), ("new", &[1.0, 2.0])]);
        let found = compare(&a, &b).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|r| (r.name.as_str(), r.equal, r.difference))
            .collect();
        assert_eq!(
            found,
            [
                ("b", true, Some(0.0)),
                ("new", false, None),
                ("old", false, None),
                ("w", false, Some(0.25))
            ]
        );
        assert!(compare(&a, b"no").is_err());
    }
}
