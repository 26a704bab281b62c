//! Uncompressed frames (PS3.5 8.1.1, 8.2): byte order, planes, single bits and sub-sampled colour.

use super::Layout;
use dicom::data_set::swap;
use dicom::error::{Error, Result};
use dicom::frames::{native_bits, sub_sampled};

/// Decodes frame `n`, whose stored bytes cover all its bits (whole 16-bit words where those are swapped).
pub(super) fn frame(layout: &Layout<'_>, n: u32, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let facts = layout.facts;
    let bits = native_bits(facts).ok_or_else(|| Error::Limit("the size of a frame".into()))?;
    let first_bit = u64::from(n) * bits;
    if let Some(samples) = as_they_are(layout, stored) {
        out.clear();
        out.extend_from_slice(samples);
        return Ok(());
    }
    let mut bytes = stored.to_vec();
    if layout.swapped_words() {
        swap(&mut bytes, 2);
        bytes.drain(..((first_bit / 8) % 2) as usize);
    }
    if facts.bits_allocated == 1 {
        return single_bits(&bytes, first_bit % 8, bits, out);
    }
    bytes.truncate((bits / 8) as usize);
    let size = usize::from(facts.bits_allocated / 8);
    if layout.big_endian {
        swap(&mut bytes, size);
    }
    interleave(layout, bytes, size, out)
}

/// The samples, where stored bytes are that already.
pub(super) fn as_they_are<'a>(layout: &Layout<'_>, stored: &'a [u8]) -> Option<&'a [u8]> {
    let facts = layout.facts;
    let planes = facts.planar == 1 && facts.samples > 1;
    let plain =
        matches!(facts.bits_allocated, 8 | 16 | 32 | 64) && !layout.big_endian && !sub_sampled(facts) && !planes;
    stored.get(..native_bits(facts).filter(|_| plain)? as usize / 8)
}

fn interleave(layout: &Layout<'_>, bytes: Vec<u8>, size: usize, out: &mut Vec<u8>) -> Result<()> {
    let facts = layout.facts;
    if !matches!(facts.bits_allocated, 8 | 16 | 32 | 64) {
        return Err(Error::unsupported(format!("{} bits allocated", facts.bits_allocated)));
    }
    if sub_sampled(facts) {
        if !bytes.len().is_multiple_of(4 * size) {
            return Err(Error::unsupported("sub-sampled colour with an odd number of pixels"));
        }
        for pair in bytes.chunks_exact(4 * size) {
            let (luma, chroma) = pair.split_at(2 * size);
            for y in luma.chunks_exact(size) {
                out.extend_from_slice(y);
                out.extend_from_slice(chroma);
            }
        }
    } else if facts.planar == 1 && facts.samples > 1 {
        planes_to_pixels(&bytes, usize::from(facts.samples), size, out);
    } else {
        *out = bytes;
    }
    Ok(())
}

/// Planes one after the other to samples side by side.
pub(super) fn planes_to_pixels(planes: &[u8], samples: usize, size: usize, out: &mut Vec<u8>) {
    let plane = planes.len() / samples;
    out.clear();
    out.resize(planes.len(), 0);
    for (n, plane) in planes.chunks_exact(plane.max(1)).enumerate().take(samples) {
        for (pixel, sample) in out.chunks_exact_mut(samples * size).zip(plane.chunks_exact(size)) {
            pixel[n * size..][..size].copy_from_slice(sample);
        }
    }
}

/// One byte for each bit, the lowest bit of a byte first.
fn single_bits(bytes: &[u8], skip: u64, bits: u64, out: &mut Vec<u8>) -> Result<()> {
    let (skip, bits) = (skip as usize, bits as usize);
    if bytes.len() * 8 < skip + bits {
        return Err(Error::Truncated {
            what: "a frame of single bits".into(),
            have: bytes.len() as u64,
            need: (skip + bits).div_ceil(8) as u64,
        });
    }
    out.extend((skip..skip + bits).map(|n| bytes[n / 8] >> (n % 8) & 1));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes() {
        let mut out = Vec::new();
        planes_to_pixels(&[1, 2, 3, 4, 5, 6], 3, 1, &mut out);
        assert_eq!(out, [1, 3, 5, 2, 4, 6]);
        planes_to_pixels(&[1, 2, 3, 4, 5, 6, 7, 8], 2, 2, &mut out);
        assert_eq!(out, [1, 2, 5, 6, 3, 4, 7, 8]);
    }

    #[test]
    fn bits_from_within_a_byte() {
        let mut out = Vec::new();
        single_bits(&[0b1010_0000, 0b0000_0001], 4, 5, &mut out).unwrap();
        assert_eq!(out, [0, 1, 0, 1, 1]);
    }
}
