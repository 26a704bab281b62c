//! Decoding while the bytes arrive: each level goes on from the one before.

use super::output::Output;
use super::synthesis::Keep;
use super::{Decoded, Decoder, fits_all};
use crate::codestream::{Codestream, has_level, resolution_major, same_levels};
use crate::held::{Held, Pieces};
use crate::image::check_room;
use crate::index::Ends;
use crate::limits::Spending;
use crate::markers::TileCoding;
use crate::region::{Detail, Region, RegionRanges, most};
use crate::{Error, Header, Index, Limits, SamplesMut};

/// A decoder that is fed a codestream as it comes.
///
/// In streams whose levels follow one another in one tile, as the encoder's default is, packets are read once and each level
/// is synthesised from the one decoded before it: all levels together cost hardly more than the last alone. Of other
/// streams each level is decoded from the beginning.
///
/// ```
/// # use htj2k::{EncodeOptions, Encoder, Image, Progressive, Samples, SamplesMut};
/// # let pixels = vec![9u8; 300 * 300];
/// # let image = Image { width: 300, height: 300, components: 1, precision: 8, signed: false, stride: 300, samples: Samples::U8(&pixels) };
/// # let mut stream = Vec::new();
/// # Encoder::new().encode(&image, &EncodeOptions::default(), &mut stream)?;
/// let mut image = Progressive::new();
/// let mut shown = None;
/// let mut samples = vec![0u8; 300 * 300];
/// for bytes in stream.chunks(100) {
///     image.push(bytes);
///     let level = image.level()?;
///     if level != shown {
///         let (level, (width, _)) = (level.unwrap(), image.header()?.unwrap().size_at(level.unwrap()));
///         image.decode(level, SamplesMut::U8(&mut samples), width as usize)?;
///         shown = Some(level);
///     }
/// }
/// assert_eq!(shown, Some(0));
/// # Ok::<(), htj2k::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Progressive {
    limits: Limits,
    pieces: Pieces,
    header: Option<Header>,
    /// Holds the packets read so far, and the planes of the finest level decoded so far.
    engine: Decoder,
    /// Decodes what the engine cannot go on from.
    plain: Decoder,
    /// The tile's coding, where its header differs from the main header's.
    coding: Option<TileCoding>,
    ends: Option<Ends>,
    state: State,
    /// Bytes that had come in order when packets were last read.
    read: usize,
    finest: Option<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The main header or the first tile-part is not there yet.
    #[default]
    Waiting,
    /// The tile is laid out, and packets are read as they come.
    Reading,
    /// The stream's levels do not follow one another in one tile.
    Plain,
}

impl Progressive {
    /// A decoder with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with the caller's limits. Beside the working memory it holds the codestream and a level's samples.
    pub fn with_limits(limits: Limits) -> Self {
        let decoder = || Decoder::with_limits(limits);
        Progressive { limits, engine: decoder(), plain: decoder(), ..Self::default() }
    }

    /// Begins a new codestream; the memory is kept.
    pub fn restart(&mut self) {
        self.pieces.clear();
        (self.header, self.coding, self.ends) = (None, None, None);
        (self.state, self.read, self.finest) = (State::Waiting, 0, None);
        self.forget();
    }

    /// Takes the next bytes of the codestream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pieces.push(bytes);
    }

    /// Takes bytes from elsewhere in the codestream: those that [`region_ranges`](Self::region_ranges) tells. Where there are bytes already,
    /// these stay. Memory is taken up to the last byte that has come, and not beyond the limit.
    pub fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset.saturating_add(bytes.len() as u64) > self.limits.max_memory.min(isize::MAX as u64) {
            return Err(Error::limit(0, "bytes of the codestream"));
        }
        self.pieces.put(most(offset), bytes);
        Ok(())
    }

    /// All bytes so far, from the first one on without a gap.
    pub fn bytes(&self) -> &[u8] {
        self.pieces.prefix()
    }

    /// The main header, once it is there.
    pub fn header(&mut self) -> Result<Option<&Header>, Error> {
        if self.header.is_none() {
            match Header::parse(self.pieces.prefix(), &self.limits) {
                Ok(header) => self.header = Some(header),
                Err(e) if e.is_truncated() => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        Ok(self.header.as_ref())
    }

    /// The finest level whose bytes are all there.
    pub fn level(&mut self) -> Result<Option<u8>, Error> {
        self.update()?;
        Ok(self.finest)
    }

    /// Decodes a level, as [`Decoder::decode`] does, from the bytes so far.
    pub fn decode(&mut self, level: u8, out: SamplesMut<'_>, stride: usize) -> Result<Decoded, Error> {
        self.update()?;
        let whole = self.finest.is_some_and(|finest| finest <= level);
        if self.state == State::Reading && whole && !self.is_past(level) {
            self.go_on(level, out, stride)
        } else {
            self.plain.decode(self.pieces.prefix(), level, out, stride)
        }
    }

    /// The bytes that a region of a level takes beside those that have come, of a codestream of `length` bytes. Ranges with
    /// no more than `gap` bytes between them are joined. See [`RegionRanges`].
    pub fn region_ranges(
        &self,
        length: u64,
        level: u8,
        region: Region,
        detail: Detail,
        gap: u64,
    ) -> Result<RegionRanges, Error> {
        RegionRanges::of(self.pieces.held(most(length)), level, region, detail, gap, &self.limits)
    }

    /// Decodes a region of a level, as [`Decoder::decode_region`] does, from all bytes that have come if those that it takes are
    /// among them, else from those before the first gap. A sketch is not complete.
    pub fn decode_region(
        &mut self,
        level: u8,
        region: Region,
        detail: Detail,
        mut out: SamplesMut<'_>,
        stride: usize,
    ) -> Result<Decoded, Error> {
        // Where the codestream ends is not known here.
        let held = self.pieces.held(isize::MAX as usize);
        match self.plain.decode_held(held, level, Some(region), detail, out.reborrow(), stride) {
            Err(e) if e.is_truncated() => {}
            result => {
                let known = |need: &u64| *need < isize::MAX as u64;
                let complete = |decoded: &Decoded| decoded.complete && detail == Detail::All;
                return result.map(|decoded| Decoded {
                    need: decoded.need.filter(known),
                    complete: complete(&decoded),
                    ..decoded
                });
            }
        }
        self.plain.decode_region(self.pieces.prefix(), level, region, out, stride)
    }

    /// Reads the packets that have come since the last time.
    fn update(&mut self) -> Result<(), Error> {
        if self.read == self.pieces.prefix().len() || self.header()?.is_none() {
            return Ok(());
        }
        let pieces = core::mem::take(&mut self.pieces);
        self.read = pieces.prefix().len();
        let result = self.read_packets(pieces.prefix());
        self.pieces = pieces;
        result
    }

    fn read_packets(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Decoder { parts, reader, .. } = &mut self.engine;
        let stream = match Codestream::open(Held::all(bytes), &self.limits, parts, None) {
            Ok(stream) => stream,
            Err(e) if e.is_truncated() => return Ok(()),
            Err(e) => return Err(e),
        };
        let mut spending = Spending::new(self.limits);
        let tiles = stream.header.siz.tiles();
        if tiles != (1, 1) {
            self.state = State::Plain;
        } else if self.state == State::Waiting && !parts.parts.is_empty() {
            self.coding = reader.open(&stream, 0, &parts.parts, 0, &mut spending)?;
            self.state = if reader.packets.part_count() > 0 { State::Reading } else { State::Waiting };
        } else if self.state == State::Reading {
            reader.add_parts(&stream, &parts.parts, &mut self.coding)?;
        }
        let coding = self.coding.as_ref().unwrap_or(&stream.header.coding);
        if !resolution_major(coding) || !same_levels(coding) {
            self.state = State::Plain;
        }
        let decompositions = stream.decompositions();
        match self.state {
            State::Waiting => self.finest = None,
            State::Reading => {
                let ends = self.ends.get_or_insert_with(|| Ends::new(&stream.header));
                reader.read(&stream, coding, 0, &mut spending, &mut |tile, packet, end| {
                    ends.note(tile, packet, end);
                })?;
                self.finest = (0..=decompositions).find(|&level| has_level(&reader.tile, coding, level));
            }
            State::Plain => {
                let index = Index::read(bytes, &self.limits)?;
                let there = index.levels.iter().filter(|l| l.end <= bytes.len() as u64).map(|l| l.level).min();
                self.finest = if index.complete { Some(0) } else { there };
            }
        }
        Ok(())
    }

    /// Whether a finer level than this is kept.
    fn is_past(&self, level: u8) -> bool {
        let Some(header) = &self.header else { return false };
        let wanted = header.decompositions.saturating_sub(level);
        self.engine.planes.done().any(|done| done > wanted)
    }

    /// Decodes a level that is all there, from the finest level decoded before it.
    fn go_on(&mut self, level: u8, out: SamplesMut<'_>, stride: usize) -> Result<Decoded, Error> {
        let limits = self.limits;
        let stream = Codestream::open(Held::all(self.pieces.prefix()), &limits, &mut self.engine.parts, None)?;
        let siz = &stream.header.siz;
        let area = siz.image.reduced(level);
        let components = siz.components.len();
        if siz.components.iter().any(|c| c.dx != 1 || c.dy != 1) {
            return self.plain.decode(self.pieces.prefix(), level, out, stride);
        }
        check_room(out.len(), area.width(), area.height(), components as u16, stride)?;
        fits_all(&out, siz)?;
        let coding = self.coding.as_ref().unwrap_or(&stream.header.coding);
        let keep = if level == 0 { Keep::Below } else { Keep::All };
        let mut output = Output::Interleaved { samples: out, stride, components, window: area };
        let result = self.engine.tile(&stream, coding, level, keep, &mut output, &mut Spending::new(limits));
        let mut ends = self.ends.clone().unwrap_or_else(|| Ends::new(&stream.header));
        ends.tile(&self.engine.reader.tile, coding);
        let need = ends.end(level, &stream, &self.engine.parts);
        if result.is_err() {
            self.forget();
        }
        result?;
        let (width, height) = (area.width(), area.height());
        Ok(Decoded { width, height, components: components as u16, level, complete: true, need })
    }

    fn forget(&mut self) {
        self.engine.planes.forget();
    }
}
