//! The bytes of a request on their way from the network to a thread that may block, a few pieces ahead.

use axum::body::Body;
use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use std::io::{self, Read};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel as queue};

/// Pieces that wait.
const AHEAD: usize = 4;
/// The next piece comes by then, or nobody waits for it any longer.
const IDLE: Duration = Duration::from_secs(30);
/// In each of these at least [`LEAST`] bytes come.
const WINDOW: Duration = Duration::from_secs(60);
const LEAST: u64 = 64 << 10;
/// So much is still taken from a client that is about to be told that its body can't be read: who sends does not listen.
const LEFT: u64 = 16 << 20;

/// Takes a part of a body that nobody wants, for the same reason.
pub async fn pass_over(body: Body) {
    let (feeder, reader) = channel();
    drop(reader);
    // However it ends, it was not wanted.
    let _ = feeder.feed(body).await;
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// Where the bytes are put in.
pub struct Feeder(Sender<Piece>);

/// Where they come out. The end of a body that did not come whole is an error.
pub struct BodyReader {
    pieces: Receiver<Piece>,
    now: Bytes,
    is_over: bool,
}

/// Both ends.
pub fn channel() -> (Feeder, BodyReader) {
    let (sender, receiver) = queue(AHEAD);
    (Feeder(sender), BodyReader { pieces: receiver, now: Bytes::new(), is_over: false })
}

impl Feeder {
    /// Hands the body over as it comes. Whether the client was too slow, where it did not come whole.
    pub async fn feed(self, body: Body) -> Result<(), bool> {
        let mut pieces = body.into_data_stream();
        let mut pace = Pace::new();
        let mut left = LEFT;
        let mut sender = Some(self.0);
        loop {
            let Ok(piece) = tokio::time::timeout(IDLE, pieces.next()).await else { return Err(true) };
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|_| false)?;
            if !pace.add(piece.len()) {
                return Err(true);
            }
            left = if sender.is_some() { LEFT } else { left.saturating_sub(piece.len() as u64) };
            if left == 0 {
                return Ok(());
            }
            if let Some(to) = &sender
                && to.send(Piece::Bytes(piece)).await.is_err()
            {
                sender = None;
            }
            pace.go_on();
        }
        if let Some(sender) = sender {
            // Who reads no more has what it needs.
            let _ = sender.send(Piece::End).await;
        }
        Ok(())
    }
}

/// Sees to it that a client sends and does not only hold its place. The time that the storage takes is not the client's.
struct Pace {
    since: Instant,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new() -> Pace {
        Pace { since: Instant::now(), waited: Duration::ZERO, bytes: 0 }
    }

    fn add(&mut self, bytes: usize) -> bool {
        self.waited += self.since.elapsed();
        self.bytes += bytes as u64;
        if self.waited < WINDOW {
            return true;
        }
        let enough = self.bytes >= LEAST;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        enough
    }

    fn go_on(&mut self) {
        self.since = Instant::now();
    }
}

impl Read for BodyReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() && !self.is_over {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.now = bytes,
                Some(Piece::End) => self.is_over = true,
                None => return Err(io::Error::other("the client went before the body was whole")),
            }
        }
        let count = self.now.len().min(buf.len());
        self.now.split_to(count).copy_to_slice(&mut buf[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn through(body: Body) -> io::Result<Vec<u8>> {
        let (feeder, mut reader) = channel();
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        let (_, read) = tokio::join!(feeder.feed(body), read);
        read.unwrap()
    }

    #[tokio::test]
    async fn a_whole_body_comes_through() {
        let pieces: Vec<Bytes> = (0..100u8).map(|n| Bytes::from(vec![n; usize::from(n) * 100])).collect();
        let whole = pieces.concat();
        let body = Body::from_stream(futures_util::stream::iter(pieces.into_iter().map(Ok::<_, io::Error>)));
        assert!(through(body).await.unwrap() == whole);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let pieces = vec![Ok(Bytes::from_static(b"begin")), Err(io::Error::other("gone"))];
        assert!(through(Body::from_stream(futures_util::stream::iter(pieces))).await.is_err());
    }

    #[tokio::test]
    async fn who_reads_no_more_does_not_stop_the_client_at_once() {
        let (feeder, reader) = channel();
        drop(reader);
        assert_eq!(feeder.feed(Body::from(vec![0; 1 << 20])).await, Ok(()));
    }
}
