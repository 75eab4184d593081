//! The whole coordinator in this process: real sockets, a real directory, fake workers.

#![allow(clippy::unwrap_used)]

mod asks;
mod blobs;
mod edge;
mod fleet;
mod reports;
mod restart;

use std::collections::BTreeMap;
use std::time::Duration;

use bonfire_domain::fault::AttemptEnd;
use bonfire_domain::order::{Fact, Order, Running as Holds, SlotFacts, StartOrder, WorkerFacts};
use bonfire_domain::{WorkerId, spec};
use bonfire_proto::client::{self, Fleet, SessionReceiver, SessionSender};
use bonfire_proto::wire::Submit;
use bonfire_proto::{FromWorker, ToWorker};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::{CoordinatorConfig, Running};

/// Nothing in these tests takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// A coordinator on a free port, and a client of it.
struct Up {
    fleet: Fleet,
    running: Running,
    shutdown: CancellationToken,
}

async fn up(dir: &TempDir) -> Up {
    up_with(dir, |_| {}).await
}

async fn up_with(dir: &TempDir, change: impl FnOnce(&mut CoordinatorConfig)) -> Up {
    let mut config = CoordinatorConfig::new(dir.path().join("data"));
    config.listen.set_port(0);
    change(&mut config);
    let shutdown = CancellationToken::new();
    let running = crate::start(config, shutdown.clone()).await.unwrap();
    let fleet = client::connect(&[running.address.to_string()], &running.token)
        .await
        .unwrap();
    Up {
        fleet,
        running,
        shutdown,
    }
}

impl Up {
    async fn down(self) {
        self.shutdown.cancel();
        tokio::time::timeout(LIMIT, self.running.join())
            .await
            .unwrap()
            .unwrap();
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.fleet.get(path).await.unwrap().json).unwrap()
    }

    /// Follows a document until it is as it should be.
    async fn until(&self, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let follow = async {
            let mut watch = self.fleet.watch(path).await.unwrap();
            while let Some(document) = watch.next().await.unwrap() {
                last = serde_json::from_slice(&document.json).unwrap();
                if is_right(&last) {
                    return true;
                }
            }
            false
        };
        let is_right = tokio::time::timeout(LIMIT, follow).await == Ok(true);
        assert!(is_right, "{path} stayed at {last}");
        last
    }

    /// One HTTP/1.1 request by hand: status and everything after it.
    async fn http(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &[u8],
    ) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(self.running.address)
            .await
            .unwrap();
        let authorization = token
            .map(|t| format!("authorization: Bearer {t}\r\n"))
            .unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{authorization}content-length: {length}\r\n\r\n"
        );
        stream
            .write_all(&[head.as_bytes(), body].concat())
            .await
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or(0);
        (status, answer)
    }

    fn token(&self) -> String {
        self.running.token.reveal().to_owned()
    }
}

/// A checked spec of no-op trials, one for each value, as the client would submit it.
fn noops(name: &str, values: &[f64]) -> Submit {
    let text = format!(
        "kind: sweep\nversion: 1\nname: {name}\nmodel: {{ kind: noop, x: 0.5 }}\nsearch:\n  sampler: {{ kind: grid }}\n  \
         limit: {{ trials: {} }}\n  parameters:\n    model.x: {{ values: {values:?} }}\n",
        values.len()
    );
    let checked = spec::check(text.as_bytes(), &[]).unwrap_or_else(|p| panic!("{p:?}"));
    Submit {
        request: 1,
        name: name.to_owned(),
        spec: checked.canonical(),
        dataset: None,
        fixed_name: true,
        origin: bonfire_domain::origin::Origin::default(),
    }
}

fn worker_facts(worker: u64, slots: usize) -> WorkerFacts {
    WorkerFacts {
        worker: WorkerId(worker),
        name: format!("worker-{worker}"),
        slots: vec![
            SlotFacts {
                device: "cpu".into()
            };
            slots
        ],
        labels: BTreeMap::new(),
        memory: 1 << 30,
        version: "test".into(),
        numerics: "test".into(),
    }
}

/// A worker without executors: it says what the test wants.
struct FakeWorker {
    sender: SessionSender,
    receiver: SessionReceiver,
    next: u64,
}

impl FakeWorker {
    async fn join(fleet: &Fleet, worker: u64, slots: usize) -> FakeWorker {
        let facts = worker_facts(worker, slots);
        let nothing = Holds {
            facts_from: 1,
            ..Holds::default()
        };
        let (sender, mut receiver) = fleet.worker_session(facts, nothing).await.unwrap();
        let first = receiver.next().await.unwrap();
        assert!(matches!(first, Some(ToWorker::Welcome(_))), "{first:?}");
        FakeWorker {
            sender,
            receiver,
            next: 1,
        }
    }

    /// The next thing the coordinator says; `None` at the stream's end.
    async fn hear(&mut self) -> Option<ToWorker> {
        tokio::time::timeout(LIMIT, self.receiver.next())
            .await
            .unwrap()
            .unwrap()
    }

    /// The next order to start something.
    async fn start(&mut self) -> StartOrder {
        loop {
            match self.hear().await {
                Some(ToWorker::Order(Order::Start(order))) => return *order,
                Some(_) => {}
                None => panic!("the stream ended"),
            }
        }
    }

    async fn say(&mut self, facts: Vec<Fact>) {
        let first = self.next;
        self.next += facts.len() as u64;
        let facts = (first..).zip(facts).collect();
        self.sender.send(FromWorker::Facts(facts)).await.unwrap();
    }

    /// Ends an attempt as a no-op executor would.
    async fn finish(&mut self, order: &StartOrder) {
        let (trial, attempt) = (order.trial, order.attempt);
        let value = f64::from(trial.number) + 1.0;
        let observed = Fact::Observed {
            trial,
            attempt,
            step: 1,
            epoch: 1,
            value,
        };
        self.say(vec![
            observed,
            Fact::Ended {
                trial,
                attempt,
                end: AttemptEnd::Reached,
            },
        ])
        .await;
    }

    /// Runs whatever it is told to until the coordinator ends the stream.
    async fn work(mut self) -> u32 {
        let mut started = 0;
        while let Ok(Some(message)) = self.receiver.next().await {
            match message {
                ToWorker::Order(Order::Start(order)) => {
                    started += 1;
                    self.finish(&order).await;
                }
                ToWorker::Farewell { .. } => break,
                _ => {}
            }
        }
        started
    }
}
