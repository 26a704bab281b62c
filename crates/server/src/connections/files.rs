//! Files that the system sends to a connection itself (`sendfile`): their bytes never come into this process.
//!
//! HTTP/1.1 wants to write slices of memory. For a run of a file it gets slices of a [`PLACE`] that nobody reads or writes: they say how
//! many bytes come there, and when the connection is to write them, it knows them by their address and sends the file's instead. Whoever
//! else takes such a slice for bytes has to say that it took them before it can write them; then nothing of the connection is written any
//! more.

use super::busy::Busy;
use crate::runs::{Run, Runs};
use archive::ObjectReader;
use bytes::{Buf, Bytes};
use rustix::fs::sendfile;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that stand for those of a file; no memory is ever taken for them.
static PLACE: [u8; 1 << 20] = [0; 1 << 20];
/// Bytes that are read at once to get them from the storage.
const PIECE: usize = 256 << 10;

/// The runs of files that a connection has to send, in the order in which they are written.
#[derive(Default)]
pub struct Files {
    waiting: Mutex<VecDeque<Waiting>>,
    /// Is there none of them?
    some: AtomicBool,
    sent: AtomicU64,
    taken: AtomicU64,
}

struct Waiting {
    object: ObjectReader,
    offset: u64,
    left: u64,
}

/// Why a write did not go on.
pub enum Stop {
    /// The bytes of the file are not in memory: somebody who may wait for the storage has to read them first.
    NotInMemory(ObjectReader, u64, usize),
    /// As any write.
    Error(io::Error),
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Stop {
        Stop::Error(error.into())
    }
}

impl Files {
    /// Are some to be sent?
    pub fn any(&self) -> bool {
        self.some.load(Relaxed)
    }

    fn add(&self, run: &Run) {
        if let Run::File { object, offset, len } = run {
            self.waiting().push_back(Waiting { object: object.clone(), offset: *offset, left: *len });
            self.some.store(true, Relaxed);
        }
    }

    /// Writes slices to a socket, those of the place as what they stand for. `look`: ask before whether a file's bytes are in memory.
    /// Fewer bytes than all are written where the socket takes no more.
    pub fn write(&self, socket: impl AsFd, slices: &[IoSlice<'_>], look: bool) -> Result<usize, Stop> {
        if self.taken.load(Relaxed) > self.sent.load(Relaxed) {
            return Err(Stop::Error(io::Error::other("bytes of a file were taken by who cannot read them")));
        }
        let (mut rest, mut done) = (slices, 0);
        while !rest.is_empty() {
            let memory = rest.iter().take_while(|slice| !is_place(slice)).count();
            let (now, later) = rest.split_at(memory.max(1));
            let wanted: usize = now.iter().map(|slice| slice.len()).sum();
            let written = match memory {
                0 => self.send_front(&socket, wanted, look),
                _ => send(&socket, now, !later.is_empty()),
            };
            match written {
                Ok(written) if written == wanted => (done, rest) = (done + written, later),
                Ok(written) => return Ok(done + written),
                // What was written counts; the next call is told why it goes no further.
                Err(_) if done > 0 => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(done)
    }

    /// Sends of the file that is next.
    fn send_front(&self, socket: impl AsFd, most: usize, look: bool) -> Result<usize, Stop> {
        let mut waiting = self.waiting();
        let none = || Stop::Error(io::Error::other("a place without a file"));
        let front = waiting.front_mut().ok_or_else(none)?;
        let file = front.object.local().ok_or_else(none)?;
        let most = most.min(usize::try_from(front.left).unwrap_or(usize::MAX));
        if look && !is_in_memory(file, front.offset, most) {
            return Err(Stop::NotInMemory(front.object.clone(), front.offset, most));
        }
        let mut offset = front.offset;
        let sent = sendfile(socket, file, Some(&mut offset), most)?;
        if sent == 0 {
            return Err(Stop::Error(io::ErrorKind::UnexpectedEof.into()));
        }
        front.offset += sent as u64;
        front.left -= sent as u64;
        if front.left == 0 {
            waiting.pop_front();
            self.some.store(!waiting.is_empty(), Relaxed);
        }
        self.sent.fetch_add(sent as u64, Relaxed);
        Ok(sent)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what is in memory; `more`: it need not be sent before what follows.
fn send(socket: impl AsFd, slices: &[IoSlice<'_>], more: bool) -> Result<usize, Stop> {
    let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
    Ok(sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags)?)
}

/// Does a slice stand for bytes of a file?
pub fn is_place(slice: &[u8]) -> bool {
    PLACE.as_ptr_range().contains(&slice.as_ptr())
}

/// Are these bytes of a file in memory, as far as their ends tell? Where the system can't say, they are not.
fn is_in_memory(file: &File, offset: u64, len: usize) -> bool {
    let there = |at| {
        let mut byte = [0];
        preadv2(file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT).is_ok_and(|read| read == 1)
    };
    len > 0 && there(offset) && there(offset + len as u64 - 1)
}

/// Reads bytes of a file into the memory of the system. It waits for the storage.
pub fn read_ahead(object: &ObjectReader, offset: u64, len: usize) -> io::Result<()> {
    let file = object.local().ok_or(io::ErrorKind::Unsupported)?;
    let (mut at, end, mut buffer) = (offset, offset + len as u64, vec![0; PIECE.min(len)]);
    while at < end {
        let most = buffer.len().min((end - at) as usize);
        match file.read_at(&mut buffer[..most], at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => at += read as u64,
        }
    }
    Ok(())
}

/// What an answer hands to HTTP.
pub enum Piece {
    /// Memory.
    Memory(Bytes),
    /// Runs of which some are files.
    Sending(Sending),
}

/// What is left of runs that are being sent.
pub struct Sending {
    /// The connection's files, among them those of these runs.
    files: Arc<Files>,
    /// The first is what comes next.
    runs: VecDeque<Run>,
    /// Bytes of all.
    left: usize,
    /// The connection is busy until they are sent.
    busy: Option<Busy>,
}

impl Sending {
    /// Runs for a connection, whose files it sends from now on: whoever asks for this has to write it.
    pub fn new(runs: Runs, files: Arc<Files>, busy: Option<Busy>) -> Sending {
        let left = runs.0.iter().map(|run| run.len() as usize).sum();
        let runs: VecDeque<Run> = runs.0.into_iter().filter(|run| run.len() > 0).collect();
        runs.iter().for_each(|run| files.add(run));
        Sending { files, runs, left, busy }
    }

    fn chunk(&self) -> &[u8] {
        match self.runs.front() {
            None => &[],
            Some(Run::Memory(bytes)) => bytes,
            Some(Run::File { len, .. }) => place(*len),
        }
    }

    fn slices<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let mut slices = 0;
        for run in &self.runs {
            let mut left = run.len();
            while left > 0 && slices < out.len() {
                let slice = match run {
                    Run::Memory(bytes) => bytes,
                    Run::File { .. } => place(left),
                };
                out[slices] = IoSlice::new(slice);
                left -= slice.len() as u64;
                slices += 1;
            }
        }
        slices
    }

    fn advance(&mut self, mut count: usize) {
        self.left -= count;
        if let Some(busy) = &mut self.busy {
            busy.gave(count);
        }
        while let Some(front) = self.runs.front_mut().filter(|_| count > 0) {
            let now = count.min(usize::try_from(front.len()).unwrap_or(usize::MAX));
            match front {
                Run::Memory(bytes) => bytes.advance(now),
                Run::File { offset, len, .. } => {
                    (*offset, *len) = (*offset + now as u64, *len - now as u64);
                    self.files.taken.fetch_add(now as u64, Relaxed);
                }
            }
            count -= now;
            if front.len() == 0 {
                self.runs.pop_front();
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        // The next file would be taken for this one.
        if self.left > 0 {
            self.files.taken.store(u64::MAX, Relaxed);
        }
    }
}

/// The slice that stands for so many bytes of a file.
fn place(len: u64) -> &'static [u8] {
    &PLACE[..usize::try_from(len).unwrap_or(usize::MAX).min(PLACE.len())]
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        match self {
            Piece::Memory(bytes) => bytes.len(),
            Piece::Sending(sending) => sending.left,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Piece::Memory(bytes) => bytes,
            Piece::Sending(sending) => sending.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        match self {
            Piece::Memory(bytes) => bytes.chunks_vectored(out),
            Piece::Sending(sending) => sending.slices(out),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Piece::Memory(bytes) => bytes.advance(count),
            Piece::Sending(sending) => sending.advance(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::{Archive, Options, Query, QueryLevel};
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    /// A stored object.
    fn object(folder: &tempfile::TempDir) -> (ObjectReader, Vec<u8>) {
        let (archive, bytes) = (Archive::open(folder.path(), Options::default()).unwrap(), testkit::image());
        archive.ingest_bytes(&bytes).unwrap();
        let found = archive.find(QueryLevel::Instance, &Query::default()).unwrap().rows.pop().unwrap();
        let uid = |tag: &str| found[tag]["Value"][0].as_str().unwrap().to_owned();
        let instance = archive.instance(&uid("0020000D"), &uid("0020000E"), &uid("00080018")).unwrap().unwrap();
        (archive.object(&instance).unwrap(), bytes)
    }

    fn runs(object: &ObjectReader) -> Runs {
        let file = |offset, len| Run::File { object: object.clone(), offset, len };
        let memory = |text: &'static str| Run::Memory(Bytes::from_static(text.as_bytes()));
        Runs(vec![memory("head"), file(0, object.size()), memory(""), memory("middle"), file(100, 7), memory("tail")])
    }

    fn write(piece: &Piece, files: &Files, socket: &UnixStream) -> Result<usize, Stop> {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = piece.chunks_vectored(&mut slices);
        files.write(socket, &slices[..count], false)
    }

    #[test]
    fn what_stands_for_a_file_is_the_file_on_the_wire() {
        let folder = tempfile::TempDir::new().unwrap();
        let (object, bytes) = object(&folder);
        let (socket, mut other) = UnixStream::pair().unwrap();
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            other.read_to_end(&mut all).map(|_| all)
        });
        let files = Arc::new(Files::default());
        let mut pieces: VecDeque<Piece> =
            (0..3).map(|_| Piece::Sending(Sending::new(runs(&object), files.clone(), None))).collect();
        while let Some(piece) = pieces.front_mut() {
            let written = write(piece, &files, &socket).unwrap_or_else(|_| panic!("written"));
            piece.advance(written);
            if !piece.has_remaining() {
                pieces.pop_front();
            }
        }
        drop(socket);
        let one = [b"head", &bytes[..], b"middle", &bytes[100..107], b"tail"].concat();
        assert!(!files.any() && reader.join().unwrap().unwrap() == one.repeat(3));
    }

    #[test]
    fn who_takes_what_stands_for_a_file_for_bytes_writes_nothing() {
        let folder = tempfile::TempDir::new().unwrap();
        let (object, _) = object(&folder);
        let (socket, _other) = UnixStream::pair().unwrap();
        let files = Arc::new(Files::default());
        let mut copied = Piece::Sending(Sending::new(runs(&object), files.clone(), None));
        copied.copy_to_bytes(5);
        assert!(write(&Piece::Memory("any".into()), &files, &socket).is_err());
        let files = Arc::new(Files::default());
        drop(Piece::Sending(Sending::new(runs(&object), files.clone(), None)));
        assert!(write(&Piece::Memory("any".into()), &files, &socket).is_err());
        let stray = Piece::Memory(Bytes::from_static(place(10)));
        assert!(write(&stray, &Files::default(), &socket).is_err(), "a place without a file");
    }
}
