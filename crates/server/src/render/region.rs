//! A region of an image, mirrored perhaps (the source of `viewport`, PS3.18 8.3.5.1.3).

use super::Rows;

/// A part of an image, in its columns and rows; fractions are of a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// First column.
    pub x: f64,
    /// First row.
    pub y: f64,
    /// Columns; `None`: to the right end.
    pub width: Option<f64>,
    /// Rows; `None`: to the bottom.
    pub height: Option<f64>,
    /// Left is right.
    pub mirrored: bool,
    /// Top is bottom.
    pub flipped: bool,
}

/// Whole pixels: first column and row, columns, rows.
pub type Pixels = (u32, u32, u32, u32);

impl Region {
    /// The pixels of it in an image of `size` that is made of one of `full`; `None` where it lies outside.
    pub fn within(&self, full: (u32, u32), size: (u32, u32)) -> Option<Pixels> {
        let (x, width) = side(self.x, self.width, full.0, size.0)?;
        let (y, height) = side(self.y, self.height, full.1, size.1)?;
        Some((x, y, width, height))
    }
}

/// What of `size` pixels, which stand for `full`, is from `start` on, `length` long: at least one.
fn side(start: f64, length: Option<f64>, full: u32, size: u32) -> Option<(u32, u32)> {
    let (all, scale) = (f64::from(full), f64::from(size) / f64::from(full.max(1)));
    let end = length.map_or(all, |length| (start + length).min(all));
    if !(0.0..all).contains(&start) || end <= start {
        return None;
    }
    let first = ((start * scale) as u32).min(size.saturating_sub(1));
    let last = ((end * scale).ceil() as u32).clamp(first + 1, size.max(first + 1));
    Some((first, last - first))
}

/// A region of other rows.
pub struct Cropped<'a> {
    of: &'a mut dyn Rows,
    pixels: Pixels,
    mirrored: bool,
    flipped: bool,
    line: Vec<u8>,
}

impl<'a> Cropped<'a> {
    /// These pixels of `of`, which may be asked for in any order.
    pub fn new(of: &'a mut dyn Rows, pixels: Pixels, region: &Region) -> Cropped<'a> {
        let line = vec![0; of.row_len()];
        Cropped { of, pixels, mirrored: region.mirrored, flipped: region.flipped, line }
    }
}

impl Rows for Cropped<'_> {
    fn width(&self) -> u32 {
        self.pixels.2
    }

    fn height(&self) -> u32 {
        self.pixels.3
    }

    fn channels(&self) -> usize {
        self.of.channels()
    }

    fn row(&mut self, y: u32, out: &mut [u8]) {
        let (left, top, width, height) = self.pixels;
        let y = if self.flipped { height - 1 - y } else { y };
        let channels = self.of.channels();
        self.of.row(top + y, &mut self.line);
        let part = &self.line[left as usize * channels..][..width as usize * channels];
        if self.mirrored {
            let reversed = part.chunks_exact(channels).rev();
            out.chunks_exact_mut(channels).zip(reversed).for_each(|(out, pixel)| out.copy_from_slice(pixel));
        } else {
            out.copy_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Region = Region { x: 0.0, y: 0.0, width: None, height: None, mirrored: false, flipped: false };

    #[test]
    fn pixels_at_every_size() {
        assert_eq!(ALL.within((512, 256), (512, 256)), Some((0, 0, 512, 256)));
        let part = Region { x: 100.0, y: 50.5, width: Some(100.0), height: Some(1.0), ..ALL };
        assert_eq!(part.within((512, 256), (512, 256)), Some((100, 50, 100, 2)));
        assert_eq!(part.within((512, 256), (128, 64)), Some((25, 12, 25, 1)));
        let over = Region { x: 500.0, width: Some(100.0), ..ALL };
        assert_eq!(over.within((512, 256), (512, 256)), Some((500, 0, 12, 256)));
        for outside in [Region { x: 512.0, ..ALL }, Region { y: -1.0, ..ALL }, Region { width: Some(0.0), ..ALL }] {
            assert_eq!(outside.within((512, 256), (512, 256)), None, "{outside:?}");
        }
    }

    struct Numbers;

    impl Rows for Numbers {
        fn width(&self) -> u32 {
            4
        }
        fn height(&self) -> u32 {
            3
        }
        fn channels(&self) -> usize {
            1
        }
        fn row(&mut self, y: u32, out: &mut [u8]) {
            out.iter_mut().enumerate().for_each(|(x, out)| *out = y as u8 * 10 + x as u8);
        }
    }

    #[test]
    fn mirrors() {
        let shown = |mirrored, flipped| {
            let region = Region { x: 1.0, y: 1.0, mirrored, flipped, ..ALL };
            let mut of = Numbers;
            let mut cropped = Cropped::new(&mut of, region.within((4, 3), (4, 3)).unwrap(), &region);
            let mut out = [[0; 3]; 2];
            out.iter_mut().enumerate().for_each(|(y, out)| cropped.row(y as u32, out));
            out
        };
        assert_eq!(shown(false, false), [[11, 12, 13], [21, 22, 23]]);
        assert_eq!(shown(true, false), [[13, 12, 11], [23, 22, 21]]);
        assert_eq!(shown(false, true), [[21, 22, 23], [11, 12, 13]]);
        assert_eq!(shown(true, true), [[23, 22, 21], [13, 12, 11]]);
    }
}
