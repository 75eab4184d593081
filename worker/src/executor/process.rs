//! One executor process as its agent sees it: three pipes and an exit status. Decides nothing.

use std::io;
use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::time::Duration;

use bonfire_domain::WallMs;
use bonfire_domain::metric::LogLine;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::frame::{Decoder, ExecutorEvent, ExecutorOrder, FrameError, encode};
use super::lines::Lines;
use super::memory;
use super::spawn::{Launch, Spawner};

/// Bytes read from a pipe at once.
const READ_BYTES: usize = 64 << 10;
/// Reads of a pipe that is never empty, after which events count: more than the pipe holds.
const WAITING_READS_MAX: usize = 16;
/// How long the pipes of a dead process are read for what it left; a grandchild may hold them open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running executor.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) pid: u32,
    pub(super) lines: Lines,
    /// Attempts it has ended.
    pub(super) trials: u32,
    oom_kills_before: Option<u64>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    decoder: Decoder,
    outgoing: Vec<u8>,
    out_bytes: Vec<u8>,
    err_bytes: Vec<u8>,
}

/// What one call of [`Process::listen`] brought.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) events: Vec<ExecutorEvent>,
    pub(super) logs: Vec<LogLine>,
    /// The process is gone and has been read to its end.
    pub(super) exited: Option<Option<ExitStatus>>,
    /// Nothing after this can be trusted.
    pub(super) broken: Option<FrameError>,
}

impl Process {
    /// Starts one; its first order is already on its way.
    pub(super) async fn start(
        spawner: &Spawner,
        launch: &Launch,
        nice: i32,
    ) -> io::Result<Process> {
        let mut child = spawner.spawn(launch).await?;
        let mut process = Process {
            pid: child.id().unwrap_or_default(),
            lines: Lines::default(),
            trials: 0,
            oom_kills_before: memory::kernel_oom_kills(),
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            decoder: Decoder::default(),
            outgoing: Vec::new(),
            out_bytes: vec![0; READ_BYTES],
            err_bytes: vec![0; READ_BYTES],
            child,
        };
        process.order(&ExecutorOrder::Setup { nice });
        Ok(process)
    }

    /// Puts an order into the pipe as far as the pipe has room; the rest goes with [`Process::listen`].
    pub(super) fn order(&mut self, order: &ExecutorOrder) {
        if let Err(error) = encode(order, &mut self.outgoing) {
            tracing::error!(pid = self.pid, %error, "an order was not sent to its executor");
        }
    }

    /// Waits until the process says something, took orders in, or is gone. May be dropped at any time.
    pub(super) async fn listen(&mut self, wall: impl Fn() -> WallMs) -> Heard {
        let mut heard = Heard::default();
        let Process {
            stdin,
            stdout,
            stderr,
            outgoing,
            out_bytes,
            err_bytes,
            child,
            ..
        } = self;
        let pending = !outgoing.is_empty() && stdin.is_some();
        tokio::select! {
            biased;
            count = write(stdin, outgoing), if pending => match count {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(_) => self.stdin = None, // its end is seen by the wait below
            },
            count = read(stdout, out_bytes), if stdout.is_some() => {
                self.take_output(count, &mut heard);
                if !heard.events.is_empty() {
                    self.take_waiting_log(wall(), &mut heard);
                }
            }
            count = read(stderr, err_bytes), if stderr.is_some() => self.take_log(count, wall(), &mut heard),
            status = child.wait() => {
                self.read_last_words(wall(), &mut heard).await;
                self.lines.finish(wall(), &mut heard.logs);
                heard.exited = Some(status.ok());
            }
        }
        heard
    }

    fn take_output(&mut self, count: usize, heard: &mut Heard) {
        if count == 0 {
            self.stdout = None;
        }
        self.decoder.push(&self.out_bytes[..count]);
        loop {
            match self.decoder.frame() {
                Ok(Some(event)) => heard.events.push(event),
                Ok(None) => return,
                Err(error) => {
                    heard.broken = Some(error);
                    self.stdout = None;
                    return;
                }
            }
        }
    }

    fn take_log(&mut self, count: usize, time: WallMs, heard: &mut Heard) {
        if count == 0 {
            self.stderr = None;
        }
        self.lines
            .push(&self.err_bytes[..count], time, &mut heard.logs);
    }

    /// Reads what is in the pipe now and waits for no more. What was logged before an event was said is there when the event is
    /// heard, and the two pipes are read in any order: a last line would come after its attempt has ended.
    fn take_waiting_log(&mut self, time: WallMs, heard: &mut Heard) {
        for _ in 0..WAITING_READS_MAX {
            // The pipe does not block, as the runtime needs that, too.
            let waiting = match &self.stderr {
                Some(stderr) => nix::unistd::read(stderr.as_fd(), &mut self.err_bytes),
                None => return,
            };
            match waiting {
                Ok(count) => self.take_log(count, time, heard),
                Err(_) => return, // nothing more now; an end is seen by the next reading
            }
        }
    }

    /// Reads what a dead process left in its pipes.
    async fn read_last_words(&mut self, time: WallMs, heard: &mut Heard) {
        let reading = async {
            while self.stdout.is_some() {
                let count = read(&mut self.stdout, &mut self.out_bytes).await;
                self.take_output(count, heard);
            }
            while self.stderr.is_some() {
                let count = read(&mut self.stderr, &mut self.err_bytes).await;
                self.take_log(count, time, heard);
            }
        };
        // What comes later than that belongs to nobody.
        let _ = tokio::time::timeout(LAST_WORDS, reading).await;
    }

    /// Kills it and all that it started. Its end still has to be listened for.
    pub(super) fn kill(&mut self) {
        if let Ok(pid) = i32::try_from(self.pid)
            && pid > 0
            && self.child.id().is_some()
        {
            // It may have died by itself already.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// Kills it and waits for it where nobody waits for the answer.
    pub(super) fn retire(mut self) {
        self.kill();
        tokio::spawn(async move { self.child.wait().await });
    }

    /// Kills it and waits until it is gone.
    pub(super) async fn end(mut self) {
        self.kill();
        if let Err(error) = self.child.wait().await {
            tracing::warn!(pid = self.pid, %error, "cannot wait for an executor");
        }
    }

    /// Whether the kernel ended a process of our control group for memory since this one started.
    pub(super) fn kernel_oom(&self) -> bool {
        match (self.oom_kills_before, memory::kernel_oom_kills()) {
            (Some(before), Some(now)) => now > before,
            _ => false,
        }
    }
}

/// Bytes read; 0 at the end, which an error counts as.
async fn read(pipe: &mut Option<impl AsyncReadExt + Unpin>, bytes: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(bytes).await.unwrap_or(0),
        None => 0,
    }
}

async fn write(pipe: &mut Option<ChildStdin>, bytes: &[u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.write(bytes).await,
        None => Ok(0),
    }
}
