//! Code-blocks of a sub-band to bytes, a row of blocks at a time.

use super::input::Value;
use super::{Analyses, Lane, Spaces};
use crate::block::{BlockEncoder, Origin};
use crate::buffer::Buffer;
use crate::geometry::Band;
use crate::wavelet::Transform;
use alloc::vec::Vec;

/// The bytes of a code-block, in the bytes of the lane that coded it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CodedBlock {
    pub(crate) start: usize,
    /// 0 for a block of zeros, which is in no packet.
    pub(crate) length: u32,
    pub(crate) lane: u32,
}

/// The coefficients of a transform, as the block coder takes them.
pub(crate) trait Coefficient: Transform + Value {
    fn analyses(analyses: &mut Analyses) -> &mut [super::Analysis<Self>; 3];
    fn of_lane(lane: &mut Lane) -> (&mut Coder, &mut Spaces<Self>);
    fn origin(samples: &[Self], step: f32) -> Origin<'_>;
}

macro_rules! coefficient {
    ($t:ty, $field:ident, $origin:expr) => {
        impl Coefficient for $t {
            fn analyses(analyses: &mut Analyses) -> &mut [super::Analysis<$t>; 3] {
                &mut analyses.$field
            }
            fn of_lane(lane: &mut Lane) -> (&mut Coder, &mut Spaces<$t>) {
                (&mut lane.coder, &mut lane.$field)
            }
            fn origin(samples: &[$t], step: f32) -> Origin<'_> {
                $origin(samples, step)
            }
        }
    };
}
coefficient!(i32, integer, |samples, _| Origin::Integer(samples));
coefficient!(i64, wide, |samples, _| Origin::Wide(samples));
coefficient!(f32, real, |samples, step: f32| Origin::Real(samples, 1.0 / step));

/// What a thread codes blocks with, and the bytes they became.
#[derive(Default)]
pub(crate) struct Coder {
    pub(crate) encoder: BlockEncoder,
    /// The bytes of the image's blocks that were coded here.
    pub(crate) bytes: Vec<u8>,
    /// Whether a block had more bit-planes than its band.
    pub(crate) overflow: bool,
    /// Every bit that was set in a sample read here (of its complement, if negative).
    pub(crate) bits: u32,
}

impl Coder {
    /// Forgets the image before.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        (self.overflow, self.bits) = (false, 0);
    }
}

/// The blocks of some rows of a band's code-blocks.
pub(crate) struct BandBlocks<'a> {
    pub(crate) band: &'a Band,
    first_row: u32,
    blocks: &'a mut [CodedBlock],
}

impl<'a> BandBlocks<'a> {
    /// Takes the blocks of a band from those of a tile; `first` is the index of the first one left.
    pub(crate) fn take(band: &'a Band, blocks: &mut &'a mut [CodedBlock], first: &mut usize) -> Self {
        let count = band.grid.width() as usize * band.grid.height() as usize;
        let skipped = band.first_block as usize - *first;
        let (own, rest) = core::mem::take(blocks).split_at_mut(skipped).1.split_at_mut(count);
        (*blocks, *first) = (rest, band.first_block as usize + count);
        BandBlocks { band, first_row: band.grid.y0, blocks: own }
    }

    /// Cuts before the block that holds a row of the band.
    pub(crate) fn cut(self, y: u32) -> (Self, Self) {
        let BandBlocks { band, first_row, blocks } = self;
        let row = (y >> band.block.1).clamp(first_row, band.grid.y1.max(first_row));
        let (before, after) = blocks.split_at_mut(((row - first_row) * band.grid.width()) as usize);
        (BandBlocks { band, first_row, blocks: before }, BandBlocks { band, first_row: row, blocks: after })
    }

    /// Codes one row of blocks; `samples` begins at the row's first sample.
    pub(crate) fn code_row<T: Coefficient>(
        &mut self,
        (lane, coder): (usize, &mut Coder),
        row: u32,
        samples: &[T],
        stride: usize,
    ) {
        let band = self.band;
        let blocks = &mut self.blocks[((row - self.first_row) * band.grid.width()) as usize..];
        for (x, block) in (band.grid.x0..band.grid.x1).zip(blocks) {
            let area = band.block_area(x, row);
            let origin = T::origin(&samples[(area.x0 - band.area.x0) as usize..], band.step);
            let start = coder.bytes.len();
            let (width, height) = (area.width() as u16, area.height() as u16);
            let written = coder.encoder.encode(origin, stride, width, height, &mut coder.bytes);
            coder.overflow |= written.planes > band.planes;
            *block = CodedBlock { start, length: written.cleanup_len, lane: lane as u32 };
        }
    }
}

/// A row of a band's code-blocks that is filling up.
#[derive(Debug, Default)]
pub(crate) struct Strip<T> {
    samples: Buffer<T>,
    stride: usize,
}

impl<T: Coefficient> Strip<T> {
    pub(crate) fn start(&mut self, band: &Band) {
        self.stride = band.area.width() as usize;
        let rows = (1usize << band.block.1).min(band.area.height() as usize);
        self.samples.set_length(self.stride * rows);
    }

    /// Room for a row of the band.
    pub(crate) fn row(&mut self, band: &Band, y: u32) -> &mut [T] {
        let first = (y >> band.block.1 << band.block.1).max(band.area.y0);
        let start = (y - first) as usize * self.stride;
        &mut self.samples[start..start + self.stride]
    }

    /// Codes the row of blocks if this was its last row.
    pub(crate) fn filled(&mut self, blocks: &mut BandBlocks<'_>, y: u32, coder: (usize, &mut Coder)) {
        let band = blocks.band;
        let last = (y + 1).trailing_zeros() >= band.block.1 as u32 || y + 1 == band.area.y1;
        if last && self.stride > 0 {
            blocks.code_row(coder, y >> band.block.1, &self.samples, self.stride);
        }
    }
}
