//! Which bytes of a codestream a region of a level takes.
//!
//! A packet is a header, which tells the length of each code-block, and then the code-blocks, band by band and in each band row by row
//! (T.800 B.9 and B.10; the lengths of HT segments as in T.814 Annex B). So once the headers up to a level are there, a region is some ranges of the codestream: the code-blocks
//! that hold the coefficients which its samples depend on (F.3), at each resolution level from the base on.

use crate::codestream::{Codestream, TileReader, has_level, same_levels};
use crate::geometry::{BandKind, Rect};
use crate::held::Held;
use crate::limits::Spending;
use crate::markers::{TileCoding, TilePart, TileParts};
use crate::packet::Lack;
use crate::progression::Packet;
use crate::wavelet::Transform;
pub use crate::window::Region;
use crate::window::{areas, window};
use crate::{Error, ErrorKind, Limits, Progression};
use alloc::vec::Vec;
use core::ops::Range;

/// What of a level's own sub-bands a region takes; of the levels below it takes all that it depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// All that its samples depend on: they become exact.
    #[default]
    All,
    /// A sketch of rows that lie between those of the level below: what is new from row to row (sub-band LH), at the region's own rows and
    /// not around them. What was left out counts as zero. The samples become about as good as those that the level below has of other
    /// rows, for a fraction of the bytes.
    Rows,
    /// The same of columns (sub-band HL).
    Columns,
}

impl Detail {
    fn takes(self, kind: BandKind) -> bool {
        match self {
            Detail::All => true,
            Detail::Rows => kind == BandKind::Lh,
            Detail::Columns => kind == BandKind::Hl,
        }
    }
}

/// The bytes of a codestream that a region of a level takes beside those that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegionRanges {
    /// These, sorted and apart from one another; if there are none, the region can be decoded.
    Ranges(Vec<Range<u64>>),
    /// These come first, since a header in them tells the others; then the question is to be put again. They begin with the first
    /// byte of the header that is not there, and end with a guess that is hardly ever too low.
    First(Range<u64>),
    /// That is not told of such a codestream, nor of one that ends before the level does: the level is to be had whole. Ranges
    /// are told where there is one packet for each component and resolution level, coarsest first, its header before it: of
    /// one tile, one layer and one precinct, in the order RPCL, RLCP or LRCP, and all components of one size.
    Unknown,
}

/// Bytes of a main header or a tile-part header, as a guess.
const HEADER: usize = 96;

/// Bytes that a packet header says about a code-block, at most, as a guess: with 64 x 64 samples and 16 bits hardly 5.
const BLOCK: usize = 6;

impl RegionRanges {
    /// The ranges for a client that holds a prefix of a codestream of `length` bytes. Those with no more than `gap` bytes between
    /// them are joined. Of what is not held nothing is assumed; with bytes from elsewhere in the codestream, see
    /// [`Progressive::region_ranges`](crate::Progressive::region_ranges).
    ///
    /// ```
    /// # use htj2k::{Detail, EncodeOptions, Encoder, Image, Progressive, Region, RegionRanges, Samples, SamplesMut};
    /// # let pixels: Vec<u8> = (0..300u32 * 300).map(|n| (n ^ n / 300) as u8).collect();
    /// # let image = Image { width: 300, height: 300, components: 1, precision: 8, signed: false, stride: 300, samples: Samples::U8(&pixels) };
    /// # let mut stream = Vec::new();
    /// # let levels = Encoder::new().encode(&image, &EncodeOptions::default(), &mut stream)?;
    /// let coarse = levels[levels.len() - 2].end as usize;
    /// let region = Region { x: 0, y: 150, width: 300, height: 2 };
    /// let mut image = Progressive::new();
    /// image.push(&stream[..coarse]);
    /// let length = stream.len() as u64;
    /// let wanted = loop {
    ///     match image.region_ranges(length, 0, region, Detail::All, 64)? {
    ///         RegionRanges::Ranges(ranges) if ranges.is_empty() => break true,
    ///         RegionRanges::Ranges(ranges) => {
    ///             for range in ranges {
    ///                 image.put(range.start, &stream[range.start as usize..range.end as usize])?;
    ///             }
    ///         }
    ///         RegionRanges::First(range) => image.put(range.start, &stream[range.start as usize..range.end as usize])?,
    ///         RegionRanges::Unknown => break false,
    ///     }
    /// };
    /// assert!(wanted);
    /// let mut rows = vec![0u8; 2 * 300];
    /// assert!(image.decode_region(0, region, Detail::All, SamplesMut::U8(&mut rows), 300)?.complete);
    /// assert_eq!(rows, pixels[150 * 300..152 * 300]);
    /// # Ok::<(), htj2k::Error>(())
    /// ```
    pub fn read(
        prefix: &[u8],
        length: u64,
        level: u8,
        region: Region,
        detail: Detail,
        gap: u64,
        limits: &Limits,
    ) -> Result<RegionRanges, Error> {
        Self::of(Held::prefix(prefix, most(length)), level, region, detail, gap, limits)
    }

    /// The ranges beside what is held.
    pub(crate) fn of(
        held: Held<'_>,
        level: u8,
        region: Region,
        detail: Detail,
        gap: u64,
        limits: &Limits,
    ) -> Result<RegionRanges, Error> {
        let mut parts = TileParts::default();
        let stream = match Codestream::open(held, limits, &mut parts, None) {
            Ok(stream) => stream,
            Err(Error { kind: ErrorKind::Truncated { have, need }, .. }) if (have as usize) < held.length => {
                return Ok(first(&held, have as usize, need.saturating_sub(have).max(HEADER as u64) as usize));
            }
            Err(e) => return Err(e),
        };
        if level > stream.decompositions() {
            return Err(Error::request("the codestream has no such level"));
        }
        let window = window(stream.header.siz.image.reduced(level), Some(region))?;
        if stream.header.siz.tiles() != (1, 1) {
            return Ok(RegionRanges::Unknown);
        }
        let mut spending = Spending::new(*limits);
        let mut reader = TileReader::default();
        let own = reader.open(&stream, 0, &parts.parts, level, &mut spending)?;
        let coding = own.as_ref().unwrap_or(&stream.header.coding);
        if !is_told(&stream, &reader, coding) {
            return Ok(RegionRanges::Unknown);
        }
        if !reader.read(&stream, coding, level, &mut spending, &mut |_, _, _| {})? {
            return Ok(match reader.lack {
                Some((packet, Lack::Header(at))) => first(&held, at, packet_guess(&reader, packet)),
                Some((packet, Lack::TilePart)) => match tile_part(&stream, &parts, reader.packets.part_count()) {
                    Some(at) => first(&held, at, HEADER + packet_guess(&reader, packet)),
                    None => RegionRanges::Unknown,
                },
                _ => RegionRanges::Unknown,
            });
        }
        Ok(RegionRanges::Ranges(missing(
            &stream,
            &reader,
            coding,
            Wanted { level, window, detail },
            gap,
            &mut spending,
        )?))
    }
}

/// A length that is told, as far as it can be addressed.
pub(crate) fn most(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn first(held: &Held<'_>, at: usize, count: usize) -> RegionRanges {
    RegionRanges::First(at as u64..at.saturating_add(count).min(held.length) as u64)
}

/// Whether one packet follows the other as [`RegionRanges::Unknown`] says.
fn is_told(stream: &Codestream<'_>, reader: &TileReader, coding: &TileCoding) -> bool {
    let coarsest_first = matches!(coding.cod.progression, Progression::Lrcp | Progression::Rlcp | Progression::Rpcl);
    stream.header.siz.tiles() == (1, 1)
        && stream.header.siz.components.iter().all(|c| c.dx == 1 && c.dy == 1)
        && coding.volumes.is_empty()
        && coding.cod.layers == 1
        && coarsest_first
        && same_levels(coding)
        && !stream.has_packed_headers()
        && !reader.packets.has_packed_headers()
        && reader.tile.resolutions.iter().all(|res| res.precinct_count() <= 1)
}

/// Where the header of the next tile-part goes on, if there is one; `read` of them were read.
fn tile_part(stream: &Codestream<'_>, parts: &TileParts, read: usize) -> Option<usize> {
    /// Bytes of an SOT segment with its marker (A.4.2).
    const SOT: usize = 12;
    let (start, end) = match (parts.parts.get(read), parts.parts.last()) {
        (Some(part), _) => (part.bytes.start, part.bytes.end),
        (None, _) if parts.ended => return None,
        (None, Some(TilePart { end, .. })) => ((*end)?, (*end)?.checked_add(SOT)?),
        (None, None) => (stream.header.length, stream.header.length + SOT),
    };
    // One that is all there, and yet was not read, is none.
    Some(stream.held.until_gap(start).len().max(start)).filter(|at| *at < end.min(stream.held.length))
}

/// Bytes of a packet's header.
fn packet_guess(reader: &TileReader, packet: Packet) -> usize {
    let tile = &reader.tile;
    let bands = tile.resolution(packet.component as usize, packet.resolution).map_or(0..0, |res| res.band_range());
    let blocks = tile.bands[bands].iter().map(|band| band.grid.width() as usize * band.grid.height() as usize);
    HEADER / 2 + BLOCK * blocks.sum::<usize>()
}

/// Whether a codestream with gaps has all that a region takes; its packets have been read.
pub(crate) fn is_there(
    stream: &Codestream<'_>,
    reader: &TileReader,
    coding: &TileCoding,
    wanted: Wanted,
    spending: &mut Spending,
) -> Result<bool, Error> {
    Ok(is_told(stream, reader, coding)
        && has_level(&reader.tile, coding, wanted.level)
        && missing(stream, reader, coding, wanted, 0, spending)?.is_empty())
}

/// A window of a level, and what it takes of that level's sub-bands.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) level: u8,
    pub(crate) window: Rect,
    pub(crate) detail: Detail,
}

/// What is not there of the code-blocks that a window of a level takes; those ranges joined that have no more than `gap` bytes between
/// them. Code-blocks are gone through in the order of the packets, so that what is found is sorted.
fn missing(
    stream: &Codestream<'_>,
    reader: &TileReader,
    coding: &TileCoding,
    Wanted { level, window, detail }: Wanted,
    gap: u64,
    spending: &mut Spending,
) -> Result<Vec<Range<u64>>, Error> {
    let tile = &reader.tile;
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut add = |part: Range<usize>| {
        let (start, end) = (part.start as u64, part.end as u64);
        match ranges.last_mut() {
            Some(last) if start <= last.end.saturating_add(gap) => last.end = last.end.max(end),
            _ => ranges.push(start..end),
        }
    };
    let levels = tile.components.iter().map(|c| c.levels).max().unwrap_or(0);
    for r in 0..=levels.saturating_sub(level) {
        for (c, component) in tile.components.iter().enumerate() {
            let last = component.levels.saturating_sub(level);
            let steps = if coding.of(c as u16).reversible { i32::STEPS } else { f32::STEPS };
            spending.work(0, last as u64 + 1)?;
            let Some(areas) = areas(tile, c, last, window, steps as u32) else { continue };
            let Some(res) = tile.resolution(c, r) else { continue };
            let sketched = r == last && r > 0 && detail != Detail::All;
            for band in tile.bands[res.band_range()].iter().filter(|band| !sketched || detail.takes(band.kind)) {
                let area = if sketched { window } else { areas[r as usize] };
                let grid = band.blocks_of(if r > 0 { area.band(1, band.kind) } else { area }).0;
                let blocks = grid.width() as u64 * grid.height() as u64;
                spending.work(0, blocks)?;
                spending.memory(0, 3 * size_of::<Range<u64>>() as u64 * blocks)?;
                for y in grid.y0..grid.y1 {
                    for x in grid.x0..grid.x1 {
                        for chunk in reader.packets.chain(&tile.blocks[band.block_index(x, y)]) {
                            stream.held.missing(chunk.start..chunk.start + chunk.length as usize, &mut add);
                        }
                    }
                }
            }
        }
    }
    Ok(ranges)
}
