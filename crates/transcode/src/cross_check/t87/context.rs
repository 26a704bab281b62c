//! What is learnt of prediction errors, context by context (T.87 A.2, A.5, A.6; of runs A.7.2).

use super::header::Parameters;

/// A context of the regular mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    /// Sum of magnitudes.
    a: u32,
    /// Bias.
    b: i32,
    /// What corrects the prediction.
    pub(super) c: i32,
    /// How often it came.
    n: u32,
}

/// A context of what ends a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunContext {
    a: u32,
    n: u32,
    /// How many errors were negative.
    nn: u32,
}

/// The smallest k for which n 2^k is not below a (A.5.1).
#[inline(always)]
fn golomb_parameter(a: u32, n: u32) -> u32 {
    // Shifted so, n is as long as a.
    let k = n.leading_zeros().saturating_sub(a.leading_zeros());
    k + u32::from(n << k < a)
}

/// A at the start (A.2.1).
fn initial(parameters: &Parameters) -> u32 {
    ((parameters.range + 32) / 64).max(2) as u32
}

impl Context {
    pub(super) fn new(parameters: &Parameters) -> Context {
        Context { a: initial(parameters), b: 0, c: 0, n: 1 }
    }

    #[inline(always)]
    pub(super) fn k(&self) -> u32 {
        golomb_parameter(self.a, self.n)
    }

    /// The error that a code stands for (A.5.2).
    #[inline(always)]
    pub(super) fn error(&self, k: u32, near: i32, mapped: u32) -> i32 {
        let error = (mapped >> 1) as i32 ^ -((mapped & 1) as i32);
        let turned = near == 0 && k == 0 && 2 * self.b <= -(self.n as i32);
        error ^ -i32::from(turned)
    }

    /// A.6.
    #[inline(always)]
    pub(super) fn learn(&mut self, error: i32, near: i32, reset: u32) {
        let mut b = self.b + error * (2 * near + 1);
        let mut a = self.a + error.unsigned_abs();
        let mut n = self.n;
        if n == reset {
            (a, b, n) = (a >> 1, b >> 1, n >> 1);
        }
        n += 1;
        let count = n as i32;
        let (low, high) = (b <= -count, b > 0);
        // Up or down by one; what is still outside is brought to the edge.
        let step = i32::from(high) - i32::from(low);
        b -= step * count;
        b = if low { b.max(1 - count) } else { b };
        b = if high { b.min(0) } else { b };
        let c = (self.c + step).clamp(-128, 127);
        *self = Context { a, b, c, n };
    }
}

impl RunContext {
    pub(super) fn new(parameters: &Parameters) -> RunContext {
        RunContext { a: initial(parameters), n: 1, nn: 0 }
    }

    pub(super) fn k(&self, same: bool) -> u32 {
        golomb_parameter(self.a + if same { self.n >> 1 } else { 0 }, self.n)
    }

    /// The error that a code stands for, from which is learnt. `same`: the samples to the left and above are (nearly) the same.
    pub(super) fn error(&mut self, k: u32, same: bool, mapped: u32, reset: u32) -> i32 {
        let same = u32::from(same);
        let twice = mapped + same;
        let odd = twice & 1;
        let size = ((twice + odd) / 2) as i32;
        let negative = (k != 0 || 2 * self.nn >= self.n) == (odd == 1);
        let error = if negative { -size } else { size };
        self.nn += u32::from(error < 0);
        self.a += (mapped + 1 - same) >> 1;
        if self.n == reset {
            (self.a, self.n, self.nn) = (self.a >> 1, self.n >> 1, self.nn >> 1);
        }
        self.n += 1;
        error
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_golomb_parameter_is_the_smallest_that_reaches() {
        for n in (1..70).chain([255, 65_535]) {
            for a in (0..5000).chain([65_535, 1 << 20, (1 << 31) - 1, 1 << 31, u32::MAX]) {
                let k = (0..40).find(|k| u64::from(n) << k >= u64::from(a)).unwrap();
                assert_eq!(super::golomb_parameter(a, n), k, "{a} {n}");
            }
        }
    }
}
