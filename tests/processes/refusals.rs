//! Wrong requests: exit codes, and that nothing was changed.

use cluster_tests::Fleet;
use cluster_tests::fleet::spec_file;

#[track_caller]
fn check(arguments: &[&str], code: i32, says: &str) {
    let fleet = Fleet::new();
    let outcome = fleet.run(arguments).exits(code);
    assert!(outcome.stderr.contains(says), "{outcome:?}");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
    assert!(
        !fleet.data().exists(),
        "a wrong request left something behind"
    );
}

#[test]
fn usage_is_2() {
    check(&["sweeep"], 2, "sweep");
    check(&["run"], 2, "SPEC");
}

#[test]
fn a_spec_that_is_not_there_is_2() {
    check(&["run", "nothing.yaml"], 2, "nothing.yaml");
}

#[test]
fn listening_beyond_this_machine_needs_a_word() {
    let fleet = Fleet::new();
    let arguments = ["coordinator", "--listen", "0.0.0.0", "--port", "0"];
    let outcome = fleet.run(arguments).exits(2);
    assert!(outcome.stderr.contains("--insecure"), "{outcome:?}");
}

#[test]
fn bad_specs_name_the_place() {
    let fleet = Fleet::new();
    let text = "kind: sweep\nversion: 1\nname: bad\nmodel: { kind: noop, x: 0.5, slep: 1s }\ntrain: { epochs: zero }\n";
    let spec = spec_file(fleet.dir.path(), "bad.yaml", text);
    for verb in ["validate", "run"] {
        let outcome = fleet.run([verb, spec.to_str().unwrap()]).exits(2);
        for says in ["bad.yaml:4", "sleep", "bad.yaml:5", "epochs"] {
            assert!(outcome.stderr.contains(says), "{says}: {outcome:?}");
        }
    }
    assert!(!fleet.data().exists(), "a wrong spec left something behind");
}

#[test]
fn names_that_are_not_there_are_3() {
    let fleet = Fleet::start(0, 1);
    for arguments in [
        ["sweep", "show", "nobody"],
        ["trial", "show", "nobody/3"],
        ["dataset", "show", "nobody"],
    ] {
        fleet.run(arguments).exits(3);
    }
    fleet.stop();
}

#[test]
fn no_fleet_there_is_4() {
    let fleet = Fleet::new();
    // A port nobody listens on: bound, read, and let go.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let token = spec_file(fleet.dir.path(), "token", &"0".repeat(64));
    let arguments = [
        "sweep",
        "list",
        "--coordinator",
        &address,
        "--token-file",
        token.to_str().unwrap(),
    ];
    fleet.run(arguments).exits(4);
}

#[test]
fn workers_for_a_fleet_that_runs_already_are_2() {
    let fleet = Fleet::start(0, 1);
    let text = "kind: sweep\nversion: 1\nname: one\nmodel: { kind: noop, x: 0.5 }\n";
    let spec = spec_file(fleet.dir.path(), "one.yaml", text);
    for flag in ["--workers", "--slots"] {
        let outcome = fleet.run(["run", spec.to_str().unwrap(), flag, "2"]);
        let outcome = outcome.exits(2);
        assert!(outcome.stderr.contains("runs already"), "{outcome:?}");
    }
    let listed = fleet.run(["sweep", "list", "-o", "json"]).exits(0);
    assert_eq!(listed.json().as_array().unwrap().len(), 0);
    fleet.stop();
}

// I12: no secret appears in an output or a log.
#[test]
fn a_wrong_token_is_refused_and_no_token_is_shown() {
    let fleet = Fleet::start(0, 1);
    let wrong = spec_file(fleet.dir.path(), "wrong", &"0".repeat(64));
    let address = fleet.address();
    let arguments = [
        "sweep",
        "list",
        "--coordinator",
        &address,
        "--token-file",
        wrong.to_str().unwrap(),
    ];
    let outcome = fleet.run(arguments).exits(2);
    let arguments = [
        "worker",
        "--coordinator",
        &address,
        "--token-file",
        wrong.to_str().unwrap(),
    ];
    let worker = fleet.run(arguments).exits(2);
    assert!(worker.stderr.contains("refused the token"), "{worker:?}");
    let token = std::fs::read_to_string(fleet.data().join("token")).unwrap();
    let token = token.trim().to_owned();
    let seen = |text: &str| text.contains(&token);
    assert!(!seen(&outcome.stderr) && !seen(&outcome.stdout));
    let dir = fleet.dir.path().to_path_buf();
    let logs = std::fs::read_dir(&dir).unwrap().filter_map(Result::ok);
    for entry in logs.filter(|e| e.path().extension().is_some_and(|x| x == "log")) {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        assert!(!seen(&text), "{:?} holds the token", entry.path());
    }
    fleet.stop();
}
