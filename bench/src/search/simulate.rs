//! Runs of `bonfire sim`, as many at a time as there are cores.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use bonfire_sim::{BestAt, SimDocument};

use super::known::Known;
use crate::bed::binary;

/// One run to be made.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    pub known: &'a Known,
    pub seed: u64,
    pub workers: u32,
    pub sampler: &'static str,
    /// Lines of the spec's search, such as its limit.
    pub search: String,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The best value after 1, 2, 3, ... finished trials.
    pub best: Vec<f64>,
    /// Each value that was the best so far, of trials under way, too.
    pub best_over_time: Vec<BestAt>,
    pub utilisation: f64,
    /// Of the process, from start to end.
    pub seconds: f64,
}

impl Ran {
    /// The best value after `trials` finished ones; of a space that ended before, the last.
    pub fn best_after(&self, trials: usize) -> anyhow::Result<f64> {
        let at = trials.min(self.best.len()).checked_sub(1);
        let best = at.and_then(|at| self.best.get(at)).copied();
        best.context("no trial of a run has a value")
    }
}

/// Makes every run; the answers stand in the order of the jobs.
///
/// # Errors
/// The first run that did not complete.
pub fn run_all(jobs: &[Job<'_>]) -> anyhow::Result<Vec<Ran>> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((at, job)) = take(&next, jobs) {
                    let ran = run(job);
                    let failed = ran.is_err();
                    done.lock()
                        .unwrap_or_else(|e| e.into_inner())
                        .push((at, ran));
                    if failed {
                        next.store(jobs.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|e| e.into_inner());
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, ran)| ran).collect()
}

fn take<'a, T>(next: &AtomicUsize, jobs: &'a [T]) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(at).map(|job| (at, job))
}

fn run(job: &Job<'_>) -> anyhow::Result<Ran> {
    let folder = tempfile::tempdir()?;
    let spec = folder.path().join("known.yaml");
    std::fs::write(&spec, job.known.spec(job.sampler, job.seed, &job.search))?;
    let began = Instant::now();
    let output = Command::new(binary()?)
        .arg("sim")
        .arg(&spec)
        .arg("--table")
        .arg(&job.known.path)
        .args([
            "--workers",
            &job.workers.to_string(),
            "-o",
            "json",
            "--quiet",
        ])
        .env_remove("BONFIRE_COORDINATOR")
        .stdin(Stdio::null())
        .output()?;
    let seconds = began.elapsed().as_secs_f64();
    let error = String::from_utf8_lossy(&output.stderr);
    let (table, status) = (&job.known.name, output.status);
    ensure!(
        status.success(),
        "bonfire sim on {table}: {status}\n{error}"
    );
    let document: SimDocument = serde_json::from_slice(&output.stdout)?;
    Ok(Ran {
        best: document.best_over_trials.into_iter().flatten().collect(),
        best_over_time: document.best_over_time,
        utilisation: document.utilisation,
        seconds,
    })
}
