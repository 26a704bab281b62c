//! The irreversible 9/7 transform (T.800 F.3.8.2, F.4.8.2).

use super::{Place, Transform};
use crate::simd::{Simd, multiversion};

/// Lifting parameters (Table F.4).
const ALPHA: f32 = -1.586_134_3;
const BETA: f32 = -0.052_980_12;
const GAMMA: f32 = 0.882_911_1;
const DELTA: f32 = 0.443_506_85;
const K: f32 = 1.230_174_1;

/// Factors of the synthesis steps, in their order: rows of even parity, odd, even, odd.
const SYNTHESIS: [f32; 4] = [-DELTA, -GAMMA, -BETA, -ALPHA];
/// Factors of the analysis steps: odd, even, odd, even.
const ANALYSIS: [f32; 4] = [ALPHA, BETA, GAMMA, DELTA];

/// What low and high coefficients of a row are multiplied by in the synthesis, rows and columns together.
fn scales(place: Place) -> (f32, f32) {
    let vertical = match place {
        Place::Even => K,
        Place::Odd => 1.0 / K,
        Place::AloneEven => 1.0,
        Place::AloneOdd => 0.5,
    };
    (vertical * K, vertical / K)
}

/// The vertical factor alone, for rows of one column.
fn vertical_scale(place: Place) -> f32 {
    scales(place).0 / K
}

impl Transform for f32 {
    const STEPS: i64 = 4;

    fn synthesise_row(simd: Simd, low: &[f32], high: &[f32], odd: bool, place: Place, out: &mut [f32]) {
        match (low.len(), high.len()) {
            (0, 0) => {}
            (1, 0) => out[0] = low[0] * vertical_scale(place),
            (0, 1) => out[0] = high[0] * vertical_scale(place) * 0.5,
            _ => {
                let (low_scale, high_scale) = scales(place);
                interleave(simd, low, high, odd, low_scale, high_scale, out);
                for (step, factor) in SYNTHESIS.into_iter().enumerate() {
                    lift_columns(simd, out, odd as usize ^ (step & 1), factor);
                }
            }
        }
    }

    fn analyse_row(simd: Simd, row: &mut [f32], odd: bool, place: Place, low: &mut [f32], high: &mut [f32]) {
        match (low.len(), high.len()) {
            (0, 0) => {}
            (1, 0) => low[0] = row[0] / vertical_scale(place),
            (0, 1) => high[0] = row[0] * 2.0 / vertical_scale(place),
            _ => {
                for (step, factor) in ANALYSIS.into_iter().enumerate() {
                    lift_columns(simd, row, odd as usize ^ (step & 1) ^ 1, factor);
                }
                let (low_scale, high_scale) = scales(place);
                deinterleave(simd, row, odd, 1.0 / low_scale, 1.0 / high_scale, low, high);
            }
        }
    }

    fn synthesise_step(simd: Simd, step: i64, row: &mut [f32], above: &[f32], below: &[f32]) {
        lift_row(simd, row, above, below, SYNTHESIS[step as usize - 1]);
    }

    fn analyse_step(simd: Simd, step: i64, row: &mut [f32], above: &[f32], below: &[f32]) {
        lift_row(simd, row, above, below, ANALYSIS[step as usize - 1]);
    }
}

multiversion! { fn lift_row(row: &mut [f32], above: &[f32], below: &[f32], factor: f32) {
    let n = row.len();
    let (above, below) = (&above[..n], &below[..n]);
    for i in 0..n {
        row[i] += factor * (above[i] + below[i]);
    }
} }

multiversion! {
/// One lifting step on the columns `first`, `first + 2`, ...; a missing neighbour is the one on the other side.
fn lift_columns(row: &mut [f32], first: usize, factor: f32) {
    let n = row.len();
    let mut i = first;
    while i < n {
        let left = row[if i > 0 { i - 1 } else { i + 1 }];
        let right = row[if i + 1 < n { i + 1 } else { i - 1 }];
        row[i] += factor * (left + right);
        i += 2;
    }
} }

multiversion! { fn interleave(low: &[f32], high: &[f32], odd: bool, low_scale: f32, high_scale: f32, out: &mut [f32]) {
    for (v, l) in out.iter_mut().skip(odd as usize).step_by(2).zip(low) {
        *v = l * low_scale;
    }
    for (v, h) in out.iter_mut().skip(!odd as usize).step_by(2).zip(high) {
        *v = h * high_scale;
    }
} }

multiversion! { fn deinterleave(row: &[f32], odd: bool, low_scale: f32, high_scale: f32, low: &mut [f32], high: &mut [f32]) {
    for (l, v) in low.iter_mut().zip(row.iter().skip(odd as usize).step_by(2)) {
        *l = v * low_scale;
    }
    for (h, v) in high.iter_mut().zip(row.iter().skip(!odd as usize).step_by(2)) {
        *h = v * high_scale;
    }
} }
