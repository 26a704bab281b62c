//! The cleanup pass decoded for speed (T.814 7.3): the same result as the plain decoder's for magnitudes that fit.
//!
//! First both halves of the segment become plain bits. Then each row of quads takes three steps. *Quads*: MEL and VLC
//! bits give the significance pattern and `u_q` of every quad; this is a chain of table look-ups, each of which must
//! wait for the one before. *Bounds*: the exponents of the row above give every quad's bound `U_q`, and a prefix sum
//! the place of its MagSgn bits. *Magnitudes*: every quad's bits are then read independently of each other, in the
//! shadow of the next row's chain.

use alloc::boxed::Box;

use super::quads::{Patterns, Quads, ROW_QUADS, VLC_BYTES};
use super::tables::PairWord;
use super::{BlockError, Cleanup, unstuff};

/// Most bits of one MagSgn value this decoder reads: 32 less a bit offset within a byte.
pub(super) const MOST_BITS: u32 = 25;

/// Samples of the widest row with one before the first and some after the last.
pub(super) const ROW_SAMPLES: usize = 1024 + 64;

/// Bytes of plain MagSgn bits, a power of two that no block exceeds; `MOST_BITS` of each of 4920 samples, those of
/// quads that reach over the edge included.
pub(super) const MAGNITUDE_BYTES: usize = 16384;
/// What is read past the byte a bit is in.
pub(super) const PAST: usize = 32;

/// A row of quads on its way from patterns to samples.
pub(super) struct Row {
    /// The pattern words' bits 16 to 27 in bits 0 to 11, `U_q` from bit 12, the first bit within its byte from bit 18.
    pub records: [u32; ROW_QUADS],
    /// The byte where a quad's MagSgn bits start.
    pub places: [u32; ROW_QUADS],
    /// Twice the top samples in units of the cleanup pass's plane, from index 1.
    pub top: [i32; ROW_SAMPLES],
    /// Bottom samples likewise.
    pub bottom: [i32; ROW_SAMPLES],
}

/// The scratch memory of the decoder.
pub(super) struct Scratch {
    patterns: Patterns,
    row: Row,
    vlc: [u8; VLC_BYTES],
    magnitudes: [u8; MAGNITUDE_BYTES + PAST],
}

impl Scratch {
    pub(super) fn new() -> Box<Self> {
        Box::new(Scratch {
            patterns: Patterns::new(),
            row: Row {
                records: [0; ROW_QUADS],
                places: [0; ROW_QUADS],
                top: [0; ROW_SAMPLES],
                bottom: [0; ROW_SAMPLES],
            },
            vlc: [0; VLC_BYTES],
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
    fn take(&mut self, y: usize, stride: usize, samples: &[i32], plane: u32) {
        let place = y * stride..y * stride + samples.len();
        match self {
            Sink::Doubled(out) => {
                for (out, &sample) in out[place].iter_mut().zip(samples) {
                    *out = (half_added(sample).unsigned_abs() << plane) | sample as u32 & 1 << 31;
                }
            }
            Sink::Integer(out) if plane == 0 => {
                for (out, &sample) in out[place].iter_mut().zip(samples) {
                    *out = sample >> 1;
                }
            }
            Sink::Integer(out) => {
                for (out, &sample) in out[place].iter_mut().zip(samples) {
                    *out = half_added(sample) << (plane - 1);
                }
            }
            Sink::Real(out, factor) => {
                let factor = *factor * (1u32 << plane) as f32;
                for (out, &sample) in out[place].iter_mut().zip(samples) {
                    *out = half_added(sample) as f32 * factor;
                }
            }
        }
    }
}

/// Twice a sample with half a step more, away from zero, unless it is zero.
#[inline(always)]
fn half_added(doubled: i32) -> i32 {
    doubled + doubled.signum()
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
            let Scratch { patterns, row, vlc, magnitudes } = scratch;
            let quads = width.div_ceil(2);
            patterns.reset(quads);
            row.bottom[..width + 8].fill(0);
            let mut reader = Quads::new(cleanup.suffix, vlc);
            let mut values = Magnitudes::new(cleanup.prefix, magnitudes);
            let most = (cleanup.missing_msbs + 2).min(MOST_BITS);
            let mut significant = reader.row::<true>(quads, patterns, |_| {});
            for y in (0..height).step_by(2) {
                if significant {
                    let (largest, end) = $bounds(patterns, row, quads, values.position, y == 0);
                    if largest > most {
                        return Err(BlockError::Exponent);
                    }
                    let bits = values.up_to(end);
                    if y + 2 < height {
                        significant = reader.row::<false>(quads, patterns, |q| $magnitudes(row, q, bits));
                    } else {
                        (0..quads).step_by(4).for_each(|q| $magnitudes(row, q, bits));
                    }
                } else {
                    row.top[1..][..width].fill(0);
                    row.bottom[1..][..2 * quads].fill(0);
                    patterns.contexts[..quads].fill(0);
                    patterns.empty[..quads.div_ceil(4)].fill(15);
                    if y + 2 < height {
                        significant = reader.row::<false>(quads, patterns, |_| {});
                    }
                }
                sink.take(y, stride, &row.top[1..][..width], cleanup.plane);
                if y + 1 < height {
                    sink.take(y + 1, stride, &row.bottom[1..][..width], cleanup.plane);
                }
            }
            Ok(())
        }
    };
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
decoder!(portable, bounds, magnitudes);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
decoder!(portable, super::wasm::bounds, super::wasm::magnitudes);
#[cfg(target_arch = "x86_64")]
decoder!(
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    avx2,
    super::simd::bounds,
    super::simd::magnitudes
);

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

/// The bounds step: records and places of a row whose MagSgn bits start at `position`, and contexts of the row below.
///
/// Returns the largest `U_q` and the position after the row.
fn bounds(patterns: &mut Patterns, row: &mut Row, quads: usize, mut position: u32, first: bool) -> (u32, u32) {
    let mut largest = 0;
    row.records[quads..][..4].fill(0);
    for q in (0..quads).step_by(2) {
        let u = pair_of_u(patterns.pairs[q / 2], patterns.suffixes[q / 2]);
        for (q, u) in (q..).zip(u) {
            let word = patterns.words[q + 1];
            let near = row.bottom[2 * q..][..4].iter().fold(1, |most, sample| most.max(sample.unsigned_abs()));
            let several = if first { 0 } else { (word >> 28 & 1).wrapping_neg() };
            let bound = u + 31 - ((near - 1) & several | 2).leading_zeros();
            largest = largest.max(bound);
            row.records[q] = word >> 16 & 0xfff | bound << 12 & 0x3f000 | (position & 7) << 18;
            row.places[q] = position >> 3;
            position += (word >> 13 & 7) * bound - (word >> 10 & 7);
            let (west, east) = (patterns.words[q], patterns.words[q + 2]);
            patterns.contexts[q] = (word >> 30 | west >> 31 | east >> 29 & 2) << 7;
        }
    }
    for (empty, contexts) in patterns.empty.iter_mut().zip(patterns.contexts[..quads].chunks(4)) {
        *empty = contexts.iter().rev().fold(0, |empty, &context| empty << 1 | u8::from(context == 0));
    }
    (largest, position)
}

/// `u_q` of a pair of quads.
pub(super) fn pair_of_u(pair: PairWord, suffixes: u32) -> [u32; 2] {
    let one = suffixes >> (pair >> 8 & 15) & !(u32::MAX << (pair >> 16 & 7));
    let two = suffixes >> (pair >> 12 & 15) & !(u32::MAX << (pair >> 20 & 7));
    [(pair >> 24 & 15) + one, (pair >> 28) + two]
}

/// The magnitudes step: the samples of four quads.
fn magnitudes(row: &mut Row, first: usize, bytes: &[u8; MAGNITUDE_BYTES + PAST]) {
    for q in first..first + 4 {
        let record = row.records[q];
        let mut position = (row.places[q] << 3) + (record >> 18);
        let mut samples = [0; 4];
        for (column, samples) in samples.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            // At least 57 bits, enough for two values.
            let at = (position >> 3) as usize & (MAGNITUDE_BYTES - 1);
            let mut next = u64::from_le_bytes(*bytes[at..].first_chunk().expect("a word past the last byte"));
            next >>= position & 7;
            for (n, sample) in samples.iter_mut().enumerate() {
                // Without branches, which would be as hard to predict as the samples.
                let flags = record >> (2 * column + n);
                let significant = (flags & 1).wrapping_neg();
                let count = ((record >> 12 & 0x3f) - (flags >> 4 & 1)) & significant & 31;
                let coded = next as u32 & !(u32::MAX << count) | (flags >> 8 & 1) << count;
                let sign = (coded & 1).wrapping_neg() as i32;
                *sample = ((((coded as i32 | 1) + 1) ^ sign) - sign) & significant as i32;
                next >>= count;
                position += count;
            }
        }
        [row.top[2 * q + 1], row.bottom[2 * q + 1], row.top[2 * q + 2], row.bottom[2 * q + 2]] = samples;
    }
}
