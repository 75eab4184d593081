//! A bonfire of our own for the time of a figure: the release binary in a temporary directory, ended when dropped.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use bonfire_domain::command::SweepAction;
use bonfire_domain::spec::{Spec, check, render_problems};
use bonfire_domain::view::{SweepDocument, SweepRow};
use bonfire_proto::Token;
use bonfire_proto::client::Fleet;
use bonfire_proto::wire::{ControlSweep, Submit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A process must answer within this time.
const START_MAX: Duration = Duration::from_secs(30);
/// It must end within this time of being asked to.
const END_MAX: Duration = Duration::from_secs(10);

/// A running coordinator, with workers if it was started so, and a client of it.
pub struct Bed {
    child: Child,
    /// Removed when the process has ended.
    folder: TempDir,
    pub fleet: Fleet,
    pub runtime: Runtime,
}

/// The binary: `$BONFIRE_BIN`, else beside this one.
///
/// # Errors
/// If it is not there.
pub fn binary() -> anyhow::Result<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("bonfire"));
    let path = std::env::var_os("BONFIRE_BIN")
        .map(PathBuf::from)
        .or_else(beside);
    let path = path.filter(|p| p.is_file());
    path.context("the binary is not there: build it with `cargo build --release -p bonfire`")
}

impl Bed {
    /// A coordinator and one worker with this many slots, all warm.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub fn up(slots: u16) -> anyhow::Result<Bed> {
        let slots = slots.to_string();
        let bed = Bed::start(&["up", "--workers", "1", "--slots", &slots, "--port", "0"])?;
        bed.run(NOOP, |spec| {
            spec.search
                .iter_mut()
                .for_each(|s| s.limit.trials = Some(20))
        })?;
        Ok(bed)
    }

    /// The binary with these arguments and a data directory, as soon as its coordinator answers.
    ///
    /// # Errors
    /// If it ends or does not answer in time; with what it wrote last.
    pub fn start(arguments: &[&str]) -> anyhow::Result<Bed> {
        let folder = tempfile::tempdir()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (child, fleet) = start(folder.path(), arguments, &runtime)?;
        Ok(Bed {
            child,
            folder,
            fleet,
            runtime,
        })
    }

    /// Kills the process and starts the binary in the same directory; answers with the seconds from there until its
    /// coordinator answered.
    ///
    /// # Errors
    /// As [`Bed::start`].
    pub fn restart(&mut self, arguments: &[&str]) -> anyhow::Result<f64> {
        self.child.kill()?;
        self.child.wait()?;
        std::fs::remove_file(self.folder.path().join("data/address"))?;
        let began = Instant::now();
        (self.child, self.fleet) = start(self.folder.path(), arguments, &self.runtime)?;
        Ok(began.elapsed().as_secs_f64())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Submits a spec after `change` and answers with the sweep's name.
    ///
    /// # Errors
    /// If the spec is wrong or refused.
    pub fn submit(&self, text: &str, change: impl FnOnce(&mut Spec)) -> anyhow::Result<String> {
        let submit = submission(text, change)?;
        Ok(self.runtime.block_on(self.fleet.submit(submit))?)
    }

    /// Runs a spec to its end; answers with the sweep's name and the seconds from before its submission until a client saw
    /// that it had ended.
    ///
    /// # Errors
    /// If it does not complete.
    pub fn run(&self, text: &str, change: impl FnOnce(&mut Spec)) -> anyhow::Result<(String, f64)> {
        let submit = submission(text, change)?;
        let began = Instant::now();
        let name = self.runtime.block_on(self.fleet.submit(submit))?;
        let path = format!("/v1/sweeps/{name}/summary");
        loop {
            let row: SweepRow = self.get(&path)?;
            match row.state.as_str() {
                "running" => std::thread::sleep(Duration::from_millis(2)),
                "completed" => return Ok((name, began.elapsed().as_secs_f64())),
                state => bail!("sweep {name} is {state}: {:?}", row.reason),
            }
        }
    }

    /// Cancels a sweep without saving anything.
    ///
    /// # Errors
    /// If there is none.
    pub fn cancel(&self, name: &str) -> anyhow::Result<()> {
        let control = ControlSweep {
            sweep: name.to_owned(),
            action: SweepAction::Cancel { save: false },
        };
        self.wait(self.fleet.control_sweep(control)).map(|_| ())
    }

    /// The sweep with all its trials.
    ///
    /// # Errors
    /// If there is none.
    pub fn sweep(&self, name: &str) -> anyhow::Result<SweepDocument> {
        self.get(&format!("/v1/sweeps/{name}"))
    }

    /// The document at a path.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let document = self.wait(self.fleet.get(path))?;
        Ok(serde_json::from_slice(&document.json)?)
    }

    fn wait<T, E: Into<anyhow::Error>>(
        &self,
        asked: impl Future<Output = Result<T, E>>,
    ) -> anyhow::Result<T> {
        self.runtime.block_on(asked).map_err(Into::into)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn start(folder: &Path, arguments: &[&str], runtime: &Runtime) -> anyhow::Result<(Child, Fleet)> {
    let data = folder.join("data");
    let log_path = folder.join("log");
    let log = std::fs::File::create(&log_path)?;
    let mut child = Command::new(binary()?)
        .args(arguments)
        .arg("--data")
        .arg(&data)
        .env_remove("BONFIRE_COORDINATOR")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let began = Instant::now();
    loop {
        if let Some(fleet) = runtime.block_on(answering(&data)) {
            return Ok((child, fleet));
        }
        if child.try_wait()?.is_some() || began.elapsed() > START_MAX {
            end(&mut child);
            let log = std::fs::read_to_string(&log_path).unwrap_or_default();
            bail!("bonfire {arguments:?} does not answer:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Asks a process to end, and kills it when it does not.
fn end(child: &mut Child) {
    let began = Instant::now();
    if let Ok(pid) = i32::try_from(child.id()) {
        // Refused only if it has ended already.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    while began.elapsed() < END_MAX {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

async fn answering(data: &Path) -> Option<Fleet> {
    let address = std::fs::read_to_string(data.join("address")).ok()?;
    let token = Token::read(&data.join("token")).ok()?;
    let fleet = Fleet::at(address.trim(), &token).ok()?;
    fleet.hello().await.ok().map(|_| fleet)
}

fn submission(text: &str, change: impl FnOnce(&mut Spec)) -> anyhow::Result<Submit> {
    let mut spec = match check(text.as_bytes(), &[]) {
        Ok(spec) => spec,
        Err(problems) => bail!("{}", render_problems(&problems, "spec", text.as_bytes())),
    };
    change(&mut spec);
    // Two submissions are never the same one: the clock's nanoseconds differ.
    let request = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    Ok(Submit {
        request,
        name: spec.name.clone(),
        spec: spec.canonical(),
        dataset: None,
        fixed_name: false,
        origin: bonfire_domain::origin::Origin::default(),
    })
}

/// 1,000 trials that train nothing.
pub const NOOP: &str = include_str!("../specs/noop.yaml");
/// One of them.
pub const ONE_NOOP: &str = include_str!("../specs/one-noop.yaml");
/// One trial that sleeps for an hour.
pub const LOAD: &str = include_str!("../specs/load.yaml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specs_are_right() {
        for text in [NOOP, ONE_NOOP, LOAD] {
            assert!(submission(text, |_| {}).is_ok(), "{text}");
        }
        assert!(submission("kind: sweep", |_| {}).is_err());
    }
}
