//! What it costs to have it: bytes on disk, memory while idle, time from nothing to the first trial.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bonfire_domain::view::SweepRow;

use crate::bed::{Bed, NOOP, ONE_NOOP, binary};
use crate::figure::Settings;
use crate::row::{Row, load};

/// The coordinator is idle after this time.
const SETTLE: Duration = Duration::from_secs(2);

/// B1: the stripped binary, the resident memory of a coordinator that has nothing to do, and the time from starting a
/// coordinator with one worker in an empty directory until a client sees the result of its first trial.
pub fn footprint(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let bytes = std::fs::metadata(binary()?)?.len();
    let mut resident = Vec::new();
    let mut seconds = Vec::new();
    for _ in 0..settings.pairs {
        let idle = Bed::start(&["coordinator", "--port", "0"])?;
        std::thread::sleep(SETTLE);
        resident.push(resident_bytes(idle.pid())? / 1e6);
        drop(idle);
        let began = Instant::now();
        let bed = Bed::start(&["up", "--workers", "1", "--slots", "1", "--port", "0"])?;
        bed.run(ONE_NOOP, |_| {})?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    let load = before.max(load());
    Ok(vec![
        Row::alone("B1 binary size", "MB", &[bytes as f64 / 1e6], load),
        Row::alone(
            "B1 idle coordinator memory, resident",
            "MB",
            &resident,
            load,
        ),
        Row::alone(
            "B1 cold start to the first trial's result",
            "s",
            &seconds,
            load,
        ),
    ])
}

/// Finished trials in the log that a restart reads.
const TRIALS: u32 = 100_000;

/// B2: seconds from the start of a coordinator that was killed until it answers, with 100,000 finished trials in its data
/// directory.
///
/// What limits it: reading the newest snapshot and applying the log behind it.
pub fn restart(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let arguments = ["up", "--workers", "1", "--slots", "2", "--port", "0"];
    let mut bed = Bed::start(&arguments)?;
    let (name, _) = bed.run(NOOP, |spec| {
        spec.search
            .iter_mut()
            .for_each(|s| s.limit.trials = Some(TRIALS))
    })?;
    let mut seconds = Vec::new();
    for _ in 0..settings.pairs {
        seconds.push(bed.restart(&arguments)?);
    }
    let found: SweepRow = bed.get(&format!("/v1/sweeps/{name}/summary"))?;
    ensure!(found.state == "completed", "{found:?}");
    let load = before.max(load());
    let name = "B2 restart of a coordinator with 100,000 finished trials";
    Ok(vec![Row::alone(name, "s", &seconds, load)])
}

/// Resident memory of a process, in bytes.
fn resident_bytes(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    Ok(kilobytes.context("the process has no VmRSS")? * 1024.0)
}

#[test]
fn our_own_memory_is_read() {
    let bytes = resident_bytes(std::process::id());
    assert!(bytes.is_ok_and(|b| b > 100e3));
    assert!(resident_bytes(u32::MAX).is_err());
}
