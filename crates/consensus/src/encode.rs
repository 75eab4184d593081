//! Bytes: messages for the wire (protobuf, opaque to everybody else), records and snapshots for the disk.
//!
//! On disk everything is little-endian, ours, and behind a `u16` format number.
//!
//! Record payload, format 1: `u16` format, `u32` sections; each section is `u64` term, `u64` vote, `u64` commit, `u8`
//! (1 if a snapshot replaced the log before the entries of this section, then `u64` index, `u64` term), `u32` entries;
//! each entry is `u64` index, `u64` term, `u8` kind (0), `u32` length, bytes.
//!
//! Snapshot file, format 1: magic, `u16` format, `u16` zero, `u32` CRC32C of all that follows, `u64` index, `u64` term,
//! `u32` voters and their `u64` ids, `u32` learners and their ids, `u64` length, the state machine's bytes.

use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState, Message, Snapshot};

#[cfg(test)]
mod tests;

const RECORD_FORMAT: u16 = 1;
const SNAPSHOT_FORMAT: u16 = 1;
const SNAPSHOT_MAGIC: [u8; 8] = *b"bonfsnap";
const SNAPSHOT_CHECKED_FROM: usize = 16;
const ENTRY_HEAD_BYTES: usize = 21;

/// What one turn left in the log.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Section {
    pub(crate) hard: HardState,
    /// Index and term of a snapshot that replaced the log.
    pub(crate) reset: Option<(u64, u64)>,
    pub(crate) entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("format {found} is unknown, this program reads {known}")]
    Format { found: u16, known: u16 },
    #[error("{0}")]
    Malformed(&'static str),
}

pub(crate) fn message(message: &Message) -> Vec<u8> {
    message
        .write_to_bytes()
        .expect("a message in memory has all its fields")
}

/// Bytes of an entry in a record.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    ENTRY_HEAD_BYTES + entry.data.len()
}

/// Appends a record payload to `out`. The sections come in the order in which they were made.
pub(crate) fn record<'a>(
    sections: impl ExactSizeIterator<Item = SectionRef<'a>>,
    out: &mut Vec<u8>,
) {
    out.extend(RECORD_FORMAT.to_le_bytes());
    out.extend((sections.len() as u32).to_le_bytes());
    for section in sections {
        for number in [section.hard.term, section.hard.vote, section.hard.commit] {
            out.extend(number.to_le_bytes());
        }
        out.push(u8::from(section.reset.is_some()));
        if let Some((index, term)) = section.reset {
            out.extend(index.to_le_bytes());
            out.extend(term.to_le_bytes());
        }
        out.extend((section.entries.len() as u32).to_le_bytes());
        for entry in section.entries {
            out.extend(entry.index.to_le_bytes());
            out.extend(entry.term.to_le_bytes());
            out.push(0);
            out.extend((entry.data.len() as u32).to_le_bytes());
            out.extend_from_slice(&entry.data);
        }
    }
}

/// A [`Section`] to be written.
#[derive(Clone, Copy)]
pub(crate) struct SectionRef<'a> {
    pub(crate) hard: &'a HardState,
    pub(crate) reset: Option<(u64, u64)>,
    pub(crate) entries: &'a [Entry],
}

pub(crate) fn decode_record(payload: &[u8]) -> Result<Vec<Section>, DecodeError> {
    let mut reader = Reader(payload);
    let format = reader.u16()?;
    if format != RECORD_FORMAT {
        return Err(DecodeError::Format {
            found: format,
            known: RECORD_FORMAT,
        });
    }
    let count = reader.u32()?;
    let sections = (0..count)
        .map(|_| decode_section(&mut reader))
        .collect::<Result<_, _>>()?;
    reader.end()?;
    Ok(sections)
}

fn decode_section(reader: &mut Reader<'_>) -> Result<Section, DecodeError> {
    let hard = HardState {
        term: reader.u64()?,
        vote: reader.u64()?,
        commit: reader.u64()?,
        ..HardState::default()
    };
    let reset = match reader.u8()? {
        0 => None,
        1 => Some((reader.u64()?, reader.u64()?)),
        _ => return Err(DecodeError::Malformed("bad snapshot mark")),
    };
    let count = reader.u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let (index, term) = (reader.u64()?, reader.u64()?);
        if reader.u8()? != 0 {
            return Err(DecodeError::Malformed("an entry of an unknown kind"));
        }
        let length = reader.u32()? as usize;
        let data = reader.bytes(length)?.to_vec();
        entries.push(Entry {
            index,
            term,
            data: data.into(),
            ..Entry::default()
        });
    }
    Ok(Section {
        hard,
        reset,
        entries,
    })
}

pub(crate) fn snapshot(snapshot: &Snapshot) -> Vec<u8> {
    let meta = snapshot.get_metadata();
    let mut body = Vec::with_capacity(snapshot.data.len() + 128);
    body.extend(meta.index.to_le_bytes());
    body.extend(meta.term.to_le_bytes());
    for ids in [
        &meta.get_conf_state().voters,
        &meta.get_conf_state().learners,
    ] {
        body.extend((ids.len() as u32).to_le_bytes());
        body.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
    }
    body.extend((snapshot.data.len() as u64).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&body), &snapshot.data);
    let mut out = Vec::with_capacity(SNAPSHOT_CHECKED_FROM + body.len() + snapshot.data.len());
    out.extend(SNAPSHOT_MAGIC);
    out.extend(SNAPSHOT_FORMAT.to_le_bytes());
    out.extend([0; 2]);
    out.extend(crc.to_le_bytes());
    out.extend(body);
    out.extend_from_slice(&snapshot.data);
    out
}

pub(crate) fn decode_snapshot(file: &[u8]) -> Result<Snapshot, DecodeError> {
    let mut reader = Reader(file);
    if reader.bytes(8)? != SNAPSHOT_MAGIC {
        return Err(DecodeError::Malformed("not a snapshot file"));
    }
    let format = reader.u16()?;
    if format != SNAPSHOT_FORMAT {
        return Err(DecodeError::Format {
            found: format,
            known: SNAPSHOT_FORMAT,
        });
    }
    reader.u16()?;
    let crc = reader.u32()?;
    if crc32c::crc32c(reader.0) != crc {
        return Err(DecodeError::Malformed("the checksum does not match"));
    }
    let (index, term) = (reader.u64()?, reader.u64()?);
    let mut members = ConfState::default();
    for ids in [&mut members.voters, &mut members.learners] {
        for _ in 0..reader.u32()? {
            ids.push(reader.u64()?);
        }
    }
    let length =
        usize::try_from(reader.u64()?).map_err(|_| DecodeError::Malformed("bad length"))?;
    let data = reader.bytes(length)?.to_vec();
    reader.end()?;
    let mut snapshot = Snapshot {
        data: data.into(),
        ..Snapshot::default()
    };
    let meta = snapshot.mut_metadata();
    (meta.index, meta.term) = (index, term);
    meta.set_conf_state(members);
    Ok(snapshot)
}

/// Reads from the front of a slice and never past its end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(DecodeError::Malformed("cut"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Malformed("cut"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Malformed("bytes left over"))
        }
    }
}
