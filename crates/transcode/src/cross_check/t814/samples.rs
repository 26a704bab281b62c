//! From rows of components to rows of samples: the transforms of components undone (T.800 Annex G), the level shifted, rounded and cut to the range.

use super::cleanup::Cleanup;
use super::markers::Header;
use super::packets::Bands;
use super::synthesis::Component;
use super::{Result, damaged};

/// A picture that is decoded row by row.
#[derive(Debug)]
pub(in super::super) struct Picture<'a> {
    stream: &'a [u8],
    header: Header,
    coefficients: Coefficients,
    cleanup: Cleanup,
    rows: Vec<Vec<i32>>,
}

#[derive(Debug)]
enum Coefficients {
    Reversible(Vec<Component<i32>>),
    Irreversible(Vec<Component<f32>>),
}

impl<'a> Picture<'a> {
    pub(super) fn new(stream: &'a [u8], header: Header, bands: Vec<Bands>) -> Picture<'a> {
        let rows = vec![vec![0; header.width]; header.components];
        let bands = bands.into_iter();
        let coefficients = if header.reversible {
            Coefficients::Reversible(bands.map(|bands| Component::new(bands, &header)).collect())
        } else {
            Coefficients::Irreversible(bands.map(|bands| Component::new(bands, &header)).collect())
        };
        Picture { stream, header, coefficients, cleanup: Cleanup::default(), rows }
    }

    pub(in super::super) fn width(&self) -> usize {
        self.header.width
    }

    pub(in super::super) fn height(&self) -> usize {
        self.header.height
    }

    pub(in super::super) fn components(&self) -> usize {
        self.header.components
    }

    pub(in super::super) fn precision(&self) -> u8 {
        self.header.precision
    }

    pub(in super::super) fn signed(&self) -> bool {
        self.header.signed
    }

    /// The next row of each component; there are as many as the [height](Picture::height).
    pub(in super::super) fn row(&mut self) -> Result<&[Vec<i32>]> {
        let Picture { stream, header, coefficients, cleanup, rows } = self;
        let range = Range::of(header);
        let mut offsets = 0;
        match coefficients {
            Coefficients::Reversible(components) => {
                let sample = |v: i32| v.wrapping_add(range.shift);
                if let ([luma, blue, red], true) = (&mut components[..], header.colour) {
                    let parts = [luma.row(stream, cleanup)?, blue.row(stream, cleanup)?, red.row(stream, cleanup)?];
                    offsets |= range.colour(parts, rows, |parts| from_rct(parts).map(sample));
                } else {
                    for (component, row) in components.iter_mut().zip(rows.iter_mut()) {
                        offsets |= range.grey(component.row(stream, cleanup)?, row, sample);
                    }
                }
            }
            Coefficients::Irreversible(components) => {
                let sample = |v: f32| (nearest(v) + range.shift).clamp(range.least, range.least + range.most as i32);
                if let ([luma, blue, red], true) = (&mut components[..], header.colour) {
                    let parts = [luma.row(stream, cleanup)?, blue.row(stream, cleanup)?, red.row(stream, cleanup)?];
                    offsets |= range.colour(parts, rows, |parts| from_ict(parts).map(sample));
                } else {
                    for (component, row) in components.iter_mut().zip(rows.iter_mut()) {
                        offsets |= range.grey(component.row(stream, cleanup)?, row, sample);
                    }
                }
            }
        }
        // What nothing was lost of is within its range.
        if offsets > range.most {
            return Err(damaged("a sample that is out of range"));
        }
        Ok(rows)
    }
}

/// G.2.2.
#[inline(always)]
fn from_rct([y, u, v]: [i32; 3]) -> [i32; 3] {
    let green = y.wrapping_sub(u.wrapping_add(v) >> 2);
    [v.wrapping_add(green), green, u.wrapping_add(green)]
}

/// G.3.2.
#[inline(always)]
fn from_ict([y, blue, red]: [f32; 3]) -> [f32; 3] {
    [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue]
}

/// The nearest whole number, of what no sample exceeds: what is added leaves no bits for a fraction.
#[inline(always)]
fn nearest(value: f32) -> i32 {
    const WHOLE: f32 = 12_582_912.0;
    (value.clamp(-200_000.0, 200_000.0) + WHOLE).to_bits() as i32 - WHOLE.to_bits() as i32
}

/// What samples can be.
#[derive(Clone, Copy)]
struct Range {
    /// What was taken off before coding (G.1.2).
    shift: i32,
    least: i32,
    /// The highest, from the least on: all bits are ones.
    most: u32,
}

impl Range {
    fn of(header: &Header) -> Range {
        let half = 1 << (header.precision - 1);
        let (shift, least) = if header.signed { (0, -half) } else { (half, 0) };
        Range { shift, least, most: 2 * half as u32 - 1 }
    }

    /// Makes samples of values. Gives all bits of their distances from the least sample.
    #[inline(always)]
    fn grey<T: Copy>(self, values: &[T], row: &mut [i32], sample: impl Fn(T) -> i32) -> u32 {
        row.iter_mut().zip(values).fold(0, |offsets, (place, value)| {
            *place = sample(*value);
            offsets | place.wrapping_sub(self.least) as u32
        })
    }

    #[inline(always)]
    fn colour<T: Copy>(
        self,
        [y, u, v]: [&mut [T]; 3],
        rows: &mut [Vec<i32>],
        samples: impl Fn([T; 3]) -> [i32; 3],
    ) -> u32 {
        let [red, green, blue] = rows else { return 0 };
        let places = red.iter_mut().zip(green).zip(blue);
        places.zip(y.iter().zip(u.iter().zip(v.iter()))).fold(0, |offsets, (((red, green), blue), (y, (u, v)))| {
            (*red, *green, *blue) = samples([*y, *u, *v]).into();
            let offset = |sample: &i32| sample.wrapping_sub(self.least) as u32;
            offsets | offset(red) | offset(green) | offset(blue)
        })
    }
}
