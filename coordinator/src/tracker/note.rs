//! What a tracker that was closed says of its journals.
//!
//! A torn end of a journal was never acknowledged and is cut; a journal that lost its end at rest, or is gone, looks the same. So
//! closing leaves a note of the journals and their lengths beside their folder, and opening refuses less. While the tracker runs
//! there is none. File `tracker.note`: a JSON object of lengths in bytes by the journal's number.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use bonfire_store::{StoreError, WholeFile, journal};

fn path(dir: &Path) -> PathBuf {
    dir.with_extension("note")
}

/// Notes the journals' lengths.
///
/// # Errors
/// The disk's; then there is no note.
pub(super) fn write(dir: &Path, journals: &BTreeMap<u64, u64>) -> std::io::Result<()> {
    let mut file = WholeFile::create(&path(dir))?;
    file.write_all(&serde_json::to_vec(journals)?)?;
    file.finish()
}

/// Refuses a folder that has less than was noted, but for journals of which `is_sealed` knows.
///
/// # Errors
/// [`StoreError::Damaged`] with the file's name.
pub(super) fn check(dir: &Path, is_sealed: impl Fn(u64) -> bool) -> Result<(), StoreError> {
    let note = path(dir);
    let damaged = |path: PathBuf, what: String| Err(StoreError::Damaged { path, what });
    let text = match std::fs::read(&note) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            let (action, path) = ("read", note);
            return Err(StoreError::Io {
                action,
                path,
                source,
            });
        }
    };
    let Ok(journals) = serde_json::from_slice::<BTreeMap<u64, u64>>(&text) else {
        return damaged(note, "it is not what closing the tracker wrote".into());
    };
    for (number, bytes) in journals {
        if is_sealed(number) {
            continue;
        }
        let path = dir.join(journal::name(number));
        match std::fs::metadata(&path).map(|about| about.len()) {
            Ok(found) if found >= bytes => {}
            Ok(found) => {
                let what = format!("it has {found} bytes, and had {bytes} when it was closed");
                return damaged(path, what);
            }
            Err(_) => return damaged(path, format!("it is gone, and had {bytes} bytes")),
        }
    }
    Ok(())
}

/// Takes the note away: from now on journals change.
pub(super) fn remove(dir: &Path) -> Result<(), StoreError> {
    let path = path(dir);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(StoreError::Io {
            action: "remove",
            path,
            source,
        }),
        _ => Ok(()),
    }
}
