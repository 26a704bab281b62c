//! The cleanup pass written step by step (T.814 7.3, Annex C): the oracle of the fast encoder.

use alloc::vec::Vec;

use super::bits::{BackwardWriter, ForwardWriter, MelWriter};
use super::tables::{FIRST_CODES, OTHER_CODES, UCode};

/// A quad of coefficients.
#[derive(Clone, Copy, Default)]
struct Quad {
    /// `2 (mu - 1) + s` of the significant samples.
    values: [u64; 4],
    exponents: [u32; 4],
}

impl Quad {
    fn at(samples: &[i64], (width, height): (usize, usize), (column, row): (usize, usize)) -> Self {
        let mut quad = Quad::default();
        for n in 0..4 {
            let (column, row) = (column + n / 2, row + n % 2);
            if column >= width || row >= height || samples[row * width + column] == 0 {
                continue;
            }
            let sample = samples[row * width + column];
            let below = sample.unsigned_abs() - 1;
            quad.values[n] = below << 1 | u64::from(sample < 0);
            quad.exponents[n] = 64 - (below << 1 | 1).leading_zeros();
        }
        quad
    }

    fn rho(&self) -> u32 {
        (0..4).map(|n| u32::from(self.exponents[n] != 0) << n).sum()
    }

    fn exponent(&self) -> u32 {
        self.exponents.into_iter().max().unwrap_or(0)
    }
}

#[derive(Default)]
struct Encoder {
    mel: MelWriter,
    magnitudes: ForwardWriter,
}

/// Appends the cleanup segment of a block that is not all zeros; returns the bit-planes of its largest magnitude.
pub(super) fn encode(samples: &[i64], width: usize, height: usize, out: &mut Vec<u8>) -> u32 {
    let mut encoder = Encoder::default();
    let mut vlc = BackwardWriter::new();
    let at = |q: usize, y: usize| match q < width.div_ceil(2) {
        true => Quad::at(samples, (width, height), (2 * q, y)),
        false => Quad::default(),
    };
    for y in (0..height).step_by(2) {
        let above = |q: usize| if y == 0 { Quad::default() } else { at(q, y - 2) };
        let mut left = Quad::default();
        for q in (0..width.div_ceil(2)).step_by(2) {
            let mut u = [0; 2];
            let count = 2.min(width.div_ceil(2) - q);
            for (n, u) in u[..count].iter_mut().enumerate() {
                let west = if q + n == 0 { Quad::default() } else { above(q + n - 1) };
                let near = [
                    west.exponents[3],
                    above(q + n).exponents[1],
                    above(q + n).exponents[3],
                    above(q + n + 1).exponents[1],
                ];
                let quad = at(q + n, y);
                *u = encoder.quad(&mut vlc, quad, left, near, y == 0);
                left = quad;
            }
            encoder.pair(&mut vlc, u, y == 0);
        }
    }
    out.extend(encoder.magnitudes.finish());
    out.extend(encoder.mel.join(vlc));
    64 - samples.iter().fold(0, |all, sample| all | sample.unsigned_abs()).leading_zeros()
}

impl Encoder {
    /// Writes a quad's significance and magnitudes; returns its `u_q`.
    fn quad(&mut self, vlc: &mut BackwardWriter, quad: Quad, left: Quad, near: [u32; 4], first: bool) -> u32 {
        let (rho, west) = (quad.rho(), left.rho());
        let context = match first {
            true => ((west | west >> 1) & 1) | (west >> 1 & 6),
            false => {
                u32::from(near[0] | near[1] != 0)
                    | u32::from(west & 12 != 0) << 1
                    | u32::from(near[2] | near[3] != 0) << 2
            }
        };
        let kappa = match rho.count_ones() > 1 && !first {
            true => near.into_iter().max().unwrap_or(0).saturating_sub(1).max(1),
            false => 1,
        };
        let bound = quad.exponent().max(kappa);
        let eps = match bound > kappa {
            true => (0..4).map(|n| u32::from(quad.exponents[n] == bound) << n).sum(),
            false => 0,
        };
        if context == 0 {
            self.mel.event(rho != 0);
        }
        let mut known = 0;
        if context != 0 || rho != 0 {
            let codes = if first { &FIRST_CODES } else { &OTHER_CODES };
            let code = codes[(context << 8 | rho << 4 | eps) as usize];
            vlc.bits((code >> 16, code & 63));
            known = code >> 8 & 15;
        }
        for n in (0..4).filter(|n| rho >> n & 1 == 1) {
            self.magnitudes.bits(quad.values[n], bound - (known >> n & 1));
        }
        bound - kappa
    }

    /// Writes `u_q` of a pair of quads (T.814 7.3.6).
    fn pair(&mut self, vlc: &mut BackwardWriter, u: [u32; 2], first: bool) {
        let mut codes = u.map(UCode::of);
        if first && u[0] > 0 && u[1] > 0 {
            let large = u[0] > 2 && u[1] > 2;
            self.mel.event(large);
            if large {
                codes = u.map(|u| UCode::of(u - 2));
            } else if u[0] > 2 {
                codes[1] = UCode { prefix: (u[1] - 1, 1), suffix: (0, 0), extension: (0, 0) };
            }
        }
        codes.iter().for_each(|code| vlc.bits(code.prefix));
        codes.iter().for_each(|code| vlc.bits(code.suffix));
        codes.iter().for_each(|code| vlc.bits(code.extension));
    }
}
