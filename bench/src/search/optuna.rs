//! Optuna on functions that this process computes: `bench/peers/optuna_functions.py` asks through a pipe.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::bbob::Problem;
use crate::peer::python;

/// The script, and the Python that has Optuna installed.
#[derive(Clone, Debug)]
pub struct Optuna {
    python: PathBuf,
    script: PathBuf,
}

impl Optuna {
    /// `None` where one of them is not there.
    pub fn find() -> Option<Optuna> {
        let script = PathBuf::from("bench/peers/optuna_functions.py");
        let python = python("vt").filter(|_| script.is_file());
        if python.is_none() {
            eprintln!(
                "  no peer: {} or its environment vt is not there",
                script.display()
            );
        }
        Some(Optuna {
            python: python?,
            script,
        })
    }

    /// The values of a search, in their order. It says a point a line and is answered with a value.
    ///
    /// # Errors
    /// If the script cannot be started, says something else, or fails.
    pub fn search(
        &self,
        sampler: &str,
        problem: &Problem,
        seed: u64,
        trials: u32,
    ) -> anyhow::Result<Vec<f64>> {
        let mut child = Command::new(&self.python)
            .arg(&self.script)
            .arg(sampler)
            .args([
                seed.to_string(),
                problem.dimension().to_string(),
                trials.to_string(),
            ])
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start {}", self.python.display()))?;
        let mut values = Vec::new();
        let (answers, points) = (child.stdin.take(), child.stdout.take());
        if let (Some(mut answers), Some(points)) = (answers, points) {
            for line in BufReader::new(points).lines() {
                let line = line?;
                let point: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
                let point = point.with_context(|| format!("a point from Optuna: {line}"))?;
                ensure!(
                    point.len() == problem.dimension(),
                    "a point from Optuna: {line}"
                );
                let value = problem.evaluate(&point);
                values.push(value);
                writeln!(answers, "{value:?}")?;
            }
        }
        let status = child.wait()?;
        ensure!(status.success(), "{}: {status}", self.script.display());
        ensure!(
            values.len() == trials as usize,
            "Optuna ended after {} trials",
            values.len()
        );
        Ok(values)
    }
}
