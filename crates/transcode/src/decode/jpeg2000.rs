//! JPEG 2000 Part 1 (T.800), by a port of OpenJPEG. Samples come as whole numbers; a truncated stream is an error.

use super::{agree, guarded, place};
use dicom::error::{Error, Result};
use dicom::facts::Facts;
use dicom::stream::{StreamInfo, codestream_of};
use dicom::syntax::Coding;

pub(super) fn frame(facts: &Facts, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let info = agree(facts, stored, Coding::Jpeg2000)?;
    decode(facts, &info, codestream_of(stored), out)
}

pub(super) fn decode(facts: &Facts, info: &StreamInfo, codestream: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let parameters = jpeg2k::DecodeParameters::new().strict(true).ignore_pclr_cmap_cdef();
    let image = guarded("JPEG 2000", || {
        jpeg2k::Image::from_bytes_with(codestream, parameters)
            .map_err(|error| Error::malformed(0, format!("JPEG 2000: {error}")))
    })?;
    let planes: Vec<&[i32]> = image.components().iter().map(jpeg2k::ImageComponent::data).collect();
    let pixels = facts.rows as usize * facts.columns as usize;
    if planes.len() != usize::from(facts.samples) || planes.iter().any(|p| p.len() != pixels) {
        return Err(Error::malformed(0, "JPEG 2000: components of other sizes than the header says"));
    }
    place(facts, info.precision, (0..pixels).flat_map(|n| planes.iter().map(move |p| p[n])), out)
}
