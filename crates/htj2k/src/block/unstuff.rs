//! A stuffed byte stream made into plain bits, eight bytes at a time (T.814 7.1.1, 7.1.2, 7.1.4).
//!
//! The decoder then finds any bit at its position. Most words hold no stuffing bit: they are shifted into place whole.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether a byte of `word` is zero.
fn has_zero(word: u64) -> bool {
    word.wrapping_sub(ONES) & !word & HIGH != 0
}

/// Bits going to a buffer, the first lowest.
struct Bits<'a> {
    bytes: &'a mut [u8],
    at: usize,
    /// The bits of the byte at `at`.
    rest: u64,
    /// How many those are, below 8.
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a mut [u8]) -> Self {
        Bits { bytes, at: 0, rest: 0, count: 0 }
    }

    #[inline(always)]
    fn word(&mut self, word: u64) {
        let Some(place) = self.bytes.get_mut(self.at..self.at + 8) else { return };
        place.copy_from_slice(&(self.rest | word << self.count).to_le_bytes());
        self.rest = word >> 1 >> (63 - self.count);
        self.at += 8;
    }

    /// Four words, `before` the word before each of them; all are whole.
    #[inline(always)]
    fn words(&mut self, words: [u64; 4], before: [u64; 4]) {
        let Some(place) = self.bytes.get_mut(self.at..self.at + 32) else { return };
        let (places, _) = place.as_chunks_mut::<8>();
        for ((place, word), before) in places.iter_mut().zip(words).zip(before) {
            *place = (word << self.count | before >> 1 >> (63 - self.count)).to_le_bytes();
        }
        self.rest = words[3] >> 1 >> (63 - self.count);
        self.at += 32;
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8, count: u32) {
        self.rest |= (u64::from(byte) & ((1 << count) - 1)) << self.count;
        self.count += count;
        if self.count >= 8 {
            if let Some(place) = self.bytes.get_mut(self.at) {
                *place = self.rest as u8;
                self.at += 1;
            }
            self.rest >>= 8;
            self.count -= 8;
        }
    }

    /// Ends the stream: the last byte is filled up from `fill`. Returns the bytes written.
    fn finish(self, fill: u8) -> usize {
        let Some(place) = self.bytes.get_mut(self.at) else { return self.bytes.len() };
        *place = self.rest as u8 | fill << self.count;
        self.at + 1
    }
}

/// The bits of MagSgn bytes; ones follow the end. `out` takes what fits; returns how many of its bytes are written.
#[inline(always)]
pub(super) fn forward(bytes: &[u8], out: &mut [u8]) -> usize {
    let mut bits = Bits::new(out);
    let mut after_ones = false;
    let mut after_word = false;
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        if after_word && let Some(ahead) = bytes[at - 8..].first_chunk::<40>() {
            let words = words(ahead[8..].first_chunk().expect("32 of 40"));
            if !words.iter().fold(false, |ones, &word| ones | has_zero(!word)) {
                bits.words(words, self::words(ahead.first_chunk().expect("32 of 40")));
                at += 32;
                continue;
            }
        }
        at += 8;
        let whole = u64::from_le_bytes(*word);
        after_word = !after_ones && !has_zero(!whole);
        if after_word {
            bits.word(whole);
            continue;
        }
        for &byte in word {
            bits.byte(byte, if after_ones { 7 } else { 8 });
            after_ones = byte == 0xff;
        }
    }
    let rest = &bytes[at..];
    for &byte in rest {
        bits.byte(byte, if after_ones { 7 } else { 8 });
        after_ones = byte == 0xff;
    }
    bits.finish(0xff)
}

#[inline(always)]
fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    [0, 1, 2, 3].map(|n| u64::from_le_bytes(words[n]))
}

/// The bits of the VLC bytes at the end of `suffix`; zeros follow them. Returns how many bytes of `out` are written.
#[inline(always)]
pub(super) fn backward(suffix: &[u8], out: &mut [u8]) -> usize {
    let mut bits = Bits::new(out);
    let [rest @ .., first, _] = suffix else { return 0 };
    bits.byte(first >> 4, if first >> 4 & 7 == 7 { 3 } else { 4 });
    let mut last = first | 0x0f;
    let (rest, words) = rest.as_rchunks::<8>();
    for bytes in words.iter().rev() {
        let word = u64::from_be_bytes(*bytes);
        if !has_zero(!(word | HIGH)) {
            bits.word(word);
            last = bytes[0];
            continue;
        }
        for &byte in bytes.iter().rev() {
            bits.byte(byte, if last > 0x8f && byte & 0x7f == 0x7f { 7 } else { 8 });
            last = byte;
        }
    }
    for &byte in rest.iter().rev() {
        bits.byte(byte, if last > 0x8f && byte & 0x7f == 0x7f { 7 } else { 8 });
        last = byte;
    }
    bits.finish(0)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::bits::{Backward, Forward};
    use super::super::tests::Random;
    use super::{backward, forward};

    /// Bytes among which those that call for stuffing are frequent.
    fn bytes(random: &mut Random) -> Vec<u8> {
        let common = 1 + random.below(30);
        (0..random.below(300))
            .map(|_| if random.below(common) == 0 { 0x7f | random.next() as u8 } else { random.next() as u8 })
            .collect()
    }

    #[test]
    fn words_give_the_bits_of_bytes() {
        let mut random = Random::new(3);
        for _ in 0..3000 {
            let stuffed = bytes(&mut random);
            let mut out = [0x55; 400];
            let written = forward(&stuffed, &mut out);
            let mut plain = Forward::new(&stuffed, 0xff);
            out[..written].iter().for_each(|&byte| assert_eq!(u64::from(byte), plain.bits(8)));
            let written = backward(&stuffed, &mut out);
            let mut plain = Backward::vlc(&stuffed);
            out[..written].iter().for_each(|&byte| assert_eq!(u32::from(byte), plain.bits(8)));
        }
    }

    #[test]
    fn a_short_buffer_takes_what_fits() {
        let stuffed = [0xff, 0x7f, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0xff, 0x7f, 0x01];
        for len in 0..16 {
            let mut out = [0; 16];
            assert!(forward(&stuffed, &mut out[..len]) <= len);
            assert!(backward(&stuffed, &mut out[..len]) <= len);
        }
    }
}
