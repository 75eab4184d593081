//! Blobs by digest over HTTP/1.1: faster than HTTP/2 for bulk, resumable, verified on both ends.

use std::io::{Read, Seek};
use std::path::Path;
use std::time::Duration;

use bonfire_domain::Digest;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_stream::StreamExt;
use tokio_util::io::ReaderStream;

use crate::Token;
use crate::client::ClientError;

/// A transfer in which nothing moves for this long is broken off.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Read from a file at once, in bytes.
const READ_BYTES: usize = 256 << 10;
/// A blob of at most this size is sent without asking whether it is there.
const UNASKED_BYTES_MAX: u64 = 1 << 20;
/// Longest refusal text that is read, in bytes.
const REFUSAL_BYTES_MAX: usize = 4 << 10;
/// Transfers that broke off are taken up again where they stopped, this often.
const TRIES_MAX: u32 = 5;
/// The pause before the second try; doubles with each.
const PAUSE: Duration = Duration::from_millis(50);
/// Says how much of a blob is already there.
const OFFSET: &str = "upload-offset";

type Body = BoxBody<Bytes, std::io::Error>;

/// A client for one coordinator's blobs. Cheap to clone; clones share a pool of connections.
#[derive(Clone)]
pub struct BlobClient {
    address: String,
    token: Token,
    http: Client<HttpConnector, Body>,
}

impl BlobClient {
    /// A client that connects when it is first used.
    pub fn new(address: &str, token: &Token) -> BlobClient {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(2)));
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        BlobClient {
            address: address.to_owned(),
            token: token.clone(),
            http,
        }
    }

    /// The blob's size in bytes if the coordinator has it.
    pub async fn has(&self, digest: Digest) -> Result<Option<u64>, ClientError> {
        Ok(match self.head(digest).await? {
            There::Whole(bytes) => Some(bytes),
            There::Part(_) => None,
        })
    }

    /// Stores bytes under their own digest, which is returned. Nothing large is sent if they are already there.
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, ClientError> {
        let digest = Digest::of(&bytes);
        self.resume(digest, |offset| {
            let rest = bytes.slice(
                usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len())..,
            );
            let length = rest.len() as u64;
            std::future::ready(Ok((length, whole(rest))))
        })
        .await?;
        Ok(digest)
    }

    /// Stores a file whose digest is known. Nothing large is sent if it is already there.
    ///
    /// # Errors
    /// [`ClientError::Local`] if the file cannot be read; [`ClientError::Wrong`] if it no longer has this digest.
    pub async fn put_file(&self, digest: Digest, path: &Path) -> Result<(), ClientError> {
        self.resume(digest, |offset| async move {
            file_body(path, offset).await.map_err(|e| local(path, &e))
        })
        .await
    }

    /// A whole blob in memory, verified.
    ///
    /// # Errors
    /// [`ClientError::NotFound`]; [`ClientError::Wrong`] if it has more than `bytes_max` bytes.
    pub async fn get(&self, digest: Digest, bytes_max: u64) -> Result<Bytes, ClientError> {
        let mut bytes = BytesMut::new();
        let mut result = self.fetch(digest, &mut bytes, bytes_max).await;
        for tries in 1..TRIES_MAX {
            if !is_temporary(&result) {
                break;
            }
            pause(tries).await;
            result = self.fetch(digest, &mut bytes, bytes_max).await;
        }
        result?;
        verified(digest, bytes.freeze())
    }

    /// Writes a blob to `path`, verified. What is there only after a full verification is named `path`: until then it
    /// is `path` with the extension `part`, from which a broken transfer goes on.
    pub async fn get_file(&self, digest: Digest, path: &Path) -> Result<(), ClientError> {
        let part = path.with_extension("part");
        let mut result = self.fetch_file(digest, &part).await;
        for tries in 1..TRIES_MAX {
            if !is_temporary(&result) {
                break;
            }
            pause(tries).await;
            result = self.fetch_file(digest, &part).await;
        }
        result?;
        tokio::fs::rename(&part, path)
            .await
            .map_err(|e| local(path, &e))
    }

    /// Bytes `from..from + length` of a blob; not verified, since a digest names the whole.
    pub async fn get_range(
        &self,
        digest: Digest,
        from: u64,
        length: u64,
    ) -> Result<Bytes, ClientError> {
        let last = from.saturating_add(length).saturating_sub(1);
        let response = self
            .request(
                Method::GET,
                digest,
                "",
                Some(format!("bytes={from}-{last}")),
                None,
            )
            .await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(self.refusal(response).await);
        }
        let mut bytes = BytesMut::new();
        self.read(response, &mut bytes, length).await?;
        Ok(bytes.freeze())
    }

    async fn head(&self, digest: Digest) -> Result<There, ClientError> {
        let response = self.request(Method::HEAD, digest, "", None, None).await?;
        match response.status() {
            StatusCode::OK => Ok(There::Whole(number(
                &response,
                header::CONTENT_LENGTH.as_str(),
            ))),
            StatusCode::NOT_FOUND => Ok(There::Part(number(&response, OFFSET))),
            _ => Err(self.refusal(response).await),
        }
    }

    /// Asks where to go on, sends the rest, and does so again if the connection is lost. What is small is sent unasked first: a
    /// refusal of it costs no more than the question.
    async fn resume<F>(
        &self,
        digest: Digest,
        mut body: impl FnMut(u64) -> F,
    ) -> Result<(), ClientError>
    where
        F: Future<Output = Result<(u64, Body), ClientError>>,
    {
        let all = body(0).await?;
        if all.0 <= UNASKED_BYTES_MAX {
            match self.send(digest, 0, all).await {
                Err(error) if error.is_temporary() => {}
                sent => return sent,
            }
        }
        let mut result = Ok(());
        for tries in 1..=TRIES_MAX {
            result = match self.head(digest).await {
                Ok(There::Whole(_)) => return Ok(()),
                Ok(There::Part(offset)) => self.send(digest, offset, body(offset).await?).await,
                Err(error) => Err(error),
            };
            if !is_temporary(&result) || tries == TRIES_MAX {
                break;
            }
            pause(tries).await;
        }
        result
    }

    async fn send(
        &self,
        digest: Digest,
        offset: u64,
        body: (u64, Body),
    ) -> Result<(), ClientError> {
        let query = if offset == 0 {
            String::new()
        } else {
            format!("?offset={offset}")
        };
        let response = self
            .request(Method::PUT, digest, &query, None, Some(body))
            .await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(self.refusal(response).await)
    }

    async fn fetch(
        &self,
        digest: Digest,
        bytes: &mut BytesMut,
        bytes_max: u64,
    ) -> Result<(), ClientError> {
        let range = (!bytes.is_empty()).then(|| format!("bytes={}-", bytes.len()));
        let response = self.request(Method::GET, digest, "", range, None).await?;
        match response.status() {
            StatusCode::OK => bytes.clear(),
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(()),
            _ => return Err(self.refusal(response).await),
        }
        self.read(response, bytes, bytes_max).await
    }

    async fn fetch_file(&self, digest: Digest, part: &Path) -> Result<(), ClientError> {
        let io = |e: std::io::Error| local(part, &e);
        let mut options = tokio::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(part).await.map_err(io)?;
        let mut hash = blake3::Hasher::new();
        let mut have = 0;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let n = file.read(&mut buffer).await.map_err(io)?;
            if n == 0 {
                break;
            }
            hash.update(&buffer[..n]);
            have += n as u64;
        }
        let range = (have > 0).then(|| format!("bytes={have}-"));
        let response = self.request(Method::GET, digest, "", range, None).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {}
            StatusCode::OK => {
                file.set_len(0).await.map_err(io)?;
                file.rewind().await.map_err(io)?;
                hash.reset();
            }
            _ => return Err(self.refusal(response).await),
        }
        if response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
            let mut body = response.into_body();
            while let Some(chunk) = self.frame(&mut body).await? {
                hash.update(&chunk);
                file.write_all(&chunk).await.map_err(io)?;
            }
        }
        file.flush().await.map_err(io)?;
        let found = Digest(*hash.finalize().as_bytes());
        if found != digest {
            // Nothing of it is of use: the next try starts afresh.
            tokio::fs::remove_file(part).await.map_err(io)?;
            return Err(differs(digest, found));
        }
        file.sync_data().await.map_err(io)
    }

    async fn read(
        &self,
        response: Response<Incoming>,
        into: &mut BytesMut,
        bytes_max: u64,
    ) -> Result<(), ClientError> {
        let mut body = response.into_body();
        while let Some(chunk) = self.frame(&mut body).await? {
            if (into.len() + chunk.len()) as u64 > bytes_max {
                return Err(ClientError::Wrong(format!(
                    "the blob has more than {bytes_max} bytes"
                )));
            }
            into.extend_from_slice(&chunk);
        }
        Ok(())
    }

    /// The next bytes of a body; `None` at its end.
    async fn frame(&self, body: &mut Incoming) -> Result<Option<Bytes>, ClientError> {
        loop {
            match tokio::time::timeout(STALL_TIMEOUT, body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(error))) => return Err(self.unreachable(error.to_string())),
                Err(_) => return Err(self.unreachable(stalled())),
            }
        }
    }

    async fn request(
        &self,
        method: Method,
        digest: Digest,
        query: &str,
        range: Option<String>,
        body: Option<(u64, Body)>,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!(
                "http://{}/v1/blobs/{}{query}",
                self.address,
                digest.hex()
            ))
            .header(header::AUTHORIZATION, self.token.bearer());
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        let (length, body) = body.unwrap_or_else(|| (0, empty()));
        if length > 0 {
            // A refusal then comes before the body is sent, and on a connection that lives on.
            request = request
                .header(header::CONTENT_LENGTH, length)
                .header(header::EXPECT, "100-continue");
        }
        let request = request
            .body(body)
            .map_err(|e| ClientError::Wrong(e.to_string()))?;
        // A large body may take long; that it moves at all is watched where it is read.
        let limit = STALL_TIMEOUT + Duration::from_secs(length >> 20);
        match tokio::time::timeout(limit, self.http.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.unreachable(innermost(&error))),
            Err(_) => Err(self.unreachable(stalled())),
        }
    }

    async fn refusal(&self, response: Response<Incoming>) -> ClientError {
        let status = response.status();
        let mut bytes = BytesMut::new();
        // What is read before a failure or the limit is the text.
        let _ = self
            .read(response, &mut bytes, REFUSAL_BYTES_MAX as u64)
            .await;
        let mut reason = String::from_utf8_lossy(&bytes).trim().to_owned();
        if reason.is_empty() {
            reason = format!("the coordinator answered {status}");
        }
        match status {
            StatusCode::NOT_FOUND => ClientError::NotFound(reason),
            StatusCode::UNAUTHORIZED => {
                ClientError::Wrong(format!("the fleet at {} refused the token", self.address))
            }
            StatusCode::CONFLICT
            | StatusCode::INSUFFICIENT_STORAGE
            | StatusCode::SERVICE_UNAVAILABLE => ClientError::Failed {
                reason,
                retry: true,
            },
            s if s.is_client_error() => ClientError::Wrong(reason),
            _ => ClientError::Failed {
                reason,
                retry: false,
            },
        }
    }

    fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable {
            address: self.address.clone(),
            reason,
        }
    }
}

/// What the coordinator has of a blob, in bytes.
enum There {
    Whole(u64),
    Part(u64),
}

fn number(response: &Response<Incoming>, name: &str) -> u64 {
    let value = response.headers().get(name).and_then(|v| v.to_str().ok());
    value.and_then(|v| v.parse().ok()).unwrap_or(0)
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// What is small is read at once: each call of a file that is read piece by piece wakes another thread.
async fn file_body(path: &Path, offset: u64) -> std::io::Result<(u64, Body)> {
    let path = path.to_path_buf();
    let open = move || {
        let mut file = std::fs::File::open(&path)?;
        let length = file.metadata()?.len().saturating_sub(offset);
        file.seek(std::io::SeekFrom::Start(offset))?;
        let mut small = Vec::new();
        if length <= UNASKED_BYTES_MAX {
            small.reserve(length as usize);
            (&file).take(length).read_to_end(&mut small)?;
        }
        Ok((file, length, small))
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let opened: std::io::Result<(std::fs::File, u64, Vec<u8>)> =
        opened.map_err(std::io::Error::other)?;
    let (file, length, small) = opened?;
    if length <= UNASKED_BYTES_MAX {
        return Ok((small.len() as u64, whole(small.into())));
    }
    let file = tokio::fs::File::from_std(file);
    let frames = ReaderStream::with_capacity(AsyncReadExt::take(file, length), READ_BYTES)
        .map(|read| read.map(Frame::data));
    Ok((length, BodyExt::boxed(StreamBody::new(frames))))
}

fn verified(digest: Digest, bytes: Bytes) -> Result<Bytes, ClientError> {
    let found = Digest::of(&bytes);
    if found == digest {
        Ok(bytes)
    } else {
        Err(differs(digest, found))
    }
}

fn differs(digest: Digest, found: Digest) -> ClientError {
    ClientError::Failed {
        reason: format!(
            "blob {} is damaged: its bytes have the digest {}",
            digest.hex(),
            found.short()
        ),
        retry: false,
    }
}

fn local(path: &Path, error: &std::io::Error) -> ClientError {
    ClientError::Local(format!("{}: {error}", path.display()))
}

fn is_temporary(result: &Result<(), ClientError>) -> bool {
    result.as_ref().is_err_and(ClientError::is_temporary)
}

/// The wait after this many tries.
async fn pause(tries: u32) {
    tokio::time::sleep(PAUSE * (1 << (tries - 1))).await;
}

fn stalled() -> String {
    format!("nothing moved for {} s", STALL_TIMEOUT.as_secs())
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}
