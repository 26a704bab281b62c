//! Bit by bit access to a block's byte streams (T.814 7.1): the plain forms, one bit a call.
//!
//! Every stream avoids bytes that a marker could be mistaken for: after a byte of ones (above 0x8f for the streams read
//! backwards, when seven ones follow) a byte holds one bit less.

use alloc::vec::Vec;

use super::tables::MEL_EXPONENT;

/// A stream read forwards, lowest bit first: MagSgn and SigProp.
pub(super) struct Forward<'a> {
    bytes: core::slice::Iter<'a, u8>,
    /// What follows the end: 0xff for MagSgn, 0 for SigProp.
    fill: u8,
    last: u8,
    rest: u8,
    left: u32,
}

impl<'a> Forward<'a> {
    pub(super) fn new(bytes: &'a [u8], fill: u8) -> Self {
        Forward { bytes: bytes.iter(), fill, last: 0, rest: 0, left: 0 }
    }

    pub(super) fn bit(&mut self) -> u32 {
        if self.left == 0 {
            self.left = if self.last == 0xff { 7 } else { 8 };
            self.last = *self.bytes.next().unwrap_or(&self.fill);
            self.rest = self.last;
        }
        let bit = self.rest & 1;
        self.rest >>= 1;
        self.left -= 1;
        bit.into()
    }

    /// `count` bits, the first lowest.
    pub(super) fn bits(&mut self, count: u32) -> u64 {
        (0..count).fold(0, |value, n| value | u64::from(self.bit()) << n)
    }
}

/// A stream read from its last byte backwards, lowest bit first: VLC and MagRef. Zeros follow its end.
pub(super) struct Backward<'a> {
    bytes: core::iter::Rev<core::slice::Iter<'a, u8>>,
    last: u8,
    rest: u8,
    left: u32,
}

impl<'a> Backward<'a> {
    /// The VLC bits of the `Scup` bytes at the end of a cleanup segment: their last 12 bits are not of the stream.
    pub(super) fn vlc(suffix: &'a [u8]) -> Self {
        let [rest @ .., first, _] = suffix else { return Self::refinement(&[]) };
        let nibble = first >> 4;
        let left = if nibble & 7 == 7 { 3 } else { 4 };
        Backward { bytes: rest.iter().rev(), last: first | 0x0f, rest: nibble, left }
    }

    /// The MagRef bits at the end of a refinement segment.
    pub(super) fn refinement(segment: &'a [u8]) -> Self {
        Backward { bytes: segment.iter().rev(), last: 0xff, rest: 0, left: 0 }
    }

    pub(super) fn bit(&mut self) -> u32 {
        if self.left == 0 {
            let byte = *self.bytes.next().unwrap_or(&0);
            self.left = if self.last > 0x8f && byte & 0x7f == 0x7f { 7 } else { 8 };
            self.last = byte;
            self.rest = byte;
        }
        let bit = self.rest & 1;
        self.rest >>= 1;
        self.left -= 1;
        bit.into()
    }

    /// `count` bits, the first lowest.
    pub(super) fn bits(&mut self, count: u32) -> u32 {
        (0..count).fold(0, |value, n| value | self.bit() << n)
    }
}

/// The MEL decoder: runs of quads without a significant sample (T.814 7.1.3, 7.3.3).
pub(super) struct MelReader<'a> {
    bytes: &'a [u8],
    at: usize,
    byte: u8,
    left: u32,
    state: usize,
    zeros: u32,
    one: bool,
}

impl<'a> MelReader<'a> {
    /// The MEL bits of the `Scup` bytes at the end of a cleanup segment.
    pub(super) fn new(suffix: &'a [u8]) -> Self {
        MelReader { bytes: suffix, at: 0, byte: 0, left: 0, state: 0, zeros: 0, one: false }
    }

    pub(super) fn event(&mut self) -> bool {
        if self.zeros == 0 && !self.one {
            self.run();
        }
        if self.zeros > 0 {
            self.zeros -= 1;
            return false;
        }
        core::mem::take(&mut self.one)
    }

    fn run(&mut self) {
        let exponent = u32::from(MEL_EXPONENT[self.state]);
        if self.bit() == 1 {
            self.zeros = 1 << exponent;
            self.state = (self.state + 1).min(12);
        } else {
            self.zeros = (0..exponent).fold(0, |run, _| run << 1 | self.bit());
            self.one = true;
            self.state = self.state.saturating_sub(1);
        }
    }

    fn bit(&mut self) -> u32 {
        if self.left == 0 {
            self.left = if self.byte == 0xff { 7 } else { 8 };
            self.byte = match self.bytes.len().saturating_sub(self.at) {
                0 | 1 => 0xff,
                2 => self.bytes[self.at] | 0x0f,
                _ => self.bytes[self.at],
            };
            self.at += 1;
        }
        self.left -= 1;
        u32::from(self.byte) >> self.left & 1
    }
}

/// Writes what [`Forward`] reads.
#[derive(Default)]
pub(super) struct ForwardWriter {
    pub(super) bytes: Vec<u8>,
    byte: u8,
    used: u32,
}

impl ForwardWriter {
    pub(super) fn bits(&mut self, value: u64, count: u32) {
        for n in 0..count {
            self.byte |= ((value >> n & 1) as u8) << self.used;
            self.used += 1;
            if self.used == self.room() {
                self.bytes.push(self.byte);
                (self.byte, self.used) = (0, 0);
            }
        }
    }

    /// Fills up with ones, and leaves out a last byte of ones, which the reader supplies.
    pub(super) fn finish(mut self) -> Vec<u8> {
        while self.used > 0 {
            self.bits(1, 1);
        }
        if self.bytes.last() == Some(&0xff) {
            self.bytes.pop();
        }
        self.bytes
    }

    fn room(&self) -> u32 {
        if self.bytes.last() == Some(&0xff) { 7 } else { 8 }
    }
}

/// Writes what [`Backward::vlc`] reads; the bytes are in writing order, the segment's last one first.
pub(super) struct BackwardWriter {
    bytes: Vec<u8>,
    byte: u8,
    used: u32,
}

impl BackwardWriter {
    pub(super) fn new() -> Self {
        BackwardWriter { bytes: alloc::vec![0xff], byte: 0x0f, used: 4 }
    }

    pub(super) fn bits(&mut self, (value, count): (u32, u32)) {
        for n in 0..count {
            self.byte |= ((value >> n & 1) as u8) << self.used;
            self.used += 1;
            let stuffed = self.bytes.last().is_some_and(|&last| last > 0x8f) && self.byte & 0x7f == 0x7f;
            if self.used == if stuffed { 7 } else { 8 } {
                self.bytes.push(self.byte);
                (self.byte, self.used) = (0, 0);
            }
        }
    }
}

#[cfg(test)]
impl BackwardWriter {
    /// The whole bytes in writing order, and the bits of the next one with their number.
    pub(super) fn written(&self) -> (&[u8], u8, u32) {
        (&self.bytes, self.byte, self.used)
    }
}

/// Writes what [`MelReader`] reads.
#[derive(Default)]
pub(super) struct MelWriter {
    bytes: Vec<u8>,
    byte: u8,
    used: u32,
    state: usize,
    run: u32,
}

impl MelWriter {
    pub(super) fn event(&mut self, one: bool) {
        let exponent = u32::from(MEL_EXPONENT[self.state]);
        if one {
            self.bit(0);
            (0..exponent).rev().for_each(|n| self.bit(self.run >> n & 1));
            self.run = 0;
            self.state = self.state.saturating_sub(1);
        } else {
            self.run += 1;
            if self.run == 1 << exponent {
                self.bit(1);
                self.run = 0;
                self.state = (self.state + 1).min(12);
            }
        }
    }

    fn bit(&mut self, bit: u32) {
        self.byte = self.byte << 1 | bit as u8;
        self.used += 1;
        if self.used == self.room() {
            self.bytes.push(self.byte);
            (self.byte, self.used) = (0, 0);
        }
    }

    fn room(&self) -> u32 {
        if self.bytes.last() == Some(&0xff) { 7 } else { 8 }
    }

    /// MEL and VLC bytes together, their `Scup` in the last 12 bits; the last bytes of both become one if they fit
    /// (T.814 7.1.3, 7.1.4).
    pub(super) fn join(mut self, mut vlc: BackwardWriter) -> Vec<u8> {
        if self.run > 0 {
            self.bit(1);
        }
        let empty = 8 - self.used - u32::from(self.room() == 7);
        let (mel, mel_mask) = ((u32::from(self.byte) << empty) as u8, (0xff_u32 << empty) as u8);
        let vlc_mask = (0xff_u32 >> (8 - vlc.used)) as u8;
        if mel_mask | vlc_mask != 0 {
            let both = mel | vlc.byte;
            let agree = ((both ^ mel) & mel_mask | (both ^ vlc.byte) & vlc_mask) == 0;
            if agree && both != 0xff && vlc.bytes.len() > 1 {
                self.bytes.push(both);
            } else {
                self.bytes.push(mel);
                vlc.bytes.push(vlc.byte);
            }
        }
        self.bytes.extend(vlc.bytes.iter().rev());
        let length = self.bytes.len();
        self.bytes[length - 1] = (length >> 4) as u8;
        self.bytes[length - 2] = self.bytes[length - 2] & 0xf0 | (length & 15) as u8;
        self.bytes
    }
}
