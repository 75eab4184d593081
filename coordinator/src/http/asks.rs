//! `POST /v1/sweeps/NAME/ask` and `POST /v1/trials/NAME/NUMBER/tell`: JSON in, JSON out.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bonfire_domain::command::Told;
use bonfire_domain::effect::Refusal;
use bonfire_proto::wire::{Ask, Tell};
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::AskError;
use crate::asks;
use crate::commands::CommandError;
use crate::context::Context;

/// A body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AskBody {
    /// A number that the asker draws: asked again with it, it gets the same trial.
    request: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TellBody {
    attempt: u32,
    value: Option<f64>,
    at: Option<u64>,
    #[serde(default)]
    failed: bool,
    reason: Option<String>,
    /// Those that the search requires something of, or has as further objectives.
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
}

impl TellBody {
    fn told(self) -> Result<Told, String> {
        match (self.failed, self.value, self.at, self.reason) {
            (true, None, None, reason) => Ok(Told::Failed {
                reason: reason.unwrap_or_default(),
            }),
            (false, Some(value), None, None) => Ok(Told::Value { value }),
            (false, Some(value), Some(at), None) => Ok(Told::Intermediate { at, value }),
            (false, _, _, Some(_)) => Err("reason goes with failed: true".to_owned()),
            (true, _, _, _) => Err("failed goes without value and at".to_owned()),
            (false, None, _, None) => {
                Err("give value, with at for an intermediate one, or failed: true".to_owned())
            }
        }
    }
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Ask(String),
    Tell(String),
}

fn parse(path: &str) -> Option<Asked> {
    let parts: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
    match parts.as_slice() {
        ["sweeps", name, "ask"] => Some(Asked::Ask((*name).to_owned())),
        ["trials", "last", "tell"] => Some(Asked::Tell("last".to_owned())),
        ["trials", name, number, "tell"] => Some(Asked::Tell(format!("{name}/{number}"))),
        _ => None,
    }
}

pub(super) async fn act(State(context): State<Context>, uri: Uri, body: Bytes) -> Response {
    let answer = match parse(uri.path()) {
        Some(Asked::Ask(sweep)) => ask(&context, sweep, &body).await.map(render),
        Some(Asked::Tell(trial)) => tell(&context, trial, &body).await.map(render),
        None => {
            let text = format!("nothing takes a POST at {}", uri.path());
            return refuse(StatusCode::NOT_FOUND, &text);
        }
    };
    answer.unwrap_or_else(|error| refuse(code(&error), &error.to_string()))
}

fn render(answer: impl Serialize) -> Response {
    axum::Json(answer).into_response()
}

fn refuse(code: StatusCode, text: &str) -> Response {
    (code, axum::Json(json!({ "error": text }))).into_response()
}

async fn ask(
    context: &Context,
    sweep: String,
    body: &[u8],
) -> Result<impl Serialize + use<>, CommandError> {
    // Everything has a default.
    let body = if body.is_empty() { b"{}" } else { body };
    let request = read::<AskBody>(body)?.request;
    let asked = Ask::new(sweep, request).map_err(wrong)?;
    asks::ask(context, asked).await
}

async fn tell(
    context: &Context,
    trial: String,
    body: &[u8],
) -> Result<impl Serialize + use<>, CommandError> {
    let body = read::<TellBody>(body)?;
    let (attempt, metrics) = (body.attempt, body.metrics.clone());
    let told = body.told().map_err(CommandError::Wrong)?;
    let tell = Tell::new(trial, attempt, told).and_then(|tell| tell.with_metrics(metrics));
    asks::tell(context, tell.map_err(wrong)?).await
}

fn wrong(error: impl std::fmt::Display) -> CommandError {
    CommandError::Wrong(error.to_string())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CommandError> {
    // A list would be read by the order of the keys.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(wrong("the body is not a JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|e| wrong(format!("the body cannot be read: {e}")))
}

fn code(error: &CommandError) -> StatusCode {
    match error {
        CommandError::Wrong(_) => StatusCode::BAD_REQUEST,
        CommandError::Select(select) if select.is_wrong_request() => StatusCode::BAD_REQUEST,
        CommandError::Select(_) => StatusCode::NOT_FOUND,
        CommandError::Missing { .. } => StatusCode::CONFLICT,
        CommandError::Ask(error) => match error {
            AskError::Refused(Refusal::NoSuchSweep | Refusal::NoSuchTrial) => StatusCode::NOT_FOUND,
            AskError::Refused(
                Refusal::NotExternal
                | Refusal::NotFinite
                | Refusal::NoSuchMetric { .. }
                | Refusal::MetricMissing { .. },
            ) => StatusCode::BAD_REQUEST,
            AskError::Refused(_) => StatusCode::CONFLICT,
            AskError::Busy => StatusCode::TOO_MANY_REQUESTS,
            AskError::Full | AskError::Waits => StatusCode::INSUFFICIENT_STORAGE,
            AskError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            AskError::Slow | AskError::NotLeader | AskError::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_are_read() {
        let ask = Asked::Ask("a-k2f".into());
        assert_eq!(parse("/v1/sweeps/a-k2f/ask"), Some(ask));
        let tell = Asked::Tell("a-k2f/17".into());
        assert_eq!(parse("/v1/trials/a-k2f/17/tell"), Some(tell));
        for path in ["/v1/sweeps/a", "/v1/trials/a/tell", "/v1/x", "/", ""] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[track_caller]
    fn check(body: &str, expected: Result<Told, &str>) {
        let told = read::<TellBody>(body.as_bytes()).unwrap().told();
        assert_eq!(told, expected.map_err(str::to_owned), "{body}");
    }

    #[test]
    fn bodies_say_one_thing() {
        check(r#"{"attempt":1,"value":2}"#, Ok(Told::Value { value: 2.0 }));
        let intermediate = Told::Intermediate { at: 3, value: -0.5 };
        check(r#"{"attempt":1,"value":-0.5,"at":3}"#, Ok(intermediate));
        let reason = "x".to_owned();
        check(
            r#"{"attempt":1,"failed":true,"reason":"x"}"#,
            Ok(Told::Failed { reason }),
        );
        let nothing = "give value, with at for an intermediate one, or failed: true";
        check(r#"{"attempt":1}"#, Err(nothing));
        check(r#"{"attempt":1,"at":1}"#, Err(nothing));
        let both = "failed goes without value and at";
        check(r#"{"attempt":1,"failed":true,"value":1}"#, Err(both));
        check(
            r#"{"attempt":1,"value":1,"reason":"x"}"#,
            Err("reason goes with failed: true"),
        );
        for junk in [
            r#"{"attempt":1,"valu":1}"#,
            r#"{"attempt":1,"value":"1"}"#,
            r#"{"attempt":1,"value":NaN}"#,
            r#"{"attempt":1,"value":1,"metrics":{"ms":"fast"}}"#,
            r#"{"value":1}"#,
            r#"{"attempt":1,"value":1,"value":2}"#,
            "[1, 2.0]",
            "[]x",
            "{",
        ] {
            assert!(read::<TellBody>(junk.as_bytes()).is_err(), "{junk}");
        }
    }
}
