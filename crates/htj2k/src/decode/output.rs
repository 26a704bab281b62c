//! Rows of coefficients to samples: level shift, clamping, and the caller's type (T.800 G.1).

use super::Plane;
use crate::geometry::Rect;
use crate::simd::{Simd, multiversion};
use crate::{Component, SamplesMut};

/// A coefficient that becomes a sample.
pub(crate) trait Value: Copy {
    /// Adds `offset`, rounds, and clamps.
    fn sample(self, range: Range) -> i32;
}

/// What the samples of a component can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    offset: i32,
    min: i32,
    max: i32,
}

impl Range {
    pub(crate) fn of(component: &Component) -> Range {
        let half = 1i64 << (component.precision.min(32) - 1);
        let clamp = |v: i64| v.clamp(i32::MIN as i64, i32::MAX as i64) as i32;
        if component.signed {
            Range { offset: 0, min: clamp(-half), max: clamp(half - 1) }
        } else {
            Range { offset: clamp(half), min: 0, max: clamp(2 * half - 1) }
        }
    }
}

impl Value for i32 {
    #[inline(always)]
    fn sample(self, range: Range) -> i32 {
        self.wrapping_add(range.offset).max(range.min).min(range.max)
    }
}

impl Value for i64 {
    #[inline(always)]
    fn sample(self, range: Range) -> i32 {
        self.wrapping_add(range.offset.into()).clamp(range.min.into(), range.max.into()) as i32
    }
}

impl Value for f32 {
    #[inline(always)]
    fn sample(self, range: Range) -> i32 {
        // Counted from the least sample, so that cutting off rounds.
        let above = self + (range.offset as f32 - range.min as f32 + 0.5);
        // As integers: beyond 24 bits the greatest sample is no f32, and the next one is out of range.
        let most = range.max as i64 - range.min as i64;
        ((above.max(0.0) as i64).min(most) + range.min as i64) as i32
    }
}

/// A caller's sample.
pub(crate) trait Sample: Copy {
    fn from_i32(v: i32) -> Self;
}

macro_rules! sample {
    ($($t:ty),*) => { $(impl Sample for $t {
        #[inline(always)]
        fn from_i32(v: i32) -> Self {
            v as $t
        }
    })* };
}
sample!(u8, i8, u16, i16, i32);

multiversion! {
/// Every `step`-th sample of `out` from a row.
fn store<T: Value, S: Sample>(row: &[T], out: &mut [S], step: usize, range: Range) {
    if step == 1 {
        for (s, v) in out[..row.len()].iter_mut().zip(row) {
            *s = S::from_i32(v.sample(range));
        }
    } else {
        for (s, v) in out.iter_mut().step_by(step).zip(row) {
            *s = S::from_i32(v.sample(range));
        }
    }
} }

/// Samples handled at a time by `store_pixels`.
const RUN: usize = 64;

multiversion! {
/// Pixels of three components each.
fn store_pixels<T: Value, S: Sample>(rows: [&[T]; 3], out: &mut [S], range: Range) {
    let width = rows[0].len();
    let rows = rows.map(|row| &row[..width]);
    let pixels = &mut out.as_chunks_mut::<3>().0[..width];
    let mut converted = [[S::from_i32(0); RUN]; 3];
    for start in (0..width).step_by(RUN) {
        let count = RUN.min(width - start);
        for (out, row) in converted.iter_mut().zip(rows) {
            if count == RUN {
                let row = row[start..].first_chunk::<RUN>().unwrap_or_else(|| unreachable!());
                for i in 0..RUN {
                    out[i] = S::from_i32(row[i].sample(range));
                }
            } else {
                for (s, v) in out.iter_mut().zip(&row[start..]) {
                    *s = S::from_i32(v.sample(range));
                }
            }
        }
        let [a, b, c] = &converted;
        let pixels = &mut pixels[start..start + count];
        for (i, pixel) in pixels.iter_mut().enumerate() {
            *pixel = [a[i], b[i], c[i]];
        }
    }
} }

/// Where rows go.
pub(crate) enum Output<'a> {
    /// The caller's buffer, its samples apart by `components`, its rows by `stride`; it takes a window of the level.
    Interleaved { samples: SamplesMut<'a>, stride: usize, components: usize, window: Rect },
    /// A plane for each component.
    Planes(&'a mut [Plane]),
}

impl<'a> Output<'a> {
    /// The rows before and from row `y` of the level. Planes cannot be cut: those after are none.
    pub(crate) fn cut(self, y: u32) -> (Output<'a>, Output<'a>) {
        match self {
            Output::Interleaved { samples, stride, components, window } => {
                let y = y.clamp(window.y0, window.y1);
                let at = ((y - window.y0) as usize * stride).min(samples.len());
                let (before, after) = samples.split_at(at);
                let part = |samples, window| Output::Interleaved { samples, stride, components, window };
                (part(before, Rect { y1: y, ..window }), part(after, Rect { y0: y, ..window }))
            }
            planes => (planes, Output::Planes(&mut [])),
        }
    }

    /// The same rows, for a while.
    pub(crate) fn reborrow(&mut self) -> Output<'_> {
        match self {
            Output::Interleaved { samples, stride, components, window } => Output::Interleaved {
                samples: samples.reborrow(),
                stride: *stride,
                components: *components,
                window: *window,
            },
            Output::Planes(planes) => Output::Planes(planes),
        }
    }
}

impl Output<'_> {
    /// Stores rows of the first three components.
    pub(crate) fn rows<T: Value>(&mut self, simd: Simd, places: [((usize, usize), Range); 3], rows: [&[T]; 3]) {
        if rows[0].is_empty() {
            return;
        }
        let ((x, y), range) = places[0];
        match self {
            Output::Interleaved { samples, stride, components: 3, .. } if places.iter().all(|p| p.1 == range) => {
                let start = y * *stride + x * 3;
                match samples {
                    SamplesMut::U8(s) => store_pixels(simd, rows, &mut s[start..], range),
                    SamplesMut::I8(s) => store_pixels(simd, rows, &mut s[start..], range),
                    SamplesMut::U16(s) => store_pixels(simd, rows, &mut s[start..], range),
                    SamplesMut::I16(s) => store_pixels(simd, rows, &mut s[start..], range),
                    SamplesMut::I32(s) => store_pixels(simd, rows, &mut s[start..], range),
                }
            }
            _ => {
                for (n, (place, range)) in places.into_iter().enumerate() {
                    self.row(simd, n, place, rows[n], range);
                }
            }
        }
    }

    /// Stores a row of a component; `x` and `y` count from the component's origin.
    pub(crate) fn row<T: Value>(
        &mut self,
        simd: Simd,
        component: usize,
        (x, y): (usize, usize),
        row: &[T],
        range: Range,
    ) {
        if row.is_empty() {
            return;
        }
        match self {
            Output::Planes(planes) => {
                let plane = &mut planes[component];
                let start = y * plane.width as usize + x;
                store(simd, row, &mut plane.samples[start..], 1, range);
            }
            Output::Interleaved { samples, stride, components, .. } => {
                let (start, step) = (y * *stride + x * *components + component, *components);
                match samples {
                    SamplesMut::U8(s) => store(simd, row, &mut s[start..], step, range),
                    SamplesMut::I8(s) => store(simd, row, &mut s[start..], step, range),
                    SamplesMut::U16(s) => store(simd, row, &mut s[start..], step, range),
                    SamplesMut::I16(s) => store(simd, row, &mut s[start..], step, range),
                    SamplesMut::I32(s) => store(simd, row, &mut s[start..], step, range),
                }
            }
        }
    }
}

/// Whether the caller's type holds every sample of a component.
pub(crate) fn fits(samples: &SamplesMut<'_>, component: &Component) -> bool {
    let (bits, signed) = match samples {
        SamplesMut::U8(_) => (8, false),
        SamplesMut::I8(_) => (8, true),
        SamplesMut::U16(_) => (16, false),
        SamplesMut::I16(_) => (16, true),
        SamplesMut::I32(_) => (32, true),
    };
    match (component.signed, signed) {
        (false, false) | (true, true) => component.precision <= bits,
        (false, true) => component.precision < bits,
        (true, false) => false,
    }
}

/// Copies planes into the caller's buffer; a sub-sampled component's samples are repeated.
pub(crate) fn interleave(
    planes: &[Plane],
    (width, height): (u32, u32),
    origin: (u32, u32),
    out: SamplesMut<'_>,
    stride: usize,
) {
    match out {
        SamplesMut::U8(s) => repeat(planes, (width, height), origin, s, stride),
        SamplesMut::I8(s) => repeat(planes, (width, height), origin, s, stride),
        SamplesMut::U16(s) => repeat(planes, (width, height), origin, s, stride),
        SamplesMut::I16(s) => repeat(planes, (width, height), origin, s, stride),
        SamplesMut::I32(s) => repeat(planes, (width, height), origin, s, stride),
    }
}

fn repeat<S: Sample>(planes: &[Plane], (width, height): (u32, u32), origin: (u32, u32), out: &mut [S], stride: usize) {
    for (c, plane) in planes.iter().enumerate() {
        // The nearest sample at or before a place of the reference grid, within the plane.
        let at = |n: u32, origin: u32, d: u8, first: u32, count: u32| {
            ((origin + n) / d as u32).saturating_sub(first).min(count.saturating_sub(1)) as usize
        };
        if plane.width == 0 || plane.height == 0 {
            continue;
        }
        for y in 0..height {
            let from = at(y, origin.1, plane.dy, plane.origin.1, plane.height) * plane.width as usize;
            for x in 0..width {
                let v = plane.samples[from + at(x, origin.0, plane.dx, plane.origin.0, plane.width)];
                out[y as usize * stride + x as usize * planes.len() + c] = S::from_i32(v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    /// Every value becomes a sample of its precision, and one beyond all the last of them.
    #[test]
    fn samples_stay_within_their_precision() {
        for (precision, signed) in (1..=31).flat_map(|precision| [(precision, false), (precision, true)]) {
            let range = Range::of(&Component { precision, signed, dx: 1, dy: 1 });
            let half = 1i64 << (precision - 1);
            let (least, most) = if signed { (-half, half - 1) } else { (0, 2 * half - 1) };
            let case = format!("{precision} bits, signed {signed}");
            assert_eq!((range.min as i64, range.max as i64), (least, most), "{case}");
            assert_eq!([f32::MIN, f32::MAX].map(|v| v.sample(range) as i64), [least, most], "{case}");
            assert_eq!([-4 * half, 4 * half].map(|v| v.sample(range) as i64), [least, most], "{case}");
            for v in (-8..8).map(|n| n as f32 / 4.0 * half as f32) {
                assert!((least..=most).contains(&(v.sample(range) as i64)), "{case}: {v}");
            }
        }
    }
}
