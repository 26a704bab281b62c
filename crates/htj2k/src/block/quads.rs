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

/// What the codewords of a row say, and what the row above said.
pub(super) struct Patterns {
    /// Significance and known exponents from index 1; zero before the first quad and after the last.
    pub words: [QuadWord; ROW_QUADS],
    /// What the prefixes of a pair's `u_q` say; zero after the last pair.
    pub pairs: [PairWord; ROW_QUADS / 2],
    /// The bits of a pair's `u_q`, the first lowest.
    pub suffixes: [u32; ROW_QUADS / 2],
    /// The two bits of a quad's context that come from the row above, in place for the table's index.
    pub contexts: [u32; ROW_QUADS],
}

impl Patterns {
    pub(super) const fn new() -> Self {
        Patterns {
            words: [0; ROW_QUADS],
            pairs: [0; ROW_QUADS / 2],
            suffixes: [0; ROW_QUADS / 2],
            contexts: [0; ROW_QUADS],
        }
    }

    /// Makes place for rows of `quads` quads.
    #[inline(always)]
    pub(super) fn reset(&mut self, quads: usize) {
        self.words[quads + 1..][..10].fill(0);
        self.pairs[quads.div_ceil(2)..][..4].fill(0);
    }
}

/// Reads the rows of a block one after another.
pub(super) struct Quads<'a> {
    mel: Mel<'a>,
    vlc: Vlc<'a>,
}

impl<'a> Quads<'a> {
    #[inline(always)]
    pub(super) fn new(suffix: &'a [u8], vlc: &'a mut [u8; VLC_BYTES]) -> Self {
        Quads { mel: Mel::new(suffix), vlc: Vlc::new(suffix, vlc) }
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
        for start in (0..quads).step_by(CHUNK) {
            let count = (quads - start).min(CHUNK);
            let mut chain = Chain { vlc: self.vlc.clone(), events: self.mel.events(), left };
            let words = &mut row.words[start + 1..][..CHUNK];
            let contexts = &row.contexts[start..][..CHUNK];
            let pairs = &mut row.pairs[start / 2..][..CHUNK / 2];
            let suffixes = &mut row.suffixes[start / 2..][..CHUNK / 2];
            let fours = words.as_chunks_mut::<4>().0.iter_mut().zip(contexts.as_chunks::<4>().0);
            let twos = pairs.as_chunks_mut::<2>().0.iter_mut().zip(suffixes.as_chunks_mut::<2>().0);
            for (n, ((words, contexts), (pairs, suffixes))) in fours.zip(twos).enumerate().take(count / 4) {
                let [one, two, three, four] = *contexts;
                ([words[0], words[1]], pairs[0], suffixes[0]) = chain.pair::<FIRST>([one, two]);
                ([words[2], words[3]], pairs[1], suffixes[1]) = chain.pair::<FIRST>([three, four]);
                meanwhile(start + 4 * n);
            }
            if count % 4 != 0 {
                chain.last::<FIRST>(row, start + count / 4 * 4, count % 4);
                meanwhile(start + count / 4 * 4);
            }
            self.vlc = chain.vlc;
            left = chain.left;
            self.mel.used(chain.events);
        }
    }
}

/// The chain of look-ups through a chunk of a row.
struct Chain<'a> {
    vlc: Vlc<'a>,
    /// MEL events, the next one lowest.
    events: u64,
    /// The word of the quad to the left.
    left: QuadWord,
}

impl Chain<'_> {
    /// Reads two quads: their words, that of the pair, and the bits with its suffixes.
    #[inline(always)]
    fn pair<const FIRST: bool>(&mut self, contexts: [u32; 2]) -> ([QuadWord; 2], PairWord, u32) {
        let one = self.quad::<FIRST>(contexts[0]);
        let two = self.quad::<FIRST>(contexts[1]);
        self.vlc.drop(one.wrapping_add(two));
        let suffixes = self.vlc.ahead as u32;
        ([one, two], self.u_of_pair::<FIRST>(one, two), suffixes)
    }

    /// Reads up to three quads at the end of a row.
    #[inline(always)]
    fn last<const FIRST: bool>(&mut self, row: &mut Patterns, mut at: usize, count: usize) {
        if count >= 2 {
            let contexts = [row.contexts[at], row.contexts[at + 1]];
            let words;
            (words, row.pairs[at / 2], row.suffixes[at / 2]) = self.pair::<FIRST>(contexts);
            [row.words[at + 1], row.words[at + 2]] = words;
            at += 2;
        }
        if count % 2 == 1 {
            let word = self.quad::<FIRST>(row.contexts[at]);
            self.vlc.drop(word);
            row.words[at + 1] = word;
            row.suffixes[at / 2] = self.vlc.ahead as u32;
            row.pairs[at / 2] = self.u_of_pair::<FIRST>(word, 0);
        }
    }

    /// Reads one quad's codeword.
    #[inline(always)]
    fn quad<const FIRST: bool>(&mut self, above: u32) -> QuadWord {
        let ahead = self.vlc.ahead as usize & 0x7f;
        let (context, mut word);
        if FIRST {
            context = self.left as usize & 0x380;
            word = FIRST_QUADS[context | ahead];
        } else {
            let above = above as usize & 0x180;
            let left = self.left as usize & 0x200;
            context = above | left;
            let table: &[QuadWord; 640] = OTHER_QUADS[above..].first_chunk().expect("the contexts of a west bit");
            let table: &[QuadWord; 128] = table[left..].first_chunk().expect("a context");
            word = table[ahead];
        }
        if context == 0 {
            word = if self.event() { word } else { 0 };
        }
        self.vlc.ahead >>= word & 63;
        self.left = word;
        word
    }

    /// Reads the prefixes of a pair of quads' `u_q`.
    #[inline(always)]
    fn u_of_pair<const FIRST: bool>(&mut self, one: QuadWord, two: QuadWord) -> PairWord {
        let (one, two) = (one as usize & 0x40, two as usize & 0x40);
        let prefix = self.vlc.ahead as usize & 0x3f;
        let word = if FIRST {
            let mut mode = one + 2 * two;
            if mode == 0xc0 && self.event() {
                mode += 0x40;
            }
            FIRST_PAIRS[mode + prefix]
        } else {
            let table: &[PairWord; 192] = OTHER_PAIRS[one..].first_chunk().expect("the modes of a first quad");
            let table: &[PairWord; 64] = table[2 * two..].first_chunk().expect("a mode");
            table[prefix]
        };
        // The new bits come from below while the look-up is under way.
        self.vlc.refill();
        self.vlc.ahead >>= word & 63;
        self.vlc.drop(word);
        word
    }

    #[inline(always)]
    fn event(&mut self) -> bool {
        let event = self.events & 1;
        self.events >>= 1;
        event != 0
    }
}

/// The VLC stream as plain bits.
#[derive(Clone)]
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

    /// Counts bits as used: the sum of the lengths that stand in the low six bits of table words.
    #[inline(always)]
    fn drop(&mut self, words: u32) {
        self.have -= words & 63;
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

    /// The events that a chunk can ask for, one of each quad and one of each pair, under a bit that marks their end.
    #[inline(always)]
    fn events(&mut self) -> u64 {
        while self.count < CHUNK as u32 * 3 / 2 {
            self.run();
        }
        self.queue as u64 | 1 << 63
    }

    /// Takes back what a chunk has left of its events.
    #[inline(always)]
    fn used(&mut self, events: u64) {
        let used = events.leading_zeros();
        self.queue >>= used;
        self.count -= used;
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
