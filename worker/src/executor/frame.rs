//! The pipe between the agent and an executor: length-prefixed postcard messages. Knows no process and no trial.
//!
//! A frame is a `u32` length (little-endian) and that many bytes of postcard. Orders go down the executor's standard input,
//! events come up its first standard output; its standard error is the log, as plain lines.

use std::path::PathBuf;

use bonfire_domain::checkpoint::CheckpointManifest;
use bonfire_domain::dataset::BlobRef;
use bonfire_domain::fault::AttemptEnd;
use bonfire_domain::metric::Point;
use bonfire_domain::order::StartOrder;
use bonfire_domain::{Attempt, Digest, TrialId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Largest frame, in bytes; a longer length is a broken peer.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// A blob that lies on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalBlob {
    pub blob: BlobRef,
    pub path: PathBuf,
}

/// From the agent to its executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ExecutorOrder {
    /// The first order of a process.
    Setup {
        /// Added to its niceness, so that training cannot starve a coordinator beside it.
        nice: i32,
    },
    Begin(Box<Begin>),
    Prepare(Box<PrepareJob>),
    /// Ends the attempt, with a checkpoint first if `save`. An attempt that is not here is no error.
    End {
        trial: TrialId,
        attempt: Attempt,
        save: bool,
    },
    /// Gives device memory back; on the CPU there is none to give.
    ReleaseMemory,
    Quit,
}

/// Runs one attempt; everything it needs is already on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    pub order: StartOrder,
    /// `None` for a trial without data.
    pub data: Option<LocalData>,
    /// The checkpoint of `order.from`, where it has a manifest.
    pub resume: Option<LocalCheckpoint>,
    /// Where checkpoints are written: a folder of this attempt alone, made when needed.
    pub spool: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalData {
    /// The prepared manifest as JSON (it has forms that postcard cannot read back).
    pub manifest: String,
    pub files: Vec<LocalBlob>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalCheckpoint {
    pub manifest: CheckpointManifest,
    pub files: Vec<LocalBlob>,
}

/// Prepares a dataset version for a spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrepareJob {
    pub key: Digest,
    /// The [`bonfire_domain::dataset::Preparation`] as JSON.
    pub preparation: String,
    /// The dataset's manifest as JSON.
    pub dataset: String,
    pub files: Vec<LocalBlob>,
    /// Where the prepared files are written.
    pub out: PathBuf,
}

/// From an executor to its agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ExecutorEvent {
    /// It reads orders.
    Ready { pid: u32 },
    /// The model is built and training goes on from `step`.
    Started {
        trial: TrialId,
        attempt: Attempt,
        step: u64,
    },
    /// It is not stuck.
    Progress { trial: TrialId, attempt: Attempt },
    Points {
        trial: TrialId,
        attempt: Attempt,
        points: Vec<Point>,
    },
    /// The objective at an evaluation.
    Observed {
        trial: TrialId,
        attempt: Attempt,
        step: u64,
        epoch: u64,
        value: f64,
        /// Of the same evaluation.
        metrics: Vec<(String, f64)>,
    },
    /// A checkpoint lies whole in `dir`, a file a chunk and one for the manifest, each named by its digest.
    Checkpoint(Box<Written>),
    /// The attempt ended and the process lives.
    Ended {
        trial: TrialId,
        attempt: Attempt,
        end: AttemptEnd,
    },
    /// How far the job to prepare data is; rows that are read more than once count each time.
    Preparing { rows: u64, total: u64 },
    /// Prepared files lie in the job's `out`, each named by its digest; `Err` says why there are none.
    Prepared {
        key: Digest,
        manifest: Result<String, PrepareFailure>,
    },
}

/// A checkpoint an executor wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    pub trial: TrialId,
    pub attempt: Attempt,
    pub step: u64,
    pub epoch: u64,
    /// The objective at this boundary, where an evaluation fell on it.
    pub value: Option<f64>,
    pub dir: PathBuf,
    /// `None` for a trial without state.
    pub manifest: Option<BlobRef>,
    pub chunks: Vec<BlobRef>,
}

/// Why data was not prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareFailure {
    /// The data or the spec cannot be used; otherwise a disk failed.
    pub unusable: bool,
    pub detail: String,
}

/// Why a pipe cannot be read on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    #[error("frame of {found} bytes, at most {FRAME_BYTES_MAX} are allowed")]
    TooLong { found: usize },
    #[error("frame cannot be decoded: {0}")]
    Postcard(String),
}

/// Appends one message as a frame.
///
/// # Errors
/// [`FrameError::TooLong`]; `out` is as it was.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let written = postcard::to_extend(message, std::mem::take(out));
    *out = written.map_err(|e| FrameError::Postcard(e.to_string()))?;
    let found = out.len() - start - 4;
    match u32::try_from(found) {
        Ok(length) if found <= FRAME_BYTES_MAX => {
            out[start..start + 4].copy_from_slice(&length.to_le_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(FrameError::TooLong { found })
        }
    }
}

/// Puts frames together from whatever pieces a pipe gives.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of `buffer` already taken.
    taken: usize,
}

impl Decoder {
    /// Room at the end to read into; give the bytes read to [`Decoder::push`] or read with `Read` into a slice first.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameError`]: nothing after it can be trusted.
    pub fn frame<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let rest = &self.buffer[self.taken..];
        let Some((length, body)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong { found: length });
        }
        if body.len() < length {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            return Ok(None);
        }
        let message = postcard::from_bytes(&body[..length])
            .map_err(|e| FrameError::Postcard(e.to_string()))?;
        self.taken += 4 + length;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bonfire_domain::SweepId;

    use super::*;

    fn end(number: u32) -> ExecutorOrder {
        let trial = TrialId {
            sweep: SweepId(1),
            number,
        };
        ExecutorOrder::End {
            trial,
            attempt: Attempt(2),
            save: true,
        }
    }

    #[track_caller]
    fn check(piece: usize) {
        let sent = vec![
            end(1),
            ExecutorOrder::Setup { nice: 10 },
            end(70_000),
            ExecutorOrder::Quit,
        ];
        let mut bytes = Vec::new();
        for order in &sent {
            encode(order, &mut bytes).unwrap();
        }
        let mut decoder = Decoder::default();
        let mut found: Vec<ExecutorOrder> = Vec::new();
        for part in bytes.chunks(piece) {
            decoder.push(part);
            while let Some(order) = decoder.frame().unwrap() {
                found.push(order);
            }
        }
        assert_eq!(found, sent, "in pieces of {piece}");
    }

    #[test]
    fn pieces_of_any_size_make_the_same_messages() {
        (1..40).for_each(check);
    }

    #[test]
    fn junk_is_refused_before_it_is_stored() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_le_bytes());
        let found = decoder.frame::<ExecutorOrder>();
        assert_eq!(
            found,
            Err(FrameError::TooLong {
                found: u32::MAX as usize
            })
        );
        let mut decoder = Decoder::default();
        decoder.push(&[1, 0, 0, 0, 250]);
        assert!(matches!(
            decoder.frame::<ExecutorOrder>(),
            Err(FrameError::Postcard(_))
        ));
    }
}
