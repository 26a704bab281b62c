//! The significance propagation and magnitude refinement passes of a block (T.814 7.4, 7.5).
//!
//! Both go through the block in stripes of four rows, column by column; both halve the step of the cleanup pass. The significance of
//! a column of a stripe is four bits of a byte, so that its neighbours are found by shifts, and columns without any are passed over.

use alloc::vec::Vec;

/// A sample: its highest bit the sign, below it twice the magnitude.
pub(super) trait Sample: Copy + PartialEq {
    /// No magnitude and no sign.
    const ZERO: Self;
    /// The first significant bit one plane below the cleanup pass's `plane`, with the half step under it.
    fn found(plane: u32, negative: bool) -> Self;
    /// The sample with the bit below the cleanup pass's `plane` known.
    fn refined(self, plane: u32, bit: bool) -> Self;
    /// Twice the magnitude.
    fn doubled(self) -> u64;
    /// The sign.
    fn negative(self) -> bool;
}

macro_rules! sample {
    ($word:ty) => {
        impl Sample for $word {
            const ZERO: Self = 0;

            fn found(plane: u32, negative: bool) -> Self {
                <$word>::from(negative) << (<$word>::BITS - 1) | 3 << (plane - 1)
            }

            fn refined(self, plane: u32, bit: bool) -> Self {
                let half: $word = 1 << (plane - 1);
                if bit { self + half } else { self - half }
            }

            fn doubled(self) -> u64 {
                (self & (<$word>::MAX >> 1)).into()
            }

            fn negative(self) -> bool {
                self >> (<$word>::BITS - 1) == 1
            }
        }
    };
}

sample!(u32);
sample!(u64);

/// The refinement segment of a block and what it needs to know of the cleanup pass.
pub(super) struct Refinement<'a> {
    /// Bytes of both passes.
    pub segment: &'a [u8],
    /// The cleanup pass's bit-plane, at least 1.
    pub plane: u32,
    /// Whether the magnitude refinement pass is there.
    pub magnitudes: bool,
    /// Whether samples of the next stripe count as insignificant.
    pub causal: bool,
}

/// Which samples of a block are significant: four bits for each column of a stripe, the top row lowest, with a column on either side
/// and a stripe above and below.
#[derive(Default)]
pub(super) struct Significance {
    /// By the cleanup pass.
    before: Vec<u8>,
    /// By that and by the significance propagation pass as far as it is.
    now: Vec<u8>,
    stride: usize,
}

impl Significance {
    fn reset<S: Sample>(&mut self, samples: &[S], stride: usize, width: usize, height: usize) {
        self.stride = width + 2;
        self.before.clear();
        self.before.resize(self.stride * (height.div_ceil(4) + 2), 0);
        for (y, row) in samples.chunks(stride).take(height).enumerate() {
            let columns = &mut self.before[self.stride * (y / 4 + 1) + 1..][..width];
            for (column, &sample) in columns.iter_mut().zip(row) {
                *column |= u8::from(sample != S::ZERO) << (y % 4);
            }
        }
        self.now.clone_from(&self.before);
    }

    /// The rows of a column that have a significant neighbour, or are significant; `at` is the column's place in `now`. Rows below the
    /// stripe do not count if `causal`.
    fn near(&self, at: usize, causal: bool) -> u8 {
        let three = |at: usize| self.now[at - 1] | self.now[at] | self.now[at + 1];
        let below = if causal { 0 } else { three(at + self.stride) & 1 };
        // A row above, the four, a row below.
        let rows = three(at - self.stride) >> 3 | three(at) << 1 | below << 5;
        (rows | rows >> 1 | rows >> 2) & 15
    }
}

/// Applies the passes to the `width` x `height` samples of the cleanup pass.
pub(super) fn refine<S: Sample>(
    refinement: &Refinement<'_>,
    samples: &mut [S],
    stride: usize,
    (width, height): (usize, usize),
    significance: &mut Significance,
) {
    significance.reset(samples, stride, width, height);
    propagate(refinement, samples, stride, (width, height), significance);
    if refinement.magnitudes {
        refine_magnitudes(refinement, samples, stride, (width, height), significance);
    }
}

fn propagate<S: Sample>(
    refinement: &Refinement<'_>,
    samples: &mut [S],
    stride: usize,
    (width, height): (usize, usize),
    significance: &mut Significance,
) {
    let mut bits = forward(refinement.segment);
    for top in (0..height).step_by(4) {
        let rows = 15 >> (4 - (height - top).min(4));
        let first = significance.stride * (top / 4 + 1) + 1;
        for start in (0..width).step_by(4) {
            // Four columns of significance bits, then the signs of what they found.
            let columns = start..width.min(start + 4);
            for column in columns.clone() {
                propagate_column(significance, first + column, rows, refinement.causal, &mut bits);
            }
            for column in columns {
                let mut found = significance.now[first + column] & !significance.before[first + column];
                while found != 0 {
                    let row = top + found.trailing_zeros() as usize;
                    samples[row * stride + column] = S::found(refinement.plane, bits.bit());
                    found &= found - 1;
                }
            }
        }
    }
}

/// The significance bits of a column of a stripe, of which the `rows` are in the block.
fn propagate_column(
    significance: &mut Significance,
    at: usize,
    rows: u8,
    causal: bool,
    bits: &mut Bits<impl Iterator<Item = (u8, u32)>>,
) {
    let mut now = significance.now[at];
    let mut left = significance.near(at, causal) & !now & rows;
    while left != 0 {
        let row = left & left.wrapping_neg();
        left ^= row;
        if bits.bit() {
            now |= row;
            // The one below has a neighbour now.
            left |= row << 1 & !now & rows;
        }
    }
    significance.now[at] = now;
}

fn refine_magnitudes<S: Sample>(
    refinement: &Refinement<'_>,
    samples: &mut [S],
    stride: usize,
    (width, height): (usize, usize),
    significance: &Significance,
) {
    let mut bits = backward(refinement.segment);
    for top in (0..height).step_by(4) {
        let first = significance.stride * (top / 4 + 1) + 1;
        for column in 0..width {
            let mut rows = significance.before[first + column];
            while rows != 0 {
                let sample = &mut samples[(top + rows.trailing_zeros() as usize) * stride + column];
                *sample = sample.refined(refinement.plane, bits.bit());
                rows &= rows - 1;
            }
        }
    }
}

/// Bits taken from bytes, of each so many, lowest first. Zeros follow the end.
struct Bits<I> {
    bytes: I,
    rest: u64,
    left: u32,
}

impl<I: Iterator<Item = (u8, u32)>> Bits<I> {
    fn bit(&mut self) -> bool {
        if self.left == 0 {
            self.fill();
        }
        let bit = self.rest & 1 == 1;
        self.rest >>= 1;
        self.left -= 1;
        bit
    }

    #[cold]
    fn fill(&mut self) {
        for (byte, count) in self.bytes.by_ref().take(7) {
            self.rest |= u64::from(byte) << self.left;
            self.left += count;
        }
        if self.left == 0 {
            self.left = 64;
        }
    }
}

/// The SigProp bits: after a byte of ones a byte has seven (T.814 7.1).
fn forward(segment: &[u8]) -> Bits<impl Iterator<Item = (u8, u32)>> {
    let mut last = 0;
    let bytes = segment.iter().map(move |&byte| {
        let count = if last == 0xff { 7 } else { 8 };
        last = byte;
        (byte & (0xff >> (8 - count)), count)
    });
    Bits { bytes, rest: 0, left: 0 }
}

/// The MagRef bits, from the end: after a byte above 0x8f one whose lower seven bits are ones has seven (T.814 7.1).
fn backward(segment: &[u8]) -> Bits<impl Iterator<Item = (u8, u32)>> {
    let mut last = 0xff;
    let bytes = segment.iter().rev().map(move |&byte| {
        let count = if last > 0x8f && byte & 0x7f == 0x7f { 7 } else { 8 };
        last = byte;
        (byte & (0xff >> (8 - count)), count)
    });
    Bits { bytes, rest: 0, left: 0 }
}

#[cfg(test)]
mod tests {
    //! The passes as the standard writes them, sample by sample, and the comparison.

    use super::super::bits::{Backward, Forward};
    use super::super::tests::Random;
    use super::{Refinement, Sample, refine};
    use alloc::vec::Vec;

    #[test]
    fn stripes_of_bits_give_what_samples_give() {
        let mut random = Random::new(17);
        let (mut plain_significance, mut significance) = Default::default();
        for round in 0..3000 {
            let (width, height) = (1 + random.below(40) as usize, 1 + random.below(19) as usize);
            let sparse = [1, 3, 9, 60][random.below(4) as usize];
            let plane = 1 + random.below(4) as u32;
            let samples: Vec<u32> = (0..width * height)
                .map(|_| {
                    let sign = (random.next() as u32 & 1) << 31;
                    if random.below(sparse) == 0 { sign | (3 + 2 * random.below(9) as u32) << plane } else { 0 }
                })
                .collect();
            let ones = if round % 3 == 0 { 0x7f } else { 0 };
            let segment: Vec<u8> = (0..random.below(80)).map(|_| random.next() as u8 | ones).collect();
            let (magnitudes, causal) = (random.below(2) == 0, random.below(2) == 0);
            let refinement = Refinement { segment: &segment, plane, magnitudes, causal };
            let (mut expected, mut got) = (samples.clone(), samples);
            plain(&refinement, &mut expected, width, (width, height), &mut plain_significance);
            refine(&refinement, &mut got, width, (width, height), &mut significance);
            assert!(got == expected, "{width}x{height}, {segment:?}");
        }
    }

    /// Every byte before every other one, in both directions.
    #[test]
    fn stuffed_bits_are_left_out_after_every_byte() {
        for (one, two) in (0..=255).flat_map(|one| (0..=255).map(move |two| (one, two))) {
            let segment = [one, two, one];
            let (mut ahead, mut back) = (super::forward(&segment), super::backward(&segment));
            let (mut plain_ahead, mut plain_back) = (Forward::new(&segment, 0), Backward::refinement(&segment));
            for _ in 0..26 {
                assert_eq!(u32::from(ahead.bit()), plain_ahead.bit(), "{segment:?}");
                assert_eq!(u32::from(back.bit()), plain_back.bit(), "{segment:?}");
            }
        }
    }

    /// Which samples of a block are significant, with a margin of one around it.
    #[derive(Default)]
    struct Significance {
        flags: Vec<u8>,
        stride: usize,
    }

    const CLEANUP: u8 = 1;
    const FOUND: u8 = 2;

    impl Significance {
        fn reset<S: Sample>(&mut self, samples: &[S], stride: usize, width: usize, height: usize) {
            self.stride = width + 2;
            self.flags.clear();
            self.flags.resize(self.stride * (height + 2), 0);
            for (flags, row) in
                self.flags.chunks_exact_mut(self.stride).skip(1).zip(samples.chunks(stride)).take(height)
            {
                for (flag, &sample) in flags[1..].iter_mut().zip(&row[..width]) {
                    *flag = if sample != S::ZERO { CLEANUP } else { 0 };
                }
            }
        }

        fn at(&mut self, column: usize, row: usize) -> &mut u8 {
            &mut self.flags[(row + 1) * self.stride + column + 1]
        }

        /// Whether a neighbour of the sample is significant; those below do not count if `causal`.
        fn near(&self, column: usize, row: usize, causal: bool) -> bool {
            let three = |row: usize| self.flags[row * self.stride + column..][..3].iter().any(|&flag| flag != 0);
            three(row) || three(row + 1) || !causal && three(row + 2)
        }
    }

    /// Applies the passes to the `width` x `height` samples of the cleanup pass.
    fn plain<S: Sample>(
        refinement: &Refinement<'_>,
        samples: &mut [S],
        stride: usize,
        (width, height): (usize, usize),
        significance: &mut Significance,
    ) {
        significance.reset(samples, stride, width, height);
        propagate(refinement, samples, stride, (width, height), significance);
        if refinement.magnitudes {
            refine_magnitudes(refinement, samples, stride, (width, height), significance);
        }
    }

    fn propagate<S: Sample>(
        refinement: &Refinement<'_>,
        samples: &mut [S],
        stride: usize,
        (width, height): (usize, usize),
        significance: &mut Significance,
    ) {
        let mut bits = Forward::new(refinement.segment, 0);
        for top in (0..height).step_by(4) {
            let rows = top..height.min(top + 4);
            for start in (0..width).step_by(4) {
                // Four columns of significance bits, then the signs of what they found.
                let columns = start..width.min(start + 4);
                for column in columns.clone() {
                    for row in rows.clone() {
                        let causal = refinement.causal && row == top + 3;
                        if *significance.at(column, row) == 0
                            && significance.near(column, row, causal)
                            && bits.bit() == 1
                        {
                            *significance.at(column, row) = FOUND;
                        }
                    }
                }
                for column in columns {
                    for row in rows.clone() {
                        if *significance.at(column, row) == FOUND {
                            samples[row * stride + column] = S::found(refinement.plane, bits.bit() == 1);
                        }
                    }
                }
            }
        }
    }

    fn refine_magnitudes<S: Sample>(
        refinement: &Refinement<'_>,
        samples: &mut [S],
        stride: usize,
        (width, height): (usize, usize),
        significance: &mut Significance,
    ) {
        let mut bits = Backward::refinement(refinement.segment);
        for top in (0..height).step_by(4) {
            for column in 0..width {
                for row in top..height.min(top + 4) {
                    if *significance.at(column, row) == CLEANUP {
                        let sample = &mut samples[row * stride + column];
                        *sample = sample.refined(refinement.plane, bits.bit() == 1);
                    }
                }
            }
        }
    }
}
