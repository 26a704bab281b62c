//! What the samples of an instance are when they are encoded, and what is written beside them.

use crate::bounded::SampleForm;
use crate::changes::Changes;
use crate::decode::{Codecs, Decode};
use crate::jpeg_xl;
use crate::overlay::{self, Overlay};
use crate::policy::Target;
use crate::suitable;
use dicom::error::{Error, Result};
use dicom::facts::{Facts, Pixels};
use dicom::source::Source;

/// What the samples of an instance are when they are encoded.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) samples: u16,
    pub(crate) bits_allocated: u16,
    pub(crate) bits_stored: u16,
    pub(crate) precision: u8,
    pub(crate) signed: bool,
    /// Use the colour transform.
    pub(crate) colour_transform: bool,
    /// Photometric Interpretation of what is written (PS3.5 Table 8.2.4-1).
    pub(crate) photometric: String,
    /// Overlays that are taken out of the pixels.
    overlays: Vec<Overlay>,
    /// What the written frames are, for whoever decodes them.
    pub(crate) written: Facts,
    pub(crate) changes: Changes,
}

impl Plan {
    /// How an instance is coded.
    pub(crate) fn new(source: &Source, target: Target, codecs: &mut Codecs) -> Result<Plan> {
        let facts = source.facts();
        let rgb = facts.samples == 3 && !source.is_ybr();
        let colour_transform = rgb && target.is_htj2k();
        let photometric = match (facts.samples, rgb, colour_transform) {
            // The JPEG is what it was.
            _ if target == Target::JpegXlRecompression => facts.photometric.clone(),
            (3, true, true) if target.is_lossy() => "YBR_ICT".into(),
            (3, true, true) => "YBR_RCT".into(),
            (3, true, false) => "RGB".into(),
            // What is sub-sampled has been filled up by its decoder.
            (3, false, _) => "YBR_FULL".into(),
            _ => facts.photometric.clone(),
        };
        // JPEG-LS knows no sign: all bits are coded then (PS3.5 8.2.3). Its precision is at least 2.
        let precision = match target {
            Target::JpegLsLossless | Target::JpegLsNearLossless(_) if facts.signed => facts.bits_allocated,
            Target::JpegLsLossless | Target::JpegLsNearLossless(_) => facts.bits_stored.max(2),
            _ => facts.bits_stored,
        };
        let written = Facts {
            transfer_syntax: target.transfer_syntax(),
            frame_syntax: None,
            pixels: Pixels::Encapsulated,
            planar: 0,
            photometric: photometric.clone(),
            ..facts.clone()
        };
        let mut plan = Plan {
            target,
            rows: facts.rows,
            columns: facts.columns,
            samples: facts.samples,
            bits_allocated: facts.bits_allocated,
            bits_stored: facts.bits_stored,
            precision: precision as u8,
            signed: facts.signed,
            colour_transform,
            photometric,
            overlays: if suitable::carried(facts, target) { Vec::new() } else { overlay::take(source, codecs)? },
            written,
            changes: Changes::default(),
        };
        if !suitable::carried(facts, target) {
            plan.changes = Changes::new(source, target, &plan.codec(), &plan.photometric, &plan.overlays)?;
        }
        Ok(plan)
    }

    /// Are decoded samples encoded as they are? Then they need not be [settled](Plan::settle), only [looked at](Plan::look).
    pub(crate) fn as_they_are(&self) -> bool {
        self.overlays.is_empty()
    }

    /// Takes out of decoded samples what goes another way: overlays. Whatever else is above the high bit would be lost.
    pub(crate) fn settle(&self, facts: &Facts, samples: &mut [u8]) -> Result<()> {
        overlay::clear(&self.overlays, self.bits_allocated, samples);
        self.look(facts, samples)
    }

    /// Whatever is above the high bit would be lost.
    pub(crate) fn look(&self, facts: &Facts, samples: &[u8]) -> Result<()> {
        if stray_high_bits(facts, samples) {
            return Err(Error::unsupported("bits above the high bit are in use"));
        }
        Ok(())
    }

    /// Name and version of what encodes.
    pub(crate) fn codec(&self) -> String {
        match self.target {
            Target::JpegLsLossless | Target::JpegLsNearLossless(_) => "CharLS 2.4.5".into(),
            Target::ExplicitLittleEndian => "none".into(),
            Target::JpegXlLossless | Target::JpegXl(_) => format!("{}, read by {}", jpeg_xl::WRITER, jpeg_xl::READER),
            Target::JpegXlRecompression => format!("{}, rebuilt by {}", jpeg_xl::WRITER, jpeg_xl::REBUILDER),
            _ => format!("htj2k {}", env!("CARGO_PKG_VERSION")),
        }
    }

    /// How its samples lie in their containers.
    pub(crate) fn form(&self) -> SampleForm {
        let Plan { bits_allocated, bits_stored, signed, .. } = *self;
        SampleForm { bits_allocated, bits_stored, signed }
    }
}

/// The first sample with bits above Bits Stored that are not its sign (PS3.5 8.1.1); samples as decoded.
pub(crate) fn stray_high_bits(facts: &Facts, samples: &[u8]) -> bool {
    let spare = u32::from(facts.bits_allocated - facts.bits_stored);
    if spare == 0 {
        return false;
    }
    // All are looked at, so that the loops are plain ones.
    let any = |bits: u32| bits != 0;
    match (facts.bits_allocated, facts.signed) {
        (8, false) => any(samples.iter().fold(0, |all, v| all | u32::from(*v >> (8 - spare)))),
        (8, true) => any(samples.iter().fold(0, |all, v| all | u32::from((((*v as i8) << spare >> spare) as u8) ^ v))),
        (16, false) => {
            let words = samples.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b));
            any(words.fold(0, |all, v| all | v >> (16 - spare)).into())
        }
        (16, true) => {
            let words = samples.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b));
            any((words.fold(0, |all, v| all | (v << spare >> spare) ^ v) as u16).into())
        }
        _ => true,
    }
}
