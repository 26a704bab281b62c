//! The decoder: whole codestreams or any prefix, to any level.

mod output;
mod progressive;
mod synthesis;

use crate::block::BlockDecoder;
use crate::codestream::{Codestream, TileReader, by_tile};
use crate::colour;
use crate::geometry::Rect;
use crate::image::check_room;
use crate::index::Ends;
use crate::limits::Spending;
use crate::markers::{MainHeader, Siz, TileCoding, TileParts};
use crate::part1::Part1Decoder;
use crate::simd::Simd;
use crate::{Component, Error, Limits, SamplesMut};
use alloc::vec::Vec;
use output::{Output, Range};
pub use progressive::Progressive;
use synthesis::{Blocks, Coefficient, Keep, Synthesis};

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
    blocks: BlockDecoder,
    part1: Part1Decoder,
    scratch: Vec<u8>,
    integer: Vec<Synthesis<i32>>,
    real: Vec<Synthesis<f32>>,
    integer_rows: [Vec<i32>; 3],
    real_rows: [Vec<f32>; 3],
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
            blocks: BlockDecoder::new(),
            part1: Part1Decoder::default(),
            scratch: Vec::new(),
            integer: Default::default(),
            real: Default::default(),
            integer_rows: Default::default(),
            real_rows: Default::default(),
        }
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
        let stream = self.open(codestream, level)?;
        let mut spending = Spending::new(self.limits);
        let siz = &stream.header.siz;
        let area = siz.image.reduced(level);
        let (width, height) = (area.width(), area.height());
        let components = siz.components.len();
        check_room(out.len(), width, height, components as u16, stride)?;
        fits_all(&out, siz)?;
        let (complete, need) = if siz.components.iter().all(|c| c.dx == 1 && c.dy == 1) {
            self.tiles(&stream, level, &mut Output::Interleaved { samples: out, stride, components }, &mut spending)?
        } else {
            let mut planes = planes(&stream, level, &mut spending)?;
            let result = self.tiles(&stream, level, &mut Output::Planes(&mut planes), &mut spending)?;
            output::interleave(&planes, (width, height), (area.x0, area.y0), out, stride);
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
        let TileReader { tile, packets, .. } = &self.reader;
        let mut job = Job {
            blocks: Blocks {
                codestream: stream.bytes,
                tile,
                packets,
                decoder: &mut self.blocks,
                part1: &mut self.part1,
                scratch: &mut self.scratch,
                simd: self.simd,
            },
            stream,
            coding,
            level,
            keep,
            spending,
            out,
        };
        let mut first = 0;
        let count = if keep == Keep::Nothing { 3 } else { tile.components.len().max(3) };
        if self.integer.len() < count {
            self.integer.resize_with(count, Synthesis::default);
            self.real.resize_with(count, Synthesis::default);
        }
        if coding.cod.colour_transform && tile.components.len() >= 3 {
            first = 3;
            if coding.of(0).reversible {
                job.colour(&mut self.integer, &mut self.integer_rows, colour::reversible_inverse)?;
            } else {
                job.colour(&mut self.real, &mut self.real_rows, colour::irreversible_inverse)?;
            }
        }
        for c in first..tile.components.len() {
            let own = if keep == Keep::Nothing { 0 } else { c };
            if coding.of(c as u16).reversible {
                job.component(c, &mut self.integer[own])?;
            } else {
                job.component(c, &mut self.real[own])?;
            }
        }
        Ok(())
    }
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

/// A tile to be decoded.
struct Job<'a, 'b, 'c> {
    blocks: Blocks<'a>,
    stream: &'a Codestream<'a>,
    coding: &'a TileCoding,
    level: u8,
    keep: Keep,
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
        let area = self.start(c, synthesis)?;
        let (origin, range) = self.place(c, area);
        for y in 0..area.height() as usize {
            let row = synthesis.row(&mut self.blocks)?;
            self.out.row(self.blocks.simd, c, (origin.0, origin.1 + y), row, range);
        }
        if self.keep == Keep::Nothing {
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
        let areas = [self.start(0, a)?, self.start(1, b)?, self.start(2, c)?];
        let same =
            (1..3).all(|n| areas[n] == areas[0] && self.coding.of(n as u16).reversible == self.coding.of(0).reversible);
        if !same {
            return Err(Error::malformed(0, "components of a colour transform that differ"));
        }
        rows.iter_mut().for_each(|r| r.resize(areas[0].width() as usize, T::default()));
        let places = [0, 1, 2].map(|n| self.place(n, areas[n]));
        for y in 0..areas[0].height() as usize {
            let (a, b, c) = (a.row(&mut self.blocks)?, b.row(&mut self.blocks)?, c.row(&mut self.blocks)?);
            inverse(self.blocks.simd, a, b, c, rows);
            self.out.rows(self.blocks.simd, places, y, rows.each_ref().map(|row| &row[..]));
        }
        Ok(())
    }

    /// Begins a component; gives the area of the level in the tile.
    fn start<T: Coefficient>(&mut self, c: usize, synthesis: &mut Synthesis<T>) -> Result<Rect, Error> {
        let component = &self.blocks.tile.components[c];
        let Some(last) = component.levels.checked_sub(self.level) else {
            return Err(Error::unsupported(0, "a tile has fewer levels than the main header says"));
        };
        let style = self.coding.of(c as u16).style;
        synthesis.start(&mut self.blocks, c, last, style, self.keep, self.spending)?;
        Ok(component.area.reduced(self.level))
    }

    /// Where the tile's part of a component begins in the output, and what its samples can be.
    fn place(&self, c: usize, area: Rect) -> ((usize, usize), Range) {
        let siz = &self.stream.header.siz;
        let component = &siz.components[c];
        let whole = component_area(siz.image, component, self.level);
        (((area.x0 - whole.x0) as usize, (area.y0 - whole.y0) as usize), Range::of(component))
    }
}
