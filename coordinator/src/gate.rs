//! One layer around gRPC and HTTP: the fleet's token, then the deadline of a call: its caller's (`grpc-timeout`) or the longest there is.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bonfire_proto::Token;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use subtle::ConstantTimeEq;
use tokio_util::either::Either;
use tonic::Status;
use tower::{Layer, Service};

/// The two pages that need no token.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

#[derive(Clone)]
pub(crate) struct GateLayer {
    token: Arc<str>,
    longest: Duration,
}

impl GateLayer {
    pub(crate) fn new(token: &Token, longest: Duration) -> GateLayer {
        GateLayer {
            token: token.reveal().into(),
            longest,
        }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;
    fn layer(&self, inner: S) -> Gate<S> {
        Gate {
            inner,
            rules: self.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    rules: GateLayer,
}

pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"))
}

fn is_permitted(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.as_bytes().strip_prefix(b"Bearer "));
    given.is_some_and(|given| given.ct_eq(token.as_bytes()).into())
}

/// At most eight digits and a unit; anything else counts as absent.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let n: u64 = if digits.len() <= 8 {
        digits.parse().ok()?
    } else {
        return None;
    };
    Some(match unit {
        "H" => Duration::from_secs(n * 3_600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

fn refusal(headers: &HeaderMap) -> Response<Body> {
    const TEXT: &str = "missing or wrong token";
    if is_grpc(headers) {
        return Status::unauthenticated(TEXT).into_http();
    }
    let mut response = Response::new(Body::from(format!("{TEXT}\n")));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

type Answer<E> = Result<Response<Body>, E>;
type Boxed<E> = Pin<Box<dyn Future<Output = Answer<E>> + Send>>;

impl<S, B> Service<Request<B>> for Gate<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Answer<S::Error>>, Either<S::Future, Boxed<S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let headers = request.headers();
        let is_open = OPEN.contains(&request.uri().path());
        if !is_open && !is_permitted(headers, &self.rules.token) {
            return Either::Left(ready(Ok(refusal(headers))));
        }
        // A call of HTTP ends when nothing of its body moves; a stream of gRPC has answered when it begins.
        let longest = self.rules.longest;
        let limit =
            is_grpc(headers).then(|| grpc_timeout(headers).map_or(longest, |t| t.min(longest)));
        let answer = self.inner.call(request);
        Either::Right(match limit {
            None => Either::Left(answer),
            // The handler is dropped at the deadline: what must finish was handed to a queue before.
            Some(limit) => Either::Right(Box::pin(async move {
                let late = || Status::deadline_exceeded("the call's deadline passed").into_http();
                tokio::time::timeout(limit, answer)
                    .await
                    .unwrap_or_else(|_| Ok(late()))
            })),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check_timeout(text: &'static str, expected: Option<Duration>) {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_static(text));
        assert_eq!(grpc_timeout(&headers), expected, "{text}");
    }

    #[test]
    fn deadlines_are_read_and_junk_is_none() {
        check_timeout("20S", Some(Duration::from_secs(20)));
        check_timeout("150m", Some(Duration::from_millis(150)));
        check_timeout("99999999H", Some(Duration::from_secs(99_999_999 * 3_600)));
        check_timeout("999999999S", None);
        check_timeout("-1S", None);
        check_timeout("S", None);
        check_timeout("", None);
        check_timeout("10x", None);
    }

    #[track_caller]
    fn check_token(value: &str, permitted: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        assert_eq!(
            is_permitted(&headers, &"ab".repeat(32)),
            permitted,
            "{value}"
        );
    }

    #[test]
    fn only_the_whole_token_opens() {
        check_token(&format!("Bearer {}", "ab".repeat(32)), true);
        check_token(&format!("Bearer {}", "ab".repeat(31)), false);
        check_token(&"ab".repeat(32), false);
        check_token("Bearer ", false);
        assert!(!is_permitted(&HeaderMap::new(), &"ab".repeat(32)));
    }
}
