//! What a log that was closed says of its length.
//!
//! A record that is torn was never acknowledged, so a torn end is cut. A file that lost its end at rest looks the same. So
//! closing leaves a note of the records there are, and opening refuses a log with fewer. File `end.note`: magic, `u16` format,
//! `u16` zero, `u64` number of the next record, `u32` CRC32C of what is before it; little-endian.

pub(super) const NAME: &str = "end.note";
const MAGIC: [u8; 8] = *b"bonf-end";
pub(super) const FORMAT: u16 = 1;
const BYTES: usize = 24;

pub(super) fn encode(next_record: u64) -> Vec<u8> {
    let mut note = Vec::with_capacity(BYTES);
    note.extend(MAGIC);
    note.extend(FORMAT.to_le_bytes());
    note.extend([0; 2]);
    note.extend(next_record.to_le_bytes());
    note.extend(crc32c::crc32c(&note).to_le_bytes());
    note
}

/// The number of the next record.
///
/// # Errors
/// The note's format if that is another one; `None` for what no close wrote.
pub(super) fn decode(note: &[u8]) -> Result<u64, Option<u16>> {
    let (head, rest) = note.split_at_checked(10).ok_or(None)?;
    let format = u16::from_le_bytes([head[8], head[9]]);
    if head[..8] != MAGIC || format != FORMAT {
        return Err((head[..8] == MAGIC).then_some(format));
    }
    let number = rest.get(2..10).and_then(|bytes| bytes.try_into().ok());
    let number = u64::from_le_bytes(number.ok_or(None)?);
    (note == encode(number)).then_some(number).ok_or(None)
}
