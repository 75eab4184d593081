//! Sweeps, workers and what clients ask for.

use bonfire_domain::command::{Admission, SweepAction, TrialAction};
use bonfire_proto::client::ClientError;
use bonfire_proto::wire::{Admit, ControlSweep, ControlTrial};

use super::*;

#[tokio::test]
async fn a_sweep_of_noops_runs_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let name = up
        .fleet
        .submit(noops("noops", &[0.1, 0.2, 0.3, 0.4, 0.5]))
        .await
        .unwrap();
    assert_eq!(name, "noops");
    let workers = [1, 2].map(|id| {
        let fleet = up.fleet.clone();
        tokio::spawn(async move { FakeWorker::join(&fleet, id, 2).await.work().await })
    });
    let document = up
        .until("/v1/sweeps/noops", |d| d["state"] == "completed")
        .await;
    let trials = document["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 5);
    for (number, trial) in trials.iter().enumerate() {
        assert_eq!(trial["state"], "completed", "{trial}");
        assert_eq!(trial["value"], number as f64 + 1.0, "{trial}");
        assert_eq!(trial["attempts"], 1, "{trial}");
    }
    assert_eq!(document["best"]["trial"], "noops/0");
    let rows = up.json("/v1/sweeps").await;
    assert_eq!(
        (&rows[0]["sweep"], &rows[0]["counts"]["completed"]),
        (&"noops".into(), &5.into())
    );
    let shown = up.json("/v1/trials/noops/3").await;
    assert_eq!(shown["parameters"]["model.x"], 0.4);
    assert_eq!(
        up.json("/v1/trials/noops/3/why").await["state"],
        "completed"
    );
    let fleet = up.json("/v1/fleet").await;
    assert_eq!(
        (&fleet["leader"], fleet["workers"].as_array().unwrap().len()),
        (&1.into(), 2)
    );
    up.down().await;
    let mut started = 0;
    for worker in workers {
        started += worker.await.unwrap();
    }
    assert_eq!(started, 5, "no trial was started twice");
}

#[tokio::test]
async fn a_repeated_submission_answers_with_the_first_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let drawn = Submit {
        fixed_name: false,
        origin: bonfire_domain::origin::Origin::default(),
        ..noops("noops", &[0.1])
    };
    let name = up.fleet.submit(drawn.clone()).await.unwrap();
    assert!(name.starts_with("noops-") && name.len() == 9, "{name}");
    assert_eq!(up.fleet.submit(drawn.clone()).await.unwrap(), name);
    let other = up
        .fleet
        .submit(Submit {
            request: 2,
            ..drawn
        })
        .await
        .unwrap();
    assert_ne!(other, name);
    assert_eq!(up.json("/v1/sweeps").await.as_array().unwrap().len(), 2);
    up.down().await;
}

#[tokio::test]
async fn wrong_requests_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let fixed = noops("noops", &[0.1]);
    up.fleet.submit(fixed.clone()).await.unwrap();
    let code = |result: Result<String, ClientError>| result.map_err(|e| e.exit_code());
    let again = Submit {
        request: 2,
        ..fixed.clone()
    };
    assert_eq!(
        code(up.fleet.submit(again.clone()).await),
        Err(2),
        "a taken name"
    );
    let junk = Submit {
        spec: "{}".into(),
        name: "junk".into(),
        ..again.clone()
    };
    assert_eq!(
        code(up.fleet.submit(junk).await),
        Err(2),
        "an unreadable spec"
    );
    let slash = Submit {
        name: "a/b".into(),
        ..again.clone()
    };
    assert_eq!(
        code(up.fleet.submit(slash).await),
        Err(2),
        "a name that is no name"
    );
    let dataset = Some(bonfire_domain::Digest::of(b"none"));
    let missing = Submit {
        name: "data".into(),
        dataset,
        ..again
    };
    assert_eq!(
        code(up.fleet.submit(missing).await),
        Err(3),
        "a dataset that is not there"
    );
    let pause = |sweep: &str| ControlSweep {
        sweep: sweep.into(),
        action: SweepAction::Pause,
    };
    assert_eq!(code(up.fleet.control_sweep(pause("none")).await), Err(3));
    assert_eq!(
        code(up.fleet.control_sweep(pause("noo")).await),
        Ok("noops".into()),
        "a prefix"
    );
    let delete = ControlSweep {
        sweep: "last".into(),
        action: SweepAction::Delete,
    };
    assert_eq!(
        code(up.fleet.control_sweep(delete).await),
        Err(1),
        "a sweep that has not ended"
    );
    let stop = |trial: &str| ControlTrial {
        trial: trial.into(),
        action: TrialAction::Stop,
    };
    assert_eq!(
        code(up.fleet.control_trial(stop("noops")).await),
        Err(2),
        "not a trial"
    );
    assert_eq!(code(up.fleet.control_trial(stop("noops/77")).await), Err(3));
    let admit = Admit {
        worker: "nobody".into(),
        admission: Admission::Draining,
    };
    assert_eq!(code(up.fleet.admit(admit).await), Err(3));
    for (path, expected) in [
        ("/v1/sweeps/none", 3),
        ("/v1/trials/noops/x", 2),
        ("/v1/datasets/none", 3),
    ] {
        assert_eq!(
            up.fleet.get(path).await.unwrap_err().exit_code(),
            expected,
            "{path}"
        );
    }
    up.down().await;
}

#[tokio::test]
async fn a_cancelled_sweep_stops_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    up.fleet.submit(noops("noops", &[0.1])).await.unwrap();
    let mut worker = FakeWorker::join(&up.fleet, 1, 1).await;
    let order = worker.start().await;
    let cancel = ControlSweep {
        sweep: "noops".into(),
        action: SweepAction::Cancel { save: false },
    };
    up.fleet.control_sweep(cancel).await.unwrap();
    loop {
        match worker.hear().await {
            Some(ToWorker::Order(Order::Stop {
                trial,
                attempt,
                save,
            })) => {
                assert_eq!((trial, attempt, save), (order.trial, order.attempt, false));
                break;
            }
            Some(_) => {}
            None => panic!("the stream ended"),
        }
    }
    let (trial, attempt) = (order.trial, order.attempt);
    worker
        .say(vec![Fact::Ended {
            trial,
            attempt,
            end: AttemptEnd::Stopped,
        }])
        .await;
    up.until("/v1/sweeps/noops", |d| d["state"] == "cancelled")
        .await;
    let delete = ControlSweep {
        sweep: "noops".into(),
        action: SweepAction::Delete,
    };
    up.fleet.control_sweep(delete).await.unwrap();
    assert_eq!(
        up.fleet
            .get("/v1/sweeps/noops")
            .await
            .unwrap_err()
            .exit_code(),
        3
    );
    up.down().await;
}

#[tokio::test]
async fn a_newer_stream_of_a_worker_replaces_the_older() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let mut older = FakeWorker::join(&up.fleet, 1, 1).await;
    let mut newer = FakeWorker::join(&up.fleet, 1, 1).await;
    while older.hear().await.is_some() {}
    up.fleet.submit(noops("noops", &[0.1])).await.unwrap();
    let order = newer.start().await;
    newer.finish(&order).await;
    up.until("/v1/sweeps/noops", |d| d["state"] == "completed")
        .await;
    up.down().await;
}

#[tokio::test]
async fn junk_on_a_control_stream_ends_that_stream_alone() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let mut worker = FakeWorker::join(&up.fleet, 1, 1).await;
    let backwards = |sequence| {
        let trial = bonfire_domain::TrialId {
            sweep: bonfire_domain::SweepId(0),
            number: 0,
        };
        (
            sequence,
            Fact::Ended {
                trial,
                attempt: bonfire_domain::Attempt(1),
                end: AttemptEnd::Reached,
            },
        )
    };
    worker
        .sender
        .send(FromWorker::Facts(vec![backwards(2), backwards(1)]))
        .await
        .unwrap();
    while worker.hear().await.is_some() {}
    assert_eq!(up.json("/v1/fleet").await["leader"], 1);
    up.down().await;
}

#[tokio::test]
async fn sweeps_created_in_one_turn_all_have_their_samplers() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let joined = FakeWorker::join(&up.fleet, 1, 2).await;
    let worker = tokio::spawn(joined.work());
    let submit = |request: u64| {
        let (fleet, name) = (up.fleet.clone(), format!("noops-{request:02}"));
        let asked = Submit {
            request,
            ..noops(&name, &[0.1])
        };
        tokio::spawn(async move { fleet.submit(asked).await.unwrap() })
    };
    let submitted: Vec<_> = (0..16).map(submit).collect();
    for sweep in submitted {
        sweep.await.unwrap();
    }
    let is_over = |d: &Value| {
        let mut states = d.as_array().unwrap().iter().map(|s| &s["state"]);
        states.all(|s| s != "running")
    };
    let rows = up.until("/v1/sweeps", is_over).await;
    for row in rows.as_array().unwrap() {
        assert_eq!(row["state"], "completed", "{row}");
    }
    up.down().await;
    assert_eq!(worker.await.unwrap(), 16);
}
