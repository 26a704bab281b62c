//! The head of a JPEG XL codestream (ISO/IEC 18181-1 Annex D): size, depth, colour; and the boxes around it (ISO/IEC 18181-2).
//! Nothing is decoded.

use crate::error::{Error, Result};
use std::borrow::Cow;

/// What a codestream says of itself before its first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Columns, as the image is to be shown.
    pub width: u32,
    /// Rows, as the image is to be shown.
    pub height: u32,
    /// 1 or 3.
    pub components: u16,
    /// Bits of a sample.
    pub precision: u8,
    /// Colours are in the lossy space of the codec.
    pub xyb: bool,
    /// Where the six bits of the precision are, counted from the first bit; `None` when it is written shorter.
    pub precision_bits: Option<usize>,
}

impl Header {
    /// Reads the start of a bare codestream.
    pub fn read(codestream: &[u8]) -> Result<Header> {
        if !codestream.starts_with(&[0xFF, 0x0A]) {
            return Err(Error::malformed(0, "a frame that is no JPEG XL codestream"));
        }
        let mut bits = Bits { bytes: codestream, at: 16 };
        let (mut width, mut height) = bits.size()?;
        let mut header = Header { width, height, components: 3, precision: 8, xyb: true, precision_bits: None };
        if bits.flag()? {
            return Ok(header); // every field has its default
        }
        if bits.flag()? {
            if bits.take(3)? >= 4 {
                (width, height) = (height, width); // turned by a quarter
            }
            if bits.flag()? {
                bits.size()?;
            }
            if bits.flag()? || bits.flag()? {
                return Err(Error::unsupported("JPEG XL with a preview or an animation"));
            }
        }
        if bits.flag()? {
            return Err(Error::unsupported("JPEG XL of floating point samples"));
        }
        (header.precision, header.precision_bits) = match bits.take(2)? {
            0 => (8, None),
            1 => (10, None),
            2 => (12, None),
            _ => {
                let at = bits.at;
                (bits.take(6)? as u8 + 1, Some(at))
            }
        };
        bits.flag()?; // 16-bit buffers are enough
        if bits.take(2)? != 0 {
            return Err(Error::unsupported("JPEG XL with extra channels"));
        }
        header.xyb = bits.flag()?;
        if !bits.flag()? {
            bits.flag()?; // an ICC profile follows
            header.components = match bits.enumerated()? {
                1 => 1,
                _ => 3,
            };
        }
        (header.width, header.height) = (width, height);
        Ok(header)
    }

    /// Writes another precision over the one that is there; only where it is written in full.
    pub fn set_precision(codestream: &mut [u8], precision: u8) -> Result<()> {
        let at = Header::read(codestream)?
            .precision_bits
            .ok_or_else(|| Error::unsupported("a precision that can't be changed in place"))?;
        let value = precision - 1;
        for n in 0..6 {
            let bit = value >> n & 1;
            let byte = &mut codestream[(at + n) / 8];
            *byte = *byte & !(1 << ((at + n) % 8)) | bit << ((at + n) % 8);
        }
        Ok(())
    }
}

/// Bits of a codestream, the lowest of a byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<u32> {
        let mut value = 0;
        for n in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or_else(|| Error::Truncated {
                what: "the header of a JPEG XL codestream".into(),
                have: self.bytes.len() as u64,
                need: self.at as u64 / 8 + 1,
            })?;
            value |= u32::from(byte >> (self.at % 8) & 1) << n;
            self.at += 1;
        }
        Ok(value)
    }

    fn flag(&mut self) -> Result<bool> {
        Ok(self.take(1)? == 1)
    }

    /// One of four widths, chosen by two bits.
    fn one_of(&mut self, widths: [usize; 4]) -> Result<u32> {
        let width = widths[self.take(2)? as usize];
        self.take(width)
    }

    fn enumerated(&mut self) -> Result<u32> {
        Ok(match self.take(2)? {
            0 => 0,
            1 => 1,
            2 => 2 + self.take(4)?,
            _ => 18 + self.take(6)?,
        })
    }

    /// SizeHeader (D.2): width and height.
    fn size(&mut self) -> Result<(u32, u32)> {
        const RATIOS: [(u64, u64); 7] = [(1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)];
        let small = self.flag()?;
        let side = |bits: &mut Self| {
            Ok::<u32, Error>(if small { (bits.take(5)? + 1) * 8 } else { bits.one_of([9, 13, 18, 30])? + 1 })
        };
        let height = side(self)?;
        let width = match self.take(3)? {
            0 => side(self)?,
            ratio => {
                let (over, under) = RATIOS[ratio as usize - 1];
                u32::try_from(u64::from(height) * over / under)
                    .map_err(|_| Error::Limit("the width of a frame".into()))?
            }
        };
        Ok((width, height))
    }
}

/// A box of a container (ISO/IEC 18181-2).
pub struct JxlBox<'a> {
    /// Its type, four letters.
    pub kind: &'a [u8],
    /// What is in it.
    pub content: &'a [u8],
    /// Offset past its last byte.
    pub end: usize,
}

/// Is this a container, not a bare codestream?
pub fn is_container(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"JXL ")
}

/// The codestream in a container, parts joined; a bare codestream is given back as it is. Of a container that is cut short,
/// what is there.
pub fn codestream_of(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !is_container(bytes) {
        return Cow::Borrowed(bytes);
    }
    let mut parts = Vec::new();
    for JxlBox { kind, content, .. } in boxes(bytes) {
        match kind {
            b"jxlc" => return Cow::Borrowed(content),
            b"jxlp" => parts.extend_from_slice(content.get(4..).unwrap_or_default()),
            _ => {}
        }
    }
    Cow::Owned(parts)
}

/// The boxes, as far as they go.
pub fn boxes(bytes: &[u8]) -> impl Iterator<Item = JxlBox<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = bytes.get(at..at + 8)?;
        let (kind, told) = (&head[4..], u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let (skip, size) = match told {
            0 => (8, bytes.len() - at),
            1 => {
                let long = bytes.get(at + 8..at + 16)?.try_into().ok()?;
                (16, usize::try_from(u64::from_be_bytes(long)).unwrap_or(usize::MAX))
            }
            size => (8, size as usize),
        };
        let end = at.saturating_add(size).min(bytes.len());
        let content = bytes.get(at + skip..end)?;
        at = end;
        Some(JxlBox { kind, content, end })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_by_ratio_and_in_eights() {
        // small: 1, height (63 + 1) x 8 can't be; (7 + 1) x 8 = 64: 00111; ratio 7 = 2:1: 111; all default: 1.
        let bits = 1u32 | 7 << 1 | 7 << 6 | 1 << 9;
        let stream = [0xFF, 0x0A, bits as u8, (bits >> 8) as u8];
        let header = Header::read(&stream).unwrap();
        assert_eq!((header.width, header.height, header.xyb), (128, 64, true));
    }
}
