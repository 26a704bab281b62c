//! The cleanup pass decoded for speed (T.814 7.3): the same result as the plain decoder's for magnitudes that fit.
//!
//! First both halves of the segment become plain bits. Then each row of quads takes three steps. *Quads*: MEL and VLC
//! bits give the significance pattern and `u_q` of every quad; this is a chain of table look-ups, each of which must
//! wait for the one before. *Bounds*: the exponents of the row above give every quad's bound `U_q`, and a prefix sum
//! the place of its MagSgn bits. *Magnitudes*: every quad's bits are then read independently of each other.

use alloc::boxed::Box;

use super::tables::{FIRST_PAIRS, FIRST_QUADS, MEL_EXPONENT, OTHER_PAIRS, OTHER_QUADS, PairWord, QuadWord};
use super::{BlockError, Cleanup, unstuff};

/// Most bits of one MagSgn value this decoder reads: 32 less a bit offset within a byte.
pub(super) const MOST_BITS: u32 = 25;

/// Quads of the widest row, and some so that whole vectors can be read and written.
pub(super) const ROW_QUADS: usize = 512 + 16;
/// Samples of the widest row with one before the first and some after the last.
pub(super) const ROW_SAMPLES: usize = 1024 + 64;
/// Quads whose context from the row above fits a word, two bits each.
const CHUNK: usize = 32;

/// Bytes of plain MagSgn bits, a power of two that no block exceeds; `MOST_BITS` of each of 4920 samples, those of
/// quads that reach over the edge included.
pub(super) const MAGNITUDE_BYTES: usize = 16384;
/// Bytes of plain VLC bits, a power of two that no `Scup` exceeds.
const VLC_BYTES: usize = 4096;
/// What is read past the byte a bit is in.
pub(super) const PAST: usize = 32;

/// A row of quads on its way from codewords to samples.
pub(super) struct Row {
    /// What the codewords say; zero after the last quad.
    pub words: [QuadWord; ROW_QUADS],
    /// `u_q`; zero after the last quad.
    pub u: [u32; ROW_QUADS],
    /// The pattern words' bits 16 to 27 in bits 0 to 11, `U_q` from bit 12, the first bit within its byte from bit 18.
    pub records: [u32; ROW_QUADS],
    /// The byte where a quad's MagSgn bits start.
    pub places: [u32; ROW_QUADS],
    /// Top samples from index 1: bit 31 the sign, below it `2 mu - 1`; zero if insignificant.
    pub top: [u32; ROW_SAMPLES],
    /// Bottom samples likewise.
    pub bottom: [u32; ROW_SAMPLES],
}

/// The scratch memory of the decoder.
pub(super) struct Scratch {
    row: Row,
    vlc: [u8; VLC_BYTES + PAST],
    magnitudes: [u8; MAGNITUDE_BYTES + PAST],
}

impl Scratch {
    pub(super) fn new() -> Box<Self> {
        Box::new(Scratch {
            row: Row {
                words: [0; ROW_QUADS],
                u: [0; ROW_QUADS],
                records: [0; ROW_QUADS],
                places: [0; ROW_QUADS],
                top: [0; ROW_SAMPLES],
                bottom: [0; ROW_SAMPLES],
            },
            vlc: [0; VLC_BYTES + PAST],
            magnitudes: [0; MAGNITUDE_BYTES + PAST],
        })
    }
}

/// Where rows of samples go.
pub(super) enum Sink<'a> {
    /// Bit 31 the sign, below it twice the magnitude, for the refinement passes.
    Doubled(&'a mut [u32]),
    /// Integer coefficients.
    Integer(&'a mut [i32]),
    /// Coefficients times a factor; half the quantisation step, since magnitudes are doubled.
    Real(&'a mut [f32], f32),
}

impl Sink<'_> {
    /// Takes row `y`: samples as in [`Row`].
    #[inline(always)]
    fn take(&mut self, y: usize, stride: usize, samples: &[u32], plane: u32) {
        let doubled = |sample: u32| if sample == 0 { 0 } else { ((sample & 0x7fff_ffff) + 2) << plane };
        let at = y * stride;
        match self {
            Sink::Doubled(out) => {
                for (out, &sample) in out[at..].iter_mut().zip(samples) {
                    *out = doubled(sample) | sample & 1 << 31;
                }
            }
            Sink::Integer(out) => {
                for (out, &sample) in out[at..].iter_mut().zip(samples) {
                    let sign = sample as i32 >> 31;
                    *out = ((doubled(sample) >> 1) as i32 ^ sign) - sign;
                }
            }
            Sink::Real(out, factor) => {
                for (out, &sample) in out[at..].iter_mut().zip(samples) {
                    let magnitude = doubled(sample) as i32 as f32 * *factor;
                    *out = f32::from_bits(magnitude.to_bits() | sample & 1 << 31);
                }
            }
        }
    }
}

/// One decoder per SIMD level: the steps are compiled for it, and two of them are its own.
macro_rules! decoder {
    ($(#[$feature:meta])* $name:ident, $bounds:path, $magnitudes:path) => {
        $(#[$feature])*
        pub(super) fn $name(
            cleanup: &Cleanup<'_>,
            (width, height): (usize, usize),
            scratch: &mut Scratch,
            sink: &mut Sink<'_>,
            stride: usize,
        ) -> Result<(), BlockError> {
            let Scratch { row, vlc, magnitudes } = scratch;
            let quads = width.div_ceil(2);
            row.words[quads..][..8].fill(0);
            row.u[quads..][..8].fill(0);
            row.bottom[..width + 8].fill(0);
            let mut reader = Quads::new(cleanup.suffix, vlc);
            let mut values = Magnitudes::new(cleanup.prefix, magnitudes);
            let most = (cleanup.missing_msbs + 2).min(MOST_BITS);
            for y in (0..height).step_by(2) {
                if y == 0 {
                    reader.row::<true>(quads, row);
                } else {
                    reader.row::<false>(quads, row);
                }
                let (largest, end) = $bounds(row, quads, values.position, y == 0);
                if largest > most {
                    return Err(BlockError::Exponent);
                }
                let bits = values.up_to(end);
                $magnitudes(row, quads, bits);
                sink.take(y, stride, &row.top[1..][..width], cleanup.plane);
                if y + 1 < height {
                    sink.take(y + 1, stride, &row.bottom[1..][..width], cleanup.plane);
                }
            }
            Ok(())
        }
    };
}

decoder!(portable, bounds, magnitudes);
#[cfg(target_arch = "x86_64")]
decoder!(
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    avx2,
    super::simd::bounds,
    super::simd::magnitudes
);

/// The step that reads MEL and VLC bits.
struct Quads<'a> {
    mel: Mel<'a>,
    bytes: &'a [u8; VLC_BYTES + PAST],
    at: usize,
    /// The next `have` bits of the VLC stream.
    ahead: u64,
    have: u32,
    /// Significance of the bottom samples of the row above, a bit a column.
    below: [u64; ROW_QUADS / CHUNK + 2],
}

impl<'a> Quads<'a> {
    #[inline(always)]
    fn new(suffix: &'a [u8], vlc: &'a mut [u8; VLC_BYTES + PAST]) -> Self {
        let written = unstuff::backward(suffix, vlc);
        // A block cannot use more than 14 bits of each quad and 16 of each pair beyond what is there.
        vlc[written..(written + 2560).min(VLC_BYTES + PAST)].fill(0);
        let mut quads =
            Quads { mel: Mel::new(suffix), bytes: vlc, at: 0, ahead: 0, have: 0, below: [0; ROW_QUADS / CHUNK + 2] };
        quads.refill();
        quads
    }

    /// Tops the bits up to at least 56.
    #[inline(always)]
    fn refill(&mut self) {
        let at = self.at & (VLC_BYTES - 1);
        let next = u64::from_le_bytes(*self.bytes[at..].first_chunk().expect("a word past the last byte"));
        self.ahead |= next << self.have;
        self.at += (63 - self.have as usize) >> 3;
        self.have |= 56;
    }

    /// Reads the words and `u_q` of a row.
    #[inline(always)]
    fn row<const FIRST: bool>(&mut self, quads: usize, row: &mut Row) {
        let mut left = 0;
        let mut before = 0;
        for (chunk, start) in (0..quads).step_by(CHUNK).enumerate() {
            let count = (quads - start).min(CHUNK);
            self.mel.fill();
            // Two bits a quad: whether its north-western, its north-eastern neighbours are significant.
            let (here, after) = (self.below[chunk], self.below[chunk + 1]);
            let west = here << 1 | before >> 63;
            let east = here >> 1 | after << 63;
            let above = (here | west) & 0x5555_5555_5555_5555 | (here | east) & 0xaaaa_aaaa_aaaa_aaaa;
            before = here;
            let words = &mut row.words[start..start + count];
            let u = &mut row.u[start..start + count];
            let below = self.chunk::<FIRST>(words, u, above, &mut left);
            self.below[chunk] = below >> (64 - 2 * count);
        }
    }

    /// Reads up to 32 quads; returns the significance of their bottom samples at the high end.
    #[inline(always)]
    fn chunk<const FIRST: bool>(&mut self, words: &mut [u32], u: &mut [u32], mut above: u64, left: &mut u32) -> u64 {
        let mut below = 0;
        let (words, last_word) = words.as_chunks_mut::<2>();
        let (u, last_u) = u.as_chunks_mut::<2>();
        for (words, u) in words.iter_mut().zip(u) {
            let one = self.quad::<FIRST>(above as u32, *left);
            let two = self.quad::<FIRST>((above >> 2) as u32, one);
            *left = two;
            above >>= 4;
            below = below >> 4 | u64::from(one >> 30) << 60 | u64::from(two >> 30) << 62;
            *words = [one, two];
            *u = self.pair::<FIRST>(one, two);
        }
        if let ([word], [u]) = (last_word, last_u) {
            *word = self.quad::<FIRST>(above as u32, *left);
            below = below >> 2 | u64::from(*word >> 30) << 62;
            [*u, _] = self.pair::<FIRST>(*word, 0);
        }
        below
    }

    /// Reads one quad's codeword; `above` has its neighbours' two bits lowest, `left` is the word to its left.
    #[inline(always)]
    fn quad<const FIRST: bool>(&mut self, above: u32, left: u32) -> QuadWord {
        let table = if FIRST { &FIRST_QUADS } else { &OTHER_QUADS };
        let context = if FIRST { left & 0x380 } else { above << 7 & 0x180 | left & 0x200 };
        let mut word = table[(context | self.ahead as u32 & 0x7f) as usize];
        if context == 0 && !self.mel.event() {
            word = 0;
        }
        self.ahead >>= word & 63;
        self.have -= word & 7;
        word
    }

    /// Reads `u_q` of a pair of quads.
    #[inline(always)]
    fn pair<const FIRST: bool>(&mut self, one: QuadWord, two: QuadWord) -> [u32; 2] {
        let mode = one & 0x40 | (two & 0x40) << 1;
        let prefix = self.ahead as u32 & 0x3f;
        let word = if FIRST {
            let event = mode == 0xc0 && self.mel.event();
            FIRST_PAIRS[(mode + u32::from(event) * 0x40 + prefix) as usize]
        } else {
            OTHER_PAIRS[(mode | prefix) as usize]
        };
        self.refill();
        let u = pair_values(word, self.ahead);
        self.ahead >>= word & 63;
        self.have -= word & 31;
        u
    }
}

/// Both `u_q` of a pair, whose bits are `ahead`.
#[inline(always)]
fn pair_values(word: PairWord, ahead: u64) -> [u32; 2] {
    let suffixes = (ahead >> (word >> 8 & 7)) as u32;
    let first_len = word >> 16 & 7;
    let first = suffixes & !(u32::MAX << first_len);
    let second = suffixes >> first_len & !(u32::MAX << (word >> 19 & 7));
    [(word >> 24 & 15) + first, (word >> 28) + second]
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

    #[inline(always)]
    fn event(&mut self) -> bool {
        let event = self.queue & 1 == 1;
        self.queue >>= 1;
        self.count -= 1;
        event
    }

    /// Makes sure of the events that a chunk can ask for: one of each quad, one of each pair.
    #[inline(always)]
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

/// The plain MagSgn bits, followed by ones as far as rows ask for.
struct Magnitudes<'a> {
    bytes: &'a mut [u8; MAGNITUDE_BYTES + PAST],
    written: usize,
    position: u32,
}

impl<'a> Magnitudes<'a> {
    #[inline(always)]
    fn new(prefix: &[u8], bytes: &'a mut [u8; MAGNITUDE_BYTES + PAST]) -> Self {
        let written = unstuff::forward(prefix, bytes);
        Magnitudes { bytes, written, position: 0 }
    }

    /// The bits, of which those before `end` are to be read next.
    #[inline(always)]
    fn up_to(&mut self, end: u32) -> &[u8; MAGNITUDE_BYTES + PAST] {
        let end_byte = (end as usize / 8 + PAST).min(self.bytes.len());
        if end_byte > self.written {
            self.bytes[self.written..end_byte].fill(0xff);
            self.written = end_byte;
        }
        self.position = end;
        self.bytes
    }
}

/// The bounds step: records and places of a row whose MagSgn bits start at `position`.
///
/// Returns the largest `U_q` and the position after the row.
fn bounds(row: &mut Row, quads: usize, mut position: u32, first: bool) -> (u32, u32) {
    let mut largest = 0;
    for q in 0..quads {
        let word = row.words[q];
        let near = row.bottom[2 * q] | row.bottom[2 * q + 1] | row.bottom[2 * q + 2] | row.bottom[2 * q + 3];
        let kappa = if first || word >> 28 & 1 == 0 { 1 } else { 31 - (near & 0x7fff_ffff | 2).leading_zeros() };
        let bound = row.u[q] + kappa;
        largest = largest.max(bound);
        row.records[q] = word >> 16 & 0xfff | bound << 12 & 0x3f000 | (position & 7) << 18;
        row.places[q] = position >> 3;
        position += (word >> 13 & 7) * bound - (word >> 10 & 7);
    }
    (largest, position)
}

/// The magnitudes step: the samples of a row.
fn magnitudes(row: &mut Row, quads: usize, bytes: &[u8; MAGNITUDE_BYTES + PAST]) {
    for q in 0..quads {
        let record = row.records[q];
        let mut position = record >> 18;
        let mut samples = [0; 4];
        for (n, sample) in samples.iter_mut().enumerate() {
            let significant = record >> n & 1;
            let count = ((record >> 12 & 0x3f) - (record >> 4 >> n & 1)) * significant;
            let at = (row.places[q] + (position >> 3)) as usize & (MAGNITUDE_BYTES - 1);
            let next = u32::from_le_bytes(*bytes[at..].first_chunk().expect("a word past the last byte"));
            let coded = next >> (position & 7) & !(u32::MAX << count) | (record >> 8 >> n & 1) << count;
            *sample = (coded | 1 | coded << 31) * significant;
            position += count;
        }
        [row.top[2 * q + 1], row.bottom[2 * q + 1], row.top[2 * q + 2], row.bottom[2 * q + 2]] = samples;
    }
}
