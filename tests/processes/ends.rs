//! What asks a process to end or to make room: Ctrl-C, SIGTERM, `fleet drain`. What runs is saved, and goes on where it was.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};
use cluster_tests::procs::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// The path of a spec that trains one model on the digits.
fn digits(fleet: &Fleet, epochs: u32) -> String {
    let rows = repository().join("configs/data/digits.csv");
    let text = format!(
        "kind: sweep\nversion: 1\nname: one\ndata: {{ dataset: {}, label: label }}\ntask: classification\n\
         model: {{ kind: mlp, hidden: [32], dropout: 0.1 }}\ntrain: {{ epochs: {epochs} }}\n",
        rows.display()
    );
    let spec = spec_file(fleet.dir.path(), "one.yaml", &text);
    spec.to_str().unwrap().to_owned()
}

/// Waits until the first trial of the newest sweep has trained so many epochs.
fn trained(fleet: &Fleet, epochs: u64) {
    wait_for("a trial to train", LIMIT, || {
        let shown = fleet.run(["sweep", "show", "last", "-o", "json"]);
        let far = |document: Value| document["trials"][0]["epochs"].as_u64();
        (shown.code == Some(0) && far(shown.json()) >= Some(epochs)).then_some(())
    });
}

fn attempts(fleet: &Fleet) -> Vec<Value> {
    let shown = fleet.run(["trial", "show", "last/0", "-o", "json"]);
    let document = shown.exits(0).json();
    document["attempt_history"].as_array().unwrap().clone()
}

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn interrupt(child: &Child) {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
}

/// Ctrl-C saves and says how to go on; what goes on ends with the metrics of a run that nobody interrupted.
#[test]
fn ctrl_c_pauses_a_run_and_resume_goes_on() {
    const EPOCHS: u32 = 300;
    let fleet = Fleet::new();
    let spec = digits(&fleet, EPOCHS);
    let running = started(fleet.command(["run", &spec, "-o", "json"]));
    trained(&fleet, 2);
    interrupt(&running);
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--resume"), "{said}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["state"], "paused", "{document}");
    fleet.nothing_left();

    let resumed = fleet.run(["run", &spec, "--resume", "-o", "json"]);
    let resumed = resumed.exits(0).json();
    assert_eq!(resumed["sweep"], document["sweep"]);
    assert_eq!(resumed["trials"][0]["epochs"], EPOCHS);
    let attempts = attempts(&fleet);
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    assert!(attempts[1]["from_step"].as_u64() > Some(0), "{attempts:?}");
    fleet.nothing_left();

    let other = Fleet::new();
    let spec = digits(&other, EPOCHS);
    other.run(["run", &spec]).exits(0);
    assert_eq!(other.series("last/0"), fleet.series("last/0"));
}

/// A worker that gets SIGTERM saves what it trains and leaves; another one goes on there.
#[test]
fn sigterm_saves_what_a_worker_trains() {
    let mut fleet = Fleet::start(1, 1);
    let spec = digits(&fleet, 100_000);
    fleet.run(["sweep", "submit", &spec]).exits(0);
    trained(&fleet, 1);
    fleet.end_worker(0);
    let first = attempts(&fleet);
    assert_eq!(first[0]["end"], "saved and yielded its slot", "{first:?}");
    let listed = fleet.run(["checkpoint", "list", "last/0", "-o", "json"]);
    let checkpoints = listed.exits(0).json();
    let saved = checkpoints.as_array().unwrap().last().unwrap()["step"].clone();
    fleet.start_worker(0);
    wait_for("a second attempt", LIMIT, || {
        (attempts(&fleet).len() == 2).then_some(())
    });
    assert_eq!(attempts(&fleet)[1]["from_step"], saved);
    fleet.run(["sweep", "cancel", "last"]).exits(0);
    fleet.finished("last", LIMIT);
    fleet.stop();
}

/// A drained worker saves what it trains and gets nothing new until it is told to.
#[test]
fn a_drained_worker_makes_room_and_comes_back() {
    let fleet = Fleet::start(1, 1);
    let spec = digits(&fleet, 100_000);
    fleet.run(["sweep", "submit", &spec]).exits(0);
    trained(&fleet, 1);
    let listed = fleet.run(["fleet", "list", "-o", "json"]).exits(0).json();
    let worker = listed[0]["worker"].as_str().unwrap().to_owned();
    fleet.run(["fleet", "drain", &worker]).exits(0);
    wait_for("the slot to be free", LIMIT, || {
        let ended = !attempts(&fleet)[0]["end"].is_null();
        ended.then_some(())
    });
    let why = fleet.run(["trial", "why", "last/0"]).exits(0);
    assert!(why.stdout.contains("is draining"), "{why:?}");
    let status = fleet.run(["fleet", "status", "-o", "json"]).exits(0).json();
    assert_eq!(status["workers"][0]["state"], "draining", "{status}");
    fleet.run(["fleet", "resume", &worker]).exits(0);
    wait_for("a second attempt", LIMIT, || {
        (attempts(&fleet).len() == 2).then_some(())
    });
    fleet.run(["sweep", "cancel", "last"]).exits(0);
    fleet.finished("last", LIMIT);
    fleet.stop();
}
