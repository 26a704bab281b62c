//! The reversible 5/3 transform (T.800 F.3.8.1, F.4.8.1). Arithmetic wraps: only broken streams get that far.

use super::{Place, Transform};
use crate::simd::{Simd, multiversion};

impl Transform for i32 {
    const STEPS: i64 = 2;

    fn synthesise_row(simd: Simd, low: &[i32], high: &[i32], odd: bool, place: Place, out: &mut [i32]) {
        match (low.len(), high.len(), odd) {
            (0, 0, _) => {}
            (1, 0, _) => out[0] = low[0],
            (0, 1, _) => out[0] = high[0] >> 1,
            (_, _, false) => synthesise_even(simd, low, high, out),
            (_, _, true) => synthesise_odd(simd, low, high, out),
        }
        if place == Place::AloneOdd {
            out.iter_mut().for_each(|v| *v >>= 1);
        }
    }

    fn analyse_row(simd: Simd, row: &mut [i32], odd: bool, place: Place, low: &mut [i32], high: &mut [i32]) {
        if place == Place::AloneOdd {
            row.iter_mut().for_each(|v| *v = v.wrapping_mul(2));
        }
        match (low.len(), high.len(), odd) {
            (0, 0, _) => {}
            (1, 0, _) => low[0] = row[0],
            (0, 1, _) => high[0] = row[0].wrapping_mul(2),
            (_, _, false) => analyse_even(simd, row, low, high),
            (_, _, true) => analyse_odd(simd, row, low, high),
        }
    }

    fn synthesise_step(simd: Simd, step: i64, row: &mut [i32], above: &[i32], below: &[i32]) {
        match step {
            1 => subtract_update(simd, row, above, below),
            _ => add_prediction(simd, row, above, below),
        }
    }

    fn analyse_step(simd: Simd, step: i64, row: &mut [i32], above: &[i32], below: &[i32]) {
        match step {
            1 => subtract_prediction(simd, row, above, below),
            _ => add_update(simd, row, above, below),
        }
    }
}

/// What two even neighbours predict of an odd sample.
#[inline(always)]
fn prediction(a: i32, b: i32) -> i32 {
    a.wrapping_add(b) >> 1
}

/// What two odd neighbours (already differences) add to an even sample.
#[inline(always)]
fn update(a: i32, b: i32) -> i32 {
    a.wrapping_add(b).wrapping_add(2) >> 2
}

/// Applies `f` to each sample and its two neighbours.
#[inline(always)]
fn lift(row: &mut [i32], above: &[i32], below: &[i32], f: impl Fn(i32, i32, i32) -> i32) {
    let n = row.len();
    let (above, below) = (&above[..n], &below[..n]);
    for i in 0..n {
        row[i] = f(row[i], above[i], below[i]);
    }
}

multiversion! { fn subtract_update(row: &mut [i32], above: &[i32], below: &[i32]) {
    lift(row, above, below, |v, a, b| v.wrapping_sub(update(a, b)));
} }
multiversion! { fn add_update(row: &mut [i32], above: &[i32], below: &[i32]) {
    lift(row, above, below, |v, a, b| v.wrapping_add(update(a, b)));
} }
multiversion! { fn subtract_prediction(row: &mut [i32], above: &[i32], below: &[i32]) {
    lift(row, above, below, |v, a, b| v.wrapping_sub(prediction(a, b)));
} }
multiversion! { fn add_prediction(row: &mut [i32], above: &[i32], below: &[i32]) {
    lift(row, above, below, |v, a, b| v.wrapping_add(prediction(a, b)));
} }

multiversion! {
/// Even columns first: column `2n` is `low[n]`, column `2n + 1` is `high[n]`.
fn synthesise_even(low: &[i32], high: &[i32], out: &mut [i32]) {
    let pairs = high.len();
    let even = |n: usize| low[n].wrapping_sub(update(high[n.max(1) - 1], high[n.min(pairs - 1)]));
    let pair = |n: usize, out: &mut [i32]| {
        let here = even(n);
        let next = if n + 1 < low.len() { even(n + 1) } else { here };
        out[2 * n] = here;
        out[2 * n + 1] = high[n].wrapping_add(prediction(here, next));
    };
    // From pair 1 on as long as no neighbour is missing; then the pairs at the ends.
    let inner = pairs.min(low.len()).saturating_sub(2);
    if inner > 0 {
        let (l0, l1) = (&low[1..][..inner], &low[2..][..inner]);
        let (h0, h1, h2) = (&high[..inner], &high[1..][..inner], &high[2..][..inner]);
        let out = &mut out[2..].as_chunks_mut::<2>().0[..inner];
        for i in 0..inner {
            let here = l0[i].wrapping_sub(update(h0[i], h1[i]));
            let next = l1[i].wrapping_sub(update(h1[i], h2[i]));
            out[i] = [here, h1[i].wrapping_add(prediction(here, next))];
        }
    }
    pair(0, out);
    (inner + 1..pairs).for_each(|n| pair(n, out));
    if low.len() > pairs {
        out[2 * pairs] = even(pairs);
    }
} }

multiversion! {
/// Odd columns first: column `2n` is `high[n]`, column `2n + 1` is `low[n]`.
fn synthesise_odd(low: &[i32], high: &[i32], out: &mut [i32]) {
    let even = |n: usize| {
        let right = high[if n + 1 < high.len() { n + 1 } else { high.len() - 1 }];
        low[n].wrapping_sub(update(high[n], right))
    };
    for n in 0..low.len() {
        out[2 * n + 1] = even(n);
    }
    let columns = out.len();
    for n in 0..high.len() {
        let left = out[if n > 0 { 2 * n - 1 } else { 1 }];
        let right = out[if 2 * n + 1 < columns { 2 * n + 1 } else { 2 * n - 1 }];
        out[2 * n] = high[n].wrapping_add(prediction(left, right));
    }
} }

multiversion! {
/// The inverse of `synthesise_even`.
fn analyse_even(row: &[i32], low: &mut [i32], high: &mut [i32]) {
    let pairs = high.len();
    // All but a last pair without a right neighbour.
    let inner = (row.len() - 1) / 2;
    {
        let here = row[..2 * inner].as_chunks::<2>().0;
        let next = row[1..][..2 * inner].as_chunks::<2>().0;
        let high = &mut high[..inner];
        for i in 0..inner {
            high[i] = here[i][1].wrapping_sub(prediction(here[i][0], next[i][1]));
        }
    }
    if inner < pairs {
        high[inner] = row[2 * inner + 1].wrapping_sub(row[2 * inner]);
    }
    low[0] = row[0].wrapping_add(update(high[0], high[0]));
    let inside = low.len().min(pairs);
    {
        let low = &mut low[1..inside];
        let n = low.len();
        let (h0, h1) = (&high[..n], &high[1..n + 1]);
        let evens = row[2..2 + 2 * n].as_chunks::<2>().0;
        for i in 0..n {
            low[i] = evens[i][0].wrapping_add(update(h0[i], h1[i]));
        }
    }
    if low.len() > pairs {
        low[pairs] = row[2 * pairs].wrapping_add(update(high[pairs - 1], high[pairs - 1]));
    }
} }

multiversion! {
/// The inverse of `synthesise_odd`.
fn analyse_odd(row: &[i32], low: &mut [i32], high: &mut [i32]) {
    let columns = row.len();
    for n in 0..high.len() {
        let left = row[if n > 0 { 2 * n - 1 } else { 1 }];
        let right = row[if 2 * n + 1 < columns { 2 * n + 1 } else { 2 * n - 1 }];
        high[n] = row[2 * n].wrapping_sub(prediction(left, right));
    }
    for n in 0..low.len() {
        let right = high[if n + 1 < high.len() { n + 1 } else { high.len() - 1 }];
        low[n] = row[2 * n + 1].wrapping_add(update(high[n], right));
    }
} }
