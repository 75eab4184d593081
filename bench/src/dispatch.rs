//! How fast trials are given out: a real fleet of one worker with two slots, trials that train nothing.

use anyhow::ensure;

use crate::bed::{Bed, NOOP, ONE_NOOP};
use crate::figure::Settings;
use crate::pairs::{compare, interleave, quantile};
use crate::peer::Peer;
use crate::row::{Row, load};

const SLOTS: u16 = 2;
const TRIALS: u32 = 1_000;

/// D1: 1,000 trials from their submission until a client sees that the last has ended, each created, started, reported and
/// ended in the synced log. Beside Ray Tune with reused actors and as many slots.
///
/// What limits it: the syncs of the log, then the processor time of the coordinator's loop.
pub fn trials_per_second(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let bed = Bed::up(SLOTS)?;
    let ours = || run_trials(&bed);
    let name = "D1 no-op trials per second";
    let Some(ray) = Peer::find("ray_tune_noop.py", "v") else {
        let runs: Vec<f64> = (0..settings.pairs)
            .map(|_| ours())
            .collect::<Result<_, _>>()?;
        return Ok(vec![Row::alone(name, "1/s", &runs, before.max(load()))]);
    };
    let (trials, slots) = (TRIALS.to_string(), SLOTS.to_string());
    let arguments = [
        "--trials",
        &trials,
        "--sleep-trials",
        "0",
        "--slots",
        &slots,
    ];
    let theirs = || ray.measure(&arguments, "noop", "trials_per_s");
    let found = compare(&interleave(settings.pairs, ours, theirs)?);
    Ok(vec![Row::beside(
        name,
        "1/s",
        "Ray Tune",
        &found,
        before.max(load()),
    )])
}

/// Runs the sweep once; every trial must be there with its value.
fn run_trials(bed: &Bed) -> anyhow::Result<f64> {
    let (name, seconds) = bed.run(NOOP, |_| {})?;
    let sweep = bed.sweep(&name)?;
    ensure!(
        sweep.trials.len() == TRIALS as usize,
        "{} trials",
        sweep.trials.len()
    );
    for trial in &sweep.trials {
        let x = trial
            .parameters
            .get("model.x")
            .and_then(serde_json::Value::as_f64);
        let expected = x.map(|x| (x - 0.3) * (x - 0.3) + 1.0);
        let is_right = trial.state == "completed" && trial.attempts == 1 && trial.value == expected;
        ensure!(is_right, "{trial:?} should be completed with {expected:?}");
    }
    Ok(f64::from(TRIALS) / seconds)
}

/// D3: from the submission of a single trial to an idle, warm worker until a client sees its result: more than the start
/// alone, which lies inside.
pub fn start_latency(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    let bed = Bed::up(SLOTS)?;
    let runs = 20 * settings.pairs;
    let mut milliseconds = Vec::new();
    for _ in 0..runs {
        milliseconds.push(bed.run(ONE_NOOP, |_| {})?.1 * 1e3);
    }
    let (p50, p99) = (quantile(&milliseconds, 0.5), quantile(&milliseconds, 0.99));
    let row = |name: &str, value: f64| {
        let mut row = Row::alone(name, "ms", &milliseconds, before.max(load()));
        row.value = value;
        row
    };
    Ok(vec![
        row(
            "D3 start of a trial on a warm executor, submission to seen result, p50",
            p50,
        ),
        row(
            "D3 start of a trial on a warm executor, submission to seen result, p99",
            p99,
        ),
    ])
}
