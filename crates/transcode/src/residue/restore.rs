//! Runs the program of a residue: the received file comes out, its SHA-256 is compared. Memory is bounded by one frame.

use super::Residue;
use super::element::step;
use super::format::Origin;
use super::program::{Op, ProgramReader};
use super::window::Window;
use crate::decode::{Codecs, Decode, DecodeWith};
use crate::overlay;
use dicom::data_set::DataSet;
use dicom::error::Error;
use dicom::source::Source;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::{self, Write};

/// Literal bytes taken at once.
const CHUNK: u64 = 64 * 1024;
/// More than deflate can compress.
const MAX_RATIO: u64 = 1100;

/// Why a file can't be restored. What was written by then is not the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The bytes are no residue at all.
    #[error("it is not a residue")]
    NotAResidue,
    /// Made by a newer version of this program.
    #[error("the residue is of version {0}, which this program does not know")]
    Version(u8),
    /// The residue is damaged.
    #[error("the residue is damaged: {0}")]
    Damaged(String),
    /// The object is not the one that the residue was made for.
    #[error("the object was changed, or the residue belongs to another: its SHA-256 is {found}, not {wanted}")]
    OtherObject {
        /// SHA-256 of the object, hexadecimal.
        found: String,
        /// SHA-256 that the residue names.
        wanted: String,
    },
    /// The restored bytes are not those that came in.
    #[error("the restored bytes do not have the SHA-256 of the original")]
    Different,
    /// The object can't be read or decoded.
    #[error(transparent)]
    Object(#[from] Error),
    /// What was restored can't be written.
    #[error("writing the restored bytes failed: {0}")]
    Write(io::Error),
}

impl Residue {
    /// Writes the received file to `out`, byte for byte. The object is compared with the residue before the first byte is
    /// written, the SHA-256 of what was written after the last: on an error the bytes in `out` are of no use.
    pub fn restore(&self, object: &Source, out: &mut dyn Write) -> Result<(), RestoreError> {
        let (found, wanted) = (object.sha256()?, self.converted_sha256());
        if found != wanted {
            return Err(RestoreError::OtherObject { found, wanted });
        }
        let pixels = object.facts().frame_bytes().saturating_mul(object.facts().frames.into());
        let most = (self.bytes.len() as u64).saturating_mul(MAX_RATIO).saturating_add(2 * object.len());
        if self.header.original_len > most.saturating_add(pixels) {
            return Err(RestoreError::Damaged(format!("{} bytes can't come out of it", self.header.original_len)));
        }
        let mut restorer = Restorer::new(self, object, Check::default(), out);
        let (mut codecs, mut frame) = (Codecs::default(), Vec::new());
        for n in 0..object.frames().len() as u32 {
            if !restorer.wants_pixels()? {
                break;
            }
            match self.header.origin {
                Origin::Samples(_) => object.decode_with(n, &mut codecs, &mut frame)?,
                Origin::Jpeg => frame = object.jpeg_frame(n)?,
            }
            restorer.frame(&frame)?;
        }
        restorer.finish()?.flush().map_err(RestoreError::Write)
    }
}

/// A program at work: frames are put in one after the other, the original comes out.
pub(crate) struct Restorer<'a, W> {
    residue: &'a Residue,
    program: ProgramReader<'a>,
    object: Window<'a>,
    set: &'a DataSet,
    samples: usize,
    /// Bytes of the object that are passed.
    cursor: u64,
    /// Bytes of the original that are still to come.
    left: u64,
    /// Bytes of the frames that the step at hand still takes.
    pixels: u64,
    /// A byte that waits for its partner in the next frame.
    odd: Option<u8>,
    check: Check<'a>,
    out: W,
}

/// How what is restored is known to be the original.
#[derive(Debug)]
pub(crate) enum Check<'a> {
    /// By its SHA-256.
    Hash(Sha256),
    /// Byte for byte: the original is at hand.
    Bytes(&'a [u8]),
}

impl Default for Check<'_> {
    fn default() -> Self {
        Check::Hash(Sha256::new())
    }
}

impl<'a, W: Write> Restorer<'a, W> {
    pub(crate) fn new(residue: &'a Residue, object: &'a Source, check: Check<'a>, out: W) -> Self {
        let header = &residue.header;
        Restorer {
            residue,
            program: ProgramReader::new(&residue.bytes[header.program.0..header.program.1], header.program_len),
            object: Window::new(object.input()),
            set: object.data_set(),
            samples: object.facts().samples.into(),
            cursor: 0,
            left: header.original_len,
            pixels: 0,
            odd: None,
            check,
            out,
        }
    }

    /// Goes on to where the bytes of a frame are needed; false when none are.
    pub(crate) fn wants_pixels(&mut self) -> Result<bool, RestoreError> {
        self.push(&[])?;
        Ok(self.pixels > 0)
    }

    /// Takes the next frame: its samples, or the JPEG that was rebuilt.
    pub(crate) fn frame(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        if !self.wants_pixels()? {
            return Ok(());
        }
        match self.residue.header.origin {
            Origin::Samples(layout) => {
                let whole = self.with_overlays(bytes, layout.size.into())?;
                let mut odd = self.odd.take();
                let stored = layout.store(&whole, self.samples, &mut odd);
                self.odd = odd;
                self.push(&stored)
            }
            Origin::Jpeg => self.push(bytes),
        }
    }

    fn with_overlays<'b>(&self, samples: &'b [u8], size: usize) -> Result<Cow<'b, [u8]>, RestoreError> {
        let mut whole = Cow::Borrowed(samples);
        for (group, bit) in &self.residue.header.overlays {
            overlay::put_back(&overlay::data(self.set, *group)?, *bit, size, whole.to_mut());
        }
        Ok(whole)
    }

    /// Does what is left, and compares.
    pub(crate) fn finish(mut self) -> Result<W, RestoreError> {
        self.push(&[])?;
        if self.pixels > 0 || self.left > 0 {
            return Err(RestoreError::Damaged("it makes fewer bytes than the original has".into()));
        }
        let same = match self.check {
            Check::Hash(hash) => hash.finalize().as_slice() == self.residue.header.original_sha256,
            // Each was compared as it came.
            Check::Bytes(original) => original.len() as u64 == self.residue.header.original_len,
        };
        if same { Ok(self.out) } else { Err(RestoreError::Different) }
    }

    /// Goes on until the next bytes of frames are needed.
    fn push(&mut self, mut bytes: &[u8]) -> Result<(), RestoreError> {
        loop {
            if self.pixels > 0 {
                let n = self.pixels.min(bytes.len() as u64) as usize;
                if n == 0 {
                    return Ok(());
                }
                let (now, rest) = bytes.split_at(n);
                self.put(now)?;
                self.pixels -= n as u64;
                bytes = rest;
                continue;
            }
            match self.program.next()? {
                None => return Ok(()),
                Some(Op::Pixels(len)) => self.pixels = len,
                Some(Op::Literal(len)) => self.literal(len)?,
                Some(Op::Copy { skip, len }) => self.copy(skip, len)?,
                Some(Op::Elements { skip, count }) => self.elements(skip, count)?,
            }
        }
    }

    fn literal(&mut self, len: u64) -> Result<(), RestoreError> {
        let mut left = len;
        let mut chunk = vec![0; left.min(CHUNK) as usize];
        while left > 0 {
            let n = left.min(CHUNK) as usize;
            self.program.literal(&mut chunk[..n])?;
            self.put(&chunk[..n])?;
            left -= n as u64;
        }
        Ok(())
    }

    fn copy(&mut self, skip: u64, len: u64) -> Result<(), RestoreError> {
        let from = self.skip(skip, len)?;
        let (input, mut at) = (self.object.input, from);
        while at < from + len {
            let n = (from + len - at).min(CHUNK);
            self.put(&input.bytes(at, n)?)?;
            at += n;
        }
        Ok(())
    }

    fn elements(&mut self, skip: u64, count: u64) -> Result<(), RestoreError> {
        self.skip(skip, 0)?;
        for _ in 0..count {
            let step = step(&mut self.object, self.cursor, self.residue.header.encoding)?;
            self.put(step.head())?;
            let mut wrong = None;
            let object = Window::new(self.object.input);
            step.each(&object, |bytes| {
                self.put(bytes).map_err(|error| {
                    wrong = Some(error);
                    Error::Limit("the original".into())
                })
            })
            .map_err(|error| wrong.unwrap_or(RestoreError::Object(error)))?;
            self.cursor = step.value.end;
        }
        Ok(())
    }

    /// Passes over `skip` bytes of the object and `len` more; where those begin.
    fn skip(&mut self, skip: u64, len: u64) -> Result<u64, RestoreError> {
        let beyond = || RestoreError::Damaged("it copies from beyond the end of the object".into());
        let from = self.cursor.checked_add(skip).ok_or_else(beyond)?;
        self.cursor = from.checked_add(len).filter(|end| *end <= self.object.input.len()).ok_or_else(beyond)?;
        Ok(from)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let at = self.residue.header.original_len - self.left;
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| RestoreError::Damaged("it makes more bytes than the original has".into()))?;
        match &mut self.check {
            Check::Hash(hash) => hash.update(bytes),
            Check::Bytes(original) if original[at as usize..].starts_with(bytes) => {}
            Check::Bytes(_) => return Err(RestoreError::Different),
        }
        self.out.write_all(bytes).map_err(RestoreError::Write)
    }
}
