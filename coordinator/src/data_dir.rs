//! The data directory: one coordinator at a time, the fleet's token, where a live one listens.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bonfire_proto::Token;

use crate::StartError;

const FORMAT: &str = "bonfire-data 1\n";
const LOCK: &str = "lock";
const TOKEN: &str = "token";
const ADDRESS: &str = "address";

/// A locked data directory. The lock goes with the value, or with the process.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    token: Token,
    _lock: File,
}

impl DataDir {
    /// Locks the directory, creating it and the token at the first start.
    ///
    /// # Errors
    /// [`StartError::InUse`] if a live coordinator has it; [`StartError::Format`] if another version wrote it.
    pub(crate) fn open(path: &Path) -> Result<DataDir, StartError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(|e| io_error(path, e))?;
        // Absolute, so that a later change of the working directory moves nothing.
        let path = fs::canonicalize(path).map_err(|e| io_error(path, e))?;
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let lock = options
            .open(&lock_path)
            .map_err(|e| io_error(&lock_path, e))?;
        if lock.try_lock().is_err() {
            return Err(StartError::InUse { data: path });
        }
        check_format(&path)?;
        let token = open_token(&path.join(TOKEN))?;
        // Left by a coordinator that was killed.
        let _ = fs::remove_file(path.join(ADDRESS));
        Ok(DataDir {
            path,
            token,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    pub(crate) fn tracker(&self) -> PathBuf {
        self.path.join("tracker")
    }

    /// Says where the coordinator listens, for clients of the same directory.
    pub(crate) fn publish(&self, address: SocketAddr) -> Result<(), StartError> {
        let path = self.path.join(ADDRESS);
        put(&path, format!("{address}\n").as_bytes()).map_err(|e| io_error(&path, e))
    }

    pub(crate) fn withdraw(&self) {
        let _ = fs::remove_file(self.path.join(ADDRESS));
    }
}

/// Where the coordinator of a data directory listens and its token, if one says that it is up. After a kill the address may
/// be stale: only an answered call counts.
pub fn discover(data: &Path) -> Option<(String, Token)> {
    let address = fs::read_to_string(data.join(ADDRESS)).ok()?;
    let token = Token::read(&data.join(TOKEN)).ok()?;
    Some((address.trim().to_owned(), token))
}

fn check_format(data: &Path) -> Result<(), StartError> {
    let path = data.join("format");
    match fs::read_to_string(&path) {
        Ok(found) if found == FORMAT => Ok(()),
        Ok(found) => Err(StartError::Format {
            path,
            found: found.trim().chars().take(64).collect(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            put(&path, FORMAT.as_bytes()).map_err(|e| io_error(&path, e))
        }
        Err(e) => Err(io_error(&path, e)),
    }
}

fn open_token(path: &Path) -> Result<Token, StartError> {
    let mut text = String::new();
    match File::open(path).and_then(|mut f| f.read_to_string(&mut text)) {
        Ok(_) => Token::parse(&text).map_err(|_| StartError::Token {
            path: path.to_path_buf(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let mut bits = [0; 32];
            getrandom::fill(&mut bits)
                .map_err(|e| io_error(path, io::Error::other(e.to_string())))?;
            let token = Token::from_bits(bits);
            put(path, format!("{}\n", token.reveal()).as_bytes()).map_err(|e| io_error(path, e))?;
            Ok(token)
        }
        Err(e) => Err(io_error(path, e)),
    }
}

/// Writes a small file, readable by its owner alone, whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&new, path)
}

fn io_error(path: &Path, source: io::Error) -> StartError {
    StartError::Io {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_token_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let first = DataDir::open(&data).unwrap().token().clone();
        let again = DataDir::open(&data).unwrap();
        assert_eq!(again.token(), &first);
        let mode = fs::metadata(data.join(TOKEN)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn one_coordinator_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        assert!(matches!(
            DataDir::open(dir.path()),
            Err(StartError::InUse { .. })
        ));
        drop(held);
        assert!(DataDir::open(dir.path()).is_ok());
    }

    #[test]
    fn damage_is_refused_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataDir::open(dir.path()).unwrap());
        fs::write(dir.path().join(TOKEN), "short").unwrap();
        assert!(matches!(
            DataDir::open(dir.path()),
            Err(StartError::Token { .. })
        ));
        fs::write(dir.path().join("format"), "bonfire-data 9\n").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("bonfire-data 9"), "{error}");
    }
}
