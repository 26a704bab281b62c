//! Sequential JPEG with the cosine transform and 12 bits (T.81 processes 2 and 4, Annexes A and F): always lossy, decoded for
//! display only.

use super::huffman::{Bits, Table, bad, byte_at, next_marker, u16_at};
use super::place;
use crate::error::{Error, Result};
use crate::facts::Facts;

/// Index of the n-th coefficient of a block in zig-zag order (T.81 Figure A.6).
const ZIG_ZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

pub(super) fn frame(facts: &Facts, precision: u8, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut image = Image::new(facts, precision);
    image.read(stored)?;
    let (width, height) = (image.width, image.height);
    let parts = &image.parts;
    let (h_max, v_max) = image.sampling();
    let sample = |x: usize, y: usize, p: &Part| i32::from(p.plane[(y * p.v / v_max) * p.stride + x * p.h / h_max]);
    let samples = (0..height).flat_map(|y| (0..width).flat_map(move |x| parts.iter().map(move |p| sample(x, y, p))));
    place(facts, precision, samples, out)
}

/// One component: its blocks as samples.
struct Part {
    id: u8,
    h: usize,
    v: usize,
    quantisation: usize,
    plane: Vec<u16>,
    /// Samples a row, whole blocks.
    stride: usize,
    /// Blocks that a scan of this component alone has.
    blocks: (usize, usize),
    seen: bool,
}

struct Image {
    width: usize,
    height: usize,
    precision: u8,
    parts: Vec<Part>,
    quantisation: [[u16; 64]; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart: usize,
    cosines: [[f32; 8]; 8],
}

/// What a scan needs of a component.
struct Coded {
    part: usize,
    dc: Table,
    ac: Table,
    predicted: i32,
}

impl Image {
    fn new(facts: &Facts, precision: u8) -> Image {
        let cosine = |x: usize, u: usize| {
            let scale = if u == 0 { std::f32::consts::FRAC_1_SQRT_2 / 2.0 } else { 0.5 };
            scale * ((2 * x + 1) as f32 * u as f32 * std::f32::consts::PI / 16.0).cos()
        };
        Image {
            width: facts.columns as usize,
            height: facts.rows as usize,
            precision,
            parts: Vec::new(),
            quantisation: [[1; 64]; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart: 0,
            cosines: std::array::from_fn(|x| std::array::from_fn(|u| cosine(x, u))),
        }
    }

    fn sampling(&self) -> (usize, usize) {
        let max = |f: fn(&Part) -> usize| self.parts.iter().map(f).max().unwrap_or(1);
        (max(|p| p.h), max(|p| p.v))
    }

    fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let mut at = 2;
        loop {
            let (marker, body) = next_marker(bytes, &mut at)?;
            match marker {
                0xC0 | 0xC1 => self.frame_header(body)?,
                0xC4 => self.huffman_tables(body)?,
                0xDB => self.quantisation_tables(body)?,
                0xDD => self.restart = usize::from(u16_at(body, 0)?),
                0xDA => {
                    at += self.scan(body, bytes.get(at..).unwrap_or_default())?;
                    if self.parts.iter().all(|p| p.seen) {
                        return Ok(());
                    }
                }
                0xC2..=0xCF if marker != 0xCC => {
                    return Err(Error::unsupported(format!(
                        "JPEG process of marker FF{marker:02X} with {} bits",
                        self.precision
                    )));
                }
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
            self.parts.push(Part {
                id,
                h,
                v,
                quantisation: usize::from(quantisation),
                plane,
                stride,
                blocks,
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
            let (dc, ac) = find(&self.dc, tables >> 4)
                .zip(find(&self.ac, tables & 15))
                .ok_or_else(|| bad("a scan without its Huffman tables"))?;
            coded.push(Coded { part, dc, ac, predicted: 0 });
            self.parts[part].seen = true;
        }
        let mut bits = Bits::new(data);
        match coded.as_mut_slice() {
            [] => return Err(bad("a scan of no component")),
            [alone] => self.alone(alone, &mut bits)?,
            several => self.interleaved(several, &mut bits)?,
        }
        Ok(bits.at)
    }

    fn alone(&mut self, coded: &mut Coded, bits: &mut Bits<'_>) -> Result<()> {
        let (across, down) = self.parts[coded.part].blocks;
        for unit in 0..across * down {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                bits.restart()?;
                coded.predicted = 0;
            }
            self.block(coded, unit % across, unit / across, bits)?;
        }
        Ok(())
    }

    fn interleaved(&mut self, several: &mut [Coded], bits: &mut Bits<'_>) -> Result<()> {
        let (h_max, v_max) = self.sampling();
        let (across, down) = (self.width.div_ceil(8 * h_max), self.height.div_ceil(8 * v_max));
        for unit in 0..across * down {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                bits.restart()?;
                several.iter_mut().for_each(|c| c.predicted = 0);
            }
            for coded in several.iter_mut() {
                let (h, v) = (self.parts[coded.part].h, self.parts[coded.part].v);
                for n in 0..h * v {
                    self.block(coded, unit % across * h + n % h, unit / across * v + n / h, bits)?;
                }
            }
        }
        Ok(())
    }

    /// Decodes the block at (x, y) and puts its samples into the plane (T.81 F.2.2, A.3.3).
    fn block(&mut self, coded: &mut Coded, x: usize, y: usize, bits: &mut Bits<'_>) -> Result<()> {
        let part = &mut self.parts[coded.part];
        let table = &self.quantisation[part.quantisation];
        let mut block = [0f32; 64];
        coded.predicted = coded.predicted.wrapping_add(bits.difference(&coded.dc)?);
        block[0] = coded.predicted as f32 * f32::from(table[0]);
        let mut n = 1;
        while n < 64 {
            let symbol = bits.symbol(&coded.ac)?;
            let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 && run < 15 {
                break;
            }
            n += run;
            if size > 0 {
                let value = bits.extended(size)?;
                *block
                    .get_mut(usize::from(*ZIG_ZAG.get(n).ok_or_else(|| bad("a block of more than 64 coefficients"))?))
                    .unwrap_or(&mut 0.0) = value as f32 * f32::from(table[n]);
            }
            n += 1;
        }
        let samples = inverse_cosine(&block, &self.cosines);
        let (middle, top) = ((1 << (self.precision - 1)) as f32, ((1 << self.precision) - 1) as f32);
        for (row, values) in samples.chunks_exact(8).enumerate() {
            let at = (y * 8 + row) * part.stride + x * 8;
            for (to, value) in part.plane[at..at + 8].iter_mut().zip(values) {
                *to = (value + middle).round().clamp(0.0, top) as u16;
            }
        }
        Ok(())
    }
}

/// The inverse transform of one block, rows then columns (T.81 A.3.3).
fn inverse_cosine(block: &[f32; 64], cosines: &[[f32; 8]; 8]) -> [f32; 64] {
    let mut rows = [0f32; 64];
    for (v, row) in block.chunks_exact(8).enumerate() {
        for x in 0..8 {
            rows[v * 8 + x] = row.iter().zip(&cosines[x]).map(|(f, c)| f * c).sum();
        }
    }
    std::array::from_fn(|n| (0..8).map(|v| rows[v * 8 + n % 8] * cosines[n / 8][v]).sum())
}
