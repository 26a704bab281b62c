//! Where each resolution level ends in a codestream.

use crate::codestream::{Codestream, TileReader, by_tile, has_level, resolution_major};
use crate::geometry::Tile;
use crate::held::Held;
use crate::limits::Spending;
use crate::markers::{MainHeader, TileCoding, TileParts};
use crate::progression::Packet;
use crate::{Error, Header, Limits};
use alloc::vec::Vec;

/// A resolution level and the prefix of the codestream that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// 0 is the full image, `n` is `1/2^n` of it.
    pub level: u8,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes of the codestream up to the end of this level.
    pub end: u64,
    /// CRC-32 (IEEE) of the level's samples, little endian, in the smallest of 1, 2 or 4 bytes; if it was asked for.
    pub crc32: Option<u32>,
}

/// The structure of a codestream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The main header.
    pub header: Header,
    /// The levels whose ends are known, coarsest first. Empty where levels do not follow one another. Of a codestream
    /// that has not all arrived, the levels that have, and the others too if the lengths of tile-parts tell their ends.
    pub levels: Vec<Level>,
    /// Whether every byte that the codestream announces is there.
    pub complete: bool,
}

impl Index {
    /// Reads tile-part and packet lengths; decodes nothing.
    pub fn read(codestream: &[u8], limits: &Limits) -> Result<Index, Error> {
        let mut parts = TileParts::default();
        let stream = Codestream::open(Held::all(codestream), limits, &mut parts, None)?;
        let header = Header::of(&stream.header);
        let mut reader = TileReader::default();
        let mut ends = Ends::new(&stream.header);
        let (mut complete, mut spending) = (true, Spending::new(*limits));
        for (index, own) in by_tile(header.tiles.0 * header.tiles.1, &parts.parts) {
            let mark = spending.mark();
            let coding = reader.open(&stream, index, own, 0, &mut spending)?;
            let coding = coding.as_ref().unwrap_or(&stream.header.coding);
            complete &= reader.read(&stream, coding, 0, &mut spending, &mut |tile, packet, end| {
                ends.note(tile, packet, end);
            })?;
            ends.tile(&reader.tile, coding);
            spending.release(mark);
        }
        let levels = (0..=header.decompositions).rev().map_while(|level| {
            let end = ends.end(level, &stream, &parts)?;
            let (width, height) = header.size_at(level);
            Some(Level { level, width, height, end, crc32: None })
        });
        let levels = if resolution_major(&stream.header.coding) { levels.collect() } else { Vec::new() };
        Ok(Index { header, levels, complete })
    }
}

/// The ends of levels, as far as packets have shown them.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    /// By level: where the last packet of the level itself ends.
    ends: [u64; 33],
    /// By level: whether every packet that it needs was read.
    whole: [bool; 33],
    decompositions: u8,
    tiles: u32,
}

impl Ends {
    pub(crate) fn new(header: &MainHeader) -> Self {
        let (across, down) = header.siz.tiles();
        let decompositions = header.coding.all().map(|c| c.levels).min().unwrap_or(0);
        Ends { ends: [0; 33], whole: [true; 33], decompositions, tiles: across * down }
    }

    /// Notes that a packet ends at a place.
    pub(crate) fn note(&mut self, tile: &Tile, packet: Packet, end: usize) {
        let level = (tile.components[packet.component as usize].levels - packet.resolution).min(32) as usize;
        self.ends[level] = self.ends[level].max(end as u64);
    }

    /// Notes that a tile's packets were read as far as they are there.
    pub(crate) fn tile(&mut self, tile: &Tile, coding: &TileCoding) {
        for level in 0..=self.decompositions {
            let whole = &mut self.whole[level as usize];
            *whole = *whole && has_level(tile, coding, level);
        }
    }

    /// The bytes up to the end of a level.
    pub(crate) fn end(&self, level: u8, stream: &Codestream<'_>, parts: &TileParts) -> Option<u64> {
        let end = self.ends[level as usize..].iter().copied().max()?;
        if !self.whole[level as usize] {
            // Lengths that end before a packet that was read, or with nothing to come, are wrong.
            let least = end.max(stream.held.bytes.len() as u64 + 1);
            return self.announced(level, stream, parts).filter(|announced| *announced >= least);
        }
        if level > 0 {
            // A level without a sample has no packet.
            return Some(end.max(stream.header.length as u64));
        }
        let parts_end = parts.parts.iter().map(|p| p.end.unwrap_or(p.bytes.end)).max()? as u64;
        Some(end.max(parts_end) + if parts.ended { 2 } else { 0 })
    }

    /// What the lengths of tile-parts tell of a level that has not all arrived. The end of the codestream is sure; the end of
    /// another level is where as many tile-parts end as there are resolution levels up to it, in each tile,
    /// provided that this is so for the levels that did arrive.
    fn announced(&self, level: u8, stream: &Codestream<'_>, parts: &TileParts) -> Option<u64> {
        let listed = &stream.header.tlm.parts;
        let after = |count: usize| {
            let bytes: u64 = listed[..count].iter().map(|p| p.1 as u64).sum();
            stream.header.length as u64 + bytes
        };
        if level == 0 {
            return match parts.parts.first() {
                _ if !listed.is_empty() => Some(after(listed.len()) + 2),
                Some(part) if self.tiles == 1 && part.count == 1 => Some(part.end? as u64 + 2),
                _ => None,
            };
        }
        let tiles = self.tiles as usize;
        if listed.len() != tiles * (self.decompositions as usize + 1) {
            return None;
        }
        let end = |level: u8| after(tiles * ((self.decompositions - level) as usize + 1));
        let agree = (1..=self.decompositions)
            .filter(|&l| self.whole[l as usize])
            .all(|l| self.ends[l as usize..].iter().copied().max() == Some(end(l)));
        agree.then(|| end(level))
    }
}
