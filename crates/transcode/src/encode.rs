//! Samples to frames: JPEG-LS by CharLS, HTJ2K by the codec of this workspace.

use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::policy::Target;
use charls::{CharLS, FrameInfo, InterleaveMode};
use htj2k::{EncodeOptions, Image, Samples};

/// An encoder for one target, reused from frame to frame.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    htj2k: htj2k::Encoder,
    words: Vec<u16>,
    signed_words: Vec<i16>,
    signed_bytes: Vec<i8>,
}

/// What the samples of an instance are when they are encoded.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) samples: u16,
    pub(crate) bits_allocated: u16,
    pub(crate) precision: u8,
    pub(crate) signed: bool,
    /// Use the reversible colour transform.
    pub(crate) colour_transform: bool,
    /// Photometric Interpretation of what is written (PS3.5 Table 8.2.4-1).
    pub(crate) photometric: String,
}

impl Plan {
    /// How an instance is coded. `transformed`: the source's own stream has a colour transform.
    pub(crate) fn new(facts: &Facts, target: Target) -> Plan {
        let rgb = matches!(facts.photometric.as_str(), "RGB" | "YBR_RCT") && facts.samples == 3;
        let colour_transform = rgb && target.is_htj2k();
        let photometric = match (rgb, colour_transform) {
            (true, true) => "YBR_RCT".into(),
            (true, false) => "RGB".into(),
            _ => facts.photometric.clone(),
        };
        // JPEG-LS knows no sign: all bits are coded then (PS3.5 8.2.3). Its precision is at least 2.
        let precision = match target {
            Target::JpegLsLossless if facts.signed => facts.bits_allocated,
            Target::JpegLsLossless => facts.bits_stored.max(2),
            _ => facts.bits_stored,
        };
        Plan {
            target,
            rows: facts.rows,
            columns: facts.columns,
            samples: facts.samples,
            bits_allocated: facts.bits_allocated,
            precision: precision as u8,
            signed: facts.signed,
            colour_transform,
            photometric,
        }
    }

    /// Name and version of what encodes.
    pub(crate) fn codec(&self) -> String {
        match self.target {
            Target::JpegLsLossless => "CharLS 2.4.5".into(),
            _ => format!("htj2k {}", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl Encoder {
    /// Encodes one frame of samples (little endian, interleaved) into `out`, which is cleared first.
    pub(crate) fn encode(&mut self, plan: &Plan, samples: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        match plan.target {
            Target::JpegLsLossless => self.jpeg_ls(plan, samples, out),
            Target::Htj2kLossless | Target::Htj2kLosslessRpcl => self.htj2k(plan, samples, out),
            other => Err(Error::unsupported(format!("no encoder for {}", other.transfer_syntax().name()))),
        }
    }

    fn jpeg_ls(&mut self, plan: &Plan, samples: &[u8], out: &mut Vec<u8>) -> Result<()> {
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
            codec.encode(info, 0, &narrow)
        } else {
            codec.encode(info, 0, samples)
        }
        .map_err(bad)?;
        Ok(())
    }

    fn htj2k(&mut self, plan: &Plan, samples: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let samples = match (plan.bits_allocated, plan.signed) {
            (8, false) => Samples::U8(samples),
            (8, true) => Samples::I8(refill(&mut self.signed_bytes, samples.iter().map(|b| *b as i8))),
            (_, false) => {
                Samples::U16(refill(&mut self.words, samples.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b))))
            }
            (_, true) => Samples::I16(refill(
                &mut self.signed_words,
                samples.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)),
            )),
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
        let options = EncodeOptions { colour: plan.colour_transform, ..EncodeOptions::default() };
        self.htj2k.encode(&image, &options, out).map_err(|error| Error::unsupported(format!("HTJ2K: {error}")))?;
        Ok(())
    }
}

fn refill<T>(buffer: &mut Vec<T>, values: impl Iterator<Item = T>) -> &[T] {
    buffer.clear();
    buffer.extend(values);
    buffer
}

/// The first sample with bits above Bits Stored that are not its sign (PS3.5 8.1.1); samples as decoded.
pub(crate) fn stray_high_bits(facts: &Facts, samples: &[u8]) -> bool {
    let spare = u32::from(facts.bits_allocated - facts.bits_stored);
    if spare == 0 {
        return false;
    }
    match (facts.bits_allocated, facts.signed) {
        (8, false) => samples.iter().any(|v| *v >> (8 - spare) != 0),
        (8, true) => samples.iter().any(|v| (*v as i8) << spare >> spare != *v as i8),
        (16, false) => samples.as_chunks().0.iter().any(|b| u16::from_le_bytes(*b) >> (16 - spare) != 0),
        (16, true) => samples.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).any(|v| v << spare >> spare != v),
        _ => true,
    }
}
