#![allow(clippy::unwrap_used)]

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use raft::eraftpb::{HardState, Snapshot};

use super::*;

/// A store that asks the test what each append shall answer.
struct Scripted {
    appends: Sender<Vec<u64>>,
    answers: Receiver<Result<(), LogError>>,
}

impl LogStore for Scripted {
    fn append(&mut self, batches: &[Batch]) -> Result<(), LogError> {
        self.appends
            .send(batches.iter().map(Batch::number).collect())
            .unwrap();
        self.answers.recv().unwrap()
    }

    fn store_snapshot(&mut self, snapshot: &SnapshotFile) -> Result<(), LogError> {
        self.appends.send(vec![1000 + snapshot.index()]).unwrap();
        Ok(())
    }

    fn compact(&mut self, upto: u64) -> Result<(), LogError> {
        self.appends.send(vec![2000 + upto]).unwrap();
        Ok(())
    }
}

struct Bench {
    thread: LogThread,
    appends: Receiver<Vec<u64>>,
    answers: Sender<Result<(), LogError>>,
    done: Receiver<LogDone>,
}

fn bench() -> Bench {
    let ((appends_in, appends), (answers, answers_out), (done_in, done)) =
        (channel(), channel(), channel());
    let store = Scripted {
        appends: appends_in,
        answers: answers_out,
    };
    let thread = LogThread::start(
        Box::new(store),
        Box::new(move |report| done_in.send(report).unwrap()),
    );
    Bench {
        thread,
        appends,
        answers,
        done,
    }
}

fn batch(number: u64) -> Batch {
    Batch {
        number,
        hard: HardState::default(),
        entries: vec![],
        snapshot: None,
    }
}

fn error(kind: io::ErrorKind) -> LogError {
    LogError::io("write", PathBuf::from("log"), io::Error::from(kind))
}

#[test]
fn batches_that_wait_share_one_append() {
    let bench = bench();
    bench.thread.persist(batch(1));
    assert_eq!(bench.appends.recv().unwrap(), [1]);
    (2..=5).for_each(|number| bench.thread.persist(batch(number)));
    (0..2).for_each(|_| bench.answers.send(Ok(())).unwrap());
    assert_eq!(bench.appends.recv().unwrap(), [2, 3, 4, 5]);
    assert!(matches!(bench.done.recv().unwrap(), LogDone::Persisted(1)));
    assert!(matches!(bench.done.recv().unwrap(), LogDone::Persisted(5)));
    bench.thread.stop();
    assert!(bench.done.recv().is_err());
}

#[test]
fn a_full_disk_is_said_once_and_tried_again() {
    let bench = bench();
    bench.thread.persist(batch(1));
    (0..2).for_each(|_| {
        bench
            .answers
            .send(Err(error(io::ErrorKind::StorageFull)))
            .unwrap()
    });
    bench.answers.send(Ok(())).unwrap();
    assert!(matches!(bench.done.recv().unwrap(), LogDone::Full(_)));
    bench.thread.persist(batch(2));
    assert!(matches!(
        bench.done.recv().unwrap(),
        LogDone::Persisted(1 | 2)
    ));
    bench.answers.send(Ok(())).unwrap();
    bench.thread.stop();
    let appends: Vec<Vec<u64>> = bench.appends.iter().collect();
    assert!(
        appends.len() >= 3 && appends.iter().take(3).all(|numbers| numbers[0] == 1),
        "{appends:?}"
    );
    assert_eq!(appends.last().unwrap().last(), Some(&2));
}

#[test]
fn any_other_error_is_the_last_report() {
    let bench = bench();
    bench.thread.persist(batch(1));
    bench
        .answers
        .send(Err(error(io::ErrorKind::Other)))
        .unwrap();
    assert!(matches!(
        bench.done.recv().unwrap(),
        LogDone::Failed(LogError::Io { .. })
    ));
    bench.thread.persist(batch(2));
    assert!(bench.done.recv().is_err(), "the thread went on");
    bench.thread.stop();
}

#[test]
fn stopping_writes_what_is_queued() {
    let bench = bench();
    bench.thread.persist(batch(1));
    let mut snapshot = Snapshot::default();
    snapshot.mut_metadata().index = 7;
    bench.thread.store_snapshot(SnapshotFile(snapshot));
    bench.thread.persist(batch(2));
    (0..2).for_each(|_| bench.answers.send(Ok(())).unwrap());
    bench.thread.stop();
    let reports: Vec<LogDone> = bench.done.iter().collect();
    assert!(
        matches!(
            reports[..],
            [
                LogDone::Persisted(1),
                LogDone::SnapshotStored(7),
                LogDone::Persisted(2)
            ]
        ),
        "{reports:?}"
    );
    assert_eq!(
        bench.appends.iter().collect::<Vec<_>>(),
        [vec![1], vec![1007], vec![2007], vec![2]]
    );
}
