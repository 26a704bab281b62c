//! A frame as small as its bound allows: the quality is searched, each try is decoded and measured, and what holds is taken.

use crate::policy::Bound;
use dicom::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How far the samples of a frame are from what they were.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// The largest difference of a sample.
    pub max_error: u32,
    /// Peak signal-to-noise ratio in decibels, the peak being the range of Bits Stored; `None` when every sample is equal.
    pub psnr: Option<f64>,
}

/// How a sample lies in its container (PS3.3 C.7.6.3).
#[derive(Debug, Clone, Copy)]
pub(crate) struct SampleForm {
    pub(crate) bits_allocated: u16,
    pub(crate) bits_stored: u16,
    pub(crate) signed: bool,
}

impl Loss {
    /// Measures one frame, little endian as decoded, against what it was.
    pub(crate) fn measure(form: SampleForm, before: &[u8], after: &[u8]) -> Loss {
        let (mut max, mut sum, mut count) = (0u32, 0u64, 0u64);
        let mut add = |a: i32, b: i32| {
            let error = a.abs_diff(b);
            max = max.max(error);
            sum += u64::from(error) * u64::from(error);
            count += 1;
        };
        match (form.bits_allocated, form.signed) {
            (8, false) => before.iter().zip(after).for_each(|(a, b)| add((*a).into(), (*b).into())),
            (8, true) => before.iter().zip(after).for_each(|(a, b)| add((*a as i8).into(), (*b as i8).into())),
            (_, signed) => {
                let value = |b: &[u8; 2]| match signed {
                    true => i32::from(i16::from_le_bytes(*b)),
                    false => i32::from(u16::from_le_bytes(*b)),
                };
                let pairs = before.as_chunks().0.iter().zip(after.as_chunks().0);
                pairs.for_each(|(a, b)| add(value(a), value(b)));
            }
        }
        let peak = ((1u64 << form.bits_stored) - 1) as f64;
        let mean = sum as f64 / count.max(1) as f64;
        Loss { max_error: max, psnr: (sum > 0).then(|| 10.0 * (peak * peak / mean).log10()) }
    }

    /// Is this within the bound?
    pub fn within(&self, bound: &Bound) -> bool {
        bound.max_error.is_none_or(|most| self.max_error <= most)
            && bound.min_psnr.zip(self.psnr).is_none_or(|(least, psnr)| psnr >= least)
    }

    /// The worse of two frames in each respect.
    pub fn worse(self, other: Loss) -> Loss {
        let psnr = match (self.psnr, other.psnr) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Loss { max_error: self.max_error.max(other.max_error), psnr }
    }
}

/// The first of the steps `0..count`, each better than the one before, that holds; `start` is a guess. `holds` is called last with
/// the step that is returned.
pub(crate) fn first_that_holds(count: u32, start: u32, holds: &mut dyn FnMut(u32) -> Result<bool>) -> Result<u32> {
    let (mut low, mut high, mut step) = (None, start.min(count - 1), 1);
    // A step that holds, from the guess upwards.
    while !holds(high)? {
        if high == count - 1 {
            return Err(Error::unsupported("no quality keeps the bound of the rule"));
        }
        low = Some(high);
        high = (high + step).min(count - 1);
        step *= 2;
    }
    // And one that does not, downwards.
    step = 1;
    let mut last = high;
    while low.is_none() && high > 0 {
        last = high.saturating_sub(step);
        match holds(last)? {
            true => high = last,
            false => low = Some(last),
        }
        step *= 2;
    }
    while let Some(below) = low.filter(|below| high - below > 1) {
        last = below + (high - below) / 2;
        match holds(last)? {
            true => high = last,
            false => low = Some(last),
        }
    }
    if last != high && !holds(high)? {
        return Err(Error::unsupported("the same quality gave two results"));
    }
    Ok(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_found_from_any_guess() {
        for first in [0, 1, 7, 41, 99] {
            for start in [0, 3, 41, 99, 1000] {
                let mut tried = Vec::new();
                let found = first_that_holds(100, start, &mut |step| {
                    tried.push(step);
                    Ok(step >= first)
                });
                assert_eq!(found.unwrap(), first);
                assert_eq!(tried.last(), Some(&first), "the last try is the result: {tried:?}");
                assert!(tried.len() <= 16, "{tried:?}");
            }
        }
        assert!(first_that_holds(100, 5, &mut |_| Ok(false)).is_err());
    }
}
