//! SOT: where tile-parts begin and end (T.800 A.4.2).

use super::{Cursor, EOC, SOT, SegmentWriter};
use crate::Error;
use crate::held::Held;
use alloc::vec::Vec;
use core::ops::Range;

/// One tile-part. Its bytes may be cut short by the end of the codestream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TilePart {
    pub(crate) tile: u16,
    /// From the first byte after SOT to the tile-part's announced end or the end of the codestream.
    pub(crate) bytes: Range<usize>,
    /// Where it ends when it is all there; unknown if it runs to the end of the codestream.
    pub(crate) end: Option<usize>,
    /// Tile-parts of the tile, 0 if that is not told.
    pub(crate) count: u8,
    /// Its place in the order of the codestream.
    pub(crate) order: u32,
}

/// The tile-parts of a codestream, in its order, and how far they reach.
#[derive(Debug, Default)]
pub(crate) struct TileParts {
    pub(crate) parts: Vec<TilePart>,
    /// Whether EOC was found after the last one.
    pub(crate) ended: bool,
}

impl TileParts {
    /// Walks from tile-part to tile-part. A break in the chain ends the walk: what came before is still of use.
    pub(crate) fn scan(&mut self, held: &Held<'_>, start: usize, tiles: u32) -> Result<(), Error> {
        self.parts.clear();
        self.ended = false;
        let mut at = start;
        loop {
            let mut c = Cursor::new(held.until_gap(at), at);
            let Ok(marker) = c.u16() else { return Ok(()) };
            if marker == EOC {
                self.ended = true;
                return Ok(());
            }
            if marker != SOT {
                return if self.parts.is_empty() {
                    Err(Error::malformed(at, "no tile-part where one must begin"))
                } else {
                    Ok(())
                };
            }
            match self.part(held, at, &mut c, tiles) {
                Ok(Some(next)) => at = next,
                Ok(None) => return Ok(()),
                Err(e) if self.parts.is_empty() && !e.is_truncated() => return Err(e),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Notes the tile-part at `at`; gives the place of the next.
    fn part(&mut self, held: &Held<'_>, at: usize, c: &mut Cursor<'_>, tiles: u32) -> Result<Option<usize>, Error> {
        let mut s = c.segment()?;
        let tile = s.u16()?;
        let length = s.u32()? as usize;
        s.u8()?;
        let count = s.u8()?;
        if tile as u32 >= tiles {
            return Err(Error::malformed(at, "a tile-part of a tile that does not exist"));
        }
        if length != 0 && length < 14 {
            return Err(Error::malformed(at, "a tile-part shorter than its own header"));
        }
        let start = c.at();
        let order = self.parts.len() as u32;
        if length == 0 {
            let bytes = held.until_gap(held.length.saturating_sub(2));
            // An end that is not there is taken for one that is marked.
            let ended = held.length >= start + 2 && (bytes.len() < held.length || bytes.ends_with(&EOC.to_be_bytes()));
            let end = held.length - if ended { 2 } else { 0 };
            self.parts.push(TilePart { tile, bytes: start..end, end: None, count, order });
            self.ended = ended;
            return Ok(None);
        }
        let end = at.saturating_add(length);
        let have = end.min(held.length);
        self.parts.push(TilePart { tile, bytes: start..have.max(start), end: Some(end), count, order });
        Ok((end <= held.length).then_some(end))
    }
}

/// Writes an SOT segment.
pub(crate) fn write_sot(tile: u16, length: u32, part: u8, parts: u8, out: &mut Vec<u8>) {
    let mut s = SegmentWriter::new(out, SOT);
    s.u16(tile).u32(length).u8(part).u8(parts);
    s.done();
}
