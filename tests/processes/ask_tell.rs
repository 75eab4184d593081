//! Trials that somebody else trains: asked for and told from the command line, over HTTP and by a Python program.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cluster_tests::Fleet;
use cluster_tests::fleet::{repository, spec_file};
use cluster_tests::procs::wait_for;
use serde_json::{Value, json};

const HEAD: &str = "kind: sweep\nversion: 1\nname: ext\ntrials: external\n";

fn spec(trials: u32, rest: &str) -> String {
    format!(
        "{HEAD}{rest}search:\n  objective: {{ metric: loss, goal: minimize }}\n  sampler: {{ kind: sobol, seed: 1 }}\n  \
         limit: {{ trials: {trials} }}\n  parameters:\n    rate: {{ min: 1.0e-4, max: 0.1, log: true }}\n    \
         layers: {{ min: 1, max: 8 }}\n    kind: {{ values: [a, b] }}\n"
    )
}

fn submit(fleet: &Fleet, text: &str) -> String {
    let path = spec_file(fleet.dir.path(), "external.yaml", text);
    let outcome = fleet.run(["sweep", "submit", path.to_str().unwrap()]);
    outcome.exits(0).stdout.trim().to_owned()
}

#[track_caller]
fn ask(fleet: &Fleet, sweep: &str) -> Value {
    let outcome = fleet.run(["trial", "ask", sweep, "-o", "json"]);
    outcome.exits(0).json()
}

#[track_caller]
fn tell(fleet: &Fleet, asked: &Value, said: &[&str], code: i32) -> Value {
    let attempt = asked["attempt"].to_string();
    let trial = asked["trial"].as_str().unwrap();
    let mut arguments = vec!["trial", "tell", trial, "--attempt", &attempt, "-o", "json"];
    arguments.extend(said);
    let outcome = fleet.run(&arguments).exits(code);
    if code == 0 {
        outcome.json()
    } else {
        Value::from(outcome.stderr)
    }
}

/// A POST by hand: the status and the JSON that came back.
fn post(fleet: &Fleet, path: &str, body: &str) -> (u16, Value) {
    let token = std::fs::read_to_string(fleet.data().join("token")).unwrap();
    let mut stream = TcpStream::connect(fleet.address()).unwrap();
    let (token, length) = (token.trim(), body.len());
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    (
        status.unwrap(),
        serde_json::from_str(text).unwrap_or(Value::Null),
    )
}

/// A sweep to its end with no fleet at all: each command opens the data directory, and everything is kept.
#[test]
fn trials_are_asked_for_and_told_in_a_directory() {
    let fleet = Fleet::new();
    let sweep = submit(&fleet, &spec(3, ""));
    let asked = ask(&fleet, &sweep);
    assert_eq!(asked["trial"], format!("{sweep}/0"));
    assert_eq!(
        (&asked["number"], &asked["attempt"]),
        (&json!(0), &json!(1))
    );
    let parameters = asked["parameters"].as_object().unwrap();
    let names: Vec<_> = parameters.keys().map(String::as_str).collect();
    assert_eq!(names, ["kind", "layers", "rate"]);
    assert!(parameters["layers"].is_i64() && parameters["rate"].is_f64());
    assert!(asked["deadline"].as_str().unwrap().ends_with('Z'));
    let answer = tell(&fleet, &asked, &["--at", "1", "--value", "-0.5"], 0);
    assert_eq!(
        (&answer["continue"], &answer["state"]),
        (&json!(true), &json!("running"))
    );
    let answer = tell(&fleet, &asked, &["--value", "-0.75"], 0);
    assert_eq!(
        (&answer["state"], &answer["repeated"]),
        (&json!("completed"), &json!(false))
    );
    let again = tell(&fleet, &asked, &["--value", "-0.75"], 0);
    assert_eq!(again["repeated"], json!(true));
    let refused = tell(&fleet, &asked, &["--value", "1"], 1);
    assert!(refused.as_str().unwrap().contains("completed"), "{refused}");
    tell(&fleet, &asked, &["--value", "nan"], 2);
    let metrics = fleet.run(["trial", "metrics", &format!("{sweep}/0"), "-o", "json"]);
    let points = metrics.exits(0).json();
    let values: Vec<_> = points
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["value"])
        .collect();
    assert_eq!(values, [&json!(-0.5), &json!(-0.75)]);
    assert_eq!(points[0]["key"], "loss");
    let failed = ask(&fleet, &sweep);
    tell(&fleet, &failed, &["--failed", "--reason", "out of luck"], 0);
    let shown = fleet.run([
        "trial",
        "show",
        failed["trial"].as_str().unwrap(),
        "-o",
        "json",
    ]);
    let shown = shown.exits(0).json();
    assert_eq!(shown["state"], "failed");
    assert!(shown["reason"].as_str().unwrap().contains("out of luck"));
    let last = ask(&fleet, &sweep);
    let nothing = ask(&fleet, &sweep);
    assert_eq!(
        (&nothing["trial"], &nothing["state"]),
        (&Value::Null, &json!("running"))
    );
    let why = fleet.run(["trial", "why", last["trial"].as_str().unwrap()]);
    assert!(why.exits(0).stdout.contains("asker"));
    fleet.run(["sweep", "pause", &sweep]).exits(0);
    assert_eq!(ask(&fleet, &sweep)["state"], "paused");
    fleet.run(["sweep", "resume", &sweep]).exits(0);
    tell(&fleet, &last, &["--value", "3"], 0);
    let document = fleet.sweep(&sweep);
    assert_eq!(document["state"], "completed");
    assert_eq!(document["best"]["trial"], format!("{sweep}/0"));
    assert_eq!(ask(&fleet, &sweep)["state"], "completed");
    fleet.run(["trial", "ask", "nobody"]).exits(3);
    fleet.nothing_left();
}

#[test]
fn the_fleets_own_trials_are_not_asked_for() {
    let fleet = Fleet::start(0, 1);
    let text = "kind: sweep\nversion: 1\nname: own\nmodel: { kind: noop, x: 0.5 }\n";
    let sweep = submit(&fleet, text);
    let refused = fleet.run(["trial", "ask", &sweep]).exits(2);
    assert!(refused.stderr.contains("trials: external"), "{refused:?}");
    let (status, answer) = post(&fleet, &format!("/v1/sweeps/{sweep}/ask"), "");
    assert_eq!(status, 400, "{answer}");
    fleet.stop();
}

/// What was answered stands after `kill -9`: the trial, the request that got it, and every value.
#[test]
fn a_killed_coordinator_forgets_neither_a_trial_nor_a_value() {
    let mut fleet = Fleet::start(1, 1);
    let sweep = submit(&fleet, &spec(2, ""));
    let ask_path = format!("/v1/sweeps/{sweep}/ask");
    let (status, first) = post(&fleet, &ask_path, r#"{"request": 7}"#);
    assert_eq!(status, 200, "{first}");
    fleet.kill_coordinator();
    let (_, again) = post(&fleet, &ask_path, r#"{"request": 7}"#);
    assert_eq!(again, first, "the same request has the same trial");
    let tell_path = format!("/v1/trials/{}/tell", first["trial"].as_str().unwrap());
    let (status, told) = post(&fleet, &tell_path, r#"{"attempt": 1, "value": 0.5}"#);
    assert_eq!((status, &told["repeated"]), (200, &json!(false)), "{told}");
    fleet.kill_coordinator();
    let (status, told) = post(&fleet, &tell_path, r#"{"attempt": 1, "value": 0.5}"#);
    assert_eq!((status, &told["repeated"]), (200, &json!(true)), "{told}");
    let (status, told) = post(&fleet, &tell_path, r#"{"attempt": 1, "value": 0.6}"#);
    assert_eq!(status, 409, "{told}");
    let second = ask(&fleet, &sweep);
    assert_eq!(second["number"], 1);
    fleet.kill_coordinator();
    tell(&fleet, &second, &["--value", "0.25"], 0);
    let document = fleet.sweep(&sweep);
    assert_eq!(document["state"], "completed");
    assert_eq!(document["best"]["value"], 0.25);
    // A worker was there all along and got none of it.
    let trials = document["trials"].as_array().unwrap();
    assert!(
        trials
            .iter()
            .all(|t| t["worker"].is_null() && t["attempts"] == 1)
    );
    fleet.stop();
}

#[test]
fn a_trial_that_is_not_told_in_time_is_given_out_again() {
    let fleet = Fleet::start(0, 1);
    let sweep = submit(&fleet, &spec(1, "limits: { time: 1s }\n"));
    let first = ask(&fleet, &sweep);
    let second = wait_for(
        "the trial to be given out again",
        Duration::from_secs(30),
        || {
            let asked = ask(&fleet, &sweep);
            asked["trial"].is_string().then_some(asked)
        },
    );
    assert_eq!(second["number"], first["number"]);
    assert_eq!(second["parameters"], first["parameters"]);
    assert_eq!(second["attempt"], 2);
    let refused = tell(&fleet, &first, &["--value", "1"], 1);
    assert!(
        refused.as_str().unwrap().contains("attempt 2 is current"),
        "{refused}"
    );
    tell(&fleet, &second, &["--value", "2"], 0);
    assert_eq!(fleet.sweep(&sweep)["best"]["value"], 2.0);
    fleet.stop();
}

/// Many ask at the same time: no trial goes to two of them, and none is left out.
#[test]
fn askers_at_the_same_time_get_different_trials() {
    const ASKERS: usize = 32;
    let fleet = Fleet::start(0, 1);
    let sweep = submit(&fleet, &spec(ASKERS as u32, ""));
    let path = format!("/v1/sweeps/{sweep}/ask");
    let asked: Vec<Value> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS)
            .map(|_| scope.spawn(|| post(&fleet, &path, "").1))
            .collect();
        askers.into_iter().map(|a| a.join().unwrap()).collect()
    });
    let numbers: BTreeSet<u64> = asked.iter().filter_map(|a| a["number"].as_u64()).collect();
    assert_eq!(numbers.len(), ASKERS, "{asked:?}");
    std::thread::scope(|scope| {
        for asked in &asked {
            let tell = || {
                let path = format!("/v1/trials/{}/tell", asked["trial"].as_str().unwrap());
                let body = json!({ "attempt": 1, "value": asked["number"] }).to_string();
                assert_eq!(post(&fleet, &path, &body).0, 200);
            };
            scope.spawn(tell);
        }
    });
    let document = fleet.sweep(&sweep);
    assert_eq!(document["state"], "completed");
    for trial in document["trials"].as_array().unwrap() {
        assert_eq!(trial["value"].as_f64(), trial["number"].as_f64());
    }
    fleet.stop();
}

/// The program of `examples/ask-tell`, three of it at once.
#[test]
fn a_program_of_ten_lines_searches() {
    let fleet = Fleet::start(0, 1);
    let folder = repository().join("examples/ask-tell");
    let text = std::fs::read_to_string(folder.join("tune.py")).unwrap();
    assert!(text.lines().count() <= 10, "it grew");
    let submitted = fleet.run([
        "sweep",
        "submit",
        folder.join("tune.yaml").to_str().unwrap(),
    ]);
    let sweep = submitted.exits(0).stdout.trim().to_owned();
    let start = |program: &Path| {
        let mut command = Command::new("python3");
        command
            .arg(program)
            .arg(&sweep)
            .env("BONFIRE_COORDINATOR", fleet.address())
            .env("BONFIRE_TOKEN_FILE", fleet.data().join("token"))
            .stdin(Stdio::null());
        command.spawn().expect("python3 is there")
    };
    let programs: Vec<_> = (0..3).map(|_| start(&folder.join("tune.py"))).collect();
    for mut program in programs {
        assert!(program.wait().unwrap().success());
    }
    let document = fleet.finished(&sweep, Duration::from_secs(30));
    assert_eq!(document["state"], "completed");
    let trials = document["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 20);
    for trial in trials {
        let (x, y) = (&trial["parameters"]["x"], &trial["parameters"]["y"]);
        let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
        let height = (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2);
        let told = trial["value"].as_f64().unwrap();
        assert!((told - height).abs() <= 1e-9 * height.max(1.0), "{trial}");
    }
    fleet.stop();
}
