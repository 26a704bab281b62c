//! The multiple component transforms (T.800 Annex G): colour to luminance and chrominance, and back, row by row.

use crate::simd::multiversion;
use crate::wavelet::Integer;
use alloc::vec::Vec;

multiversion! {
/// The reversible transform undone (G.2.2).
pub(crate) fn reversible_inverse<I: Integer>(y: &[I], u: &[I], v: &[I], out: &mut [Vec<I>; 3]) {
    let n = y.len();
    let (u, v) = (&u[..n], &v[..n]);
    let [red, green, blue] = out.each_mut().map(|row| &mut row[..n]);
    for i in 0..n {
        let g = y[i].minus(u[i].plus(v[i]).halved(2));
        red[i] = v[i].plus(g);
        green[i] = g;
        blue[i] = u[i].plus(g);
    }
} }

multiversion! {
/// The reversible transform (G.2.1).
pub(crate) fn reversible_forward<I: Integer>(a: &mut [I], b: &mut [I], c: &mut [I]) {
    let n = a.len();
    let (b, c) = (&mut b[..n], &mut c[..n]);
    for i in 0..n {
        let (red, green, blue) = (a[i], b[i], c[i]);
        a[i] = red.plus(green).plus(green).plus(blue).halved(2);
        b[i] = blue.minus(green);
        c[i] = red.minus(green);
    }
} }

multiversion! {
/// The irreversible transform undone (G.3.2).
pub(crate) fn irreversible_inverse(y: &[f32], cb: &[f32], cr: &[f32], out: &mut [Vec<f32>; 3]) {
    let n = y.len();
    let (cb, cr) = (&cb[..n], &cr[..n]);
    let [red, green, blue] = out.each_mut().map(|row| &mut row[..n]);
    for i in 0..n {
        red[i] = y[i] + 1.402 * cr[i];
        green[i] = y[i] - 0.344_13 * cb[i] - 0.714_14 * cr[i];
        blue[i] = y[i] + 1.772 * cb[i];
    }
} }

multiversion! {
/// The irreversible transform (G.3.1).
pub(crate) fn irreversible_forward(a: &mut [f32], b: &mut [f32], c: &mut [f32]) {
    let n = a.len();
    let (b, c) = (&mut b[..n], &mut c[..n]);
    for i in 0..n {
        let (red, green, blue) = (a[i], b[i], c[i]);
        a[i] = 0.299 * red + 0.587 * green + 0.114 * blue;
        b[i] = -0.168_75 * red - 0.331_26 * green + 0.5 * blue;
        c[i] = 0.5 * red - 0.418_69 * green - 0.081_31 * blue;
    }
} }
