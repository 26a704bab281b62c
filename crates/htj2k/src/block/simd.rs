//! The steps of the block coder in AVX2, and the call of a level's code.
//!
//! The only `unsafe` code of the block coder: loads and stores of whole vectors, each inside an array reference that
//! holds it, and the calls of functions for a feature that was found present.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{bounds, magnitudes, pack, quads};

use alloc::vec::Vec;

use super::fast_decode::{self, Scratch, Sink};
use super::{BlockError, Cleanup, Origin, fast_encode};
use crate::simd::Simd;
#[cfg(target_arch = "x86_64")]
use crate::simd::SimdLevel;

/// Decodes a cleanup pass with the fast decoder of a level.
pub(super) fn decode(
    simd: Simd,
    cleanup: &Cleanup<'_>,
    sides: (usize, usize),
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
    stride: usize,
) -> Result<(), BlockError> {
    match simd.level() {
        // SAFETY: a `Simd` of this level is made only where the machine has the features.
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2 | SimdLevel::Avx512 => unsafe { fast_decode::avx2(cleanup, sides, scratch, sink, stride) },
        _ => fast_decode::portable(cleanup, sides, scratch, sink, stride),
    }
}

/// Appends a cleanup segment with the fast encoder of a level; returns the bit-planes, see there.
pub(super) fn encode(
    simd: Simd,
    origin: &Origin<'_>,
    stride: usize,
    sides: (usize, usize),
    scratch: &mut fast_encode::Scratch,
    out: &mut Vec<u8>,
) -> u32 {
    match simd.level() {
        // SAFETY: a `Simd` of this level is made only where the machine has the features.
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2 | SimdLevel::Avx512 => unsafe { fast_encode::avx2(origin, stride, sides, scratch, out) },
        _ => fast_encode::portable(origin, stride, sides, scratch, out),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;

    use super::super::fast_decode::{MAGNITUDE_BYTES, PAST, Row};
    use super::super::fast_encode::{self, Magnitudes};
    use super::super::quads::Patterns;

    /// Eight words of a slice.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(words: &[u32], at: usize) -> __m256i {
        let words: &[u32; 8] = words[at..].first_chunk().expect("eight words");
        // SAFETY: the reference holds 32 bytes; the load needs no alignment.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(words: &mut [u32], at: usize, value: __m256i) {
        let words: &mut [u32; 8] = words[at..].first_chunk_mut().expect("eight words");
        // SAFETY: the reference holds 32 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), value) }
    }

    /// Sixteen bytes of the MagSgn bits.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load_bytes(bytes: &[u8; MAGNITUDE_BYTES + PAST], at: u32) -> __m128i {
        let bytes: &[u8; 16] = bytes[at as usize & (MAGNITUDE_BYTES - 1)..].first_chunk().expect("PAST bytes");
        // SAFETY: the reference holds 16 bytes; the load needs no alignment.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    /// The bounds step for eight quads at a time; see the portable one.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(in super::super) fn bounds(
        patterns: &mut Patterns,
        row: &mut Row,
        quads: usize,
        position: u32,
        first: bool,
    ) -> (u32, u32) {
        let one = _mm256_set1_epi32(1);
        let mut largest = _mm256_setzero_si256();
        let mut carry = _mm256_set1_epi32(position as i32);
        for q in (0..quads).step_by(8) {
            let words = load(&patterns.words, q + 1);
            let mut bound = _mm256_add_epi32(u_of_quads(patterns, q), one);
            if !first {
                let several = _mm256_srai_epi32::<31>(_mm256_slli_epi32::<3>(words));
                bound = _mm256_add_epi32(bound, _mm256_and_si256(predicted(&row.bottom, 2 * q), several));
            }
            largest = _mm256_max_epu32(largest, bound);
            // Bits of the quad: its significant samples times the bound, less the bits known of the largest exponents.
            let seven = _mm256_set1_epi32(7);
            let count = _mm256_and_si256(_mm256_srli_epi32::<13>(words), seven);
            let known = _mm256_and_si256(_mm256_srli_epi32::<10>(words), seven);
            let bits = _mm256_sub_epi32(_mm256_mullo_epi16(count, bound), known);
            let sums = prefix_sums(bits);
            let starts = _mm256_add_epi32(_mm256_sub_epi32(sums, bits), carry);
            carry = _mm256_add_epi32(carry, _mm256_permutevar8x32_epi32(sums, seven));
            let pattern = _mm256_and_si256(_mm256_srli_epi32::<16>(words), _mm256_set1_epi32(0xfff));
            let limited = _mm256_and_si256(bound, _mm256_set1_epi32(0x3f));
            let offset = _mm256_slli_epi32::<18>(_mm256_and_si256(starts, seven));
            let record = _mm256_or_si256(_mm256_or_si256(pattern, _mm256_slli_epi32::<12>(limited)), offset);
            store(&mut row.records, q, record);
            store(&mut row.places, q, _mm256_srli_epi32::<3>(starts));
            let west = _mm256_srli_epi32::<31>(load(&patterns.words, q));
            let east = _mm256_srli_epi32::<29>(load(&patterns.words, q + 2));
            let east = _mm256_and_si256(east, _mm256_set1_epi32(2));
            let context = _mm256_or_si256(_mm256_or_si256(_mm256_srli_epi32::<30>(words), west), east);
            store(&mut patterns.contexts, q, _mm256_slli_epi32::<7>(context));
            let empty = _mm256_cmpeq_epi32(context, _mm256_setzero_si256());
            let empty = _mm256_movemask_ps(_mm256_castsi256_ps(empty)) as u8;
            patterns.empty[q / 4] = empty & 15;
            patterns.empty[q / 4 + 1] = empty >> 4;
        }
        let mut all = [0; 8];
        store(&mut all, 0, largest);
        (all.into_iter().max().unwrap_or(0), _mm256_extract_epi32::<0>(carry) as u32)
    }

    /// `u_q` of eight quads.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn u_of_quads(patterns: &Patterns, q: usize) -> __m256i {
        let of_quads = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
        let pair = _mm256_permutevar8x32_epi32(load(&patterns.pairs, q / 2), of_quads);
        let suffixes = _mm256_permutevar8x32_epi32(load(&patterns.suffixes, q / 2), of_quads);
        let field =
            |at: i32, mask: i32| _mm256_and_si256(_mm256_srlv_epi32(pair, sides(at, at + 4)), _mm256_set1_epi32(mask));
        let suffix = _mm256_srlv_epi32(suffixes, field(8, 15));
        let above = _mm256_sllv_epi32(_mm256_set1_epi32(-1), field(16, 7));
        _mm256_add_epi32(field(24, 15), _mm256_andnot_si256(above, suffix))
    }

    /// `max(E^max - 1, 1) - 1` of eight quads, the first at column `at` of the row below `bottom`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn predicted(bottom: &[i32], at: usize) -> __m256i {
        let pair = |at: usize| {
            let (west, east) = (load_samples(bottom, at), load_samples(bottom, at + 2));
            let near = _mm256_max_epu32(_mm256_abs_epi32(west), _mm256_abs_epi32(east));
            _mm256_max_epu32(near, _mm256_srli_epi64::<32>(near))
        };
        let (low, high) = (_mm256_castsi256_ps(pair(at)), _mm256_castsi256_ps(pair(at + 8)));
        let near = _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(low, high));
        let one = _mm256_set1_epi32(1);
        let near = _mm256_sub_epi32(_mm256_max_epi32(_mm256_permute4x64_epi64::<0xd8>(near), one), one);
        // The exponent of a float is the highest bit's; without the bit after it, rounding cannot carry into it.
        let top = _mm256_andnot_si256(_mm256_srli_epi32::<1>(near), near);
        let exponent = _mm256_srli_epi32::<23>(_mm256_castps_si256(_mm256_cvtepi32_ps(top)));
        _mm256_max_epi32(_mm256_sub_epi32(exponent, _mm256_set1_epi32(128)), _mm256_setzero_si256())
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn prefix_sums(values: __m256i) -> __m256i {
        let halves = prefix_sums_of_halves(values);
        let low = _mm256_permutevar8x32_epi32(halves, _mm256_set1_epi32(3));
        _mm256_add_epi32(halves, _mm256_blend_epi32::<0xf0>(_mm256_setzero_si256(), low))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn prefix_sums_of_halves(values: __m256i) -> __m256i {
        let values = _mm256_add_epi32(values, _mm256_slli_si256::<4>(values));
        _mm256_add_epi32(values, _mm256_slli_si256::<8>(values))
    }

    /// The magnitudes step; see the portable one.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(in super::super) fn magnitudes(row: &mut Row, q: usize, bytes: &[u8; MAGNITUDE_BYTES + PAST]) {
        let places: &[u32; 4] = row.places[q..].first_chunk().expect("four quads");
        let records: &[u32; 4] = row.records[q..].first_chunk().expect("four quads");
        // SAFETY: the reference holds 16 bytes; the load needs no alignment.
        let records = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(records.as_ptr().cast()) });
        // Taken in this order the halves come out as they lie in the rows.
        let even = _mm256_permutevar_ps(_mm256_castsi256_ps(records), _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2));
        let odd = _mm256_permutevar_ps(_mm256_castsi256_ps(records), _mm256_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3));
        let even = two_quads(_mm256_castps_si256(even), [places[0], places[2]], bytes);
        let odd = two_quads(_mm256_castps_si256(odd), [places[1], places[3]], bytes);
        let (even, odd) = (_mm256_castsi256_ps(even), _mm256_castsi256_ps(odd));
        store_samples(&mut row.top, 2 * q + 1, _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(even, odd)));
        store_samples(&mut row.bottom, 2 * q + 1, _mm256_castps_si256(_mm256_shuffle_ps::<0xdd>(even, odd)));
    }

    /// The samples of two quads, one in each half.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn two_quads(record: __m256i, places: [u32; 2], bytes: &[u8; MAGNITUDE_BYTES + PAST]) -> __m256i {
        let data = _mm256_set_m128i(load_bytes(bytes, places[1]), load_bytes(bytes, places[0]));
        let flag = |shift: i32| {
            let bit = _mm256_broadcastsi128_si256(_mm_setr_epi32(1 << shift, 2 << shift, 4 << shift, 8 << shift));
            _mm256_cmpeq_epi32(_mm256_and_si256(record, bit), bit)
        };
        let (significant, known, ones) = (flag(0), flag(4), flag(8));
        let bound = _mm256_and_si256(_mm256_srli_epi32::<12>(record), _mm256_set1_epi32(0x3f));
        let count = _mm256_and_si256(_mm256_add_epi32(bound, known), significant);
        let before = _mm256_sub_epi32(prefix_sums_of_halves(count), count);
        let start = _mm256_add_epi32(before, _mm256_srli_epi32::<18>(record));
        // The four bytes a value starts in, shifted down to its first bit.
        let spread = _mm256_setr_epi8(
            0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12,
        );
        let byte = _mm256_shuffle_epi8(_mm256_srli_epi32::<3>(start), spread);
        let next = _mm256_shuffle_epi8(data, _mm256_add_epi8(byte, _mm256_set1_epi32(0x0302_0100)));
        let next = _mm256_srlv_epi32(next, _mm256_and_si256(start, _mm256_set1_epi32(7)));
        let end = _mm256_sllv_epi32(_mm256_set1_epi32(1), count);
        let below = _mm256_and_si256(next, _mm256_sub_epi32(end, _mm256_set1_epi32(1)));
        let coded = _mm256_or_si256(below, _mm256_and_si256(ones, end));
        // 2 mu is (coded | 1) + 1; its complement is one operation, and is negated by an odd number's missing sign.
        let negative = _mm256_andnot_si256(coded, _mm256_set1_epi32(!1));
        _mm256_sign_epi32(negative, _mm256_xor_si256(_mm256_slli_epi32::<31>(coded), significant))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store_samples(samples: &mut [i32], at: usize, value: __m256i) {
        let samples: &mut [i32; 8] = samples[at..].first_chunk_mut().expect("eight samples");
        // SAFETY: the reference holds 32 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(samples.as_mut_ptr().cast(), value) }
    }

    /// Eight samples of a row.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load_samples(samples: &[i32], at: usize) -> __m256i {
        let samples: &[i32; 8] = samples[at..].first_chunk().expect("eight samples");
        // SAFETY: the reference holds 32 bytes; the load needs no alignment.
        unsafe { _mm256_loadu_si256(samples.as_ptr().cast()) }
    }

    /// The other column of each quad.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn swapped(columns: __m256i) -> __m256i {
        _mm256_shuffle_epi32::<0xb1>(columns)
    }

    /// One value for the left columns of quads, one for the right.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn sides(left: i32, right: i32) -> __m256i {
        _mm256_setr_epi32(left, right, left, right, left, right, left, right)
    }

    /// The exponents of eight samples and whether they are significant.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn exponents(samples: __m256i) -> (__m256i, __m256i) {
        let one = _mm256_set1_epi32(1);
        let magnitude = _mm256_abs_epi32(samples);
        let odd = _mm256_sub_epi32(_mm256_add_epi32(magnitude, magnitude), one);
        // As in `predicted`; magnitudes are below 2^24.
        let top = _mm256_andnot_si256(_mm256_srli_epi32::<1>(odd), odd);
        let exponent = _mm256_srli_epi32::<23>(_mm256_castps_si256(_mm256_cvtepi32_ps(top)));
        let significant = _mm256_cmpgt_epi32(magnitude, _mm256_setzero_si256());
        (_mm256_and_si256(_mm256_sub_epi32(exponent, _mm256_set1_epi32(126)), significant), significant)
    }

    /// The quads step for four quads at a time; see the portable one. A quad's values stand in the lanes of both columns.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(in super::super) fn quads(row: &mut fast_encode::Row, top: &[i32], bottom: &[i32], first: bool) -> u32 {
        let (above, below) = row.exponents.split_at_mut(1);
        let (above, below) = if row.odd { (&above[0], &mut below[0]) } else { (&below[0], &mut above[0]) };
        let zero = _mm256_setzero_si256();
        let one = _mm256_set1_epi32(1);
        let mut before = zero;
        let mut all = zero;
        for (n, (top, bottom)) in top.as_chunks::<8>().0.iter().zip(bottom.as_chunks::<8>().0).enumerate() {
            // The mask, which changes nothing, shows that every index is in bounds.
            let q = (4 * n) & 0x1fc;
            let (top, bottom) = (load_samples(top, 0), load_samples(bottom, 0));
            all = _mm256_or_si256(all, _mm256_or_si256(_mm256_abs_epi32(top), _mm256_abs_epi32(bottom)));
            let (top, top_found) = exponents(top);
            let (bottom, bottom_found) = exponents(bottom);
            store(below, 2 * q + 1, bottom);
            let larger = _mm256_max_epi32(top, bottom);
            let largest = _mm256_max_epi32(larger, swapped(larger));
            let rho = _mm256_or_si256(
                _mm256_and_si256(top_found, sides(0x10, 0x40)),
                _mm256_and_si256(bottom_found, sides(0x20, 0x80)),
            );
            let mut index = rho;
            let mut kappa = one;
            if first {
                let any = _mm256_or_si256(top_found, bottom_found);
                let right = _mm256_or_si256(
                    _mm256_and_si256(top_found, sides(0, 0x200)),
                    _mm256_and_si256(bottom_found, sides(0, 0x400)),
                );
                let here = _mm256_or_si256(right, _mm256_and_si256(any, sides(0x100, 0)));
                let moved = _mm256_permutevar8x32_epi32(here, _mm256_setr_epi32(6, 7, 0, 1, 2, 3, 4, 5));
                index = _mm256_or_si256(index, _mm256_blend_epi32::<3>(moved, before));
                before = moved;
            } else {
                let any = _mm256_or_si256(top_found, bottom_found);
                let moved = _mm256_permutevar8x32_epi32(any, _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6));
                let west = _mm256_blend_epi32::<1>(moved, before);
                before = moved;
                let (north_west, north_east) = (load(above, 2 * q), load(above, 2 * q + 2));
                let near = _mm256_max_epi32(north_west, north_east);
                let near = _mm256_max_epi32(near, swapped(near));
                let context = _mm256_or_si256(
                    _mm256_and_si256(_mm256_cmpgt_epi32(north_west, zero), _mm256_set1_epi32(0x100)),
                    _mm256_and_si256(_mm256_cmpgt_epi32(north_east, zero), _mm256_set1_epi32(0x400)),
                );
                index = _mm256_or_si256(index, _mm256_or_si256(context, _mm256_and_si256(west, sides(0x200, 0))));
                let found = _mm256_add_epi32(top_found, bottom_found);
                let several = _mm256_cmpgt_epi32(_mm256_set1_epi32(-1), _mm256_add_epi32(found, swapped(found)));
                kappa = _mm256_max_epi32(one, _mm256_and_si256(_mm256_sub_epi32(near, one), several));
            }
            let bound = _mm256_max_epi32(largest, kappa);
            let u = _mm256_sub_epi32(bound, kappa);
            let coded = _mm256_cmpgt_epi32(u, zero);
            let eps = _mm256_or_si256(
                _mm256_and_si256(_mm256_cmpeq_epi32(top, bound), sides(1, 4)),
                _mm256_and_si256(_mm256_cmpeq_epi32(bottom, bound), sides(2, 8)),
            );
            index = _mm256_or_si256(index, _mm256_and_si256(eps, coded));
            index = _mm256_or_si256(index, swapped(index));
            let u = _mm256_sllv_epi32(u, _mm256_setr_epi32(16, 16, 21, 21, 16, 16, 21, 21));
            let quad = _mm256_or_si256(index, _mm256_or_si256(u, _mm256_slli_epi32::<26>(bound)));
            let quad = _mm256_permutevar8x32_epi32(quad, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
            store(&mut row.quads, q, quad);
        }
        let mut lanes = [0; 8];
        store(&mut lanes, 0, all);
        lanes.iter().fold(0, |all, lane| all | lane)
    }

    /// The magnitudes step for four quads at a time; see the portable one.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(in super::super) fn pack(
        row: &fast_encode::Row,
        top: &[i32],
        bottom: &[i32],
        most: u32,
        out: &mut Magnitudes<'_>,
    ) {
        match most {
            0..=8 => pack_columns::<true>(row, top, bottom, out),
            9..=16 => pack_columns::<false>(row, top, bottom, out),
            _ => fast_encode::magnitudes(row, top, bottom, most, out),
        }
    }

    /// The magnitudes step for `U_q` up to 16, or if `NARROW` up to 8: a column has at most 32 bits and a quad 64, or
    /// two quads have.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn pack_columns<const NARROW: bool>(row: &fast_encode::Row, top: &[i32], bottom: &[i32], out: &mut Magnitudes<'_>) {
        let low_half = _mm256_set1_epi64x(0xffff_ffff);
        let of_columns = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
        for (n, (top, bottom)) in top.as_chunks::<8>().0.iter().zip(bottom.as_chunks::<8>().0).enumerate() {
            // The mask, which changes nothing, shows that every index is in bounds.
            let q = (4 * n) & 0x1fc;
            let bound = _mm256_permutevar8x32_epi32(_mm256_srli_epi32::<26>(load(&row.quads, q)), of_columns);
            let code = _mm256_permutevar8x32_epi32(load(&row.codes, q), of_columns);
            let (top, top_count) = values(load_samples(top, 0), code, sides(0x100, 0x400), bound);
            let (bottom, bottom_count) = values(load_samples(bottom, 0), code, sides(0x200, 0x800), bound);
            let column = _mm256_or_si256(top, _mm256_sllv_epi32(bottom, top_count));
            let count = _mm256_add_epi32(top_count, bottom_count);
            let left_count = _mm256_and_si256(count, low_half);
            let left = _mm256_and_si256(column, low_half);
            let right = _mm256_sllv_epi64(_mm256_srli_epi64::<32>(column), left_count);
            let bits = _mm256_or_si256(left, right);
            let count = _mm256_add_epi64(left_count, _mm256_srli_epi64::<32>(count));
            if NARROW {
                let right = _mm256_sllv_epi64(_mm256_unpackhi_epi64(bits, bits), count);
                let bits = _mm256_or_si256(bits, right);
                let count = _mm256_add_epi64(count, _mm256_unpackhi_epi64(count, count));
                out.put(_mm256_extract_epi64::<0>(bits) as u64, _mm256_extract_epi32::<0>(count) as u32);
                out.put(_mm256_extract_epi64::<2>(bits) as u64, _mm256_extract_epi32::<4>(count) as u32);
            } else {
                out.put(_mm256_extract_epi64::<0>(bits) as u64, _mm256_extract_epi32::<0>(count) as u32);
                out.put(_mm256_extract_epi64::<1>(bits) as u64, _mm256_extract_epi32::<2>(count) as u32);
                out.put(_mm256_extract_epi64::<2>(bits) as u64, _mm256_extract_epi32::<4>(count) as u32);
                out.put(_mm256_extract_epi64::<3>(bits) as u64, _mm256_extract_epi32::<6>(count) as u32);
            }
        }
    }

    /// The MagSgn values of eight samples and their number of bits; `known` is their bit of `EMB^k`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn values(samples: __m256i, code: __m256i, known: __m256i, bound: __m256i) -> (__m256i, __m256i) {
        let magnitude = _mm256_abs_epi32(samples);
        let significant = _mm256_cmpgt_epi32(magnitude, _mm256_setzero_si256());
        let known = _mm256_cmpeq_epi32(_mm256_and_si256(code, known), known);
        // The second mask changes nothing, but shows that no shift below is by 32.
        let count = _mm256_and_si256(_mm256_add_epi32(bound, known), significant);
        let count = _mm256_and_si256(count, _mm256_set1_epi32(31));
        let doubled = _mm256_add_epi32(magnitude, magnitude);
        let value = _mm256_sub_epi32(_mm256_add_epi32(doubled, _mm256_srli_epi32::<31>(samples)), _mm256_set1_epi32(2));
        let above = _mm256_sllv_epi32(_mm256_set1_epi32(-1), count);
        (_mm256_andnot_si256(above, value), count)
    }
}
