//! Code-blocks of a sub-band to coefficients: HT blocks (T.814 clause 7) and those of T.800 Annexes C and D.

use super::output::Value;
use super::synthesis::Synthesis;
use super::{Lane, Planes, Spaces};
use crate::Error;
use crate::block::{BlockDecoder, Coded, Target as BlockTarget};
use crate::geometry::{Band, Block, BlockState, Rect, Tile};
use crate::held::Held;
use crate::markers::BlockStyle;
use crate::packet::PacketReader;
use crate::part1::{self, Part1Decoder};
use crate::simd::Simd;
use crate::wavelet::Transform;
use alloc::vec::Vec;

/// Where code-blocks come from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) held: Held<'a>,
    pub(crate) tile: &'a Tile,
    pub(crate) packets: &'a PacketReader,
    pub(crate) simd: Simd,
}

/// What a thread decodes code-blocks with.
#[derive(Default)]
pub(crate) struct Tools {
    decoder: BlockDecoder,
    part1: Part1Decoder,
    scratch: Vec<u8>,
}

/// Code-blocks, and what decodes them.
pub(crate) struct Blocks<'a, 't> {
    pub(crate) source: Source<'a>,
    pub(crate) tools: &'t mut Tools,
}

/// The coefficients of a transform, as the block coder gives them.
pub(crate) trait Coefficient: Transform + Value {
    fn of(planes: &mut Planes) -> &mut Vec<Synthesis<Self>>;
    fn of_lane(lane: &mut Lane) -> (&mut Tools, &mut Spaces<Self>);
    fn target(samples: &mut [Self], step: f32) -> BlockTarget<'_>;
    /// Whether magnitudes of so many bits can be held.
    fn holds(bits: u8) -> bool;
    fn from_doubled(magnitude: u64, negative: bool, step: f32) -> Self;
}

/// Integers, and the most bits of a magnitude that they hold.
macro_rules! integer {
    ($integer:ty, $of:ident, $target:ident, $most:literal) => {
        impl Coefficient for $integer {
            fn of(planes: &mut Planes) -> &mut Vec<Synthesis<Self>> {
                &mut planes.$of
            }
            fn of_lane(lane: &mut Lane) -> (&mut Tools, &mut Spaces<Self>) {
                (&mut lane.tools, &mut lane.$of)
            }
            fn target(samples: &mut [Self], _: f32) -> BlockTarget<'_> {
                BlockTarget::$target(samples)
            }
            fn holds(bits: u8) -> bool {
                bits <= $most
            }
            fn from_doubled(magnitude: u64, negative: bool, _: f32) -> Self {
                let magnitude = (magnitude >> 1) as Self;
                if negative { magnitude.wrapping_neg() } else { magnitude }
            }
        }
    };
}

integer!(i32, integer, Integer, 31);
integer!(i64, wide, Wide, 60);

impl Coefficient for f32 {
    fn of(planes: &mut Planes) -> &mut Vec<Synthesis<f32>> {
        &mut planes.real
    }
    fn of_lane(lane: &mut Lane) -> (&mut Tools, &mut Spaces<f32>) {
        (&mut lane.tools, &mut lane.real)
    }
    fn target(samples: &mut [f32], step: f32) -> BlockTarget<'_> {
        BlockTarget::Real(samples, step)
    }
    fn holds(_: u8) -> bool {
        true
    }
    fn from_doubled(magnitude: u64, negative: bool, step: f32) -> f32 {
        let magnitude = magnitude as f32 * (0.5 * step);
        if negative { -magnitude } else { magnitude }
    }
}

impl Blocks<'_, '_> {
    /// Decodes a row of a band's code-blocks, as many as `grid` has columns; `out` begins with the first one's samples.
    pub(crate) fn block_row<T: Coefficient>(
        &mut self,
        band: &Band,
        grid: Rect,
        row: u32,
        style: BlockStyle,
        out: &mut [T],
        stride: usize,
    ) -> Result<(), Error> {
        let left = band.block_area(grid.x0, row).x0;
        for x in grid.x0..grid.x1 {
            let area = band.block_area(x, row);
            let block = self.source.tile.blocks[band.block_index(x, row)];
            let start = (area.x0 - left) as usize;
            let size = (area.width() as u16, area.height() as u16);
            self.block(band, &block, style, size, &mut out[start..], stride)?;
        }
        Ok(())
    }

    fn block<T: Coefficient>(
        &mut self,
        band: &Band,
        block: &Block,
        style: BlockStyle,
        (width, height): (u16, u16),
        out: &mut [T],
        stride: usize,
    ) -> Result<(), Error> {
        if block.first_chunk == crate::geometry::NONE || self.is_left_out(block) {
            for row in out.chunks_mut(stride).take(height as usize) {
                row[..width as usize].fill(T::default());
            }
            return Ok(());
        }
        let at = self.source.packets.chain(block).next().map_or(0, |c| c.start);
        let missing = block.missing.saturating_add(block.skipped / 3);
        let bits = band.planes.saturating_sub(missing).min(band.planes.saturating_sub(band.roi_shift));
        if !T::holds(bits) {
            return Err(Error::unsupported(at, "more than 31 bit-planes of reversible coefficients"));
        }
        if block.state != BlockState::Ht {
            return self.part1_block(at, band, block, style, (width, height), out, stride);
        }
        self.tools.decoder.simd = self.source.simd;
        let data = self.source.packets.bytes(self.source.held.bytes, block, &mut self.tools.scratch);
        let coded = Coded {
            cleanup_len: block.cleanup,
            refine_len: block.refinement,
            planes: band.planes,
            missing_msbs: missing,
            passes: if block.refinement == 0 { 1 } else { block.used },
            vertically_causal: style.vertically_causal(),
            roi_shift: band.roi_shift,
        };
        self.tools
            .decoder
            .decode(data, &coded, width, height, T::target(out, band.step), stride)
            .map_err(|_| Error::malformed(at, "a code-block cannot be decoded"))
    }

    /// Whether bytes of it are not there: a sketch goes without it.
    fn is_left_out(&self, block: &Block) -> bool {
        let Source { held, packets, .. } = &self.source;
        held.is_sparse() && packets.chain(block).any(|c| !held.has(c.start..c.start + c.length as usize))
    }

    /// A code-block of T.800 Annexes C and D.
    #[allow(clippy::too_many_arguments)]
    fn part1_block<T: Coefficient>(
        &mut self,
        at: usize,
        band: &Band,
        block: &Block,
        style: BlockStyle,
        (width, height): (u16, u16),
        out: &mut [T],
        stride: usize,
    ) -> Result<(), Error> {
        let planes = band.planes.saturating_sub(block.missing) as u32;
        if planes > 60 {
            return Err(Error::unsupported(at, "more than 60 bit-planes"));
        }
        let job = part1::Job { kind: band.kind, style, planes, width: width as usize, height: height as usize };
        let chunks = self.source.packets.chain(block);
        let chunks = chunks.map(|c| (&self.source.held.bytes[c.start..c.start + c.length as usize], c.passes));
        if !self.tools.part1.decode(&job, chunks) {
            return Err(Error::malformed(at, "a code-block has more passes than bit-planes"));
        }
        for (y, row) in out.chunks_mut(stride).take(height as usize).enumerate() {
            for (x, v) in row[..width as usize].iter_mut().enumerate() {
                let (doubled, negative) = self.tools.part1.sample(&job, x, y);
                *v = T::from_doubled(unscaled(doubled, band), negative, band.step);
            }
        }
        Ok(())
    }
}

/// The scaling of a region of interest undone (H.1).
fn unscaled(doubled: u64, band: &Band) -> u64 {
    let outside = 2u64 << band.planes.saturating_sub(band.roi_shift).min(62);
    if band.roi_shift > 0 && doubled >= outside { doubled >> band.roi_shift.min(63) } else { doubled }
}
