//! A codestream opened: its main header, its tile-parts, and the reading of a tile's packets.

use crate::geometry::{Plan, Tile};
use crate::held::Held;
use crate::limits::Spending;
use crate::markers::{MainHeader, PackedHeaders, PacketLengths, TileCoding, TilePart, TileParts};
use crate::packet::{Framing, Lack, PacketReader, Read};
use crate::progression::{Packet, Sequencer};
use crate::{Error, Limits, Progression};
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// A codestream, or what is there of one.
#[derive(Debug)]
pub(crate) struct Codestream<'a> {
    pub(crate) held: Held<'a>,
    pub(crate) header: MainHeader,
    /// Packet headers in the main header, by tile-part.
    packed: Vec<Vec<u8>>,
}

/// What a tile's headers and packets are read into; kept from tile to tile and from frame to frame.
#[derive(Debug, Default)]
pub(crate) struct TileReader {
    pub(crate) tile: Tile,
    pub(crate) packets: PacketReader,
    sequencer: Sequencer,
    packed: PackedHeaders,
    joined: Vec<u8>,
    /// The packet at which the latest reading ended, and what it lacks.
    pub(crate) lack: Option<(Packet, Lack)>,
}

impl<'a> Codestream<'a> {
    /// Parses the main header, in the memory of another one if there is one, and finds the tile-parts.
    pub(crate) fn open(
        held: Held<'a>,
        limits: &Limits,
        parts: &mut TileParts,
        spare: Option<MainHeader>,
    ) -> Result<Self, Error> {
        let beginning = held.until_gap(0);
        let mut header = MainHeader::parse(beginning, limits, spare)?;
        let packed = header.packed.split(beginning);
        let tiles = header.siz.tiles();
        parts.scan(&held, header.length, tiles.0 * tiles.1)?;
        // Tile by tile, each in the order of the codestream.
        parts.parts.sort_unstable_by_key(|p| (p.tile, p.order));
        Ok(Codestream { held, header, packed })
    }

    /// Whether headers of packets stand in the main header.
    pub(crate) fn has_packed_headers(&self) -> bool {
        !self.packed.is_empty()
    }

    /// Levels of decomposition that every component has, by the main header.
    pub(crate) fn decompositions(&self) -> u8 {
        self.header.coding.all().map(|c| c.levels).min().unwrap_or(0)
    }
}

/// Every tile with its tile-parts, which may be none, from a list sorted by tile.
pub(crate) fn by_tile(tiles: u32, parts: &[TilePart]) -> impl Iterator<Item = (u32, &[TilePart])> {
    let mut rest = parts;
    (0..tiles).map(move |tile| {
        let count = rest.iter().take_while(|p| p.tile as u32 == tile).count();
        let (own, after) = rest.split_at(count);
        rest = after;
        (tile, own)
    })
}

impl TileReader {
    /// Reads the headers of a tile's tile-parts and lays the tile out, as far as `level` needs it. Gives its coding, if it differs from the main header's.
    pub(crate) fn open(
        &mut self,
        stream: &Codestream<'_>,
        index: u32,
        parts: &[TilePart],
        level: u8,
        spending: &mut Spending,
    ) -> Result<Option<TileCoding>, Error> {
        let header = &stream.header;
        let mut coding = None;
        self.packets.start();
        self.add_parts(stream, parts, &mut coding)?;
        let used = coding.as_ref().unwrap_or(&header.coding);
        let at = parts.first().map_or(header.length, |p| p.bytes.start);
        let discard = if resolution_major(used) && same_levels(used) { level } else { 0 };
        let plan = Plan { siz: &header.siz, coding: used, discard, at };
        self.tile.lay_out(index, &plan, spending)?;
        Ok(coding)
    }

    /// Takes the tile's tile-parts, of which some may be known already and now reach further.
    pub(crate) fn add_parts(
        &mut self,
        stream: &Codestream<'_>,
        parts: &[TilePart],
        coding: &mut Option<TileCoding>,
    ) -> Result<(), Error> {
        let mut lengths = PacketLengths::default();
        for (n, part) in parts.iter().enumerate() {
            if n < self.packets.part_count() {
                self.packets.extend(n, part.bytes.end);
                continue;
            }
            self.packed.clear();
            let bytes = stream.held.until_gap(part.bytes.start);
            match stream.header.parse_tile_part(bytes, part, n == 0, coding, &mut self.packed, &mut lengths) {
                Ok(start) => {
                    self.packets.add_part(start..part.bytes.end);
                    if let Some(headers) = stream.packed.get(part.order as usize) {
                        self.packets.add_packed(headers);
                    }
                    if !self.packed.is_empty() {
                        self.joined.clear();
                        self.packed.join(bytes, &mut self.joined);
                        self.packets.add_packed(&self.joined);
                    }
                }
                // The end of what is there.
                Err(e) if e.is_truncated() => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads packets until all that are wanted are there, or no more bytes. `seen` is told each packet that was read, with
    /// the place where it ends. Gives whether all were there.
    pub(crate) fn read(
        &mut self,
        stream: &Codestream<'_>,
        coding: &TileCoding,
        level: u8,
        spending: &mut Spending,
        seen: &mut dyn FnMut(&Tile, Packet, usize),
    ) -> Result<bool, Error> {
        let TileReader { tile, packets, sequencer, lack, .. } = self;
        *lack = None;
        let framing = Framing { sop: coding.cod.sop, eph: coding.cod.eph };
        let _ = sequencer.walk(tile, coding, spending, &mut |tile, packet, spending| {
            let style = coding.of(packet.component).style;
            Ok(match packets.read(&stream.held, tile, packet, style, framing, spending)? {
                Read::Whole(end) => {
                    seen(tile, packet, end);
                    ControlFlow::Continue(())
                }
                Read::Cut(what) => {
                    *lack = Some((packet, what));
                    ControlFlow::Break(())
                }
            })
        })?;
        Ok(has_level(tile, coding, level))
    }
}

/// Whether every layer of every packet that a level needs was read.
#[inline(never)]
pub(crate) fn has_level(tile: &Tile, coding: &TileCoding, level: u8) -> bool {
    tile.components.iter().enumerate().all(|(c, component)| {
        (0..(component.levels + 1).saturating_sub(level)).all(|r| {
            tile.resolution(c, r).is_some_and(|res| {
                let first = res.first_precinct as usize;
                let precincts = &tile.precincts[first..first + res.precinct_count() as usize];
                precincts.iter().all(|p| p.layers >= coding.cod.layers)
            })
        })
    })
}

/// Whether resolution levels follow one another in each tile.
pub(crate) fn resolution_major(coding: &TileCoding) -> bool {
    coding.volumes.is_empty() && matches!(coding.cod.progression, Progression::Rlcp | Progression::Rpcl)
}

#[inline(never)]
pub(crate) fn same_levels(coding: &TileCoding) -> bool {
    let mut levels = coding.all().map(|c| c.levels);
    let first = levels.next();
    levels.all(|l| Some(l) == first)
}
