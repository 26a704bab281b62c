//! Writing packets of one layer, each code-block with one HT cleanup pass (T.800 B.10, T.814 Annex B).

use super::coder::CodedBlock;
use crate::bits::BitWriter;
use crate::geometry::Tile;
use crate::progression::Packet;
use alloc::vec::Vec;

/// A run of bytes that a lane has written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) lane: u32,
    pub(crate) start: usize,
    pub(crate) length: usize,
}

/// Appends a packet's header to `headers`, and where its code-blocks' bytes are to `pieces`; gives the length of the packet.
pub(crate) fn write(
    tile: &mut Tile,
    blocks: &[CodedBlock],
    packet: Packet,
    headers: &mut Vec<u8>,
    pieces: &mut Vec<Piece>,
) -> usize {
    let Some(res) = tile.resolution(packet.component as usize, packet.resolution).cloned() else { return 0 };
    let first_cell = tile.precincts[packet.precinct as usize].first_cell as usize;
    let (first_piece, first_byte) = (pieces.len(), headers.len());
    for n in 0..res.bands as usize {
        let band = &tile.bands[res.first_band as usize + n];
        for (x, y) in places(tile, first_cell + n) {
            add_piece(pieces, first_piece, blocks[band.block_index(x, y)]);
        }
    }
    let used = pieces.len() > first_piece;
    let mut bits = BitWriter::new(headers);
    bits.bit(used);
    if used {
        for n in 0..res.bands as usize {
            write_cell(tile, blocks, res.first_band as usize + n, first_cell + n, &mut bits);
        }
    }
    bits.finish();
    headers.len() - first_byte + pieces[first_piece..].iter().map(|p| p.length).sum::<usize>()
}

/// Adds a block's bytes, to the piece before if they follow it.
fn add_piece(pieces: &mut Vec<Piece>, first: usize, block: CodedBlock) {
    let length = block.length as usize;
    match pieces[first..].last_mut() {
        _ if length == 0 => {}
        Some(last) if last.lane == block.lane && last.start + last.length == block.start => last.length += length,
        _ => pieces.push(Piece { lane: block.lane, start: block.start, length }),
    }
}

/// The code-blocks of a cell, in order.
fn places(tile: &Tile, cell: usize) -> impl Iterator<Item = (u32, u32)> + use<> {
    let grid = tile.cells[cell].grid;
    (grid.y0..grid.y1).flat_map(move |y| (grid.x0..grid.x1).map(move |x| (x, y)))
}

fn write_cell(tile: &mut Tile, blocks: &[CodedBlock], band: usize, cell: usize, bits: &mut BitWriter<'_>) {
    let Tile { bands, cells, trees, .. } = tile;
    let (band, cell) = (&bands[band], cells[cell]);
    let size = (cell.grid.width(), cell.grid.height());
    let length = |x: u32, y: u32| blocks[band.block_index(cell.grid.x0 + x, cell.grid.y0 + y)].length;
    // The cleanup pass is that of bit-plane 0: all planes above count as skipped.
    let missing = band.planes - 1;
    for y in 0..size.1 {
        for x in 0..size.0 {
            trees.set(cell.inclusion, size.0, (x, y), (length(x, y) == 0) as u8);
            trees.set(cell.zero_planes, size.0, (x, y), missing);
        }
    }
    trees.build(cell.inclusion, size.0, size.1);
    trees.build(cell.zero_planes, size.0, size.1);
    for y in 0..size.1 {
        for x in 0..size.0 {
            trees.encode(cell.inclusion, size, (x, y), 1, bits);
            let length = length(x, y);
            if length > 0 {
                trees.encode(cell.zero_planes, size, (x, y), missing as u32 + 1, bits);
                // One coding pass, then the bits of its length (Table B.4, B.10.7).
                bits.bit(false);
                let count = (32 - length.leading_zeros()).max(3);
                (3..count).for_each(|_| bits.bit(true));
                bits.bit(false);
                bits.number(length, count);
            }
        }
    }
}
