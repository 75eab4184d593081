//! A checkpoint as a fact: what was written, where in training, and which blobs hold it.

use serde::{Deserialize, Serialize};

use crate::dataset::BlobRef;
use crate::id::{Attempt, Digest, WallMs};

/// A published checkpoint of a trial. Its id is (trial, step): written `name/17@1200`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Optimiser steps applied.
    pub step: u64,
    /// Whole epochs done: the scheduler's unit.
    pub epoch: u64,
    pub attempt: Attempt,
    /// The blob with the [`CheckpointManifest`]; `None` for a trial without state (`noop`).
    pub manifest: Option<BlobRef>,
    /// Every blob the manifest names; the reference that keeps them.
    pub chunks: Vec<BlobRef>,
    /// The objective at this boundary, where an evaluation fell on it.
    pub value: Option<f64>,
    pub written: WallMs,
}

/// The manifest, written last: JSON in a blob of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointManifest {
    pub format: u16,
    pub step: u64,
    pub epoch: u64,
    /// Best objective so far, as the trial saw it.
    pub best: Option<f64>,
    /// Digest of the trial's own resolved spec.
    pub spec: Digest,
    /// Digest of the prepared data's manifest.
    pub prepared: Option<Digest>,
    /// The class in which equal bits are promised.
    pub numerics: String,
    /// False once any attempt before went on in another numerics class.
    pub exact: bool,
    /// Threads of the executor that wrote it; manifests of before do not say.
    #[serde(default)]
    pub threads: Option<u32>,
    /// Metrics of the last evaluation at this boundary.
    pub metrics: Vec<(String, f64)>,
    pub parts: Vec<CheckpointPart>,
}

/// The format number written into new manifests.
pub const CHECKPOINT_FORMAT: u16 = 1;

/// A named part: `weights` and `optimizer` are safetensors by parameter path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPart {
    pub name: String,
    pub bytes: u64,
    /// In order; their concatenation is the part.
    pub chunks: Vec<BlobRef>,
}

/// Largest chunk of a part, in bytes.
pub const CHUNK_BYTES: usize = 4 << 20;

/// Which of a trial's checkpoints stay: the last ones, the best ones, and those in `pinned` (by step).
///
/// `better` orders objective values, best first. `best` ranks only checkpoints with a value, ties to the earlier one.
/// Returns the steps to let go, ascending. Pure.
pub fn decide_retention(
    checkpoints: &[Checkpoint],
    keep_last: u32,
    keep_best: u32,
    pinned: &[u64],
    better: impl Fn(f64, f64) -> std::cmp::Ordering,
) -> Vec<u64> {
    let mut keep: Vec<u64> = checkpoints
        .iter()
        .rev()
        .take(keep_last as usize)
        .map(|c| c.step)
        .collect();
    let mut ranked: Vec<(f64, u64)> = checkpoints
        .iter()
        .filter_map(|c| c.value.map(|v| (v, c.step)))
        .collect();
    ranked.sort_by(|a, b| better(a.0, b.0).then(a.1.cmp(&b.1)));
    keep.extend(ranked.iter().take(keep_best as usize).map(|r| r.1));
    keep.extend_from_slice(pinned);
    checkpoints
        .iter()
        .map(|c| c.step)
        .filter(|s| !keep.contains(s))
        .collect()
}

/// Which of the checkpoints that wait to be uploaded need not be: retention would let them go as soon as those behind them are
/// published.
///
/// - `waiting`: step and objective value, oldest first. Returns steps, ascending. Pure.
pub fn decide_superseded(
    waiting: &[(u64, Option<f64>)],
    keep_last: u32,
    keep_best: u32,
    better: impl Fn(f64, f64) -> std::cmp::Ordering,
) -> Vec<u64> {
    let mut ranked: Vec<(f64, u64)> = waiting
        .iter()
        .filter_map(|(step, value)| Some(((*value)?, *step)))
        .collect();
    ranked.sort_by(|a, b| better(a.0, b.0).then(a.1.cmp(&b.1)));
    let best = ranked.iter().take(keep_best as usize).map(|r| r.1);
    // The newest is what the trial goes on from, whatever retention says.
    let last = waiting.iter().rev().take(keep_last.max(1) as usize);
    let keep: Vec<u64> = best.chain(last.map(|w| w.0)).collect();
    let steps = waiting.iter().map(|w| w.0);
    steps.filter(|step| !keep.contains(step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: u64, value: Option<f64>) -> Checkpoint {
        Checkpoint {
            step,
            epoch: step,
            attempt: Attempt(1),
            manifest: None,
            chunks: vec![],
            value,
            written: WallMs(0),
        }
    }

    #[track_caller]
    fn check(values: &[Option<f64>], last: u32, best: u32, pinned: &[u64], gone: &[u64]) {
        let all: Vec<Checkpoint> = values
            .iter()
            .enumerate()
            .map(|(i, v)| at(i as u64 + 1, *v))
            .collect();
        let found = decide_retention(&all, last, best, pinned, |a, b| b.total_cmp(&a));
        assert_eq!(found, gone, "{values:?} last={last} best={best}");
    }

    #[test]
    fn last_and_best_stay() {
        check(&[Some(0.1), Some(0.9), Some(0.5)], 1, 1, &[], &[1]);
        check(&[Some(0.9), Some(0.9), Some(0.9)], 0, 1, &[], &[2, 3]);
        check(&[None, None, None], 1, 1, &[], &[1, 2]);
        check(&[Some(0.9), None, None], 1, 0, &[1], &[2]);
        check(&[], 1, 1, &[], &[]);
    }

    #[test]
    fn only_checkpoints_that_retention_would_keep_are_uploaded() {
        let check = |waiting: &[(u64, Option<f64>)], last, best, gone: &[u64]| {
            let found = decide_superseded(waiting, last, best, |a, b| b.total_cmp(&a));
            assert_eq!(found, gone, "{waiting:?} {last} {best}");
        };
        let waiting = [
            (1, Some(0.5)),
            (2, Some(0.9)),
            (3, None),
            (4, Some(0.9)),
            (5, Some(0.1)),
        ];
        check(&waiting, 1, 1, &[1, 3, 4]); // ties to the earlier one
        check(&waiting, 2, 1, &[1, 3]);
        check(&waiting, 1, 0, &[1, 2, 3, 4]);
        check(&waiting, 0, 0, &[1, 2, 3, 4]);
        check(&waiting, 9, 9, &[]);
        check(&waiting[..1], 1, 1, &[]);
        check(&[], 1, 1, &[]);
    }
}
