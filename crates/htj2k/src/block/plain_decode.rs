//! The cleanup pass decoded step by step as the standard writes it (T.814 7.3), in 64-bit arithmetic: the oracle of the
//! fast decoder and the decoder of blocks with more bit-planes than that one holds.

use super::bits::{Backward, Forward, MelReader};
use super::tables::{FIRST_QUADS, OTHER_QUADS, Prefix};
use super::{BlockError, Cleanup};

/// Columns of quads beside a row, so that neighbours need no test.
const MARGIN: usize = 1;

/// A quad of the row above: its two bottom samples.
#[derive(Clone, Copy, Default)]
struct Bottom {
    exponents: [u32; 2],
}

struct Decoder<'a> {
    mel: MelReader<'a>,
    vlc: Backward<'a>,
    magnitudes: Forward<'a>,
    plane: u32,
    most: u32,
}

/// A quad as VLC codes it.
#[derive(Clone, Copy, Default)]
struct Quad {
    rho: u32,
    u_off: bool,
    known: u32,
    ones: u32,
}

/// Decodes the cleanup segment into `samples`, `stride` apart: bit 63 the sign, below it twice the magnitude.
pub(super) fn decode(
    cleanup: &Cleanup<'_>,
    width: usize,
    height: usize,
    samples: &mut [u64],
    stride: usize,
) -> Result<(), BlockError> {
    let mut decoder = Decoder {
        mel: MelReader::new(cleanup.suffix),
        vlc: Backward::vlc(cleanup.suffix),
        magnitudes: Forward::new(cleanup.prefix, 0xff),
        plane: cleanup.plane,
        most: cleanup.missing_msbs + 2,
    };
    let quads = width.div_ceil(2);
    let mut above = [Bottom::default(); 512 + 2 * MARGIN];
    for y in (0..height).step_by(2) {
        let mut row = [Bottom::default(); 512 + 2 * MARGIN];
        let mut left = Quad::default();
        for q in (0..quads).step_by(2) {
            let count = (quads - q).min(2);
            let mut pair = [Quad::default(); 2];
            for (n, quad) in pair[..count].iter_mut().enumerate() {
                *quad = decoder.quad(context(y == 0, left, &above, q + n), y == 0);
                left = *quad;
            }
            let u = decoder.pair(pair, y == 0);
            for n in 0..count {
                let kappa = if y == 0 { 1 } else { predicted(pair[n], &above, q + n) };
                let values = decoder.samples(pair[n], u[n] + kappa)?;
                row[q + n + MARGIN].exponents = [values[1].exponent, values[3].exponent];
                for (place, value) in values.iter().enumerate() {
                    let (column, line) = (2 * (q + n) + place / 2, y + place % 2);
                    if column < width && line < height {
                        samples[line * stride + column] = value.sample;
                    }
                }
            }
        }
        above = row;
    }
    Ok(())
}

/// The context of a quad (T.814 equations 1 and 2) in the order of the tables' index.
fn context(first: bool, left: Quad, above: &[Bottom], quad: usize) -> u32 {
    let rho = left.rho;
    if first {
        return ((rho | rho >> 1) & 1) | (rho >> 1 & 6);
    }
    let at = |offset: usize, side: usize| above[quad + MARGIN + offset - 1].exponents[side] != 0;
    let north_west = at(0, 1) || at(1, 0);
    let north_east = at(1, 1) || at(2, 0);
    u32::from(north_west) | u32::from(north_east) << 1 | u32::from(rho & 12 != 0) << 2
}

/// The exponent predicted from the row above (T.814 7.3.7).
fn predicted(quad: Quad, above: &[Bottom], column: usize) -> u32 {
    if quad.rho & quad.rho.wrapping_sub(1) == 0 {
        return 1;
    }
    let near = [
        above[column].exponents[1],
        above[column + 1].exponents[0],
        above[column + 1].exponents[1],
        above[column + 2].exponents[0],
    ];
    near.into_iter().max().unwrap_or(0).saturating_sub(1).max(1)
}

#[derive(Clone, Copy, Default)]
struct Value {
    sample: u64,
    exponent: u32,
}

impl Decoder<'_> {
    fn quad(&mut self, context: u32, first: bool) -> Quad {
        if context == 0 && !self.mel.event() {
            return Quad::default();
        }
        let table = if first { &FIRST_QUADS } else { &OTHER_QUADS };
        let mut ahead = self.vlc.bit();
        let mut count = 1;
        let mut word = table[(context << 7 | ahead) as usize];
        while word & 7 != count {
            ahead |= self.vlc.bit() << count;
            count += 1;
            word = table[(context << 7 | ahead) as usize];
        }
        Quad { rho: word >> 16 & 15, u_off: word >> 6 & 1 == 1, known: word >> 20 & 15, ones: word >> 24 & 15 }
    }

    /// `u_q` of a pair of quads (T.814 7.3.6).
    fn pair(&mut self, pair: [Quad; 2], first: bool) -> [u32; 2] {
        let both = pair[0].u_off && pair[1].u_off;
        let large = first && both && self.mel.event();
        let one = if pair[0].u_off { self.prefix() } else { Prefix { len: 0, value: 0, suffix_len: 0 } };
        let two = match pair[1].u_off {
            false => Prefix { len: 0, value: 0, suffix_len: 0 },
            true if first && both && !large && one.value > 2 => {
                Prefix { len: 1, value: 1 + self.vlc.bit(), suffix_len: 0 }
            }
            true => self.prefix(),
        };
        let suffixes = [one, two].map(|prefix| self.vlc.bits(prefix.suffix_len));
        let extensions = suffixes.map(|suffix| if suffix >= 28 { self.vlc.bits(4) } else { 0 });
        let more = if large { 2 } else { 0 };
        [one.value + suffixes[0] + 4 * extensions[0] + more, two.value + suffixes[1] + 4 * extensions[1] + more]
    }

    fn prefix(&mut self) -> Prefix {
        let mut bits = 0;
        for count in 0..3 {
            bits |= self.vlc.bit() << count;
            if bits != 0 {
                break;
            }
        }
        Prefix::of(bits)
    }

    /// The MagSgn values of a quad (T.814 7.3.8).
    fn samples(&mut self, quad: Quad, bound: u32) -> Result<[Value; 4], BlockError> {
        if bound > self.most {
            return Err(BlockError::Exponent);
        }
        let mut values = [Value::default(); 4];
        for (n, value) in values.iter_mut().enumerate().filter(|(n, _)| quad.rho >> n & 1 == 1) {
            let count = bound - (quad.known >> n & 1);
            let coded = self.magnitudes.bits(count) | u64::from(quad.ones >> n & 1) << count;
            value.sample = (coded & 1) << 63 | ((coded | 1) + 2) << self.plane;
            value.exponent = 64 - (coded | 1).leading_zeros();
        }
        Ok(values)
    }
}
