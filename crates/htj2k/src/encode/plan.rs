//! From options to headers: what SIZ, COD and QCD will say.

use crate::geometry::{BandKind, Rect};
use crate::markers::{BlockStyle, Cod, Coding, Quantisation, Siz, StepSize, TileCoding};
use crate::{Component, EncodeOptions, Error, Image, Precincts, Progression, TileParts, Transform};
use alloc::vec::Vec;

/// Guard bits: with the exponents below, no coefficient of either transform needs more bit-planes. Both low-pass filters, however
/// often they are applied, make a sample less than four times as large in two dimensions; for samples of few bits, rounding adds to that.
fn guard_bits(precision: u8) -> u8 {
    if precision <= 5 { 3 } else { 2 }
}

/// Most bits of a sample, and one for the colour transform, whose reversible coefficients 32-bit arithmetic holds.
const NARROW: u8 = 27;

/// The largest exponent that QCD can hold.
const MOST_EXPONENT: u8 = 31;

/// The capability bit of SIZ that says that CAP follows (T.800 Table A.10).
const CAPABILITIES: u16 = 0x4000;

/// The headers of a codestream that is to be written.
#[derive(Debug)]
pub(crate) struct Headers {
    pub(crate) siz: Siz,
    pub(crate) coding: TileCoding,
    /// Most magnitude bit-planes of any sub-band.
    pub(crate) planes: u8,
    /// Whether reversible coefficients need 64 bits.
    pub(crate) wide: bool,
}

impl Headers {
    /// Makes headers, in the memory of others if there are any.
    pub(crate) fn new(image: &Image<'_>, options: &EncodeOptions, spare: Option<Headers>) -> Result<Headers, Error> {
        check(options)?;
        let (mut components, mut steps) = match spare {
            Some(spare) => (spare.siz.components, spare.coding.into_steps()),
            None => Default::default(),
        };
        components.clear();
        steps.clear();
        let reversible = options.transform == Transform::Reversible;
        let colour_transform = options.colour && image.components == 3;
        let levels = options.decompositions.unwrap_or_else(|| decompositions(image.width, image.height));
        let coding = Coding {
            levels,
            block: options.block,
            style: BlockStyle(0x40),
            reversible,
            precincts: precincts(&options.precincts, levels)?,
        };
        let cod = Cod { progression: options.progression, layers: 1, colour_transform, sop: false, eph: false };
        let mut guard = guard_bits(image.precision);
        let bits = image.precision + colour_transform as u8;
        let quantisation = match options.transform {
            Transform::Reversible => {
                // Where exponents would not do, there are more guard bits and smaller exponents: their sum counts.
                let more = (bits + BandKind::Hh.gain()).saturating_sub(MOST_EXPONENT);
                guard += more;
                reversible_steps(steps, guard, bits - more, levels)
            }
            Transform::Irreversible { quality } => {
                // The inverse of the colour transform makes 2.9 of an error of 1 in each component.
                irreversible_steps(steps, guard, quality + if colour_transform { 4.6 } else { 0.0 }, levels)
            }
        };
        let most = quantisation.steps().iter().map(|s| s.exponent).max().unwrap_or(0);
        Ok(Headers {
            siz: siz(components, image, options)?,
            coding: TileCoding::new(cod, coding, quantisation),
            planes: most + guard - 1,
            wide: reversible && bits > NARROW,
        })
    }
}

fn check(options: &EncodeOptions) -> Result<(), Error> {
    let (w, h) = options.block;
    if !(2..=10).contains(&w) || !(2..=10).contains(&h) || w + h > 12 {
        return Err(Error::request("a code-block's sides are 2^2 to 2^10, its area at most 2^12"));
    }
    if options.decompositions.is_some_and(|n| n > 32) {
        return Err(Error::request("at most 32 levels of decomposition"));
    }
    if let Transform::Irreversible { quality } = options.transform
        && !(20.0..=120.0).contains(&quality)
    {
        return Err(Error::request("the quality is 20 to 120 decibels"));
    }
    let major = matches!(options.progression, Progression::Rlcp | Progression::Rpcl);
    if options.tile_parts == TileParts::ByResolution && !major {
        return Err(Error::request("tile-parts by resolution need a progression that begins with the resolution"));
    }
    Ok(())
}

/// At least 5, and until a side of the base is 64 or less; but no more than [bring](most_decompositions) the longer side to 1.
fn decompositions(width: u32, height: u32) -> u8 {
    let side = width.min(height);
    let wanted = (5..=32).find(|n| side as u64 <= 64u64 << n).unwrap_or(32);
    wanted.min(crate::most_decompositions(width, height))
}

fn precincts(precincts: &Precincts, levels: u8) -> Result<[(u8, u8); 33], Error> {
    let mut sizes = [(15, 15); 33];
    if let Precincts::Sizes(given) = precincts {
        let last = *given.last().ok_or(Error::request("no precinct size"))?;
        for (r, size) in sizes.iter_mut().enumerate().take(levels as usize + 1) {
            *size = given.get(r).copied().unwrap_or(last);
            let least = (r > 0) as u8;
            if !(least..=15).contains(&size.0) || !(least..=15).contains(&size.1) {
                return Err(Error::request("a precinct's sides are 2^1 to 2^15"));
            }
        }
    }
    Ok(sizes)
}

fn siz(mut components: Vec<Component>, image: &Image<'_>, options: &EncodeOptions) -> Result<Siz, Error> {
    let tile_size = options.tile.unwrap_or((image.width, image.height));
    if tile_size.0 == 0 || tile_size.1 == 0 {
        return Err(Error::request("a tile has no size"));
    }
    let component = Component { precision: image.precision, signed: image.signed, dx: 1, dy: 1 };
    components.resize(image.components as usize, component);
    let siz = Siz {
        capabilities: CAPABILITIES,
        image: Rect { x0: 0, y0: 0, x1: image.width, y1: image.height },
        tile_origin: (0, 0),
        tile_size,
        components,
    };
    let (across, down) = siz.tiles();
    if across as u64 * down as u64 > 65535 {
        return Err(Error::request("more than 65535 tiles"));
    }
    Ok(siz)
}

/// The sub-bands in the order of QCD, with the number of decompositions that lead to each.
fn bands(levels: u8) -> impl Iterator<Item = (BandKind, u8)> {
    let details = (1..=levels).rev().flat_map(|d| [BandKind::Hl, BandKind::Lh, BandKind::Hh].map(|k| (k, d)));
    core::iter::once((BandKind::Ll, levels)).chain(details)
}

/// E.1.1.1 without quantisation: the exponent is the nominal range of the band, less what more guard bits make up for.
fn reversible_steps(mut steps: Vec<StepSize>, guard: u8, bits: u8, levels: u8) -> Quantisation {
    steps.extend(bands(levels).map(|(kind, _)| StepSize { exponent: bits + kind.gain(), mantissa: 0 }));
    Quantisation::reversible(guard, steps)
}

/// Steps that give every band's error the same weight in the image, so that all together it is `quality` decibels below
/// the peak: a step of `d` makes a mean square error of `d^2 / 12`, weighted by the square of the norm of the band's basis.
fn irreversible_steps(mut steps: Vec<StepSize>, guard: u8, quality: f32, levels: u8) -> Quantisation {
    let base = 3.464_101_6 * decibels(-quality);
    steps.extend(bands(levels).map(|(kind, depth)| {
        // 2^(gain - exponent) (1 + mantissa / 2^11), relative to the range of the samples (E-3).
        let step = (base / norm(kind, depth)).clamp(1e-8, 1.0);
        let power = (step.to_bits() >> 23) as i32 - 127;
        let fraction = (step.to_bits() >> 12 & 0x7FF) as u16;
        let exponent = (kind.gain() as i32 - power).clamp(0, 31) as u8;
        StepSize { exponent, mantissa: fraction }
    }));
    Quantisation::expounded(guard, steps)
}

/// `10^(db / 20)`.
fn decibels(db: f32) -> f32 {
    // By squaring: 2^(1/64) per step of 0.094 dB would do, but exactness is not needed below 0.1 dB.
    let octaves = db / 6.020_6;
    let whole = if octaves < 0.0 { octaves as i32 - 1 } else { octaves as i32 };
    let part = octaves - whole as f32;
    let power = 1.0 + part * (0.695_556_6 + part * (0.226_173_3 + part * 0.078_270_1));
    f32::from_bits(((whole.clamp(-126, 127) + 127) as u32) << 23) * power
}

/// The L2 norm of the basis vectors of the 9/7 synthesis, low-pass gain 1 and high-pass gain 2 (E.1).
fn norm(kind: BandKind, depth: u8) -> f32 {
    const LL: [f32; 7] = [1.0, 1.965, 4.177, 8.403, 16.90, 33.84, 67.69];
    const HL: [f32; 7] = [1.0, 1.011, 1.9945, 4.1775, 8.52, 17.135, 34.315];
    const HH: [f32; 7] = [1.0, 0.52, 0.96625, 2.07675, 4.295, 8.6775, 17.3975];
    let table = match kind {
        BandKind::Ll => LL,
        BandKind::Hl | BandKind::Lh => HL,
        BandKind::Hh => HH,
    };
    let known = depth.min(6);
    table[known as usize] * (1u64 << (depth - known)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_has_a_side_of_64_or_less() {
        // Both sides of 16 or less: the logarithm of the longer one.
        for (width, height, most) in
            [(1, 1, 0), (1, 2, 1), (2, 2, 1), (3, 2, 2), (4, 4, 2), (5, 1, 3), (8, 8, 3), (9, 3, 4), (16, 16, 4)]
        {
            assert_eq!(
                (decompositions(width, height), decompositions(height, width)),
                (most, most),
                "{width} x {height}"
            );
        }
        for (width, height) in [(17, 1), (17, 17), (10, 45), (600, 8), (64, 64)] {
            assert_eq!(decompositions(width, height), 5, "{width} x {height}");
        }
        assert_eq!(decompositions(2048, 2048), 5);
        assert_eq!(decompositions(2049, 2049), 6);
        assert_eq!(decompositions(2049, 100), 5);
        assert_eq!(decompositions(u32::MAX, u32::MAX), 26);
    }

    #[test]
    fn decibels_are_close() {
        for (db, ratio) in [(0.0, 1.0), (-20.0, 0.1), (-50.0, 0.003_162_3), (-6.0206, 0.5)] {
            let r: f32 = decibels(db);
            assert!((r / ratio - 1.0f32).abs() < 0.001, "{db}: {r}");
        }
    }
}
