//! What a search takes over, compares by and says, from the command line.

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};
use serde_json::Value;

fn run(fleet: &Fleet, name: &str, text: &str, code: i32) -> Value {
    let spec = spec_file(fleet.dir.path(), &format!("{name}.yaml"), text);
    let outcome = fleet.run(["run", spec.to_str().unwrap(), "-o", "json"]);
    let outcome = outcome.exits(code);
    match code {
        2 => Value::String(outcome.stderr.clone()),
        _ => outcome.json(),
    }
}

/// An MLP of one hidden layer over 64 pixels and 10 classes, as accurate and as small as may be.
#[test]
fn several_objectives_give_a_front() {
    let fleet = Fleet::new();
    let digits = repository().join("configs/data/digits.csv");
    let text = format!(
        "kind: sweep\nversion: 1\nname: small\ndata: {{ dataset: {}, label: label }}\ntask: classification\n\
         model: {{ kind: mlp, hidden: [8] }}\ntrain: {{ epochs: 2 }}\nsearch:\n  limit: {{ trials: 6 }}\n  \
         objectives: [ {{ metric: valid.accuracy }}, {{ metric: model.parameters }} ]\n  \
         require: [ metrics.model.parameters <= 5000 ]\n  \
         parameters: {{ 'model.hidden[0]': {{ values: [4, 8, 16, 32, 64, 128] }} }}\n",
        digits.display()
    );
    let document = run(&fleet, "small", &text, 0);
    assert_eq!(document["objectives"][1]["metric"], "model.parameters");
    assert_eq!(document["objectives"][1]["goal"], "minimize");
    let trials = document["trials"].as_array().unwrap();
    let mut on_front = 0;
    for trial in trials {
        let hidden = trial["parameters"]["model.hidden[0]"].as_f64().unwrap();
        let parameters = 64.0 * hidden + hidden + 10.0 * hidden + 10.0;
        assert_eq!(trial["feasible"], parameters <= 5000.0, "{trial}");
        if parameters > 5000.0 {
            assert_eq!(trial["pareto"], false);
            continue;
        }
        assert_eq!(trial["values"][0], trial["value"]);
        assert_eq!(trial["values"][1], parameters);
        on_front += usize::from(trial["pareto"] == true);
    }
    assert!(on_front > 0);
    let front = fleet.run(["sweep", "top", "last", "--pareto", "-o", "json"]);
    let front = front.exits(0).json();
    let front = front.as_array().unwrap();
    assert_eq!(front.len(), on_front);
    let accuracy = |trial: &Value| trial["value"].as_f64().unwrap();
    assert!(
        front
            .windows(2)
            .all(|pair| accuracy(&pair[0]) >= accuracy(&pair[1]))
    );
    let table = fleet.dir.path().join("trials.json");
    let exported = fleet.run(["sweep", "export", "last", table.to_str().unwrap()]);
    exported.exits(0);
    let table: Value = serde_json::from_slice(&std::fs::read(&table).unwrap()).unwrap();
    for (row, trial) in table.as_array().unwrap().iter().zip(trials) {
        assert_eq!(row["objective.model.parameters"], trial["values"][1]);
        assert_eq!(row["pareto"], trial["pareto"]);
    }
    let shown = fleet.run(["sweep", "top", "last"]).exits(0);
    assert!(
        shown.stdout.contains("model.parameters") && shown.stdout.contains("completed, front"),
        "{}",
        shown.stdout
    );
    fleet.nothing_left();
}

const NOOP: &str = "kind: sweep\nversion: 1\nmodel: { kind: noop, x: 0.5 }\nsearch:\n  limit: { trials: 12 }\n  \
    sampler: { kind: tpe }\n  parameters: { model.x: { min: 0.0, max: 1.0 } }\n";

#[test]
fn a_sweep_begins_with_what_another_found() {
    let fleet = Fleet::new();
    let first = run(&fleet, "first", &format!("{NOOP}name: first\n"), 0);
    let first = first["sweep"].as_str().unwrap();
    let second = format!("{NOOP}  from: [ {first} ]\nname: second\n");
    let document = run(&fleet, "second", &second, 0);
    assert_eq!(document["from"][0]["sweep"], first);
    assert_eq!(document["from"][0]["trials"], 12);

    let third = format!("{NOOP}  from: [ nobody ]\nname: third\n");
    let said = run(&fleet, "third", &third, 2);
    let said = said.as_str().unwrap();
    assert!(
        said.contains("there is no sweep nobody to learn from"),
        "{said}"
    );
    let listed = fleet.run(["sweep", "list", "-o", "json"]).exits(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);

    let outcome = fleet.run(["sweep", "top", "last", "--pareto"]).exits(2);
    assert!(
        outcome.stderr.contains("has one objective"),
        "{}",
        outcome.stderr
    );
    fleet.nothing_left();
}

/// What is suggested is what the next asker gets, and a model says what it expects of it.
#[test]
fn what_comes_next_is_said_before_it_comes() {
    let fleet = Fleet::new();
    let text = "kind: sweep\nversion: 1\nname: ext\ntrials: external\nsearch:\n  \
                objective: { metric: score, goal: maximize }\n  limit: { trials: 13 }\n  sampler: { kind: gp }\n  \
                parameters: { x: { min: 0.0, max: 1.0 } }\n";
    let spec = spec_file(fleet.dir.path(), "ext.yaml", text);
    let submitted = fleet.run(["sweep", "submit", spec.to_str().unwrap(), "-o", "json"]);
    submitted.exits(0);
    let suggest = || {
        fleet
            .run(["sweep", "suggest", "last", "-o", "json"])
            .exits(0)
            .json()
    };
    for number in 0..13 {
        let said = suggest();
        assert_eq!(said["reason"], Value::Null);
        let said = &said["suggestions"][0];
        let asked = fleet
            .run(["trial", "ask", "last", "-o", "json"])
            .exits(0)
            .json();
        assert_eq!(asked["parameters"], said["parameters"], "{number}");
        let expected = &said["expected"];
        match number {
            0 => assert_eq!(*expected, Value::Null),
            1..10 => assert_eq!(said["by"], "sobol"),
            _ => {
                assert_eq!(said["by"], "gp");
                let [low, value, high] =
                    ["low", "value", "high"].map(|key| expected[key].as_f64().unwrap());
                assert!(low <= value && value <= high, "{said}");
                assert!(expected["improvement"].as_f64().unwrap() >= 0.0, "{said}");
                assert_eq!(said["neighbours"].as_array().unwrap().len(), 3);
            }
        }
        let x = asked["parameters"]["x"].as_f64().unwrap();
        let value = format!("{}", 5.0 - (x - 0.4) * (x - 0.4));
        let trial = asked["trial"].as_str().unwrap();
        let told = fleet.run(["trial", "tell", trial, "--attempt", "1", "--value", &value]);
        told.exits(0);
    }
    let after = suggest();
    assert_eq!(after["reason"], "the sweep is completed");
    fleet.run(["sweep", "suggest", "nobody"]).exits(3);
    fleet.nothing_left();
}

/// How long a text is can be learned from it.
#[test]
fn a_number_is_learned_from_a_text() {
    let fleet = Fleet::new();
    let mut rows = "text,length\n".to_owned();
    for i in 0..160 {
        let length = 1 + i * 7 % 16;
        rows.push_str(&format!("{},{length}\n", "a".repeat(length)));
    }
    let data = spec_file(fleet.dir.path(), "texts.csv", &rows);
    let text = format!(
        "kind: sweep\nversion: 1\nname: lengths\ntask: regression\n\
         data: {{ dataset: {}, label: length, text: {{ column: text, context: 16 }}, batch: 16 }}\n\
         model: {{ kind: transformer, layers: 1, heads: 2, width: 16 }}\noptimizer: {{ lr: 1e-2 }}\ntrain: {{ epochs: 8 }}\n",
        data.display()
    );
    let document = run(&fleet, "lengths", &text, 0);
    let rmse = document["best"]["value"].as_f64().unwrap();
    assert!(rmse < 2.0, "{rmse}: the mean alone gives 4.6");
    fleet.nothing_left();
}
