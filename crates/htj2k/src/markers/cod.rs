//! COD and COC: coding style (T.800 A.6.1 and A.6.2, T.814 A.4).

use super::{COD, Cursor, SegmentWriter};
use crate::{Error, Progression};
use alloc::vec::Vec;

/// What COD says of a tile as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cod {
    pub(crate) progression: Progression,
    pub(crate) layers: u16,
    pub(crate) colour_transform: bool,
    /// Whether packets may begin with an SOP marker segment.
    pub(crate) sop: bool,
    /// Whether packet headers end with an EPH marker.
    pub(crate) eph: bool,
}

/// What COD or COC says of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coding {
    /// Levels of decomposition, up to 32.
    pub(crate) levels: u8,
    /// Exponents of a code-block's width and height: each 2 to 10, together at most 12.
    pub(crate) block: (u8, u8),
    pub(crate) style: BlockStyle,
    pub(crate) reversible: bool,
    /// Exponents of the precincts' width and height, by resolution level.
    pub(crate) precincts: [(u8, u8); 33],
}

/// Code-block style (Table A.19, extended by T.814 Table A.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockStyle(pub(crate) u8);

impl BlockStyle {
    pub(crate) fn bypass(self) -> bool {
        self.0 & 1 != 0
    }
    pub(crate) fn reset(self) -> bool {
        self.0 & 2 != 0
    }
    pub(crate) fn terminate_all(self) -> bool {
        self.0 & 4 != 0
    }
    pub(crate) fn vertically_causal(self) -> bool {
        self.0 & 8 != 0
    }
    pub(crate) fn segmentation_symbols(self) -> bool {
        self.0 & 32 != 0
    }
    /// HT code-blocks are used.
    pub(crate) fn high_throughput(self) -> bool {
        self.0 & 64 != 0
    }
    /// Each code-block is of one kind or the other.
    pub(crate) fn mixed(self) -> bool {
        self.0 & 0xC0 == 0xC0
    }
}

impl Cod {
    pub(crate) fn parse(mut s: Cursor<'_>) -> Result<(Cod, Coding), Error> {
        let flags = s.u8()?;
        let at = s.at();
        let progression = progression(at, s.u8()?)?;
        let layers = s.u16()?;
        if layers == 0 {
            return Err(Error::malformed(at, "there is no layer"));
        }
        let colour_transform = match s.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Error::unsupported(at, "a multiple component transform of Part 2")),
        };
        let coding = Coding::parse(s, flags & 1 != 0)?;
        let (sop, eph) = (flags & 2 != 0, flags & 4 != 0);
        Ok((Cod { progression, layers, colour_transform, sop, eph }, coding))
    }

    pub(crate) fn write(&self, coding: &Coding, out: &mut Vec<u8>) {
        let explicit = coding.precincts.iter().any(|&p| p != (15, 15));
        let mut s = SegmentWriter::new(out, COD);
        s.u8(explicit as u8 | (self.sop as u8) << 1 | (self.eph as u8) << 2);
        s.u8(self.progression as u8).u16(self.layers).u8(self.colour_transform as u8);
        s.u8(coding.levels).u8(coding.block.0 - 2).u8(coding.block.1 - 2);
        s.u8(coding.style.0).u8(coding.reversible as u8);
        if explicit {
            for (w, h) in &coding.precincts[..=coding.levels as usize] {
                s.u8(h << 4 | w);
            }
        }
        s.done();
    }
}

impl Coding {
    /// The SPcod or SPcoc fields.
    fn parse(mut s: Cursor<'_>, explicit_precincts: bool) -> Result<Coding, Error> {
        let at = s.at();
        let levels = s.u8()?;
        if levels > 32 {
            return Err(Error::malformed(at, "more than 32 levels of decomposition"));
        }
        let (w, h) = (s.u8()?, s.u8()?);
        if w > 8 || h > 8 || w + h > 8 {
            return Err(Error::malformed(at, "a code-block is larger than the standard allows"));
        }
        let style = BlockStyle(s.u8()?);
        if style.0 & 0xC0 == 0x80 {
            return Err(Error::malformed(at, "a reserved code-block style"));
        }
        let reversible = match s.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Error::unsupported(at, "a wavelet transform of Part 2")),
        };
        let mut precincts = [(15, 15); 33];
        if explicit_precincts {
            for (r, precinct) in precincts.iter_mut().enumerate().take(levels as usize + 1) {
                let at = s.at();
                let size = s.u8()?;
                *precinct = (size & 15, size >> 4);
                if r > 0 && (precinct.0 == 0 || precinct.1 == 0) {
                    return Err(Error::malformed(at, "a precinct is too small for its sub-bands"));
                }
            }
        }
        Ok(Coding { levels, block: (w + 2, h + 2), style, reversible, precincts })
    }

    /// A COC segment: the component and its coding.
    pub(crate) fn parse_coc(mut s: Cursor<'_>, components: usize) -> Result<(u16, Coding), Error> {
        let component = s.component(components)?;
        let flags = s.u8()?;
        Ok((component, Coding::parse(s, flags & 1 != 0)?))
    }
}

pub(crate) fn progression(at: usize, value: u8) -> Result<Progression, Error> {
    Ok(match value {
        0 => Progression::Lrcp,
        1 => Progression::Rlcp,
        2 => Progression::Rpcl,
        3 => Progression::Pcrl,
        4 => Progression::Cprl,
        _ => return Err(Error::malformed(at, "an unknown progression order")),
    })
}
