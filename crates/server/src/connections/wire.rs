//! The bytes of a connection, watched: when they come, and whether the client takes what it is sent.

use super::{Connections, Place, Seat};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Fewer bytes at once may be a frame of HTTP/2 that moves no answer, such as a ping.
const DATA: usize = 64;

/// A stream that tells its seat what passes.
pub struct Wire<S> {
    stream: S,
    seat: Arc<Seat>,
    connections: Arc<Connections>,
}

impl<S> Wire<S> {
    /// The stream of this seat.
    pub fn new(stream: S, place: &Place) -> Wire<S> {
        Wire { stream, seat: place.seat.clone(), connections: place.connections.clone() }
    }

    fn told(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.seat.block(self.connections.now()),
            Poll::Ready(done) => {
                self.seat.unblock();
                if done.as_ref().is_ok_and(|bytes| *bytes >= DATA || !self.seat.is_multiplexed()) {
                    self.seat.touch(self.connections.now());
                }
            }
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before && self.seat.is_quiet() {
            self.seat.hear(self.connections.now());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.told(written)
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
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.told(written)
    }
}
