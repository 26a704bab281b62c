//! The significance propagation and magnitude refinement passes of a block (T.814 7.4, 7.5).
//!
//! Both go through the block in stripes of four rows, column by column; both halve the step of the cleanup pass.

use alloc::vec::Vec;

use super::bits::{Backward, Forward};

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

/// Which samples of a block are significant, with a margin of one around it.
#[derive(Default)]
pub(super) struct Significance {
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
        for (flags, row) in self.flags.chunks_exact_mut(self.stride).skip(1).zip(samples.chunks(stride)).take(height) {
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
    let mut bits = Forward::new(refinement.segment, 0);
    for top in (0..height).step_by(4) {
        let rows = top..height.min(top + 4);
        for start in (0..width).step_by(4) {
            // Four columns of significance bits, then the signs of what they found.
            let columns = start..width.min(start + 4);
            for column in columns.clone() {
                for row in rows.clone() {
                    let causal = refinement.causal && row == top + 3;
                    if *significance.at(column, row) == 0 && significance.near(column, row, causal) && bits.bit() == 1 {
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
