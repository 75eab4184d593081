//! Starts executor processes from one thread that lives as long as the agent.
//!
//! The parent-death signal follows the thread that spawned, and tokio's blocking threads end when idle.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How an executor is started.
#[derive(Clone, Debug)]
pub struct Launch {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// Added to the environment.
    pub envs: Vec<(OsString, OsString)>,
    /// Cores of one executor.
    pub threads: usize,
}

impl Launch {
    /// The hidden subcommand of the running binary itself.
    ///
    /// # Errors
    /// The path of the running binary cannot be found.
    pub fn of_this_binary(threads: usize) -> io::Result<Launch> {
        let program = std::env::current_exe()?;
        Ok(Launch {
            program,
            args: vec!["executor".into()],
            envs: Vec::new(),
            threads,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            // glibc gives freed memory back and faults it in again every step, the largest tensors first, unless told to keep
            // it; between trials the executor gives it back itself. Huge pages for what grows.
            .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
            .env("MALLOC_TRIM_THRESHOLD_", "1000000000000")
            .env("MALLOC_MMAP_MAX_", "0")
            .env("RAYON_NUM_THREADS", self.threads.to_string())
            .envs(self.envs.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

type Answer = oneshot::Sender<io::Result<Child>>;

/// The thread's other end; the thread ends with the last of these.
#[derive(Clone, Debug)]
pub struct Spawner {
    requests: mpsc::Sender<(Launch, Answer)>,
}

impl Spawner {
    /// Starts the thread; children are watched by the runtime of `handle`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(handle: Handle) -> io::Result<Spawner> {
        let (requests, todo) = mpsc::channel::<(Launch, Answer)>();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                let _runtime = handle.enter();
                for (launch, answer) in todo {
                    // Whoever asked and went away drops the child, which kills it.
                    let _ = answer.send(launch.command().spawn());
                }
            })?;
        Ok(Spawner { requests })
    }

    /// Starts one process in a process group of its own, with its three pipes.
    ///
    /// # Errors
    /// What the system says; the spawning thread is gone.
    pub async fn spawn(&self, launch: &Launch) -> io::Result<Child> {
        let (answer, child) = oneshot::channel();
        let gone = || io::Error::other("the spawning thread is gone");
        self.requests
            .send((launch.clone(), answer))
            .map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }
}
