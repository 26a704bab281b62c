//! SIZ: image and tile size (T.800 A.5.1).

use super::{Cursor, SIZ, SegmentWriter};
use crate::component::Component;
use crate::rect::Rect;
use crate::{Error, Limits};
use alloc::vec::Vec;

/// Precision and sub-sampling of a component.
pub(crate) type ComponentSize = Component;

/// The reference grid, its tiles and its components. A value of this type obeys the standard's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Siz {
    pub(crate) capabilities: u16,
    /// The image area.
    pub(crate) image: Rect,
    /// Origin of the first tile.
    pub(crate) tile_origin: (u32, u32),
    /// Nominal size of a tile.
    pub(crate) tile_size: (u32, u32),
    pub(crate) components: Vec<ComponentSize>,
}

impl Siz {
    /// Parses the segment; `components` is memory to be used again.
    pub(crate) fn parse(mut s: Cursor<'_>, limits: &Limits, mut components: Vec<ComponentSize>) -> Result<Siz, Error> {
        let at = s.at();
        let capabilities = s.u16()?;
        let (x1, y1, x0, y0) = (s.u32()?, s.u32()?, s.u32()?, s.u32()?);
        let tile_size = (s.u32()?, s.u32()?);
        let tile_origin = (s.u32()?, s.u32()?);
        if x0 >= x1 || y0 >= y1 {
            return Err(Error::malformed(at, "the image area is empty"));
        }
        let image = Rect { x0, y0, x1, y1 };
        if image.width() as u64 * image.height() as u64 > limits.max_pixels {
            return Err(Error::limit(at, "pixels of the image"));
        }
        check_tiles(at, image, tile_origin, tile_size)?;

        let at = s.at();
        let count = s.u16()?;
        if count == 0 || count > 16384 {
            return Err(Error::malformed(at, "the number of components is not 1 to 16384"));
        }
        if count as u32 > limits.max_components {
            return Err(Error::limit(at, "components of the image"));
        }
        components.clear();
        components.reserve((count as usize).min(s.left() / 3));
        for _ in 0..count {
            components.push(component(&mut s)?);
        }
        Ok(Siz { capabilities, image, tile_origin, tile_size, components })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut s = SegmentWriter::new(out, SIZ);
        s.u16(self.capabilities);
        s.u32(self.image.x1).u32(self.image.y1).u32(self.image.x0).u32(self.image.y0);
        s.u32(self.tile_size.0).u32(self.tile_size.1);
        s.u32(self.tile_origin.0).u32(self.tile_origin.1);
        s.u16(self.components.len() as u16);
        for c in &self.components {
            s.u8((c.precision - 1) | (c.signed as u8) << 7).u8(c.dx).u8(c.dy);
        }
        s.done();
    }

    /// Tiles across and down (B-5).
    pub(crate) fn tiles(&self) -> (u32, u32) {
        let across = (self.image.x1 - self.tile_origin.0).div_ceil(self.tile_size.0);
        let down = (self.image.y1 - self.tile_origin.1).div_ceil(self.tile_size.1);
        (across, down)
    }

    /// The area of a tile on the reference grid (B-7 to B-10).
    pub(crate) fn tile(&self, index: u32) -> Rect {
        let across = self.tiles().0;
        let (p, q) = (index % across, index / across);
        let edge =
            |origin: u32, size: u32, n: u32| (origin as u64 + n as u64 * size as u64).min(u32::MAX as u64) as u32;
        Rect {
            x0: edge(self.tile_origin.0, self.tile_size.0, p).max(self.image.x0),
            y0: edge(self.tile_origin.1, self.tile_size.1, q).max(self.image.y0),
            x1: edge(self.tile_origin.0, self.tile_size.0, p + 1).min(self.image.x1),
            y1: edge(self.tile_origin.1, self.tile_size.1, q + 1).min(self.image.y1),
        }
    }
}

fn check_tiles(at: usize, image: Rect, origin: (u32, u32), size: (u32, u32)) -> Result<(), Error> {
    if size.0 == 0 || size.1 == 0 {
        return Err(Error::malformed(at, "a tile has no size"));
    }
    let reaches = |o: u32, s: u32, i: u32| o <= i && o as u64 + s as u64 > i as u64;
    if !reaches(origin.0, size.0, image.x0) || !reaches(origin.1, size.1, image.y0) {
        return Err(Error::malformed(at, "the first tile does not meet the image area"));
    }
    let across = (image.x1 - origin.0).div_ceil(size.0) as u64;
    let down = (image.y1 - origin.1).div_ceil(size.1) as u64;
    if across * down > 65535 {
        return Err(Error::malformed(at, "more than 65535 tiles"));
    }
    Ok(())
}

fn component(s: &mut Cursor<'_>) -> Result<ComponentSize, Error> {
    let at = s.at();
    let (depth, dx, dy) = (s.u8()?, s.u8()?, s.u8()?);
    let precision = (depth & 0x7F) + 1;
    if precision > 38 {
        return Err(Error::malformed(at, "a component has more than 38 bits"));
    }
    if dx == 0 || dy == 0 {
        return Err(Error::malformed(at, "a component's sub-sampling is zero"));
    }
    Ok(Component { precision, signed: depth & 0x80 != 0, dx, dy })
}
