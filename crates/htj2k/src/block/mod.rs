//! The HT block coder (T.814 clause 7): one code-block of a sub-band from bytes to coefficients and back.
//!
//! A coefficient's magnitude is counted in units of bit-plane 0 of its sub-band, the plane a fully decoded
//! reversible coefficient ends at. Below the last decoded plane `p` of a non-zero magnitude stands half a step, the
//! mid-point of the interval that is left (T.800 E.1.1.2 with r = 1/2): `(mu + 1/2) * 2^p`. An integer target drops
//! what is below plane 0, so reversible coefficients are exact.

mod bits;
mod codewords;
mod fast_decode;
mod fast_encode;
mod plain_decode;
mod plain_encode;
mod quads;
mod refine;
mod simd;
mod stuff;
mod tables;
#[cfg(test)]
mod tests;
mod unstuff;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::simd::{Simd, SimdLevel};
use fast_decode::{MOST_BITS, Scratch, Sink};
use refine::{Refinement, Sample, Significance, refine};

/// Why a block's bytes cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockError {
    /// The block's sides or the number of passes are outside the standard's limits.
    Geometry,
    /// The segments are longer than the data, or the cleanup segment is shorter than 2 or longer than 65 534 bytes.
    SegmentLength,
    /// The length of MEL and VLC bytes (Scup) is below 2, above 4079 or above the segment's length.
    SuffixLength,
    /// More missing bit-planes than the arithmetic holds.
    BitPlanes,
    /// An exponent exceeds the block's bit-planes.
    Exponent,
}

/// Where a block's coefficients go; rows are `stride` apart in the slice.
pub(crate) enum Target<'a> {
    /// Two's complement, for the reversible transform.
    Integer(&'a mut [i32]),
    /// Likewise, for samples of many bits.
    Wide(&'a mut [i64]),
    /// The coefficient times the quantisation step, for the irreversible transform.
    Real(&'a mut [f32], f32),
}

/// What the packet headers say of a block (T.814 B).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coded {
    /// Bytes of the HT cleanup segment.
    pub cleanup_len: u32,
    /// Bytes of the HT refinement segment (both passes), 0 if there is none.
    pub refine_len: u32,
    /// Magnitude bit-planes of the sub-band, with those of a region of interest: `M_b + roi_shift` (T.800 E.1, H.1).
    pub planes: u8,
    /// Zero bit-planes of the packet header (P in T.800 B.10.5).
    pub missing_msbs: u8,
    /// 1: cleanup, 2: and significance propagation, 3: and magnitude refinement.
    pub passes: u8,
    /// Code-block style bit 3: vertically causal context (T.800 A.6.1, T.814 7.4).
    pub vertically_causal: bool,
    /// The shift of the RGN marker, 0 without one: magnitudes of `2^(planes - roi_shift)` and above go down by it.
    pub roi_shift: u8,
}

/// Most samples of a block, and the longest side (T.800 A.6.1).
const MOST_SAMPLES: usize = 4096;
const LONGEST_SIDE: usize = 1024;
/// Most bit-planes the 64-bit arithmetic holds beside the sign, the half step and an exponent out of bounds.
const MOST_PLANES: u32 = 60;
/// Most bit-planes 32-bit arithmetic holds likewise.
const MOST_FAST_PLANES: u8 = 28;

/// A cleanup segment taken apart (T.814 7.1.2).
struct Cleanup<'a> {
    /// The MagSgn bytes.
    prefix: &'a [u8],
    /// The MEL and VLC bytes, `Scup` of them, at least two.
    suffix: &'a [u8],
    /// The bit-plane it ends at.
    plane: u32,
    /// Bit-planes above the block's first.
    missing_msbs: u32,
}

impl<'a> Cleanup<'a> {
    fn parse(data: &'a [u8], coded: &Coded) -> Result<Self, BlockError> {
        let (planes, missing_msbs) = (u32::from(coded.planes), u32::from(coded.missing_msbs));
        if planes > MOST_PLANES || missing_msbs >= planes {
            return Err(BlockError::BitPlanes);
        }
        let segment = data.get(..coded.cleanup_len as usize).ok_or(BlockError::SegmentLength)?;
        let [.., low, high] = *segment else { return Err(BlockError::SegmentLength) };
        let suffix_len = usize::from(high) << 4 | usize::from(low & 15);
        if !(2..=4079).contains(&suffix_len) || suffix_len > segment.len() {
            return Err(BlockError::SuffixLength);
        }
        let (prefix, suffix) = segment.split_at(segment.len() - suffix_len);
        Ok(Cleanup { prefix, suffix, plane: planes - 1 - missing_msbs, missing_msbs })
    }
}

impl Default for BlockDecoder {
    fn default() -> Self {
        Self::new(Simd::detect())
    }
}

/// Decodes blocks; keeps its scratch memory between calls.
pub(crate) struct BlockDecoder {
    /// The code to use.
    pub(crate) simd: Simd,
    scratch: Box<Scratch>,
    doubled: Vec<u32>,
    wide: Vec<u64>,
    significance: Significance,
}

impl BlockDecoder {
    /// A decoder with the code of a SIMD level.
    pub(crate) fn new(simd: Simd) -> Self {
        let significance = Significance::default();
        BlockDecoder { simd, scratch: Scratch::new(), doubled: Vec::new(), wide: Vec::new(), significance }
    }

    /// Decodes one block of `width` x `height` from `data`, its segments one after another.
    pub(crate) fn decode(
        &mut self,
        data: &[u8],
        coded: &Coded,
        width: u16,
        height: u16,
        target: Target<'_>,
        stride: usize,
    ) -> Result<(), BlockError> {
        let sides = (usize::from(width), usize::from(height));
        let allowed = 1..=LONGEST_SIDE;
        if !allowed.contains(&sides.0) || !allowed.contains(&sides.1) || sides.0 * sides.1 > MOST_SAMPLES {
            return Err(BlockError::Geometry);
        }
        if !(1..=3).contains(&coded.passes) {
            return Err(BlockError::Geometry);
        }
        let cleanup = Cleanup::parse(data, coded)?;
        let refinement = refinement(data, coded, &cleanup)?;
        let wide = matches!(target, Target::Wide(_)) || self.simd.level() == SimdLevel::Scalar;
        if wide || coded.planes > MOST_FAST_PLANES || cleanup.missing_msbs + 2 > MOST_BITS {
            return self.decode_wide(&cleanup, refinement.as_ref(), coded, sides, target, stride);
        }
        if refinement.is_some() || coded.roi_shift > 0 {
            self.doubled.resize(MOST_SAMPLES, 0);
            let mut sink = Sink::Doubled(&mut self.doubled);
            simd::decode(self.simd, &cleanup, sides, &mut self.scratch, &mut sink, sides.0)?;
            finish(&mut self.doubled, refinement.as_ref(), coded, sides, &mut self.significance, target, stride);
            return Ok(());
        }
        let mut sink = match target {
            Target::Integer(samples) => Sink::Integer(samples),
            Target::Real(samples, step) => Sink::Real(samples, 0.5 * step),
            Target::Wide(_) => unreachable!("decoded by the wide way"),
        };
        simd::decode(self.simd, &cleanup, sides, &mut self.scratch, &mut sink, stride)
    }

    /// The way of blocks with more bit-planes than 32-bit arithmetic holds, and of the scalar level.
    fn decode_wide(
        &mut self,
        cleanup: &Cleanup<'_>,
        refinement: Option<&Refinement<'_>>,
        coded: &Coded,
        sides: (usize, usize),
        target: Target<'_>,
        stride: usize,
    ) -> Result<(), BlockError> {
        self.wide.clear();
        self.wide.resize(sides.0 * sides.1, 0);
        plain_decode::decode(cleanup, sides.0, sides.1, &mut self.wide, sides.0)?;
        finish(&mut self.wide, refinement, coded, sides, &mut self.significance, target, stride);
        Ok(())
    }
}

/// What follows the cleanup pass of a block that needs more than that: refinement, and the way to the sub-band.
fn finish<S: Sample>(
    block: &mut [S],
    refinement: Option<&Refinement<'_>>,
    coded: &Coded,
    sides: (usize, usize),
    significance: &mut Significance,
    target: Target<'_>,
    stride: usize,
) {
    if let Some(refinement) = refinement {
        refine(refinement, block, sides.0, sides, significance);
    }
    transfer(block, sides, coded, target, stride);
}

/// The refinement passes, unless there are none or no plane is left for them.
fn refinement<'a>(data: &'a [u8], coded: &Coded, cleanup: &Cleanup<'_>) -> Result<Option<Refinement<'a>>, BlockError> {
    if coded.passes == 1 || coded.refine_len == 0 || cleanup.plane == 0 {
        return Ok(None);
    }
    let (start, len) = (coded.cleanup_len as usize, coded.refine_len as usize);
    let segment = data.get(start..).and_then(|rest| rest.get(..len)).ok_or(BlockError::SegmentLength)?;
    let causal = coded.vertically_causal;
    Ok(Some(Refinement { segment, plane: cleanup.plane, magnitudes: coded.passes == 3, causal }))
}

/// Moves samples from the scratch block to their place in the sub-band.
fn transfer<S: Sample>(block: &[S], (width, height): (usize, usize), coded: &Coded, target: Target<'_>, stride: usize) {
    let roi = RegionOfInterest::of(coded);
    let rows = block.chunks_exact(width).take(height);
    match target {
        Target::Integer(samples) => {
            for (row, out) in rows.zip(samples.chunks_mut(stride)) {
                for (sample, out) in row.iter().zip(out) {
                    let magnitude = (roi.restore(sample.doubled()) >> 1) as i32;
                    *out = if sample.negative() { magnitude.wrapping_neg() } else { magnitude };
                }
            }
        }
        Target::Wide(samples) => {
            for (row, out) in rows.zip(samples.chunks_mut(stride)) {
                for (sample, out) in row.iter().zip(out) {
                    let magnitude = (roi.restore(sample.doubled()) >> 1) as i64;
                    *out = if sample.negative() { magnitude.wrapping_neg() } else { magnitude };
                }
            }
        }
        Target::Real(samples, step) => {
            for (row, out) in rows.zip(samples.chunks_mut(stride)) {
                for (sample, out) in row.iter().zip(out) {
                    let magnitude = roi.restore(sample.doubled()) as f32 * (0.5 * step);
                    *out = if sample.negative() { -magnitude } else { magnitude };
                }
            }
        }
    }
}

/// The scaling of a region of interest undone (T.800 H.1).
struct RegionOfInterest {
    shift: u32,
    /// Twice the least magnitude inside the region.
    least: u64,
}

impl RegionOfInterest {
    fn of(coded: &Coded) -> Self {
        let shift = u32::from(coded.roi_shift).min(63);
        RegionOfInterest { shift, least: 2 << u32::from(coded.planes).saturating_sub(shift) }
    }

    fn restore(&self, doubled: u64) -> u64 {
        if self.shift > 0 && doubled >= self.least { doubled >> self.shift } else { doubled }
    }
}

/// Where a block's coefficients come from; rows are `stride` apart in the slice.
pub(crate) enum Origin<'a> {
    /// Two's complement.
    Integer(&'a [i32]),
    /// Likewise, for samples of many bits.
    Wide(&'a [i64]),
    /// Quantised by a dead zone: the magnitude is `floor(|x| * factor)`, `factor` the inverse of the step.
    Real(&'a [f32], f32),
}

/// What was written for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Bytes of the cleanup segment; 0 for a block of zeros, which needs no bytes.
    pub cleanup_len: u32,
    /// Bit-planes of the largest magnitude. They must not exceed the sub-band's; the block's missing MSBs are the sub-band's planes less 1.
    pub planes: u8,
}

/// Encodes blocks with one cleanup pass of bit-plane 0; keeps its scratch memory between calls.
pub(crate) struct BlockEncoder {
    /// The code to use; all write the same bytes.
    pub(crate) simd: Simd,
    scratch: Box<fast_encode::Scratch>,
    wide: Vec<i64>,
}

impl Default for BlockEncoder {
    fn default() -> Self {
        Self::new(Simd::detect())
    }
}

impl BlockEncoder {
    /// An encoder with the code of a SIMD level.
    pub(crate) fn new(simd: Simd) -> Self {
        BlockEncoder { simd, scratch: fast_encode::Scratch::new(), wide: Vec::new() }
    }

    /// Appends the cleanup segment of one block to `out`.
    ///
    /// Sides are 1 to 1024, samples 4096 at most (T.800 A.6.1): others are the caller's mistake and panic.
    pub(crate) fn encode(
        &mut self,
        origin: Origin<'_>,
        stride: usize,
        width: u16,
        height: u16,
        out: &mut Vec<u8>,
    ) -> Written {
        let (width, height) = (usize::from(width), usize::from(height));
        assert!(
            (1..=LONGEST_SIDE).contains(&width)
                && (1..=LONGEST_SIDE).contains(&height)
                && width * height <= MOST_SAMPLES
        );
        if is_zero(&origin, stride, width, height) {
            return Written { cleanup_len: 0, planes: 0 };
        }
        let start = out.len();
        let mut planes = match origin {
            _ if self.simd.level() == SimdLevel::Scalar => u32::MAX,
            Origin::Wide(_) => u32::MAX,
            _ => simd::encode(self.simd, &origin, stride, (width, height), &mut self.scratch, out),
        };
        if planes > fast_encode::MOST_PLANES {
            integers(&origin, stride, (width, height), &mut self.wide);
            planes = plain_encode::encode(&self.wide, width, height, out);
        }
        Written { cleanup_len: (out.len() - start) as u32, planes: planes as u8 }
    }
}

/// Whether all samples of a block are zero.
fn is_zero(origin: &Origin<'_>, stride: usize, width: usize, height: usize) -> bool {
    match origin {
        Origin::Integer(samples) => {
            let mut rows = samples.chunks(stride).take(height);
            rows.all(|row| row[..width].iter().fold(0, |all, sample| all | sample) == 0)
        }
        Origin::Wide(samples) => {
            let mut rows = samples.chunks(stride).take(height);
            rows.all(|row| row[..width].iter().all(|&sample| sample == 0))
        }
        Origin::Real(samples, factor) => {
            let mut rows = samples.chunks(stride).take(height);
            rows.all(|row| row[..width].iter().fold(0, |all, &sample| all | (sample * factor) as i32) == 0)
        }
    }
}

/// The integers of a block.
fn integers(origin: &Origin<'_>, stride: usize, (width, height): (usize, usize), out: &mut Vec<i64>) {
    fn rows<T>(samples: &[T], stride: usize, (width, height): (usize, usize)) -> impl Iterator<Item = &T> {
        samples.chunks(stride).take(height).flat_map(move |row| &row[..width])
    }
    let sides = (width, height);
    out.clear();
    match origin {
        Origin::Integer(samples) => out.extend(rows(samples, stride, sides).map(|&sample| i64::from(sample))),
        Origin::Wide(samples) => out.extend(rows(samples, stride, sides)),
        Origin::Real(samples, factor) => {
            out.extend(rows(samples, stride, sides).map(|sample| i64::from((sample * factor) as i32)));
        }
    }
}
