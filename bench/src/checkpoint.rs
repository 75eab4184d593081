//! What checkpoints cost while training: the same run with one every ten steps and with none.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::bed::binary;
use crate::figure::Settings;
use crate::pairs::{compare_less, interleave, median};
use crate::peer::Peer;
use crate::row::{Row, load};
use crate::training::step_program;

/// Steps at the start that are not counted: caches and buffers are filled there.
const WARM_STEPS: u64 = 10;
/// A checkpoint comes once in so many steps.
const EVERY: u64 = 10;

/// C1: how much longer steps take, in percent, with a checkpoint every ten of them.
///
/// What limits it: copying weights out at the boundary, and the processor time of hashing and writing them,
/// which on a machine with few cores is taken from training.
pub fn overhead(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let specs = Path::new("bench").join("specs");
    let folder = tempfile::tempdir()?;
    let models = [
        (
            "C1 checkpoint every 10 steps, cnn",
            enlarged(folder.path())?,
        ),
        (
            "C1 checkpoint every 10 steps, transformer",
            specs.join("transformer.yaml"),
        ),
        (
            "C1b checkpoint every 10 steps, cnn of 8x8",
            specs.join("cnn.yaml"),
        ),
    ];
    let mut rows: Vec<Row> = models
        .iter()
        .map(|(name, spec)| one(name, spec, settings))
        .collect::<anyhow::Result<_>>()?;
    rows.extend(stall(settings)?);
    Ok(rows)
}

/// How long the training loop stands still for a checkpoint of 1.2 GB, and what training loses to it until it is synced,
/// beside the time that torch.save, which is both for PyTorch, takes.
///
/// What limits the first: copying the weights, and the next update of moments, which writes to other memory than it reads.
/// What limits the second: encoding and writing take
/// processor time from the training beside them.
fn stall(settings: &Settings) -> anyhow::Result<[Row; 2]> {
    const NAMES: [&str; 2] = [
        "C1 stall at 1.2 GB of state",
        "C1 lost to a checkpoint of 1.2 GB until it is synced",
    ];
    let before = load();
    let ours = || -> anyhow::Result<[f64; 2]> {
        let folder = tempfile::tempdir()?;
        let line = step_program(&["stall", "1", &folder.path().to_string_lossy()], "2")?;
        let (stall, lost) = line.trim().split_once(' ').context("bonfire-step")?;
        // What cost less than the timer's noise counts as a millisecond.
        Ok([
            stall.parse::<f64>()?.max(1.0),
            lost.parse::<f64>()?.max(1.0),
        ])
    };
    let Some(peer) = Peer::find("torch_ckpt.py", "vt") else {
        let alone: Vec<[f64; 2]> = (0..settings.pairs)
            .map(|_| ours())
            .collect::<anyhow::Result<_>>()?;
        let row = |at: usize| {
            let values: Vec<f64> = alone.iter().map(|both| both[at]).collect();
            Row::alone(NAMES[at], "ms", &values, before.max(load()))
        };
        return Ok([row(0), row(1)]);
    };
    let theirs = || {
        let arguments = ["--reps", "1"];
        Ok(peer.measure(&arguments, "torch_save", "save_fsync_s")? * 1e3)
    };
    let pairs = interleave(settings.pairs, ours, theirs)?;
    let row = |at: usize| {
        let pairs: Vec<(f64, f64)> = pairs.iter().map(|(both, peer)| (both[at], *peer)).collect();
        let found = compare_less(&pairs);
        Row::beside(
            NAMES[at],
            "ms",
            "torch.save with fsync",
            &found,
            before.max(load()),
        )
    };
    Ok([row(0), row(1)])
}

/// The CNN of T1 as a spec, and the digits as its images of 28x28 beside it: what is in between two pixels is the one before.
fn enlarged(folder: &Path) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(Path::new("configs").join("data").join("digits.csv"))?;
    let mut lines = text.lines();
    let label = lines
        .next()
        .and_then(|head| head.split(',').position(|name| name == "label"));
    let label = label.context("digits.csv has a label")?;
    let mut rows = String::new();
    for line in lines {
        let mut values: Vec<&str> = line.split(',').collect();
        let label = values.remove(label);
        ensure!(values.len() == 64, "{} pixels", values.len());
        let pixels = (0..28 * 28).map(|i| values[i / 28 * 8 / 28 * 8 + i % 28 * 8 / 28]);
        let pixels: Vec<&str> = pixels.collect();
        rows.push_str(&format!(
            "{{\"label\":{label},\"image\":[{}]}}\n",
            pixels.join(",")
        ));
    }
    std::fs::write(folder.join("digits.jsonl"), rows)?;
    let spec = "kind: sweep\nversion: 1\nname: checkpoint-cnn\n\
        data: { dataset: digits.jsonl, label: label, image: { column: image, shape: [1, 28, 28] }, batch: 64 }\n\
        task: classification\nmodel: { kind: cnn, channels: [16, 32] }\n\
        train: { epochs: 10, evaluate: never, log_every: 1 }\n\
        checkpoint: { every: 10 steps, keep: { last: 1, best: 0 } }\n";
    let path = folder.join("cnn.yaml");
    std::fs::write(&path, spec)?;
    Ok(path)
}

fn one(name: &str, spec: &Path, settings: &Settings) -> anyhow::Result<Row> {
    let before = load();
    let with = || step_ms(spec, "10 steps");
    let without = || step_ms(spec, "never");
    let pairs = interleave(settings.pairs, with, without)?;
    let percent: Vec<f64> = pairs
        .iter()
        .map(|(with, without)| (with / without - 1.0) * 100.0)
        .collect();
    eprintln!("  median overhead {:.2} %", median(&percent));
    Ok(Row::alone(
        name,
        "% longer steps",
        &percent,
        before.max(load()),
    ))
}

#[derive(Debug, Deserialize)]
struct Metric {
    key: String,
    step: u64,
    time: String,
}

/// Trains once in a fleet of its own and answers with the milliseconds a step took, over blocks that each have one
/// checkpoint or none: the mean of the middle half of the blocks, as others on the machine lengthen some.
fn step_ms(spec: &Path, every: &str) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let set = format!("checkpoint.every={every}");
    bonfire(
        &data,
        &[
            "run",
            &spec.to_string_lossy(),
            "--workers",
            "1",
            "--slots",
            "1",
            "--set",
            &set,
            "-o",
            "json",
        ],
    )?;
    let metrics = bonfire(&data, &["trial", "metrics", "last/0", "-o", "json"])?;
    let metrics: Vec<Metric> = serde_json::from_slice(&metrics)?;
    let losses = metrics
        .iter()
        .filter(|m| m.key == "train.loss" && m.step > WARM_STEPS);
    let mut marks: Vec<(u64, f64)> = losses
        .map(|m| Ok((m.step, milliseconds(&m.time)?)))
        .collect::<anyhow::Result<_>>()?;
    marks.sort_by_key(|(step, _)| *step);
    let ends: Vec<f64> = marks
        .iter()
        .filter(|(step, _)| step % EVERY == 5)
        .map(|(_, time)| *time)
        .collect();
    let blocks: Vec<f64> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
    ensure!(
        blocks.len() >= 10,
        "only {} steps were reported",
        marks.len()
    );
    Ok(middle_mean(blocks) / EVERY as f64)
}

/// The mean of the middle half.
fn middle_mean(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let quarter = values.len() / 4;
    let middle = &values[quarter..values.len() - quarter];
    middle.iter().sum::<f64>() / middle.len() as f64
}

fn bonfire(data: &PathBuf, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(binary()?)
        .args(arguments)
        .arg("--data")
        .arg(data)
        .env_remove("BONFIRE_COORDINATOR")
        .stdin(Stdio::null())
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "bonfire {arguments:?}: {}\n{error}",
        output.status
    );
    Ok(output.stdout)
}

/// Milliseconds since midnight of an RFC 3339 time in UTC, such as `2026-01-02T03:04:05.678Z`. A run over midnight is wrong
/// by a day, which shows.
fn milliseconds(time: &str) -> anyhow::Result<f64> {
    let parse = || -> Option<f64> {
        let clock = time.split('T').nth(1)?.strip_suffix('Z')?;
        let mut parts = clock.split(':');
        let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
        let hours: f64 = hours.parse().ok()?;
        let minutes: f64 = minutes.parse().ok()?;
        let seconds: f64 = seconds.parse().ok()?;
        Some(((hours * 60.0 + minutes) * 60.0 + seconds) * 1e3)
    };
    parse().with_context(|| format!("{time:?} is not a time in UTC"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_middle_half_is_not_moved_by_a_few() {
        let values = vec![1e9, 4.0, 1.0, 3.0, 2.0, -1e9, 5.0, 0.0];
        assert_eq!(middle_mean(values), 2.5);
    }

    #[test]
    fn times_are_read_to_the_millisecond() {
        assert_eq!(milliseconds("2026-01-02T00:01:05.678Z").unwrap(), 65_678.0);
        assert_eq!(milliseconds("2026-01-02T01:00:00Z").unwrap(), 3_600_000.0);
        assert!(milliseconds("yesterday").is_err());
        assert!(milliseconds("2026-01-02T01:00Z").is_err());
    }
}
