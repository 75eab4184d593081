//! The few operations on files that the log needs, behind a trait so that tests can fill the disk and cut the power.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The files of one directory, by name.
pub(super) trait Files: Send {
    fn path(&self, name: &str) -> PathBuf;
    fn names(&self) -> io::Result<Vec<String>>;
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Creates an empty file, or empties an existing one.
    fn create(&self, name: &str) -> io::Result<Box<dyn OpenFile>>;
    fn open(&self, name: &str) -> io::Result<Box<dyn OpenFile>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file that is written to.
pub(super) trait OpenFile: Send {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;
    /// Reserves the space up to `bytes` and fills what is new with zeros.
    fn reserve(&mut self, bytes: u64) -> io::Result<()>;
    /// Makes the content and the length durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory of the file system.
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Opens the directory, creates it if it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            File::open(parent)?.sync_all()?;
        }
        Ok(Directory(path.to_path_buf()))
    }
}

impl Files for Directory {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.0)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        Ok(Box::new(File::create(self.path(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        Ok(Box::new(
            OpenOptions::new().write(true).open(self.path(name))?,
        ))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl OpenFile for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let length = i64::try_from(bytes).map_err(io::Error::other)?;
        match nix::fcntl::fallocate(&*self, nix::fcntl::FallocateFlags::empty(), 0, length) {
            // Some file systems cannot reserve; there the file grows as it is written.
            Err(nix::errno::Errno::EOPNOTSUPP) => Ok(()),
            other => Ok(other?),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
