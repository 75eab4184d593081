//! The tracker's segment: a sealed journal as an immutable blob, ordered by trial and readable trial by trial.
//!
//! Layout: `BFTS` and format u16 (little-endian), two reserved bytes; then a section a trial, the postcard encoding of
//! [`TrialReports`] with the log lines; then the index, the postcard encoding of a list of [`Entry`]; then the footer:
//! offset of the index u64, its CRC32C u32, `BFTE`. A section's CRC32C stands in its index entry.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bonfire_domain::metric::{LogLine, Point, ReportBatch};
use bonfire_domain::{Attempt, TrialId};
use serde::{Deserialize, Serialize};

use crate::StoreError;

const HEAD: &[u8; 4] = b"BFTS";
const END: &[u8; 4] = b"BFTE";
const FORMAT: u16 = 1;
const HEAD_BYTES: u64 = 8;
const FOOTER_BYTES: u64 = 16;

/// What one attempt of a trial reported.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttemptReports {
    /// The step it started from.
    pub from_step: u64,
    /// The highest sequence number taken.
    pub sequence: u64,
    pub points: Vec<Point>,
    pub logs: Vec<LogLine>,
}

/// What a trial reported, by attempt.
pub type TrialReports = BTreeMap<Attempt, AttemptReports>;

/// Puts batches together by trial and attempt. A batch whose sequence was already taken changes nothing.
pub fn gather(batches: impl IntoIterator<Item = ReportBatch>) -> BTreeMap<TrialId, TrialReports> {
    let mut all: BTreeMap<TrialId, TrialReports> = BTreeMap::new();
    for batch in batches {
        let reports = all.entry(batch.trial).or_default();
        let attempt = reports.entry(batch.attempt).or_default();
        if batch.sequence <= attempt.sequence {
            continue;
        }
        attempt.from_step = batch.from_step;
        attempt.sequence = batch.sequence;
        attempt.points.extend(batch.points);
        attempt.logs.extend(batch.logs);
    }
    all
}

/// What the index says of one attempt, so that a start need not read the sections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    pub attempt: Attempt,
    pub from_step: u64,
    pub sequence: u64,
}

/// One trial in the index of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub trial: TrialId,
    offset: u64,
    bytes: u32,
    crc: u32,
    pub attempts: Vec<Watermark>,
}

/// Encodes a segment; the same reports give the same bytes.
///
/// # Errors
/// [`StoreError::Manifest`] never in practice: plain data always encodes.
pub fn encode(reports: &BTreeMap<TrialId, TrialReports>) -> Result<Vec<u8>, StoreError> {
    let fail = |e: postcard::Error| StoreError::Manifest(e.to_string());
    let mut bytes = Vec::from(*HEAD);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    let mut index = Vec::with_capacity(reports.len());
    for (trial, attempts) in reports {
        let section = postcard::to_stdvec(attempts).map_err(fail)?;
        let watermark = |(attempt, r): (&Attempt, &AttemptReports)| Watermark {
            attempt: *attempt,
            from_step: r.from_step,
            sequence: r.sequence,
        };
        index.push(Entry {
            trial: *trial,
            offset: bytes.len() as u64,
            bytes: u32::try_from(section.len()).unwrap_or(u32::MAX),
            crc: crc32c::crc32c(&section),
            attempts: attempts.iter().map(watermark).collect(),
        });
        bytes.extend_from_slice(&section);
    }
    let at = bytes.len() as u64;
    let index = postcard::to_stdvec(&index).map_err(fail)?;
    bytes.extend_from_slice(&index);
    bytes.extend_from_slice(&at.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&index).to_le_bytes());
    bytes.extend_from_slice(END);
    Ok(bytes)
}

/// A segment whose index was read. Sections are read when they are asked for, and no file is kept open meanwhile: there
/// may be thousands of segments.
#[derive(Clone, Debug)]
pub struct SegmentReader {
    path: PathBuf,
    /// Ascending by trial.
    index: Arc<[Entry]>,
}

impl SegmentReader {
    /// Opens a segment and reads its index.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the file's name if head, footer or index do not check.
    pub fn open(path: &Path) -> Result<SegmentReader, StoreError> {
        let io = |e| StoreError::io("read", path, e);
        let damaged = |what: &str| StoreError::damaged(path, what);
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        if length < HEAD_BYTES + FOOTER_BYTES {
            return Err(damaged("it is too short for a segment"));
        }
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact_at(&mut head, 0).map_err(io)?;
        if &head[..4] != HEAD {
            return Err(damaged("it does not begin as a segment does"));
        }
        let found = u16::from_le_bytes([head[4], head[5]]);
        if found != FORMAT {
            return Err(StoreError::Format {
                path: path.to_path_buf(),
                found,
                known: FORMAT,
            });
        }
        let mut footer = [0; FOOTER_BYTES as usize];
        file.read_exact_at(&mut footer, length - FOOTER_BYTES)
            .map_err(io)?;
        let at = footer
            .first_chunk::<8>()
            .map_or(0, |b| u64::from_le_bytes(*b));
        let crc = u32::from_le_bytes([footer[8], footer[9], footer[10], footer[11]]);
        let index_bytes = (length - FOOTER_BYTES)
            .checked_sub(at)
            .filter(|_| at >= HEAD_BYTES);
        let Some(index_bytes) = index_bytes.filter(|_| &footer[12..] == END) else {
            return Err(damaged("it does not end as a segment does"));
        };
        let mut index =
            vec![0; usize::try_from(index_bytes).map_err(|_| damaged("its index is too large"))?];
        file.read_exact_at(&mut index, at).map_err(io)?;
        if crc32c::crc32c(&index) != crc {
            return Err(damaged("its index does not check"));
        }
        let index: Vec<Entry> =
            postcard::from_bytes(&index).map_err(|e| damaged(&e.to_string()))?;
        Ok(SegmentReader {
            path: path.to_path_buf(),
            index: index.into(),
        })
    }

    /// The trials in the segment, ascending.
    pub fn entries(&self) -> &[Entry] {
        &self.index
    }

    /// What a trial reported, if it is in this segment.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if its section does not check.
    pub fn trial(&self, trial: TrialId) -> Result<Option<TrialReports>, StoreError> {
        let Ok(at) = self.index.binary_search_by_key(&trial, |e| e.trial) else {
            return Ok(None);
        };
        let entry = &self.index[at];
        let mut section = vec![0; entry.bytes as usize];
        let io = |e| StoreError::io("read", &self.path, e);
        let file = File::open(&self.path).map_err(io)?;
        file.read_exact_at(&mut section, entry.offset).map_err(io)?;
        let damaged = |what: String| {
            StoreError::damaged(
                &self.path,
                format!(
                    "section of trial {}/{}: {what}",
                    trial.sweep.0, trial.number
                ),
            )
        };
        if crc32c::crc32c(&section) != entry.crc {
            return Err(damaged("it does not check".to_owned()));
        }
        postcard::from_bytes(&section)
            .map(Some)
            .map_err(|e| damaged(e.to_string()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bonfire_domain::{SweepId, WallMs};

    /// A batch of two points and a line.
    pub(crate) fn batch(number: u32, attempt: u32, sequence: u64) -> ReportBatch {
        let point = |key: &str| Point {
            key: key.into(),
            step: sequence,
            epoch: 0.5,
            value: sequence as f64,
            time: WallMs(5),
        };
        ReportBatch {
            trial: TrialId {
                sweep: SweepId(1),
                number,
            },
            attempt: Attempt(attempt),
            from_step: 0,
            sequence,
            points: vec![point("train.loss"), point("valid.loss")],
            logs: vec![LogLine {
                time: WallMs(6),
                text: format!("line {sequence}"),
            }],
        }
    }

    fn written() -> (tempfile::TempDir, PathBuf, BTreeMap<TrialId, TrialReports>) {
        let reports = gather([
            batch(2, 1, 1),
            batch(1, 1, 1),
            batch(2, 2, 1),
            batch(2, 1, 2),
        ]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        std::fs::write(&path, encode(&reports).unwrap()).unwrap();
        (dir, path, reports)
    }

    #[test]
    fn every_trial_is_read_back_by_itself() {
        let (_dir, path, reports) = written();
        let segment = SegmentReader::open(&path).unwrap();
        assert_eq!(segment.entries().len(), 2);
        for (trial, expected) in &reports {
            assert_eq!(segment.trial(*trial).unwrap().as_ref(), Some(expected));
        }
        assert_eq!(
            segment
                .trial(TrialId {
                    sweep: SweepId(1),
                    number: 9
                })
                .unwrap(),
            None
        );
        let two = &segment.entries()[1];
        assert_eq!(
            two.attempts
                .iter()
                .map(|w| (w.attempt.0, w.sequence))
                .collect::<Vec<_>>(),
            [(1, 2), (2, 1)]
        );
    }

    #[test]
    fn a_repeated_batch_changes_nothing() {
        let once = gather([batch(1, 1, 1), batch(1, 1, 2)]);
        assert_eq!(
            gather([
                batch(1, 1, 1),
                batch(1, 1, 2),
                batch(1, 1, 2),
                batch(1, 1, 1)
            ]),
            once
        );
    }

    #[test]
    fn damage_anywhere_is_noticed() {
        let (_dir, path, reports) = written();
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).filter(|at| !(6..8).contains(at)) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let read = SegmentReader::open(&path).and_then(|s| {
                reports
                    .keys()
                    .try_for_each(|trial| s.trial(*trial).map(|_| ()))
            });
            let error = read.expect_err(&format!("byte {at} was not noticed"));
            assert!(error.to_string().contains("segment"), "{error}");
        }
    }
}
