//! One encoded example of every command that was ever written to a log: what is on disk stays readable.
//!
//! `UPDATE_GOLDEN=1` writes the files of new variants; a file that exists is never changed by it.
// Golden files are read and written here; the crate itself may not.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::command::{
    Admission, Command, DecodeError, SweepAction, SweepEnding, Told, TrialAction, decode, encode,
};
use bonfire_domain::dataset::BlobRef;
use bonfire_domain::fault::{AttemptEnd, Failure, LostCause};
use bonfire_domain::order::{Fact, SlotFacts, WorkerFacts};
use bonfire_domain::origin::{GitRevision, Origin};
use bonfire_domain::search::Value;
use bonfire_domain::{Attempt, Digest, LogIndex, Place, Slot, SweepId, TrialId, WallMs, WorkerId};

fn examples() -> Vec<(&'static str, Command)> {
    let at = WallMs(1_700_000_000_123);
    let worker = WorkerId(0xfeed);
    let sweep = SweepId(3);
    let trial = TrialId { sweep, number: 17 };
    let attempt = Attempt(2);
    let blob = BlobRef {
        digest: Digest::of(b"blob"),
        bytes: 4,
    };
    let parameters = BTreeMap::from([
        ("model.hidden[0]".to_owned(), Value::Int(64)),
        ("optimizer.kind".to_owned(), Value::Text("sgd".to_owned())),
        ("optimizer.lr".to_owned(), Value::Real(1e-3)),
        ("optimizer.nesterov".to_owned(), Value::Bool(true)),
    ]);
    let report = |fact| Command::Report {
        worker,
        sequence: 9,
        fact,
        at,
    };
    let tell = |told| Command::Tell {
        trial,
        attempt,
        told,
        at,
    };
    let ended = |end| {
        report(Fact::Ended {
            trial,
            attempt,
            end,
        })
    };
    let checkpoint = Box::new(Checkpoint {
        step: 1_200,
        epoch: 4,
        attempt,
        manifest: Some(blob),
        chunks: vec![blob],
        value: Some(0.97),
        written: at,
    });
    vec![
        (
            "join",
            Command::Join {
                facts: WorkerFacts {
                    worker,
                    name: "host-1234".to_owned(),
                    slots: vec![SlotFacts {
                        device: "cpu".to_owned(),
                    }],
                    labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
                    memory: 1 << 30,
                    version: "0.1.0".to_owned(),
                    numerics: "class".to_owned(),
                },
                facts_from: 5,
                at,
            },
        ),
        ("lose", Command::Lose { worker, at }),
        (
            "admit",
            Command::Admit {
                worker,
                admission: Admission::Quarantined {
                    reason: "three deaths".to_owned(),
                },
                at,
            },
        ),
        (
            "create-sweep",
            Command::CreateSweep {
                request: 77,
                name: "digits-k2f".to_owned(),
                spec: "{}".to_owned(),
                dataset: Some(Digest::of(b"rows")),
                at,
            },
        ),
        (
            "create-trials",
            Command::CreateTrials {
                sweep,
                first: 17,
                seen: LogIndex(99),
                parameters: vec![parameters.clone()],
                exhausted: Some("all done".to_owned()),
                at,
            },
        ),
        ("promote", Command::Promote { trial, at }),
        (
            "start-attempt",
            Command::StartAttempt {
                trial,
                attempt,
                place: Place {
                    worker,
                    slot: Slot(1),
                },
                at,
            },
        ),
        (
            "report-observed",
            report(Fact::Observed {
                trial,
                attempt,
                step: 300,
                epoch: 1,
                value: 0.5,
            }),
        ),
        (
            "report-measured",
            report(Fact::Measured {
                trial,
                attempt,
                step: 300,
                epoch: 1,
                value: 0.5,
                metrics: BTreeMap::from([("valid.loss".to_owned(), 0.25)]),
            }),
        ),
        (
            "report-checkpointed",
            report(Fact::Checkpointed {
                trial,
                attempt,
                checkpoint,
            }),
        ),
        ("report-ended", ended(AttemptEnd::Reached)),
        (
            "report-failed",
            ended(AttemptEnd::Failed {
                failure: Failure::NonFinite { step: 12 },
                detail: "loss".to_owned(),
            }),
        ),
        ("report-lost", ended(AttemptEnd::Lost(LostCause::Killed))),
        (
            "report-prepared",
            report(Fact::Prepared {
                key: Digest::of(b"key"),
                manifest: "{}".to_owned(),
            }),
        ),
        (
            "control-sweep",
            Command::ControlSweep {
                sweep,
                action: SweepAction::Cancel { save: true },
                at,
            },
        ),
        (
            "control-sweep-set-aside",
            Command::ControlSweep {
                sweep,
                action: SweepAction::SetAside,
                at,
            },
        ),
        (
            "control-trial",
            Command::ControlTrial {
                trial,
                action: TrialAction::Resume,
                at,
            },
        ),
        (
            "fork",
            Command::Fork {
                request: 78,
                parent: trial,
                step: 1_200,
                parameters: parameters.clone(),
                at,
            },
        ),
        (
            "exploit",
            Command::Exploit {
                trial,
                number: 40,
                parent: 5,
                step: 1_200,
                parameters,
                at,
            },
        ),
        (
            "finish",
            Command::Finish {
                sweep,
                ending: SweepEnding::Completed,
                reason: "all trials ended".to_owned(),
                at,
            },
        ),
        (
            "add-dataset",
            Command::AddDataset {
                name: "digits".to_owned(),
                manifest: "{}".to_owned(),
                at,
            },
        ),
        (
            "delete-checkpoint",
            Command::DeleteCheckpoint {
                trial,
                step: 1_200,
                at,
            },
        ),
        (
            "condemn",
            Command::Condemn {
                chunks: vec![blob.digest],
            },
        ),
        (
            "deleted",
            Command::Deleted {
                chunks: vec![blob.digest],
            },
        ),
        ("seal-segment", Command::SealSegment { journal: 4, blob }),
        (
            "give",
            Command::Give {
                request: 79,
                trial,
                attempt,
                at,
            },
        ),
        ("tell-value", tell(Told::Value { value: 0.25 })),
        (
            "tell-intermediate",
            tell(Told::Intermediate { at: 3, value: 0.5 }),
        ),
        (
            "tell-failed",
            tell(Told::Failed {
                reason: "out of luck".to_owned(),
            }),
        ),
        (
            "tell-measured",
            Command::TellMeasured {
                trial,
                attempt,
                told: Told::Value { value: 0.25 },
                metrics: BTreeMap::from([("latency_ms".to_owned(), 12.5)]),
                at,
            },
        ),
        ("promote-early", Command::PromoteEarly { trial, at }),
        (
            "recall",
            Command::Recall {
                sweep: trial.sweep,
                at,
            },
        ),
        (
            "submit-sweep",
            Command::SubmitSweep {
                request: 80,
                name: "digits-p7x".to_owned(),
                spec: "{}".to_owned(),
                dataset: Some(Digest::of(b"rows")),
                origin: Origin {
                    git: Some(GitRevision {
                        commit: "2dad82d".to_owned(),
                        branch: Some("main".to_owned()),
                        dirty: true,
                    }),
                    version: "0.1.0".to_owned(),
                    system: "linux x86_64".to_owned(),
                },
                at,
            },
        ),
        (
            "add-artifact",
            Command::AddArtifact {
                trial,
                name: "plots/confusion.png".to_owned(),
                blob,
                at,
            },
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    let lines: Vec<String> = bytes
        .chunks(32)
        .map(|line| line.iter().map(|b| format!("{b:02x}")).collect())
        .collect();
    lines.join("\n") + "\n"
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

#[test]
fn every_command_reads_and_writes_as_it_was_released() {
    let folder = PathBuf::from("tests/golden/log");
    for (name, command) in examples() {
        let path = folder.join(format!("{name}.hex"));
        let entry = encode(std::slice::from_ref(&command));
        if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
            std::fs::write(&path, hex(&entry)).unwrap();
        }
        let golden = unhex(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(
            decode(&golden).unwrap(),
            vec![command],
            "{name} reads otherwise"
        );
        assert_eq!(hex(&golden), hex(&entry), "{name} is written otherwise");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_a_panic() {
    assert_eq!(decode(&[1]), Err(DecodeError::Short { found: 1 }));
    assert_eq!(decode(&[9, 0, 0]), Err(DecodeError::Format { found: 9 }));
    for (_, command) in examples() {
        let entry = encode(&[command]);
        for cut in 2..entry.len() {
            let _ = decode(&entry[..cut]);
        }
        for at in 2..entry.len() {
            let mut flipped = entry.clone();
            flipped[at] ^= 0x55;
            let _ = decode(&flipped);
        }
    }
}
