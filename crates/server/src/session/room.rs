//! One session: who is in it, what they see, and the channel that all of them hear.

use super::event::{Event, Mark, View};
use crate::error::{Answered, Problem};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// Participants of one session.
pub const PARTICIPANTS: usize = 50;
/// Marks of one session; the oldest goes for a new one.
const MARKS: usize = 200;
/// Events of one participant in a second, and at once.
const RATE: f64 = 40.0;
/// Events that wait for a slow reader; who is further behind is dropped, and finds the state when it comes back.
const WAITING: usize = 256;
/// A stream that took nothing for so long, while something is sent every 15 seconds, has nobody at its other end.
const SILENT: Duration = Duration::from_secs(60);

/// A session.
pub struct Room(Mutex<Inner>);

struct Inner {
    seats: BTreeMap<u32, Taken>,
    channel: Option<broadcast::Sender<Arc<str>>>,
    presenter: Option<u32>,
    view: Option<(u32, View)>,
    /// In the order in which they were drawn.
    marks: Vec<(u32, Mark)>,
    last_participant: u32,
    last_event: u64,
    empty_since: Instant,
}

/// What is known of a participant.
struct Taken {
    key: String,
    heard: Instant,
    /// Events it may still tell now.
    allowance: f64,
    counted: Instant,
}

/// A participant's place: it hears the others until this is dropped, and then has left.
pub struct Seat {
    room: Arc<Room>,
    participant: u32,
    receiver: broadcast::Receiver<Arc<str>>,
    /// What it is told first.
    greeting: Option<String>,
}

impl Default for Room {
    fn default() -> Room {
        Room(Mutex::new(Inner {
            seats: BTreeMap::new(),
            channel: Some(broadcast::Sender::new(WAITING)),
            presenter: None,
            view: None,
            marks: Vec::new(),
            last_participant: 0,
            last_event: 0,
            empty_since: Instant::now(),
        }))
    }
}

impl Room {
    /// Gives a place to a new participant, who is known by `key` from now on.
    pub fn join(self: &Arc<Room>, key: String) -> Answered<Seat> {
        let mut inner = self.lock();
        inner.drop_silent();
        if inner.seats.len() >= PARTICIPANTS {
            return Err(Problem::full("this session is full"));
        }
        let Some(channel) = inner.channel.clone() else { return Err(Problem::busy()) };
        let now = Instant::now();
        inner.last_participant += 1;
        let participant = inner.last_participant;
        inner.seats.insert(participant, Taken { key: key.clone(), heard: now, allowance: RATE, counted: now });
        inner.tell_participants();
        // After the others were told: the greeting says the same.
        let receiver = channel.subscribe();
        let greeting = Some(inner.greeting(participant, &key));
        drop(inner);
        Ok(Seat { room: self.clone(), participant, receiver, greeting })
    }

    /// Who has this key.
    pub fn participant(&self, key: &str) -> Answered<u32> {
        let inner = self.lock();
        let found = inner.seats.iter().find(|(_, taken)| taken.key == key);
        found
            .map(|(n, _)| *n)
            .ok_or_else(|| Problem::forbidden("only who listens to this session may tell it something"))
    }

    /// Takes an event of a participant, and tells it to all.
    pub fn tell(&self, from: u32, event: Event) -> Answered<()> {
        let mut inner = self.lock();
        inner.drop_silent();
        let now = Instant::now();
        let Some(taken) = inner.seats.get_mut(&from) else { return Err(Problem::not_found("participant")) };
        taken.allowance = (taken.allowance + (now - taken.counted).as_secs_f64() * RATE).min(RATE);
        taken.counted = now;
        if taken.allowance < 1.0 {
            return Err(Problem::too_often("40 events a second are enough"));
        }
        taken.allowance -= 1.0;
        match &event {
            // Who does not lead looks around alone.
            Event::View(_) if inner.presenter.is_some_and(|presenter| presenter != from) => return Ok(()),
            Event::View(view) => inner.view = Some((from, view.clone())),
            Event::Mark(mark) => inner.mark(from, mark),
            Event::Unmark(unmark) => inner.marks.retain(|(_, mark)| mark.id != unmark.id),
            Event::Presenter(presenter) => {
                if presenter.presenter.is_some_and(|n| !inner.seats.contains_key(&n)) {
                    return Err(Problem::bad_request("the presenter is a participant, or null"));
                }
                inner.presenter = presenter.presenter;
            }
            Event::Pointer(_) => {}
        }
        inner.send(event.name(), event.body(), Some(from));
        Ok(())
    }

    /// How many are in it.
    pub fn participants(&self) -> usize {
        self.lock().seats.len()
    }

    /// Since when nobody is in it.
    pub fn empty_since(&self) -> Option<Instant> {
        let mut inner = self.lock();
        inner.drop_silent();
        inner.seats.is_empty().then_some(inner.empty_since)
    }

    /// Ends all streams.
    pub fn close(&self) {
        self.lock().channel = None;
    }

    /// Lets it be empty for longer than it is.
    #[cfg(test)]
    pub fn age(&self, by: Duration) {
        self.lock().empty_since -= by;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Everything that a new participant must know.
    fn greeting(&mut self, participant: u32, key: &str) -> String {
        let hello = json!({
            "participant": participant,
            "key": key,
            "presenter": self.presenter,
            "participants": self.seats.keys().collect::<Vec<_>>(),
        });
        let mut text = self.written("hello", hello, None);
        if let Some((from, view)) = self.view.clone() {
            text += &self.written("view", Event::View(view).body(), Some(from));
        }
        for (from, mark) in self.marks.clone() {
            text += &self.written("mark", Event::Mark(mark).body(), Some(from));
        }
        text
    }

    fn mark(&mut self, from: u32, mark: &Mark) {
        match self.marks.iter_mut().find(|(_, drawn)| drawn.id == mark.id) {
            Some(drawn) => *drawn = (from, mark.clone()),
            None => self.marks.push((from, mark.clone())),
        }
        if self.marks.len() > MARKS {
            let (_, oldest) = self.marks.remove(0);
            self.send("unmark", json!({ "id": oldest.id }), Some(from));
        }
    }

    fn leave(&mut self, participant: u32) {
        if self.seats.remove(&participant).is_none() {
            return;
        }
        if self.presenter == Some(participant) {
            self.presenter = None;
        }
        self.empty_since = Instant::now();
        self.tell_participants();
    }

    fn drop_silent(&mut self) {
        let now = Instant::now();
        let silent: Vec<u32> =
            self.seats.iter().filter(|(_, taken)| now - taken.heard > SILENT).map(|(n, _)| *n).collect();
        silent.into_iter().for_each(|participant| self.leave(participant));
    }

    fn tell_participants(&mut self) {
        let all = json!({ "participants": self.seats.keys().collect::<Vec<_>>(), "presenter": self.presenter });
        self.send("participants", all, None);
    }

    fn send(&mut self, name: &str, body: Value, from: Option<u32>) {
        let text = self.written(name, body, from);
        if let Some(channel) = &self.channel {
            // Nobody listens yet: nobody is missed.
            let _ = channel.send(text.into());
        }
    }

    /// One event as it goes over the line (HTML Living Standard 9.2.6).
    fn written(&mut self, name: &str, mut body: Value, from: Option<u32>) -> String {
        if let Some(from) = from {
            body["from"] = from.into();
        }
        self.last_event += 1;
        format!("id:{}\nevent:{name}\ndata:{body}\n\n", self.last_event)
    }
}

impl Seat {
    /// What is to be told next; `None` when there will be no more: the session ended, or this reader is too slow.
    pub async fn next(&mut self) -> Option<String> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        let mut text = self.receiver.recv().await.ok()?.to_string();
        // What has come meanwhile goes with it.
        while let Ok(more) = self.receiver.try_recv() {
            text += &more;
        }
        Some(text)
    }

    /// The other end took something.
    pub fn is_heard(&self) {
        if let Some(taken) = self.room.lock().seats.get_mut(&self.participant) {
            taken.heard = Instant::now();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.lock().leave(self.participant);
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::parse;
    use super::*;
    use axum::http::StatusCode;

    fn mark(id: usize) -> Event {
        let mark = json!({"id": id.to_string(), "instance": "1.4", "frame": 1, "kind": "point", "points": [[1, 2]]});
        parse(json!({ "event": "mark", "data": mark }).to_string().as_bytes()).unwrap()
    }

    fn view(zoom: f64) -> Event {
        let view = json!({"study": "1.2", "series": "1.3", "instance": "1.4", "frame": 1, "zoom": zoom, "pan": [0, 0],
            "window": [40, 400], "inverted": false});
        parse(json!({ "event": "view", "data": view }).to_string().as_bytes()).unwrap()
    }

    fn present(who: Option<u32>) -> Event {
        parse(json!({"event": "presenter", "data": {"presenter": who}}).to_string().as_bytes()).unwrap()
    }

    fn join(room: &Arc<Room>) -> Seat {
        let key = format!("key {}", room.participants());
        room.join(key).unwrap()
    }

    /// Lets a second pass for the count of events.
    fn rest(room: &Room) {
        let earlier = Instant::now() - Duration::from_secs(1);
        room.lock().seats.values_mut().for_each(|taken| taken.counted = earlier);
    }

    #[tokio::test]
    async fn a_late_joiner_is_told_everything() {
        let room = Arc::<Room>::default();
        let mut first = join(&room);
        let hello = first.next().await.unwrap();
        assert!(hello.starts_with("id:2\nevent:hello\ndata:{"), "{hello}");
        room.tell(1, view(1.0)).unwrap();
        room.tell(1, view(2.0)).unwrap();
        (0..3).for_each(|id| room.tell(1, mark(id)).unwrap());
        room.tell(1, parse(br#"{"event": "unmark", "data": {"id": "1"}}"#).unwrap()).unwrap();
        room.tell(1, present(Some(1))).unwrap();
        let greeting = join(&room).next().await.unwrap();
        let names: Vec<_> = greeting.lines().filter_map(|line| line.strip_prefix("event:")).collect();
        assert_eq!(names, ["hello", "view", "mark", "mark"]);
        assert!(greeting.contains("\"participants\":[1,2],\"presenter\":1}"), "{greeting}");
        assert!(greeting.contains("\"zoom\":2.0") && !greeting.contains("\"zoom\":1.0"));
    }

    #[tokio::test]
    async fn only_the_presenter_leads() {
        let room = Arc::<Room>::default();
        let (mut one, two) = (join(&room), join(&room));
        one.next().await;
        room.tell(two.participant, view(1.0)).unwrap();
        room.tell(1, present(Some(1))).unwrap();
        room.tell(2, view(2.0)).unwrap();
        room.tell(2, mark(1)).unwrap();
        room.tell(1, view(3.0)).unwrap();
        assert_eq!(room.tell(1, present(Some(7))).unwrap_err().status(), StatusCode::BAD_REQUEST);
        let heard = one.next().await.unwrap();
        let zooms: Vec<_> = heard.split("\"zoom\":").skip(1).map(|rest| &rest[..3]).collect();
        assert_eq!(zooms, ["1.0", "3.0"]);
        assert!(heard.contains("event:mark"), "marks are everybody's");
        drop(one);
        room.tell(2, view(4.0)).unwrap();
        assert_eq!(room.lock().view.as_ref().map(|(from, _)| *from), Some(2), "who left leads no more");
    }

    #[tokio::test]
    async fn marks_and_events_are_bounded() {
        let room = Arc::<Room>::default();
        let seat = join(&room);
        for id in 0..MARKS + 3 {
            rest(&room);
            room.tell(seat.participant, mark(id)).unwrap();
        }
        assert_eq!(room.lock().marks.len(), MARKS);
        assert_eq!(room.lock().marks[0].1.id, "3");
        rest(&room);
        let taken = (0..100).filter(|_| room.tell(1, mark(7)).is_ok()).count();
        assert!((40..60).contains(&taken), "{taken}");
        assert_eq!(room.tell(1, mark(7)).unwrap_err().status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[tokio::test]
    async fn slow_readers_are_dropped() {
        let room = Arc::<Room>::default();
        let (mut slow, mut silent) = (join(&room), join(&room));
        assert!(slow.next().await.is_some() && silent.next().await.is_some());
        for n in 0..=WAITING {
            rest(&room);
            room.tell(1, view(n as f64)).unwrap();
        }
        assert!(slow.next().await.is_none(), "it missed something: it is to come back for the state");
        room.lock().seats.get_mut(&2).unwrap().heard -= SILENT;
        assert!(room.empty_since().is_none());
        assert_eq!(room.participants(), 1);
        assert_eq!(room.participant("key 1").unwrap_err().status(), StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn a_session_is_full_and_ends() {
        let room = Arc::<Room>::default();
        let mut seats: Vec<_> = (0..PARTICIPANTS).map(|_| join(&room)).collect();
        assert_eq!(room.join("another".into()).err().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        let mut last = seats.pop().unwrap();
        last.next().await;
        room.close();
        assert!(last.next().await.is_none() && room.join("another".into()).is_err());
        drop((seats, last));
        assert!(room.empty_since().is_some());
    }
}
