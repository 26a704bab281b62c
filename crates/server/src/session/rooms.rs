//! All sessions: how many there are, who may be in them, when they end.

use super::room::{Room, Seat};
use crate::error::{Answered, Problem};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Sessions at once.
const SESSIONS: usize = 64;
/// Participants of all sessions together: each stream holds some 300 kB where it is compressed.
const PARTICIPANTS: usize = 256;
/// A session that nobody is in for so long is over.
const IDLE: Duration = Duration::from_secs(600);
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

    pub(super) fn create(&self) -> Answered<String> {
        let mut rooms = self.lock();
        rooms.tidy();
        if rooms.closed || rooms.by_id.len() >= SESSIONS {
            return Err(Problem::full("there are too many sessions: one ends ten minutes after the last has left it"));
        }
        let id = secret()?;
        rooms.by_id.insert(id.clone(), Arc::default());
        Ok(id)
    }

    pub(super) fn room(&self, id: &str) -> Answered<Arc<Room>> {
        let mut rooms = self.lock();
        rooms.tidy();
        rooms.by_id.get(id).cloned().ok_or_else(|| Problem::not_found("session: it is over, or never was"))
    }

    pub(super) fn seat(&self, id: &str) -> Answered<Seat> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::room;
    use axum::http::StatusCode;

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
