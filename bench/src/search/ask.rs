//! What a search costs: one suggestion by TPE plus taking in its result, in process, after many finished trials.

use std::time::Instant;

use anyhow::{Context, bail};
use bonfire_domain::search::{
    Alike, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Space, Suggestion, Value,
};

use crate::figure::Settings;
use crate::pairs::{compare, interleave, quantile};
use crate::peer::Peer;
use crate::row::{Row, load};

/// Finished trials behind the goal row.
const FINISHED: u32 = 10_000;
/// Timed suggestions behind each quantile.
const ASKS: u32 = 1_000;

/// H2: ten real parameters beside Optuna's TPE, both taking in what they suggest; then how that grows, and a mixed space.
///
/// # Errors
/// If the space is refused, the search ends, or the peer fails.
pub fn ask(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let before = load();
    // First, while nothing that was freed is used again.
    let bytes = bytes_per_trial()?;
    let name = "H2c bytes of memory a trial, TPE, ten real parameters, 100,000 trials";
    let mut rows = vec![Row::alone(name, "bytes", &[bytes], before.max(load()))];
    let ours = || Ok(ask_tell(SamplerKind::Tpe, &reals()?, FINISHED, ASKS)?.p50);
    let name = "H2 ms per suggestion and result after 10,000 trials, p50";
    if let Some(peer) = Peer::find("optuna_ask.py", "vt") {
        let sizes = FINISHED.to_string();
        let arguments = ["--only", "tpe", "--sizes", &sizes];
        let theirs = || peer.measure(&arguments, "ask_tell", "ms.p50");
        let pairs = interleave(settings.pairs, ours, theirs)?;
        // Less is better: the ratio is theirs to ours.
        let rates: Vec<(f64, f64)> = pairs.iter().map(|(a, b)| (1.0 / a, 1.0 / b)).collect();
        let mut found = compare(&rates);
        (found.ours, found.theirs) = (1.0 / found.ours, 1.0 / found.theirs);
        rows.push(Row::beside(
            name,
            "ms",
            "Optuna TPE",
            &found,
            before.max(load()),
        ));
    } else {
        let runs: anyhow::Result<Vec<f64>> = (0..settings.pairs).map(|_| ours()).collect();
        rows.push(Row::alone(name, "ms", &runs?, before.max(load())));
    }
    for (words, space) in [("ten real", reals()?), ("mixed", mixed()?)] {
        for finished in [100, 1_000, 10_000, 100_000] {
            let found = ask_tell(SamplerKind::Tpe, &space, finished, ASKS)?;
            let load = before.max(load());
            for (which, value) in [("p50", found.p50), ("p99", found.p99)] {
                let name = format!("H2b TPE, {words} parameters, {finished} trials, {which}");
                rows.push(Row::alone(name, "ms", &[value], load));
            }
        }
    }
    for (words, space) in [("ten real", reals()?), ("mixed", mixed()?)] {
        for finished in [100, 10_000, 100_000] {
            let found = ask_tell(SamplerKind::Cmaes, &space, finished, ASKS)?;
            let load = before.max(load());
            for (which, value) in [("p50", found.p50), ("p99", found.p99)] {
                let name = format!("H2b CMA-ES, {words} parameters, {finished} trials, {which}");
                rows.push(Row::alone(name, "ms", &[value], load));
            }
        }
    }
    for finished in [100, 1_000, 10_000, 100_000] {
        let found = ask_tell(SamplerKind::Gp, &mixed()?, finished, ASKS / 10)?;
        let load = before.max(load());
        for (which, value) in [("p50", found.p50), ("p99", found.p99)] {
            let name = format!("H2b GP at {finished} trials, mixed parameters, {which}");
            rows.push(Row::alone(name, "ms", &[value], load));
        }
    }
    Ok(rows)
}

/// Milliseconds.
#[derive(Clone, Copy, Debug)]
struct Quantiles {
    p50: f64,
    p99: f64,
}

/// Fills a sampler with finished random trials and times suggestions, each with its result taken in.
fn ask_tell(
    kind: SamplerKind,
    space: &Space,
    finished: u32,
    asks: u32,
) -> anyhow::Result<Quantiles> {
    let mut sampler = filled(kind, space, finished)?;
    let mut times = Vec::new();
    for number in (finished..).take(asks as usize) {
        let began = Instant::now();
        let suggestion = sampler.suggest(number);
        tell(&mut sampler, number, suggestion)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Quantiles {
        p50: quantile(&times, 0.5),
        p99: quantile(&times, 0.99),
    })
}

/// A sampler that knows of finished random trials.
fn filled(kind: SamplerKind, space: &Space, finished: u32) -> anyhow::Result<Sampler> {
    let random = Sampler::new(SamplerKind::Random, space.clone(), Goal::Minimize, 1)?;
    let mut sampler = Sampler::new(kind, space.clone(), Goal::Minimize, 0)?;
    for number in 0..finished {
        let suggestion = random.suggest(number);
        tell(&mut sampler, number, suggestion)?;
    }
    Ok(sampler)
}

/// What this process grows by for each trial that a sampler knows of.
fn bytes_per_trial() -> anyhow::Result<f64> {
    const TRIALS: u32 = 100_000;
    let before = resident()?;
    let sampler = filled(SamplerKind::Tpe, &reals()?, TRIALS)?;
    let grown = resident()?.saturating_sub(before);
    drop(sampler);
    Ok(grown as f64 / f64::from(TRIALS))
}

/// Resident memory of this process, in bytes.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.context("no resident size")?.trim().parse()?;
    Ok(kib << 10)
}

/// The sum of squares of a trial's numbers, as its result.
fn tell(sampler: &mut Sampler, number: u32, suggestion: Suggestion) -> anyhow::Result<()> {
    let Suggestion::Trial(parameters) = suggestion else {
        bail!("the search ended at trial {number}");
    };
    let numbers = parameters.values().filter_map(Value::as_f64);
    let value = numbers.map(|x| x * x).sum();
    sampler.observe(&Event::Created { number, parameters });
    sampler.observe(&Event::Observed {
        number,
        at: 1,
        value,
    });
    let ending = Ending::Completed;
    sampler.observe(&Event::Ended { number, ending });
    Ok(())
}

fn reals() -> anyhow::Result<Space> {
    space(|_| Range::Real {
        min: -5.0,
        max: 5.0,
        log: false,
    })
}

/// Real, log real, integer, log integer and categorical in turn.
fn mixed() -> anyhow::Result<Space> {
    space(|i| match i % 5 {
        0 => Range::Real {
            min: -5.0,
            max: 5.0,
            log: false,
        },
        1 => Range::Real {
            min: 1e-5,
            max: 1.0,
            log: true,
        },
        2 => Range::Integer {
            min: 1,
            max: 16,
            log: false,
        },
        3 => Range::Integer {
            min: 1,
            max: 1_024,
            log: true,
        },
        _ => Range::Choice {
            values: (0..6).map(|v| Value::Text(format!("v{v}"))).collect(),
            alike: Alike::None,
        },
    })
}

fn space(range: impl Fn(usize) -> Range) -> anyhow::Result<Space> {
    let parameter = |i| Parameter {
        name: format!("x{i}"),
        range: range(i),
        when: vec![],
    };
    Space::new((0..10).map(parameter).collect()).map_err(|errors| anyhow::anyhow!("{errors:?}"))
}

#[test]
fn suggestions_are_timed() {
    for space in [reals(), mixed()] {
        let found = space.and_then(|space| ask_tell(SamplerKind::Tpe, &space, 30, 20));
        assert!(found.is_ok_and(|q| 0.0 < q.p50 && q.p50 <= q.p99));
    }
}
