//! Synthesis of tile-components, resolution level by resolution level (T.800 F.3), in slabs of rows that threads share.
//!
//! Code-blocks are decoded a row of blocks at a time, into strips that stay in the cache; the low-pass band of each resolution level is
//! a plane, the result of the level before. A slab is synthesised as if there were nothing above and below it, which is wrong for
//! as many rows at each cut as there are lifting steps. The rows near a cut are kept as they were before the vertical
//! transform, and once the slabs are done the wrong ones are made of them: no code-block is decoded twice.

use super::blocks::{Blocks, Coefficient};
use super::{Frame, Lane};
use crate::Error;
use crate::buffer::Buffer;
use crate::geometry::{Band, Rect, Tile};
use crate::limits::Spending;
use crate::markers::BlockStyle;
use crate::simd::Simd;
use crate::threads::{self, Cut, Pool, Slabs};
use crate::wavelet::Columns;
use crate::window::areas;
use core::convert::Infallible;
use core::ops::Range;

/// Synthesis of a tile-component, or of a window of it, up to some resolution level.
///
/// A sample depends on as many neighbours in each direction as there are lifting steps. So a window is synthesised with that
/// margin as if there were nothing around: what is wrong then is in the margin.
#[derive(Debug)]
pub(crate) struct Synthesis<T> {
    /// The low-pass band of the resolution level at hand, and room for the next.
    low: Part<T>,
    next_low: Part<T>,
    /// The rows near cuts.
    seams: Buffer<T>,
    /// What is synthesised of each resolution level.
    areas: [Rect; 33],
    /// The resolution level whose samples `low` holds.
    done: Option<u8>,
    /// The resolution level that is wanted.
    last: u8,
    component: usize,
    style: BlockStyle,
}

impl<T: Coefficient> Default for Synthesis<T> {
    fn default() -> Self {
        Synthesis {
            low: Part::default(),
            next_low: Part::default(),
            seams: Buffer::default(),
            areas: [Rect::default(); 33],
            done: None,
            last: 0,
            component: 0,
            style: BlockStyle(0),
        }
    }
}

/// Samples of a part of a resolution level.
#[derive(Debug, Default)]
pub(crate) struct Part<T> {
    samples: Buffer<T>,
    area: Rect,
}

impl<T: Copy> Part<T> {
    /// Some columns of a row.
    pub(crate) fn row(&self, y: u32, columns: Range<u32>) -> &[T] {
        if columns.is_empty() {
            return &[];
        }
        let start = (y - self.area.y0) as usize * self.area.width() as usize + (columns.start - self.area.x0) as usize;
        &self.samples[start..start + columns.len()]
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

impl<T: Coefficient> Synthesis<T> {
    /// Decodes everything below the last resolution level, and this too if there is nothing below it or it is to be kept.
    pub(crate) fn start(
        &mut self,
        frame: &Frame<'_>,
        lanes: &Pool<Lane>,
        target: &Target,
        spending: &mut Spending,
    ) -> Result<(), Error> {
        let tile = frame.source.tile;
        let Target { component, last, window, style, keep } = *target;
        (self.component, self.last, self.style) = (component, last, style);
        if window.is_empty() {
            return Ok(());
        }
        self.plan(tile, target)?;
        self.check_memory(frame, keep, spending)?;
        // An error on the way leaves nothing to go on from.
        let done = match self.done.take() {
            Some(done) if keep != Keep::Nothing => done,
            _ => {
                lanes.with(|_, lane| self.base(&mut Blocks { source: frame.source, tools: &mut lane.tools }))?;
                0
            }
        };
        let in_place = if keep == Keep::All { last } else { last.saturating_sub(1).max(done) };
        for r in done + 1..=in_place {
            self.level(frame, lanes, r)?;
        }
        self.done = Some(in_place);
        Ok(())
    }

    /// What is needed of each resolution level.
    fn plan(&mut self, tile: &Tile, target: &Target) -> Result<(), Error> {
        let areas = areas(tile, target.component, target.last, target.window, T::STEPS as u32);
        self.areas = areas.ok_or(Error::request("the codestream has no such level"))?;
        Ok(())
    }

    /// Decodes the LL band.
    fn base(&mut self, blocks: &mut Blocks<'_, '_>) -> Result<(), Error> {
        let tile = blocks.source.tile;
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

    /// Synthesises a resolution level from the one below, which `low` holds, into `low`.
    fn level(&mut self, frame: &Frame<'_>, lanes: &Pool<Lane>, r: u8) -> Result<(), Error> {
        let (area, slabs) = (self.areas[r as usize], self.slabs(frame, r));
        let width = area.width() as usize;
        let mut next = core::mem::take(&mut self.next_low);
        let mut seams = core::mem::take(&mut self.seams);
        next.samples.set_length(width * area.height() as usize);
        set_seams::<T>(&mut seams, &slabs, width);
        if let Some(pass) = self.pass(frame.source.tile, r, slabs) {
            let share = Planes {
                slabs,
                first: 0,
                width,
                plane: &mut next.samples,
                seams: SeamRows::new(&mut seams, slabs.count()),
            };
            threads::each(0..slabs.count(), share, &|n, share: Planes<'_, T>| {
                lanes.with(|_, lane| {
                    let (tools, spaces) = T::of_lane(lane);
                    let blocks = &mut Blocks { source: frame.source, tools };
                    spaces.of_components[0].fill(&pass, blocks, n, share.plane, share.seams.rows)
                })
            })?;
            for n in 1..slabs.count() {
                let window = pass.seam(n);
                let plane = &mut next.samples[(window.start - area.y0) as usize * width..][..window.len() * width];
                lanes.with(|_, lane| {
                    let space = &mut T::of_lane(lane).1.of_components[0];
                    space.begin_seam(&pass, n);
                    for row in plane.chunks_exact_mut(width.max(1)) {
                        space.next_of_seam(&pass, frame.source.simd, &seams);
                        row.copy_from_slice(space.columns.latest(&space.ring));
                    }
                });
            }
        }
        next.area = area;
        self.seams = seams;
        self.next_low = core::mem::replace(&mut self.low, next);
        Ok(())
    }

    /// The pass over the last resolution level, unless `start` has made that.
    pub(crate) fn last_pass<'a>(&'a self, frame: &Frame<'a>, slabs: Slabs) -> Option<Pass<'a, T>> {
        if self.done == Some(self.last) { None } else { self.pass(frame.source.tile, self.last, slabs) }
    }

    /// How the rows of the last resolution level are cut, or those of the window if `start` has made the level.
    pub(crate) fn last_slabs(&self, frame: &Frame<'_>, window: Rect) -> Slabs {
        if self.done == Some(self.last) { Slabs::one(window.y0..window.y1) } else { self.slabs(frame, self.last) }
    }

    /// Room for the rows near cuts of the last resolution level, for the caller to hold meanwhile.
    pub(crate) fn take_seams(&mut self, slabs: &Slabs) -> Buffer<T> {
        let mut seams = core::mem::take(&mut self.seams);
        set_seams::<T>(&mut seams, slabs, self.areas[self.last as usize].width() as usize);
        seams
    }

    pub(crate) fn give_seams(&mut self, seams: Buffer<T>) {
        self.seams = seams;
    }

    /// The wanted level, if it is at hand.
    pub(crate) fn whole(&self) -> &Part<T> {
        &self.low
    }

    /// How the rows of a resolution level are cut.
    pub(crate) fn slabs(&self, frame: &Frame<'_>, r: u8) -> Slabs {
        let area = self.areas[r as usize];
        match frame.source.tile.resolution(self.component, r) {
            Some(res) if frame.parallel && r > 0 => {
                Slabs::new(area.y0..area.y1, frame.source.tile.bands[res.first_band as usize].block.1)
            }
            _ => Slabs::one(area.y0..area.y1),
        }
    }

    fn pass<'a>(&'a self, tile: &'a Tile, r: u8, slabs: Slabs) -> Option<Pass<'a, T>> {
        let res = tile.resolution(self.component, r).filter(|_| r > 0)?;
        let bands = [0, 1, 2].map(|n| &tile.bands[res.first_band as usize + n]);
        Some(Pass { low: &self.low, bands, area: self.areas[r as usize], style: self.style, slabs })
    }

    /// The resolution level that is kept.
    pub(crate) fn done(&self) -> Option<u8> {
        self.done
    }

    /// Forgets what is kept.
    pub(crate) fn forget(&mut self) {
        self.done = None;
    }

    /// Counts the planes of two levels, the strips and the rows, before they grow. The memory is used again for the next
    /// component, unless that is decoded together with this one.
    fn check_memory(&self, frame: &Frame<'_>, keep: Keep, spending: &mut Spending) -> Result<(), Error> {
        let samples = |area: Rect| area.width() as u64 * area.height() as u64;
        let last = self.last as usize;
        let planes = match (last, keep) {
            (0, _) | (_, Keep::All) => samples(self.areas[last]) + samples(self.areas[last.saturating_sub(1)]),
            _ => samples(self.areas[last - 1]) + samples(self.areas[last.saturating_sub(2)]),
        };
        let mut strips = 0;
        let tile = frame.source.tile;
        if let (Some(res), true) = (tile.resolution(self.component, self.last), last > 0) {
            let slabs = self.slabs(frame, self.last).count() as u64;
            let width = self.areas[last].width() as u64;
            let rows = |b: &Band| (1u64 << b.block.1).min(b.area.height() as u64);
            let columns = |b: &Band| b.blocks_of(self.areas[last].band(1, b.kind)).1.width() as u64;
            strips = tile.bands[res.band_range()].iter().map(|b| rows(b) * columns(b)).sum::<u64>() + 10 * width;
            strips *= slabs.min(threads::threads() as u64);
            strips += if slabs > 1 { slabs * seam_rows::<T>() as u64 * width } else { 0 };
        }
        spending.memory(0, (planes + strips) * size_of::<T>() as u64)
    }
}

/// Rows kept of each slab: half of them from its top, half from its bottom.
fn seam_rows<T: Coefficient>() -> usize {
    4 * T::STEPS as usize
}

fn set_seams<T: Coefficient>(seams: &mut Buffer<T>, slabs: &Slabs, width: usize) {
    seams.set_length(if slabs.count() > 1 { slabs.count() as usize * seam_rows::<T>() * width } else { 0 });
}

/// A plane and its seams, shared out.
struct Planes<'a, T> {
    slabs: Slabs,
    first: u32,
    width: usize,
    plane: &'a mut [T],
    seams: SeamRows<'a, T>,
}

impl<T: Coefficient> Cut for Planes<'_, T> {
    fn cut(self, n: u32) -> (Self, Self) {
        let Planes { slabs, first, width, plane, seams } = self;
        let rows = (slabs.start(n) - slabs.start(first)) as usize;
        let (plane, plane_after) = plane.split_at_mut(rows * width);
        let (seams, seams_after) = seams.cut(n - first);
        let before = Planes { slabs, first, width, plane, seams };
        (before, Planes { slabs, first: n, width, plane: plane_after, seams: seams_after })
    }
}

/// The kept rows of some slabs.
pub(crate) struct SeamRows<'a, T> {
    pub(crate) rows: &'a mut [T],
    /// How many are kept of a slab.
    each: usize,
}

impl<T> Default for SeamRows<'_, T> {
    fn default() -> Self {
        SeamRows { rows: &mut [], each: 0 }
    }
}

impl<'a, T> SeamRows<'a, T> {
    pub(crate) fn new(rows: &'a mut [T], slabs: u32) -> Self {
        let each = rows.len() / slabs as usize;
        SeamRows { rows, each }
    }

    /// Those of the first `slabs` slabs, and the others.
    pub(crate) fn cut(self, slabs: u32) -> (Self, Self) {
        let SeamRows { rows, each } = self;
        let (before, after) = rows.split_at_mut(slabs as usize * each);
        (SeamRows { rows: before, each }, SeamRows { rows: after, each })
    }
}

/// A resolution level that is synthesised from the one below it.
pub(crate) struct Pass<'a, T> {
    low: &'a Part<T>,
    bands: [&'a Band; 3],
    pub(crate) area: Rect,
    style: BlockStyle,
    slabs: Slabs,
}

impl<T: Coefficient> Pass<'_, T> {
    /// The rows of a slab that no cut has made wrong.
    pub(crate) fn right(&self, n: u32) -> Range<u32> {
        let (rows, steps) = (self.slabs.rows(n), T::STEPS as u32);
        let start = if n > 0 { rows.start + steps } else { rows.start };
        start..if n + 1 < self.slabs.count() { rows.end - steps } else { rows.end }
    }

    /// The rows that the cut before slab `n` has made wrong.
    pub(crate) fn seam(&self, n: u32) -> Range<u32> {
        let (cut, steps) = (self.slabs.start(n), T::STEPS as u32);
        cut - steps..cut + steps
    }

    /// Where a row before the vertical transform is kept, if it is near a cut.
    fn kept(&self, n: u32, y: u32) -> Option<usize> {
        let (rows, half) = (self.slabs.rows(n), 2 * T::STEPS as u32);
        if n > 0 && y < rows.start + half {
            Some((y - rows.start) as usize)
        } else if n + 1 < self.slabs.count() && y + half >= rows.end {
            Some((y + 2 * half - rows.end) as usize)
        } else {
            None
        }
    }
}

/// What a thread synthesises a component with.
#[derive(Debug, Default)]
pub(crate) struct Space<T> {
    strips: [Strip<T>; 3],
    columns: Columns,
    ring: Buffer<T>,
    slab: u32,
    /// The next row of the kept ones.
    kept: usize,
}

impl<T: Coefficient> Space<T> {
    fn begin(&mut self, pass: &Pass<'_, T>, n: u32) {
        let rows = pass.slabs.rows(n);
        let area = Rect { y0: rows.start, y1: rows.end, ..pass.area };
        for (strip, band) in self.strips.iter_mut().zip(pass.bands) {
            strip.start(band, area.band(1, band.kind));
        }
        self.slab = n;
    }

    /// All rows of a slab, into its part of the plane.
    fn fill(
        &mut self,
        pass: &Pass<'_, T>,
        blocks: &mut Blocks<'_, '_>,
        n: u32,
        plane: &mut [T],
        seams: &mut [T],
    ) -> Result<(), Error> {
        self.begin(pass, n);
        let rows = pass.slabs.rows(n);
        self.columns.start_in_place(pass.area.width() as usize, rows.start, rows.end);
        let Space { columns, strips, .. } = self;
        for _ in rows {
            synthesised(columns, strips, pass, blocks, n, plane, seams)?;
        }
        Ok(())
    }

    /// Begins with a slab whose rows `next` gives.
    pub(crate) fn begin_rows(&mut self, pass: &Pass<'_, T>, n: u32) {
        self.begin(pass, n);
        let rows = pass.slabs.rows(n);
        self.columns.start(&mut self.ring, pass.area.width() as usize, rows.start, rows.end);
    }

    /// Goes on to the next row of the slab.
    pub(crate) fn next(
        &mut self,
        pass: &Pass<'_, T>,
        blocks: &mut Blocks<'_, '_>,
        seams: &mut [T],
    ) -> Result<(), Error> {
        let Space { columns, strips, ring, slab, .. } = self;
        synthesised(columns, strips, pass, blocks, *slab, ring, seams)
    }

    /// Some columns of the row at hand.
    pub(crate) fn row(&self, pass: &Pass<'_, T>, columns: &Range<u32>) -> &[T] {
        let start = (columns.start - pass.area.x0) as usize;
        &self.columns.latest(&self.ring)[start..start + columns.len()]
    }

    /// Begins with the rows that the cut before slab `n` has made wrong.
    pub(crate) fn begin_seam(&mut self, pass: &Pass<'_, T>, n: u32) {
        let (cut, half) = (pass.slabs.start(n), 2 * T::STEPS as u32);
        self.columns.start(&mut self.ring, pass.area.width() as usize, cut - half, cut + half);
        self.kept = (n as usize - 1) * seam_rows::<T>() + half as usize;
        self.slab = 0;
    }

    /// Goes on to the next one of them.
    pub(crate) fn next_of_seam(&mut self, pass: &Pass<'_, T>, simd: Simd, seams: &[T]) {
        let width = pass.area.width() as usize;
        let Space { columns, ring, kept, slab, .. } = self;
        // The first rows of the ring are wrong themselves.
        let count = if *slab == 0 { T::STEPS + 1 } else { 1 };
        *slab = 1;
        for _ in 0..count {
            let Ok(()) = columns.synthesise(ring, simd, |_, _, out: &mut [T]| {
                out.copy_from_slice(&seams[*kept * width..][..width]);
                *kept += 1;
                Ok::<(), Infallible>(())
            });
        }
    }
}

/// The next row of what is synthesised of a slab.
fn synthesised<T: Coefficient>(
    columns: &mut Columns,
    strips: &mut [Strip<T>; 3],
    pass: &Pass<'_, T>,
    blocks: &mut Blocks<'_, '_>,
    n: u32,
    rows: &mut [T],
    seams: &mut [T],
) -> Result<(), Error> {
    let (simd, style) = (blocks.source.simd, pass.style);
    let below = pass.area.reduced(1);
    let odd = pass.area.x0 & 1 != 0;
    let [hl, lh, hh] = pass.bands;
    columns.synthesise(rows, simd, |y, place, out| {
        let v = y / 2;
        let [hl_strip, lh_strip, hh_strip] = &mut *strips;
        let (low, high) = if y & 1 == 0 {
            (pass.low.row(v, below.x0..below.x1), hl_strip.row(blocks, hl, style, v)?)
        } else {
            (lh_strip.row(blocks, lh, style, v)?, hh_strip.row(blocks, hh, style, v)?)
        };
        T::synthesise_row(simd, low, high, odd, place, out);
        if let Some(kept) = pass.kept(n, y) {
            seams[kept * out.len()..][..out.len()].copy_from_slice(out);
        }
        Ok(())
    })
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
    fn row(&mut self, blocks: &mut Blocks<'_, '_>, band: &Band, style: BlockStyle, y: u32) -> Result<&[T], Error> {
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
