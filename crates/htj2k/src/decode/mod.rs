//! The decoder: whole codestreams or any prefix, to any level.

mod blocks;
mod output;
mod progressive;
mod rows;
mod synthesis;

use crate::codestream::{Codestream, TileReader, by_tile};
use crate::geometry::Rect;
use crate::held::Held;
use crate::image::check_room;
use crate::index::Ends;
use crate::limits::Spending;
use crate::markers::{MainHeader, Siz, TileCoding, TileParts};
use crate::region::{self, Detail, Region, Wanted};
use crate::simd::Simd;
use crate::threads::Pool;
use crate::window::window;
use crate::{Component, Error, Limits, SamplesMut};
use alloc::vec::Vec;
use blocks::{Source, Tools};
use output::Output;
pub use progressive::Progressive;
use rows::Job;
use synthesis::{Keep, Space, Synthesis};

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
    planes: Planes,
    /// One for each thread that works at a frame.
    lanes: Vec<(usize, Lane)>,
    parallel: bool,
}

/// The low-pass bands of components, by the kind of their coefficients.
#[derive(Debug, Default)]
struct Planes {
    integer: Vec<Synthesis<i32>>,
    wide: Vec<Synthesis<i64>>,
    real: Vec<Synthesis<f32>>,
}

impl Planes {
    /// The resolution levels that are kept.
    fn done(&self) -> impl Iterator<Item = u8> {
        let integer = self.integer.iter().map(Synthesis::done);
        integer.chain(self.wide.iter().map(Synthesis::done)).chain(self.real.iter().map(Synthesis::done)).flatten()
    }

    fn forget(&mut self) {
        self.integer.iter_mut().for_each(Synthesis::forget);
        self.wide.iter_mut().for_each(Synthesis::forget);
        self.real.iter_mut().for_each(Synthesis::forget);
    }
}

/// What one thread needs.
#[derive(Default)]
struct Lane {
    tools: Tools,
    integer: Spaces<i32>,
    wide: Spaces<i64>,
    real: Spaces<f32>,
}

/// What one thread needs for one kind of coefficients: for three components at a time, and their rows as colours.
#[derive(Debug, Default)]
struct Spaces<T> {
    of_components: [Space<T>; 3],
    colours: [Vec<T>; 3],
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
            planes: Planes::default(),
            lanes: Vec::new(),
            parallel: false,
        }
    }

    /// A decoder that uses the code of a certain SIMD level; all give the same samples.
    pub fn with_simd(simd: Simd) -> Self {
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
        self.decode_held(Held::all(codestream), level, None, Detail::All, out, stride)
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
        self.decode_held(Held::all(codestream), level, Some(region), Detail::All, out, stride)
    }

    /// Decodes what is held. Of a codestream with gaps, it is an error, of a codestream that ends, if not every byte is there.
    fn decode_held(
        &mut self,
        held: Held<'_>,
        level: u8,
        region: Option<Region>,
        detail: Detail,
        out: SamplesMut<'_>,
        stride: usize,
    ) -> Result<Decoded, Error> {
        let stream = self.open(held, level)?;
        let mut spending = Spending::new(self.limits);
        let siz = &stream.header.siz;
        let window = window(siz.image.reduced(level), region)?;
        let (width, height) = (window.width(), window.height());
        let components = siz.components.len();
        check_room(out.len(), width, height, components as u16, stride)?;
        fits_all(&out, siz)?;
        let (complete, need) = if siz.components.iter().all(|c| c.dx == 1 && c.dy == 1) {
            let mut output = Output::Interleaved { samples: out, stride, components, window };
            self.tiles(&stream, level, Some((window, detail)), &mut output, &mut spending)?
        } else if region.is_some() {
            return Err(Error::request("a region of an image whose components are sub-sampled"));
        } else {
            let mut planes = planes(&stream, level, &mut spending)?;
            let result = self.tiles(&stream, level, None, &mut Output::Planes(&mut planes), &mut spending)?;
            output::interleave(&planes, (width, height), (window.x0, window.y0), out, stride);
            result
        };
        self.header = Some(stream.header);
        Ok(Decoded { width, height, components: components as u16, level, complete, need })
    }

    /// As [`decode`](Self::decode), but each component by itself, on its own grid.
    pub fn decode_planes(&mut self, codestream: &[u8], level: u8) -> Result<(Vec<Plane>, Decoded), Error> {
        let stream = self.open(Held::all(codestream), level)?;
        let mut spending = Spending::new(self.limits);
        let mut planes = planes(&stream, level, &mut spending)?;
        let (complete, need) = self.tiles(&stream, level, None, &mut Output::Planes(&mut planes), &mut spending)?;
        let area = stream.header.siz.image.reduced(level);
        let components = planes.len() as u16;
        Ok((planes, Decoded { width: area.width(), height: area.height(), components, level, complete, need }))
    }

    fn open<'a>(&mut self, held: Held<'a>, level: u8) -> Result<Codestream<'a>, Error> {
        let stream = Codestream::open(held, &self.limits, &mut self.parts, self.header.take())?;
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
        wanted: Option<(Rect, Detail)>,
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
            let whole = self.reader.read(stream, coding, level, spending, &mut |tile, packet, end| {
                ends.note(tile, packet, end);
            })?;
            complete &= whole;
            if let (Some((window, detail)), true) = (wanted, stream.held.is_sparse())
                && !region::is_there(stream, &self.reader, coding, Wanted { level, window, detail }, spending)?
            {
                let have = stream.held.until_gap(0).len();
                return Err(Error::truncated(have, have + 1));
            }
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
        let (tile, packets) = (&self.reader.tile, &self.reader.packets);
        let frame = Frame {
            source: Source { held: stream.held, tile, packets, simd: self.simd },
            siz: &stream.header.siz,
            coding,
            level,
            keep,
            parallel: self.parallel && matches!(out, Output::Interleaved { .. }),
        };
        let lanes = Pool::new(core::mem::take(&mut self.lanes));
        let result = Job { frame: &frame, lanes: &lanes, spending, out }.decode(&mut self.planes);
        self.lanes = lanes.into_items();
        result
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

/// A tile to be decoded, to a level.
struct Frame<'a> {
    source: Source<'a>,
    siz: &'a Siz,
    coding: &'a TileCoding,
    level: u8,
    keep: Keep,
    parallel: bool,
}
