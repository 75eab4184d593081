//! Files by content: written under a name that says unfinished, hashed on the way, synced, then renamed to their digest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bonfire_domain::dataset::{BlobRef, DatasetFile};
use bonfire_domain::id::Digest;

use crate::error::DataError;

/// Bytes after which the next blob is begun.
pub(crate) const BLOB_BYTES_AIM: u64 = 64 << 20;
/// Unfinished names tried before giving up.
const NAMES_MAX: u32 = 100_000;

/// Where bytes go; a seam so that a full disk can be tried without one.
pub(crate) trait Sink: Write + Send {
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

type Create = Box<dyn Fn(&Path) -> io::Result<Box<dyn Sink>>>;

/// A directory of blobs, and the ones this job added to it, which go again if it fails.
pub(crate) struct Out {
    directory: PathBuf,
    create: Create,
    added: Vec<PathBuf>,
    kept: bool,
}

impl Out {
    /// # Errors
    /// The directory cannot be made.
    pub fn new(directory: &Path) -> Result<Out, DataError> {
        Out::with(directory, Box::new(create_file))
    }

    pub fn with(directory: &Path, create: Create) -> Result<Out, DataError> {
        fs::create_dir_all(directory).map_err(|e| DataError::write(directory, e))?;
        let directory = directory.to_owned();
        Ok(Out {
            directory,
            create,
            added: Vec::new(),
            kept: false,
        })
    }

    /// Begins a blob under a name nobody else has.
    pub fn begin(&self) -> Result<BlobWriter, DataError> {
        for n in 0..NAMES_MAX {
            let path = self
                .directory
                .join(format!("{}-{n}.part", std::process::id()));
            match (self.create)(&path) {
                Ok(sink) => {
                    let sink = io::BufWriter::with_capacity(1 << 17, sink);
                    return Ok(BlobWriter {
                        path,
                        sink: Some(sink),
                        hasher: blake3::Hasher::new(),
                        bytes: 0,
                        renamed: false,
                    });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(DataError::write(&path, e)),
            }
        }
        let error = io::Error::other(format!("{NAMES_MAX} unfinished files are in the way"));
        Err(DataError::write(&self.directory, error))
    }

    /// Makes a blob durable under its digest.
    pub fn finish(&mut self, mut blob: BlobWriter, rows: u64) -> Result<DatasetFile, DataError> {
        blob.complete()
            .map_err(|e| DataError::write(&blob.path, e))?;
        let digest = Digest(*blob.hasher.finalize().as_bytes());
        let path = self.directory.join(digest.hex());
        let existed = path.exists();
        fs::rename(&blob.path, &path).map_err(|e| DataError::write(&path, e))?;
        blob.renamed = true;
        if !existed {
            self.added.push(path);
        }
        Ok(DatasetFile {
            blob: BlobRef {
                digest,
                bytes: blob.bytes,
            },
            rows,
        })
    }

    /// Keeps what was added: the job is done.
    pub fn keep(mut self) -> Result<(), DataError> {
        File::open(&self.directory)
            .and_then(|d| d.sync_all())
            .map_err(|e| DataError::write(&self.directory, e))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if !self.kept {
            for path in &self.added {
                // Nothing names it; a leftover costs space only.
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn create_file(path: &Path) -> io::Result<Box<dyn Sink>> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    Ok(Box::new(file))
}

/// A blob being written. Dropped unfinished, it leaves nothing behind.
pub(crate) struct BlobWriter {
    pub path: PathBuf,
    sink: Option<io::BufWriter<Box<dyn Sink>>>,
    hasher: blake3::Hasher,
    pub bytes: u64,
    renamed: bool,
}

impl BlobWriter {
    fn complete(&mut self) -> io::Result<()> {
        if let Some(sink) = self.sink.take() {
            let mut sink = sink.into_inner().map_err(io::IntoInnerError::into_error)?;
            sink.sync()?;
        }
        Ok(())
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(sink) = &mut self.sink else {
            return Err(io::Error::other("the blob is finished"));
        };
        let written = sink.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // the buffer is emptied once, at the end
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}
