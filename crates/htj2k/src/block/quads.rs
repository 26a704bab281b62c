//! The first step of the fast decoder: MEL, VLC and U-VLC bits read into significance patterns and `u_q` (T.814 7.3.3,
//! 7.3.5, 7.3.6).
//!
//! Every codeword's place depends on the length of the one before, a chain of one table look-up after another that no
//! vector shortens. So the chain is kept short (a word shifts the bits by itself; what is known early, the context from
//! the row above, selects the part of a table beforehand), and other work is done in its shadow.

use super::tables::{FIRST_PAIRS, FIRST_QUADS, MEL_EXPONENT, OTHER_PAIRS, OTHER_QUADS, PairWord, QuadWord};
use super::unstuff;

/// Quads of the widest row, and some so that whole vectors can be read and written.
pub(super) const ROW_QUADS: usize = 512 + 16;
/// Quads whose context from the row above fits a word, two bits each.
const CHUNK: usize = 32;
/// Bytes of plain VLC bits, a power of two that no `Scup` exceeds, and a word past them.
pub(super) const VLC_BYTES: usize = 4096 + 8;
/// Bytes a block can use beyond the VLC bytes it has: 15 bits of each of 1230 quads.
const MOST_VLC_BYTES: usize = 2560;

/// What the codewords of a row say.
pub(super) struct Patterns {
    /// Significance and known exponents; zero after the last quad.
    pub words: [QuadWord; ROW_QUADS],
    /// `u_q`; zero after the last quad.
    pub u: [u32; ROW_QUADS],
}

/// Reads the rows of a block one after another.
pub(super) struct Quads<'a> {
    mel: Mel<'a>,
    vlc: Vlc<'a>,
    /// Significance of the bottom samples of the row above, a bit a column.
    below: [u64; ROW_QUADS / CHUNK + 2],
}

impl<'a> Quads<'a> {
    #[inline(always)]
    pub(super) fn new(suffix: &'a [u8], vlc: &'a mut [u8; VLC_BYTES]) -> Self {
        Quads { mel: Mel::new(suffix), vlc: Vlc::new(suffix, vlc), below: [0; ROW_QUADS / CHUNK + 2] }
    }

    /// Reads a row. After every four quads, `meanwhile` is called with the index of their first: work that does not
    /// depend on this row, done while the chain waits for its look-ups.
    #[inline(always)]
    pub(super) fn row<const FIRST: bool>(
        &mut self,
        quads: usize,
        row: &mut Patterns,
        mut meanwhile: impl FnMut(usize),
    ) {
        let mut left = 0;
        let mut before = 0;
        for (chunk, start) in (0..quads).step_by(CHUNK).enumerate() {
            let count = (quads - start).min(CHUNK);
            // Two bits a quad: whether its north-western, its north-eastern neighbours are significant.
            let (here, after) = (self.below[chunk], self.below[chunk + 1]);
            let west = here << 1 | before >> 63;
            let east = here >> 1 | after << 63;
            before = here;
            self.mel.fill();
            let mut chain = Chain {
                vlc: &mut self.vlc,
                events: self.mel.queue as u64,
                used: 0,
                above: (here | west) & 0x5555_5555_5555_5555 | (here | east) & 0xaaaa_aaaa_aaaa_aaaa,
                below: 0,
                left,
            };
            let (words, last_words) = row.words[start..start + count].as_chunks_mut::<4>();
            let (u, last_u) = row.u[start..start + count].as_chunks_mut::<4>();
            for (n, (words, u)) in words.iter_mut().zip(u).enumerate() {
                let one = chain.pair::<FIRST>();
                let two = chain.pair::<FIRST>();
                *words = [one.0[0], one.0[1], two.0[0], two.0[1]];
                *u = [one.1[0], one.1[1], two.1[0], two.1[1]];
                meanwhile(start + 4 * n);
            }
            chain.last::<FIRST>(last_words, last_u);
            if !last_words.is_empty() {
                meanwhile(start + count / 4 * 4);
            }
            left = chain.left;
            self.below[chunk] = chain.below >> (64 - 2 * count);
            let used = chain.used;
            self.mel.queue >>= used;
            self.mel.count -= used;
        }
    }
}

/// The chain of look-ups through a chunk of a row.
struct Chain<'a, 'b> {
    vlc: &'a mut Vlc<'b>,
    /// MEL events, the next one lowest, and how many of them are used.
    events: u64,
    used: u32,
    /// Two bits a quad of its context, the next quad's lowest.
    above: u64,
    /// Significance of the bottom samples so far, at the high end.
    below: u64,
    /// The word of the quad to the left.
    left: QuadWord,
}

impl Chain<'_, '_> {
    /// Reads two quads: their words and their `u_q`.
    #[inline(always)]
    fn pair<const FIRST: bool>(&mut self) -> ([QuadWord; 2], [u32; 2]) {
        let one = self.quad::<FIRST>();
        let two = self.quad::<FIRST>();
        self.below = self.below >> 4 | u64::from(one >> 30) << 60 | u64::from(two >> 30) << 62;
        ([one, two], self.u_of_pair::<FIRST>(one, two))
    }

    /// Reads up to three quads at the end of a row.
    #[inline(always)]
    fn last<const FIRST: bool>(&mut self, words: &mut [QuadWord], u: &mut [u32]) {
        let (words, last_word) = words.as_chunks_mut::<2>();
        let (u, last_u) = u.as_chunks_mut::<2>();
        if let ([words], [u]) = (words, u) {
            (*words, *u) = self.pair::<FIRST>();
        }
        if let ([word], [u]) = (last_word, last_u) {
            *word = self.quad::<FIRST>();
            self.below = self.below >> 2 | u64::from(*word >> 30) << 62;
            [*u, _] = self.u_of_pair::<FIRST>(*word, 0);
        }
    }

    /// Reads one quad's codeword.
    #[inline(always)]
    fn quad<const FIRST: bool>(&mut self) -> QuadWord {
        let ahead = self.vlc.ahead as usize & 0x7f;
        let (context, mut word);
        if FIRST {
            context = self.left as usize & 0x380;
            word = FIRST_QUADS[context | ahead];
        } else {
            let above = (self.above << 7) as usize & 0x180;
            let left = self.left as usize & 0x200;
            context = above | left;
            let table: &[QuadWord; 640] = OTHER_QUADS[above..].first_chunk().expect("the contexts of a west bit");
            let table: &[QuadWord; 128] = table[left..].first_chunk().expect("a context");
            word = table[ahead];
        }
        if context == 0 {
            let event = self.events & 1;
            self.events >>= 1;
            self.used += 1;
            word = if event != 0 { word } else { 0 };
        }
        self.vlc.skip(word, word & 7);
        self.above >>= 2;
        self.left = word;
        word
    }

    /// Reads `u_q` of a pair of quads.
    #[inline(always)]
    fn u_of_pair<const FIRST: bool>(&mut self, one: QuadWord, two: QuadWord) -> [u32; 2] {
        let (one, two) = (one as usize & 0x40, two as usize & 0x40);
        let prefix = self.vlc.ahead as usize & 0x3f;
        let word = if FIRST {
            let mut mode = one + 2 * two;
            if mode == 0xc0 {
                mode += 0x40 * (self.events & 1) as usize;
                self.events >>= 1;
                self.used += 1;
            }
            FIRST_PAIRS[mode + prefix]
        } else {
            let table: &[PairWord; 192] = OTHER_PAIRS[one..].first_chunk().expect("the modes of a first quad");
            let table: &[PairWord; 64] = table[2 * two..].first_chunk().expect("a mode");
            table[prefix]
        };
        // The new bits come from below while the look-up is under way.
        self.vlc.refill();
        let suffixes = (self.vlc.ahead >> (word >> 8 & 7)) as u32;
        self.vlc.skip(word, word & 31);
        let first_len = word >> 16 & 7;
        let first = suffixes & !(u32::MAX << first_len);
        let second = suffixes >> first_len & !(u32::MAX << (word >> 19 & 7));
        [(word >> 24 & 15) + first, (word >> 28) + second]
    }
}

/// The VLC stream as plain bits.
struct Vlc<'a> {
    bytes: &'a [u8; VLC_BYTES],
    at: usize,
    /// The next `have` bits.
    ahead: u64,
    have: u32,
}

impl<'a> Vlc<'a> {
    #[inline(always)]
    fn new(suffix: &[u8], bytes: &'a mut [u8; VLC_BYTES]) -> Self {
        let written = unstuff::backward(suffix, bytes);
        bytes[written..(written + MOST_VLC_BYTES).min(VLC_BYTES)].fill(0);
        let mut vlc = Vlc { bytes, at: 0, ahead: 0, have: 0 };
        vlc.refill();
        vlc
    }

    /// Tops the bits up to at least 56.
    #[inline(always)]
    fn refill(&mut self) {
        let at = self.at & 0xfff;
        let next = u64::from_le_bytes(*self.bytes[at..].first_chunk().expect("a word past the last byte"));
        self.ahead |= next << self.have;
        self.at += (63 - self.have as usize) >> 3;
        self.have |= 56;
    }

    /// Drops `count` bits; the low six bits of `shift` are the same number.
    #[inline(always)]
    fn skip(&mut self, shift: u32, count: u32) {
        self.ahead >>= shift & 63;
        self.have -= count;
    }
}

/// MEL events decoded ahead into a queue of bits.
struct Mel<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next `have` bits, the first highest.
    ahead: u64,
    have: u32,
    after_ones: bool,
    state: usize,
    /// The next `count` events, the first lowest.
    queue: u128,
    count: u32,
}

impl<'a> Mel<'a> {
    fn new(suffix: &'a [u8]) -> Self {
        Mel { bytes: suffix, at: 0, ahead: 0, have: 0, after_ones: false, state: 0, queue: 0, count: 0 }
    }

    /// Makes sure of the events that a chunk can ask for: one of each quad, one of each pair.
    fn fill(&mut self) {
        while self.count < CHUNK as u32 * 3 / 2 {
            self.run();
        }
    }

    fn run(&mut self) {
        while self.have <= 56 {
            self.byte();
        }
        let exponent = u32::from(MEL_EXPONENT[self.state]);
        if self.ahead >> 63 == 1 {
            self.count += 1 << exponent;
            self.state = (self.state + 1).min(12);
            self.ahead <<= 1;
            self.have -= 1;
        } else {
            self.count += (self.ahead >> (63 - exponent)) as u32;
            self.queue |= 1 << self.count;
            self.count += 1;
            self.state = self.state.saturating_sub(1);
            self.ahead <<= 1 + exponent;
            self.have -= 1 + exponent;
        }
    }

    fn byte(&mut self) {
        let byte = match self.bytes.len().saturating_sub(self.at) {
            0 | 1 => 0xff,
            2 => self.bytes[self.at] | 0x0f,
            _ => self.bytes[self.at],
        };
        self.at += 1;
        let count = if self.after_ones { 7 } else { 8 };
        self.ahead |= u64::from(byte) << (64 - count) >> self.have;
        self.have += count;
        self.after_ones = byte == 0xff;
    }
}
