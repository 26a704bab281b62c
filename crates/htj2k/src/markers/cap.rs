//! CAP: extended capabilities, of which Part 15 is one (T.800 A.5.2, T.814 A.3).

use super::{CAP, Cursor, SegmentWriter};
use crate::Error;
use alloc::vec::Vec;

/// The bit of Pcap that announces Part 15.
const PART_15: u32 = 1 << (32 - 15);

/// What the capabilities say of Part 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cap {
    /// Ccap15, if Part 15 is announced.
    pub(crate) part_15: Option<u16>,
}

impl Cap {
    pub(crate) fn parse(mut s: Cursor<'_>) -> Result<Cap, Error> {
        let parts = s.u32()?;
        let mut part_15 = None;
        for part in 0..32 {
            let bit = 1u32 << (31 - part);
            if parts & bit != 0 {
                let ccap = s.u16()?;
                if bit == PART_15 {
                    part_15 = Some(ccap);
                }
            }
        }
        Ok(Cap { part_15 })
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
