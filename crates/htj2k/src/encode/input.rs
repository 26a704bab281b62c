//! Samples to coefficients: level shift (T.800 G.1) and the check of their range.

use crate::simd::{Simd, multiversion};
use crate::{Error, Image, Samples};
use alloc::vec::Vec;

/// A coefficient made of a sample.
pub(crate) trait Value: Copy {
    fn of(sample: i32) -> Self;
}

impl Value for i32 {
    #[inline(always)]
    fn of(sample: i32) -> Self {
        sample
    }
}

impl Value for i64 {
    #[inline(always)]
    fn of(sample: i32) -> Self {
        sample.into()
    }
}

impl Value for f32 {
    #[inline(always)]
    fn of(sample: i32) -> Self {
        sample as f32
    }
}

/// Reads rows of components, shifted so that their range is around zero.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    image: Image<'a>,
    shift: i32,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(image: &Image<'a>) -> Self {
        let shift = if image.signed { 0 } else { 1i32 << (image.precision - 1) };
        Rows { image: *image, shift }
    }

    /// The samples of a component from (`x`, `y`) on, as many as `out` has room for. Adds every bit that was set in any
    /// sample (of its complement, if negative) to `bits`.
    pub(crate) fn read<T: Value>(
        &self,
        simd: Simd,
        component: usize,
        (x, y): (u32, u32),
        out: &mut [T],
        bits: &mut u32,
    ) {
        let step = self.image.components as usize;
        let start = y as usize * self.image.stride + x as usize * step + component;
        let shift = self.shift;
        match self.image.samples {
            Samples::U8(s) => load(simd, &s[start..], step, shift, out, bits),
            Samples::I8(s) => load(simd, &s[start..], step, shift, out, bits),
            Samples::U16(s) => load(simd, &s[start..], step, shift, out, bits),
            Samples::I16(s) => load(simd, &s[start..], step, shift, out, bits),
            Samples::I32(s) => load(simd, &s[start..], step, shift, out, bits),
        }
    }

    /// The samples of all three components from (`x`, `y`) on, as many as the rows have room for.
    pub(crate) fn read_pixels<T: Value>(&self, simd: Simd, (x, y): (u32, u32), out: &mut [Vec<T>; 3], bits: &mut u32) {
        let start = y as usize * self.image.stride + x as usize * 3;
        let shift = self.shift;
        match self.image.samples {
            Samples::U8(s) => load_pixels(simd, &s[start..], shift, out, bits),
            Samples::I8(s) => load_pixels(simd, &s[start..], shift, out, bits),
            Samples::U16(s) => load_pixels(simd, &s[start..], shift, out, bits),
            Samples::I16(s) => load_pixels(simd, &s[start..], shift, out, bits),
            Samples::I32(s) => load_pixels(simd, &s[start..], shift, out, bits),
        }
    }

    /// Whether samples with these bits are in the range of the precision.
    pub(crate) fn check(&self, bits: u32) -> Result<(), Error> {
        let most = self.image.precision as u32 - self.image.signed as u32;
        if bits >> most != 0 { Err(Error::request("a sample is outside the range of the precision")) } else { Ok(()) }
    }
}

/// Pixels handled at a time by `load_pixels`.
const RUN: usize = 64;

multiversion! {
fn load_pixels<T: Value, S: Sample>(samples: &[S], shift: i32, out: &mut [Vec<T>; 3], bits: &mut u32) {
    let signed = (shift == 0) as i32;
    let width = out[0].len();
    let pixels = &samples.as_chunks::<3>().0[..width];
    let [a, b, c] = out.each_mut().map(|row| &mut row[..width]);
    let mut all = 0;
    let mut apart = [[S::default(); RUN]; 3];
    for start in (0..width).step_by(RUN) {
        let count = RUN.min(width - start);
        for (i, pixel) in pixels[start..start + count].iter().enumerate() {
            (apart[0][i], apart[1][i], apart[2][i]) = (pixel[0], pixel[1], pixel[2]);
        }
        for (apart, out) in apart.iter().zip([&mut *a, &mut *b, &mut *c]) {
            for (s, out) in apart.iter().zip(&mut out[start..start + count]) {
                let v = s.value();
                all |= v ^ (signed * (v >> 31));
                *out = T::of(v.wrapping_sub(shift));
            }
        }
    }
    *bits |= all as u32;
} }

/// A caller's sample; negative unsigned ones cannot be, so all fit.
trait Sample: Copy + Default {
    fn value(self) -> i32;
}

macro_rules! sample {
    ($($t:ty),*) => { $(impl Sample for $t {
        #[inline(always)]
        fn value(self) -> i32 {
            self as i32
        }
    })* };
}
sample!(u8, i8, u16, i16, i32);

multiversion! {
fn load<T: Value, S: Sample>(samples: &[S], step: usize, shift: i32, out: &mut [T], bits: &mut u32) {
    // An unsigned sample that is negative has its highest bit set, a signed one that is has not.
    let signed = (shift == 0) as i32;
    let mut all = 0;
    let mut convert = |v: i32, out: &mut T| {
        all |= v ^ (signed * (v >> 31));
        *out = T::of(v.wrapping_sub(shift));
    };
    if step == 1 {
        let samples = &samples[..out.len()];
        for (s, out) in samples.iter().zip(out) {
            convert(s.value(), out);
        }
    } else {
        for (s, out) in samples.iter().step_by(step).zip(out) {
            convert(s.value(), out);
        }
    }
    *bits |= all as u32;
} }
