//! The lifting steps that undo the wavelet transforms (T.800 F.3.8), along rows and down columns.
//!
//! A step changes the even samples by their odd neighbours, and then the odd ones by the changed even ones: 5/3 is one such step, 9/7 is two. Beyond an end
//! lies its mirror image (F.3.7): of an even sample there the odd neighbour that it has counts twice, and the other way round.

/// A wavelet coefficient, and how lifting changes it.
pub(super) trait Sample: Copy + Default {
    /// Steps of the transform.
    const STEPS: usize;

    /// A decoded value: twice the magnitude, and the sign below it.
    fn decoded(value: u32, half: f32) -> Self;

    /// An even sample between two odd ones.
    fn even(self, step: usize, before: Self, after: Self) -> Self;

    /// An odd sample between two even ones.
    fn odd(self, step: usize, before: Self, after: Self) -> Self;
}

/// F.3.8.1. Damaged streams may have values of any size.
impl Sample for i32 {
    const STEPS: usize = 1;

    #[inline(always)]
    fn decoded(value: u32, _: f32) -> i32 {
        let sign = (value as i32 & 1).wrapping_neg();
        ((value >> 1) as i32 ^ sign).wrapping_sub(sign)
    }

    #[inline(always)]
    fn even(self, _: usize, before: i32, after: i32) -> i32 {
        self.wrapping_sub(before.wrapping_add(after).wrapping_add(2) >> 2)
    }

    #[inline(always)]
    fn odd(self, _: usize, before: i32, after: i32) -> i32 {
        self.wrapping_add(before.wrapping_add(after) >> 1)
    }
}

/// F.3.8.2, Table F.4: δ and γ, then β and α. The scaling by [`K`] is a part of the quantization steps.
impl Sample for f32 {
    const STEPS: usize = 2;

    /// The middle of the interval (T.800 E-6, r = 1/2); `half` is half the step of the lowest bit plane that is coded.
    #[inline(always)]
    fn decoded(value: u32, half: f32) -> f32 {
        let middle = if value == 0 { 0 } else { (value | 1) as i32 };
        let sign = if value & 1 == 1 { -half } else { half };
        middle as f32 * sign
    }

    #[inline(always)]
    fn even(self, step: usize, before: f32, after: f32) -> f32 {
        self - [0.443_506_85, -0.052_980_12][step] * (before + after)
    }

    #[inline(always)]
    fn odd(self, step: usize, before: f32, after: f32) -> f32 {
        self - [0.882_911_1, -1.586_134_3][step] * (before + after)
    }
}

/// Table F.4.
pub(super) const K: f64 = 1.230_174_104_914_001;

/// One row from its two halves, which are used up.
#[inline(always)]
pub(super) fn row<T: Sample>(low: &mut [T], high: &mut [T], out: &mut [T]) {
    debug_assert_eq!(low.len() + high.len(), out.len());
    if high.is_empty() {
        return out.copy_from_slice(low);
    }
    for step in 0..T::STEPS {
        even_samples(step, low, high);
        odd_samples(step, high, low);
    }
    let (pairs, last) = out.as_chunks_mut::<2>();
    pairs.iter_mut().zip(low.iter().zip(high.iter())).for_each(|(pair, (low, high))| *pair = [*low, *high]);
    last.copy_from_slice(&low[high.len()..]);
}

/// As many odd samples as even ones, or one fewer.
#[inline(always)]
fn even_samples<T: Sample>(step: usize, even: &mut [T], odd: &[T]) {
    let [first, rest @ ..] = even else { return };
    *first = first.even(step, odd[0], odd[0]);
    rest.iter_mut()
        .zip(odd.iter().zip(&odd[1..]))
        .for_each(|(even, (before, after))| *even = even.even(step, *before, *after));
    if rest.len() == odd.len() {
        let (Some(even), Some(odd)) = (rest.last_mut(), odd.last()) else { return };
        *even = even.even(step, *odd, *odd);
    }
}

#[inline(always)]
fn odd_samples<T: Sample>(step: usize, odd: &mut [T], even: &[T]) {
    odd.iter_mut()
        .zip(even.iter().zip(&even[1..]))
        .for_each(|(odd, (before, after))| *odd = odd.odd(step, *before, *after));
    if odd.len() == even.len() {
        let (Some(odd), Some(even)) = (odd.last_mut(), even.last()) else { return };
        *odd = odd.odd(step, *even, *even);
    }
}

/// Two rows: an even one, and the odd one below it, which the last may lack.
#[derive(Debug, Default)]
pub(super) struct Pair<T> {
    pub(super) even: Vec<T>,
    pub(super) odd: Vec<T>,
}

impl<T: Sample> Pair<T> {
    pub(super) fn new(width: usize) -> Pair<T> {
        Pair { even: vec![T::default(); width], odd: vec![T::default(); width] }
    }
}

/// One step down the columns. It holds the pair of rows that comes next, whose even row is done.
#[derive(Debug)]
pub(super) struct Down<T> {
    step: usize,
    height: usize,
    /// Pairs that were given.
    given: usize,
    next: Pair<T>,
    after: Pair<T>,
}

impl<T: Sample> Down<T> {
    pub(super) fn new(step: usize, width: usize, height: usize) -> Down<T> {
        Down { step, height, given: 0, next: Pair::new(width), after: Pair::new(width) }
    }

    /// Puts the next pair into `out`; `above` puts pairs there to which this step has not been done.
    #[inline(always)]
    pub(super) fn pair<E>(
        &mut self,
        out: &mut Pair<T>,
        mut above: impl FnMut(&mut Pair<T>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (step, last) = (self.step, self.height.div_ceil(2) - 1);
        // The last even row of an odd number has no odd one behind it.
        let lone = self.height % 2 == 1;
        if self.given == 0 {
            above(&mut self.next)?;
            if self.height > 1 {
                self.next
                    .even
                    .iter_mut()
                    .zip(&self.next.odd)
                    .for_each(|(even, odd)| *even = even.even(step, *odd, *odd));
            }
        }
        if self.given < last {
            above(&mut self.after)?;
            let Pair { even, odd } = &mut self.next;
            let rows = odd.iter_mut().zip(even.iter()).zip(self.after.even.iter_mut().zip(self.after.odd.iter()));
            if lone && self.given + 1 == last {
                rows.for_each(|((odd, even), (below, _))| {
                    *below = below.even(step, *odd, *odd);
                    *odd = odd.odd(step, *even, *below);
                });
            } else {
                rows.for_each(|((odd, even), (below, after))| {
                    *below = below.even(step, *odd, *after);
                    *odd = odd.odd(step, *even, *below);
                });
            }
        } else if !lone {
            self.next.odd.iter_mut().zip(&self.next.even).for_each(|(odd, even)| *odd = odd.odd(step, *even, *even));
        }
        self.given += 1;
        std::mem::swap(out, &mut self.next);
        std::mem::swap(&mut self.next, &mut self.after);
        Ok(())
    }
}
