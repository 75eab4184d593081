//! A log in memory, for simulations. It goes through the same encoding and the same replay as the one on disk.

use std::path::PathBuf;

use raft::eraftpb::Snapshot;

use super::replay::{Recovered, Replay};
use super::{LogError, LogStore};
use crate::encode;
use crate::event::{Batch, SnapshotFile};

/// What a simulated node has on its disk, and what is on the way there. Survives the node; a crash keeps what was synced.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    records: Vec<Record>,
    /// Records that are synced; those behind it are not.
    synced: usize,
    snapshot: Option<(u64, Vec<u8>)>,
}

#[derive(Debug, Clone)]
struct Record {
    number: u64,
    last_index: u64,
    payload: Vec<u8>,
    /// A received snapshot, which counts once the record does.
    snapshot: Option<Snapshot>,
}

impl MemoryLog {
    /// An empty disk.
    pub fn new() -> Self {
        MemoryLog::default()
    }

    /// Takes a batch without syncing it.
    pub fn write(&mut self, batch: &Batch) {
        let mut payload = Vec::new();
        encode::record([batch.section()].into_iter(), &mut payload);
        let last_index = batch.last_index();
        self.records.push(Record {
            number: batch.number,
            last_index,
            payload,
            snapshot: batch.snapshot.clone(),
        });
    }

    /// Syncs everything written so far and returns the number for [`Input::Persisted`](crate::Input::Persisted), if
    /// there was anything to sync.
    pub fn sync(&mut self) -> Option<u64> {
        self.keep(self.records.len())
    }

    /// Batches written and not synced.
    pub fn unsynced(&self) -> usize {
        self.records.len() - self.synced
    }

    /// Loses the power. Of the batches not synced the first `kept` reached the disk by luck; the one behind them is torn
    /// and therefore lost, as are all after it.
    pub fn crash(&mut self, kept: usize) {
        let kept = self.synced + kept.min(self.unsynced());
        self.keep(kept);
        self.records.truncate(kept);
    }

    /// Reads the disk, as a node does at its start.
    ///
    /// # Errors
    /// [`LogError::Damaged`], which only a mistake in this crate can cause.
    pub fn recover(&self) -> Result<Recovered, LogError> {
        let damaged = |what: String| LogError::Damaged {
            path: PathBuf::from("memory"),
            offset: 0,
            what,
        };
        let mut replay = Replay::default();
        for record in &self.records[..self.synced] {
            for section in encode::decode_record(&record.payload)
                .map_err(|error| damaged(error.to_string()))?
            {
                replay
                    .take(section)
                    .map_err(|what| damaged(what.to_string()))?;
            }
        }
        let snapshot = self
            .snapshot
            .as_ref()
            .map(|(_, bytes)| encode::decode_snapshot(bytes))
            .transpose();
        let snapshot = snapshot.map_err(|error| damaged(error.to_string()))?;
        let (recovered, _) = replay
            .finish(snapshot)
            .map_err(|what| damaged(what.to_string()))?;
        Ok(recovered)
    }

    /// Bytes of the synced records.
    pub fn bytes(&self) -> u64 {
        self.records[..self.synced]
            .iter()
            .map(|record| record.payload.len() as u64)
            .sum()
    }

    fn keep(&mut self, count: usize) -> Option<u64> {
        let snapshots: Vec<Snapshot> = self.records[self.synced..count]
            .iter_mut()
            .filter_map(|record| record.snapshot.take())
            .collect();
        for snapshot in snapshots {
            self.put_snapshot(&snapshot);
        }
        let number = self.records[self.synced..count]
            .last()
            .map(|record| record.number);
        self.synced = count;
        number
    }

    fn put_snapshot(&mut self, snapshot: &Snapshot) {
        let index = snapshot.get_metadata().index;
        if self
            .snapshot
            .as_ref()
            .is_none_or(|(newest, _)| *newest < index)
        {
            self.snapshot = Some((index, encode::snapshot(snapshot)));
        }
    }
}

impl LogStore for MemoryLog {
    fn append(&mut self, batches: &[Batch]) -> Result<(), LogError> {
        batches.iter().for_each(|batch| self.write(batch));
        self.sync();
        Ok(())
    }

    fn store_snapshot(&mut self, snapshot: &SnapshotFile) -> Result<(), LogError> {
        self.put_snapshot(&snapshot.0);
        Ok(())
    }

    fn compact(&mut self, upto: u64) -> Result<(), LogError> {
        let upto = upto.min(self.snapshot.as_ref().map_or(0, |(index, _)| *index));
        // The newest record stays: it has the hard state.
        let old = self.records[..self.synced.saturating_sub(1)]
            .iter()
            .take_while(|record| record.last_index <= upto);
        let dropped = old.count();
        self.records.drain(..dropped);
        self.synced -= dropped;
        Ok(())
    }
}
