//! `bonfire sim` from the command line: what people and scripts see of it.

use cluster_tests::Fleet;
use cluster_tests::fleet::{Outcome, spec_file};

const SPEC: &str = "kind: sweep
version: 1
name: known
trials: external
search:
  objective: { metric: error, goal: minimize }
  sampler: { kind: grid }
  parameters:
    depth: { min: 1, max: 2 }
    kind: { values: [relu, tanh] }
";

const TABLE: &str = "depth,kind,metric,train_time
1,relu,0.4,10
1,tanh,0.3,10.5
2.0,relu,0.1,20
2,tanh,0.2,30
";

/// Simulates in an empty directory; nothing may be left behind there.
fn sim(table: &str, flags: &[&str]) -> Outcome {
    let fleet = Fleet::new();
    spec_file(fleet.dir.path(), "known.yaml", SPEC);
    spec_file(fleet.dir.path(), "known.csv", table);
    let words = ["sim", "known.yaml", "--table", "known.csv"];
    let outcome = fleet.run(words.iter().chain(flags));
    assert!(!fleet.data().exists(), "a simulation left something behind");
    outcome
}

#[test]
fn people_see_a_leaderboard_and_the_fleet() {
    let outcome = sim(TABLE, &["--workers", "2"]).exits(0);
    let expected = "known completed (the grid has 4 points and each has been tried): 4 trials, 41 s

 rank  trial    error  epochs  state      parameters
    1  known/2    0.1       1  completed  depth=2 kind=relu
    2  known/3    0.2       1  completed  depth=2 kind=tanh
    3  known/1    0.3       1  completed  depth=1 kind=tanh
    4  known/0    0.4       1  completed  depth=1 kind=relu

objective     minimize error
virtual time  41 s
workers       2
utilisation   87.0 %
";
    assert_eq!(outcome.stdout, expected);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn scripts_see_one_document() {
    let document = sim(TABLE, &["-o", "json"]).exits(0).json();
    assert_eq!(document["state"], "completed");
    assert_eq!(document["best"]["trial"], "known/2");
    assert_eq!(document["trials"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        document["best_over_trials"],
        serde_json::json!([0.4, 0.3, 0.1, 0.1])
    );
    assert_eq!(document["virtual_seconds"], 70.52);
    assert_eq!(document["utilisation"], 70.5 / 70.52);
    assert_eq!(document["started"], "1970-01-01T00:00:00Z");
}

#[test]
fn faults_are_a_function_of_the_seed() {
    let with = |seed: u32| {
        let seed = seed.to_string();
        let flags = ["--mtbf", "20s", "--seed", &seed, "-o", "json"];
        sim(TABLE, &flags).exits(0).stdout
    };
    let first = with(1);
    assert_eq!(first, with(1));
    assert!((2..10).any(|seed| with(seed) != first));
}

#[track_caller]
fn refused(table: &str, flags: &[&str], says: &str) {
    let outcome = sim(table, flags).exits(2);
    assert!(outcome.stderr.contains(says), "{outcome:?}");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
}

#[test]
fn tables_that_do_not_fit_are_2() {
    let without = TABLE.replace("2,tanh,0.2,30\n", "");
    refused(&without, &[], "the first is depth=2 kind=tanh");
    refused(
        &format!("{TABLE}1,relu,0.4,10\n"),
        &[],
        "rows 1 and 5 are the same configuration",
    );
    refused(&TABLE.replace("0.3", "nan"), &[], "row 2, column metric");
    refused(
        &TABLE.replace("kind", "sort"),
        &[],
        "no column kind for the parameter",
    );
    refused(
        TABLE,
        &["--metric", "loss"],
        "no column loss for the metric",
    );
    refused(
        TABLE,
        &["--table", "known.txt"],
        "cannot be used multiple times",
    );
}

#[test]
fn a_table_that_is_not_there_or_no_table_is_2() {
    let fleet = Fleet::new();
    spec_file(fleet.dir.path(), "known.yaml", SPEC);
    spec_file(fleet.dir.path(), "known.txt", TABLE);
    for (table, says) in [
        ("nothing.parquet", "nothing.parquet"),
        ("known.txt", "unknown extension"),
    ] {
        let outcome = fleet.run(["sim", "known.yaml", "--table", table]).exits(2);
        assert!(outcome.stderr.contains(says), "{outcome:?}");
    }
    fleet.run(["sim", "known.yaml"]).exits(2);
    fleet
        .run(["sim", "nothing.yaml", "--table", "known.txt"])
        .exits(2);
}
