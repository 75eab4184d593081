#![allow(clippy::unwrap_used)]

use super::*;

fn section() -> Section {
    let hard = HardState {
        term: 3,
        vote: 2,
        commit: 1,
        ..HardState::default()
    };
    let entry = |index, data: &[u8]| Entry {
        index,
        term: 3,
        data: data.to_vec().into(),
        ..Entry::default()
    };
    Section {
        hard,
        reset: Some((7, 2)),
        entries: vec![entry(8, b"abc"), entry(9, b"")],
    }
}

fn encoded(sections: &[Section]) -> Vec<u8> {
    let mut out = Vec::new();
    let borrowed = sections.iter().map(|section| SectionRef {
        hard: &section.hard,
        reset: section.reset,
        entries: &section.entries,
    });
    record(borrowed, &mut out);
    out
}

fn snapshot_of(voters: Vec<u64>, learners: Vec<u64>) -> Snapshot {
    let mut snapshot = Snapshot {
        data: vec![1, 2, 3].into(),
        ..Snapshot::default()
    };
    let meta = snapshot.mut_metadata();
    (meta.index, meta.term) = (9, 4);
    meta.set_conf_state(ConfState::from((voters, learners)));
    snapshot
}

#[test]
fn records_come_back_as_they_were() {
    for sections in [vec![], vec![section()], vec![Section::default(), section()]] {
        assert_eq!(decode_record(&encoded(&sections)).unwrap(), sections);
    }
}

#[test]
fn snapshots_come_back_as_they_were() {
    for file in [
        snapshot_of(vec![1], vec![]),
        snapshot_of(vec![1, 2, 3], vec![4]),
    ] {
        assert_eq!(decode_snapshot(&snapshot(&file)).unwrap(), file);
    }
}

/// Every cut is refused; a changed byte is refused or gives other values, and nothing panics.
#[test]
fn damaged_bytes_are_no_records() {
    let whole = encoded(&[section(), section()]);
    for length in 0..whole.len() {
        assert!(decode_record(&whole[..length]).is_err(), "cut to {length}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        assert_ne!(
            decode_record(&changed).ok(),
            decode_record(&whole).ok(),
            "byte {at}"
        );
    }
}

#[test]
fn damaged_bytes_are_no_snapshots() {
    let whole = snapshot(&snapshot_of(vec![1, 2], vec![3]));
    for length in 0..whole.len() {
        assert!(
            decode_snapshot(&whole[..length]).is_err(),
            "cut to {length}"
        );
    }
    for at in (0..whole.len()).filter(|at| !(10..12).contains(at)) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(decode_snapshot(&changed).is_err(), "byte {at}");
    }
}

/// The bytes of format 1, which must stay readable.
#[test]
fn format_1_is_what_it_was() {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(
        hex(&encoded(&[section()])),
        "0100010000000300000000000000020000000000000001000000000000000107000000000000000200000000000000\
         02000000080000000000000003000000000000000003000000616263090000000000000003000000000000000000000000"
    );
    assert_eq!(
        decode_record(&[2, 0]).unwrap_err(),
        DecodeError::Format { found: 2, known: 1 }
    );
}
