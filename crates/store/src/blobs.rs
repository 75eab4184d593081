//! Blobs as plain files in one directory: a file's name is its digest, so a name that exists is whole.
//!
//! A blob is written beside its name (`DIGEST.part`), verified, synced and then renamed, and the directory synced: a crash
//! leaves a part or a whole, never half a blob under its name. A part stays, so that a broken upload can go on. What a disk does
//! to a blob later is found when it is read, or when something new names it for the first time in a process.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bonfire_domain::Digest;
use bonfire_domain::dataset::BlobRef;

use crate::StoreError;

/// The blobs of one directory. Several threads may use it, one writer a digest.
#[derive(Clone, Debug)]
pub struct LocalBlobs {
    dir: PathBuf,
    /// Written or hashed by this process, and whole then.
    verified: Arc<Mutex<BTreeSet<Digest>>>,
}

/// One blob in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub digest: Digest,
    pub bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
    /// An upload that broke off or is under way.
    pub part: bool,
}

impl LocalBlobs {
    /// Opens the directory, creating it if it is missing.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it cannot be created.
    pub fn open(dir: &Path) -> Result<LocalBlobs, StoreError> {
        fs::create_dir_all(dir).map_err(|e| StoreError::io("create", dir, e))?;
        Ok(LocalBlobs {
            dir: dir.to_path_buf(),
            verified: Arc::default(),
        })
    }

    /// The file of a blob; it exists only if the blob is whole.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.hex())
    }

    fn part(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{}.part", digest.hex()))
    }

    /// The blob's size in bytes if it is here.
    pub fn has(&self, digest: Digest) -> Option<u64> {
        fs::metadata(self.path(digest)).ok().map(|m| m.len())
    }

    /// The blob's size in bytes if it is here and its content is what its name says: something new is about to name it. Reads all
    /// of it the first time in this process; a damaged one is set aside as by [`Check::finish`].
    ///
    /// # Errors
    /// [`StoreError::Io`] if it cannot be read; [`StoreError::Damaged`], once.
    pub fn whole(&self, digest: Digest) -> Result<Option<u64>, StoreError> {
        let Some(bytes) = self.has(digest) else {
            return Ok(None);
        };
        if self.known().contains(&digest) {
            return Ok(Some(bytes));
        }
        let path = self.path(digest);
        let mut check = self.check(digest);
        let read = check.hash.update_reader(self.file(digest)?);
        read.map_err(|e| StoreError::io("read", &path, e))?;
        check.finish().map(|()| Some(bytes))
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much of a blob an upload that broke off left here, in bytes.
    pub fn has_part(&self, digest: Digest) -> u64 {
        fs::metadata(self.part(digest)).map_or(0, |m| m.len())
    }

    /// Those of `blobs` that are not here whole, with the size they should have.
    pub fn missing<'a>(&self, blobs: impl IntoIterator<Item = &'a BlobRef>) -> Vec<Digest> {
        let gone = |b: &&BlobRef| self.whole(b.digest).ok().flatten() != Some(b.bytes);
        blobs.into_iter().filter(gone).map(|b| b.digest).collect()
    }

    /// Starts or resumes writing a blob at byte `offset` of it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while somebody else writes it; [`StoreError::Offset`] if less than `offset` bytes are here.
    pub fn begin(&self, digest: Digest, offset: u64) -> Result<BlobWriter, StoreError> {
        let part = self.part(digest);
        let open = |e| StoreError::io("open", &part, e);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&part).map_err(open)?;
        if file.try_lock().is_err() {
            return Err(StoreError::Busy { digest });
        }
        let have = file.metadata().map_err(open)?.len();
        if offset > have {
            return Err(StoreError::Offset {
                digest,
                asked: offset,
                have,
            });
        }
        let mut hash = blake3::Hasher::new();
        let read = |e| StoreError::io("read", &part, e);
        hash.update_reader((&file).take(offset)).map_err(read)?;
        file.set_len(offset).map_err(open)?;
        file.seek(SeekFrom::Start(offset)).map_err(open)?;
        Ok(BlobWriter {
            blobs: self.clone(),
            path: self.path(digest),
            part,
            digest,
            file,
            hash,
            bytes: offset,
        })
    }

    /// Stores bytes under their own digest.
    ///
    /// # Errors
    /// As [`BlobWriter::finish`].
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, StoreError> {
        let blob = BlobRef {
            digest: Digest::of(bytes),
            bytes: bytes.len() as u64,
        };
        if self.has(blob.digest).is_none() {
            let mut writer = self.begin(blob.digest, 0)?;
            writer.write(bytes)?;
            writer.finish()?;
        }
        Ok(blob)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if it is not here.
    pub fn file(&self, digest: Digest) -> Result<File, StoreError> {
        let path = self.path(digest);
        File::open(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => StoreError::Missing { digest },
            _ => StoreError::io("open", &path, e),
        })
    }

    /// A whole blob in memory, verified.
    ///
    /// # Errors
    /// [`StoreError::Missing`]; [`StoreError::Damaged`] with the file's name if the bytes are not those of the digest.
    pub fn read(&self, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let path = self.path(digest);
        self.file(digest)?
            .read_to_end(&mut bytes)
            .map_err(|e| StoreError::io("read", &path, e))?;
        let found = Digest::of(&bytes);
        if found != digest {
            let what = format!("its content has the digest {}", found.short());
            return Err(StoreError::damaged(&path, what));
        }
        Ok(bytes)
    }

    /// Watches a whole blob pass by on its way to a reader.
    pub fn check(&self, digest: Digest) -> Check {
        Check {
            blobs: self.clone(),
            digest,
            hash: blake3::Hasher::new(),
        }
    }

    fn damaged(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{}.damaged", digest.hex()))
    }

    /// Deletes a blob and what an upload of it left; one that is not here is no error.
    ///
    /// # Errors
    /// [`StoreError::Io`] if a file stays.
    pub fn delete(&self, digest: Digest) -> Result<(), StoreError> {
        self.known().remove(&digest);
        for path in [self.path(digest), self.part(digest), self.damaged(digest)] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &path, e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what an upload left, unless somebody is writing it.
    pub fn delete_part(&self, digest: Digest) {
        let part = self.part(digest);
        let is_free = File::open(&part).is_ok_and(|f| f.try_lock().is_ok());
        if is_free {
            // What cannot be removed now is tried again at the next sweep.
            let _ = fs::remove_file(&part);
        }
    }

    /// Everything that is here, in no order. Files with other names are not the store's and are left out.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let fail = |e| StoreError::io("list", &self.dir, e);
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let (hex, part) = match name.strip_suffix(".part") {
                Some(hex) => (hex, true),
                None => (name.as_ref(), false),
            };
            // A file that is gone by now is no longer listed.
            if let (Some(digest), Ok(meta)) = (Digest::parse(hex), entry.metadata()) {
                let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                all.push(Listed {
                    digest,
                    bytes: meta.len(),
                    modified,
                    part,
                });
            }
        }
        Ok(all)
    }
}

/// A blob that is being read, compared with its digest at the end.
#[derive(Debug)]
pub struct Check {
    blobs: LocalBlobs,
    digest: Digest,
    hash: blake3::Hasher,
}

impl Check {
    /// The next bytes of the blob.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Compares what passed by. A damaged blob is set aside as `DIGEST.damaged`: it counts as missing then, so that it can be
    /// uploaded or made again.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the file it now is; [`StoreError::Io`] if it could not be set aside.
    pub fn finish(self) -> Result<(), StoreError> {
        let found = Digest(*self.hash.finalize().as_bytes());
        if found == self.digest {
            self.blobs.known().insert(found);
            return Ok(());
        }
        self.blobs.known().remove(&self.digest);
        let (path, aside) = (
            self.blobs.path(self.digest),
            self.blobs.damaged(self.digest),
        );
        fs::rename(&path, &aside).map_err(|e| StoreError::io("rename", &path, e))?;
        let what = format!("its content has the digest {}", found.short());
        Err(StoreError::damaged(&aside, what))
    }
}

/// A blob that is being written. Dropped unfinished, its part stays for a later resume.
#[derive(Debug)]
pub struct BlobWriter {
    blobs: LocalBlobs,
    path: PathBuf,
    part: PathBuf,
    digest: Digest,
    file: File,
    hash: blake3::Hasher,
    bytes: u64,
}

impl BlobWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`StoreError::Full`] without space: the part is removed then, since it would only keep the space from others.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        match self.file.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.give_up("write", error)),
        }
    }

    /// Bytes written so far, those of an earlier upload included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Verifies the digest, makes the blob durable and gives it its name. Returns its size in bytes.
    ///
    /// # Errors
    /// [`StoreError::Differs`] if the bytes have another digest: nothing of them stays.
    pub fn finish(self) -> Result<u64, StoreError> {
        let found = Digest(*self.hash.finalize().as_bytes());
        if found != self.digest {
            let _ = fs::remove_file(&self.part);
            return Err(StoreError::Differs {
                expected: self.digest,
                found,
            });
        }
        if let Err(error) = self.file.sync_data() {
            return Err(self.give_up("sync", error));
        }
        if let Err(error) = fs::rename(&self.part, &self.path) {
            return Err(self.give_up("rename", error));
        }
        sync_dir(&self.blobs.dir)?;
        self.blobs.known().insert(self.digest);
        let _ = fs::remove_file(self.blobs.damaged(self.digest)); // mostly there is none
        Ok(self.bytes)
    }

    fn give_up(&self, action: &'static str, error: io::Error) -> StoreError {
        let error = StoreError::io(action, &self.part, error);
        if error.is_full() {
            let _ = fs::remove_file(&self.part);
        }
        error
    }
}

/// What a file would be as a blob, read as a stream.
///
/// # Errors
/// What the file says.
pub fn blob_of(file: File) -> io::Result<BlobRef> {
    let mut hash = blake3::Hasher::new();
    hash.update_reader(file)?;
    Ok(BlobRef {
        digest: Digest(*hash.finalize().as_bytes()),
        bytes: hash.count(),
    })
}

/// Makes names in a directory durable.
///
/// # Errors
/// [`StoreError::Io`].
pub fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(|e| StoreError::io("sync", dir, e))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn store() -> (tempfile::TempDir, LocalBlobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = LocalBlobs::open(&dir.path().join("blobs")).unwrap();
        (dir, blobs)
    }

    #[test]
    fn a_blob_comes_back_as_it_was() {
        let (_dir, blobs) = store();
        for bytes in [&b""[..], b"hello", &[7; 300_000]] {
            let blob = blobs.put(bytes).unwrap();
            assert_eq!(blobs.has(blob.digest), Some(bytes.len() as u64));
            assert_eq!(blobs.read(blob.digest).unwrap(), bytes);
            assert_eq!(blobs.missing(&[blob]), vec![]);
        }
        assert_eq!(blobs.list().unwrap().len(), 3);
    }

    #[test]
    fn wrong_bytes_leave_nothing() {
        let (_dir, blobs) = store();
        let mut writer = blobs.begin(Digest::of(b"right"), 0).unwrap();
        writer.write(b"wrong").unwrap();
        assert!(matches!(writer.finish(), Err(StoreError::Differs { .. })));
        assert_eq!(blobs.list().unwrap(), vec![]);
    }

    #[test]
    fn a_broken_upload_goes_on_where_it_stopped() {
        let (_dir, blobs) = store();
        let digest = Digest::of(b"hello world");
        let mut writer = blobs.begin(digest, 0).unwrap();
        writer.write(b"hello ").unwrap();
        assert!(matches!(
            blobs.begin(digest, 0),
            Err(StoreError::Busy { .. })
        ));
        drop(writer);
        assert_eq!((blobs.has(digest), blobs.has_part(digest)), (None, 6));
        let too_far = blobs.begin(digest, 7);
        assert!(matches!(too_far, Err(StoreError::Offset { have: 6, .. })));
        drop(too_far);
        let mut writer = blobs.begin(digest, 6).unwrap();
        writer.write(b"world").unwrap();
        assert_eq!(writer.finish().unwrap(), 11);
        assert_eq!(blobs.read(digest).unwrap(), b"hello world");
    }

    #[test]
    fn a_damaged_blob_is_refused_with_its_file() {
        let (_dir, blobs) = store();
        let blob = blobs.put(b"hello").unwrap();
        fs::write(blobs.path(blob.digest), b"hellO").unwrap();
        let error = blobs.read(blob.digest).unwrap_err();
        assert!(error.to_string().contains(&blob.digest.hex()), "{error}");
        let short = BlobRef { bytes: 4, ..blob };
        assert_eq!(blobs.missing(&[short]), vec![blob.digest]);
        blobs.delete(blob.digest).unwrap();
        blobs.delete(blob.digest).unwrap();
        assert!(matches!(
            blobs.read(blob.digest),
            Err(StoreError::Missing { .. })
        ));
    }

    #[test]
    fn a_damaged_blob_is_set_aside_and_can_be_stored_again() {
        let (_dir, blobs) = store();
        let blob = blobs.put(b"hello").unwrap();
        let check = |bytes: &[u8]| {
            let mut check = blobs.check(blob.digest);
            bytes.chunks(2).for_each(|piece| check.update(piece));
            check.finish()
        };
        check(b"hello").unwrap();
        assert_eq!(blobs.has(blob.digest), Some(5));
        let error = check(b"hellO").unwrap_err().to_string();
        assert!(
            error.contains(&format!("{}.damaged", blob.digest.hex())),
            "{error}"
        );
        assert_eq!(
            (blobs.has(blob.digest), blobs.list().unwrap()),
            (None, vec![])
        );
        blobs.put(b"hello").unwrap();
        assert_eq!(blobs.read(blob.digest).unwrap(), b"hello");
        // Another process finds it flipped, and then cut, before anything new names it.
        for damage in [&b"hellO"[..], b"hell"] {
            fs::write(blobs.path(blob.digest), damage).unwrap();
            let later = LocalBlobs::open(&blobs.dir).unwrap();
            assert_eq!(later.missing(&[blob]), [blob.digest]);
            later.put(b"hello").unwrap();
            assert_eq!(later.missing(&[blob]), []);
        }
        blobs.delete(blob.digest).unwrap();
        assert_eq!(fs::read_dir(&blobs.dir).unwrap().count(), 0);
    }
}
