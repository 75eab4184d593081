//! The tracker's journal: an append-only file of report batches, a checksum a record.
//!
//! File: `BFTJ`, format u16, reserved u16, journal number u64 (all little-endian); then one record an append: length u32,
//! CRC32C of the journal's number and the length u32, CRC32C of the body u32, and the body, the postcard encoding of a list
//! of [`ReportBatch`]. A last record that does not check was never acknowledged and is cut at open; any other is damage.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bonfire_domain::metric::ReportBatch;

use crate::StoreError;
use crate::blobs::sync_dir;

const MAGIC: &[u8; 4] = b"BFTJ";
const FORMAT: u16 = 1;
const HEAD_BYTES: u64 = 16;
const RECORD_HEAD_BYTES: usize = 12;

/// An open journal, at whose end batches are appended.
#[derive(Debug)]
pub struct Journal {
    number: u64,
    path: PathBuf,
    file: File,
    bytes: u64,
}

/// The file name of a journal.
pub fn name(number: u64) -> String {
    format!("{number:016x}.journal")
}

/// Reads a file name that [`name`] made.
pub fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".journal").filter(|d| d.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

impl Journal {
    /// Creates a journal and makes its name durable.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Full`]; nothing stays then.
    pub fn create(dir: &Path, number: u64) -> Result<Journal, StoreError> {
        let path = dir.join(name(number));
        let mut head = Vec::from(*MAGIC);
        head.extend_from_slice(&FORMAT.to_le_bytes());
        head.extend_from_slice(&[0; 2]);
        head.extend_from_slice(&number.to_le_bytes());
        let made = File::create(&path).and_then(|mut file| {
            file.write_all(&head)?;
            file.sync_data()?;
            Ok(file)
        });
        let file = made.map_err(|e| {
            let _ = std::fs::remove_file(&path);
            StoreError::io("create", &path, e)
        })?;
        sync_dir(dir)?;
        Ok(Journal {
            number,
            path,
            file,
            bytes: HEAD_BYTES,
        })
    }

    /// Opens a journal and reads every batch in it. A torn last record is cut.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the file's name if anything but the end is not as it was written; nothing is changed
    /// then. [`StoreError::Format`] for a journal of another version.
    pub fn open(dir: &Path, number: u64) -> Result<(Journal, Vec<ReportBatch>), StoreError> {
        let path = dir.join(name(number));
        let fail = |e: io::Error| StoreError::io("read", &path, e);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).open(&path).map_err(fail)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail)?;
        let (batches, end) = parse(&path, number, &bytes)?;
        if end < bytes.len() as u64 {
            file.set_len(end).map_err(fail)?;
            file.sync_data().map_err(fail)?;
        }
        file.seek(SeekFrom::Start(end)).map_err(fail)?;
        if end == 0 {
            // Torn before its head was whole: it never held anything.
            drop(file);
            return Ok((Journal::create(dir, number)?, vec![]));
        }
        Ok((
            Journal {
                number,
                path,
                file,
                bytes: end,
            },
            batches,
        ))
    }

    /// Appends batches with one write and one fdatasync; they are durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Full`] without space: nothing of them is in the journal then, and the call may be made again. After
    /// [`StoreError::Io`] the journal must not be used again before it was opened anew.
    pub fn append<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a ReportBatch>,
    ) -> Result<(), StoreError> {
        let batches: Vec<&ReportBatch> = batches.into_iter().collect();
        let body =
            postcard::to_stdvec(&batches).map_err(|e| self.fail("encode", io::Error::other(e)))?;
        let Ok(length) = u32::try_from(body.len()) else {
            let error = io::Error::other(format!("batches of {} bytes", body.len()));
            return Err(self.fail("append to", error));
        };
        let mut record = Vec::with_capacity(RECORD_HEAD_BYTES + body.len());
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&crc_of_length(length, self.number).to_le_bytes());
        record.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        record.extend_from_slice(&body);
        if let Err(error) = self.file.write_all(&record) {
            let error = self.fail("append to", error);
            let cut = self.file.set_len(self.bytes);
            let back = self.file.seek(SeekFrom::Start(self.bytes));
            return Err(match cut.and(back) {
                Ok(_) => error,
                Err(e) => self.fail("cut", e),
            });
        }
        self.file.sync_data().map_err(|e| StoreError::Io {
            action: "sync",
            path: self.path.clone(),
            source: e,
        })?;
        self.bytes += record.len() as u64;
        Ok(())
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// The file's length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether no batch was ever appended.
    pub fn is_empty(&self) -> bool {
        self.bytes == HEAD_BYTES
    }

    fn fail(&self, action: &'static str, error: io::Error) -> StoreError {
        StoreError::io(action, &self.path, error)
    }
}

/// Reads the batches and says where the last whole record ends.
///
/// An append is one record, so a torn append leaves nothing whole behind it: a record that checks after one that does not
/// means damage.
fn parse(path: &Path, number: u64, bytes: &[u8]) -> Result<(Vec<ReportBatch>, u64), StoreError> {
    if bytes.len() < HEAD_BYTES as usize {
        return Ok((vec![], 0));
    }
    if &bytes[..4] != MAGIC {
        return Err(StoreError::damaged(
            path,
            "it does not begin as a journal does",
        ));
    }
    let found = u16::from_le_bytes([bytes[4], bytes[5]]);
    if found != FORMAT {
        return Err(StoreError::Format {
            path: path.to_path_buf(),
            found,
            known: FORMAT,
        });
    }
    if bytes[8..16] != number.to_le_bytes() {
        return Err(StoreError::damaged(path, "it is another journal's file"));
    }
    let mut at = HEAD_BYTES as usize;
    let mut batches = Vec::new();
    while at < bytes.len() {
        let damaged =
            |what: &str| StoreError::damaged(path, format!("record at byte {at}: {what}"));
        let Some(body) = record_at(bytes, at, number) else {
            if (at + 1..bytes.len()).any(|later| record_at(bytes, later, number).is_some()) {
                return Err(damaged("it does not check, and whole ones follow"));
            }
            break;
        };
        let appended: Vec<ReportBatch> =
            postcard::from_bytes(body).map_err(|e| damaged(&e.to_string()))?;
        batches.extend(appended);
        at += RECORD_HEAD_BYTES + body.len();
    }
    Ok((batches, at as u64))
}

/// The body of the record that begins at `at`, if one does and is whole.
fn record_at(bytes: &[u8], at: usize, journal: u64) -> Option<&[u8]> {
    let head: &[u8; RECORD_HEAD_BYTES] = bytes.get(at..at + RECORD_HEAD_BYTES)?.try_into().ok()?;
    let word = |i: usize| u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
    let (length, head_crc, body_crc) = (word(0), word(4), word(8));
    if crc_of_length(length, journal) != head_crc {
        return None;
    }
    let from = at + RECORD_HEAD_BYTES;
    let body = bytes.get(from..from.checked_add(length as usize)?)?;
    (crc32c::crc32c(body) == body_crc).then_some(body)
}

/// A length's checksum; salted with the journal's number, so that no other file's record passes for one of this.
fn crc_of_length(length: u32, journal: u64) -> u32 {
    crc32c::crc32c_append(
        crc32c::crc32c(&journal.to_le_bytes()),
        &length.to_le_bytes(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::segment::tests::batch;

    fn filled(dir: &Path) -> Vec<ReportBatch> {
        let batches: Vec<ReportBatch> = (1..=3).map(|sequence| batch(1, 1, sequence)).collect();
        let mut journal = Journal::create(dir, 7).unwrap();
        journal.append(&batches[..1]).unwrap();
        journal.append(&batches[1..]).unwrap();
        batches
    }

    #[test]
    fn batches_come_back_and_more_can_be_appended() {
        let dir = tempfile::tempdir().unwrap();
        let mut batches = filled(dir.path());
        let (mut journal, found) = Journal::open(dir.path(), 7).unwrap();
        assert_eq!(found, batches);
        batches.push(batch(2, 1, 1));
        journal.append(&batches[3..]).unwrap();
        assert_eq!(Journal::open(dir.path(), 7).unwrap().1, batches);
    }

    #[test]
    fn every_torn_end_is_cut_and_what_was_whole_stays() {
        let dir = tempfile::tempdir().unwrap();
        let batches = filled(dir.path());
        let path = dir.path().join(name(7));
        let whole = std::fs::read(&path).unwrap();
        for end in 0..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let (journal, found) = Journal::open(dir.path(), 7).unwrap();
            assert!(
                found.len() < 3 && found == batches[..found.len()],
                "cut at {end}"
            );
            assert_eq!(journal.bytes(), std::fs::metadata(&path).unwrap().len());
        }
    }

    #[test]
    fn damage_in_the_middle_is_refused_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let path = dir.path().join(name(7));
        let whole = std::fs::read(&path).unwrap();
        let last = whole.len() - record_at_end(&whole);
        for at in 0..last {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            if (6..8).contains(&at) {
                continue; // reserved
            }
            std::fs::write(&path, &bytes).unwrap();
            let error =
                Journal::open(dir.path(), 7).expect_err(&format!("byte {at} was not noticed"));
            assert!(error.to_string().contains(&name(7)), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is changed");
        }
    }

    /// Length of the last of the two records.
    fn record_at_end(whole: &[u8]) -> usize {
        let first = record_at(whole, HEAD_BYTES as usize, 7).unwrap().len();
        whole.len() - HEAD_BYTES as usize - RECORD_HEAD_BYTES - first
    }

    #[test]
    fn names_are_read_back() {
        assert_eq!(parse_name(&name(255)), Some(255));
        assert_eq!(parse_name("x.journal"), None);
    }
}
