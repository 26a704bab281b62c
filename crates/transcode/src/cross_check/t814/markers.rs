//! The marker segments of a codestream (T.800 Annex A, T.814 Annex A), of the one form that this decoder has.

use super::{Result, damaged, form};
use std::ops::Range;

const SOC: u16 = 0xFF4F;
const CAP: u16 = 0xFF50;
const SIZ: u16 = 0xFF51;
const COD: u16 = 0xFF52;
const TLM: u16 = 0xFF55;
const QCD: u16 = 0xFF5C;
const COM: u16 = 0xFF64;
const SOT: u16 = 0xFF90;
const SOD: u16 = 0xFF93;
const EOC: u16 = 0xFFD9;

/// What the marker segments tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: usize,
    pub(super) precision: u8,
    pub(super) signed: bool,
    /// The first three components are decorrelated.
    pub(super) colour: bool,
    /// The 5/3 transform, without quantization.
    pub(super) reversible: bool,
    /// How often the image is halved.
    pub(super) decompositions: usize,
    quantized: bool,
    guard_bits: u8,
    /// Exponent and mantissa of each sub-band: LL, then HL, LH and HH from the coarsest on.
    steps: Vec<(u8, u16)>,
    /// Where the packets are: one range a tile-part.
    pub(super) parts: Vec<Range<usize>>,
}

impl Header {
    /// Magnitude bits of a sub-band (T.800 E-2).
    pub(super) fn bits(&self, band: usize) -> u8 {
        (self.guard_bits + self.steps[band].0).saturating_sub(1)
    }

    /// The quantization step of a sub-band whose gain is 2 to the power of `gain` (T.800 E-3).
    pub(super) fn step(&self, band: usize, gain: u8) -> f32 {
        let (exponent, mantissa) = self.steps[band];
        let range = i32::from(self.precision + gain) - i32::from(exponent);
        (1.0 + f32::from(mantissa) / 2048.0) * (range as f32).exp2()
    }
}

/// Reads whole words, as long as there are any.
struct Bytes<'a> {
    stream: &'a [u8],
    at: usize,
    end: usize,
}

impl Bytes<'_> {
    fn word(&mut self, size: usize) -> Result<u32> {
        let bytes = self.stream.get(self.at..self.at + size).filter(|_| self.at + size <= self.end);
        let bytes = bytes.ok_or_else(|| damaged("a marker segment is cut short"))?;
        self.at += size;
        Ok(bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
    }

    fn u16(&mut self) -> Result<u16> {
        self.word(2).map(|word| word as u16)
    }

    fn u8(&mut self) -> Result<u8> {
        self.word(1).map(|word| word as u8)
    }

    /// The bytes of a marker segment behind its length.
    fn segment(&mut self) -> Result<Bytes<'_>> {
        let length = usize::from(self.u16()?);
        let (at, end) = (self.at, self.at + length.saturating_sub(2));
        if length < 2 || end > self.end {
            return Err(damaged("a marker segment is cut short"));
        }
        self.at = end;
        Ok(Bytes { stream: self.stream, at, end })
    }

    fn left(&self) -> usize {
        self.end - self.at
    }

    fn over(&self, name: &str) -> Result<()> {
        if self.left() == 0 { Ok(()) } else { Err(damaged(&format!("{name} is longer than what it tells"))) }
    }
}

/// An error unless what is told is what this decoder has.
fn only(is: bool, otherwise: impl Into<String>) -> Result<()> {
    if is { Ok(()) } else { Err(form(otherwise)) }
}

/// Reads all marker segments. Nothing is allocated for an image of more than so many samples.
pub(super) fn read(stream: &[u8], most_samples: usize) -> Result<Header> {
    let mut bytes = Bytes { stream, at: 0, end: stream.len() };
    let mut header = Header::default();
    let (mut seen, mut told) = (Vec::new(), Vec::new());
    if bytes.u16()? != SOC {
        return Err(damaged("the stream does not begin with SOC"));
    }
    loop {
        let marker = bytes.u16()?;
        if marker == SOT {
            break;
        }
        if ![TLM, COM].contains(&marker) && seen.contains(&marker) {
            return Err(damaged(&format!("the marker segment {marker:04X} is there twice")));
        }
        if seen.is_empty() && marker != SIZ {
            return Err(damaged("SIZ is not the first marker segment"));
        }
        seen.push(marker);
        let segment = bytes.segment()?;
        match marker {
            SIZ => size(segment, &mut header, most_samples)?,
            CAP => capabilities(segment)?,
            COD => coding(segment, &mut header)?,
            QCD => quantization(segment, &mut header)?,
            TLM => lengths(segment, &mut told)?,
            COM => {}
            _ => return Err(form(format!("the marker segment {marker:04X}"))),
        }
    }
    for (marker, name) in [(CAP, "CAP"), (COD, "COD"), (QCD, "QCD")] {
        if !seen.contains(&marker) {
            return Err(damaged(&format!("{name} is missing")));
        }
    }
    if header.reversible == header.quantized {
        return Err(damaged("COD and QCD contradict each other"));
    }
    if header.steps.len() < 3 * header.decompositions + 1 {
        return Err(damaged("QCD has too few sub-bands"));
    }
    let found = tile_parts(&mut bytes, &mut header.parts)?;
    if !told.is_empty() && told != found {
        return Err(damaged("TLM tells of other tile-parts"));
    }
    Ok(header)
}

/// SIZ (A.5.1): one tile, every component alike.
fn size(mut segment: Bytes<'_>, header: &mut Header, most_samples: usize) -> Result<()> {
    only(segment.u16()? & 0x4000 != 0, "a coding that is not of high throughput")?;
    let mut words = [0; 8];
    for word in &mut words {
        *word = segment.word(4)?;
    }
    let [width, height, x, y, tile_width, tile_height, tile_x, tile_y] = words;
    only((x, y, tile_x, tile_y) == (0, 0, 0, 0), "an image that is not at the origin")?;
    header.components = segment.u16()?.into();
    (header.width, header.height) = (width as usize, height as usize);
    let samples = u128::from(width) * u128::from(height) * header.components as u128;
    if samples == 0 || samples > most_samples as u128 {
        return Err(damaged(&format!("{samples} samples where {most_samples} should be")));
    }
    only(tile_width >= width && tile_height >= height, "more than one tile")?;
    only(width <= 1 << 15 && height <= 1 << 15, format!("{width} x {height} pixels, more than one precinct"))?;
    only(header.components <= 4, format!("{} components", header.components))?;
    for n in 0..header.components {
        let depth = segment.u8()?;
        (header.precision, header.signed) = match n {
            0 => ((depth & 0x7F) + 1, depth & 0x80 != 0),
            _ => (header.precision, header.signed),
        };
        only(header.precision <= 16, format!("samples of {} bits", header.precision))?;
        only(depth == (header.precision - 1) | (u8::from(header.signed) << 7), "components of several depths")?;
        only(segment.u16()? == 0x0101, "sub-sampled components")?;
    }
    segment.over("SIZ")
}

/// CAP (T.814 Annex A): all blocks are of this coding, and each has one set of passes.
fn capabilities(mut segment: Bytes<'_>) -> Result<()> {
    only(segment.word(4)? == 1 << (32 - 15), "capabilities of further parts")?;
    let part_15 = segment.u16()?;
    only(part_15 >> 14 == 0, "blocks of another coding")?;
    only(part_15 >> 13 & 1 == 0, "blocks of several sets of passes")?;
    only(part_15 >> 12 & 1 == 0, "a region of interest")?;
    segment.over("CAP")
}

/// COD (T.800 A.6.1).
fn coding(mut segment: Bytes<'_>, header: &mut Header) -> Result<()> {
    let style = segment.u8()?;
    only(style & !1 == 0, "markers between packets")?;
    only(segment.u8()? == 2, "another progression than RPCL")?;
    only(segment.u16()? == 1, "several layers")?;
    header.colour = match segment.u8()? {
        0 => false,
        1 if header.components == 3 => true,
        _ => return Err(form("another transform of components")),
    };
    header.decompositions = segment.u8()?.into();
    if header.decompositions > 32 {
        return Err(damaged("more than 32 decompositions"));
    }
    only(segment.u16()? == 0x0404, "code-blocks that are not 64 x 64")?;
    only(segment.u8()? == 0x40, "another style of code-blocks")?;
    header.reversible = match segment.u8()? {
        0 => false,
        1 => true,
        _ => return Err(form("another wavelet transform")),
    };
    if style & 1 == 1 {
        for _ in 0..=header.decompositions {
            only(segment.u8()? == 0xFF, "several precincts")?;
        }
    }
    segment.over("COD")
}

/// QCD (T.800 A.6.4).
fn quantization(mut segment: Bytes<'_>, header: &mut Header) -> Result<()> {
    let style = segment.u8()?;
    header.guard_bits = style >> 5;
    header.quantized = style & 0x1F != 0;
    match style & 0x1F {
        0 => {
            for _ in 0..segment.left() {
                header.steps.push((segment.u8()? >> 3, 0));
            }
        }
        2 => {
            while segment.left() > 0 {
                let step = segment.u16()?;
                header.steps.push(((step >> 11) as u8, step & 0x7FF));
            }
        }
        _ => return Err(form("quantization steps that are derived")),
    }
    Ok(())
}

/// TLM (T.800 A.7.1): tile and length of each tile-part.
fn lengths(mut segment: Bytes<'_>, told: &mut Vec<(u32, usize)>) -> Result<()> {
    segment.u8()?;
    let sizes = segment.u8()?;
    let (tile, length) = (usize::from(sizes >> 4 & 3), if sizes >> 6 & 1 == 1 { 4 } else { 2 });
    while segment.left() > 0 {
        told.push((segment.word(tile)?, segment.word(length)? as usize));
    }
    Ok(())
}

/// From behind the first SOT to the end (A.4.2). Gives tile and length of each tile-part.
fn tile_parts(bytes: &mut Bytes<'_>, parts: &mut Vec<Range<usize>>) -> Result<Vec<(u32, usize)>> {
    let mut found = Vec::new();
    let mut number_of_parts = 0;
    loop {
        let start = bytes.at - 2;
        let mut segment = bytes.segment()?;
        let (tile, length) = (u32::from(segment.u16()?), segment.word(4)? as usize);
        let (part, of) = (segment.u8()?, segment.u8()?);
        segment.over("SOT")?;
        only(tile == 0, "more than one tile")?;
        if usize::from(part) != found.len() {
            return Err(damaged("tile-parts are out of order"));
        }
        if of != 0 {
            number_of_parts = of;
        }
        only(bytes.u16()? == SOD, "marker segments in a tile-part")?;
        // The last tile-part may go up to EOC without a length.
        let end = if length == 0 { bytes.end.saturating_sub(2) } else { start + length };
        if end < bytes.at || end > bytes.end {
            return Err(damaged("a tile-part is cut short"));
        }
        parts.push(bytes.at..end);
        found.push((tile, length));
        bytes.at = end;
        match bytes.u16() {
            Ok(EOC) => break,
            Ok(SOT) if found.len() < 255 => {}
            _ => return Err(damaged("there is no EOC behind the last tile-part")),
        }
    }
    if number_of_parts != 0 && usize::from(number_of_parts) != found.len() {
        return Err(damaged("a tile-part is missing"));
    }
    if bytes.left() > 1 {
        return Err(damaged("there are bytes behind EOC"));
    }
    Ok(found)
}
