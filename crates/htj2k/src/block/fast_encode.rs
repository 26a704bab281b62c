//! The cleanup pass written for speed (T.814 7.3, Annex C): byte for byte what the plain encoder writes.
//!
//! All that the decoder has to find out quad by quad the encoder knows beforehand, so each row of quads takes three
//! steps without a chain between quads. *Quads*: exponents, significance and contexts of the whole row, as indices of
//! the codeword tables. *Codewords*: VLC, U-VLC and MEL bits of each pair. *Magnitudes*: the MagSgn bits, whose number
//! depends on the codeword. Bits are packed without stuffing; the stuffed bytes are made of whole words at the end.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Origin;
use super::stuff::{self, Packer};
use super::tables::{FIRST_CODES, MEL_EXPONENT, OTHER_CODES, QuadCode, UCode};

/// Most bit-planes this encoder takes.
pub(super) const MOST_PLANES: u32 = 24;

/// Quads of the widest row, and some so that whole vectors can be read and written.
const ROW_QUADS: usize = 512 + 16;
/// Samples of the widest row with one before the first and some after the last.
const ROW_SAMPLES: usize = 1024 + 32;

/// Words of plain MagSgn bits, a power of two that no block exceeds: 25 bits of each of 4920 samples, those of quads
/// that reach over the edge included.
const MAGNITUDE_WORDS: usize = 2048;
/// Words of plain VLC bits likewise: 30 bits of each of 615 pairs.
const VLC_WORDS: usize = 512;

/// A row of quads on its way from samples to bits.
pub(super) struct Row {
    /// Exponents of bottom samples from index 1, zero if insignificant: those of even rows of quads, and of odd ones.
    pub exponents: [[u32; ROW_SAMPLES]; 2],
    /// Whether this is an odd row of quads.
    pub odd: bool,
    /// The index of a quad's codeword in bits 0 to 10, `u_q` from 16 for the first of a pair and from 21 for the second,
    /// `U_q` from 26.
    pub quads: [u32; ROW_QUADS],
    /// The quad's codeword.
    pub codes: [QuadCode; ROW_QUADS],
}

/// The scratch memory of the encoder.
pub(super) struct Scratch {
    /// Samples of a row and of the one below, if those of the caller are not integers or not whole vectors.
    top: [i32; ROW_SAMPLES],
    bottom: [i32; ROW_SAMPLES],
    row: Row,
    magnitudes: [u64; MAGNITUDE_WORDS],
    vlc: [u64; VLC_WORDS],
    mel: Mel,
    bytes: [u8; MAGNITUDE_WORDS * 10],
}

impl Scratch {
    pub(super) fn new() -> Box<Self> {
        Box::new(Scratch {
            top: [0; ROW_SAMPLES],
            bottom: [0; ROW_SAMPLES],
            row: Row { exponents: [[0; ROW_SAMPLES]; 2], odd: false, quads: [0; ROW_QUADS], codes: [0; ROW_QUADS] },
            magnitudes: [0; MAGNITUDE_WORDS],
            vlc: [0; VLC_WORDS],
            mel: Mel::default(),
            bytes: [0; MAGNITUDE_WORDS * 10],
        })
    }
}

/// The bits of MagSgn values.
pub(super) type Magnitudes<'a> = Packer<'a, MAGNITUDE_WORDS>;

/// One encoder per SIMD level: the steps are compiled for it, and two of them are its own.
///
/// Appends the cleanup segment; returns the bit-planes of the largest magnitude. If they are more than it takes, nothing is
/// appended.
macro_rules! encoder {
    ($(#[$feature:meta])* $name:ident, $quads:path, $magnitudes:path) => {
        $(#[$feature])*
        pub(super) fn $name(
            origin: &Origin<'_>,
            stride: usize,
            (width, height): (usize, usize),
            scratch: &mut Scratch,
            out: &mut Vec<u8>,
        ) -> u32 {
            let Scratch { top, bottom, row, magnitudes, vlc, mel, bytes } = scratch;
            let whole = width.next_multiple_of(8);
            top[width..whole].fill(0);
            bottom[..whole].fill(0);
            row.exponents.iter_mut().for_each(|exponents| exponents[width + 1..][..16].fill(0));
            mel.reset();
            let mut magnitudes = Packer::new(magnitudes);
            let mut vlc = Packer::new(vlc);
            // The low four bits of the last byte but one are not of the stream; they count as ones.
            vlc.put(0xf, 4);
            let quads = width.div_ceil(2);
            let (mut all, mut before) = (0, 0);
            for y in (0..height).step_by(2) {
                let (top, bottom) = rows(origin, stride, (width, height), y, top, bottom);
                row.odd = y & 2 != 0;
                let here = $quads(row, top, bottom, y == 0);
                all |= here;
                if all >> MOST_PLANES != 0 {
                    break;
                }
                if here | before == 0 {
                    // Every context is zero, so that MEL events are all there is.
                    mel.zeros(quads as u32);
                    continue;
                }
                if y == 0 {
                    codewords::<true>(row, quads, &mut vlc, mel);
                } else {
                    codewords::<false>(row, quads, &mut vlc, mel);
                }
                // No exponent is larger, nor is what the row above predicts.
                let most = (2 * here).max(before);
                $magnitudes(row, top, bottom, 32 - most.leading_zeros(), &mut magnitudes);
                before = here;
            }
            if all >> MOST_PLANES == 0 {
                let used = stuff::forward(magnitudes.finish(), bytes);
                out.extend_from_slice(&bytes[..used]);
                let end = bytes.len();
                let remainder = stuff::backward(vlc.finish(), bytes);
                mel.join(remainder, &mut bytes[..end], out);
            }
            32 - all.leading_zeros()
        }
    };
}

encoder!(portable, quads, magnitudes);
#[cfg(target_arch = "x86_64")]
encoder!(
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    avx2,
    super::simd::quads,
    super::simd::pack
);

/// Rows `y` and `y + 1` as integers in whole vectors: in place where they are so, else copied.
#[inline(always)]
fn rows<'a>(
    origin: &Origin<'a>,
    stride: usize,
    (width, height): (usize, usize),
    y: usize,
    top: &'a mut [i32; ROW_SAMPLES],
    bottom: &'a mut [i32; ROW_SAMPLES],
) -> (&'a [i32], &'a [i32]) {
    if let Origin::Integer(samples) = *origin
        && width % 8 == 0
        && y + 1 < height
    {
        return (&samples[y * stride..][..width], &samples[(y + 1) * stride..][..width]);
    }
    let whole = width.next_multiple_of(8);
    load(origin, y * stride, &mut top[..width]);
    if y + 1 < height {
        load(origin, (y + 1) * stride, &mut bottom[..width]);
    } else {
        bottom[..width].fill(0);
    }
    (&top[..whole], &bottom[..whole])
}

/// The integers of a row.
#[inline(always)]
fn load(origin: &Origin<'_>, at: usize, row: &mut [i32]) {
    match origin {
        Origin::Integer(samples) => row.copy_from_slice(&samples[at..at + row.len()]),
        Origin::Wide(_) => unreachable!("written by the plain encoder"),
        Origin::Real(samples, factor) => {
            for (integer, &sample) in row.iter_mut().zip(&samples[at..]) {
                *integer = (sample * factor) as i32;
            }
        }
    }
}

/// The quads step. Returns the bits set in any magnitude of the row.
fn quads(row: &mut Row, top: &[i32], bottom: &[i32], first: bool) -> u32 {
    let (above, below) = row.exponents.split_at_mut(1);
    let (above, below) = if row.odd { (&above[0], &mut below[0]) } else { (&below[0], &mut above[0]) };
    let (mut left, mut west, mut all) = (0, 0, 0);
    let columns = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
    for (q, (top, bottom)) in columns.enumerate() {
        let samples = [top[0], bottom[0], top[1], bottom[1]];
        all |= samples.iter().fold(0, |all, sample| all | sample.unsigned_abs());
        let exponents = samples.map(exponent);
        below[2 * q + 1] = exponents[1];
        below[2 * q + 2] = exponents[3];
        let rho = (0..4).fold(0, |rho, n| rho | u32::from(exponents[n] != 0) << n);
        let largest = exponents.into_iter().max().unwrap_or(0);
        let near = &above[2 * q..2 * q + 4];
        let mut context = left;
        let mut kappa = 1;
        if !first {
            context = u32::from(near[0] | near[1] != 0) | west << 1 | u32::from(near[2] | near[3] != 0) << 2;
            if rho & rho.wrapping_sub(1) != 0 {
                kappa = near.iter().fold(0, |most, &exponent| most.max(exponent)).saturating_sub(1).max(1);
            }
        }
        let bound = largest.max(kappa);
        let eps = match bound > kappa {
            true => (0..4).fold(0, |eps, n| eps | u32::from(exponents[n] == bound) << n),
            false => 0,
        };
        row.quads[q] = context << 8 | rho << 4 | eps | (bound - kappa) << (16 + 5 * (q & 1)) | bound << 26;
        left = (rho | rho >> 1) & 1 | rho >> 1 & 6;
        west = u32::from(rho & 12 != 0);
    }
    all
}

/// The exponent of a sample: bits of `2 mu - 1`, zero if it is insignificant.
fn exponent(sample: i32) -> u32 {
    let magnitude = sample.unsigned_abs();
    let significant = u32::from(magnitude != 0).wrapping_neg();
    (32 - magnitude.wrapping_mul(2).wrapping_sub(1).leading_zeros()) & significant
}

/// The codewords step.
#[inline(always)]
fn codewords<const FIRST: bool>(row: &mut Row, quads: usize, vlc: &mut Packer<'_, VLC_WORDS>, mel: &mut Mel) {
    let (fours, rest) = row.quads[..quads].as_chunks::<4>();
    let (codes, rest_codes) = row.codes[..quads].as_chunks_mut::<4>();
    for (&[one, two, three, four], codes) in fours.iter().zip(codes) {
        let (low, low_len) = pair::<FIRST>([one, two], codes[..2].first_chunk_mut().expect("two of four"), mel);
        let (high, high_len) = pair::<FIRST>([three, four], codes[2..].first_chunk_mut().expect("two of four"), mel);
        vlc.put(low | high << low_len, low_len + high_len);
    }
    let (pairs, last) = rest.as_chunks::<2>();
    let (codes, last_code) = rest_codes.as_chunks_mut::<2>();
    if let ([quads], [codes]) = (pairs, codes) {
        let (bits, len) = pair::<FIRST>(*quads, codes, mel);
        vlc.put(bits, len);
    }
    if let ([quad], [code]) = (last, last_code) {
        *code = codeword::<FIRST>(*quad, mel);
        let (bits, len) = joined([*code, 0], PAIR_CODES[(quad >> 16 & 31) as usize]);
        vlc.put(bits, len);
    }
}

/// The bits of a pair of quads, 30 at most, and how many they are.
#[inline(always)]
fn pair<const FIRST: bool>([one, two]: [u32; 2], codes: &mut [QuadCode; 2], mel: &mut Mel) -> (u64, u32) {
    *codes = [codeword::<FIRST>(one, mel), codeword::<FIRST>(two, mel)];
    let u = (one | two) >> 16 & 0x3ff;
    let mut pair = PAIR_CODES[u as usize];
    if FIRST && u & 31 != 0 && u >> 5 != 0 {
        pair = first_pair(u & 31, u >> 5, mel);
    }
    joined(*codes, pair)
}

/// The codeword of a quad.
#[inline(always)]
fn codeword<const FIRST: bool>(quad: u32, mel: &mut Mel) -> QuadCode {
    let index = quad & 0x7ff;
    if index < 0x100 {
        mel.event(index != 0);
    }
    if FIRST { FIRST_CODES[index as usize] } else { OTHER_CODES[index as usize] }
}

/// The codewords of two quads and their U-VLC code, whose low six bits are their lengths, as bits and their number.
#[inline(always)]
fn joined([one, two]: [QuadCode; 2], pair: u32) -> (u64, u32) {
    let both = one + two;
    let bits = u64::from(one >> 16) | u64::from(two >> 16) << (one & 63) | u64::from(pair >> 16) << (both & 63);
    (bits, (both + pair) & 63)
}

/// U-VLC codes of pairs: index `u` of the first quad and 32 times that of the second; bits 0-5 the length, from 16 the code.
static PAIR_CODES: [u32; 1024] = pair_codes();

const fn pair_codes() -> [u32; 1024] {
    let mut codes = [0; 1024];
    let mut index = 0;
    while index < 1024 {
        codes[index] = pair_code(UCode::of(index as u32 & 31), UCode::of(index as u32 >> 5));
        index += 1;
    }
    codes
}

const fn pair_code(one: UCode, two: UCode) -> u32 {
    let prefixes = one.prefix.1 + two.prefix.1;
    let suffix = prefixes + one.suffix.1;
    let bits = one.prefix.0 | two.prefix.0 << one.prefix.1 | one.suffix.0 << prefixes | two.suffix.0 << suffix;
    (suffix + two.suffix.1) | bits << 16
}

/// The code of a pair of the first row in which both `u` are above zero (T.814 7.3.6).
fn first_pair(one: u32, two: u32, mel: &mut Mel) -> u32 {
    let large = one > 2 && two > 2;
    mel.event(large);
    if large {
        return pair_code(UCode::of(one - 2), UCode::of(two - 2));
    }
    if one > 2 {
        return pair_code(UCode::of(one), UCode { prefix: (two - 1, 1), suffix: (0, 0), extension: (0, 0) });
    }
    pair_code(UCode::of(one), UCode::of(two))
}

/// The magnitudes step. No `U_q` of the row exceeds `most`.
pub(super) fn magnitudes(row: &Row, top: &[i32], bottom: &[i32], _most: u32, out: &mut Magnitudes<'_>) {
    let columns = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
    for ((top, bottom), (quad, code)) in columns.zip(row.quads.iter().zip(&row.codes)) {
        let value = |sample: i32, n: u32| {
            let magnitude = sample.unsigned_abs();
            let significant = u32::from(magnitude != 0).wrapping_neg();
            let count = ((quad >> 26) - (code >> 8 >> n & 1)) & significant;
            let value = (magnitude.wrapping_mul(2).wrapping_sub(2) | sample as u32 >> 31) & ((1 << count) - 1);
            (u64::from(value), count)
        };
        for (column, (&top, &bottom)) in (0..).zip(top.iter().zip(bottom)) {
            let (low, low_count) = value(top, 2 * column);
            let (high, high_count) = value(bottom, 2 * column + 1);
            out.put(low | high << low_count, low_count + high_count);
        }
    }
}

/// The MEL coder (T.814 7.3.3).
#[derive(Default)]
struct Mel {
    bytes: Vec<u8>,
    byte: u32,
    /// Bits to come in the byte.
    room: u32,
    state: usize,
    run: u32,
    threshold: u32,
}

impl Mel {
    fn reset(&mut self) {
        self.bytes.clear();
        (self.byte, self.room, self.state, self.run, self.threshold) = (0, 8, 0, 0, 1);
    }

    #[inline(always)]
    fn event(&mut self, one: bool) {
        if one {
            self.one();
        } else {
            self.run += 1;
            if self.run == self.threshold {
                self.full_run();
            }
        }
    }

    /// As many events that are zero.
    fn zeros(&mut self, count: u32) {
        let mut left = count;
        while left >= self.threshold - self.run {
            left -= self.threshold - self.run;
            self.full_run();
        }
        self.run += left;
    }

    #[cold]
    fn full_run(&mut self) {
        self.bit(1);
        self.run = 0;
        self.state = (self.state + 1).min(12);
        self.threshold = 1 << MEL_EXPONENT[self.state];
    }

    fn one(&mut self) {
        self.bit(0);
        (0..MEL_EXPONENT[self.state]).rev().for_each(|n| self.bit(self.run >> n & 1));
        self.run = 0;
        self.state = self.state.saturating_sub(1);
        self.threshold = 1 << MEL_EXPONENT[self.state];
    }

    fn bit(&mut self, bit: u32) {
        self.byte = self.byte << 1 | bit;
        self.room -= 1;
        if self.room == 0 {
            self.bytes.push(self.byte as u8);
            self.room = if self.byte == 0xff { 7 } else { 8 };
            self.byte = 0;
        }
    }

    /// Appends the MEL and VLC bytes to `out`, their length `Scup` in the last 12 bits; the last bytes of both become one
    /// if they agree (T.814 7.1.3, 7.1.4).
    fn join(&mut self, vlc: stuff::Remainder, vlc_bytes: &mut [u8], out: &mut Vec<u8>) {
        if self.run > 0 {
            self.bit(1);
        }
        let (mel, mel_mask) = ((self.byte << self.room) as u8, (0xff_u32 << self.room) as u8);
        let vlc_mask = (0xff_u32 >> (8 - vlc.count)) as u8;
        let mut start = vlc.start;
        if mel_mask | vlc_mask != 0 {
            let both = mel | vlc.byte;
            let agree = ((both ^ mel) & mel_mask | (both ^ vlc.byte) & vlc_mask) == 0;
            if agree && both != 0xff && start + 1 < vlc_bytes.len() {
                self.bytes.push(both);
            } else {
                self.bytes.push(mel);
                start -= 1;
                vlc_bytes[start] = vlc.byte;
            }
        }
        let suffix = self.bytes.len() + vlc_bytes.len() - start;
        let [.., low, high] = vlc_bytes else { return };
        *high = (suffix >> 4) as u8;
        *low = *low & 0xf0 | (suffix & 15) as u8;
        out.extend_from_slice(&self.bytes);
        out.extend_from_slice(&vlc_bytes[start..]);
    }
}
