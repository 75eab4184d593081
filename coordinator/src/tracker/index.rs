//! What the tracker knows without reading: where each trial's reports are, and how far each attempt was heard.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use bonfire_domain::cluster::Cluster;
use bonfire_domain::dataset::BlobRef;
use bonfire_domain::metric::ReportBatch;
use bonfire_domain::{SweepId, TrialId};
use bonfire_store::segment::{Watermark, gather};
use bonfire_store::{Journal, LocalBlobs, SegmentReader, StoreError, TrialReports, journal};

use super::{Series, note};

/// Reports of a journal, by trial.
pub(super) type Reports = BTreeMap<TrialId, TrialReports>;

/// See the module. Unsealed reports are in memory, at most a few journals of them; sealed ones only by name.
#[derive(Debug, Default)]
pub(crate) struct Index {
    unsealed: BTreeMap<u64, Arc<Reports>>,
    sealed: BTreeMap<u64, SegmentReader>,
    /// Per trial, ascending by attempt.
    marks: HashMap<TrialId, Vec<Watermark>>,
    /// Lengths in bytes of the journals that are neither sealed nor appended to.
    full: BTreeMap<u64, u64>,
    /// The journal that is appended to.
    current: Option<Journal>,
    next: u64,
}

impl Index {
    /// Reads the indexes of all sealed segments and every journal that is not sealed yet. Journals whose segment is in the
    /// log are deleted.
    ///
    /// # Errors
    /// [`StoreError`] with the file's name if a segment is missing or anything is damaged.
    pub(crate) fn open(
        dir: &Path,
        blobs: &LocalBlobs,
        cluster: &Cluster,
    ) -> Result<Index, StoreError> {
        std::fs::create_dir_all(dir).map_err(|source| StoreError::Io {
            action: "create",
            path: dir.to_path_buf(),
            source,
        })?;
        let mut index = Index {
            next: 1,
            ..Index::default()
        };
        note::check(dir, |number| cluster.segments().contains_key(&number))?;
        for (number, blob) in cluster.segments() {
            index.add_segment(*number, blobs, *blob)?;
            index.next = index.next.max(number + 1);
        }
        for number in journals(dir)? {
            index.next = index.next.max(number + 1);
            if index.sealed.contains_key(&number) {
                remove_journal(dir, number)?;
                continue;
            }
            let (journal, batches) = Journal::open(dir, number)?;
            let reports = index.unsealed.entry(number).or_default();
            *reports = Arc::new(gather(batches));
            let marks: Vec<(TrialId, Vec<Watermark>)> =
                reports.iter().map(|(t, r)| (*t, watermarks(r))).collect();
            for (trial, marks) in marks {
                index.mark(trial, marks);
            }
            index.rotate();
            index.current = Some(journal);
        }
        index
            .marks
            .retain(|trial, _| cluster.sweep(trial.sweep).is_some());
        note::remove(dir)?;
        Ok(index)
    }

    /// Notes what there is, for the next opening; without that a loss at rest may not show.
    pub(super) fn close(&self, dir: &Path) {
        let mut journals = self.full.clone();
        journals.extend(self.current.iter().map(|j| (j.number(), j.bytes())));
        if let Err(error) = note::write(dir, journals) {
            tracing::warn!(%error, "the tracker's journals are not noted");
        }
    }

    fn add_segment(
        &mut self,
        number: u64,
        blobs: &LocalBlobs,
        blob: BlobRef,
    ) -> Result<(), StoreError> {
        if blobs.has(blob.digest).is_none() {
            return Err(StoreError::Missing {
                digest: blob.digest,
            });
        }
        let reader = SegmentReader::open(&blobs.path(blob.digest))?;
        for entry in reader.entries() {
            self.mark(entry.trial, entry.attempts.clone());
        }
        self.sealed.insert(number, reader);
        Ok(())
    }

    fn mark(&mut self, trial: TrialId, marks: Vec<Watermark>) {
        let known = self.marks.entry(trial).or_default();
        for mark in marks {
            match known.iter_mut().find(|k| k.attempt == mark.attempt) {
                Some(held) if held.sequence >= mark.sequence => {}
                Some(held) => *held = mark,
                None => known.push(mark),
            }
        }
        known.sort_by_key(|k| k.attempt);
    }

    /// Whether this batch was taken before.
    pub(super) fn is_known(&self, batch: &ReportBatch) -> bool {
        let marks = self.marks.get(&batch.trial).into_iter().flatten();
        marks
            .filter(|m| m.attempt == batch.attempt)
            .any(|m| m.sequence >= batch.sequence)
    }

    /// The journal to append to, made if there is none.
    pub(super) fn journal(&mut self, dir: &Path) -> Result<&mut Journal, StoreError> {
        if self.current.is_none() {
            let journal = Journal::create(dir, self.next)?;
            self.unsealed.insert(self.next, Arc::default());
            self.next += 1;
            self.current = Some(journal);
        }
        self.current
            .as_mut()
            .ok_or_else(|| StoreError::Manifest("no journal".to_owned()))
    }

    pub(super) fn current_bytes(&self) -> u64 {
        self.current
            .as_ref()
            .filter(|j| !j.is_empty())
            .map_or(0, Journal::bytes)
    }

    /// Ends the current journal: the next append begins another one.
    pub(super) fn rotate(&mut self) {
        let full = self.current.take();
        self.full.extend(full.map(|j| (j.number(), j.bytes())));
    }

    /// Takes batches that are durable now.
    pub(super) fn take(&mut self, batches: Vec<ReportBatch>) {
        let Some(number) = self.current.as_ref().map(Journal::number) else {
            return;
        };
        for batch in &batches {
            let mark = Watermark {
                attempt: batch.attempt,
                from_step: batch.from_step,
                sequence: batch.sequence,
            };
            self.mark(batch.trial, vec![mark]);
        }
        let reports = Arc::make_mut(self.unsealed.entry(number).or_default());
        for batch in batches {
            let attempts = reports.entry(batch.trial).or_default();
            let attempt = attempts.entry(batch.attempt).or_default();
            attempt.from_step = batch.from_step;
            attempt.sequence = attempt.sequence.max(batch.sequence);
            attempt.points.extend(batch.points);
            attempt.logs.extend(batch.logs);
        }
    }

    /// The oldest journal that is full and not sealed.
    pub(super) fn to_seal(&self) -> Option<(u64, Arc<Reports>)> {
        let current = self.current.as_ref().map(Journal::number);
        let (number, reports) = self
            .unsealed
            .iter()
            .find(|(number, _)| Some(**number) != current)?;
        Some((*number, reports.clone()))
    }

    /// A journal's segment counts now: its reports leave the memory, its file goes.
    pub(super) fn sealed(
        &mut self,
        dir: &Path,
        number: u64,
        blobs: &LocalBlobs,
        blob: BlobRef,
    ) -> Result<(), StoreError> {
        self.add_segment(number, blobs, blob)?;
        self.unsealed.remove(&number);
        self.full.remove(&number);
        remove_journal(dir, number)
    }

    pub(super) fn forget(&mut self, sweep: SweepId) {
        self.marks.retain(|trial, _| trial.sweep != sweep);
        for reports in self
            .unsealed
            .values_mut()
            .filter(|r| r.keys().any(|t| t.sweep == sweep))
        {
            Arc::make_mut(reports).retain(|trial, _| trial.sweep != sweep);
        }
    }

    pub(super) fn find(&self, trial: TrialId) -> Series {
        let Some(starts) = self.marks.get(&trial) else {
            return Series::default();
        };
        let holds = |s: &&SegmentReader| {
            s.entries()
                .binary_search_by_key(&trial, |e| e.trial)
                .is_ok()
        };
        Series {
            trial: Some(trial),
            starts: starts.clone(),
            segments: self.sealed.values().filter(holds).cloned().collect(),
            unsealed: self
                .unsealed
                .values()
                .filter_map(|r| r.get(&trial))
                .cloned()
                .collect(),
        }
    }
}

fn watermarks(reports: &TrialReports) -> Vec<Watermark> {
    let mark = |(attempt, r): (
        &bonfire_domain::Attempt,
        &bonfire_store::segment::AttemptReports,
    )| Watermark {
        attempt: *attempt,
        from_step: r.from_step,
        sequence: r.sequence,
    };
    reports.iter().map(mark).collect()
}

/// Numbers of the journals in the directory, ascending.
fn journals(dir: &Path) -> Result<Vec<u64>, StoreError> {
    let fail = |source| StoreError::Io {
        action: "list",
        path: dir.to_path_buf(),
        source,
    };
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        numbers.extend(journal::parse_name(&name.to_string_lossy()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn remove_journal(dir: &Path, number: u64) -> Result<(), StoreError> {
    let path = dir.join(journal::name(number));
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(StoreError::Io {
            action: "remove",
            path,
            source,
        }),
        _ => Ok(()),
    }
}
