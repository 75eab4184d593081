//! Blobs on this machine, by digest: verified when they come, pinned while used, the least recently used ones let go.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bonfire_domain::Digest;
use bonfire_domain::dataset::BlobRef;

/// A folder of blobs, each named by its digest. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pins: BTreeMap<Digest, u32>,
    /// Hashed by this process and found whole.
    verified: BTreeSet<Digest>,
    /// Added since the folder was last looked through.
    added: u64,
    /// One transfer a digest at a time.
    transfers: BTreeMap<Digest, Arc<tokio::sync::Mutex<()>>>,
}

/// Keeps blobs in the cache until it is dropped.
pub struct Pin {
    cache: Cache,
    digests: Vec<Digest>,
}

impl Cache {
    /// Opens a folder, made if need be. What an earlier worker cached stays.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(dir: &Path, bytes_max: u64) -> io::Result<Cache> {
        fs::create_dir_all(dir)?;
        let inner = Inner {
            dir: dir.to_owned(),
            bytes_max,
            state: Mutex::default(),
        };
        Ok(Cache {
            inner: Arc::new(inner),
        })
    }

    /// Where a blob lies, if it is here.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.inner.dir.join(digest.hex())
    }

    /// Keeps blobs from being let go.
    pub fn pin(&self, digests: impl IntoIterator<Item = Digest>) -> Pin {
        let digests: Vec<Digest> = digests.into_iter().collect();
        let mut state = self.lock();
        for digest in &digests {
            *state.pins.entry(*digest).or_default() += 1;
        }
        Pin {
            cache: self.clone(),
            digests,
        }
    }

    /// Whether a blob is here and whole; marks it as used. Reads all of it the first time, or whenever `again` is said.
    pub fn has(&self, blob: BlobRef, again: bool) -> bool {
        let path = self.path(blob.digest);
        let Ok(file) = File::open(&path) else {
            return false;
        };
        // Only the order of letting go depends on it.
        let _ = file.set_modified(SystemTime::now());
        if !again && self.lock().verified.contains(&blob.digest) {
            return true;
        }
        let mut hasher = blake3::Hasher::new();
        let whole = hasher.update_reader(file).is_ok()
            && Digest(*hasher.finalize().as_bytes()) == blob.digest;
        if whole {
            self.lock().verified.insert(blob.digest);
        } else {
            tracing::warn!(path = %path.display(), "a damaged file in the cache is dropped");
            self.lock().verified.remove(&blob.digest);
            let _ = fs::remove_file(&path);
        }
        whole
    }

    /// The lock under which a blob is transferred.
    pub fn transfer(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = self.lock();
        state
            .transfers
            .retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(state.transfers.entry(digest).or_default())
    }

    /// Says that a verified blob now lies at its path.
    pub fn added(&self, blob: BlobRef) {
        let mut state = self.lock();
        state.verified.insert(blob.digest);
        state.added = state.added.saturating_add(blob.bytes);
        let due = state.added > self.inner.bytes_max / 16;
        if due {
            state.added = 0;
        }
        drop(state);
        if due && let Err(error) = self.shrink() {
            tracing::warn!(%error, "cannot look through the cache");
        }
    }

    /// Moves a finished file in.
    ///
    /// # Errors
    /// What the disk says.
    pub fn adopt(&self, blob: BlobRef, from: &Path) -> io::Result<()> {
        fs::rename(from, self.path(blob.digest))?;
        self.added(blob);
        Ok(())
    }

    /// Lets the least recently used blobs go until the bound is kept; pinned ones stay.
    ///
    /// # Errors
    /// The folder cannot be looked through.
    pub fn shrink(&self) -> io::Result<()> {
        self.shrink_to(self.inner.bytes_max)
    }

    /// Lets everything go that is not pinned: storing something failed, and the disk may be full of what is only a copy.
    pub fn clear(&self) {
        if let Err(error) = self.shrink_to(0) {
            tracing::warn!(%error, "cannot look through the cache");
        }
    }

    fn shrink_to(&self, bytes_max: u64) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.inner.dir)? {
            let entry = entry?;
            let about = entry.metadata()?;
            files.push((about.modified()?, about.len(), entry.path()));
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in files {
            if bytes <= bytes_max {
                break;
            }
            let digest = path
                .file_name()
                .and_then(|name| Digest::parse(name.to_str()?));
            let mut state = self.lock();
            if digest.is_some_and(|digest| state.pins.contains_key(&digest)) {
                continue;
            }
            if fs::remove_file(&path).is_ok() {
                bytes -= size;
                digest.map(|digest| state.verified.remove(&digest));
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        for digest in &self.digests {
            if let Some(count) = state.pins.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    state.pins.remove(digest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    /// Puts `bytes` in as if used `age` seconds ago.
    fn put(cache: &Cache, bytes: &[u8], age: u64) -> BlobRef {
        let blob = BlobRef {
            digest: Digest::of(bytes),
            bytes: bytes.len() as u64,
        };
        fs::write(cache.path(blob.digest), bytes).unwrap();
        let file = File::options()
            .write(true)
            .open(cache.path(blob.digest))
            .unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age))
            .unwrap();
        blob
    }

    #[test]
    fn the_oldest_goes_first_unless_it_is_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 25).unwrap();
        let blobs = [
            put(&cache, &[1; 10], 30),
            put(&cache, &[2; 10], 20),
            put(&cache, &[3; 10], 10),
        ];
        let pin = cache.pin([blobs[0].digest]);
        cache.shrink().unwrap();
        assert_eq!(
            blobs.map(|blob| cache.has(blob, false)),
            [true, false, true]
        );
        cache.clear();
        let path = cache.path(blobs[0].digest);
        let names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        assert_eq!(names, [path], "all but the pinned one");
        for (bytes, age) in [(2, 20), (3, 10)] {
            put(&cache, &[bytes; 10], age);
        }
        drop(pin);
        put(&cache, &[4; 10], 0);
        cache.shrink().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_damaged_file_is_not_had() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 1_000).unwrap();
        let blob = put(&cache, b"whole", 0);
        assert!(cache.has(blob, false));
        fs::write(cache.path(blob.digest), b"wholE").unwrap();
        assert!(!cache.has(blob, true));
        assert!(!cache.path(blob.digest).exists());
    }
}
