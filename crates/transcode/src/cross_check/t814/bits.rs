//! The three bit streams of a cleanup segment (T.814 7.1): their stuffed bits are taken out once, so that the rest of the decoder
//! reads at any bit with one load. Where a stream is over, ones follow.

/// Bits, lowest first, without stuffing.
#[derive(Debug, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
}

impl Bits {
    /// At least 57 bits from a place on, the first one lowest.
    #[inline(always)]
    pub(super) fn at(&self, place: usize) -> u64 {
        match self.bytes.get(place >> 3..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => u64::from_le_bytes(*bytes) >> (place & 7),
            None => u64::MAX,
        }
    }

    /// MagSgn (7.1.2): from the first byte on; after a byte of FF come 7 bits.
    pub(super) fn forward(&mut self, stored: &[u8]) {
        let mut write = Write::new(&mut self.bytes, stored.len());
        let (mut rest, mut after_ff) = (stored, false);
        while let Some((chunk, behind)) = rest.split_first_chunk() {
            let word = u64::from_le_bytes(*chunk);
            if after_ff || has_ff(word) {
                for &byte in chunk {
                    write.byte(byte, 8 - u32::from(after_ff));
                    after_ff = byte == 0xFF;
                }
            } else {
                write.word(word);
            }
            rest = behind;
        }
        for &byte in rest {
            write.byte(byte, 8 - u32::from(after_ff));
            after_ff = byte == 0xFF;
        }
        write.end();
    }

    /// VLC (7.1.4): from the last byte but one, whose upper half is the first to be read, back to the beginning. Before a byte over 8F, one
    /// with ones in its lower seven bits has only these.
    pub(super) fn backward(&mut self, stored: &[u8]) {
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let mut write = Write::new(&mut self.bytes, stored.len());
        let Some((&first, mut rest)) = stored.split_last() else { return write.end() };
        let half = first >> 4;
        write.byte(half, if half & 7 == 7 { 3 } else { 4 });
        let mut over = first | 0x0F > 0x8F;
        while let Some((before, chunk)) = rest.split_last_chunk() {
            let word = u64::from_be_bytes(*chunk);
            if has_ff(word | HIGH) {
                for &byte in chunk.iter().rev() {
                    write.byte(byte, 8 - u32::from(over && byte & 0x7F == 0x7F));
                    over = byte > 0x8F;
                }
            } else {
                write.word(word);
                over = chunk[0] > 0x8F;
            }
            rest = before;
        }
        for &byte in rest.iter().rev() {
            write.byte(byte, 8 - u32::from(over && byte & 0x7F == 0x7F));
            over = byte > 0x8F;
        }
        write.end();
    }
}

/// Is one of the bytes FF?
#[inline(always)]
fn has_ff(word: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    (!word).wrapping_sub(LOW) & word & (LOW << 7) != 0
}

/// Bits put one behind another.
struct Write<'a> {
    bytes: &'a mut Vec<u8>,
    /// Fewer than 8 bits that are no byte yet.
    next: u64,
    count: u32,
}

impl<'a> Write<'a> {
    fn new(bytes: &'a mut Vec<u8>, room: usize) -> Write<'a> {
        bytes.clear();
        bytes.reserve(room + 24);
        Write { bytes, next: 0, count: 0 }
    }

    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.bytes.extend_from_slice(&(self.next | word << self.count).to_le_bytes());
        self.next = word >> 1 >> (63 - self.count);
    }

    /// The lowest `bits` of a byte.
    #[inline(always)]
    fn byte(&mut self, byte: u8, bits: u32) {
        self.next |= (u64::from(byte) & ((1 << bits) - 1)) << self.count;
        self.count += bits;
        if self.count >= 8 {
            self.bytes.push(self.next as u8);
            self.next >>= 8;
            self.count -= 8;
        }
    }

    fn end(self) {
        self.bytes.push((self.next | u64::MAX << self.count) as u8);
        self.bytes.extend_from_slice(&[0xFF; 8]);
    }
}

/// Runs of quads without a significant sample (7.1.3 and 7.3.3), an adaptive code, bits highest first.
#[derive(Debug)]
pub(super) struct Mel<'a> {
    stored: &'a [u8],
    next: u64,
    count: u32,
    after_ff: bool,
    state: usize,
    /// Zeros that are still to come.
    run: u32,
    /// Then comes a one.
    one: bool,
}

/// By state (7.3.3): what a full run is, as a power of two.
const EXPONENT: [u8; 13] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5];

impl<'a> Mel<'a> {
    /// The suffix of a segment; its last 12 bits are its length, for which ones are read.
    pub(super) fn new(stored: &'a [u8]) -> Mel<'a> {
        Mel { stored, next: 0, count: 0, after_ff: false, state: 0, run: 0, one: false }
    }

    #[inline(always)]
    pub(super) fn symbol(&mut self) -> bool {
        if self.run == 0 && !self.one {
            self.decode();
        }
        if self.run > 0 {
            self.run -= 1;
            return false;
        }
        self.one = false;
        true
    }

    fn decode(&mut self) {
        while self.count <= 48 {
            let byte = match self.stored {
                [_] | [] => 0xFF,
                [byte, _] => byte | 0x0F,
                [byte, ..] => *byte,
            };
            self.stored = self.stored.get(1..).unwrap_or_default();
            let bits = 8 - u32::from(self.after_ff);
            self.next |= u64::from(byte) << (64 - bits) >> self.count;
            self.count += bits;
            self.after_ff = byte == 0xFF;
        }
        let exponent = u32::from(EXPONENT[self.state]);
        if self.next >> 63 == 1 {
            self.take(1);
            self.run = 1 << exponent;
            self.state = (self.state + 1).min(12);
        } else {
            self.run = (self.next >> (63 - exponent)) as u32;
            self.one = true;
            self.take(1 + exponent);
            self.state = self.state.saturating_sub(1);
        }
    }

    fn take(&mut self, bits: u32) {
        self.next <<= bits;
        self.count -= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::{Bits, Mel};

    /// Bit by bit, as the clauses have it.
    fn one_by_one(
        stored: impl Iterator<Item = u8>,
        first: Vec<bool>,
        stuffed: impl Fn(u8, u8) -> bool,
        last: u8,
    ) -> Vec<bool> {
        let (mut bits, mut last) = (first, last);
        for byte in stored {
            let count = if stuffed(last, byte) { 7 } else { 8 };
            bits.extend((0..count).map(|n| byte >> n & 1 == 1));
            last = byte;
        }
        bits
    }

    #[test]
    fn stuffed_bits_are_taken_out() {
        for (n, size) in (0u32..).zip([0, 1, 2, 7, 8, 9, 15, 16, 17, 40, 63, 64, 65, 200].repeat(40)) {
            let mut random = n.wrapping_mul(2_654_435_761) | 1;
            let stored: Vec<u8> = (0..size)
                .map(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    match random >> 29 {
                        0 => 0xFF,
                        1 => 0x7F,
                        2 => 0x90,
                        _ => (random >> 16) as u8,
                    }
                })
                .collect();
            let forward = one_by_one(stored.iter().copied(), vec![], |last, _| last == 0xFF, 0);
            let half = stored.last().map(|last| {
                let bits: Vec<bool> = (4..8).map(|n| last >> n & 1 == 1).collect();
                if bits[..3] == [true; 3] { bits[..3].to_vec() } else { bits }
            });
            let last = stored.last().map_or(0, |last| last | 0x0F);
            let backward = one_by_one(
                stored.iter().rev().skip(1).copied(),
                half.unwrap_or_default(),
                |last, byte| last > 0x8F && byte & 0x7F == 0x7F,
                last,
            );
            let mut bits = Bits::default();
            for (way, mut expected) in [forward, backward].into_iter().enumerate() {
                if way == 0 {
                    bits.forward(&stored)
                } else {
                    bits.backward(&stored)
                }
                expected.extend([true; 100]);
                for place in 0..expected.len() - 57 {
                    let word = bits.at(place);
                    assert!(
                        (0..57).all(|n| word >> n & 1 == u64::from(expected[place + n])),
                        "{stored:x?} {way} {place}"
                    );
                }
            }
        }
    }

    #[test]
    fn runs() {
        // 1: a run of 1 zero, three times; then runs of 2; 0 and a bit: fewer zeros and a one.
        let mut mel = Mel::new(&[0b1111_0100, 0, 0, 0]);
        let symbols: Vec<bool> = (0..8).map(|_| mel.symbol()).collect();
        assert_eq!(symbols, [false, false, false, false, false, false, true, true]);
        // After FF comes a byte of 7 bits; behind the end there are ones.
        let mut mel = Mel::new(&[0xFF, 0x7F, 0, 0]);
        assert!((0..15 + 40).all(|_| !mel.symbol()));
    }
}
