//! PDUs on the wire (PS3.8 9.3): what a head tells is checked before anything is allocated, and each PDU goes out in one write, so that
//! no answer waits for the acknowledgement of its own first half.

use crate::error::Error;
use crate::line::{Line, is_wait};
use crate::times::Times;
use dicom_ul::pdu::{AbortRQServiceProviderReason, AbortRQSource, Pdu, read_pdu, write_pdu};
use rustls::pki_types::CertificateDer;
use std::io::{ErrorKind, Read};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes of the longest A-ASSOCIATE PDU that is taken: 128 presentation contexts with some 60 transfer syntaxes each.
const LONGEST_NEGOTIATION: u32 = 256 << 10;
/// Bytes of a PDU's head.
pub const HEAD: usize = 6;

/// What came.
#[derive(Debug)]
pub enum Incoming {
    /// P-DATA-TF; its PDVs are in [`Wire::body`].
    Data,
    /// A-ASSOCIATE-RQ, -AC or -RJ.
    Negotiation(Pdu),
    /// A-RELEASE-RQ.
    ReleaseRequest,
    /// A-RELEASE-RP.
    ReleaseReply,
}

/// A connection that carries PDUs.
pub struct Wire {
    line: Line,
    body: Vec<u8>,
    len: usize,
    /// The most bytes of a P-DATA-TF that were promised to be taken.
    most: u32,
    times: Times,
    stop: Arc<AtomicBool>,
}

impl Wire {
    /// Takes a connection; P-DATA of up to `most` bytes are taken.
    pub fn new(line: Line, most: u32, times: Times, stop: Arc<AtomicBool>) -> Wire {
        Wire { line, body: Vec::new(), len: 0, most, times, stop }
    }

    /// The time limits.
    pub fn times(&self) -> Times {
        self.times
    }

    /// Where the other side is.
    pub fn peer_address(&self) -> Option<IpAddr> {
        self.line.tcp().peer_addr().ok().map(|address| address.ip().to_canonical())
    }

    /// Is it a line with TLS?
    pub fn is_secured(&self) -> bool {
        matches!(self.line, Line::Secured(_))
    }

    /// The certificate that the other side has shown.
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.line.certificate()
    }

    /// Is the program being stopped?
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The body of the last P-DATA-TF.
    pub fn body(&self) -> &[u8] {
        &self.body[..self.len]
    }

    /// Waits for the next PDU. `within`: a message has begun, so that a stop of the program lets it end.
    pub fn read(&mut self, wait: Duration, within: bool) -> Result<Incoming, Error> {
        let mut head = [0; HEAD];
        let stop = (!within).then_some(&*self.stop);
        fill(&mut self.line, &mut head[..1], wait, stop)?;
        fill(&mut self.line, &mut head[1..], self.times.pdu, None)?;
        let [kind, _, l0, l1, l2, l3] = head;
        let len = u32::from_be_bytes([l0, l1, l2, l3]);
        let (what, most) = match kind {
            0x01..=0x03 => ("an association PDU", LONGEST_NEGOTIATION),
            0x04 => ("a P-DATA-TF PDU", self.most),
            0x05..=0x07 => ("a release or abort PDU", 64),
            // An alert or a handshake (RFC 8446 5.1).
            0x15 | 0x16 if !self.is_secured() => return Err(Error::IsTls),
            _ => return Err(Error::Protocol("a PDU of a kind that is not known")),
        };
        if len > most {
            return Err(Error::TooLong { what, len: len.into(), most: most.into() });
        }
        self.len = len as usize;
        if self.body.len() < self.len {
            self.body.resize(self.len, 0);
        }
        fill(&mut self.line, &mut self.body[..self.len], self.times.pdu, None)?;
        match kind {
            0x01..=0x03 => Ok(Incoming::Negotiation(parse(&head, self.body())?)),
            0x04 => Ok(Incoming::Data),
            0x05 => Ok(Incoming::ReleaseRequest),
            0x06 => Ok(Incoming::ReleaseReply),
            _ => Err(Error::Aborted),
        }
    }

    /// Has the peer sent something that is not read yet?
    pub fn has_more(&mut self) -> Result<bool, Error> {
        Ok(self.line.has_more()?)
    }

    /// Writes bytes that are whole PDUs.
    pub fn write(&mut self, pdus: &[u8]) -> Result<(), Error> {
        match self.line.write(pdus) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(Error::TimedOut),
            other => Ok(other?),
        }
    }

    /// Writes a PDU that is not data.
    pub fn write_pdu(&mut self, pdu: &Pdu) -> Result<(), Error> {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).map_err(|_| Error::Protocol("a PDU of ours cannot be written"))?;
        self.write(&bytes)
    }

    /// Says that this association ends here (A-ABORT); whether it arrives does not matter.
    pub fn abort(&mut self, by_protocol: bool) {
        let source = match by_protocol {
            true => AbortRQSource::ServiceProvider(AbortRQServiceProviderReason::ReasonNotSpecified),
            false => AbortRQSource::ServiceUser,
        };
        let _ = self.write_pdu(&Pdu::AbortRQ { source });
    }

    /// Waits until the peer closes, as who requested the end of the connection does first (PS3.8 9.2.3).
    pub fn wait_for_end(&mut self) {
        self.line.end();
        let until = Instant::now() + self.times.negotiation.min(Duration::from_secs(2));
        let mut waste = [0; 256];
        while Instant::now() < until {
            match self.line.tcp().read(&mut waste) {
                Ok(1..) => {}
                Err(e) if is_wait(&e) => {}
                _ => return,
            }
        }
    }
}

/// Fills the buffer within `wait`, or until the program is being stopped.
fn fill(line: &mut Line, mut buf: &mut [u8], wait: Duration, stop: Option<&AtomicBool>) -> Result<(), Error> {
    let started = Instant::now();
    while !buf.is_empty() {
        match line.read(buf) {
            Ok(0) => return Err(Error::Closed),
            Ok(n) => {
                buf = &mut buf[n..];
                // One who sends a byte now and then is as bad as one who sends none.
                if !buf.is_empty() && started.elapsed() > wait {
                    return Err(Error::TimedOut);
                }
            }
            Err(e) if is_wait(&e) => {
                if stop.is_some_and(|stop| stop.load(Ordering::SeqCst)) {
                    return Err(Error::Stopped);
                }
                if started.elapsed() > wait {
                    return Err(Error::TimedOut);
                }
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return Err(Error::Closed),
            Err(e) if e.kind() == ErrorKind::InvalidData => return Err(Error::Tls(e.to_string())),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Reads an A-ASSOCIATE PDU. Should the parser fail on what came from outside, it is this connection alone that ends.
fn parse(head: &[u8; HEAD], body: &[u8]) -> Result<Pdu, Error> {
    let bytes = [head, body].concat();
    let parsed = catch_unwind(AssertUnwindSafe(|| read_pdu(&bytes[..], LONGEST_NEGOTIATION, true)));
    match parsed {
        Ok(Ok(Some(pdu))) => Ok(pdu),
        _ => Err(Error::Protocol("an association PDU that cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    /// Both ends of a connection.
    fn pair(most: u32) -> (TcpStream, Wire) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        let times = Times::default();
        (far, Wire::new(Line::plain(near, &times).unwrap(), most, times, Arc::default()))
    }

    #[test]
    fn a_forged_length_allocates_nothing() {
        for (kind, most) in [(1, LONGEST_NEGOTIATION), (4, 4096), (5, 64), (7, 64)] {
            let (mut far, mut wire) = pair(4096);
            let len = (most + 1).to_be_bytes();
            far.write_all(&[&[kind, 0][..], &len].concat()).unwrap();
            let error = wire.read(Duration::from_secs(5), false).unwrap_err();
            assert!(matches!(error, Error::TooLong { .. }), "{kind}: {error}");
            assert_eq!(wire.body.capacity(), 0);
        }
    }

    #[test]
    fn a_stop_ends_a_wait_between_messages_only() {
        let (mut far, mut wire) = pair(4096);
        wire.stop.store(true, Ordering::SeqCst);
        assert!(matches!(wire.read(Duration::from_secs(60), false), Err(Error::Stopped)));
        far.write_all(&[4, 0, 0, 0, 0, 2, 7, 8]).unwrap();
        assert!(matches!(wire.read(Duration::from_secs(60), true), Ok(Incoming::Data)));
        assert_eq!(wire.body(), [7, 8]);
    }

    proptest! {
        #[test]
        fn any_association_pdu_is_read_or_refused(kind in 1u8..4, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let head = [kind, 0, 0, 0, (bytes.len() >> 8) as u8, bytes.len() as u8];
            let _ = parse(&head, &bytes);
        }

        /// Whole requests with some bytes changed: these get deeper into the parser.
        #[test]
        fn a_damaged_request_is_read_or_refused(at in 68usize..260, with in any::<u8>(), cut in 0usize..40) {
            let mut body = request();
            let at = at.min(body.len() - 1);
            body[at] = with;
            body.truncate(body.len() - cut.min(body.len()));
            let head = [1, 0, 0, 0, (body.len() >> 8) as u8, body.len() as u8];
            let _ = parse(&head, &body);
        }
    }

    fn request() -> Vec<u8> {
        use dicom_ul::pdu::{AssociationRQ, PresentationContextProposed, RequestorRoles, UserVariableItem};
        let context = PresentationContextProposed {
            id: 1,
            abstract_syntax: "1.2.840.10008.1.1".into(),
            transfer_syntaxes: vec!["1.2.840.10008.1.2".into()],
        };
        let request = AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "A".into(),
            called_ae_title: "B".into(),
            application_context_name: "1.2.840.10008.3.1.1.1".into(),
            presentation_contexts: vec![context],
            user_variables: vec![
                UserVariableItem::MaxLength(16384),
                UserVariableItem::ScuScpRoleSelectionSubItem("1.2.3".into(), RequestorRoles { scu: true, scp: true }),
            ],
        };
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, &request.into()).unwrap();
        bytes.split_off(HEAD)
    }
}
