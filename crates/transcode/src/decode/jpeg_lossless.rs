//! Lossless JPEG with Huffman coding (T.81 Annex H): 2 to 16 bits, all predictors, point transform, restarts, and
//! scans of one component or of several.

use super::{agree, place};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::syntax::Coding;

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
                0xDD => image.restart = usize::from(u16_at(body, 0)?),
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
        let mut bits = Bits { data, at: 0, held: 0, count: 0 };
        self.rows(&parts, predictor, shift, &mut bits)?;
        Ok(bits.at)
    }

    fn rows(&mut self, parts: &[(usize, Table)], predictor: u8, shift: u8, bits: &mut Bits<'_>) -> Result<()> {
        let step = self.components.len();
        let row = self.width * step;
        let origin = 1i32 << (self.precision - shift - 1);
        let mut until_restart = self.restart;
        // The line after a restart is predicted like the first one (T.81 H.1.2.1).
        let mut first_line = 0;
        for y in 0..self.height {
            for x in 0..self.width {
                if self.restart > 0 && until_restart == 0 {
                    bits.restart()?;
                    until_restart = self.restart;
                    first_line = y;
                }
                let fresh = self.restart > 0 && until_restart == self.restart;
                until_restart = until_restart.wrapping_sub(1);
                for (component, table) in parts {
                    let at = y * row + x * step + component;
                    let left = |s: &[u16]| i32::from(s[at - step] >> shift);
                    let above = |s: &[u16]| i32::from(s[at - row] >> shift);
                    let s = &self.samples;
                    let prediction = match (x, y) {
                        (0, _) if y == first_line || fresh => origin,
                        _ if fresh => origin,
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

/// A Huffman table, looked up by the next 8 bits, longer codes by their length (T.81 Annex C, F.2.2.3).
#[derive(Clone)]
struct Table {
    values: Vec<u8>,
    /// `(value, length)` of the code that the index begins with; length 0 when it is longer than 8 bits.
    fast: Vec<(u8, u8)>,
    /// Per length: the largest code, or -1.
    max_code: [i32; 17],
    /// Per length: index of the first value less its code.
    delta: [i32; 17],
}

impl Table {
    fn parse(body: &[u8]) -> Result<(Table, usize)> {
        let counts = body.get(..16).ok_or_else(|| bad("a Huffman table that is cut short"))?;
        let total: usize = counts.iter().map(|n| usize::from(*n)).sum();
        let values = body.get(16..16 + total).ok_or_else(|| bad("a Huffman table that is cut short"))?.to_vec();
        let mut table = Table { values, fast: vec![(0, 0); 256], max_code: [-1; 17], delta: [0; 17] };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16usize {
            let count = usize::from(counts[length - 1]);
            table.delta[length] = index as i32 - code as i32;
            for _ in 0..count {
                if code >> length != 0 {
                    return Err(bad("a Huffman table with too many codes"));
                }
                if length <= 8 {
                    let first = (code as usize) << (8 - length);
                    table.fast[first..first + (1 << (8 - length))].fill((table.values[index], length as u8));
                }
                table.max_code[length] = code as i32;
                code += 1;
                index += 1;
            }
            code <<= 1;
        }
        Ok((table, 16 + total))
    }
}

/// Entropy-coded bits; stuffed zeros are taken out, a marker is where they end.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// Holds at least 32 bits; zeros follow after the end of the data.
    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF), _) | (None, _) => {
                    // Past the end: remembered in `count` only, so that reading too far is found out.
                    return;
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn take(&mut self, n: u32) -> Result<u32> {
        if n > self.count {
            return Err(bad("the compressed data ends early"));
        }
        let value = if n == 0 { 0 } else { (self.held >> (64 - n)) as u32 };
        self.held <<= n;
        self.count -= n;
        Ok(value)
    }

    /// One difference (T.81 H.1.2.2).
    fn difference(&mut self, table: &Table) -> Result<i32> {
        if self.count < 32 {
            self.fill();
        }
        let size = self.symbol(table)?;
        match size {
            0 => Ok(0),
            1..=15 => {
                let size = u32::from(size);
                let value = self.take(size)? as i32;
                Ok(if value >> (size - 1) == 0 { value - (1 << size) + 1 } else { value })
            }
            16 => Ok(32768),
            _ => Err(bad("a difference of more than 16 bits")),
        }
    }

    fn symbol(&mut self, table: &Table) -> Result<u8> {
        let (value, length) = table.fast[(self.held >> 56) as usize];
        if length > 0 {
            self.take(u32::from(length))?;
            return Ok(value);
        }
        for length in 9..=16usize {
            let code = (self.held >> (64 - length)) as i32;
            if code <= table.max_code[length] {
                self.take(length as u32)?;
                let value = usize::try_from(code + table.delta[length]).ok().and_then(|n| table.values.get(n));
                return value.copied().ok_or_else(|| bad("a code that is not in the Huffman table"));
            }
        }
        Err(bad("a code that is not in the Huffman table"))
    }

    /// Passes a restart marker: what is left of the bits before it is padding.
    fn restart(&mut self) -> Result<()> {
        (self.held, self.count) = (0, 0);
        let rest = self.data.get(self.at..).unwrap_or_default();
        match rest {
            [0xFF, 0xD0..=0xD7, ..] => {
                self.at += 2;
                Ok(())
            }
            _ => Err(bad("no restart marker where one should be")),
        }
    }
}

/// The next marker segment: `at` is moved behind it.
fn next_marker<'a>(bytes: &'a [u8], at: &mut usize) -> Result<(u8, &'a [u8])> {
    // Padding bits and fill bytes may stand between a scan and the next marker.
    let skip = bytes
        .get(*at..)
        .unwrap_or_default()
        .windows(2)
        .position(|w| w[0] == 0xFF && !matches!(w[1], 0 | 0xFF | 0xD0..=0xD7));
    let start = *at + skip.ok_or_else(|| bad("the image ends before its data"))?;
    let marker = bytes[start + 1];
    if marker == 0xD9 {
        return Ok((marker, &[]));
    }
    let len = usize::from(u16_at(bytes, start + 2)?);
    let body = bytes.get(start + 4..start + 2 + len).ok_or_else(|| bad("a marker segment that is cut short"))?;
    *at = start + 2 + len;
    Ok((marker, body))
}

fn byte_at(bytes: &[u8], at: usize) -> Result<u8> {
    bytes.get(at).copied().ok_or_else(|| bad("a header that is cut short"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    Ok(u16::from(byte_at(bytes, at)?) << 8 | u16::from(byte_at(bytes, at + 1)?))
}

fn bad(what: &str) -> Error {
    Error::malformed(0, format!("lossless JPEG: {what}"))
}
