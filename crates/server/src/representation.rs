//! A representation: the fixed sequence of bytes behind a URL, in memory and in stored objects.
//!
//! A multipart body is one too: prefix, frame, suffix. Byte ranges are cut from the sequence and read from the object
//! where they lie; the whole is never put together.

use crate::buffers::{self, Buffer};
use crate::multipart;
use crate::range::{self, Wanted};
use crate::runs::{Run, Runs};
use crate::state::App;
use archive::{Archive, Instance, ObjectReader};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use rustix::io::{ReadWriteFlags, preadv2};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle};
use tracing::Span;
use transcode::{Outgoing, OutgoingForm};

/// Bytes read from an object at once.
const CHUNK: u64 = buffers::LENGTH as u64;
/// Fewer bytes than these are not worth a buffer that is kept for the next.
const LITTLE: usize = 64 << 10;
/// Fewer bytes than these are not worth being sent by the system: they are read.
const SENT: u64 = 8 << 10;

/// A stored object to read from.
#[derive(Clone)]
pub enum Object {
    /// Open already.
    Open(ObjectReader),
    /// The one object of what is known; opened by whoever answers.
    Known,
    /// Opened when its bytes are due: an answer may be made of thousands of objects.
    Later(Archive, Arc<Instance>),
    /// Made when its bytes are due.
    Made(Arc<Made>),
}

/// An instance in another form than it is stored in, made while it is sent.
pub struct Made {
    archive: Archive,
    instance: Arc<Instance>,
    form: OutgoingForm,
    /// Who makes something keeps a core busy.
    cores: Arc<Semaphore>,
    open: Mutex<Option<Outgoing>>,
}

impl Made {
    /// An instance in a form; `open`: where it is open already.
    pub fn new(app: &App, instance: &Arc<Instance>, form: OutgoingForm, open: Option<Outgoing>) -> Made {
        let (archive, cores) = (app.archive.clone(), app.cores.clone());
        Made { archive, instance: instance.clone(), form, cores, open: Mutex::new(open) }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let outgoing = match &mut *open {
            Some(outgoing) => outgoing,
            none => {
                let source = self.archive.source(&self.instance).map_err(io::Error::other)?;
                none.insert(Outgoing::new(source, self.form).map_err(io::Error::other)?)
            }
        };
        outgoing.read_at(offset, buffer).map_err(io::Error::other)
    }
}

impl Object {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Object::Open(reader) => reader.read_at(offset, buffer),
            Object::Known => Err(io::ErrorKind::NotFound.into()),
            Object::Later(archive, instance) => {
                archive.object(instance).map_err(io::Error::other)?.read_at(offset, buffer)
            }
            Object::Made(made) => made.read_at(offset, buffer),
        }
    }

    /// As [`Object::read_at`], without waiting for the storage; an error where that would be needed.
    fn read_now(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let wanted = buffer.len();
        let Object::Open(reader) = self else { return Err(io::ErrorKind::WouldBlock.into()) };
        let file = reader.local().ok_or(io::ErrorKind::WouldBlock)?;
        match preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT)? {
            read if read == wanted => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// May whoever reads wait for the storage?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Yes, it is on a thread for that.
    Waits,
    /// No: what is not in memory is an error.
    FromMemory,
}

impl Reading {
    fn read_at(self, object: &Object, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Reading::Waits => object.read_at(offset, buffer),
            Reading::FromMemory => object.read_now(offset, buffer),
        }
    }
}

/// A run of bytes of a representation.
#[derive(Clone)]
pub enum Segment {
    /// Bytes in memory.
    Memory(Bytes),
    /// `len` bytes of a stored object, from `offset`.
    Stored {
        /// The object.
        object: Object,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
}

impl Segment {
    /// Bytes of it.
    pub fn len(&self) -> u64 {
        match self {
            Segment::Memory(bytes) => bytes.len() as u64,
            Segment::Stored { len, .. } => *len,
        }
    }

    /// The bytes `range` of this segment.
    fn cut(&self, range: Range<u64>) -> Segment {
        match self {
            Segment::Memory(bytes) => Segment::Memory(bytes.slice(range.start as usize..range.end as usize)),
            Segment::Stored { object, offset, .. } => {
                Segment::Stored { object: object.clone(), offset: offset + range.start, len: range.end - range.start }
            }
        }
    }

    /// What to hold while it is read, where reading keeps a core busy.
    fn cores(&self) -> Option<Arc<Semaphore>> {
        match self {
            Segment::Stored { object: Object::Made(made), .. } => Some(made.cores.clone()),
            _ => None,
        }
    }

    /// Takes up to a chunk off the front and reads it. What could not be read is still there.
    pub fn read_front(&mut self) -> io::Result<Bytes> {
        self.take(Reading::Waits)
    }

    fn take(&mut self, reading: Reading) -> io::Result<Bytes> {
        match self {
            Segment::Memory(bytes) => Ok(bytes.split_to(bytes.len().min(CHUNK as usize))),
            Segment::Stored { object, offset, len } => {
                let take = (*len).min(CHUNK);
                let bytes = filled(take as usize, |buffer| reading.read_at(object, *offset, buffer))?;
                *offset += take;
                *len -= take;
                Ok(bytes)
            }
        }
    }

    /// As a run for a connection that sends files, where it is one.
    fn run(&self) -> Option<Run> {
        match self {
            Segment::Memory(bytes) => Some(Run::Memory(bytes.clone())),
            Segment::Stored { object: Object::Open(reader), offset, len } if *len > 0 && reader.local().is_some() => {
                Some(Run::File { object: reader.clone(), offset: *offset, len: *len })
            }
            Segment::Stored { .. } => None,
        }
    }
}

/// So many bytes, read by `fill`: much of it into a buffer that is used again.
fn filled(len: usize, fill: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Bytes> {
    if len > LITTLE {
        return Buffer::filled(len, fill);
    }
    let mut bytes = vec![0; len];
    fill(&mut bytes).map(|()| bytes.into())
}

/// A representation with what its headers say.
#[derive(Clone)]
pub struct Representation {
    /// Content-Type.
    pub content_type: String,
    /// Strong entity tag, with its quotes.
    pub etag: String,
    /// When what it is made of was stored, in seconds since 1970, where it is of one object.
    pub modified: Option<i64>,
    /// The bytes, in order.
    pub segments: Vec<Segment>,
}

impl Representation {
    /// Bytes of memory that it takes, about.
    pub fn weight(&self) -> usize {
        let of = |segment: &Segment| match segment {
            Segment::Memory(bytes) => size_of::<Segment>() + bytes.len(),
            Segment::Stored { .. } => size_of::<Segment>(),
        };
        self.content_type.len() + self.etag.len() + self.segments.iter().map(of).sum::<usize>()
    }

    /// Bytes of all segments.
    pub fn len(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    /// The segments of a byte range.
    fn slice(&self, range: &Range<u64>) -> VecDeque<Segment> {
        let mut start = 0;
        let mut out = VecDeque::new();
        for segment in &self.segments {
            let end = start + segment.len();
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                out.push_back(segment.cut(from - start..to - start));
            }
            start = end;
        }
        out
    }

    /// The same without its one object: what is kept of it keeps no file open.
    pub fn known(&self) -> Representation {
        let mut known = self.clone();
        known.put(&Object::Known);
        known
    }

    /// What is known, with its object.
    pub fn over(&self, reader: &ObjectReader) -> Representation {
        let mut whole = self.clone();
        whole.put(&Object::Open(reader.clone()));
        whole
    }

    fn put(&mut self, with: &Object) {
        for segment in &mut self.segments {
            if let Segment::Stored { object, .. } = segment {
                *object = with.clone();
            }
        }
    }

    /// Answers a GET or HEAD: 200, 206, 304, 412 or 416. Reads the first bytes of the answer: call it where that may block.
    pub fn answer(&self, method: &Method, headers: &HeaderMap) -> io::Result<Response<Body>> {
        self.answer_by(method, headers, Reading::Waits)
    }

    /// The same without waiting for the storage; an error where that would be needed.
    pub fn answer_from_memory(&self, method: &Method, headers: &HeaderMap) -> io::Result<Response<Body>> {
        self.answer_by(method, headers, Reading::FromMemory)
    }

    fn answer_by(&self, method: &Method, headers: &HeaderMap, reading: Reading) -> io::Result<Response<Body>> {
        let total = self.len();
        let wanted = range::wanted(method, headers, &self.etag, self.modified, total);
        let (status, part) = match wanted {
            Wanted::Whole => (StatusCode::OK, 0..total),
            Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Wanted::Parts(ranges) => return self.parts(&ranges, total, reading),
            Wanted::Changed => return Ok(self.bodiless(StatusCode::PRECONDITION_FAILED, total)),
            Wanted::Unsatisfiable => return Ok(self.bodiless(StatusCode::RANGE_NOT_SATISFIABLE, total)),
            Wanted::Held => return Ok(self.bodiless(StatusCode::NOT_MODIFIED, total)),
        };
        let mut response = match *method {
            Method::HEAD => Response::new(Body::empty()),
            _ => respond(self.slice(&part), reading)?,
        };
        *response.status_mut() = status;
        self.describe(response.headers_mut());
        response.headers_mut().insert(header::CONTENT_LENGTH, (part.end - part.start).into());
        response.headers_mut().insert(header::CONTENT_TYPE, text(&self.content_type));
        if status == StatusCode::PARTIAL_CONTENT {
            response.headers_mut().insert(header::CONTENT_RANGE, range::content_range(Some(&part), total));
        }
        Ok(response)
    }

    /// Several ranges, each a part that tells where it is from (RFC 9110 14.6).
    fn parts(&self, ranges: &[Range<u64>], total: u64, reading: Reading) -> io::Result<Response<Body>> {
        let boundary = multipart::boundary(&format!("{} {ranges:?}", self.etag));
        let (mut segments, mut line_end) = (VecDeque::new(), "");
        for range in ranges {
            let place = range::content_range(Some(range), total);
            let place = place.to_str().unwrap_or_default();
            let kind = &self.content_type;
            let head = format!("{line_end}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {place}\r\n\r\n");
            segments.push_back(Segment::Memory(head.into()));
            segments.extend(self.slice(range));
            line_end = "\r\n";
        }
        segments.push_back(Segment::Memory(format!("\r\n--{boundary}--\r\n").into()));
        let length: u64 = segments.iter().map(Segment::len).sum();
        let mut response = respond(segments, reading)?;
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        self.describe(response.headers_mut());
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        let kind = format!("multipart/byteranges; boundary={boundary}");
        response.headers_mut().insert(header::CONTENT_TYPE, text(&kind));
        Ok(response)
    }

    fn bodiless(&self, status: StatusCode, total: u64) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            response.headers_mut().insert(header::CONTENT_RANGE, range::content_range(None, total));
            response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        } else {
            self.describe(response.headers_mut());
        }
        response
    }

    fn describe(&self, headers: &mut HeaderMap) {
        headers.insert(header::ETAG, text(&self.etag));
        if let Some(date) = self.modified.and_then(range::last_modified) {
            headers.insert(header::LAST_MODIFIED, date);
        }
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        // Stored bytes may be swapped for converted ones at any time: keep, but ask.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

/// A response with segments as its body; what fits in one chunk is read now and sent as one piece, unless it is a file that the system can
/// send.
fn respond(segments: VecDeque<Segment>, reading: Reading) -> io::Result<Response<Body>> {
    let Some(runs) = runs(&segments) else { return body(segments, reading).map(Response::new) };
    // What can't be read must be known before the status is sent. What is asked for again was read before.
    if let (Reading::Waits, Some(Run::File { object, offset, .. })) = (reading, runs.0.iter().find(|run| run.is_file()))
    {
        object.read_at(*offset, &mut [0])?;
    }
    let mut response = Response::new(stream(segments));
    response.extensions_mut().insert(runs);
    Ok(response)
}

/// The segments as runs for a connection that sends files, where that is worth it.
fn runs(segments: &VecDeque<Segment>) -> Option<Runs> {
    let much = segments.iter().any(|segment| matches!(segment, Segment::Stored { len, .. } if *len >= SENT));
    if much { segments.iter().map(Segment::run).collect::<Option<Vec<_>>>().map(Runs) } else { None }
}

fn body(segments: VecDeque<Segment>, reading: Reading) -> io::Result<Body> {
    let total: u64 = segments.iter().map(Segment::len).sum();
    if total <= CHUNK {
        return filled(total as usize, |all| read_all(&segments, all, reading)).map(Body::from);
    }
    // An object that cannot be read must be known before the status is sent.
    let first = segments.iter().find(|segment| matches!(segment, Segment::Stored { .. }));
    if let Some(Segment::Stored { object, offset, .. }) = first {
        reading.read_at(object, *offset, &mut [0])?;
    }
    Ok(stream(segments))
}

/// Reads all segments, one after the other.
fn read_all(segments: &VecDeque<Segment>, mut to: &mut [u8], reading: Reading) -> io::Result<()> {
    for segment in segments {
        let (now, rest) = to.split_at_mut(segment.len() as usize);
        match segment {
            Segment::Memory(bytes) => now.copy_from_slice(bytes),
            Segment::Stored { object, offset, .. } => reading.read_at(object, *offset, now)?,
        }
        to = rest;
    }
    Ok(())
}

fn stream(segments: VecDeque<Segment>) -> Body {
    let left = segments.iter().map(Segment::len).sum();
    Body::new(Stream { left, segments, reading: None, request: Span::current() })
}

/// What was read, and where the next comes from.
type ReadFront = (io::Result<Bytes>, Segment);

/// A body that reads one chunk at a time: what is in memory at once, the rest on a thread that may wait for it.
struct Stream {
    /// Whose lines in the log are about this body, which outlives the handler.
    request: Span,
    left: u64,
    segments: VecDeque<Segment>,
    reading: Option<JoinHandle<Result<ReadFront, JoinError>>>,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let (read, rest) = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other)??;
                self.reading = None;
                if rest.len() > 0 {
                    self.segments.push_front(rest);
                }
                let bytes = read.inspect_err(|error| {
                    self.request.in_scope(|| tracing::error!(%error, "stored object cannot be read"));
                })?;
                self.left -= bytes.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match self.segments.pop_front() {
                None => return Poll::Ready(None),
                Some(Segment::Memory(bytes)) => {
                    self.left -= bytes.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(mut stored) => {
                    if let Ok(bytes) = stored.take(Reading::FromMemory) {
                        if stored.len() > 0 {
                            self.segments.push_front(stored);
                        }
                        self.left -= bytes.len() as u64;
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                    let span = self.request.clone();
                    self.reading = Some(tokio::spawn(async move {
                        let _core = match stored.cores() {
                            Some(cores) => cores.acquire_owned().await.ok(),
                            None => None,
                        };
                        tokio::task::spawn_blocking(move || span.in_scope(|| (stored.read_front(), stored))).await
                    }))
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn memory(pieces: &[&'static str]) -> Representation {
        Representation {
            content_type: "text/plain".into(),
            etag: "\"x\"".into(),
            modified: None,
            segments: pieces.iter().map(|p| Segment::Memory(Bytes::from_static(p.as_bytes()))).collect(),
        }
    }

    #[tokio::test]
    async fn any_cut_is_the_same_cut_of_the_whole() {
        let whole = "prefixframe bytessuffix";
        let representation = memory(&["prefix", "", "frame bytes", "suffix"]);
        for start in 0..whole.len() as u64 {
            for end in start + 1..=whole.len() as u64 {
                let mut segments = representation.slice(&(start..end));
                let small = body(segments.clone(), Reading::Waits).unwrap().collect().await.unwrap().to_bytes();
                segments.make_contiguous();
                let streamed = stream(segments).collect().await.unwrap().to_bytes();
                assert_eq!(small, whole.as_bytes()[start as usize..end as usize]);
                assert_eq!(small, streamed);
            }
        }
    }
}
