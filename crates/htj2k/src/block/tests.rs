//! What the encoder writes the decoder reads; hostile bytes end in an error or in some block, never in a panic.

use alloc::vec;
use alloc::vec::Vec;

use crate::simd::{Simd, SimdLevel};

use super::{BlockDecoder, BlockEncoder, BlockError, Cleanup, Coded, Origin, Target, plain_encode, refinement};

/// A generator of test data (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 33) % bound
    }
}

/// Coefficients of at most `planes` bit-planes, of which one in `sparse` is not zero, small ones more frequent.
pub(super) fn coefficients(random: &mut Random, count: usize, planes: u32, sparse: u64) -> Vec<i32> {
    let one = |random: &mut Random| {
        if random.below(sparse) != 0 {
            return 0;
        }
        let planes = 1 + random.below(planes.into()) as u32;
        let magnitude = (random.next() >> 32) as u32 >> (32 - planes);
        if random.below(2) == 0 { magnitude as i32 } else { (magnitude as i32).wrapping_neg() }
    };
    (0..count).map(|_| one(random)).collect()
}

pub(super) const SIZES: [(u16, u16); 24] = [
    (1, 1),
    (1, 2),
    (2, 1),
    (2, 2),
    (3, 1),
    (1, 3),
    (3, 3),
    (4, 4),
    (5, 3),
    (7, 9),
    (8, 8),
    (16, 4),
    (13, 17),
    (32, 32),
    (31, 33),
    (63, 64),
    (64, 64),
    (64, 63),
    (61, 1),
    (1, 64),
    (4, 1024),
    (1024, 4),
    (1023, 3),
    (512, 8),
];

pub(super) fn coded(len: u32, planes: u8) -> Coded {
    Coded {
        cleanup_len: len,
        refine_len: 0,
        planes,
        missing_msbs: planes - 1,
        passes: 1,
        vertically_causal: false,
        roi_shift: 0,
    }
}

fn round_trip(samples: &[i32], width: u16, height: u16) {
    let mut bytes = Vec::new();
    let stride = usize::from(width);
    let written = BlockEncoder::default().encode(Origin::Integer(samples), stride, width, height, &mut bytes);
    for level in Simd::all() {
        let mut same = Vec::new();
        let again = BlockEncoder::new(level).encode(Origin::Integer(samples), stride, width, height, &mut same);
        assert!(again == written && same == bytes, "{width}x{height}, {level:?}");
    }
    if written.cleanup_len > 0 {
        let mut plain = Vec::new();
        let wide: Vec<i64> = samples.iter().map(|&sample| sample.into()).collect();
        plain_encode::encode(&wide, stride, height.into(), &mut plain);
        assert!(plain == bytes, "{width}x{height}");
    }
    if written.cleanup_len == 0 {
        assert!(samples.iter().all(|&sample| sample == 0));
        return;
    }
    assert_eq!(bytes.len(), written.cleanup_len as usize);
    assert!(!bytes.windows(2).any(|pair| pair[0] == 0xff && pair[1] > 0x8f), "a marker in the segment");
    assert_ne!(bytes.last(), Some(&0xff));
    for planes in [written.planes, written.planes + 1] {
        for level in Simd::all() {
            let mut back = vec![i32::MIN; samples.len()];
            let coded = coded(written.cleanup_len, planes);
            let result =
                BlockDecoder::new(level).decode(&bytes, &coded, width, height, Target::Integer(&mut back), stride);
            assert_eq!(result, Ok(()), "{width}x{height}, {planes} planes, {level:?}");
            assert!(back == samples, "{width}x{height}, {planes} planes, {level:?}");
        }
    }
}

#[test]
fn blocks_survive_every_size_and_depth() {
    let mut random = Random::new(1);
    for (width, height) in SIZES {
        for planes in 1..=32 {
            for sparse in [1, 3, 40, 1000] {
                let samples = coefficients(&mut random, usize::from(width) * usize::from(height), planes, sparse);
                round_trip(&samples, width, height);
            }
        }
    }
}

#[test]
fn blocks_with_empty_parts_survive() {
    let mut random = Random::new(2);
    for (width, height) in SIZES {
        let (columns, rows) = (usize::from(width), usize::from(height));
        for _ in 0..40 {
            let mut samples = coefficients(&mut random, columns * rows, 9, 2);
            let mut between = |bound: usize| {
                let (one, two) = (random.below(bound as u64 + 1), random.below(bound as u64 + 1));
                one.min(two) as usize..one.max(two) as usize
            };
            let (across, down) = (between(columns), between(rows));
            for (n, sample) in samples.iter_mut().enumerate() {
                if !across.contains(&(n % columns)) || !down.contains(&(n / columns)) {
                    *sample = 0;
                }
            }
            round_trip(&samples, width, height);
        }
    }
}

#[test]
fn extreme_magnitudes_survive() {
    for value in [1, -1, 2, i32::MAX, -i32::MAX, i32::MIN, 0x7fff, 0x5555_5555] {
        for (width, height) in SIZES {
            let count = usize::from(width) * usize::from(height);
            round_trip(&vec![value; count], width, height);
            let lone: Vec<i32> = (0..count).map(|n| if n == count / 2 { value } else { 0 }).collect();
            round_trip(&lone, width, height);
        }
    }
}

#[test]
fn a_stride_leaves_the_rest_alone() {
    let samples: Vec<i32> = (0..20 * 8).map(|n| n - 77).collect();
    let mut bytes = Vec::new();
    let written = BlockEncoder::default().encode(Origin::Integer(&samples), 20, 9, 7, &mut bytes);
    let mut back = vec![5; 20 * 8];
    let target = Target::Integer(&mut back);
    BlockDecoder::default().decode(&bytes, &coded(written.cleanup_len, written.planes), 9, 7, target, 20).unwrap();
    for (n, (&was, &is)) in samples.iter().zip(&back).enumerate() {
        let inside = n % 20 < 9 && n / 20 < 7;
        assert_eq!(is, if inside { was } else { 5 });
    }
}

#[test]
fn real_coefficients_are_quantised_with_a_dead_zone() {
    let samples = [0.0, 0.9, -0.9, 1.0, -1.6, 7.99, 100.0, -3.2, 0.5, 12.5, -0.1, 2.0];
    let mut bytes = Vec::new();
    let written = BlockEncoder::default().encode(Origin::Real(&samples, 2.0), 4, 4, 3, &mut bytes);
    let mut back = [0.0; 12];
    BlockDecoder::default()
        .decode(&bytes, &coded(written.cleanup_len, 8), 4, 3, Target::Real(&mut back, 0.5), 4)
        .unwrap();
    for (was, is) in samples.iter().zip(back) {
        let error: f32 = was - is;
        assert!(if is == 0.0 { error.abs() < 0.5 } else { error.abs() <= 0.25 }, "{was} became {is}");
    }
}

#[test]
fn every_level_quantises_alike() {
    let mut random = Random::new(5);
    for (width, height) in SIZES {
        let stride = usize::from(width) + 3;
        let samples: Vec<f32> =
            (0..stride * usize::from(height)).map(|_| (random.below(4000) as f32 - 2000.0) / 7.0).collect();
        let truncated: Vec<i32> = samples.iter().map(|&sample| (sample * 0.3) as i32).collect();
        let encode = |level: Simd, origin: Origin<'_>| {
            let mut bytes = vec![1, 2, 3];
            let written = BlockEncoder::new(level).encode(origin, stride, width, height, &mut bytes);
            (written, bytes)
        };
        let expected = encode(Simd::forced(SimdLevel::Scalar).unwrap(), Origin::Integer(&truncated));
        for level in Simd::all() {
            assert!(encode(level, Origin::Real(&samples, 0.3)) == expected, "{width}x{height}, {level:?}");
            assert!(encode(level, Origin::Integer(&truncated)) == expected, "{width}x{height}, {level:?}");
        }
    }
}

#[test]
fn real_coefficients_are_the_integers_that_they_quantise_to() {
    let mut random = Random::new(8);
    // The deepest goes the slow way; a factor that is a power of two keeps every bit of a float.
    for (planes, factor) in [(3, 0.25), (3, 4.0), (23, 0.5), (28, 0.125), (31, 2.0)] {
        let (width, height, stride) = (13u16, 7u16, 17usize);
        let integers = coefficients(&mut random, stride * usize::from(height), planes, 2);
        let integers: Vec<i32> = integers.iter().map(|i| i.signum() * (i.unsigned_abs() as f32 as i32)).collect();
        let reals: Vec<f32> = integers.iter().map(|i| *i as f32 / factor).collect();
        let (mut expected, mut bytes) = (Vec::new(), Vec::new());
        let of_integers =
            BlockEncoder::new(Simd::detect()).encode(Origin::Integer(&integers), stride, width, height, &mut expected);
        let of_reals =
            BlockEncoder::new(Simd::detect()).encode(Origin::Real(&reals, factor), stride, width, height, &mut bytes);
        assert!(of_integers == of_reals && expected == bytes, "{planes} planes times {factor}");
        assert!(of_reals.cleanup_len > 0);
    }
}

#[test]
fn real_coefficients_below_a_step_are_a_block_of_zeros() {
    let samples = [0.9f32, -0.9, 0.4, 0.0, 0.9, 0.9, -0.1, 0.9, 77.0];
    let mut bytes = Vec::new();
    let written = BlockEncoder::new(Simd::detect()).encode(Origin::Real(&samples, 1.0), 4, 4, 2, &mut bytes);
    assert_eq!((written.cleanup_len, written.planes, bytes.len()), (0, 0, 0));
    let written = BlockEncoder::new(Simd::detect()).encode(Origin::Real(&samples, 2.0), 4, 4, 2, &mut bytes);
    assert!((written.planes, bytes.len()) == (1, written.cleanup_len as usize) && !bytes.is_empty());
}

#[test]
fn hostile_bytes_never_panic() {
    let mut random = Random::new(7);
    for round in 0..20_000 {
        let (width, height) = SIZES[random.below(SIZES.len() as u64) as usize];
        let len = random.below(if round % 10 == 0 { 3000 } else { 60 }) as usize;
        let mut bytes: Vec<u8> =
            (0..len).map(|_| random.next() as u8 | if round % 3 == 0 { 0xf0 } else { 0 }).collect();
        let cleanup_len = random.below(len as u64 + 2) as usize;
        if round % 4 != 0 && (2..=len).contains(&cleanup_len) {
            let suffix = 2 + random.below(cleanup_len as u64 - 1) as usize;
            bytes[cleanup_len - 1] = (suffix >> 4) as u8;
            bytes[cleanup_len - 2] = bytes[cleanup_len - 2] & 0xf0 | (suffix & 15) as u8;
        }
        let planes = 1 + random.below(40) as u8;
        let coded = Coded {
            cleanup_len: cleanup_len as u32,
            refine_len: random.below(len as u64 + 2) as u32,
            planes,
            missing_msbs: random.below(u64::from(planes) + 1) as u8,
            passes: random.below(5) as u8,
            vertically_causal: random.below(2) == 0,
            roi_shift: random.below(40) as u8,
        };
        all_levels_agree(&bytes, &coded, width, height);
    }
}

#[test]
fn damaged_blocks_never_panic() {
    let mut random = Random::new(11);
    for _ in 0..6000 {
        let (width, height) = SIZES[random.below(SIZES.len() as u64) as usize];
        let planes = 1 + random.below(24) as u32;
        let sparse = [1, 4, 50][random.below(3) as usize];
        let samples = coefficients(&mut random, usize::from(width) * usize::from(height), planes, sparse);
        let mut bytes = Vec::new();
        let written =
            BlockEncoder::default().encode(Origin::Integer(&samples), width.into(), width, height, &mut bytes);
        if written.cleanup_len == 0 {
            continue;
        }
        // The last two bytes hold the length that takes the segment apart; most damage should be past it.
        let spared = if random.below(4) == 0 { 0 } else { 2.min(bytes.len() - 1) };
        for _ in 0..1 + random.below(4) {
            let at = random.below((bytes.len() - spared) as u64) as usize;
            bytes[at] = [random.next() as u8, 0xff, 0, bytes[at] ^ 1][random.below(4) as usize];
        }
        let refine_len = random.below(40) as u32;
        bytes.extend((0..refine_len).map(|_| random.next() as u8));
        let coded = Coded {
            refine_len,
            planes: written.planes + random.below(3) as u8,
            missing_msbs: written.planes - 1,
            passes: 1 + random.below(3) as u8,
            vertically_causal: random.below(2) == 0,
            ..coded(written.cleanup_len, written.planes)
        };
        all_levels_agree(&bytes, &coded, width, height);
    }
}

/// Decodes a block at every level to both targets; all give what the plain decoder gives.
fn all_levels_agree(bytes: &[u8], coded: &Coded, width: u16, height: u16) {
    let expected = oracle(bytes, coded, width, height);
    let stride = usize::from(width);
    for level in Simd::all() {
        let mut decoder = BlockDecoder::new(level);
        let mut integers = vec![0; stride * usize::from(height)];
        let result = decoder.decode(bytes, coded, width, height, Target::Integer(&mut integers), stride);
        assert!(result.map(|()| integers) == expected.0, "{width}x{height}, {coded:?}, {level:?}");
        let mut reals = vec![0.0; stride * usize::from(height)];
        let result = decoder.decode(bytes, coded, width, height, Target::Real(&mut reals, 0.25), stride);
        assert!(result.map(|()| reals) == expected.1, "{width}x{height}, {coded:?}, {level:?}");
    }
}

/// What the plain decoder makes of a block.
fn oracle(
    data: &[u8],
    coded: &Coded,
    width: u16,
    height: u16,
) -> (Result<Vec<i32>, BlockError>, Result<Vec<f32>, BlockError>) {
    let sides = (usize::from(width), usize::from(height));
    let decode = |target: Target<'_>| {
        if !(1..=3).contains(&coded.passes) {
            return Err(BlockError::Geometry);
        }
        let cleanup = Cleanup::parse(data, coded)?;
        let refinement = refinement(data, coded, &cleanup)?;
        BlockDecoder::default().decode_wide(&cleanup, refinement.as_ref(), coded, sides, target, sides.0)
    };
    let (mut integers, mut reals) = (vec![0; sides.0 * sides.1], vec![0.0; sides.0 * sides.1]);
    let integers = decode(Target::Integer(&mut integers)).map(|()| integers);
    (integers, decode(Target::Real(&mut reals, 0.25)).map(|()| reals))
}

#[test]
fn wrong_lengths_are_told_apart() {
    let decode = |bytes: &[u8], coded: Coded| {
        BlockDecoder::default().decode(bytes, &coded, 4, 4, Target::Integer(&mut [0; 16]), 4)
    };
    assert_eq!(decode(&[0], coded(1, 8)), Err(BlockError::SegmentLength));
    assert_eq!(decode(&[0; 4], coded(5, 8)), Err(BlockError::SegmentLength));
    assert_eq!(decode(&[0, 0, 1, 0], coded(4, 8)), Err(BlockError::SuffixLength));
    assert_eq!(decode(&[0, 0, 5, 0], coded(4, 8)), Err(BlockError::SuffixLength));
    assert_eq!(decode(&[0, 0, 4, 0], coded(4, 61)), Err(BlockError::BitPlanes));
    assert_eq!(decode(&[0, 0, 4, 0], Coded { missing_msbs: 8, ..coded(4, 8) }), Err(BlockError::BitPlanes));
    assert_eq!(decode(&[0, 0, 4, 0], Coded { passes: 4, ..coded(4, 8) }), Err(BlockError::Geometry));
}

#[test]
fn blocks_of_wrong_sides_are_refused() {
    let data = [0, 0, 4, 0];
    let decode = |width: u16, height: u16| {
        let mut out = vec![0; usize::from(width) * usize::from(height)];
        BlockDecoder::default().decode(&data, &coded(4, 8), width, height, Target::Integer(&mut out), width.into())
    };
    for (width, height) in [(0, 4), (4, 0), (64, 65), (65, 64), (1025, 3), (3, 1025), (1024, 5)] {
        assert_eq!(decode(width, height), Err(BlockError::Geometry), "{width}x{height}");
    }
    for (width, height) in [(64, 64), (1024, 4), (4, 1024)] {
        assert_ne!(decode(width, height), Err(BlockError::Geometry), "{width}x{height}");
    }
}

/// Blocks of more bit-planes than 32-bit arithmetic holds, and shallow ones the same way.
#[test]
fn wide_coefficients_come_back() {
    let mut random = Random::new(12);
    for (width, height) in [(1, 1), (5, 3), (13, 17), (31, 33)] {
        for planes in [1, 9, 24, 28, 29, 32, 33, 34, 37, 45, 58, 60] {
            let one = |random: &mut Random| {
                let magnitude = (random.next() >> (63 - random.below(planes))) as i64;
                if random.below(2) == 0 { magnitude } else { -magnitude }
            };
            let mut samples: Vec<i64> = (0..width * height).map(|_| one(&mut random)).collect();
            samples[0] = 1 << (planes - 1);
            let mut bytes = Vec::new();
            let written =
                BlockEncoder::default().encode(Origin::Wide(&samples), width.into(), width, height, &mut bytes);
            assert_eq!((u64::from(written.planes), written.cleanup_len as usize), (planes, bytes.len()));
            for level in Simd::all() {
                let mut back = vec![i64::MIN; samples.len()];
                let coded = coded(written.cleanup_len, written.planes);
                let target = Target::Wide(&mut back);
                let result = BlockDecoder::new(level).decode(&bytes, &coded, width, height, target, width.into());
                assert!(result.is_ok() && back == samples, "{width}x{height}, {planes} planes, {level:?}");
            }
        }
    }
}

/// Nine bit-planes of background, and a region of as many above them (T.800 H.1).
#[test]
fn a_region_of_interest_is_scaled_back() {
    let mut random = Random::new(13);
    let expected: Vec<i32> = coefficients(&mut random, 32 * 32, 9, 2);
    let scale = |(n, sample): (usize, &i32)| if n % 32 < 20 { *sample } else { *sample << 9 };
    let mut scaled: Vec<i32> = expected.iter().enumerate().map(scale).collect();
    // The largest of the background, the smallest and the largest of the region.
    let mut expected = expected;
    (scaled[0], scaled[31], scaled[63]) = (511, 1 << 9, -511 << 9);
    (expected[0], expected[31], expected[63]) = (511, 1, -511);
    let mut bytes = Vec::new();
    let written = BlockEncoder::default().encode(Origin::Integer(&scaled), 32, 32, 32, &mut bytes);
    assert_eq!(written.planes, 18);
    let coded = Coded { roi_shift: 9, ..coded(written.cleanup_len, 18) };
    for level in Simd::all() {
        let mut decoder = BlockDecoder::new(level);
        let (mut integers, mut wide, mut reals) = (vec![0; 1024], vec![0; 1024], vec![0.0; 1024]);
        decoder.decode(&bytes, &coded, 32, 32, Target::Integer(&mut integers), 32).unwrap();
        decoder.decode(&bytes, &coded, 32, 32, Target::Wide(&mut wide), 32).unwrap();
        decoder.decode(&bytes, &coded, 32, 32, Target::Real(&mut reals, 1.0), 32).unwrap();
        assert!(integers == expected, "{level:?}");
        assert!(wide.iter().zip(&expected).all(|(got, expected)| *got == i64::from(*expected)), "{level:?}");
        // Half a step is added to what was not in the region.
        assert!(reals.iter().zip(&expected).all(|(got, expected)| *got as i32 == *expected), "{level:?}");
    }
}

/// The passes after the cleanup pass need to be there, bytes of theirs, and a bit-plane.
#[test]
fn refinement_is_told_by_passes_bytes_and_planes() {
    let mut random = Random::new(14);
    let samples = coefficients(&mut random, 16 * 16, 6, 3);
    let mut bytes = Vec::new();
    let written = BlockEncoder::default().encode(Origin::Integer(&samples), 16, 16, 16, &mut bytes);
    bytes.extend([0xa5; 40]);
    let decode = |planes: u8, passes: u8, refine_len: u32| {
        let coded = Coded {
            planes: written.planes + planes,
            missing_msbs: written.planes - 1,
            passes,
            refine_len,
            ..coded(written.cleanup_len, 1)
        };
        let mut out = vec![0; 16 * 16];
        BlockDecoder::default().decode(&bytes, &coded, 16, 16, Target::Integer(&mut out), 16).map(|()| out)
    };
    for (planes, passes, refine_len) in [(0, 1, 40), (0, 2, 40), (0, 3, 40), (1, 1, 40), (1, 2, 0), (1, 3, 0)] {
        let cleanup = decode(planes, 1, 0);
        assert!(cleanup.is_ok() && decode(planes, passes, refine_len) == cleanup, "{planes}, {passes}, {refine_len}");
    }
    let [one, two, three] = [1, 2, 3].map(|passes| decode(1, passes, 40).unwrap());
    assert!(one != two && two != three);
    // The second pass finds samples, the third one alone refines those of the first.
    assert!(one.iter().zip(&two).all(|(one, two)| one == two || *one == 0));
    assert!(two.iter().zip(&three).zip(&one).all(|((two, three), one)| two == three || *one != 0));
    assert_eq!(decode(1, 2, 41), Err(BlockError::SegmentLength));
}

/// Magnitudes of a cleanup pass that ends above the last bit-plane are in the middle of what they may be.
#[test]
fn a_higher_plane_leaves_half_a_step() {
    let mut random = Random::new(15);
    let samples = coefficients(&mut random, 16 * 16, 6, 3);
    let mut bytes = Vec::new();
    let written = BlockEncoder::default().encode(Origin::Integer(&samples), 16, 16, 16, &mut bytes);
    bytes.extend([0x5a; 30]);
    for plane in 1..=12u8 {
        let planes = written.planes + plane;
        let coded = Coded { planes, missing_msbs: written.planes - 1, ..coded(written.cleanup_len, 1) };
        let expected = samples.iter().map(|v| ((v.signum() * (2 * v.abs() + 1)) << plane) >> 1);
        for level in Simd::all() {
            let (mut integers, mut reals) = (vec![0; 256], vec![0.0; 256]);
            let mut decoder = BlockDecoder::new(level);
            decoder.decode(&bytes, &coded, 16, 16, Target::Integer(&mut integers), 16).unwrap();
            decoder.decode(&bytes, &coded, 16, 16, Target::Real(&mut reals, 0.5), 16).unwrap();
            assert!(expected.clone().eq(integers), "{plane}, {level:?}");
            assert!(expected.clone().map(|v| v as f32 * 0.5).eq(reals), "{plane}, {level:?}");
        }
        all_levels_agree(&bytes, &Coded { passes: 3, refine_len: 30, ..coded }, 16, 16);
    }
}

/// What a row above leaves behind must not come back in a row that is empty.
#[test]
fn lone_samples_at_edges_survive() {
    for (width, height) in SIZES.into_iter().chain([(128, 32), (192, 8), (132, 6)]) {
        let (columns, rows) = (usize::from(width), usize::from(height));
        let across = [0, 1, 62, 63, 64, columns.saturating_sub(2), columns - 1];
        for (column, row) in across.into_iter().flat_map(|column| [0, 1, 2, 3].map(|row| (column, row))) {
            if column < columns && row < rows {
                let mut samples = vec![0; columns * rows];
                samples[row * columns + column] = -5;
                round_trip(&samples, width, height);
            }
        }
    }
}
