//! Frames to samples: little endian, interleaved by pixel, in the container of Bits Allocated, no colour conversion.

mod deflated;
pub(crate) mod htj2k;
mod huffman;
mod jpeg;
mod jpeg2000;
mod jpeg_idct;
mod jpeg_lossless;
mod jpeg_ls;
mod jpeg_scan;
mod jpeg_upsample;
mod jpeg_xl;
mod native;
mod rle;
mod source;

pub use source::Decode;
pub(crate) use source::DecodeWith;

use dicom::error::{Error, Result};
use dicom::facts::{Facts, Pixels};
use dicom::stream::{self, StreamInfo};
use dicom::syntax::Coding;

/// Decoded bytes of one frame that are allowed.
const MAX_FRAME: u64 = 1 << 30;
/// Frames beyond this size must come from a plausible number of bytes.
const SMALL_FRAME: u64 = 64 << 20;
/// More than any image compresses: whoever claims it is believed no further.
const MAX_RATIO: u64 = 20_000;

/// Decoders and buffers that are reused from frame to frame.
#[derive(Debug, Default)]
pub(crate) struct Codecs {
    pub(crate) stored: Vec<u8>,
    /// Samples of what was written.
    pub(crate) read_back: Vec<u8>,
    pub(crate) htj2k: ::htj2k::Decoder,
    pub(crate) progressive: ::htj2k::Progressive,
    pub(crate) words: Vec<u16>,
    pub(crate) signed_words: Vec<i16>,
    /// Tests put a decoder here that agrees with a wrong encoder.
    #[cfg(test)]
    pub(crate) wrong: Option<crate::cross_check::tests::Wrong>,
}

impl Codecs {
    /// Has a test swapped the codec?
    pub(crate) fn swapped(&self) -> bool {
        #[cfg(test)]
        return self.wrong.is_some();
        #[cfg(not(test))]
        false
    }
}

/// What the stored bytes of a frame are.
pub(crate) struct Layout<'a> {
    pub(crate) facts: &'a Facts,
    /// Numbers are big endian.
    pub(crate) big_endian: bool,
    /// The VR is OW.
    pub(crate) words: bool,
}

impl Layout<'_> {
    /// Bytes stand in swapped pairs: 16-bit words of big endian that hold smaller samples (PS3.5 7.3).
    pub(crate) fn swapped_words(&self) -> bool {
        self.big_endian && self.words && self.facts.bits_allocated <= 8
    }
}

/// Decodes one stored frame into `out`.
pub(crate) fn frame(layout: &Layout<'_>, n: u32, stored: &[u8], codecs: &mut Codecs, out: &mut Vec<u8>) -> Result<()> {
    let facts = layout.facts;
    let coding = facts.coding();
    check_size(facts, stored.len() as u64, coding)?;
    out.clear();
    #[cfg(test)]
    if let Some(wrong) = codecs.wrong.take_if(|_| coding != Coding::Native) {
        let decoded = wrong.decode(stored, |stored| frame(layout, n, stored, codecs, out));
        codecs.wrong = Some(wrong);
        decoded?;
        wrong.undo(facts, out);
        return Ok(());
    }
    match coding {
        // In fragments every frame starts at its own first bit.
        Coding::Native if facts.pixels == Pixels::Encapsulated => native::frame(layout, 0, stored, out),
        Coding::Native => native::frame(layout, n, stored, out),
        Coding::DeflatedFrame => deflated::frame(layout, stored, out),
        Coding::Rle => rle::frame(facts, stored, out),
        Coding::Jpeg => jpeg::frame(facts, stored, out),
        Coding::JpegLossless => jpeg_lossless::frame(facts, stored, out),
        Coding::JpegLs => jpeg_ls::frame(facts, stored, out),
        Coding::Jpeg2000 => jpeg2000::frame(facts, stored, out),
        Coding::HtJ2k => htj2k::frame(facts, stored, codecs, out),
        Coding::JpegXl => jpeg_xl::frame(facts, stored, out),
        Coding::Video | Coding::Unknown => {
            Err(Error::unsupported(format!("no decoder for {}", facts.transfer_syntax.name())))
        }
    }
}

/// The samples of a frame whose stored bytes are just that, as those of native frames mostly are.
pub(crate) fn as_they_are<'a>(layout: &Layout<'_>, stored: &'a [u8]) -> Option<&'a [u8]> {
    let native = layout.facts.coding() == Coding::Native;
    native.then(|| native::as_they_are(layout, stored)).flatten()
}

/// Decodes a JPEG stream that was rebuilt from JPEG XL.
pub(crate) fn jpeg_stream(facts: &Facts, stream: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    jpeg::frame(facts, stream, out)
}

/// Are decoded samples of three components luminance and chrominance? The stream decides where it can.
pub(crate) fn is_ybr(facts: &Facts, coding: Coding, stream: Option<&StreamInfo>) -> bool {
    let told = facts.samples == 3
        && (facts.photometric.starts_with("YBR_FULL") || facts.photometric.starts_with("YBR_PARTIAL"));
    match (coding, stream) {
        (Coding::Jpeg, Some(info)) if info.components == 3 => match info.adobe_transform {
            Some(transform) => transform != 0,
            None if info.jfif => true,
            None => !info.rgb_letters && told,
        },
        (Coding::Jpeg2000 | Coding::HtJ2k, Some(info)) if info.colour_transform => false,
        // What comes out of the codec's own colour space is RGB.
        (Coding::JpegXl, Some(info)) if info.colour_transform => false,
        _ => told,
    }
}

/// Clears bits above Bits Stored, or fills them with the sign (PS3.5 8.1.1): what a reader is to make of stray bits.
pub(crate) fn settle_high_bits(facts: &Facts, samples: &mut [u8]) {
    let low = facts.high_bit.checked_add(1) == Some(facts.bits_stored);
    let spare = u32::from(facts.bits_allocated.saturating_sub(facts.bits_stored));
    if !low || spare == 0 || facts.bits_stored == 0 {
        return;
    }
    match (facts.bits_allocated, facts.signed) {
        (8, false) => samples.iter_mut().for_each(|v| *v = *v << spare >> spare),
        (8, true) => samples.iter_mut().for_each(|v| *v = ((*v as i8) << spare >> spare) as u8),
        (16, false) => samples
            .as_chunks_mut()
            .0
            .iter_mut()
            .for_each(|b| *b = (u16::from_le_bytes(*b) << spare >> spare).to_le_bytes()),
        (16, true) => samples
            .as_chunks_mut()
            .0
            .iter_mut()
            .for_each(|b| *b = (i16::from_le_bytes(*b) << spare >> spare).to_le_bytes()),
        _ => {}
    }
}

fn check_size(facts: &Facts, stored: u64, coding: Coding) -> Result<()> {
    let size = facts.frame_bytes();
    if size == 0 {
        return Err(Error::unsupported("an image without rows, columns, samples or bits"));
    }
    if size > MAX_FRAME {
        return Err(Error::Limit(format!("a frame of {size} bytes")));
    }
    if coding != Coding::Native && size > SMALL_FRAME && stored.saturating_mul(MAX_RATIO) < size {
        return Err(Error::Limit(format!("a frame of {size} bytes out of {stored}")));
    }
    Ok(())
}

/// Reads a compressed frame's header and holds it against the attributes: size and samples must agree.
fn agree(facts: &Facts, stored: &[u8], coding: Coding) -> Result<StreamInfo> {
    let info = stream::probe(stored, coding)?.ok_or_else(|| Error::unsupported("a frame without a header"))?;
    if (info.width, info.height) != (facts.columns, facts.rows) {
        return Err(Error::unsupported(format!(
            "the compressed image is {} x {}, the attributes say {} x {}",
            info.width, info.height, facts.columns, facts.rows
        )));
    }
    if info.components != facts.samples {
        return Err(Error::unsupported(format!(
            "the compressed image has {} components, samples per pixel is {}",
            info.components, facts.samples
        )));
    }
    if u16::from(info.precision) > container_bits(facts) {
        return Err(Error::unsupported(format!(
            "the compressed image has {} bits, bits allocated is {}",
            info.precision, facts.bits_allocated
        )));
    }
    Ok(info)
}

/// Runs a codec that is not ours: a panic in it on a hostile stream is an error of the stream.
pub(crate) fn guarded<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(Error::malformed(0, format!("{name}: the codec gave up on a damaged stream"))))
}

fn container_bits(facts: &Facts) -> u16 {
    facts.bits_allocated.div_ceil(8) * 8
}

/// Puts samples of `precision` bits into their containers: sign-extended when the attributes say that they are signed,
/// whatever the stream says of its sign (PS3.5 8.2.3, 8.2.4).
fn place(facts: &Facts, precision: u8, samples: impl Iterator<Item = i32>, out: &mut Vec<u8>) -> Result<()> {
    let spare = 32 - u32::from(precision.clamp(1, 32));
    let signed = facts.signed;
    let fit = move |v: i32| if signed { (v << spare) >> spare } else { (((v as u32) << spare) >> spare) as i32 };
    match container_bits(facts) {
        8 => out.extend(samples.map(|v| fit(v) as u8)),
        16 => fill(samples.map(|v| (fit(v) as u16).to_le_bytes()), out),
        32 => fill(samples.map(|v| fit(v).to_le_bytes()), out),
        bits => return Err(Error::unsupported(format!("{bits} bits allocated for a compressed image"))),
    }
    whole(facts, out)
}

/// Are these all samples of a frame?
fn whole(facts: &Facts, samples: &[u8]) -> Result<()> {
    let (have, need) = (samples.len() as u64, facts.frame_bytes());
    if have == need { Ok(()) } else { Err(Error::Truncated { what: "a decoded frame".into(), have, need }) }
}

/// Appends words of `N` bytes. Where their number is known, room is made at once: the loop is a plain one then.
fn fill<const N: usize>(words: impl Iterator<Item = [u8; N]>, out: &mut Vec<u8>) {
    match words.size_hint() {
        (least, Some(most)) if least == most => {
            let start = out.len();
            out.resize(start + least * N, 0);
            out[start..].as_chunks_mut().0.iter_mut().zip(words).for_each(|(place, word)| *place = word);
        }
        _ => words.for_each(|word| out.extend_from_slice(&word)),
    }
}
