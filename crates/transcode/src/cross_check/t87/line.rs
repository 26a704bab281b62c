//! One line of samples (T.87 Annex A): regular mode and run mode.
//!
//! A line has one sample (of each component) more on either side: the left one is what A.2.1 has for Ra and Rc there, the right one
//! is Rd of the last.

use super::Result;
use super::bits::Bits;
use super::context::{Context, RunContext};
use super::header::Parameters;
use super::quantize::Quantizer;

/// Lengths of runs as powers of two (A.2.1).
const J: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// What goes on from line to line of a scan, up to a restart.
pub(super) struct State {
    parameters: Parameters,
    quantizer: Quantizer,
    /// By the size of the context number, which is at most 364.
    contexts: [Context; 512],
    runs: [RunContext; 2],
}

/// Samples around the next one (A.1).
#[derive(Clone, Copy)]
struct Around {
    a: i32,
    b: i32,
    c: i32,
}

impl State {
    pub(super) fn new(parameters: Parameters) -> State {
        State {
            parameters,
            quantizer: Quantizer::new(&parameters),
            contexts: [Context::new(&parameters); 512],
            runs: [RunContext::new(&parameters); 2],
        }
    }

    /// After a restart marker nothing is known.
    pub(super) fn restart(&mut self) {
        self.contexts = [Context::new(&self.parameters); 512];
        self.runs = [RunContext::new(&self.parameters); 2];
    }

    /// A line of a component, or of `N` that are mixed by sample (B.3).
    pub(super) fn line<'a, const N: usize>(
        &mut self,
        bits: Bits<'a>,
        run_index: &mut usize,
        above: &[[u16; N]],
        line: &mut [[u16; N]],
    ) -> Result<Bits<'a>> {
        // Without loss and with a whole power of two, errors are added up in so many bits.
        let wraps = self.parameters.near == 0 && (self.parameters.maxval + 1).count_ones() == 1;
        if wraps {
            self.line_of::<N, true>(bits, run_index, above, line)
        } else {
            self.line_of::<N, false>(bits, run_index, above, line)
        }
    }

    fn line_of<'a, const N: usize, const WRAPS: bool>(
        &mut self,
        mut bits: Bits<'a>,
        run_index: &mut usize,
        above: &[[u16; N]],
        line: &mut [[u16; N]],
    ) -> Result<Bits<'a>> {
        let parameters = self.parameters;
        let wide = |sample: u16| i32::from(sample);
        let end = line.len() - 1;
        let above = &above[..=end];
        let mut n = 1;
        let (mut a, mut b, mut c) = (line[0].map(wide), above[1].map(wide), above[0].map(wide));
        // Of the gradient above, to the left of the sample; it was the one to the right for the sample before.
        let mut left: [i32; N] = std::array::from_fn(|i| self.quantizer.of(b[i] - c[i]));
        while n < end {
            let d = above[n + 1].map(wide);
            let right: [i32; N] = std::array::from_fn(|i| self.quantizer.of(d[i] - b[i]));
            let q: [i32; N] = std::array::from_fn(|i| 81 * right[i] + 9 * left[i] + self.quantizer.of(c[i] - a[i]));
            if q == [0; N] {
                (bits, n) = self.run::<N, WRAPS>(bits, run_index, n, above, line)?;
                if n < end {
                    (a, b, c) = (line[n - 1].map(wide), above[n].map(wide), above[n - 1].map(wide));
                    left = std::array::from_fn(|i| self.quantizer.of(b[i] - c[i]));
                }
                continue;
            }
            for i in 0..N {
                (bits, a[i]) = regular::<WRAPS>(
                    &parameters,
                    &mut self.contexts,
                    bits,
                    q[i],
                    Around { a: a[i], b: b[i], c: c[i] },
                )?;
            }
            line[n] = a.map(|sample| sample as u16);
            (b, c, left) = (d, b, right);
            n += 1;
        }
        Ok(bits)
    }

    /// A run of the sample to the left, and what ends it (A.7). Returns where it goes on.
    fn run<'a, const N: usize, const WRAPS: bool>(
        &mut self,
        mut bits: Bits<'a>,
        run_index: &mut usize,
        mut n: usize,
        above: &[[u16; N]],
        line: &mut [[u16; N]],
    ) -> Result<(Bits<'a>, usize)> {
        let (left, end) = (line[n - 1], line.len() - 1);
        let mut bit;
        loop {
            (bits, bit) = bits.take(1)?;
            if bit == 0 {
                break;
            }
            let whole = 1 << J[*run_index];
            let length = whole.min(end - n);
            line[n..n + length].fill(left);
            n += length;
            if length == whole && *run_index < 31 {
                *run_index += 1;
            }
            if n == end {
                return Ok((bits, n));
            }
        }
        let length;
        (bits, length) = bits.take(J[*run_index])?;
        if length as usize >= end - n {
            return Err("a run that is longer than its line".into());
        }
        line[n..n + length as usize].fill(left);
        n += length as usize;
        for i in 0..N {
            let sample;
            (bits, sample) = self.end_of_run::<N, WRAPS>(bits, *run_index, left[i].into(), above[n][i].into())?;
            line[n][i] = sample as u16;
        }
        *run_index = run_index.saturating_sub(1);
        Ok((bits, n + 1))
    }

    /// The sample that ends a run (A.7.2). Of components that are mixed by sample, each is coded as one that differs (B.3).
    fn end_of_run<'a, const N: usize, const WRAPS: bool>(
        &mut self,
        bits: Bits<'a>,
        run_index: usize,
        a: i32,
        b: i32,
    ) -> Result<(Bits<'a>, i32)> {
        let Parameters { near, reset, range, qbpp, limit, .. } = self.parameters;
        let same = N == 1 && (a - b).abs() <= near;
        let context = &mut self.runs[usize::from(same)];
        let k = context.k(same);
        let (bits, mapped) = bits.golomb(k, limit - J[run_index] - 1, qbpp)?;
        if mapped > range as u64 {
            return Err(too_large());
        }
        let error = context.error(k, same, mapped as u32, reset);
        let (predicted, error) = match same {
            true => (a, error),
            false if a > b => (b, -error),
            false => (b, error),
        };
        Ok((bits, sample::<WRAPS>(&self.parameters, predicted, error)))
    }
}

/// A sample by its context (A.4 to A.6).
#[inline(always)]
fn regular<'a, const WRAPS: bool>(
    parameters: &Parameters,
    contexts: &mut [Context; 512],
    bits: Bits<'a>,
    q: i32,
    around: Around,
) -> Result<(Bits<'a>, i32)> {
    let Parameters { maxval, reset, range, qbpp, limit, .. } = *parameters;
    let near = if WRAPS { 0 } else { parameters.near };
    // All ones where the context number is negative.
    let sign = q >> 31;
    let context = &mut contexts[q.unsigned_abs() as usize & 511];
    let k = context.k();
    // A.4.1, A.4.2
    let Around { a, b, c } = around;
    let edge = (a + b - c).max(a.min(b)).min(a.max(b));
    let predicted = (edge + ((context.c ^ sign) - sign)).max(0).min(maxval);
    let (bits, mapped) = bits.golomb(k, limit, qbpp)?;
    if mapped > range as u64 {
        return Err(too_large());
    }
    let error = context.error(k, near, mapped as u32);
    context.learn(error, near, reset);
    Ok((bits, sample::<WRAPS>(parameters, predicted, (error ^ sign) - sign)))
}

/// A prediction and its error (A.4.4, A.4.5 the other way round).
#[inline(always)]
fn sample<const WRAPS: bool>(parameters: &Parameters, predicted: i32, error: i32) -> i32 {
    let Parameters { near, maxval, range, .. } = *parameters;
    if WRAPS {
        return (predicted + error) & maxval;
    }
    let whole = range * (2 * near + 1);
    let sample = predicted + error * (2 * near + 1);
    let sample = match sample {
        _ if sample < -near => sample + whole,
        _ if sample > maxval + near => sample - whole,
        _ => sample,
    };
    sample.max(0).min(maxval)
}

#[cold]
fn too_large() -> String {
    "a prediction error that is larger than any".into()
}
