//! Batches made ahead of need by a thread of their own, so that reading and decoding overlap with training.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use bonfire_domain::batch::Batch;

use crate::order::Order;
use crate::prepared::Prepared;

/// Batches made ahead.
const AHEAD: usize = 4;

/// Which rows of which part a batch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Positions are those of the epoch's order.
    Train { epoch: u32 },
    /// Positions are rows.
    Valid,
}

/// A batch to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub part: Part,
    pub step: u64,
    /// Virtual shard of the step's batch.
    pub shard: u32,
    pub positions: Range<u64>,
}

/// Hands out the batches of a plan in its order, made up to four ahead. Dropping it stops its thread and waits for it.
pub struct Loader {
    made: Option<Receiver<(Wanted, Batch)>>,
    used: SyncSender<Batch>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts making the batches of `plan`, which runs on the loader's thread and must not block.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        prepared: Arc<Prepared>,
        order: Order,
        plan: impl Iterator<Item = Wanted> + Send + 'static,
    ) -> std::io::Result<Loader> {
        let (give, made) = sync_channel(AHEAD);
        // One more than can be under way, so that giving back never waits.
        let (used, reuse) = sync_channel(AHEAD + 2);
        let make = move || {
            for wanted in plan {
                let mut batch: Batch = reuse.try_recv().unwrap_or_default();
                let positions = wanted.positions.clone();
                match wanted.part {
                    Part::Train { epoch } => {
                        prepared.train_batch(&order, epoch, positions, &mut batch)
                    }
                    Part::Valid => prepared.valid_batch(positions, &mut batch),
                }
                if give.send((wanted, batch)).is_err() {
                    return; // nobody wants more
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("loader".to_owned())
            .spawn(make)?;
        Ok(Loader {
            made: Some(made),
            used,
            thread: Some(thread),
        })
    }

    /// Gives a batch's memory back for one to come.
    pub fn recycle(&self, batch: Batch) {
        // Dropped where there is enough already.
        let _ = self.used.try_send(batch);
    }
}

impl Iterator for Loader {
    type Item = (Wanted, Batch);

    /// The next batch of the plan, waiting for it if need be; `None` after the last.
    fn next(&mut self) -> Option<(Wanted, Batch)> {
        self.made.as_ref()?.recv().ok()
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        drop(self.made.take()); // wakes a thread that waits to hand out
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bonfire_domain::dataset::{
        BlobRef, DatasetFile, InputShape, OutputShape, PreparedManifest, PreparedPart,
    };
    use bonfire_domain::id::Digest;

    /// Ten train rows with the feature i and the class i, one valid row.
    fn prepared() -> Arc<Prepared> {
        let directory = tempfile::tempdir().unwrap();
        let part = |rows: u32| {
            let bytes: Vec<u8> = (0..rows)
                .flat_map(|i| [(i as f32).to_le_bytes(), i.to_le_bytes()])
                .flatten()
                .collect();
            let digest = Digest::of(&bytes);
            std::fs::write(directory.path().join(digest.hex()), &bytes).unwrap();
            let blob = BlobRef {
                digest,
                bytes: bytes.len() as u64,
            };
            PreparedPart {
                rows: rows.into(),
                files: vec![DatasetFile {
                    blob,
                    rows: rows.into(),
                }],
            }
        };
        let names = (0..10).map(|i| i.to_string()).collect();
        let manifest = PreparedManifest {
            key: Digest::of(b"key"),
            version: Digest::of(b"version"),
            input: InputShape::Features(1),
            output: OutputShape::Classes {
                names,
                counts: vec![1; 10],
            },
            row_bytes: 8,
            train: part(10),
            valid: part(1),
            encodings: Vec::new(),
        };
        let open = Prepared::open(&manifest, &|digest| directory.path().join(digest.hex()));
        Arc::new(open.unwrap())
    }

    fn plan(steps: u64) -> impl Iterator<Item = Wanted> + Send + 'static {
        (0..steps).map(|step| {
            let part = if step % 6 == 5 {
                Part::Valid
            } else {
                Part::Train { epoch: 0 }
            };
            let start = step % 6 % 5 * 2;
            Wanted {
                part,
                step,
                shard: 0,
                positions: start..start + 2,
            }
        })
    }

    #[test]
    fn batches_come_in_the_order_of_the_plan() {
        let (prepared, order) = (prepared(), Order::new(10, 1, 3));
        let mut loader = Loader::start(prepared.clone(), order, plan(600)).unwrap();
        for wanted in plan(600) {
            let (made, batch) = loader.next().unwrap();
            assert_eq!(made, wanted);
            let mut expected = Batch::default();
            match wanted.part {
                Part::Train { epoch } => {
                    prepared.train_batch(&order, epoch, wanted.positions, &mut expected)
                }
                Part::Valid => prepared.valid_batch(wanted.positions, &mut expected),
            }
            assert_eq!(batch, expected);
            loader.recycle(batch);
        }
        assert!(loader.next().is_none());
    }

    #[test]
    fn an_epoch_has_each_row_once_and_a_short_last_batch() {
        let (prepared, order) = (prepared(), Order::new(10, 1, 3));
        let (mut seen, mut batch) = (Vec::<i32>::new(), Batch::default());
        for start in [0, 4, 8] {
            prepared.train_batch(&order, 1, start..start + 4, &mut batch);
            let bonfire_domain::batch::Target::Classes(classes) = &batch.target else {
                panic!()
            };
            assert_eq!(classes.len(), batch.rows);
            seen.extend(classes);
        }
        assert_eq!(batch.rows, 2);
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<i32>>());
    }

    #[test]
    fn dropping_a_loader_stops_an_endless_plan() {
        let order = Order::new(10, 1, 3);
        let mut loader = Loader::start(prepared(), order, plan(u64::MAX)).unwrap();
        assert_eq!(loader.next().unwrap().0.step, 0);
        drop(loader); // returns, or the test never ends
    }
}
