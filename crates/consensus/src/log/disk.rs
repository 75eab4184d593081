//! The log on disk: segments that are only appended to, and snapshot files beside them.
//!
//! Files of the directory: `{number}.log` (see [`super::segment`]), `spare.log` (the next segment, space reserved, no head
//! yet), `{index}.snap` (see [`crate::encode`]), `end.note` (see `note`) and `new.part` (a snapshot or a note being written). The
//! caller holds a lock on the directory.

mod note;
mod open;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;

use raft::eraftpb::Snapshot;

use super::files::{Files, OpenFile};
use super::{LogError, LogStore, segment};
use crate::encode::{self, SectionRef};
use crate::event::{Batch, SnapshotFile};

/// A segment's reserved length in bytes. A batch that is larger gets a segment of its own size.
const SEGMENT_BYTES: u64 = 16 << 20;
const SPARE: &str = "spare.log";
const PART: &str = "new.part";

/// An append-only log in a directory. One append is one record, one write and one fdatasync.
pub struct DiskLog {
    files: Box<dyn Files>,
    segment_bytes: u64,
    /// Segments before the current one, oldest first.
    sealed: VecDeque<Sealed>,
    current: Option<Current>,
    /// The next segment, made ahead so that a full disk shows early and an append need not wait.
    spare: Option<Box<dyn OpenFile>>,
    next_record: u64,
    /// Index of the newest snapshot, 0 without one.
    snapshot: u64,
    broken: bool,
}

struct Sealed {
    number: u64,
    last_index: u64,
}

struct Current {
    number: u64,
    file: Box<dyn OpenFile>,
    /// Where the next record goes, in bytes.
    at: u64,
    last_index: u64,
}

fn snapshot_name(index: u64) -> String {
    format!("{index:016x}.snap")
}

fn parse_snapshot_name(name: &str) -> Option<u64> {
    let digits = name
        .strip_suffix(".snap")
        .filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

impl LogStore for DiskLog {
    fn append(&mut self, batches: &[Batch]) -> Result<(), LogError> {
        self.usable()?;
        // A received snapshot comes first: a log that speaks of it without having it could not be opened.
        for snapshot in batches.iter().filter_map(|batch| batch.snapshot.as_ref()) {
            self.put_snapshot(snapshot)?;
        }
        let last_index = batches.iter().map(Batch::last_index).max().unwrap_or(0);
        self.put_record(batches.iter().map(Batch::section), last_index)
    }

    fn store_snapshot(&mut self, snapshot: &SnapshotFile) -> Result<(), LogError> {
        self.usable()?;
        self.put_snapshot(&snapshot.0)
    }

    fn compact(&mut self, upto: u64) -> Result<(), LogError> {
        self.usable()?;
        let upto = upto.min(self.snapshot);
        while let Some(oldest) = self.sealed.pop_front_if(|oldest| oldest.last_index <= upto) {
            let name = segment::name(oldest.number);
            self.files
                .remove(&name)
                .map_err(|error| self.broke("remove", &name, error))?;
            // One at a time, so that never an older one is there without a newer one.
            self.sync_names()?;
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.usable().is_err() {
            return;
        }
        // Without the note a log that loses its end at rest cannot be told from one that was torn.
        let note = note::encode(self.next_record);
        let written = self.files.create(PART).and_then(|mut file| {
            file.write_at(&note, 0)?;
            file.sync()
        });
        let named = written.and_then(|()| self.files.rename(PART, note::NAME));
        match named {
            Ok(()) => _ = self.files.sync_names(),
            Err(_) => _ = self.files.remove(PART),
        }
    }

    fn prepare(&mut self) {
        if self.spare.is_none() && !self.broken {
            // If there is no space yet, the append that needs it says so.
            let _ = self.make_spare(self.segment_bytes);
        }
    }
}

impl DiskLog {
    fn usable(&self) -> Result<(), LogError> {
        if self.broken {
            Err(LogError::Broken)
        } else {
            Ok(())
        }
    }

    /// An error after which nothing is known about the disk.
    fn broke(&mut self, action: &'static str, name: &str, source: io::Error) -> LogError {
        self.broken = true;
        LogError::Io {
            action,
            path: self.files.path(name),
            source,
        }
    }

    /// An error of a call that changed nothing that counts: a full disk can be waited for, all else cannot.
    fn failed(&mut self, action: &'static str, name: &str, source: io::Error) -> LogError {
        let error = LogError::io(action, self.files.path(name), source);
        self.broken |= !error.is_full();
        error
    }

    fn sync_names(&mut self) -> Result<(), LogError> {
        self.files
            .sync_names()
            .map_err(|error| self.broke("sync", "", error))
    }

    fn put_record<'a>(
        &mut self,
        sections: impl ExactSizeIterator<Item = SectionRef<'a>>,
        last_index: u64,
    ) -> Result<(), LogError> {
        let record = segment::record(self.next_record, |payload| {
            encode::record(sections, payload)
        });
        let bytes = record.len() as u64;
        let fits = |current: &Current| {
            current.at == segment::HEAD_BYTES || current.at + bytes <= self.segment_bytes
        };
        if !self.current.as_ref().is_some_and(fits) {
            self.roll(segment::HEAD_BYTES + bytes)?;
        }
        let Some(current) = self.current.as_mut() else {
            return Err(LogError::Broken);
        };
        let name = segment::name(current.number);
        if let Err(error) = current.file.write_at(&record, current.at) {
            let error = self.failed("write", &name, error);
            if error.is_full() {
                self.cut_unfinished(&name)?;
            }
            return Err(error);
        }
        if let Err(error) = current.file.sync() {
            return Err(self.broke("sync", &name, error));
        }
        current.at += bytes;
        current.last_index = current.last_index.max(last_index);
        self.next_record += 1;
        Ok(())
    }

    /// Leaves the current segment as it was before a write that came through in part.
    fn cut_unfinished(&mut self, name: &str) -> Result<(), LogError> {
        let Some(current) = self.current.as_mut() else {
            return Ok(());
        };
        let cut = current
            .file
            .set_len(current.at)
            .and_then(|()| current.file.sync());
        // The space may be missing for that now; then the file grows when there is some.
        let _ = current.file.reserve(self.segment_bytes);
        cut.map_err(|error| self.broke("cut", name, error))
    }

    /// Goes on in a new segment with room for `bytes`. It gets its name only when its head is on disk.
    fn roll(&mut self, bytes: u64) -> Result<(), LogError> {
        if self.spare.is_none() || bytes > self.segment_bytes {
            self.make_spare(bytes.max(self.segment_bytes))?;
        }
        let Some(mut file) = self.spare.take() else {
            return Err(LogError::Broken);
        };
        let number = self
            .current
            .as_ref()
            .map_or(1, |current| current.number + 1);
        let name = segment::name(number);
        let head = segment::head(number, self.next_record);
        file.write_at(&head, 0)
            .map_err(|error| self.failed("write", SPARE, error))?;
        file.sync()
            .map_err(|error| self.broke("sync", SPARE, error))?;
        self.files
            .rename(SPARE, &name)
            .map_err(|error| self.failed("rename", SPARE, error))?;
        self.sync_names()?;
        let next = Current {
            number,
            file,
            at: segment::HEAD_BYTES,
            last_index: 0,
        };
        if let Some(full) = self.current.replace(next) {
            self.sealed.push_back(Sealed {
                number: full.number,
                last_index: full.last_index,
            });
        }
        Ok(())
    }

    fn make_spare(&mut self, bytes: u64) -> Result<(), LogError> {
        self.spare = None;
        let made = self
            .files
            .create(SPARE)
            .and_then(|mut file| file.reserve(bytes).map(|()| file));
        match made {
            Ok(file) => {
                self.spare = Some(file);
                Ok(())
            }
            Err(error) => {
                let _ = self.files.remove(SPARE);
                Err(LogError::io("reserve", self.files.path(SPARE), error))
            }
        }
    }

    /// Writes a snapshot under another name, syncs it, and renames it; then older ones may go.
    fn put_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), LogError> {
        let index = snapshot.get_metadata().index;
        if index <= self.snapshot {
            return Ok(());
        }
        let bytes = encode::snapshot(snapshot);
        let written = self
            .files
            .create(PART)
            .and_then(|mut file| file.write_at(&bytes, 0).map(|()| file));
        let mut file = match written {
            Ok(file) => file,
            Err(error) => {
                let _ = self.files.remove(PART);
                return Err(self.failed("write", PART, error));
            }
        };
        file.sync()
            .map_err(|error| self.broke("sync", PART, error))?;
        let name = snapshot_name(index);
        self.files
            .rename(PART, &name)
            .map_err(|error| self.failed("rename", PART, error))?;
        self.sync_names()?;
        let previous = std::mem::replace(&mut self.snapshot, index);
        if previous > 0 {
            let name = snapshot_name(previous);
            self.files
                .remove(&name)
                .map_err(|error| self.broke("remove", &name, error))?;
        }
        Ok(())
    }
}
