//! Seeded schedules of crashes, delays, doubled and lost messages over the real machines, with a wall clock that jumps.
//!
//! Checked on the way and at rest: I1, I3, I4, I5, I6, I9, I10, I11, I13, I15, I16.
#![allow(clippy::unwrap_used)]

use bonfire_sim::{Faults, PlantedBug, Scenario, plain_spec, run, scheduled_spec};

/// Seeds of the short form; `BONFIRE_SIM_SEEDS=first..last` runs others.
fn seeds() -> std::ops::Range<u64> {
    let parse = |text: String| -> Option<std::ops::Range<u64>> {
        let (first, last) = text.split_once("..")?;
        Some(first.parse().ok()?..last.parse().ok()?)
    };
    std::env::var("BONFIRE_SIM_SEEDS")
        .ok()
        .and_then(parse)
        .unwrap_or(0..400)
}

#[test]
fn a_quiet_fleet_finishes() {
    let scenario = Scenario {
        faults: Faults::NONE,
        pause: false,
        ..Scenario::rough(1)
    };
    let report = run(&scenario).unwrap();
    assert_eq!(report.trials, 30);
    assert!(report.ended_ms < 20_000, "{report:?}");
}

#[test]
fn rough_schedules_break_nothing() {
    let mut crashes = 0;
    for seed in seeds() {
        match run(&Scenario::rough(seed)) {
            Ok(report) => {
                crashes += report.node_crashes + report.worker_crashes + report.executor_kills;
            }
            Err(violation) => panic!("{violation}"),
        }
    }
    assert!(crashes > 0, "the weather was never rough");
}

/// Each of the other schedulers, in the same weather.
#[test]
fn every_scheduler_stands_rough_schedules() {
    for (scheduler, first) in [
        ("hyperband, min: 1, max: 9, eta: 3", 0),
        ("pasha, min: 1, max: 9, eta: 2", 30),
        ("plateau, patience: 2, delta: 0.1", 60),
        ("median, startup: 2", 90),
        ("bohb, min: 1, max: 9, eta: 3", 120),
    ] {
        for seed in first..first + 30 {
            let scenario = Scenario {
                specs: vec![scheduled_spec(scheduler, 18), plain_spec(6)],
                ..Scenario::rough(seed)
            };
            if let Err(violation) = run(&scenario) {
                panic!("{scheduler}: {violation}");
            }
        }
    }
}

/// Members take turns on fewer slots than there are members, and on more; forks come until the limit.
#[test]
fn populations_stand_rough_schedules() {
    for (scheduler, first) in [
        ("pbt, population: 5, interval: 2", 150),
        ("pbt, population: 10, interval: 1, quantile: 0.4", 180),
    ] {
        let mut forks = 0;
        for seed in first..first + 30 {
            let scenario = Scenario {
                specs: vec![scheduled_spec(scheduler, 18), plain_spec(6)],
                ..Scenario::rough(seed)
            };
            match run(&scenario) {
                Ok(report) => forks += report.forks,
                Err(violation) => panic!("{scheduler}: {violation}"),
            }
        }
        assert!(forks > 40, "{scheduler}: {forks} forks");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 17] {
        let first = run(&Scenario::rough(seed)).unwrap();
        let second = run(&Scenario::rough(seed)).unwrap();
        assert_eq!(first, second);
    }
}

/// Every planted mistake is found within a bounded number of seeds, by a run that breaks nothing without it.
#[track_caller]
fn finds(bug: PlantedBug) {
    let faults = match bug {
        // It shows only where a checkpoint that was sent twice meets the deletion of what the first one named.
        PlantedBug::DeletesWithoutCondemning => Faults {
            lost_permille: 150,
            delay_ms_max: 200,
            ..Faults::ROUGH
        },
        _ => Faults::ROUGH,
    };
    for seed in 0..300 {
        let planted = Scenario {
            bug: Some(bug),
            horizon_ms: 300_000,
            faults,
            ..Scenario::rough(seed)
        };
        if let Err(found) = run(&planted) {
            let clean = Scenario {
                bug: None,
                ..planted
            };
            assert!(run(&clean).is_ok(), "{bug:?}: {found} is not its doing");
            return;
        }
    }
    panic!("{bug:?} was not found in 300 seeds");
}

#[test]
fn planted_bugs_are_found() {
    for bug in PlantedBug::ALL {
        finds(bug);
    }
}
