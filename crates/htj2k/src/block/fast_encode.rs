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
use super::tables::{FIRST_CODES, MEL_EXPONENT, OTHER_CODES, UCode};

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
    /// Top samples, zero after the last.
    pub top: [i32; ROW_SAMPLES],
    /// Bottom samples likewise.
    pub bottom: [i32; ROW_SAMPLES],
    /// Exponents of bottom samples from index 1, zero if insignificant: those of even rows of quads, and of odd ones.
    pub exponents: [[u32; ROW_SAMPLES]; 2],
    /// Whether this is an odd row of quads.
    pub odd: bool,
    /// First: the index of the codeword in bits 0 to 10, `u_q` from 16, `U_q` from 24. Then, from the codeword:
    /// `EMB^k` in bits 0 to 3 and `U_q` from 24.
    pub quads: [u32; ROW_QUADS],
}

/// The scratch memory of the encoder.
pub(super) struct Scratch {
    row: Row,
    magnitudes: [u64; MAGNITUDE_WORDS],
    vlc: [u64; VLC_WORDS],
    mel: Mel,
    bytes: [u8; MAGNITUDE_WORDS * 10],
}

impl Scratch {
    pub(super) fn new() -> Box<Self> {
        Box::new(Scratch {
            row: Row {
                top: [0; ROW_SAMPLES],
                bottom: [0; ROW_SAMPLES],
                exponents: [[0; ROW_SAMPLES]; 2],
                odd: false,
                quads: [0; ROW_QUADS],
            },
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
macro_rules! encoder {
    ($(#[$feature:meta])* $name:ident, $quads:path, $magnitudes:path) => {
        $(#[$feature])*
        pub(super) fn $name(
            origin: &Origin<'_>,
            stride: usize,
            (width, height): (usize, usize),
            planes: u32,
            scratch: &mut Scratch,
            out: &mut Vec<u8>,
        ) {
            let Scratch { row, magnitudes, vlc, mel, bytes } = scratch;
            row.top[width..][..16].fill(0);
            row.bottom[width..][..16].fill(0);
            row.exponents.iter_mut().for_each(|exponents| exponents[width + 1..][..16].fill(0));
            mel.reset();
            let mut magnitudes = Packer::new(magnitudes);
            let mut vlc = Packer::new(vlc);
            // The low four bits of the last byte but one are not of the stream; they count as ones.
            vlc.put(0xf, 4);
            let quads = width.div_ceil(2);
            for y in (0..height).step_by(2) {
                load(origin, y * stride, &mut row.top[..width]);
                if y + 1 < height {
                    load(origin, (y + 1) * stride, &mut row.bottom[..width]);
                } else {
                    row.bottom[..width].fill(0);
                }
                row.odd = y & 2 != 0;
                $quads(row, quads, y == 0);
                if y == 0 {
                    codewords::<true>(&mut row.quads[..quads], &mut vlc, mel);
                } else {
                    codewords::<false>(&mut row.quads[..quads], &mut vlc, mel);
                }
                $magnitudes(row, quads, planes, &mut magnitudes);
            }
            let used = stuff::forward(magnitudes.finish(), bytes);
            out.extend_from_slice(&bytes[..used]);
            let end = bytes.len();
            let remainder = stuff::backward(vlc.finish(), bytes);
            mel.join(remainder, &mut bytes[..end], out);
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

/// The integers of a row.
#[inline(always)]
fn load(origin: &Origin<'_>, at: usize, row: &mut [i32]) {
    match origin {
        Origin::Integer(samples) => row.copy_from_slice(&samples[at..at + row.len()]),
        Origin::Real(samples, factor) => {
            for (integer, &sample) in row.iter_mut().zip(&samples[at..]) {
                *integer = (sample * factor) as i32;
            }
        }
    }
}

/// The quads step.
fn quads(row: &mut Row, quads: usize, first: bool) {
    let (above, below) = row.exponents.split_at_mut(1);
    let (above, below) = if row.odd { (&above[0], &mut below[0]) } else { (&below[0], &mut above[0]) };
    let (mut left, mut west) = (0, 0);
    for q in 0..quads {
        let samples = [row.top[2 * q], row.bottom[2 * q], row.top[2 * q + 1], row.bottom[2 * q + 1]];
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
        row.quads[q] = context << 8 | rho << 4 | eps | (bound - kappa) << 16 | bound << 24;
        left = (rho | rho >> 1) & 1 | rho >> 1 & 6;
        west = u32::from(rho & 12 != 0);
    }
}

/// The exponent of a sample: bits of `2 mu - 1`.
fn exponent(sample: i32) -> u32 {
    if sample == 0 { 0 } else { 33 - (sample.unsigned_abs() - 1).leading_zeros() }
}

/// The codewords step.
#[inline(always)]
fn codewords<const FIRST: bool>(quads: &mut [u32], vlc: &mut Packer<'_, VLC_WORDS>, mel: &mut Mel) {
    let (pairs, last) = quads.as_chunks_mut::<2>();
    for pair in pairs {
        let [one, two] = *pair;
        let u = one >> 16 & 31 | (two >> 16 & 31) << 5;
        let [one, two] = [codeword::<FIRST>(&mut pair[0], mel), codeword::<FIRST>(&mut pair[1], mel)];
        let mut code = PAIR_CODES[u as usize];
        if FIRST && u & 31 != 0 && u >> 5 != 0 {
            code = first_pair(u & 31, u >> 5, mel);
        }
        let bits = u64::from(one & 0xff)
            | u64::from(two & 0xff) << (one >> 8 & 15)
            | u64::from(code & 0xffff) << ((one >> 8 & 15) + (two >> 8 & 15));
        vlc.put(bits, (one >> 8 & 15) + (two >> 8 & 15) + (code >> 16));
    }
    if let [quad] = last {
        let code = PAIR_CODES[(*quad >> 16 & 31) as usize];
        let one = codeword::<FIRST>(quad, mel);
        vlc.put(u64::from(one & 0xff) | u64::from(code & 0xffff) << (one >> 8 & 15), (one >> 8 & 15) + (code >> 16));
    }
}

/// The codeword of a quad; leaves in the quad what the magnitudes step needs.
#[inline(always)]
fn codeword<const FIRST: bool>(quad: &mut u32, mel: &mut Mel) -> u32 {
    let codes = if FIRST { &FIRST_CODES } else { &OTHER_CODES };
    let index = *quad & 0x7ff;
    let code = u32::from(codes[index as usize]);
    if index < 0x100 {
        mel.event(index != 0);
    }
    *quad = *quad & 0xff00_0000 | code >> 12;
    code
}

/// U-VLC codes of pairs: index `u` of the first quad and 32 times that of the second; bits 0-15 the code, 16- its length.
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
    let (prefixes, suffix) = (one.prefix.1 + two.prefix.1, one.prefix.1 + two.prefix.1 + one.suffix.1);
    one.prefix.0
        | two.prefix.0 << one.prefix.1
        | one.suffix.0 << prefixes
        | two.suffix.0 << suffix
        | (suffix + two.suffix.1) << 16
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

/// The magnitudes step.
pub(super) fn magnitudes(row: &mut Row, quads: usize, _planes: u32, out: &mut Magnitudes<'_>) {
    for q in 0..quads {
        let samples = [row.top[2 * q], row.bottom[2 * q], row.top[2 * q + 1], row.bottom[2 * q + 1]];
        let quad = row.quads[q];
        for (n, sample) in samples.into_iter().enumerate().filter(|&(_, sample)| sample != 0) {
            let count = (quad >> 24) - (quad >> n & 1);
            let value = (sample.unsigned_abs() - 1) << 1 | sample as u32 >> 31;
            out.put(u64::from(value & ((1 << count) - 1)), count);
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
