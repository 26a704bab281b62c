//! Samples for rendering: of HTJ2K only the prefix that holds the level needed is read and decoded.

use super::Error;
use archive::{Archive, FrameEntry, Instance, LevelEntry};
use htj2k::{Decoder, Limits, SamplesMut};
use transcode::{Pixels, Source, TransferSyntax};

/// More pixels than this in one rendered frame are refused.
const MAX_PIXELS: u64 = 1 << 28;

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
    F64(Vec<f64>),
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
            Grid::F64(v) => v.len(),
        }
    }

    /// One sample.
    pub fn value(&self, at: usize) -> f64 {
        match self {
            Grid::U8(v) => v[at].into(),
            Grid::I8(v) => v[at].into(),
            Grid::U16(v) => v[at].into(),
            Grid::I16(v) => v[at].into(),
            Grid::I32(v) => v[at].into(),
            Grid::F64(v) => v[at],
        }
    }
}

impl Samples {
    /// A grey image of 8 bits.
    #[cfg(test)]
    pub fn grey8(width: u32, height: u32, data: Vec<u8>) -> Samples {
        Samples { width, height, channels: 1, bits: 8, ybr: false, grid: Grid::U8(data) }
    }
}

/// The samples of frame `frame` (from 0), no coarser than `viewport` needs.
pub fn samples(
    archive: &Archive,
    instance: &Instance,
    frame: u32,
    viewport: Option<(u32, u32)>,
) -> Result<Samples, Error> {
    let image = &instance.facts;
    if image.rows == 0 || image.columns == 0 || image.pixels == Pixels::None {
        return Err(Error::NoImage("no image in it"));
    }
    let syntax = TransferSyntax::new(&instance.transfer_syntax);
    if syntax.is_video() {
        return Err(Error::NoImage("a video: no image of it is rendered"));
    }
    let entry = instance.frames.get(frame as usize);
    let level = entry.and_then(|entry| entry.levels.iter().find(|level| will_do(level, instance, viewport)));
    match (entry, level) {
        (Some(entry), Some(level)) if syntax.is_htj2k() => prefix(archive, instance, entry, level),
        _ => whole(&archive.source(instance)?, frame),
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
    let pixels = u64::from(level.width) * u64::from(level.height);
    check_size(pixels * u64::from(image.samples))?;
    let mut codestream = vec![0; usize::try_from(level.end.min(entry.len)).map_err(|_| Error::Mismatch("too large"))?];
    archive.object(instance)?.read_frame_at(entry, 0, &mut codestream)?;

    let count = pixels as usize * usize::from(image.samples);
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
        Grid::F64(_) => return Err(Error::Mismatch("no floats in a codestream")),
    };
    let stride = level.width as usize * usize::from(image.samples);
    let mut limits = Limits::default();
    limits.max_pixels = MAX_PIXELS * 64;
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
    check_size(u64::from(facts.rows) * u64::from(facts.columns) * u64::from(facts.samples))?;
    let mut bytes = Vec::new();
    source.decode_frame(frame, &mut bytes)?;
    let native = facts.pixels == Pixels::Native;
    let shift = if native { (facts.high_bit + 1).saturating_sub(facts.bits_stored) } else { 0 };
    let grid = match (facts.pixels, facts.bits_allocated) {
        (Pixels::Float, 32) => {
            Grid::F64(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b).into()).collect())
        }
        (Pixels::Float, _) => Grid::F64(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
        (_, ..=8) => bytes8(bytes, facts.bits_stored, shift, facts.signed),
        (_, ..=16) => words(&bytes, facts.bits_stored, shift, facts.signed),
        (_, 32) => Grid::I32(bytes.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect()),
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

fn check_size(samples: u64) -> Result<(), Error> {
    if samples > MAX_PIXELS { Err(Error::NoImage("the image is too large to be rendered")) } else { Ok(()) }
}

fn bytes8(bytes: Vec<u8>, stored: u16, shift: u16, signed: bool) -> Grid {
    let (stored, shift) = (stored.clamp(1, 8), shift.min(7));
    if signed {
        return Grid::I8(bytes.iter().map(|b| ((b >> shift) << (8 - stored)) as i8 >> (8 - stored)).collect());
    }
    if stored == 8 || shift + stored > 8 {
        return Grid::U8(bytes);
    }
    Grid::U8(bytes.iter().map(|b| (b >> shift) & ((1u16 << stored) - 1) as u8).collect())
}

/// 16-bit words: bits outside Bits Stored are no samples (PS3.5 8.1.1).
fn words(bytes: &[u8], stored: u16, shift: u16, signed: bool) -> Grid {
    let (stored, shift) = (stored.clamp(1, 16), shift.min(15));
    let words = bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b) >> shift);
    let unused = 16 - stored;
    if signed {
        return Grid::I16(words.map(|w| (w << unused) as i16 >> unused).collect());
    }
    Grid::U16(words.map(|w| (w << unused) >> unused).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_outside_the_stored_ones_are_no_samples() {
        assert_eq!(words(&[0xFF, 0xF8, 0x01, 0x00], 12, 0, true), Grid::I16(vec![-1793, 1]));
        assert_eq!(words(&[0xFF, 0xF8], 12, 0, false), Grid::U16(vec![0x8FF]));
        assert_eq!(words(&[0xF0, 0xFF], 12, 4, true), Grid::I16(vec![-1]));
        assert_eq!(bytes8(vec![0x0F, 0x08], 4, 0, true), Grid::I8(vec![-1, -8]));
        assert_eq!(bytes8(vec![0xFF], 5, 3, false), Grid::U8(vec![31]));
    }
}
