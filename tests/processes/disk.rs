//! Full disks, each a small file system of its own: said clearly, nothing is lost or damaged, and work goes on when there is
//! space again.
//!
//! Each test runs once more in a mount namespace, where it may mount. A system that lets nobody make one has no such test.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};
use cluster_tests::procs::wait_for;

const INSIDE: &str = "BONFIRE_TEST_MOUNTS";
const LIMIT: Duration = Duration::from_secs(60);
/// Enough for the segments of a log and its snapshots.
const MEGABYTES: u32 = 128;

/// Whether this process may mount; if not, runs `test` in one that may.
#[track_caller]
fn may_mount(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let namespace = || {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount"]);
        command
    };
    let somewhere = tempfile::tempdir().unwrap();
    let mount = ["mount", "-t", "tmpfs", "tmpfs"];
    let tried = namespace().args(mount).arg(somewhere.path()).status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!(
            "not tested: this system does not let us mount (unshare --map-root-user --mount)"
        );
        return false;
    }
    let inside = namespace()
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("disk::{test}"), "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    let failed = String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success(), "{said}{failed}");
    assert!(said.contains("1 passed"), "{test} did not run: {said}");
    false
}

struct Disk {
    filler: PathBuf,
}

impl Disk {
    fn mount(at: &Path) -> Disk {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={MEGABYTES}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .status();
        assert!(mounted.unwrap().success());
        Disk {
            filler: at.join("filler"),
        }
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut file = fs::File::create(&self.filler).unwrap();
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4_096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        fs::remove_file(&self.filler).unwrap();
    }
}

/// A coordinator and a worker with one slot; `part` of the data directory is a disk of its own.
fn fleet(part: &str) -> (Fleet, Disk) {
    let mut disk = None;
    let fleet = Fleet::prepared("", 1, 1, |data| disk = Some(Disk::mount(&data.join(part))));
    (fleet, disk.unwrap())
}

/// Two small networks, a checkpoint an epoch.
fn spec(fleet: &Fleet) -> String {
    let digits = repository().join("configs/data/digits.csv");
    let text = format!(
        "kind: sweep\nversion: 1\nname: full\ndata: {{ dataset: {}, label: label }}\ntask: classification\n\
         model: {{ kind: mlp, hidden: [64] }}\ntrain: {{ epochs: 3 }}\ncheckpoint: {{ every: 1 epoch }}\n\
         search:\n  sampler: {{ kind: random, seed: 4 }}\n  limit: {{ trials: 2 }}\n  parameters:\n    \
         optimizer.lr: {{ min: 1e-4, max: 1e-2, log: true }}\n",
        digits.display()
    );
    let spec = spec_file(fleet.dir.path(), "full.yaml", &text);
    spec.display().to_string()
}

#[track_caller]
fn submit(fleet: &Fleet) -> String {
    let submitted = fleet.run(["sweep", "submit", &spec(fleet), "-o", "json"]);
    let document = submitted.exits(0).json();
    document["sweep"].as_str().unwrap().to_owned()
}

/// The metrics of both trials.
type Metrics = Vec<BTreeMap<(String, u64), String>>;

/// Waits for the end and gives every metric but those that measure time; no attempt was lost on the way.
#[track_caller]
fn completed(fleet: &Fleet, name: &str) -> Metrics {
    let document = fleet.finished(name, LIMIT);
    assert_eq!(document["state"], "completed", "{document}");
    for trial in document["trials"].as_array().unwrap() {
        assert_eq!(trial["attempts"], 1, "{trial}");
    }
    let of = |number| {
        let id = format!("{name}/{number}");
        fleet.run(["checkpoint", "verify", &id]).exits(0);
        fleet.series(&id)
    };
    (0..2).map(of).collect()
}

/// Trains, fills the disk, trains the same again until `stuck`, frees the disk: the same comes out.
#[track_caller]
fn check(part: &str, stuck: impl Fn(&Fleet, &str) -> bool) {
    let (fleet, disk) = fleet(part);
    let calm = completed(&fleet, &submit(&fleet));
    disk.fill();
    let name = submit(&fleet);
    wait_for("the full disk to be told of", LIMIT, || {
        stuck(&fleet, &name).then_some(())
    });
    assert_eq!(fleet.sweep(&name)["state"], "running");
    disk.free();
    assert_eq!(completed(&fleet, &name), calm);
    fleet.stop();
}

#[test]
fn a_checkpoint_waits_for_space_on_its_workers_disk() {
    if may_mount("a_checkpoint_waits_for_space_on_its_workers_disk") {
        check("workers", |fleet, name| {
            let logs = fleet.run(["trial", "logs", &format!("{name}/0")]);
            logs.stdout.contains("waits for space")
        });
    }
}

#[test]
fn a_checkpoint_waits_for_space_on_the_coordinators_disk() {
    if may_mount("a_checkpoint_waits_for_space_on_the_coordinators_disk") {
        check("blobs", |fleet, _| {
            fleet.log("coordinator").contains("blobs wait for space")
        });
    }
}

#[test]
fn metrics_wait_for_space() {
    if may_mount("metrics_wait_for_space") {
        check("tracker", |fleet, _| {
            fleet.log("coordinator").contains("metrics wait for space")
        });
    }
}

/// An external sweep whose spec takes most of a megabyte in the log.
fn bulky(fleet: &Fleet) -> String {
    let value = |n: u32| format!("\"{n:0200}\"");
    let values: Vec<String> = (0..3_000).map(value).collect();
    let text = format!(
        "kind: sweep\nversion: 1\nname: bulky\ntrials: external\nsearch:\n  objective: {{ metric: loss, goal: minimize }}\n  \
         limit: {{ trials: 2 }}\n  parameters:\n    x: {{ values: [{}] }}\n",
        values.join(", ")
    );
    let spec = spec_file(fleet.dir.path(), "bulky.yaml", &text);
    spec.display().to_string()
}

#[test]
fn a_full_log_refuses_what_it_cannot_keep() {
    if !may_mount("a_full_log_refuses_what_it_cannot_keep") {
        return;
    }
    let (fleet, disk) = fleet("log");
    let calm = completed(&fleet, &submit(&fleet));
    disk.fill();
    // The log has space in reserve: what fits is taken.
    let bulky = bulky(&fleet);
    let mut taken = 0;
    let refused = wait_for("the full disk", LIMIT, || {
        let tried = fleet.run(["sweep", "submit", &bulky, "-o", "json"]);
        taken += u32::from(tried.code == Some(0));
        (tried.code != Some(0)).then_some(tried)
    });
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("disk is full"), "{said}");
    refused.exits(1);
    fleet.run(["sweep", "submit", &bulky]).exits(1);
    let listed = fleet.run(["sweep", "list", "-o", "json"]).exits(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1 + taken as usize);
    disk.free();
    wait_for("the log to be written again", LIMIT, || {
        let log = fleet.log("coordinator");
        log.contains("the log is written again").then_some(())
    });
    assert_eq!(completed(&fleet, &submit(&fleet)), calm);
    fleet.stop();
}

#[test]
fn a_start_on_a_full_disk_is_refused() {
    if !may_mount("a_start_on_a_full_disk_is_refused") {
        return;
    }
    let mut fleet = Fleet::new();
    let disk = Disk::mount(&fleet.data().join("log"));
    disk.fill();
    let digits = repository().join("configs/data/digits.csv");
    let digits = digits.to_str().unwrap();
    for verb in [["coordinator", "--port", "0"], ["dataset", "add", digits]] {
        let refused = fleet.run(verb);
        let said = refused.stderr.clone();
        refused.exits(1);
        assert!(said.contains("no space to "), "{said}");
        assert!(said.contains("free some space"), "{said}");
    }
    disk.free();
    fleet.start_coordinator();
    fleet.run(["dataset", "list"]).exits(0);
    fleet.stop();
}
