//! The reversible 5/3 transform (T.800 F.3.8.1, F.4.8.1). Arithmetic wraps: only broken streams get that far.

use super::{Place, Transform};
use crate::simd::{Simd, multiversion};

/// Whole numbers, 32 bits wide or, for samples of many bits, 64.
pub(crate) trait Integer: Copy + Default {
    /// Wrapping sum.
    fn plus(self, other: Self) -> Self;
    /// Wrapping difference.
    fn minus(self, other: Self) -> Self;
    /// Half, rounded down, `times` times.
    fn halved(self, times: u32) -> Self;
    /// The number 2.
    const TWO: Self;
}

macro_rules! integer {
    ($t:ty) => {
        impl Integer for $t {
            const TWO: $t = 2;

            #[inline(always)]
            fn plus(self, other: $t) -> $t {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn minus(self, other: $t) -> $t {
                self.wrapping_sub(other)
            }

            #[inline(always)]
            fn halved(self, times: u32) -> $t {
                self >> times
            }
        }

        impl Transform for $t {
            const STEPS: i64 = 2;

            fn synthesise_row(simd: Simd, low: &[$t], high: &[$t], odd: bool, place: Place, out: &mut [$t]) {
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

            fn analyse_row(simd: Simd, row: &mut [$t], odd: bool, place: Place, low: &mut [$t], high: &mut [$t]) {
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

            fn synthesise_step(simd: Simd, step: i64, row: &mut [$t], above: &[$t], below: &[$t]) {
                match step {
                    1 => subtract_update(simd, row, above, below),
                    _ => add_prediction(simd, row, above, below),
                }
            }

            fn analyse_step(simd: Simd, step: i64, row: &mut [$t], above: &[$t], below: &[$t]) {
                match step {
                    1 => subtract_prediction(simd, row, above, below),
                    _ => add_update(simd, row, above, below),
                }
            }
        }
    };
}
integer!(i32);
integer!(i64);

/// What two even neighbours predict of an odd sample.
#[inline(always)]
fn prediction<I: Integer>(a: I, b: I) -> I {
    a.plus(b).halved(1)
}

/// What two odd neighbours (already differences) add to an even sample.
#[inline(always)]
fn update<I: Integer>(a: I, b: I) -> I {
    a.plus(b).plus(I::TWO).halved(2)
}

/// Applies `f` to each sample and its two neighbours.
#[inline(always)]
fn lift<I: Integer>(row: &mut [I], above: &[I], below: &[I], f: impl Fn(I, I, I) -> I) {
    let n = row.len();
    let (above, below) = (&above[..n], &below[..n]);
    for i in 0..n {
        row[i] = f(row[i], above[i], below[i]);
    }
}

multiversion! { fn subtract_update<I: Integer>(row: &mut [I], above: &[I], below: &[I]) {
    lift(row, above, below, |v, a, b| v.minus(update(a, b)));
} }
multiversion! { fn add_update<I: Integer>(row: &mut [I], above: &[I], below: &[I]) {
    lift(row, above, below, |v, a, b| v.plus(update(a, b)));
} }
multiversion! { fn subtract_prediction<I: Integer>(row: &mut [I], above: &[I], below: &[I]) {
    lift(row, above, below, |v, a, b| v.minus(prediction(a, b)));
} }
multiversion! { fn add_prediction<I: Integer>(row: &mut [I], above: &[I], below: &[I]) {
    lift(row, above, below, |v, a, b| v.plus(prediction(a, b)));
} }

multiversion! {
/// Even columns first: column `2n` is `low[n]`, column `2n + 1` is `high[n]`.
fn synthesise_even<I: Integer>(low: &[I], high: &[I], out: &mut [I]) {
    let pairs = high.len();
    let even = |n: usize| low[n].minus(update(high[n.max(1) - 1], high[n.min(pairs - 1)]));
    let pair = |n: usize, out: &mut [I]| {
        let here = even(n);
        let next = if n + 1 < low.len() { even(n + 1) } else { here };
        out[2 * n] = here;
        out[2 * n + 1] = high[n].plus(prediction(here, next));
    };
    // From pair 1 on as long as no neighbour is missing; then the pairs at the ends.
    let inner = pairs.min(low.len()).saturating_sub(2);
    if inner > 0 {
        let (l0, l1) = (&low[1..][..inner], &low[2..][..inner]);
        let (h0, h1, h2) = (&high[..inner], &high[1..][..inner], &high[2..][..inner]);
        let out = &mut out[2..].as_chunks_mut::<2>().0[..inner];
        for i in 0..inner {
            let here = l0[i].minus(update(h0[i], h1[i]));
            let next = l1[i].minus(update(h1[i], h2[i]));
            out[i] = [here, h1[i].plus(prediction(here, next))];
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
fn synthesise_odd<I: Integer>(low: &[I], high: &[I], out: &mut [I]) {
    let even = |n: usize| {
        let right = high[if n + 1 < high.len() { n + 1 } else { high.len() - 1 }];
        low[n].minus(update(high[n], right))
    };
    for n in 0..low.len() {
        out[2 * n + 1] = even(n);
    }
    let columns = out.len();
    for n in 0..high.len() {
        let left = out[if n > 0 { 2 * n - 1 } else { 1 }];
        let right = out[if 2 * n + 1 < columns { 2 * n + 1 } else { 2 * n - 1 }];
        out[2 * n] = high[n].plus(prediction(left, right));
    }
} }

multiversion! {
/// The inverse of `synthesise_even`.
fn analyse_even<I: Integer>(row: &[I], low: &mut [I], high: &mut [I]) {
    let pairs = high.len();
    // All but a last pair without a right neighbour.
    let inner = (row.len() - 1) / 2;
    {
        let here = row[..2 * inner].as_chunks::<2>().0;
        let next = row[1..][..2 * inner].as_chunks::<2>().0;
        let high = &mut high[..inner];
        for i in 0..inner {
            high[i] = here[i][1].minus(prediction(here[i][0], next[i][1]));
        }
    }
    if inner < pairs {
        high[inner] = row[2 * inner + 1].minus(row[2 * inner]);
    }
    low[0] = row[0].plus(update(high[0], high[0]));
    let inside = low.len().min(pairs);
    {
        let low = &mut low[1..inside];
        let n = low.len();
        let (h0, h1) = (&high[..n], &high[1..n + 1]);
        let evens = row[2..2 + 2 * n].as_chunks::<2>().0;
        for i in 0..n {
            low[i] = evens[i][0].plus(update(h0[i], h1[i]));
        }
    }
    if low.len() > pairs {
        low[pairs] = row[2 * pairs].plus(update(high[pairs - 1], high[pairs - 1]));
    }
} }

multiversion! {
/// The inverse of `synthesise_odd`.
fn analyse_odd<I: Integer>(row: &[I], low: &mut [I], high: &mut [I]) {
    let columns = row.len();
    for n in 0..high.len() {
        let left = row[if n > 0 { 2 * n - 1 } else { 1 }];
        let right = row[if 2 * n + 1 < columns { 2 * n + 1 } else { 2 * n - 1 }];
        high[n] = row[2 * n].minus(prediction(left, right));
    }
    for n in 0..low.len() {
        let right = high[if n + 1 < high.len() { n + 1 } else { high.len() - 1 }];
        low[n] = row[2 * n + 1].plus(update(high[n], right));
    }
} }
