//! One component, row by row (T.800 F.3): each decomposition takes rows of the one below it as it needs them, and of its sub-bands one row of
//! code-blocks at a time is decoded. So there are never more than a few rows of any of them.

use super::cleanup::Cleanup;
use super::lifting::{self, Down, K, Pair, Sample};
use super::markers::Header;
use super::packets::{BLOCK, Band, Bands};
use super::{Result, form};

/// A sub-band of which one row of code-blocks is decoded.
#[derive(Debug)]
struct Stripe<T> {
    band: Band,
    /// Half the quantization step.
    half: f32,
    reversible: bool,
    /// From one row to the next.
    stride: usize,
    samples: Vec<T>,
    /// Rows that were given.
    given: usize,
}

impl<T: Sample> Stripe<T> {
    fn new(band: Band, header: &Header, gain: u8, scale: f64) -> Stripe<T> {
        let half = if header.reversible { 0.0 } else { header.step(band.number, gain) / 2.0 * scale as f32 };
        let samples = vec![T::default(); band.width * band.height.min(BLOCK)];
        Stripe { half, reversible: header.reversible, stride: band.width, samples, given: 0, band }
    }

    /// The next row.
    #[inline(always)]
    fn row(&mut self, stream: &[u8], cleanup: &mut Cleanup) -> Result<&mut [T]> {
        let row = self.given % BLOCK;
        if row == 0 && self.stride > 0 {
            self.decode(stream, cleanup)?;
        }
        self.given += 1;
        Ok(&mut self.samples[row * self.stride..][..self.stride])
    }

    /// Decodes a row of code-blocks.
    fn decode(&mut self, stream: &[u8], cleanup: &mut Cleanup) -> Result<()> {
        let columns = self.band.columns();
        let blocks = &self.band.blocks[self.given / BLOCK * columns..][..columns];
        let height = (self.band.height - self.given).min(BLOCK);
        for (block, left) in blocks.iter().zip((0..).step_by(BLOCK)) {
            let width = (self.stride - left).min(BLOCK);
            let place = |y: usize| y * self.stride + left..y * self.stride + left + width;
            if block.length == 0 {
                (0..height).for_each(|y| self.samples[place(y)].fill(T::default()));
                continue;
            }
            if self.reversible && block.plane > 0 {
                return Err(form("bit planes that are left out without loss"));
            }
            let half = self.half * f32::from(block.plane).exp2();
            let stored = &stream[block.at..block.at + block.length];
            cleanup.decode(stored, width, height, |y, lines| {
                for (y, line) in (y..height).zip(lines) {
                    self.samples[place(y)]
                        .iter_mut()
                        .zip(line)
                        .for_each(|(sample, value)| *sample = T::decoded(*value, half));
                }
            })?;
        }
        Ok(())
    }
}

/// One decomposition: HL, LH, HH, and the steps down the columns.
#[derive(Debug)]
struct Level<T> {
    bands: [Stripe<T>; 3],
    width: usize,
    height: usize,
    steps: Vec<Down<T>>,
    /// Pairs of rows that were put together from halves.
    joined: usize,
    pair: Pair<T>,
    given: usize,
}

/// A component.
#[derive(Debug)]
pub(super) struct Component<T> {
    base: Stripe<T>,
    /// Coarsest first.
    levels: Vec<Level<T>>,
}

impl<T: Sample> Component<T> {
    pub(super) fn new(bands: Bands, header: &Header) -> Component<T> {
        let mut bands = bands.into_iter();
        let base = bands.next().unwrap_or_default();
        let rest: Vec<Band> = bands.collect();
        // A single sample is no subject of a transform (F.3.6), and is not scaled.
        let low = |size: usize| if size > 1 { K } else { 1.0 };
        let mut scale = 1.0;
        let mut levels: Vec<Level<T>> = Vec::new();
        for bands in rest.as_chunks::<3>().0.iter().rev() {
            let [hl, lh, hh] = bands.clone();
            let (width, height) = (hl.width + lh.width, lh.height + hl.height);
            levels.push(Level {
                bands: [
                    Stripe::new(hl, header, 1, scale * low(height) / K),
                    Stripe::new(lh, header, 1, scale * low(width) / K),
                    Stripe::new(hh, header, 2, scale / K / K),
                ],
                width,
                height,
                steps: (0..T::STEPS).map(|step| Down::new(step, width, height)).collect(),
                joined: 0,
                pair: Pair::new(width),
                given: 0,
            });
            scale *= low(width) * low(height);
        }
        levels.reverse();
        Component { base: Stripe::new(base, header, 0, scale), levels }
    }

    /// The next row; there are as many as the image has.
    pub(super) fn row(&mut self, stream: &[u8], cleanup: &mut Cleanup) -> Result<&mut [T]> {
        row(&mut self.base, &mut self.levels, stream, cleanup)
    }
}

/// The next row of the finest of these levels.
fn row<'a, T: Sample>(
    base: &'a mut Stripe<T>,
    levels: &'a mut [Level<T>],
    stream: &[u8],
    cleanup: &mut Cleanup,
) -> Result<&'a mut [T]> {
    let Some((level, lower)) = levels.split_last_mut() else { return base.row(stream, cleanup) };
    let Level { bands: [hl, lh, hh], width, height, steps, joined, pair, given } = level;
    let (width, height) = (*width, *height);
    if *given % 2 == 0 {
        // Halves put side by side (HOR_SR), low-pass and high-pass ones in turn.
        let mut join = |out: &mut Pair<T>| {
            lifting::row(row(base, lower, stream, cleanup)?, hl.row(stream, cleanup)?, &mut out.even[..width]);
            *joined += 1;
            if 2 * *joined <= height {
                lifting::row(lh.row(stream, cleanup)?, hh.row(stream, cleanup)?, &mut out.odd[..width]);
            }
            Ok(())
        };
        match &mut steps[..] {
            [one] => one.pair(pair, join)?,
            [one, two] => two.pair(pair, |out| one.pair(out, &mut join))?,
            _ => join(pair)?,
        }
    }
    let odd = *given % 2 == 1;
    *given += 1;
    Ok(if odd { &mut pair.odd } else { &mut pair.even })
}
