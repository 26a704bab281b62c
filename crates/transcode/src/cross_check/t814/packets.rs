//! Packets (T.800 B.9, B.10): what their headers tell of the code-blocks of one resolution of one component, and where the bytes of these are.

use super::markers::Header;
use super::tag_tree::TagTree;
use super::{Result, damaged, form};

/// Code-blocks are 64 x 64.
pub(super) const BLOCK: usize = 64;

/// A code-block's bytes within the stream; none when it is all zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) at: usize,
    pub(super) length: usize,
    /// The lowest bit plane that is coded.
    pub(super) plane: u8,
}

/// A sub-band: its samples' number and place among the steps, and its code-blocks, row by row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) number: usize,
    pub(super) blocks: Vec<Block>,
}

impl Band {
    /// Code-blocks in a row.
    pub(super) fn columns(&self) -> usize {
        self.width.div_ceil(BLOCK)
    }
}

/// The sub-bands of one component: LL, then HL, LH and HH of each decomposition, coarsest first.
pub(super) type Bands = Vec<Band>;

/// Reads all packets: from resolution to resolution, and within one from component to component (RPCL with one precinct and one layer).
pub(super) fn read(stream: &[u8], header: &Header) -> Result<Vec<Bands>> {
    let mut components = vec![Bands::new(); header.components];
    let mut reader = Reader { stream, header, part: 0, at: header.parts.first().map_or(0, |part| part.start) };
    for resolution in 0..=header.decompositions {
        for bands in &mut components {
            reader.packet(sub_bands(header, resolution), bands)?;
        }
    }
    let rest = header.parts.get(reader.part + 1..).unwrap_or_default();
    if reader.at != header.parts[reader.part].end || rest.iter().any(|part| !part.is_empty()) {
        return Err(damaged("there are bytes behind the last packet"));
    }
    Ok(components)
}

/// The sub-bands that a resolution adds (B.5), with the image at the origin: of two halves the low-pass one has the odd sample.
fn sub_bands(header: &Header, resolution: usize) -> Vec<Band> {
    let halved = |size: usize, times: usize| ((size - 1) >> times.min(63)) + 1;
    let band = |width, height, number| Band { width, height, number, blocks: Vec::new() };
    if resolution == 0 {
        let times = header.decompositions;
        return vec![band(halved(header.width, times), halved(header.height, times), 0)];
    }
    let times = header.decompositions - resolution;
    let (width, height) = (halved(header.width, times), halved(header.height, times));
    let (low, high) = ((width.div_ceil(2), height.div_ceil(2)), (width / 2, height / 2));
    let number = 3 * resolution - 2;
    vec![band(high.0, low.1, number), band(low.0, high.1, number + 1), band(high.0, high.1, number + 2)]
}

struct Reader<'a> {
    stream: &'a [u8],
    header: &'a Header,
    part: usize,
    at: usize,
}

impl Reader<'_> {
    fn packet(&mut self, added: Vec<Band>, bands: &mut Bands) -> Result<()> {
        while self.at == self.header.parts[self.part].end && self.part + 1 < self.header.parts.len() {
            self.part += 1;
            self.at = self.header.parts[self.part].start;
        }
        let end = self.header.parts[self.part].end;
        let mut bits = HeaderBits { bytes: &self.stream[..end], at: self.at, next: 0, count: 0 };
        let (first, any) = (bands.len(), bits.bit()?);
        for mut band in added {
            let (columns, rows) = (band.columns(), band.height.div_ceil(BLOCK));
            band.blocks = vec![Block::default(); columns * rows];
            if any {
                let most = self.header.bits(band.number);
                let mut included = TagTree::new(columns, rows, 1);
                let mut missing = TagTree::new(columns, rows, most);
                for n in 0..band.blocks.len() {
                    let (column, row) = (n % columns, n / columns);
                    if included.value(column, row, &mut bits)? == 0 {
                        let missing = missing.value(column, row, &mut bits)?;
                        band.blocks[n] = block(&mut bits, most, missing)?;
                    }
                }
            }
            bands.push(band);
        }
        self.at = bits.end()?;
        for block in bands[first..].iter_mut().flat_map(|band| &mut band.blocks) {
            block.at = self.at;
            self.at += block.length;
        }
        if self.at > end {
            return Err(damaged("a packet is cut short"));
        }
        Ok(())
    }
}

/// What the header tells of a block whose first `missing` of `most` bit planes are not coded: one pass (B.10.6), and its length (B.10.7).
fn block(bits: &mut HeaderBits<'_>, most: u8, missing: u8) -> Result<Block> {
    if missing >= most {
        return Err(damaged("a block without bit planes"));
    }
    if bits.bit()? {
        return Err(form("passes that refine"));
    }
    let mut size = 3;
    while bits.bit()? {
        size += 1;
    }
    if size > 24 {
        return Err(damaged("a block that is too long"));
    }
    let mut length = 0;
    for _ in 0..size {
        length = length << 1 | usize::from(bits.bit()?);
    }
    if length < 2 {
        return Err(damaged("a block that is too short"));
    }
    Ok(Block { at: 0, length, plane: most - 1 - missing })
}

/// Bits of a packet header, highest first; after a byte of FF comes one of 7 bits.
pub(super) struct HeaderBits<'a> {
    bytes: &'a [u8],
    at: usize,
    next: u8,
    count: u8,
}

impl HeaderBits<'_> {
    pub(super) fn bit(&mut self) -> Result<bool> {
        if self.count == 0 {
            self.count = if self.next == 0xFF { 7 } else { 8 };
            self.next = *self.bytes.get(self.at).ok_or_else(|| damaged("a packet header is cut short"))?;
            self.at += 1;
        }
        self.count -= 1;
        Ok(self.next >> self.count & 1 == 1)
    }

    /// Where the header is over (B.10.1): a header does not end with FF.
    fn end(self) -> Result<usize> {
        let at = self.at + usize::from(self.next == 0xFF);
        if at > self.bytes.len() { Err(damaged("a packet header is cut short")) } else { Ok(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderBits;

    #[test]
    fn a_bit_is_stuffed_after_ff() {
        let mut bits = HeaderBits { bytes: &[0xFF, 0x7F, 0x80], at: 0, next: 0, count: 0 };
        assert!((0..15).all(|_| bits.bit().unwrap()));
        assert!(bits.bit().unwrap());
        assert_eq!(bits.end().unwrap(), 3);
        let mut bits = HeaderBits { bytes: &[0xFF, 0, 9], at: 0, next: 0, count: 0 };
        bits.bit().unwrap();
        assert_eq!(bits.end().unwrap(), 2);
        let mut bits = HeaderBits { bytes: &[0xFF], at: 0, next: 0, count: 0 };
        bits.bit().unwrap();
        assert!(bits.end().is_err());
    }
}
