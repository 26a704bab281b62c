//! The cleanup pass of one code-block (T.814 clause 7): quads of 2 x 2 samples, two of them at a time, row by row of quads.
//!
//! Of each row of quads first the significance and the exponents' excess are read ([`Cleanup::row_of_codes`]), then the magnitudes and
//! signs ([`Cleanup::row_of_samples`]).

use super::bits::{Bits, Mel};
use super::packets::BLOCK;
use super::vlc::{self, EXCESS, Quad, pair};
use super::{Result, damaged, form};

/// Quads in a row, and one on each side that is none.
const QUADS: usize = BLOCK / 2 + 2;

/// Two rows of samples: twice the magnitude, and the sign below it; 0 where there is nothing.
pub(super) type Lines = [[u32; BLOCK]; 2];

/// Room for the decoding of blocks.
#[derive(Debug)]
pub(super) struct Cleanup {
    magsgn: Bits,
    vlc: Bits,
    /// Quads of the row above, and of this one, from 1 on.
    above: [Quad; QUADS],
    row: [Quad; QUADS],
    /// How far they exceed what is predicted.
    excess: [u8; QUADS],
    /// Exponents of the lower two samples of each quad of the row above, and of this one (7.3.7): the left one of quad `q` at `2 q - 1`.
    exponents_above: [u8; 2 * QUADS],
    exponents: [u8; 2 * QUADS],
    lines: Lines,
}

impl Default for Cleanup {
    fn default() -> Self {
        Cleanup {
            magsgn: Bits::default(),
            vlc: Bits::default(),
            above: [Quad::default(); QUADS],
            row: [Quad::default(); QUADS],
            excess: [0; QUADS],
            exponents_above: [0; 2 * QUADS],
            exponents: [0; 2 * QUADS],
            lines: [[0; BLOCK]; 2],
        }
    }
}

impl Cleanup {
    /// Decodes a block; each two lines are given away with the number of the first.
    pub(super) fn decode(
        &mut self,
        stored: &[u8],
        width: usize,
        height: usize,
        mut lines: impl FnMut(usize, &Lines),
    ) -> Result<()> {
        let [.., last_but_one, last] = stored else { return Err(damaged("a block that is too short")) };
        // 7.1.1: the last 12 bits tell how long the suffix is.
        let suffix = usize::from(*last) << 4 | usize::from(*last_but_one & 15);
        if suffix < 2 || suffix > stored.len() || suffix > 4079 {
            return Err(damaged("a block whose parts don't fit"));
        }
        let (prefix, suffix) = stored.split_at(stored.len() - suffix);
        self.magsgn.forward(prefix);
        self.vlc.backward(&suffix[..suffix.len() - 1]);
        let mut mel = Mel::new(suffix);
        let (mut code, mut sample) = (0, 0);
        let quads = width.div_ceil(2).min(BLOCK / 2);
        for y in (0..height).step_by(2) {
            if y == 0 {
                self.row_of_codes::<true>(quads, &mut mel, &mut code);
                self.row_of_samples::<true>(quads, &mut sample)?;
            } else {
                self.row_of_codes::<false>(quads, &mut mel, &mut code);
                self.row_of_samples::<false>(quads, &mut sample)?;
            }
            std::mem::swap(&mut self.row, &mut self.above);
            std::mem::swap(&mut self.exponents, &mut self.exponents_above);
            lines(y, &self.lines);
        }
        Ok(())
    }

    /// Significance, patterns and excess of a row of quads (7.3.5, 7.3.6).
    #[inline(always)]
    fn row_of_codes<const FIRST: bool>(&mut self, quads: usize, mel: &mut Mel<'_>, place: &mut usize) {
        let table = vlc::quads(FIRST);
        let above = &self.above;
        // What lies above a quad: the samples to the left and right of its upper edge.
        let context = |q: usize| -> usize {
            if FIRST {
                return 0;
            }
            let (left, here, right) = (above[q - 1].0, above[q].0, above[q + 1].0);
            ((left >> 3 | here >> 1) & 1 | ((here >> 3 | right >> 1) & 1) << 2) as usize
        };
        let mut left = 0;
        for q in (1..=quads).step_by(2) {
            let mut next = self.vlc.at(*place);
            let mut read = 0;
            let mut quad = |context: usize| {
                let context = context | left;
                if context == 0 && !mel.symbol() {
                    left = 0;
                    return Quad::default();
                }
                let quad = table[context % 8 * 128 + (next % 128) as usize];
                next >>= quad.length();
                read += quad.length() as usize;
                left = quad.left();
                quad
            };
            let first = quad(context(q));
            let second = if q < quads { quad(context(q + 1)) } else { Quad::default() };
            self.row[q] = first;
            self.row[q + 1] = second;
            let mut kind = first.exceeds() | second.exceeds() << 1;
            if FIRST && kind == pair::BOTH {
                kind = if mel.symbol() { pair::BOTH_MORE } else { pair::BOTH_FIRST };
            }
            let excess = EXCESS[kind.min(pair::BOTH_MORE) as usize][(next & 63) as usize];
            next >>= excess.length;
            let [a, b] = excess.suffix;
            self.excess[q] = excess.base[0] + (next & ((1 << a) - 1)) as u8;
            self.excess[q + 1] = excess.base[1] + (next >> a & ((1 << b) - 1)) as u8;
            *place += read + usize::from(excess.length + a + b);
        }
        self.row[quads + 1] = Quad::default();
    }

    /// Exponents, magnitudes and signs of a row of quads (7.3.7, 7.3.8).
    #[inline(always)]
    fn row_of_samples<const FIRST: bool>(&mut self, quads: usize, place: &mut usize) -> Result<()> {
        /// A byte of 1 for each bit.
        const EACH: [u32; 16] = {
            let mut each = [0; 16];
            let mut n = 0;
            while n < 16 {
                each[n] = (n & 1 | (n & 2) << 7 | (n & 4) << 14 | (n & 8) << 21) as u32;
                n += 1;
            }
            each
        };
        let [upper, lower] = &mut self.lines;
        if self.row[1..=quads].iter().all(|quad| quad.significance() == 0) {
            (*upper, *lower, self.exponents) = ([0; BLOCK], [0; BLOCK], [0; 2 * QUADS]);
            return Ok(());
        }
        // What is predicted from above (7.3.7), less the 1 that it is at least.
        let mut predicted = [0u8; QUADS];
        if !FIRST {
            let pairs = self.exponents_above.as_chunks::<2>().0;
            for (predicted, (left, right)) in predicted[1..].iter_mut().zip(pairs.iter().zip(&pairs[1..])) {
                *predicted = left[0].max(left[1]).max(right[0].max(right[1])).saturating_sub(2);
            }
        }
        let codes = self.row[1..=quads].iter().zip(self.excess[1..=quads].iter().zip(&predicted[1..=quads]));
        let lines = upper.as_chunks_mut::<2>().0.iter_mut().zip(lower.as_chunks_mut::<2>().0);
        for ((quad, (excess, predicted)), (upper, lower)) in codes.zip(lines) {
            let significance = quad.significance();
            // Of a single sample nothing is predicted.
            let several = u32::from(significance & significance.wrapping_sub(1) != 0).wrapping_neg();
            let most = u32::from(*excess) + 1 + (u32::from(*predicted) & several);
            if most > MOST_BITS {
                return Err(form(format!("coefficients of more than {MOST_BITS} bits")));
            }
            // Bits of each sample, one in a byte, and how many there are up to and with each.
            let bits = EACH[significance as usize] * most - EACH[quad.known() as usize];
            let sums = bits.wrapping_mul(0x0101_0101);
            let total = sums >> 24;
            // The highest bit may be known; each significant sample has a magnitude of 1 or more.
            let value = |n: u32, read: u64| -> u32 {
                let size = bits >> (8 * n) & 31;
                ((read as u32 & !(u32::MAX << size)) | (quad.ones() >> n & 1) << size) + 2 * (significance >> n & 1)
            };
            let read = self.magsgn.at(*place);
            let (one, two, three) = (sums & 127, sums >> 8 & 127, sums >> 16 & 127);
            let [a, b, c, d] = if total <= 57 {
                [value(0, read), value(1, read >> one), value(2, read >> two), value(3, read >> three)]
            } else {
                let read = |n: u32| self.magsgn.at(*place + n as usize);
                [value(0, read(0)), value(1, read(one)), value(2, read(two)), value(3, read(three))]
            };
            *place += total as usize;
            (*upper, *lower) = ([a, c], [b, d]);
        }
        self.exponents[1..].iter_mut().zip(&lower[..2 * quads]).for_each(|(e, value)| *e = exponent(*value));
        // There is nothing to the right of the last quad.
        self.exponents[2 * quads + 1] = 0;
        Ok(())
    }
}

/// Of 16 bits, with two transforms and the finest of steps, there are no more; and so many a number of floating point holds.
const MOST_BITS: u32 = 24;

/// Bits of twice the magnitude less one (7.3.7), of twice the magnitude and a sign.
#[inline(always)]
fn exponent(value: u32) -> u8 {
    let bits = ((value & !1) as i32 - 1) as f32;
    let exponent = (bits.to_bits() >> 23) as u8;
    if value > 1 { exponent.wrapping_sub(126) } else { 0 }
}
