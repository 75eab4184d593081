//! The executor's own process: takes orders from its pipe, runs one attempt at a time, and dies with its agent.

use std::cell::OnceCell;
use std::fs::File;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bonfire_data::Progress;
use bonfire_domain::dataset::{DatasetManifest, Preparation};
use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::spec::{ModelSpec, Spec};
use bonfire_engine::numerics_class;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{dup, dup2_stdout, getpgrp};

use super::frame::{Begin, ExecutorEvent, ExecutorOrder, PrepareFailure, PrepareJob};
use super::inbox::Inbox;
use super::memory;
use super::noop;
use super::outbox::Outbox;
use super::train;
use super::trial::Trial;

/// Between two words on how far a job is.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Runs an executor until its agent says so or is gone. The body of the hidden subcommand.
pub fn executor_main() -> ExitCode {
    // Dies with the thread that spawned it, should that end without closing the pipe. Refused only by a kernel without it.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    let outbox = match take_stdout() {
        Ok(to) => Outbox::new(to),
        Err(error) => {
            eprintln!("executor: cannot take its pipe: {error}");
            return ExitCode::FAILURE;
        }
    };
    let inbox = Inbox::default();
    let reader = inbox.clone();
    let reading = std::thread::Builder::new()
        .name("orders".into())
        .spawn(move || {
            reader.fill(std::io::stdin());
            end_group();
        });
    if let Err(error) = reading {
        eprintln!("executor: cannot start a thread: {error}");
        return ExitCode::FAILURE;
    }
    Executor {
        inbox,
        outbox,
        specs: SpecCache::default(),
        numerics: OnceCell::new(),
    }
    .run()
}

/// The pipe to the agent; what anything else prints from here on goes to the log.
fn take_stdout() -> nix::Result<File> {
    let pipe = dup(std::io::stdout().as_fd())?;
    dup2_stdout(std::io::stderr().as_fd())?;
    Ok(File::from(pipe))
}

/// The agent is gone: nothing that this executor started stays, itself included.
fn end_group() {
    // The agent makes every executor the leader of a group of its own; this ends this process too.
    let _ = killpg(getpgrp(), Signal::SIGKILL);
    std::process::exit(1);
}

struct Executor {
    inbox: Inbox,
    outbox: Outbox,
    specs: SpecCache,
    /// Of this process, found when the first trial needs it.
    numerics: OnceCell<String>,
}

impl Executor {
    fn run(mut self) -> ExitCode {
        self.outbox.send(&ExecutorEvent::Ready {
            pid: std::process::id(),
        });
        loop {
            match self.inbox.next() {
                ExecutorOrder::Setup { nice } => lower_priority(nice),
                ExecutorOrder::Begin(begin) => self.begin(*begin),
                ExecutorOrder::Prepare(job) => self.prepare(&job),
                ExecutorOrder::End { .. } | ExecutorOrder::ReleaseMemory => {}
                ExecutorOrder::Quit => return ExitCode::SUCCESS,
            }
        }
    }

    fn begin(&mut self, begin: Begin) {
        let (trial, attempt) = (begin.order.trial, begin.order.attempt);
        let end = guard(|| self.train(begin));
        self.outbox.send(&ExecutorEvent::Ended {
            trial,
            attempt,
            end,
        });
    }

    fn train(&mut self, begin: Begin) -> AttemptEnd {
        let spec = match self.specs.read(&begin) {
            Ok(spec) => spec,
            Err(detail) => {
                return AttemptEnd::Failed {
                    failure: Failure::Unusable,
                    detail,
                };
            }
        };
        let trial = Trial {
            spec,
            begin,
            inbox: &self.inbox,
            outbox: &self.outbox,
        };
        match trial.spec.model {
            ModelSpec::Noop { x, sleep_ms } => noop::run(&trial, x, sleep_ms),
            _ => {
                let end = train::run(trial, self.numerics.get_or_init(numerics_class));
                memory::give_back();
                end
            }
        }
    }

    fn prepare(&mut self, job: &PrepareJob) {
        let made = catch_unwind(AssertUnwindSafe(|| prepare(job, &self.outbox)));
        let manifest = made.unwrap_or_else(|panic| {
            let detail = panic_text(panic.as_ref()).to_owned();
            Err(PrepareFailure {
                unusable: false,
                detail,
            })
        });
        memory::give_back();
        self.outbox.send(&ExecutorEvent::Prepared {
            key: job.key,
            manifest,
        });
    }
}

/// Runs an attempt; a panic ends it alone. The agent replaces the process then, so nothing of it is used again.
fn guard(attempt: impl FnOnce() -> AttemptEnd) -> AttemptEnd {
    catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|panic| AttemptEnd::Failed {
        failure: Failure::Panicked,
        detail: panic_text(panic.as_ref()).to_owned(),
    })
}

/// Prepares a dataset version; answers with the prepared manifest as JSON.
fn prepare(job: &PrepareJob, outbox: &Outbox) -> Result<String, PrepareFailure> {
    let broken = |e: serde_json::Error| PrepareFailure {
        unusable: false,
        detail: e.to_string(),
    };
    let preparation: Preparation = serde_json::from_str(&job.preparation).map_err(broken)?;
    let dataset: DatasetManifest = serde_json::from_str(&job.dataset).map_err(broken)?;
    let mut told = Instant::now();
    let mut progress = |progress: Progress| {
        if let Progress::Rows {
            done: rows,
            total: Some(total),
        } = progress
            && told.elapsed() >= PROGRESS_EVERY
        {
            told = Instant::now();
            outbox.send(&ExecutorEvent::Preparing { rows, total });
        }
        true
    };
    let (files, out) = (&job.files, &job.out);
    let prepared = super::rows::prepare(&dataset, files, &preparation, out, &mut progress);
    let prepared = prepared.map_err(|e| PrepareFailure {
        unusable: e.is_users(),
        detail: e.to_string(),
    })?;
    serde_json::to_string(&prepared).map_err(broken)
}

/// The spec of the last sweep, read once for all its trials.
#[derive(Default)]
struct SpecCache {
    last: Option<(String, Spec)>,
}

impl SpecCache {
    /// The trial's own spec: the sweep's with the trial's parameters put in.
    fn read(&mut self, begin: &Begin) -> Result<Spec, String> {
        let text = &begin.order.spec;
        if self.last.as_ref().is_none_or(|(known, _)| known != text) {
            let spec = Spec::from_canonical(text).map_err(|e| format!("spec: {e}"))?;
            self.last = Some((text.clone(), spec));
        }
        let Some((_, spec)) = &self.last else {
            return Err("spec: none".into());
        };
        spec.with(&begin.order.parameters).map_err(|problems| {
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        })
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Adds to the niceness of the calling thread and of those it starts from now on.
#[allow(unsafe_code)]
pub(super) fn lower_priority(by: i32) {
    // SAFETY: a call without pointers that changes the calling thread's own niceness; it has no other effect.
    unsafe { libc::nice(by) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attempt: impl FnOnce() -> AttemptEnd, expected: &str) {
        assert_eq!(guard(attempt).to_string(), expected);
    }

    #[test]
    fn a_panic_is_the_end_of_one_attempt() {
        check(|| AttemptEnd::Reached, "reached its target");
        check(|| panic!("no such row"), "executor panicked: no such row");
        let row = 7;
        check(
            || panic!("no such row: {row}"),
            "executor panicked: no such row: 7",
        );
        check(|| std::panic::panic_any(7), "executor panicked: no message");
    }
}
