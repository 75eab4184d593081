//! A fleet of real processes in a temporary directory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::procs::{children, marked, wait_for};

/// The binary under test.
///
/// # Panics
/// If `BONFIRE_BIN` names none: `scripts/test.sh` builds it and sets the variable.
pub fn bonfire() -> PathBuf {
    let path = std::env::var_os("BONFIRE_BIN").expect("BONFIRE_BIN names the binary under test");
    PathBuf::from(path)
}

/// The repository's root: tests run in their package's folder. The place where they were compiled may be another checkout's,
/// since checkouts share a target folder.
///
/// # Panics
/// If the working directory is gone.
pub fn repository() -> PathBuf {
    let here = std::env::current_dir().expect("the working directory is there");
    here.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Writes a spec into a directory and gives its path.
pub fn spec_file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    let mut file = std::fs::File::create(&path).expect("the temporary directory is writable");
    file.write_all(text.as_bytes())
        .expect("the temporary directory is writable");
    path
}

/// What a command of the binary did.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    fn from(output: Output) -> Outcome {
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The document on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Outcome {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

const CONFIGURATION: &str = "coordinator.toml";
const MARK: &str = "BONFIRE_TEST_FLEET";

/// A coordinator and workers as processes of their own. Everything it started is gone when it is dropped.
pub struct Fleet {
    pub dir: TempDir,
    mark: String,
    port: Option<u16>,
    coordinator: Option<Child>,
    workers: Vec<Option<Child>>,
    slots: u16,
}

impl Fleet {
    /// An empty directory, nothing started.
    pub fn new() -> Fleet {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let mark = dir.path().display().to_string();
        Fleet {
            dir,
            mark,
            port: None,
            coordinator: None,
            workers: Vec::new(),
            slots: 1,
        }
    }

    /// A coordinator and `workers` workers with `slots` slots each, serving.
    pub fn start(workers: usize, slots: u16) -> Fleet {
        Fleet::configured("", workers, slots)
    }

    /// [`Fleet::start`] with a coordinator's configuration file of that text.
    pub fn configured(text: &str, workers: usize, slots: u16) -> Fleet {
        Fleet::prepared(text, workers, slots, |_| {})
    }

    /// [`Fleet::configured`], after `prepare` was at the path of its data directory.
    pub fn prepared(text: &str, workers: usize, slots: u16, prepare: impl FnOnce(&Path)) -> Fleet {
        let mut fleet = Fleet::new();
        prepare(&fleet.data());
        fleet.slots = slots;
        spec_file(fleet.dir.path(), CONFIGURATION, text);
        fleet.start_coordinator();
        for at in 0..workers {
            fleet.workers.push(None);
            fleet.start_worker(at);
        }
        fleet
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A command of the binary, marked as this fleet's, acting on its data directory.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(bonfire());
        command
            .args(arguments)
            .arg("--data")
            .arg(self.data())
            .current_dir(self.dir.path())
            .env(MARK, &self.mark)
            .env_remove("BONFIRE_COORDINATOR")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Outcome {
        let output = self.command(arguments).output();
        Outcome::from(output.expect("the binary under test starts"))
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let log = |name: &str| {
            let path = self.dir.path().join(format!("{}-{name}.log", arguments[0]));
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path);
            Stdio::from(file.expect("the temporary directory is writable"))
        };
        self.command(arguments)
            .stdout(log("out"))
            .stderr(log("err"))
            .spawn()
            .expect("the binary under test starts")
    }

    pub fn start_coordinator(&mut self) {
        // The first start picks a free port; a restart comes back on it, as a service would.
        let port = self.port.unwrap_or(0).to_string();
        let address = self.data().join("address");
        let _ = std::fs::remove_file(&address);
        let mut arguments = vec!["coordinator", "--port", &port];
        if self.dir.path().join(CONFIGURATION).exists() {
            arguments.extend(["--config", CONFIGURATION]);
        }
        self.coordinator = Some(self.spawn(&arguments));
        let text = wait_for("the coordinator's address", Duration::from_secs(30), || {
            std::fs::read_to_string(&address)
                .ok()
                .filter(|t| t.contains(':'))
        });
        let port = text.trim().rsplit(':').next().and_then(|p| p.parse().ok());
        self.port = port;
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.unwrap_or(0))
    }

    pub fn start_worker(&mut self, at: usize) {
        let (address, slots) = (self.address(), self.slots.to_string());
        let token = self.data().join("token").display().to_string();
        let arguments = [
            "worker",
            "--coordinator",
            &address,
            "--token-file",
            &token,
            "--slots",
            &slots,
        ];
        self.workers[at] = Some(self.spawn(&arguments));
    }

    /// What processes started by this verb wrote to stderr.
    pub fn log(&self, verb: &str) -> String {
        let path = self.dir.path().join(format!("{verb}-err.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// The names of the files in the coordinator's blob store, half-written ones included.
    pub fn blobs(&self) -> std::collections::BTreeSet<String> {
        let mut names = std::collections::BTreeSet::new();
        let mut folders = vec![self.data().join("blobs")];
        while let Some(folder) = folders.pop() {
            // Files come and go while they are listed.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => drop(names.insert(entry.file_name().to_string_lossy().into_owned())),
                }
            }
        }
        names
    }

    /// `kill -9` of the coordinator, then a new one.
    pub fn kill_coordinator(&mut self) {
        if let Some(mut child) = self.coordinator.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.start_coordinator();
    }

    /// `kill -9` of a worker, then a new one.
    pub fn kill_worker(&mut self, at: usize) {
        if let Some(mut child) = self.workers[at].take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.start_worker(at);
    }

    /// `kill -9` of one executor of a worker, if it has any.
    pub fn kill_executor(&self, at: usize, which: usize) -> bool {
        let Some(worker) = &self.workers[at] else {
            return false;
        };
        let executors = children(worker.id() as i32);
        let Some(pid) = executors.get(which % executors.len().max(1)) else {
            return false;
        };
        kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok()
    }

    /// SIGTERM to a worker, and its end.
    #[track_caller]
    pub fn end_worker(&mut self, at: usize) {
        if let Some(child) = self.workers[at].take() {
            end(child);
        }
    }

    /// The document of `sweep show`.
    #[track_caller]
    pub fn sweep(&self, name: &str) -> Value {
        let found = self.run(["sweep", "show", name, "-o", "json"]);
        found.exits(0).json()
    }

    /// Every metric of a trial by key and step, but for those that measure time.
    ///
    /// # Panics
    /// If one is there twice.
    #[track_caller]
    pub fn series(&self, trial: &str) -> BTreeMap<(String, u64), String> {
        let found = self.run(["trial", "metrics", trial, "-o", "json"]).exits(0);
        let mut all = BTreeMap::new();
        for point in found.json().as_array().expect("a list") {
            let key = point["key"].as_str().unwrap_or_default().to_owned();
            if !bonfire_domain::metric::measures_time(&key) {
                let step = point["step"].as_u64().expect("a step");
                let old = all.insert((key.clone(), step), point["value"].to_string());
                assert_eq!(old, None, "{trial} has {key} at {step} twice");
            }
        }
        all
    }

    /// Waits until a sweep is in a final state and gives its document.
    #[track_caller]
    pub fn finished(&self, name: &str, limit: Duration) -> Value {
        wait_for(&format!("the end of {name}"), limit, || {
            let found = self.run(["sweep", "show", name, "-o", "json"]);
            if found.code != Some(0) {
                return None;
            }
            let document = found.json();
            let state = document["state"].as_str().unwrap_or_default().to_owned();
            ["completed", "failed", "cancelled"]
                .contains(&state.as_str())
                .then_some(document)
        })
    }

    /// Ends everything in order and checks that nothing is left.
    #[track_caller]
    pub fn stop(mut self) {
        for at in 0..self.workers.len() {
            self.end_worker(at);
        }
        if let Some(child) = self.coordinator.take() {
            end(child);
        }
        self.nothing_left();
    }

    /// No process of this fleet is alive.
    #[track_caller]
    pub fn nothing_left(&self) {
        let mine = std::process::id() as i32;
        wait_for("every process to be gone", Duration::from_secs(20), || {
            let left: Vec<i32> = marked(MARK, &self.mark)
                .into_iter()
                .filter(|p| *p != mine)
                .collect();
            left.is_empty().then_some(())
        });
    }
}

impl Default for Fleet {
    fn default() -> Fleet {
        Fleet::new()
    }
}

#[track_caller]
fn end(mut child: Child) {
    let pid = Pid::from_raw(child.id() as i32);
    let _ = kill(pid, Signal::SIGTERM);
    wait_for("a process to end", Duration::from_secs(60), || {
        child.try_wait().ok().flatten()
    });
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let children = self.workers.iter_mut().chain([&mut self.coordinator]);
        for child in children.flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in marked(MARK, &self.mark) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
