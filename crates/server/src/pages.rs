//! Pages of our own: the start page with its files, and what stands in for a viewer that is not installed.

use crate::reply::Reply;
use crate::state::App;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use std::sync::Arc;

/// Only what is ours, nothing inline.
const OURS: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                    form-action 'self'; frame-ancestors 'none'";
/// The viewer builds code and workers as it runs; but nobody else may frame it.
const VIEWER: &str = "object-src 'self' blob:; base-uri 'self'; frame-ancestors 'self'";

/// The light page runs our decoder in a worker, and nothing that is not ours.
const LIGHT: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; \
                     img-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
                     frame-ancestors 'none'";

/// `/` and its files.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(|method, headers| async move { start(&method, &headers) }))
        .route(
            "/start.css",
            get(|method, headers| async move {
                asset("text/css; charset=utf-8", include_str!("../assets/start.css"), &method, &headers)
            }),
        )
        .route(
            "/start.js",
            get(|method, headers| async move {
                asset("text/javascript; charset=utf-8", include_str!("../assets/start.js"), &method, &headers)
            }),
        )
        .route(
            "/start.svg",
            get(|method, headers| async move {
                asset("image/svg+xml", include_str!("../assets/start.svg"), &method, &headers)
            }),
        )
        .route(
            "/status.css",
            get(|method, headers| async move {
                asset("text/css; charset=utf-8", include_str!("../assets/status.css"), &method, &headers)
            }),
        )
        .route(
            "/status.js",
            get(|method, headers| async move {
                asset("text/javascript; charset=utf-8", include_str!("../assets/status.js"), &method, &headers)
            }),
        )
}

fn start(method: &Method, headers: &HeaderMap) -> Response<Body> {
    page(include_str!("../assets/start.html"), method, headers)
}

/// The page for those who run the archive.
pub fn status(method: &Method, headers: &HeaderMap) -> Response<Body> {
    page(include_str!("../assets/status.html"), method, headers)
}

/// How to get a viewer, where there is none.
pub fn no_viewer(method: &Method, headers: &HeaderMap) -> Response<Body> {
    let mut response = page(include_str!("../assets/no-viewer.html"), method, headers);
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// The policy of the viewer's page.
pub fn viewer_policy(response: &mut Response<Body>) {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(VIEWER));
}

/// The policy of the light page.
pub fn light_policy(response: &mut Response<Body>) {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(LIGHT));
}

fn page(text: &'static str, method: &Method, headers: &HeaderMap) -> Response<Body> {
    made(text, method, headers)
}

/// A page that is made for who asks.
pub fn made(text: impl Into<Bytes>, method: &Method, headers: &HeaderMap) -> Response<Body> {
    let mut response = Reply::new("text/html; charset=utf-8", text).compressed(headers).answer(method, headers);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(OURS));
    response
}

/// A file of ours.
pub fn asset(content_type: &'static str, text: &'static str, method: &Method, headers: &HeaderMap) -> Response<Body> {
    Reply::new(content_type, text).compressed(headers).answer(method, headers)
}
