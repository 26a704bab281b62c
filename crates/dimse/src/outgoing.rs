//! An object on its way to a peer: in the transfer syntax that it has where the peer takes that, else decoded.

use crate::association::{Association, Context};
use crate::command::{Command, element, field};
use crate::error::Error;
use crate::implicit::Implicit;
use crate::status;
use dicom::{Source, TransferSyntax};
use std::io::{self, Read};
use transcode::{Outgoing, OutgoingForm};

/// An object up to this size is made whole before it is sent, so that what can't be made is known while it can still be told. Of a
/// larger one as many bytes of frames are looked at; all of it where the association would end with it that others come on (C-GET).
const SMALL: u64 = 16 << 20;

/// What a peer must know of an object before it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// SOP Class UID.
    pub class: String,
    /// SOP Instance UID.
    pub instance: String,
    /// The transfer syntax it is stored in.
    pub transfer_syntax: String,
}

/// Who asked for an object with C-MOVE (PS3.7 9.1.1.1).
#[derive(Debug, Clone)]
pub struct Originator {
    /// Its AE title.
    pub title: String,
    /// The Message ID of its request.
    pub message: u16,
}

/// How an object was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is stored there; perhaps with a warning.
    Stored {
        /// The status was a warning.
        warning: bool,
    },
    /// The peer did not store it.
    Refused {
        /// The status.
        status: u16,
        /// The Error Comment.
        comment: String,
    },
    /// No context that the peer accepted can carry it, or it can't be decoded for one.
    Impossible(String),
}

/// The transfer syntaxes in which an object can go, best first.
pub fn ways(stored: &str) -> Vec<(&'static str, OutgoingForm)> {
    let mut ways = Vec::new();
    if stored == TransferSyntax::JPEG_XL_RECOMPRESSION {
        ways.push((TransferSyntax::JPEG_BASELINE, OutgoingForm::Jpeg));
    }
    ways.push((TransferSyntax::EXPLICIT_LITTLE, OutgoingForm::Explicit));
    ways.push((TransferSyntax::IMPLICIT_LITTLE, OutgoingForm::Explicit));
    ways
}

/// Sends an object and waits for the answer. Errors are those of the association. A C-CANCEL for `of` is noted in `cancelled`.
pub fn send(
    association: &mut Association,
    object: &Object,
    open: &dyn Fn() -> Result<Source, Error>,
    originator: Option<&Originator>,
    (of, cancelled): (u16, &mut bool),
    as_scp: bool,
) -> Result<Sent, Error> {
    let (context, mut data) = match prepare(association, object, open, as_scp) {
        Ok(ready) => ready,
        Err(why) => return Ok(Sent::Impossible(why)),
    };
    let message = association.next_message();
    let mut request = Command::request(field::STORE, &object.class, message)
        .with(element::PRIORITY, 0)
        .with_uid(element::AFFECTED_INSTANCE, &object.instance);
    if let Some(from) = originator {
        request = request.with_text(element::ORIGINATOR, &from.title).with(element::ORIGINATOR_ID, from.message);
    }
    association.send_stream(context.id, request, &mut *data)?;
    let (answered, response) = association.response(message, (of, cancelled), true)?;
    association.skip_data(answered.id, &response)?;
    let status = response.status();
    Ok(match status::is_done(status) {
        true => Sent::Stored { warning: status::is_warning(status) },
        false => Sent::Refused { status, comment: response.text(element::COMMENT) },
    })
}

type Ready = (Context, Box<dyn Read>);

/// The context that carries the object, and its data set as it goes there; or why there is none.
fn prepare(
    association: &Association,
    object: &Object,
    open: &dyn Fn() -> Result<Source, Error>,
    as_scp: bool,
) -> Result<Ready, String> {
    let of_class =
        |context: &&Context| context.abstract_syntax == object.class && (!as_scp || context.requestor_is_scp);
    let context = |syntax: &str| {
        let mut found = association.contexts.iter().filter(of_class).filter(|c| c.transfer_syntax == syntax);
        found.next().cloned()
    };
    let source = || open().map_err(|error| error.to_string());
    if let Some(context) = context(&object.transfer_syntax) {
        return Ok((context, stored(source()?).map_err(|error| error.to_string())?));
    }
    let mut reason = format!("the peer takes no {} as {} or uncompressed", object.class, object.transfer_syntax);
    for (syntax, form) in ways(&object.transfer_syntax) {
        let Some(context) = context(syntax) else { continue };
        match made(open, form, syntax == TransferSyntax::IMPLICIT_LITTLE, as_scp) {
            Ok(data) => return Ok((context, data)),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

/// The data set as it is stored.
fn stored(source: Source) -> io::Result<Box<dyn Read>> {
    let (input, range) = source.stored_data_set();
    let input = input.clone();
    let read = move |at: u64, buf: &mut [u8]| input.read_at(at, buf).map_err(io::Error::other);
    let len = range.end.saturating_sub(range.start);
    let part = Part { at: range.start, end: range.end, read };
    if len <= SMALL { whole(part, len) } else { Ok(Box::new(part)) }
}

/// The data set in another form. `checked`: it is looked at to its end before it is sent.
fn made(
    open: &dyn Fn() -> Result<Source, Error>,
    form: OutgoingForm,
    implicit: bool,
    checked: bool,
) -> Result<Box<dyn Read>, Error> {
    let mut outgoing = Outgoing::new(open()?, form)?;
    let (start, end) = (data_set_start(&mut outgoing)?, outgoing.len());
    let stream = |mut outgoing: Outgoing| -> Box<dyn Read> {
        let read = move |at: u64, buf: &mut [u8]| outgoing.read_at(at, buf).map_err(io::Error::other);
        let part = Part { at: start, end, read };
        if implicit { Box::new(Implicit::new(part, end - start)) } else { Box::new(part) }
    };
    if end - start <= SMALL {
        return whole(stream(outgoing), end - start).map_err(Error::Source);
    }
    if checked {
        io::copy(&mut stream(outgoing), &mut io::sink()).map_err(Error::Source)?;
        outgoing = Outgoing::new(open()?, form)?;
    } else {
        outgoing.check(SMALL)?;
    }
    Ok(stream(outgoing))
}

/// All that is read, about `len` bytes, in memory.
fn whole(mut read: impl Read, len: u64) -> io::Result<Box<dyn Read>> {
    let mut bytes = Vec::with_capacity(usize::try_from(len.min(SMALL)).unwrap_or(0));
    read.read_to_end(&mut bytes)?;
    Ok(Box::new(io::Cursor::new(bytes)))
}

/// Where the data set begins in a file: behind the group that tells its length first (PS3.10 7.1).
fn data_set_start(outgoing: &mut Outgoing) -> dicom::error::Result<u64> {
    let mut length = [0; 4];
    outgoing.read_at(140, &mut length)?;
    Ok(144 + u64::from(u32::from_le_bytes(length)))
}

/// A run of bytes that are read by their place.
struct Part<F> {
    at: u64,
    end: u64,
    read: F,
}

impl<F: FnMut(u64, &mut [u8]) -> io::Result<()>> Read for Part<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buf.len());
        (self.read)(self.at, &mut buf[..n])?;
        self.at += n as u64;
        Ok(n)
    }
}
