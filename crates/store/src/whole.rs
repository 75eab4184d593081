//! A file for a user that appears whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// More links than this are taken for a circle, as by Linux.
const LINKS_MAX: usize = 40;

/// A file under another name until it is whole; gone if it never is. What was there keeps its permissions.
#[derive(Debug)]
pub struct WholeFile {
    file: File,
    part: PathBuf,
    target: PathBuf,
}

impl WholeFile {
    /// Follows links, so that a link stays one and the file that it names is replaced.
    ///
    /// # Errors
    /// A target that is there and no regular file: a rename would put a file in the place of a pipe or a device. A folder that
    /// cannot be written to.
    pub fn create(path: &Path) -> io::Result<WholeFile> {
        let (target, permissions) = WholeFile::target(path)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let part = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = File::create(&part)?;
        let whole = WholeFile { file, part, target };
        if let Some(permissions) = permissions {
            whole.file.set_permissions(permissions)?;
        }
        Ok(whole)
    }

    /// The file that a path leads to, which need not be there, and the permissions that it has.
    ///
    /// # Errors
    /// As [`WholeFile::create`].
    pub fn target(path: &Path) -> io::Result<(PathBuf, Option<Permissions>)> {
        let target = behind_links(path)?;
        let permissions = match fs::symlink_metadata(&target) {
            Ok(about) if about.is_file() => Some(about.permissions()),
            Ok(about) if about.is_dir() => return Err(refused("it is a folder")),
            Ok(_) => {
                return Err(refused(
                    "it is a pipe or a device, and what is written appears whole or not at all",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok((target, permissions))
    }

    /// # Errors
    /// The disk's; then nothing has changed.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.part, &self.target)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.part); // nothing is there after the rename
    }
}

fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS_MAX {
        let is_link = fs::symlink_metadata(&path).is_ok_and(|about| about.is_symlink());
        if !is_link {
            return Ok(path);
        }
        let to = fs::read_link(&path)?;
        path = path.parent().unwrap_or(Path::new("")).join(to);
    }
    Err(refused("its links go in a circle"))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn write(path: &Path, text: &str) -> io::Result<()> {
        let mut whole = WholeFile::create(path)?;
        whole.write_all(text.as_bytes())?;
        whole.finish()
    }

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        drop(WholeFile::create(&path).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        write(&path, "whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_and_permissions_stay() {
        let dir = tempfile::tempdir().unwrap();
        let [file, near, far] = ["file", "near", "far"].map(|name| dir.path().join(name));
        symlink("file", &near).unwrap();
        symlink(&near, &far).unwrap();
        write(&far, "new").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        write(&far, "newer").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "newer");
        assert_eq!(fs::read_link(&far).unwrap(), near);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_file_stays_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let [socket, round] = ["socket", "round"].map(|name| dir.path().join(name));
        let _listener = UnixListener::bind(&socket).unwrap();
        symlink(&round, &round).unwrap();
        for path in [&socket, &round, dir.path()] {
            let refused = write(path, "new").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
