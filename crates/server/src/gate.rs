//! What every request passes, in and out.

use crate::error::Problem;
use crate::guard::{self, From};
use crate::metrics;
use crate::state::App;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Longest target of a request.
const LONGEST_TARGET: usize = 16 << 10;
/// Largest body of a request; nothing is stored over HTTP yet.
const LARGEST_BODY: u64 = 1 << 20;

/// Checks, limits, answers, counts.
pub async fn pass(State(app): State<Arc<App>>, request: Request, next: Next) -> Response<Body> {
    let start = Instant::now();
    let _active = Active::new(&app.metrics.active);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let checked = app.guard.check(&request);
    let from = checked.as_ref().map_or(From::Here, From::clone);
    let mut route = matched.as_ref().map_or("other", |path| metrics::route_of(path.as_str()));
    let mut response = match checked.and_then(|_| within_limits(&request)) {
        Err(problem) => {
            route = "rejected";
            problem.into_response()
        }
        Ok(()) => match guard::preflight(&request, &from) {
            Some(answer) => answer,
            None => in_time(&app, next.run(request)).await,
        },
    };
    if is_pixels(&path) && (response.status().is_client_error() || response.status().is_server_error()) {
        empty(&mut response);
    }
    app.guard.finish(&from, &mut response);
    let length = response.body().size_hint().exact().unwrap_or(0);
    app.metrics.count(route, response.status().as_u16(), start.elapsed(), length);
    tracing::debug!(%method, path, status = response.status().as_u16(), ms = start.elapsed().as_secs_f64() * 1e3, "answered");
    response
}

fn within_limits(request: &Request) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
    match () {
        () if target > LONGEST_TARGET => Err(Problem::too_long()),
        () if length > LARGEST_BODY => Err(Problem::too_large()),
        () => Ok(()),
    }
}

async fn in_time(app: &App, answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    match tokio::time::timeout(app.config.request_timeout, answer).await {
        Ok(response) => response,
        Err(_) => Problem::busy().into_response(),
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
