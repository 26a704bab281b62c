//! The steps of the block coder in AVX2, and the choice of a level at run time.
//!
//! The only `unsafe` code of the block coder: loads and stores of whole vectors, each inside an array reference that
//! holds it, and the calls of functions for a feature that was found present.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{bounds, magnitudes};

use super::fast_decode::{self, Scratch, Sink};
use super::{BlockError, Cleanup};

/// What the machine can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// No vector instructions of its own.
    Portable,
    /// AVX2 with BMI1, BMI2, LZCNT and POPCNT (x86-64-v3).
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Level {
    /// The fastest level of this machine.
    pub(crate) fn detect() -> Self {
        #[cfg(all(target_arch = "x86_64", feature = "std"))]
        if std::is_x86_feature_detected!("avx2")
            && std::is_x86_feature_detected!("bmi1")
            && std::is_x86_feature_detected!("bmi2")
            && std::is_x86_feature_detected!("lzcnt")
            && std::is_x86_feature_detected!("popcnt")
        {
            return Level::Avx2;
        }
        Level::Portable
    }

    /// Every level this machine runs.
    #[cfg(test)]
    pub(crate) fn all() -> alloc::vec::Vec<Self> {
        let mut levels = alloc::vec![Level::Portable, Self::detect()];
        levels.dedup();
        levels
    }

    /// Decodes a cleanup pass with this level's decoder.
    pub(super) fn decode(
        self,
        cleanup: &Cleanup<'_>,
        sides: (usize, usize),
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        stride: usize,
    ) -> Result<(), BlockError> {
        match self {
            Level::Portable => fast_decode::portable(cleanup, sides, scratch, sink, stride),
            // SAFETY: only `detect` makes this level, when the machine has the features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { fast_decode::avx2(cleanup, sides, scratch, sink, stride) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;

    use super::super::fast_decode::{MAGNITUDE_BYTES, PAST, Row};

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
    pub(in super::super) fn bounds(row: &mut Row, quads: usize, position: u32, first: bool) -> (u32, u32) {
        let one = _mm256_set1_epi32(1);
        let mut largest = _mm256_setzero_si256();
        let mut carry = _mm256_set1_epi32(position as i32);
        for q in (0..quads).step_by(8) {
            let words = load(&row.words, q);
            let mut bound = _mm256_add_epi32(load(&row.u, q), one);
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
        }
        let mut all = [0; 8];
        store(&mut all, 0, largest);
        (all.into_iter().max().unwrap_or(0), _mm256_extract_epi32::<0>(carry) as u32)
    }

    /// `max(E^max - 1, 1) - 1` of eight quads, the first at column `at` of the row below `bottom`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn predicted(bottom: &[u32], at: usize) -> __m256i {
        let pair = |at: usize| {
            let near = _mm256_or_si256(load(bottom, at), load(bottom, at + 2));
            _mm256_or_si256(near, _mm256_srli_epi64::<32>(near))
        };
        let (low, high) = (_mm256_castsi256_ps(pair(at)), _mm256_castsi256_ps(pair(at + 8)));
        let near = _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(low, high));
        let near = _mm256_and_si256(_mm256_permute4x64_epi64::<0xd8>(near), _mm256_set1_epi32(0x7fff_ffff));
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

    /// The magnitudes step for four quads at a time; see the portable one.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(in super::super) fn magnitudes(row: &mut Row, quads: usize, bytes: &[u8; MAGNITUDE_BYTES + PAST]) {
        for q in (0..quads).step_by(4) {
            let places: &[u32; 4] = row.places[q..].first_chunk().expect("four quads");
            let records: &[u32; 4] = row.records[q..].first_chunk().expect("four quads");
            let low = two_quads([records[0], records[1]], [places[0], places[1]], bytes);
            let high = two_quads([records[2], records[3]], [places[2], places[3]], bytes);
            let (low, high) = (_mm256_castsi256_ps(low), _mm256_castsi256_ps(high));
            let top = _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(low, high));
            let bottom = _mm256_castps_si256(_mm256_shuffle_ps::<0xdd>(low, high));
            store(&mut row.top, 2 * q + 1, _mm256_permute4x64_epi64::<0xd8>(top));
            store(&mut row.bottom, 2 * q + 1, _mm256_permute4x64_epi64::<0xd8>(bottom));
        }
    }

    /// The samples of two quads, one in each half.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn two_quads(records: [u32; 2], places: [u32; 2], bytes: &[u8; MAGNITUDE_BYTES + PAST]) -> __m256i {
        let record = _mm256_set_m128i(_mm_set1_epi32(records[1] as i32), _mm_set1_epi32(records[0] as i32));
        let data = _mm256_set_m128i(load_bytes(bytes, places[1]), load_bytes(bytes, places[0]));
        let flag = |shift: i32| {
            let bit = _mm256_setr_epi32(1 << shift, 2 << shift, 4 << shift, 8 << shift, 1 << shift, 2 << shift, 4 << shift, 8 << shift);
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
        let sample = _mm256_or_si256(_mm256_or_si256(coded, _mm256_set1_epi32(1)), _mm256_slli_epi32::<31>(coded));
        _mm256_and_si256(sample, significant)
    }
}
