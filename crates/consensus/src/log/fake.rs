//! A directory in memory that can run full, lose its power at any operation, and tear writes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::files::{Files, OpenFile};

#[derive(Clone)]
pub(super) struct FakeDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// What the page cache has, and what the disk has.
    contents: Vec<(Vec<u8>, Vec<u8>)>,
    bytes_max: Option<u64>,
    operations_left: Option<u64>,
    fail_syncs: bool,
}

impl State {
    /// Every operation passes here; once the power is gone all of them fail.
    fn operate(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn free(&self) -> u64 {
        let used: usize = self
            .names
            .values()
            .map(|id| self.contents[*id].0.len())
            .sum();
        self.bytes_max
            .map_or(u64::MAX, |max| max.saturating_sub(used as u64))
    }

    fn id(&self, name: &str) -> io::Result<usize> {
        self.names
            .get(name)
            .copied()
            .ok_or(io::Error::from(ErrorKind::NotFound))
    }
}

impl FakeDisk {
    pub(super) fn new() -> Self {
        FakeDisk(Arc::new(Mutex::new(State::default())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics inside")
    }

    pub(super) fn set_bytes_max(&self, bytes_max: Option<u64>) {
        self.state().bytes_max = bytes_max;
    }

    pub(super) fn set_fail_syncs(&self, fail: bool) {
        self.state().fail_syncs = fail;
    }

    /// Cuts the power after this many more operations.
    pub(super) fn set_operations_left(&self, left: Option<u64>) {
        self.state().operations_left = left;
    }

    /// What the disk has after a power failure; of each file's unsynced change the first `torn` bytes came through.
    pub(super) fn crash(&self, torn: usize) {
        let mut state = self.state();
        state.operations_left = None;
        state.names = state.durable_names.clone();
        for (now, durable) in &mut state.contents {
            let same = now
                .iter()
                .zip(durable.iter())
                .take_while(|(a, b)| a == b)
                .count();
            let upto = (same + torn).min(now.len());
            if upto > durable.len() {
                durable.resize(upto, 0);
            }
            durable[same.min(upto)..upto].copy_from_slice(&now[same.min(upto)..upto]);
            *now = durable.clone();
        }
    }

    pub(super) fn list(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Changes a file behind the log's back.
    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let id = state.id(name).expect("the file is there");
        change(&mut state.contents[id].0);
        state.contents[id].1 = state.contents[id].0.clone();
    }

    pub(super) fn delete(&self, name: &str) {
        self.state().names.remove(name);
    }
}

impl Files for FakeDisk {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("fake").join(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.list())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.state();
        Ok(state.contents[state.id(name)?].0.clone())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        let mut state = self.state();
        state.operate()?;
        let id = state.contents.len();
        state.contents.push(Default::default());
        state.names.insert(name.to_string(), id);
        Ok(Box::new(FakeFile {
            disk: self.clone(),
            id,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        let id = self.state().id(name)?;
        Ok(Box::new(FakeFile {
            disk: self.clone(),
            id,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        let id = state.id(from)?;
        state.names.remove(from);
        state.names.insert(to.to_string(), id);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        state.id(name)?;
        state.names.remove(name);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

struct FakeFile {
    disk: FakeDisk,
    id: usize,
}

impl OpenFile for FakeFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        // A write that the power failure interrupts has still reached the cache, and may reach the disk in part.
        let powered = state.operate();
        let free = state.free();
        let content = &mut state.contents[self.id].0;
        let offset = offset as usize;
        let room = (content.len() as u64)
            .saturating_add(free)
            .saturating_sub(offset as u64);
        let written = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if content.len() < offset + written {
            content.resize(offset + written, 0);
        }
        content[offset..offset + written].copy_from_slice(&bytes[..written]);
        powered?;
        if written < bytes.len() {
            Err(io::Error::from(ErrorKind::StorageFull))
        } else {
            Ok(())
        }
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        state.contents[self.id].0.resize(bytes as usize, 0);
        Ok(())
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        let length = state.contents[self.id].0.len() as u64;
        if bytes.saturating_sub(length) > state.free() {
            return Err(io::Error::from(ErrorKind::StorageFull));
        }
        state.contents[self.id]
            .0
            .resize(bytes.max(length) as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        if state.fail_syncs {
            return Err(io::Error::other("the device is gone"));
        }
        let (now, durable) = &mut state.contents[self.id];
        durable.clone_from(now);
        Ok(())
    }
}
