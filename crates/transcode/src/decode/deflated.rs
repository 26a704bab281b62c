//! Deflated Image Frame Compression (PS3.5 A.4.13): a raw deflate stream of one native frame.

use super::{Layout, native};
use dicom::error::{Error, Result};
use dicom::frames::native_bits;
use std::io::Read;

pub(super) fn frame(layout: &Layout<'_>, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let need = native_bits(layout.facts)
        .map(|bits| bits.div_ceil(8))
        .ok_or_else(|| Error::Limit("the size of a frame".into()))?;
    let mut bytes = Vec::new();
    flate2::read::DeflateDecoder::new(stored)
        .take(need)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::malformed(0, format!("deflated frame: {error}")))?;
    if (bytes.len() as u64) < need {
        return Err(Error::Truncated { what: "a deflated frame".into(), have: bytes.len() as u64, need });
    }
    native::frame(layout, 0, &bytes, out)
}
