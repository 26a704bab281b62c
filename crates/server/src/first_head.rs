//! A connection that does not say what it wants is closed: its first head has to be whole within a time.
//!
//! The server looks at the first bytes to tell HTTP/1 from HTTP/2 before any limit of a protocol runs; this one does from the start.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream whose reads fail once the first head is late.
pub struct FirstHead<S> {
    stream: S,
    /// `None` when the head is there.
    late: Option<Pin<Box<Sleep>>>,
    end: HeadEnd,
}

impl<S> FirstHead<S> {
    /// Gives the head so long.
    pub fn within(time: Duration, stream: S) -> FirstHead<S> {
        FirstHead { stream, late: Some(Box::pin(tokio::time::sleep(time))), end: HeadEnd::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstHead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(late) = &mut self.late else { return read };
        match read {
            Poll::Pending => late.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
            Poll::Ready(done) => {
                let head_is_there = buffer.filled()[before..].iter().any(|byte| self.end.is_at(*byte));
                if head_is_there {
                    self.late = None;
                }
                Poll::Ready(done)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstHead<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }
}

/// Finds the empty line that ends a head (RFC 9112 2.1), also where lines end without CR; the preface of HTTP/2 has one too.
#[derive(Debug, Default)]
struct HeadEnd {
    something: bool,
    line_is_empty: bool,
}

impl HeadEnd {
    fn is_at(&mut self, byte: u8) -> bool {
        match byte {
            // Empty lines before the request are passed over (RFC 9112 2.2).
            b'\n' if self.line_is_empty && self.something => return true,
            b'\n' => self.line_is_empty = true,
            b'\r' => {}
            _ => (self.something, self.line_is_empty) = (true, false),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line() {
        let ends = |text: &str| {
            let mut end = HeadEnd::default();
            text.bytes().position(|byte| end.is_at(byte))
        };
        assert_eq!(ends("GET / HTTP/1.1\r\nHost: a\r\n\r\nmore"), Some(26));
        assert_eq!(ends("GET / HTTP/1.1\nHost: a\n\n"), Some(23));
        assert_eq!(ends("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Some(21));
        assert_eq!(ends("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Some(17));
        for unfinished in ["", "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: \r"] {
            assert_eq!(ends(unfinished), None, "{unfinished:?}");
        }
    }
}
