//! Plain bits made into a stuffed byte stream, eight bytes at a time (T.814 7.1.1, 7.1.2, 7.1.4).
//!
//! The encoder first packs all bits of a stream without regard to stuffing; most words then need none.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether a byte of `word` is zero.
fn has_zero(word: u64) -> bool {
    word.wrapping_sub(ONES) & !word & HIGH != 0
}

/// Bits packed into words, the first lowest. `N`, a power of two, bounds what can be put in.
pub(super) struct Packer<'a, const N: usize> {
    words: &'a mut [u64; N],
    at: usize,
    rest: u64,
    /// Bits in `rest`, below 64.
    count: u32,
}

impl<'a, const N: usize> Packer<'a, N> {
    pub(super) fn new(words: &'a mut [u64; N]) -> Self {
        const { assert!(N.is_power_of_two()) };
        Packer { words, at: 0, rest: 0, count: 0 }
    }

    /// Appends `count` bits, 64 at most; those of `bits` above are zero.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        let low = self.rest | bits << self.count;
        self.words[self.at & (N - 1)] = low;
        let after = self.count + count;
        let full = after >= 64;
        self.rest = if full { bits >> 1 >> (63 - self.count) } else { low };
        self.at += usize::from(full);
        self.count = after & 63;
    }

    /// The bits, to be read from the first on.
    pub(super) fn finish(self) -> Unpacker<'a, N> {
        self.words[self.at & (N - 1)] = self.rest;
        Unpacker { words: self.words, position: 0, end: self.at * 64 + self.count as usize }
    }
}

/// Packed bits being read.
pub(super) struct Unpacker<'a, const N: usize> {
    words: &'a [u64; N],
    position: usize,
    end: usize,
}

impl<const N: usize> Unpacker<'_, N> {
    fn left(&self) -> usize {
        self.end - self.position
    }

    /// The next 64 bits; those after the end are arbitrary.
    #[inline(always)]
    fn peek(&self) -> u64 {
        let (at, shift) = (self.position / 64, self.position % 64);
        self.words[at & (N - 1)] >> shift | self.words[(at + 1) & (N - 1)] << 1 << (63 - shift)
    }

    /// Takes up to `count` of the bits left; returns them and how many there were.
    fn take(&mut self, count: usize) -> (u8, usize) {
        let count = count.min(self.left());
        let bits = self.peek() & ((1 << count) - 1);
        self.position += count;
        (bits as u8, count)
    }
}

impl<const N: usize> Unpacker<'_, N> {
    /// The next 256 bits.
    #[inline(always)]
    fn peek_four(&self) -> Option<[u64; 4]> {
        let (at, shift) = (self.position / 64, self.position % 64);
        let words: &[u64; 5] = self.words.get(at..)?.first_chunk()?;
        Some([0, 1, 2, 3].map(|n| words[n] >> shift | words[n + 1] << 1 << (63 - shift)))
    }
}

/// Writes the bits as MagSgn bytes; returns how many of `out` are used.
#[inline(always)]
pub(super) fn forward<const N: usize>(mut bits: Unpacker<'_, N>, out: &mut [u8]) -> usize {
    let mut at = 0;
    let mut last = 0;
    while bits.left() >= 64 {
        if last != 0xff
            && bits.left() >= 256
            && let Some(words) = bits.peek_four()
            && !words.iter().fold(false, |ones, &word| ones | has_zero(!word))
        {
            let (places, _) = out[at..at + 32].as_chunks_mut::<8>();
            places.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_le_bytes());
            at += 32;
            bits.position += 256;
            continue;
        }
        let word = bits.peek();
        if last != 0xff && !has_zero(!word) {
            out[at..at + 8].copy_from_slice(&word.to_le_bytes());
            last = 0;
            at += 8;
            bits.position += 64;
        } else {
            (last, _) = bits.take(if last == 0xff { 7 } else { 8 });
            out[at] = last;
            at += 1;
        }
    }
    while bits.left() > 0 {
        let room = if last == 0xff { 7 } else { 8 };
        let (byte, count) = bits.take(room);
        // The last byte is filled up with ones.
        last = byte | (((0xff_u32 << count) & ((1 << room) - 1)) as u8);
        out[at] = last;
        at += 1;
    }
    // A last byte of ones is left out: the reader supplies it.
    at - usize::from(last == 0xff)
}

/// What is left of the VLC bits when their whole bytes are written.
pub(super) struct Remainder {
    /// Where in the buffer the bytes start.
    pub start: usize,
    /// The bits of the byte before them.
    pub byte: u8,
    /// How many those are, below 8.
    pub count: u32,
}

/// Writes the bits as VLC bytes from the end of `out` downwards; one byte is left free at the very end.
#[inline(always)]
pub(super) fn backward<const N: usize>(mut bits: Unpacker<'_, N>, out: &mut [u8]) -> Remainder {
    let mut start = out.len() - 1;
    let mut last = 0xff;
    loop {
        if bits.left() >= 64 {
            let word = bits.peek();
            if !has_zero(!(word | HIGH)) {
                out[start - 8..start].copy_from_slice(&word.to_be_bytes());
                last = (word >> 56) as u8;
                start -= 8;
                bits.position += 64;
                continue;
            }
        }
        let (byte, mut count) = bits.take(8);
        let stuffed = last > 0x8f && count >= 7 && byte & 0x7f == 0x7f;
        last = byte;
        if stuffed {
            bits.position -= count - 7;
            (last, count) = (0x7f, 8);
        }
        if count < 8 {
            return Remainder { start, byte, count: count as u32 };
        }
        start -= 1;
        out[start] = last;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bits::{Backward, BackwardWriter, Forward, ForwardWriter};
    use super::super::tests::Random;
    use super::{Packer, backward, forward};

    const WORDS: usize = 64;

    /// Bits in pieces of up to 64, in some rounds mostly ones, so that stuffing is frequent.
    fn pieces(random: &mut Random) -> alloc::vec::Vec<(u64, u32)> {
        let dense = random.below(3) != 0;
        let piece = |random: &mut Random| {
            let count = random.below(65) as u32;
            let bits = if dense && random.below(8) != 0 { u64::MAX } else { random.next() };
            (if count == 64 { bits } else { bits & ((1 << count) - 1) }, count)
        };
        (0..random.below(60)).map(|_| piece(random)).collect()
    }

    #[test]
    fn words_give_the_bytes_of_bits() {
        let mut random = Random::new(9);
        for _ in 0..3000 {
            let pieces = pieces(&mut random);
            let mut words = [0; WORDS];
            let mut packer = Packer::new(&mut words);
            let mut plain = ForwardWriter::default();
            for &(bits, count) in &pieces {
                packer.put(bits, count);
                plain.bits(bits, count);
            }
            let mut out = [0; WORDS * 10];
            let used = forward(packer.finish(), &mut out);
            assert_eq!(out[..used], plain.finish());
            let mut reader = Forward::new(&out[..used], 0xff);
            pieces.iter().for_each(|&(bits, count)| assert_eq!(reader.bits(count), bits));
        }
    }

    #[test]
    fn words_give_the_bytes_of_bits_backwards() {
        let mut random = Random::new(10);
        for _ in 0..3000 {
            let pieces = pieces(&mut random);
            let mut words = [0; WORDS];
            let mut packer = Packer::new(&mut words);
            packer.put(0xf, 4);
            let mut plain = BackwardWriter::new();
            for &(bits, count) in &pieces {
                packer.put(bits, count);
                plain.bits((bits as u32, count.min(32)));
                plain.bits(((bits >> 32) as u32, count.saturating_sub(32)));
            }
            let mut out = [0; WORDS * 10];
            let rest = backward(packer.finish(), &mut out);
            let written = plain.written();
            assert!(out[rest.start..WORDS * 10 - 1].iter().rev().eq(&written.0[1..]));
            assert_eq!((rest.byte, rest.count), (written.1, written.2));
            out[rest.start - 1] = rest.byte;
            let mut reader = Backward::vlc(&out[rest.start - 1..]);
            let bits = |reader: &mut Backward<'_>, count| u64::from(reader.bits(count));
            for &(expected, count) in &pieces {
                let low = bits(&mut reader, count.min(32));
                assert_eq!(low | bits(&mut reader, count.saturating_sub(32)) << 32, expected);
            }
        }
    }
}
