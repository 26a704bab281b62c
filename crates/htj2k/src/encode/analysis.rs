//! From the rows of a tile-component to coded blocks: analysis level by level, and block coding a row of blocks at a time.

use super::input::Value;
use crate::block::{BlockEncoder, Origin};
use crate::buffer::Buffer;
use crate::geometry::{Band, Resolution, Tile};
use crate::simd::Simd;
use crate::wavelet::{Columns, Transform};
use alloc::vec::Vec;

/// The bytes of a code-block, in `Coder::bytes`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CodedBlock {
    pub(crate) start: usize,
    /// 0 for a block of zeros, which is in no packet.
    pub(crate) length: u32,
}

/// Codes blocks, and keeps what they became.
pub(crate) struct Coder {
    encoder: BlockEncoder,
    /// The bytes of all blocks of the image.
    pub(crate) bytes: Vec<u8>,
    /// As `Tile::blocks`.
    pub(crate) blocks: Vec<CodedBlock>,
    /// Whether a block had more bit-planes than its band.
    pub(crate) overflow: bool,
}

impl Default for Coder {
    fn default() -> Self {
        Coder { encoder: BlockEncoder::new(), bytes: Vec::new(), blocks: Vec::new(), overflow: false }
    }
}

/// The coefficients of a transform, as the block coder takes them.
pub(crate) trait Coefficient: Transform + Value {
    fn origin(samples: &[Self], step: f32) -> Origin<'_>;
}

impl Coefficient for i32 {
    fn origin(samples: &[i32], _: f32) -> Origin<'_> {
        Origin::Integer(samples)
    }
}

impl Coefficient for f32 {
    fn origin(samples: &[f32], step: f32) -> Origin<'_> {
        Origin::Real(samples, 1.0 / step)
    }
}

impl Coder {
    /// Begins a tile; the bytes of those before are kept until `clear`.
    pub(crate) fn start(&mut self, tile: &Tile) {
        self.blocks.clear();
        self.blocks.resize(tile.blocks.len(), CodedBlock::default());
    }

    /// Forgets the image before.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.overflow = false;
    }

    /// Codes one row of a band's blocks; `samples` begins at the row's first sample.
    fn block_row<T: Coefficient>(&mut self, band: &Band, row: u32, samples: &[T], stride: usize) {
        for x in band.grid.x0..band.grid.x1 {
            let area = band.block_area(x, row);
            let start = (area.x0 - band.area.x0) as usize;
            let origin = T::origin(&samples[start..], band.step);
            let start = self.bytes.len();
            let (width, height) = (area.width() as u16, area.height() as u16);
            let written = self.encoder.encode(origin, stride, width, height, &mut self.bytes);
            self.overflow |= written.planes > band.planes;
            self.blocks[band.block_index(x, row)] = CodedBlock { start, length: written.cleanup_len };
        }
    }
}

/// A row of a band's code-blocks that is filling up.
#[derive(Debug, Default)]
struct Strip<T> {
    samples: Buffer<T>,
    stride: usize,
}

impl<T: Coefficient> Strip<T> {
    fn start(&mut self, band: &Band) {
        self.stride = band.area.width() as usize;
        let rows = (1usize << band.block.1).min(band.area.height() as usize);
        self.samples.set_length(self.stride * rows);
    }

    /// Room for a row of the band.
    fn row(&mut self, band: &Band, y: u32) -> &mut [T] {
        let first = (y >> band.block.1 << band.block.1).max(band.area.y0);
        let start = (y - first) as usize * self.stride;
        &mut self.samples[start..start + self.stride]
    }

    /// Codes the row of blocks if this was its last row.
    fn filled(&mut self, band: &Band, y: u32, coder: &mut Coder) {
        let last = (y + 1).trailing_zeros() >= band.block.1 as u32 || y + 1 == band.area.y1;
        if last && self.stride > 0 {
            coder.block_row(band, y >> band.block.1, &self.samples, self.stride);
        }
    }
}

/// Analysis of one tile-component.
#[derive(Debug, Default)]
pub(crate) struct Analysis<T> {
    columns: Columns<T>,
    strips: [Strip<T>; 3],
    /// The low-pass band that is being made, and the one before it.
    low: Buffer<T>,
    source: Buffer<T>,
    low_width: usize,
    low_top: u32,
    resolution: Option<Resolution>,
}

impl<T: Coefficient> Analysis<T> {
    /// Begins with the rows of a component's highest resolution level.
    pub(crate) fn start(&mut self, tile: &Tile, component: usize) {
        let levels = tile.components[component].levels;
        self.begin(tile, component, levels);
        if let (Some(res), true) = (&self.resolution, levels > 0) {
            self.columns.start(res.area.width() as usize, res.area.y0, res.area.y1);
        }
    }

    fn begin(&mut self, tile: &Tile, component: usize, r: u8) {
        let Some(res) = tile.resolution(component, r) else { return };
        let low_area = if r == 0 {
            res.area
        } else {
            for (strip, band) in self.strips.iter_mut().zip(&tile.bands[res.band_range()]) {
                strip.start(band);
            }
            tile.resolution(component, r - 1).map_or(res.area, |below| below.area)
        };
        self.low_width = low_area.width() as usize;
        self.low_top = low_area.y0;
        self.low.set_length(self.low_width * low_area.height() as usize);
        self.resolution = Some(res.clone());
    }

    /// Takes the next row of the highest resolution level, the `y`-th from its top.
    pub(crate) fn push(&mut self, simd: Simd, tile: &Tile, coder: &mut Coder, y: usize, fill: impl FnOnce(&mut [T])) {
        if self.resolution.as_ref().is_some_and(|r| r.bands == 1) {
            fill(&mut self.low[y * self.low_width..(y + 1) * self.low_width]);
        } else {
            self.columns.analyse(simd, fill);
            self.drain(simd, tile, coder);
        }
    }

    /// Passes on the rows that are final.
    fn drain(&mut self, simd: Simd, tile: &Tile, coder: &mut Coder) {
        let Some(res) = &self.resolution else { return };
        let odd = res.area.x0 & 1 != 0;
        let [hl, lh, hh] = [0, 1, 2].map(|n| &tile.bands[res.first_band as usize + n]);
        while let Some((y, place, row)) = self.columns.finished() {
            let v = y / 2;
            let [hl_strip, lh_strip, hh_strip] = &mut self.strips;
            if y & 1 == 0 {
                let start = (v - self.low_top) as usize * self.low_width;
                let low = &mut self.low[start..start + self.low_width];
                T::analyse_row(simd, row, odd, place, low, hl_strip.row(hl, v));
                hl_strip.filled(hl, v, coder);
            } else {
                T::analyse_row(simd, row, odd, place, lh_strip.row(lh, v), hh_strip.row(hh, v));
                lh_strip.filled(lh, v, coder);
                hh_strip.filled(hh, v, coder);
            }
        }
    }

    /// All rows are in: finishes the level and goes down to the base.
    pub(crate) fn finish(&mut self, simd: Simd, tile: &Tile, component: usize, coder: &mut Coder) {
        let levels = tile.components[component].levels;
        for r in (1..=levels).rev() {
            if r < levels {
                self.analyse_low(simd, tile, component, r, coder);
            }
            for _ in 0..=T::STEPS {
                self.columns.advance_analysis(simd);
                self.drain(simd, tile, coder);
            }
            if r < levels {
                self.columns.end_in_place(&mut self.source);
            }
        }
        self.code_base(tile, component, coder);
    }

    /// The low-pass band of the level before goes in, to be used up in place.
    fn analyse_low(&mut self, simd: Simd, tile: &Tile, component: usize, r: u8, coder: &mut Coder) {
        core::mem::swap(&mut self.low, &mut self.source);
        self.begin(tile, component, r);
        let Some(area) = self.resolution.as_ref().map(|res| res.area) else { return };
        self.columns.start_in_place(&mut self.source, area.width() as usize, area.y0, area.y1);
        for _ in 0..area.height() {
            self.columns.analyse(simd, |_| ());
            self.drain(simd, tile, coder);
        }
    }

    fn code_base(&self, tile: &Tile, component: usize, coder: &mut Coder) {
        let Some(res) = tile.resolution(component, 0) else { return };
        let band = &tile.bands[res.first_band as usize];
        let stride = band.area.width() as usize;
        for row in band.grid.y0..band.grid.y1 {
            let start = (band.block_area(band.grid.x0, row).y0 - band.area.y0) as usize * stride;
            coder.block_row(band, row, &self.low[start..], stride);
        }
    }
}
