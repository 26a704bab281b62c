//! What is new on its way to one listener.

use super::follow::Seat;
use super::page::{self, Page};
use crate::event_stream;
use crate::state::App;
use access::Identity;
use axum::body::{Body, Bytes};
use axum::http::Response;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Changes that are read for a listener at once.
const PAGE: usize = 100;
/// A stream ends after this, and its client comes again by itself: so who it is, and what it may see, is decided anew.
const LIFE: Duration = Duration::from_secs(300);
/// A client that lost its stream comes again after so many milliseconds.
const RETRY: u32 = 2000;

/// The answer, which goes on as long as its client reads it.
pub fn answer(app: Arc<App>, asker: Arc<Identity>, from: i64, seat: Seat) -> Response<Body> {
    let line = Line { app, asker, seat, heard: from, until: Instant::now() + LIFE, begun: false };
    event_stream::answer(Body::from_stream(futures_util::stream::unfold(line, Line::send)))
}

struct Line {
    app: Arc<App>,
    asker: Arc<Identity>,
    seat: Seat,
    /// The number up to which all was told, or was not to be told.
    heard: i64,
    until: Instant,
    begun: bool,
}

impl Line {
    /// Asked for whenever the line has room for more: nothing is read before that.
    async fn send(mut self) -> Option<(io::Result<Bytes>, Line)> {
        let text = self.next().await?;
        Some((Ok(text.into()), self))
    }

    async fn next(&mut self) -> Option<String> {
        if !self.begun {
            self.begun = true;
            return Some(format!("retry: {RETRY}\nid: {}\n\n", self.heard));
        }
        while Instant::now() < self.until {
            if self.seat.last()? > self.heard {
                let page = self.read().await?;
                self.heard = page.next;
                if !page.changes.is_empty() {
                    return Some(text(&page));
                }
            } else if tokio::time::timeout(event_stream::KEEP_ALIVE, self.seat.changed()).await.is_err() {
                // Where it would go on from, which an event without data only tells.
                return Some(format!("id: {}\n\n", self.heard));
            }
        }
        None
    }

    /// The next page; `None` where it can't be read: the client comes again.
    async fn read(&self) -> Option<Page> {
        let (asker, heard) = (self.asker.clone(), self.heard);
        let page = self.app.read(move |app| page::of(app, &asker, heard, PAGE)).await;
        page.inspect_err(|problem| tracing::warn!(reason = problem.message(), "changes are not told")).ok()
    }
}

fn text(page: &Page) -> String {
    page.changes.iter().fold(String::new(), |mut text, told| {
        let _ = write!(text, "id: {}\nevent: {}\ndata: {}\n\n", told.number(), told.kind(), told.json());
        text
    })
}
