//! For those who run it: health, readiness, metrics, state, and the description of the interface.

use crate::access::For;
use crate::api;
use crate::error::{Answered, Problem};
use crate::metrics::Metrics;
use crate::process;
use crate::quality;
use crate::reply::Reply;
use crate::state::App;
use ::access::{Reach, Who};
use archive::{Patience, Stats};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A search that asks next to nothing is answered by then, or the server is not ready.
const READY: Duration = Duration::from_secs(2);
/// Bytes that are free on the disk of a server that is ready.
const LEAST_FREE: u64 = 64 << 20;

/// The resources.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status.json", get(status))
        .route("/openapi.json", get(openapi))
}

/// Ready when a search of the index is answered in time, in the queue of all searches, and the disk has room for what comes.
async fn ready(State(app): State<Arc<App>>) -> Answered<&'static str> {
    let folder = app.config.data_dir.clone();
    let (asked, patience) = (app.clone(), Patience::of(READY));
    let index = app.searches.run(patience, move |_| {
        if folder.is_some_and(|folder| is_full(&folder)) {
            return Err(Problem::full("the disk is full"));
        }
        Ok(asked.archive.stats().map(drop)?)
    });
    let answered = tokio::time::timeout(READY, index).await;
    let answered = answered.unwrap_or_else(|_| Err(Problem::full("searches take too long")));
    answered.map(|()| "ready\n").inspect_err(|problem| tracing::warn!(reason = problem.message(), "not ready"))
}

/// Is there no room to speak of where the archive is?
fn is_full(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_FREE)
}

async fn metrics(State(app): State<Arc<App>>, method: Method, headers: HeaderMap) -> Answered<Response<Body>> {
    app.read(move |app| {
        let mut text = app.metrics.text(logged(app.archive.stats()), app.made.bytes());
        Metrics::write_load(&mut text, &app.connections, &app.searches);
        process::write(&mut text);
        let _ = writeln!(
            text,
            "# HELP firstlight_build_info The version.\n# TYPE firstlight_build_info gauge\nfirstlight_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        );
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

/// How the server is set up, who asks, and, for who may see all of it, what is stored and how far conversion is; for the pages.
async fn status(
    State(app): State<Arc<App>>,
    asker: For,
    method: Method,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    app.read(move |app| {
        let signed_in = match asker.0.who() {
            Who::User(name) => Some(name.clone()),
            Who::Token { subject, .. } => Some(subject.clone()),
            _ => None,
        };
        let mut body = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "viewer": app.config.viewer_dir.as_ref().is_some_and(|dir| dir.join("index.html").is_file()),
            "light": app.config.web_dir.as_ref().is_some_and(|dir| dir.join("light/index.html").is_file()),
            "notForDiagnosis": !app.config.for_diagnosis,
            "signedIn": signed_in,
        });
        if asker.reach() == Reach::All {
            add_counts(&mut body, app.archive.stats()?);
        }
        Ok(Reply::new("application/json", body.to_string()).answer(&method, &headers))
    })
    .await
}

fn add_counts(body: &mut Value, stats: Stats) {
    let counts = json!({
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
    if let (Some(body), Value::Object(counts)) = (body.as_object_mut(), counts) {
        body.extend(counts);
    }
}

async fn openapi(method: Method, headers: HeaderMap) -> Response<Body> {
    match serde_json::to_vec(&api::description()) {
        Ok(text) => Reply::new("application/json", text).compressed(&headers).answer(&method, &headers),
        Err(error) => Problem::internal(error).into_response(),
    }
}
