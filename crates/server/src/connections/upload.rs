//! The body of a request: it may be of any length, but it has to come.
//!
//! As Apache's `RequestReadTimeout` has it: some seconds to begin with, and one more for each 500 bytes. What the server itself takes its
//! time for is not counted.

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Time that a body has, and the most that it can have saved.
const TIME: Duration = Duration::from_secs(20);
/// Bytes that earn a second.
const RATE: u32 = 500;

/// A body whose sender has only so much time.
pub struct Upload {
    body: Body,
    /// The most that it can have saved.
    most: Duration,
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Upload {
    /// Gives the body its time.
    pub fn new(body: Body) -> Upload {
        Upload::within(TIME, body)
    }

    fn within(most: Duration, body: Body) -> Upload {
        Upload { body, most, left: most, waiting: None }
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some((since, _)) = this.waiting.take() {
                this.left = this.left.saturating_sub(since.elapsed());
            }
            let bytes = frame.iter().flatten().filter_map(|frame| frame.data_ref()).map(Bytes::len).sum::<usize>();
            let earned = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / RATE;
            this.left = (this.left + earned).min(this.most);
            return Poll::Ready(frame);
        }
        let left = this.left;
        let (_, over) = this.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        over.as_mut().poll(context).map(|()| {
            tracing::debug!("the body of a request came too slowly");
            Some(Err(axum::Error::new(io::Error::from(io::ErrorKind::TimedOut))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::BodyExt;

    /// A body of so many pieces, one after each pause, that has so much time.
    fn slow(time: Duration, piece: &'static [u8], count: usize, pause: Duration) -> Upload {
        let pieces = stream::unfold(count, move |left| async move {
            let next = left.checked_sub(1)?;
            sleep(pause).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(piece)), next))
        });
        Upload::within(time, Body::from_stream(pieces))
    }

    #[tokio::test]
    async fn slow_is_well_and_too_slow_is_not() {
        let [little, much] = [5, 3_600_000].map(Duration::from_millis);
        let earns = slow(TIME, &[0; 50_000], 20, little).collect().await;
        assert_eq!(earns.unwrap().to_bytes().len(), 1_000_000);
        assert!(slow(little * 10, &[0; 1], 100, little).collect().await.is_err(), "200 bytes a second");
        assert!(slow(little, &[0; 1 << 20], 2, much).collect().await.is_err(), "nothing for an hour");
    }
}
