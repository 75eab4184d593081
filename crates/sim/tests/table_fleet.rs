//! Sweeps against known results: every trial finishes once, with its row's value, after its row's time.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bonfire_domain::search::{Event, Sampler, Suggestion, Value};
use bonfire_domain::spec::{Spec, check, render_problems};
use bonfire_sim::{
    Cell, Column, Columns, FleetSetting, RETURN_MS, START_MS, SimDocument, TableFleet,
};

const SIDE: i64 = 20;

fn spec(goal: &str, search: &str) -> Spec {
    let text = format!(
        "kind: sweep\nversion: 1\nname: t\ntrials: external\nsearch:\n  objective: {{ metric: loss, goal: {goal} }}\n{search}  parameters:\n    x: {{ min: 0, max: {} }}\n    y: {{ min: 0, max: {} }}\n",
        SIDE - 1,
        SIDE - 1
    );
    check(text.as_bytes(), &[])
        .unwrap_or_else(|p| panic!("{}", render_problems(&p, "spec", text.as_bytes())))
}

/// A bowl with its bottom at (13, 4).
fn metric(x: i64, y: i64) -> f64 {
    let (x, y) = ((x - 13) as f64, (y - 4) as f64);
    x * x + 0.5 * y * y
}

/// A hundred seconds, and up to thirty more.
fn cost_s(x: i64, y: i64) -> f64 {
    100.0 + ((x * 7 + y * 3) % 31) as f64
}

fn columns() -> Vec<Column> {
    let all = || (0..SIDE).flat_map(|x| (0..SIDE).map(move |y| (x, y)));
    let cells = |of: &dyn Fn(i64, i64) -> Cell| all().map(|(x, y)| of(x, y)).collect();
    let real = |value| Cell::Value(Value::Real(value));
    vec![
        ("x".into(), cells(&|x, _| Cell::Value(Value::Int(x)))),
        ("y".into(), cells(&|_, y| real(y as f64))),
        ("loss".into(), cells(&|x, y| real(metric(x, y)))),
        ("gain".into(), cells(&|x, y| real(-metric(x, y)))),
        ("seconds".into(), cells(&|x, y| real(cost_s(x, y)))),
        (
            "history".into(),
            cells(&|x, y| {
                let at = |unit: i32| metric(x, y) + 100.0 / f64::from(unit);
                Cell::List((1..=9).map(at).collect())
            }),
        ),
        (
            "diverging".into(),
            cells(&|x, y| real(if x < 2 { f64::INFINITY } else { metric(x, y) })),
        ),
    ]
}

fn names(metric: &str, curve: Option<&str>) -> Columns {
    Columns {
        metric: metric.to_owned(),
        cost: "seconds".to_owned(),
        curve: curve.map(str::to_owned),
    }
}

fn fleet(workers: u32) -> FleetSetting {
    FleetSetting {
        workers,
        seed: 0,
        mtbf_ms: None,
    }
}

#[track_caller]
fn simulate(spec: &Spec, names: &Columns, setting: FleetSetting) -> SimDocument {
    let mut fleet = TableFleet::new(spec, &columns(), names, setting)
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    while !fleet.advance(100).unwrap().is_over {}
    fleet.document().unwrap()
}

fn coordinates(parameters: &BTreeMap<String, serde_json::Value>) -> (i64, i64) {
    let of = |name: &str| parameters[name].as_i64().unwrap();
    (of("x"), of("y"))
}

const PLAIN: &str = "  sampler: { kind: random, seed: 3 }\n  limit: { trials: 60 }\n";
const ASHA: &str = "  sampler: { kind: sobol, seed: 3 }\n  scheduler: { kind: asha, min: 1, max: 9, eta: 3 }\n  limit: { trials: 60 }\n";
const MEDIAN: &str = "  sampler: { kind: sobol, seed: 3 }\n  scheduler: { kind: median, startup: 5 }\n  limit: { trials: 60 }\n";

const HYPERBAND: &str = "  sampler: { kind: sobol, seed: 3 }\n  scheduler: { kind: hyperband, min: 1, max: 9, eta: 3 }\n  limit: { trials: 60 }\n";
const PASHA: &str = "  sampler: { kind: sobol, seed: 3 }\n  scheduler: { kind: pasha, min: 1, max: 9, eta: 2 }\n  limit: { trials: 60 }\n";
const PLATEAU: &str = "  sampler: { kind: sobol, seed: 3 }\n  scheduler: { kind: plateau, patience: 2, delta: 20 }\n  limit: { trials: 60 }\n";
const WILCOXON: &str =
    "  sampler: { kind: tpe, seed: 3 }\n  scheduler: { kind: wilcoxon }\n  limit: { trials: 60 }\n";

const BOHB: &str = "  sampler: { kind: auto, seed: 3 }\n  scheduler: { kind: bohb, min: 1, max: 9, eta: 3 }\n  limit: { trials: 60 }\n";

/// With failing workers: trials by state and the epochs they got to.
fn states(search: &str, curve: Option<&str>) -> BTreeMap<(String, u64), u32> {
    let setting = FleetSetting {
        workers: 8,
        seed: 5,
        mtbf_ms: Some(900_000),
    };
    let spec = spec("minimize", search);
    let document = simulate(&spec, &names("loss", curve), setting);
    assert_eq!(document, simulate(&spec, &names("loss", curve), setting));
    assert_eq!(document.sweep.state, "completed");
    assert_eq!(document.sweep.trials.len(), 60);
    assert!(document.workers_lost > 0);
    let mut states = BTreeMap::new();
    for trial in document.sweep.trials {
        *states.entry((trial.state, trial.epochs)).or_insert(0) += 1;
    }
    states
}

#[test]
fn hyperband_begins_at_every_rung() {
    let states = states(HYPERBAND, None);
    let completed = states[&("completed".to_owned(), 9)];
    // Of 60 trials 10 or 11 begin at the top, and of each other bracket some get there.
    assert!((14..=30).contains(&completed), "{states:?}");
    assert!(states[&("pruned".to_owned(), 1)] > 10, "{states:?}");
    assert!(states[&("pruned".to_owned(), 3)] > 5, "{states:?}");
}

/// The rungs of Hyperband; what is suggested comes to lie near the bottom of the bowl, although every curve starts far above it.
#[test]
fn bohb_learns_on_the_rungs_of_hyperband() {
    let of = |search: &str| {
        let document = simulate(
            &spec("minimize", search),
            &names("loss", Some("history")),
            fleet(4),
        );
        let until: Vec<bool> = document
            .sweep
            .trials
            .iter()
            .map(|t| t.epochs == 9)
            .collect();
        let late = document.sweep.trials.iter().skip(30);
        let near = late.filter(|trial| {
            let (x, y) = coordinates(&trial.parameters);
            metric(x, y) < 20.0
        });
        (until.iter().filter(|u| **u).count(), near.count())
    };
    let ((full, near), (full_blind, near_blind)) = (of(BOHB), of(HYPERBAND));
    assert!(full.abs_diff(full_blind) <= 10, "{full} {full_blind}");
    assert!(near >= 2 * near_blind && near >= 10, "{near} {near_blind}");
}

#[test]
fn pasha_leaves_the_upper_rungs_shut_where_the_ranking_stands() {
    // Curves that are the bowl plus the same for all: nobody overtakes anybody.
    let states = states(PASHA, Some("history"));
    let epochs: Vec<u64> = states.keys().map(|(_, epochs)| *epochs).collect();
    assert_eq!(epochs, [1, 2], "{states:?}");
}

#[test]
fn a_trial_on_a_plateau_is_complete() {
    let states = states(PLATEAU, Some("history"));
    // 100 / u falls by less than 20 from u = 3 on.
    assert!(
        states
            .keys()
            .all(|(state, epochs)| state == "completed" && *epochs < 9),
        "{states:?}"
    );
}

#[test]
fn wilcoxon_stops_what_is_worse_on_each_instance() {
    let states = states(WILCOXON, Some("history"));
    assert!(states[&("pruned".to_owned(), 4)] > 20, "{states:?}");
    assert!(
        states.contains_key(&("completed".to_owned(), 9)),
        "{states:?}"
    );
    let spec = spec("minimize", WILCOXON);
    let refused = TableFleet::new(&spec, &columns(), &names("loss", None), fleet(1));
    let problems = refused.err().unwrap();
    assert!(problems[0].to_string().contains("--curve"), "{problems:?}");
}

#[test]
fn a_trial_has_the_value_and_the_time_of_its_row() {
    let document = simulate(&spec("minimize", PLAIN), &names("loss", None), fleet(1));
    let mut seconds = 0.0;
    let mut best = f64::INFINITY;
    assert_eq!(document.sweep.state, "completed");
    assert_eq!(document.sweep.trials.len(), 60);
    for (trial, best_then) in document.sweep.trials.iter().zip(&document.best_over_trials) {
        let (x, y) = coordinates(&trial.parameters);
        assert_eq!(trial.value, Some(metric(x, y)), "{trial:?}");
        assert_eq!((trial.state.as_str(), trial.attempts), ("completed", 1));
        seconds += cost_s(x, y);
        best = best.min(metric(x, y));
        assert_eq!(*best_then, Some(best));
    }
    let started = 60.0 * START_MS as f64 / 1e3;
    assert!((document.virtual_seconds - seconds - started).abs() < 1e-6);
    assert!((document.utilisation - seconds / (seconds + started)).abs() < 1e-9);
    assert_eq!(document.sweep.best.as_ref().map(|b| b.value), Some(best));
    assert_eq!(document.best_over_time.last().map(|b| b.value), Some(best));
    assert_eq!(document.curve, None);
}

#[test]
fn more_workers_take_less_time_for_the_same_trials() {
    let spec = spec("minimize", PLAIN);
    let one = simulate(&spec, &names("loss", None), fleet(1));
    let eight = simulate(&spec, &names("loss", None), fleet(8));
    let parameters = |document: &SimDocument| -> Vec<_> {
        let trials = document.sweep.trials.iter();
        trials.map(|t| t.parameters.clone()).collect()
    };
    assert_eq!(parameters(&one), parameters(&eight));
    let speedup = one.virtual_seconds / eight.virtual_seconds;
    assert!((7.0..=8.0).contains(&speedup), "{speedup}");
    let whole = 8.0 * eight.utilisation * eight.virtual_seconds;
    assert!((whole - one.utilisation * one.virtual_seconds).abs() < 1e-6);
}

#[test]
fn the_other_way_round_is_the_same() {
    let down = simulate(&spec("minimize", ASHA), &names("loss", None), fleet(3));
    let up = simulate(&spec("maximize", ASHA), &names("gain", None), fleet(3));
    let states = |document: &SimDocument| -> Vec<_> {
        let trials = document.sweep.trials.iter();
        trials.map(|t| (t.state.clone(), t.epochs)).collect()
    };
    assert_eq!(states(&down), states(&up));
    let negated: Vec<Option<f64>> = up.best_over_trials.iter().map(|v| v.map(|v| -v)).collect();
    assert_eq!(down.best_over_trials, negated);
}

#[test]
fn the_same_request_gives_the_same_document() {
    let setting = FleetSetting {
        workers: 16,
        seed: 5,
        mtbf_ms: Some(600_000),
    };
    let spec = spec("minimize", ASHA);
    let names = names("loss", None);
    let first = simulate(&spec, &names, setting);
    assert_eq!(first, simulate(&spec, &names, setting));
    let other = FleetSetting { seed: 6, ..setting };
    assert_ne!(first, simulate(&spec, &names, other));
    // Without faults the seed means nothing.
    let quiet = |seed| FleetSetting {
        seed,
        mtbf_ms: None,
        ..setting
    };
    assert_eq!(
        simulate(&spec, &names, quiet(1)),
        simulate(&spec, &names, quiet(2))
    );
}

#[test]
fn rungs_are_trained_once_and_paid_once() {
    let document = simulate(&spec("minimize", ASHA), &names("loss", None), fleet(1));
    assert_eq!(document.curve.as_deref(), Some("synthetic"));
    let mut seconds = 0.0;
    let mut starts = 0;
    let mut at_rung = BTreeMap::new();
    for trial in &document.sweep.trials {
        let (x, y) = coordinates(&trial.parameters);
        seconds += cost_s(x, y) * trial.epochs as f64 / 9.0;
        starts += u64::from(trial.attempts);
        *at_rung.entry(trial.epochs).or_insert(0) += 1;
        let rungs: u32 = [1, 3, 9]
            .iter()
            .map(|r| u32::from(trial.epochs >= *r))
            .sum();
        assert_eq!(trial.attempts, rungs, "{trial:?}");
        assert_eq!(trial.state == "completed", trial.epochs == 9, "{trial:?}");
        if trial.epochs == 9 && metric(x, y) < 60.0 {
            assert_eq!(trial.value, Some(metric(x, y)));
        }
    }
    assert_eq!(at_rung.keys().copied().collect::<Vec<u64>>(), [1, 3, 9]);
    assert!(at_rung[&9] >= 60 / 9 && at_rung[&9] < 20, "{at_rung:?}");
    let started = (starts * START_MS) as f64 / 1e3;
    // A millisecond is lost to rounding at each rung.
    let spent = document.virtual_seconds - started;
    assert!(
        (spent - seconds).abs() < starts as f64 / 1e3,
        "{spent} {seconds}"
    );
}

#[test]
fn a_recorded_curve_is_what_a_scheduler_sees() {
    let names = names("loss", Some("history"));
    let document = simulate(&spec("minimize", ASHA), &names, fleet(4));
    assert_eq!(document.curve, None);
    for trial in &document.sweep.trials {
        let (x, y) = coordinates(&trial.parameters);
        let recorded = metric(x, y) + 100.0 / trial.epochs as f64;
        assert_eq!(trial.value, Some(recorded), "{trial:?}");
    }
    // An external trial is as long as its curve, where no rung says it.
    let document = simulate(&spec("minimize", MEDIAN), &names, fleet(4));
    let stopped = document.sweep.trials.iter().filter(|t| t.state == "pruned");
    assert!(stopped.count() > 10);
    let longest = document.sweep.trials.iter().map(|t| t.epochs).max();
    assert_eq!(longest, Some(9));
}

#[test]
fn a_trial_that_is_stopped_costs_what_it_trained() {
    let document = simulate(&spec("minimize", MEDIAN), &names("loss", None), fleet(1));
    let mut seconds = 0.0;
    for trial in &document.sweep.trials {
        let (x, y) = coordinates(&trial.parameters);
        assert_eq!(trial.state == "completed", trial.epochs == 100, "{trial:?}");
        seconds += cost_s(x, y) * trial.epochs as f64 / 100.0;
    }
    let busy = document.utilisation * document.virtual_seconds;
    assert!((busy - seconds).abs() < 0.1, "{busy} {seconds}");
}

#[test]
fn failing_workers_lose_no_trial() {
    let names = names("loss", None);
    for search in [PLAIN, ASHA, MEDIAN] {
        let spec = spec("minimize", search);
        let calm = simulate(&spec, &names, fleet(8));
        let rough = FleetSetting {
            mtbf_ms: Some(400_000),
            ..fleet(8)
        };
        let found = simulate(&spec, &names, rough);
        assert!(found.workers_lost > 3, "{}", found.workers_lost);
        assert_eq!(found.sweep.state, "completed");
        assert_eq!(found.best_over_trials.len(), 60);
        assert!(found.virtual_seconds > calm.virtual_seconds);
        let again = found.sweep.trials.iter().filter(|t| t.attempts > 1);
        assert!(again.count() > 0);
        for trial in &found.sweep.trials {
            let is_done = ["completed", "pruned"].contains(&trial.state.as_str());
            assert!(is_done, "{trial:?}");
            let (x, y) = coordinates(&trial.parameters);
            if search == PLAIN {
                assert_eq!(trial.value, Some(metric(x, y)), "{trial:?}");
            }
        }
    }
}

#[test]
fn a_worker_that_failed_comes_back() {
    // Longer than the sweep would take without its only worker.
    let setting = FleetSetting {
        mtbf_ms: Some(1_000_000),
        ..fleet(1)
    };
    let document = simulate(&spec("minimize", PLAIN), &names("loss", None), setting);
    assert_eq!(document.sweep.state, "completed");
    assert!(document.workers_lost > 0);
    let away = f64::from(document.workers_lost) * RETURN_MS as f64 / 1e3;
    let idle = document.virtual_seconds * (1.0 - document.utilisation);
    // Starts and waits are small beside it, and it may have been away when the sweep ended never.
    assert!(
        (away * 0.9..away * 1.1 + 10.0).contains(&idle),
        "{idle} {away}"
    );
}

#[test]
fn checkpoints_on_the_way_are_gone_on_from() {
    let text = |every: &str| {
        format!(
            "kind: sweep\nversion: 1\nname: t\nmodel: {{ kind: noop }}\ntrain: {{ epochs: 50 }}\ncheckpoint: {{ every: {every} }}\nsearch:\n  sampler: {{ kind: random, seed: 3 }}\n  limit: {{ trials: 20 }}\n  parameters:\n    model.x: {{ values: [0.0, 0.25, 0.5, 0.75, 1.0] }}\n    train.seed: {{ values: [1, 2, 3, 4] }}\n"
        )
    };
    let x = [0.0, 0.25, 0.5, 0.75, 1.0].map(|x| Cell::Value(Value::Real(x)));
    let repeated = |n: usize| Cell::Value(Value::Int(n as i64 / 5 + 1));
    let columns: Vec<Column> = vec![
        (
            "model.x".into(),
            (0..20).map(|n| x[n % 5].clone()).collect(),
        ),
        ("train.seed".into(), (0..20).map(repeated).collect()),
        ("loss".into(), (0..20).map(repeated).collect()),
        ("seconds".into(), vec![Cell::Value(Value::Int(1_000)); 20]),
    ];
    let setting = FleetSetting {
        mtbf_ms: Some(1_500_000),
        ..fleet(2)
    };
    let run = |every: &str| {
        let spec = check(text(every).as_bytes(), &[]).unwrap();
        let mut fleet = TableFleet::new(&spec, &columns, &names("loss", None), setting).unwrap();
        while !fleet.advance(100).unwrap().is_over {}
        fleet.document().unwrap()
    };
    let (saved, lost) = (run("1 epoch"), run("never"));
    let busy = |d: &SimDocument| 2.0 * d.virtual_seconds * d.utilisation;
    // At most an epoch of 20 s is done again for each loss.
    let again = busy(&saved) - 20_000.0;
    assert!(saved.workers_lost > 0 && again > 0.0, "{again}");
    assert!(again <= 20.0 * f64::from(saved.workers_lost), "{again}");
    assert!(busy(&lost) > busy(&saved) + 1_000.0);
}

#[test]
fn diverging_configurations_fail_and_are_not_tried_again() {
    let search = "  sampler: { kind: grid }\n  limit: { failed_trials: 100 }\n";
    let document = simulate(
        &spec("minimize", search),
        &names("diverging", None),
        fleet(8),
    );
    assert_eq!(document.sweep.state, "completed");
    let failed: Vec<_> = document
        .sweep
        .trials
        .iter()
        .filter(|t| t.state == "failed")
        .collect();
    assert_eq!(failed.len(), 2 * SIDE as usize);
    assert!(failed.iter().all(|t| t.attempts == 1 && t.value.is_none()));
    // The first trials of a grid are those that diverge.
    assert_eq!(document.best_over_trials[0], None);
    assert_eq!(
        document.best_over_trials.last().copied().flatten(),
        Some(0.0)
    );
    let few = "  sampler: { kind: grid }\n  limit: { failed_trials: 3 }\n";
    let document = simulate(&spec("minimize", few), &names("diverging", None), fleet(8));
    assert_eq!(document.sweep.state, "failed");
}

#[test]
fn a_limit_in_time_is_one_of_virtual_time() {
    let search = "  sampler: { kind: random, seed: 3 }\n  limit: { time: 1000s }\n";
    let document = simulate(&spec("minimize", search), &names("loss", None), fleet(4));
    assert_eq!(document.virtual_seconds, 1_000.0);
    let finished = document
        .sweep
        .trials
        .iter()
        .filter(|t| t.state == "completed");
    assert!((28..=40).contains(&finished.count()));
}

#[test]
fn the_space_is_tried_once_and_then_it_ends() {
    let search = "  sampler: { kind: sobol, seed: 3 }\n  limit: { trials: 1000 }\n";
    let document = simulate(&spec("minimize", search), &names("loss", None), fleet(64));
    assert_eq!(document.sweep.trials.len(), (SIDE * SIDE) as usize);
    assert_eq!(document.sweep.best.map(|b| b.value), Some(0.0));
}

#[test]
fn one_worker_shows_its_sampler_every_result_before_it_asks() {
    for kind in ["auto", "sobol"] {
        let search = format!("  sampler: {{ kind: {kind}, seed: 3 }}\n  limit: {{ trials: 60 }}\n");
        let spec = spec("minimize", &search);
        let search = spec.search.as_ref().unwrap();
        let goal = spec.objective.goal;
        let mut sampler =
            Sampler::new(search.sampler, search.space.clone(), goal, search.seed).unwrap();
        let document = simulate(&spec, &names("loss", None), fleet(1));
        for (number, trial) in (0..).zip(&document.sweep.trials) {
            let Suggestion::Trial(parameters) = sampler.suggest(number) else {
                panic!("{number} is exhausted");
            };
            let (x, y) = coordinates(&trial.parameters);
            let expected = [("x", x), ("y", y)].map(|(n, v)| (n.to_owned(), Value::Int(v)));
            assert_eq!(parameters, expected.into(), "{kind} {number}");
            sampler.observe(&Event::Created { number, parameters });
            sampler.observe(&Event::Observed {
                number,
                at: 1,
                value: metric(x, y),
            });
            let ending = bonfire_domain::search::Ending::Completed;
            sampler.observe(&Event::Ended { number, ending });
        }
    }
}
