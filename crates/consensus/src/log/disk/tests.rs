#![allow(clippy::unwrap_used)]

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};

use super::*;
use crate::log::Recovered;
use crate::log::fake::FakeDisk;

const SEGMENT: u64 = 512;

fn entry(index: u64, term: u64) -> Entry {
    Entry {
        index,
        term,
        data: vec![index as u8; 20].into(),
        ..Entry::default()
    }
}

fn batch(number: u64, indices: std::ops::RangeInclusive<u64>, term: u64) -> Batch {
    let hard = HardState {
        term,
        vote: 1,
        commit: indices.start() - 1,
        ..HardState::default()
    };
    let entries = indices.map(|index| entry(index, term)).collect();
    Batch {
        number,
        hard,
        entries,
        snapshot: None,
    }
}

fn snapshot(index: u64, term: u64) -> Snapshot {
    let mut snapshot = Snapshot {
        data: vec![7; 40].into(),
        ..Snapshot::default()
    };
    let meta = snapshot.mut_metadata();
    (meta.index, meta.term) = (index, term);
    meta.set_conf_state(ConfState::from((vec![1], vec![])));
    snapshot
}

fn open(disk: &FakeDisk) -> Result<(DiskLog, Recovered), LogError> {
    DiskLog::open_files(Box::new(disk.clone()), SEGMENT)
}

/// A disk with entries 1..=count, one a record.
fn filled(count: u64) -> (FakeDisk, DiskLog) {
    let disk = FakeDisk::new();
    let (mut log, recovered) = open(&disk).unwrap();
    assert!(recovered.is_empty());
    for index in 1..=count {
        log.append(&[batch(index, index..=index, 1)]).unwrap();
    }
    (disk, log)
}

fn segments(disk: &FakeDisk) -> Vec<String> {
    disk.list()
        .into_iter()
        .filter(|name| segment::parse_name(name).is_some())
        .collect()
}

/// Opens the disk after it was changed behind the log's back: the last index, or the file and offset refused.
#[track_caller]
fn check(disk: &FakeDisk, expected: Result<u64, (&str, u64)>) {
    let before = disk.list();
    match (open(disk), expected) {
        (Ok((_, recovered)), Ok(last)) => assert_eq!(recovered.last_index(), last),
        (Err(LogError::Damaged { path, offset, .. }), Err((name, at))) => {
            assert_eq!(
                (path.file_name().unwrap().to_str().unwrap(), offset),
                (name, at)
            );
            assert_eq!(disk.list(), before, "a refused directory was changed");
        }
        (found, expected) => panic!(
            "{:?} instead of {expected:?}",
            found.map(|(_, recovered)| recovered)
        ),
    }
}

const RECORD: u64 = 24 + 6 + 24 + 1 + 4 + 21 + 20 + 4; // a record of one entry, with padding

#[test]
fn what_was_appended_is_found_again() {
    let (disk, mut log) = filled(20);
    log.append(&[batch(21, 21..=23, 1), batch(22, 22..=22, 2)])
        .unwrap();
    assert!(
        segments(&disk).len() > 3,
        "several segments: {:?}",
        disk.list()
    );
    let (_, recovered) = open(&disk).unwrap();
    let view = recovered.into_view(&[1]);
    let expected: Vec<Entry> = (1..=21)
        .map(|index| entry(index, 1))
        .chain([entry(22, 2)])
        .collect();
    assert_eq!(
        view.entries, expected,
        "a later entry replaces those from its index on"
    );
    assert_eq!(
        (view.hard.term, view.hard.vote, view.hard.commit),
        (2, 1, 21)
    );
}

#[test]
fn an_end_that_is_gone_is_refused_after_a_close() {
    let (disk, mut log) = filled(3);
    log.close();
    drop(log);
    check(&disk, Ok(3));
    // The last record and all behind it.
    let name = segments(&disk).pop().unwrap();
    let end = segment::HEAD_BYTES + 2 * RECORD;
    disk.edit(&name, |bytes| bytes.truncate(end as usize + 30));
    check(&disk, Err((&name, end)));
    // What came after the close may be torn as ever.
    let (disk, mut log) = filled(3);
    log.close();
    let (mut log, _) = {
        drop(log);
        open(&disk).unwrap()
    };
    log.append(&[batch(4, 4..=4, 1)]).unwrap();
    drop(log);
    let end = segment::HEAD_BYTES + 3 * RECORD;
    disk.edit(&name, |bytes| bytes.truncate(end as usize + 30));
    check(&disk, Ok(3));
    disk.edit(note::NAME, |bytes| bytes[13] ^= 1);
    check(&disk, Err((note::NAME, 0)));
}

#[test]
fn a_torn_record_at_the_end_is_cut() {
    for torn in 1..RECORD as usize {
        let (disk, mut log) = filled(2);
        disk.set_operations_left(Some(0));
        assert!(log.append(&[batch(3, 3..=3, 1)]).is_err());
        disk.crash(torn);
        let (mut log, recovered) = open(&disk).unwrap();
        // The last bytes of a record may be zeros, so it can be whole before all of it is there.
        let whole = recovered.last_index() == 3;
        assert!(
            whole || (recovered.last_index() == 2 && recovered.cut_bytes() > 0),
            "torn={torn}"
        );
        let next = recovered.last_index() + 1;
        log.append(&[batch(1, next..=next, 1)]).unwrap();
        check(&disk, Ok(next));
    }
}

#[test]
fn damage_before_a_whole_record_is_refused() {
    let (disk, _log) = filled(3);
    let name = segment::name(1);
    for offset in 0..RECORD - 4 {
        disk.edit(&name, |bytes| {
            bytes[(segment::HEAD_BYTES + RECORD + offset) as usize] ^= 1
        });
        let unread = (20..24).contains(&offset);
        let refused = Err((name.as_str(), segment::HEAD_BYTES + RECORD));
        check(&disk, if unread { Ok(3) } else { refused });
        disk.edit(&name, |bytes| {
            bytes[(segment::HEAD_BYTES + RECORD + offset) as usize] ^= 1
        });
    }
    disk.edit(&name, |bytes| {
        bytes[segment::HEAD_BYTES as usize..][..RECORD as usize].fill(0)
    });
    check(&disk, Err((&name, segment::HEAD_BYTES)));
}

#[test]
fn damage_in_a_segment_that_is_not_the_last_is_refused() {
    let (disk, _log) = filled(10);
    let name = segment::name(1);
    let last = segment::HEAD_BYTES + RECORD * ((SEGMENT - segment::HEAD_BYTES) / RECORD - 1);
    disk.edit(&name, |bytes| bytes[last as usize + 40] ^= 1);
    check(&disk, Err((&name, last)));
    disk.edit(&name, |bytes| bytes[last as usize..].fill(0));
    check(&disk, Err((&segment::name(2), 0)));
}

#[test]
fn a_missing_segment_is_refused() {
    let (disk, _log) = filled(15);
    disk.delete(&segment::name(2));
    check(&disk, Err((&segment::name(3), 0)));
    disk.delete(&segment::name(3));
    disk.delete(&segment::name(1));
    check(&disk, Err((&segment::name(4), segment::HEAD_BYTES)));
}

#[test]
fn an_unknown_format_is_refused() {
    let (disk, _log) = filled(1);
    disk.edit(&segment::name(1), |bytes| bytes[8] = 9);
    assert!(matches!(
        open(&disk),
        Err(LogError::Format {
            found: 9,
            known: 1,
            ..
        })
    ));
}

#[test]
fn a_damaged_snapshot_is_refused_by_name() {
    let (disk, mut log) = filled(10);
    log.store_snapshot(&SnapshotFile(snapshot(8, 1))).unwrap();
    disk.edit(&snapshot_name(8), |bytes| *bytes.last_mut().unwrap() ^= 1);
    check(&disk, Err((&snapshot_name(8), 0)));
}

#[test]
fn compaction_drops_segments_that_a_snapshot_covers() {
    let (disk, mut log) = filled(20);
    let before = segments(&disk).len();
    log.compact(20).unwrap();
    assert_eq!(
        segments(&disk).len(),
        before,
        "nothing goes without a snapshot"
    );
    log.store_snapshot(&SnapshotFile(snapshot(5, 1))).unwrap();
    log.store_snapshot(&SnapshotFile(snapshot(12, 1))).unwrap();
    log.compact(12).unwrap();
    assert!(segments(&disk).len() < before - 1);
    assert!(disk.list().contains(&snapshot_name(12)) && !disk.list().contains(&snapshot_name(5)));
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(
        (recovered.snapshot_index(), recovered.last_index()),
        (12, 20)
    );
    assert_eq!(recovered.into_view(&[1]).entries.len(), 8);
}

#[test]
fn a_compacted_log_may_begin_with_entries_that_were_replaced() {
    let (disk, mut log) = filled(6);
    for index in 3..=7 {
        log.append(&[batch(10 + index, index..=index, 2)]).unwrap();
    }
    log.store_snapshot(&SnapshotFile(snapshot(5, 2))).unwrap();
    log.compact(5).unwrap();
    assert!(!segments(&disk).contains(&segment::name(1)));
    check(&disk, Ok(7));
}

#[test]
fn a_received_snapshot_replaces_the_log() {
    let (disk, mut log) = filled(3);
    let received = Batch {
        snapshot: Some(snapshot(50, 4)),
        ..batch(4, 51..=52, 4)
    };
    log.append(&[received]).unwrap();
    check(&disk, Ok(52));
}

#[test]
fn a_crash_between_received_snapshot_and_record_leaves_the_snapshot() {
    let (disk, mut log) = filled(3);
    log.store_snapshot(&SnapshotFile(snapshot(50, 4))).unwrap();
    let (mut log, recovered) = open(&disk).unwrap();
    assert_eq!(
        (recovered.snapshot_index(), recovered.last_index()),
        (50, 50)
    );
    assert_eq!(recovered.into_view(&[1]).hard.term, 4);
    log.append(&[batch(1, 51..=51, 4)]).unwrap();
    check(&disk, Ok(51));
}

#[test]
fn a_full_disk_loses_nothing_and_work_goes_on_with_space() {
    let (disk, mut log) = filled(3);
    for bytes_max in [SEGMENT, SEGMENT + 10, 2 * SEGMENT - 1] {
        disk.set_bytes_max(Some(bytes_max));
        let error = log.append(&[batch(4, 4..=9, 1)]).unwrap_err();
        assert!(error.is_full(), "{error}");
        check(&disk, Ok(3));
    }
    disk.set_bytes_max(None);
    log.append(&[batch(4, 4..=9, 1)]).unwrap();
    check(&disk, Ok(9));
}

#[test]
fn a_write_that_runs_out_of_space_is_taken_back() {
    let (disk, mut log) = filled(1);
    // As on a file system that cannot reserve.
    let end = segment::HEAD_BYTES + RECORD;
    disk.edit(&segment::name(1), |bytes| bytes.truncate(end as usize));
    disk.set_bytes_max(Some(end + 50));
    assert!(log.append(&[batch(2, 2..=2, 1)]).unwrap_err().is_full());
    disk.edit(&segment::name(1), |bytes| {
        assert_eq!(bytes.len() as u64, end)
    });
    disk.set_bytes_max(None);
    log.append(&[batch(2, 2..=2, 1)]).unwrap();
    check(&disk, Ok(2));
}

#[test]
fn the_spare_segment_carries_the_log_over_a_full_disk() {
    let (disk, mut log) = filled(4);
    log.prepare();
    disk.set_bytes_max(Some(2 * SEGMENT));
    for index in 5..=8 {
        log.append(&[batch(index, index..=index, 1)]).unwrap();
    }
    assert!(log.append(&[batch(9, 9..=9, 1)]).unwrap_err().is_full());
    check(&disk, Ok(8));
}

#[test]
fn a_failed_sync_ends_the_log() {
    let (disk, mut log) = filled(1);
    disk.set_fail_syncs(true);
    assert!(!log.append(&[batch(2, 2..=2, 1)]).unwrap_err().is_full());
    disk.set_fail_syncs(false);
    assert!(matches!(
        log.append(&[batch(2, 2..=2, 1)]),
        Err(LogError::Broken)
    ));
}

/// Appends, takes snapshots and compacts until the power goes; returns what was acknowledged: entries and snapshot.
fn work(log: &mut DiskLog) -> Result<(), (u64, u64)> {
    let (mut last, mut stored) = (0, 0);
    for round in 0..6u64 {
        for _ in 0..4 {
            log.append(&[batch(last + 1, last + 1..=last + 1, 1)])
                .map_err(|_| (last, stored))?;
            last += 1;
        }
        log.prepare();
        if round % 2 == 1 {
            log.store_snapshot(&SnapshotFile(snapshot(last - 1, 1)))
                .map_err(|_| (last, stored))?;
            stored = last - 1;
            log.compact(stored).map_err(|_| (last, stored))?;
        }
    }
    Ok(())
}

#[test]
fn power_may_fail_at_any_operation() {
    for torn in [0, 1, 30, 70, 1000] {
        let mut operations = 0;
        loop {
            let disk = FakeDisk::new();
            let (mut log, _) = open(&disk).unwrap();
            disk.set_operations_left(Some(operations));
            let Err((last, stored)) = work(&mut log) else {
                break;
            };
            disk.crash(torn);
            let (mut log, recovered) =
                open(&disk).unwrap_or_else(|error| panic!("{operations} {torn}: {error}"));
            assert!(
                recovered.last_index() >= last,
                "{operations} {torn}: lost entries"
            );
            assert!(
                recovered.snapshot_index() >= stored,
                "{operations} {torn}: lost a snapshot"
            );
            let view = recovered.into_view(&[1]);
            assert!(
                view.entries
                    .iter()
                    .all(|found| *found == entry(found.index, 1))
            );
            let next = view.last() + 1;
            log.append(&[batch(1, next..=next, 1)]).unwrap();
            check(&disk, Ok(next));
            operations += 1;
        }
        assert!(
            operations > 50,
            "the work was cut at {operations} places only"
        );
    }
}

#[test]
fn a_real_directory_behaves_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (mut log, _) = DiskLog::open(&path).unwrap();
    for index in 1..=5 {
        log.append(&[batch(index, index..=index, 1)]).unwrap();
    }
    log.prepare();
    log.store_snapshot(&SnapshotFile(snapshot(4, 1))).unwrap();
    log.compact(4).unwrap();
    drop(log);
    let (_, recovered) = DiskLog::open(&path).unwrap();
    assert_eq!(
        (
            recovered.snapshot_index(),
            recovered.last_index(),
            recovered.cut_bytes()
        ),
        (4, 5, 0)
    );
}
