//! The main header as users see it.

pub use crate::component::Component;
use crate::markers::MainHeader;
use crate::rect::Rect;
use crate::{Error, Limits, Progression};
use alloc::vec::Vec;

/// What the main header says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Columns of the image at level 0.
    pub width: u32,
    /// Rows of the image at level 0.
    pub height: u32,
    /// The components.
    pub components: Vec<Component>,
    /// Levels of decomposition: levels 0 to this can be decoded.
    pub decompositions: u8,
    /// The order of packets.
    pub progression: Progression,
    /// Whether the transform is reversible.
    pub reversible: bool,
    /// Whether the first three components are decorrelated.
    pub colour_transform: bool,
    /// Tiles across and down.
    pub tiles: (u32, u32),
    /// Whether every precinct is of the largest size.
    pub maximal_precincts: bool,
    /// Whether code-blocks are HTJ2K's (T.814); false for a plain JPEG 2000 codestream.
    pub high_throughput: bool,
    /// Whether the main header lists the lengths of the tile-parts.
    pub tlm: bool,
    /// Exponents of the code-block's width and height.
    pub block: (u8, u8),
    /// Quality layers.
    pub layers: u16,
    /// Bytes of the main header, up to the first tile-part.
    pub length: u64,
    area: Rect,
}

impl Header {
    /// Parses the main header of an HTJ2K or JPEG 2000 codestream.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Header, Error> {
        Ok(Header::of(&MainHeader::parse(bytes, limits, None)?))
    }

    pub(crate) fn of(main: &MainHeader) -> Header {
        let coding = &main.coding;
        let first = coding.of(0);
        Header {
            width: main.siz.image.width(),
            height: main.siz.image.height(),
            components: main.siz.components.clone(),
            decompositions: coding.all().map(|c| c.levels).min().unwrap_or(0),
            progression: coding.cod.progression,
            reversible: coding.all().all(|c| c.reversible),
            colour_transform: coding.cod.colour_transform,
            tiles: main.siz.tiles(),
            maximal_precincts: coding.all().all(|c| c.precincts.iter().all(|p| *p == (15, 15))),
            high_throughput: coding.all().any(|c| c.style.high_throughput()),
            tlm: !main.tlm.parts.is_empty(),
            block: first.block,
            layers: coding.cod.layers,
            length: main.length as u64,
            area: main.siz.image,
        }
    }

    /// Width and height at a level.
    pub fn size_at(&self, level: u8) -> (u32, u32) {
        let area = self.area.reduced(level.min(32));
        (area.width(), area.height())
    }
}
