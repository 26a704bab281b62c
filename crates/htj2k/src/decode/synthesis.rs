//! From code-blocks to the rows of a tile-component: block decoding, then synthesis, resolution level by resolution level.
//!
//! Code-blocks are decoded a row of blocks at a time, into strips that stay in the cache; the low-pass band of each resolution level is
//! a plane, the result of the level before.

use crate::Error;
use crate::block::{BlockDecoder, Coded, Target as BlockTarget};
use crate::buffer::Buffer;
use crate::geometry::{Band, Block, BlockState, Rect, Tile};
use crate::limits::Spending;
use crate::markers::BlockStyle;
use crate::packet::PacketReader;
use crate::part1::{self, Part1Decoder};
use crate::simd::Simd;
use crate::wavelet::{Columns, Transform};
use alloc::vec::Vec;
use core::ops::Range;

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
    fn target(samples: &mut [Self], step: f32) -> BlockTarget<'_>;
    /// Whether magnitudes of so many bits can be held.
    fn holds(bits: u8) -> bool;
    fn from_doubled(magnitude: u64, negative: bool, step: f32) -> Self;
}

impl Coefficient for i32 {
    fn target(samples: &mut [i32], _: f32) -> BlockTarget<'_> {
        BlockTarget::Integer(samples)
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

impl Blocks<'_> {
    /// Decodes a row of a band's code-blocks, as many as `grid` has columns; `out` begins with the first one's samples.
    fn block_row<T: Coefficient>(
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
            let block = self.tile.blocks[band.block_index(x, row)];
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
    /// The code-blocks that are needed, and the columns that they cover.
    grid: Rect,
    columns: Range<u32>,
    /// The band's rows that are in it.
    rows: Range<u32>,
    /// The part of the band that is needed.
    window: Rect,
}

impl<T: Coefficient> Strip<T> {
    fn start(&mut self, band: &Band, window: Rect) {
        let (grid, area) = band.blocks_of(window);
        (self.grid, self.window) = (grid, window);
        self.columns = area.x0..area.x1;
        self.rows = area.y0..area.y0;
        let rows = (1usize << band.block.1).min(area.height() as usize);
        self.samples.set_length(area.width() as usize * rows);
    }

    /// The needed part of a row of the band; rows must be asked for in order.
    fn row(&mut self, blocks: &mut Blocks<'_>, band: &Band, style: BlockStyle, y: u32) -> Result<&[T], Error> {
        if self.window.is_empty() {
            return Ok(&[]);
        }
        let stride = self.columns.len();
        if y >= self.rows.end {
            let row = y >> band.block.1;
            let area = band.block_area(self.grid.x0, row);
            blocks.block_row(band, self.grid, row, style, &mut self.samples, stride)?;
            self.rows = area.y0..area.y1;
        }
        let start = (y - self.rows.start) as usize * stride + (self.window.x0 - self.columns.start) as usize;
        Ok(&self.samples[start..start + self.window.width() as usize])
    }
}

/// Samples of a part of a resolution level.
#[derive(Debug, Default)]
struct Part<T> {
    samples: Buffer<T>,
    area: Rect,
}

impl<T: Copy> Part<T> {
    /// Some columns of a row.
    fn row(&self, y: u32, columns: Range<u32>) -> &[T] {
        if columns.is_empty() {
            return &[];
        }
        let start = (y - self.area.y0) as usize * self.area.width() as usize + (columns.start - self.area.x0) as usize;
        &self.samples[start..start + columns.len()]
    }
}

/// Synthesis of a tile-component, or of a window of it, up to some resolution level, whose rows are given one by one.
///
/// A sample depends on as many neighbours in each direction as there are lifting steps. So a window is synthesised with that
/// margin as if there were nothing around: what is wrong then is in the margin.
#[derive(Debug)]
pub(crate) struct Synthesis<T> {
    /// The low-pass band of the resolution level at hand, and room for the next.
    low: Part<T>,
    next_low: Part<T>,
    strips: [Strip<T>; 3],
    columns: Columns<T>,
    /// What is synthesised of each resolution level.
    areas: [Rect; 33],
    /// The resolution level whose samples `low` holds.
    done: Option<u8>,
    /// The resolution level that rows are given of, the part that is wanted, and whether that is in `low` already.
    last: u8,
    window: Rect,
    in_low: bool,
    /// The next row to be given.
    row: u32,
    component: usize,
    style: BlockStyle,
}

impl<T: Coefficient> Default for Synthesis<T> {
    fn default() -> Self {
        Synthesis {
            low: Part::default(),
            next_low: Part::default(),
            strips: Default::default(),
            columns: Columns::default(),
            areas: [Rect::default(); 33],
            done: None,
            last: 0,
            window: Rect::default(),
            in_low: false,
            row: 0,
            component: 0,
            style: BlockStyle(0),
        }
    }
}

/// What is to be synthesised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) component: usize,
    /// Finest resolution level.
    pub(crate) last: u8,
    /// The part of it.
    pub(crate) window: Rect,
    pub(crate) style: BlockStyle,
    pub(crate) keep: Keep,
}

impl<T: Coefficient> Synthesis<T> {
    /// Decodes everything below the last resolution level, whose rows `row` then gives.
    pub(crate) fn start(
        &mut self,
        blocks: &mut Blocks<'_>,
        target: &Target,
        spending: &mut Spending,
    ) -> Result<(), Error> {
        let tile = blocks.tile;
        let Target { component, last, window, style, keep } = *target;
        (self.component, self.last, self.window, self.style) = (component, last, window, style);
        self.row = window.y0;
        if window.is_empty() {
            return Ok(());
        }
        self.plan(tile, target)?;
        self.check_memory(tile, keep, spending)?;
        // An error on the way leaves nothing to go on from.
        let done = match self.done.take() {
            Some(done) if keep != Keep::Nothing => done,
            _ => {
                self.base(blocks)?;
                0
            }
        };
        let in_place = if keep == Keep::All { last } else { last.saturating_sub(1).max(done) };
        for r in done + 1..=in_place {
            let area = self.areas[r as usize];
            self.begin_strips(tile, r);
            self.columns.start_in_place(&mut self.next_low.samples, area.width() as usize, area.y0, area.y1);
            for _ in 0..area.height() {
                self.synthesised(blocks, r)?;
            }
            self.columns.end_in_place(&mut self.next_low.samples);
            self.next_low.area = area;
            core::mem::swap(&mut self.low, &mut self.next_low);
        }
        self.done = Some(in_place);
        self.in_low = in_place == last;
        if !self.in_low {
            let area = self.areas[last as usize];
            self.begin_strips(tile, last);
            self.columns.start(area.width() as usize, area.y0, area.y1);
            // Rows of the margin.
            for _ in area.y0..window.y0 {
                self.synthesised(blocks, last)?;
            }
        }
        Ok(())
    }

    /// What is needed of each resolution level.
    fn plan(&mut self, tile: &Tile, target: &Target) -> Result<(), Error> {
        let no_level = Error::request("the codestream has no such level");
        let mut window = target.window;
        for r in (0..=target.last).rev() {
            let whole = tile.resolution(target.component, r).ok_or(no_level)?;
            let area = if r > 0 {
                window.grown(T::STEPS as u32, &whole.area)
            } else {
                tile.bands[whole.first_band as usize].blocks_of(window).1
            };
            self.areas[r as usize] = area;
            window = area.reduced(1);
        }
        Ok(())
    }

    /// Decodes the LL band.
    fn base(&mut self, blocks: &mut Blocks<'_>) -> Result<(), Error> {
        let tile = blocks.tile;
        let Some(res) = tile.resolution(self.component, 0) else { return Ok(()) };
        let band = &tile.bands[res.first_band as usize];
        let area = self.areas[0];
        let (grid, stride) = (band.blocks_of(area).0, area.width() as usize);
        self.low.area = area;
        self.low.samples.set_length(stride * area.height() as usize);
        for row in grid.y0..grid.y1 {
            let start = (band.block_area(grid.x0, row).y0 - area.y0) as usize * stride;
            blocks.block_row(band, grid, row, self.style, &mut self.low.samples[start..], stride)?;
        }
        Ok(())
    }

    fn begin_strips(&mut self, tile: &Tile, r: u8) {
        let Some(res) = tile.resolution(self.component, r) else { return };
        for (strip, band) in self.strips.iter_mut().zip(&tile.bands[res.band_range()]) {
            strip.start(band, self.areas[r as usize].band(1, band.kind));
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

    /// The next row of the window.
    pub(crate) fn row(&mut self, blocks: &mut Blocks<'_>) -> Result<&[T], Error> {
        if self.window.is_empty() {
            return Ok(&[]);
        }
        let y = self.row;
        self.row += 1;
        if self.in_low {
            return Ok(self.low.row(y, self.window.x0..self.window.x1));
        }
        self.synthesised(blocks, self.last)?;
        let start = (self.window.x0 - self.areas[self.last as usize].x0) as usize;
        Ok(&self.columns.latest()[start..start + self.window.width() as usize])
    }

    /// The next row of what is synthesised of a resolution level above the base.
    fn synthesised(&mut self, blocks: &mut Blocks<'_>, r: u8) -> Result<(), Error> {
        let Synthesis { low, strips, columns, style, areas, component, .. } = self;
        let (tile, simd) = (blocks.tile, blocks.simd);
        let Some(res) = tile.resolution(*component, r) else { return Ok(()) };
        let [hl, lh, hh] = [0, 1, 2].map(|n| &tile.bands[res.first_band as usize + n]);
        let area = areas[r as usize];
        let below = area.reduced(1);
        let odd = area.x0 & 1 != 0;
        columns.synthesise(simd, |y, place, out| {
            let v = y / 2;
            let [hl_strip, lh_strip, hh_strip] = &mut *strips;
            let (low, high) = if y & 1 == 0 {
                (low.row(v, below.x0..below.x1), hl_strip.row(blocks, hl, *style, v)?)
            } else {
                (lh_strip.row(blocks, lh, *style, v)?, hh_strip.row(blocks, hh, *style, v)?)
            };
            T::synthesise_row(simd, low, high, odd, place, out);
            Ok(())
        })?;
        Ok(())
    }

    /// Counts the planes of two levels, the strips and the rows, before they grow. The memory is used again for the next
    /// component, unless that is decoded together with this one.
    fn check_memory(&self, tile: &Tile, keep: Keep, spending: &mut Spending) -> Result<(), Error> {
        let samples = |area: Rect| area.width() as u64 * area.height() as u64;
        let last = self.last as usize;
        let planes = match (last, keep) {
            (0, _) | (_, Keep::All) => samples(self.areas[last]) + samples(self.areas[last.saturating_sub(1)]),
            _ => samples(self.areas[last - 1]) + samples(self.areas[last.saturating_sub(2)]),
        };
        let mut strips = 0;
        if let (Some(res), true) = (tile.resolution(self.component, self.last), last > 0) {
            let width = self.areas[last].width() as u64;
            let rows = |b: &Band| (1u64 << b.block.1).min(b.area.height() as u64);
            let columns = |b: &Band| b.blocks_of(self.areas[last].band(1, b.kind)).1.width() as u64;
            strips = tile.bands[res.band_range()].iter().map(|b| rows(b) * columns(b)).sum::<u64>() + 10 * width;
        }
        spending.memory(0, (planes + strips) * size_of::<T>() as u64)
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
