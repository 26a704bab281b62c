//! Answers of server-sent events (HTML Living Standard 9.2).

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, header};
use std::time::Duration;

/// Something is sent at least so often: proxies close what is silent, and who is gone is found out.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Asks nginx not to hold it back.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An answer that goes on.
pub fn answer(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    out.insert(UNBUFFERED, HeaderValue::from_static("no"));
    response
}
