//! The bytes of a connection, watched: when they come, and whether the client takes what it is sent.

use super::files::{self, Files, Stop, read_ahead};
use super::{Connections, Place, Seat};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};

/// Fewer bytes at once may be a frame of HTTP/2 that moves no answer, such as a ping.
const DATA: usize = 64;

/// A stream that tells its seat what passes, and sends files.
pub struct Wire {
    stream: TcpStream,
    seat: Arc<Seat>,
    connections: Arc<Connections>,
    files: Arc<Files>,
    /// Bytes that somebody fetches from the storage.
    fetching: Option<JoinHandle<io::Result<()>>>,
}

impl Wire {
    /// The stream of this seat.
    pub fn new(stream: TcpStream, place: &Place) -> Wire {
        let (seat, connections, files) = (place.seat.clone(), place.connections.clone(), place.files.clone());
        Wire { stream, seat, connections, files, fetching: None }
    }

    fn told(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            // Who waits for the storage is not slow.
            Poll::Pending if self.fetching.is_some() => {}
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

    /// Writes slices among which some stand for bytes of files.
    fn poll_files(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let mut look = true;
            if let Some(fetching) = &mut self.fetching {
                ready!(Pin::new(fetching).poll(context)).map_err(io::Error::other)??;
                // The storage may be short of memory: what was read is sent now, whatever is left of it there.
                (self.fetching, look) = (None, false);
            }
            ready!(self.stream.poll_write_ready(context))?;
            let mut absent = None;
            let written =
                self.stream.try_io(Interest::WRITABLE, || match self.files.write(&self.stream, slices, look) {
                    Ok(written) => Ok(written),
                    Err(Stop::Error(error)) => Err(error),
                    Err(Stop::NotInMemory(object, offset, len)) => {
                        absent = Some((object, offset, len));
                        Ok(0)
                    }
                });
            match (written, absent) {
                (_, Some((object, offset, len))) => {
                    self.fetching = Some(spawn_blocking(move || read_ahead(&object, offset, len)));
                }
                (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => {}
                (written, _) => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Wire {
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

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
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
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = if self.files.any() || pieces.iter().any(|slice| files::is_place(slice)) {
            self.poll_files(context, pieces)
        } else {
            Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
        };
        self.told(written)
    }
}
