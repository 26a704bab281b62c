//! Packet headers written bit by bit, and what is read of them.

use super::*;
use crate::Limits;
use crate::bits::BitWriter;
use crate::geometry::{Band, BandKind, Precinct, Rect, Resolution, TileComponent};

#[test]
fn segments_with_arithmetic_bypass_are_those_of_table_d9() {
    let bypass = BlockStyle(1);
    // Ten passes, then two raw ones and a cleanup pass by turns.
    let ends = [10, 12, 13, 15, 16, 18, 19];
    for done in 0..19 {
        let end = ends.into_iter().find(|end| *end > done).unwrap();
        assert_eq!(part1_segment(done, 100, bypass), end - done, "after {done}");
        assert_eq!(part1_segment(done, 1, bypass), 1);
        assert_eq!(part1_segment(done, 100, BlockStyle(5)), 1, "each pass ends");
        assert_eq!(part1_segment(done, 7, BlockStyle(0)), 7, "one segment for all");
    }
}

/// A header of these digits, each a bit.
fn bytes_of(digits: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut w = BitWriter::new(&mut bytes);
    digits.bytes().filter(|d| *d != b' ').for_each(|d| w.bit(d == b'1'));
    // Enough for whatever is read past the end.
    w.number(0, 32);
    w.finish();
    bytes
}

#[test]
fn numbers_of_passes_are_those_of_table_b4() {
    let read = |digits: &str| passes(&mut BitReader::new(&bytes_of(digits)));
    for (digits, expected) in [
        ("0", 1),
        ("10", 2),
        ("1100", 3),
        ("1101", 4),
        ("1110", 5),
        ("1111 00000", 6),
        ("1111 00001", 7),
        ("1111 11110", 36),
        ("1111 11111 0000000", 37),
        ("1111 11111 0000001", 38),
        ("1111 11111 1111111", 164),
    ] {
        assert_eq!(read(digits), Ok(expected), "{digits}");
    }
}

#[test]
fn segments_of_ht_blocks_are_a_cleanup_pass_and_the_other_two() {
    for (done, left, expected) in [(0, 3, 1), (0, 1, 1), (1, 5, 2), (1, 1, 1), (2, 4, 1), (3, 3, 1), (4, 9, 2)] {
        assert_eq!(ht_segment(done, left), expected, "after {done}, {left} left");
    }
}

const HT: BlockStyle = BlockStyle(0x40);
const MIXED: BlockStyle = BlockStyle(0xC0);

/// Bytes that are to come: their passes, how many they are, and what they are for.
type Announced = Vec<(u8, u32, Role)>;

/// What the lengths in a header make of a block, and the bytes that they announce.
fn contributed(block: Block, passes: u8, style: BlockStyle, digits: &str) -> Result<(Block, Announced), &'static str> {
    let mut reader = PacketReader::default();
    let mut block = block;
    match reader.contribution(&mut BitReader::new(&bytes_of(digits)), 0, &mut block, passes, style) {
        Ok(()) => Ok((block, reader.pending_chunks.iter().map(|p| (p.passes, p.length, p.role)).collect())),
        Err(Trouble::Wrong(what)) => Err(what),
        Err(Trouble::Cut | Trouble::Short) => Err("cut"),
    }
}

fn placeholder(length_bits: u8, passes: u8) -> Block {
    Block { state: BlockState::Placeholder, length_bits, passes, ..Block::NEW }
}

/// The first length of a block where kinds are mixed: a leading zero bit, of more than three, tells an HT block.
#[test]
fn the_kind_of_a_block_shows_in_its_first_length() {
    use BlockState::*;
    for (length_bits, style, digits, state, length) in [
        (3, HT, "010", Ht, 2),
        (3, HT, "111", Ht, 7),
        (4, HT, "1110", Ht, 14),
        (3, MIXED, "010", Part1, 2),
        (4, MIXED, "0010", Ht, 2),
        (4, MIXED, "0111", Ht, 7),
        (4, MIXED, "1000", Part1, 8),
        (4, MIXED, "0001", Part1, 1),
        (5, MIXED, "00110", Ht, 6),
        (5, MIXED, "11000", Part1, 24),
    ] {
        let (block, pending) = contributed(placeholder(length_bits, 0), 1, style, digits).unwrap();
        let role = if state == Ht { Role::First } else { Role::More };
        assert_eq!((block.state, pending), (state, alloc::vec![(1, length, role)]), "{digits}");
        assert_eq!(block.passes, 1);
    }
}

#[test]
fn placeholder_passes_come_before_the_cleanup_pass() {
    // Three sets that are not there, told by lengths of zero, whose bits grow with the number of passes.
    let (block, pending) = contributed(placeholder(3, 0), 9, HT, "000000").unwrap();
    assert_eq!((block.state, block.passes, pending.len()), (BlockState::Placeholder, 9, 0));
    let (block, pending) = contributed(placeholder(3, 0), 2, HT, "0000").unwrap();
    assert_eq!((block.state, block.passes, pending.len()), (BlockState::Placeholder, 2, 0));
    // One set skipped, then a cleanup pass with 3 + 2 bits and the two others with 3 + 1.
    let (block, pending) = contributed(placeholder(3, 0), 6, HT, "10001 1001").unwrap();
    assert_eq!(pending, [(1, 17, Role::First), (2, 9, Role::More)]);
    assert_eq!((block.state, block.passes, block.skipped, block.used), (BlockState::Ht, 6, 3, 3));
    assert_eq!((block.cleanup, block.refinement), (17, 9));
    // A cleanup pass after a packet of placeholders, its refinement in a packet of its own.
    let (block, pending) = contributed(placeholder(3, 3), 1, HT, "101").unwrap();
    assert_eq!((block.passes, block.skipped, block.used, pending), (4, 3, 1, alloc::vec![(1, 5, Role::First)]));
    let (block, pending) = contributed(block, 1, HT, "011").unwrap();
    assert_eq!((block.passes, block.used, block.refinement, &pending[..]), (5, 2, 3, &[(1, 3, Role::More)][..]));
    let (block, pending) = contributed(block, 1, HT, "010").unwrap();
    assert_eq!((block.passes, block.used, block.refinement, &pending[..]), (6, 3, 5, &[(1, 2, Role::More)][..]));
    // The next set replaces it, unless it is empty.
    let (same, pending) = contributed(block, 3, HT, "000 0000").unwrap();
    assert_eq!((same.passes, same.skipped, same.used, same.cleanup, pending.len()), (9, 3, 3, 5, 0));
    let (next, pending) = contributed(block, 1, HT, "111").unwrap();
    assert_eq!((next.skipped, next.used, next.cleanup, next.refinement), (6, 1, 7, 0));
    assert_eq!(pending, [(1, 7, Role::First)]);
}

#[test]
fn lengths_without_sense_are_errors() {
    let one = contributed(placeholder(3, 0), 1, HT, "001");
    assert_eq!(one.unwrap_err(), "an HT cleanup segment of one byte");
    let early = contributed(placeholder(3, 0), 2, HT, "0001");
    assert_eq!(early.unwrap_err(), "an HT code-block has bytes before its first cleanup pass");
    let late = contributed(placeholder(3, 1), 1, HT, "010");
    assert_eq!(late.unwrap_err(), "an HT code-block has bytes before its first cleanup pass");
    // Mixed, these are passes of Part 1; the cleanup pass alone has three bits, both have four.
    let (block, pending) = contributed(placeholder(3, 0), 2, MIXED, "0001").unwrap();
    assert_eq!((block.state, block.passes, pending), (BlockState::Part1, 2, alloc::vec![(2, 1, Role::More)]));
    let set = Block { state: BlockState::Ht, passes: 3, skipped: 0, used: 3, cleanup: 9, ..Block::NEW };
    let orphan = contributed(set, 3, HT, "000 0100");
    assert_eq!(orphan.unwrap_err(), "an HT refinement segment without its cleanup segment");
    let many = contributed(Block { passes: 200, ..set }, 56, HT, "0");
    assert_eq!(many.unwrap_err(), "a code-block has too many passes");
    assert!(contributed(Block { passes: 252, ..set }, 3, HT, "000 0000").is_ok());
    let wide = contributed(Block { length_bits: 32, ..set }, 3, HT, &"0".repeat(64));
    assert_eq!(wide.unwrap_err(), "a code-block's length has too many bits");
}

#[test]
fn bytes_of_an_ht_block_that_follow_each_other_are_one_chunk() {
    let stream: Vec<u8> = (0..100).collect();
    for (state, chunks) in [(BlockState::Ht, 2), (BlockState::Part1, 3)] {
        let mut reader = PacketReader::default();
        let mut block = Block { state, ..Block::NEW };
        for (start, length) in [(10, 5), (15, 4), (30, 2)] {
            let pending = Pending { block: 0, length, passes: 1, role: Role::More };
            add_chunk(&mut reader.chunks, &mut block, start, &pending);
        }
        assert_eq!(reader.chain(&block).count(), chunks);
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let bytes = reader.bytes(&stream, &block, &mut one);
        assert_eq!(bytes, [10, 11, 12, 13, 14, 15, 16, 17, 18, 30, 31]);
        // The first alone is read in place.
        let mut block = Block { state, ..Block::NEW };
        let pending = Pending { block: 0, length: 3, passes: 1, role: Role::First };
        add_chunk(&mut reader.chunks, &mut block, 40, &pending);
        assert_eq!(reader.bytes(&stream, &block, &mut two), [40, 41, 42]);
        assert!(two.is_empty());
    }
}

/// A packet of many blocks is charged for what its lists take, which grow twofold at most, and for little more.
#[test]
fn the_lists_of_a_packet_are_counted() {
    // One more than a power of two, so that the lists have just grown.
    let count = 257;
    let grid = Rect { x0: 0, y0: 0, x1: count, y1: 1 };
    let area = Rect { x0: 0, y0: 0, x1: 4 * count, y1: 4 };
    let mut tile = Tile::default();
    let (inclusion, zero_planes) = (tile.trees.add(count, 1), tile.trees.add(count, 1));
    tile.components.push(TileComponent { area, dx: 1, dy: 1, levels: 0, first_resolution: 0, resolutions: 1 });
    tile.resolutions.push(Resolution {
        area,
        precinct: (15, 15),
        across: 1,
        down: 1,
        first_precinct: 0,
        first_band: 0,
        bands: 1,
    });
    let kind = BandKind::Ll;
    tile.bands.push(Band { kind, area, planes: 8, roi_shift: 0, step: 1.0, block: (2, 2), grid, first_block: 0 });
    tile.precincts.push(Precinct { layers: 0, first_cell: 0 });
    tile.cells.push(Cell { grid, inclusion, zero_planes });
    tile.blocks.resize(count as usize, Block { state: BlockState::Ht, ..Block::NEW });

    // Each block has one pass of two bytes.
    let mut stream = Vec::new();
    let mut bits = BitWriter::new(&mut stream);
    bits.bit(true);
    (0..count).for_each(|_| bits.number(0b100010, 6));
    bits.finish();
    let end = stream.len() + 2 * count as usize;
    stream.resize(end, 0);

    let (mut reader, mut spending) = (PacketReader::default(), Spending::new(Limits::default()));
    reader.add_part(0..end);
    let packet = Packet { component: 0, resolution: 0, precinct: 0, layer: 0 };
    let framing = Framing { sop: false, eph: false };
    let read = reader.read(&Held::all(&stream), &mut tile, packet, HT, framing, &mut spending);
    assert_eq!(read.unwrap(), Read::Whole(end));
    let held = reader.chunks.capacity() * size_of::<Chunk>()
        + reader.pending_chunks.capacity() * size_of::<Pending>()
        + reader.pending_blocks.capacity() * size_of::<(u32, Block)>();
    let charged = spending.mark() as usize;
    assert!((held..held + held / 4).contains(&charged), "{charged} for {held}");
}
