//! Lossless JPEG with Huffman coding (T.81 Annex H): 2 to 16 bits, all predictors, point transform, restarts, and
//! scans of one component or of several.

use super::huffman::{Bits, Table, bad, byte_at, next_marker, restart_interval};
use super::{agree, place};
use dicom::error::{Error, Result};
use dicom::facts::Facts;
use dicom::syntax::Coding;

pub(super) fn frame(facts: &Facts, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let info = agree(facts, stored, Coding::JpegLossless)?;
    let image = Image::decode(stored, facts)?;
    place(facts, info.precision, image.samples.into_iter().map(i32::from), out)
}

/// The image while its scans are read: interleaved samples.
struct Image {
    width: usize,
    height: usize,
    precision: u8,
    /// Identifiers of the components.
    components: Vec<u8>,
    tables: [Option<Table>; 4],
    restart: usize,
    samples: Vec<u16>,
    /// Components that a scan has brought.
    filled: Vec<bool>,
}

impl Image {
    fn decode(bytes: &[u8], facts: &Facts) -> Result<Image> {
        let (width, height) = (facts.columns as usize, facts.rows as usize);
        let mut image = Image {
            width,
            height,
            precision: 0,
            components: Vec::new(),
            tables: [const { None }; 4],
            restart: 0,
            samples: Vec::new(),
            filled: Vec::new(),
        };
        let mut at = 2;
        loop {
            let (marker, body) = next_marker(bytes, &mut at)?;
            match marker {
                0xC3 => image.frame_header(body, facts)?,
                0xC4 => image.huffman_tables(body)?,
                0xDD => image.restart = restart_interval(body)?,
                0xDA => {
                    at += image.scan(body, bytes.get(at..).unwrap_or_default())?;
                    if image.filled.iter().all(|f| *f) {
                        return Ok(image);
                    }
                }
                0xC0..=0xCF if marker != 0xCC => {
                    return Err(Error::unsupported(format!("JPEG process of marker FF{marker:02X}")));
                }
                0xD9 => return Err(bad("the image ends before every component has come")),
                _ => {}
            }
        }
    }

    fn frame_header(&mut self, body: &[u8], facts: &Facts) -> Result<()> {
        let count = usize::from(byte_at(body, 5)?);
        self.precision = byte_at(body, 0)?;
        if !(2..=16).contains(&self.precision) || count != usize::from(facts.samples) || !self.components.is_empty() {
            return Err(bad("a frame header that can't be"));
        }
        for n in 0..count {
            if byte_at(body, 7 + 3 * n)? != 0x11 && count > 1 {
                return Err(Error::unsupported("lossless JPEG with sub-sampled components"));
            }
            self.components.push(byte_at(body, 6 + 3 * n)?);
        }
        self.filled = vec![false; count];
        self.samples = vec![0; self.width * self.height * count];
        Ok(())
    }

    fn huffman_tables(&mut self, mut body: &[u8]) -> Result<()> {
        while !body.is_empty() {
            let slot = byte_at(body, 0)? & 0x0F;
            let (table, used) = Table::parse(&body[1..])?;
            *self.tables.get_mut(usize::from(slot)).ok_or_else(|| bad("a fifth Huffman table"))? = Some(table);
            body = &body[1 + used..];
        }
        Ok(())
    }

    /// Decodes one scan; returns the bytes of entropy-coded data that it took.
    fn scan(&mut self, body: &[u8], data: &[u8]) -> Result<usize> {
        let count = usize::from(byte_at(body, 0)?);
        let mut parts = Vec::with_capacity(count);
        for n in 0..count {
            let (id, table) = (byte_at(body, 1 + 2 * n)?, byte_at(body, 2 + 2 * n)? >> 4);
            let component =
                self.components.iter().position(|c| *c == id).ok_or_else(|| bad("a scan of an unknown component"))?;
            let table = self
                .tables
                .get(usize::from(table))
                .and_then(Option::as_ref)
                .ok_or_else(|| bad("a scan without its Huffman table"))?;
            parts.push((component, table.clone()));
            self.filled[component] = true;
        }
        let predictor = byte_at(body, 1 + 2 * count)?;
        let shift = byte_at(body, 3 + 2 * count)? & 0x0F;
        if count == 0 || !(1..=7).contains(&predictor) || shift >= self.precision {
            return Err(bad("a scan header that can't be"));
        }
        let mut bits = Bits::new(data);
        self.rows(&parts, predictor, shift, &mut bits)?;
        Ok(bits.at)
    }

    fn rows(&mut self, parts: &[(usize, Table)], predictor: u8, shift: u8, bits: &mut Bits<'_>) -> Result<()> {
        let step = self.components.len();
        let row = self.width * step;
        let origin = 1i32 << (self.precision - shift - 1);
        if !self.restart.is_multiple_of(self.width) {
            return Err(bad("a restart interval that is no whole number of rows"));
        }
        let rows = self.restart / self.width;
        // The line after a restart is predicted like the first one (T.81 H.1.2.1).
        let mut first_line = 0;
        for y in 0..self.height {
            if rows > 0 && y > 0 && y.is_multiple_of(rows) {
                bits.restart(y / rows)?;
                first_line = y;
            }
            for x in 0..self.width {
                for (component, table) in parts {
                    let at = y * row + x * step + component;
                    let left = |s: &[u16]| i32::from(s[at - step] >> shift);
                    let above = |s: &[u16]| i32::from(s[at - row] >> shift);
                    let s = &self.samples;
                    let prediction = match (x, y) {
                        (0, y) if y == first_line => origin,
                        (_, y) if y == first_line => left(s),
                        (0, _) => above(s),
                        _ => predict(predictor, left(s), above(s), i32::from(s[at - row - step] >> shift)),
                    };
                    let value = (prediction + bits.difference(table)?) as u16;
                    self.samples[at] = value << shift;
                }
            }
        }
        Ok(())
    }
}

/// Table H.1 of T.81.
fn predict(predictor: u8, a: i32, b: i32, c: i32) -> i32 {
    match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}
