//! The record to a receiver of syslog over TLS (RFC 5425). The files are the spool: how far they were sent stands beside them, and what
//! the receiver may not have got is sent again, so that a record may come twice and none is lost.

use super::book::Book;
use super::chain;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Between two tries to reach the receiver.
const AGAIN: Duration = Duration::from_secs(2);
/// What it did not refuse for so long counts as taken.
const TAKEN: Duration = Duration::from_secs(3);
/// Nothing on the line takes longer.
const LONGEST: Duration = Duration::from_secs(10);

/// Who receives.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Name of the machine, as in its certificate.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Certificates of those who sign its certificate, in PEM.
    pub authorities: PathBuf,
}

/// How far the files were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cursor {
    number: u64,
    offset: u64,
}

/// Sends the record, from now until its book is closed.
pub fn forward(book: &Arc<Book>, receiver: Receiver) -> io::Result<()> {
    let (config, folder, book) = (config(&receiver.authorities)?, book.folder().to_owned(), Arc::downgrade(book));
    let work = move || {
        while let Some(kept) = book.upgrade() {
            drop(kept);
            if let Err(error) = connected(&book, &folder, &receiver, &config) {
                tracing::warn!(host = %receiver.host, %error, "the receiver of the record of access is not reached; nothing is lost");
            }
            thread::sleep(AGAIN);
        }
    };
    thread::Builder::new().name("access-syslog".into()).spawn(work).map(drop)
}

fn config(authorities: &Path) -> io::Result<Arc<ClientConfig>> {
    let invalid = |e: String| io::Error::new(ErrorKind::InvalidData, e);
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_file_iter(authorities).map_err(|e| invalid(e.to_string()))? {
        roots.add(one.map_err(|e| invalid(e.to_string()))?).map_err(|e| invalid(e.to_string()))?;
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| invalid(e.to_string()))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Sends what was not sent, and what comes, until the line breaks.
fn connected(book: &Weak<Book>, folder: &Path, receiver: &Receiver, config: &Arc<ClientConfig>) -> io::Result<()> {
    let mut line = connect(receiver, config)?;
    let mut cursor = Cursor::read(folder);
    let (mut sent, mut seen) = (cursor, 0);
    let mut since: Option<Instant> = None;
    loop {
        let before = sent;
        sent = send(folder, sent, &mut line)?;
        if sent != before {
            line.flush()?;
            since = Some(Instant::now());
        }
        is_open(&mut line)?;
        if since.is_some_and(|since| since.elapsed() >= TAKEN) && sent != cursor {
            sent.write(folder)?;
            (cursor, since) = (sent, None);
        }
        let Some(kept) = book.upgrade() else { return Ok(()) };
        let longest = if sent == cursor { Duration::from_secs(1) } else { Duration::from_millis(200) };
        seen = kept.wait(seen, longest);
    }
}

fn connect(receiver: &Receiver, config: &Arc<ClientConfig>) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let invalid = |e: String| io::Error::new(ErrorKind::InvalidData, e);
    let address = (receiver.host.as_str(), receiver.port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::new(ErrorKind::NotFound, "it has no address"))?;
    let stream = TcpStream::connect_timeout(&address, LONGEST)?;
    stream.set_write_timeout(Some(LONGEST))?;
    stream.set_read_timeout(Some(LONGEST))?;
    let name = ServerName::try_from(receiver.host.clone()).map_err(|e| invalid(e.to_string()))?;
    let client = ClientConnection::new(config.clone(), name).map_err(|e| invalid(e.to_string()))?;
    let mut line = StreamOwned::new(client, stream);
    while line.conn.is_handshaking() {
        line.conn.complete_io(&mut line.sock)?;
    }
    Ok(line)
}

/// Sends the whole lines from here on; how far that is.
fn send(folder: &Path, from: Cursor, line: &mut impl Write) -> io::Result<Cursor> {
    let mut at = from;
    for (number, path) in chain::files(folder)? {
        if number < from.number {
            continue;
        }
        let offset = if number == from.number { from.offset } else { 0 };
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut lines = BufReader::new(file);
        at = Cursor { number, offset };
        while let Some(text) = chain::next_line(&mut lines)? {
            at.offset += text.len() as u64 + 1;
            // Frames go out by their length (RFC 5425 4.3); what a file begins with is none.
            if let Some((_, frame)) = text.split_once(' ').filter(|(_, frame)| *frame != "begins") {
                write!(line, "{} {frame}", frame.len())?;
            }
        }
    }
    Ok(at)
}

/// A receiver says nothing; one that has closed the line says so.
fn is_open(line: &mut StreamOwned<ClientConnection, TcpStream>) -> io::Result<()> {
    line.sock.set_nonblocking(true)?;
    let mut byte = [0];
    let said = line.read(&mut byte);
    line.sock.set_nonblocking(false)?;
    match said {
        Ok(0) => Err(io::Error::new(ErrorKind::ConnectionReset, "the receiver closed the line")),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

impl Cursor {
    const NAME: &'static str = "sent";

    fn read(folder: &Path) -> Cursor {
        let text = std::fs::read_to_string(folder.join(Cursor::NAME)).unwrap_or_default();
        let mut numbers = text.split_whitespace().map_while(|word| word.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(number), Some(offset)) => Cursor { number, offset },
            _ => Cursor::default(),
        }
    }

    fn write(self, folder: &Path) -> io::Result<()> {
        let next = folder.join("sent.next");
        let mut file = File::create(&next)?;
        writeln!(file, "{} {}", self.number, self.offset)?;
        file.sync_data()?;
        std::fs::rename(next, folder.join(Cursor::NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Kind};
    use super::*;
    use crate::identity::Who;

    #[test]
    fn frames_go_out_by_their_length_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::open(folder.path(), "host", None).unwrap();
        let note = |study: &str| {
            let who = Who::User("änne".into());
            book.note(Event { who, from: None, kind: Kind::Read, study: Some(study.into()) }, None);
        };
        note("1.1");
        note("1.2");
        let mut out = Vec::new();
        let at = send(folder.path(), Cursor::default(), &mut out).unwrap();
        let frames = frames(&out);
        assert_eq!(frames.len(), 2);
        assert!(frames.iter().all(|frame| frame.starts_with("<85>1 ") && frame.ends_with("</AuditMessage>")));
        at.write(folder.path()).unwrap();
        note("1.3");
        let mut more = Vec::new();
        send(folder.path(), Cursor::read(folder.path()), &mut more).unwrap();
        assert!(self::frames(&more).len() == 1 && String::from_utf8(more).unwrap().contains("\"1.3\""));
    }

    fn frames(mut bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
            let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
            all.push(String::from_utf8(bytes[space + 1..space + 1 + length].to_vec()).unwrap());
            bytes = &bytes[space + 1 + length..];
        }
        all
    }
}
