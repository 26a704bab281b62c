//! A connection under the PDUs: TCP, or TLS upon it (PS3.8 9.1, PS3.15 Annex B).

use crate::error::Error;
use crate::times::Times;
use crate::tls::{Acceptor, Requester};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, Connection, ServerConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a wait looks whether the program is being stopped.
const TICK: Duration = Duration::from_millis(250);
/// So long TLS may take to say that it ends; whether that arrives does not matter.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection. A read gives up after a moment (`WouldBlock`), so that who waits can look around.
pub enum Line {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS.
    Secured(Box<Secured>),
}

/// TLS on a connection.
pub struct Secured {
    tls: Connection,
    tcp: TcpStream,
}

impl Line {
    /// TCP alone.
    pub fn plain(tcp: TcpStream, times: &Times) -> Result<Line, Error> {
        prepare(&tcp, times)?;
        Ok(Line::Plain(tcp))
    }

    /// Answers a handshake.
    pub fn accepted(tcp: TcpStream, by: &Acceptor, times: &Times, stop: &AtomicBool) -> Result<Line, Error> {
        prepare(&tcp, times)?;
        let tls = ServerConnection::new(by.config()).map_err(|error| Error::Tls(error.to_string()))?;
        Secured { tls: tls.into(), tcp }.shaken(times.negotiation, stop)
    }

    /// Begins a handshake with whom its certificate says is at `host`.
    pub fn requested(
        tcp: TcpStream,
        by: &Requester,
        host: &str,
        times: &Times,
        stop: &AtomicBool,
    ) -> Result<Line, Error> {
        prepare(&tcp, times)?;
        let host = host.to_owned().try_into().map_err(|_| Error::Tls(format!("no certificate can be for {host}")))?;
        let tls = ClientConnection::new(by.config(), host).map_err(|error| Error::Tls(error.to_string()))?;
        Secured { tls: tls.into(), tcp }.shaken(times.negotiation, stop)
    }

    /// The connection below.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Line::Plain(tcp) => tcp,
            Line::Secured(secured) => &secured.tcp,
        }
    }

    /// The certificate that the other side has shown, and that was found good.
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Line::Plain(_) => None,
            Line::Secured(secured) => secured.tls.peer_certificates()?.first(),
        }
    }

    /// Has the other side sent something that is not read yet, or ended?
    pub fn has_more(&mut self) -> io::Result<bool> {
        self.tcp().set_nonblocking(true)?;
        let more = match self {
            Line::Plain(tcp) => tcp.peek(&mut [0]).map(|_| true),
            Line::Secured(secured) => secured.has_more(),
        };
        self.tcp().set_nonblocking(false)?;
        match more {
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            other => other,
        }
    }

    /// Writes all of it.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Line::Plain(tcp) => tcp.write_all(bytes),
            Line::Secured(secured) => secured.write(bytes),
        }
    }

    /// Says that nothing more will be written.
    pub fn end(&mut self) {
        if let Line::Secured(secured) = self {
            secured.farewell();
        }
        let _ = self.tcp().shutdown(Shutdown::Write);
    }
}

impl Read for Line {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Plain(tcp) => tcp.read(buf),
            Line::Secured(secured) => secured.read(buf),
        }
    }
}

fn prepare(tcp: &TcpStream, times: &Times) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(TICK))?;
    tcp.set_write_timeout(Some(times.pdu))
}

impl Secured {
    /// Goes through the handshake. One who sends a byte now and then is as bad as one who sends none.
    fn shaken(mut self, within: Duration, stop: &AtomicBool) -> Result<Line, Error> {
        let started = Instant::now();
        while self.tls.is_handshaking() || self.tls.wants_write() {
            if stop.load(Ordering::SeqCst) {
                return Err(Error::Stopped);
            }
            if started.elapsed() > within {
                return Err(Error::TimedOut);
            }
            if self.tls.wants_write() {
                self.flush()?;
                continue;
            }
            match self.tls.read_tls(&mut self.tcp) {
                Ok(0) => return Err(Error::Tls(ENDED.into())),
                Ok(_) => drop(self.taken().map_err(|error| Error::Tls(in_words(&error)))?),
                Err(e) if is_wait(&e) => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return Err(Error::Tls(ENDED.into())),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(Line::Secured(Box::new(self)))
    }

    /// Decrypts what was read; how many bytes can be taken. What is wrong is told to the other side too.
    fn taken(&mut self) -> Result<usize, rustls::Error> {
        match self.tls.process_new_packets() {
            Ok(state) => Ok(state.plaintext_bytes_to_read()),
            Err(error) => {
                let _ = self.flush();
                Err(error)
            }
        }
    }

    fn has_more(&mut self) -> io::Result<bool> {
        loop {
            if self.taken().map_err(wrong)? > 0 {
                return Ok(true);
            }
            if self.tls.read_tls(&mut self.tcp)? == 0 {
                return Ok(true);
            }
        }
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buf) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                // It ended without a word of TLS: what PDUs are whole is known without one.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.flush()?;
            self.tls.read_tls(&mut self.tcp)?;
            self.taken().map_err(wrong)?;
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.tls.writer().write(bytes)?;
            bytes = &bytes[taken..];
            self.flush()?;
        }
        Ok(())
    }

    /// Sends what is encrypted.
    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut self.tcp)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    fn farewell(&mut self) {
        let _ = self.tcp.set_write_timeout(Some(FAREWELL));
        self.tls.send_close_notify();
        let _ = self.flush();
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.farewell();
    }
}

/// Nothing came for now.
pub fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

const ENDED: &str = "the other side ended the handshake; perhaps it speaks no TLS on this port";

fn wrong(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, in_words(&error))
}

/// What went wrong, for who reads the log.
fn in_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => "the other side speaks no TLS, and this line is with TLS".to_owned(),
        rustls::Error::NoCertificatesPresented => "the other side shows no certificate".to_owned(),
        other => other.to_string(),
    }
}
