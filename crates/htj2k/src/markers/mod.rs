//! Marker segments (T.800 Annex A, T.814 Annex A): what the headers of a codestream say.

mod cap;
mod cod;
mod lengths;
mod main_header;
mod poc;
mod qcd;
mod siz;
mod tile_part;

pub(crate) use cap::Cap;
pub(crate) use cod::{BlockStyle, Cod, Coding};
pub(crate) use lengths::{PackedHeaders, PacketLengths, TLM_MOST, Tlm, tlm_size, write_plt, write_tlm};
pub(crate) use main_header::{MainHeader, TileCoding};
pub(crate) use poc::Volume;
pub(crate) use qcd::{Quantisation, StepSize};
pub(crate) use siz::Siz;
pub(crate) use tile_part::{TilePart, TileParts, write_sot};

use crate::Error;

pub(crate) const SOC: u16 = 0xFF4F;
pub(crate) const CAP: u16 = 0xFF50;
pub(crate) const SIZ: u16 = 0xFF51;
pub(crate) const COD: u16 = 0xFF52;
pub(crate) const COC: u16 = 0xFF53;
pub(crate) const TLM: u16 = 0xFF55;
pub(crate) const PLM: u16 = 0xFF57;
pub(crate) const PLT: u16 = 0xFF58;
pub(crate) const CPF: u16 = 0xFF59;
pub(crate) const QCD: u16 = 0xFF5C;
pub(crate) const QCC: u16 = 0xFF5D;
pub(crate) const RGN: u16 = 0xFF5E;
pub(crate) const POC: u16 = 0xFF5F;
pub(crate) const PPM: u16 = 0xFF60;
pub(crate) const PPT: u16 = 0xFF61;
pub(crate) const COM: u16 = 0xFF64;
pub(crate) const SOT: u16 = 0xFF90;
pub(crate) const SOP: u16 = 0xFF91;
pub(crate) const EPH: u16 = 0xFF92;
pub(crate) const SOD: u16 = 0xFF93;
pub(crate) const EOC: u16 = 0xFFD9;

/// A place in the codestream from which numbers are read, big endian, up to an end.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at, end: bytes.len() }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        let b = self.take(2)?;
        Ok(u16::from_be_bytes([b[0], b[1]]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        let b = self.take(4)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// A component's index: one byte, or two when there are more than 256 components (A.6.2).
    pub(crate) fn component(&mut self, components: usize) -> Result<u16, Error> {
        let at = self.at;
        let c = if components < 257 { self.u8()? as u16 } else { self.u16()? };
        if c as usize >= components {
            return Err(Error::malformed(at, "a marker segment names a component that does not exist"));
        }
        Ok(c)
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        if n > self.left() {
            return Err(if self.end == self.bytes.len() {
                Error::truncated(self.end, self.at + n)
            } else {
                Error::malformed(self.at, "a marker segment is shorter than what it must hold")
            });
        }
        let bytes = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(bytes)
    }

    /// The body of a marker segment, whose length field comes next (A.1.3).
    pub(crate) fn segment(&mut self) -> Result<Cursor<'a>, Error> {
        let at = self.at;
        let length = self.u16()? as usize;
        if length < 2 {
            return Err(Error::malformed(at, "a marker segment's length is below 2"));
        }
        let start = self.at;
        self.take(length - 2)?;
        Ok(Cursor { bytes: self.bytes, at: start, end: start + length - 2 })
    }

    /// What is left of a segment.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..self.end];
        self.at = self.end;
        rest
    }
}

/// Bytes of a segment that is being written; `done` fills in the length.
pub(crate) struct SegmentWriter<'a> {
    out: &'a mut alloc::vec::Vec<u8>,
    start: usize,
}

impl<'a> SegmentWriter<'a> {
    pub(crate) fn new(out: &'a mut alloc::vec::Vec<u8>, marker: u16) -> Self {
        out.extend_from_slice(&marker.to_be_bytes());
        let start = out.len();
        out.extend_from_slice(&[0, 0]);
        SegmentWriter { out, start }
    }

    pub(crate) fn u8(&mut self, v: u8) -> &mut Self {
        self.out.push(v);
        self
    }

    pub(crate) fn u16(&mut self, v: u16) -> &mut Self {
        self.out.extend_from_slice(&v.to_be_bytes());
        self
    }

    pub(crate) fn u32(&mut self, v: u32) -> &mut Self {
        self.out.extend_from_slice(&v.to_be_bytes());
        self
    }

    pub(crate) fn done(self) {
        let length = (self.out.len() - self.start) as u16;
        self.out[self.start..self.start + 2].copy_from_slice(&length.to_be_bytes());
    }
}
