//! Blobs by digest: `PUT` streamed to a part and verified, `GET` with one range, `HEAD`.

use std::io::SeekFrom;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{self, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use bonfire_domain::Digest;
use bonfire_store::{BlobWriter, Check, LocalBlobs, StoreError};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, Take};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::Stream;
use tokio_util::io::ReaderStream;

use crate::context::Context;

/// Chunks of a body on their way to the disk.
const CHUNKS_MAX: usize = 8;
/// A body of at most this size is taken into memory before it is written.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// Read from a file at once, in bytes.
const READ_BYTES: usize = 256 << 10;
/// An upload in which nothing arrives for this long is broken off; its part stays.
const STALL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
/// Says how much of a blob is here.
const OFFSET: &str = "upload-offset";

pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/blobs/{digest}", put(store).get(load))
}

fn refuse(code: StatusCode, offset: u64, text: impl std::fmt::Display) -> Response {
    (code, [(OFFSET, offset.to_string())], format!("{text}\n")).into_response()
}

fn refuse_error(error: &StoreError) -> Response {
    match error {
        StoreError::Full { .. } => {
            let text = format!(
                "the coordinator's disk is full ({error}): free some space there and try again"
            );
            refuse(StatusCode::INSUFFICIENT_STORAGE, 0, text)
        }
        StoreError::Differs { .. } => refuse(StatusCode::UNPROCESSABLE_ENTITY, 0, error),
        StoreError::Busy { .. } => refuse(StatusCode::CONFLICT, 0, error),
        StoreError::Offset { have, .. } => refuse(StatusCode::CONFLICT, *have, error),
        StoreError::Missing { .. } => refuse(StatusCode::NOT_FOUND, 0, error),
        _ => refuse(StatusCode::INTERNAL_SERVER_ERROR, 0, error),
    }
}

fn nameless() -> Response {
    refuse(
        StatusCode::BAD_REQUEST,
        0,
        "a blob is named by 64 hexadecimal digits",
    )
}

#[derive(Deserialize)]
struct At {
    #[serde(default)]
    offset: u64,
}

async fn store(
    State(context): State<Context>,
    Path(digest): Path<String>,
    Query(at): Query<At>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(digest) = Digest::parse(&digest) else {
        return nameless();
    };
    if context.app.is_condemned(digest) {
        return condemned();
    }
    let bytes_max = context.limits.blob_bytes_max;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if at.offset.saturating_add(announced.unwrap_or(0)) > bytes_max {
        let text = format!("a blob may have {bytes_max} bytes (limits.blob_bytes_max)");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, 0, text);
    }
    let blobs = context.blobs.clone();
    let (stored, received) = if announced.is_some_and(|bytes| bytes <= SMALL_BYTES_MAX) {
        // It is here before a thread is woken for it, and one is once.
        let (bytes, is_whole) = collect(body).await;
        if context.app.is_condemned(digest) {
            return condemned();
        }
        let received = bytes.len() as u64;
        let put = move || match begin(&blobs, digest, at.offset)? {
            Begun::Here(bytes) => Ok(Stored::Before(bytes)),
            Begun::Writes(mut writer) => {
                writer.write(&bytes)?;
                finish(*writer, is_whole)
            }
        };
        (spawn_blocking(put).await, received)
    } else {
        let writer = match spawn_blocking(move || begin(&blobs, digest, at.offset)).await {
            Ok(Ok(Begun::Writes(writer))) => writer,
            Ok(Ok(Begun::Here(bytes))) => return here(bytes),
            Ok(Err(error)) => return refuse_error(&error),
            Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, 0, error),
        };
        let (chunks, queue) = mpsc::channel(CHUNKS_MAX);
        let writing = spawn_blocking(move || write(*writer, queue));
        let received = match receive(body, chunks, at.offset, bytes_max).await {
            Ok(received) => received,
            Err(response) => return response,
        };
        (writing.await, received)
    };
    match stored {
        Ok(Ok(Stored::Before(bytes))) => here(bytes),
        Ok(Ok(Stored::Now(bytes))) => {
            if context.is_full.swap(false, Ordering::Relaxed) {
                tracing::info!("blobs are stored again");
            }
            context.metrics.blob_received.inc_by(received);
            refuse(StatusCode::CREATED, bytes, "stored")
        }
        Ok(Ok(Stored::Part)) => refuse(
            StatusCode::BAD_REQUEST,
            at.offset + received,
            "the body broke off",
        ),
        Ok(Err(error)) => {
            if !error.is_full() {
                tracing::warn!(%error, "a blob was not stored");
            } else if !context.is_full.swap(true, Ordering::Relaxed) {
                // Said once until there is space again: whoever uploads tries on.
                tracing::warn!(%error, "blobs wait for space");
            }
            refuse_error(&error)
        }
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, 0, error),
    }
}

fn condemned() -> Response {
    let text = "the blob is being deleted: try again in a moment";
    refuse(StatusCode::CONFLICT, 0, text)
}

fn here(bytes: u64) -> Response {
    refuse(StatusCode::OK, bytes, "already here")
}

/// What came of an upload; sizes are the whole blob's, in bytes.
enum Stored {
    Before(u64),
    Now(u64),
    /// The sender broke off: what came is kept.
    Part,
}

enum Begun {
    /// It is here already, whole.
    Here(u64),
    Writes(Box<BlobWriter>),
}

fn begin(blobs: &LocalBlobs, digest: Digest, offset: u64) -> Result<Begun, StoreError> {
    match whole_of(blobs, digest) {
        Some(bytes) => Ok(Begun::Here(bytes)),
        None => {
            let writer = blobs.begin(digest, offset)?;
            Ok(Begun::Writes(Box::new(writer)))
        }
    }
}

fn finish(writer: BlobWriter, is_whole: bool) -> Result<Stored, StoreError> {
    match is_whole {
        true => writer.finish().map(Stored::Now),
        false => Ok(Stored::Part),
    }
}

/// The size of a blob that is here and not damaged; a damaged one is set aside, so that it counts as missing.
async fn whole(context: &Context, digest: Digest) -> Option<u64> {
    let blobs = context.blobs.clone();
    let looked = spawn_blocking(move || whole_of(&blobs, digest)).await;
    looked.unwrap_or_default()
}

fn whole_of(blobs: &LocalBlobs, digest: Digest) -> Option<u64> {
    blobs.whole(digest).unwrap_or_else(|error| {
        tracing::error!(%error, "a damaged blob was set aside");
        None
    })
}

/// A small body, and whether it came to its end.
async fn collect(mut body: Body) -> (BytesMut, bool) {
    let mut bytes = BytesMut::new();
    // No more than was announced comes: the connection sees to that, and so does this.
    while bytes.len() as u64 <= SMALL_BYTES_MAX {
        match tokio::time::timeout(STALL_TIMEOUT, body.frame()).await {
            Ok(None) => return (bytes, true),
            Ok(Some(Ok(frame))) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Ok(Some(Err(_))) | Err(_) => return (bytes, false),
        }
    }
    (bytes, false)
}

/// Passes the body to the writer; its end is said with `None`, a closed channel without it means that it broke off.
async fn receive(
    mut body: Body,
    chunks: mpsc::Sender<Option<Bytes>>,
    offset: u64,
    bytes_max: u64,
) -> Result<u64, Response> {
    let mut received = 0u64;
    loop {
        match tokio::time::timeout(STALL_TIMEOUT, body.frame()).await {
            Ok(None) => {
                let _ = chunks.send(None).await;
                return Ok(received);
            }
            Ok(Some(Ok(frame))) => {
                let Ok(chunk) = frame.into_data() else {
                    continue;
                };
                received += chunk.len() as u64;
                if offset.saturating_add(received) > bytes_max {
                    let text = format!("a blob may have {bytes_max} bytes (limits.blob_bytes_max)");
                    return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, 0, text));
                }
                if chunks.send(Some(chunk)).await.is_err() {
                    return Ok(received); // the writer failed: its result says why
                }
            }
            Ok(Some(Err(_))) | Err(_) => return Ok(received),
        }
    }
}

/// Runs on a blocking thread: writes what arrives.
fn write(
    mut writer: BlobWriter,
    mut queue: mpsc::Receiver<Option<Bytes>>,
) -> Result<Stored, StoreError> {
    loop {
        match queue.blocking_recv() {
            Some(Some(chunk)) => writer.write(&chunk)?,
            last => return finish(writer, last.is_some()),
        }
    }
}

async fn load(
    State(context): State<Context>,
    Path(digest): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Some(digest) = Digest::parse(&digest) else {
        return nameless();
    };
    if context.app.is_condemned(digest) {
        return refuse(StatusCode::NOT_FOUND, 0, "the blob is being deleted");
    }
    // Whoever asks by `HEAD` is about to name it.
    if method == Method::HEAD {
        whole(&context, digest).await;
    }
    let file = match context.blobs.file(digest) {
        Ok(file) => file,
        Err(StoreError::Missing { .. }) => {
            let have = context.blobs.has_part(digest); // says where an upload goes on
            return refuse(
                StatusCode::NOT_FOUND,
                have,
                format!("blob {} is not here", digest.short()),
            );
        }
        Err(error) => return refuse_error(&error),
    };
    let length = match file.metadata() {
        Ok(meta) => meta.len(),
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, 0, error),
    };
    let asked = headers.get(header::RANGE).and_then(|v| v.to_str().ok());
    let Ok(part) = range(asked, length) else {
        let all = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
        return (StatusCode::RANGE_NOT_SATISFIABLE, all).into_response();
    };
    let (from, bytes) = part.unwrap_or((0, length));
    let mut file = File::from_std(file);
    if let Err(error) = file.seek(SeekFrom::Start(from)).await {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, 0, error);
    }
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        context.metrics.blob_sent.inc_by(bytes);
        let stream = ReaderStream::with_capacity(file.take(bytes), READ_BYTES);
        match part {
            Some(_) => Body::from_stream(stream),
            None => Body::from_stream(Checked {
                stream,
                check: Some(context.blobs.check(digest)),
                left: bytes,
            }),
        }
    };
    let mut response = Response::new(body);
    let mut say = |name, value: String| {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    };
    say(header::CONTENT_LENGTH, bytes.to_string());
    say(header::CONTENT_TYPE, "application/octet-stream".to_owned());
    say(header::ACCEPT_RANGES, "bytes".to_owned());
    say(header::ETAG, format!("\"{}\"", digest.hex()));
    if part.is_some() {
        say(
            header::CONTENT_RANGE,
            format!("bytes {from}-{}/{length}", from + bytes - 1),
        );
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// A whole blob on its way out. Who gets it compares as well; here a damaged one is found, so that it is not sent again.
struct Checked {
    stream: ReaderStream<Take<File>>,
    check: Option<Check>,
    /// Bytes still to come: after the last one nobody asks for an end.
    left: u64,
}

impl Stream for Checked {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.stream).poll_next(cx));
        if let (Some(Ok(bytes)), Some(check)) = (&next, &mut self.check) {
            check.update(bytes);
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        if self.left == 0
            && let Some(Err(error)) = self.check.take().map(Check::finish)
        {
            tracing::error!(%error, "a damaged blob was set aside");
        }
        Poll::Ready(next)
    }
}

/// First byte and count of `bytes=a-b`, `bytes=a-` or `bytes=-n` of `length`; `None` for anything else, which means the whole.
///
/// # Errors
/// A range of which there is nothing.
fn range(asked: Option<&str>, length: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some((a, b)) = asked.and_then(|v| v.strip_prefix("bytes=")?.split_once('-')) else {
        return Ok(None);
    };
    let end = length.saturating_sub(1);
    let (first, last) = match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => (a, b.min(end)),
        (Ok(a), Err(_)) if b.is_empty() => (a, end),
        (Err(_), Ok(n)) if a.is_empty() => (length.saturating_sub(n), end),
        _ => return Ok(None),
    };
    if first <= last && first < length {
        Ok(Some((first, last - first + 1)))
    } else {
        Err(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: &str, length: u64, expected: Result<Option<(u64, u64)>, ()>) {
        assert_eq!(range(Some(asked), length), expected, "{asked} of {length}");
    }

    #[test]
    fn ranges_are_read() {
        check("bytes=0-9", 100, Ok(Some((0, 10))));
        check("bytes=90-", 100, Ok(Some((90, 10))));
        check("bytes=90-900", 100, Ok(Some((90, 10))));
        check("bytes=-5", 100, Ok(Some((95, 5))));
        check("bytes=-500", 100, Ok(Some((0, 100))));
        check("bytes=100-", 100, Err(()));
        check("bytes=5-2", 100, Err(()));
        check("bytes=0-", 0, Err(()));
        check("bytes=0-1,5-6", 100, Ok(None));
        check("rows=0-1", 100, Ok(None));
        assert_eq!(range(None, 100), Ok(None));
    }
}
