//! TLM, PLT: lengths of tile-parts and packets (T.800 A.7.1, A.7.3), and PPM, PPT: packed packet headers (A.7.4, A.7.5).

use super::{Cursor, PLT, SegmentWriter, TLM};
use crate::Error;
use alloc::vec::Vec;
use core::ops::Range;

/// The tile-parts that TLM segments list, in the order of the codestream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tlm {
    /// Tile (where it is told) and length of each tile-part.
    pub(crate) parts: Vec<(Option<u16>, u32)>,
    next_index: u8,
}

impl Tlm {
    /// An empty list in memory that is used again.
    pub(crate) fn reusing(mut parts: Vec<(Option<u16>, u32)>) -> Self {
        parts.clear();
        Tlm { parts, next_index: 0 }
    }
}

impl Tlm {
    /// Adds a segment. Segments out of order are refused: nothing writes them, and nothing here depends on TLM.
    pub(crate) fn parse(&mut self, mut s: Cursor<'_>) -> Result<(), Error> {
        let at = s.at();
        let index = s.u8()?;
        if index != self.next_index {
            return Err(Error::unsupported(at, "TLM segments out of order"));
        }
        self.next_index = self.next_index.wrapping_add(1);
        let style = s.u8()?;
        while s.left() > 0 {
            let tile = match style >> 4 & 3 {
                0 => None,
                1 => Some(s.u8()? as u16),
                2 => Some(s.u16()?),
                _ => return Err(Error::malformed(at, "an unknown form of TLM")),
            };
            let length = if style & 0x40 != 0 { s.u32()? } else { s.u16()? as u32 };
            self.parts.push((tile, length));
        }
        Ok(())
    }
}

/// Most tile-parts that one TLM segment of the form written here can list.
const TLM_ENTRIES: usize = (65535 - 4) / 6;

/// Writes TLM segments: 16-bit tile indices, 32-bit lengths.
pub(crate) fn write_tlm(parts: &[(u16, u32)], out: &mut Vec<u8>) {
    for (index, chunk) in parts.chunks(TLM_ENTRIES).enumerate() {
        let mut s = SegmentWriter::new(out, TLM);
        s.u8(index as u8).u8(0x60);
        for &(tile, length) in chunk {
            s.u16(tile).u32(length);
        }
        s.done();
    }
}

/// Bytes that `write_tlm` takes.
pub(crate) fn tlm_size(parts: usize) -> usize {
    parts * 6 + parts.div_ceil(TLM_ENTRIES) * 6
}

/// Most tile-parts that TLM can list: its index has 8 bits.
pub(crate) const TLM_MOST: usize = TLM_ENTRIES * 256;

/// Lengths of packets, as PLT segments of a tile-part list them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PacketLengths {
    pub(crate) lengths: Vec<u32>,
    open: Option<u32>,
}

impl PacketLengths {
    pub(crate) fn parse(&mut self, mut s: Cursor<'_>) -> Result<(), Error> {
        s.u8()?;
        for &byte in s.rest() {
            let value = self.open.unwrap_or(0).wrapping_shl(7) | (byte & 0x7F) as u32;
            if byte & 0x80 != 0 {
                self.open = Some(value);
            } else {
                self.open = None;
                self.lengths.push(value);
            }
        }
        Ok(())
    }
}

/// Writes PLT segments.
pub(crate) fn write_plt(lengths: &[u32], out: &mut Vec<u8>) {
    let mut lengths = lengths.iter().copied().peekable();
    for index in 0..=255u8 {
        if lengths.peek().is_none() {
            return;
        }
        let mut s = SegmentWriter::new(out, PLT);
        s.u8(index);
        let mut room = 65535 - 3;
        while let Some(&length) = lengths.peek() {
            let bytes = (32 - length.leading_zeros()).div_ceil(7).max(1);
            if bytes > room {
                break;
            }
            room -= bytes;
            for n in (0..bytes).rev() {
                s.u8((length >> (7 * n)) as u8 & 0x7F | ((n > 0) as u8) << 7);
            }
            lengths.next();
        }
        s.done();
    }
}

/// Packet headers that stand in the main header or the tile-part headers, joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedHeaders {
    segments: Vec<(u8, Range<usize>)>,
}

impl PackedHeaders {
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.segments.clear();
    }

    /// Notes a PPM or PPT segment: its index and its bytes.
    pub(crate) fn note(&mut self, mut s: Cursor<'_>) -> Result<(), Error> {
        let index = s.u8()?;
        let start = s.at();
        let length = s.rest().len();
        self.segments.push((index, start..start + length));
        Ok(())
    }

    /// PPT: the bytes of all segments, by index.
    pub(crate) fn join(&mut self, codestream: &[u8], out: &mut Vec<u8>) {
        self.segments.sort_by_key(|s| s.0);
        for (_, range) in &self.segments {
            out.extend_from_slice(&codestream[range.clone()]);
        }
    }

    /// PPM: the bytes of each tile-part, in the order of the codestream.
    pub(crate) fn split(&mut self, codestream: &[u8]) -> Vec<Vec<u8>> {
        let mut joined = Vec::new();
        self.join(codestream, &mut joined);
        let mut parts = Vec::new();
        let mut rest = &joined[..];
        while let Some((length, bytes)) = rest.split_at_checked(4) {
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
            let (part, after) = bytes.split_at(length.min(bytes.len()));
            parts.push(part.to_vec());
            rest = after;
        }
        parts
    }
}
