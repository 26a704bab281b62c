//! What lies where: tiles, tile-components, resolution levels, sub-bands, precincts and code-blocks (T.800 Annex B).

use crate::Error;
use crate::limits::Spending;
use crate::markers::{Coding, Siz, TileCoding};
use crate::rect::shift_up;
pub(crate) use crate::rect::{BandKind, Rect};
use crate::tag_tree::TagTree;
use alloc::vec::Vec;
use core::ops::Range;

/// The structure of one tile, in flat tables that refer to each other by index, so that they are kept from frame to frame.
#[derive(Debug, Default)]
pub(crate) struct Tile {
    pub(crate) area: Rect,
    pub(crate) components: Vec<TileComponent>,
    pub(crate) resolutions: Vec<Resolution>,
    pub(crate) bands: Vec<Band>,
    pub(crate) precincts: Vec<Precinct>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) trees: TagTree,
}

/// A component in a tile.
#[derive(Clone, Debug)]
pub(crate) struct TileComponent {
    /// Its area on its own grid.
    pub(crate) area: Rect,
    pub(crate) dx: u8,
    pub(crate) dy: u8,
    pub(crate) levels: u8,
    pub(crate) first_resolution: u32,
    /// Resolution levels that were laid out; those above are not of interest.
    pub(crate) resolutions: u8,
}

/// A resolution level of a tile-component.
#[derive(Clone, Debug)]
pub(crate) struct Resolution {
    pub(crate) area: Rect,
    /// Exponents of the precinct's size.
    pub(crate) precinct: (u8, u8),
    /// Precincts across and down.
    pub(crate) across: u32,
    pub(crate) down: u32,
    pub(crate) first_precinct: u32,
    pub(crate) first_band: u32,
    pub(crate) bands: u8,
}

/// A sub-band of a resolution level.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    pub(crate) kind: BandKind,
    pub(crate) area: Rect,
    /// Magnitude bit-planes: M_b of E-2, the shift of a region of interest included.
    pub(crate) planes: u8,
    pub(crate) roi_shift: u8,
    /// The quantisation step relative to the sample, 1 for a reversible band.
    pub(crate) step: f32,
    /// Exponents of the code-block's size, precincts considered (B-17).
    pub(crate) block: (u8, u8),
    /// The code-blocks that the band touches, in units of code-blocks.
    pub(crate) grid: Rect,
    pub(crate) first_block: u32,
}

impl Band {
    /// The area of the code-block at a place of the grid.
    pub(crate) fn block_area(&self, x: u32, y: u32) -> Rect {
        let (w, h) = self.block;
        let start = |n: u32, e: u8| ((n as u64) << e).min(u32::MAX as u64) as u32;
        Rect {
            x0: start(x, w).max(self.area.x0),
            y0: start(y, h).max(self.area.y0),
            x1: start(x + 1, w).min(self.area.x1),
            y1: start(y + 1, h).min(self.area.y1),
        }
    }

    /// The code-blocks that hold a part of the band, and the area that they cover.
    #[inline(never)]
    pub(crate) fn blocks_of(&self, window: Rect) -> (Rect, Rect) {
        let grid = cover(window, self.block);
        if grid.is_empty() {
            return (grid, Rect::default());
        }
        let (first, last) = (self.block_area(grid.x0, grid.y0), self.block_area(grid.x1 - 1, grid.y1 - 1));
        (grid, Rect { x0: first.x0, y0: first.y0, x1: last.x1, y1: last.y1 })
    }

    pub(crate) fn block_index(&self, x: u32, y: u32) -> usize {
        self.first_block as usize
            + (y - self.grid.y0) as usize * self.grid.width() as usize
            + (x - self.grid.x0) as usize
    }
}

/// A precinct: its cells, one for each band of the resolution level, and the layers read so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Precinct {
    pub(crate) layers: u16,
    pub(crate) first_cell: u32,
}

/// The part of a precinct in one band: a rectangle of code-blocks and its two tag trees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) grid: Rect,
    pub(crate) inclusion: u32,
    pub(crate) zero_planes: u32,
}

/// What the packet headers have said of a code-block so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Zero bit-planes, known from the first inclusion on.
    pub(crate) missing: u8,
    pub(crate) length_bits: u8,
    pub(crate) state: BlockState,
    /// Coding passes so far, placeholders included.
    pub(crate) passes: u8,
    /// Passes before the HT set in use, and passes of that set.
    pub(crate) skipped: u8,
    pub(crate) used: u8,
    /// Bytes of the cleanup segment and of the refinement segment (HT).
    pub(crate) cleanup: u32,
    pub(crate) refinement: u32,
    /// The chain of its bytes in the codestream.
    pub(crate) first_chunk: u32,
    pub(crate) last_chunk: u32,
}

/// How the bytes of a code-block are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockState {
    /// Not in any packet yet.
    Absent,
    /// Placeholder passes alone so far: its kind is open (T.814 B.3).
    Placeholder,
    /// HT code-block.
    Ht,
    /// Code-block of T.800 Annexes C and D.
    Part1,
}

/// No chunk.
pub(crate) const NONE: u32 = u32::MAX;

impl Block {
    pub(crate) const NEW: Block = Block {
        missing: 0,
        length_bits: 3,
        state: BlockState::Absent,
        passes: 0,
        skipped: 0,
        used: 0,
        cleanup: 0,
        refinement: 0,
        first_chunk: NONE,
        last_chunk: NONE,
    };
}

/// What `Tile::lay_out` needs to know.
pub(crate) struct Plan<'a> {
    pub(crate) siz: &'a Siz,
    pub(crate) coding: &'a TileCoding,
    /// Resolution levels that are left out at the top of each component.
    pub(crate) discard: u8,
    /// Position in the codestream, for errors.
    pub(crate) at: usize,
}

impl Tile {
    /// Lays out tile `index`. Work and memory are checked before tables grow.
    pub(crate) fn lay_out(&mut self, index: u32, plan: &Plan<'_>, spending: &mut Spending) -> Result<(), Error> {
        self.clear();
        self.area = plan.siz.tile(index);
        let mut count = Count { spending, at: plan.at };
        for component in 0..plan.siz.components.len() {
            self.lay_out_component(component as u16, plan, &mut count)?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.components.clear();
        self.resolutions.clear();
        self.bands.clear();
        self.precincts.clear();
        self.cells.clear();
        self.blocks.clear();
        self.trees.clear();
    }

    fn lay_out_component(&mut self, c: u16, plan: &Plan<'_>, count: &mut Count<'_>) -> Result<(), Error> {
        let size = plan.siz.components[c as usize];
        let coding = plan.coding.of(c);
        let area = self.area.divided(size.dx as u32, size.dy as u32);
        let resolutions = (coding.levels + 1).saturating_sub(plan.discard);
        self.components.push(TileComponent {
            area,
            dx: size.dx,
            dy: size.dy,
            levels: coding.levels,
            first_resolution: self.resolutions.len() as u32,
            resolutions,
        });
        count.add(resolutions as u64 + 1, size_of::<Resolution>() + 3 * size_of::<Band>())?;
        for r in 0..resolutions {
            let first_band = self.bands.len() as u32;
            for kind in kinds(r) {
                self.add_band(c, r, *kind, area, plan)?;
            }
            self.add_resolution(area.reduced(coding.levels - r), coding.precincts[r as usize], first_band, r, count)?;
        }
        Ok(())
    }

    fn add_band(&mut self, c: u16, r: u8, kind: BandKind, area: Rect, plan: &Plan<'_>) -> Result<(), Error> {
        let coding = plan.coding.of(c);
        let quantisation = plan.coding.quantisation_of(c);
        let levels = if r == 0 { coding.levels } else { coding.levels - r + 1 };
        let index = if r == 0 { 0 } else { 3 * (r as usize - 1) + kind as usize };
        let step = quantisation
            .step(index, r.saturating_sub(1))
            .ok_or(Error::malformed(plan.at, "a sub-band has no quantisation step"))?;
        let roi_shift = plan.coding.roi_shift_of(c);
        let planes = (quantisation.guard_bits + step.exponent).saturating_sub(1) as u32 + roi_shift as u32;
        let nominal = plan.siz.components[c as usize].precision + kind.gain();
        let band = area.band(levels, kind);
        let block = block_size(coding, r);
        self.bands.push(Band {
            kind,
            area: band,
            planes: planes.min(255) as u8,
            roi_shift,
            step: if coding.reversible {
                1.0
            } else {
                power_of_two(nominal as i32 - step.exponent as i32) * (1.0 + step.mantissa as f32 / 2048.0)
            },
            block,
            grid: cover(band, block),
            first_block: 0,
        });
        Ok(())
    }

    fn add_resolution(
        &mut self,
        area: Rect,
        precinct: (u8, u8),
        first_band: u32,
        r: u8,
        count: &mut Count<'_>,
    ) -> Result<(), Error> {
        let grid = cover(area, precinct);
        let (across, down) = (grid.width(), grid.height());
        let bands = kinds(r).len();
        let precincts = across as u64 * down as u64;
        count.add(precincts, size_of::<Precinct>() + bands * size_of::<Cell>())?;
        let first_precinct = self.precincts.len() as u32;

        for band in first_band as usize..self.bands.len() {
            let blocks = self.bands[band].grid;
            let blocks = blocks.width() as u64 * blocks.height() as u64;
            count.add(blocks, size_of::<Block>() + 3 * TagTree::NODE)?;
            self.bands[band].first_block = self.blocks.len() as u32;
            self.blocks.resize(self.blocks.len() + blocks as usize, Block::NEW);
        }
        for p in 0..precincts {
            let (px, py) = (grid.x0 + (p % across as u64) as u32, grid.y0 + (p / across as u64) as u32);
            let first_cell = self.cells.len() as u32;
            for band in first_band as usize..self.bands.len() {
                let grid = cell_grid(&self.bands[band], px, py, precinct, r);
                let inclusion = self.trees.add(grid.width(), grid.height());
                let zero_planes = self.trees.add(grid.width(), grid.height());
                self.cells.push(Cell { grid, inclusion, zero_planes });
            }
            self.precincts.push(Precinct { layers: 0, first_cell });
        }
        self.resolutions.push(Resolution {
            area,
            precinct,
            across,
            down,
            first_precinct,
            first_band,
            bands: bands as u8,
        });
        Ok(())
    }

    pub(crate) fn resolution(&self, component: usize, r: u8) -> Option<&Resolution> {
        let c = &self.components[component];
        (r < c.resolutions).then(|| &self.resolutions[c.first_resolution as usize + r as usize])
    }
}

impl Resolution {
    pub(crate) fn band_range(&self) -> Range<usize> {
        self.first_band as usize..self.first_band as usize + self.bands as usize
    }

    pub(crate) fn precinct_count(&self) -> u32 {
        self.across * self.down
    }
}

/// The bands of a resolution level, in the order of packets.
fn kinds(r: u8) -> &'static [BandKind] {
    if r == 0 { &[BandKind::Ll] } else { &[BandKind::Hl, BandKind::Lh, BandKind::Hh] }
}

/// B-17: a code-block never reaches over its precinct.
fn block_size(coding: &Coding, r: u8) -> (u8, u8) {
    let (pw, ph) = coding.precincts[r as usize];
    let halved = (r > 0) as u8;
    (coding.block.0.min(pw - halved), coding.block.1.min(ph - halved))
}

/// The cells of a grid of `2^size` that an area touches.
fn cover(area: Rect, size: (u8, u8)) -> Rect {
    if area.is_empty() {
        return Rect::default();
    }
    Rect {
        x0: area.x0 >> size.0,
        y0: area.y0 >> size.1,
        x1: shift_up(area.x1, size.0, 0),
        y1: shift_up(area.y1, size.1, 0),
    }
}

/// The code-blocks of a band that lie in precinct (`px`, `py`).
fn cell_grid(band: &Band, px: u32, py: u32, precinct: (u8, u8), r: u8) -> Rect {
    let halved = (r > 0) as u8;
    let (ex, ey) = (precinct.0 - halved, precinct.1 - halved);
    let edge = |n: u32, e: u8| ((n as u64) << e).min(u32::MAX as u64) as u32;
    let area = Rect {
        x0: edge(px, ex).max(band.area.x0),
        y0: edge(py, ey).max(band.area.y0),
        x1: edge(px + 1, ex).min(band.area.x1),
        y1: edge(py + 1, ey).min(band.area.y1),
    };
    cover(area, band.block)
}

fn power_of_two(e: i32) -> f32 {
    f32::from_bits(((e.clamp(-126, 127) + 127) as u32) << 23)
}

/// Adds up what the tables of a tile take, against the limits.
struct Count<'a> {
    spending: &'a mut Spending,
    at: usize,
}

impl Count<'_> {
    fn add(&mut self, items: u64, size: usize) -> Result<(), Error> {
        if items > u32::MAX as u64 / 4 {
            return Err(Error::limit(self.at, "precincts and code-blocks"));
        }
        self.spending.work(self.at, items)?;
        // A table that grows has room for twice its items, and is copied from one half as large.
        self.spending.memory(self.at, items * 3 * size as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of T.800 B.5: band coordinates at odd offsets.
    #[test]
    fn bands_of_an_odd_area_add_up_to_it() {
        for (x0, x1) in [(0, 1), (1, 2), (3, 10), (4, 9), (0, 1000), (7, 7)] {
            let area = Rect { x0, y0: 5, x1, y1: 12 };
            for levels in 0..8 {
                let above = area.reduced(levels);
                let low = area.band(levels + 1, BandKind::Ll);
                let high = area.band(levels + 1, BandKind::Hh);
                assert_eq!(above.width(), low.width() + high.width());
                assert_eq!(above.height(), low.height() + high.height());
                assert_eq!(low, area.reduced(levels + 1));
            }
        }
    }
}
