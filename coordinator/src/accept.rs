//! One accept loop: HTTP/1.1 and HTTP/2 on one listener, every limit set here.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::{pin, select, time};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::config::Limits;
use crate::metrics::Metrics;

/// Headers of one request, in bytes.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Unread bytes of one stream, and of all streams of a connection: one stream that nobody reads must not stall the others.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Streams that a peer opened and reset, before its connection is closed.
const RESETS_MAX: usize = 64;
/// Unsent bytes of one stream.
const SEND_BYTES_MAX: usize = 256 << 10;
/// Read buffer of an HTTP/1.1 connection, in bytes.
const HTTP1_BYTES_MAX: usize = 512 << 10;

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(60).max(limits.first_bytes()))
        .max_buf_size(HTTP1_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new()) // without it keep-alive panics at the first connection
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(limits.ping())
        .keep_alive_timeout(limits.ping())
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .max_send_buf_size(SEND_BYTES_MAX);
    builder
}

/// `auto` waits without limit for enough bytes to tell HTTP/2 from HTTP/1.1: wait here, under a timeout.
async fn sniffable(io: &TcpStream) -> io::Result<()> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut seen = [0; PREFACE.len()];
    loop {
        match io.peek(&mut seen).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n if n == PREFACE.len() || seen[..n] != PREFACE[..n] => return Ok(()),
            _ => time::sleep(Duration::from_millis(5)).await, // a part of it: `peek` would return at once
        }
    }
}

/// Serves until `stop` is cancelled and every connection is closed, or cut at the drain's deadline.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    app: S,
    limits: Limits,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let builder = builder(&limits);
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let io = select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((io, _peer)) => io,
                // Out of descriptors and the like: the socket stays queued, so a bare `continue` would spin.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            metrics.connections_refused.inc();
            continue; // dropped: the client sees a closed connection at once
        };
        metrics.connections.inc();
        let _ = io.set_nodelay(true);
        let (builder, app, stop, cut) = (builder.clone(), app.clone(), stop.clone(), cut.clone());
        let first_bytes = limits.first_bytes();
        tasks.spawn(async move {
            let _slot = slot;
            let first = select! {
                () = stop.cancelled() => return,
                first = time::timeout(first_bytes, sniffable(&io)) => first,
            };
            if !matches!(first, Ok(Ok(()))) {
                return;
            }
            let connection =
                builder.serve_connection(TokioIo::new(io), TowerToHyperService::new(app));
            pin!(connection);
            select! {
                _ = connection.as_mut() => return,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            select! {
                _ = connection.as_mut() => {}
                () = cut.cancelled() => {}
            }
        });
    }
    drop(listener); // nobody can connect any more
    tasks.close();
    if time::timeout(limits.drain(), tasks.wait()).await.is_err() {
        tracing::info!(
            connections = tasks.len(),
            "connections cut at the end of the drain"
        );
        cut.cancel();
        tasks.wait().await;
    }
}
