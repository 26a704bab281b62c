//! Samples to frames: JPEG-LS by CharLS, HTJ2K by the codec of this workspace, JPEG XL by jixel.

use crate::bounded::{self, Loss};
use crate::decode::{self, Codecs};
use crate::jpeg_xl;
use crate::plan::{Plan, stray_high_bits};
use crate::policy::{Bound, Target};
use charls::{CharLS, FrameInfo, InterleaveMode};
use dicom::error::{Error, Result};
use htj2k::{EncodeOptions, Image, Samples, Transform};

/// Qualities of irreversible HTJ2K that are tried, in decibels.
const QUALITIES: std::ops::RangeInclusive<u32> = 20..=120;

/// An encoder for one target, reused from frame to frame.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    htj2k: htj2k::Encoder,
    words: Vec<u16>,
    signed_words: Vec<i16>,
    /// The step that the search for the last frame ended with.
    step: Option<u32>,
    /// What the last frame of a lossy target decodes to.
    pub(crate) decoded: Vec<u8>,
    /// Tests make the encoder wrong by this.
    #[cfg(test)]
    pub(crate) wrong: Option<crate::cross_check::tests::Wrong>,
}

/// How the step of a search is coded.
#[derive(Debug, Clone, Copy)]
enum Quality {
    /// JPEG-LS: NEAR (T.87 C.2.3).
    Near(u32),
    /// HTJ2K: decibels.
    Decibels(f32),
    /// JPEG XL: just noticeable differences.
    Distance(f32),
}

impl Plan {
    /// The settings of a search, each better than the one before.
    fn qualities(&self, bound: Bound) -> Vec<Quality> {
        match self.target {
            Target::JpegLsNearLossless(_) => {
                // T.87 C.2.3: NEAR is at most 255 and half the range.
                let most = bound.max_error.unwrap_or(255).min(255).min(((1 << self.precision) - 1) / 2);
                (1..=most).rev().map(Quality::Near).collect()
            }
            Target::JpegXl(_) => jpeg_xl::distances().into_iter().map(Quality::Distance).collect(),
            _ => QUALITIES.map(|q| Quality::Decibels(q as f32)).collect(),
        }
    }

    /// Where a search begins.
    fn guess(&self, bound: Bound) -> u32 {
        let peak = ((1u64 << self.bits_stored) - 1) as f64;
        // The largest error is some three times the mean one.
        let by_error = bound.max_error.map_or(0.0, |e| 20.0 * (peak * 3.0 / f64::from(e)).log10());
        match self.target {
            Target::JpegLsNearLossless(_) => 0,
            Target::JpegXl(_) => jpeg_xl::distances().len() as u32 / 2,
            _ => (by_error.max(bound.min_psnr.unwrap_or(0.0)).round() as u32).saturating_sub(*QUALITIES.start()),
        }
    }
}

impl Encoder {
    /// A new instance begins: nothing of the one before has a say in it.
    pub(crate) fn begin(&mut self) {
        self.step = None;
    }

    /// Encodes one frame of samples (little endian, interleaved) into `out`, which is cleared first. Of a lossy target it tells
    /// how much was lost, and leaves in `decoded` what the frame decodes to.
    pub(crate) fn encode(
        &mut self,
        plan: &Plan,
        samples: &[u8],
        codecs: &mut Codecs,
        out: &mut Vec<u8>,
    ) -> Result<Option<Loss>> {
        out.clear();
        #[cfg(test)]
        if let Some(wrong) = self.wrong.take() {
            let pair = codecs.wrong.take();
            let encoded =
                wrong.encode(plan, samples, |plan, samples| self.encode(plan, samples, codecs, out).map(drop));
            (self.wrong, codecs.wrong) = (Some(wrong), pair);
            encoded?;
            wrong.mark(out);
            return plan.target.bound().map(|_| self.measure(plan, samples, codecs, out)).transpose();
        }
        match plan.target {
            Target::ExplicitLittleEndian => out.extend_from_slice(samples),
            Target::JpegLsLossless => self.jpeg_ls(plan, 0, samples, out)?,
            Target::Htj2kLossless | Target::Htj2kLosslessRpcl => {
                self.htj2k(plan, Transform::Reversible, samples, out)?
            }
            Target::JpegXlLossless => {
                let Plan { columns, rows, samples: components, bits_allocated, precision, .. } = *plan;
                *out = jpeg_xl::encode_lossless(samples, columns, rows, components, bits_allocated, precision)?;
            }
            Target::JpegLsNearLossless(bound) | Target::Htj2k(bound) | Target::JpegXl(bound) => {
                return self.within(plan, bound, samples, codecs, out).map(Some);
            }
            Target::JpegXlRecompression => return Err(Error::unsupported("only a JPEG stream can be recompressed")),
        }
        Ok(None)
    }

    /// Searches the lowest quality that keeps the bound.
    fn within(
        &mut self,
        plan: &Plan,
        bound: Bound,
        samples: &[u8],
        codecs: &mut Codecs,
        out: &mut Vec<u8>,
    ) -> Result<Loss> {
        let qualities = plan.qualities(bound);
        let start = self.step.unwrap_or_else(|| plan.guess(bound));
        let mut loss = Loss { max_error: u32::MAX, psnr: Some(0.0) };
        let step = bounded::first_that_holds(qualities.len() as u32, start, &mut |step| {
            out.clear();
            match qualities[step as usize] {
                Quality::Near(near) => self.jpeg_ls(plan, near as i32, samples, out)?,
                Quality::Distance(distance) => {
                    let Plan { columns, rows, samples: components, bits_allocated, precision, .. } = *plan;
                    *out =
                        jpeg_xl::encode_lossy(samples, columns, rows, components, bits_allocated, precision, distance)?;
                }
                Quality::Decibels(quality) => self.htj2k(plan, Transform::Irreversible { quality }, samples, out)?,
            }
            loss = self.measure(plan, samples, codecs, out)?;
            Ok(loss.within(&bound) && !stray_high_bits(&plan.written, &self.decoded))
        })?;
        self.step = Some(step);
        Ok(loss)
    }

    /// Decodes a frame and measures what was lost.
    fn measure(&mut self, plan: &Plan, samples: &[u8], codecs: &mut Codecs, frame: &[u8]) -> Result<Loss> {
        let layout = decode::Layout { facts: &plan.written, big_endian: false, words: false };
        decode::frame(&layout, 0, frame, codecs, &mut self.decoded)?;
        Ok(Loss::measure(plan.form(), samples, &self.decoded))
    }

    fn jpeg_ls(&mut self, plan: &Plan, near: i32, samples: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let info = FrameInfo {
            width: plan.columns,
            height: plan.rows,
            bits_per_sample: plan.precision.into(),
            component_count: plan.samples.into(),
        };
        let bad = |error| Error::unsupported(format!("JPEG-LS: {error}"));
        let mut codec = CharLS::default();
        // Settings come before the first look at the size: the encoder takes them only then.
        codec
            .set_interleave_mode(if plan.samples > 1 { InterleaveMode::Sample } else { InterleaveMode::None })
            .map_err(bad)?;
        *out = if plan.bits_allocated == 16 && plan.precision <= 8 {
            let narrow: Vec<u8> = samples.iter().step_by(2).copied().collect();
            codec.encode(info, near, &narrow)
        } else {
            codec.encode(info, near, samples)
        }
        .map_err(bad)?;
        Ok(())
    }

    fn htj2k(&mut self, plan: &Plan, transform: Transform, samples: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let samples = match (plan.bits_allocated, plan.signed) {
            (8, false) => Samples::U8(samples),
            (8, true) => Samples::I8(bytemuck::cast_slice(samples)),
            (_, false) => Samples::U16(words(samples, &mut self.words, u16::from_le_bytes)),
            (_, true) => Samples::I16(words(samples, &mut self.signed_words, i16::from_le_bytes)),
        };
        let image = Image {
            width: plan.columns,
            height: plan.rows,
            components: plan.samples,
            precision: plan.precision,
            signed: plan.signed,
            stride: plan.columns as usize * usize::from(plan.samples),
            samples,
        };
        let options = EncodeOptions { colour: plan.colour_transform, transform, ..EncodeOptions::default() };
        self.htj2k.encode(&image, &options, out).map_err(|error| Error::unsupported(format!("HTJ2K: {error}")))?;
        Ok(())
    }
}

/// Bytes as the words they are: where they lie, if they can be read there.
fn words<'a, T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(
    bytes: &'a [u8],
    buffer: &'a mut Vec<T>,
    word: impl Fn([u8; 2]) -> T,
) -> &'a [T] {
    match bytemuck::try_cast_slice(bytes) {
        Ok(words) if cfg!(target_endian = "little") => words,
        _ => {
            buffer.clear();
            buffer.extend(bytes.as_chunks().0.iter().map(|bytes| word(*bytes)));
            buffer
        }
    }
}
