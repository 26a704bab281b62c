//! The encoder.

mod analysis;
mod coder;
mod input;
mod packets;
mod plan;

use crate::decode::Decoder;
use crate::geometry::{Plan, Tile};
use crate::limits::Spending;
use crate::markers::{Cap, EOC, SOC, SOD, TLM_MOST, tlm_size, write_plt, write_sot, write_tlm};
use crate::progression::Sequencer;
use crate::simd::Simd;
use crate::threads::Pool;
use crate::{EncodeOptions, Error, Image, Level, Limits, Progression, SamplesMut, TileParts};
use alloc::vec::Vec;
use analysis::{Analysis, Job, Space};
use coder::{CodedBlock, Coder};
use core::ops::{ControlFlow, Range};
use input::Rows;
use packets::Piece;
use plan::Headers;

/// An encoder, to be reused from frame to frame: it keeps its memory.
#[derive(Default)]
pub struct Encoder {
    simd: Simd,
    parallel: bool,
    tile: Tile,
    analyses: Analyses,
    /// As `Tile::blocks`.
    blocks: Vec<CodedBlock>,
    /// One for each thread that works at a frame.
    lanes: Vec<(usize, Lane)>,
    sequencer: Sequencer,
    /// Packet headers, one after another, and the pieces of the packets' bodies.
    packet_headers: Vec<u8>,
    pieces: Vec<Piece>,
    packets: Vec<PacketEnd>,
    checker: Option<Decoder>,
    /// Of the frame before, for their memory.
    headers: Option<Headers>,
    parts: Vec<Part>,
    lengths: Vec<(u16, u32)>,
    segments: Vec<u8>,
}

impl core::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// The low-pass bands of components, by the kind of their coefficients.
#[derive(Debug, Default)]
pub(crate) struct Analyses {
    integer: [Analysis<i32>; 3],
    wide: [Analysis<i64>; 3],
    real: [Analysis<f32>; 3],
}

/// What one thread needs.
#[derive(Default)]
pub(crate) struct Lane {
    coder: Coder,
    integer: Spaces<i32>,
    wide: Spaces<i64>,
    real: Spaces<f32>,
}

/// What one thread needs for one kind of coefficients: for three components at a time, and a row of each.
#[derive(Debug, Default)]
pub(crate) struct Spaces<T> {
    of_components: [Space<T>; 3],
    rows: [Vec<T>; 3],
}

/// Where a packet ends in `Encoder::packet_headers` and `Encoder::pieces`.
#[derive(Clone, Copy, Debug)]
struct PacketEnd {
    header: usize,
    pieces: usize,
    length: usize,
    resolution: u8,
}

/// A tile-part on its way.
struct Part {
    tile: u16,
    /// Its place among the tile's parts, and their number.
    index: u8,
    count: u8,
    packets: Range<usize>,
}

impl Encoder {
    /// A new encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder that uses the code of a certain SIMD level; all write the same bytes.
    pub fn with_simd(simd: Simd) -> Self {
        Encoder { simd, ..Self::default() }
    }

    /// Whether frames are spread over the threads of the rayon pool that the caller is in. The bytes are the same.
    #[cfg(feature = "rayon")]
    pub fn set_parallel(&mut self, parallel: bool) {
        self.parallel = parallel;
    }

    /// Appends the image's codestream to `out` and tells where each level ends in it, coarsest first. Where levels do not
    /// follow one another (by the options' progression), no ends are told.
    ///
    /// The same image and options give the same bytes on every machine.
    pub fn encode(
        &mut self,
        image: &Image<'_>,
        options: &EncodeOptions,
        out: &mut Vec<u8>,
    ) -> Result<Vec<Level>, Error> {
        let mut levels = Vec::new();
        self.encode_to(image, options, out, &mut levels)?;
        Ok(levels)
    }

    /// As [`encode`](Self::encode), with the levels in the caller's list: once the encoder and `out` have seen such a
    /// frame, nothing is allocated any more.
    pub fn encode_to(
        &mut self,
        image: &Image<'_>,
        options: &EncodeOptions,
        out: &mut Vec<u8>,
        levels: &mut Vec<Level>,
    ) -> Result<(), Error> {
        image.check()?;
        let headers = Headers::new(image, options, self.headers.take())?;
        let start = out.len();
        self.packet_headers.clear();
        self.pieces.clear();
        self.packets.clear();
        self.lanes.iter_mut().for_each(|lane| lane.1.coder.clear());
        let mut parts = core::mem::take(&mut self.parts);
        parts.clear();
        let (across, down) = headers.siz.tiles();
        let rows = Rows::new(image);
        for tile in 0..across * down {
            self.code_tile(&headers, tile, rows)?;
            self.write_packets(&headers, options, tile as u16, &mut parts)?;
        }
        let ends = self.write(&headers, options, &mut parts, out)?;
        list_levels(&headers, options, &ends, levels);
        if options.level_crc {
            self.checksums(image, &out[start..], levels)?;
        }
        (self.headers, self.parts) = (Some(headers), parts);
        Ok(())
    }

    /// Codes every block of a tile.
    fn code_tile(&mut self, headers: &Headers, index: u32, rows: Rows<'_>) -> Result<(), Error> {
        let plan = Plan { siz: &headers.siz, coding: &headers.coding, discard: 0, at: 0 };
        self.tile.lay_out(index, &plan, &mut Spending::unlimited())?;
        self.blocks.clear();
        self.blocks.resize(self.tile.blocks.len(), CodedBlock::default());
        let lanes = Pool::new(core::mem::take(&mut self.lanes));
        let job = Job { simd: self.simd, parallel: self.parallel, tile: &self.tile, rows, lanes: &lanes };
        job.components(&headers.coding, headers.wide, &mut self.analyses, &mut self.blocks);
        self.lanes = lanes.into_items();
        let mut coders = self.lanes.iter().map(|lane| &lane.1.coder);
        // A sample out of range is the likely reason of an overflow, and the caller's.
        rows.check(coders.clone().fold(0, |bits, coder| bits | coder.bits))?;
        if coders.any(|coder| coder.overflow) {
            return Err(Error::request("a coefficient has more bits than its sub-band"));
        }
        Ok(())
    }

    /// Writes the packets of the tile at hand, and notes the tile-parts they make.
    fn write_packets(
        &mut self,
        headers: &Headers,
        options: &EncodeOptions,
        tile_index: u16,
        parts: &mut Vec<Part>,
    ) -> Result<(), Error> {
        let Encoder { tile, blocks, sequencer, packet_headers, pieces, packets, .. } = self;
        let first = packets.len();
        let _ = sequencer.walk(tile, &headers.coding, &mut Spending::unlimited(), &mut |tile, packet, _| {
            let length = packets::write(tile, blocks, packet, packet_headers, pieces);
            tile.precincts[packet.precinct as usize].layers += 1;
            let (header, pieces) = (packet_headers.len(), pieces.len());
            packets.push(PacketEnd { header, pieces, length, resolution: packet.resolution });
            Ok(ControlFlow::Continue(()))
        })?;

        let count = match options.tile_parts {
            TileParts::One => 1,
            TileParts::ByResolution => headers.coding.of(0).levels + 1,
        };
        let mut start = first;
        for index in 0..count {
            let own = |p: &PacketEnd| count == 1 || p.resolution == index;
            let end = start + packets[start..].iter().take_while(|p| own(p)).count();
            parts.push(Part { tile: tile_index, index, count, packets: start..end });
            start = end;
        }
        Ok(())
    }

    /// Writes headers and tile-parts. Gives, by resolution level, where its last packet ends in `out`.
    fn write(
        &mut self,
        headers: &Headers,
        options: &EncodeOptions,
        parts: &mut [Part],
        out: &mut Vec<u8>,
    ) -> Result<[u64; 33], Error> {
        // By resolution level first, so that every level of all tiles is together.
        parts.sort_unstable_by_key(|p| (p.index, p.tile));
        let start = out.len();
        out.extend_from_slice(&SOC.to_be_bytes());
        headers.siz.write(out);
        let coding = headers.coding.of(0);
        Cap::write(!coding.reversible, headers.planes, out);
        headers.coding.cod.write(coding, out);
        headers.coding.quantisation_of(0).write(out);
        let tlm = options.tlm && parts.len() <= TLM_MOST;
        let tlm_at = out.len();
        if tlm {
            out.resize(tlm_at + tlm_size(parts.len()), 0);
        }
        let mut ends = [0u64; 33];
        let mut lengths = core::mem::take(&mut self.lengths);
        lengths.clear();
        for part in parts.iter() {
            let at = out.len();
            self.write_part(part, options, out, &mut ends)?;
            lengths.push((part.tile, (out.len() - at) as u32));
        }
        if tlm {
            self.segments.clear();
            write_tlm(&lengths, &mut self.segments);
            out[tlm_at..tlm_at + self.segments.len()].copy_from_slice(&self.segments);
        }
        self.lengths = lengths;
        out.extend_from_slice(&EOC.to_be_bytes());
        ends[coding.levels as usize] = out.len() as u64;
        ends.iter_mut().for_each(|e| *e = e.saturating_sub(start as u64));
        Ok(ends)
    }

    fn write_part(
        &self,
        part: &Part,
        options: &EncodeOptions,
        out: &mut Vec<u8>,
        ends: &mut [u64; 33],
    ) -> Result<(), Error> {
        let at = out.len();
        write_sot(part.tile, 0, part.index, part.count, out);
        let packets = &self.packets[part.packets.clone()];
        if options.plt {
            let lengths: Vec<u32> = packets.iter().map(|p| p.length as u32).collect();
            write_plt(&lengths, out);
        }
        out.extend_from_slice(&SOD.to_be_bytes());
        out.reserve(packets.iter().map(|p| p.length).sum());
        let (mut header, mut piece) = match part.packets.start {
            0 => (0, 0),
            n => (self.packets[n - 1].header, self.packets[n - 1].pieces),
        };
        for packet in packets {
            out.extend_from_slice(&self.packet_headers[header..packet.header]);
            for piece in &self.pieces[piece..packet.pieces] {
                let bytes = &self.lanes[piece.lane as usize].1.coder.bytes;
                out.extend_from_slice(&bytes[piece.start..piece.start + piece.length]);
            }
            (header, piece) = (packet.header, packet.pieces);
            ends[packet.resolution as usize] = out.len() as u64;
        }
        let length = u32::try_from(out.len() - at).map_err(|_| Error::request("a tile-part of more than 4 GB"))?;
        // Psot, after the marker, its length, and the tile's index.
        out[at + 6..at + 10].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// CRC-32 of the samples of each level, by decoding them.
    fn checksums(&mut self, image: &Image<'_>, codestream: &[u8], levels: &mut [Level]) -> Result<(), Error> {
        let limits = Limits { max_pixels: u64::MAX, max_work: u64::MAX, max_memory: u64::MAX, ..Limits::default() };
        let decoder = self.checker.get_or_insert_with(|| Decoder::with_limits(limits));
        for level in levels {
            let row = level.width as usize * image.components as usize;
            let count = row * level.height as usize;
            macro_rules! checksum {
                ($t:ty, $kind:ident) => {{
                    let mut samples = alloc::vec![0 as $t; count];
                    decoder.decode(codestream, level.level, SamplesMut::$kind(&mut samples), row)?;
                    crate::crc::of(samples.iter().map(|s| s.to_le_bytes()))
                }};
            }
            level.crc32 = Some(match (image.precision, image.signed) {
                (1..=8, false) => checksum!(u8, U8),
                (1..=8, true) => checksum!(i8, I8),
                (9..=16, false) => checksum!(u16, U16),
                (9..=16, true) => checksum!(i16, I16),
                _ => checksum!(i32, I32),
            });
        }
        Ok(())
    }
}

/// The levels and their ends, where each level is a prefix of its own.
fn list_levels(headers: &Headers, options: &EncodeOptions, ends: &[u64; 33], out: &mut Vec<Level>) {
    out.clear();
    if !matches!(options.progression, Progression::Rlcp | Progression::Rpcl) {
        return;
    }
    let count = headers.coding.of(0).levels;
    let mut last = 0;
    out.extend((0..=count).map(|r| {
        let level = count - r;
        let area = headers.siz.image.reduced(level);
        last = last.max(ends[r as usize]);
        Level { level, width: area.width(), height: area.height(), end: last, crc32: None }
    }));
}
