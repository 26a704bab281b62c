//! The order of packets (T.800 B.12).

use crate::geometry::Tile;
use crate::limits::Spending;
use crate::markers::{TileCoding, Volume};
use crate::{Error, Progression};
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// One packet: a layer of a precinct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) component: u16,
    pub(crate) resolution: u8,
    /// Index in `Tile::precincts`.
    pub(crate) precinct: u32,
    pub(crate) layer: u16,
}

/// Why a walk ended.
pub(crate) type Step = Result<ControlFlow<()>, Error>;

/// Walks over the packets of a tile; keeps its memory between walks.
#[derive(Debug, Default)]
pub(crate) struct Sequencer {
    columns: Vec<u64>,
    rows: Vec<u64>,
}

/// Is told each packet.
pub(crate) type Visit<'a> = dyn FnMut(&mut Tile, Packet, &mut Spending) -> Step + 'a;

impl Sequencer {
    /// Calls `visit` for every packet in order, until it breaks. A packet is visited once, however often the
    /// progression comes by; `visit` must count up `Precinct::layers`.
    pub(crate) fn walk(
        &mut self,
        tile: &mut Tile,
        coding: &TileCoding,
        spending: &mut Spending,
        visit: &mut Visit<'_>,
    ) -> Step {
        let whole = [Volume {
            progression: coding.cod.progression,
            resolutions: (0, 33),
            components: (0, tile.components.len() as u16),
            layers: coding.cod.layers,
        }];
        let volumes = if coding.volumes.is_empty() { &whole[..] } else { &coding.volumes };
        for volume in volumes {
            let volume = Volume { layers: volume.layers.min(coding.cod.layers), ..*volume };
            spending.work(0, 1)?;
            if volume.components.0 >= volume.components.1 || volume.resolutions.0 >= volume.resolutions.1 {
                // Without a component or a level, every layer would go by uncounted.
                continue;
            }
            let mut walk = Walk { tile: &mut *tile, volume, spending: &mut *spending, visit: &mut *visit };
            let step = match volume.progression {
                Progression::Lrcp => walk.layers_first(),
                Progression::Rlcp => walk.resolutions_first(),
                Progression::Rpcl => walk.resolutions_then_positions(self),
                Progression::Pcrl => walk.positions(self, volume.components, volume.resolutions),
                Progression::Cprl => walk.components_first(self),
            }?;
            if step.is_break() {
                return Ok(step);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

struct Walk<'a, 'b> {
    tile: &'a mut Tile,
    volume: Volume,
    spending: &'a mut Spending,
    visit: &'a mut Visit<'b>,
}

/// Goes on with the next item unless the visitor wants no more.
macro_rules! go {
    ($step:expr) => {
        if $step?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    };
}

impl Walk<'_, '_> {
    fn layers_first(&mut self) -> Step {
        for layer in 0..self.volume.layers {
            for r in self.volume.resolutions.0..self.volume.resolutions.1 {
                go!(self.all_precincts(layer, r));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn resolutions_first(&mut self) -> Step {
        for r in self.volume.resolutions.0..self.volume.resolutions.1 {
            for layer in 0..self.volume.layers {
                go!(self.all_precincts(layer, r));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn all_precincts(&mut self, layer: u16, r: u8) -> Step {
        for c in self.volume.components.0..self.volume.components.1 {
            self.spending.work(0, 1)?;
            let Some(res) = self.tile.resolution(c as usize, r) else { continue };
            for precinct in res.first_precinct..res.first_precinct + res.precinct_count() {
                go!(self.packet(c, r, precinct, layer));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn resolutions_then_positions(&mut self, at: &mut Sequencer) -> Step {
        for r in self.volume.resolutions.0..self.volume.resolutions.1 {
            go!(self.positions(at, self.volume.components, (r, r + 1)));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn components_first(&mut self, at: &mut Sequencer) -> Step {
        for c in self.volume.components.0..self.volume.components.1 {
            go!(self.positions(at, (c, c + 1), self.volume.resolutions));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Every position where a precinct begins, row by row; at each, components, resolution levels and layers.
    fn positions(&mut self, at: &mut Sequencer, components: (u16, u16), resolutions: (u8, u8)) -> Step {
        at.columns.clear();
        at.rows.clear();
        for c in components.0..components.1 {
            for r in resolutions.0..resolutions.1 {
                self.spending.work(0, 1)?;
                if let Some(grid) = PrecinctGrid::of(self.tile, c, r) {
                    self.spending.memory(0, 3 * 8 * (grid.across as u64 + grid.down as u64))?;
                    at.columns.extend((0..grid.across).map(|n| grid.column(n)));
                    at.rows.extend((0..grid.down).map(|n| grid.row(n)));
                }
            }
        }
        for list in [&mut at.columns, &mut at.rows] {
            list.sort_unstable();
            list.dedup();
        }
        for &y in &at.rows {
            for &x in &at.columns {
                for c in components.0..components.1 {
                    for r in resolutions.0..resolutions.1 {
                        self.spending.work(0, 1)?;
                        let Some(precinct) = PrecinctGrid::of(self.tile, c, r).and_then(|g| g.at(x, y)) else {
                            continue;
                        };
                        for layer in 0..self.volume.layers {
                            go!(self.packet(c, r, precinct, layer));
                        }
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn packet(&mut self, component: u16, resolution: u8, precinct: u32, layer: u16) -> Step {
        if self.tile.precincts[precinct as usize].layers != layer {
            self.spending.work(0, 1)?;
            return Ok(ControlFlow::Continue(()));
        }
        (self.visit)(self.tile, Packet { component, resolution, precinct, layer }, self.spending)
    }
}

/// Where the precincts of a resolution level begin on the reference grid.
struct PrecinctGrid {
    origin: (u64, u64),
    first: (u64, u64),
    size: (u64, u64),
    across: u32,
    down: u32,
    first_precinct: u32,
}

impl PrecinctGrid {
    fn of(tile: &Tile, component: u16, r: u8) -> Option<Self> {
        let res = tile.resolution(component as usize, r)?;
        let c = &tile.components[component as usize];
        let above = c.levels - r;
        // At most 2^(8 + 15 + 32).
        Some(PrecinctGrid {
            origin: (tile.area.x0 as u64, tile.area.y0 as u64),
            first: ((res.area.x0 >> res.precinct.0) as u64, (res.area.y0 >> res.precinct.1) as u64),
            size: ((c.dx as u64) << (res.precinct.0 + above), (c.dy as u64) << (res.precinct.1 + above)),
            across: res.across,
            down: res.down,
            first_precinct: res.first_precinct,
        })
    }

    fn column(&self, n: u32) -> u64 {
        ((self.first.0 + n as u64) * self.size.0).max(self.origin.0)
    }

    fn row(&self, n: u32) -> u64 {
        ((self.first.1 + n as u64) * self.size.1).max(self.origin.1)
    }

    /// The precinct that begins at a position.
    fn at(&self, x: u64, y: u64) -> Option<u32> {
        let n = (x / self.size.0).checked_sub(self.first.0)?;
        let m = (y / self.size.1).checked_sub(self.first.1)?;
        let inside = n < self.across as u64 && m < self.down as u64;
        let (n, m) = (n as u32, m as u32);
        (inside && self.column(n) == x && self.row(m) == y).then(|| self.first_precinct + m * self.across + n)
    }
}
