//! Consultation: people on one link see each other's image, pointer and marks.
//!
//! A session is a number of streams of server-sent events (HTML Living Standard 9.2) and a POST that all of them get. What is
//! posted is read into a fixed shape (`event`) and written anew: no pixels, no names, no words pass. `room` holds one session's
//! state, `stream` writes it to one participant. Nothing is stored: a session is gone when nobody is in it for a while.

mod event;
mod room;
mod rooms;
mod stream;

pub use rooms::Sessions;

use crate::error::{Answered, Problem};
use crate::state::App;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use serde_json::json;
use std::sync::Arc;

/// Bytes of a posted event.
const LARGEST: usize = 4 << 10;
/// The secret by which a participant is known.
const KEY: HeaderName = HeaderName::from_static("session-participant");

/// `/session` and what is below it.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/session", post(create))
        .route("/session/{id}/events", get(join).post(tell))
        // A little more than the largest event, so that we say ourselves what is too large.
        .layer(DefaultBodyLimit::max(2 * LARGEST))
}

async fn create(State(app): State<Arc<App>>) -> Answered<Response<Body>> {
    let id = app.sessions.create()?;
    let mut response = Response::new(Body::from(json!({ "session": id }).to_string()));
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn join(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Answered<Response<Body>> {
    Ok(stream::answer(app.sessions.seat(&id)?, &headers))
}

async fn tell(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answered<StatusCode> {
    let room = app.sessions.room(&id)?;
    let key = headers.get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    let participant = room.participant(key)?;
    if body.len() > LARGEST {
        return Err(Problem::bad_request("an event has 4096 bytes at most"));
    }
    let event = event::parse(&body).map_err(Problem::bad_request)?;
    room.tell(participant, event)?;
    Ok(StatusCode::NO_CONTENT)
}
