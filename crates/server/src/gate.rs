//! What every request passes, in and out.

use crate::access::{self, Admitted};
use crate::access_log::Named;
use crate::dicomweb::store;
use crate::error::{Problem, Told};
use crate::guard::{self, From};
use crate::metrics;
use crate::request_id::{self, RequestId};
use crate::state::App;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tower::ServiceExt;
use tracing::Instrument;

/// Longest target of a request.
const LONGEST_TARGET: usize = 16 << 10;
/// Largest body of a request that does not store.
const LARGEST_BODY: u64 = 1 << 20;

/// Why a frame is not given: its answer has no body.
const REASON: HeaderName = HeaderName::from_static("x-reason");

/// What stands at the gate.
#[derive(Clone)]
pub struct Gate {
    /// The state of the server.
    pub app: Arc<App>,
    /// The routes behind it.
    pub routes: Router,
}

/// Gives the request its id, by which the log and the client speak of it, and answers it.
pub async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response<Body> {
    let id = RequestId::next();
    // Of the least level that there is, so that every line of the request has it.
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let path = named(request.uri().path(), route);
    let span = tracing::error_span!("request", id = id.as_str(), path = path.as_str());
    let is_logged = gate.app.config.access_log.is_some();
    let mut response = answer(gate, request, next).instrument(span).await;
    if let Some(Told(message)) = response.extensions_mut().remove() {
        let body = format!("{message}\nrequest {}\n", id.as_str());
        response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
        *response.body_mut() = Body::from(body);
    }
    response.headers_mut().insert(request_id::HEADER, id.value());
    if is_logged {
        response.extensions_mut().insert(Named { id, path });
    }
    response
}

/// Checks, limits, answers, counts.
async fn answer(gate: Gate, request: Request, next: Next) -> Response<Body> {
    let app = gate.app.clone();
    let start = Instant::now();
    let _active = Active::new(&app.metrics.active);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let checked = app.guard.check(&request);
    let from = checked.as_ref().map_or(From::Here, From::clone);
    let mut route = matched.as_ref().map_or("other", |path| metrics::route_of(path.as_str()));
    if is_store(&request) {
        route = "store";
    }
    let mut response = match checked.and_then(|_| within_limits(&request)) {
        Err(problem) => {
            route = "rejected";
            let mut response = problem.into_response();
            // What follows on the connection may be the rest of what was refused.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
        Ok(()) => match guard::preflight(&request, &from) {
            Some(answer) => answer,
            // As long as its bytes come, and the storage has room.
            None if is_store(&request) => behind(gate, &from, request, next).await,
            None => in_time(&app, behind(gate, &from, request, next)).await,
        },
    };
    if is_pixels(&path) && (response.status().is_client_error() || response.status().is_server_error()) {
        empty(&mut response);
    }
    app.guard.finish(&from, &mut response);
    let length = response.body().size_hint().exact().unwrap_or(0);
    app.metrics.count(route, response.status().as_u16(), start.elapsed(), length);
    let (status, ms) = (response.status().as_u16(), start.elapsed().as_secs_f64() * 1e3);
    tracing::debug!(%method, status, ms, "answered");
    response
}

/// What is behind the gate, for who may come in.
async fn behind(gate: Gate, from: &From, request: Request, next: Next) -> Response<Body> {
    match access::admit(&gate.app, from, request).await {
        Admitted::On(request) => next.run(request).await,
        Admitted::Anew(request) => gate.routes.oneshot(request).await.unwrap_or_else(|never| match never {}),
        Admitted::Answered(response) => response,
    }
}

/// The path as the log may have it: words of ours and numbers. Anything else could be a name.
pub fn named(path: &str, route: Option<&str>) -> String {
    let Some(route) = route else { return "another path".into() };
    let is_number = |piece: &str| piece.bytes().all(|b| b.is_ascii_digit() || b".,".contains(&b));
    let mut known = route.split('/');
    let pieces = path.split('/').map(|piece| match known.next() {
        Some(word) if word == piece => piece,
        _ if is_number(piece) => piece,
        _ => "...",
    });
    pieces.collect::<Vec<_>>().join("/")
}

fn within_limits(request: &Request) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
    let coding = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let coding: Vec<_> = coding.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
    match () {
        // Who reads another framing than we do could slip a request past a proxy (RFC 9112 7.1 and 11.2).
        () if coding.len() > 1 || coding.iter().any(|c| !c.trim_ascii().eq_ignore_ascii_case(b"chunked")) => {
            Err(Problem::bad_request("the only transfer coding of a request is chunked, once"))
        }
        () if target > LONGEST_TARGET => Err(Problem::too_long()),
        () if length > LARGEST_BODY && !is_store(request) => Err(Problem::too_large()),
        () => Ok(()),
    }
}

fn is_store(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    store::is_store(request.method(), route)
}

async fn in_time(app: &App, answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    match tokio::time::timeout(app.config.request_timeout, answer).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!(seconds = app.config.request_timeout.as_secs(), "a request was given up: it took too long");
            Problem::busy().into_response()
        }
    }
}

/// Viewers append the body of any answer to the pixels they have: errors of frames have none.
fn is_pixels(path: &str) -> bool {
    path.starts_with("/dicom-web/")
        && path.contains("/frames")
        && !path.ends_with("/rendered")
        && !path.ends_with("/thumbnail")
}

fn empty(response: &mut Response<Body>) {
    *response.body_mut() = Body::empty();
    // The reason goes where no viewer takes it for pixels.
    let told = response.extensions_mut().remove::<Told>();
    if let Some(reason) =
        told.and_then(|Told(message)| HeaderValue::from_str(&message.escape_default().to_string()).ok())
    {
        response.headers_mut().insert(REASON, reason);
    }
    response.headers_mut().remove(header::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_LENGTH, 0.into());
    debug_assert_ne!(response.status(), StatusCode::OK);
}

/// Counts a request while it is being answered, even if it is given up.
struct Active<'a>(&'a AtomicU64);

impl<'a> Active<'a> {
    fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Relaxed);
        Active(counter)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_no_words_of_the_client() {
        let instances = Some("/dicom-web/studies/{study}/series/{series}/instances/{instance}/bulkdata/{*path}");
        let named = |path| named(path, instances);
        assert_eq!(
            named("/dicom-web/studies/1.2/series/3.4/instances/5"),
            "/dicom-web/studies/1.2/series/3.4/instances/5"
        );
        assert_eq!(
            named("/dicom-web/studies/Doe%5EJane/series/3.4/instances/5/bulkdata/x/y"),
            "/dicom-web/studies/.../series/3.4/instances/5/bulkdata/.../..."
        );
        assert_eq!(super::named("/Doe", None), "another path");
    }
}
