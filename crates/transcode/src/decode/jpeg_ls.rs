//! JPEG-LS (T.87), by CharLS. The header is held against the attributes before the decoder sees a byte.

use super::{agree, container_bits, native, place, whole};
use dicom::error::{Error, Result};
use dicom::facts::Facts;
use dicom::syntax::Coding;

pub(super) fn frame(facts: &Facts, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let info = agree(facts, stored, Coding::JpegLs)?;
    let mut decoded =
        decode(stored).or_else(|error| without_stuffing(stored).map_or(Err(error), |shorter| decode(&shorter)))?;
    let size = if info.precision > 8 { 2 } else { 1 };
    if info.interleave == 0 && info.components > 1 {
        let planes = std::mem::take(&mut decoded);
        native::planes_to_pixels(&planes, usize::from(info.components), size, &mut decoded);
    }
    let bits = 8 * size as u16;
    if cfg!(target_endian = "little") && u16::from(info.precision) == bits && container_bits(facts) == bits {
        // Every bit is a bit of the sample, whatever its sign.
        *out = decoded;
        return whole(facts, out);
    }
    if size == 1 {
        place(facts, info.precision, decoded.iter().map(|v| i32::from(*v)), out)
    } else {
        place(facts, info.precision, decoded.as_chunks::<2>().0.iter().map(|b| i32::from(u16::from_ne_bytes(*b))), out)
    }
}

fn decode(stored: &[u8]) -> Result<Vec<u8>> {
    charls::CharLS::default().decode(stored).map_err(|error| Error::malformed(0, format!("JPEG-LS: {error}")))
}

/// Some writers put zero bytes between the last scan and the end marker: CharLS stumbles over them.
fn without_stuffing(stored: &[u8]) -> Option<Vec<u8>> {
    let end = stored.windows(2).rposition(|w| w == [0xFF, 0xD9])?;
    let scan = stored[..end].iter().rposition(|b| *b != 0)? + 1;
    (scan < end).then(|| [&stored[..scan], &[0xFF, 0xD9]].concat())
}
