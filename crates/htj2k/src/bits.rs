//! Bits of packet headers (T.800 B.10.1): most significant first, and after a byte FF seven bits only.

use alloc::vec::Vec;

/// The header ends before its last bit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfBits;

pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bits not yet read, at the low end.
    buffer: u8,
    left: u8,
    stuffed: bool,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0, buffer: 0, left: 0, stuffed: false }
    }

    #[inline]
    pub(crate) fn bit(&mut self) -> Result<bool, OutOfBits> {
        if self.left == 0 {
            self.fill()?;
        }
        self.left -= 1;
        Ok(self.buffer >> self.left & 1 != 0)
    }

    fn fill(&mut self) -> Result<(), OutOfBits> {
        self.buffer = *self.bytes.get(self.at).ok_or(OutOfBits)?;
        self.at += 1;
        self.left = if self.stuffed { 7 } else { 8 };
        self.stuffed = self.buffer == 0xFF;
        Ok(())
    }

    /// A number of up to 32 bits.
    pub(crate) fn number(&mut self, count: u32) -> Result<u32, OutOfBits> {
        let mut v = 0;
        for _ in 0..count {
            v = v << 1 | self.bit()? as u32;
        }
        Ok(v)
    }

    /// Ends the header at a byte; gives the number of bytes it took.
    pub(crate) fn finish(self) -> Result<usize, OutOfBits> {
        // A last byte FF is followed by a byte whose first bit is stuffed.
        let end = self.at + self.stuffed as usize;
        if end > self.bytes.len() { Err(OutOfBits) } else { Ok(end) }
    }
}

pub(crate) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    buffer: u8,
    room: u8,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        BitWriter { out, buffer: 0, room: 8 }
    }

    pub(crate) fn bit(&mut self, bit: bool) {
        self.room -= 1;
        self.buffer |= (bit as u8) << self.room;
        if self.room == 0 {
            self.flush();
        }
    }

    pub(crate) fn number(&mut self, value: u32, count: u32) {
        for n in (0..count).rev() {
            self.bit(value >> n & 1 != 0);
        }
    }

    pub(crate) fn finish(mut self) {
        // Room for 7 bits means that the last byte was FF, which may not end a header.
        if self.room < 8 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.out.push(self.buffer);
        self.room = if self.buffer == 0xFF { 7 } else { 8 };
        self.buffer = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_stuffed_after_ff() {
        let mut bytes = Vec::new();
        let mut w = BitWriter::new(&mut bytes);
        w.number(0xFFFF, 16);
        w.number(0b101, 3);
        w.finish();
        assert_eq!(bytes, [0xFF, 0x7F, 0b1101_0000]);
        let mut r = BitReader::new(&bytes);
        assert_eq!(r.number(16), Ok(0xFFFF));
        assert_eq!(r.number(3), Ok(0b101));
        assert_eq!(r.finish(), Ok(3));
    }

    #[test]
    fn a_header_never_ends_with_ff() {
        for extra in 0..9 {
            let mut bytes = Vec::new();
            let mut w = BitWriter::new(&mut bytes);
            w.number(0xFF, 8);
            w.number(0x1FF >> (9 - extra), extra);
            w.finish();
            assert_ne!(bytes.last(), Some(&0xFF));
            let mut r = BitReader::new(&bytes);
            r.number(8 + extra).unwrap();
            assert_eq!(r.finish(), Ok(bytes.len()));
        }
    }
}
