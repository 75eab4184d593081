//! What a tracker that was closed says of its journals.
//!
//! A torn end of a journal was never acknowledged and is cut; a journal that lost its end at rest, or is gone, looks the same. So
//! closing leaves a note of the journals and their lengths beside their folder, and opening refuses less. While the tracker runs
//! there is none. File `tracker.note`: a JSON object with `format`, and `journals`, lengths in bytes by the journal's number.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bonfire_store::{StoreError, journal};
use serde::{Deserialize, Serialize};

const FORMAT: u16 = 1;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    format: u16,
    #[serde(default)]
    journals: BTreeMap<u64, u64>,
}

fn path(dir: &Path) -> PathBuf {
    dir.with_extension("note")
}

/// Notes the journals' lengths.
///
/// # Errors
/// The disk's; then there is no note.
pub(super) fn write(dir: &Path, journals: BTreeMap<u64, u64>) -> io::Result<()> {
    let format = FORMAT;
    let text = serde_json::to_vec(&Note { format, journals })?;
    let part = dir.with_extension("note.part");
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()
    });
    written
        .and_then(|()| std::fs::rename(&part, path(dir)))
        .inspect_err(|_| _ = std::fs::remove_file(&part))
}

/// Refuses a folder that has less than was noted, but for journals of which `is_sealed` knows.
///
/// # Errors
/// [`StoreError::Damaged`] with the file's name, [`StoreError::Format`] for a note of another version.
pub(super) fn check(dir: &Path, is_sealed: impl Fn(u64) -> bool) -> Result<(), StoreError> {
    let path = path(dir);
    let damaged = |path: PathBuf, what: String| Err(StoreError::Damaged { path, what });
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            let action = "read";
            return Err(StoreError::Io {
                action,
                path,
                source,
            });
        }
    };
    let Ok(note) = serde_json::from_slice::<Note>(&text) else {
        return damaged(path, "it is not what closing the tracker wrote".into());
    };
    if note.format != FORMAT {
        let (found, known) = (note.format, FORMAT);
        return Err(StoreError::Format { path, found, known });
    }
    for (number, bytes) in note.journals {
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
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::Io {
            action: "remove",
            path,
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_was_noted_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("tracker");
        std::fs::create_dir(&dir).unwrap();
        assert!(check(&dir, |_| false).is_ok());
        for (number, bytes) in [(1, 30), (2, 40)] {
            std::fs::write(dir.join(journal::name(number)), vec![0; bytes]).unwrap();
        }
        write(&dir, [(1, 30), (2, 41), (3, 7)].into()).unwrap();
        let said = |sealed: &[u64]| check(&dir, |n| sealed.contains(&n)).map_err(|e| e.to_string());
        let short = said(&[3]).unwrap_err();
        assert!(short.contains("has 40 bytes, and had 41"), "{short}");
        let gone = said(&[2]).unwrap_err();
        assert!(gone.contains("is gone, and had 7 bytes"), "{gone}");
        assert_eq!(said(&[2, 3]), Ok(()));
        std::fs::write(path(&dir), "{\"format\":2}").unwrap();
        assert!(matches!(
            check(&dir, |_| true),
            Err(StoreError::Format { found: 2, .. })
        ));
        std::fs::write(path(&dir), "{").unwrap();
        assert!(matches!(
            check(&dir, |_| true),
            Err(StoreError::Damaged { .. })
        ));
        remove(&dir).unwrap();
        assert!(check(&dir, |_| false).is_ok());
        remove(&dir).unwrap();
    }
}
