//! POC: changes of progression order (T.800 A.6.6).

use super::{Cursor, cod::progression};
use crate::{Error, Progression};
use alloc::vec::Vec;

/// A part of the packets, and the order they come in. Ends are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) progression: Progression,
    pub(crate) resolutions: (u8, u8),
    pub(crate) components: (u16, u16),
    pub(crate) layers: u16,
}

impl Volume {
    pub(crate) fn parse(mut s: Cursor<'_>, components: usize, out: &mut Vec<Volume>) -> Result<(), Error> {
        let wide = components >= 257;
        while s.left() > 0 {
            let at = s.at();
            let first_resolution = s.u8()?;
            let first_component = if wide { s.u16()? } else { s.u8()? as u16 };
            let layers = s.u16()?;
            let resolution_end = s.u8()?;
            let component_end = if wide { s.u16()? } else { s.u8()? as u16 };
            let progression = progression(at, s.u8()?)?;
            // In the one-byte form 0 stands for 256.
            let component_end = if component_end == 0 { components as u16 } else { component_end };
            out.push(Volume {
                progression,
                resolutions: (first_resolution, resolution_end.min(33)),
                components: (first_component, component_end.min(components as u16)),
                layers,
            });
        }
        Ok(())
    }
}
