//! A sweep of a table whose attempts may take only so long.

use bonfire_domain::search::Value;
use bonfire_domain::spec::check;
use bonfire_sim::{Cell, Column, Columns, FleetSetting, SimDocument, TableFleet};

const RATES: [f64; 4] = [0.1, 0.2, 0.3, 0.4];

/// Trials of a rate take a thousand times as many seconds, and end with the rate as their loss.
fn simulate(text: &str) -> SimDocument {
    let spec = check(text.as_bytes(), &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let cells = |by: f64| {
        let real = |rate: &f64| Cell::Value(Value::Real(rate * by));
        RATES.iter().map(real).collect()
    };
    let columns: Vec<Column> = vec![
        ("optimizer.lr".into(), cells(1.0)),
        ("loss".into(), cells(1.0)),
        ("seconds".into(), cells(1_000.0)),
    ];
    let names = Columns {
        metric: "loss".to_owned(),
        cost: "seconds".to_owned(),
        curve: None,
    };
    let setting = FleetSetting {
        workers: 2,
        seed: 0,
        mtbf_ms: None,
    };
    let fleet = TableFleet::new(&spec, &columns, &names, setting);
    let mut fleet = fleet.unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut is_over = false;
    while !is_over {
        let progress = fleet.advance(100);
        is_over = progress.unwrap_or_else(|error| panic!("{error:?}")).is_over;
    }
    fleet
        .document()
        .unwrap_or_else(|| panic!("the sweep is there"))
}

const SEARCH: &str = "search:
  objective: { metric: valid.loss }
  sampler: { kind: grid }
  parameters: { optimizer.lr: { values: [0.1, 0.2, 0.3, 0.4] } }
";

/// State and attempts of each trial.
fn ends(document: &SimDocument) -> Vec<(&str, u32)> {
    let trials = document.sweep.trials.iter();
    trials.map(|t| (t.state.as_str(), t.attempts)).collect()
}

/// Of two epochs, with checkpoints at these.
fn fleet_trial(every: &str) -> SimDocument {
    let top = "kind: sweep\nversion: 1\nname: t\ndata: { dataset: ./a.csv, label: y }\ntask: classification\nmodel: { kind: linear }\n\
               optimizer: { kind: sgd, lr: 0.1 }\ntrain: { epochs: 2 }\nlimits: { time: 250s }\nretry: { attempts: 2 }\n";
    simulate(&format!("{top}checkpoint: {{ every: {every} }}\n{SEARCH}"))
}

#[test]
fn what_takes_longer_is_tried_again_and_fails() {
    let document = fleet_trial("never");
    let expected = [
        ("completed", 1),
        ("completed", 1),
        ("failed", 2),
        ("failed", 2),
    ];
    assert_eq!(ends(&document), expected);
    let reason = document.sweep.trials[3].reason.as_deref();
    assert_eq!(reason, Some("ran past limits.time"));
    // After two hundred seconds the last one begins, twice for two hundred and fifty.
    let seconds = document.virtual_seconds;
    assert!((700.0..701.0).contains(&seconds), "{seconds}");
}

#[test]
fn what_takes_longer_goes_on_from_its_checkpoint() {
    let document = fleet_trial("1 epoch");
    let expected = [
        ("completed", 1),
        ("completed", 1),
        ("completed", 2),
        ("completed", 2),
    ];
    assert_eq!(ends(&document), expected);
    // The last one begins after two hundred seconds, is ended fifty after its first epoch, and trains the second in two hundred.
    let seconds = document.virtual_seconds;
    assert!((650.0..651.0).contains(&seconds), "{seconds}");
}

/// Their bound is their asker's: nobody else asks here.
#[test]
fn external_trials_take_as_long_as_they_take() {
    let external = "kind: sweep\nversion: 1\nname: t\ntrials: external\nlimits: { time: 250s }\n";
    let document = simulate(&format!(
        "{external}{}",
        SEARCH.replace("valid.loss", "loss, goal: minimize")
    ));
    assert_eq!(ends(&document), [("completed", 1); 4]);
}
