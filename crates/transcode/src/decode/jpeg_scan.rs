//! Scans of JPEG with the cosine transform (T.81 Annexes A, F and G): Huffman-coded blocks, sequential or progressive, to planes of
//! samples.

use super::huffman::{Bits, Table, bad, byte_at, next_marker, restart_interval, u16_at};
use super::jpeg_idct;
use dicom::error::{Error, Result};
use dicom::facts::Facts;

/// Index of the n-th coefficient of a block in zig-zag order (T.81 Figure A.6).
const ZIG_ZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Scans of one image: each passes over all blocks, so their number is bounded.
const MAX_SCANS: u32 = 256;

/// One component: its blocks as samples.
pub(super) struct Part {
    id: u8,
    pub(super) h: usize,
    pub(super) v: usize,
    quantisation: usize,
    pub(super) plane: Vec<u16>,
    /// Samples a row, whole blocks.
    pub(super) stride: usize,
    /// Blocks that a scan of this component alone has.
    blocks: (usize, usize),
    /// Of a progressive image: what is known of the coefficients, block by block.
    coefficients: Vec<i16>,
    seen: bool,
}

/// The image while its scans are read.
pub(super) struct Image {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) parts: Vec<Part>,
    precision: u8,
    progressive: bool,
    quantisation: [[u16; 64]; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart: usize,
}

/// What a scan needs of a component.
struct Coded {
    part: usize,
    dc: Option<Table>,
    ac: Option<Table>,
    predicted: i32,
}

/// The part of the coefficients that a scan of a progressive image brings (T.81 G.1.1.1).
#[derive(Clone, Copy)]
struct Band {
    start: usize,
    end: usize,
    /// A later scan of these coefficients: one bit more of each.
    refines: bool,
    /// Bits that are still to come.
    low: u32,
}

impl Part {
    /// Samples that belong to the image.
    pub(super) fn size(&self, image: &Image) -> (usize, usize) {
        let (h_max, v_max) = image.sampling();
        ((image.width * self.h).div_ceil(h_max), (image.height * self.v).div_ceil(v_max))
    }
}

impl Image {
    /// Reads all scans of a frame whose header agrees with the attributes.
    pub(super) fn read(facts: &Facts, precision: u8, stored: &[u8]) -> Result<Image> {
        let mut image = Image {
            width: facts.columns as usize,
            height: facts.rows as usize,
            parts: Vec::new(),
            precision,
            progressive: false,
            quantisation: [[1; 64]; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart: 0,
        };
        image.segments(stored)?;
        if image.progressive {
            image.transform();
        }
        Ok(image)
    }

    pub(super) fn sampling(&self) -> (usize, usize) {
        let max = |f: fn(&Part) -> usize| self.parts.iter().map(f).max().unwrap_or(1);
        (max(|p| p.h), max(|p| p.v))
    }

    fn segments(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut at, mut scans) = (2, 0);
        loop {
            let (marker, body) = next_marker(bytes, &mut at)?;
            match marker {
                0xC0..=0xC2 => {
                    self.progressive = marker == 0xC2;
                    self.frame_header(body)?;
                }
                0xC4 => self.huffman_tables(body)?,
                0xDB => self.quantisation_tables(body)?,
                0xDD => self.restart = restart_interval(body)?,
                0xDA => {
                    scans += 1;
                    if scans > MAX_SCANS {
                        return Err(Error::Limit(format!("more than {MAX_SCANS} scans of a JPEG image")));
                    }
                    at += self.scan(body, bytes.get(at..).unwrap_or_default())?;
                    if !self.progressive && self.parts.iter().all(|p| p.seen) {
                        return Ok(());
                    }
                }
                0xC3..=0xCF if marker != 0xCC => {
                    return Err(Error::unsupported(format!("JPEG process of marker FF{marker:02X}")));
                }
                0xD9 if self.progressive && self.parts.iter().all(|p| p.seen) => return Ok(()),
                0xD9 => return Err(bad("the image ends before every component has come")),
                _ => {}
            }
        }
    }

    fn frame_header(&mut self, body: &[u8]) -> Result<()> {
        let count = usize::from(byte_at(body, 5)?);
        let mut heads = Vec::with_capacity(count);
        for n in 0..count {
            let sampling = byte_at(body, 7 + 3 * n)?;
            heads.push((
                byte_at(body, 6 + 3 * n)?,
                usize::from(sampling >> 4),
                usize::from(sampling & 15),
                byte_at(body, 8 + 3 * n)?,
            ));
        }
        if !self.parts.is_empty()
            || heads.iter().any(|(_, h, v, q)| !(1..=4).contains(h) || !(1..=4).contains(v) || *q > 3)
        {
            return Err(bad("a frame header that can't be"));
        }
        let h_max = heads.iter().map(|h| h.1).max().unwrap_or(1);
        let v_max = heads.iter().map(|h| h.2).max().unwrap_or(1);
        for (id, h, v, quantisation) in heads {
            let (units_x, units_y) = (self.width.div_ceil(8 * h_max), self.height.div_ceil(8 * v_max));
            let own = |size: usize, factor: usize, max: usize| (size * factor).div_ceil(max).div_ceil(8);
            let stride = units_x * h * 8;
            let plane = vec![0; stride * units_y * v * 8];
            let blocks = (own(self.width, h, h_max), own(self.height, v, v_max));
            let coefficients = if self.progressive { vec![0; plane.len()] } else { Vec::new() };
            self.parts.push(Part {
                id,
                h,
                v,
                quantisation: usize::from(quantisation),
                plane,
                stride,
                blocks,
                coefficients,
                seen: false,
            });
        }
        Ok(())
    }

    fn huffman_tables(&mut self, mut body: &[u8]) -> Result<()> {
        while !body.is_empty() {
            let head = byte_at(body, 0)?;
            let (table, used) = Table::parse(&body[1..])?;
            let class = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *class.get_mut(usize::from(head & 15)).ok_or_else(|| bad("a fifth Huffman table"))? = Some(table);
            body = &body[1 + used..];
        }
        Ok(())
    }

    fn quantisation_tables(&mut self, mut body: &[u8]) -> Result<()> {
        while !body.is_empty() {
            let head = byte_at(body, 0)?;
            let size = if head >> 4 == 0 { 1 } else { 2 };
            let table =
                self.quantisation.get_mut(usize::from(head & 15)).ok_or_else(|| bad("a fifth quantisation table"))?;
            for (n, value) in table.iter_mut().enumerate() {
                *value = if size == 1 { byte_at(body, 1 + n)?.into() } else { u16_at(body, 1 + 2 * n)? };
            }
            body = &body[1 + 64 * size..];
        }
        Ok(())
    }

    /// Decodes one scan; returns the bytes of entropy-coded data that it took.
    fn scan(&mut self, body: &[u8], data: &[u8]) -> Result<usize> {
        let count = usize::from(byte_at(body, 0)?);
        let mut coded = Vec::with_capacity(count);
        for n in 0..count {
            let (id, tables) = (byte_at(body, 1 + 2 * n)?, byte_at(body, 2 + 2 * n)?);
            let part =
                self.parts.iter().position(|p| p.id == id).ok_or_else(|| bad("a scan of an unknown component"))?;
            let find = |list: &[Option<Table>; 4], slot: u8| list.get(usize::from(slot)).cloned().flatten();
            coded.push(Coded { part, dc: find(&self.dc, tables >> 4), ac: find(&self.ac, tables & 15), predicted: 0 });
            self.parts[part].seen = true;
        }
        let band = self.band(body.get(1 + 2 * count..).unwrap_or_default(), count)?;
        for table in &coded {
            let (dc, ac) = (table.dc.is_some(), table.ac.is_some());
            let ready = match band {
                None => dc && ac,
                Some(band) if band.start == 0 => dc || band.refines,
                Some(_) => ac,
            };
            if !ready {
                return Err(bad("a scan without its Huffman tables"));
            }
        }
        let mut bits = Bits::new(data);
        match coded.as_mut_slice() {
            [] => return Err(bad("a scan of no component")),
            [alone] => self.alone(alone, band, &mut bits)?,
            several => self.interleaved(several, band, &mut bits)?,
        }
        Ok(bits.at)
    }

    /// Spectral selection and successive approximation of a scan; `None` in a sequential image.
    fn band(&self, body: &[u8], components: usize) -> Result<Option<Band>> {
        if !self.progressive {
            return Ok(None);
        }
        let (start, end) = (usize::from(byte_at(body, 0)?), usize::from(byte_at(body, 1)?));
        let (high, low) = (byte_at(body, 2)? >> 4, byte_at(body, 2)? & 15);
        let sound = if start == 0 { end == 0 } else { start <= end && end < 64 && components == 1 };
        if !sound || low > 13 {
            return Err(bad("a scan of coefficients that can't be"));
        }
        Ok(Some(Band { start, end, refines: high > 0, low: u32::from(low) }))
    }

    fn alone(&mut self, coded: &mut Coded, band: Option<Band>, bits: &mut Bits<'_>) -> Result<()> {
        let mut run = 0;
        let (across, down) = self.parts[coded.part].blocks;
        for unit in 0..across * down {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                bits.restart(unit / self.restart)?;
                (coded.predicted, run) = (0, 0);
            }
            self.block(coded, band, (unit % across, unit / across), &mut run, bits)?;
        }
        Ok(())
    }

    fn interleaved(&mut self, several: &mut [Coded], band: Option<Band>, bits: &mut Bits<'_>) -> Result<()> {
        let (h_max, v_max) = self.sampling();
        let (across, down) = (self.width.div_ceil(8 * h_max), self.height.div_ceil(8 * v_max));
        for unit in 0..across * down {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                bits.restart(unit / self.restart)?;
                several.iter_mut().for_each(|c| c.predicted = 0);
            }
            for coded in several.iter_mut() {
                let (h, v) = (self.parts[coded.part].h, self.parts[coded.part].v);
                for n in 0..h * v {
                    let place = (unit % across * h + n % h, unit / across * v + n / h);
                    self.block(coded, band, place, &mut 0, bits)?;
                }
            }
        }
        Ok(())
    }

    /// Decodes what a scan has of the block at `place`. `run`: blocks that follow without coefficients in this band.
    fn block(
        &mut self,
        coded: &mut Coded,
        band: Option<Band>,
        place: (usize, usize),
        run: &mut u32,
        bits: &mut Bits<'_>,
    ) -> Result<()> {
        let part = &mut self.parts[coded.part];
        let tables = || bad("a scan without its Huffman tables");
        let Some(band) = band else {
            let (dc, ac) = (coded.dc.as_ref().ok_or_else(tables)?, coded.ac.as_ref().ok_or_else(tables)?);
            let block = sequential(dc, ac, &mut coded.predicted, &self.quantisation[part.quantisation], bits)?;
            part.put(place, &block, self.precision);
            return Ok(());
        };
        let at = (place.1 * part.stride / 8 + place.0) * 64;
        let block =
            part.coefficients[at..].first_chunk_mut::<64>().ok_or_else(|| bad("a block outside of the image"))?;
        match (band.start, band.refines) {
            (0, false) => {
                coded.predicted = coded.predicted.wrapping_add(bits.difference(coded.dc.as_ref().ok_or_else(tables)?)?);
                block[0] = (coded.predicted << band.low) as i16;
            }
            (0, true) => block[0] |= (bits.bit()? as i16) << band.low,
            (_, false) => first_scan(block, band, run, coded.ac.as_ref().ok_or_else(tables)?, bits)?,
            (_, true) => later_scan(block, band, run, coded.ac.as_ref().ok_or_else(tables)?, bits)?,
        }
        Ok(())
    }

    /// All coefficients are there: makes samples of them.
    fn transform(&mut self) {
        for part in &mut self.parts {
            let across = part.stride / 8;
            let table = self.quantisation[part.quantisation];
            let coefficients = std::mem::take(&mut part.coefficients);
            for (n, stored) in coefficients.as_chunks::<64>().0.iter().enumerate() {
                let mut block = [0; 64];
                for (index, (coefficient, step)) in stored.iter().zip(table).enumerate() {
                    block[usize::from(ZIG_ZAG[index])] = i32::from(*coefficient) * i32::from(step);
                }
                part.put((n % across, n / across), &block, self.precision);
            }
        }
    }
}

impl Part {
    /// Transforms a block and puts its samples into the plane.
    fn put(&mut self, (x, y): (usize, usize), block: &[i32; 64], precision: u8) {
        let samples = jpeg_idct::inverse(block, precision);
        let (middle, top) = (1 << (precision - 1), (1 << precision) - 1);
        for (row, values) in samples.as_chunks::<8>().0.iter().enumerate() {
            let at = (y * 8 + row) * self.stride + x * 8;
            for (to, value) in self.plane[at..at + 8].iter_mut().zip(values) {
                *to = value.saturating_add(middle).clamp(0, top) as u16;
            }
        }
    }
}

/// A whole block, dequantised and in rows (T.81 F.2.2).
fn sequential(
    dc: &Table,
    ac: &Table,
    predicted: &mut i32,
    steps: &[u16; 64],
    bits: &mut Bits<'_>,
) -> Result<[i32; 64]> {
    let mut block = [0; 64];
    *predicted = predicted.wrapping_add(bits.difference(dc)?);
    block[0] = predicted.wrapping_mul(i32::from(steps[0]));
    let mut n = 1;
    while n < 64 {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && run < 15 {
            break;
        }
        n += run;
        if size > 0 {
            let value = bits.extended(size)?;
            let place = ZIG_ZAG.get(n).ok_or_else(too_many)?;
            block[usize::from(*place)] = value * i32::from(steps[n]);
        }
        n += 1;
    }
    Ok(block)
}

/// The first bits of coefficients other than the first (T.81 G.1.2.2). `block` is in zig-zag order.
fn first_scan(block: &mut [i16; 64], band: Band, run: &mut u32, ac: &Table, bits: &mut Bits<'_>) -> Result<()> {
    if *run > 0 {
        *run -= 1;
        return Ok(());
    }
    let mut n = band.start;
    while n <= band.end {
        let symbol = bits.symbol(ac)?;
        let (zeros, size) = (symbol >> 4, u32::from(symbol & 15));
        if size == 0 && zeros < 15 {
            *run = (1 << zeros) - 1 + bits.take(zeros.into())?;
            break;
        }
        n += usize::from(zeros);
        if size > 0 {
            let value = bits.extended(size)? << band.low;
            *block.get_mut(n).ok_or_else(too_many)? = value as i16;
        }
        n += 1;
    }
    Ok(())
}

/// One bit more of coefficients that are not zero yet, and new ones (T.81 G.1.2.3).
fn later_scan(block: &mut [i16; 64], band: Band, run: &mut u32, ac: &Table, bits: &mut Bits<'_>) -> Result<()> {
    let bit = 1i16 << band.low;
    let mut n = band.start;
    while *run == 0 && n <= band.end {
        let symbol = bits.symbol(ac)?;
        let (mut zeros, size) = (symbol >> 4, symbol & 15);
        let new = match (size, zeros) {
            (0, 15) => 0,
            (0, _) => {
                *run = (1 << zeros) + bits.take(zeros.into())?;
                break;
            }
            _ if bits.bit()? == 1 => bit,
            _ => -bit,
        };
        // Zeros are counted; what is not zero takes its bit on the way.
        while n <= band.end {
            if block[n] != 0 {
                refine(&mut block[n], bit, bits)?;
            } else if zeros == 0 {
                block[n] = new;
                n += 1;
                break;
            } else {
                zeros -= 1;
            }
            n += 1;
        }
    }
    if *run > 0 {
        for value in block[n..=band.end].iter_mut().filter(|v| **v != 0) {
            refine(value, bit, bits)?;
        }
        *run -= 1;
    }
    Ok(())
}

/// A correction bit: away from zero, once.
fn refine(value: &mut i16, bit: i16, bits: &mut Bits<'_>) -> Result<()> {
    if bits.bit()? == 1 && *value & bit == 0 {
        *value = value.saturating_add(if *value > 0 { bit } else { -bit });
    }
    Ok(())
}

fn too_many() -> Error {
    bad("a block of more than 64 coefficients")
}
