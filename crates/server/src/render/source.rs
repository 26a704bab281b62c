//! Samples for rendering: of HTJ2K only the prefix that holds the level needed is read and decoded.

use super::Error;
use archive::{Archive, FrameEntry, Instance, LevelEntry};
use dicom::{Facts, Pixels, Source};
use htj2k::{Decoder, Limits, SamplesMut};
use transcode::Decode;

/// More samples than this in one rendered frame are refused.
const MAX_SAMPLES: u64 = 1 << 28;
/// The deepest samples that the codec decodes.
const CODEC_BITS: u16 = 31;

/// Decoded samples of one frame, interleaved by pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Samples per pixel.
    pub channels: u16,
    /// Bits Stored.
    pub bits: u16,
    /// Three samples are luminance and colour differences, and not RGB.
    pub ybr: bool,
    /// The samples.
    pub grid: Grid,
}

/// Samples by type.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Grid {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    /// Little-endian numbers of 1, 2 or 4 bytes, as they were stored.
    Stored(Vec<u8>, Cell),
    /// Little-endian 32-bit floats.
    F32(Vec<u8>),
    /// Little-endian 64-bit floats.
    F64(Vec<u8>),
}

/// Where a number stands in its bytes (PS3.5 8.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// 1, 2 or 4.
    pub bytes: u8,
    /// Bits below it.
    pub shift: u8,
    /// Its own bits; what is above them is no part of it.
    pub bits: u8,
    /// Its highest bit is the sign.
    pub signed: bool,
}

impl Cell {
    fn new(bytes: u8, facts: &Facts) -> Cell {
        let all = 8 * bytes;
        // Decoders put the sample at the bottom, wherever it was.
        let native = facts.pixels == Pixels::Native;
        let shift = if native {
            (facts.high_bit + 1).saturating_sub(facts.bits_stored).min(u16::from(all) - 1) as u8
        } else {
            0
        };
        let bits = facts.bits_stored.clamp(1, u16::from(all)) as u8;
        Cell { bytes, shift, bits: bits.min(all - shift), signed: facts.signed }
    }

    /// The number in a cell, which is given as the low bits.
    pub fn number(self, cell: u32) -> i64 {
        let above = 64 - u32::from(self.bits);
        let low = i64::from(cell >> self.shift) << above;
        if self.signed { low >> above } else { (low as u64 >> above) as i64 }
    }
}

impl Grid {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Grid::U8(v) => v.len(),
            Grid::I8(v) => v.len(),
            Grid::U16(v) => v.len(),
            Grid::I16(v) => v.len(),
            Grid::I32(v) => v.len(),
            Grid::Stored(v, cell) => v.len() / usize::from(cell.bytes),
            Grid::F32(v) => v.len() / 4,
            Grid::F64(v) => v.len() / 8,
        }
    }

    /// One sample.
    pub fn value(&self, at: usize) -> f64 {
        match self {
            Grid::F32(v) => f32::from_le_bytes(v.as_chunks().0[at]).into(),
            Grid::F64(v) => f64::from_le_bytes(v.as_chunks().0[at]),
            grid => grid.integer(at) as f64,
        }
    }

    /// One sample, towards zero where it has a fraction.
    pub fn integer(&self, at: usize) -> i64 {
        match self {
            Grid::U8(v) => v[at].into(),
            Grid::I8(v) => v[at].into(),
            Grid::U16(v) => v[at].into(),
            Grid::I16(v) => v[at].into(),
            Grid::I32(v) => v[at].into(),
            Grid::Stored(v, cell) => cell.number(match cell.bytes {
                1 => v[at].into(),
                2 => u16::from_le_bytes(v.as_chunks().0[at]).into(),
                _ => u32::from_le_bytes(v.as_chunks().0[at]),
            }),
            Grid::F32(_) | Grid::F64(_) => self.value(at) as i64,
        }
    }

    /// The pattern of bits of a sample that is not wider than 16 bits: a place in a table of all of them.
    pub fn pattern(&self, at: usize) -> Option<u16> {
        match self {
            Grid::U8(v) => Some(v[at].into()),
            Grid::I8(v) => Some((v[at] as u8).into()),
            Grid::U16(v) => Some(v[at]),
            Grid::I16(v) => Some(v[at] as u16),
            Grid::Stored(v, Cell { bytes: 1, .. }) => Some(v[at].into()),
            Grid::Stored(v, Cell { bytes: 2, .. }) => Some(u16::from_le_bytes(v.as_chunks().0[at])),
            _ => None,
        }
    }

    /// The numbers of all patterns, in their order; empty where samples are wider than 16 bits.
    pub fn numbers(&self) -> Vec<i64> {
        match self {
            Grid::U8(_) => (0..=255).collect(),
            Grid::I8(_) => (0..=255u8).map(|v| i64::from(v as i8)).collect(),
            Grid::U16(_) => (0..=65535).collect(),
            Grid::I16(_) => (0..=65535u16).map(|v| i64::from(v as i16)).collect(),
            Grid::Stored(_, cell) if cell.bytes < 4 => (0..1u32 << (8 * cell.bytes)).map(|v| cell.number(v)).collect(),
            _ => Vec::new(),
        }
    }
}

/// What is decoded of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    instance: &'a Instance,
    frame: u32,
    /// The level, where its bytes are known.
    level: Option<(&'a FrameEntry, &'a LevelEntry)>,
}

impl<'a> Plan<'a> {
    /// For frame `frame` (from 0), no coarser than `viewport` needs; without one, all of it.
    pub fn new(instance: &'a Instance, frame: u32, viewport: Option<(u32, u32)>) -> Result<Plan<'a>, Error> {
        let image = &instance.facts;
        if image.rows == 0 || image.columns == 0 || image.pixels == Pixels::None {
            return Err(Error::NoImage("no image in it"));
        }
        let syntax = instance.syntax_of_frames();
        if syntax.is_video() {
            return Err(Error::NoImage("a video: no image of it is rendered"));
        }
        let entry = instance.frame(frame);
        let level = entry.and_then(|entry| entry.levels.iter().find(|level| will_do(level, instance, viewport)));
        let decodable = syntax.is_htj2k() && image.bits_stored + u16::from(!image.signed) <= CODEC_BITS + 1;
        let plan = Plan { instance, frame, level: entry.zip(level).filter(|_| decodable) };
        match plan.count() {
            ..=MAX_SAMPLES => Ok(plan),
            _ => Err(Error::NoImage("the image is too large to be rendered")),
        }
    }

    fn count(&self) -> u64 {
        let image = &self.instance.facts;
        let (width, height) = self.level.map_or((image.columns, image.rows), |(_, level)| (level.width, level.height));
        u64::from(width) * u64::from(height) * u64::from(image.samples)
    }

    /// About as much memory as decoding takes: the samples, the codestream, and what the decoder works in.
    pub fn bytes(&self) -> u64 {
        let samples = self.count() * u64::from(self.instance.facts.bits_allocated.div_ceil(8));
        match (self.instance.facts.pixels, self.level) {
            (Pixels::Native | Pixels::Float, _) => samples,
            (_, Some((_, level))) => samples + self.count() * 4 + level.end,
            (_, None) => samples + self.count() * 4 + self.instance.frame(self.frame).map_or(0, |f| f.len),
        }
    }

    /// Decodes it. `source` is the instance.
    pub fn samples(&self, archive: &Archive, instance: &Instance, source: &Source) -> Result<Samples, Error> {
        match self.level {
            Some((entry, level)) => prefix(archive, instance, entry, level),
            None => whole(source, self.frame),
        }
    }
}

/// Is this level (they come coarsest first) fine enough for the viewport?
fn will_do(level: &LevelEntry, instance: &Instance, viewport: Option<(u32, u32)>) -> bool {
    let full = (instance.facts.columns, instance.facts.rows);
    let (width, height) = viewport.map_or(full, |viewport| super::scale::fitted(full, viewport, false));
    level.level == 0 || (level.width >= width && level.height >= height)
}

/// Decodes one level from the bytes that hold it.
fn prefix(archive: &Archive, instance: &Instance, entry: &FrameEntry, level: &LevelEntry) -> Result<Samples, Error> {
    let image = &instance.facts;
    let mut codestream = vec![0; usize::try_from(level.end.min(entry.len)).map_err(|_| Error::Mismatch("too large"))?];
    archive.object(instance)?.read_frame_at(entry, 0, &mut codestream)?;

    let stride = level.width as usize * usize::from(image.samples);
    let count = stride * level.height as usize;
    let mut grid = match (image.bits_allocated, image.signed) {
        (..=8, false) => Grid::U8(vec![0; count]),
        (..=8, true) => Grid::I8(vec![0; count]),
        (..=16, false) => Grid::U16(vec![0; count]),
        (..=16, true) => Grid::I16(vec![0; count]),
        _ => Grid::I32(vec![0; count]),
    };
    let out = match &mut grid {
        Grid::U8(v) => SamplesMut::U8(v),
        Grid::I8(v) => SamplesMut::I8(v),
        Grid::U16(v) => SamplesMut::U16(v),
        Grid::I16(v) => SamplesMut::I16(v),
        Grid::I32(v) => SamplesMut::I32(v),
        Grid::Stored(..) | Grid::F32(_) | Grid::F64(_) => return Err(Error::Mismatch("no floats in a codestream")),
    };
    let mut limits = Limits::default();
    limits.max_pixels = MAX_SAMPLES * 64;
    let decoded = Decoder::with_limits(limits)
        .decode(&codestream, level.level, out, stride)
        .map_err(|error| Error::Codestream(error.to_string()))?;
    if (decoded.width, decoded.height, decoded.components) != (level.width, level.height, image.samples) {
        return Err(Error::Mismatch("the codestream has another size"));
    }
    Ok(Samples {
        width: level.width,
        height: level.height,
        channels: image.samples,
        bits: image.bits_stored,
        ybr: image.photometric.starts_with("YBR_FULL"),
        grid,
    })
}

/// Decodes a whole frame.
fn whole(source: &Source, frame: u32) -> Result<Samples, Error> {
    let facts = source.facts();
    let mut bytes = Vec::new();
    source.decode_frame(frame, &mut bytes)?;
    let grid = match (facts.pixels, facts.bits_allocated) {
        (Pixels::Float, 32) => Grid::F32(bytes),
        (Pixels::Float, _) => Grid::F64(bytes),
        (_, ..=8) => Grid::Stored(bytes, Cell::new(1, facts)),
        (_, ..=16) => Grid::Stored(bytes, Cell::new(2, facts)),
        (_, 32) => Grid::Stored(bytes, Cell::new(4, facts)),
        _ => return Err(Error::NoImage("samples of that size are not rendered")),
    };
    Ok(Samples {
        width: facts.columns,
        height: facts.rows,
        channels: facts.samples,
        bits: facts.bits_stored,
        ybr: source.is_ybr(),
        grid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(bytes: u8, shift: u8, bits: u8, signed: bool) -> Cell {
        Cell { bytes, shift, bits, signed }
    }

    #[test]
    fn bits_outside_the_stored_ones_are_no_samples() {
        assert_eq!([0xF8FF, 1].map(|v| cell(2, 0, 12, true).number(v)), [-1793, 1]);
        assert_eq!(cell(2, 0, 12, false).number(0xF8FF), 0x8FF);
        assert_eq!(cell(2, 4, 12, true).number(0xFFF0), -1);
        assert_eq!([0x0F, 0x08].map(|v| cell(1, 0, 4, true).number(v)), [-1, -8]);
        assert_eq!(cell(1, 3, 5, false).number(0xFF), 31);
        assert_eq!(cell(4, 0, 32, false).number(u32::MAX), 4_294_967_295);
        assert_eq!(cell(4, 0, 32, true).number(u32::MAX), -1);
        assert_eq!(cell(4, 8, 24, false).number(0xFFFF_FF00), 0xFF_FFFF);
    }

    #[test]
    fn patterns_are_places_in_the_list_of_numbers() {
        let stored = |bytes: &[u8], cell| Grid::Stored(bytes.to_vec(), cell);
        for grid in [
            Grid::I16(vec![-2000, 5, i16::MIN]),
            Grid::I8(vec![-2, 5, 127]),
            Grid::U16(vec![65535, 5, 0]),
            stored(&[0xFF, 0x80, 1], cell(1, 0, 8, true)),
            stored(&[0xFF, 0xF8, 0, 8, 3, 0], cell(2, 0, 12, true)),
        ] {
            let numbers = grid.numbers();
            for at in 0..3 {
                let number = numbers[usize::from(grid.pattern(at).unwrap())];
                assert_eq!((number, number as f64), (grid.integer(at), grid.value(at)), "{grid:?}");
            }
        }
        let floats = Grid::F32(f32::NEG_INFINITY.to_le_bytes().to_vec());
        assert_eq!((floats.len(), floats.pattern(0), floats.numbers().len()), (1, None, 0));
    }
}
