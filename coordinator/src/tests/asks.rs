//! External trials over HTTP and gRPC: what is answered, and with which status.

use bonfire_domain::Attempt;
use bonfire_domain::command::{SweepAction, Told};
use bonfire_proto::client::ClientError;
use bonfire_proto::wire::{Ask, ControlSweep, Tell};
use serde_json::json;

use super::*;

fn external(trials: u32) -> Submit {
    let text = format!(
        "kind: sweep\nversion: 1\nname: ext\ntrials: external\nsearch:\n  objective: {{ metric: loss, goal: minimize }}\n  \
         limit: {{ trials: {trials} }}\n  parameters: {{ x: {{ min: 0.0, max: 1.0 }} }}\n"
    );
    let checked = spec::check(text.as_bytes(), &[]).unwrap_or_else(|p| panic!("{p:?}"));
    Submit {
        request: 1,
        name: "ext".to_owned(),
        spec: checked.canonical(),
        dataset: None,
        fixed_name: true,
        origin: bonfire_domain::origin::Origin::default(),
    }
}

fn ask(request: u64) -> Ask {
    let sweep = "ext".to_owned();
    let request = Some(request);
    Ask { request, sweep }
}

fn tell(number: u32, value: f64) -> Tell {
    Tell {
        trial: format!("ext/{number}"),
        attempt: Attempt(1),
        told: Told::Value { value },
        metrics: [].into(),
    }
}

#[tokio::test]
async fn every_way_to_ask_and_tell_has_its_status() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    up.fleet.submit(external(2)).await.unwrap();
    up.fleet
        .submit(Submit {
            request: 2,
            ..noops("own", &[0.1])
        })
        .await
        .unwrap();
    let token = up.token();
    let (status, text) = up
        .http("POST", "/v1/sweeps/ext/ask", Some(&token), b"")
        .await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains(r#""trial":"ext/0""#), "{text}");
    let big = vec![b' '; 65 << 10];
    let cases: [(&str, &[u8], u16); 17] = [
        ("/v1/sweeps/nobody/ask", b"{}", 404),
        ("/v1/sweeps/own/ask", b"{}", 400),
        ("/v1/sweeps/ext/ask", b"{", 400),
        ("/v1/sweeps/ext/ask", br#"{"reqest": 1}"#, 400),
        ("/v1/sweeps/ext/ask", &big, 413),
        ("/v1/sweeps/ext", b"{}", 404),
        (
            "/v1/trials/ext/9/tell",
            br#"{"attempt": 1, "value": 1}"#,
            404,
        ),
        (
            "/v1/trials/ext/x/tell",
            br#"{"attempt": 1, "value": 1}"#,
            400,
        ),
        (
            "/v1/trials/ext/0/tell",
            br#"{"attempt": 0, "value": 1}"#,
            400,
        ),
        (
            "/v1/trials/ext/0/tell",
            br#"{"attempt": 2, "value": 1}"#,
            409,
        ),
        ("/v1/trials/ext/0/tell", br#"{"attempt": 1}"#, 400),
        (
            "/v1/trials/ext/0/tell",
            br#"{"attempt": 1, "value": NaN}"#,
            400,
        ),
        (
            "/v1/trials/ext/0/tell",
            br#"{"attempt": 1, "value": 1e999}"#,
            400,
        ),
        (
            "/v1/trials/ext/0/tell",
            br#"{"attempt": 1, "value": 1, "metrics": {"ms": 2}}"#,
            400,
        ),
        (
            "/v1/trials/ext/0/tell",
            br#"{"attempt": 1, "value": 1, "at": 3}"#,
            200,
        ),
        (
            "/v1/trials/ext/0/tell",
            br#"{"attempt": 1, "failed": true}"#,
            200,
        ),
        (
            "/v1/trials/ext/0/tell",
            br#"{"attempt": 1, "value": 1}"#,
            409,
        ),
    ];
    for (path, body, expected) in cases {
        let (status, text) = up.http("POST", path, Some(&token), body).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
        assert_eq!(status, expected, "{path} {shown}: {text}");
        let (status, _) = up.http("POST", path, None, body).await;
        assert_eq!(status, 401, "{path} without a token");
    }
    let (status, _) = up
        .http("PUT", "/v1/sweeps/ext/ask", Some(&token), b"")
        .await;
    assert_eq!(status, 405);
    up.down().await;
}

#[tokio::test]
async fn askers_over_grpc_get_different_trials_and_repeated_requests_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    up.fleet.submit(external(64)).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    // Each request twice: one connection was lost, say, and its asker came again at once.
    for request in (0..64).chain(0..64) {
        let fleet = up.fleet.clone();
        asking.spawn(async move { (request, fleet.ask(ask(request)).await) });
    }
    let mut numbers = BTreeMap::new();
    while let Some(asked) = asking.join_next().await {
        // Of two that wait with one request, only the later one is answered.
        let (request, Ok(document)) = asked.unwrap() else {
            continue;
        };
        let document: Value = serde_json::from_slice(&document.json).unwrap();
        let number = document["number"].as_u64().unwrap();
        assert_eq!(*numbers.entry(number).or_insert(request), request);
    }
    assert_eq!(numbers.len(), 64);
    let answer = up.fleet.ask(ask(1_000)).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.json).unwrap();
    assert_eq!(answer["trial"], Value::Null);
    for number in 0..64 {
        let answer = up
            .fleet
            .tell(tell(number, f64::from(number)))
            .await
            .unwrap();
        let answer: Value = serde_json::from_slice(&answer.json).unwrap();
        assert_eq!(answer["state"], json!("completed"));
    }
    let row = up
        .until("/v1/sweeps/ext/summary", |row| row["state"] == "completed")
        .await;
    assert_eq!(row["best"]["value"], json!(0.0));
    up.down().await;
}

#[tokio::test]
async fn a_restart_and_a_pause_keep_what_askers_have() {
    let dir = tempfile::tempdir().unwrap();
    let up_first = up(&dir).await;
    up_first.fleet.submit(external(2)).await.unwrap();
    let first = up_first.fleet.ask(ask(5)).await.unwrap();
    up_first.down().await;
    let up = up(&dir).await;
    assert_eq!(up.fleet.ask(ask(5)).await.unwrap().json, first.json);
    let control = ControlSweep {
        sweep: "ext".to_owned(),
        action: SweepAction::Pause,
    };
    up.fleet.control_sweep(control).await.unwrap();
    let answer = up.fleet.ask(ask(6)).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.json).unwrap();
    assert_eq!(answer["state"], json!("paused"));
    up.fleet.tell(tell(0, 0.5)).await.unwrap();
    let refused = up.fleet.tell(tell(0, 0.6)).await.unwrap_err();
    assert!(matches!(refused, ClientError::Fenced(_)), "{refused:?}");
    up.down().await;
}
