//! The main header, and the headers of tile-parts (T.800 A.2 and Figures A.3, A.4).

use super::qcd::parse_rgn;
use super::*;
use crate::{Error, Limits};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// All that the main header says.
#[derive(Clone, Debug)]
pub(crate) struct MainHeader {
    pub(crate) siz: Siz,
    pub(crate) coding: TileCoding,
    pub(crate) tlm: Tlm,
    pub(crate) packed: PackedHeaders,
    /// Bytes up to the first SOT.
    pub(crate) length: usize,
}

/// How a tile is coded: what COD and QCD say, and what COC, QCC, RGN and POC change.
#[derive(Clone, Debug)]
pub(crate) struct TileCoding {
    pub(crate) cod: Cod,
    coding: Coding,
    quantisation: Quantisation,
    component_coding: BTreeMap<u16, Coding>,
    component_quantisation: BTreeMap<u16, Quantisation>,
    roi_shift: BTreeMap<u16, u8>,
    pub(crate) volumes: Vec<Volume>,
    /// Whether `volumes` are the tile's own, to which later tile-parts add.
    own_volumes: bool,
}

impl MainHeader {
    /// Parses the main header, in the memory of another one if there is one.
    pub(crate) fn parse(bytes: &[u8], limits: &Limits, spare: Option<MainHeader>) -> Result<MainHeader, Error> {
        let (components, steps, parts) = match spare {
            Some(spare) => (spare.siz.components, spare.coding.quantisation.into_steps(), spare.tlm.parts),
            None => Default::default(),
        };
        let mut c = Cursor::new(bytes, 0);
        if c.u16()? != SOC {
            return Err(Error::malformed(0, "not a JPEG 2000 codestream"));
        }
        if c.u16()? != SIZ {
            return Err(Error::malformed(2, "the image size does not come first"));
        }
        let siz = Siz::parse(c.segment()?, limits, components)?;
        let mut fields = Fields { spare_steps: steps, ..Fields::default() };
        let mut tlm = Tlm::reusing(parts);
        let mut packed = PackedHeaders::default();
        let length = loop {
            let at = c.at();
            match c.u16()? {
                SOT => break at,
                CAP => Cap::check(c.segment()?)?,
                TLM => tlm.parse(c.segment()?)?,
                PPM => packed.note(c.segment()?)?,
                marker => fields.parse(at, marker, &mut c, siz.components.len())?,
            }
        };
        let coding = fields.into_main(length)?;
        Ok(MainHeader { siz, coding, tlm, packed, length })
    }

    /// Parses the header of a tile-part (the tile's `first` or not) from the first byte after SOT, into `coding`; gives the place
    /// of the first packet.
    pub(crate) fn parse_tile_part(
        &self,
        codestream: &[u8],
        part: &TilePart,
        first: bool,
        coding: &mut Option<TileCoding>,
        packed: &mut PackedHeaders,
        lengths: &mut PacketLengths,
    ) -> Result<usize, Error> {
        let mut c = Cursor::new(&codestream[..codestream.len().min(part.bytes.end)], part.bytes.start);
        let mut fields = Fields::default();
        let start = loop {
            let at = c.at();
            match c.u16()? {
                SOD => break c.at(),
                PPT => packed.note(c.segment()?)?,
                PLT => lengths.parse(c.segment()?)?,
                SOT | SOC | SIZ | CAP | TLM | PPM | EOC => {
                    return Err(Error::malformed(at, "a marker that does not belong in a tile-part header"));
                }
                marker => fields.parse(at, marker, &mut c, self.siz.components.len())?,
            }
        };
        if !first {
            // Only the first tile-part of a tile says how it is coded (A.6.1 to A.6.5).
            fields = Fields { poc: fields.poc, ..Fields::default() };
        }
        if !fields.is_empty() {
            fields.apply(coding.get_or_insert_with(|| self.coding.clone()), true);
        }
        Ok(start)
    }
}

impl TileCoding {
    pub(crate) fn new(cod: Cod, coding: Coding, quantisation: Quantisation) -> Self {
        TileCoding {
            cod,
            coding,
            quantisation,
            component_coding: BTreeMap::new(),
            component_quantisation: BTreeMap::new(),
            roi_shift: BTreeMap::new(),
            volumes: Vec::new(),
            own_volumes: false,
        }
    }

    pub(crate) fn of(&self, component: u16) -> &Coding {
        self.component_coding.get(&component).unwrap_or(&self.coding)
    }

    pub(crate) fn quantisation_of(&self, component: u16) -> &Quantisation {
        self.component_quantisation.get(&component).unwrap_or(&self.quantisation)
    }

    pub(crate) fn roi_shift_of(&self, component: u16) -> u8 {
        self.roi_shift.get(&component).copied().unwrap_or(0)
    }

    /// The memory of the quantisation's steps, to be used again.
    pub(crate) fn into_steps(self) -> Vec<StepSize> {
        self.quantisation.into_steps()
    }

    /// The default coding, and those of single components.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Coding> {
        core::iter::once(&self.coding).chain(self.component_coding.values())
    }
}

/// The segments that may stand in either kind of header.
#[derive(Default)]
struct Fields {
    cod: Option<(Cod, Coding)>,
    qcd: Option<Quantisation>,
    coc: Vec<(u16, Coding)>,
    qcc: Vec<(u16, Quantisation)>,
    rgn: Vec<(u16, u8)>,
    poc: Vec<Volume>,
    /// Memory for the steps of a QCD.
    spare_steps: Vec<StepSize>,
}

impl Fields {
    fn parse(&mut self, at: usize, marker: u16, c: &mut Cursor<'_>, components: usize) -> Result<(), Error> {
        match marker {
            COD => self.cod = Some(Cod::parse(c.segment()?)?),
            COC => self.coc.push(Coding::parse_coc(c.segment()?, components)?),
            QCD => self.qcd = Some(Quantisation::parse(c.segment()?, core::mem::take(&mut self.spare_steps))?),
            QCC => self.qcc.push(Quantisation::parse_qcc(c.segment()?, components)?),
            RGN => self.rgn.push(parse_rgn(c.segment()?, components)?),
            POC => Volume::parse(c.segment()?, components, &mut self.poc)?,
            COM | PLM | PLT | CPF => {
                c.segment()?;
            }
            // Markers without a segment (A.1.1), and segments this decoder can do without.
            0xFF30..=0xFF3F => {}
            0xFF00..=0xFFFF if !matches!(marker, SOC | SOD | EOC | EPH) => {
                c.segment()?;
            }
            _ => return Err(Error::malformed(at, "no marker where one must be")),
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.cod.is_none()
            && self.qcd.is_none()
            && self.coc.is_empty()
            && self.qcc.is_empty()
            && self.rgn.is_empty()
            && self.poc.is_empty()
    }

    fn into_main(mut self, at: usize) -> Result<TileCoding, Error> {
        let missing = |what| Error::malformed(at, what);
        let (cod, coding) = self.cod.take().ok_or(missing("the main header has no COD"))?;
        let quantisation = self.qcd.take().ok_or(missing("the main header has no QCD"))?;
        let mut tile = TileCoding::new(cod, coding, quantisation);
        self.apply(&mut tile, false);
        Ok(tile)
    }

    /// A tile's COD goes before the main header's COC, and so on (A.6.1 to A.6.6).
    fn apply(self, tile: &mut TileCoding, in_tile: bool) {
        if let Some((cod, coding)) = self.cod {
            (tile.cod, tile.coding) = (cod, coding);
            tile.component_coding.clear();
        }
        if let Some(quantisation) = self.qcd {
            tile.quantisation = quantisation;
            tile.component_quantisation.clear();
        }
        tile.component_coding.extend(self.coc);
        tile.component_quantisation.extend(self.qcc);
        tile.roi_shift.extend(self.rgn);
        if !self.poc.is_empty() {
            if !tile.own_volumes {
                tile.volumes.clear();
            }
            tile.volumes.extend(self.poc);
            tile.own_volumes = in_tile;
        }
    }
}
