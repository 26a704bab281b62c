//! From code-blocks to the rows of a tile-component: block decoding, then synthesis, resolution level by resolution level.
//!
//! Code-blocks are decoded a row of blocks at a time, into strips that stay in the cache; the low-pass band of each resolution level is
//! a plane, the result of the level before.

use crate::Error;
use crate::block::{BlockDecoder, Coded, Target};
use crate::buffer::Buffer;
use crate::geometry::{Band, Block, BlockState, Resolution, Tile};
use crate::limits::Spending;
use crate::markers::BlockStyle;
use crate::packet::PacketReader;
use crate::part1::{self, Part1Decoder};
use crate::simd::Simd;
use crate::wavelet::{Columns, Transform};
use alloc::vec::Vec;

/// Where code-blocks come from.
pub(crate) struct Blocks<'a> {
    pub(crate) codestream: &'a [u8],
    pub(crate) tile: &'a Tile,
    pub(crate) packets: &'a PacketReader,
    pub(crate) decoder: &'a mut BlockDecoder,
    pub(crate) part1: &'a mut Part1Decoder,
    pub(crate) scratch: &'a mut Vec<u8>,
    pub(crate) simd: Simd,
}

/// The coefficients of a transform, as the block coder gives them.
pub(crate) trait Coefficient: Transform {
    fn target(samples: &mut [Self], step: f32) -> Target<'_>;
    /// Whether magnitudes of so many bits can be held.
    fn holds(bits: u8) -> bool;
    fn from_doubled(magnitude: u64, negative: bool, step: f32) -> Self;
}

impl Coefficient for i32 {
    fn target(samples: &mut [i32], _: f32) -> Target<'_> {
        Target::Integer(samples)
    }
    fn holds(bits: u8) -> bool {
        bits <= 31
    }
    fn from_doubled(magnitude: u64, negative: bool, _: f32) -> i32 {
        let magnitude = (magnitude >> 1) as i32;
        if negative { magnitude.wrapping_neg() } else { magnitude }
    }
}

impl Coefficient for f32 {
    fn target(samples: &mut [f32], step: f32) -> Target<'_> {
        Target::Real(samples, step)
    }
    fn holds(_: u8) -> bool {
        true
    }
    fn from_doubled(magnitude: u64, negative: bool, step: f32) -> f32 {
        let magnitude = magnitude as f32 * (0.5 * step);
        if negative { -magnitude } else { magnitude }
    }
}

impl Blocks<'_> {
    /// Decodes one row of a band's code-blocks; `out` begins at the row's first sample.
    fn block_row<T: Coefficient>(
        &mut self,
        band: &Band,
        row: u32,
        style: BlockStyle,
        out: &mut [T],
        stride: usize,
    ) -> Result<(), Error> {
        for x in band.grid.x0..band.grid.x1 {
            let area = band.block_area(x, row);
            let block = self.tile.blocks[band.block_index(x, row)];
            let start = (area.x0 - band.area.x0) as usize;
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
        if block.first_chunk == crate::geometry::NONE {
            for row in out.chunks_mut(stride).take(height as usize) {
                row[..width as usize].fill(T::default());
            }
            return Ok(());
        }
        let at = self.packets.chain(block).next().map_or(0, |c| c.start);
        let missing = block.missing.saturating_add(block.skipped / 3);
        let bits = band.planes.saturating_sub(missing).min(band.planes.saturating_sub(band.roi_shift));
        if !T::holds(bits) {
            return Err(Error::unsupported(at, "more than 31 bit-planes of reversible coefficients"));
        }
        if block.state != BlockState::Ht {
            return self.part1_block(at, band, block, style, (width, height), out, stride);
        }
        let data = self.packets.bytes(self.codestream, block, self.scratch);
        let coded = Coded {
            cleanup_len: block.cleanup,
            refine_len: block.refinement,
            planes: band.planes,
            missing_msbs: missing,
            passes: if block.refinement == 0 { 1 } else { block.used },
            vertically_causal: style.vertically_causal(),
            roi_shift: band.roi_shift,
        };
        self.decoder
            .decode(data, &coded, width, height, T::target(out, band.step), stride)
            .map_err(|_| Error::malformed(at, "a code-block cannot be decoded"))
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
        let chunks = self.packets.chain(block);
        let chunks = chunks.map(|c| (&self.codestream[c.start..c.start + c.length as usize], c.passes));
        if !self.part1.decode(&job, chunks) {
            return Err(Error::malformed(at, "a code-block has more passes than bit-planes"));
        }
        for (y, row) in out.chunks_mut(stride).take(height as usize).enumerate() {
            for (x, v) in row[..width as usize].iter_mut().enumerate() {
                let (doubled, negative) = self.part1.sample(&job, x, y);
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

/// A row of a band's code-blocks, decoded.
#[derive(Debug, Default)]
struct Strip<T> {
    samples: Buffer<T>,
    stride: usize,
    /// The band's rows that are in it.
    first: u32,
    end: u32,
}

impl<T: Coefficient> Strip<T> {
    fn start(&mut self, band: &Band) {
        self.stride = band.area.width() as usize;
        let rows = (1usize << band.block.1).min(band.area.height() as usize);
        self.samples.set_length(self.stride * rows);
        (self.first, self.end) = (band.area.y0, band.area.y0);
    }

    /// A row of the band; rows must be asked for in order.
    fn row(&mut self, blocks: &mut Blocks<'_>, band: &Band, style: BlockStyle, y: u32) -> Result<&[T], Error> {
        if self.stride == 0 {
            return Ok(&[]);
        }
        if y >= self.end {
            let row = y >> band.block.1;
            let area = band.block_area(band.grid.x0, row);
            blocks.block_row(band, row, style, &mut self.samples, self.stride)?;
            (self.first, self.end) = (area.y0, area.y1);
        }
        let start = (y - self.first) as usize * self.stride;
        Ok(&self.samples[start..start + self.stride])
    }
}

/// Synthesis of a tile-component up to some resolution level, whose rows are given one by one.
#[derive(Debug, Default)]
pub(crate) struct Synthesis<T> {
    /// The low-pass band of the resolution level at hand, and room for the next.
    low: Buffer<T>,
    next_low: Buffer<T>,
    strips: [Strip<T>; 3],
    columns: Columns<T>,
    /// The resolution level whose samples `low` holds.
    done: Option<u8>,
    /// The resolution level that rows are given of, and whether they are in `low` already.
    last: Option<Resolution>,
    in_low: bool,
    style: Option<BlockStyle>,
    row: u32,
}

impl<T: Coefficient> Synthesis<T> {
    /// Decodes everything below resolution level `last`, whose rows `row` then gives. With `keep`, that level is kept too, and what
    /// was kept before is used.
    pub(crate) fn start(
        &mut self,
        blocks: &mut Blocks<'_>,
        component: usize,
        last: u8,
        style: BlockStyle,
        keep: Keep,
        spending: &mut Spending,
    ) -> Result<(), Error> {
        let tile = blocks.tile;
        let Some(top) = tile.resolution(component, last) else {
            return Err(Error::request("the codestream has no such level"));
        };
        check_memory::<T>(tile, top, last, keep, spending)?;
        self.style = Some(style);
        if !keep.used() {
            self.done = None;
        }
        let done = match self.done {
            Some(done) => done,
            None => {
                self.base(blocks, component)?;
                0
            }
        };
        // An error on the way leaves nothing to go on from.
        self.done = None;
        let in_place = if keep == Keep::All { last } else { last.saturating_sub(1).max(done) };
        for r in done + 1..=in_place {
            let Some(res) = tile.resolution(component, r) else { break };
            let width = res.area.width() as usize;
            self.begin_strips(tile, res);
            self.columns.start_in_place(&mut self.next_low, width, res.area.y0, res.area.y1);
            for _ in 0..res.area.height() {
                self.synthesised(blocks, res)?;
            }
            self.columns.end_in_place(&mut self.next_low);
            core::mem::swap(&mut self.low, &mut self.next_low);
        }
        self.done = Some(in_place);
        self.in_low = in_place == last;
        if !self.in_low {
            self.begin_strips(tile, top);
            self.columns.start(top.area.width() as usize, top.area.y0, top.area.y1);
        }
        self.last = Some(top.clone());
        self.row = 0;
        Ok(())
    }

    /// Decodes the LL band.
    fn base(&mut self, blocks: &mut Blocks<'_>, component: usize) -> Result<(), Error> {
        let tile = blocks.tile;
        let Some(res) = tile.resolution(component, 0) else { return Ok(()) };
        let band = &tile.bands[res.first_band as usize];
        let stride = band.area.width() as usize;
        self.low.set_length(stride * band.area.height() as usize);
        let style = self.style.unwrap_or(BlockStyle(0));
        for row in band.grid.y0..band.grid.y1 {
            let start = (band.block_area(band.grid.x0, row).y0 - band.area.y0) as usize * stride;
            blocks.block_row(band, row, style, &mut self.low[start..], stride)?;
        }
        Ok(())
    }

    fn begin_strips(&mut self, tile: &Tile, res: &Resolution) {
        for (strip, band) in self.strips.iter_mut().zip(&tile.bands[res.band_range()]) {
            strip.start(band);
        }
    }

    /// The resolution level that is kept.
    pub(crate) fn done(&self) -> Option<u8> {
        self.done
    }

    /// Forgets what is kept.
    pub(crate) fn forget(&mut self) {
        self.done = None;
    }

    /// The next row of the last resolution level.
    pub(crate) fn row(&mut self, blocks: &mut Blocks<'_>) -> Result<&[T], Error> {
        let Some(res) = self.last.take() else { return Ok(&[]) };
        let y = self.row as usize;
        self.row += 1;
        if self.in_low {
            let width = res.area.width() as usize;
            self.last = Some(res);
            return Ok(&self.low[y * width..(y + 1) * width]);
        }
        self.synthesised(blocks, &res)?;
        self.last = Some(res);
        Ok(self.columns.latest())
    }

    /// The next row of a resolution level above the base.
    fn synthesised(&mut self, blocks: &mut Blocks<'_>, res: &Resolution) -> Result<&[T], Error> {
        let Synthesis { low, strips, columns, style, .. } = self;
        let style = style.unwrap_or(BlockStyle(0));
        let simd = blocks.simd;
        let odd = res.area.x0 & 1 != 0;
        let tile = blocks.tile;
        let [hl, lh, hh] = [0, 1, 2].map(|n| &tile.bands[res.first_band as usize + n]);
        let low_width = lh.area.width() as usize;
        columns.synthesise(simd, |y, place, out| {
            let v = y / 2;
            if y & 1 == 0 {
                let start = (v - hl.area.y0) as usize * low_width;
                let high = strips[0].row(blocks, hl, style, v)?;
                T::synthesise_row(simd, &low[start..start + low_width], high, odd, place, out);
            } else {
                let [_, low, high] = &mut *strips;
                let low = low.row(blocks, lh, style, v)?;
                let high = high.row(blocks, hh, style, v)?;
                T::synthesise_row(simd, low, high, odd, place, out);
            }
            Ok(())
        })
    }
}

/// What becomes of the levels that were decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Each call begins anew.
    Nothing,
    /// The level below the one asked for is kept for the next call.
    Below,
    /// The level asked for is kept, too.
    All,
}

impl Keep {
    fn used(self) -> bool {
        self != Keep::Nothing
    }
}

/// Counts the planes of two levels, the strips and the rows, before they grow. The memory is used again for the next component,
/// unless that is decoded together with this one.
fn check_memory<T>(tile: &Tile, top: &Resolution, last: u8, keep: Keep, spending: &mut Spending) -> Result<(), Error> {
    let (w, h) = (top.area.width() as u64, top.area.height() as u64);
    let below = (w / 2 + 1) * (h / 2 + 1) + (w / 4 + 1) * (h / 4 + 1);
    let planes = if last == 0 || keep == Keep::All { w * h + below } else { below };
    let strips = if last == 0 {
        0
    } else {
        let rows = |b: &Band| (1u64 << b.block.1).min(b.area.height() as u64);
        tile.bands[top.band_range()].iter().map(|b| rows(b) * b.area.width() as u64).sum::<u64>() + 10 * w
    };
    spending.memory(0, (planes + strips) * size_of::<T>() as u64)
}
