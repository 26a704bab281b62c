//! Consultation: people on one link see each other's image, pointer and marks.
//!
//! A session is a number of streams of server-sent events (HTML Living Standard 9.2) and a POST that all of them get. What is
//! posted is read into a fixed shape (`event`) and written anew: no pixels, no names, no words pass. `room` holds one session's
//! state, `stream` writes it to one participant. Nothing is stored: a session is gone when nobody is in it for a while.

mod event;
mod room;
mod stream;

use crate::error::{Answered, Problem};
use crate::state::App;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use room::Room;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Sessions at once.
const SESSIONS: usize = 64;
/// Participants of all sessions together: each stream holds some 300 kB where it is compressed.
const PARTICIPANTS: usize = 256;
/// A session that nobody is in for so long is over.
const IDLE: Duration = Duration::from_secs(600);
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

/// All sessions.
#[derive(Default)]
pub struct Sessions(Mutex<Rooms>);

#[derive(Default)]
struct Rooms {
    by_id: HashMap<String, Arc<Room>>,
    closed: bool,
}

impl Sessions {
    /// Ends all streams; there will be no others.
    pub fn close(&self) {
        let mut rooms = self.lock();
        rooms.closed = true;
        rooms.by_id.drain().for_each(|(_, room)| room.close());
    }

    fn create(&self) -> Answered<String> {
        let mut rooms = self.lock();
        rooms.tidy();
        if rooms.closed || rooms.by_id.len() >= SESSIONS {
            return Err(Problem::full("there are too many sessions: one ends ten minutes after the last has left it"));
        }
        let id = secret()?;
        rooms.by_id.insert(id.clone(), Arc::default());
        Ok(id)
    }

    fn room(&self, id: &str) -> Answered<Arc<Room>> {
        let mut rooms = self.lock();
        rooms.tidy();
        rooms.by_id.get(id).cloned().ok_or_else(|| Problem::not_found("session: it is over, or never was"))
    }

    fn seat(&self, id: &str) -> Answered<room::Seat> {
        let room = self.room(id)?;
        let taken: usize = self.lock().by_id.values().map(|room| room.participants()).sum();
        if taken >= PARTICIPANTS {
            return Err(Problem::full("there are too many participants in all sessions"));
        }
        room.join(secret()?)
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rooms {
    fn tidy(&mut self) {
        let now = Instant::now();
        self.by_id.retain(|_, room| room.empty_since().is_none_or(|since| now - since < IDLE));
    }
}

/// 128 random bits as 22 characters (RFC 4648 5).
fn secret() -> Answered<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Problem::internal)?;
    let bits = u128::from_be_bytes(bytes);
    // 21 digits of six bits, and the last two bits at the head of one more.
    let digit = |n: u32| if n < 21 { bits >> (122 - 6 * n) } else { bits << 4 };
    Ok((0..22).map(|n| char::from(DIGITS[(digit(n) & 63) as usize])).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let all: std::collections::HashSet<_> = (0..1000).map(|_| secret().unwrap()).collect();
        assert_eq!(all.len(), 1000);
        assert!(
            all.iter().all(|s| s.len() == 22 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
        );
        // Each place takes all of its digits: the bits are spread over the whole of it.
        let at = |n: usize| all.iter().map(|s| s.as_bytes()[n]).collect::<std::collections::HashSet<_>>().len();
        assert!((0..21).all(|n| at(n) == 64) && at(21) == 4);
    }

    #[test]
    fn sessions_are_bounded_and_end() {
        let sessions = Sessions::default();
        let ids: Vec<_> = (0..SESSIONS).map(|_| sessions.create().unwrap()).collect();
        assert_eq!(sessions.create().unwrap_err().status(), StatusCode::SERVICE_UNAVAILABLE);
        let seat = sessions.seat(&ids[0]).unwrap();
        for id in &ids {
            sessions.room(id).unwrap().age(IDLE);
        }
        assert!(sessions.room(&ids[0]).is_ok(), "somebody is in it");
        assert_eq!(sessions.room(&ids[1]).err().unwrap().status(), StatusCode::NOT_FOUND);
        sessions.create().unwrap();
        drop(seat);
        sessions.close();
        assert!(sessions.create().is_err() && sessions.seat(&ids[0]).is_err());
    }

    #[test]
    fn participants_are_bounded_in_all() {
        let sessions = Sessions::default();
        let ids: Vec<_> = (0..=PARTICIPANTS / room::PARTICIPANTS).map(|_| sessions.create().unwrap()).collect();
        let mut seats = Vec::new();
        for id in &ids {
            for _ in 0..room::PARTICIPANTS {
                match sessions.seat(id) {
                    Ok(seat) => seats.push(seat),
                    Err(problem) => assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE),
                }
            }
        }
        assert_eq!(seats.len(), PARTICIPANTS);
        seats.pop();
        assert!(sessions.seat(ids.last().unwrap()).is_ok());
    }
}
