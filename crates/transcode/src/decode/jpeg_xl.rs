//! JPEG XL (PS3.5 8.2.15, A.4.12). A recompressed JPEG is rebuilt and decoded as the JPEG it is: the same samples as before.

use super::{agree, jpeg, place};
use crate::jpeg_xl;
use dicom::error::{Error, Result};
use dicom::facts::Facts;
use dicom::jpeg_xl::{Header, codestream_of};
use dicom::syntax::{Coding, TransferSyntax};

pub(super) fn frame(facts: &Facts, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let info = agree(facts, stored, Coding::JpegXl)?;
    if facts.transfer_syntax.uid() == TransferSyntax::JPEG_XL_RECOMPRESSION {
        return jpeg::frame(facts, &jpeg_xl::rebuild_jpeg(stored)?, out);
    }
    if facts.signed && facts.transfer_syntax.uid() == TransferSyntax::JPEG_XL {
        // Some writers shift such samples, some do not, and nothing in the stream tells: a guess could be off by half the range.
        return Err(Error::unsupported("signed samples under JPEG XL: the standard names no way to code them"));
    }
    let header = Header::read(&codestream_of(stored))?;
    let samples = jpeg_xl::decode(stored, &header)?;
    // Two's complement in the lowest bits, of Bits Stored or of more.
    let precision = if facts.signed { u16::from(info.precision).min(facts.bits_stored) as u8 } else { info.precision };
    if info.precision <= 8 {
        place(facts, precision, samples.iter().map(|v| i32::from(*v)), out)
    } else {
        place(facts, precision, samples.as_chunks::<2>().0.iter().map(|b| i32::from(u16::from_le_bytes(*b))), out)
    }
}
