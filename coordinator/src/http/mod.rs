//! The HTTP side: health, metrics, the JSON documents, blobs.

mod asks;
mod blobs;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::json;
use tonic::Status;

use crate::app::AskError;
use crate::context::Context;
use crate::documents::{self, DocumentError};
use crate::gate::is_grpc;

/// Everything that is not gRPC.
pub(crate) fn routes(context: &Context) -> Router {
    let asked = post(asks::act).layer(DefaultBodyLimit::max(asks::BODY_BYTES_MAX));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .merge(blobs::routes())
        .route("/v1/{*path}", get(document).merge(asked))
        .with_state(context.clone())
}

/// Answers every path that nobody else knows. Must come after all routers are merged: tonic's own fallback says 200.
pub(crate) async fn nowhere(headers: HeaderMap) -> Response {
    if is_grpc(&headers) {
        return Status::unimplemented("no such service").into_http();
    }
    (StatusCode::NOT_FOUND, "no such page\n").into_response()
}

async fn ready(State(context): State<Context>) -> Response {
    match context.health.reasons() {
        None => "ready\n".into_response(),
        Some(reasons) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reasons}\n")).into_response(),
    }
}

async fn scrape(State(context): State<Context>) -> Response {
    const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match context.scrape().await {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

async fn document(State(context): State<Context>, uri: Uri) -> Response {
    let path = uri.path_and_query().map_or(uri.path(), |p| p.as_str());
    match documents::get(&context, path).await {
        Ok(document) => {
            let kind = (header::CONTENT_TYPE, "application/json".to_owned());
            let revision = (header::ETAG, format!("\"{}\"", document.revision));
            ([kind, revision], document.json).into_response()
        }
        Err(error) => {
            let code = match &error {
                DocumentError::NotFound(_) => StatusCode::NOT_FOUND,
                DocumentError::Wrong(_) => StatusCode::BAD_REQUEST,
                DocumentError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
                DocumentError::Ask(AskError::Busy) => StatusCode::TOO_MANY_REQUESTS,
                DocumentError::Ask(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            (code, axum::Json(json!({ "error": error.to_string() }))).into_response()
        }
    }
}
