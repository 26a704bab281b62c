//! What lossless and extended JPEG share: marker segments, Huffman tables and entropy-coded bits (T.81 Annexes B, C and F).

use dicom::error::{Error, Result};

/// A Huffman table, looked up by the next 8 bits, longer codes by their length (T.81 Annex C, F.2.2.3).
#[derive(Clone)]
pub(super) struct Table {
    values: Vec<u8>,
    /// `(value, length)` of the code that the index begins with; length 0 when it is longer than 8 bits.
    fast: Vec<(u8, u8)>,
    /// Per length: the largest code, or -1.
    max_code: [i32; 17],
    /// Per length: index of the first value less its code.
    delta: [i32; 17],
}

impl Table {
    pub(super) fn parse(body: &[u8]) -> Result<(Table, usize)> {
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
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Bytes taken.
    pub(super) at: usize,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Bits { data, at: 0, held: 0, count: 0 }
    }

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

    pub(super) fn take(&mut self, n: u32) -> Result<u32> {
        if n > self.count {
            return Err(bad("the compressed data ends early"));
        }
        let value = if n == 0 { 0 } else { (self.held >> (64 - n)) as u32 };
        self.held <<= n;
        self.count -= n;
        Ok(value)
    }

    /// One bit.
    pub(super) fn bit(&mut self) -> Result<u32> {
        if self.count == 0 {
            self.fill();
        }
        self.take(1)
    }

    /// One difference (T.81 H.1.2.2).
    pub(super) fn difference(&mut self, table: &Table) -> Result<i32> {
        match self.symbol(table)? {
            size @ 0..=15 => self.extended(u32::from(size)),
            16 => Ok(32768),
            _ => Err(bad("a difference of more than 16 bits")),
        }
    }

    /// A number of `size` bits, the lower half of which is negative (T.81 F.2.2.1).
    pub(super) fn extended(&mut self, size: u32) -> Result<i32> {
        if size == 0 {
            return Ok(0);
        }
        let value = self.take(size)? as i32;
        Ok(if value >> (size - 1) == 0 { value - (1 << size) + 1 } else { value })
    }

    /// The next value of a Huffman table; enough bits for the number that may follow are held then.
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8> {
        if self.count < 32 {
            self.fill();
        }
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

    /// Passes the restart marker before interval `n`: what is left of the bits before it is padding. Markers count from 0 to 7 and
    /// begin again (T.81 F.1.1.5.2); another number says that an interval is lost.
    pub(super) fn restart(&mut self, n: usize) -> Result<()> {
        if self.count >= 8 {
            return Err(bad("a restart interval with more data than its units need"));
        }
        (self.held, self.count) = (0, 0);
        let rest = self.data.get(self.at..).unwrap_or_default();
        match rest {
            [0xFF, marker @ 0xD0..=0xD7, ..] if usize::from(marker - 0xD0) == (n + 7) % 8 => {
                self.at += 2;
                Ok(())
            }
            [0xFF, 0xD0..=0xD7, ..] => Err(bad("restart markers that do not follow one another")),
            _ => Err(bad("no restart marker where one should be")),
        }
    }
}

/// The next marker segment: `at` is moved behind it.
pub(super) fn next_marker<'a>(bytes: &'a [u8], at: &mut usize) -> Result<(u8, &'a [u8])> {
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

/// The restart interval that a DRI segment defines; 0 is none (T.81 B.2.4.4).
pub(super) fn restart_interval(body: &[u8]) -> Result<usize> {
    match body {
        [a, b] => Ok(usize::from(u16::from_be_bytes([*a, *b]))),
        _ => Err(bad("a restart interval of another size")),
    }
}

pub(super) fn byte_at(bytes: &[u8], at: usize) -> Result<u8> {
    bytes.get(at).copied().ok_or_else(|| bad("a header that is cut short"))
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    Ok(u16::from(byte_at(bytes, at)?) << 8 | u16::from(byte_at(bytes, at + 1)?))
}

pub(super) fn bad(what: &str) -> Error {
    Error::malformed(0, format!("JPEG: {what}"))
}
