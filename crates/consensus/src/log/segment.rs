//! The layout of one log file.
//!
//! A segment is a head and records, then zeros up to the reserved length. Head (32 bytes): magic, `u16` format, `u16`
//! zero, `u64` number of the segment, `u64` number of its first record, `u32` CRC32C of what is before it. Record:
//! `u32` magic, `u32` payload length, `u64` number of the record, `u32` CRC32C of length, number and payload, `u32` zero,
//! the payload, zeros up to a multiple of 8. Numbers are little-endian; records are numbered from 1 through all segments,
//! so a missing one shows.
//!
//! One record is one sync, and a record is written only after the one before it was synced. So a bad record that others
//! follow cannot be the trace of a power failure.

/// Format of the head and of the framing of records.
pub(super) const FORMAT: u16 = 1;
pub(super) const HEAD_BYTES: u64 = 32;
const MAGIC: [u8; 8] = *b"bonf-log";
const RECORD_MAGIC: u32 = u32::from_le_bytes(*b"rec\x01");
const RECORD_HEAD_BYTES: usize = 24;
const ALIGN: usize = 8;

/// `{number}.log`, so that names sort by number.
pub(super) fn name(number: u64) -> String {
    format!("{number:016x}.log")
}

/// The number in a segment's name.
pub(super) fn parse_name(name: &str) -> Option<u64> {
    let digits = name
        .strip_suffix(".log")
        .filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

pub(super) fn head(number: u64, first_record: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    head.extend(MAGIC);
    head.extend(FORMAT.to_le_bytes());
    head.extend([0; 2]);
    head.extend(number.to_le_bytes());
    head.extend(first_record.to_le_bytes());
    head.extend(crc32c::crc32c(&head).to_le_bytes());
    head
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    Format(u16),
    Damaged(&'static str),
}

/// The number of the segment and that of its first record.
pub(super) fn parse_head(file: &[u8]) -> Result<(u64, u64), HeadError> {
    let head = file
        .get(..HEAD_BYTES as usize)
        .ok_or(HeadError::Damaged("the head is cut"))?;
    if head[..8] != MAGIC {
        return Err(HeadError::Damaged("not a log file"));
    }
    let format = u16::from_le_bytes([head[8], head[9]]);
    if format != FORMAT {
        return Err(HeadError::Format(format));
    }
    if u32_at(head, 28) != Some(crc32c::crc32c(&head[..28])) {
        return Err(HeadError::Damaged(
            "the checksum of the head does not match",
        ));
    }
    match (u64_at(head, 12), u64_at(head, 20)) {
        (Some(number), Some(first_record)) => Ok((number, first_record)),
        _ => Err(HeadError::Damaged("the head is cut")),
    }
}

/// Frames a payload that `write` appends.
pub(super) fn record(number: u64, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut record = vec![0; RECORD_HEAD_BYTES];
    write(&mut record);
    let length = (record.len() - RECORD_HEAD_BYTES) as u32;
    record[0..4].copy_from_slice(&RECORD_MAGIC.to_le_bytes());
    record[4..8].copy_from_slice(&length.to_le_bytes());
    record[8..16].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&record[4..16]), &record[RECORD_HEAD_BYTES..]);
    record[16..20].copy_from_slice(&crc.to_le_bytes());
    record.resize(record.len().next_multiple_of(ALIGN), 0);
    record
}

/// How the good part of a segment ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Only zeros follow.
    Clean,
    /// The remains of one record follow, this many bytes.
    Torn(u64),
    /// Something is wrong although whole records follow.
    Damaged,
}

/// Hands each record's offset and payload to `take`; returns where the good part ends, how, and the next record's number.
pub(super) fn read<E>(
    file: &[u8],
    first_record: u64,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(u64, End, u64), E> {
    let mut at = HEAD_BYTES as usize;
    let mut number = first_record;
    while let Some((payload, next)) = record_at(file, at, |found| found == number) {
        take(at as u64, payload)?;
        (at, number) = (next, number + 1);
    }
    let rest = file.get(at..).unwrap_or_default();
    let end = match rest.iter().rposition(|byte| *byte != 0) {
        None => End::Clean,
        Some(last) => {
            // A record further on was synced after this one was.
            let mut later = (at + ALIGN..file.len()).step_by(ALIGN);
            if later.any(|offset| record_at(file, offset, |found| found > number).is_some()) {
                End::Damaged
            } else {
                End::Torn(last as u64 + 1)
            }
        }
    };
    Ok((at as u64, end, number))
}

/// The payload of the record at `at` and the offset behind it, if it is whole and its number is the wanted one.
fn record_at(file: &[u8], at: usize, wanted: impl Fn(u64) -> bool) -> Option<(&[u8], usize)> {
    if u32_at(file, at)? != RECORD_MAGIC {
        return None;
    }
    let length = u32_at(file, at + 4)? as usize;
    let number = u64_at(file, at + 8)?;
    let crc = u32_at(file, at + 16)?;
    let start = at + RECORD_HEAD_BYTES;
    let payload = file.get(start..start.checked_add(length)?)?;
    let checked = crc32c::crc32c_append(crc32c::crc32c(&file[at + 4..at + 16]), payload);
    (wanted(number) && checked == crc)
        .then_some((payload, (start + length).next_multiple_of(ALIGN)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u32::from_le_bytes(*chunk))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u64::from_le_bytes(*chunk))
}
