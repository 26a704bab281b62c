//! CAP: extended capabilities, of which Part 15 is one (T.800 A.5.2, T.814 A.3).

use super::{CAP, Cursor, SegmentWriter};
use crate::Error;
use alloc::vec::Vec;

/// The bit of Pcap that announces Part 15.
const PART_15: u32 = 1 << (32 - 15);

/// The capabilities segment. A decoder needs nothing of it: what it announces, COD and the packets tell too.
pub(crate) struct Cap;

impl Cap {
    /// Checks that the segment holds a field for each part it announces.
    pub(crate) fn check(mut s: Cursor<'_>) -> Result<(), Error> {
        let parts = s.u32()?;
        s.take(2 * parts.count_ones() as usize)?;
        Ok(())
    }

    /// For streams of HT code-blocks alone, one HT set each, whose magnitudes have at most `planes` bits.
    pub(crate) fn write(irreversible: bool, planes: u8, out: &mut Vec<u8>) {
        let magnitude_bound = match planes {
            0..=8 => 0,
            9..=27 => planes as u16 - 8,
            28..=71 => 13 + (planes as u16).div_ceil(4),
            _ => 31,
        };
        let mut s = SegmentWriter::new(out, CAP);
        s.u32(PART_15).u16((irreversible as u16) << 5 | magnitude_bound);
        s.done();
    }
}
