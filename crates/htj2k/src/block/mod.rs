//! The HT block coder (T.814 clause 7): one code-block of a sub-band from bytes to coefficients and back.
//!
//! A coefficient's magnitude is counted in units of bit-plane 0 of its sub-band, the plane a fully decoded
//! reversible coefficient ends at. Below the last decoded plane `p` of a non-zero magnitude stands half a step, the
//! mid-point of the interval that is left (T.800 E.1.1.2 with r = 1/2): `(mu + 1/2) * 2^p`. An integer target drops
//! what is below plane 0, so reversible coefficients are exact.

use alloc::vec::Vec;

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

/// Decodes blocks; keeps its scratch memory between calls.
#[derive(Default)]
pub(crate) struct BlockDecoder {}

impl BlockDecoder {
    /// A decoder with the fastest code this machine runs.
    pub(crate) fn new() -> Self {
        Self::default()
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
        let _ = (data, coded, width, height, target, stride);
        Err(BlockError::Geometry)
    }
}

/// Where a block's coefficients come from; rows are `stride` apart in the slice.
pub(crate) enum Origin<'a> {
    /// Two's complement.
    Integer(&'a [i32]),
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
#[derive(Default)]
pub(crate) struct BlockEncoder {}

impl BlockEncoder {
    /// An encoder with the fastest code this machine runs.
    pub(crate) fn new() -> Self {
        Self::default()
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
        let _ = (origin, stride, width, height, out);
        Written {
            cleanup_len: 0,
            planes: 0,
        }
    }
}
