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
    /// For every four quads: a bit for each of these contexts that is zero, so that a MEL event may be needed.
    pub empty: [u8; ROW_QUADS / 4],
}

impl Patterns {
    pub(super) const fn new() -> Self {
        Patterns {
            words: [0; ROW_QUADS],
            pairs: [0; ROW_QUADS / 2],
            suffixes: [0; ROW_QUADS / 2],
            contexts: [0; ROW_QUADS],
            empty: [0; ROW_QUADS / 4],
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
    /// depend on this row, done while the chain waits for its look-ups. Returns whether a quad may be significant.
    #[inline(always)]
    pub(super) fn row<const FIRST: bool>(
        &mut self,
        quads: usize,
        row: &mut Patterns,
        mut meanwhile: impl FnMut(usize),
    ) -> bool {
        let mut significant = false;
        let mut chain = Chain { vlc: self.vlc.clone(), events: 0, left: 0 };
        for start in (0..quads).step_by(CHUNK) {
            let end = (start + CHUNK).min(quads);
            chain.events = self.mel.events();
            if chain.skips::<FIRST>(row, start, end) {
                row.words[start + 1..end + 1].fill(0);
                row.pairs[start / 2..end / 2].fill(0);
                (start..end).step_by(4).for_each(&mut meanwhile);
                self.mel.used(chain.events);
                continue;
            }
            significant = true;
            for q in (start..end & !3).step_by(4) {
                // The mask, which changes nothing, shows that every index is in bounds.
                let q = q & 0x1fc;
                if FIRST || row.empty[q / 4] != 0 {
                    chain.pair::<FIRST, true>(row, q);
                    chain.pair::<FIRST, true>(row, q + 2);
                } else {
                    chain.pair::<FIRST, false>(row, q);
                    chain.pair::<FIRST, false>(row, q + 2);
                }
                meanwhile(q);
            }
            if !end.is_multiple_of(4) {
                let q = end & 0x1fc;
                chain.last::<FIRST>(row, q, end % 4);
                meanwhile(q);
            }
            self.mel.used(chain.events);
        }
        self.vlc = chain.vlc;
        significant
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
    /// Whether no quad of a chunk is significant: all its contexts are zero, and so are the MEL events, which are used up.
    #[inline(always)]
    fn skips<const FIRST: bool>(&mut self, row: &Patterns, start: usize, end: usize) -> bool {
        let count = end - start;
        let events = self.events & (u64::MAX >> (64 - count));
        if events != 0 || self.left & 0x380 != 0 || !count.is_multiple_of(4) {
            return false;
        }
        if !FIRST && row.empty[start / 4..end / 4].iter().any(|&empty| empty != 15) {
            return false;
        }
        self.events >>= count;
        true
    }

    /// Reads two quads, the first at `q`. Without `MEL` their contexts are known not to be zero.
    #[inline(always)]
    fn pair<const FIRST: bool, const MEL: bool>(&mut self, row: &mut Patterns, q: usize) {
        let one = self.quad::<FIRST, MEL>(row.contexts[q]);
        row.words[q + 1] = one;
        let two = self.quad::<FIRST, MEL>(row.contexts[q + 1]);
        row.words[q + 2] = two;
        (row.pairs[q / 2], row.suffixes[q / 2]) = self.u_of_pair::<FIRST>(one, two);
    }

    /// Reads up to three quads at the end of a row, the first at `q`.
    #[inline(always)]
    fn last<const FIRST: bool>(&mut self, row: &mut Patterns, mut q: usize, count: usize) {
        if count >= 2 {
            self.pair::<FIRST, true>(row, q);
            q += 2;
        }
        if count % 2 == 1 {
            let word = self.quad::<FIRST, true>(row.contexts[q]);
            row.words[q + 1] = word;
            (row.pairs[q / 2], row.suffixes[q / 2]) = self.u_of_pair::<FIRST>(word, 0);
        }
    }

    /// Reads one quad's codeword.
    #[inline(always)]
    fn quad<const FIRST: bool, const MEL: bool>(&mut self, above: u32) -> QuadWord {
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
        if MEL && context == 0 {
            word = if self.event() { word } else { 0 };
        }
        self.vlc.ahead >>= word & 63;
        self.left = word;
        word
    }

    /// Reads the prefixes of a pair of quads' `u_q`; returns what they say and the bits they start.
    #[inline(always)]
    fn u_of_pair<const FIRST: bool>(&mut self, one: QuadWord, two: QuadWord) -> (PairWord, u32) {
        // Bits up to the next pair and beyond come from memory while the look-ups are under way.
        let fresh = self.vlc.fresh() >> (one.wrapping_add(two) & 63);
        let (first, second) = (one as usize & 0x40, two as usize & 0x40);
        let prefix = self.vlc.ahead as usize & 0x3f;
        let word = if FIRST {
            let mut mode = first + 2 * second;
            if mode == 0xc0 && self.event() {
                mode += 0x40;
            }
            FIRST_PAIRS[mode + prefix]
        } else {
            let table: &[PairWord; 192] = OTHER_PAIRS[first..].first_chunk().expect("the modes of a first quad");
            let table: &[PairWord; 64] = table[2 * second..].first_chunk().expect("a mode");
            table[prefix]
        };
        self.vlc.ahead = fresh >> (word & 63);
        // The low six bits of the words are the lengths of what was read.
        self.vlc.position += one.wrapping_add(two).wrapping_add(word) as usize & 63;
        (word, fresh as u32)
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
    /// Bits read up to the last pair.
    position: usize,
    /// The next bits: those of a pair of quads and of its `u_q` prefixes at least.
    ahead: u64,
}

impl<'a> Vlc<'a> {
    #[inline(always)]
    fn new(suffix: &[u8], bytes: &'a mut [u8; VLC_BYTES]) -> Self {
        let written = unstuff::backward(suffix, bytes);
        bytes[written..(written + MOST_VLC_BYTES).min(VLC_BYTES)].fill(0);
        let mut vlc = Vlc { bytes, position: 0, ahead: 0 };
        vlc.ahead = vlc.fresh();
        vlc
    }

    /// At least 57 bits from the position on.
    #[inline(always)]
    fn fresh(&self) -> u64 {
        let at = (self.position >> 3) & 0xfff;
        let word = u64::from_le_bytes(*self.bytes[at..].first_chunk().expect("a word past the last byte"));
        word >> (self.position & 7)
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
