//! A sweep of a table whose trials must hold to something: what is refused is never tried, and the best holds to all of it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bonfire_domain::search::Value;
use bonfire_domain::spec::check;
use bonfire_sim::{Cell, Column, Columns, FleetSetting, SimDocument, TableFleet};

const SIDE: i64 = 20;

/// A bowl with its bottom at (13, 4).
fn metric(x: i64, y: i64) -> f64 {
    let (x, y) = ((x - 13) as f64, (y - 4) as f64);
    x * x + 0.5 * y * y
}

/// A hundred seconds, and up to thirty more.
fn cost_s(x: i64, y: i64) -> f64 {
    100.0 + ((x * 7 + y * 3) % 31) as f64
}

fn simulate(search: &str) -> SimDocument {
    let text = format!(
        "kind: sweep\nversion: 1\nname: t\ntrials: external\nsearch:\n  objective: {{ metric: loss, goal: minimize }}\n{search}  \
         parameters:\n    x: {{ min: 0, max: 19 }}\n    y: {{ min: 0, max: 19 }}\n"
    );
    let spec = check(text.as_bytes(), &[]).unwrap();
    let all = || (0..SIDE).flat_map(|x| (0..SIDE).map(move |y| (x, y)));
    let cells = |of: &dyn Fn(i64, i64) -> f64| {
        all()
            .map(|(x, y)| Cell::Value(Value::Real(of(x, y))))
            .collect()
    };
    let columns: Vec<Column> = vec![
        ("x".into(), cells(&|x, _| x as f64)),
        ("y".into(), cells(&|_, y| y as f64)),
        ("loss".into(), cells(&metric)),
        ("seconds".into(), cells(&cost_s)),
    ];
    let names = Columns {
        metric: "loss".to_owned(),
        cost: "seconds".to_owned(),
        curve: None,
    };
    let setting = FleetSetting {
        workers: 4,
        seed: 0,
        mtbf_ms: None,
    };
    let mut fleet = TableFleet::new(&spec, &columns, &names, setting).unwrap();
    while !fleet.advance(100).unwrap().is_over {}
    fleet.document().unwrap()
}

fn coordinates(parameters: &BTreeMap<String, serde_json::Value>) -> (i64, i64) {
    let of = |name: &str| parameters[name].as_i64().unwrap();
    (of("x"), of("y"))
}

/// The bottom of the bowl takes too long, and half of the space is refused.
#[test]
fn the_best_holds_to_what_is_required() {
    let require =
        "  require: [ metrics.seconds <= 110, x >= y ]\n  start: [ { x: 19, y: 19 }, { x: 3 } ]\n";
    let search = |sampler: &str| {
        format!("  sampler: {{ kind: {sampler}, seed: 3 }}\n  limit: {{ trials: 80 }}\n{require}")
    };
    let holds = |x: i64, y: i64| x >= y && cost_s(x, y) <= 110.0;
    let all = (0..SIDE).flat_map(|x| (0..SIDE).map(move |y| (x, y)));
    let least = all
        .filter(|(x, y)| holds(*x, *y))
        .map(|(x, y)| metric(x, y));
    let least = least.fold(f64::INFINITY, f64::min);
    for sampler in ["random", "sobol", "tpe", "gp", "cmaes", "auto"] {
        let document = simulate(&search(sampler)).sweep;
        let best = document.best.as_ref().unwrap();
        let (x, y) = coordinates(&best.parameters);
        assert!(holds(x, y), "{sampler}: {x} {y}");
        assert_eq!(best.value, metric(x, y));
        assert_eq!(coordinates(&document.trials[0].parameters), (19, 19));
        assert_eq!(coordinates(&document.trials[1].parameters).0, 3);
        for trial in &document.trials {
            let (x, y) = coordinates(&trial.parameters);
            assert!(x >= y, "{sampler}: {x} {y}");
            assert_eq!(trial.feasible, Some(holds(x, y)), "{sampler}: {x} {y}");
        }
    }
    // Of a grid, what is allowed and no more.
    let document = simulate(&format!("  sampler: {{ kind: grid }}\n{require}")).sweep;
    assert_eq!(document.trials.len(), 210);
    assert_eq!(document.best.unwrap().value, least);
    let reason = "each of the 210 points that require allows has been tried";
    assert_eq!(document.reason.as_deref(), Some(reason));
}
