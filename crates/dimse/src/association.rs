//! An association that was agreed on: messages of a command set and a data set, in both directions (PS3.7 6.3, PS3.8 Annex E).

use crate::command::{self, Command, element, field};
use crate::error::Error;
use crate::wire::{HEAD, Incoming, Wire};
use dicom_ul::Pdu;
use std::io::{self, Read};
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

/// Bytes of a P-DATA-TF that is sent at most, whatever the peer takes.
const LARGEST_SENT: usize = 128 << 10;
/// Bytes of a PDV before its data: length, presentation context, control header.
const PDV_HEAD: usize = 6;
/// Bytes of a data set that is taken into memory: an identifier, never an instance.
pub const LONGEST_IDENTIFIER: usize = 4 << 20;

/// A presentation context that both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Its number.
    pub id: u8,
    /// The SOP class, or the service.
    pub abstract_syntax: String,
    /// The transfer syntax of its data sets.
    pub transfer_syntax: String,
    /// The requestor of the association may be the one that is asked (C-GET's sub-operations).
    pub requestor_is_scp: bool,
}

/// An association.
pub struct Association {
    pub(crate) wire: Wire,
    /// What was agreed on.
    pub contexts: Vec<Context>,
    /// AE title of who requested it.
    pub calling: String,
    /// The most bytes of a P-DATA-TF that the peer takes.
    peer_most: usize,
    /// What of the last P-DATA-TF is not taken yet.
    unread: Range<usize>,
    /// Where messages are put together.
    out: Vec<u8>,
    last_message: u16,
}

/// A fragment of a message, in the body of the last P-DATA-TF.
struct Pdv {
    context: u8,
    is_command: bool,
    is_last: bool,
    data: Range<usize>,
}

impl Association {
    /// An association on a wire. `peer_most`: bytes of a P-DATA-TF that the peer takes, 0 for any number.
    pub(crate) fn new(wire: Wire, contexts: Vec<Context>, calling: String, peer_most: u32) -> Self {
        let peer_most = if peer_most == 0 { LARGEST_SENT } else { (peer_most as usize).min(LARGEST_SENT) };
        let (unread, out) = (0..0, Vec::new());
        Association { wire, contexts, calling, peer_most, unread, out, last_message: 0 }
    }

    /// The context of this number.
    pub fn context(&self, id: u8) -> Option<&Context> {
        self.contexts.iter().find(|context| context.id == id)
    }

    /// A new Message ID.
    pub fn next_message(&mut self) -> u16 {
        self.last_message = self.last_message.wrapping_add(1).max(1);
        self.last_message
    }

    /// The next command and its presentation context; `None` when the peer asks to release the association, which is answered.
    pub fn next(&mut self) -> Result<Option<(Context, Command)>, Error> {
        self.next_command(false)
    }

    /// `within`: something is under way, which a stop of the program lets end.
    fn next_command(&mut self, within: bool) -> Result<Option<(Context, Command)>, Error> {
        let idle = self.wire.times().idle;
        let mut bytes = Vec::new();
        let mut context = None;
        loop {
            let Some(pdv) = self.pdv(idle, within || context.is_some())? else {
                return match context {
                    None => Ok(None),
                    Some(_) => Err(Error::Protocol("a release within a message")),
                };
            };
            if !pdv.is_command || context.is_some_and(|id| id != pdv.context) {
                return Err(Error::Protocol("a command set was due"));
            }
            context = Some(pdv.context);
            let data = &self.wire.body()[pdv.data];
            let len = bytes.len() + data.len();
            if len > command::LONGEST {
                return Err(Error::TooLong { what: "a command set", len: len as u64, most: command::LONGEST as u64 });
            }
            bytes.extend_from_slice(data);
            if pdv.is_last {
                break;
            }
        }
        let context = context.and_then(|id| self.context(id)).cloned();
        let context = context.ok_or(Error::Protocol("a presentation context that was not agreed on"))?;
        Ok(Some((context, Command::parse(&bytes)?)))
    }

    /// The data set that follows a command, as a stream.
    pub fn data(&mut self, context: u8) -> DataSet<'_> {
        DataSet { association: self, context, here: 0..0, ended: false, failed: None }
    }

    /// The data set that follows a command, when it is short; empty when none follows.
    pub fn short_data(&mut self, context: u8, command: &Command) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        if !command.has_data_set() {
            return Ok(bytes);
        }
        let mut data = self.data(context);
        let read = (&mut data).take(LONGEST_IDENTIFIER as u64 + 1).read_to_end(&mut bytes);
        data.finish()?;
        read?;
        match bytes.len() > LONGEST_IDENTIFIER {
            true => {
                Err(Error::TooLong { what: "a data set", len: bytes.len() as u64, most: LONGEST_IDENTIFIER as u64 })
            }
            false => Ok(bytes),
        }
    }

    /// Reads over the data set of a command, if it has one.
    pub fn skip_data(&mut self, context: u8, command: &Command) -> Result<(), Error> {
        match command.has_data_set() {
            true => self.data(context).finish(),
            false => Ok(()),
        }
    }

    /// Sends a command, and a data set with it if there is one, in one write.
    pub fn send(&mut self, context: u8, command: Command, data: Option<&[u8]>) -> Result<(), Error> {
        let command = if data.is_some() { command.with_data_set() } else { command };
        self.out.clear();
        let most = self.fragment()?;
        put_message(&mut self.out, most, context, true, &command.encode());
        if let Some(data) = data {
            put_message(&mut self.out, most, context, false, data);
        }
        let out = std::mem::take(&mut self.out);
        let written = self.wire.write(&out);
        self.out = out;
        self.out.shrink_to(2 * LARGEST_SENT);
        written
    }

    /// Sends a command and a data set that is read while it is sent. An error of the reader leaves the message unfinished: the
    /// association can only be aborted then.
    pub fn send_stream(&mut self, context: u8, command: Command, data: &mut dyn Read) -> Result<(), Error> {
        let most = self.fragment()?;
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        put_message(&mut out, most, context, true, &command.with_data_set().encode());
        // One byte more than is sent tells whether this was the last.
        let mut ahead = None;
        loop {
            let start = out.len() + HEAD + PDV_HEAD;
            out.resize(start, 0);
            out.extend(ahead.take());
            let room = most + 1 - (out.len() - start);
            (&mut *data).take(room as u64).read_to_end(&mut out).map_err(Error::Source)?;
            let is_last = out.len() - start <= most;
            if !is_last {
                ahead = out.pop();
            }
            let len = out.len() - start;
            out[start - HEAD - PDV_HEAD..start].copy_from_slice(&heads(len, context, false, is_last));
            self.wire.write(&out)?;
            out.clear();
            if is_last {
                self.out = out;
                return Ok(());
            }
        }
    }

    /// Waits for the response to a request of ours. A C-CANCEL for `of` that comes meanwhile is noted in `cancelled`. `within`: also
    /// while the program is being stopped.
    pub fn response(
        &mut self,
        message: u16,
        (of, cancelled): (u16, &mut bool),
        within: bool,
    ) -> Result<(Context, Command), Error> {
        loop {
            let Some((context, command)) = self.next_command(within)? else { return Err(Error::Closed) };
            match command.field() {
                field::CANCEL => *cancelled |= command.number(element::RESPONDED_TO) == Some(of),
                kind if kind & field::RESPONSE != 0 => {
                    if command.number(element::RESPONDED_TO) != Some(message) {
                        return Err(Error::Protocol("a response to something else"));
                    }
                    return Ok((context, command));
                }
                _ => return Err(Error::Protocol("a request while a response was due")),
            }
        }
    }

    /// Has a C-CANCEL for this request come? Does not wait. An error when the program is being stopped.
    pub fn is_cancelled(&mut self, message: u16) -> Result<bool, Error> {
        if self.wire.is_stopped() {
            return Err(Error::Stopped);
        }
        let mut cancelled = false;
        while !self.unread.is_empty() || self.wire.has_more()? {
            match self.next()? {
                Some((_, command)) if command.field() == field::CANCEL => {
                    cancelled |= command.number(element::RESPONDED_TO) == Some(message);
                }
                Some(_) => return Err(Error::Protocol("a request before the last one was answered")),
                None => return Err(Error::Closed),
            }
        }
        Ok(cancelled)
    }

    /// Where the other side is.
    pub fn peer_address(&self) -> Option<IpAddr> {
        self.wire.peer_address()
    }

    /// Releases an association that this side requested.
    pub fn release(mut self) -> Result<(), Error> {
        self.wire.write_pdu(&Pdu::ReleaseRQ)?;
        let wait = self.wire.times().negotiation;
        match self.wire.read(wait, true)? {
            Incoming::ReleaseReply => Ok(()),
            // Both at once (PS3.8 9.2.3).
            Incoming::ReleaseRequest => self.wire.write_pdu(&Pdu::ReleaseRP),
            _ => Err(Error::Protocol("no answer to a release")),
        }
    }

    /// Ends the association at once.
    pub fn abort(mut self, error: &Error) {
        self.wire.abort(matches!(error, Error::Protocol(_) | Error::TooLong { .. }));
    }

    fn fragment(&self) -> Result<usize, Error> {
        match self.peer_most.checked_sub(PDV_HEAD).map(|most| most & !1) {
            Some(most) if most > 0 => Ok(most),
            _ => Err(Error::Protocol("the peer takes no PDU that could hold anything")),
        }
    }

    /// The next fragment; `None` when the peer asks for the release.
    fn pdv(&mut self, wait: Duration, within: bool) -> Result<Option<Pdv>, Error> {
        while self.unread.is_empty() {
            match self.wire.read(wait, within)? {
                Incoming::Data => self.unread = 0..self.wire.body().len(),
                Incoming::ReleaseRequest => {
                    self.wire.write_pdu(&Pdu::ReleaseRP)?;
                    self.wire.wait_for_end();
                    return Ok(None);
                }
                _ => return Err(Error::Protocol("a PDU that does not belong here")),
            }
        }
        let body = &self.wire.body()[self.unread.clone()];
        let Some(([l0, l1, l2, l3, context, control], _)) = body.split_first_chunk::<PDV_HEAD>() else {
            return Err(Error::Protocol("a P-DATA-TF that ends within a PDV"));
        };
        let len = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
        let data = len.checked_sub(2).and_then(|len| body.get(PDV_HEAD..PDV_HEAD.checked_add(len)?));
        let Some(data) = data else { return Err(Error::Protocol("a PDV that goes beyond its PDU")) };
        let start = self.unread.start + PDV_HEAD;
        let end = start + data.len();
        let pdv = Pdv { context: *context, is_command: control & 1 != 0, is_last: control & 2 != 0, data: start..end };
        self.unread.start = end;
        Ok(Some(pdv))
    }
}

/// A data set while it comes in.
pub struct DataSet<'a> {
    association: &'a mut Association,
    context: u8,
    here: Range<usize>,
    ended: bool,
    failed: Option<Error>,
}

impl DataSet<'_> {
    /// Reads over what is left, so that the next message can be taken; tells what was wrong with the association.
    pub fn finish(mut self) -> Result<(), Error> {
        while self.failed.is_none() && self.more() {}
        self.failed.map_or(Ok(()), Err)
    }

    /// Goes to the next fragment; false at the end.
    fn more(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let wait = self.association.wire.times().pdu;
        match self.association.pdv(wait, true) {
            Ok(Some(pdv)) if !pdv.is_command && pdv.context == self.context => {
                (self.here, self.ended) = (pdv.data, pdv.is_last);
                true
            }
            Ok(Some(_)) => self.fail(Error::Protocol("a data set was due")),
            Ok(None) => self.fail(Error::Protocol("a release within a message")),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: Error) -> bool {
        (self.failed, self.ended, self.here) = (Some(error), true, 0..0);
        false
    }
}

impl Read for DataSet<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.here.is_empty() {
            if !self.more() {
                return match &self.failed {
                    None => Ok(0),
                    Some(_) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the association ended")),
                };
            }
        }
        let n = buf.len().min(self.here.len());
        buf[..n].copy_from_slice(&self.association.wire.body()[self.here.start..self.here.start + n]);
        self.here.start += n;
        Ok(n)
    }
}

/// Appends a command set or data set as P-DATA-TF PDUs of fragments of at most `most` bytes.
fn put_message(out: &mut Vec<u8>, most: usize, context: u8, is_command: bool, bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        let (now, later) = rest.split_at(rest.len().min(most));
        out.extend_from_slice(&heads(now.len(), context, is_command, later.is_empty()));
        out.extend_from_slice(now);
        rest = later;
        if rest.is_empty() {
            return;
        }
    }
}

/// The heads of a P-DATA-TF and of the one PDV in it.
fn heads(len: usize, context: u8, is_command: bool, is_last: bool) -> [u8; HEAD + PDV_HEAD] {
    let [p0, p1, p2, p3] = ((len + PDV_HEAD) as u32).to_be_bytes();
    let [v0, v1, v2, v3] = ((len + 2) as u32).to_be_bytes();
    [4, 0, p0, p1, p2, p3, v0, v1, v2, v3, context, u8::from(is_command) | u8::from(is_last) << 1]
}
