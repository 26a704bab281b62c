//! Frames of an instance in another coding than they are stored in, for a client that names one (PS3.18 8.7.3). Nothing is lost: each
//! frame is decoded again and compared before it is handed out.

use crate::decode::{self, Codecs, DecodeWith, Layout};
use crate::encode::Encoder;
use crate::plan::Plan;
use crate::policy::Target;
use crate::suitable;
use dicom::error::{Error, Result};
use dicom::facts::Facts;
use dicom::source::Source;

/// Why frames with these facts can't be coded so; `None` when they can, as far as attributes tell. What is stored in that coding
/// already goes out as it is stored, and is refused here.
pub fn recode_obstacle(facts: &Facts, target: Target) -> Option<String> {
    if target.is_lossy() || matches!(target, Target::JpegXlRecompression | Target::ExplicitLittleEndian) {
        return Some("frames are coded anew without loss only".into());
    }
    // What was coded in luminance and colour differences keeps its name in the data set, and would have another in the stream.
    if facts.samples == 3 && facts.photometric != "RGB" && facts.photometric != "YBR_RCT" {
        return Some(format!("its colours are {}: only RGB is coded anew", facts.photometric));
    }
    suitable::obstacle(facts, target, true)
}

/// Codes frames of one instance.
#[derive(Debug)]
pub struct Recode<'a> {
    source: &'a Source,
    plan: Plan,
    codecs: Codecs,
    encoder: Encoder,
    samples: Vec<u8>,
    again: Vec<u8>,
}

impl<'a> Recode<'a> {
    /// Gets ready. What can't be coded so is [`Error::Unsupported`].
    pub fn new(source: &'a Source, target: Target) -> Result<Recode<'a>> {
        if let Some(reason) = recode_obstacle(source.facts(), target) {
            return Err(Error::unsupported(reason));
        }
        let mut codecs = Codecs::default();
        let plan = Plan::new(source, target, &mut codecs)?;
        if !plan.as_they_are() {
            return Err(Error::unsupported("overlays lie in its pixels"));
        }
        let (encoder, samples, again) = (Encoder::default(), Vec::new(), Vec::new());
        Ok(Recode { source, plan, codecs, encoder, samples, again })
    }

    /// Frame `n` (from 0): a bare codestream.
    pub fn frame(&mut self, n: u32) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.source.decode_with(n, &mut self.codecs, &mut self.samples)?;
        self.plan.look(self.source.facts(), &self.samples)?;
        self.encoder.encode(&self.plan, &self.samples, &mut self.codecs, &mut out)?;
        let layout = Layout { facts: &self.plan.written, big_endian: false, words: false };
        decode::frame(&layout, 0, &out, &mut self.codecs, &mut self.again)?;
        if self.again != self.samples {
            return Err(Error::Frame {
                frame: n.saturating_add(1),
                what: "coded anew it decodes to something else".into(),
            });
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decode;

    fn facts(samples: u16, photometric: &str) -> Facts {
        Facts { samples, photometric: photometric.into(), ..grey(1, 1, &[0, 0]).facts().clone() }
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(recode_obstacle(&facts(3, "RGB"), Target::Htj2kLossless), None);
        assert_eq!(recode_obstacle(&facts(1, "MONOCHROME2"), Target::JpegLsLossless), None);
        assert!(recode_obstacle(&facts(3, "YBR_FULL_422"), Target::JpegLsLossless).is_some());
        let bound = crate::policy::Bound { max_error: Some(1), min_psnr: None };
        assert!(recode_obstacle(&facts(1, "MONOCHROME2"), Target::Htj2k(bound)).is_some());
    }

    #[test]
    fn every_coding_decodes_to_the_same() {
        let samples: Vec<u8> = (0..64 * 48u32).map(|n| (n * 31 % 251) as u8).collect();
        let source = grey(64, 48, &samples);
        for target in [Target::JpegLsLossless, Target::Htj2kLossless, Target::Htj2kLosslessRpcl, Target::JpegXlLossless]
        {
            let stream = Recode::new(&source, target).unwrap().frame(0).unwrap();
            assert!(!stream.is_empty() && stream != samples, "{target:?}");
        }
        let mut plain = Vec::new();
        source.decode_frame(0, &mut plain).unwrap();
        assert_eq!(plain, samples);
    }

    /// A file of Explicit VR Little Endian with one grey frame of 8 bits.
    fn grey(columns: u16, rows: u16, samples: &[u8]) -> Source {
        let mut out = vec![0; 128];
        out.extend_from_slice(b"DICM");
        let mut short = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
            let mut value = value.to_vec();
            if value.len() % 2 == 1 {
                value.push(if vr == b"UI" { 0 } else { b' ' });
            }
            out.extend_from_slice(&group.to_le_bytes());
            out.extend_from_slice(&element.to_le_bytes());
            out.extend_from_slice(vr);
            out.extend_from_slice(&(value.len() as u16).to_le_bytes());
            out.extend_from_slice(&value);
        };
        short(2, 0x10, b"UI", b"1.2.840.10008.1.2.1");
        short(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.7");
        short(8, 0x18, b"UI", b"1.2.3");
        short(0x28, 0x02, b"US", &1u16.to_le_bytes());
        short(0x28, 0x04, b"CS", b"MONOCHROME2");
        short(0x28, 0x10, b"US", &rows.to_le_bytes());
        short(0x28, 0x11, b"US", &columns.to_le_bytes());
        for (element, value) in [(0x100, 8u16), (0x101, 8), (0x102, 7), (0x103, 0)] {
            short(0x28, element, b"US", &value.to_le_bytes());
        }
        out.extend_from_slice(&[0xE0, 0x7F, 0x10, 0, b'O', b'B', 0, 0]);
        out.extend_from_slice(&(samples.len() as u32).to_le_bytes());
        out.extend_from_slice(samples);
        Source::from_bytes(out).unwrap()
    }
}
