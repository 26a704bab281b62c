//! QCD, QCC: quantisation, and RGN: region of interest (T.800 A.6.3 to A.6.5).

use super::{Cursor, QCD, SegmentWriter};
use crate::Error;
use alloc::vec::Vec;

/// Exponent and mantissa of a quantisation step (E.1.1.1); without quantisation the exponent alone counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepSize {
    pub(crate) exponent: u8,
    pub(crate) mantissa: u16,
}

/// Guard bits and the steps of the sub-bands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quantisation {
    pub(crate) guard_bits: u8,
    kind: Kind,
    steps: Vec<StepSize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    None,
    Derived,
    Expounded,
}

impl Quantisation {
    pub(crate) fn reversible(guard_bits: u8, steps: Vec<StepSize>) -> Self {
        Quantisation { guard_bits, kind: Kind::None, steps }
    }

    pub(crate) fn expounded(guard_bits: u8, steps: Vec<StepSize>) -> Self {
        Quantisation { guard_bits, kind: Kind::Expounded, steps }
    }

    /// Parses a segment; `steps` is memory to be used again.
    pub(crate) fn parse(mut s: Cursor<'_>, mut steps: Vec<StepSize>) -> Result<Quantisation, Error> {
        let at = s.at();
        let style = s.u8()?;
        let kind = match style & 31 {
            0 => Kind::None,
            1 => Kind::Derived,
            2 => Kind::Expounded,
            _ => return Err(Error::malformed(at, "an unknown quantisation style")),
        };
        steps.clear();
        steps.reserve(s.left().min(97));
        while s.left() > 0 && steps.len() < 97 {
            steps.push(if kind == Kind::None {
                StepSize { exponent: s.u8()? >> 3, mantissa: 0 }
            } else {
                let v = s.u16()?;
                StepSize { exponent: (v >> 11) as u8, mantissa: v & 0x7FF }
            });
        }
        if steps.is_empty() {
            return Err(Error::malformed(at, "quantisation without a step"));
        }
        Ok(Quantisation { guard_bits: style >> 5, kind, steps })
    }

    pub(crate) fn parse_qcc(mut s: Cursor<'_>, components: usize) -> Result<(u16, Quantisation), Error> {
        let component = s.component(components)?;
        Ok((component, Quantisation::parse(s, Vec::new())?))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut s = SegmentWriter::new(out, QCD);
        s.u8(self.guard_bits << 5 | self.kind as u8);
        for step in &self.steps {
            match self.kind {
                Kind::None => s.u8(step.exponent << 3),
                _ => s.u16((step.exponent as u16) << 11 | step.mantissa),
            };
        }
        s.done();
    }

    /// The step of a sub-band: `band` counts LL, then HL, LH, HH of each resolution level; `below` is the number of
    /// decompositions that LL has and this band's resolution level lacks.
    pub(crate) fn step(&self, band: usize, below: u8) -> Option<StepSize> {
        match self.kind {
            Kind::Derived => {
                let base = self.steps[0];
                Some(StepSize { exponent: base.exponent.saturating_sub(below), ..base })
            }
            _ => self.steps.get(band).copied(),
        }
    }

    pub(crate) fn steps(&self) -> &[StepSize] {
        &self.steps
    }

    /// The memory of the steps, to be used again.
    pub(crate) fn into_steps(self) -> Vec<StepSize> {
        self.steps
    }
}

/// An RGN segment: the component and the shift of its region of interest (Annex H).
pub(crate) fn parse_rgn(mut s: Cursor<'_>, components: usize) -> Result<(u16, u8), Error> {
    let component = s.component(components)?;
    let at = s.at();
    if s.u8()? != 0 {
        return Err(Error::unsupported(at, "a region of interest that is not of the maximum shift kind"));
    }
    Ok((component, s.u8()?))
}
