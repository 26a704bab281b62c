//! The decoder: whole codestreams or any prefix, to any level.

mod output;
mod progressive;
mod synthesis;

use crate::block::BlockDecoder;
use crate::codestream::{Codestream, TileReader, by_tile};
use crate::colour;
use crate::geometry::{Rect, Tile};
use crate::image::check_room;
use crate::index::Ends;
use crate::limits::Spending;
use crate::markers::{MainHeader, Siz, TileCoding, TileParts};
use crate::packet::PacketReader;
use crate::part1::Part1Decoder;
use crate::simd::Simd;
use crate::{Component, Error, Limits, SamplesMut};
use alloc::vec::Vec;
use output::{Output, Range};
pub use progressive::Progressive;
use synthesis::{Blocks, Coefficient, Keep, Synthesis, Target};

/// What a call of [`Decoder::decode`] gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Columns written.
    pub width: u32,
    /// Rows written.
    pub height: u32,
    /// Samples per pixel.
    pub components: u16,
    /// The level asked for.
    pub level: u8,
    /// Whether every byte that the level needs was there.
    pub complete: bool,
    /// Bytes of the codestream that the level needs, where that is known.
    pub need: Option<u64>,
}

/// A component on its own grid, as [`Decoder::decode_planes`] gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bits per sample.
    pub precision: u8,
    /// Whether samples are two's complement.
    pub signed: bool,
    /// Columns of the image from sample to sample.
    pub dx: u8,
    /// Rows of the image from sample to sample.
    pub dy: u8,
    /// Samples, row by row.
    pub samples: Vec<i32>,
    origin: (u32, u32),
}

/// A decoder, to be reused from frame to frame: it keeps its memory.
pub struct Decoder {
    limits: Limits,
    simd: Simd,
    /// The main header of the frame before, for its memory.
    header: Option<MainHeader>,
    parts: TileParts,
    reader: TileReader,
    /// One for each thread that works at a frame.
    lanes: Vec<Lane>,
    parallel: bool,
}

/// What one thread needs.
struct Lane {
    blocks: BlockDecoder,
    part1: Part1Decoder,
    scratch: Vec<u8>,
    integer: Vec<Synthesis<i32>>,
    real: Vec<Synthesis<f32>>,
    integer_rows: [Vec<i32>; 3],
    real_rows: [Vec<f32>; 3],
}

impl Default for Lane {
    fn default() -> Self {
        Lane {
            blocks: BlockDecoder::new(),
            part1: Part1Decoder::default(),
            scratch: Vec::new(),
            integer: Vec::new(),
            real: Vec::new(),
            integer_rows: Default::default(),
            real_rows: Default::default(),
        }
    }
}

/// A rectangle of pixels of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub x: u32,
    /// First row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl core::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decoder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limits(Limits::default())
    }
}

impl Decoder {
    /// A decoder with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with the caller's limits.
    pub fn with_limits(limits: Limits) -> Self {
        Decoder {
            limits,
            simd: Simd::detect(),
            header: None,
            parts: TileParts::default(),
            reader: TileReader::default(),
            lanes: Vec::new(),
            parallel: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_simd(simd: Simd) -> Self {
        Decoder { simd, ..Self::default() }
    }

    /// Whether frames are spread over the threads of the rayon pool that the caller is in. The samples are the same.
    #[cfg(feature = "rayon")]
    pub fn set_parallel(&mut self, parallel: bool) {
        self.parallel = parallel;
    }

    /// Decodes a codestream, or as much of it as is there, to a level, into rows `stride` samples apart.
    ///
    /// Packets that are cut short are ignored: the image is the best one that the prefix holds. It is an error when not
    /// even the main header is there. Components with fewer samples than the image has pixels are stretched by repeating them.
    pub fn decode(
        &mut self,
        codestream: &[u8],
        level: u8,
        out: SamplesMut<'_>,
        stride: usize,
    ) -> Result<Decoded, Error> {
        self.decode_part(codestream, level, None, out, stride)
    }

    /// As [`decode`](Self::decode), but a region of the level, which must lie in it. Only the code-blocks that the region needs are
    /// decoded. Components must have as many samples as the image has pixels.
    pub fn decode_region(
        &mut self,
        codestream: &[u8],
        level: u8,
        region: Region,
        out: SamplesMut<'_>,
        stride: usize,
    ) -> Result<Decoded, Error> {
        self.decode_part(codestream, level, Some(region), out, stride)
    }

    fn decode_part(
        &mut self,
        codestream: &[u8],
        level: u8,
        region: Option<Region>,
        out: SamplesMut<'_>,
        stride: usize,
    ) -> Result<Decoded, Error> {
        let stream = self.open(codestream, level)?;
        let mut spending = Spending::new(self.limits);
        let siz = &stream.header.siz;
        let window = window(siz.image.reduced(level), region)?;
        let (width, height) = (window.width(), window.height());
        let components = siz.components.len();
        check_room(out.len(), width, height, components as u16, stride)?;
        fits_all(&out, siz)?;
        let (complete, need) = if siz.components.iter().all(|c| c.dx == 1 && c.dy == 1) {
            let mut output = Output::Interleaved { samples: out, stride, components, window };
            self.tiles(&stream, level, &mut output, &mut spending)?
        } else if region.is_some() {
            return Err(Error::request("a region of an image whose components are sub-sampled"));
        } else {
            let mut planes = planes(&stream, level, &mut spending)?;
            let result = self.tiles(&stream, level, &mut Output::Planes(&mut planes), &mut spending)?;
            output::interleave(&planes, (width, height), (window.x0, window.y0), out, stride);
            result
        };
        self.header = Some(stream.header);
        Ok(Decoded { width, height, components: components as u16, level, complete, need })
    }

    /// As [`decode`](Self::decode), but each component by itself, on its own grid.
    pub fn decode_planes(&mut self, codestream: &[u8], level: u8) -> Result<(Vec<Plane>, Decoded), Error> {
        let stream = self.open(codestream, level)?;
        let mut spending = Spending::new(self.limits);
        let mut planes = planes(&stream, level, &mut spending)?;
        let (complete, need) = self.tiles(&stream, level, &mut Output::Planes(&mut planes), &mut spending)?;
        let area = stream.header.siz.image.reduced(level);
        let components = planes.len() as u16;
        Ok((planes, Decoded { width: area.width(), height: area.height(), components, level, complete, need }))
    }

    fn open<'a>(&mut self, codestream: &'a [u8], level: u8) -> Result<Codestream<'a>, Error> {
        let stream = Codestream::open(codestream, &self.limits, &mut self.parts, self.header.take())?;
        if level > stream.decompositions() {
            return Err(Error::request("the codestream has no such level"));
        }
        if stream.header.siz.components.iter().any(|c| c.precision > if c.signed { 32 } else { 31 }) {
            return Err(Error::unsupported(0, "samples of more than 31 bits"));
        }
        Ok(stream)
    }

    /// Decodes tile by tile. Gives whether all that the level needs was there, and how many bytes it needs.
    fn tiles(
        &mut self,
        stream: &Codestream<'_>,
        level: u8,
        out: &mut Output<'_>,
        spending: &mut Spending,
    ) -> Result<(bool, Option<u64>), Error> {
        let (across, down) = stream.header.siz.tiles();
        let parts = core::mem::take(&mut self.parts);
        let mut ends = Ends::new(&stream.header);
        let mut complete = true;
        for (index, parts) in by_tile(across * down, &parts.parts) {
            let mark = spending.mark();
            let own = self.reader.open(stream, index, parts, level, spending)?;
            let coding = own.as_ref().unwrap_or(&stream.header.coding);
            let whole = self.reader.read(stream, coding, level, spending, &mut |tile, packet, range| {
                ends.note(tile, packet, range.end);
            })?;
            complete &= whole;
            ends.tile(&self.reader.tile, coding);
            self.tile(stream, coding, level, Keep::Nothing, out, spending)?;
            spending.release(mark);
        }
        let need = ends.end(level, stream, &parts);
        self.parts = parts;
        Ok((complete, need))
    }

    /// Decodes the components of the tile at hand.
    fn tile(
        &mut self,
        stream: &Codestream<'_>,
        coding: &TileCoding,
        level: u8,
        keep: Keep,
        out: &mut Output<'_>,
        spending: &mut Spending,
    ) -> Result<(), Error> {
        let threads = self.threads(level, keep, out);
        if self.lanes.len() < threads {
            self.lanes.resize_with(threads, Lane::default);
        }
        let frame = Frame {
            codestream: stream.bytes,
            siz: &stream.header.siz,
            tile: &self.reader.tile,
            packets: &self.reader.packets,
            coding,
            level,
            keep,
            simd: self.simd,
        };
        match threads {
            1 => self.lanes[0].decode(&frame, out, spending),
            #[cfg(feature = "rayon")]
            _ => slabs(&mut self.lanes[..threads], &frame, out, spending),
            #[cfg(not(feature = "rayon"))]
            _ => Ok(()),
        }
    }

    /// How many threads to use for the tile at hand.
    fn threads(&self, level: u8, keep: Keep, out: &Output<'_>) -> usize {
        #[cfg(feature = "rayon")]
        if let (true, Keep::Nothing, Output::Interleaved { window, .. }) = (self.parallel, keep, out) {
            let area = self.reader.tile.area.reduced(level).shared(window);
            // A seam costs a row of code-blocks: not worth it for less than some.
            let most = area.height() as usize / SLAB;
            return rayon::current_num_threads().min(most).max(1);
        }
        let _ = (self.parallel, level, keep, out);
        1
    }
}

/// Least rows for a thread of its own.
#[cfg(feature = "rayon")]
const SLAB: usize = 256;

/// Decodes a tile in slabs of rows, each a region of its own.
#[cfg(feature = "rayon")]
fn slabs(lanes: &mut [Lane], frame: &Frame<'_>, out: &mut Output<'_>, spending: &Spending) -> Result<(), Error> {
    use rayon::prelude::*;
    let Output::Interleaved { samples, stride, components, window } = out else { return Ok(()) };
    let area = frame.tile.area.reduced(frame.level).shared(window);
    let count = lanes.len() as u32;
    let mut rest = samples.reborrow();
    let mut at = window.y0;
    let mut jobs = Vec::with_capacity(lanes.len());
    for (n, lane) in (1..=count).zip(lanes) {
        // Just above where a row of code-blocks begins, so that the one above the seam needs no block below it.
        let seam = (area.y0 as u64 + area.height() as u64 * n as u64 / count as u64) as u32 / 128 * 128;
        let seam = seam.saturating_sub(8);
        let end = if n == count { window.y1 } else { seam.clamp(at, window.y1) };
        let here = ((end - at) as usize * *stride).min(rest.len());
        let (own, after) = rest.split_at(here);
        rest = after;
        let window = Rect { y0: at, y1: end, ..*window };
        jobs.push((lane, Output::Interleaved { samples: own, stride: *stride, components: *components, window }));
        at = end;
    }
    let share = spending.share(count as u64);
    jobs.into_par_iter().try_for_each(|(lane, mut out)| lane.decode(frame, &mut out, &mut share.clone()))
}

/// The part of a level that is wanted, on the level's grid.
fn window(area: Rect, region: Option<Region>) -> Result<Rect, Error> {
    let Some(Region { x, y, width, height }) = region else { return Ok(area) };
    let inside =
        |start: u32, count: u32, most: u32| start.checked_add(count).is_some_and(|end| end <= most) && count > 0;
    if !inside(x, width, area.width()) || !inside(y, height, area.height()) {
        return Err(Error::request("the region is empty or not in the image"));
    }
    let (x0, y0) = (area.x0 + x, area.y0 + y);
    Ok(Rect { x0, y0, x1: x0 + width, y1: y0 + height })
}

/// Checks that the caller's type holds the samples of every component.
fn fits_all(out: &SamplesMut<'_>, siz: &Siz) -> Result<(), Error> {
    if siz.components.iter().all(|c| output::fits(out, c)) {
        Ok(())
    } else {
        Err(Error::request("the buffer's type does not hold the samples' range"))
    }
}

/// Room for every component.
fn planes(stream: &Codestream<'_>, level: u8, spending: &mut Spending) -> Result<Vec<Plane>, Error> {
    let siz = &stream.header.siz;
    let areas = siz.components.iter().map(|c| component_area(siz.image, c, level));
    let samples: u64 = areas.clone().map(|a| a.width() as u64 * a.height() as u64).sum();
    spending.memory(0, samples * 4 + (siz.components.len() * size_of::<Plane>()) as u64)?;
    let plane = |(area, c): (Rect, &Component)| Plane {
        width: area.width(),
        height: area.height(),
        precision: c.precision,
        signed: c.signed,
        dx: c.dx,
        dy: c.dy,
        samples: alloc::vec![0; area.width() as usize * area.height() as usize],
        origin: (area.x0, area.y0),
    };
    Ok(areas.zip(&siz.components).map(plane).collect())
}

/// The area of a component at a level, on its own grid.
fn component_area(image: Rect, c: &Component, level: u8) -> Rect {
    image.divided(c.dx as u32, c.dy as u32).reduced(level)
}

/// A tile to be decoded, to a level.
struct Frame<'a> {
    codestream: &'a [u8],
    siz: &'a Siz,
    tile: &'a Tile,
    packets: &'a PacketReader,
    coding: &'a TileCoding,
    level: u8,
    keep: Keep,
    simd: Simd,
}

impl Lane {
    /// Decodes what the output has room for.
    fn decode(&mut self, frame: &Frame<'_>, out: &mut Output<'_>, spending: &mut Spending) -> Result<(), Error> {
        let components = frame.tile.components.len();
        let count = if frame.keep == Keep::Nothing { 3 } else { components.max(3) };
        if self.integer.len() < count {
            self.integer.resize_with(count, Synthesis::default);
            self.real.resize_with(count, Synthesis::default);
        }
        let blocks = Blocks {
            codestream: frame.codestream,
            tile: frame.tile,
            packets: frame.packets,
            decoder: &mut self.blocks,
            part1: &mut self.part1,
            scratch: &mut self.scratch,
            simd: frame.simd,
        };
        let mut job = Job { frame, blocks, spending, out };
        let mut first = 0;
        if frame.coding.cod.colour_transform && components >= 3 {
            first = 3;
            if frame.coding.of(0).reversible {
                job.colour(&mut self.integer, &mut self.integer_rows, colour::reversible_inverse)?;
            } else {
                job.colour(&mut self.real, &mut self.real_rows, colour::irreversible_inverse)?;
            }
        }
        for c in first..components {
            let own = if frame.keep == Keep::Nothing { 0 } else { c };
            if frame.coding.of(c as u16).reversible {
                job.component(c, &mut self.integer[own])?;
            } else {
                job.component(c, &mut self.real[own])?;
            }
        }
        Ok(())
    }
}

/// A tile, or a slab of it, on its way to an output.
struct Job<'a, 'b, 'c> {
    frame: &'a Frame<'a>,
    blocks: Blocks<'a>,
    spending: &'b mut Spending,
    out: &'b mut Output<'c>,
}

type ColourTransform<T> = fn(Simd, &[T], &[T], &[T], &mut [Vec<T>; 3]);

impl Job<'_, '_, '_> {
    fn component<T: Coefficient + output::Value>(
        &mut self,
        c: usize,
        synthesis: &mut Synthesis<T>,
    ) -> Result<(), Error> {
        let mark = self.spending.mark();
        let (window, origin) = self.start(c, synthesis)?;
        let range = Range::of(&self.frame.siz.components[c]);
        for y in 0..window.height() as usize {
            let row = synthesis.row(&mut self.blocks)?;
            self.out.row(self.blocks.simd, c, (origin.0, origin.1 + y), row, range);
        }
        if self.frame.keep == Keep::Nothing {
            self.spending.release(mark);
        }
        Ok(())
    }

    /// The first three components together.
    fn colour<T: Coefficient + output::Value>(
        &mut self,
        synthesis: &mut [Synthesis<T>],
        rows: &mut [Vec<T>; 3],
        inverse: ColourTransform<T>,
    ) -> Result<(), Error> {
        let [a, b, c, ..] = synthesis else { return Ok(()) };
        let coding = self.frame.coding;
        let parts = [self.start(0, a)?, self.start(1, b)?, self.start(2, c)?];
        let same = (1..3).all(|n| parts[n] == parts[0] && coding.of(n as u16).reversible == coding.of(0).reversible);
        if !same {
            return Err(Error::malformed(0, "components of a colour transform that differ"));
        }
        let (window, _) = parts[0];
        rows.iter_mut().for_each(|r| r.resize(window.width() as usize, T::default()));
        let places = [0, 1, 2].map(|n| (parts[n].1, Range::of(&self.frame.siz.components[n])));
        for y in 0..window.height() as usize {
            let (a, b, c) = (a.row(&mut self.blocks)?, b.row(&mut self.blocks)?, c.row(&mut self.blocks)?);
            inverse(self.blocks.simd, a, b, c, rows);
            self.out.rows(self.blocks.simd, places, y, rows.each_ref().map(|row| &row[..]));
        }
        Ok(())
    }

    /// Begins a component; gives the part of the level that the tile has, and where that begins in the output.
    fn start<T: Coefficient>(
        &mut self,
        c: usize,
        synthesis: &mut Synthesis<T>,
    ) -> Result<(Rect, (usize, usize)), Error> {
        let Frame { level, keep, siz, .. } = *self.frame;
        let component = &self.blocks.tile.components[c];
        let Some(last) = component.levels.checked_sub(level) else {
            return Err(Error::unsupported(0, "a tile has fewer levels than the main header says"));
        };
        let whole = match self.out {
            Output::Interleaved { window, .. } => *window,
            Output::Planes(_) => component_area(siz.image, &siz.components[c], level),
        };
        let window = component.area.reduced(level).shared(&whole);
        let style = self.frame.coding.of(c as u16).style;
        let target = Target { component: c, last, window, style, keep };
        synthesis.start(&mut self.blocks, &target, self.spending)?;
        Ok((window, ((window.x0 - whole.x0) as usize, (window.y0 - whole.y0) as usize)))
    }
}
