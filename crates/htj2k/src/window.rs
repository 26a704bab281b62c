//! A window of a level, and what it takes of the levels below (T.800 F.3).

use crate::Error;
use crate::geometry::Tile;
use crate::rect::Rect;

/// A rectangle of pixels of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub x: u32,
    /// First row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// The part of a level that is wanted, on the level's grid.
#[inline(never)]
pub(crate) fn window(area: Rect, region: Option<Region>) -> Result<Rect, Error> {
    let Some(Region { x, y, width, height }) = region else { return Ok(area) };
    let inside =
        |start: u32, count: u32, most: u32| start.checked_add(count).is_some_and(|end| end <= most) && count > 0;
    if !inside(x, width, area.width()) || !inside(y, height, area.height()) {
        return Err(Error::request("the region is empty or not in the image"));
    }
    let (x0, y0) = (area.x0 + x, area.y0 + y);
    Ok(Rect { x0, y0, x1: x0 + width, y1: y0 + height })
}

/// What a window takes of each resolution level: the window, with as many samples around it as there are lifting `steps`, and
/// below that level what these come from (F.3). Of the base, whole code-blocks.
#[inline(never)]
pub(crate) fn areas(tile: &Tile, component: usize, last: u8, mut window: Rect, steps: u32) -> Option<[Rect; 33]> {
    let mut areas = [Rect::default(); 33];
    for r in (0..=last).rev() {
        let whole = tile.resolution(component, r)?;
        let area = if r > 0 {
            window.grown(steps, &whole.area)
        } else {
            tile.bands[whole.first_band as usize].blocks_of(window).1
        };
        areas[r as usize] = area;
        window = area.reduced(1);
    }
    Some(areas)
}
