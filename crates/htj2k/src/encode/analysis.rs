//! From the samples of a tile to coded blocks: analysis resolution level by resolution level (T.800 F.4), in slabs of rows that
//! threads share.
//!
//! A slab takes as many rows more at each cut as there are lifting steps, and passes on those rows alone that the cuts leave right.

use super::coder::{BandBlocks, CodedBlock, Coder, Coefficient, Strip};
use super::input::Rows;
use super::{Analyses, Lane, Spaces};
use crate::buffer::Buffer;
use crate::colour;
use crate::geometry::{Rect, Resolution, Tile};
use crate::markers::TileCoding;
use crate::simd::Simd;
use crate::threads::{self, Cut, Pool, Slabs};
use crate::wavelet::Columns;
use alloc::vec::Vec;
use core::array;
use core::convert::Infallible;
use core::ops::Range;

/// The low-pass band of a tile-component that is being made, and the one before it.
#[derive(Debug, Default)]
pub(crate) struct Analysis<T> {
    low: Buffer<T>,
    source: Buffer<T>,
}

/// What a thread analyses a component with.
#[derive(Debug, Default)]
pub(crate) struct Space<T> {
    columns: Columns,
    ring: Buffer<T>,
    strips: [Strip<T>; 3],
}

/// A tile to be coded.
pub(crate) struct Job<'a> {
    pub(crate) simd: Simd,
    pub(crate) parallel: bool,
    pub(crate) tile: &'a Tile,
    pub(crate) rows: Rows<'a>,
    pub(crate) lanes: &'a Pool<Lane>,
}

type ColourTransform<T> = fn(Simd, &mut [T], &mut [T], &mut [T]);

impl Job<'_> {
    /// Codes every block of the tile. `wide` tells whether reversible coefficients need 64 bits.
    pub(crate) fn components(
        &self,
        coding: &TileCoding,
        wide: bool,
        analyses: &mut Analyses,
        blocks: &mut [CodedBlock],
    ) {
        match (coding.of(0).reversible, wide) {
            (true, false) => self.all::<i32>(coding, analyses, blocks, colour::reversible_forward),
            (true, true) => self.all::<i64>(coding, analyses, blocks, colour::reversible_forward),
            (false, _) => self.all::<f32>(coding, analyses, blocks, colour::irreversible_forward),
        }
    }

    fn all<T: Coefficient>(
        &self,
        coding: &TileCoding,
        analyses: &mut Analyses,
        blocks: &mut [CodedBlock],
        forward: ColourTransform<T>,
    ) {
        let analyses = T::analyses(analyses);
        if coding.cod.colour_transform {
            self.some(0, analyses.each_mut(), blocks, Some(forward));
        } else {
            let [analysis, ..] = analyses;
            (0..self.tile.components.len()).for_each(|c| self.some(c, [&mut *analysis], blocks, None));
        }
    }

    /// Some components from `first` on.
    fn some<T: Coefficient, const N: usize>(
        &self,
        first: usize,
        mut analyses: [&mut Analysis<T>; N],
        blocks: &mut [CodedBlock],
        forward: Option<ColourTransform<T>>,
    ) {
        let levels = self.tile.components[first].levels;
        let input = Input { rows: &self.rows, first, left: self.tile.area.x0, forward };
        let tops = array::from_fn(|n| self.tile.resolution(first + n, levels).unwrap_or_else(|| unreachable!()));
        if levels == 0 {
            self.copy(&input, tops[0], &mut analyses);
        } else {
            self.top(&input, tops, &mut analyses, blocks);
        }
        for (c, analysis) in (first..).zip(&mut analyses) {
            (1..levels).rev().for_each(|r| self.below(c, r, analysis, blocks));
            self.base(c, analysis, blocks);
        }
    }

    /// Components without decomposition.
    fn copy<T: Coefficient, const N: usize>(
        &self,
        input: &Input<'_, T>,
        res: &Resolution,
        analyses: &mut [&mut Analysis<T>; N],
    ) {
        let width = res.area.width() as usize;
        analyses.iter_mut().for_each(|a| a.low.set_length(width * res.area.height() as usize));
        self.with_lane(|_, lane| {
            let (coder, spaces) = T::of_lane(lane);
            for y in res.area.y0..res.area.y1 {
                input.read(self.simd, y, width, &mut spaces.rows, &mut coder.bits, |n, row| {
                    let start = (y - res.area.y0) as usize * width;
                    analyses[n].low[start..start + width].copy_from_slice(row);
                });
            }
        });
    }

    /// The highest resolution level, from the samples.
    fn top<T: Coefficient, const N: usize>(
        &self,
        input: &Input<'_, T>,
        tops: [&Resolution; N],
        analyses: &mut [&mut Analysis<T>; N],
        blocks: &mut [CodedBlock],
    ) {
        let slabs = self.slabs(tops[0]);
        let area = tops[0].area;
        let (mut rest, mut at) = (blocks, 0);
        let mut lows = analyses.iter_mut();
        let parts = tops.map(|res| {
            let low = lows.next().map(|a| a.make_low(area)).unwrap_or_default();
            Part::new(self.tile, res, low, &mut rest, &mut at)
        });
        let Ok(()) = threads::each(0..slabs.count(), Share { slabs, parts }, &|n, mut share: Share<'_, T, N>| {
            self.with_lane(|number, lane| {
                let (coder, Spaces { of_components, rows }) = T::of_lane(lane);
                for (space, part) in of_components.iter_mut().zip(&share.parts) {
                    let rows = slabs.with_margin(n, T::STEPS as u32);
                    space.begin(part);
                    space.columns.start(&mut space.ring, area.width() as usize, rows.start, rows.end);
                }
                for y in slabs.with_margin(n, T::STEPS as u32) {
                    input.read_direct(self.simd, y, of_components, area.width() as usize, rows, &mut coder.bits);
                    for (space, part) in of_components.iter_mut().zip(&mut share.parts) {
                        space.columns.advance_analysis(&mut space.ring, self.simd);
                        space.drain(self.simd, &slabs.rows(n), part, (number, coder), None);
                    }
                }
                for (space, part) in of_components.iter_mut().zip(&mut share.parts) {
                    space.end(self.simd, &slabs.rows(n), part, (number, coder), None);
                }
            });
            Ok::<(), Infallible>(())
        });
    }

    /// Resolution level `r` of a component, from the low-pass band of the level before.
    fn below<T: Coefficient>(&self, c: usize, r: u8, analysis: &mut Analysis<T>, blocks: &mut [CodedBlock]) {
        let Some(res) = self.tile.resolution(c, r) else { return };
        let (area, width, slabs) = (res.area, res.area.width() as usize, self.slabs(res));
        let mut source = core::mem::replace(&mut analysis.low, core::mem::take(&mut analysis.source));
        let (mut rest, mut at) = (blocks, 0);
        let part = Part::new(self.tile, res, analysis.make_low(area), &mut rest, &mut at);
        if slabs.count() == 1 {
            self.with_lane(|number, lane| {
                let (coder, spaces) = T::of_lane(lane);
                let (space, mut part) = (&mut spaces.of_components[0], part);
                space.begin(&part);
                space.columns.start_in_place(width, area.y0, area.y1);
                for _ in area.y0..area.y1 {
                    space.columns.analyse(&mut source, self.simd, |_| ());
                    space.drain(self.simd, &(area.y0..area.y1), &mut part, (number, coder), Some(&mut source));
                }
                space.end(self.simd, &(area.y0..area.y1), &mut part, (number, coder), Some(&mut source));
            });
        } else {
            let share = Share { slabs, parts: [part] };
            let Ok(()) = threads::each(0..slabs.count(), share, &|n, share: Share<'_, T, 1>| {
                self.with_lane(|number, lane| {
                    let (coder, spaces) = T::of_lane(lane);
                    let (space, [mut part]) = (&mut spaces.of_components[0], share.parts);
                    let rows = slabs.with_margin(n, T::STEPS as u32);
                    space.begin(&part);
                    space.columns.start(&mut space.ring, width, rows.start, rows.end);
                    for y in rows {
                        let row = &source[(y - area.y0) as usize * width..][..width];
                        space.columns.analyse(&mut space.ring, self.simd, |out| out.copy_from_slice(row));
                        space.drain(self.simd, &slabs.rows(n), &mut part, (number, coder), None);
                    }
                    space.end(self.simd, &slabs.rows(n), &mut part, (number, coder), None);
                });
                Ok::<(), Infallible>(())
            });
        }
        analysis.source = source;
    }

    /// Codes the LL band.
    fn base<T: Coefficient>(&self, c: usize, analysis: &Analysis<T>, blocks: &mut [CodedBlock]) {
        let Some(res) = self.tile.resolution(c, 0) else { return };
        let band = &self.tile.bands[res.first_band as usize];
        let stride = band.area.width() as usize;
        let (mut rest, mut at) = (blocks, 0);
        let mut blocks = BandBlocks::take(band, &mut rest, &mut at);
        self.with_lane(|number, lane| {
            for row in band.grid.y0..band.grid.y1 {
                let start = (band.block_area(band.grid.x0, row).y0 - band.area.y0) as usize * stride;
                blocks.code_row((number, &mut lane.coder), row, &analysis.low[start..], stride);
            }
        });
    }

    fn with_lane(&self, work: impl FnOnce(usize, &mut Lane)) {
        self.lanes.with(|number, lane| {
            lane.coder.encoder.simd = self.simd;
            work(number, lane);
        });
    }

    fn slabs(&self, res: &Resolution) -> Slabs {
        let rows = res.area.y0..res.area.y1;
        let block = self.tile.bands[res.first_band as usize].block.1;
        if self.parallel { Slabs::new(rows, block) } else { Slabs::one(rows) }
    }
}

/// Where samples come from.
struct Input<'a, T> {
    rows: &'a Rows<'a>,
    /// The first component, and the first column.
    first: usize,
    left: u32,
    /// What makes luminance and chrominance of three components.
    forward: Option<ColourTransform<T>>,
}

impl<T: Coefficient> Input<'_, T> {
    /// Reads a row of one component, or of three; `take` is told the number of each.
    fn read(
        &self,
        simd: Simd,
        y: u32,
        width: usize,
        rows: &mut [Vec<T>; 3],
        bits: &mut u32,
        mut take: impl FnMut(usize, &[T]),
    ) {
        match self.forward {
            Some(forward) => {
                rows.iter_mut().for_each(|row| row.resize(width, T::default()));
                self.rows.read_pixels(simd, (self.left, y), rows, bits);
                let [a, b, c] = &mut *rows;
                forward(simd, a, b, c);
                rows.iter().enumerate().for_each(|(n, row)| take(n, row));
            }
            None => {
                rows[0].resize(width, T::default());
                self.rows.read(simd, self.first, (self.left, y), &mut rows[0], bits);
                take(0, &rows[0]);
            }
        }
    }

    /// Likewise, to where the transforms of columns want it.
    fn read_direct(
        &self,
        simd: Simd,
        y: u32,
        spaces: &mut [Space<T>; 3],
        width: usize,
        rows: &mut [Vec<T>; 3],
        bits: &mut u32,
    ) {
        if self.forward.is_some() {
            self.read(simd, y, width, rows, bits, |n, row| {
                let Space { columns, ring, .. } = &mut spaces[n];
                columns.room(ring).copy_from_slice(row);
            });
        } else {
            let [Space { columns, ring, .. }, ..] = spaces;
            self.rows.read(simd, self.first, (self.left, y), columns.room(ring), bits);
        }
    }
}

/// What becomes of some rows of a resolution level: the rows of the low-pass band, and the code-blocks of the others.
struct Part<'a, T> {
    area: Rect,
    low: &'a mut [T],
    low_width: usize,
    low_top: u32,
    bands: [BandBlocks<'a>; 3],
}

impl<T> Analysis<T> {
    /// Room for the low-pass band of an area.
    fn make_low(&mut self, area: Rect) -> &mut [T]
    where
        T: Coefficient,
    {
        let below = area.reduced(1);
        self.low.set_length(below.width() as usize * below.height() as usize);
        &mut self.low
    }
}

impl<'a, T: Coefficient> Part<'a, T> {
    fn new(
        tile: &'a Tile,
        res: &Resolution,
        low: &'a mut [T],
        blocks: &mut &'a mut [CodedBlock],
        first: &mut usize,
    ) -> Self {
        let below = res.area.reduced(1);
        let bands = [0, 1, 2].map(|n| BandBlocks::take(&tile.bands[res.first_band as usize + n], blocks, first));
        Part { area: res.area, low, low_width: below.width() as usize, low_top: below.y0, bands }
    }

    fn cut(self, y: u32) -> (Self, Self) {
        let Part { area, low, low_width, low_top, bands } = self;
        let (low, low_after) = low.split_at_mut((y / 2 - low_top) as usize * low_width);
        let [hl, lh, hh] = bands;
        let (hl, hl_after) = hl.cut(y / 2);
        let (lh, lh_after) = lh.cut(y / 2);
        let (hh, hh_after) = hh.cut(y / 2);
        let before = Part { area, low, low_width, low_top, bands: [hl, lh, hh] };
        (before, Part { area, low: low_after, low_width, low_top: y / 2, bands: [hl_after, lh_after, hh_after] })
    }
}

/// What slabs write to.
struct Share<'a, T, const N: usize> {
    slabs: Slabs,
    parts: [Part<'a, T>; N],
}

impl<T: Coefficient, const N: usize> Cut for Share<'_, T, N> {
    fn cut(self, n: u32) -> (Self, Self) {
        let slabs = self.slabs;
        let mut cut = self.parts.map(|part| {
            let (before, after) = part.cut(slabs.start(n));
            (before, Some(after))
        });
        let after = cut.each_mut().map(|part| part.1.take().unwrap_or_else(|| unreachable!()));
        (Share { slabs, parts: cut.map(|part| part.0) }, Share { slabs, parts: after })
    }
}

impl<T: Coefficient> Space<T> {
    fn begin(&mut self, part: &Part<'_, T>) {
        for (strip, blocks) in self.strips.iter_mut().zip(&part.bands) {
            strip.start(blocks.band);
        }
    }

    /// Passes on the rows that are final. They are in the plane, if there is one, else in the ring.
    fn drain(
        &mut self,
        simd: Simd,
        right: &Range<u32>,
        part: &mut Part<'_, T>,
        (number, coder): (usize, &mut Coder),
        plane: Option<&mut [T]>,
    ) {
        let Space { columns, ring, strips } = self;
        let odd = part.area.x0 & 1 != 0;
        let rows = plane.unwrap_or(ring);
        while let Some((y, place, row)) = columns.finished(rows) {
            if !right.contains(&y) {
                continue;
            }
            let v = y / 2;
            let [hl_strip, lh_strip, hh_strip] = &mut *strips;
            let [hl, lh, hh] = &mut part.bands;
            if y & 1 == 0 {
                let start = (v - part.low_top) as usize * part.low_width;
                let low = &mut part.low[start..start + part.low_width];
                T::analyse_row(simd, row, odd, place, low, hl_strip.row(hl.band, v));
                hl_strip.filled(hl, v, (number, &mut *coder));
            } else {
                T::analyse_row(simd, row, odd, place, lh_strip.row(lh.band, v), hh_strip.row(hh.band, v));
                lh_strip.filled(lh, v, (number, &mut *coder));
                hh_strip.filled(hh, v, (number, &mut *coder));
            }
        }
    }

    /// All rows are in: passes on the last ones.
    fn end(
        &mut self,
        simd: Simd,
        right: &Range<u32>,
        part: &mut Part<'_, T>,
        (number, coder): (usize, &mut Coder),
        mut plane: Option<&mut [T]>,
    ) {
        for _ in 0..=T::STEPS {
            let Space { columns, ring, .. } = self;
            columns.advance_analysis(plane.as_deref_mut().unwrap_or(ring), simd);
            self.drain(simd, right, part, (number, &mut *coder), plane.as_deref_mut());
        }
    }
}
