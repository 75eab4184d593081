//! The door: tokens, addresses, one coordinator a directory, the end.

use std::net::SocketAddr;

use bonfire_proto::Token;
use bonfire_proto::client::{self, ClientError, Fleet};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{StartError, discover};

#[tokio::test]
async fn health_needs_no_token_and_all_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let (token, wrong) = (up.token(), "00".repeat(32));
    for (path, without, with) in [
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/metrics", 401, 200),
        ("/v1/sweeps", 401, 200),
        ("/v1/fleet", 401, 200),
        ("/v1/nothing", 401, 404),
        ("/nothing", 401, 404),
        ("/v1/blobs/short", 401, 400),
    ] {
        assert_eq!(
            up.http("GET", path, None, b"").await.0,
            without,
            "{path} without a token"
        );
        assert_eq!(
            up.http("GET", path, Some(&wrong), b"").await.0,
            without,
            "{path} with a wrong token"
        );
        assert_eq!(
            up.http("GET", path, Some(&token), b"").await.0,
            with,
            "{path} with the token"
        );
    }
    let stranger = Fleet::at(up.fleet.address(), &Token::parse(&wrong).unwrap()).unwrap();
    let error = stranger.get("/v1/sweeps").await.unwrap_err();
    assert_eq!(
        (error.exit_code(), error.is_temporary()),
        (2, false),
        "{error}"
    );
    up.down().await;
}

/// Whether the other side closes a connection on which nothing is said.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read = tokio::time::timeout(LIMIT, stream.read(&mut byte)).await;
    !matches!(read, Ok(Ok(1)) | Err(_))
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let up = up_with(&dir, |config| config.limits.first_bytes_ms = 50).await;
    let mut silent = TcpStream::connect(up.running.address).await.unwrap();
    assert!(is_closed(&mut silent).await);
    // The beginning of HTTP/2, and no more of it.
    let mut slow = TcpStream::connect(up.running.address).await.unwrap();
    slow.write_all(b"PRI * HT").await.unwrap();
    assert!(is_closed(&mut slow).await);
    assert!(up.fleet.get("/v1/sweeps").await.is_ok());
    up.down().await;
}

/// A connection that is served, if it is.
async fn served(up: &Up) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(up.running.address).await.ok()?;
    let request = b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n";
    stream.write_all(request).await.ok()?;
    (!is_closed(&mut stream).await).then_some(stream)
}

#[tokio::test]
async fn connections_are_bounded() {
    const MOST: usize = 4;
    let dir = tempfile::tempdir().unwrap();
    let up = up_with(&dir, |config| config.limits.connections_max = MOST).await;
    let mut held = Vec::new();
    while let Some(stream) = served(&up).await {
        held.push(stream);
        assert!(held.len() <= MOST, "no end of connections");
    }
    // The client of this test has the others, and is served.
    assert!((1..MOST).contains(&held.len()), "{} more", held.len());
    assert!(up.fleet.get("/v1/sweeps").await.is_ok());
    drop(held);
    let again = async {
        while served(&up).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, again).await.unwrap();
    up.down().await;
}

#[tokio::test]
async fn listening_beyond_loopback_must_be_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = CoordinatorConfig::new(dir.path());
    config.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = crate::start(config.clone(), CancellationToken::new()).await;
    assert!(
        matches!(refused, Err(StartError::Exposed { .. })),
        "{refused:?}"
    );
    config.insecure = true;
    let shutdown = CancellationToken::new();
    let running = crate::start(config, shutdown.clone()).await.unwrap();
    shutdown.cancel();
    running.join().await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_leaves_no_new_directory() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let data = dir.path().join("new");
    let mut config = CoordinatorConfig::new(&data);
    config.listen = taken.local_addr().unwrap();
    let refused = crate::start(config, CancellationToken::new()).await;
    assert!(
        matches!(refused, Err(StartError::Listen { .. })),
        "{refused:?}"
    );
    assert!(!data.exists());
}

#[tokio::test]
async fn a_directory_has_one_coordinator_which_can_be_found() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let mut config = CoordinatorConfig::new(dir.path().join("data"));
    config.listen.set_port(0);
    let second = crate::start(config, CancellationToken::new()).await;
    assert!(
        matches!(second, Err(StartError::InUse { .. })),
        "{second:?}"
    );
    let (address, token) = discover(&dir.path().join("data")).unwrap();
    assert_eq!(
        (&address, &token),
        (&up.running.address.to_string(), &up.running.token)
    );
    client::connect(&[address], &token).await.unwrap();
    up.down().await;
    assert!(
        discover(&dir.path().join("data")).is_none(),
        "a stopped coordinator is not found"
    );
}

#[tokio::test]
async fn a_closed_address_cannot_be_reached_and_the_next_is_tried() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let error = client::connect(std::slice::from_ref(&closed), &up.running.token)
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
    assert_eq!(error.exit_code(), 4);
    let both = [closed, up.running.address.to_string()];
    client::connect(&both, &up.running.token).await.unwrap();
    up.down().await;
}

#[tokio::test]
async fn an_end_says_farewell_to_workers() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let mut worker = FakeWorker::join(&up.fleet, 1, 1).await;
    up.shutdown.cancel();
    let last = loop {
        match worker.hear().await {
            Some(ToWorker::Farewell { reason }) => break reason,
            Some(_) => {}
            None => panic!("no farewell"),
        }
    };
    assert!(last.contains("stops"), "{last}");
    up.running.join().await.unwrap();
}

#[tokio::test]
async fn the_token_is_in_no_page_and_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let up = up(&dir).await;
    let worker = FakeWorker::join(&up.fleet, 1, 1).await;
    up.fleet.submit(noops("secret", &[0.1])).await.unwrap();
    let token = up.token();
    let mut said = Vec::new();
    for path in [
        "/metrics",
        "/readyz",
        "/v1/sweeps",
        "/v1/sweeps/secret",
        "/v1/fleet",
        "/v1/trials/secret/99",
        "/v1/blobs/x",
    ] {
        said.push(up.http("GET", path, Some(&token), b"").await.1);
        said.push(up.http("GET", path, None, b"").await.1);
    }
    let wrong = Token::parse(&"00".repeat(32)).unwrap();
    let stranger = Fleet::at(up.fleet.address(), &wrong).unwrap();
    said.push(stranger.hello().await.unwrap_err().to_string());
    said.push(format!(
        "{:?} {:?}",
        up.running,
        up.fleet.get("/v1/sweeps/none").await
    ));
    let log = std::fs::read_dir(dir.path().join("data/log")).unwrap();
    for file in log {
        said.push(
            String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned(),
        );
    }
    for text in said {
        assert!(!text.contains(&token), "{text}");
    }
    drop(worker);
    up.down().await;
}
