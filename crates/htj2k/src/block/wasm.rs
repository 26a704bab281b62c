//! The steps of the block decoder in WebAssembly's simd128, where the module is built for it: four quads at a time.
//!
//! There is no choice at run time: a module with vectors loads only where vectors are. Lanes cannot be shifted by
//! counts of their own here, so powers of two are looked up, and shifts are multiplications.

use core::arch::wasm32::*;

use super::fast_decode::{MAGNITUDE_BYTES, PAST, Row, pair_of_u};
use super::quads::Patterns;

/// Four words of a slice.
#[inline(always)]
fn load(words: &[u32], at: usize) -> v128 {
    let &[a, b, c, d] = words[at..].first_chunk().expect("four words");
    u32x4(a, b, c, d)
}

#[inline(always)]
fn load_samples(samples: &[i32], at: usize) -> v128 {
    let &[a, b, c, d] = samples[at..].first_chunk().expect("four samples");
    i32x4(a, b, c, d)
}

#[inline(always)]
fn store(words: &mut [u32], at: usize, value: v128) {
    let words: &mut [u32; 4] = words[at..].first_chunk_mut().expect("four words");
    *words = [
        u32x4_extract_lane::<0>(value),
        u32x4_extract_lane::<1>(value),
        u32x4_extract_lane::<2>(value),
        u32x4_extract_lane::<3>(value),
    ];
}

#[inline(always)]
fn store_samples(samples: &mut [i32], at: usize, value: v128) {
    let samples: &mut [i32; 4] = samples[at..].first_chunk_mut().expect("four samples");
    *samples = [
        i32x4_extract_lane::<0>(value),
        i32x4_extract_lane::<1>(value),
        i32x4_extract_lane::<2>(value),
        i32x4_extract_lane::<3>(value),
    ];
}

/// Sixteen bytes of the MagSgn bits.
#[inline(always)]
fn load_bytes(bytes: &[u8; MAGNITUDE_BYTES + PAST], at: u32) -> v128 {
    let bytes: &[u8; 16] = bytes[at as usize & (MAGNITUDE_BYTES - 1)..].first_chunk().expect("PAST bytes");
    let (low, high) = (bytes.first_chunk().expect("eight"), bytes.last_chunk().expect("eight"));
    u64x2(u64::from_le_bytes(*low), u64::from_le_bytes(*high))
}

/// Each lane and those before it.
#[inline(always)]
fn prefix_sums(values: v128) -> v128 {
    let zero = i32x4_splat(0);
    let values = i32x4_add(values, i32x4_shuffle::<4, 0, 1, 2>(values, zero));
    i32x4_add(values, i32x4_shuffle::<4, 5, 0, 1>(values, zero))
}

/// The lowest byte of each lane, four times.
#[inline(always)]
fn spread(lanes: v128) -> v128 {
    i8x16_shuffle::<0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12>(lanes, lanes)
}

/// The bounds step for four quads at a time; see the portable one.
#[inline(always)]
pub(super) fn bounds(patterns: &mut Patterns, row: &mut Row, quads: usize, position: u32, first: bool) -> (u32, u32) {
    let one = i32x4_splat(1);
    let mut largest = i32x4_splat(0);
    let mut carry = u32x4_splat(position);
    for q in (0..quads).step_by(4) {
        let words = load(&patterns.words, q + 1);
        let [a, b] = pair_of_u(patterns.pairs[q / 2], patterns.suffixes[q / 2]);
        let [c, d] = pair_of_u(patterns.pairs[q / 2 + 1], patterns.suffixes[q / 2 + 1]);
        let mut bound = i32x4_add(u32x4(a, b, c, d), one);
        if !first {
            let several = i32x4_shr(i32x4_shl(words, 3), 31);
            bound = i32x4_add(bound, v128_and(predicted(&row.bottom, 2 * q), several));
        }
        largest = u32x4_max(largest, bound);
        // Bits of the quad: its significant samples times the bound, less the bits known of the largest exponents.
        let seven = i32x4_splat(7);
        let count = v128_and(u32x4_shr(words, 13), seven);
        let known = v128_and(u32x4_shr(words, 10), seven);
        let bits = i32x4_sub(i16x8_mul(count, bound), known);
        let sums = prefix_sums(bits);
        let starts = i32x4_add(i32x4_sub(sums, bits), carry);
        carry = i32x4_add(carry, i32x4_shuffle::<3, 3, 3, 3>(sums, sums));
        let pattern = v128_and(u32x4_shr(words, 16), i32x4_splat(0xfff));
        let limited = v128_and(bound, i32x4_splat(0x3f));
        let offset = i32x4_shl(v128_and(starts, seven), 18);
        store(&mut row.records, q, v128_or(v128_or(pattern, i32x4_shl(limited, 12)), offset));
        store(&mut row.places, q, u32x4_shr(starts, 3));
        let west = u32x4_shr(load(&patterns.words, q), 31);
        let east = v128_and(u32x4_shr(load(&patterns.words, q + 2), 29), i32x4_splat(2));
        let context = v128_or(v128_or(u32x4_shr(words, 30), west), east);
        store(&mut patterns.contexts, q, i32x4_shl(context, 7));
        patterns.empty[q / 4] = i32x4_bitmask(i32x4_eq(context, i32x4_splat(0)));
    }
    let half = u32x4_max(largest, i32x4_shuffle::<2, 3, 2, 3>(largest, largest));
    let most = u32x4_extract_lane::<0>(half).max(u32x4_extract_lane::<1>(half));
    (most, u32x4_extract_lane::<0>(carry))
}

/// `max(E^max - 1, 1) - 1` of four quads, the first at column `at` of the row below `bottom`.
#[inline(always)]
fn predicted(bottom: &[i32], at: usize) -> v128 {
    let [a, b, c] = [0, 4, 8].map(|n| i32x4_abs(load_samples(bottom, at + n)));
    let columns = u32x4_max(i32x4_shuffle::<0, 2, 4, 6>(a, b), i32x4_shuffle::<1, 3, 5, 7>(a, b));
    let after = u32x4_max(c, i32x4_shuffle::<1, 0, 3, 2>(c, c));
    let near = u32x4_max(columns, i32x4_shuffle::<1, 2, 3, 4>(columns, after));
    let one = i32x4_splat(1);
    let near = i32x4_sub(u32x4_max(near, one), one);
    // The exponent of a float is the highest bit's; without the bit after it, rounding cannot carry into it.
    let top = v128_andnot(near, u32x4_shr(near, 1));
    let exponent = u32x4_shr(f32x4_convert_i32x4(top), 23);
    i32x4_max(i32x4_sub(exponent, i32x4_splat(128)), i32x4_splat(0))
}

/// The magnitudes step; see the portable one.
#[inline(always)]
pub(super) fn magnitudes(row: &mut Row, q: usize, bytes: &[u8; MAGNITUDE_BYTES + PAST]) {
    let records: &[u32; 4] = row.records[q..].first_chunk().expect("four quads");
    let places: &[u32; 4] = row.places[q..].first_chunk().expect("four quads");
    let [a, b, c, d] = [0, 1, 2, 3].map(|n| quad(records[n], places[n], bytes));
    store_samples(&mut row.top, 2 * q + 1, i32x4_shuffle::<0, 2, 4, 6>(a, b));
    store_samples(&mut row.top, 2 * q + 5, i32x4_shuffle::<0, 2, 4, 6>(c, d));
    store_samples(&mut row.bottom, 2 * q + 1, i32x4_shuffle::<1, 3, 5, 7>(a, b));
    store_samples(&mut row.bottom, 2 * q + 5, i32x4_shuffle::<1, 3, 5, 7>(c, d));
}

/// The samples of a quad: top left, bottom left, top right, bottom right.
#[inline(always)]
fn quad(record: u32, place: u32, bytes: &[u8; MAGNITUDE_BYTES + PAST]) -> v128 {
    let all = u32x4_splat(record);
    let flag = |shift: u32| {
        let bit = u32x4(1 << shift, 2 << shift, 4 << shift, 8 << shift);
        i32x4_eq(v128_and(all, bit), bit)
    };
    let (significant, known, ones) = (flag(0), flag(4), flag(8));
    let bound = u32x4_splat(record >> 12 & 0x3f);
    let count = v128_and(i32x4_add(bound, known), significant);
    let before = i32x4_sub(prefix_sums(count), count);
    let start = i32x4_add(before, u32x4_splat(record >> 18));
    // The four bytes a value starts in, shifted up to the highest bit offset, then down.
    let byte = spread(u32x4_shr(start, 3));
    let next = i8x16_swizzle(load_bytes(bytes, place), i8x16_add(byte, u32x4_splat(0x0302_0100)));
    let offset = v128_or(v128_and(start, i32x4_splat(7)), u32x4_splat(0xffff_ff00));
    let up = u8x16_swizzle(u8x16(128, 64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0), offset);
    let next = u32x4_shr(i32x4_mul(next, up), 7);
    // `2^count`, byte by byte.
    let powers = u8x16(1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0);
    let end = u8x16_swizzle(powers, i8x16_sub(spread(count), u32x4_splat(0x1810_0800)));
    let one = i32x4_splat(1);
    let below = v128_and(next, i32x4_sub(end, one));
    let coded = v128_or(below, v128_and(ones, end));
    let negative = i32x4_neg(v128_and(coded, one));
    let doubled = i32x4_add(v128_or(coded, one), one);
    v128_and(i32x4_sub(v128_xor(doubled, negative), negative), significant)
}
