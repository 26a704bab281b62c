//! The steps of a residue: each is a number that tells kind and size, what it needs follows. The whole is deflated.
//!
//! Places in the object only rise, so what a program can make is bounded by its own size and those of its two inputs.

use super::format::put_number;
use super::restore::RestoreError;
use dicom::error::{Error, Result};
use dicom::input::Input;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{BufReader, Read, Write};

/// What comes next of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// So many bytes of the program.
    Literal(u64),
    /// `skip` bytes of the object passed over, then `len` copied.
    Copy { skip: u64, len: u64 },
    /// `skip` bytes of the object passed over, then `count` elements of it in the original's encoding.
    Elements { skip: u64, count: u64 },
    /// So many bytes of the frames.
    Pixels(u64),
}

const LITERAL: u64 = 0;
const COPY: u64 = 1;
const ELEMENTS: u64 = 2;
const PIXELS: u64 = 3;

/// A step that may still grow; places are offsets in the object.
#[derive(Debug, Clone, Copy)]
enum Pending {
    Literal { from: u64 },
    Copy { from: u64, end: u64 },
    Elements { from: u64, end: u64, count: u64 },
    Pixels { len: u64 },
}

/// Writes a program; the source is covered from its first byte to its last.
pub(crate) struct ProgramWriter<'a> {
    source: &'a Input,
    out: DeflateEncoder<Vec<u8>>,
    len: u64,
    /// Bytes of the source that are covered.
    at: u64,
    /// Bytes of the object that are passed.
    cursor: u64,
    pending: Option<Pending>,
    /// Compressed bytes that are allowed.
    limit: u64,
}

impl<'a> ProgramWriter<'a> {
    pub(crate) fn new(source: &'a Input, limit: u64) -> Self {
        let out = DeflateEncoder::new(Vec::new(), Compression::new(6));
        ProgramWriter { source, out, len: 0, at: 0, cursor: 0, pending: None, limit }
    }

    /// Bytes of the source that are covered.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Can a step still begin at this place of the object?
    pub(crate) fn reaches(&self, place: u64) -> bool {
        let passed = match self.pending {
            Some(Pending::Copy { end, .. } | Pending::Elements { end, .. }) => end,
            _ => self.cursor,
        };
        place >= passed
    }

    /// Covers the source up to `end` by its own bytes; nothing when it is covered already.
    pub(crate) fn literal_to(&mut self, end: u64) -> Result<()> {
        if end > self.at {
            if !matches!(self.pending, Some(Pending::Literal { .. })) {
                self.flush()?;
                self.pending = Some(Pending::Literal { from: self.at });
            }
            self.at = end;
        }
        Ok(())
    }

    /// Covers `len` bytes of the source by those at `from` of the object.
    pub(crate) fn copy(&mut self, from: u64, len: u64) -> Result<()> {
        match &mut self.pending {
            Some(Pending::Copy { end, .. }) if *end == from => *end += len,
            _ => {
                self.flush()?;
                self.pending = Some(Pending::Copy { from, end: from + len });
            }
        }
        self.at += len;
        Ok(())
    }

    /// Covers `len` bytes of the source by the element at `from` to `end` of the object.
    pub(crate) fn element(&mut self, from: u64, to: u64, len: u64) -> Result<()> {
        match &mut self.pending {
            Some(Pending::Elements { end, count, .. }) if *end == from => (*end, *count) = (to, *count + 1),
            _ => {
                self.flush()?;
                self.pending = Some(Pending::Elements { from, end: to, count: 1 });
            }
        }
        self.at += len;
        Ok(())
    }

    /// Covers `len` bytes of the source by the next ones of the frames.
    pub(crate) fn pixels(&mut self, len: u64) -> Result<()> {
        match &mut self.pending {
            _ if len == 0 => return Ok(()),
            Some(Pending::Pixels { len: before }) => *before += len,
            _ => {
                self.flush()?;
                self.pending = Some(Pending::Pixels { len });
            }
        }
        self.at += len;
        Ok(())
    }

    /// The deflated program, and its bytes before that.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, u64)> {
        self.literal_to(self.source.len())?;
        self.flush()?;
        let program = self.out.finish()?;
        if program.len() as u64 > self.limit {
            return Err(too_large());
        }
        Ok((program, self.len))
    }

    fn flush(&mut self) -> Result<()> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        match pending {
            Pending::Literal { from } => {
                self.numbers(&[(self.at - from) << 2 | LITERAL])?;
                self.literal(from)
            }
            Pending::Copy { from, end } => self.place(from, end, (end - from) << 2 | COPY),
            Pending::Elements { from, end, count } => self.place(from, end, count << 2 | ELEMENTS),
            Pending::Pixels { len } => self.numbers(&[len << 2 | PIXELS]),
        }
    }

    fn place(&mut self, from: u64, end: u64, head: u64) -> Result<()> {
        let skip = from - self.cursor;
        self.cursor = end;
        self.numbers(&[head, skip])
    }

    fn literal(&mut self, from: u64) -> Result<()> {
        let (out, len, limit) = (&mut self.out, &mut self.len, self.limit);
        self.source.chunks(from, self.at - from, |bytes| {
            out.write_all(bytes)?;
            *len += bytes.len() as u64;
            if out.get_ref().len() as u64 > limit { Err(too_large()) } else { Ok(()) }
        })
    }

    fn numbers(&mut self, numbers: &[u64]) -> Result<()> {
        let mut bytes = Vec::with_capacity(20);
        numbers.iter().for_each(|number| put_number(&mut bytes, *number));
        self.len += bytes.len() as u64;
        Ok(self.out.write_all(&bytes)?)
    }
}

/// The error by which the maker knows that the residue is not small.
fn too_large() -> Error {
    Error::Limit("a residue".into())
}

/// Reads a program while it is inflated.
pub(crate) struct ProgramReader<'a> {
    bytes: BufReader<DeflateDecoder<&'a [u8]>>,
    left: u64,
}

impl<'a> ProgramReader<'a> {
    pub(crate) fn new(deflated: &'a [u8], len: u64) -> Self {
        ProgramReader { bytes: BufReader::new(DeflateDecoder::new(deflated)), left: len }
    }

    /// The next step; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Op>, RestoreError> {
        if self.left == 0 {
            return Ok(None);
        }
        let head = self.number()?;
        let size = head >> 2;
        if size == 0 {
            return Err(damaged("a step of nothing"));
        }
        Ok(Some(match head & 3 {
            LITERAL if size > self.left => return Err(damaged("literal bytes beyond its end")),
            LITERAL => Op::Literal(size),
            COPY => Op::Copy { skip: self.number()?, len: size },
            ELEMENTS => Op::Elements { skip: self.number()?, count: size },
            _ => Op::Pixels(size),
        }))
    }

    /// The next literal bytes.
    pub(crate) fn literal(&mut self, out: &mut [u8]) -> Result<(), RestoreError> {
        self.left = self.left.checked_sub(out.len() as u64).ok_or_else(|| damaged("it ends within a step"))?;
        self.bytes.read_exact(out).map_err(|_| damaged("its program can't be inflated"))
    }

    fn number(&mut self) -> Result<u64, RestoreError> {
        let mut number = 0u64;
        for shift in (0..63).step_by(7) {
            let mut byte = [0];
            self.literal(&mut byte)?;
            number |= u64::from(byte[0] & 0x7F) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damaged("a number that does not end"))
    }
}

fn damaged(what: &str) -> RestoreError {
    RestoreError::Damaged(what.to_owned())
}
