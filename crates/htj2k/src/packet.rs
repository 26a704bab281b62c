//! Packet headers (T.800 B.9 and B.10, T.814 Annex B): which code-blocks a packet adds to, and with how many bytes.

use crate::Error;
use crate::bits::{BitReader, OutOfBits};
use crate::geometry::{Block, BlockState, Cell, NONE, Tile};
use crate::held::Held;
use crate::limits::Spending;
use crate::markers::{BlockStyle, EPH, SOP};
use crate::progression::Packet;
use crate::tag_tree::{Saved, TagTree};
use alloc::vec::Vec;
use core::ops::Range;

/// Some bytes of a code-block, in the codestream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) start: usize,
    pub(crate) length: u32,
    pub(crate) next: u32,
    /// Coding passes that end in these bytes (Part 1 code-blocks).
    pub(crate) passes: u8,
}

/// Where a tile's packets are, and what was read of them.
#[derive(Debug, Default)]
pub(crate) struct PacketReader {
    pub(crate) chunks: Vec<Chunk>,
    /// The bodies of the tile's tile-parts that are left, in order, the current one first.
    parts: Vec<Range<usize>>,
    part: usize,
    /// Packet headers that stand apart from the packets, and how far they are read.
    packed: Option<(Vec<u8>, usize)>,
    pending_blocks: Vec<(u32, Block)>,
    pending_chunks: Vec<Pending>,
    /// Code-blocks that the latest packet was about.
    visited: u64,
    /// The tag trees before the packet at hand.
    saved: Saved,
}

/// Bytes that a packet header announces.
#[derive(Clone, Copy, Debug)]
struct Pending {
    block: u32,
    length: u32,
    passes: u8,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// What was there before is of no more use.
    First,
    More,
}

/// How a packet ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// It was read; the next one begins here.
    Whole(usize),
    /// It is not all there.
    Cut(Lack),
}

/// What there is too little of for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// Its header, from here on.
    Header(usize),
    /// Tile-parts.
    TilePart,
    /// Bytes of its tile-part.
    Room,
}

/// Markers around packets, as COD announces them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framing {
    pub(crate) sop: bool,
    pub(crate) eph: bool,
}

enum Trouble {
    /// The header goes on beyond what is there.
    Cut,
    /// The body is longer than what is left of the tile-part.
    Short,
    Wrong(&'static str),
}

impl From<OutOfBits> for Trouble {
    fn from(_: OutOfBits) -> Self {
        Trouble::Cut
    }
}

impl PacketReader {
    pub(crate) fn start(&mut self) {
        self.chunks.clear();
        self.parts.clear();
        self.part = 0;
        self.packed = None;
    }

    /// Adds the body of a tile-part, and the headers of its packets if they stand apart.
    pub(crate) fn add_part(&mut self, body: Range<usize>) {
        self.parts.push(body);
    }

    /// More bytes have come: the tile-parts reach further.
    pub(crate) fn extend(&mut self, part: usize, end: usize) {
        if let Some(part) = self.parts.get_mut(part) {
            part.end = part.end.max(end);
        }
        self.part = 0;
    }

    /// Tile-parts that were added.
    pub(crate) fn part_count(&self) -> usize {
        self.parts.len()
    }

    /// Whether packet headers stand apart from the packets.
    pub(crate) fn has_packed_headers(&self) -> bool {
        self.packed.is_some()
    }

    pub(crate) fn add_packed(&mut self, headers: &[u8]) {
        self.packed.get_or_insert_default().0.extend_from_slice(headers);
    }

    /// Reads one packet's header and notes where its code-blocks' bytes are. A packet that is not all there changes nothing.
    pub(crate) fn read(
        &mut self,
        held: &Held<'_>,
        tile: &mut Tile,
        packet: Packet,
        style: BlockStyle,
        framing: Framing,
        spending: &mut Spending,
    ) -> Result<Read, Error> {
        self.saved.clear();
        while self.part < self.parts.len() && self.parts[self.part].is_empty() {
            if self.packed.is_some() && self.part + 1 == self.parts.len() {
                break;
            }
            self.part += 1;
        }
        let Some(range) = self.parts.get(self.part).cloned() else { return Ok(Read::Cut(Lack::TilePart)) };
        let result = self.read_at(held, range.clone(), tile, packet, style, framing);
        spending.work(range.start, self.visited)?;
        match result {
            Ok(end) => {
                let size = size_of::<Chunk>() + size_of::<Pending>() + size_of::<(u32, Block)>();
                spending.memory(range.start, 2 * (size * self.pending_chunks.len()) as u64)?;
                self.parts[self.part].start = end;
                tile.precincts[packet.precinct as usize].layers += 1;
                Ok(Read::Whole(end))
            }
            Err(trouble @ (Trouble::Cut | Trouble::Short)) => {
                // What was read of the trees will be read again when more has come.
                self.each_tree(tile, packet, |trees, tree, size, saved| trees.restore(tree, size, saved));
                let there = held.until_gap(range.start).len().max(range.start);
                Ok(Read::Cut(if there < range.end && !matches!(trouble, Trouble::Short) {
                    Lack::Header(there)
                } else {
                    Lack::Room
                }))
            }
            Err(Trouble::Wrong(what)) => Err(Error::malformed(range.start, what)),
        }
    }

    fn read_at(
        &mut self,
        held: &Held<'_>,
        range: Range<usize>,
        tile: &mut Tile,
        packet: Packet,
        style: BlockStyle,
        framing: Framing,
    ) -> Result<usize, Trouble> {
        let mut at = range.start;
        let there = held.until_gap(at);
        let there = &there[..there.len().min(range.end)];
        if framing.sop {
            let begun = there.get(at..).unwrap_or(&[]);
            if begun.starts_with(&SOP.to_be_bytes()) {
                at += 6;
            } else if begun.len() < 2 && there.len() < range.end {
                return Err(Trouble::Cut);
            }
        }
        let packed = self.packed.take();
        let header = match &packed {
            Some((headers, start)) => headers.get(*start..).unwrap_or(&[]),
            None => there.get(at..).ok_or(Trouble::Cut)?,
        };
        let length = self.header(header, tile, packet, style).and_then(|n| skip_eph(header, n, framing));
        self.packed = packed;
        let length = length?;
        if self.packed.is_none() {
            at += length;
        }
        let body: u64 = self.pending_chunks.iter().map(|p| p.length as u64).sum();
        if body > range.end.saturating_sub(at) as u64 {
            return Err(Trouble::Short);
        }
        if let Some((_, start)) = &mut self.packed {
            *start += length;
        }
        self.commit(tile, at);
        Ok(at + body as usize)
    }

    /// Parses a header into the pending lists; gives its length.
    fn header(&mut self, bytes: &[u8], tile: &mut Tile, packet: Packet, style: BlockStyle) -> Result<usize, Trouble> {
        self.pending_blocks.clear();
        self.pending_chunks.clear();
        let mut bits = BitReader::new(bytes);
        // A hostile stream can have very many packets: an empty one must cost no more than its byte.
        self.visited = 1;
        if bits.bit()? {
            self.each_tree(tile, packet, |trees, tree, size, saved| trees.save(tree, size, saved));
            let res = tile.resolution(packet.component as usize, packet.resolution).cloned();
            let res = res.ok_or(Trouble::Wrong("a packet of a resolution level that does not exist"))?;
            for (n, band) in res.band_range().enumerate() {
                let cell = tile.cells[tile.precincts[packet.precinct as usize].first_cell as usize + n];
                self.visited += cell.grid.width() as u64 * cell.grid.height() as u64;
                self.cell(&mut bits, tile, band, cell, packet.layer, style)?;
            }
        }
        Ok(bits.finish()?)
    }

    /// Visits the trees of a packet's precinct.
    fn each_tree(
        &mut self,
        tile: &mut Tile,
        packet: Packet,
        mut visit: impl FnMut(&mut TagTree, u32, (u32, u32), &mut Saved),
    ) {
        let Some(res) = tile.resolution(packet.component as usize, packet.resolution) else { return };
        let bands = res.bands as usize;
        let first = tile.precincts[packet.precinct as usize].first_cell as usize;
        for cell in &tile.cells[first..first + bands] {
            let size = (cell.grid.width(), cell.grid.height());
            visit(&mut tile.trees, cell.inclusion, size, &mut self.saved);
            visit(&mut tile.trees, cell.zero_planes, size, &mut self.saved);
        }
    }

    fn cell(
        &mut self,
        bits: &mut BitReader<'_>,
        tile: &mut Tile,
        band: usize,
        cell: Cell,
        layer: u16,
        style: BlockStyle,
    ) -> Result<(), Trouble> {
        let size = (cell.grid.width(), cell.grid.height());
        for y in 0..size.1 {
            for x in 0..size.0 {
                let index = tile.bands[band].block_index(cell.grid.x0 + x, cell.grid.y0 + y);
                let mut block = tile.blocks[index];
                let included = if block.state == BlockState::Absent {
                    tile.trees.decode(cell.inclusion, size, (x, y), layer as u32 + 1, bits)?.is_some()
                } else {
                    bits.bit()?
                };
                if !included {
                    continue;
                }
                if block.state == BlockState::Absent {
                    let missing = tile.trees.decode(cell.zero_planes, size, (x, y), u32::MAX, bits)?;
                    block.missing = missing.ok_or(Trouble::Wrong("a code-block without a number of bit-planes"))?;
                    block.state = if style.high_throughput() { BlockState::Placeholder } else { BlockState::Part1 };
                }
                let passes = passes(bits)?;
                while bits.bit()? {
                    block.length_bits += 1;
                    if block.length_bits > 32 {
                        return Err(Trouble::Wrong("a code-block's length has too many bits"));
                    }
                }
                self.contribution(bits, index as u32, &mut block, passes, style)?;
                self.pending_blocks.push((index as u32, block));
            }
        }
        Ok(())
    }

    /// Reads the lengths of the codeword segments of `passes` new passes (B.10.7, T.814 B.3).
    fn contribution(
        &mut self,
        bits: &mut BitReader<'_>,
        index: u32,
        block: &mut Block,
        passes: u8,
        style: BlockStyle,
    ) -> Result<(), Trouble> {
        let mut left = passes;
        if block.passes as u32 + passes as u32 > 255 {
            return Err(Trouble::Wrong("a code-block has too many passes"));
        }
        if block.state == BlockState::Placeholder {
            left = self.placeholders(bits, index, block, passes, style)?;
        }
        while left > 0 {
            let n = match block.state {
                BlockState::Ht => ht_segment(block.passes, left),
                _ => part1_segment(block.passes, left, style),
            };
            let length = segment_length(bits, block, n)?;
            self.segment(index, block, n, length)?;
            left -= n;
        }
        Ok(())
    }

    /// Passes before the first bytes of a block: it shows here whether it is HT. Gives the passes left to read.
    fn placeholders(
        &mut self,
        bits: &mut BitReader<'_>,
        index: u32,
        block: &mut Block,
        passes: u8,
        style: BlockStyle,
    ) -> Result<u8, Trouble> {
        let refinement = ((block.passes as u32 + passes as u32 - 1) % 3) as u8;
        let up_to_cleanup = passes.saturating_sub(refinement);
        let mut count = bits_for(block, if up_to_cleanup > 0 { up_to_cleanup } else { passes });
        let mut length = number(bits, count)?;
        if up_to_cleanup > 0 && length != 0 {
            let leading_zero = block.length_bits > 3 && length > 1 && length >> (count - 1) == 0;
            if !style.mixed() || leading_zero {
                block.state = BlockState::Ht;
                block.passes += up_to_cleanup - 1;
                self.segment(index, block, 1, length)?;
                return Ok(passes - up_to_cleanup);
            }
        }
        // Not an HT cleanup pass, so the length is that of all passes together.
        let all = bits_for(block, passes);
        while count < all {
            count += 1;
            length = length << 1 | bits.bit()? as u32;
        }
        if length == 0 {
            block.passes += passes;
            return Ok(0);
        }
        if !style.mixed() {
            return Err(Trouble::Wrong("an HT code-block has bytes before its first cleanup pass"));
        }
        block.state = BlockState::Part1;
        self.segment(index, block, passes, length)?;
        Ok(0)
    }

    /// Notes a segment of `n` passes and counts them.
    fn segment(&mut self, block_index: u32, block: &mut Block, n: u8, length: u32) -> Result<(), Trouble> {
        let mut role = Role::More;
        if block.state == BlockState::Ht {
            if block.passes.is_multiple_of(3) {
                if length == 1 {
                    return Err(Trouble::Wrong("an HT cleanup segment of one byte"));
                }
                if length > 1 {
                    role = Role::First;
                    (block.skipped, block.used) = (block.passes, 1);
                    (block.cleanup, block.refinement) = (length, 0);
                }
            } else if block.passes / 3 == block.skipped / 3 {
                block.used += n;
                block.refinement = block.refinement.saturating_add(length);
            } else if length > 0 {
                return Err(Trouble::Wrong("an HT refinement segment without its cleanup segment"));
            }
        }
        block.passes += n;
        if length > 0 || block.state == BlockState::Part1 {
            self.pending_chunks.push(Pending { block: block_index, length, passes: n, role });
        }
        Ok(())
    }

    /// The packet is all there: its blocks grow by their bytes, which begin at `at`.
    fn commit(&mut self, tile: &mut Tile, mut at: usize) {
        for &(index, block) in &self.pending_blocks {
            let old = &mut tile.blocks[index as usize];
            *old = Block { first_chunk: old.first_chunk, last_chunk: old.last_chunk, ..block };
        }
        for p in &self.pending_chunks {
            let block = &mut tile.blocks[p.block as usize];
            if p.role == Role::First {
                block.first_chunk = NONE;
            }
            add_chunk(&mut self.chunks, block, at, p);
            at += p.length as usize;
        }
    }

    /// The bytes of an HT block, its segments one after another; joined in `scratch` if they are not so in the codestream.
    pub(crate) fn bytes<'a>(&self, codestream: &'a [u8], block: &Block, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let Some(first) = self.chunks.get(block.first_chunk as usize) else { return &[] };
        if first.next == NONE {
            return &codestream[first.start..first.start + first.length as usize];
        }
        scratch.clear();
        for chunk in self.chain(block) {
            scratch.extend_from_slice(&codestream[chunk.start..chunk.start + chunk.length as usize]);
        }
        scratch
    }

    /// The chunks of a block.
    pub(crate) fn chain(&self, block: &Block) -> impl Iterator<Item = &Chunk> {
        let mut next = block.first_chunk;
        core::iter::from_fn(move || {
            let chunk = self.chunks.get(next as usize)?;
            next = chunk.next;
            Some(chunk)
        })
    }
}

fn add_chunk(chunks: &mut Vec<Chunk>, block: &mut Block, start: usize, p: &Pending) {
    let new = chunks.len() as u32;
    if block.first_chunk == NONE {
        block.first_chunk = new;
    } else {
        let last = &mut chunks[block.last_chunk as usize];
        if block.state == BlockState::Ht && last.start + last.length as usize == start {
            last.length += p.length;
            return;
        }
        last.next = new;
    }
    block.last_chunk = new;
    chunks.push(Chunk { start, length: p.length, next: NONE, passes: p.passes });
}

fn skip_eph(header: &[u8], length: usize, framing: Framing) -> Result<usize, Trouble> {
    if !framing.eph {
        return Ok(length);
    }
    match header.get(length..length + 2) {
        Some(marker) if marker == EPH.to_be_bytes() => Ok(length + 2),
        Some(_) => Ok(length),
        None => Err(Trouble::Cut),
    }
}

/// The number of coding passes (Table B.4).
fn passes(bits: &mut BitReader<'_>) -> Result<u8, OutOfBits> {
    if !bits.bit()? {
        return Ok(1);
    }
    if !bits.bit()? {
        return Ok(2);
    }
    let n = bits.number(2)?;
    if n < 3 {
        return Ok(3 + n as u8);
    }
    let n = bits.number(5)?;
    if n < 31 {
        return Ok(6 + n as u8);
    }
    Ok(37 + bits.number(7)? as u8)
}

/// Bits of the length of a segment with `passes` passes (B-19).
fn bits_for(block: &Block, passes: u8) -> u32 {
    block.length_bits as u32 + passes.ilog2()
}

fn segment_length(bits: &mut BitReader<'_>, block: &Block, passes: u8) -> Result<u32, Trouble> {
    number(bits, bits_for(block, passes))
}

fn number(bits: &mut BitReader<'_>, count: u32) -> Result<u32, Trouble> {
    if count > 32 {
        return Err(Trouble::Wrong("a code-block's length has too many bits"));
    }
    Ok(bits.number(count)?)
}

/// Passes of the next segment of an HT block: the cleanup pass alone, then the other two (T.814 B.1).
fn ht_segment(done: u8, left: u8) -> u8 {
    match done % 3 {
        0 => 1,
        n => left.min(3 - n),
    }
}

/// Passes of the next segment of a Part 1 block, as far as they are in this packet (Table D.9).
pub(crate) fn part1_segment(done: u8, left: u8, style: BlockStyle) -> u8 {
    if style.terminate_all() {
        return 1;
    }
    if !style.bypass() {
        return left;
    }
    if done < 10 {
        return left.min(10 - done);
    }
    match (done - 10) % 3 {
        2 => 1,
        n => left.min(2 - n),
    }
}

#[cfg(test)]
mod tests;
