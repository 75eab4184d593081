//! How many bytes of the source were read, and their digest.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use bonfire_domain::id::Digest;

use crate::error::DataError;

/// Shared by the files of one source, in the order they are read.
#[derive(Clone, Default)]
pub(crate) struct Tally(Rc<RefCell<Inner>>);

#[derive(Default)]
struct Inner {
    hasher: blake3::Hasher,
    bytes: u64,
    lines: u64,
}

impl Tally {
    /// Lines that ended in what was read; none in formats without lines.
    pub fn lines(&self) -> u64 {
        self.0.borrow().lines
    }

    pub fn bytes(&self) -> u64 {
        self.0.borrow().bytes
    }

    pub fn digest(&self) -> Digest {
        Digest(*self.0.borrow().hasher.finalize().as_bytes())
    }

    /// Counts bytes of a file that is not read from its start to its end.
    pub fn count(&self, bytes: u64) {
        self.0.borrow_mut().bytes += bytes;
    }

    /// Hashes a file that is not read from its start to its end.
    pub fn hash(&self, path: &Path) -> Result<(), DataError> {
        let mut file = File::open(path).map_err(|e| DataError::read(path, e))?;
        let mut inner = self.0.borrow_mut();
        inner
            .hasher
            .update_reader(&mut file)
            .map_err(|e| DataError::read(path, e))?;
        Ok(())
    }

    fn take(&self, bytes: &[u8]) {
        let mut inner = self.0.borrow_mut();
        inner.hasher.update(bytes);
        inner.bytes += bytes.len() as u64;
        inner.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

/// A file whose bytes are tallied as they are read, and that refuses to give one row more than its share.
pub(crate) struct Tallied {
    file: File,
    tally: Tally,
    row_bytes_left: u64,
    limit: u64,
}

impl Tallied {
    pub fn open(path: &Path, tally: Tally, limit: u64) -> Result<Tallied, DataError> {
        let file = File::open(path).map_err(|e| DataError::read(path, e))?;
        Ok(Tallied {
            file,
            tally,
            row_bytes_left: limit,
            limit,
        })
    }

    /// A row is complete: the next one has its whole share again.
    pub fn next_row(&mut self) {
        self.row_bytes_left = self.limit;
    }
}

impl Read for Tallied {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.row_bytes_left == 0 {
            let text = format!(
                "a row is longer than {} bytes: is a quote or a line left open?",
                self.limit
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let count = self.file.read(buffer)?;
        self.row_bytes_left = self.row_bytes_left.saturating_sub(count as u64);
        self.tally.take(&buffer[..count]);
        Ok(count)
    }
}
