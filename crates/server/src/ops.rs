//! For those who run it: health, readiness, metrics, state, and the description of the interface.

use crate::error::{Answered, Problem};
use crate::quality;
use crate::reply::Reply;
use crate::state::App;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response};
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;

/// The resources.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status.json", get(status))
        .route("/openapi.json", get(openapi))
}

/// Ready when the index answers.
async fn ready(State(app): State<Arc<App>>) -> Answered<&'static str> {
    app.read(|app| {
        app.archive.stats().map(|_| "ready\n").map_err(|error| {
            tracing::warn!(%error, "not ready");
            Problem::busy()
        })
    })
    .await
}

async fn metrics(State(app): State<Arc<App>>, method: Method, headers: HeaderMap) -> Answered<Response<Body>> {
    app.read(move |app| {
        let mut text = app.metrics.text(logged(app.archive.stats()), app.made.bytes());
        if let Some(figures) = logged(app.archive.figures()) {
            quality::write(&mut text, &figures, app.archive.quarantine());
        }
        Ok(Reply::new("text/plain; version=0.0.4; charset=utf-8", text).answer(&method, &headers))
    })
    .await
}

/// What could not be counted is left out of the figures, and told in the log.
fn logged<T>(figures: Result<T, archive::Error>) -> Option<T> {
    figures.inspect_err(|error| tracing::error!(%error, "figures are missing from /metrics")).ok()
}

/// What is stored and how far conversion is; for the start page.
async fn status(State(app): State<Arc<App>>, method: Method, headers: HeaderMap) -> Answered<Response<Body>> {
    app.read(move |app| {
        let stats = app.archive.stats()?;
        let body = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "viewer": app.config.viewer_dir.as_ref().is_some_and(|dir| dir.join("index.html").is_file()),
            "light": app.config.web_dir.as_ref().is_some_and(|dir| dir.join("light/index.html").is_file()),
            "notForDiagnosis": !app.config.for_diagnosis,
            "studies": stats.studies,
            "series": stats.series,
            "instances": stats.instances,
            "converted": stats.converted,
            "kept": stats.kept,
            "pending": stats.pending,
            "failed": stats.failed,
            "conflicts": stats.conflicts,
            "receivedBytes": stats.received_bytes,
            "convertedBytes": stats.converted_bytes,
        });
        Ok(Reply::new("application/json", body.to_string()).answer(&method, &headers))
    })
    .await
}

async fn openapi(method: Method, headers: HeaderMap) -> Response<Body> {
    Reply::new("application/json", include_str!("../assets/openapi.json"))
        .compressed(&headers)
        .answer(&method, &headers)
}
