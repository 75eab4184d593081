//! Reading a log from disk: what is whole is taken, a torn end is cut, anything else is refused.

use std::path::{Path, PathBuf};

use raft::eraftpb::Snapshot;

use super::{
    Current, DiskLog, PART, SEGMENT_BYTES, SPARE, Sealed, note, parse_snapshot_name, snapshot_name,
};
use crate::encode::{self, DecodeError, SectionRef};
use crate::log::files::{Directory, Files};
use crate::log::replay::{Continue, Recovered, Replay};
use crate::log::{LogError, LogStore, segment};

impl DiskLog {
    /// Opens the log in `dir` and reads it; creates both if they are missing. The caller holds a lock on the directory.
    ///
    /// # Errors
    /// [`LogError::Damaged`] or [`LogError::Format`] with the file and the offset if anything but the last record is not
    /// as it was written; nothing is changed then. [`LogError::Io`] and [`LogError::Full`] as they come.
    pub fn open(dir: &Path) -> Result<(DiskLog, Recovered), LogError> {
        let files =
            Directory::open(dir).map_err(|error| LogError::io("open", dir.to_path_buf(), error))?;
        Self::open_files(Box::new(files), SEGMENT_BYTES)
    }

    pub(super) fn open_files(
        files: Box<dyn Files>,
        segment_bytes: u64,
    ) -> Result<(DiskLog, Recovered), LogError> {
        let names = files
            .names()
            .map_err(|error| LogError::io("list", files.path(""), error))?;
        let mut snapshots: Vec<u64> = names
            .iter()
            .filter_map(|name| parse_snapshot_name(name))
            .collect();
        snapshots.sort_unstable();
        let newest = snapshots.pop();
        let snapshot = newest
            .map(|index| read_snapshot(files.as_ref(), index))
            .transpose()?;
        let mut numbers: Vec<u64> = names
            .iter()
            .filter_map(|name| segment::parse_name(name))
            .collect();
        numbers.sort_unstable();

        let mut reading = Reading {
            files: files.as_ref(),
            replay: Replay::default(),
            next: None,
        };
        let mut segments = Vec::new();
        for (position, number) in numbers.iter().enumerate() {
            segments.push(reading.segment(*number, position + 1 == numbers.len())?);
        }
        let hard = reading.replay.hard().clone();
        let next_record = reading.next.map_or(1, |(_, record)| record);
        check_end(files.as_ref(), &names, segments.last(), next_record)?;
        let reset = snapshot
            .as_ref()
            .map(|snapshot| (snapshot.get_metadata().index, snapshot.get_metadata().term));
        let (mut recovered, next) =
            reading
                .replay
                .finish(snapshot)
                .map_err(|what| LogError::Damaged {
                    path: files.path(
                        &numbers
                            .first()
                            .map_or_else(String::new, |number| segment::name(*number)),
                    ),
                    offset: segment::HEAD_BYTES,
                    what: what.to_string(),
                })?;

        // Everything is readable; from here on the directory may be changed.
        let leftovers = snapshots.into_iter().map(snapshot_name);
        let scratch = names
            .into_iter()
            .filter(|name| name == PART || name == SPARE);
        for name in leftovers.chain(scratch) {
            files
                .remove(&name)
                .map_err(|error| LogError::io("remove", files.path(&name), error))?;
        }
        let current = segments.pop();
        let sealed = segments.into_iter().map(|read| Sealed {
            number: read.number,
            last_index: read.last_index,
        });
        let mut log = DiskLog {
            segment_bytes,
            sealed: sealed.collect(),
            current: None,
            spare: None,
            next_record,
            snapshot: newest.unwrap_or(0),
            broken: false,
            files,
        };
        log.sync_names()?;
        if let Some(read) = current {
            recovered.cut_bytes = read.torn_bytes;
            log.continue_in(&read)?;
        }
        if next == Continue::WithReset {
            let index = reset.map_or(0, |(index, _)| index);
            log.put_record(
                [SectionRef {
                    hard: &hard,
                    reset,
                    entries: &[],
                }]
                .into_iter(),
                index,
            )?;
        }
        log.compact(log.snapshot)?;
        Ok((log, recovered))
    }

    /// Opens the last segment for writing, cuts a torn record so that a later one cannot join up with its remains, and
    /// syncs: what was read may so far be known to the page cache only.
    fn continue_in(&mut self, read: &ReadSegment) -> Result<(), LogError> {
        let name = segment::name(read.number);
        let mut file = self
            .files
            .open(&name)
            .map_err(|error| self.failed("open", &name, error))?;
        if read.torn_bytes > 0 {
            file.set_len(read.good_bytes)
                .map_err(|error| self.failed("cut", &name, error))?;
        }
        file.sync()
            .map_err(|error| self.broke("sync", &name, error))?;
        if read.torn_bytes > 0 {
            // Without space the file grows when there is some.
            let _ = file.reserve(self.segment_bytes);
        }
        self.current = Some(Current {
            number: read.number,
            file,
            at: read.good_bytes,
            last_index: read.last_index,
        });
        Ok(())
    }
}

/// Refuses a log with fewer records than it had when it was closed.
fn check_end(
    files: &dyn Files,
    names: &[String],
    last: Option<&ReadSegment>,
    next_record: u64,
) -> Result<(), LogError> {
    if !names.iter().any(|name| name == note::NAME) {
        return Ok(());
    }
    let path = files.path(note::NAME);
    let note = files
        .read(note::NAME)
        .map_err(|error| LogError::io("read", path.clone(), error))?;
    let noted = note::decode(&note).map_err(|format| match format {
        Some(found) => LogError::Format {
            path: path.clone(),
            found,
            known: note::FORMAT,
        },
        None => LogError::Damaged {
            path: path.clone(),
            offset: 0,
            what: "it is not what closing the log wrote".into(),
        },
    })?;
    if next_record >= noted {
        return Ok(());
    }
    let (path, offset) = match last {
        Some(last) => (files.path(&segment::name(last.number)), last.good_bytes),
        None => (files.path(&segment::name(1)), 0),
    };
    let missing = noted - next_record;
    let what =
        format!("its end is gone, {missing} records that were there when the log was closed");
    Err(LogError::Damaged { path, offset, what })
}

fn read_snapshot(files: &dyn Files, index: u64) -> Result<Snapshot, LogError> {
    let name = snapshot_name(index);
    let path = files.path(&name);
    let bytes = files
        .read(&name)
        .map_err(|error| LogError::io("read", path.clone(), error))?;
    let snapshot =
        encode::decode_snapshot(&bytes).map_err(|error| refused(path.clone(), 0, error))?;
    if snapshot.get_metadata().index != index {
        return Err(LogError::Damaged {
            path,
            offset: 0,
            what: "the name is that of another snapshot".into(),
        });
    }
    Ok(snapshot)
}

fn refused(path: PathBuf, offset: u64, error: DecodeError) -> LogError {
    match error {
        DecodeError::Format { found, known } => LogError::Format { path, found, known },
        DecodeError::Malformed(what) => LogError::Damaged {
            path,
            offset,
            what: what.into(),
        },
    }
}

struct ReadSegment {
    number: u64,
    last_index: u64,
    good_bytes: u64,
    torn_bytes: u64,
}

/// The state while segments are read in order.
struct Reading<'a> {
    files: &'a dyn Files,
    replay: Replay,
    /// The numbers that the next segment and its first record must have.
    next: Option<(u64, u64)>,
}

impl Reading<'_> {
    fn segment(&mut self, number: u64, is_last: bool) -> Result<ReadSegment, LogError> {
        let path = self.files.path(&segment::name(number));
        let damaged = |offset, what: &str| LogError::Damaged {
            path: path.clone(),
            offset,
            what: what.to_string(),
        };
        let file = self
            .files
            .read(&segment::name(number))
            .map_err(|error| LogError::io("read", path.clone(), error))?;
        let (found, first_record) = segment::parse_head(&file).map_err(|error| match error {
            segment::HeadError::Format(found) => LogError::Format {
                path: path.clone(),
                found,
                known: segment::FORMAT,
            },
            segment::HeadError::Damaged(what) => damaged(0, what),
        })?;
        if found != number {
            return Err(damaged(0, "the name is that of another segment"));
        }
        if self.next.is_some_and(|next| next != (number, first_record)) {
            return Err(damaged(0, "records before this segment are missing"));
        }
        let mut last_index = 0;
        let replay = &mut self.replay;
        let (good_bytes, end, next_record) =
            segment::read(&file, first_record, |offset, payload| {
                let sections = encode::decode_record(payload)
                    .map_err(|error| refused(path.clone(), offset, error))?;
                for section in sections {
                    let entries = section.entries.iter().map(|entry| entry.index);
                    last_index = entries
                        .chain(section.reset.map(|(index, _)| index))
                        .fold(last_index, u64::max);
                    replay.take(section).map_err(|what| damaged(offset, what))?;
                }
                Ok(())
            })?;
        self.next = Some((number + 1, next_record));
        let torn_bytes = match end {
            segment::End::Clean => 0,
            segment::End::Torn(bytes) if is_last => bytes,
            segment::End::Torn(_) => {
                return Err(damaged(
                    good_bytes,
                    "a bad record in a segment that is not the last",
                ));
            }
            segment::End::Damaged => {
                return Err(damaged(good_bytes, "a bad record that whole ones follow"));
            }
        };
        Ok(ReadSegment {
            number,
            last_index,
            good_bytes,
            torn_bytes,
        })
    }
}
