//! The inverse cosine transform of one block in whole numbers (T.81 A.3.3), by the factorisation of Loeffler, Ligtenberg and
//! Moschytz that the reference software has: rounding is part of what a decoder is compared by.

use std::num::Wrapping;

/// Fraction bits of the constants.
const FRACTION: usize = 13;

/// Samples of a block of dequantised coefficients, both in rows; centred on zero, not limited.
pub(super) fn inverse(block: &[i32; 64], precision: u8) -> [i32; 64] {
    // Fraction bits kept between the two passes.
    let between = if precision > 8 { 1 } else { 2 };
    if block[1..].iter().all(|c| *c == 0) {
        return [round(Wrapping(block[0]) << between, between + 3); 64];
    }
    let mut work = [0; 64];
    for x in 0..8 {
        let column = one_way(std::array::from_fn(|y| block[y * 8 + x]));
        for (y, value) in column.into_iter().enumerate() {
            work[y * 8 + x] = round(value, FRACTION - between);
        }
    }
    let mut out = [0; 64];
    for (row, samples) in work.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<8>().0) {
        *samples = one_way(*row).map(|value| round(value, FRACTION + between + 3));
    }
    out
}

fn round(value: Wrapping<i32>, bits: usize) -> i32 {
    ((value + Wrapping(1 << (bits - 1))) >> bits).0
}

/// Eight values one way, times 2^13 and the square root of 8. Damaged streams may wrap around.
fn one_way(input: [i32; 8]) -> [Wrapping<i32>; 8] {
    let c = |value: i32| Wrapping(value);
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input.map(Wrapping);
    let shared = (i2 + i6) * c(4433);
    let (a, b) = (shared - i6 * c(15137), shared + i2 * c(6270));
    let (sum, difference) = ((i0 + i4) << FRACTION, (i0 - i4) << FRACTION);
    let even = [sum + b, difference + a, difference - a, sum - b];
    let all = (i7 + i3 + i5 + i1) * c(9633);
    let (z1, z2) = ((i7 + i1) * c(-7373), (i5 + i3) * c(-20995));
    let (z3, z4) = (all - (i7 + i3) * c(16069), all - (i5 + i1) * c(3196));
    let odd = [i1 * c(12299) + z1 + z4, i3 * c(25172) + z2 + z3, i5 * c(16819) + z2 + z4, i7 * c(2446) + z1 + z3];
    std::array::from_fn(|n| if n < 4 { even[n] + odd[n] } else { even[7 - n] - odd[7 - n] })
}

#[cfg(test)]
mod tests {
    use super::inverse;

    #[test]
    fn close_to_the_formula() {
        let mut seed = 7u32;
        for precision in [8, 12] {
            let range = if precision == 8 { 256 } else { 4096 };
            for _ in 0..200 {
                let block: [i32; 64] = std::array::from_fn(|n| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if n < 10 { (seed >> 16) as i32 % range - range / 2 } else { 0 }
                });
                let got = inverse(&block, precision);
                for (n, value) in got.iter().enumerate() {
                    let exact: f64 =
                        (0..64).map(|k| f64::from(block[k]) * basis(n % 8, k % 8) * basis(n / 8, k / 8)).sum();
                    assert!((exact - f64::from(*value)).abs() <= 1.0, "{exact} {value}");
                }
            }
        }
    }

    fn basis(x: usize, u: usize) -> f64 {
        let scale = if u == 0 { (1.0f64 / 8.0).sqrt() } else { 0.5 };
        scale * ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos()
    }

    #[test]
    fn damaged_coefficients_do_not_panic() {
        inverse(&[i32::MAX; 64], 8);
        inverse(&[i32::MIN; 64], 12);
    }
}
