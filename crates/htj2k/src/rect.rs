//! Rectangles, and what they are on other grids (T.800 B.5).

/// A rectangle; the ends are exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) x0: u32,
    pub(crate) y0: u32,
    pub(crate) x1: u32,
    pub(crate) y1: u32,
}

impl Rect {
    pub(crate) fn width(&self) -> u32 {
        self.x1 - self.x0
    }

    pub(crate) fn height(&self) -> u32 {
        self.y1 - self.y0
    }

    /// What two rectangles share; empty, but never inverted, if that is nothing.
    pub(crate) fn shared(&self, other: &Rect) -> Rect {
        let (x0, y0) = (self.x0.max(other.x0), self.y0.max(other.y0));
        Rect { x0, y0, x1: self.x1.min(other.x1).max(x0), y1: self.y1.min(other.y1).max(y0) }
    }

    /// The part of `whole` that is `margin` samples around this.
    pub(crate) fn grown(&self, margin: u32, whole: &Rect) -> Rect {
        Rect {
            x0: self.x0.saturating_sub(margin).max(whole.x0),
            y0: self.y0.saturating_sub(margin).max(whole.y0),
            x1: self.x1.saturating_add(margin).min(whole.x1),
            y1: self.y1.saturating_add(margin).min(whole.y1),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.x0 >= self.x1 || self.y0 >= self.y1
    }

    /// Each coordinate divided, upwards (B-12).
    pub(crate) fn divided(&self, dx: u32, dy: u32) -> Rect {
        Rect { x0: self.x0.div_ceil(dx), y0: self.y0.div_ceil(dy), x1: self.x1.div_ceil(dx), y1: self.y1.div_ceil(dy) }
    }

    /// `ceil(n / 2^levels)` of each coordinate (B-14).
    pub(crate) fn reduced(&self, levels: u8) -> Rect {
        let f = |v: u32| shift_up(v, levels, 0);
        Rect { x0: f(self.x0), y0: f(self.y0), x1: f(self.x1), y1: f(self.y1) }
    }

    /// The part of a sub-band: `ceil((n - 2^(levels-1) * odd) / 2^levels)` (B-15).
    pub(crate) fn band(&self, levels: u8, kind: BandKind) -> Rect {
        let x = |v| shift_up(v, levels, kind.odd_x() as u64);
        let y = |v| shift_up(v, levels, kind.odd_y() as u64);
        Rect { x0: x(self.x0), y0: y(self.y0), x1: x(self.x1), y1: y(self.y1) }
    }
}

/// `ceil((v - odd * 2^(levels-1)) / 2^levels)`, never below 0.
pub(crate) fn shift_up(v: u32, levels: u8, odd: u64) -> u32 {
    if levels == 0 {
        return v;
    }
    let half = odd << (levels - 1);
    (((v as u64 + (1u64 << levels) - 1).saturating_sub(half)) >> levels) as u32
}

/// The kind of a sub-band; the first letter is the horizontal direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BandKind {
    Ll,
    Hl,
    Lh,
    Hh,
}

impl BandKind {
    pub(crate) fn odd_x(self) -> bool {
        matches!(self, BandKind::Hl | BandKind::Hh)
    }

    pub(crate) fn odd_y(self) -> bool {
        matches!(self, BandKind::Lh | BandKind::Hh)
    }

    /// log2 of the band's gain (Table E.1).
    pub(crate) fn gain(self) -> u8 {
        self.odd_x() as u8 + self.odd_y() as u8
    }
}
